//! Every limit of an accept loop, with the reason for its value.

use std::time::Duration;

/// What one listening socket bears.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Connections open at once. At the cap the one that has been idle longest makes room; where none is idle, the next one waits.
    pub connections_max: usize,
    /// From a connection's opening to its first whole request head, and from the first byte of any later head to its last.
    /// A connection that takes longer is closed: that is what slow-loris clients live on.
    pub header_timeout: Duration,
    /// From a request's head to the last byte of its body. The body then ends in an error.
    pub body_timeout: Duration,
    /// How long a connection may stay open with no request under way.
    pub idle_timeout: Duration,
    /// How long requests under way may take to finish after a stop was asked for.
    pub drain_timeout: Duration,
    /// Requests under way at once in one HTTP/2 connection.
    pub streams_max: u32,
    /// All names and values of one request's headers together, in bytes.
    pub header_bytes_max: u32,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            connections_max: 512,
            header_timeout: Duration::from_secs(10),
            body_timeout: Duration::from_secs(30),
            idle_timeout: Duration::from_secs(120),
            drain_timeout: Duration::from_secs(5),
            streams_max: 100,
            header_bytes_max: 16 * 1024,
        }
    }
}
