//! From a request to its answer: read, decoded, kept, and only then acknowledged.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{Request, Response};
use parking_lot::Mutex;
use serve::TimedBody;
use store::{Board, Checkpoint, Entry, SourceName, Store, StoreError, Timestamp};
use tokio::sync::Semaphore;
use tracing::{Instrument, debug, error, warn};

use super::admission::{Admission, Admitted};
use super::answer::{AnswerBody, Taken, Wire, answer};
use super::batch::Batch;
use super::forward::Forward;
use super::refusal::Refusal;
use super::wire::{Budget, DecodeError};
use super::{Allow, OWN_SERVICE, Signal, json, protobuf, request};
use crate::redact::Redactor;

/// What answers requests, on both ports.
pub(super) struct Endpoint {
    pub name: SourceName,
    pub store: Arc<dyn Store>,
    pub board: Arc<Board>,
    pub admission: Admission,
    /// As many as there are cores: more at once would only hold more memory.
    pub decoders: Arc<Semaphore>,
    pub forward: Option<Forward>,
    /// What takes out what nobody may read.
    pub redactor: Arc<Redactor>,
    /// When metrics' senders were last told that metrics are not kept.
    pub told_about_metrics: Mutex<Option<Instant>>,
    /// When it was last logged that requests are refused.
    pub logged_refusals: Mutex<Option<Instant>>,
}

/// A request that is larger, or compressed, is decoded on a thread of its own: the others must not wait for it.
/// This much takes a quarter of a millisecond.
const DECODE_HERE_BYTES: usize = 64 * 1024;

/// Decoded entries take about four bytes a byte of the request; a request that takes more is admitted for more.
const DECODED_PER_BYTE: usize = 4;

/// How often senders of metrics are told that metrics are not kept: often enough to be found in a log, too rarely to fill it.
const METRICS_NOTICE_EVERY: Duration = Duration::from_secs(3600);

/// How often it is logged that requests are refused; the board counts each.
const REFUSAL_LOG_EVERY: Duration = Duration::from_secs(60);

/// Metrics are taken, because default SDKs send them and would log errors; and they are not kept.
const METRICS_NOTICE: &str =
    "Sillage keeps no metrics: set OTEL_METRICS_EXPORTER=none, or send them elsewhere; this is told once an hour";

/// A request's own content, decoded or to be decoded.
struct Message {
    signal: Signal,
    json: bool,
    gzip: bool,
    bytes: Bytes,
}

impl Endpoint {
    /// Answers one request. `allow` decides about tokens; `None` lets everybody in.
    pub(super) async fn answer(&self, request: Request<TimedBody>, allow: Option<&Allow>) -> Response<AnswerBody> {
        let (parts, body) = request.into_parts();
        let wire = request::wire_of(&parts);
        let signal = Signal::of_path(parts.uri.path(), wire);
        let head = match request::head(&parts) {
            Ok(_) if allow.is_some_and(|allow| !allow(request::bearer(&parts.headers))) => {
                Err(Refusal::Unauthenticated)
            }
            head => head,
        };
        let outcome = match head {
            Ok(head) => self.take(head, body).await,
            Err(refusal) => {
                if wire != Wire::Grpc {
                    request::drain(body).await;
                }
                Err(refusal)
            }
        };
        if let Err(refusal) = &outcome {
            self.note(refusal);
        }
        answer(wire, signal, outcome)
    }

    async fn take(&self, head: request::Head, body: TimedBody) -> Result<Taken, Refusal> {
        let mut admitted = self.admission.enter();
        let body = request::body(body, head.wire, &mut admitted).await?;
        let (bytes, gzip) = match head.wire {
            Wire::Grpc => request::grpc_message(body, head.gzip)?,
            Wire::Protobuf | Wire::Json => (body, head.gzip),
        };
        let message = Message { signal: head.signal, json: head.wire == Wire::Json, gzip, bytes };
        let (message, batch, admitted) = self.decode(message, admitted).await?;
        let taken = self.outcome(head.signal, &batch);
        let received = batch.entries.len() as u64;
        if received > 0 {
            let span = receiving(head.signal, &batch);
            let kept = self.store.append(batch.entries, Checkpoint::none(self.name.clone())).instrument(span).await;
            if let Err(error) = kept {
                self.log_store_failure(&error);
                return Err(Refusal::of_store(&error));
            }
            self.board.amend(&self.name, |status| status.received += received);
        }
        if let Some(forward) = &self.forward
            && !message.bytes.is_empty()
        {
            forward.offer(message.signal, message.json, message.bytes);
        }
        drop(admitted);
        Ok(taken)
    }

