//! What a bare word may name, so that the search box goes straight there.

use crate::id::TraceId;
use crate::position::{Channel, Place};

/// A thing that a text may name.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Goto {
    /// A trace.
    Trace(TraceId),
    /// An event, by its id.
    Event(String),
    /// A record. Its source isn't told: it is whichever has the channel.
    Record {
        /// The topic, queue, subject or stream.
        channel: Channel,
        /// The place in it.
        place: Place,
    },
}

/// What a text may name, likeliest first; nothing where it can only be a query. A guess: whoever goes there looks first whether
/// there is such a thing, takes the first that is, and searches for the text where none is.
///
/// ```
/// use store::query::{Goto, goto};
/// assert!(matches!(goto("order.placed p3@48213")[..], [Goto::Record { .. }]));
/// assert!(matches!(goto("0af7651916cd43dd8448eb211c80319c")[..], [Goto::Trace(_), Goto::Event(_)]));
/// assert!(matches!(goto("0af76519-16cd-43dd-8448-eb211c80319c")[..], [Goto::Event(_), Goto::Trace(_)]));
/// assert!(goto("card declined").is_empty());
/// ```
pub fn goto(text: &str) -> Vec<Goto> {
    let text = text.trim().trim_matches('"');
    if text.len() > GOTO_BYTES_MAX {
        return Vec::new();
    }
    if let Some((channel, place)) = position(text) {
        let record = Goto::Record { channel: channel.into(), place };
        // `a@1@2` and `a/1/2` may be somebody's event id too.
        return if text.contains(char::is_whitespace) {
            vec![record]
        } else {
            vec![record, Goto::Event(text.to_owned())]
        };
    }
    let is_one_word = !text.contains(|c: char| c.is_whitespace() || matches!(c, '(' | ')' | '"' | '*'));
    if !is_one_word || is_term(text) {
        return Vec::new();
    }
    let trace = TraceId::from_lenient(text).map(Goto::Trace);
    let is_uuid = text.len() == 36;
    let is_traceparent = text.len() > 36;
    let event = looks_like_an_event_id(text).then(|| Goto::Event(text.to_owned()));
    match trace {
        None => event.into_iter().collect(),
        Some(trace) if is_traceparent => vec![trace],
        Some(trace) if is_uuid => event.into_iter().chain([trace]).collect(),
        Some(trace) => [trace].into_iter().chain(event).collect(),
    }
}

/// A longer text names nothing: the longest names of topics have 249 bytes (apache/kafka : Topic.java), ids are shorter.
const GOTO_BYTES_MAX: usize = 300;

/// Ids of events are whatever their producers chose; most have digits, and few are shorter than this.
const EVENT_ID_BYTES_MIN: usize = 6;

fn looks_like_an_event_id(text: &str) -> bool {
    text.len() >= EVENT_ID_BYTES_MIN && text.contains(|c: char| c.is_ascii_digit()) && !text.starts_with('-')
}

/// Whether it is a term of a query, such as `key:order-48213`; `urn:uuid:…` and the like are not.
fn is_term(text: &str) -> bool {
    text.contains(':') && super::Query::parse(text).is_ok_and(|query| matches!(query, super::Query::Term { .. }))
}

/// Reads a position as pages show it and as people write it: `order.placed p3@48213`, `order.placed 3@48213`, `order.placed/3/48213`,
/// `order.placed@3@48213`, `stream #17`, `stream seq:17`.
fn position(text: &str) -> Option<(&str, Place)> {
    if let Some((channel, place)) = text.rsplit_once(char::is_whitespace) {
        let channel = channel.trim_end();
        if channel.is_empty() || channel.contains(char::is_whitespace) {
            return None;
        }
        if let Some(sequence) = place.strip_prefix('#') {
            return Some((channel, Place::Sequence(sequence.parse().ok()?)));
        }
        let place = Place::parse(place.strip_prefix('p').unwrap_or(place))?;
        let is_number = !matches!(place, Place::MessageId(_));
        return is_number.then_some((channel, place));
    }
    for separator in ['@', '/'] {
        let mut parts = text.rsplitn(3, separator);
        if let (Some(offset), Some(partition), Some(channel)) = (parts.next(), parts.next(), parts.next())
            && let (Ok(offset), Ok(partition)) = (offset.parse(), partition.trim_start_matches('p').parse())
            && !channel.is_empty()
        {
            return Some((channel, Place::Offset { partition, offset }));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(channel: &str, place: Place) -> Goto {
        Goto::Record { channel: channel.into(), place }
    }

    #[test]
    fn a_position_is_understood_as_pages_show_it_and_as_people_write_it() {
        let place = Place::Offset { partition: 3, offset: 48213 };
        for text in ["order.placed p3@48213", "order.placed 3@48213", "  order.placed  p3@48213 "] {
            assert_eq!(goto(text), [record("order.placed", place.clone())], "{text}");
        }
        for text in ["order.placed/3/48213", "order.placed@3@48213", "order.placed@p3@48213"] {
            assert_eq!(goto(text)[0], record("order.placed", place.clone()), "{text}");
        }
        assert_eq!(goto("ORDERS #17"), [record("ORDERS", Place::Sequence(17))]);
        assert_eq!(goto("ORDERS seq:17"), [record("ORDERS", Place::Sequence(17))]);
    }

    #[test]
    fn a_trace_id_is_understood_in_any_spelling() {
        let id = TraceId::from_lenient("0af7651916cd43dd8448eb211c80319c").unwrap();
        for text in ["0AF7651916CD43DD8448EB211C80319C", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"] {
            assert_eq!(goto(text)[0], Goto::Trace(id), "{text}");
        }
        let uuid = "0af76519-16cd-43dd-8448-eb211c80319c";
        assert_eq!(goto(uuid), [Goto::Event(uuid.to_owned()), Goto::Trace(id)]);
    }

    #[test]
    fn an_event_id_of_any_make_is_tried_before_searching() {
        for text in ["evt-48213", "01J9ZK3V8Q5W7X2Y4N6M8P0R1T", "urn:uuid:0af76519", "order-48213"] {
            assert_eq!(goto(text), [Goto::Event(text.to_owned())], "{text}");
        }
    }

    #[test]
    fn a_query_is_no_place_to_go_to() {
        for text in
            ["", "refused", "card declined", "key:order-48213", "topic:orders 3", "order*", "-48213x", "(a1b2c3)"]
        {
            assert_eq!(goto(text), [], "{text}");
        }
    }
}
