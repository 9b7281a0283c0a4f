//! Sends dead letters back: does what people wrote into the journal, and writes there what came of it.
//!
//! ```text
//! loop {
//!     redrives = journal                                        // what people want, and how far it is
//!     look at the target for what may have been sent            // an intent without an outcome: Job::resolve
//!     plan some -> note in the journal where they go -> send -> note what became of them   // Job::send
//! }
//! ```
//!
//! **Each message is at its target exactly once**, over kill -9 too, for readers of uncommitted records as well: before anything is sent, the
//! journal has its partition and where that partition ended. An intent without an outcome is resolved by waiting until nothing that was
//! sent then can arrive any more ([`SETTLED_AFTER`]), and reading that partition from the noted end on, for the header that names the message.
//! No transaction would do: many consumers read uncommitted.
//!
//! Off unless `[redrive] enabled = true`. This is the one part of Sillage that writes to a broker.

pub mod broker; // what it needs of a cluster
mod job; // one redrive, a batch at a time
mod message; // one message: planned, its bytes exact, its receivers confirmed
mod pace; // how many a second

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use store::dead_letters::Dismissals;
use store::redrive::{Config, Edits, Redrives};
use store::{Board, Journal, SourceName, Store};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use broker::Broker;
use job::{Job, Settling, Step};
use pace::Pace;

/// How long a producer tries to send one message. Short: what isn't acknowledged by then is looked for at its target.
pub const DELIVERY_TIMEOUT: Duration = Duration::from_secs(5);

/// After so long nothing arrives any more of what a producer sent that is gone: its own time, and some for what brokers hold in their queues.
pub const SETTLED_AFTER: Duration = Duration::from_secs(6);

/// After so many batches in a row of which nobody knows whether they arrived it pauses: somebody should look at the broker first.
const UNSURE_MAX: u32 = 5;

/// How long it waits where nothing can be done just now, and for news from the journal at most.
const LOOK_AGAIN: Duration = Duration::from_millis(500);

/// What redriving needs.
pub struct Setup {
    /// `[redrive]`.
    pub config: Config,
    /// Where dead letters and their origins are kept.
    pub store: Arc<dyn Store>,
    /// Where people say what is to be sent.
    pub journal: Journal,
    /// Which topics there are, and how far groups are; and where it says what it waits for.
    pub board: Arc<Board>,
    /// The clusters, by the names of their sources.
    pub brokers: BTreeMap<SourceName, Arc<dyn Broker>>,
    /// Cancelled when it is to stop.
    pub stop: CancellationToken,
}

/// How often edits are looked for whose dead letters are not kept any more.
const SWEEP_EVERY: Duration = Duration::from_secs(600);

/// Starts it, where it is enabled, and what keeps edits no longer than their dead letters, in any case. Both tasks end after `stop` is
/// cancelled.
pub fn start(setup: Setup) -> Vec<JoinHandle<()>> {
    let sweeping = sweep(Edits::beside(&setup.journal), setup.store.clone(), setup.stop.clone());
    let mut tasks = vec![tokio::spawn(sweeping)];
    if !setup.config.enabled {
        return tasks;
    }
    let redriving = Redriving {
        setup,
        redrives: Redrives::default(),
        dismissals: Dismissals::default(),
        paces: HashMap::new(),
        settling: HashMap::new(),
        since_start: Settling { since: Instant::now(), why: "Sillage was started again".to_owned(), in_a_row: 0 },
    };
    tasks.push(tokio::spawn(redriving.run()));
    tasks
}

/// Removes edits with their dead letters.
async fn sweep(edits: Edits, store: Arc<dyn Store>, stop: CancellationToken) {
    while !stop.is_cancelled() {
        if let Err(error) = edits.sweep(&*store, None).await {
            tracing::warn!(error = &error as &dyn std::error::Error, "edited messages can't be looked through");
        }
        tokio::select! {
            () = stop.cancelled() => {}
            () = tokio::time::sleep(SWEEP_EVERY) => {}
        }
    }
}

/// All redrives at work.
struct Redriving {
    setup: Setup,
    redrives: Redrives,
    /// None: what was dismissed may be sent back all the same, where somebody asked for it.
    dismissals: Dismissals,
    /// How fast each redrive goes since it began, or since the start.
    paces: HashMap<String, Pace>,
    /// Since when nothing more is sent of what nobody knows whether it was; where nothing stands here, since the start.
    settling: HashMap<String, Settling>,
    since_start: Settling,
}

impl Redriving {
    async fn run(mut self) {
        let mut news = self.setup.journal.watch();
        while !self.setup.stop.is_cancelled() {
            news.borrow_and_update();
            let wait = match self.redrives.catch_up(&self.setup.journal).await {
                Ok(()) => self.step().await,
                Err(error) => {
                    tracing::error!(
                        error = &error as &dyn std::error::Error,
                        "the journal can't be read: nothing is redriven"
                    );
                    LOOK_AGAIN
                }
            };
            tokio::select! {
                () = self.setup.stop.cancelled() => {}
                _ = news.changed() => {}
                () = tokio::time::sleep(wait) => {}
            }
        }
    }

    /// Does the next thing of the oldest redrive that can go on: one at a time. Says how long to wait then.
    async fn step(&mut self) -> Duration {
        let mut all = self.redrives.all();
        all.reverse();
        for redrive in all.into_iter().filter(|redrive| !redrive.is_closed) {
            let id = redrive.id.clone();
            let pace = self.paces.entry(id.clone()).or_insert_with(|| Pace::new(Instant::now()));
            if !matches!(redrive.course, store::redrive::ledger::Course::Going) {
                // Resumed, it begins slowly again.
                *pace = Pace::new(Instant::now());
            }
            let settling = self.settling.get(&id).unwrap_or(&self.since_start);
            let job =
                Job { setup: &self.setup, redrives: &self.redrives, dismissals: &self.dismissals, redrive: &redrive };
            let outcome = job.step(pace, settling).await;
            let waits = match &outcome {
                Ok(Step::Waits(why)) => Some(why.clone()),
                Ok(_) => None,
                Err(error) => Some(crate::source::with_causes(error)),
            };
            self.setup.board.post_redrive_waits(&id, waits);
            match outcome {
                Ok(Step::Done) => return Duration::ZERO,
                Ok(Step::Sent) => {
                    self.settling.remove(&id);
                    return Duration::ZERO;
                }
                Ok(Step::Unsure(why)) => {
                    let in_a_row = settling.in_a_row + 1;
                    if in_a_row.is_multiple_of(UNSURE_MAX)
                        && let Err(error) =
                            job.pause(format!("{in_a_row} batches in a row were not acknowledged: {why}")).await
                    {
                        tracing::warn!(error = &error as &dyn std::error::Error, "redrive {id} can't be paused");
                    }
                    self.settling.insert(id, Settling { since: Instant::now(), why, in_a_row });
                    return Duration::ZERO;
                }
                Ok(Step::Later(until)) => return until,
                Ok(Step::Closed) => {
                    self.paces.remove(&id);
                    self.settling.remove(&id);
                }
                Ok(Step::Nothing | Step::Waits(_)) => {}
                Err(error) => {
                    tracing::warn!(
                        error = &error as &dyn std::error::Error,
                        "redrive {id} waits: the store or the journal fails"
                    );
                }
            }
        }
        LOOK_AGAIN
    }
}

#[cfg(test)]
mod tests;
