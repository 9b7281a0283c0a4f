//! The thread that writes the log: takes what was appended, groups it, makes it durable, makes it visible, and then acknowledges it.
//!
//! ```text
//! loop { take all that waits -> leave out what is held -> log, fsync -> live set -> acknowledge; freeze the live set where it is full }
//! ```
//! A group is kept whole or refused whole. What was refused is nowhere visible.

mod group; // what is written together
mod keeping; // a group is written, or refused

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::time::{Duration, Instant};

use parking_lot::RwLock;
use tokio::sync::{OwnedSemaphorePermit, oneshot};

use self::group::Group;
use super::batch::{Batch, Packer};
use super::hash::IdentityKey;
use super::live::Live;
use super::log_file::{Cut, LogFile};
use super::state::State;
use super::upkeep::{self, forget::Erased};
use super::view::{Frozen, Shared, View};
use crate::checkpoint::Checkpoint;
use crate::engine::{Held, Sequence, StoreError};
use crate::entry::{Entry, Identity};

/// What the writer is asked to do.
#[derive(Debug)]
pub enum Command {
    /// Keeps entries with their checkpoint.
    Append {
        /// The entries.
        entries: Vec<Entry>,
        /// What covers them.
        checkpoint: Checkpoint,
        /// The memory that was admitted for them; free again when they are kept or refused.
        admitted: OwnedSemaphorePermit,
        /// Where the answer goes.
        reply: Reply,
    },
    /// Hides entries for good.
    Forget {
        /// Which.
        keys: Vec<IdentityKey>,
        /// Where the answer goes, once they are hidden for good.
        reply: Reply,
        /// Where it is told when they are gone from every file, with what was forgotten before and was not.
        erased: oneshot::Sender<Result<Erased, StoreError>>,
    },
    /// Freezes the live set, however small it is.
    Freeze {
        /// Where the answer goes.
        reply: Reply,
    },
}

/// Where an answer goes.
pub type Reply = oneshot::Sender<Result<Sequence, StoreError>>;

/// About how many bytes go into one group: large enough to share an fsync among many, small enough that the first doesn't wait for long.
const GROUP_BYTES: usize = 8 << 20;

/// How long a log file may get: what is replayed after a crash, and room on the disk.
const LOG_BYTES_MAX: u64 = 64 << 20;

/// How many frozen live sets may wait to become segments. Each takes as much memory as the live set; when one waits already, appending waits too.
const FROZEN_MAX: usize = 1;

/// How often the age of the live set is looked at while nothing comes.
const IDLE: Duration = Duration::from_secs(1);

/// How many entries' further copies are counted at the most; beyond that they are still kept once, but no longer counted.
const REPEATS_MAX: usize = 200_000;

/// When to try again after a refusal: about as long as freeing some disk takes.
const RETRY_AFTER: Duration = Duration::from_secs(2);

/// The writer, owned by its thread.
pub struct Writer {
    shared: Arc<Shared>,
    upkeep: Sender<upkeep::Job>,
    /// The file that is being written; `None` before the first group and after a failure.
    log: Option<LogFile>,
    /// What the next log file says of the one before it.
    cut: Option<Cut>,
    next_log: u64,
    /// The log files that hold entries of the active live set.
    logs: Vec<u64>,
    group: u64,
    sequence: u64,
    /// Packs groups; made with the first.
    packer: Option<Packer>,
    /// When the active live set got its first entry.
    since: Option<Instant>,
    /// When the log could not be written for the last time, until it can be again.
    failed: Option<Instant>,
}

impl Writer {
    /// Goes on after the groups that were replayed.
    pub fn new(shared: Arc<Shared>, upkeep: Sender<upkeep::Job>, state: &State, next_log: u64) -> Writer {
        let (group, sequence) = (state.group, state.sequence);
        Writer {
            shared,
            upkeep,
            log: None,
            cut: None,
            next_log,
            logs: Vec::new(),
            group,
            sequence,
            packer: None,
            since: None,
            failed: None,
        }
    }

    /// Takes over a log file that was replayed: it goes when the active live set has become a segment.
    pub fn adopt_log(&mut self, number: u64) {
        self.logs.push(number);
    }

    /// Gives a log file back that holds more than the active live set does.
    pub fn release_log(&mut self, number: u64) {
        self.logs.retain(|held| *held != number);
    }

    /// Says that a replayed file ends before its last bytes.
    pub fn cut(&mut self, cut: Cut) {
        self.cut = Some(cut);
    }

    /// Works until nobody can ask for anything any more.
    pub fn run(mut self, commands: &Receiver<Command>) {
        loop {
            let first = match commands.recv_timeout(IDLE) {
                Ok(command) => Some(command),
                Err(RecvTimeoutError::Timeout) => None,
                Err(RecvTimeoutError::Disconnected) => return,
            };
            match first {
                Some(first) => self.work(first, commands),
                None => self.try_again(),
            }
            if self.is_full() {
                self.freeze();
            }
        }
    }

