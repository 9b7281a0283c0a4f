//! What bytes are by themselves: JSON, text or binary.

use store::record::BodyEncoding;

use super::fields::Fields;

/// What a body is.
#[derive(Debug, Default)]
pub struct Text<'a> {
    /// JSON, text, binary or null.
    pub encoding: BodyEncoding,
    /// What it says of its event.
    pub fields: Fields<'a>,
    /// Why it is not what it seems to be.
    pub problem: Option<String>,
}

/// What these bytes are.
pub fn read(bytes: &[u8]) -> Text<'_> {
    let looks_like_json = looks_like_json(bytes);
    let text = match std::str::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => {
            let at = error.valid_up_to();
            let problem = looks_like_json.then(|| format!("it looks like JSON, but byte {at} is no UTF-8"));
            return Text { encoding: BodyEncoding::Binary, problem, ..Text::default() };
        }
    };
    if looks_like_json {
        let json = text.strip_prefix('\u{feff}').unwrap_or(text);
        return match Fields::read(json) {
            Ok(fields) => Text { encoding: BodyEncoding::Json, fields, problem: None },
            Err(error) => {
                let problem = Some(format!("it looks like JSON, but isn't: {error}"));
                Text { encoding: text_or_binary(text), problem, ..Text::default() }
            }
        };
    }
    Text { encoding: text_or_binary(text), ..Text::default() }
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
