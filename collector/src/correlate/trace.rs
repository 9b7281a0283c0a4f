//! The trace context that a record carries, in every format that tracers write into messages.
//!
//! Each format is a row: the headers it is made of and how they are read. The first row that gives a context wins; one that
//! is there but can't be read is told as a problem, and the next row is tried.

use std::sync::{Arc, LazyLock};

use foldhash::HashMap;
use serde::Deserialize;
use store::record::{Header, TraceContext};
use store::{SpanId, TraceId};

use crate::correlate::header;

/// What was found.
#[derive(Debug, Default)]
pub struct Traced {
    /// The trace context.
    pub context: Option<TraceContext>,
    /// What was there and can't be read, in words.
    pub problem: Option<String>,
}

/// One header of a format.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
enum Slot {
    Traceparent,
    MassTransitActivity,
    B3,
    B3TraceId,
    B3SpanId,
    Jaeger,
    OpenTracingTraceId,
    OpenTracingSpanId,
    DatadogTraceId,
    DatadogParentId,
    DatadogTags,
    DatadogJson,
    XRay,
    Wolverine,
}

const SLOTS: usize = Slot::Wolverine as usize + 1;

/// Names as they are written; they are compared without regard to case.
const NAMES: [(&str, Slot); SLOTS + 1] = [
    ("traceparent", Slot::Traceparent),
    ("MT-Activity-Id", Slot::MassTransitActivity),
    ("b3", Slot::B3),
    ("X-B3-TraceId", Slot::B3TraceId),
    ("X-B3-SpanId", Slot::B3SpanId),
    ("uber-trace-id", Slot::Jaeger),
    ("ot-tracer-traceid", Slot::OpenTracingTraceId),
    ("ot-tracer-spanid", Slot::OpenTracingSpanId),
    ("x-datadog-trace-id", Slot::DatadogTraceId),
    ("x-datadog-parent-id", Slot::DatadogParentId),
    ("x-datadog-tags", Slot::DatadogTags),
    ("_datadog", Slot::DatadogJson),
    ("AWSTraceHeader", Slot::XRay),
    ("X-Amzn-Trace-Id", Slot::XRay),
    ("parent-id", Slot::Wolverine),
];

/// What a format's headers give: ids, nothing (only a sampling decision), or something that can't be read.
enum Reading {
    Ids(TraceId, Option<SpanId>),
    NoIds,
    Wrong,
}

/// One format, in the order of precedence (W3C first, because tracers that write several write that one too).
struct Format {
    slot: Slot,
    read: fn(&str, &Found<'_>) -> Reading,
}

const FORMATS: [Format; 10] = [
    Format { slot: Slot::Traceparent, read: |text, _| w3c(text) },
    Format { slot: Slot::MassTransitActivity, read: |text, _| w3c(text) },
    Format { slot: Slot::B3, read: |text, _| b3_single(text) },
    Format { slot: Slot::B3TraceId, read: |text, found| padded(text, found.text(Slot::B3SpanId)) },
    Format { slot: Slot::Jaeger, read: |text, _| jaeger(text) },
    Format { slot: Slot::OpenTracingTraceId, read: |text, found| padded(text, found.text(Slot::OpenTracingSpanId)) },
    Format {
        slot: Slot::DatadogTraceId,
        read: |text, found| datadog(text, found.text(Slot::DatadogParentId), found.text(Slot::DatadogTags)),
    },
    Format { slot: Slot::DatadogJson, read: |text, _| datadog_json(text) },
    Format { slot: Slot::XRay, read: |text, _| x_ray(text) },
    // Wolverine writes .NET's Activity.Id there; others may write anything: what is no traceparent is no problem.
    Format {
        slot: Slot::Wolverine,
        read: |text, _| match w3c(text) {
            Reading::Wrong => Reading::NoIds,
            reading => reading,
        },
    },
];

#[derive(Default)]
struct Found<'a> {
    headers: [Option<&'a Header>; SLOTS],
}

impl<'a> Found<'a> {
    fn text(&self, slot: Slot) -> Option<&'a str> {
        header::text(self.headers[slot as usize]?)
    }
}

