//! A record, a span or a log as the API shows it.

use serde::Serialize;
use store::engine::Held;
use store::flow::JoinedBy;
use store::record::{CauseKind, Failure, Record, Transaction};
use store::span::{Scope, Span, SpanStatus};
use store::{Entry, SpanId, TraceId};

use super::body::{BodyView, BytesView, bytes, is_body_cut, shown};
use super::schema::SchemaView;
use super::value::{AttributesView, ValueView, cut, is_cut, is_value_cut};
use super::{AsText, PositionView, Time, millis};
use crate::api::answer::VALUE_BYTES_MAX;
use crate::href::Links;

/// An entry of any kind; its `kind` tells which.
#[derive(Serialize, Debug)]
#[serde(untagged)]
pub enum EntryView<'a> {
    /// A record.
    Record(Box<RecordView<'a>>),
    /// A span.
    Span(Box<SpanView<'a>>),
    /// A log.
    Log(Box<LogView<'a>>),
}

impl<'a> EntryView<'a> {
    /// What is shown of an entry. `by` is what joined it to its flow, where it is shown in one.
    pub fn new(held: &'a Held, by: Option<&'a JoinedBy>, links: &Links) -> EntryView<'a> {
        let joined_by = by.map(AsText);
        match &*held.entry {
            Entry::Record(record) => {
                EntryView::Record(Box::new(RecordView::new(record, held.copies, joined_by, links)))
            }
            Entry::Span(span) => EntryView::Span(Box::new(SpanView::new(span, held.copies, joined_by))),
            Entry::Log(log) => EntryView::Log(Box::new(LogView {
                kind: "log",
                timestamp: Time(log.timestamp),
                severity: log.severity_name(),
                severity_number: log.severity,
                service: log.service(),
                body: ValueView(&log.body),
                attributes: AttributesView(&log.attributes),
                resource: AttributesView(&log.resource.attributes),
                scope: ScopeView::from(&*log.scope),
                trace_id: log.trace_id.map(AsText),
                span_id: log.span_id.map(AsText),
                event_id: log.event_id.as_deref(),
                event_name: &log.event_name,
                truncated: is_value_cut(&log.body) || is_cut(&log.attributes) || is_cut(&log.resource.attributes),
                copies: held.copies,
                joined_by,
            })),
        }
    }
}

impl EntryView<'_> {
    /// Whether something of it is longer than what is shown.
    pub fn is_truncated(&self) -> bool {
        match self {
            EntryView::Record(record) => record.truncated,
            EntryView::Span(span) => span.truncated,
            EntryView::Log(log) => log.truncated,
        }
    }
}

/// A record.
#[derive(Serialize, Debug)]
#[serde(rename_all = "camelCase")]
pub struct RecordView<'a> {
    kind: &'static str,
    position: PositionView<'a>,
    timestamp: Option<Time>,
    received_at: Time,
    event_id: Option<&'a str>,
    event_type: Option<&'a str>,
    occurred_at: Option<Time>,
    producer: Option<&'a str>,
    version: Option<&'a str>,
    trace_id: Option<AsText<TraceId>>,
    span_id: Option<AsText<SpanId>>,
    causes: Vec<CauseView<'a>>,
    key: Option<BytesView<'a>>,
    key_schema: Option<SchemaView<'a>>,
    headers: Vec<(&'a str, Option<BytesView<'a>>)>,
    body: Option<BodyView<'a>>,
    body_encoding: &'static str,
    schema: Option<SchemaView<'a>>,
    truncated: bool,
    raw_url: String,
    role: &'static str,
    failure: Option<FailureView<'a>>,
    transaction: Option<&'static str>,
    problem: Option<&'a str>,
    copies: u32,
    joined_by: Option<AsText<&'a JoinedBy>>,
}

#[derive(Serialize, Debug)]
struct CauseView<'a> {
    kind: &'static str,
    id: &'a str,
}

