//! What can be seen: the live set, those that are becoming segments, the segments. Questions take a view and keep it until they are answered,
//! so that an entry which moves from the live set to a segment meanwhile is met exactly once.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::{Condvar, Mutex, RwLock};
use tokio::sync::watch;

use super::IndexConfig;
use super::erasing::Erasing;
use super::hash::IdentityKey;
use super::live::Live;
use super::pace::Pace;
use super::past::Past;
use super::segment::{Caches, Damage, Segment};
use super::state::State;
use crate::checkpoint::Checkpoint;
use crate::engine::{Held, Sequence};
use crate::file;
use crate::histogram::Histogram;
use crate::position::SourceName;

/// What can be seen.
#[derive(Clone, Debug)]
pub struct View {
    /// Where new entries go.
    pub active: Arc<RwLock<Live>>,
    /// Full live sets that are becoming segments, oldest first.
    pub frozen: Vec<Arc<Frozen>>,
    /// The segments, by number.
    pub segments: Vec<Arc<Segment>>,
}

/// A live set that takes no more entries and is becoming a segment.
#[derive(Debug)]
pub struct Frozen {
    /// Its entries. Nobody writes to it any more.
    pub live: Arc<RwLock<Live>>,
    /// The log files that are no longer needed once it is a segment.
    pub logs: Vec<u64>,
    /// What the store knew when it was frozen.
    pub state: State,
    /// The number of the segment that it becomes.
    pub number: u64,
}

/// What all threads of the engine share.
#[derive(Debug)]
pub struct Shared {
    /// The configuration.
    pub config: IndexConfig,
    /// What can be seen.
    pub view: RwLock<Arc<View>>,
    /// Signalled when a frozen live set has become a segment.
    pub sealed: Condvar,
    /// Goes with `sealed`.
    pub sealing: Mutex<()>,
    /// How far sources were kept.
    pub checkpoints: RwLock<BTreeMap<SourceName, Checkpoint>>,
    /// Further copies of entries that are not in the active live set.
    pub repeats: RwLock<HashMap<IdentityKey, u32>>,
    /// What must not be seen nor come back.
    pub forgotten: RwLock<HashSet<IdentityKey>>,
    /// How much there was of what retention removed.
    pub past: Past,
    /// What of that may still stand in files.
    pub erasing: Erasing,
    /// Files that nothing needs any more and that couldn't be removed yet; the next start removes them, too.
    pub leftovers: Mutex<Vec<PathBuf>>,
    /// What was read of segments lately.
    pub caches: Caches,
    /// The sequence up to which entries can be found.
    pub generation: watch::Sender<Sequence>,
    /// The number of the next segment.
    pub next_segment: AtomicU64,
    /// Set when the engine is being closed: what can't be done is then left to the next start.
    pub is_closing: AtomicBool,
    /// About how many bytes of memory building segments takes now.
    pub building: AtomicU64,
    /// Set while the disk is nearly full and it was asked to give some of it back.
    pub is_freeing: AtomicBool,
    /// Why the engine can't go on and must be started again, where that is so.
    pub failed: watch::Sender<Option<String>>,
    /// How it fares.
    pub condition: Mutex<Condition>,
}

/// How the engine fares.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Condition {
    /// How long the latest fsync took.
    pub last_fsync: Option<Duration>,
    /// Why entries are refused now.
    pub refusing: Option<String>,
    /// Why live sets can't become segments now.
    pub not_sealing: Option<String>,
    /// Why what was forgotten can't be removed from every file now.
    pub not_erasing: Option<String>,
    /// How many segments and other files were set aside.
    pub damaged: u64,
    /// How many appends were refused.
    pub refused: u64,
    /// What the system couldn't read lately although nothing is known to be wrong with it.
    pub unread: Option<String>,
    /// How many records, spans and logs were kept.
    pub kept: [u64; 3],
    /// How long writing to the log took.
    pub writes: Histogram,
    /// How fast it went lately.
    pub pace: Pace,
}

