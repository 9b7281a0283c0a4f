//! OTLP in protobuf: requests become the store's types in one pass, without generated structs in between.
//! Field numbers as in open-telemetry/opentelemetry-proto : opentelemetry/proto/{common,resource,trace,logs,metrics}/v1.

use std::sync::Arc;

use store::log::Log;
use store::span::{Resource, Scope, SpanEvent, SpanKind, SpanLink, SpanStatus};
use store::value::{Attributes, Text};
use store::{Span, SpanId, Timestamp, TraceId, Value};

use super::batch::{self, Batch};
use super::wire::{Budget, DecodeError, Field, Fields, VALUE_DEPTH_MAX};
use crate::redact::Redactor;

type Decoded<T> = Result<T, DecodeError>;

/// For how many attributes of a span room is made before they are paid for. What grows instead keeps up to half of its room empty, in
/// every span that is held in memory; OpenTelemetry's own limit is 128 (specification/common : attribute limits).
const ATTRIBUTES_AHEAD_MAX: usize = 128;

/// For how many records of a request room is made before they are paid for. A list that grows is moved again and again, into memory that the
/// operating system must clear first: with half a kilobyte a span that cost a twentieth of all that keeping spans costs.
const RECORDS_AHEAD_MAX: usize = 4_096;

/// Takes one record as it is on the wire.
type Take<'a> = dyn FnMut(&[u8], &Origin, &mut Budget) -> Decoded<()> + 'a;

/// What the records of one scope have in common.
#[derive(Clone)]
struct Origin {
    resource: Arc<Resource>,
    scope: Arc<Scope>,
}

/// Reads an `ExportTraceServiceRequest`.
pub(super) fn traces(request: &[u8], batch: &mut Batch, budget: &mut Budget) -> Decoded<()> {
    let redactor = Arc::clone(&batch.redactor);
    batch.entries.reserve_exact(n_records(request)?.min(RECORDS_AHEAD_MAX));
    each_record("ExportTraceServiceRequest", request, &redactor, budget, &mut |record, origin, budget| {
        match span(record, origin, batch.received_at, budget)? {
            Some(span) => batch.add_span(span),
            None => batch.reject_span(),
        }
        Ok(())
    })
}

/// Reads an `ExportLogsServiceRequest`.
pub(super) fn logs(request: &[u8], batch: &mut Batch, budget: &mut Budget) -> Decoded<()> {
    let redactor = Arc::clone(&batch.redactor);
    batch.entries.reserve_exact(n_records(request)?.min(RECORDS_AHEAD_MAX));
    each_record("ExportLogsServiceRequest", request, &redactor, budget, &mut |record, origin, budget| {
        let log = log(record, origin, batch.received_at, budget)?;
        batch.add_log(log);
        Ok(())
    })
}

/// Counts the data points of an `ExportMetricsServiceRequest`; nothing else of it is used.
pub(super) fn metrics(request: &[u8], batch: &mut Batch) -> Decoded<()> {
    each_nested("ExportMetricsServiceRequest", request, 1, &mut |group| {
        each_nested("ResourceMetrics", group, 2, &mut |scoped| {
            each_nested("ScopeMetrics", scoped, 2, &mut |metric| {
                let mut metric = Fields::new("Metric", metric);
                while let Some((number, field)) = metric.next()? {
                    // Gauge, sum, histogram, exponential histogram, summary: all of them hold their data points in field 1.
                    if matches!(number, 5 | 7 | 9 | 10 | 11) {
                        each_nested("data", field.bytes()?, 1, &mut |_| {
                            batch.data_points += 1;
                            Ok(())
                        })?;
                    }
                }
                Ok(())
            })
        })
    })
}

fn each_nested<'a>(
    message: &'static str,
    bytes: &'a [u8],
    wanted: u32,
    take: &mut dyn FnMut(&'a [u8]) -> Decoded<()>,
) -> Decoded<()> {
    let mut fields = Fields::new(message, bytes);
    while let Some((number, field)) = fields.next()? {
        if number == wanted {
            take(field.bytes()?)?;
        }
    }
    Ok(())
}