    async fn decode(&self, message: Message, admitted: Admitted) -> Result<(Message, Batch, Admitted), Refusal> {
        let received_at = Timestamp::now();
        if !message.gzip && message.bytes.len() <= DECODE_HERE_BYTES {
            return decode(message, admitted, received_at, Arc::clone(&self.redactor));
        }
        let redactor = Arc::clone(&self.redactor);
        let turn = Arc::clone(&self.decoders).acquire_owned().await;
        let decoded = tokio::task::spawn_blocking(move || {
            let decoded = decode(message, admitted, received_at, redactor);
            drop(turn);
            decoded
        });
        decoded.await.unwrap_or_else(|panicked| {
            error!(%panicked, "decoding a request failed; please report this");
            Err(Refusal::Invalid("the request could not be decoded".to_owned()))
        })
    }

    /// What to tell the sender of something that is kept, and what to count as left out.
    fn outcome(&self, signal: Signal, batch: &Batch) -> Taken {
        if batch.rejected > 0 {
            self.board.count_refused("otlp_invalid_ids", batch.rejected);
            let message = "spans without a valid trace id and span id were left out".to_owned();
            return Taken { rejected: batch.rejected, message };
        }
        if signal != Signal::Metrics || batch.data_points == 0 || self.forward.is_some() {
            return Taken::default();
        }
        self.board.count_refused("otlp_metrics_not_kept", batch.data_points);
        if !due(&self.told_about_metrics, METRICS_NOTICE_EVERY) {
            return Taken::default();
        }
        // Nothing rejected, and a message: a warning, which SDKs log as such. A number would make them log an error each time.
        Taken { rejected: 0, message: METRICS_NOTICE.to_owned() }
    }

    fn note(&self, refusal: &Refusal) {
        self.board.count_refused(refusal.counted_as(), 1);
        if matches!(refusal, Refusal::Busy { .. }) && due(&self.logged_refusals, REFUSAL_LOG_EVERY) {
            warn!(reason = refusal.message(), "refusing OTLP requests for now; senders try again");
        } else {
            debug!(reason = refusal.message(), "refused an OTLP request");
        }
    }

    fn log_store_failure(&self, failure: &StoreError) {
        match failure {
            StoreError::Refused { .. } | StoreError::Closed => {}
            other => error!(error = other as &dyn std::error::Error, "the store could not keep what came by OTLP"),
        }
    }
}

/// A span for Sillage's own telemetry; none about receiving that.
fn receiving(signal: Signal, batch: &Batch) -> tracing::Span {
    let is_own = |entry: &Entry| match entry {
        Entry::Span(span) => span.resource.service == OWN_SERVICE,
        Entry::Log(log) => log.resource.service == OWN_SERVICE,
        Entry::Record(_) => false,
    };
    if batch.entries.iter().any(is_own) {
        return tracing::Span::none();
    }
    tracing::info_span!(
        target: "span",
        "receive",
        otel.name = format!("receive {}", signal.http_path()),
        otel.kind = "server",
        entries = batch.entries.len() as i64,
    )
}

/// Whether it is time to say something again.
fn due(last: &Mutex<Option<Instant>>, every: Duration) -> bool {
    let mut last = last.lock();
    let due = last.is_none_or(|last| last.elapsed() >= every);
    if due {
        *last = Some(Instant::now());
    }
    due
}

fn decode(
    mut message: Message,
    mut admitted: Admitted,
    received_at: Timestamp,
    redactor: Arc<Redactor>,
) -> Result<(Message, Batch, Admitted), Refusal> {
    if message.gzip {
        message.bytes = request::gunzip(&message.bytes, &mut admitted)?;
        message.gzip = false;
    }
    let (mut batch, mut budget) = (Batch::new(received_at, redactor), Budget::new());
    let bytes = &message.bytes;
    let decoded = match (message.signal, message.json) {
        (Signal::Traces, false) => protobuf::traces(bytes, &mut batch, &mut budget),
        (Signal::Logs, false) => protobuf::logs(bytes, &mut batch, &mut budget),
        (Signal::Metrics, false) => protobuf::metrics(bytes, &mut batch),
        (Signal::Traces, true) => json::traces(bytes, &mut batch, &mut budget),
        (Signal::Logs, true) => json::logs(bytes, &mut batch, &mut budget),
        (Signal::Metrics, true) => json::metrics(bytes, &mut batch, &mut budget),
    };
    decoded.map_err(|error| match error {
        DecodeError::Malformed(what) => Refusal::Invalid(what),
        DecodeError::TooLarge => Refusal::TooLarge(format!("the request can't be taken: {error}")),
    })?;
    if !admitted.grow_to(budget.spent() / DECODED_PER_BYTE) {
        return Err(Refusal::no_room());
    }
    Ok((message, batch, admitted))
}
