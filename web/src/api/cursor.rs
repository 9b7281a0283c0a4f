//! Where the next page begins, as text that a script hands back unread.
//!
//! A cursor names the last entry shown (time and identity), so it survives new data and rebuilt files. Written as bytes in base64url.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use store::engine::Cursor;
use store::entry::Identity;
use store::position::Incarnation;
use store::{Place, Position, Timestamp};

/// The longest cursor that is read: names of 249 bytes and ids of a few hundred leave room.
const CURSOR_BYTES_MAX: usize = 4_096;

/// As text.
pub fn encode(cursor: &Cursor) -> String {
    let mut bytes = Vec::with_capacity(64);
    bytes.extend(cursor.time.as_nanos().to_be_bytes());
    match &cursor.identity {
        Identity::Record(position) => {
            bytes.push(0);
            put_text(&mut bytes, position.source.as_str());
            put_text(&mut bytes, position.channel.as_str());
            bytes.extend(position.incarnation.0.to_be_bytes());
            put_text(&mut bytes, &position.place.to_string());
            // A broker's own id may look like another kind of place.
            bytes.push(u8::from(matches!(position.place, Place::MessageId(_))));
        }
        Identity::Span(trace_id, span_id, kind, hash) => {
            bytes.push(1);
            bytes.extend(trace_id);
            bytes.extend(span_id);
            bytes.push(*kind);
            bytes.extend(hash.to_be_bytes());
        }
        Identity::Log(hash, ordinal) => {
            bytes.push(2);
            bytes.extend(hash);
            bytes.extend(ordinal.to_be_bytes());
        }
    }
    URL_SAFE_NO_PAD.encode(bytes)
}

/// From text; `None` where it isn't one of ours.
pub fn decode(text: &str) -> Option<Cursor> {
    if text.len() > CURSOR_BYTES_MAX {
        return None;
    }
    let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
    let mut rest = bytes.as_slice();
    let time = Timestamp::from_nanos(i64::from_be_bytes(take(&mut rest)?));
    let identity = match take::<1>(&mut rest)? {
        [0] => {
            let source = take_text(&mut rest)?.into();
            let channel = take_text(&mut rest)?.into();
            let incarnation = Incarnation(u32::from_be_bytes(take(&mut rest)?));
            let place = take_text(&mut rest)?;
            let place = match take::<1>(&mut rest)? {
                [0] => Place::parse(place)?,
                _ => Place::MessageId(place.into()),
            };
            Identity::Record(Position { source, channel, incarnation, place })
        }
        [1] => {
            let (trace_id, span_id, [kind]) = (take(&mut rest)?, take(&mut rest)?, take(&mut rest)?);
            Identity::Span(trace_id, span_id, kind, u64::from_be_bytes(take(&mut rest)?))
        }
        [2] => Identity::Log(take(&mut rest)?, u32::from_be_bytes(take(&mut rest)?)),
        _ => return None,
    };
    rest.is_empty().then_some(Cursor { time, identity })
}

fn put_text(bytes: &mut Vec<u8>, text: &str) {
    let length = u16::try_from(text.len()).unwrap_or(u16::MAX);
    bytes.extend(length.to_be_bytes());
    bytes.extend(&text.as_bytes()[..usize::from(length)]);
}

fn take<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (taken, after) = rest.split_first_chunk::<N>()?;
    *rest = after;
    Some(*taken)
}

fn take_text<'a>(rest: &mut &'a [u8]) -> Option<&'a str> {
    let length = usize::from(u16::from_be_bytes(take(rest)?));
    let (taken, after) = rest.split_at_checked(length)?;
    *rest = after;
    std::str::from_utf8(taken).ok()
}

#[cfg(test)]
mod tests {
    use store::fixture;

    use super::*;

    #[test]
    fn a_cursor_reads_back_and_nothing_else_does() {
        let record = |place| fixture::record("orders", 0, 0).place(place).entry();
        for entry in [
            fixture::record("orders", 3, 48213).incarnation(2).at(1.5).entry(),
            record(Place::Sequence(17)),
            record(Place::Arrival(5)),
            record(Place::MessageId("3@17".into())),
            fixture::span("billing", "process").entry(),
            fixture::log("billing", "declined").entry(),
        ] {
            let cursor = Cursor { time: entry.time(), identity: entry.identity() };
            let text = encode(&cursor);
            assert!(text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_'), "{text}");
            assert_eq!(decode(&text), Some(cursor));
            assert_eq!(decode(&text[..text.len() - 2]), None);
            assert_eq!(decode(&format!("{text}AAAA")), None);
        }
        for text in ["", "x", "!!", "AAAA", &"A".repeat(10_000)] {
            assert_eq!(decode(text), None, "{text}");
        }
    }
}
