//! The default engine: a log that is durable before anything is acknowledged, a live set in memory that is searched at once, and segments
//! on disk, each built whole in the background.
//!
//! ```text
//! append -> writer: log, fsync -> live set -> acknowledge          (store.rs, writer.rs, log_file.rs, live.rs)
//!                                    | full, or old
//!                                    v
//!           upkeep: segment, published by one rename, log removed  (upkeep.rs, segment/)
//! ask    -> view: live sets + segments -> candidates -> look       (view.rs, ask/, plan.rs, columns/)
//! open   -> segments, state, replay of the log                     (recover.rs)
//! ```
//! A data folder has `lock`, `state`, `log/`, `segments/`, `counts` of what retention removed, `tombstones` where something was forgotten,
//! and `damaged/` where something was set aside.

pub mod backup; // a copy of a data folder
pub mod inspect; // looks through a data folder
pub mod rebuild; // makes segments anew from their bodies

mod aside; // keeps what is damaged
mod ask; // how questions are answered
mod batch; // one group of the log
mod cache; // what was read lately
mod columns; // what is asked for most, entry by entry
mod disk; // how much of the disk is left free
mod erasing; // what was forgotten and still stands in files
mod forget; // hides entries, then removes them from every file
mod hash; // hashes that files hold
mod live; // entries that are not in a segment yet
mod log_file; // one file of the log
mod memory_use; // what takes memory, counted
mod migrate; // older formats
mod pace; // how fast, over the last minute
mod past; // how much there was of what is gone
mod plan; // how a query narrows
mod recover; // opens a data folder
mod segment; // entries that don't change any more
mod setting; // how it works
mod state; // what stands in no entry
mod store; // answers what every store is asked
mod tokens; // the terms of an entry
mod tombstones; // what must not come back
mod upkeep; // looks after the segments
mod view; // what can be seen
mod weight; // about how much memory an entry takes
mod writer; // writes the log

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use tokio::task::spawn_blocking;

pub use self::setting::IndexConfig;
use self::upkeep::Job;
use self::view::Shared;
use self::writer::Command;
use crate::engine::StoreError;
use crate::file::{self, FolderLock};

/// The default engine.
#[derive(Debug)]
pub struct Index {
    shared: Arc<Shared>,
    threads: Mutex<Threads>,
    /// Bytes of entries that may wait to be written.
    admission: Arc<Semaphore>,
    admission_bytes: u32,
    /// How many questions may be answered at once.
    questions: Arc<Semaphore>,
    /// Let go of last: until then the folder is ours.
    lock: Mutex<Option<FolderLock>>,
}

/// The engine's threads, and how they are asked.
#[derive(Debug, Default)]
struct Threads {
    commands: Option<mpsc::Sender<Command>>,
    jobs: Option<mpsc::Sender<Job>>,
    log: Option<JoinHandle<()>>,
    keeper: Option<JoinHandle<()>>,
}

/// How long appending waits for memory before it refuses: a source then just waits on, a sender over OTLP is told to come again.
const ADMISSION_WAIT_MAX: Duration = Duration::from_secs(5);

/// When to try again after memory was short: about as long as a seal takes.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// How often it is looked whether a segment that was made gave memory back.
const MEMORY_LOOK: Duration = Duration::from_millis(20);

/// How long a seal that somebody waits for may take.
const SEAL_WAIT_MAX: Duration = Duration::from_secs(60);

/// How many questions are answered at once; further ones wait. Each may unpack blocks, and writing needs the other core.
const QUESTIONS_MAX: usize = 8;

/// Which share of the memory limit entries that wait to be written may take.
const ADMISSION_SHARE: u64 = 16;

impl Index {
    /// Opens a data folder, or makes it. Replays what a crash left in the log; may take seconds then, so don't call it where others wait.
    pub fn open(config: IndexConfig) -> Result<Index, StoreError> {
        file::make_folder(&config.path)?;
        let lock = FolderLock::take(&config.path)?;
        let admitted = u32::try_from(config.memory_limit / ADMISSION_SHARE).unwrap_or(u32::MAX);
        let admission_bytes = admitted.clamp(1 << 20, 1 << 28);
        let (shared, threads) = recover::open(config)?;
        Ok(Index {
            shared,
            threads: Mutex::new(threads),
            admission: Arc::new(Semaphore::new(admission_bytes as usize)),
            admission_bytes,
            questions: Arc::new(Semaphore::new(QUESTIONS_MAX)),
            lock: Mutex::new(Some(lock)),
        })
    }

