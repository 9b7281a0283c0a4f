//! What stands in a record's body and key behind frames and packing, where it can be decoded.
//!
//! It is only looked at here: what nobody may read is taken out next, and then the record is read.

use std::sync::Arc;

use bytes::Bytes;
use store::record::{BodyEncoding, Header, Schema, SchemaId};

use super::contract::Contract;
use super::frame::{self, Frame, Part};
use super::{Problem, cbor, cloudevent, messagepack, packed, text};
use crate::source::raw::Raw;

/// The longest body or key that decoding may make, in bytes: what Avro's own library could take for one value is 512 MiB.
pub const DECODED_BYTES_MAX: usize = 16 << 20;

/// What all of a batch may be together once it is decoded. A batch comes with 4 MiB (`BATCH_BYTES_MAX` of the sources), and JSON takes
/// some times what it is made of; what makes more is hostile. This bounds the time that a batch takes, too: about half a second.
pub const BATCH_DECODED_BYTES_MAX: usize = 64 << 20;

/// Where schemas are had from.
pub trait Schemas {
    /// The schema, if it is at hand; else why not, as the end of a sentence. Never waits.
    fn find(&self, id: &SchemaId, channel: &str) -> Result<Arc<Contract>, String>;
}

/// How much more a batch may be decoded to.
#[derive(Debug)]
pub struct Room {
    left: usize,
}

/// What stands in a record.
#[derive(Debug, Default)]
pub struct Opened {
    /// In its body.
    pub body: Inside,
    /// In its key.
    pub key: Inside,
}

/// What stands in a body or a key.
#[derive(Debug, Default)]
pub struct Inside {
    /// It as text; `None` where its own bytes are that, or can't be decoded.
    pub text: Option<Bytes>,
    /// What that was decoded from.
    pub encoding: BodyEncoding,
    /// The schema that it names.
    pub schema: Option<Arc<Schema>>,
    /// Why it can't be decoded.
    pub problem: Option<String>,
}

impl Room {
    /// That of a whole batch.
    pub fn of_batch() -> Room {
        Room { left: BATCH_DECODED_BYTES_MAX }
    }

    fn next(&self) -> usize {
        self.left.min(DECODED_BYTES_MAX)
    }

    fn take(&mut self, bytes: usize) {
        self.left = self.left.saturating_sub(bytes);
    }
}

/// The schema that a record's part names.
pub fn wanted(part: Part, headers: &[Header], bytes: Option<&Bytes>) -> Option<SchemaId> {
    Some(frame::frame(part, headers, bytes?)?.id)
}

/// Looks into a record.
pub fn open(raw: &Raw, schemas: &dyn Schemas, room: &mut Room) -> Opened {
    let channel = raw.position.channel.as_str();
    let inside = |part: Part, bytes: &Option<Bytes>, room: &mut Room| {
        bytes.as_ref().map_or_else(Inside::default, |bytes| {
            let inside = look(Look { part, channel, headers: &raw.headers, schemas }, bytes, room);
            room.take(inside.text.as_ref().map_or(0, Bytes::len));
            inside
        })
    };
    Opened { body: inside(Part::Body, &raw.body, room), key: inside(Part::Key, &raw.key, room) }
}

/// What a look into bytes goes by.
#[derive(Clone, Copy)]
struct Look<'a> {
    part: Part,
    channel: &'a str,
    headers: &'a [Header],
    schemas: &'a dyn Schemas,
}

fn look(look: Look<'_>, bytes: &Bytes, room: &mut Room) -> Inside {
    let Some((packing, is_told)) = packed::packing(look.headers, bytes).filter(|_| look.part == Part::Body) else {
        return unpacked(look, bytes, room);
    };
    match packed::unpack(packing, bytes, room.next()) {
        Ok(body) => {
            let body = Bytes::from(body);
            let inside = unpacked(look, &body, room);
            if inside.text.is_some() || inside.schema.is_some() {
                return inside;
            }
            let encoding = text::read(&body).encoding;
            let is_text = matches!(encoding, BodyEncoding::Json | BodyEncoding::Text);
            Inside { text: is_text.then_some(body), encoding, ..inside }
        }
        // A mark alone is no promise.
        Err(_) if !is_told => unpacked(look, bytes, room),
        Err(problem) => {
            let says = format!("its content-encoding says {}, but {problem}", packing.name());
            Inside { problem: Some(says), ..Inside::default() }
        }
    }
}

