//! A [`Cursor`] as text: opaque to whoever carries it in a URL, and read back only by us.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use crate::engine::Cursor;
use crate::entry::Identity;
use crate::position::{Incarnation, Place, Position};
use crate::time::Timestamp;

/// The longest cursor text that is looked at, in bytes; names of channels are far shorter.
const TEXT_BYTES_MAX: usize = 4_096;

impl Cursor {
    /// As text for a URL.
    pub fn to_text(&self) -> String {
        let identity = match &self.identity {
            Identity::Record(position) => json!([
                "r",
                position.source.as_str(),
                position.channel.as_str(),
                position.incarnation.0,
                place_kind(&position.place),
                position.place.to_string(),
            ]),
            Identity::Span(trace_id, span_id, kind, hash) => {
                json!(["s", hex::encode(trace_id), hex::encode(span_id), kind, hash])
            }
            Identity::Log(hash, ordinal) => json!(["l", hex::encode(hash), ordinal]),
        };
        URL_SAFE_NO_PAD.encode(json!([self.time.as_nanos(), identity]).to_string())
    }

    /// From what [`Cursor::to_text`] wrote; `None` for anything else.
    pub fn from_text(text: &str) -> Option<Cursor> {
        if text.len() > TEXT_BYTES_MAX {
            return None;
        }
        let parsed: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(text).ok()?).ok()?;
        let time = Timestamp::from_nanos(parsed.get(0)?.as_i64()?);
        let identity = parsed.get(1)?;
        let text_at = |index: usize| identity.get(index).and_then(Value::as_str);
        let number_at = |index: usize| identity.get(index).and_then(Value::as_u64);
        let identity = match text_at(0)? {
            "r" => Identity::Record(Position {
                source: text_at(1)?.into(),
                channel: text_at(2)?.into(),
                incarnation: Incarnation(u32::try_from(number_at(3)?).ok()?),
                place: match text_at(4)? {
                    "id" => Place::MessageId(text_at(5)?.into()),
                    kind => Place::parse(text_at(5)?).filter(|place| place_kind(place) == kind)?,
                },
            }),
            "s" => Identity::Span(
                bytes(text_at(1)?)?,
                bytes(text_at(2)?)?,
                u8::try_from(number_at(3)?).ok()?,
                number_at(4)?,
            ),
            "l" => Identity::Log(bytes(text_at(1)?)?, u32::try_from(number_at(2)?).ok()?),
            _ => return None,
        };
        Some(Cursor { time, identity })
    }
}

fn place_kind(place: &Place) -> &'static str {
    match place {
        Place::Offset { .. } => "o",
        Place::Sequence(_) => "q",
        Place::MessageId(_) => "id",
        Place::Arrival(_) => "a",
    }
}

fn bytes<const N: usize>(text: &str) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    hex::decode_to_slice(text, &mut bytes).ok()?;
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture;

    #[test]
    fn a_cursor_reads_back_from_a_url() {
        let entries = [
            fixture::record("orders é/?", 3, 48_213).entry(),
            fixture::record("q", 0, 0).place(Place::MessageId("3@7".into())).entry(),
            fixture::record("q", 0, 0).place(Place::Sequence(9)).entry(),
            fixture::span("billing", "process").entry(),
            fixture::log("billing", "charged").entry(),
        ];
        for entry in entries {
            let cursor = Cursor { time: entry.time(), identity: entry.identity() };
            let text = cursor.to_text();
            assert!(text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_'));
            assert_eq!(Cursor::from_text(&text), Some(cursor));
        }
    }

    #[test]
    fn a_cursor_that_was_tampered_with_is_none() {
        for text in ["", "a", "bm90IGpzb24", "W10", "WzEsWyJyIl1d", "é", &"A".repeat(10_000)] {
            assert_eq!(Cursor::from_text(text), None);
        }
    }
}
