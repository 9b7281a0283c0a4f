//! A schema that was had from a registry, ready to decode by.

use std::sync::Arc;

use store::record::{BodyEncoding, Schema, SchemaId};

use super::frame::{Frame, Message};
use super::{Problem, avro, cloudevent, protobuf, text};

/// A schema, and under which names the registry keeps it.
#[derive(Debug)]
pub struct Contract {
    /// How to decode by it.
    pub format: Format,
    /// The names: at least one, of which nothing may be known.
    pub names: Vec<Arc<Schema>>,
    /// How long its text is, with those that it refers to.
    pub text_bytes: usize,
}

/// How to decode.
#[derive(Debug)]
pub enum Format {
    /// Avro.
    Avro(avro::schema::Schema),
    /// Protobuf.
    Protobuf(protobuf::Schema),
    /// JSON Schema: the payload is JSON, schema or no schema.
    Json,
}

/// A schema's text, as a registry has it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Document {
    /// `AVRO`, `PROTOBUF`, `JSON`, as both registries call them; empty where it isn't told.
    pub kind: String,
    /// The text.
    pub text: String,
    /// What it refers to, directly or not: name and text.
    pub references: Vec<(String, String)>,
    /// The subjects with the versions that it stands under.
    pub subjects: Vec<(String, String)>,
}

/// What a payload says.
#[derive(Debug)]
pub struct Said {
    /// What it is.
    pub encoding: BodyEncoding,
    /// Its text; `None` where its own bytes are that.
    pub json: Option<String>,
    /// The name of its message, where the schema has several.
    pub message: Option<String>,
}

impl Contract {
    /// Compiles a document.
    pub fn read(id: &SchemaId, document: &Document) -> Result<Contract, Problem> {
        let Document { text, references, .. } = document;
        let (format, name) = match kind(document) {
            "AVRO" => {
                let schema = avro::schema::Schema::read(text, references)?;
                let name = schema.name.clone();
                (Format::Avro(schema), name)
            }
            "PROTOBUF" => {
                let schema = protobuf::Schema::read(text, references)?;
                let name = schema.first().map(|message| message.full_name().to_owned());
                (Format::Protobuf(schema), name)
            }
            "JSON" => {
                let json: Option<serde_json::Value> = serde_json::from_str(text).ok();
                let title = json.as_ref().and_then(|json| json["title"].as_str()).map(str::to_owned);
                (Format::Json, title)
            }
            other => return Err(Problem::new(format!("its schema is of a kind that isn't known, `{other}`"))),
        };
        let named = |subject: Option<String>, version: Option<String>| {
            Arc::new(Schema { id: id.clone(), subject, version, name: name.clone() })
        };
        let names =
            document.subjects.iter().map(|(subject, version)| named(Some(subject.clone()), Some(version.clone())));
        let mut names: Vec<Arc<Schema>> = names.collect();
        if names.is_empty() {
            names.push(named(None, None));
        }
        let text_bytes = text.len() + references.iter().map(|(name, text)| name.len() + text.len()).sum::<usize>();
        Ok(Contract { format, names, text_bytes })
    }

    /// Its name for a record on a channel: of several subjects the one that is called after the channel.
    pub fn named(&self, channel: &str, message: Option<&str>) -> Arc<Schema> {
        let is_ours = |schema: &&Arc<Schema>| {
            schema
                .subject
                .as_deref()
                .and_then(|subject| subject.strip_prefix(channel))
                .is_some_and(|rest| rest.starts_with('-'))
        };
        let schema = self.names.iter().find(is_ours).unwrap_or(&self.names[0]);
        match message {
            Some(message) if schema.name.as_deref() != Some(message) => {
                Arc::new(Schema { name: Some(message.to_owned()), ..Schema::clone(schema) })
            }
            _ => schema.clone(),
        }
    }

    /// What a payload says.
    pub fn decode(&self, frame: &Frame<'_>, bytes_max: usize) -> Result<Said, Problem> {
        let payload = frame.payload;
        let said = match &self.format {
            Format::Avro(schema) => avro::decode(schema, payload, bytes_max).map(|json| {
                let is_event = schema.name.as_deref().is_some_and(|name| name.ends_with("CloudEvent"));
                let event = is_event.then(|| cloudevent::from_avro(&json, bytes_max)).flatten();
                Said { encoding: BodyEncoding::Avro, json: Some(event.unwrap_or(json)), message: None }
            }),
            Format::Protobuf(schema) => by_message(schema, frame, bytes_max),
            Format::Json => Err(Problem::new("it is no JSON, which its schema describes")),
        };
        // Avro has an encoding in JSON, too, which Apicurio's serializers write by option.
        match said {
            Err(_)
                if !matches!(self.format, Format::Protobuf(_))
                    && text::read(payload).encoding == BodyEncoding::Json =>
            {
                Ok(Said { encoding: BodyEncoding::Json, json: None, message: None })
            }
            said => said,
        }
    }
}

/// Of a Protobuf file's messages the one that the frame or the payload's beginning names: Apicurio's `Ref`, Confluent's indexes, or
/// nothing, which means the first.
fn by_message(schema: &protobuf::Schema, frame: &Frame<'_>, bytes_max: usize) -> Result<Said, Problem> {
    let payload = frame.payload;
    let decode = |message: prost_reflect::MessageDescriptor, bytes: &[u8]| {
        let name = message.full_name().to_owned();
        let json = protobuf::decode(message, bytes, bytes_max)?;
        let event = name.ends_with(".CloudEvent").then(|| cloudevent::from_protobuf(&json, bytes_max)).flatten();
        Ok(Said { encoding: BodyEncoding::Protobuf, json: Some(event.unwrap_or(json)), message: Some(name) })
    };
    if let Some((name, rest)) = protobuf::reference(payload)
        && let Some(message) = schema.named(name)
    {
        return decode(message, rest);
    }
    let told = match &frame.message {
        Message::At(indexes) => schema.at(indexes),
        Message::Named(name) => schema.named(name),
        Message::InPayload => None,
    };
    if let Some(message) = told {
        return decode(message, payload);
    }
    let first = |payload: &[u8]| {
        let message = schema.first().ok_or_else(|| Problem::new("its Protobuf schema declares no message"))?;
        decode(message, payload)
    };
    match protobuf::indexes(payload).and_then(|(indexes, rest)| Some((schema.at(&indexes)?, rest))) {
        Some((message, rest)) => decode(message, rest).or_else(|problem| first(payload).map_err(|_| problem)),
        None => first(payload),
    }
}

/// What kind of schema a document is, by its text where nobody says so.
fn kind(document: &Document) -> &str {
    if !document.kind.is_empty() {
        return &document.kind;
    }
    match serde_json::from_str::<serde_json::Value>(&document.text) {
        Ok(serde_json::Value::Object(json)) => {
            let declares = json.get("type").and_then(|kind| kind.as_str());
            let is_avro = matches!(declares, Some("record" | "enum" | "fixed" | "map"))
                || (declares == Some("array") && json.get("items").is_some_and(|items| items.get("$ref").is_none()))
                || json.contains_key("logicalType");
            if is_avro && !json.contains_key("$schema") { "AVRO" } else { "JSON" }
        }
        Ok(_) => "AVRO",
        Err(_) => "PROTOBUF",
    }
}
