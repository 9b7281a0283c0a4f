//! One stream: where we are in it, and reading on.

use async_nats::jetstream::Context;
use async_nats::jetstream::stream::{Info, RetentionPolicy, Stream};
use futures_util::{StreamExt, TryStreamExt, stream};
use serde_json::json;
use store::checkpoint::Reached;
use store::position::Incarnation;
use store::record::{Header, TimestampKind};
use store::{Channel, Place, Position, SourceName, Timestamp};

use crate::error::CollectorError;
use crate::source::from::From;
use crate::source::nats::message::{Answer, Message, NO_MESSAGE};
use crate::source::raw::Raw;

/// How many messages are asked for at once: enough to hide the round trip, few enough that the server hardly notices.
const IN_FLIGHT: usize = 64;

/// How many messages one batch holds at most.
const BATCH_MESSAGES_MAX: u64 = 1_024;

/// How many bytes of bodies one batch holds before it is closed; a message is at most 64 MiB on a server that allows it.
const BATCH_BYTES_MAX: usize = 4 << 20;

/// What JetStream's own direct get calls the subject: told as a header, because a stream holds many.
const SUBJECT: &str = "Nats-Subject";

/// One stream that is watched.
pub struct Watched {
    context: Context,
    handle: Stream<()>,
    /// Its channel.
    pub channel: Channel,
    /// Where we are in it.
    pub reached: Reached,
    /// When it was created, by its server's clock.
    pub created: Timestamp,
}

/// What a look at a stream means for our place in it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Look {
    /// It is the one we know.
    Same,
    /// It was deleted and made again.
    Another,
    /// What lies between our place and here is gone; read on from here.
    Gap(u64),
}

/// What a stream's state means for a place in it that was kept.
/// A stream that was created after its last message that we hold is another one (a mirror's messages are older than the
/// mirror itself: there the later of the two times is kept); and so is one that ends below our place.
pub fn look(reached: &Reached, created: Timestamp, first: u64, last: u64) -> Look {
    let next = u64::try_from(reached.next).unwrap_or(0);
    if reached.last_timestamp.is_some_and(|at| created > at) || last.saturating_add(1) < next {
        return Look::Another;
    }
    if first > next { Look::Gap(first) } else { Look::Same }
}

/// Whether what consumers have finished vanishes from a stream.
pub fn forgets(info: &Info) -> bool {
    matches!(info.config.retention, RetentionPolicy::WorkQueue | RetentionPolicy::Interest)
}

impl Watched {
    /// Takes up a stream at a place.
    pub async fn open(context: &Context, info: &Info, reached: Reached) -> Result<Watched, CollectorError> {
        let handle = context.get_stream_no_info(&info.config.name).await.map_err(broker)?;
        let channel = info.config.name.as_str().into();
        Ok(Watched { context: context.clone(), handle, channel, reached, created: time(info.created) })
    }

    /// Moves to a place, at which nothing before is held.
    pub fn move_to(&mut self, incarnation: Incarnation, next: u64) {
        self.reached = Reached {
            incarnation,
            next: i64::try_from(next).unwrap_or(i64::MAX),
            last_timestamp: Some(self.created),
            last_checksum: None,
        };
    }

    /// Where the configuration says to begin.
    pub async fn begin(&self, from: From, info: &Info) -> Result<u64, CollectorError> {
        let (first, end) = (info.state.first_sequence, info.state.last_sequence + 1);
        let since = match from {
            From::Latest => return Ok(end),
            From::Earliest => return Ok(first),
            From::Ago(ago) => Timestamp::now().minus(ago),
            From::At(at) => at,
        };
        // The first message that is young enough: halving, because no request asks by time.
        let (mut low, mut high) = (first, end);
        while low < high {
            let middle = low + (high - low) / 2;
            match self.at_or_after(middle).await? {
                Some(message) if Timestamp::from_rfc3339(&message.time).is_some_and(|at| at < since) => {
                    low = message.sequence + 1
                }
                Some(_) | None => high = middle,
            }
        }
        Ok(low)
    }

