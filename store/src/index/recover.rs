//! Opens a data folder: reads what the segments and the state say, replays the log, and starts the threads.
//!
//! Whatever a crash left behind is put right here: half-built segments are removed, segments that another stands in for too, the torn end
//! of a log is cut, what is damaged is set aside.

use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc;
use std::thread;

use parking_lot::RwLock;

use super::aside::{keep_copy, unless_damaged};
use super::erasing::Erasing;
use super::live::Live;
use super::log_file::{self, Cut};
use super::migrate::migrate;
use super::past::{COUNTS, Past};
use super::segment::build::MANIFEST;
use super::segment::manifest::{self, Manifest, Unreadable};
use super::segment::{Damage, Segment};
use super::state::State;
use super::tombstones::Tombstones;
use super::upkeep::{self, Job};
use super::view::{Shared, View};
use super::writer::Writer;
use super::{IndexConfig, Threads};
use crate::engine::StoreError;
use crate::file;

/// What may stand in a data folder. Anything else, and it is not ours to write into.
const KNOWN: [&str; 11] =
    ["lock", "state", "tombstones", "log", "segments", "counts", "damaged", "journal", "lag", "backup", "lost+found"];

/// Opens a data folder that this process has locked.
pub fn open(config: IndexConfig) -> Result<(Arc<Shared>, Threads), StoreError> {
    refuse_foreign(&config)?;
    for folder in [config.log_folder(), config.segments_folder()] {
        file::make_folder(&folder)?;
    }
    let mut lost = Vec::new();
    let state = unless_damaged(&config.path, "state", State::read(&config.state_path()), &mut lost)?;
    let tombstones =
        unless_damaged(&config.path, "tombstones", Tombstones::read(&config.tombstones_path()), &mut lost)?;
    let is_new = state.is_none();
    let mut state = state.unwrap_or_default();
    let tombstones = Tombstones::together(tombstones, &state.forgotten);
    state.forgotten = tombstones.forgotten;
    let (segments, damages) = open_segments(&config, &mut state)?;
    let highest =
        segments.iter().map(|segment| segment.number()).chain(damages.iter().map(|damage| damage.segment)).max();
    state.next_segment = state.next_segment.max(highest.map_or(1, |highest| highest + 1));
    let view = View { active: Arc::new(RwLock::new(Live::default())), frozen: Vec::new(), segments };
    let past = Past::open(config.path.join(COUNTS))?;
    let erasing = Erasing::new(tombstones.erasing);
    let shared = Arc::new(Shared::new(config, view, state.clone(), past, erasing));
    shared.condition.lock().damaged = (lost.len() + damages.len()) as u64;
    if is_new {
        // So that the folder is recognised as ours, and its format is written down.
        state.write(&shared.config.state_path())?;
    }
    for damage in &damages {
        set_aside(&shared, damage)?;
    }
    let (jobs, upkeep_jobs) = mpsc::channel();
    let (commands, writer_commands) = mpsc::channel();
    let keeper = {
        let shared = shared.clone();
        spawn("store-segments", move || upkeep::run(&shared, &upkeep_jobs))?
    };
    let mut writer = replay(&shared, &state, jobs.clone())?;
    let forgotten = shared.erasing.keys();
    if writer.is_full() || !forgotten.is_empty() {
        writer.freeze();
    }
    if !forgotten.is_empty() {
        // Where the process ended while it was forgetting, it goes on; the log knows of what came last.
        let (reply, _nobody_waits) = tokio::sync::oneshot::channel();
        let _running = jobs.send(Job::Erase { keys: forgotten.iter().copied().collect(), reply });
    }
    let log = {
        let shared = shared.clone();
        spawn("store-log", move || {
            // What was written and what can be seen may differ then: only a new start puts that right.
            if let Err(panic) = catch_unwind(AssertUnwindSafe(|| writer.run(&writer_commands))) {
                shared.fail(format!("while the log was being written {}", upkeep::panicked(&*panic)));
            }
        })?
    };
    Ok((shared, Threads { commands: Some(commands), jobs: Some(jobs), log: Some(log), keeper: Some(keeper) }))
}

