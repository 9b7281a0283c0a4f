//! The shape of OTLP in JSON, field by field, as open-telemetry/opentelemetry-proto : opentelemetry/proto/*/v1 names it.

use serde::Deserialize;
use serde::de::IgnoredAny;
use store::span::SpanKind;

use super::scalar::{AnyValue, Hex, list, severity, span_kind, status_code, text, unsigned, wide};

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct TracesRequest {
    #[serde(deserialize_with = "list")]
    pub(super) resource_spans: Vec<ResourceSpans>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct ResourceSpans {
    pub(super) resource: Option<Resource>,
    #[serde(deserialize_with = "list")]
    pub(super) scope_spans: Vec<ScopeSpans>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct ScopeSpans {
    pub(super) scope: Option<Scope>,
    #[serde(deserialize_with = "list")]
    pub(super) spans: Vec<Span>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct LogsRequest {
    #[serde(deserialize_with = "list")]
    pub(super) resource_logs: Vec<ResourceLogs>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct ResourceLogs {
    pub(super) resource: Option<Resource>,
    #[serde(deserialize_with = "list")]
    pub(super) scope_logs: Vec<ScopeLogs>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct ScopeLogs {
    pub(super) scope: Option<Scope>,
    #[serde(deserialize_with = "list")]
    pub(super) log_records: Vec<Log>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct MetricsRequest {
    #[serde(deserialize_with = "list")]
    pub(super) resource_metrics: Vec<ResourceMetrics>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct ResourceMetrics {
    #[serde(deserialize_with = "list")]
    pub(super) scope_metrics: Vec<ScopeMetrics>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct ScopeMetrics {
    #[serde(deserialize_with = "list")]
    pub(super) metrics: Vec<Metric>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Metric {
    pub(super) gauge: Option<Data>,
    pub(super) sum: Option<Data>,
    pub(super) histogram: Option<Data>,
    pub(super) exponential_histogram: Option<Data>,
    pub(super) summary: Option<Data>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Data {
    #[serde(deserialize_with = "list")]
    pub(super) data_points: Vec<IgnoredAny>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct Resource {
    #[serde(deserialize_with = "list")]
    pub(super) attributes: Vec<KeyValue>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct Scope {
    #[serde(deserialize_with = "text")]
    pub(super) name: String,
    #[serde(deserialize_with = "text")]
    pub(super) version: String,
    #[serde(deserialize_with = "list")]
    pub(super) attributes: Vec<KeyValue>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct KeyValue {
    #[serde(deserialize_with = "text")]
    pub(super) key: String,
    pub(super) value: AnyValue,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Span {
    pub(super) trace_id: Hex<16>,
    pub(super) span_id: Hex<8>,
    pub(super) parent_span_id: Hex<8>,
    #[serde(deserialize_with = "text")]
    pub(super) trace_state: String,
    #[serde(deserialize_with = "unsigned")]
    pub(super) flags: u32,
    #[serde(deserialize_with = "text")]
    pub(super) name: String,
    #[serde(deserialize_with = "span_kind")]
    pub(super) kind: SpanKind,
    #[serde(deserialize_with = "wide")]
    pub(super) start_time_unix_nano: u64,
    #[serde(deserialize_with = "wide")]
    pub(super) end_time_unix_nano: u64,
    #[serde(deserialize_with = "list")]
    pub(super) attributes: Vec<KeyValue>,
    #[serde(deserialize_with = "unsigned")]
    pub(super) dropped_attributes_count: u32,
    #[serde(deserialize_with = "list")]
    pub(super) events: Vec<Event>,
    #[serde(deserialize_with = "list")]
    pub(super) links: Vec<Link>,
    pub(super) status: Option<Status>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct Status {
    #[serde(deserialize_with = "text")]
    pub(super) message: String,
    #[serde(deserialize_with = "status_code")]
    pub(super) code: u32,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Event {
    #[serde(deserialize_with = "wide")]
    pub(super) time_unix_nano: u64,
    #[serde(deserialize_with = "text")]
    pub(super) name: String,
    #[serde(deserialize_with = "list")]
    pub(super) attributes: Vec<KeyValue>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Link {
    pub(super) trace_id: Hex<16>,
    pub(super) span_id: Hex<8>,
    #[serde(deserialize_with = "list")]
    pub(super) attributes: Vec<KeyValue>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Log {
    #[serde(deserialize_with = "wide")]
    pub(super) time_unix_nano: u64,
    #[serde(deserialize_with = "wide")]
    pub(super) observed_time_unix_nano: u64,
    #[serde(deserialize_with = "severity")]
    pub(super) severity_number: u32,
    #[serde(deserialize_with = "text")]
    pub(super) severity_text: String,
    pub(super) body: AnyValue,
    #[serde(deserialize_with = "list")]
    pub(super) attributes: Vec<KeyValue>,
    #[serde(deserialize_with = "unsigned")]
    pub(super) dropped_attributes_count: u32,
    #[serde(deserialize_with = "unsigned")]
    pub(super) flags: u32,
    pub(super) trace_id: Hex<16>,
    pub(super) span_id: Hex<8>,
    #[serde(deserialize_with = "text")]
    pub(super) event_name: String,
}
