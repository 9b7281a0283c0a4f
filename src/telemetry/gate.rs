//! How much may wait to be sent: what is more is dropped and counted, so that nothing ever waits for an endpoint that doesn't answer.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use opentelemetry::{Context, InstrumentationScope};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::logs::{LogProcessor, SdkLogRecord};
use opentelemetry_sdk::trace::{Span, SpanData, SpanProcessor};
use store::Board;

use super::QUEUE_MAX;

/// What becomes of spans and of log lines.
#[derive(Clone, Default, Debug)]
pub struct Fate {
    /// Of spans.
    pub spans: Arc<Counts>,
    /// Of log lines.
    pub logs: Arc<Counts>,
    /// Whether it was said that the endpoint doesn't take them.
    complained: Arc<AtomicBool>,
}

/// How many wait, and how many are lost.
#[derive(Default, Debug)]
pub struct Counts {
    waiting: AtomicU64,
    lost: AtomicU64,
}

impl Counts {
    fn waiting(&self) -> u64 {
        self.waiting.load(Ordering::Relaxed)
    }

    /// How many were dropped because too many waited, or were not taken.
    fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }

    /// Lets one more wait, or loses it.
    fn enter(&self) -> bool {
        let has_room = self.waiting.fetch_add(1, Ordering::Relaxed) < QUEUE_MAX as u64;
        if !has_room {
            self.waiting.fetch_sub(1, Ordering::Relaxed);
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
        has_room
    }
}

impl Fate {
    /// Puts up on the board how many wait, and how many are lost.
    pub fn tell(&self, board: &Board) {
        for (kind, queue, counts) in [
            ("telemetry_spans_lost", "own spans to be sent", &self.spans),
            ("telemetry_logs_lost", "own log lines to be sent", &self.logs),
        ] {
            let (lost, waiting) = (Arc::clone(counts), Arc::clone(counts));
            board.refused_by(kind, move || lost.lost());
            board.queue(queue, move || waiting.waiting());
        }
    }

    /// So many of one kind were sent, or could not be.
    pub fn sent(&self, counts: &Counts, many: usize, result: &OTelSdkResult) {
        counts.waiting.fetch_sub(many as u64, Ordering::Relaxed);
        match result {
            Ok(()) => {
                if self.complained.swap(false, Ordering::Relaxed) {
                    tracing::info!("Sillage's own spans and logs are taken again");
                }
            }
            Err(error) => {
                counts.lost.fetch_add(many as u64, Ordering::Relaxed);
                if !self.complained.swap(true, Ordering::Relaxed) {
                    tracing::warn!(
                        "[telemetry] endpoint doesn't take Sillage's own spans and logs: {error}; they are dropped and counted"
                    );
                }
            }
        }
    }
}

/// What hands spans or log lines over to a processor, as long as not too many wait.
#[derive(Debug)]
pub struct Gate<P> {
    processor: P,
    counts: Arc<Counts>,
}

impl<P> Gate<P> {
    /// Before a processor with a queue of [`QUEUE_MAX`].
    pub fn new(processor: P, counts: &Arc<Counts>) -> Gate<P> {
        Gate { processor, counts: Arc::clone(counts) }
    }
}

impl<P: SpanProcessor> SpanProcessor for Gate<P> {
    fn on_start(&self, span: &mut Span, context: &Context) {
        self.processor.on_start(span, context);
    }

    fn on_end(&self, span: SpanData) {
        if self.counts.enter() {
            self.processor.on_end(span);
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.processor.force_flush()
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.processor.shutdown_with_timeout(timeout)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.processor.set_resource(resource);
    }
}

impl<P: LogProcessor> LogProcessor for Gate<P> {
    fn emit(&self, record: &mut SdkLogRecord, scope: &InstrumentationScope) {
        if self.counts.enter() {
            self.processor.emit(record, scope);
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.processor.force_flush()
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.processor.shutdown_with_timeout(timeout)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.processor.set_resource(resource);
    }
}

#[cfg(test)]
mod tests {
    use opentelemetry_sdk::error::OTelSdkError;

    use super::*;

    #[test]
    fn what_has_no_room_and_what_is_not_taken_is_lost_and_counted_and_the_rest_has_room_again() {
        let fate = Fate::default();
        let entered = (0..QUEUE_MAX + 10).filter(|_| fate.spans.enter()).count();
        assert_eq!((entered, fate.spans.waiting(), fate.spans.lost()), (QUEUE_MAX, QUEUE_MAX as u64, 10));
        fate.sent(&fate.spans, 512, &Ok(()));
        assert!(fate.spans.enter());
        fate.sent(&fate.spans, 512, &Err(OTelSdkError::InternalFailure("refused".to_owned())));
        assert_eq!((fate.spans.waiting(), fate.spans.lost()), (QUEUE_MAX as u64 - 1_023, 522));
        assert_eq!((fate.logs.waiting(), fate.logs.lost()), (0, 0));
    }
}