    /// What has come since our place; empty when nothing has, `None` when this is another stream by now.
    pub async fn read_on(&mut self, source: &SourceName) -> Result<Option<Vec<Raw>>, CollectorError> {
        let next = u64::try_from(self.reached.next).unwrap_or(0).max(1);
        let Some(first) = self.at_or_after(next).await? else { return Ok(Some(Vec::new())) };
        // Asked after the message: whatever it was read from, this is what it is now.
        let info = self.handle.get_info().await.map_err(broker)?;
        if time(info.created) != self.created {
            return Ok(None);
        }
        let end = info.state.last_sequence.min(first.sequence + BATCH_MESSAGES_MAX - 1);
        let after = first.sequence + 1;
        let (context, channel, incarnation) = (&self.context, &self.channel, self.reached.incarnation);
        let more = stream::iter(after..=end).map(|sequence| get(context, channel, sequence, false));
        let mut more = stream::iter([Ok(Some(first))]).chain(more.buffered(IN_FLIGHT));
        let mut raws = Vec::new();
        let mut bytes = 0;
        while bytes < BATCH_BYTES_MAX
            && let Some(message) = more.try_next().await?
        {
            if let Some(message) = message {
                let raw = raw(&message, source, channel, incarnation);
                bytes += raw.body.as_ref().map_or(0, bytes::Bytes::len);
                raws.push(raw);
            }
        }
        drop(more);
        if let Some(last) = raws.last() {
            let sequence = last.position.place.number().unwrap_or_default();
            self.reached.next = i64::try_from(sequence.saturating_add(1)).unwrap_or(i64::MAX);
            self.reached.last_timestamp = last.timestamp.max(Some(self.created));
            self.reached.last_checksum = Some(last.checksum());
        }
        Ok(Some(raws))
    }

    /// The message at this sequence, or the next one there is.
    async fn at_or_after(&self, sequence: u64) -> Result<Option<Message>, CollectorError> {
        get(&self.context, &self.channel, sequence, true).await
    }
}

/// One message; `None` where there is none. With `or_next`, the next one from that sequence on.
async fn get(
    context: &Context,
    stream: &Channel,
    sequence: u64,
    or_next: bool,
) -> Result<Option<Message>, CollectorError> {
    let subject = format!("STREAM.MSG.GET.{stream}");
    let request = if or_next { json!({"seq": sequence, "next_by_subj": ">"}) } else { json!({"seq": sequence}) };
    let answer: Answer = context.request(subject, &request).await.map_err(broker)?;
    match answer {
        Answer { message: Some(message), .. } => Ok(Some(message)),
        Answer { error: Some(error), .. } if error.code == NO_MESSAGE => Ok(None),
        Answer { error, .. } => {
            let said = error.map(|error| error.description).unwrap_or_default();
            Err(CollectorError::Broker { reason: format!("stream `{stream}` can't be read: {said}") })
        }
    }
}

fn raw(message: &Message, source: &SourceName, channel: &Channel, incarnation: Incarnation) -> Raw {
    let (body, broken_body) = match message.body() {
        Ok(body) => (Some(body.into()), None),
        Err(problem) => (None, Some(problem)),
    };
    let (sent, broken_headers) = message.headers();
    let mut headers = vec![Header { name: SUBJECT.to_owned(), value: Some(message.subject.clone().into()) }];
    headers.extend(sent);
    Raw {
        position: Position {
            source: source.clone(),
            channel: channel.clone(),
            incarnation,
            place: Place::Sequence(message.sequence),
        },
        cluster: None,
        timestamp: Timestamp::from_rfc3339(&message.time),
        timestamp_kind: TimestampKind::Broker,
        received_at: Timestamp::now(),
        key: None,
        body,
        headers,
        transaction: None,
        problem: broken_body.or(broken_headers),
    }
}

/// A server's time.
pub fn time(at: async_nats::datetime::DateTime) -> Timestamp {
    Timestamp::from_nanos(i64::try_from(at.unix_timestamp_nanos()).unwrap_or(i64::MAX))
}

/// What the server said, as a sentence for people.
pub fn broker(error: impl std::error::Error) -> CollectorError {
    CollectorError::Broker { reason: crate::source::with_causes(&error) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(next: i64, kept_at: i64, created: i64, first: u64, last: u64) -> Look {
        let last_timestamp = Some(Timestamp::from_millis(kept_at));
        let reached = Reached { next, last_timestamp, ..Reached::default() };
        look(&reached, Timestamp::from_millis(created), first, last)
    }

    #[test]
    fn a_stream_that_was_made_again_is_another_one() {
        assert_eq!(check(11, 500, 100, 1, 20), Look::Same);
        assert_eq!(check(11, 500, 600, 1, 20), Look::Another, "created after what we hold of it");
        assert_eq!(check(11, 500, 100, 1, 5), Look::Another, "it ends below our place");
    }

    #[test]
    fn what_is_gone_before_we_read_it_is_a_gap() {
        assert_eq!(check(11, 500, 100, 15, 20), Look::Gap(15));
        assert_eq!(check(11, 500, 100, 11, 10), Look::Same, "empty, and nothing missed");
    }
}
