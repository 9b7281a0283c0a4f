//! Records as bytes. Tags as in [`wire`](crate::codec::wire).

use super::{maybe_time, place};
use crate::codec::write::Message;
use crate::record::{
    BodyEncoding, CauseKind, Decoded, Event, Failure, Fate, Record, Schema, TimestampKind, Transaction,
};

/// A record, but for when it was received.
pub fn record(message: &mut Message, record: &Record) {
    message.text(1, record.position.source.as_str());
    message.text(2, record.position.channel.as_str());
    message.number(3, record.position.incarnation.0.into());
    place(message, 4, &record.position.place);
    message.maybe_text(9, record.cluster.as_deref());
    maybe_time(message, 10, record.timestamp);
    message.number(
        11,
        match record.timestamp_kind {
            TimestampKind::Unknown => 0,
            TimestampKind::Producer => 1,
            TimestampKind::Broker => 2,
        },
    );
    if let Some(key) = &record.key {
        message.bytes(12, key);
    }
    if let Some(body) = &record.body {
        message.bytes(13, body);
    }
    message.number(
        14,
        match record.encoding {
            BodyEncoding::Null => 0,
            BodyEncoding::Json => 1,
            BodyEncoding::Text => 2,
            BodyEncoding::Binary => 3,
            BodyEncoding::Avro => 4,
            BodyEncoding::Protobuf => 5,
            BodyEncoding::MessagePack => 6,
            BodyEncoding::Cbor => 7,
        },
    );
    for header in &record.headers {
        message.nested(15, |message| {
            message.text(1, &header.name);
            if let Some(value) = &header.value {
                message.bytes(2, value);
            }
        });
    }
    message.nested(16, |message| event(message, &record.event));
    if let Some(set_aside) = &record.failure {
        message.nested(17, |message| failure(message, set_aside));
    }
    message.maybe_text(18, record.problem.as_deref());
    message.number(
        19,
        match record.transaction {
            None => 0,
            Some(Transaction::Open) => 1,
            Some(Transaction::Aborted) => 2,
        },
    );
    if let Some(inside) = &record.decoded {
        decoded(message, inside);
    }
}

fn decoded(message: &mut Message, decoded: &Decoded) {
    if let Some(body) = &decoded.body {
        message.bytes(20, body);
    }
    if let Some(key) = &decoded.key {
        message.bytes(21, key);
    }
    if let Some(named) = &decoded.body_schema {
        message.nested(22, |message| schema(message, named));
    }
    if let Some(named) = &decoded.key_schema {
        message.nested(23, |message| schema(message, named));
    }
}

fn schema(message: &mut Message, schema: &Schema) {
    message.text(1, schema.id.kind());
    message.text(2, &schema.id.to_string());
    message.maybe_text(3, schema.subject.as_deref());
    message.maybe_text(4, schema.version.as_deref());
    message.maybe_text(5, schema.name.as_deref());
}

fn event(message: &mut Message, event: &Event) {
    message.maybe_text(1, event.id.as_deref());
    message.maybe_text(2, event.event_type.as_deref());
    maybe_time(message, 3, event.occurred_at);
    message.maybe_text(4, event.producer.as_deref());
    message.maybe_text(5, event.version.as_deref());
    if let Some(trace) = &event.trace {
        message.bytes(6, trace.trace_id.as_bytes());
        if let Some(span_id) = &trace.span_id {
            message.bytes(7, span_id.as_bytes());
        }
        message.text(8, &trace.found_in);
    }
    if let Some(origin) = &event.origin_trace {
        message.bytes(9, origin.as_bytes());
    }
    for cause in &event.causes {
        message.nested(10, |message| {
            message.number(
                1,
                match cause.kind {
                    CauseKind::Causation => 0,
                    CauseKind::Correlation => 1,
                    CauseKind::Saga => 2,
                },
            );
            message.text(2, &cause.id);
        });
    }
}

fn failure(message: &mut Message, failure: &Failure) {
    message.number(
        1,
        match failure.fate {
            Fate::Retry => 0,
            Fate::DeadLetter => 1,
        },
    );
    if let Some(origin) = &failure.origin {
        message.nested(2, |message| {
            message.maybe_text(1, origin.channel.as_deref());
            if let Some(partition) = origin.partition {
                message.signed(2, partition.into());
            }
            if let Some(offset) = origin.offset {
                message.signed(3, offset);
            }
            maybe_time(message, 4, origin.timestamp);
        });
    }
    message.maybe_text(3, failure.group.as_deref());
    if let Some(attempts) = failure.attempts {
        message.number_present(4, attempts.into());
    }
    message.maybe_text(5, failure.attempts_from.as_deref());
    maybe_time(message, 6, failure.not_before);
    message.maybe_text(7, failure.exception.as_deref());
    message.maybe_text(8, failure.message.as_deref());
    message.maybe_text(9, failure.stack_trace.as_deref());
    message.text(10, &failure.convention);
    message.number(11, failure.guessed.into());
}
