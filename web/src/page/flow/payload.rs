//! A body as people read it: JSON indented and coloured, text as text, anything else as hexadecimal. What was decoded is shown as JSON.
//!
//! JSON is laid out anew from its own letters, not parsed and written again: numbers keep their digits, names their order, and a
//! name that stands twice is shown twice.

use bytes::Bytes;
use store::Record;
use store::record::BodyEncoding;

use crate::wording;

/// How much of a body is shown: what a page carries without effort. The whole is one link away.
const SHOWN_BYTES_MAX: usize = 64 * 1024;

/// How much of a binary body is shown: four times the bytes on the page, and nobody reads on.
const HEX_BYTES_MAX: usize = 2 * 1024;

/// The deepest indentation: hostile JSON nests thousands deep.
const INDENT_MAX: usize = 24;

/// A body, ready to be shown.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Payload {
    /// What it is: `JSON`, `text`, `binary`, …, with its size.
    pub what: String,
    /// Its text, in pieces of one kind each.
    pub tokens: Vec<Token>,
    /// Its bytes, where it is no text.
    pub hex: Vec<HexLine>,
    /// What is not shown; empty where all is.
    pub cut: String,
    /// Whether there is no body at all.
    pub is_null: bool,
}

/// A piece of text.
#[derive(Clone, PartialEq, Debug)]
pub struct Token {
    /// Its kind: `k` a name, `s` text, `n` a number, `l` true, false or null; empty for the rest.
    pub kind: &'static str,
    pub text: String,
}

/// A line of bytes.
#[derive(Clone, PartialEq, Debug)]
pub struct HexLine {
    pub at: String,
    pub bytes: String,
    pub text: String,
}

/// A record's body: as it was decoded, where it was, with what it is and how large it was sent.
pub fn of_record(record: &Record) -> Payload {
    let payload = payload(record.readable_body(), record.readable_encoding());
    let (Some(body), Some(_)) = (&record.body, record.decoded_body()) else { return payload };
    let name = match record.encoding {
        BodyEncoding::Avro => "Avro",
        BodyEncoding::Protobuf => "Protobuf",
        BodyEncoding::MessagePack => "MessagePack",
        BodyEncoding::Cbor => "CBOR",
        BodyEncoding::Json => "JSON",
        BodyEncoding::Null | BodyEncoding::Text | BodyEncoding::Binary => record.encoding.as_str(),
    };
    Payload { what: format!("{name} · {}", wording::bytes(body.len() as u64)), ..payload }
}

/// A body as people read it.
pub fn payload(body: Option<&Bytes>, encoding: BodyEncoding) -> Payload {
    let Some(body) = body else {
        return Payload { what: "null".to_owned(), is_null: true, ..Payload::default() };
    };
    let size = wording::bytes(body.len() as u64);
    let is_text = !matches!(encoding, BodyEncoding::Binary);
    match std::str::from_utf8(body) {
        Ok(text) if is_text && !body.is_empty() => {
            let shown = wording::beginning(text, SHOWN_BYTES_MAX);
            let cut = cut(shown.len(), body.len());
            let is_json = encoding == BodyEncoding::Json || text.trim_start().starts_with(['{', '[']);
            let tokens = if is_json { json(shown) } else { vec![Token { kind: "", text: wording::visible(shown) }] };
            let name = match encoding {
                BodyEncoding::Json => "JSON",
                other => other.as_str(),
            };
            Payload { what: format!("{name} · {size}"), tokens, cut, ..Payload::default() }
        }
        _ => {
            let shown = &body[..body.len().min(HEX_BYTES_MAX)];
            let cut = cut(shown.len(), body.len());
            Payload { what: format!("binary · {size}"), hex: hex_lines(shown), cut, ..Payload::default() }
        }
    }
}

fn cut(shown: usize, all: usize) -> String {
    if shown == all {
        return String::new();
    }
    format!("The first {} of {} are shown.", wording::bytes(shown as u64), wording::bytes(all as u64))
}

/// How many bytes stand in a line: what fits beside a timeline, and on a telephone.
const LINE_BYTES: usize = 8;

/// Bytes in lines: where, in hexadecimal, and as letters where they are any.
pub fn hex_lines(bytes: &[u8]) -> Vec<HexLine> {
    bytes
        .chunks(LINE_BYTES)
        .enumerate()
        .map(|(index, chunk)| HexLine {
            at: format!("{:06x}", index * LINE_BYTES),
            bytes: chunk.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(" "),
            text: chunk.iter().map(|byte| if (0x20..0x7f).contains(byte) { char::from(*byte) } else { '·' }).collect(),
        })
        .collect()
}

