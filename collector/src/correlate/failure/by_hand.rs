//! Dead letters and retry copies that a team's own code writes: no framework, but names that most choose alike, with everything as text.
//!
//! Names are those that consumers on kafkajs, confluent-kafka, Sarama and their like were seen to write. One alone proves little, for an
//! event may be about an `error`: headers count where they tell both where the message came from and why it is here, or where the topic's
//! own name says what it is for.

use std::borrow::Cow;
use std::sync::LazyLock;

use foldhash::HashMap;
use store::record::{Failure, Fate, Header};

use super::own::Own;
use super::table::{Reading, Slot};
use super::{fate, named, speak};
use crate::correlate::header::{self, Encoding, Take};

/// What it is called where such a message is shown.
pub const CONVENTION: &str = "By hand";

/// The names that say the same, in lower case, the most telling first. `-` stands for `_`, too, and each may begin with `x-` or `dlq-`.
static NAMES: [(Slot, Take, &[&str]); 8] = [
    (Slot::Topic, Take::First, &["original-topic", "origin-topic", "source-topic", "originaltopic"]),
    (
        Slot::Partition,
        Take::First,
        &["original-partition", "origin-partition", "source-partition", "originalpartition"],
    ),
    (Slot::Offset, Take::First, &["original-offset", "origin-offset", "source-offset", "originaloffset"]),
    (Slot::Group, Take::Last, &["consumer-group", "original-consumer-group", "group-id", "failed-by"]),
    (Slot::Attempts, Take::Last, &["attempts", "attempt", "delivery-attempts", "retry-count", "retries", "retrycount"]),
    (
        Slot::Exception,
        Take::Last,
        &[
            "exception-class",
            "exception-type",
            "exception-fqcn",
            "exception-name",
            "error-class",
            "error-type",
            "error-name",
        ],
    ),
    (
        Slot::StackTrace,
        Take::Last,
        &[
            "exception-stacktrace",
            "stack-trace",
            "stacktrace",
            "error-stack",
            "error-stacktrace",
            "error-stack-trace",
            "traceback",
        ],
    ),
    (
        Slot::Message,
        Take::Last,
        &[
            "exception-message",
            "error-message",
            "error-reason",
            "failure-reason",
            "dead-letter-reason",
            "reason",
            "error",
            "exception",
            "errormessage",
        ],
    ),
];

/// What a name may begin with.
const BEGINNINGS: [&str; 3] = ["x-", "dlq-", ""];

/// A name without its beginning: which slot, and where it stands among those that say the same.
static PLACES: LazyLock<HashMap<&'static str, (usize, usize)>> = LazyLock::new(|| {
    let slots = NAMES.iter().enumerate();
    slots
        .flat_map(|(slot, (.., names))| names.iter().enumerate().map(move |(rank, name)| (*name, (slot, rank))))
        .collect()
});

/// What headers under names of somebody's own say of a failure.
pub(super) fn read(own: &[Own], channel: &str, headers: &[Header]) -> Option<Failure> {
    let mut held: Vec<((usize, usize), &Header)> = Vec::new();
    let mut room = header::room();
    for header in headers {
        if let Some(place) = header::lowered(&header.name, &mut room).and_then(place) {
            held.push((place, header));
        }
    }
    if held.is_empty() {
        return None;
    }
    let says = |wanted: &[Slot]| held.iter().any(|((slot, _), _)| wanted.contains(&NAMES[*slot].0));
    let is_told = says(&[Slot::Topic]) && says(&[Slot::Message, Slot::Exception, Slot::StackTrace]);
    let named = named(own, channel);
    if !is_told && named.is_none() {
        return None;
    }
    held.sort_by_key(|(place, _)| *place);
    let said = NAMES.iter().enumerate().flat_map(|(slot, (says, take, names))| {
        let held = &held;
        (0..names.len()).map(move |rank| {
            let reading = Reading { slot: *says, encoding: Encoding::Text, take: *take };
            (reading, held.iter().filter(move |(place, _)| *place == (slot, rank)).map(|(_, header)| *header))
        })
    });
    let mut failure = speak(CONVENTION, said);
    failure.fate = fate(super::table::FateBy::Always(Fate::DeadLetter), &failure, channel, own);
    if let Some(named) = named {
        failure.fate = if failure.fate == Fate::Retry { Fate::Retry } else { named.fate };
        failure.origin = failure.origin.or(named.origin);
        failure.guessed = named.guessed && !is_told;
    }
    Some(failure)
}

