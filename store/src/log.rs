//! A log line as OpenTelemetry sends it.

use std::sync::Arc;

use crate::id::{SpanId, TraceId};
use crate::span::{Resource, Scope};
use crate::time::Timestamp;
use crate::value::{Attributes, Value};

/// A log line.
#[derive(Clone, PartialEq, Debug)]
pub struct Log {
    /// When it was written, by its service's clock; where that is unset, when it was observed.
    pub timestamp: Timestamp,
    /// OpenTelemetry's severity number, 0 (unset) to 24 (fatal).
    pub severity: u8,
    /// The severity as its library writes it.
    pub severity_text: String,
    /// What it says.
    pub body: Value,
    /// What else it says.
    pub attributes: Attributes,
    /// How many attributes its SDK dropped.
    pub dropped_attributes: u32,
    /// The trace it was written in.
    pub trace_id: Option<TraceId>,
    /// The span it was written in.
    pub span_id: Option<SpanId>,
    /// The event it is about (attribute `event.id`, `eventId` or the like).
    pub event_id: Option<String>,
    /// Trace flags, as sent.
    pub flags: u32,
    /// The OTLP event name, where it is set.
    pub event_name: String,
    /// Who sent it.
    pub resource: Arc<Resource>,
    /// Which library made it.
    pub scope: Arc<Scope>,
    /// Which one it is among logs of equal content in one request, from 0: two equal lines are two lines.
    pub ordinal: u32,
    /// When we received it, by our clock.
    pub received_at: Timestamp,
}

impl Log {
    /// The service that sent it.
    pub fn service(&self) -> &str {
        &self.resource.service
    }

    /// The severity in words: as sent, else by OpenTelemetry's ranges of the number; empty where unset.
    pub fn severity_name(&self) -> &str {
        if !self.severity_text.is_empty() {
            return &self.severity_text;
        }
        match self.severity {
            1..=4 => "TRACE",
            5..=8 => "DEBUG",
            9..=12 => "INFO",
            13..=16 => "WARN",
            17..=20 => "ERROR",
            21..=24 => "FATAL",
            _ => "",
        }
    }
}
