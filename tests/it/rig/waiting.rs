//! Asking until there is an answer, and names that nobody else has.

use std::time::{Duration, Instant};

/// Asks again and again until there is an answer; what was asked for is in the panic when there is none.
pub fn until<T>(what: &str, patience: Duration, mut ask: impl FnMut() -> Option<T>) -> T {
    let started = Instant::now();
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(started.elapsed() < patience, "within {patience:?} this never held: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// A short name that no other test or run has used.
pub fn unique(prefix: &str) -> String {
    format!("{prefix}-{:08x}", rand::random::<u32>())
}