/// Where a name in lower case stands.
fn place(name: &str) -> Option<(usize, usize)> {
    // Most names have none, and every header of every record comes here.
    let dashed = if name.contains('_') { Cow::Owned(name.replace('_', "-")) } else { Cow::Borrowed(name) };
    BEGINNINGS.iter().find_map(|beginning| PLACES.get(dashed.strip_prefix(beginning)?).copied())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(channel: &str, headers: &[(&str, &str)]) -> Option<Failure> {
        let header = |(name, value): &(&str, &str)| Header {
            name: (*name).to_owned(),
            value: Some(bytes::Bytes::copy_from_slice(value.as_bytes())),
        };
        super::super::read(&[], channel, &headers.iter().map(header).collect::<Vec<_>>())
    }

    #[test]
    fn numbers_under_the_names_of_spring_cloud_stream_are_text_where_no_spring_wrote_them() {
        let failure = check(
            "orders.dlq",
            &[
                ("x-original-topic", "orders"),
                ("x-original-partition", "3"),
                ("x-original-offset", "12345678"),
                ("x-error-message", "card declined"),
                ("x-error-stack", "Error: card declined\n    at charge (/app/billing.js:4:9)"),
                ("x-retry-count", "3"),
                ("x-consumer-group", "billing"),
                ("x-failed-at", "2026-11-26T03:00:00Z"),
            ],
        )
        .unwrap();
        let origin = failure.origin.unwrap();
        assert_eq!(
            (origin.channel.as_deref(), origin.partition, origin.offset),
            (Some("orders"), Some(3), Some(12_345_678))
        );
        assert_eq!((failure.fate, failure.attempts, failure.guessed), (Fate::DeadLetter, Some(3), false));
        assert_eq!((failure.group.as_deref(), failure.message.as_deref()), (Some("billing"), Some("card declined")));
        assert!(failure.stack_trace.is_some_and(|stack| stack.contains("billing.js")));
        assert_eq!(&*failure.convention, CONVENTION);
    }

    #[test]
    fn either_spelling_is_known_and_the_topics_name_tells_a_retry_from_a_dead_letter() {
        let headers =
            &[("original_topic", "orders"), ("error_type", "CardDeclined"), ("error", "no"), ("retry_count", "2")];
        let [retry, dead, parked] =
            ["orders-retry-1", "orders-dlt", "parked"].map(|channel| check(channel, headers).unwrap());
        assert_eq!([retry.fate, dead.fate, parked.fate], [Fate::Retry, Fate::DeadLetter, Fate::DeadLetter]);
        assert_eq!((retry.exception.as_deref(), retry.message.as_deref()), (Some("CardDeclined"), Some("no")));
        assert_eq!(check("orders", headers).unwrap().fate, Fate::Retry, "sent back to where it came from");
    }

    #[test]
    fn a_reason_alone_counts_only_where_the_topic_says_what_it_is_for() {
        let headers = &[("x-error", "card declined"), ("x-failed-at", "now")];
        assert_eq!(check("orders", headers), None, "an event may be about an error");
        assert_eq!(
            check("orders", &[("x-original-topic", "legacy"), ("retry_count", "0")]),
            None,
            "a mirror says so, too"
        );
        let named = check("orders.dlq", headers).unwrap();
        assert_eq!((named.message.as_deref(), named.guessed), (Some("card declined"), true));
        assert_eq!(named.origin.unwrap().channel.as_deref(), Some("orders"));
    }
}
