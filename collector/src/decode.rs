//! What a body is, and the record that comes of it.
//!
//! ```text
//! Raw --open--> what stands in it --redact--> what may be kept of it --record--> Record
//!       ^ schemas at hand, never waited for
//! ```
//!
//! Order of detection: what is packed, a schema registry's frame, what a content-type names, JSON, text, binary. Nothing is ever
//! dropped: what can't be decoded is kept byte for byte, with the reason in words, because a poison message is what the reader came to find.
//!
//! A decoded body is kept beside the record's own bytes ([`store::record::Decoded`]): a redrive needs the bytes exactly, and the text can't be
//! made again once the registry is gone.

pub mod contract; // a schema, ready to decode by
pub mod fields; // the few fields of a JSON body that say what event it is
pub mod frame; // how a schema registry's serializers frame a body
pub mod opened; // what stands in a record, behind frames and packing
pub mod registry; // where schemas are had from
pub mod text; // what bytes are by themselves

// One file a format. None knows of brokers, and each has its limits from what it writes into.
mod avro;
mod cbor;
mod cloudevent; // CloudEvents in Avro and in Protobuf
mod messagepack;
mod packed; // gzip and zstd
mod protobuf;

mod cursor; // bytes that are read from the front
mod json; // JSON that is written with limits

use std::fmt;
use std::sync::Arc;

use store::Record;
use store::record::{BodyEncoding, Decoded};

use crate::correlate::event;
use crate::correlate::failure::{self, own::Own};
use crate::redact::Redactor;
use crate::source::raw::Raw;
use fields::Fields;
use opened::{Inside, Opened, Room, Schemas};
use registry::Registry;

/// Makes records of what brokers hand over. Made once, shared by all sources.
#[derive(Debug, Default)]
pub struct Decoder {
    redactor: Arc<Redactor>,
    registry: Option<Registry>,
    conventions: Vec<Own>,
}

/// Why a body can't be decoded, in words that end a sentence.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Problem(String);

impl Problem {
    fn new(says: impl Into<String>) -> Problem {
        Problem(says.into())
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Problem {}

impl Decoder {
    /// Takes out what the redactor does, and has schemas from a registry, where there is one.
    pub fn new(redactor: Arc<Redactor>, registry: Option<Registry>) -> Decoder {
        Decoder { redactor, registry, conventions: Vec::new() }
    }

    /// Knows these conventions for retries and dead letters, too.
    pub fn with_conventions(self, conventions: Vec<Own>) -> Decoder {
        Decoder { conventions, ..self }
    }

    /// A batch as records. Waits a little while for schemas that are not at hand, then goes on without; and decodes off the runtime,
    /// because a batch takes tens of milliseconds.
    pub async fn records(self: &Arc<Self>, raws: Vec<Raw>) -> Vec<Record> {
        if raws.is_empty() {
            return Vec::new();
        }
        if let Some(registry) = &self.registry {
            registry.gather(&raws).await;
        }
        let decoder = self.clone();
        let decode = move || {
            let mut room = Room::of_batch();
            raws.into_iter().map(|raw| decoder.record(raw, &mut room)).collect()
        };
        tokio::task::spawn_blocking(decode).await.expect("decoding any bytes doesn't panic, as its property tests show")
    }

    /// One record, without waiting for anything.
    pub fn record(&self, raw: Raw, room: &mut Room) -> Record {
        match &self.registry {
            Some(registry) => self.record_by(registry, raw, room),
            None => self.record_by(&registry::Unconfigured, raw, room),
        }
    }

    fn record_by(&self, schemas: &dyn Schemas, mut raw: Raw, room: &mut Room) -> Record {
        let mut opened = opened::open(&raw, schemas, room);
        self.redactor.raw(&mut raw, &mut opened);
        record(raw, opened, &self.conventions)
    }
}

/// A record from what the broker handed over, and what stands in it. Takes any bytes.
fn record(raw: Raw, opened: Opened, conventions: &[Own]) -> Record {
    let Opened { body: inside, key } = opened;
    let body = body(raw.body.as_deref(), &inside);
    let channel = raw.position.channel.as_str();
    let mut told = event::read(channel, &raw.headers, &body.fields);
    if told.event.event_type.is_none() {
        told.event.event_type = type_by_schema(&inside);
    }
    let failure = failure::read(conventions, channel, &raw.headers);
    let encoding = body.encoding;
    let key_problem = key.problem.map(|says| format!("of its key: {says}"));
    let problems = raw.problem.into_iter().chain(body.problem).chain(key_problem).chain(told.problems);
    let problems: Vec<String> = problems.collect();
    Record {
        encoding,
        event: told.event,
        failure,
        transaction: raw.transaction,
        problem: (!problems.is_empty()).then(|| problems.join("; ").into()),
        position: raw.position,
        cluster: raw.cluster,
        timestamp: raw.timestamp,
        timestamp_kind: raw.timestamp_kind,
        received_at: raw.received_at,
        key: raw.key,
        body: raw.body,
        headers: raw.headers,
        decoded: Decoded { body: inside.text, key: key.text, body_schema: inside.schema, key_schema: key.schema }
            .boxed(),
    }
}

/// What a body is.
#[derive(Debug, Default)]
struct Body<'a> {
    encoding: BodyEncoding,
    fields: Fields<'a>,
    problem: Option<String>,
}

fn body<'a>(bytes: Option<&'a [u8]>, inside: &'a Inside) -> Body<'a> {
    let Some(bytes) = inside.text.as_deref().or(bytes) else { return Body::default() };
    let read = text::read(bytes);
    let encoding = if inside.text.is_some() { inside.encoding } else { read.encoding };
    Body { encoding, fields: read.fields, problem: inside.problem.clone().or(read.problem) }
}

/// What a body is called that doesn't say its type: what its schema describes, without the namespace.
fn type_by_schema(inside: &Inside) -> Option<String> {
    let is_named = matches!(inside.encoding, BodyEncoding::Avro | BodyEncoding::Protobuf);
    let name = inside.schema.as_ref().filter(|_| is_named)?.name.as_deref()?;
    Some(name.rsplit('.').next().unwrap_or(name).to_owned())
}

#[cfg(test)]
mod tests;
