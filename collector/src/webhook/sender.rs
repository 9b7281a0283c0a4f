//! Sends to one webhook: takes what is due, calls, and writes down what came of it.

use std::collections::HashSet;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use store::alert::deliveries::Delivery;
use store::alert::webhook::{WebhookState, WebhookStatus};
use store::alert::{Attempt, Ended, Gone, Outbox};
use store::journal::LineKind;
use store::{Board, Journal, StoreError, Timestamp};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::breaker::Breaker;
use super::call::{Answer, call};
use super::format::{Telling, body};
use super::queue::{Next, Standing, next};
use super::target::Target;
use super::{BY, schedule};

/// How much may wait for one webhook. Beyond that the oldest is given up: who was down for days wants to know how it stands now.
const WAITING_MAX: usize = 300;

/// The longest sleep before we look again, so that a clock that was set is noticed.
const LOOK_EVERY: Duration = Duration::from_secs(30);

/// How long a webhook is let alone when what came of an attempt can't be written down: it would be told the same again and again.
const UNWRITTEN_REST: Duration = Duration::from_secs(60);

/// How long attempts that are on their way may take at the end. What isn't answered by then is told once more after the next start.
const STOP_WITHIN: Duration = Duration::from_secs(2);

/// The status by which a receiver says that it wants no more.
const GONE: u16 = 410;

/// What all senders share.
#[derive(Clone, Debug)]
pub struct Outgoing {
    pub journal: Journal,
    pub board: Arc<Board>,
    pub base: String,
}

/// Sends to one webhook.
#[derive(Debug)]
pub struct Sender {
    target: Arc<Target>,
    outgoing: Outgoing,
    breaker: Breaker,
    /// The groups of which one is on its way.
    busy: HashSet<String>,
    succeeded_at: Option<Timestamp>,
    /// What went wrong at the last attempt.
    error: Option<String>,
    counts: Counts,
}

/// What came of all that was sent since the start.
#[derive(Debug, Default)]
struct Counts {
    taken: u64,
    failed: u64,
    given_up: u64,
}

/// An attempt that was made.
struct Made {
    delivery: Arc<Delivery>,
    took: Duration,
    answer: Result<Answer, String>,
}

/// Attempts that are on their way.
type InFlight = FuturesUnordered<Pin<Box<dyn Future<Output = Made> + Send>>>;

impl Outgoing {
    /// Takes what is new in the journal.
    pub async fn catch_up(&self) -> Result<(), StoreError> {
        self.board.deliveries().catch_up(&self.journal).await
    }

    async fn write(&self, id: &str, lines: &[Outbox]) -> Result<(), StoreError> {
        for line in lines {
            self.journal.append(LineKind::Outbox, id, BY, line).await?;
        }
        self.catch_up().await
    }
}

impl Sender {
    pub fn new(target: Target, outgoing: Outgoing) -> Sender {
        let target = Arc::new(target);
        Sender {
            target,
            outgoing,
            breaker: Breaker::default(),
            busy: HashSet::new(),
            succeeded_at: None,
            error: None,
            counts: Counts::default(),
        }
    }

    /// Runs until `stop` is cancelled.
    pub async fn run(mut self, stop: CancellationToken) {
        let mut lines = self.outgoing.journal.watch();
        let mut in_flight = InFlight::new();
        loop {
            lines.borrow_and_update();
            let wake = match self.send_what_is_due(&mut in_flight).await {
                Ok(wake) => wake,
                Err(error) => {
                    tracing::error!(webhook = %self.target.name, %error, "what waits for a webhook can't be read or ended");
                    LOOK_EVERY
                }
            };
            tokio::select! {
                () = stop.cancelled() => break,
                Some(made) = in_flight.next() => self.settle(made).await,
                _ = lines.changed() => {}
                () = sleep(wake) => {}
            }
        }
        let settled = async {
            while let Some(made) = in_flight.next().await {
                self.settle(made).await;
            }
        };
        if timeout(STOP_WITHIN, settled).await.is_err() {
            tracing::info!(webhook = %self.target.name, "a webhook has not answered yet; it is told again after the next start");
        }
    }

