//! Admission by bytes: how much of what was sent, and is not yet kept, may be in memory at once.
//!
//! Counting requests would admit a hundred large ones or refuse a hundred small ones. Bytes are counted as they arrive and not as they are
//! announced, so that a client that announces much and sends nothing takes nothing from the others.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Bytes that requests in flight may take together.
#[derive(Clone, Debug)]
pub(super) struct Admission {
    free: Arc<Semaphore>,
}

/// What one request holds; given back when it is dropped.
#[derive(Debug)]
pub(super) struct Admitted {
    free: Arc<Semaphore>,
    held: Option<OwnedSemaphorePermit>,
}

/// Growing a byte at a time would ask the semaphore for each chunk of the network; this many are taken at once.
const STEP_BYTES: usize = 16 * 1024;

impl Admission {
    /// Admits `bytes_max` at once, but never less than the largest request: else it could never be admitted.
    pub(super) fn new(bytes_max: usize) -> Admission {
        let bytes_max = bytes_max.max(super::REQUEST_BYTES_MAX + STEP_BYTES);
        Admission { free: Arc::new(Semaphore::new(bytes_max.min(Semaphore::MAX_PERMITS))) }
    }

    /// A request that holds nothing yet.
    pub(super) fn enter(&self) -> Admitted {
        Admitted { free: Arc::clone(&self.free), held: None }
    }
}

impl Admitted {
    /// Holds at least this many bytes from now on; false where they aren't free, and then nothing changes.
    pub(super) fn grow_to(&mut self, bytes: usize) -> bool {
        let held = self.held.as_ref().map_or(0, OwnedSemaphorePermit::num_permits);
        if bytes <= held {
            return true;
        }
        let missing = (bytes - held).next_multiple_of(STEP_BYTES);
        let Ok(many) = u32::try_from(missing) else { return false };
        let Ok(more) = Arc::clone(&self.free).try_acquire_many_owned(many) else { return false };
        match &mut self.held {
            Some(held) => held.merge(more),
            none => *none = Some(more),
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

    #[test]
    fn the_largest_request_is_admitted_however_small_the_memory() {
        assert!(Admission::new(0).enter().grow_to(REQUEST_BYTES_MAX));
    }
}
