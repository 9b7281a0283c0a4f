//! OTLP in JSON: ids in hexadecimal digits, enums as numbers, 64-bit numbers as text, unknown fields ignored
//! (open-telemetry/opentelemetry-proto : docs/specification.md, "JSON Protobuf Encoding").
//!
//! We take more than the specification asks senders for, because hand-written senders are common: numbers or text, enums by name,
//! null for what is not set.

mod mirror; // the shape of the encoding
mod scalar; // numbers, ids and values in all the spellings that are on the wire

use std::sync::Arc;

use serde::de::DeserializeOwned;
use store::log::Log;
use store::span::{Resource, Scope, Span, SpanEvent, SpanLink};
use store::value::Attributes;
use store::{SpanId, TraceId};

use self::mirror::{LogsRequest, MetricsRequest, TracesRequest};
use super::batch::{self, Batch};
use super::protobuf;
use super::wire::{Budget, DecodeError};
use crate::redact::Redactor;

/// Reads an `ExportTraceServiceRequest`.
pub(super) fn traces(request: &[u8], batch: &mut Batch, budget: &mut Budget) -> Result<(), DecodeError> {
    for group in parse::<TracesRequest>(request, budget)?.resource_spans {
        let shared = Arc::new(resource(group.resource, &batch.redactor));
        for scoped in group.scope_spans {
            let origin = (Arc::clone(&shared), Arc::new(scope(scoped.scope, &batch.redactor)));
            for told in scoped.spans {
                match span(told, &origin, batch) {
                    Some(span) => batch.add_span(span),
                    None => batch.reject_span(),
                }
            }
        }
    }
    Ok(())
}

/// Reads an `ExportLogsServiceRequest`.
pub(super) fn logs(request: &[u8], batch: &mut Batch, budget: &mut Budget) -> Result<(), DecodeError> {
    for group in parse::<LogsRequest>(request, budget)?.resource_logs {
        let shared = Arc::new(resource(group.resource, &batch.redactor));
        for scoped in group.scope_logs {
            let origin = (Arc::clone(&shared), Arc::new(scope(scoped.scope, &batch.redactor)));
            for told in scoped.log_records {
                let log = log(told, &origin, batch);
                batch.add_log(log);
            }
        }
    }
    Ok(())
}

/// Counts the data points of an `ExportMetricsServiceRequest`; nothing else of it is used.
pub(super) fn metrics(request: &[u8], batch: &mut Batch, budget: &mut Budget) -> Result<(), DecodeError> {
    let groups = parse::<MetricsRequest>(request, budget)?.resource_metrics;
    for metric in groups.iter().flat_map(|group| &group.scope_metrics).flat_map(|scoped| &scoped.metrics) {
        let kinds = [&metric.gauge, &metric.sum, &metric.histogram, &metric.exponential_histogram, &metric.summary];
        batch.data_points += kinds.into_iter().flatten().map(|data| data.data_points.len() as u64).sum::<u64>();
    }
    Ok(())
}

fn parse<T: DeserializeOwned>(request: &[u8], budget: &mut Budget) -> Result<T, DecodeError> {
    let parsed = scalar::within(budget, || serde_json::from_slice(request))?;
    parsed.map_err(|error| DecodeError::Malformed(format!("the body can't be read as OTLP in JSON: {error}")))
}

fn attributes(entries: Vec<mirror::KeyValue>) -> Attributes {
    entries.into_iter().map(|entry| (entry.key.into(), entry.value.0)).collect()
}

fn resource(told: Option<mirror::Resource>, redactor: &Redactor) -> Resource {
    let mut attributes = attributes(told.unwrap_or_default().attributes);
    redactor.attributes(&mut attributes);
    Resource { service: batch::service(&attributes), attributes }
}

fn scope(told: Option<mirror::Scope>, redactor: &Redactor) -> Scope {
    let told = told.unwrap_or_default();
    let mut attributes = attributes(told.attributes);
    redactor.attributes(&mut attributes);
    Scope { name: told.name, version: told.version, attributes }
}

/// A span; `None` where its trace id or span id is none.
fn span(told: mirror::Span, (resource, scope): &(Arc<Resource>, Arc<Scope>), batch: &Batch) -> Option<Span> {
    let status = told.status.unwrap_or_default();
    let event = |event: mirror::Event| SpanEvent {
        at: batch::timestamp(event.time_unix_nano),
        name: event.name,
        attributes: attributes(event.attributes),
    };
    let link = |link: mirror::Link| {
        Some(SpanLink {
            trace_id: TraceId::from_bytes(&link.trace_id.0?)?,
            span_id: SpanId::from_bytes(&link.span_id.0?)?,
            attributes: attributes(link.attributes),
        })
    };
    Some(Span {
        trace_id: TraceId::from_bytes(&told.trace_id.0?)?,
        span_id: SpanId::from_bytes(&told.span_id.0?)?,
        parent_span_id: told.parent_span_id.0.and_then(|id| SpanId::from_bytes(&id)),
        trace_state: told.trace_state,
        flags: told.flags,
        name: told.name,
        kind: told.kind,
        started_at: batch::timestamp(told.start_time_unix_nano),
        ended_at: batch::timestamp(told.end_time_unix_nano),
        status: protobuf::status_of(status.code, status.message),
        attributes: attributes(told.attributes),
        dropped_attributes: told.dropped_attributes_count,
        events: told.events.into_iter().map(event).collect(),
        links: told.links.into_iter().filter_map(link).collect(),
        resource: Arc::clone(resource),
        scope: Arc::clone(scope),
        messaging: None,
        received_at: batch.received_at,
    })
}

fn log(told: mirror::Log, (resource, scope): &(Arc<Resource>, Arc<Scope>), batch: &Batch) -> Log {
    Log {
        timestamp: batch::log_time(told.time_unix_nano, told.observed_time_unix_nano, batch.received_at),
        severity: protobuf::severity(told.severity_number),
        severity_text: told.severity_text,
        body: told.body.0,
        attributes: attributes(told.attributes),
        dropped_attributes: told.dropped_attributes_count,
        trace_id: told.trace_id.0.and_then(|id| TraceId::from_bytes(&id)),
        span_id: told.span_id.0.and_then(|id| SpanId::from_bytes(&id)),
        event_id: None,
        flags: told.flags,
        event_name: told.event_name,
        resource: Arc::clone(resource),
        scope: Arc::clone(scope),
        ordinal: 0,
        received_at: batch.received_at,
    }
}

#[cfg(test)]
mod tests;
