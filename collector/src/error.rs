//! Why the collector could not start, or could not go on.

use std::net::SocketAddr;

/// Why the collector could not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum CollectorError {
    /// An address could not be listened on.
    #[error("can't listen for OTLP on {address}: {advice}")]
    Listen {
        /// The address, as configured.
        address: SocketAddr,
        /// What probably holds it, and what to do.
        advice: String,
        /// What the operating system said.
        #[source]
        source: std::io::Error,
    },
    /// An address that others can reach, and nothing that tells friend from foe.
    #[error(
        "`[otlp] {key}` listens on {address}, which other machines can reach: add an `[[access]]` with a secret, \
         listen on 127.0.0.1, or set `allow_unauthenticated = true` in `[otlp]`"
    )]
    Unprotected {
        /// The configuration key: `grpc` or `http`.
        key: &'static str,
        /// The address, as configured.
        address: SocketAddr,
    },
    /// An endpoint to forward to that can't be used.
    #[error("`[otlp] forward` is no endpoint: {0}")]
    Forward(String),
}
