//! OTLP requests as an exporter makes them, and the ways to send them.

use std::io;
use std::net::SocketAddr;
use std::time::{SystemTime, UNIX_EPOCH};

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue, any_value};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use prost::Message;

use super::http::{self, Answer};

pub fn now_ns() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos() as u64
}

pub fn string(key: &str, value: impl Into<String>) -> KeyValue {
    attribute(key, any_value::Value::StringValue(value.into()))
}

pub fn int(key: &str, value: i64) -> KeyValue {
    attribute(key, any_value::Value::IntValue(value))
}

fn attribute(key: &str, value: any_value::Value) -> KeyValue {
    KeyValue { key: key.to_owned(), value: Some(AnyValue { value: Some(value) }), ..Default::default() }
}

/// A span of one millisecond that ended now; the rest is for the caller to fill in.
pub fn span(trace: [u8; 16], id: [u8; 8], name: &str) -> Span {
    let end = now_ns();
    Span {
        trace_id: trace.to_vec(),
        span_id: id.to_vec(),
        name: name.to_owned(),
        kind: 1,
        start_time_unix_nano: end - 1_000_000,
        end_time_unix_nano: end,
        ..Default::default()
    }
}

pub fn traces(service: &str, spans: Vec<Span>) -> ExportTraceServiceRequest {
    ExportTraceServiceRequest {
        resource_spans: vec![ResourceSpans {
            resource: Some(Resource { attributes: vec![string("service.name", service)], ..Default::default() }),
            scope_spans: vec![ScopeSpans { scope: Some(scope()), spans, ..Default::default() }],
            ..Default::default()
        }],
    }
}

pub fn log(trace: [u8; 16], span: [u8; 8], body: &str) -> LogRecord {
    LogRecord {
        time_unix_nano: now_ns(),
        observed_time_unix_nano: now_ns(),
        severity_number: 9,
        severity_text: "INFO".to_owned(),
        body: Some(AnyValue { value: Some(any_value::Value::StringValue(body.to_owned())) }),
        trace_id: trace.to_vec(),
        span_id: span.to_vec(),
        ..Default::default()
    }
}

pub fn logs(service: &str, log_records: Vec<LogRecord>) -> ExportLogsServiceRequest {
    ExportLogsServiceRequest {
        resource_logs: vec![ResourceLogs {
            resource: Some(Resource { attributes: vec![string("service.name", service)], ..Default::default() }),
            scope_logs: vec![ScopeLogs { scope: Some(scope()), log_records, ..Default::default() }],
            ..Default::default()
        }],
    }
}

fn scope() -> InstrumentationScope {
    InstrumentationScope { name: "it".to_owned(), version: "1".to_owned(), ..Default::default() }
}

/// One protobuf request to `/v1/traces` or `/v1/logs`.
pub fn post(server: SocketAddr, signal: &str, request: &impl Message) -> io::Result<Answer> {
    http::post(
        server,
        &format!("/v1/{signal}"),
        &[("content-type", "application/x-protobuf")],
        &request.encode_to_vec(),
    )
}

/// The same, and it must be taken whole.
pub fn post_all(server: SocketAddr, signal: &str, request: &impl Message) {
    let answer = post(server, signal, request).unwrap();
    assert_eq!(answer.status, 200, "{}", answer.text());
    // A response with everything taken is an empty message; a partial success would have bytes.
    assert!(answer.body.is_empty(), "not everything was taken: {:?}", answer.body);
}
