//! Why something could not be collected.

use std::io;
use std::net::SocketAddr;

use store::StoreError;

/// Why something could not be collected. Each variant is something else to do about it.
#[derive(Debug, thiserror::Error)]
pub enum CollectorError {
    /// The configuration asks for something that can't be: correct it. The text says what, and what was probably meant.
    #[error("{0}")]
    Config(String),
    /// This build lacks what a source needs: build it with the named feature, or use another source.
    #[error("source `{name}` can't run here: {reason}")]
    Unavailable {
        /// The source's name.
        name: String,
        /// What is missing, and what to do.
        reason: String,
    },
    /// An address could not be listened on.
    #[error("can't listen for OTLP on {address}: {advice}")]
    Listen {
        /// The address, as configured.
        address: SocketAddr,
        /// What probably holds it, and what to do.
        advice: String,
        /// What the operating system said.
        #[source]
        source: io::Error,
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
    /// A broker doesn't answer or refuses us. It is tried again.
    #[error("{reason}")]
    Broker {
        /// What is wrong, in a sentence, with what to do about it.
        reason: String,
    },
    /// The store failed; see its own error for whether to try again.
    #[error("the store could not keep what was collected")]
    Store(#[from] StoreError),
    /// The operating system refused a thread.
    #[error("can't start a thread")]
    Thread(#[source] io::Error),
}
