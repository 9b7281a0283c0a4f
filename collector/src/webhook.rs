//! `[[webhook]]`: who is told of alerts. What is to be told stands in the journal before anything is sent, and so does every attempt after it:
//! a kill between the decision and the sending loses nothing, and the id tells the receiver of what comes twice.
//!
//! ```text
//! journal (Outbox::Told) --Deliveries--> queue::next --call--> receiver
//!    ^-- Outbox::Attempted, Outbox::Ended --------------------------|
//! ```
//! Each webhook has a task of its own, so that a slow one holds back no other. Nothing else is decided here: what is told, and when, is
//! written down by whoever watches the rules.

pub mod config; // `[[webhook]]`
pub mod format; // what is sent

mod address; // which addresses may be called
mod breaker; // lets a receiver alone that fails
mod call; // one attempt
mod queue; // what goes out next
mod schedule; // when it is tried again
mod sender; // what sends to one webhook
mod signature; // how a request is signed
mod target; // a webhook that is ready to be called

use std::collections::BTreeSet;
use std::sync::Arc;

use store::alert::{Ended, Outbox};
use store::journal::LineKind;
use store::{Board, Journal, Timestamp};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::error::CollectorError;
use sender::{Outgoing, Sender};
use target::Target;

pub use config::Config;

/// How many webhooks there may be: each has a task and a queue of its own.
pub const WEBHOOKS_MAX: usize = 50;

/// Who writes down what became of a notification.
const BY: &str = "sillage";

/// What is needed to begin.
pub struct Setup {
    /// `[[webhook]]`.
    pub webhooks: Vec<Config>,
    /// Where notifications stand, and what became of them.
    pub journal: Journal,
    /// Where it says how each webhook stands.
    pub board: Arc<Board>,
    /// The address under which people reach Sillage, for links; with a slash at its end.
    pub base: String,
    /// Cancelled when it is to stop.
    pub stop: CancellationToken,
}

/// Begins to deliver what waits in the journal, and what comes. The tasks end after `stop` is cancelled.
pub async fn start(setup: Setup) -> Result<Vec<JoinHandle<()>>, CollectorError> {
    let Setup { webhooks, journal, board, base, stop } = setup;
    let targets: Vec<Target> = webhooks.iter().map(Target::read).collect::<Result<_, _>>()?;
    let held = Arc::downgrade(&board);
    board.measure("notifications", move || held.upgrade().map_or(0, |board| board.deliveries().bytes()));
    let names: BTreeSet<String> = targets.iter().map(|target| target.name.clone()).collect();
    let outgoing = Outgoing { journal, board, base };
    outgoing.catch_up().await?;
    give_up_what_nobody_sends(&outgoing, &names).await?;
    let sender = |target| tokio::spawn(Sender::new(target, outgoing.clone()).run(stop.clone()));
    Ok(targets.into_iter().map(sender).collect())
}

/// Ends what waits for a webhook that isn't configured any more, once it is too late to tell it.
async fn give_up_what_nobody_sends(outgoing: &Outgoing, names: &BTreeSet<String>) -> Result<(), CollectorError> {
    let now = Timestamp::now();
    let deliveries = outgoing.board.deliveries();
    for webhook in deliveries.waiting_by_webhook().into_keys().filter(|webhook| !names.contains(webhook)) {
        for delivery in deliveries.waiting(&webhook) {
            if delivery.asked_at.plus(schedule::GIVEN_UP_AFTER) < now {
                let ended = Outbox::Ended(Ended::GaveUp);
                outgoing.journal.append(LineKind::Outbox, &delivery.id, BY, &ended).await?;
            }
        }
    }
    Ok(())
}
