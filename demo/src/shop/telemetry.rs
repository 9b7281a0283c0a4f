//! A service's own OpenTelemetry SDK: its tracer provider and its logger provider, exporting to the OTLP endpoint.
//!
//! Each service has a pair of its own, as separate programs would; nothing is global. Where the endpoint doesn't
//! answer, spans and logs are dropped by the SDK's own bounded queues, and the shop goes on.

use std::{sync::Arc, time::Duration};

use opentelemetry::{
    Context, InstrumentationScope, KeyValue,
    logs::{AnyValue, LogRecord, Logger, LoggerProvider, Severity},
    trace::{SpanBuilder, Status, TraceContextExt, Tracer, TracerProvider},
};
use opentelemetry_otlp::{ExporterBuildError, LogExporter, SpanExporter, WithExportConfig};
use opentelemetry_sdk::{
    Resource,
    error::OTelSdkResult,
    logs::{BatchConfigBuilder as LogBatches, BatchLogProcessor, LogBatch, SdkLogger, SdkLoggerProvider},
    trace::{BatchConfigBuilder as SpanBatches, BatchSpanProcessor, SdkTracer, SdkTracerProvider, SpanData},
};

use super::outage::Outage;
use crate::DemoError;

/// How long a span or log waits for company before it is sent. The SDK's default of 5 s would leave a page that is
/// opened at once without spans.
const SCHEDULE_DELAY: Duration = Duration::from_millis(200);

/// How long one export may take; then its batch is dropped.
const EXPORT_TIMEOUT: Duration = Duration::from_secs(3);

/// How long a stopping service waits for its last spans and logs to be taken.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(2);

/// A service's tracer and logger.
#[derive(Debug)]
pub(crate) struct Telemetry {
    pub(crate) service: &'static str,
    tracers: SdkTracerProvider,
    tracer: SdkTracer,
    loggers: SdkLoggerProvider,
    logger: SdkLogger,
}

/// One line of a service's log.
pub(crate) struct Line<'a> {
    pub(crate) severity: Severity,
    pub(crate) event_id: Option<&'a str>,
    pub(crate) order_id: Option<&'a str>,
    pub(crate) body: String,
}

impl Telemetry {
    /// Must be called inside a Tokio runtime, which carries the connection.
    pub(crate) fn start(service: &'static str, otlp: &str, outage: &Arc<Outage>) -> Result<Telemetry, DemoError> {
        let wrong = |source: ExporterBuildError| DemoError::Otlp { endpoint: otlp.to_owned(), source };
        let spans = SpanExporter::builder()
            .with_tonic()
            .with_endpoint(otlp)
            .with_timeout(EXPORT_TIMEOUT)
            .build()
            .map_err(wrong)?;
        let logs = LogExporter::builder()
            .with_tonic()
            .with_endpoint(otlp)
            .with_timeout(EXPORT_TIMEOUT)
            .build()
            .map_err(wrong)?;
        let span_batches = SpanBatches::default().with_scheduled_delay(SCHEDULE_DELAY).build();
        let log_batches = LogBatches::default().with_scheduled_delay(SCHEDULE_DELAY).build();
        let resource = Resource::builder_empty()
            .with_service_name(service)
            .with_attribute(KeyValue::new("service.namespace", "shop"))
            .with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")))
            .with_attribute(KeyValue::new("service.instance.id", format!("{service}-1")))
            .build();
        let tracers = SdkTracerProvider::builder()
            .with_resource(resource.clone())
            .with_span_processor(
                BatchSpanProcessor::builder(Watched { exporter: spans, outage: Arc::clone(outage) })
                    .with_batch_config(span_batches)
                    .build(),
            )
            .build();
        let loggers = SdkLoggerProvider::builder()
            .with_resource(resource)
            .with_log_processor(
                BatchLogProcessor::builder(Watched { exporter: logs, outage: Arc::clone(outage) })
                    .with_batch_config(log_batches)
                    .build(),
            )
            .build();
        let scope = InstrumentationScope::builder("shop").with_version(env!("CARGO_PKG_VERSION")).build();
        let tracer = tracers.tracer_with_scope(scope.clone());
        let logger = loggers.logger_with_scope(scope);
        Ok(Telemetry { service, tracers, tracer, loggers, logger })
    }

    /// Starts a span below `parent`, or a trace of its own below an empty context. It ends with `.span().end()`, or
    /// when the last copy of the context is dropped.
    pub(crate) fn span(&self, span: SpanBuilder, parent: &Context) -> Context {
        parent.with_span(self.tracer.build_with_context(span, parent))
    }

    /// Writes a line of the service's log, tied to the span of the context.
    pub(crate) fn log(&self, context: &Context, line: Line<'_>) {
        let mut record = self.logger.create_log_record();
        record.set_severity_number(line.severity);
        record.set_severity_text(line.severity.name());
        record.set_timestamp(std::time::SystemTime::now());
        record.set_body(AnyValue::from(line.body));
        if let Some(event_id) = line.event_id {
            record.add_attribute("event.id", event_id.to_owned());
        }
        if let Some(order_id) = line.order_id {
            record.add_attribute("order.id", order_id.to_owned());
        }
        let span = context.span().span_context().clone();
        if span.is_valid() {
            record.set_trace_context(span.trace_id(), span.span_id(), Some(span.trace_flags()));
        }
        self.logger.emit(record);
    }

    /// Sends what is left and stops, in at most twice [`FLUSH_TIMEOUT`]. What the endpoint doesn't take by then is lost.
    pub(crate) async fn close(&self) {
        let (tracers, loggers) = (self.tracers.clone(), self.loggers.clone());
        let close = move || {
            let spans = tracers.shutdown_with_timeout(FLUSH_TIMEOUT);
            let logs = loggers.shutdown_with_timeout(FLUSH_TIMEOUT);
            spans.and(logs)
        };
        if let Ok(Err(error)) = tokio::task::spawn_blocking(close).await {
            tracing::debug!(service.name = self.service, "the last spans or logs were not taken: {error}");
        }
    }
}

/// Marks the span as failed, with the reason and the kind of error.
pub(crate) fn fail(context: &Context, error_type: &'static str, reason: String) {
    context.span().set_attribute(KeyValue::new("error.type", error_type));
    context.span().set_status(Status::error(reason));
}

/// An exporter that tells when the endpoint stops and starts answering. The SDK itself says nothing.
#[derive(Debug)]
struct Watched<E> {
    exporter: E,
    outage: Arc<Outage>,
}

impl<E> Watched<E> {
    fn saw(&self, result: OTelSdkResult) -> OTelSdkResult {
        match &result {
            Ok(()) => self.outage.worked(),
            Err(error) => self.outage.failed(error),
        };
        result
    }
}

impl opentelemetry_sdk::trace::SpanExporter for Watched<SpanExporter> {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        self.saw(self.exporter.export(batch).await)
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(timeout)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.exporter.set_resource(resource);
    }
}

impl opentelemetry_sdk::logs::LogExporter for Watched<LogExporter> {
    async fn export(&self, batch: LogBatch<'_>) -> OTelSdkResult {
        self.saw(self.exporter.export(batch).await)
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(timeout)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.exporter.set_resource(resource);
    }
}
