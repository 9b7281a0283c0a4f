//! `[otlp] forward`: a copy of each accepted request goes on to another OTLP endpoint.
//!
//! For whoever has a Collector already and can't fan out there. It never delays an acknowledgement: what the other end can't take in time
//! waits in a bounded queue, and what doesn't fit there is dropped and counted. Sillage's own copy is kept whatever becomes of the other.

mod target; // where copies go, and how one is sent there

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt;
use store::Board;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_stream::wrappers::UnboundedReceiverStream;
use tracing::{info, warn};

use self::target::Failed;
pub(super) use self::target::{Target, address};
use super::Signal;

/// How much may wait to be sent on, in bytes: some seconds at usual rates, and a fraction of the default memory limit.
const QUEUE_BYTES_MAX: usize = 32 << 20;

/// What a copy takes beside its bytes, so that a flood of empty requests is bounded, too.
const COPY_BYTES: usize = 256;

/// How many copies are on their way at once.
const IN_FLIGHT_MAX: usize = 4;

/// How often a copy is tried. With the waits between (1, 2, 4 and 8 s) that bridges the restart of a Collector.
const ATTEMPTS_MAX: u32 = 5;

/// One accepted request, as it came but for compression.
#[derive(Clone, Debug)]
struct Copy {
    signal: Signal,
    json: bool,
    bytes: Bytes,
}

/// Takes copies to be sent on.
#[derive(Debug)]
pub(super) struct Forward {
    queue: UnboundedSender<(Copy, OwnedSemaphorePermit)>,
    room: Arc<Semaphore>,
    fate: Arc<Fate>,
}

/// Where lost copies are counted, and said once until it works again.
#[derive(Debug)]
struct Fate {
    board: Arc<Board>,
    endpoint: String,
    complained: AtomicBool,
}

/// Sends queued copies on, until all takers are gone and the queue is empty.
pub(super) struct Sender {
    queue: UnboundedReceiver<(Copy, OwnedSemaphorePermit)>,
    target: Target,
    fate: Arc<Fate>,
}

/// A queue, and what empties it.
pub(super) fn forward(target: Target, board: Arc<Board>) -> (Forward, Sender) {
    let (queue, rest) = unbounded_channel();
    let fate = Arc::new(Fate { board, endpoint: target.to_string(), complained: AtomicBool::new(false) });
    let room = Arc::new(Semaphore::new(QUEUE_BYTES_MAX));
    let free = Arc::clone(&room);
    fate.board.measure("copies to be sent on", move || QUEUE_BYTES_MAX.saturating_sub(free.available_permits()) as u64);
    (Forward { queue, room, fate: Arc::clone(&fate) }, Sender { queue: rest, target, fate })
}

impl Forward {
    /// Takes a copy, or drops and counts it where the queue is full.
    pub(super) fn offer(&self, signal: Signal, json: bool, bytes: Bytes) {
        let size = u32::try_from(bytes.len() + COPY_BYTES).unwrap_or(u32::MAX);
        match Arc::clone(&self.room).try_acquire_many_owned(size) {
            // The sender lives as long as the receiver serves; after that nothing is offered any more.
            Ok(held) => drop(self.queue.send((Copy { signal, json, bytes }, held))),
            Err(_) => self.fate.lost("otlp_forward_full", "it does not take copies as fast as they come"),
        }
    }
}

impl Fate {
    fn lost(&self, counted_as: &str, why: &str) {
        self.board.count_refused(counted_as, 1);
        if !self.complained.swap(true, Ordering::Relaxed) {
            warn!(endpoint = %self.endpoint, why, "copies for `[otlp] forward` are lost; Sillage itself keeps everything");
        }
    }

    fn arrived(&self) {
        if self.complained.load(Ordering::Relaxed) && self.complained.swap(false, Ordering::Relaxed) {
            info!(endpoint = %self.endpoint, "copies for `[otlp] forward` arrive again");
        }
    }
}

impl Sender {
    /// Runs until every [`Forward`] is dropped and its queue is empty.
    pub(super) async fn run(self) {
        let Sender { queue, target, fate } = self;
        let copies = UnboundedReceiverStream::new(queue);
        copies
            .for_each_concurrent(IN_FLIGHT_MAX, |(copy, held)| {
                let (target, fate) = (&target, &fate);
                async move {
                    deliver(target, copy, fate).await;
                    drop(held);
                }
            })
            .await;
    }
}

async fn deliver(target: &Target, copy: Copy, fate: &Fate) {
    let mut wait = Duration::from_secs(1);
    for attempt in 1.. {
        match target.send(&copy).await {
            Ok(()) => return fate.arrived(),
            Err(Failed::ForNow(_)) if attempt < ATTEMPTS_MAX => {
                tokio::time::sleep(wait).await;
                wait *= 2;
            }
            Err(Failed::ForNow(why) | Failed::ForGood(why)) => return fate.lost("otlp_forward_failed", &why),
        }
    }
}