fn spawn(name: &str, work: impl FnOnce() + Send + 'static) -> Result<thread::JoinHandle<()>, StoreError> {
    let spawned = thread::Builder::new().name(name.to_owned()).spawn(work);
    spawned.map_err(|error| StoreError::Internal(format!("can't start a thread: {error}")))
}

fn refuse_foreign(config: &IndexConfig) -> Result<(), StoreError> {
    let foreign: Vec<String> = file::names(&config.path)?
        .into_iter()
        .filter(|name| !KNOWN.contains(&name.as_str()) && !is_aside(name))
        .collect();
    match foreign.first() {
        None => Ok(()),
        Some(first) => Err(StoreError::Unusable(format!(
            "`{}` is no data folder of this program: it holds `{first}`; give an empty folder",
            config.path.display()
        ))),
    }
}

/// Files that are put beside ours by the store's neighbours while they replace theirs, and by editors and shells.
fn is_aside(name: &str) -> bool {
    let ours = ["state.new", "tombstones.new", "counts.new"];
    name.starts_with('.') || ours.contains(&name) || name.starts_with("journal") || name.starts_with("lag")
}

/// Opens all segments, and says which are damaged: newest first where one stands in for others. What they say of the whole store goes into
/// the state. Where the system can't read one just now nothing is opened: what it holds would be missed, and kept a second time.
fn open_segments(config: &IndexConfig, state: &mut State) -> Result<(Vec<Arc<Segment>>, Vec<Damage>), StoreError> {
    let folder = config.segments_folder();
    let mut manifests: BTreeMap<u64, Manifest> = BTreeMap::new();
    let mut damages = Vec::new();
    for name in file::names(&folder)? {
        let path = folder.join(&name);
        let Ok(number) = name.parse::<u64>() else {
            // What was being built when the process ended; its entries are in the log.
            file::remove_folder(&path)?;
            continue;
        };
        let bytes = file::read(&path.join(MANIFEST))?;
        match Manifest::from_bytes(&bytes.unwrap_or_default()) {
            Ok(manifest) if manifest.number == number => {
                manifests.insert(number, manifest);
            }
            Ok(_) => damages.push(Damage::new(number, "its manifest is another segment's".to_owned())),
            Err(Unreadable::Damaged(reason)) => damages.push(Damage::new(number, format!("`{MANIFEST}`: {reason}"))),
            Err(Unreadable::Older(format)) => {
                return Err(StoreError::Unusable(format!(
                    "`{}` was written by a version of this program from before its first release (format {format}, this one reads \
                     from {} on): give another data folder",
                    path.display(),
                    manifest::FORMAT_OLDEST
                )));
            }
            Err(Unreadable::Newer(format)) => {
                return Err(StoreError::Unusable(format!(
                    "`{}` was written by a newer version of this program (format {format}, this one reads up to {}): \
                     use that version, or another data folder",
                    path.display(),
                    manifest::FORMAT
                )));
            }
        }
    }
    make_anew(&folder, &mut manifests, &mut damages)?;
    let mut replaced: BTreeSet<u64> = BTreeSet::new();
    let mut segments = Vec::new();
    for (number, manifest) in manifests.into_iter().rev() {
        let path = super::segment::build::folder(&folder, number);
        if replaced.contains(&number) {
            file::remove_folder(&path)?;
            continue;
        }
        let checkpoints = manifest.checkpoints.clone();
        match Segment::open(&path, manifest) {
            Ok(segment) => {
                let manifest = &segment.manifest;
                replaced.extend(&manifest.replaces);
                state.group = state.group.max(manifest.group);
                state.sequence = state.sequence.max(manifest.sequence_last);
                checkpoints.iter().for_each(|checkpoint| state.advance(checkpoint));
                segments.push(Arc::new(segment));
            }
            Err(damage) if damage.is_passing => {
                return Err(StoreError::Unusable(format!(
                    "`{}` can't be read now ({}): nothing is known to be wrong with it; give this process more open files, maps or \
                     memory, or look after the disk, and start again",
                    path.display(),
                    damage.reason
                )));
            }
            Err(damage) => damages.push(damage),
        }
    }
    segments.reverse();
    Ok((segments, damages))
}