impl<'a> RecordView<'a> {
    /// One that is not kept: it is not committed yet.
    pub fn open(record: &'a Record, links: &Links) -> RecordView<'a> {
        RecordView::new(record, 1, None, links)
    }

    fn new(record: &'a Record, copies: u32, joined_by: Option<AsText<&'a JoinedBy>>, links: &Links) -> RecordView<'a> {
        let event = &record.event;
        let (body, encoding) = (record.readable_body(), record.readable_encoding());
        let incarnation = match record.position.incarnation.0 {
            0 => String::new(),
            number => number.to_string(),
        };
        let causes = event.causes.iter().map(|cause| CauseView {
            kind: match cause.kind {
                CauseKind::Causation => "causation",
                CauseKind::Correlation => "correlation",
                CauseKind::Saga => "saga",
            },
            id: &cause.id,
        });
        let header_bytes_max =
            record.headers.iter().filter_map(|header| header.value.as_ref()).map(|value| value.len()).max();
        RecordView {
            kind: "record",
            position: PositionView::from(&record.position),
            timestamp: record.timestamp.map(Time),
            received_at: Time(record.received_at),
            event_id: event.id.as_deref(),
            event_type: event.event_type.as_deref(),
            occurred_at: event.occurred_at.map(Time),
            producer: event.producer.as_deref(),
            version: event.version.as_deref(),
            trace_id: event.trace.as_ref().map(|trace| AsText(trace.trace_id)),
            span_id: event.trace.as_ref().and_then(|trace| trace.span_id).map(AsText),
            causes: causes.collect(),
            key: record.readable_key().map(|key| bytes(key)),
            key_schema: record.key_schema().map(SchemaView::from),
            headers: record
                .headers
                .iter()
                .map(|header| (cut(&header.name), header.value.as_deref().map(bytes)))
                .collect(),
            body: body.map(|body| shown(body, encoding)),
            body_encoding: record.encoding.as_str(),
            schema: record.body_schema().map(SchemaView::from),
            truncated: body.is_some_and(|body| is_body_cut(body, encoding))
                || header_bytes_max.is_some_and(|bytes| bytes > VALUE_BYTES_MAX),
            raw_url: links.api_raw(&record.position).with("incarnation", &incarnation).to_string(),
            role: record.role(),
            failure: record.failure.as_ref().map(FailureView::from),
            transaction: record.transaction.map(Transaction::as_str),
            problem: record.problem.as_deref(),
            copies,
            joined_by,
        }
    }
}

/// What a retry copy or a dead letter says of the failure that led to it.
#[derive(Serialize, Debug)]
#[serde(rename_all = "camelCase")]
struct FailureView<'a> {
    group: Option<&'a str>,
    attempts: Option<u32>,
    attempts_from: Option<&'a str>,
    not_before: Option<Time>,
    exception: Option<&'a str>,
    message: Option<&'a str>,
    stack_trace: Option<&'a str>,
    origin: Option<OriginView<'a>>,
    convention: &'a str,
    guessed: bool,
}

#[derive(Serialize, Debug)]
struct OriginView<'a> {
    channel: Option<&'a str>,
    partition: Option<i32>,
    offset: Option<i64>,
    timestamp: Option<Time>,
}

impl<'a> From<&'a Failure> for FailureView<'a> {
    fn from(failure: &'a Failure) -> FailureView<'a> {
        FailureView {
            group: failure.group.as_deref(),
            attempts: failure.attempts,
            attempts_from: failure.attempts_from.as_deref(),
            not_before: failure.not_before.map(Time),
            exception: failure.exception.as_deref().map(cut),
            message: failure.message.as_deref().map(cut),
            stack_trace: failure.stack_trace.as_deref().map(cut),
            origin: failure.origin.as_ref().map(|origin| OriginView {
                channel: origin.channel.as_deref(),
                partition: origin.partition,
                offset: origin.offset,
                timestamp: origin.timestamp.map(Time),
            }),
            convention: &failure.convention,
            guessed: failure.guessed,
        }
    }
}

