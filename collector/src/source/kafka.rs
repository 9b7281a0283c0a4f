//! Kafka, watched without a trace.
//!
//! A consumer of our own group id reads by `assign()` from the store's checkpoint. It never subscribes, never commits and never
//! stores an offset, so no group appears in the broker's list and nobody's partitions move (facts checked on Kafka 4.3.0 with
//! librdkafka 2.12.1). librdkafka blocks, so each source has a thread of its own; it hands batches over a channel of one:
//!
//! ```text
//! thread:  survey topics -> place new partitions -> poll, poll, poll -> batch --channel(1)--> follow() -> store
//! ```
//!
//! While the store refuses, the channel stays full, the thread waits, librdkafka's bounded queue fills, and it stops fetching.
//!
//! Another thread with a client of its own asks how far consumer groups are behind (`groups`).
//!
//! Not for: writing anything, ever, but for dead letters that people send back (`redrive`), which has a client of its own.

mod admin; // ids of topics, groups and their commits: the one file with `unsafe`
mod client; // the librdkafka client: its settings, and what its errors mean for people
mod groups; // how far consumer groups are behind
mod message; // from librdkafka's message to ours
mod options; // which of librdkafka's settings may be set, and secrets
mod place; // where to read on, and whether a topic is still the same one
pub mod redrive; // sends dead letters back
mod tail; // the thread
mod token; // tokens for SASL OAUTHBEARER

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use rdkafka::ClientConfig;
use serde::Deserialize;
use store::SourceName;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

use crate::error::CollectorError;
use crate::source::from::From;
use crate::source::{Batch, Beside, Opening, Source, Tail};
use store::selection::Selection;
use token::Tokens;

/// `[[source]]` with `type = "kafka"`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Its name: part of every record's position, so it should not change.
    pub name: String,
    /// `host:port` of some brokers; the others are found through them.
    pub brokers: Vec<String>,
    /// Which topics, by glob; `!` excludes. Topics that begin with `__` are internal, and are read only if a pattern begins with `__` too.
    #[serde(default = "every")]
    pub topics: Vec<String>,
    /// Where to begin with a source that nothing is kept of yet: `latest` (the default: watching costs nothing before it is wanted),
    /// `earliest`, `-1h` (also `s`, `m`, `d`), or an RFC 3339 time. After that, our own checkpoint rules.
    #[serde(default)]
    pub from: From,
    /// Which groups' lag is watched, by glob; plain names are asked for even where the broker can't list groups.
    #[serde(default = "every")]
    pub groups: Vec<String>,
    /// librdkafka's settings, from an allow-list. Secrets as `file:...` or `env:...`.
    #[serde(default)]
    pub options: BTreeMap<String, String>,
    /// The same for the client that sends dead letters back, which needs WRITE on their topics; without it, `options` hold for that one, too.
    #[serde(default)]
    pub redrive_options: Option<BTreeMap<String, String>>,
    /// What becomes of open and aborted transactions.
    #[serde(default)]
    pub transactions: Transactions,
    /// Set by the program where nobody asked for this source: nobody there is no reason for alarm then.
    #[serde(skip)]
    pub optional: bool,
}

/// What becomes of open and aborted transactions.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Transactions {
    /// They are left out: only what is committed is read.
    #[default]
    Hide,
    /// A second reader sees them too, and they are shown as what they are. Brokers are asked for every record twice.
    Show,
}

/// A Kafka cluster that is watched. Its `Debug` shows none of the client's settings: there are secrets among them.
pub struct Kafka {
    name: SourceName,
    brokers: Vec<String>,
    client_config: ClientConfig,
    selection: Selection,
    from: From,
    groups: Vec<String>,
    transactions: Transactions,
    tokens: Option<Arc<Tokens>>,
    optional: bool,
}

/// How many finished batches wait for the store: while one is kept, the next is made, and no third is read.
const BATCHES_WAITING: usize = 1;

/// What Kafka's own topics begin with (`__consumer_offsets`, ...).
const INTERNAL: &str = "__";

fn every() -> Vec<String> {
    vec!["*".to_owned()]
}

impl Config {
    /// A Kafka on this machine, which nobody asked for.
    pub fn local() -> Config {
        Config {
            name: "local".to_owned(),
            brokers: vec!["localhost:9092".to_owned()],
            topics: every(),
            from: From::Latest,
            groups: every(),
            options: BTreeMap::new(),
            redrive_options: None,
            transactions: Transactions::Hide,
            optional: true,
        }
    }