/// How many records a request brings; skipping over them costs next to nothing.
fn n_records(request: &[u8]) -> Decoded<usize> {
    let mut n_records = 0;
    each_nested("request", request, 1, &mut |group| {
        each_nested("resource group", group, 2, &mut |scoped| {
            n_records += Fields::new("scope group", scoped).count(2)?;
            Ok(())
        })
    })?;
    Ok(n_records)
}

/// Traces and logs nest alike: request (1) resource group (2) scope group (2) record; the resource and the scope are field 1 of their group.
/// A group is walked twice, because its resource may stand behind its records; skipping costs next to nothing.
fn each_record(
    message: &'static str,
    request: &[u8],
    redactor: &Redactor,
    budget: &mut Budget,
    take: &mut Take<'_>,
) -> Decoded<()> {
    each_nested(message, request, 1, &mut |group| {
        let mut told = Resource { service: batch::UNKNOWN_SERVICE.to_owned(), attributes: Attributes::new() };
        budget.pay_for::<Resource>()?;
        each_nested("resource group", group, 1, &mut |bytes| {
            told = resource(bytes, budget)?;
            Ok(())
        })?;
        redactor.attributes(&mut told.attributes);
        let shared = Arc::new(told);
        each_nested("resource group", group, 2, &mut |scoped| {
            let mut told = Scope::default();
            budget.pay_for::<Scope>()?;
            each_nested("scope group", scoped, 1, &mut |bytes| {
                told = scope(bytes, budget)?;
                Ok(())
            })?;
            redactor.attributes(&mut told.attributes);
            let origin = Origin { resource: Arc::clone(&shared), scope: Arc::new(told) };
            each_nested("scope group", scoped, 2, &mut |record| take(record, &origin, budget))
        })
    })
}

fn resource(bytes: &[u8], budget: &mut Budget) -> Decoded<Resource> {
    let mut attributes = Attributes::new();
    each_nested("Resource", bytes, 1, &mut |bytes| {
        attributes.push(key_value(bytes, budget, 0)?);
        Ok(())
    })?;
    Ok(Resource { service: batch::service(&attributes), attributes })
}

fn scope(bytes: &[u8], budget: &mut Budget) -> Decoded<Scope> {
    let mut scope = Scope::default();
    let mut fields = Fields::new("InstrumentationScope", bytes);
    while let Some((number, field)) = fields.next()? {
        match number {
            1 => scope.name = text(field, budget)?,
            2 => scope.version = text(field, budget)?,
            3 => scope.attributes.push(key_value(field.bytes()?, budget, 0)?),
            _ => {}
        }
    }
    Ok(scope)
}

