//! CloudEvents in Avro and in Protobuf (cloudevents/spec : formats/avro-format.md, protobuf-format.md), laid out as in JSON.
//!
//! Both keep most attributes in a map of their own, so that nobody who looks for `id` or `traceparent` would find them.
//! Their schemas are the specification's, and are needed where a content-type says the form and no registry is asked.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use prost_reflect::MessageDescriptor;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::json::{Around, Json};
use super::{Problem, avro, protobuf, text};

static AVRO: LazyLock<avro::schema::Schema> = LazyLock::new(|| {
    avro::schema::Schema::read(include_str!("cloudevent.avsc"), &[]).expect("our own schema is right")
});

static PROTOBUF: LazyLock<protobuf::Schema> =
    LazyLock::new(|| protobuf::Schema::read(include_str!("cloudevent.proto"), &[]).expect("our own schema is right"));

/// An event in Avro.
pub fn avro(bytes: &[u8], bytes_max: usize) -> Result<String, Problem> {
    let json = avro::decode(&AVRO, bytes, bytes_max)?;
    Ok(from_avro(&json, bytes_max).unwrap_or(json))
}

/// An event in Protobuf.
pub fn protobuf(bytes: &[u8], bytes_max: usize) -> Result<String, Problem> {
    let message: MessageDescriptor = PROTOBUF.first().expect("our own schema has a message");
    let json = protobuf::decode(message, bytes, bytes_max)?;
    Ok(from_protobuf(&json, bytes_max).unwrap_or(json))
}

#[derive(Deserialize)]
struct InAvro<'a> {
    #[serde(borrow)]
    attribute: BTreeMap<String, &'a RawValue>,
    data: &'a RawValue,
}

/// A decoded event as JSON has it; `None` where it is none after all.
pub fn from_avro(json: &str, bytes_max: usize) -> Option<String> {
    let InAvro { attribute, data } = serde_json::from_str(json).ok()?;
    attribute.contains_key("specversion").then_some(())?;
    let mut event = Json::new(bytes_max);
    event.begin(Around::Object).ok()?;
    for (name, value) in attribute {
        event.key(&name).ok()?;
        event.bare(value).ok()?;
    }
    event.key("data").ok()?;
    // Bytes are hexadecimal digits by now; most often they are JSON.
    let bytes = serde_json::from_str::<String>(data.get()).ok().and_then(|digits| hex::decode(digits).ok());
    match bytes.and_then(|bytes| String::from_utf8(bytes).ok()).filter(|text| is_json(text)) {
        Some(text) => event.bare(text).ok()?,
        None => event.bare(data).ok()?,
    }
    event.end(Around::Object).ok()?;
    Some(event.into_text())
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct InProtobuf<'a> {
    #[serde(borrow)]
    id: &'a RawValue,
    source: &'a RawValue,
    spec_version: &'a RawValue,
    r#type: &'a RawValue,
    /// Each value stands behind the name of its type.
    #[serde(default)]
    attributes: BTreeMap<String, BTreeMap<String, &'a RawValue>>,
    #[serde(default)]
    text_data: Option<String>,
    #[serde(default)]
    binary_data: Option<&'a RawValue>,
    #[serde(default)]
    proto_data: Option<&'a RawValue>,
}

/// A decoded event as JSON has it; `None` where it is none after all.
pub fn from_protobuf(json: &str, bytes_max: usize) -> Option<String> {
    let told: InProtobuf<'_> = serde_json::from_str(json).ok()?;
    let mut event = Json::new(bytes_max);
    event.begin(Around::Object).ok()?;
    for (name, value) in
        [("specversion", told.spec_version), ("id", told.id), ("source", told.source), ("type", told.r#type)]
    {
        event.key(name).ok()?;
        event.bare(value).ok()?;
    }
    for (name, value) in &told.attributes {
        event.key(name).ok()?;
        event.bare(value.values().next()?).ok()?;
    }
    match (
        told.text_data,
        told.binary_data.map(|data| ("data_base64", data)).or(told.proto_data.map(|data| ("data", data))),
    ) {
        (Some(text), _) => {
            event.key("data").ok()?;
            if is_json(&text) { event.bare(text).ok()? } else { event.string(&text).ok()? }
        }
        (None, Some((name, data))) => {
            event.key(name).ok()?;
            event.bare(data).ok()?;
        }
        (None, None) => {}
    }
    event.end(Around::Object).ok()?;
    Some(event.into_text())
}

fn is_json(text: &str) -> bool {
    text::looks_like_json(text.as_bytes()) && serde_json::from_str::<&RawValue>(text).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_in_avro_is_laid_out_as_in_json() {
        let attribute = |name: &str, value: &str| {
            [&[name.len() as u8 * 2], name.as_bytes(), &[6, value.len() as u8 * 2], value.as_bytes()].concat()
        };
        let attributes = [
            attribute("id", "e-1"),
            attribute("source", "/shop"),
            attribute("specversion", "1.0"),
            attribute("type", "OrderPlaced"),
        ];
        let bytes = [&[8][..], &attributes.concat(), &[0, 0, 14], b"{\"a\":1}"].concat();
        assert_eq!(
            avro(&bytes, 1_000).unwrap(),
            r#"{"id":"e-1","source":"/shop","specversion":"1.0","type":"OrderPlaced","data":{"a":1}}"#
        );
    }

    #[test]
    fn an_event_in_protobuf_is_laid_out_as_in_json() {
        let bytes = b"\x0a\x03e-1\x12\x05/shop\x1a\x031.0\x22\x0bOrderPlaced\x2a\x0e\x0a\x07subject\x12\x03\x1a\x01x\x3a\x07{\"a\":1}";
        assert_eq!(
            protobuf(bytes, 1_000).unwrap(),
            r#"{"specversion":"1.0","id":"e-1","source":"/shop","type":"OrderPlaced","subject":"x","data":{"a":1}}"#
        );
        assert_eq!(from_protobuf(r#"{"id":"x"}"#, 1_000), None);
    }
}