    /// Checks all keys without asking the broker, librdkafka's own and the secrets included.
    pub fn check(&self) -> Result<(), CollectorError> {
        if self.brokers.is_empty() {
            return Err(CollectorError::Config(format!(
                "source `{}` names no `brokers`: give at least one `host:port`",
                self.name
            )));
        }
        for broker in &self.brokers {
            if broker.contains(',') || broker.contains("://") || !broker.contains(':') {
                return Err(CollectorError::Config(format!(
                    "source `{}`: `{broker}` in `brokers` is no broker: write `host:port`, such as `localhost:9092`",
                    self.name
                )));
            }
        }
        client::settings(self)?;
        client::sending(self)?;
        let (options, _) = self.sending_options();
        Tokens::read(&self.name, options)?;
        Tokens::read(&self.name, &self.options).map(drop)
    }

    /// The options of the client that sends dead letters back, and the key that they stand under.
    fn sending_options(&self) -> (&BTreeMap<String, String>, &'static str) {
        match &self.redrive_options {
            Some(own) => (own, "redrive_options"),
            None => (&self.options, "options"),
        }
    }
}

impl Kafka {
    /// Checks the configuration and reads its secrets.
    pub(super) fn new(config: Config) -> Result<Kafka, CollectorError> {
        let client_config = client::settings(&config)?;
        let tokens = Tokens::read(&config.name, &config.options)?.map(Arc::new);
        Ok(Kafka {
            name: config.name.as_str().into(),
            brokers: config.brokers,
            client_config,
            selection: Selection::new(INTERNAL, &config.topics),
            from: config.from,
            groups: config.groups,
            transactions: config.transactions,
            tokens,
            optional: config.optional,
        })
    }
}

impl fmt::Debug for Kafka {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Kafka").field("name", &self.name).field("brokers", &self.brokers).finish_non_exhaustive()
    }
}

#[async_trait]
impl Source for Kafka {
    fn name(&self) -> &SourceName {
        &self.name
    }

    fn kind(&self) -> &'static str {
        "kafka"
    }

    fn address(&self) -> String {
        self.brokers.join(",")
    }

    async fn open(&self, opening: Opening) -> Result<Box<dyn Tail>, CollectorError> {
        let (sender, batches) = mpsc::channel(BATCHES_WAITING);
        let observer = tail::Observer::new(tail::Watch {
            brokers: self.brokers.clone(),
            client_config: self.client_config.clone(),
            selection: self.selection.clone(),
            from: self.from,
            transactions: self.transactions,
            tokens: self.tokens.clone(),
            optional: self.optional,
            checkpoint: opening.checkpoint,
            notice: opening.notice,
            stop: opening.stop,
            batches: sender,
        });
        let thread = std::thread::Builder::new()
            .name(format!("kafka {}", self.name))
            .spawn(move || observer.run())
            .map_err(CollectorError::Thread)?;
        Ok(Box::new(KafkaTail { batches, thread }))
    }

    fn watch_groups(&self, beside: Beside) -> Option<JoinHandle<()>> {
        let (ended, end) = oneshot::channel::<()>();
        let watch = groups::Watch {
            source: self.name.clone(),
            client_config: self.client_config.clone(),
            tokens: self.tokens.clone(),
            groups: self.groups.clone(),
            topics: self.selection.clone(),
            store: beside.store,
            board: beside.board,
            decoder: beside.decoder,
            runtime: tokio::runtime::Handle::current(),
            stop: beside.stop,
        };
        let thread = std::thread::Builder::new().name(format!("groups {}", self.name)).spawn(move || {
            groups::run(watch);
            drop(ended);
        });
        match thread {
            // The thread ends by itself when it is told to stop; that it has, the channel tells.
            Ok(_) => Some(tokio::spawn(async move { drop(end.await) })),
            Err(error) => {
                tracing::error!(%error, "no thread can be started to ask for consumer groups");
                None
            }
        }
    }
}

/// The near end of the thread's channel.
struct KafkaTail {
    batches: mpsc::Receiver<Batch>,
    thread: std::thread::JoinHandle<()>,
}

#[async_trait]
impl Tail for KafkaTail {
    async fn next(&mut self) -> Option<Batch> {
        self.batches.recv().await
    }

    async fn close(mut self: Box<Self>) {
        self.batches.close(); // a thread that waits to hand over a batch is let go
        while self.batches.recv().await.is_some() {}
        let thread = self.thread;
        let joined = tokio::task::spawn_blocking(move || thread.join()).await;
        if !matches!(joined, Ok(Ok(()))) {
            tracing::error!("a Kafka source's thread ended by a fault of ours: please report it");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_broker_that_is_no_address_is_refused_with_an_example() {
        for wrong in ["localhost", "a:1,b:2", "kafka://a:1"] {
            let config = Config { brokers: vec![wrong.to_owned()], ..Config::local() };
            assert!(config.check().unwrap_err().to_string().contains("localhost:9092"), "{wrong}");
        }
        assert!(Config { brokers: Vec::new(), ..Config::local() }.check().is_err());
        assert!(Config::local().check().is_ok());
    }
}
