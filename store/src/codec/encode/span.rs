//! Spans and logs as bytes. Tags as in [`wire`](crate::codec::wire).

use super::{attributes, place, time, value};
use crate::codec::write::Message;
use crate::log::Log;
use crate::span::{Messaging, Operation, Span, SpanKind, SpanStatus};

/// A span, but for when it was received; its resource and scope by their numbers in the block.
pub fn span(message: &mut Message, span: &Span, resource: u32, scope: u32) {
    message.bytes(1, span.trace_id.as_bytes());
    message.bytes(2, span.span_id.as_bytes());
    if let Some(parent) = &span.parent_span_id {
        message.bytes(3, parent.as_bytes());
    }
    message.text(4, &span.trace_state);
    message.number(5, span.flags.into());
    message.text(6, &span.name);
    message.number(
        7,
        match span.kind {
            SpanKind::Unspecified => 0,
            SpanKind::Internal => 1,
            SpanKind::Server => 2,
            SpanKind::Client => 3,
            SpanKind::Producer => 4,
            SpanKind::Consumer => 5,
        },
    );
    time(message, 8, span.started_at);
    time(message, 9, span.ended_at);
    match &span.status {
        SpanStatus::Unset => {}
        SpanStatus::Ok => message.number(10, 1),
        SpanStatus::Error(says) => {
            message.number(10, 2);
            message.text(11, says);
        }
    }
    attributes(message, 12, &span.attributes);
    message.number(13, span.dropped_attributes.into());
    for event in &span.events {
        message.nested(14, |message| {
            time(message, 1, event.at);
            message.text(2, &event.name);
            attributes(message, 3, &event.attributes);
        });
    }
    for link in &span.links {
        message.nested(15, |message| {
            message.bytes(1, link.trace_id.as_bytes());
            message.bytes(2, link.span_id.as_bytes());
            attributes(message, 3, &link.attributes);
        });
    }
    message.number(16, resource.into());
    message.number(17, scope.into());
    if let Some(says) = &span.messaging {
        message.nested(18, |message| messaging(message, says));
    }
}

fn messaging(message: &mut Message, messaging: &Messaging) {
    message.text(1, &messaging.system);
    message.maybe_text(2, messaging.destination.as_deref());
    if let Some(at) = &messaging.place {
        place(message, 3, at);
    }
    message.maybe_text(8, messaging.cluster.as_deref());
    message.maybe_text(9, messaging.group.as_deref());
    message.maybe_text(10, messaging.client_id.as_deref());
    message.number(
        11,
        match messaging.operation {
            Operation::Unknown => 0,
            Operation::Create => 1,
            Operation::Send => 2,
            Operation::Receive => 3,
            Operation::Process => 4,
            Operation::Settle => 5,
        },
    );
    for id in &messaging.event_ids {
        message.bytes(12, id.as_bytes());
    }
    message.maybe_text(13, messaging.conversation_id.as_deref());
    message.maybe_text(14, messaging.key.as_deref());
    if let Some(batch) = messaging.batch {
        message.number_present(15, batch.into());
    }
}

/// A log, likewise.
pub fn log(message: &mut Message, log: &Log, resource: u32, scope: u32) {
    time(message, 1, log.timestamp);
    message.number(2, log.severity.into());
    message.text(3, &log.severity_text);
    message.nested(4, |message| value(message, &log.body));
    attributes(message, 5, &log.attributes);
    message.number(6, log.dropped_attributes.into());
    if let Some(trace_id) = &log.trace_id {
        message.bytes(7, trace_id.as_bytes());
    }
    if let Some(span_id) = &log.span_id {
        message.bytes(8, span_id.as_bytes());
    }
    message.maybe_text(9, log.event_id.as_deref());
    message.number(10, log.flags.into());
    message.text(11, &log.event_name);
    message.number(12, resource.into());
    message.number(13, scope.into());
    message.number(14, log.ordinal.into());
}