static SLOT_BY_NAME: LazyLock<HashMap<String, Slot>> =
    LazyLock::new(|| NAMES.iter().map(|(name, slot)| (name.to_ascii_lowercase(), *slot)).collect());

/// Reads the trace context out of a record's headers. Where a header repeats, the last occurrence counts: tracers replace, and what is added later is newer.
pub fn read(headers: &[Header]) -> Traced {
    let mut found = Found::default();
    let mut any = false;
    let mut room = header::room();
    for header in headers {
        if header.value.is_some()
            && let Some(slot) = header::lowered(&header.name, &mut room).and_then(|name| SLOT_BY_NAME.get(name))
        {
            found.headers[*slot as usize] = Some(header);
            any = true;
        }
    }
    let mut traced = Traced::default();
    if !any {
        return traced;
    }
    for format in &FORMATS {
        let Some(header) = found.headers[format.slot as usize] else { continue };
        let Some(value) = header.value.as_deref() else { continue };
        let reading = match std::str::from_utf8(value) {
            Ok(text) => (format.read)(text.trim(), &found),
            Err(_) => Reading::Wrong,
        };
        match reading {
            Reading::Ids(trace_id, span_id) => {
                let found_in: Arc<str> = header.name.as_str().into();
                traced.context = Some(TraceContext { trace_id, span_id, found_in });
                return traced;
            }
            Reading::NoIds => {}
            Reading::Wrong => {
                let shown = String::from_utf8_lossy(&value[..value.len().min(SHOWN_BYTES_MAX)]);
                let problem = format!("header `{}` holds no trace context: `{}`", header.name, shown.escape_debug());
                traced.problem.get_or_insert(problem);
            }
        }
    }
    traced
}

/// How much of a value that can't be read is shown, in bytes: one line, longer than any that could be.
const SHOWN_BYTES_MAX: usize = 100;

/// A trace id that a body names: 32 or 16 hex digits, a UUID, or a whole traceparent (Dapr's `traceid` holds one).
pub fn in_body(text: &str) -> Option<(TraceId, Option<SpanId>)> {
    match w3c(text.trim()) {
        Reading::Ids(trace_id, span_id) => Some((trace_id, span_id)),
        Reading::NoIds | Reading::Wrong => TraceId::from_lenient(text).map(|trace_id| (trace_id, None)),
    }
}

/// `00-<32 hex>-<16 hex>-<2 hex>`; a later version is read by its first four fields, `ff` is forbidden
/// (w3c/trace-context : spec/20-http_request_header_format.md).
fn w3c(text: &str) -> Reading {
    let parts: Vec<&str> = text.split('-').take(6).collect();
    let (version, trace, span, flags, more) = match *parts.as_slice() {
        [version, trace, span, flags] => (version, trace, span, flags, false),
        [version, trace, span, flags, ..] => (version, trace, span, flags, true),
        _ => return Reading::Wrong,
    };
    let hex = |text: &str| text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    if !hex(version) || !hex(flags) || version.eq_ignore_ascii_case("ff") || (version == "00" && more) {
        return Reading::Wrong;
    }
    match (trace.parse(), span.parse()) {
        (Ok(trace_id), Ok(span_id)) => Reading::Ids(trace_id, Some(span_id)),
        _ => Reading::Wrong,
    }
}

/// `<trace>-<span>[-<sampled>[-<parent>]]`, or a sampling decision alone (openzipkin/brave : B3SingleFormat.java).
fn b3_single(text: &str) -> Reading {
    if matches!(text, "0" | "1" | "d") {
        return Reading::NoIds;
    }
    let parts: Vec<&str> = text.split('-').take(5).collect();
    match *parts.as_slice() {
        [trace, span] | [trace, span, _] | [trace, span, _, _]
            if matches!(trace.len(), 16 | 32) && span.len() == 16 =>
        {
            padded(trace, Some(span))
        }
        _ => Reading::Wrong,
    }
}

