//! The messages of the store's files, as prost reads them. A tag is never given a second meaning; new fields get new tags,
//! and what an older version doesn't know it skips.

use bytes::Bytes;
use prost::Message;

/// Entries that stand together, with what they share.
#[derive(Clone, PartialEq, Message)]
pub struct Block {
    #[prost(message, repeated, tag = "1")]
    pub resources: Vec<Resource>,
    #[prost(message, repeated, tag = "2")]
    pub scopes: Vec<Scope>,
    /// Each a [`Stored`]; left as bytes, so that only those that are asked for are decoded.
    #[prost(bytes = "bytes", repeated, tag = "3")]
    pub entries: Vec<Bytes>,
}

/// One entry, and what the store knows of it.
#[derive(Clone, PartialEq, Message)]
pub struct Stored {
    #[prost(uint64, tag = "1")]
    pub sequence: u64,
    #[prost(uint32, tag = "2")]
    pub copies: u32,
    #[prost(sfixed64, tag = "3")]
    pub received_at: i64,
    #[prost(message, optional, tag = "4")]
    pub record: Option<Record>,
    #[prost(message, optional, tag = "5")]
    pub span: Option<Span>,
    #[prost(message, optional, tag = "6")]
    pub log: Option<Log>,
}

#[derive(Clone, PartialEq, Message)]
pub struct Record {
    #[prost(string, tag = "1")]
    pub source: String,
    #[prost(string, tag = "2")]
    pub channel: String,
    #[prost(uint32, tag = "3")]
    pub incarnation: u32,
    #[prost(sint32, optional, tag = "4")]
    pub partition: Option<i32>,
    #[prost(sint64, optional, tag = "5")]
    pub offset: Option<i64>,
    #[prost(uint64, optional, tag = "6")]
    pub sequence: Option<u64>,
    #[prost(string, optional, tag = "7")]
    pub message_id: Option<String>,
    #[prost(uint64, optional, tag = "8")]
    pub arrival: Option<u64>,
    #[prost(string, optional, tag = "9")]
    pub cluster: Option<String>,
    #[prost(sfixed64, optional, tag = "10")]
    pub timestamp: Option<i64>,
    #[prost(uint32, tag = "11")]
    pub timestamp_kind: u32,
    #[prost(bytes = "bytes", optional, tag = "12")]
    pub key: Option<Bytes>,
    #[prost(bytes = "bytes", optional, tag = "13")]
    pub body: Option<Bytes>,
    #[prost(uint32, tag = "14")]
    pub encoding: u32,
    #[prost(message, repeated, tag = "15")]
    pub headers: Vec<Header>,
    #[prost(message, optional, tag = "16")]
    pub event: Option<Event>,
    #[prost(message, optional, tag = "17")]
    pub failure: Option<Failure>,
    #[prost(string, optional, tag = "18")]
    pub problem: Option<String>,
    #[prost(uint32, tag = "19")]
    pub transaction: u32,
    #[prost(bytes = "bytes", optional, tag = "20")]
    pub decoded_body: Option<Bytes>,
    #[prost(bytes = "bytes", optional, tag = "21")]
    pub decoded_key: Option<Bytes>,
    #[prost(message, optional, tag = "22")]
    pub body_schema: Option<Schema>,
    #[prost(message, optional, tag = "23")]
    pub key_schema: Option<Schema>,
}

#[derive(Clone, PartialEq, Message)]
pub struct Schema {
    #[prost(string, tag = "1")]
    pub kind: String,
    #[prost(string, tag = "2")]
    pub id: String,
    #[prost(string, optional, tag = "3")]
    pub subject: Option<String>,
    #[prost(string, optional, tag = "4")]
    pub version: Option<String>,
    #[prost(string, optional, tag = "5")]
    pub name: Option<String>,
}

#[derive(Clone, PartialEq, Message)]
pub struct Header {
    #[prost(string, tag = "1")]
    pub name: String,
    #[prost(bytes = "bytes", optional, tag = "2")]
    pub value: Option<Bytes>,
}

#[derive(Clone, PartialEq, Message)]
pub struct Event {
    #[prost(string, optional, tag = "1")]
    pub id: Option<String>,
    #[prost(string, optional, tag = "2")]
    pub event_type: Option<String>,
    #[prost(sfixed64, optional, tag = "3")]
    pub occurred_at: Option<i64>,
    #[prost(string, optional, tag = "4")]
    pub producer: Option<String>,
    #[prost(string, optional, tag = "5")]
    pub version: Option<String>,
    #[prost(bytes = "bytes", tag = "6")]
    pub trace_id: Bytes,
    #[prost(bytes = "bytes", tag = "7")]
    pub span_id: Bytes,
    #[prost(string, tag = "8")]
    pub found_in: String,
    #[prost(bytes = "bytes", tag = "9")]
    pub origin_trace: Bytes,
    #[prost(message, repeated, tag = "10")]
    pub causes: Vec<Cause>,
}

