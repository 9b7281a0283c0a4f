//! An OpenTelemetry value, as attributes and log bodies hold it.

mod text; // text that entries share

use std::fmt;

pub use text::{Text, Texts};

/// A value as OTLP's `AnyValue` has it (open-telemetry/opentelemetry-proto : common/v1/common.proto).
#[derive(Clone, PartialEq, Debug)]
pub enum Value {
    /// No value was set.
    Empty,
    /// Text.
    Text(Text),
    /// True or false.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// A floating-point number.
    Double(f64),
    /// Raw bytes.
    Bytes(Vec<u8>),
    /// Values in order.
    List(Vec<Value>),
    /// Named values in the order sent; names may repeat.
    Map(Attributes),
}

/// Named values in the order sent. Names may repeat: what was sent is shown.
pub type Attributes = Vec<(Text, Value)>;

/// The first attribute of that name.
pub fn attribute<'a>(attributes: &'a [(Text, Value)], name: &str) -> Option<&'a Value> {
    attributes.iter().find(|(key, _)| *key == *name).map(|(_, value)| value)
}

impl Value {
    /// The text, where it is text.
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    /// A whole number: an integer, or text that spells one (kafkajs instrumentation sends offsets as text).
    pub fn as_int(&self) -> Option<i64> {
        match self {
            Value::Int(number) => Some(*number),
            Value::Text(text) => text.parse().ok(),
            _ => None,
        }
    }
}

impl fmt::Display for Value {
    /// Text as it is, everything else as JSON would have it; bytes as hexadecimal digits.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Empty => Ok(()),
            Value::Text(text) => f.write_str(text),
            Value::Bytes(bytes) => f.write_str(&hex::encode(bytes)),
            other => write!(f, "{}", other.to_json()),
        }
    }
}

impl Value {
    /// As JSON: bytes as hexadecimal text, numbers that JSON lacks (NaN, infinities) as text.
    pub fn to_json(&self) -> serde_json::Value {
        use serde_json::Value as Json;
        match self {
            Value::Empty => Json::Null,
            Value::Text(text) => Json::String(text.to_string()),
            Value::Bool(truth) => Json::Bool(*truth),
            Value::Int(number) => Json::from(*number),
            Value::Double(number) => {
                serde_json::Number::from_f64(*number).map_or_else(|| Json::String(number.to_string()), Json::Number)
            }
            Value::Bytes(bytes) => Json::String(hex::encode(bytes)),
            Value::List(values) => Json::Array(values.iter().map(Value::to_json).collect()),
            Value::Map(entries) => {
                Json::Object(entries.iter().map(|(key, value)| (key.to_string(), value.to_json())).collect())
            }
        }
    }
}