    /// Sets on their way what is due and has room, and tells how long there is nothing more to do.
    async fn send_what_is_due(&mut self, in_flight: &mut InFlight) -> Result<Duration, StoreError> {
        self.outgoing.catch_up().await?;
        let deliveries = self.outgoing.board.deliveries().clone();
        let mut waiting = deliveries.waiting(&self.target.name);
        if self.is_gone() {
            self.post(WebhookState::Disabled);
            self.end(&waiting, Ended::Disabled).await?;
            return Ok(LOOK_EVERY);
        }
        if waiting.len() > WAITING_MAX {
            let oldest = &waiting[..waiting.len() - WAITING_MAX];
            tracing::warn!(webhook = %self.target.name, "more than {WAITING_MAX} notifications wait: the oldest are given up");
            self.outgoing.board.count_refused("webhook_queue_full", oldest.len() as u64);
            self.end(oldest, Ended::GaveUp).await?;
            waiting = deliveries.waiting(&self.target.name);
        }
        let now = Timestamp::now();
        let mut wake = LOOK_EVERY;
        while in_flight.len() < self.breaker.room() {
            let open_until = self.breaker.open_until(now);
            let standing = Standing { busy: &self.busy, succeeded_at: self.succeeded_at, open_until };
            match next(&waiting, &standing, now) {
                Next::Now(delivery) => {
                    self.busy.insert(delivery.notification.group.clone());
                    in_flight.push(Box::pin(attempt(self.target.clone(), self.outgoing.base.clone(), delivery)));
                }
                Next::At(at) => {
                    let nanos = u64::try_from(at.nanos_since(now)).unwrap_or(0);
                    wake = wake.min(Duration::from_nanos(nanos));
                    break;
                }
                Next::Nothing => break,
            }
        }
        self.post(self.breaker.open_until(now).map_or(WebhookState::Healthy, WebhookState::Open));
        Ok(wake)
    }

    /// Whether the receiver said 410 to this very configuration.
    fn is_gone(&self) -> bool {
        self.outgoing.board.deliveries().gone(&self.target.name).as_ref() == Some(&self.target.hash)
    }

    /// Ends what waits without another attempt, but for what is on its way.
    async fn end(&mut self, waiting: &[Arc<Delivery>], ended: Ended) -> Result<(), StoreError> {
        for delivery in waiting.iter().filter(|delivery| !self.busy.contains(&delivery.notification.group)) {
            self.outgoing.write(&delivery.id, &[Outbox::Ended(ended)]).await?;
            self.counts.given_up += 1;
        }
        Ok(())
    }

    /// Writes down what came of an attempt.
    async fn settle(&mut self, made: Made) {
        let now = Timestamp::now();
        let Made { delivery, took, answer } = made;
        self.busy.remove(&delivery.notification.group);
        let (status, says, rest) = match answer {
            Ok(answer) => (Some(answer.status), answer.says, answer.rest),
            Err(why) => (None, why, None),
        };
        let is_taken = status.is_some_and(|status| (200..300).contains(&status));
        if is_taken {
            self.breaker.succeeded();
            self.counts.taken += 1;
            self.succeeded_at = Some(now);
            self.error = None;
        } else {
            self.breaker.failed(now, rest);
            self.counts.failed += 1;
            self.error = Some(status.map_or_else(|| says.clone(), |status| format!("it answered {status}")));
        }
        let is_gone = status == Some(GONE);
        let next_at =
            if is_taken || is_gone { None } else { schedule::next(delivery.asked_at, now, rest, rand::random()) };
        let number = delivery.n_attempts() + 1;
        let took_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
        let mut lines = vec![Outbox::Attempted(Attempt {
            number,
            took_ms,
            status,
            says,
            next_at: next_at.map(|at| at.to_string()),
        })];
        let (webhook, id) = (&self.target.name, &delivery.id);
        let error = self.error.as_deref().unwrap_or_default();
        match (is_taken, is_gone, next_at) {
            (true, ..) => lines.push(Outbox::Ended(Ended::Delivered)),
            (_, true, _) => {
                tracing::warn!(%webhook, "its receiver said 410, so it is told nothing more until it is configured otherwise");
                lines.push(Outbox::Gone(Gone { webhook: webhook.clone(), target: self.target.hash.clone() }));
                lines.push(Outbox::Ended(Ended::Disabled));
                self.counts.given_up += 1;
            }
            (_, _, Some(next_at)) => tracing::warn!(%webhook, %id, %next_at, "a webhook was not told: {error}"),
            (_, _, None) => {
                tracing::error!(%webhook, %id, "a webhook was not told, and won't be: {error}");
                lines.push(Outbox::Ended(Ended::GaveUp));
                self.counts.given_up += 1;
            }
        }
        if let Err(error) = self.outgoing.write(id, &lines).await {
            tracing::error!(%webhook, %id, %error, "what came of a notification can't be written down, so it is sent again");
            self.breaker.failed(now, Some(UNWRITTEN_REST));
        }
    }

    fn post(&self, state: WebhookState) {
        self.outgoing.board.post_webhook(WebhookStatus {
            name: self.target.name.clone(),
            format: self.target.format.as_str(),
            host: self.target.shown(),
            state,
            succeeded_at: self.succeeded_at,
            error: self.error.clone(),
            taken: self.counts.taken,
            failed: self.counts.failed,
            given_up: self.counts.given_up,
        });
    }
}

async fn attempt(target: Arc<Target>, base: String, delivery: Arc<Delivery>) -> Made {
    let began = Instant::now();
    let telling = Telling { id: &delivery.id, notification: &delivery.notification, base: &base };
    let answer = call(&target, &delivery.id, &body(&target, telling), Timestamp::now()).await;
    Made { took: began.elapsed(), answer, delivery }
}