/// Hexadecimal ids whose leading zeros may be missing.
fn padded(trace: &str, span: Option<&str>) -> Reading {
    if trace.is_empty() || trace.len() > 32 || !trace.is_ascii() {
        return Reading::Wrong;
    }
    let Ok(trace_id) = format!("{trace:0>32}").parse() else { return Reading::Wrong };
    let span_id =
        span.filter(|span| span.len() <= 16 && span.is_ascii()).and_then(|span| format!("{span:0>16}").parse().ok());
    Reading::Ids(trace_id, span_id)
}

/// `<trace>:<span>:<parent>:<flags>`, perhaps percent-encoded as a whole (opentelemetry-java : JaegerPropagator.java).
fn jaeger(text: &str) -> Reading {
    let text = header::percent_decoded(text);
    let parts: Vec<&str> = text.split(':').take(5).collect();
    match *parts.as_slice() {
        [trace, span, _, _] => padded(trace, Some(span)),
        _ => Reading::Wrong,
    }
}

/// The low half of the trace id and the span id in decimal; the high half in the tag `_dd.p.tid`
/// (dd-trace-java : propagation/DatadogHttpCodec.java).
fn datadog(trace: &str, span: Option<&str>, tags: Option<&str>) -> Reading {
    let Ok(low) = trace.parse::<u64>() else { return Reading::Wrong };
    let high = tags
        .and_then(|tags| tags.split(',').find_map(|tag| tag.trim().strip_prefix("_dd.p.tid=")))
        .and_then(|high| u64::from_str_radix(high, 16).ok())
        .unwrap_or(0);
    let whole = (u128::from(high) << 64) | u128::from(low);
    let Some(trace_id) = TraceId::from_bytes(&whole.to_be_bytes()) else { return Reading::Wrong };
    let span_id =
        span.and_then(|span| span.parse::<u64>().ok()).and_then(|span| SpanId::from_bytes(&span.to_be_bytes()));
    Reading::Ids(trace_id, span_id)
}

/// One attribute that holds Datadog's headers as a JSON object, on SQS and SNS (dd-trace-java : MessageAttributeInjector.java).
fn datadog_json(text: &str) -> Reading {
    #[derive(Deserialize)]
    struct Inner {
        #[serde(rename = "x-datadog-trace-id")]
        trace: Option<String>,
        #[serde(rename = "x-datadog-parent-id")]
        span: Option<String>,
        #[serde(rename = "x-datadog-tags")]
        tags: Option<String>,
        traceparent: Option<String>,
    }
    let Ok(inner) = serde_json::from_str::<Inner>(text) else { return Reading::Wrong };
    match (inner.traceparent, inner.trace) {
        (Some(traceparent), _) => w3c(&traceparent),
        (None, Some(trace)) => datadog(&trace, inner.span.as_deref(), inner.tags.as_deref()),
        (None, None) => Reading::NoIds,
    }
}

/// `Root=1-<8 hex>-<24 hex>;Parent=<16 hex>;Sampled=<0|1>`.
fn x_ray(text: &str) -> Reading {
    let part = |name: &str| text.split(';').find_map(|part| part.trim().strip_prefix(name));
    let Some(root) = part("Root=") else { return Reading::Wrong };
    let parts: Vec<&str> = root.split('-').take(4).collect();
    match *parts.as_slice() {
        [_, seconds, unique] if seconds.len() == 8 && unique.len() == 24 => {
            padded(&format!("{seconds}{unique}"), part("Parent="))
        }
        _ => Reading::Wrong,
    }
}

#[cfg(test)]
mod tests;