/// JSON laid out anew. What is no JSON after all comes out as it is: nothing is lost.
pub fn json(text: &str) -> Vec<Token> {
    let mut layout = Layout::default();
    let mut rest = text;
    while let Some(letter) = rest.chars().next() {
        let length = match letter {
            '"' => string_length(rest),
            '{' | '[' | '}' | ']' | ',' | ':' => 1,
            letter if letter.is_ascii_whitespace() => letter.len_utf8(),
            _ => rest
                .find(['{', '[', '}', ']', ',', ':', '"', ' ', '\n', '\r', '\t'])
                .filter(|at| *at > 0)
                .unwrap_or(rest.len()),
        };
        let (token, after) = rest.split_at(length);
        rest = after;
        let next = after.trim_start().chars().next();
        match letter {
            '{' | '[' if next == Some(if letter == '{' { '}' } else { ']' }) => {
                layout.plain(token);
                layout.empty = true;
            }
            '{' | '[' => {
                layout.plain(token);
                layout.depth += 1;
                layout.line();
            }
            '}' | ']' => {
                if !std::mem::take(&mut layout.empty) {
                    layout.depth = layout.depth.saturating_sub(1);
                    layout.line();
                }
                layout.plain(token);
            }
            ',' => {
                layout.plain(token);
                layout.line();
            }
            ':' => layout.plain(": "),
            '"' => layout.push(if next == Some(':') { "k" } else { "s" }, &wording::visible(token)),
            letter if letter.is_ascii_whitespace() => {}
            '-' | '0'..='9' => layout.push("n", token),
            't' | 'f' | 'n' => layout.push("l", token),
            _ => layout.plain(&wording::visible(token)),
        }
    }
    layout.tokens
}

/// How long a string in JSON is with its quotes; to the end where it is cut.
fn string_length(text: &str) -> usize {
    let mut escaped = false;
    for (at, letter) in text.char_indices().skip(1) {
        match letter {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return at + 1,
            _ => {}
        }
    }
    text.len()
}

#[derive(Default)]
struct Layout {
    tokens: Vec<Token>,
    depth: usize,
    empty: bool,
}

impl Layout {
    fn push(&mut self, kind: &'static str, text: &str) {
        match self.tokens.last_mut() {
            Some(last) if last.kind == kind => last.text.push_str(text),
            _ => self.tokens.push(Token { kind, text: text.to_owned() }),
        }
    }

    fn plain(&mut self, text: &str) {
        self.push("", text);
    }

    fn line(&mut self) {
        let indent = "  ".repeat(self.depth.min(INDENT_MAX));
        self.push("", &format!("\n{indent}"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn laid_out(text: &str) -> String {
        json(text).into_iter().map(|token| token.text).collect()
    }

    #[test]
    fn json_is_indented_and_keeps_its_digits_and_names() {
        let text = r#"{"total":129.90,"big":12345678901234567890123,"a":1,"a":2,"none":{},"list":[true,null,"x\"y"]}"#;
        let expected = "{\n  \"total\": 129.90,\n  \"big\": 12345678901234567890123,\n  \"a\": 1,\n  \"a\": 2,\n  \"none\": {},\n  \
                        \"list\": [\n    true,\n    null,\n    \"x\\\"y\"\n  ]\n}";
        assert_eq!(laid_out(text), expected);
        let kinds: Vec<_> =
            json(r#"{"a":1.5,"b":"c","d":true}"#).into_iter().filter(|token| !token.kind.is_empty()).collect();
        let kinds: Vec<_> = kinds.iter().map(|token| (token.kind, token.text.as_str())).collect();
        assert_eq!(
            kinds,
            [("k", "\"a\""), ("n", "1.5"), ("k", "\"b\""), ("s", "\"c\""), ("k", "\"d\""), ("l", "true")]
        );
    }

    #[test]
    fn what_is_cut_or_no_json_loses_nothing() {
        for text in [r#"{"a": "unfinished"#, "{]", "[[[[", "}}}}", "hello é there", r#""\"#, "", "tru", "\u{1}"] {
            let kept: String = laid_out(text).split_whitespace().collect();
            let given: String = wording::visible(text).split_whitespace().collect();
            assert_eq!(kept, given, "{text}");
        }
        assert!(laid_out(&"[".repeat(10_000)).len() < 700_000);
    }

    #[test]
    fn bytes_are_shown_as_hexadecimal_with_what_can_be_read() {
        let shown = payload(Some(&Bytes::from_static(b"\x00\x01Sillage\xff")), BodyEncoding::Binary);
        assert_eq!(shown.hex[0].bytes, "00 01 53 69 6c 6c 61 67");
        assert_eq!(shown.hex[0].text, "··Sillag");
        assert_eq!((shown.hex[1].at.as_str(), shown.hex[1].bytes.as_str()), ("000008", "65 ff"));
        assert_eq!(shown.what, "binary · 10 B");
    }

    #[test]
    fn a_huge_body_is_cut_and_says_so() {
        let huge = Bytes::from(format!("[\"{}\"]", "é".repeat(100_000)));
        let shown = payload(Some(&huge), BodyEncoding::Json);
        assert_eq!(shown.cut, "The first 64 KiB of 195 KiB are shown.");
        let null = payload(None, BodyEncoding::Null);
        assert!(null.is_null && null.cut.is_empty());
    }
}
