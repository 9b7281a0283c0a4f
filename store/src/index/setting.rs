//! How the engine works: its settings, where its files are, and what share of the memory its parts may take.

use std::path::PathBuf;
use std::time::Duration;

use super::aside::DAMAGED;
use crate::clock::Clock;
use crate::config::{Config, Durability};

/// How an [`Index`] works. [`IndexConfig::new`] has the defaults.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct IndexConfig {
    /// The data folder.
    pub path: PathBuf,
    /// What an acknowledgement promises.
    pub durability: Durability,
    /// How many bytes of memory the process may take.
    pub memory_limit: u64,
    /// Entries received longer ago are removed.
    pub retention: Duration,
    /// The most bytes that segments may take.
    pub retention_size: u64,
    /// A live set with so many entries becomes a segment.
    pub seal_entries: usize,
    /// A live set as old as this becomes a segment.
    pub seal_age: Duration,
    /// What retention goes by.
    pub clock: Clock,
}

/// Which share of the memory limit one live set may take. There may be three at a time: one active, one being sealed, one waiting.
const LIVE_SHARE: u64 = 12;

impl IndexConfig {
    /// With the defaults of [`Config`] in this folder.
    pub fn new(path: impl Into<PathBuf>) -> IndexConfig {
        IndexConfig::from(&Config { path: path.into(), ..Config::default() })
    }

    /// Where the log is.
    pub(super) fn log_folder(&self) -> PathBuf {
        self.path.join("log")
    }

    /// Where the segments are.
    pub(super) fn segments_folder(&self) -> PathBuf {
        self.path.join("segments")
    }

    /// Where damaged files are set aside.
    pub(super) fn damaged_folder(&self) -> PathBuf {
        self.path.join(DAMAGED)
    }

    /// Where the state is.
    pub(super) fn state_path(&self) -> PathBuf {
        self.path.join("state")
    }

    /// Where what was forgotten is remembered.
    pub(super) fn tombstones_path(&self) -> PathBuf {
        self.path.join("tombstones")
    }

    /// A live set of so many bytes becomes a segment.
    pub(super) fn seal_bytes(&self) -> u64 {
        self.memory_limit / LIVE_SHARE
    }
}

impl From<&Config> for IndexConfig {
    fn from(config: &Config) -> IndexConfig {
        IndexConfig {
            path: config.path.clone(),
            durability: config.durability,
            memory_limit: config.memory_limit.0,
            retention: config.retention.0,
            retention_size: config.retention_size.0,
            seal_entries: config.seal_entries.get(),
            seal_age: config.seal_age.0,
            clock: Clock::default(),
        }
    }
}