#[derive(Clone, PartialEq, Message)]
pub struct Cause {
    #[prost(uint32, tag = "1")]
    pub kind: u32,
    #[prost(string, tag = "2")]
    pub id: String,
}

#[derive(Clone, PartialEq, Message)]
pub struct Failure {
    #[prost(uint32, tag = "1")]
    pub fate: u32,
    #[prost(message, optional, tag = "2")]
    pub origin: Option<Origin>,
    #[prost(string, optional, tag = "3")]
    pub group: Option<String>,
    #[prost(uint32, optional, tag = "4")]
    pub attempts: Option<u32>,
    #[prost(string, optional, tag = "5")]
    pub attempts_from: Option<String>,
    #[prost(sfixed64, optional, tag = "6")]
    pub not_before: Option<i64>,
    #[prost(string, optional, tag = "7")]
    pub exception: Option<String>,
    #[prost(string, optional, tag = "8")]
    pub message: Option<String>,
    #[prost(string, optional, tag = "9")]
    pub stack_trace: Option<String>,
    #[prost(string, tag = "10")]
    pub convention: String,
    #[prost(bool, tag = "11")]
    pub guessed: bool,
}

#[derive(Clone, PartialEq, Message)]
pub struct Origin {
    #[prost(string, optional, tag = "1")]
    pub channel: Option<String>,
    #[prost(sint32, optional, tag = "2")]
    pub partition: Option<i32>,
    #[prost(sint64, optional, tag = "3")]
    pub offset: Option<i64>,
    #[prost(sfixed64, optional, tag = "4")]
    pub timestamp: Option<i64>,
}

#[derive(Clone, PartialEq, Message)]
pub struct Span {
    #[prost(bytes = "bytes", tag = "1")]
    pub trace_id: Bytes,
    #[prost(bytes = "bytes", tag = "2")]
    pub span_id: Bytes,
    #[prost(bytes = "bytes", tag = "3")]
    pub parent_span_id: Bytes,
    #[prost(string, tag = "4")]
    pub trace_state: String,
    #[prost(uint32, tag = "5")]
    pub flags: u32,
    #[prost(string, tag = "6")]
    pub name: String,
    #[prost(uint32, tag = "7")]
    pub kind: u32,
    #[prost(sfixed64, tag = "8")]
    pub started_at: i64,
    #[prost(sfixed64, tag = "9")]
    pub ended_at: i64,
    #[prost(uint32, tag = "10")]
    pub status: u32,
    #[prost(string, tag = "11")]
    pub status_message: String,
    #[prost(message, repeated, tag = "12")]
    pub attributes: Vec<KeyValue>,
    #[prost(uint32, tag = "13")]
    pub dropped_attributes: u32,
    #[prost(message, repeated, tag = "14")]
    pub events: Vec<SpanEvent>,
    #[prost(message, repeated, tag = "15")]
    pub links: Vec<SpanLink>,
    #[prost(uint32, tag = "16")]
    pub resource: u32,
    #[prost(uint32, tag = "17")]
    pub scope: u32,
    #[prost(message, optional, tag = "18")]
    pub messaging: Option<Messaging>,
}

#[derive(Clone, PartialEq, Message)]
pub struct SpanEvent {
    #[prost(sfixed64, tag = "1")]
    pub at: i64,
    #[prost(string, tag = "2")]
    pub name: String,
    #[prost(message, repeated, tag = "3")]
    pub attributes: Vec<KeyValue>,
}

#[derive(Clone, PartialEq, Message)]
pub struct SpanLink {
    #[prost(bytes = "bytes", tag = "1")]
    pub trace_id: Bytes,
    #[prost(bytes = "bytes", tag = "2")]
    pub span_id: Bytes,
    #[prost(message, repeated, tag = "3")]
    pub attributes: Vec<KeyValue>,
}

#[derive(Clone, PartialEq, Message)]
pub struct Messaging {
    #[prost(string, tag = "1")]
    pub system: String,
    #[prost(string, optional, tag = "2")]
    pub destination: Option<String>,
    #[prost(sint32, optional, tag = "3")]
    pub partition: Option<i32>,
    #[prost(sint64, optional, tag = "4")]
    pub offset: Option<i64>,
    #[prost(uint64, optional, tag = "5")]
    pub sequence: Option<u64>,
    #[prost(string, optional, tag = "6")]
    pub message_id: Option<String>,
    #[prost(uint64, optional, tag = "7")]
    pub arrival: Option<u64>,
    #[prost(string, optional, tag = "8")]
    pub cluster: Option<String>,
    #[prost(string, optional, tag = "9")]
    pub group: Option<String>,
    #[prost(string, optional, tag = "10")]
    pub client_id: Option<String>,
    #[prost(uint32, tag = "11")]
    pub operation: u32,
    #[prost(string, repeated, tag = "12")]
    pub event_ids: Vec<String>,
    #[prost(string, optional, tag = "13")]
    pub conversation_id: Option<String>,
    #[prost(string, optional, tag = "14")]
    pub key: Option<String>,
    #[prost(uint32, optional, tag = "15")]
    pub batch: Option<u32>,
}