fn unpacked(look: Look<'_>, bytes: &Bytes, room: &Room) -> Inside {
    if let Some(frame) = frame::frame(look.part, look.headers, bytes) {
        return framed(look, &frame, bytes, room);
    }
    if look.part == Part::Key {
        return Inside::default();
    }
    let Some((compact, is_told)) = compact(look.headers, bytes) else { return Inside::default() };
    let (decoded, encoding) = match compact {
        Compact::MessagePack => (messagepack::decode(bytes, room.next()), BodyEncoding::MessagePack),
        Compact::Cbor => (cbor::decode(bytes, room.next()), BodyEncoding::Cbor),
        Compact::AvroCloudEvent => (cloudevent::avro(bytes, room.next()), BodyEncoding::Avro),
        Compact::ProtobufCloudEvent => (cloudevent::protobuf(bytes, room.next()), BodyEncoding::Protobuf),
    };
    match decoded {
        Ok(json) => Inside { text: Some(json.into()), encoding, ..Inside::default() },
        // A mark alone is no promise.
        Err(_) if !is_told => Inside::default(),
        Err(problem) => {
            let says = format!("its content-type says {}, but {problem}", encoding.as_str());
            Inside { problem: Some(says), ..Inside::default() }
        }
    }
}

/// Formats that say themselves what stands where.
#[derive(Clone, Copy)]
enum Compact {
    MessagePack,
    Cbor,
    AvroCloudEvent,
    ProtobufCloudEvent,
}

/// Which of them a body is in, and whether a header says so.
fn compact(headers: &[Header], bytes: &[u8]) -> Option<(Compact, bool)> {
    let told = headers.iter().find(|header| header.name.eq_ignore_ascii_case("content-type"));
    let told = told.and_then(|header| header.value.as_deref()).map(<[u8]>::to_ascii_lowercase).unwrap_or_default();
    let told = told.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii();
    match told.strip_prefix(b"application/") {
        Some(b"msgpack" | b"x-msgpack" | b"messagepack") => Some((Compact::MessagePack, true)),
        Some(b"cbor") => Some((Compact::Cbor, true)),
        Some(b"cloudevents+avro") => Some((Compact::AvroCloudEvent, true)),
        Some(b"cloudevents+protobuf") => Some((Compact::ProtobufCloudEvent, true)),
        Some(kind) if kind.ends_with(b"+msgpack") => Some((Compact::MessagePack, true)),
        Some(kind) if kind.ends_with(b"+cbor") => Some((Compact::Cbor, true)),
        _ => bytes.starts_with(&cbor::MARK).then_some((Compact::Cbor, false)),
    }
}

fn framed(look: Look<'_>, frame: &Frame<'_>, bytes: &Bytes, room: &Room) -> Inside {
    let payload = || (frame.payload.len() < bytes.len()).then(|| bytes.slice_ref(frame.payload));
    let contract = look.schemas.find(&frame.id, look.channel);
    let is_json = || text::looks_like_json(frame.payload) && text::read(frame.payload).encoding == BodyEncoding::Json;
    match contract {
        Ok(contract) => match contract.decode(frame, room.next()) {
            Ok(said) => Inside {
                text: said.json.map(|json| readable(look.part, json)).or_else(payload),
                encoding: said.encoding,
                schema: Some(contract.named(look.channel, said.message.as_deref())),
                problem: None,
            },
            Err(problem) => {
                let schema = contract.named(look.channel, None);
                let says = format!("it can't be decoded by its schema, {schema}: {problem}");
                Inside { schema: Some(schema), problem: Some(says), ..Inside::default() }
            }
        },
        // JSON needs no schema to be read.
        Err(_) if is_json() => Inside {
            text: payload(),
            encoding: BodyEncoding::Json,
            schema: Some(Arc::new(Schema::unknown(frame.id.clone()))),
            problem: None,
        },
        Err(why) => {
            let schema = Schema::unknown(frame.id.clone());
            let says = format!("it can't be decoded: its schema, {schema}, {why}");
            Inside { schema: Some(Arc::new(schema)), problem: Some(says), ..Inside::default() }
        }
    }
}

/// A key that is one text is that text, so that it can be searched for, and joins as one.
fn readable(part: Part, json: String) -> Bytes {
    match serde_json::from_str::<String>(&json) {
        Ok(text) if part == Part::Key => text.into(),
        _ => json.into(),
    }
}

impl Problem {
    /// What is decoded would be too large.
    pub(super) fn too_large(bytes_max: usize) -> Problem {
        Problem::new(format!("decoded it would have more than {bytes_max} bytes"))
    }
}