    /// Applies a group of the log to the live set; also what a replay does.
    pub fn apply(&mut self, batch: Batch, identities: Option<Vec<(Identity, IdentityKey)>>) {
        self.group = self.group.max(batch.number);
        let view = self.shared.look();
        {
            let mut forgotten = self.shared.forgotten.write();
            forgotten.extend(batch.forgotten.iter().copied());
            self.shared.erasing.add(&batch.forgotten);
        }
        let identities = identities.unwrap_or_else(|| {
            let identity = |held: &Held| held.entry.identity();
            batch.entries.iter().map(identity).map(|identity| (identity.clone(), IdentityKey::of(&identity))).collect()
        });
        if !batch.entries.is_empty() && self.since.is_none() {
            self.since = Some(Instant::now());
        }
        let mut live = view.active.write();
        for (held, (identity, key)) in batch.entries.into_iter().zip(identities) {
            self.sequence = self.sequence.max(held.sequence.0);
            live.add(held, identity, key);
        }
        let mut repeats = self.shared.repeats.write();
        for (key, times) in batch.repeats {
            if live.repeat(key, times) {
                continue;
            }
            if repeats.len() < REPEATS_MAX || repeats.contains_key(&key) {
                let held = repeats.entry(key).or_default();
                *held = held.saturating_add(times);
            }
        }
        drop((live, repeats));
        let mut checkpoints = self.shared.checkpoints.write();
        for checkpoint in batch.checkpoints {
            match checkpoints.get_mut(&checkpoint.source) {
                Some(held) => held.advance(&checkpoint),
                None => {
                    checkpoints.insert(checkpoint.source.clone(), checkpoint);
                }
            }
        }
        drop(checkpoints);
        let sequence = Sequence(self.sequence);
        self.shared.generation.send_if_modified(|generation| {
            let grew = sequence > *generation;
            *generation = sequence.max(*generation);
            grew
        });
    }

    /// Whether the active live set should become a segment.
    pub fn is_full(&self) -> bool {
        let config = &self.shared.config;
        let is_old = self.since.is_some_and(|since| since.elapsed() >= config.seal_age);
        let view = self.shared.look();
        let live = view.active.read();
        let n_entries = live.entries().len();
        // Checkpoints and repetitions alone fill no live set, but they do fill the log.
        if self.log.as_ref().is_some_and(|log| log.length() >= LOG_BYTES_MAX) {
            return true;
        }
        n_entries >= config.seal_entries || live.bytes() as u64 >= config.seal_bytes() || (is_old && n_entries > 0)
    }

    /// Hands the active live set over to become a segment, and begins a new one with a new log file.
    pub fn freeze(&mut self) {
        let frozen = Arc::new(Frozen {
            live: self.shared.look().active.clone(),
            logs: std::mem::take(&mut self.logs),
            state: State {
                group: self.group,
                sequence: self.sequence,
                next_segment: 0,
                checkpoints: self.shared.checkpoints.read().clone(),
                repeats: self.shared.repeats.read().clone(),
                forgotten: self.shared.forgotten.read().clone(),
            },
            number: self.shared.number_segment(),
        });
        let next = Live::sized_as(&frozen.live.read());
        self.shared.change(|view: &mut View| {
            view.active = Arc::new(RwLock::new(next));
            view.frozen.push(frozen.clone());
        });
        self.log = None;
        self.since = None;
        // Only when the engine is being dropped nobody takes it; the log has all of it, and the next start goes on.
        let _gone = self.upkeep.send(upkeep::Job::Seal(frozen));
    }

    fn work(&mut self, first: Command, commands: &Receiver<Command>) {
        let mut group = Group::default();
        let mut replies = Vec::new();
        let mut freezes = Vec::new();
        let mut erasures = Vec::new();
        let mut bytes = 0;
        let mut next = Some(first);
        while let Some(command) = next {
            match command {
                Command::Append { entries, checkpoint, admitted, reply } => {
                    bytes += group.add(&self.shared, self.sequence, entries, checkpoint);
                    replies.push((reply, Some(admitted)));
                }
                Command::Forget { keys, reply, erased } => {
                    group.batch.forgotten.extend(&keys);
                    replies.push((reply, None));
                    erasures.push(upkeep::Job::Erase { keys, reply: erased });
                }
                Command::Freeze { reply } => freezes.push(reply),
            }
            let goes_on = bytes < GROUP_BYTES && freezes.is_empty() && erasures.is_empty();
            next = if goes_on { commands.try_recv().ok() } else { None };
        }
        let outcome = self.keep(group);
        if outcome.is_err() {
            self.shared.condition.lock().refused += replies.len() as u64;
        }
        for (reply, admitted) in replies {
            drop(admitted);
            // Whoever asked may have gone; what was kept stays kept.
            let _gone = reply.send(match &outcome {
                Ok(sequence) => Ok(*sequence),
                Err(reason) => Err(StoreError::Refused { reason: reason.clone(), retry_after: RETRY_AFTER }),
            });
        }
        // What couldn't be hidden must not be removed either: whoever asked was told, and may ask again.
        erasures.retain(|_| outcome.is_ok());
        if !freezes.is_empty() || !erasures.is_empty() {
            self.freeze();
        }
        // After the live set that was just frozen: with that its log files go, and the entries in them.
        for erasure in erasures {
            let _gone = self.upkeep.send(erasure);
        }
        for reply in freezes {
            let _gone = reply.send(Ok(Sequence(self.sequence)));
        }
    }
}

/// An error with all of its causes, for people.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}
