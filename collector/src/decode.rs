//! What a body is, and the record that comes of it.
//!
//! Order of detection: a schema registry's frame, JSON, text, binary. Nothing is ever dropped: what can't be decoded is kept
//! byte for byte, with the reason in words, because a poison message is what the reader came to find.

pub mod fields; // the few fields of a JSON body that say what event it is
pub mod frame; // how a schema registry's serializers frame a body

use store::Record;
use store::record::{BodyEncoding, Header};

use crate::correlate::{event, failure};
use crate::source::raw::Raw;
use fields::Fields;

/// A record from what the broker handed over. Takes any bytes.
pub fn record(raw: Raw) -> Record {
    let body = body(&raw.headers, raw.body.as_deref());
    let channel = raw.position.channel.as_str();
    let told = event::read(channel, &raw.headers, &body.fields);
    let failure = failure::read(channel, &raw.headers);
    let encoding = body.encoding;
    let problems: Vec<String> = raw.problem.into_iter().chain(body.problem).chain(told.problems).collect();
    Record {
        encoding,
        event: told.event,
        failure,
        transaction: raw.transaction,
        problem: (!problems.is_empty()).then(|| problems.join("; ")),
        position: raw.position,
        cluster: raw.cluster,
        timestamp: raw.timestamp,
        timestamp_kind: raw.timestamp_kind,
        received_at: raw.received_at,
        key: raw.key,
        body: raw.body,
        headers: raw.headers,
    }
}

/// What a body is.
#[derive(Debug, Default)]
struct Body<'a> {
    encoding: BodyEncoding,
    fields: Fields<'a>,
    problem: Option<String>,
}

fn body<'a>(headers: &[Header], body: Option<&'a [u8]>) -> Body<'a> {
    let Some(bytes) = body else { return Body::default() };
    match frame::frame(headers, bytes) {
        Some(frame) => {
            // The frame of a JSON Schema serializer holds plain JSON: its ids stitch like any other.
            let inside = unframed(frame.payload);
            let whole = frame.payload.len() == bytes.len();
            let encoding = if whole { inside.encoding } else { BodyEncoding::Binary };
            let undecoded = inside.encoding == BodyEncoding::Binary || !whole;
            let problem = undecoded.then(|| format!("{}, no registry configured", frame.says));
            Body { encoding, fields: inside.fields, problem: problem.or(inside.problem) }
        }
        None => unframed(bytes),
    }
}

fn unframed(bytes: &[u8]) -> Body<'_> {
    let looks_like_json = looks_like_json(bytes);
    let text = match std::str::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => {
            let at = error.valid_up_to();
            let problem = looks_like_json.then(|| format!("it looks like JSON, but byte {at} is no UTF-8"));
            return Body { encoding: BodyEncoding::Binary, problem, ..Body::default() };
        }
    };
    if looks_like_json {
        let json = text.strip_prefix('\u{feff}').unwrap_or(text);
        return match Fields::read(json) {
            Ok(fields) => Body { encoding: BodyEncoding::Json, fields, problem: None },
            Err(error) => {
                let problem = Some(format!("it looks like JSON, but isn't: {error}"));
                Body { encoding: text_or_binary(text), problem, ..Body::default() }
            }
        };
    }
    Body { encoding: text_or_binary(text), ..Body::default() }
}

/// Whether the first characters are those of a JSON object or list, so that a failure to parse it is worth telling.
/// `[INFO] started` is not: what follows a bracket must be able to begin a value.
pub(crate) fn looks_like_json(bytes: &[u8]) -> bool {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let mut letters = bytes.iter().filter(|byte| !byte.is_ascii_whitespace());
    match letters.next() {
        Some(b'{') => matches!(letters.next(), None | Some(b'"' | b'}')),
        Some(b'[') => matches!(letters.next(), None | Some(b'{' | b'[' | b']' | b'"' | b'-' | b'0'..=b'9')),
        _ => false,
    }
}

/// UTF-8 with control characters in it is no text that people wrote.
fn text_or_binary(text: &str) -> BodyEncoding {
    let unwritten = |byte: u8| byte < 0x20 && !matches!(byte, b'\t' | b'\n' | b'\r' | 0x1b);
    if text.bytes().any(unwritten) { BodyEncoding::Binary } else { BodyEncoding::Text }
}

#[cfg(test)]
mod tests;