/// Makes segments of an older format anew, but for those that another stands in for already.
fn make_anew(
    folder: &Path,
    manifests: &mut BTreeMap<u64, Manifest>,
    damages: &mut Vec<Damage>,
) -> Result<(), StoreError> {
    let replaced: BTreeSet<u64> = manifests.values().flat_map(|manifest| manifest.replaces.iter().copied()).collect();
    let is_older = |(number, manifest): &(&u64, &Manifest)| manifest.is_older() && !replaced.contains(number);
    let older: Vec<u64> = manifests.iter().filter(is_older).map(|(number, _)| *number).collect();
    let highest = manifests.keys().chain(damages.iter().map(|damage| &damage.segment)).max().copied();
    for (next, number) in (highest.unwrap_or(0) + 1..).zip(older) {
        match migrate(folder, &manifests[&number], next)? {
            Ok(newer) => drop(manifests.insert(next, newer)),
            Err(damage) => {
                manifests.remove(&number);
                damages.push(damage);
            }
        }
    }
    Ok(())
}

fn set_aside(shared: &Shared, damage: &Damage) -> Result<(), StoreError> {
    let from = super::segment::build::folder(&shared.config.segments_folder(), damage.segment);
    let to = shared.config.damaged_folder().join(format!("segment-{:016}", damage.segment));
    tracing::error!(
        "segment {} is damaged ({}): its entries can't be shown; its files are kept in `{}`",
        damage.segment,
        damage.reason,
        to.display()
    );
    file::make_folder(&shared.config.damaged_folder())?;
    file::remove_folder(&to)?;
    file::rename(&from, &to)
}

/// Brings what is only in the log back into memory.
fn replay(shared: &Arc<Shared>, state: &State, jobs: mpsc::Sender<Job>) -> Result<Writer, StoreError> {
    let folder = shared.config.log_folder();
    let mut numbers: Vec<u64> = file::names(&folder)?.iter().filter_map(|name| name.parse().ok()).collect();
    numbers.sort_unstable();
    let mut ends: BTreeMap<u64, u64> = BTreeMap::new();
    for number in &numbers {
        if let Some(cut) = log_file::read_cut(&log_file::path(&folder, *number))? {
            ends.insert(cut.number, cut.length);
        }
    }
    let last = numbers.last().copied().unwrap_or(0);
    let next_log = last + 1;
    let mut writer = Writer::new(shared.clone(), jobs, state, next_log);
    for number in &numbers {
        let path = log_file::path(&folder, *number);
        let mut n_batches = 0;
        let contents = log_file::read(&path, ends.get(number).copied(), |batch| {
            if batch.number <= state.group {
                return;
            }
            // A full live set goes before the batch. This file holds the rest too, so it must outlive the segment: it is not among the
            // files that go with it, and is adopted again below. What the segment has of it is left out by its group's number.
            if writer.is_full() {
                writer.release_log(*number);
                writer.freeze();
                n_batches = 0;
            }
            if n_batches == 0 {
                writer.adopt_log(*number);
            }
            n_batches += 1;
            writer.apply(batch, None);
        })?;
        if let Some(damage) = contents.damage(*number == last) {
            shared.condition.lock().damaged += 1;
            let aside = keep_copy(&shared.config.path, &path, &format!("log-{number:016}"))?;
            tracing::error!(
                "`{}`: {damage}; the rest goes on, and a copy is kept in `{}`",
                path.display(),
                aside.display()
            );
        } else if contents.torn_bytes > 0 {
            tracing::warn!(
                "cut {} bytes off the end of `{}`: what was being written when the process ended, and never acknowledged",
                contents.torn_bytes,
                path.display()
            );
        }
        if n_batches == 0 {
            file::remove(&path)?;
        } else if contents.end_bytes() > 0 {
            writer.cut(Cut { number: *number, length: contents.length });
        }
    }
    Ok(writer)
}
