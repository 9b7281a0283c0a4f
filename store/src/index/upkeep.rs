//! The thread that looks after the segments: makes them of frozen live sets, rewrites them when something is forgotten, merges small ones,
//! and removes what is too old or too much. Only this thread adds and removes segments, but for damaged ones, which whoever meets them sets aside.

pub mod forget; // removes what was forgotten from every file
mod merge; // makes one segment of several small ones
mod retention; // removes what is too old or too much

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use self::forget::Erased;
use super::columns::Columns;
use super::hash::IdentityKey;
use super::log_file;
use super::segment::Segment;
use super::segment::build::{self, Kept};
use super::segment::manifest::Manifest;
use super::state::State;
use super::view::{Frozen, Shared};
use super::weight::weight;
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
}

/// How often retention and merges are looked at.
const ROUND: Duration = Duration::from_secs(30);

/// How long to wait before a segment that couldn't be written is tried again.
const RETRY: Duration = Duration::from_secs(1);

/// What building a segment takes beside its entries: tantivy's arena, zstd's tables.
const BUILD_BYTES_ABOUT: u64 = 24 << 20;

/// What an entry takes while it is built into a segment: its packed bytes, its terms and ids, its places in the tables.
const BUILT_BYTES_ABOUT: usize = 500;

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
pub fn run(shared: &Arc<Shared>, jobs: &Receiver<Job>) {
    let mut round = Instant::now();
    let mut clock = Steady::new(shared.config.clock.clone());
    // What was forgotten and couldn't be removed from every file: tried again each round.
    let mut unfinished: HashSet<IdentityKey> = HashSet::new();
    loop {
        match jobs.recv_timeout(ROUND) {
            Ok(Job::Seal(frozen)) => {
                seal_until_done(shared, &frozen);
            }
            Ok(Job::Erase { keys, reply }) => {
                unfinished.extend(keys);
                let _gone = reply.send(forget::erase(shared, &mut unfinished));
            }
            Ok(Job::LookAfter { reply }) => {
                let _gone = reply.send(look_after(shared, &mut clock, 2));
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return,
        }
        if round.elapsed() >= ROUND.min(shared.config.seal_age) {
            round = Instant::now();
            if let Err(error) = look_after(shared, &mut clock, merge::SMALL_MAX) {
                tracing::error!("segments can't be looked after: {}", chain(&error));
            }
            if !unfinished.is_empty() {
                // Said where it happens, and shown with the store's condition.
                let _told = forget::erase(shared, &mut unfinished);
            }
        }
    }
}

/// Removes what is too old or too much, and merges small segments where there are so many.
fn look_after(shared: &Shared, clock: &mut Steady, small_min: usize) -> Result<(), StoreError> {
    let now = clock.now();
    retention::apply(shared, now)?;
    // Merging forgets which of them came when the clock was wrong.
    now.map_or(Ok(()), |now| merge::once(shared, now, small_min))
}

/// Makes a frozen live set a segment. While the disk is full or fails, it stays in memory and in the log, can be found, and is tried again.
fn seal_until_done(shared: &Shared, frozen: &Frozen) {
    loop {
        match seal(shared, frozen) {
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
        if shared.is_closing.load(std::sync::atomic::Ordering::Relaxed) {
            return;
        }
        std::thread::sleep(RETRY);
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
        Some(write(shared, manifest, &entries, columns)?)
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

/// Writes a segment and opens it.
fn write(
    shared: &Shared,
    manifest: Manifest,
    entries: &[Kept],
    columns: Option<&Columns>,
) -> Result<Arc<Segment>, StoreError> {
    let folder = shared.config.segments_folder();
    let path = build::folder(&folder, manifest.number);
    // Where an earlier try got as far as this and then failed at something else.
    file::remove_folder(&path)?;
    // Entries that were read to be merged or rewritten are this thread's alone; those of a live set are counted there.
    let read: usize = if columns.is_none() { entries.iter().map(|kept| weight(&kept.held.entry)).sum() } else { 0 };
    let _counted = Counted::new(shared, BUILD_BYTES_ABOUT + (read + entries.len() * BUILT_BYTES_ABOUT) as u64);
    let manifest = build::build(&folder, manifest, entries, columns)?;
    let opened = Segment::open(&path, manifest);
    let segment =
        opened.map_err(|damage| StoreError::Damaged { path: path.display().to_string(), reason: damage.reason })?;
    Ok(Arc::new(segment))
}

fn write_state(shared: &Shared, state: &State) -> Result<(), StoreError> {
    let next_segment = shared.next_segment.load(std::sync::atomic::Ordering::Relaxed);
    let forgotten = shared.forgotten.read().clone();
    State { next_segment, forgotten, ..state.clone() }.write(&shared.config.state_path())
}
