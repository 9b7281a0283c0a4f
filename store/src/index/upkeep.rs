//! The thread that looks after the segments: makes them of frozen live sets, rewrites them when something is forgotten, merges small ones,
//! reads them through, and removes what is too old or too much. Only this thread adds and removes segments, but for damaged ones, which
//! whoever meets them sets aside.
//!
//! Whatever panics in a job ends that job and nothing else.

mod discard; // removes files that nothing needs any more
pub mod forget; // removes what was forgotten from every file
mod merge; // makes one segment of several small ones
mod replace; // puts one segment in place of others
pub mod retention; // removes what is too old or too much
mod scrub; // reads segments through

use std::collections::HashSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use self::forget::Erased;
use self::scrub::Scrub;
use super::columns::Columns;
use super::hash::IdentityKey;
use super::log_file;
use super::segment::Segment;
use super::segment::build::{self, Entries, Kept};
use super::segment::manifest::Manifest;
use super::state::State;
use super::view::{Frozen, Shared};
use super::writer::chain;
use crate::clock::Steady;
use crate::engine::StoreError;
use crate::file;

/// What is to be done.
#[derive(Debug)]
pub enum Job {
    /// Makes a frozen live set a segment.
    Seal(Arc<Frozen>),
    /// Removes what was forgotten from every file. Comes after the job that seals the live set in which it was.
    Erase {
        /// What was forgotten.
        keys: Vec<IdentityKey>,
        /// Where the answer goes.
        reply: oneshot::Sender<Result<Erased, StoreError>>,
    },
    /// Applies retention and merges small segments now, however few there are.
    LookAfter {
        /// Where the answer goes.
        reply: oneshot::Sender<Result<(), StoreError>>,
    },
    /// Applies retention now: the disk is nearly full.
    FreeDisk,
}

/// How often retention and merges are looked at.
const ROUND: Duration = Duration::from_secs(30);

/// How long to wait before a segment that couldn't be written is tried again.
const RETRY: Duration = Duration::from_secs(1);

/// What building a segment takes beside its entries: tantivy's arena, zstd's tables.
const BUILD_BYTES_ABOUT: u64 = 24 << 20;

/// What an entry takes while it is built into a segment: its terms and ids, its places in the tables.
const BUILT_BYTES_ABOUT: u64 = 500;

/// To about which share of its weight a live set is packed at the worst: less of what is usual, more of what is random.
const PACKED_SHARE: u64 = 4;

/// Memory that is counted as taken by building until this is dropped.
struct Counted<'a> {
    shared: &'a Shared,
    bytes: u64,
}

impl Counted<'_> {
    fn new(shared: &Shared, bytes: u64) -> Counted<'_> {
        shared.building.fetch_add(bytes, Ordering::Relaxed);
        Counted { shared, bytes }
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.shared.building.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

/// Works until nobody can ask for anything any more.
pub fn run(shared: &Shared, jobs: &Receiver<Job>) {
    let mut round = Instant::now();
    let mut clock = Steady::new(shared.config.clock.clone());
    let mut scrub = Scrub::default();
    // What was forgotten and couldn't be removed from every file: tried again each round.
    let mut unfinished: HashSet<IdentityKey> = HashSet::new();
    loop {
        match jobs.recv_timeout(ROUND) {
            Ok(Job::Seal(frozen)) => {
                seal_until_done(shared, &frozen, &mut clock);
                if merge::is_urgent(shared) {
                    said(contained(|| merge(shared, &mut clock, false)));
                }
            }
            Ok(Job::Erase { keys, reply }) => {
                unfinished.extend(keys);
                let _gone = reply.send(contained(|| forget::erase(shared, &mut unfinished)));
            }
            Ok(Job::LookAfter { reply }) => {
                let done = contained(|| retention::apply(shared, clock.now()));
                let _gone = reply.send(done.and_then(|()| contained(|| merge(shared, &mut clock, true))));
            }
            Ok(Job::FreeDisk) => {
                said(contained(|| retention::apply(shared, clock.now())));
                shared.is_freeing.store(false, Ordering::Relaxed);
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return,
        }
        if round.elapsed() >= ROUND.min(shared.config.seal_age) {
            round = Instant::now();
            said(contained(|| retention::apply(shared, clock.now())));
            if !merge::is_busy(shared) {
                said(contained(|| merge(shared, &mut clock, false)));
                scrub.next(shared);
            }
            if !unfinished.is_empty() {
                // Said where it happens, and shown with the store's condition.
                let _told = contained(|| forget::erase(shared, &mut unfinished));
            }
        }
    }
}

/// Merging forgets which of them came when the clock was wrong, so it is only done by one that can be believed.
fn merge(shared: &Shared, clock: &mut Steady, is_eager: bool) -> Result<(), StoreError> {
    clock.now().map_or(Ok(()), |now| merge::once(shared, now, is_eager))
}

/// Does a job; a panic in it is an error.
fn contained<T>(job: impl FnOnce() -> Result<T, StoreError>) -> Result<T, StoreError> {
    catch_unwind(AssertUnwindSafe(job)).unwrap_or_else(|panic| Err(StoreError::Internal(panicked(&*panic))))
}

/// What a panic said.
pub fn panicked(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str).or(panic.downcast_ref::<&str>().copied());
    format!("it panicked: {}", text.unwrap_or("it didn't say why"))
}

