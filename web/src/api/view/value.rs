//! OpenTelemetry values and other content that may be long, cut to [`VALUE_BYTES_MAX`].

use serde::ser::{SerializeMap, SerializeSeq};
use serde::{Serialize, Serializer};
use store::Value;
use store::value::Text;

use crate::api::answer::VALUE_BYTES_MAX;

/// Text, cut where it is longer than what is shown.
pub fn cut(text: &str) -> &str {
    if text.len() <= VALUE_BYTES_MAX {
        return text;
    }
    let end = (0..=VALUE_BYTES_MAX).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
    &text[..end]
}

/// Bytes as hexadecimal digits, as many as are shown.
pub fn cut_hex(bytes: &[u8]) -> String {
    hex::encode(&bytes[..bytes.len().min(VALUE_BYTES_MAX / 2)])
}

/// Whether bytes can be read as they are: UTF-8 without control characters, but for tabs and line ends.
/// A header of four bytes may be a number (`00 00 00 02`), which is UTF-8 too.
pub fn readable(bytes: &[u8]) -> Option<&str> {
    let text = std::str::from_utf8(bytes).ok()?;
    let is_plain = |c: char| !c.is_control() || matches!(c, '\t' | '\n' | '\r');
    text.chars().all(is_plain).then_some(text)
}

/// Named values as an object. A name that repeats is written as often as it was sent.
#[derive(Debug)]
pub struct AttributesView<'a>(pub &'a [(Text, Value)]);

impl Serialize for AttributesView<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (name, value) in self.0 {
            map.serialize_entry(cut(name), &ValueView(value))?;
        }
        map.end()
    }
}

/// A value: bytes as hexadecimal text, numbers that JSON lacks (NaN, infinities) as text.
#[derive(Debug)]
pub struct ValueView<'a>(pub &'a Value);

impl Serialize for ValueView<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Value::Empty => serializer.serialize_unit(),
            Value::Text(text) => serializer.serialize_str(cut(text)),
            Value::Bool(truth) => serializer.serialize_bool(*truth),
            Value::Int(number) => serializer.serialize_i64(*number),
            Value::Double(number) if number.is_finite() => serializer.serialize_f64(*number),
            Value::Double(number) => serializer.collect_str(number),
            Value::Bytes(bytes) => serializer.serialize_str(&cut_hex(bytes)),
            Value::List(values) => {
                let mut list = serializer.serialize_seq(Some(values.len()))?;
                for value in values {
                    list.serialize_element(&ValueView(value))?;
                }
                list.end()
            }
            Value::Map(fields) => AttributesView(fields).serialize(serializer),
        }
    }
}

/// Whether something of these would be cut.
pub fn is_cut(attributes: &[(Text, Value)]) -> bool {
    attributes.iter().any(|(name, value)| name.len() > VALUE_BYTES_MAX || is_value_cut(value))
}

/// Whether something of this would be cut.
pub fn is_value_cut(value: &Value) -> bool {
    match value {
        Value::Empty | Value::Bool(_) | Value::Int(_) | Value::Double(_) => false,
        Value::Text(text) => text.len() > VALUE_BYTES_MAX,
        Value::Bytes(bytes) => bytes.len() > VALUE_BYTES_MAX / 2,
        Value::List(values) => values.iter().any(is_value_cut),
        Value::Map(fields) => is_cut(fields),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_has_a_form_in_json() {
        let value = Value::List(vec![
            Value::Empty,
            Value::Double(f64::NAN),
            Value::Double(0.5),
            Value::Bytes(vec![0, 255]),
            Value::Map(vec![("a".into(), Value::Int(1)), ("b".into(), Value::Bool(true))]),
        ]);
        let json = serde_json::to_string(&ValueView(&value)).unwrap();
        assert_eq!(json, r#"[null,"NaN",0.5,"00ff",{"a":1,"b":true}]"#);
    }

    #[test]
    fn long_text_is_cut_between_characters_and_said_to_be() {
        let text = format!("a{}", "é".repeat(VALUE_BYTES_MAX / 2));
        assert_eq!(cut(&text).len(), VALUE_BYTES_MAX - 1);
        assert!(is_value_cut(&Value::List(vec![Value::Text(text.into())])));
        assert!(!is_value_cut(&Value::Text("é".repeat(VALUE_BYTES_MAX / 2).into())));
    }

    #[test]
    fn a_number_in_bytes_is_not_taken_for_text() {
        assert_eq!(readable(&[0, 0, 0, 2]), None);
        assert_eq!(readable("línea\n".as_bytes()), Some("línea\n"));
        assert_eq!(readable(&[0xff]), None);
    }
}