/// A span; `None` where its trace id or span id is none.
fn span(bytes: &[u8], origin: &Origin, received_at: Timestamp, budget: &mut Budget) -> Decoded<Option<Span>> {
    budget.pay_for::<store::Entry>()?;
    let (mut trace_id, mut span_id, mut parent_span_id) = (None, None, None);
    let (mut trace_state, mut flags, mut name, mut kind) = (String::new(), 0, String::new(), SpanKind::Unspecified);
    let (mut started_at, mut ended_at, mut status) = (0, 0, SpanStatus::Unset);
    let mut fields = Fields::new("Span", bytes);
    let n_attributes = fields.count(9)?.min(ATTRIBUTES_AHEAD_MAX);
    let (mut attributes, mut dropped_attributes) = (Attributes::with_capacity(n_attributes), 0);
    let (mut events, mut links) = (Vec::new(), Vec::new());
    while let Some((number, field)) = fields.next()? {
        match number {
            1 => trace_id = TraceId::from_bytes(field.bytes()?),
            2 => span_id = SpanId::from_bytes(field.bytes()?),
            3 => trace_state = text(field, budget)?,
            4 => parent_span_id = SpanId::from_bytes(field.bytes()?),
            5 => name = text(field, budget)?,
            6 => kind = span_kind(field.unsigned()?),
            7 => started_at = field.fixed64()?,
            8 => ended_at = field.fixed64()?,
            9 => attributes.push(key_value(field.bytes()?, budget, 0)?),
            10 => dropped_attributes = field.unsigned()?,
            11 => events.push(event(field.bytes()?, budget)?),
            13 => links.extend(link(field.bytes()?, budget)?),
            15 => status = span_status(field.bytes()?, budget)?,
            16 => flags = field.fixed32()?,
            _ => {}
        }
    }
    let (Some(trace_id), Some(span_id)) = (trace_id, span_id) else { return Ok(None) };
    Ok(Some(Span {
        trace_id,
        span_id,
        parent_span_id,
        trace_state,
        flags,
        name,
        kind,
        started_at: batch::timestamp(started_at),
        ended_at: batch::timestamp(ended_at),
        status,
        attributes,
        dropped_attributes,
        events,
        links,
        resource: Arc::clone(&origin.resource),
        scope: Arc::clone(&origin.scope),
        messaging: None,
        received_at,
    }))
}

/// The kind by its number; one that is not known counts as not told.
pub(super) fn span_kind(number: u32) -> SpanKind {
    match number {
        1 => SpanKind::Internal,
        2 => SpanKind::Server,
        3 => SpanKind::Client,
        4 => SpanKind::Producer,
        5 => SpanKind::Consumer,
        _ => SpanKind::Unspecified,
    }
}

/// The status by its code's number.
pub(super) fn status_of(code: u32, message: String) -> SpanStatus {
    match code {
        1 => SpanStatus::Ok,
        2 => SpanStatus::Error(message),
        _ => SpanStatus::Unset,
    }
}

fn span_status(bytes: &[u8], budget: &mut Budget) -> Decoded<SpanStatus> {
    let (mut message, mut code) = (String::new(), 0);
    let mut fields = Fields::new("Status", bytes);
    while let Some((number, field)) = fields.next()? {
        match number {
            2 => message = text(field, budget)?,
            3 => code = field.unsigned()?,
            _ => {}
        }
    }
    Ok(status_of(code, message))
}

fn event(bytes: &[u8], budget: &mut Budget) -> Decoded<SpanEvent> {
    budget.pay_for::<SpanEvent>()?;
    let mut event = SpanEvent { at: Timestamp::default(), name: String::new(), attributes: Attributes::new() };
    let mut fields = Fields::new("Event", bytes);
    while let Some((number, field)) = fields.next()? {
        match number {
            1 => event.at = batch::timestamp(field.fixed64()?),
            2 => event.name = text(field, budget)?,
            3 => event.attributes.push(key_value(field.bytes()?, budget, 0)?),
            _ => {}
        }
    }
    Ok(event)
}

/// A link; `None` where it leads nowhere, because its ids are none.
fn link(bytes: &[u8], budget: &mut Budget) -> Decoded<Option<SpanLink>> {
    budget.pay_for::<SpanLink>()?;
    let (mut trace_id, mut span_id, mut attributes) = (None, None, Attributes::new());
    let mut fields = Fields::new("Link", bytes);
    while let Some((number, field)) = fields.next()? {
        match number {
            1 => trace_id = TraceId::from_bytes(field.bytes()?),
            2 => span_id = SpanId::from_bytes(field.bytes()?),
            4 => attributes.push(key_value(field.bytes()?, budget, 0)?),
            _ => {}
        }
    }
    Ok(trace_id.zip(span_id).map(|(trace_id, span_id)| SpanLink { trace_id, span_id, attributes }))
}