#[derive(Clone, PartialEq, Message)]
pub struct Log {
    #[prost(sfixed64, tag = "1")]
    pub timestamp: i64,
    #[prost(uint32, tag = "2")]
    pub severity: u32,
    #[prost(string, tag = "3")]
    pub severity_text: String,
    #[prost(message, optional, tag = "4")]
    pub body: Option<Value>,
    #[prost(message, repeated, tag = "5")]
    pub attributes: Vec<KeyValue>,
    #[prost(uint32, tag = "6")]
    pub dropped_attributes: u32,
    #[prost(bytes = "bytes", tag = "7")]
    pub trace_id: Bytes,
    #[prost(bytes = "bytes", tag = "8")]
    pub span_id: Bytes,
    #[prost(string, optional, tag = "9")]
    pub event_id: Option<String>,
    #[prost(uint32, tag = "10")]
    pub flags: u32,
    #[prost(string, tag = "11")]
    pub event_name: String,
    #[prost(uint32, tag = "12")]
    pub resource: u32,
    #[prost(uint32, tag = "13")]
    pub scope: u32,
    #[prost(uint32, tag = "14")]
    pub ordinal: u32,
}

#[derive(Clone, PartialEq, Message)]
pub struct Resource {
    #[prost(string, tag = "1")]
    pub service: String,
    #[prost(message, repeated, tag = "2")]
    pub attributes: Vec<KeyValue>,
}

#[derive(Clone, PartialEq, Message)]
pub struct Scope {
    #[prost(string, tag = "1")]
    pub name: String,
    #[prost(string, tag = "2")]
    pub version: String,
    #[prost(message, repeated, tag = "3")]
    pub attributes: Vec<KeyValue>,
}

#[derive(Clone, PartialEq, Message)]
pub struct KeyValue {
    /// Text, as the one of [`Value`]: as bytes, so that it is copied once only.
    #[prost(bytes = "bytes", tag = "1")]
    pub key: Bytes,
    #[prost(message, optional, tag = "2")]
    pub value: Option<Value>,
}

/// At most one is set. Lists and maps are left as bytes here: prost stops at a hundred nested messages, which values that came
/// over JSON can reach.
#[derive(Clone, PartialEq, Message)]
pub struct Value {
    #[prost(bytes = "bytes", optional, tag = "1")]
    pub text: Option<Bytes>,
    #[prost(bool, optional, tag = "2")]
    pub truth: Option<bool>,
    #[prost(sint64, optional, tag = "3")]
    pub int: Option<i64>,
    #[prost(double, optional, tag = "4")]
    pub double: Option<f64>,
    #[prost(bytes = "bytes", optional, tag = "5")]
    pub bytes: Option<Bytes>,
    #[prost(bytes = "bytes", optional, tag = "6")]
    pub list: Option<Bytes>,
    #[prost(bytes = "bytes", optional, tag = "7")]
    pub map: Option<Bytes>,
}

#[derive(Clone, PartialEq, Message)]
pub struct List {
    #[prost(message, repeated, tag = "1")]
    pub values: Vec<Value>,
}

#[derive(Clone, PartialEq, Message)]
pub struct Map {
    #[prost(message, repeated, tag = "1")]
    pub entries: Vec<KeyValue>,
}

#[derive(Clone, PartialEq, Message)]
pub struct Checkpoint {
    #[prost(string, tag = "1")]
    pub source: String,
    #[prost(string, optional, tag = "2")]
    pub cluster: Option<String>,
    #[prost(message, repeated, tag = "3")]
    pub partitions: Vec<Reached>,
}

#[derive(Clone, PartialEq, Message)]
pub struct Reached {
    #[prost(string, tag = "1")]
    pub channel: String,
    #[prost(sint32, tag = "2")]
    pub partition: i32,
    #[prost(uint32, tag = "3")]
    pub incarnation: u32,
    #[prost(sint64, tag = "4")]
    pub next: i64,
    #[prost(sfixed64, optional, tag = "5")]
    pub last_timestamp: Option<i64>,
    #[prost(uint32, optional, tag = "6")]
    pub last_checksum: Option<u32>,
}
