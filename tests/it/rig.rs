//! What the tests stand on. One file each: the program, the parts, and the wires between.

pub mod home; // the built program as a process, and its folder
pub mod http; // the smallest HTTP client
pub mod kafka; // a real Apache Kafka
pub mod otlp; // OTLP requests and how they are sent
pub mod parts; // where the installed parts are

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
