//! Sillage's own traces and logs, sent to any OTLP endpoint.
//!
//! ```text
//! spans (target `span`), our log lines --Gate, at most QUEUE_MAX--> SDK's batches --Watched--> OTLP over gRPC or HTTP
//! ```
//! It must never feed itself: only what Sillage's own crates tell is sent, nothing of the libraries that send it; its own OTLP ports are
//! refused as an endpoint; and no span is made of receiving and keeping what a Sillage sent (`collector::otlp::OWN_SERVICE`).

mod config; // `[telemetry]`
mod exporter; // OTLP over gRPC or HTTP
mod gate; // how much may wait, and what is lost
mod http; // the HTTP client
mod traced; // what the store takes of a trace

use std::time::Duration;

use anyhow::Context;
use opentelemetry::KeyValue;
use opentelemetry::trace::TracerProvider;
use opentelemetry_appender_tracing::layer::OpenTelemetryTracingBridge;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::logs::{BatchConfigBuilder as LogBatches, BatchLogProcessor, SdkLoggerProvider};
use opentelemetry_sdk::trace::{BatchConfigBuilder as SpanBatches, BatchSpanProcessor, Sampler, SdkTracerProvider};
use tokio::runtime::Handle;
use tracing::Subscriber;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::registry::LookupSpan;

use self::gate::Gate;

pub use self::config::Config;
pub use self::gate::Fate;
pub use self::traced::Traced;

/// How many spans wait to be sent at the most, and how many log lines: about ten seconds of a busy console, a few megabytes.
const QUEUE_MAX: usize = 2_048;

/// How many are sent at once: what the SDK takes by default.
const BATCH_MAX: usize = 512;

/// How long they wait for company.
const SCHEDULE_DELAY: Duration = Duration::from_secs(1);

/// How long the last ones may take when Sillage stops: everything together has five seconds.
const FLUSH_TIMEOUT: Duration = Duration::from_millis(500);

/// The target of the spans that are made for this.
const SPANS: &str = "span";

/// Whose log lines are sent.
const OURS: [&str; 6] = ["sillage", "collector", "store", "web", "serve", "demo"];

/// What sends, until it is closed.
#[derive(Debug)]
pub struct Telemetry {
    tracers: SdkTracerProvider,
    loggers: SdkLoggerProvider,
    fate: Fate,
}

impl Telemetry {
    /// Gets ready to send; `None` where no endpoint is configured. The runtime carries the connections.
    pub fn start(config: &Config, runtime: &Handle) -> anyhow::Result<Option<Telemetry>> {
        let Some(address) = config.address().map_err(anyhow::Error::msg)? else { return Ok(None) };
        let _inside = runtime.enter();
        let fate = Fate::default();
        let (spans, logs) = exporter::build(&address, &config.reveal().map_err(anyhow::Error::msg)?, &fate)
            .with_context(|| format!("[telemetry] endpoint = \"{address}\" can't be sent to"))?;
        let resource = Resource::builder_empty()
            .with_service_name(collector::otlp::OWN_SERVICE)
            .with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")))
            .with_attribute(KeyValue::new("service.instance.id", instance()))
            .build();
        let batches = SpanBatches::default()
            .with_max_queue_size(QUEUE_MAX)
            .with_max_export_batch_size(BATCH_MAX)
            .with_scheduled_delay(SCHEDULE_DELAY);
        let spans = BatchSpanProcessor::builder(spans).with_batch_config(batches.build()).build();
        let tracers = SdkTracerProvider::builder()
            .with_resource(resource.clone())
            .with_sampler(Sampler::ParentBased(Box::new(Sampler::TraceIdRatioBased(config.sample_ratio))))
            .with_span_processor(Gate::new(spans, &fate.spans))
            .build();
        let batches = LogBatches::default()
            .with_max_queue_size(QUEUE_MAX)
            .with_max_export_batch_size(BATCH_MAX)
            .with_scheduled_delay(SCHEDULE_DELAY);
        let logs = BatchLogProcessor::builder(logs).with_batch_config(batches.build()).build();
        let loggers = SdkLoggerProvider::builder()
            .with_resource(resource)
            .with_log_processor(Gate::new(logs, &fate.logs))
            .build();
        Ok(Some(Telemetry { tracers, loggers, fate }))
    }

    /// What hands spans and log lines over.
    pub fn layer<S>(&self) -> impl Layer<S> + use<S>
    where
        S: Subscriber + for<'a> LookupSpan<'a>,
    {
        let spans = tracing_opentelemetry::layer()
            .with_tracer(self.tracers.tracer(collector::otlp::OWN_SERVICE))
            .with_location(false)
            .with_threads(false)
            .with_tracked_inactivity(false)
            .with_target(false)
            .with_level(false)
            .with_filter(Targets::new().with_target(SPANS, LevelFilter::INFO));
        let logs = OpenTelemetryTracingBridge::new(&self.loggers)
            .with_filter(Targets::new().with_targets(OURS.map(|crate_name| (crate_name, LevelFilter::INFO))));
        spans.and_then(logs)
    }

    /// What became of all that was told.
    pub fn fate(&self) -> &Fate {
        &self.fate
    }

    /// Sends what is left, in at most twice [`FLUSH_TIMEOUT`]; the runtime must still be there.
    pub fn close(self) {
        let spans = self.tracers.shutdown_with_timeout(FLUSH_TIMEOUT);
        let logs = self.loggers.shutdown_with_timeout(FLUSH_TIMEOUT);
        if let Err(error) = spans.and(logs) {
            tracing::debug!("the last of our own spans or logs were not taken: {error}");
        }
    }
}

/// Tells this run from others: the process, and where it runs.
fn instance() -> String {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    format!("{}:{}", host.trim(), std::process::id())
}
