//! From librdkafka's message to ours.
//!
//! The key, the body and all header values go into one allocation, because records by the million pay for every other one.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use rdkafka::message::{BorrowedMessage, Headers, Message, Timestamp as KafkaTimestamp};
use store::position::Incarnation;
use store::record::{Header, TimestampKind};
use store::{Channel, Place, Position, SourceName, Timestamp};

use crate::source::raw::Raw;

/// What a message can't say of itself.
pub struct Around<'a> {
    /// Which source.
    pub source: &'a SourceName,
    /// The broker's id of its cluster.
    pub cluster: Option<&'a Arc<str>>,
    /// The topic.
    pub channel: &'a Channel,
    /// Which life of the topic.
    pub incarnation: Incarnation,
    /// Our clock.
    pub received_at: Timestamp,
}

/// A message with its bytes copied out of librdkafka.
pub fn raw(message: &BorrowedMessage<'_>, around: Around<'_>) -> Raw {
    let (key, body) = (message.key(), message.payload());
    let (names_and_values, problem) = headers(message);
    let mut room = key.map_or(0, <[u8]>::len) + body.map_or(0, <[u8]>::len);
    room += names_and_values.iter().map(|(_, value)| value.map_or(0, <[u8]>::len)).sum::<usize>();

    let mut buffer = BytesMut::with_capacity(room);
    let mut take = |bytes: &[u8]| {
        buffer.extend_from_slice(bytes);
        buffer.split().freeze()
    };
    let key = key.map(&mut take);
    let body = body.map(&mut take);
    let headers = names_and_values
        .into_iter()
        .map(|(name, value)| Header { name, value: value.map(&mut take) as Option<Bytes> })
        .collect();
    let (timestamp, timestamp_kind) = timestamp(message);
    Raw {
        position: Position {
            source: around.source.clone(),
            channel: around.channel.clone(),
            incarnation: around.incarnation,
            place: Place::Offset { partition: message.partition(), offset: message.offset() },
        },
        cluster: around.cluster.cloned(),
        timestamp,
        timestamp_kind,
        received_at: around.received_at,
        key,
        body,
        headers,
        transaction: None,
        problem,
    }
}

/// The broker's time for a message, and whose clock it is. Negative times mean "none" in Kafka's protocol.
pub fn timestamp(message: &BorrowedMessage<'_>) -> (Option<Timestamp>, TimestampKind) {
    match message.timestamp() {
        KafkaTimestamp::CreateTime(millis) if millis >= 0 => {
            (Some(Timestamp::from_millis(millis)), TimestampKind::Producer)
        }
        KafkaTimestamp::LogAppendTime(millis) if millis >= 0 => {
            (Some(Timestamp::from_millis(millis)), TimestampKind::Broker)
        }
        _ => (None, TimestampKind::Unknown),
    }
}

/// Where a header's name can't be read, this stands in its place.
const UNREADABLE: &str = "\u{fffd}";

type NamesAndValues<'a> = Vec<(String, Option<&'a [u8]>)>;

/// The headers in order, and what is wrong with them.
/// rdkafka 0.39 panics over a header name that is no UTF-8 (src/message.rs: `to_str().unwrap()`), which any producer can send.
fn headers<'a>(message: &'a BorrowedMessage<'_>) -> (NamesAndValues<'a>, Option<String>) {
    let Some(headers) = message.headers() else { return (Vec::new(), None) };
    let count = headers.count();
    let mut read = NamesAndValues::with_capacity(count);
    let mut unreadable = 0;
    for index in 0..count {
        match catch_unwind(AssertUnwindSafe(|| headers.try_get(index))) {
            Ok(Some(header)) => read.push((header.key.to_owned(), header.value)),
            Ok(None) => {}
            Err(_) => {
                unreadable += 1;
                read.push((UNREADABLE.to_owned(), None));
            }
        }
    }
    let problem = (unreadable > 0)
        .then(|| format!("{unreadable} of {count} headers can't be read: their names are no UTF-8 text"));
    (read, problem)
}
