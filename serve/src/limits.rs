//! Every limit of an accept loop, with the reason for its value.

use std::time::Duration;

/// What one listening socket bears.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Connections open at once. At the cap the one that has been idle longest makes room; where none is idle, the next one waits.
    /// Default 256: three sockets (console, OTLP twice) then stay below the usual limit of 1,024 open files, with room for the store.
    pub connections_max: usize,
    /// From a connection's opening to its first whole request head, and for any later head of HTTP/1 from its first byte to its last.
    /// A connection that takes longer is closed: that is what slow-loris clients live on. Default 10 s.
    pub header_timeout: Duration,
    /// From a request's head to the last byte of its body; the body then ends in an error. Default 30 s: exporters give up after 10.
    pub body_timeout: Duration,
    /// How long a connection may stay open with no request under way. Default 2 min: exporters send every 5 to 60 s.
    pub idle_timeout: Duration,
    /// How long requests under way may take to finish after a stop was asked for. Default 5 s.
    pub drain_timeout: Duration,
    /// Requests under way at once in one HTTP/2 connection. Default 100, the least that RFC 9113 recommends.
    pub streams_max: u32,
    /// All names and values of one request's headers together, in bytes. Default 16 KiB: cookies and tokens fit, floods don't.
    pub header_bytes_max: u32,
    /// What HTTP/2 peers may send ahead of what was read, a stream and a connection alike, in bytes. It bounds what hostile
    /// connections make us hold: at most this much each. Default 256 KiB.
    pub window_bytes: u32,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            connections_max: 256,
            header_timeout: Duration::from_secs(10),
            body_timeout: Duration::from_secs(30),
            idle_timeout: Duration::from_secs(120),
            drain_timeout: Duration::from_secs(5),
            streams_max: 100,
            header_bytes_max: 16 * 1024,
            window_bytes: 256 * 1024,
        }
    }
}