    /// Makes the live set a segment now, however small it is, and waits until it is one. For tests and before a backup.
    pub async fn seal(&self) -> Result<(), StoreError> {
        let (reply, answer) = oneshot::channel();
        self.command(Command::Freeze { reply })?;
        answer.await.map_err(|_| self.gone())??;
        let shared = self.shared.clone();
        // What is frozen later, while more comes in than can be sealed, is not waited for.
        let last = shared.look().frozen.iter().map(|frozen| frozen.number).max();
        let waited = spawn_blocking(move || {
            let began = Instant::now();
            let mut sealing = shared.sealing.lock();
            while shared.look().frozen.iter().any(|frozen| Some(frozen.number) <= last) {
                if began.elapsed() > SEAL_WAIT_MAX {
                    let reason = shared.condition.lock().not_sealing.clone();
                    let reason = reason.unwrap_or_else(|| "the disk is too slow to write a segment".to_owned());
                    return Err(StoreError::Refused { reason, retry_after: RETRY_AFTER });
                }
                shared.sealed.wait_for(&mut sealing, Duration::from_millis(20));
            }
            Ok(())
        });
        waited.await.map_err(|error| StoreError::Internal(error.to_string()))?
    }

    /// Applies retention and merges small segments now, however few there are, and waits until it is done. For tests and before a backup.
    pub async fn look_after(&self) -> Result<(), StoreError> {
        let (reply, answer) = oneshot::channel();
        {
            let threads = self.threads.lock();
            let jobs = threads.jobs.as_ref().ok_or(StoreError::Closed)?;
            jobs.send(Job::LookAfter { reply }).map_err(|_| StoreError::Closed)?;
        }
        answer.await.map_err(|_| StoreError::Closed)?
    }

    /// Reads every file of every segment and checks it. Damaged segments are set aside, as they would be when they are met.
    pub async fn check(&self) -> Result<Checked, StoreError> {
        let shared = self.shared.clone();
        self.ask(move || {
            let mut checked = Checked::default();
            for segment in &shared.look().segments {
                match shared.ask(segment, || segment.check()) {
                    Ok(entries) => checked.entries += entries,
                    Err(damage) => checked.damaged.push((damage.segment, damage.reason)),
                }
                checked.segments += 1;
            }
            Ok(checked)
        })
        .await
    }

    /// Waits for room: among what may wait to be written, and in the memory that the store may take as a whole. That is given back by
    /// whoever makes segments, so it is looked at again and again.
    async fn admit(&self, permits: u32) -> Result<OwnedSemaphorePermit, StoreError> {
        let admitted = self.admission.clone().acquire_many_owned(permits).await.map_err(|_| StoreError::Closed)?;
        while !memory_use::has_room(&self.shared, &self.admission, self.admission_bytes) {
            tokio::time::sleep(MEMORY_LOOK).await;
        }
        Ok(admitted)
    }

    fn command(&self, command: Command) -> Result<(), StoreError> {
        let threads = self.threads.lock();
        let commands = threads.commands.as_ref().ok_or(StoreError::Closed)?;
        commands.send(command).map_err(|_| self.gone())
    }

    /// Why nobody answers: the store is closed, or must be started again.
    fn gone(&self) -> StoreError {
        let failed = self.shared.failed.borrow().clone();
        if failed.is_none() && self.shared.is_closing.load(Ordering::Relaxed) {
            return StoreError::Closed;
        }
        // Whoever waits for an answer learns that none comes a moment before it is said why.
        let reason = failed.unwrap_or_else(|| "the log can't be written any more: start Sillage again".to_owned());
        StoreError::Refused { reason, retry_after: RETRY_AFTER }
    }

    /// Answers a question away from the runtime's threads.
    async fn ask<T: Send + 'static>(
        &self,
        question: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let permit = self.questions.clone().acquire_owned().await.map_err(|_| StoreError::Closed)?;
        let answered = spawn_blocking(move || {
            let answer = question();
            drop(permit);
            answer
        });
        answered.await.map_err(|error| StoreError::Internal(error.to_string()))?
    }
}

/// What a check of the segments found.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Checked {
    /// How many segments were read.
    pub segments: u64,
    /// How many entries in them could be read.
    pub entries: u64,
    /// Which segments are damaged, and how.
    pub damaged: Vec<(u64, String)>,
}

impl Threads {
    /// Lets them finish what they have begun, and waits for it.
    fn join(mut self) {
        drop(self.commands.take());
        drop(self.jobs.take());
        for thread in [self.log.take(), self.keeper.take()].into_iter().flatten() {
            if thread.join().is_err() {
                tracing::error!("a thread of the store panicked");
            }
        }
    }
}

impl Drop for Index {
    fn drop(&mut self) {
        self.shared.is_closing.store(true, Ordering::Relaxed);
        std::mem::take(&mut *self.threads.lock()).join();
    }
}
