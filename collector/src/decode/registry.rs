//! Schemas from a registry: Confluent's, or Apicurio's.
//!
//! ```text
//! source -> gather(batch)  -> ids that are not at hand -> asking task -> HTTP -> compiled -> cache
//!        -> waits at most WAIT_MAX, if that helps               ^ again and again while it is down
//!        -> decode(batch)  -> find(id): at hand, or why not
//! ```
//!
//! No record waits for a registry that doesn't answer: it is kept with its bytes, its schema's id and the reason, and those that come once
//! the schema is here are decoded. A registry that is down is asked again by the task alone, with back-off, so that the schemas that were
//! missed are at hand as soon as it answers.
//!
//! Bytes that only look framed must not cost much either: an id that the registry doesn't know is not asked for again for a minute, a topic
//! that names only such ids isn't believed for a minute, and a wait that was in vain is paid for by ten times as long without any.

pub mod config; // `[registry]`

mod apicurio; // Apicurio's own API
mod asking; // the task that asks
mod cache; // what is known of each id
mod client; // HTTP and TLS
mod confluent; // Confluent's API, which Apicurio has too

use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use store::record::SchemaId;
use store::{Board, Channel};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::contract::Contract;
use super::frame::Part;
use super::opened::{Schemas, wanted};
use crate::error::CollectorError;
use crate::source::notice::Notice;
use crate::source::raw::Raw;
use cache::{Cache, Found};
pub use config::Config;

/// How long a batch waits for schemas: what a busy registry on another continent takes for some requests. Longer would be noticed, shorter
/// would leave records undecoded for good; and a tail pays it for new schemas only.
const WAIT_MAX: Duration = Duration::from_secs(5);

/// A wait that brought nothing is followed by this many times as long without any, so that waiting slows a tail by a tenth at most.
const WAIT_SHARE: u32 = 10;

/// How many ids wait to be asked for: more than a batch of real ones has.
const QUEUE_MAX: usize = 1_024;

/// What the registry is called on the board. No source can have this name.
pub const NAME: &str = "registry";

/// A schema registry, and the schemas that were had from it.
#[derive(Debug)]
pub struct Registry {
    shared: Arc<Shared>,
    queue: mpsc::Sender<SchemaId>,
}

/// In place of a registry where none is configured.
#[derive(Clone, Copy, Debug)]
pub struct Unconfigured;

/// What the asking task and those who decode share.
#[derive(Debug)]
struct Shared {
    cache: Mutex<Cache>,
    /// Counts answers, so that those who wait hear of each.
    answers: watch::Sender<u64>,
    /// No batch waits before.
    waits_after: Mutex<Instant>,
}

/// What is needed to begin.
pub struct Setup {
    /// `[registry]`.
    pub config: Config,
    /// Where it says how the registry fares.
    pub board: Arc<Board>,
    /// Cancelled when it is to stop.
    pub stop: CancellationToken,
}

impl Registry {
    /// Begins to ask; `None` where none is configured. The task ends after `stop` is cancelled. Nothing is wrong where the registry doesn't
    /// answer yet: the board says so.
    pub fn start(setup: Setup) -> Result<Option<(Registry, JoinHandle<()>)>, CollectorError> {
        let Some(api) = setup.config.connect()? else { return Ok(None) };
        let (answers, _) = watch::channel(0);
        let shared = Arc::new(Shared { cache: Mutex::default(), answers, waits_after: Mutex::new(Instant::now()) });
        let (queue, asked) = mpsc::channel(QUEUE_MAX);
        let notice = Notice::of(setup.board.clone(), NAME.into(), "registry", api.address());
        let held = shared.clone();
        setup.board.measure("schemas", move || held.cache.lock().memory_bytes());
        let asking = asking::Asking::new(api, shared.clone(), notice);
        let task = tokio::spawn(asking.run(asked, setup.stop));
        Ok(Some((Registry { shared, queue }, task)))
    }

    /// Has the schemas asked for that a batch needs and that are not at hand, and waits for them as far as that helps.
    pub async fn gather(&self, raws: &[Raw]) {
        let mut missing: Vec<SchemaId> = Vec::new();
        for raw in raws {
            for (part, bytes) in [(Part::Key, &raw.key), (Part::Body, &raw.body)] {
                if let Some(id) = wanted(part, &raw.headers, bytes.as_ref())
                    && !missing.contains(&id)
                    && self.is_awaited(&id, &raw.position.channel)
                    && missing.len() < GATHERED_MAX
                {
                    missing.push(id);
                }
            }
        }
        if missing.is_empty() || *self.shared.waits_after.lock() > Instant::now() {
            return;
        }
        let began = Instant::now();
        let mut answers = self.shared.answers.subscribe();
        let settled = answers.wait_for(|_| {
            let cache = self.shared.cache.lock();
            cache.down().is_some() || !missing.iter().any(|id| cache.is_asked(id))
        });
        let _ = tokio::time::timeout(WAIT_MAX, settled).await;
        let is_in_vain = missing.iter().any(|id| !self.shared.cache.lock().is_known(id));
        if is_in_vain {
            *self.shared.waits_after.lock() = Instant::now() + began.elapsed() * WAIT_SHARE;
        }
    }

    /// Whether an answer for an id is on its way, and soon.
    fn is_awaited(&self, id: &SchemaId, channel: &Channel) -> bool {
        matches!(self.ask(id, channel.as_str()), Found::Asked(None))
    }

    fn ask(&self, id: &SchemaId, channel: &str) -> Found {
        let mut cache = self.shared.cache.lock();
        match cache.find(id, channel, Instant::now()) {
            Found::New => match self.queue.try_send(id.clone()) {
                Ok(()) => {
                    cache.asked(id.clone(), channel);
                    Found::Asked(cache.down().map(str::to_owned))
                }
                Err(_) => Found::Missing("is not asked for yet, because very many others are".to_owned()),
            },
            found => found,
        }
    }
}

/// How many schemas one batch waits for; topics have one or two each.
const GATHERED_MAX: usize = 64;

impl Schemas for Registry {
    fn find(&self, id: &SchemaId, channel: &str) -> Result<Arc<Contract>, String> {
        match self.ask(id, channel) {
            Found::Known(contract) => Ok(contract),
            Found::Missing(why) => Err(why),
            Found::Asked(Some(why)) => Err(format!("can't be had now: {why}")),
            Found::Asked(None) | Found::New => {
                Err("was asked for, but had not come in time: records that come later are decoded".to_owned())
            }
        }
    }
}

impl Schemas for Unconfigured {
    fn find(&self, _: &SchemaId, _: &str) -> Result<Arc<Contract>, String> {
        Err("can't be asked for: no registry is configured, see [registry] in the settings".to_owned())
    }
}

#[cfg(test)]
mod tests;