fn said(done: Result<(), StoreError>) {
    if let Err(error) = done {
        tracing::error!("segments can't be looked after: {}", chain(&error));
    }
}

/// Makes a frozen live set a segment. While the disk is full or fails, it stays in memory and in the log, can be found, and is tried again;
/// meanwhile what is too old or too much goes all the same, which may be what makes room.
fn seal_until_done(shared: &Shared, frozen: &Frozen, clock: &mut Steady) {
    let is_waiting = shared.look().frozen.iter().any(|waiting| waiting.number == frozen.number);
    if !is_waiting {
        return;
    }
    loop {
        match contained(|| seal(shared, frozen)) {
            Ok(()) => {
                shared.condition.lock().not_sealing = None;
                return;
            }
            Err(error) => {
                let reason = chain(&error);
                let before = shared.condition.lock().not_sealing.replace(reason.clone());
                if before.as_ref() != Some(&reason) {
                    tracing::error!("a segment can't be written, and is tried again: {reason}");
                }
            }
        }
        // The engine is being closed: the log has all of it, and the next start goes on.
        if shared.is_closing.load(Ordering::Relaxed) {
            return;
        }
        said(contained(|| retention::apply(shared, clock.now())));
        std::thread::sleep(RETRY);
    }
}

/// Makes the oldest frozen live set a segment in the middle of a longer job: appending doesn't wait for a merge. Where that fails, the live
/// set's own job tries again.
fn seal_meanwhile(shared: &Shared) {
    let oldest = shared.look().frozen.first().cloned();
    if let Some(frozen) = oldest {
        said(contained(|| seal(shared, &frozen)));
    }
}

fn seal(shared: &Shared, frozen: &Frozen) -> Result<(), StoreError> {
    let live = frozen.live.read();
    let mut entries: Vec<Kept> = live
        .entries()
        .iter()
        .map(|entry| Kept {
            held: entry.held.clone(),
            key: IdentityKey::of(&entry.identity),
            knots: entry.knots.clone(),
        })
        .collect();
    {
        let forgotten = shared.forgotten.read();
        entries.retain(|kept| !forgotten.contains(&kept.key));
    }
    tracing::debug!("sealing segment {}: {} entries", frozen.number, entries.len());
    let columns = (entries.len() == live.columns.len()).then_some(&live.columns);
    let segment = if entries.is_empty() {
        None
    } else {
        let manifest = Manifest {
            number: frozen.number,
            group: frozen.state.group,
            sequence_last: frozen.state.sequence,
            checkpoints: frozen.state.checkpoints.values().cloned().collect(),
            ..Manifest::default()
        };
        Some(write(shared, manifest, &Entries::at_hand(&entries), columns, live.bytes() as u64 / PACKED_SHARE)?)
    };
    // The log files have the tombstones, too, and will go.
    if !shared.erasing.keys().is_empty() {
        forget::remember(shared, &shared.erasing.keys())?;
    }
    // From here on the segment holds them durably; the state only says so more briefly, and the log files only take room.
    write_state(shared, &frozen.state)?;
    shared.change(|view| {
        view.frozen.retain(|other| other.number != frozen.number);
        if let Some(segment) = segment {
            let place = view.segments.partition_point(|other| other.number() < segment.number());
            view.segments.insert(place, segment);
        }
    });
    drop(shared.sealing.lock());
    shared.sealed.notify_all();
    tracing::debug!("sealed segment {}", frozen.number);
    for number in &frozen.logs {
        let path = log_file::path(&shared.config.log_folder(), *number);
        if let Err(error) = file::remove(&path) {
            // The segment has all of it, and the next start removes the file.
            tracing::warn!("a log file that is no longer needed stays: {}", chain(&error));
            shared.leftovers.lock().push(path);
        }
    }
    Ok(())
}

/// Writes a segment and opens it. `packed_bytes` is about how long its files will be, which are put together in memory.
fn write(
    shared: &Shared,
    manifest: Manifest,
    entries: &Entries<'_>,
    columns: Option<&Columns>,
    packed_bytes: u64,
) -> Result<Arc<Segment>, StoreError> {
    let folder = shared.config.segments_folder();
    let path = build::folder(&folder, manifest.number);
    // Where an earlier try got as far as this and then failed at something else.
    file::remove_folder(&path)?;
    let bytes = BUILD_BYTES_ABOUT + entries.outlines.len() as u64 * BUILT_BYTES_ABOUT + packed_bytes;
    let _counted = Counted::new(shared, bytes);
    let manifest = build::build(&folder, manifest, entries, columns)?;
    let opened = Segment::open(&path, manifest);
    let segment =
        opened.map_err(|damage| StoreError::Damaged { path: path.display().to_string(), reason: damage.reason })?;
    Ok(Arc::new(segment))
}

/// Writes down what was known when a live set was frozen, but for what was let go of since.
fn write_state(shared: &Shared, state: &State) -> Result<(), StoreError> {
    let next_segment = shared.next_segment.load(Ordering::Relaxed);
    let forgotten = shared.forgotten.read().clone();
    let mut state = State { next_segment, forgotten, ..state.clone() };
    {
        let repeats = shared.repeats.read();
        state.repeats.retain(|key, _| repeats.contains_key(key));
    }
    state.write(&shared.config.state_path())
}
