//! The searchable text of an entry.

use std::borrow::Cow;

use crate::entry::Entry;
use crate::log::Log;
use crate::record::{BodyEncoding, Record};
use crate::span::{Span, SpanStatus};
use crate::value::{Attributes, Value};

/// How much text of one entry can be searched, in bytes; what lies behind is found by fields only. Ids, names and headers come first,
/// so it is the end of a long body or stack trace that is left out. 64 KiB is the size that pages and the API show at once.
pub const TEXT_BYTES_MAX: usize = 64 * 1024;

/// The searchable text of an entry in pieces, at most [`TEXT_BYTES_MAX`] in all. A phrase lies within one piece.
///
/// Of a binary body: its runs of at least [`PRINTABLE_RUN_MIN`] printable ASCII characters, as strings(1) finds them.
pub fn text(entry: &Entry) -> Vec<Cow<'_, str>> {
    let mut pieces = Pieces { found: Vec::with_capacity(PIECES_USUAL), left: TEXT_BYTES_MAX };
    match entry {
        Entry::Record(record) => of_record(record, &mut pieces),
        Entry::Span(span) => of_span(span, &mut pieces),
        Entry::Log(log) => of_log(log, &mut pieces),
    }
    pieces.found
}

/// How many pieces most entries have at the most: a span of twenty attributes with as many of its resource.
const PIECES_USUAL: usize = 96;

/// Shorter runs in binary data are chance, not text.
const PRINTABLE_RUN_MIN: usize = 4;

struct Pieces<'a> {
    found: Vec<Cow<'a, str>>,
    left: usize,
}

impl<'a> Pieces<'a> {
    fn add(&mut self, piece: impl Into<Cow<'a, str>>) {
        let mut piece: Cow<'a, str> = piece.into();
        if piece.is_empty() || self.left == 0 {
            return;
        }
        if piece.len() > self.left {
            let end = (0..=self.left).rev().find(|at| piece.is_char_boundary(*at)).unwrap_or(0);
            piece = match piece {
                Cow::Borrowed(text) => Cow::Borrowed(&text[..end]),
                Cow::Owned(mut text) => {
                    text.truncate(end);
                    Cow::Owned(text)
                }
            };
            self.left = 0;
        } else {
            self.left -= piece.len();
        }
        self.found.push(piece);
    }

    fn maybe(&mut self, piece: Option<&'a str>) {
        if let Some(piece) = piece {
            self.add(piece);
        }
    }

    /// Bytes that may be text: as they are where they are UTF-8, else what is readable in them.
    fn bytes(&mut self, bytes: &'a [u8]) {
        let bytes = &bytes[..bytes.len().min(self.left)];
        match std::str::from_utf8(bytes) {
            Ok(text) => self.add(text),
            // Cut in the middle of a character, and whole before it.
            Err(error) if error.error_len().is_none() => {
                self.add(std::str::from_utf8(&bytes[..error.valid_up_to()]).unwrap_or_default());
            }
            Err(_) => {
                let runs = bytes.split(|byte| !(b' '..=b'~').contains(byte));
                for run in runs.filter(|run| run.len() >= PRINTABLE_RUN_MIN) {
                    self.add(std::str::from_utf8(run).unwrap_or_default());
                }
            }
        }
    }

    fn attributes(&mut self, attributes: &'a Attributes) {
        for (name, value) in attributes {
            self.add(&**name);
            self.value(value);
        }
    }

    fn value(&mut self, value: &'a Value) {
        match value {
            Value::Text(text) => self.add(&**text),
            Value::Bytes(bytes) => self.bytes(bytes),
            Value::List(items) => {
                for item in items {
                    self.value(item);
                }
            }
            Value::Map(fields) => self.attributes(fields),
            other => self.add(other.to_string()),
        }
    }
}

fn of_record<'a>(record: &'a Record, pieces: &mut Pieces<'a>) {
    let event = &record.event;
    pieces.add(record.position.channel.as_str());
    pieces.maybe(event.id.as_deref());
    pieces.maybe(event.event_type.as_deref());
    pieces.maybe(event.producer.as_deref());
    if let Some(trace) = &event.trace {
        pieces.add(trace.trace_id.to_string());
    }
    for cause in &event.causes {
        pieces.add(cause.id.as_str());
    }
    if let Some(key) = record.readable_key() {
        pieces.bytes(key);
    }
    let failure = record.failure.as_ref();
    if let Some(failure) = failure {
        pieces.maybe(failure.group.as_deref());
        pieces.maybe(failure.exception.as_deref());
        pieces.maybe(failure.message.as_deref());
        pieces.maybe(failure.origin.as_ref().and_then(|origin| origin.channel.as_deref()));
    }
    pieces.maybe(record.problem.as_deref());
    for header in &record.headers {
        pieces.add(header.name.as_str());
        // A stack trace in a header can be longer than all the rest; it comes last.
        if let Some(value) = &header.value
            && value.len() <= HEADER_BYTES_FIRST
        {
            pieces.bytes(value);
        }
    }
    if let Some(body) = record.readable_body() {
        match record.readable_encoding() {
            BodyEncoding::Json => pieces.json(body),
            _ => pieces.bytes(body),
        }
    }
    pieces.maybe(failure.and_then(|failure| failure.stack_trace.as_deref()));
    for header in &record.headers {
        if let Some(value) = &header.value
            && value.len() > HEADER_BYTES_FIRST
        {
            pieces.bytes(value);
        }
    }
}

