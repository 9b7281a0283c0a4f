//! Why something could not be collected.

use std::io;

use store::StoreError;

/// Why something could not be collected. Each variant is something else to do about it.
#[derive(Debug, thiserror::Error)]
pub enum CollectorError {
    /// The configuration asks for something that can't be: correct it. The text says what, and what was meant.
    #[error("{0}")]
    Config(String),
    /// This build lacks what a source needs: build it with the named feature, or use another source.
    #[error("a source of type `{kind}` can't run here: {reason}")]
    Unavailable {
        /// The source's type.
        kind: &'static str,
        /// What is missing, and what to do.
        reason: String,
    },
    /// A broker doesn't answer or refuses us. It is tried again.
    #[error("{reason}")]
    Broker {
        /// What is wrong, in a sentence, with what to do about it.
        reason: String,
    },
    /// An address can't be listened on: taken, or not ours.
    #[error("can't listen on {address}")]
    Listen {
        /// The address.
        address: String,
        /// What the operating system said.
        #[source]
        source: io::Error,
    },
    /// The store failed; see its own error for whether to try again.
    #[error("the store could not keep what was collected")]
    Store(#[from] StoreError),
    /// The operating system refused a thread, a file or a socket.
    #[error("can't {what}")]
    System {
        /// What was tried, such as "start a thread".
        what: &'static str,
        /// What the operating system said.
        #[source]
        source: io::Error,
    },
}