/// A span.
#[derive(Serialize, Debug)]
#[serde(rename_all = "camelCase")]
pub struct SpanView<'a> {
    kind: &'static str,
    trace_id: AsText<TraceId>,
    span_id: AsText<SpanId>,
    parent_span_id: Option<AsText<SpanId>>,
    service: &'a str,
    name: &'a str,
    span_kind: &'static str,
    started_at: Time,
    ended_at: Time,
    duration_ms: f64,
    status: &'static str,
    status_message: Option<&'a str>,
    attributes: AttributesView<'a>,
    resource: AttributesView<'a>,
    scope: ScopeView<'a>,
    links: Vec<LinkView<'a>>,
    events: Vec<SpanEventView<'a>>,
    truncated: bool,
    copies: u32,
    joined_by: Option<AsText<&'a JoinedBy>>,
}

#[derive(Serialize, Debug)]
struct ScopeView<'a> {
    name: &'a str,
    version: &'a str,
}

impl<'a> From<&'a Scope> for ScopeView<'a> {
    fn from(scope: &'a Scope) -> ScopeView<'a> {
        ScopeView { name: cut(&scope.name), version: cut(&scope.version) }
    }
}

#[derive(Serialize, Debug)]
#[serde(rename_all = "camelCase")]
struct LinkView<'a> {
    trace_id: AsText<TraceId>,
    span_id: AsText<SpanId>,
    attributes: AttributesView<'a>,
}

#[derive(Serialize, Debug)]
struct SpanEventView<'a> {
    at: Time,
    name: &'a str,
    attributes: AttributesView<'a>,
}

impl<'a> SpanView<'a> {
    fn new(span: &'a Span, copies: u32, joined_by: Option<AsText<&'a JoinedBy>>) -> SpanView<'a> {
        let (status, status_message) = match &span.status {
            SpanStatus::Unset => ("unset", None),
            SpanStatus::Ok => ("ok", None),
            SpanStatus::Error(message) => ("error", Some(cut(message))),
        };
        let links = span.links.iter().map(|link| LinkView {
            trace_id: AsText(link.trace_id),
            span_id: AsText(link.span_id),
            attributes: AttributesView(&link.attributes),
        });
        let events = span.events.iter().map(|event| SpanEventView {
            at: Time(event.at),
            name: cut(&event.name),
            attributes: AttributesView(&event.attributes),
        });
        SpanView {
            kind: "span",
            trace_id: AsText(span.trace_id),
            span_id: AsText(span.span_id),
            parent_span_id: span.parent_span_id.map(AsText),
            service: span.service(),
            name: cut(&span.name),
            span_kind: span.kind.as_str(),
            started_at: Time(span.started_at),
            ended_at: Time(span.ended_at),
            duration_ms: millis(span.duration_nanos()),
            status,
            status_message,
            attributes: AttributesView(&span.attributes),
            resource: AttributesView(&span.resource.attributes),
            scope: ScopeView::from(&*span.scope),
            links: links.collect(),
            events: events.collect(),
            truncated: is_cut(&span.attributes)
                || is_cut(&span.resource.attributes)
                || span.events.iter().any(|event| is_cut(&event.attributes))
                || span.links.iter().any(|link| is_cut(&link.attributes)),
            copies,
            joined_by,
        }
    }
}

/// A log line.
#[derive(Serialize, Debug)]
#[serde(rename_all = "camelCase")]
pub struct LogView<'a> {
    kind: &'static str,
    timestamp: Time,
    severity: &'a str,
    severity_number: u8,
    service: &'a str,
    body: ValueView<'a>,
    attributes: AttributesView<'a>,
    resource: AttributesView<'a>,
    scope: ScopeView<'a>,
    trace_id: Option<AsText<TraceId>>,
    span_id: Option<AsText<SpanId>>,
    event_id: Option<&'a str>,
    event_name: &'a str,
    truncated: bool,
    copies: u32,
    joined_by: Option<AsText<&'a JoinedBy>>,
}