/// Headers longer than this come after the body.
const HEADER_BYTES_FIRST: usize = 512;

impl<'a> Pieces<'a> {
    fn json(&mut self, body: &'a [u8]) {
        let body = &body[..body.len().min(self.left)];
        let readable = match std::str::from_utf8(body) {
            Ok(text) => text,
            Err(error) => std::str::from_utf8(&body[..error.valid_up_to()]).unwrap_or_default(),
        };
        self.add(unescape(readable));
    }
}

fn of_span<'a>(span: &'a Span, pieces: &mut Pieces<'a>) {
    pieces.add(span.name.as_str());
    pieces.add(span.service());
    pieces.add(span.trace_id.to_string());
    pieces.add(span.span_id.to_string());
    if let SpanStatus::Error(message) = &span.status {
        pieces.add(message.as_str());
    }
    pieces.attributes(&span.attributes);
    for event in &span.events {
        pieces.add(event.name.as_str());
        pieces.attributes(&event.attributes);
    }
    pieces.add(span.scope.name.as_str());
    pieces.attributes(&span.resource.attributes);
}

fn of_log<'a>(log: &'a Log, pieces: &mut Pieces<'a>) {
    pieces.add(log.service());
    pieces.add(log.severity_name());
    pieces.add(log.event_name.as_str());
    pieces.maybe(log.event_id.as_deref());
    if let Some(trace_id) = log.trace_id {
        pieces.add(trace_id.to_string());
    }
    pieces.value(&log.body);
    pieces.attributes(&log.attributes);
    pieces.add(log.scope.name.as_str());
    pieces.attributes(&log.resource.attributes);
}

/// JSON with its escapes resolved, so that `caf\u00e9` is found as `café` and `\n` parts words. Cheaper than parsing it.
fn unescape(json: &str) -> Cow<'_, str> {
    if !json.contains('\\') {
        return Cow::Borrowed(json);
    }
    let mut plain = String::with_capacity(json.len());
    let mut rest = json;
    while let Some(at) = rest.find('\\') {
        plain.push_str(&rest[..at]);
        let escape = &rest[at + 1..];
        if escape.starts_with('u') {
            let (c, length) = unicode_escape(&rest[at..]);
            plain.push(c);
            rest = &rest[at + length..];
            continue;
        }
        let Some(c) = escape.chars().next() else { break };
        plain.push(match c {
            'n' | 'r' | 't' | 'b' | 'f' => ' ',
            other => other,
        });
        rest = &escape[c.len_utf8()..];
    }
    plain.push_str(rest);
    Cow::Owned(plain)
}

/// The character of `\uXXXX` (or of two of them, a surrogate pair) at the start of a text, and how many bytes it takes.
fn unicode_escape(text: &str) -> (char, usize) {
    const LENGTH: usize = 6;
    let unit = |at: usize| {
        let escape = text.get(at..at + LENGTH)?.strip_prefix("\\u")?;
        u16::from_str_radix(escape, 16).ok()
    };
    let Some(first) = unit(0) else { return (' ', 2) };
    let units = [first, unit(LENGTH).unwrap_or_default()];
    match char::decode_utf16(units).next() {
        Some(Ok(c)) => (c, LENGTH * c.len_utf16()),
        _ => (' ', LENGTH),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture;
    use crate::query::words;

    fn has(entry: &Entry, word: &str) -> bool {
        text(entry).iter().any(|piece| words(piece).any(|found| found == word))
    }

    #[test]
    fn a_body_is_found_by_its_words_whatever_its_escapes() {
        let body = r#"{"note":"caf\u00e9\nouvert \ud83d\ude00 \"x\" c:\\temp","bad":"\u12"}"#;
        let record = fixture::record("orders", 0, 1).body(body).entry();
        for word in ["note", "café", "ouvert", "x", "temp"] {
            assert!(has(&record, word), "{word}");
        }
        assert!(!has(&record, "nouvert"));
    }

    #[test]
    fn readable_parts_of_a_binary_body_are_found() {
        let record = fixture::record("orders", 0, 1).body(&b"\x00\x12order-48213\xff\xfeab\x01"[..]).entry();
        assert!(has(&record, "48213"));
        assert!(!has(&record, "ab"));
    }

    #[test]
    fn ids_are_found_even_where_the_body_is_longer_than_the_limit() {
        let body = "x ".repeat(TEXT_BYTES_MAX);
        let record = fixture::record("orders", 0, 1).event("OrderPlaced").id("evt-77").body(body).entry();
        let pieces = text(&record);
        assert!(pieces.iter().map(|piece| piece.len()).sum::<usize>() <= TEXT_BYTES_MAX);
        assert!(has(&record, "77"));
        assert!(has(&record, "x"));
    }
}