fn log(bytes: &[u8], origin: &Origin, received_at: Timestamp, budget: &mut Budget) -> Decoded<Log> {
    budget.pay_for::<store::Entry>()?;
    let (mut written, mut observed) = (0, 0);
    let mut log = Log {
        timestamp: received_at,
        severity: 0,
        severity_text: String::new(),
        body: Value::Empty,
        attributes: Attributes::new(),
        dropped_attributes: 0,
        trace_id: None,
        span_id: None,
        event_id: None,
        flags: 0,
        event_name: String::new(),
        resource: Arc::clone(&origin.resource),
        scope: Arc::clone(&origin.scope),
        ordinal: 0,
        received_at,
    };
    let mut fields = Fields::new("LogRecord", bytes);
    while let Some((number, field)) = fields.next()? {
        match number {
            1 => written = field.fixed64()?,
            2 => log.severity = severity(field.unsigned()?),
            3 => log.severity_text = text(field, budget)?,
            5 => log.body = value(field.bytes()?, budget, 0)?,
            6 => log.attributes.push(key_value(field.bytes()?, budget, 0)?),
            7 => log.dropped_attributes = field.unsigned()?,
            8 => log.flags = field.fixed32()?,
            9 => log.trace_id = TraceId::from_bytes(field.bytes()?),
            10 => log.span_id = SpanId::from_bytes(field.bytes()?),
            11 => observed = field.fixed64()?,
            12 => log.event_name = text(field, budget)?,
            _ => {}
        }
    }
    log.timestamp = batch::log_time(written, observed, received_at);
    Ok(log)
}

/// The severity by its number; what lies beyond the highest counts as not told.
pub(super) fn severity(number: u32) -> u8 {
    u8::try_from(number).ok().filter(|number| *number <= 24).unwrap_or(0)
}

fn key_value(bytes: &[u8], budget: &mut Budget, depth: usize) -> Decoded<(Text, Value)> {
    budget.pay_for::<(Text, Value)>()?;
    let (mut key, mut told) = (Text::default(), Value::Empty);
    let mut fields = Fields::new("KeyValue", bytes);
    while let Some((number, field)) = fields.next()? {
        match number {
            1 => key = budget.share(field)?,
            2 => told = value(field.bytes()?, budget, depth)?,
            _ => {}
        }
    }
    Ok((key, told))
}

fn value(bytes: &[u8], budget: &mut Budget, depth: usize) -> Decoded<Value> {
    if depth > VALUE_DEPTH_MAX {
        return Err(DecodeError::Malformed(format!("values are nested more than {VALUE_DEPTH_MAX} deep")));
    }
    let mut told = Value::Empty;
    let mut fields = Fields::new("AnyValue", bytes);
    while let Some((number, field)) = fields.next()? {
        told = match number {
            1 => Value::Text(budget.share(field)?),
            2 => Value::Bool(field.varint()? != 0),
            3 => Value::Int(field.varint()?.cast_signed()),
            4 => Value::Double(f64::from_bits(field.fixed64()?)),
            5 => {
                let mut values = Vec::new();
                each_nested("ArrayValue", field.bytes()?, 1, &mut |bytes| {
                    budget.pay_for::<Value>()?;
                    values.push(value(bytes, budget, depth + 1)?);
                    Ok(())
                })?;
                Value::List(values)
            }
            6 => {
                let mut entries = Attributes::new();
                each_nested("KeyValueList", field.bytes()?, 1, &mut |bytes| {
                    entries.push(key_value(bytes, budget, depth + 1)?);
                    Ok(())
                })?;
                Value::Map(entries)
            }
            7 => {
                let bytes = field.bytes()?;
                budget.pay(bytes.len())?;
                Value::Bytes(bytes.to_vec())
            }
            _ => continue,
        };
    }
    Ok(told)
}

fn text(field: Field<'_>, budget: &mut Budget) -> Decoded<String> {
    budget.pay(field.bytes()?.len())?;
    field.text()
}

#[cfg(test)]
mod tests;