impl Shared {
    /// Of an engine that is being opened.
    pub fn new(config: IndexConfig, view: View, state: State, past: Past, erasing: Erasing) -> Shared {
        Shared {
            past,
            caches: Caches::new(config.memory_limit),
            view: RwLock::new(Arc::new(view)),
            sealed: Condvar::new(),
            sealing: Mutex::new(()),
            generation: watch::Sender::new(Sequence(state.sequence)),
            next_segment: AtomicU64::new(state.next_segment),
            checkpoints: RwLock::new(state.checkpoints),
            repeats: RwLock::new(state.repeats),
            forgotten: RwLock::new(state.forgotten),
            erasing,
            leftovers: Mutex::default(),
            is_closing: AtomicBool::new(false),
            building: AtomicU64::new(0),
            is_freeing: AtomicBool::new(false),
            failed: watch::Sender::new(None),
            condition: Mutex::default(),
            config,
        }
    }

    /// What can be seen now.
    pub fn look(&self) -> Arc<View> {
        self.view.read().clone()
    }

    /// Changes what can be seen, at once for everybody.
    pub fn change(&self, change: impl FnOnce(&mut View)) {
        let mut view = self.view.write();
        change(Arc::make_mut(&mut view));
    }

    /// A number for a new segment.
    pub fn number_segment(&self) -> u64 {
        self.next_segment.fetch_add(1, Ordering::Relaxed)
    }

    /// Asks something of a segment. Where it turns out to be damaged, it is set aside, and the answer is why. Where the system couldn't
    /// read it just now, it stays.
    pub fn ask<T>(&self, segment: &Segment, question: impl FnOnce() -> Result<T, Damage>) -> Result<T, Damage> {
        let answer = catch_unwind(AssertUnwindSafe(question))
            .unwrap_or_else(|_| Err(segment.damage("reading it panicked".to_owned())));
        match &answer {
            Err(damage) if damage.is_passing => self.say_unread(damage),
            Err(damage) => self.set_aside(damage),
            Ok(_) => {}
        }
        answer
    }

    /// Says once, and not for every segment and question, what can't be read.
    fn say_unread(&self, damage: &Damage) {
        let mut condition = self.condition.lock();
        if condition.unread.as_ref() != Some(&damage.reason) {
            tracing::error!(
                "segment {} can't be read now ({}): answers leave it out and say so; it stays where it is",
                damage.segment,
                damage.reason
            );
            condition.unread = Some(damage.reason.clone());
        }
    }

    /// Says that the engine can't go on.
    pub fn fail(&self, reason: String) {
        tracing::error!("the store must be started again: {reason}");
        self.condition.lock().refusing = Some(reason.clone());
        self.failed.send_replace(Some(reason));
    }

    /// Takes a damaged segment out of what can be seen, keeps its folder aside, and says so.
    pub fn set_aside(&self, damage: &Damage) {
        let mut found = None;
        self.change(|view| {
            let place = view.segments.iter().position(|segment| segment.number() == damage.segment);
            found = place.map(|place| view.segments.remove(place));
        });
        // Somebody else met the same damage first.
        let Some(segment) = found else { return };
        self.condition.lock().damaged += 1;
        let aside = self.config.damaged_folder().join(format!("segment-{:016}", damage.segment));
        tracing::error!(
            segment.entries = segment.manifest.entries(),
            "segment {} is damaged ({}): its entries can't be shown; its files are kept in `{}`",
            damage.segment,
            damage.reason,
            aside.display()
        );
        if let Err(error) = move_aside(segment.path().to_owned(), aside) {
            tracing::error!(%error, "can't set the damaged segment aside");
        }
    }

    /// An entry of a segment as it is shown: with its further copies; `None` where it was forgotten.
    pub fn show(&self, held: Held) -> Option<Held> {
        let (repeats, forgotten) = (self.repeats.read(), self.forgotten.read());
        if repeats.is_empty() && forgotten.is_empty() {
            return Some(held);
        }
        let key = IdentityKey::of(&held.entry.identity());
        if forgotten.contains(&key) {
            return None;
        }
        let more = repeats.get(&key).copied().unwrap_or(0);
        Some(Held { copies: held.copies.saturating_add(more), ..held })
    }
}

fn move_aside(from: PathBuf, to: PathBuf) -> Result<(), crate::StoreError> {
    if let Some(folder) = to.parent() {
        file::make_folder(folder)?;
    }
    file::remove_folder(&to)?;
    file::rename(&from, &to)
}
