//! Admission by bytes: how much of what was sent, and is not yet kept, may be in memory at once.
//!
//! Counting requests would admit a hundred large ones or refuse a hundred small ones. Bytes are counted as they arrive and not as they are
//! announced, so that a client that announces much and sends nothing takes nothing from the others.
//!
//! Requests that grow together could each take a part, and then none could go on. So whoever finds no room waits a while, holding its part,
//! and then gives up and gives it back; how long differs from request to request, so that they don't all give up at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

/// Bytes that requests in flight may take together.
#[derive(Debug)]
pub(super) struct Admission {
    free: Arc<Semaphore>,
    bytes_max: usize,
    entered: AtomicU32,
}

/// What one request holds; given back when it is dropped.
#[derive(Debug)]
pub(super) struct Admitted {
    free: Arc<Semaphore>,
    bytes_max: usize,
    held: Option<OwnedSemaphorePermit>,
    patience: Duration,
}

/// Growing a byte at a time would ask the semaphore for each chunk of the network; this many are taken at once.
const STEP_BYTES: usize = 16 * 1024;

/// What is admitted however small the memory: some requests as exporters make them.
const BYTES_MIN: usize = 4 << 20;

/// How long a request waits for room: at least this, and up to eight times as long. Exporters wait 10 s for an answer.
const PATIENCE: Duration = Duration::from_millis(250);

impl Admission {
    /// Admits `bytes_max` at once, but never less than a few requests of the usual size. A larger request is admitted when it is alone.
    pub(super) fn new(bytes_max: usize) -> Admission {
        let bytes_max = bytes_max.max(BYTES_MIN);
        let bytes_max = bytes_max.min(Semaphore::MAX_PERMITS);
        let free = Arc::new(Semaphore::new(bytes_max));
        Admission { free, bytes_max, entered: AtomicU32::new(0) }
    }

    /// How many bytes are taken now, whenever it is asked.
    pub(super) fn gauge(&self) -> impl Fn() -> u64 + Send + Sync + use<> {
        let (free, bytes_max) = (Arc::clone(&self.free), self.bytes_max);
        move || bytes_max.saturating_sub(free.available_permits()) as u64
    }

    /// A request that holds nothing yet.
    pub(super) fn enter(&self) -> Admitted {
        let turn = self.entered.fetch_add(1, Ordering::Relaxed) % 8;
        Admitted {
            free: Arc::clone(&self.free),
            bytes_max: self.bytes_max,
            held: None,
            patience: PATIENCE * (turn + 1),
        }
    }
}

impl Admitted {
    /// Holds at least this many bytes from now on; false where they aren't free, and then nothing changes.
    pub(super) fn grow_to(&mut self, bytes: usize) -> bool {
        match self.missing(bytes) {
            0 => true,
            missing => {
                let more = Arc::clone(&self.free).try_acquire_many_owned(missing).ok();
                self.take(more)
            }
        }
    }

    /// The same, but waits a while for them to become free.
    pub(super) async fn grow_patiently_to(&mut self, bytes: usize) -> bool {
        if self.grow_to(bytes) {
            return true;
        }
        let room = Arc::clone(&self.free).acquire_many_owned(self.missing(bytes));
        let more = timeout(self.patience, room).await;
        self.take(more.ok().and_then(Result::ok))
    }

    fn missing(&self, bytes: usize) -> u32 {
        let held = self.held.as_ref().map_or(0, OwnedSemaphorePermit::num_permits);
        let bytes = bytes.next_multiple_of(STEP_BYTES).min(self.bytes_max);
        let missing = bytes.saturating_sub(held);
        u32::try_from(missing).unwrap_or(u32::MAX)
    }

    fn take(&mut self, more: Option<OwnedSemaphorePermit>) -> bool {
        match (&mut self.held, more) {
            (_, None) => return false,
            (Some(held), Some(more)) => held.merge(more),
            (none, more) => *none = more,
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::otlp::REQUEST_BYTES_MAX;

    #[test]
    fn requests_share_the_bytes_and_give_them_back() {
        let admission = Admission::new(REQUEST_BYTES_MAX * 2);
        let (mut first, mut second) = (admission.enter(), admission.enter());
        assert!(first.grow_to(REQUEST_BYTES_MAX));
        assert!(second.grow_to(REQUEST_BYTES_MAX / 2));
        assert!(first.grow_to(10), "what is held already needs no more");
        assert!(!second.grow_to(REQUEST_BYTES_MAX + 1));
        drop(first);
        assert!(second.grow_to(REQUEST_BYTES_MAX + 1));
    }

    #[tokio::test]
    async fn requests_that_grow_together_do_not_all_give_up() {
        let admission = Admission::new(REQUEST_BYTES_MAX);
        let grown = (0..4).map(|_| {
            let mut admitted = admission.enter();
            async move {
                let mut bytes = 0;
                while bytes < REQUEST_BYTES_MAX * 2 / 5 {
                    bytes += 1 << 20;
                    if !admitted.grow_patiently_to(bytes).await {
                        return None;
                    }
                    tokio::task::yield_now().await;
                }
                Some(admitted)
            }
        });
        let grown = futures_util::future::join_all(grown).await;
        assert_eq!(grown.iter().flatten().count(), 2, "as many as have room");
    }

    #[test]
    fn the_largest_request_is_admitted_however_small_the_memory() {
        assert!(Admission::new(0).enter().grow_to(REQUEST_BYTES_MAX));
    }
}
