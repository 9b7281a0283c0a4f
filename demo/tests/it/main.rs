//! The shop on the embedded broker, seen from outside: by a Kafka consumer and by an OTLP receiver.
#![expect(clippy::unwrap_used, reason = "the lint is off in tests, but not in what they share")]

mod otlp; // an OTLP endpoint that remembers what it gets
mod records; // what is on the topics
mod services;
mod stories; // every story happens, on the topics and in the traces // services stop and start, endpoints are down

use std::time::{Duration, Instant};

/// Waits until `look` finds what it looks for. Fails after `patience`, with what `look` was for.
fn eventually<T>(what: &str, patience: Duration, mut look: impl FnMut() -> Option<T>) -> T {
    let started = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(started.elapsed() < patience, "not within {patience:?}: {what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}
