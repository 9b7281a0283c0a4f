//! Makes every segment anew from its bodies, and takes back what can be read of those that were set aside as damaged.
//!
//! Everything in a segment but its bodies can be made from them: terms, ids, columns, filters. So a segment is lost only as far as its bodies are.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use super::aside::{DAMAGED, unless_damaged};
use super::hash::{IdentityKey, knot_terms};
use super::inspect::{manifest, numbered};
use super::segment::bodies::{BlockTable, unpack_dictionary};
use super::segment::build::{self, BLOCKS, BODIES, DICTIONARY, Entries, Kept};
use super::segment::manifest::Manifest;
use super::state::State;
use super::tombstones::Tombstones;
use crate::engine::StoreError;
use crate::file::{self, FolderLock};

/// What was rebuilt.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Rebuilt {
    /// How many segments were made anew.
    pub segments: u64,
    /// How many entries they hold.
    pub entries: u64,
    /// Of these, how many had been set aside as damaged.
    pub recovered: u64,
    /// What could not be read, a line each; its files are kept in `damaged`.
    pub lost: Vec<String>,
}

/// One segment that is to be made anew.
struct Old {
    number: u64,
    path: PathBuf,
    is_aside: bool,
}

/// Rebuilds a folder that no process uses.
pub fn rebuild(folder: &Path) -> Result<Rebuilt, StoreError> {
    if !folder.join("segments").exists() {
        return Err(StoreError::Unusable(format!("there is no data folder at `{}`", folder.display())));
    }
    let _lock = FolderLock::take(folder)?;
    let mut rebuilt = Rebuilt::default();
    let (state_path, tombstones_path) = (folder.join("state"), folder.join("tombstones"));
    let state = unless_damaged(folder, "state", State::read(&state_path), &mut rebuilt.lost)?;
    let tombstones = unless_damaged(folder, "tombstones", Tombstones::read(&tombstones_path), &mut rebuilt.lost)?;
    let is_lost = !rebuilt.lost.is_empty();
    let mut state = state.unwrap_or_default();
    let tombstones = Tombstones::together(tombstones, &state.forgotten);
    let (segments, damaged) = (folder.join("segments"), folder.join(DAMAGED));
    let olds = olds(&segments, &damaged)?;
    // Manifests of another version end it before anything is changed.
    let manifests: Vec<_> = olds.iter().map(|old| manifest(&old.path)).collect::<Result<_, _>>()?;
    let replaced: HashSet<u64> =
        manifests.iter().flatten().flat_map(|manifest| manifest.replaces.iter().copied()).collect();
    let mut next = olds.iter().map(|old| old.number + 1).max().unwrap_or(1).max(state.next_segment);
    let mut known: HashSet<IdentityKey> = HashSet::new();
    for (old, manifest) in olds.iter().zip(manifests) {
        if !old.is_aside && replaced.contains(&old.number) {
            file::remove_folder(&old.path)?;
            continue;
        }
        let (mut entries, lost) = read(&old.path)?;
        let is_whole = lost.is_empty();
        rebuilt.lost.extend(lost);
        entries.retain(|kept| !tombstones.forgotten.contains(&kept.key) && known.insert(kept.key));
        let n_entries = entries.len() as u64;
        if !entries.is_empty() {
            let manifest = manifest.unwrap_or_default();
            state.take_over(&manifest);
            let last = entries.iter().map(|kept| kept.held.sequence.0).max().unwrap_or(0);
            let new = Manifest {
                number: next,
                group: manifest.group,
                sequence_last: manifest.sequence_last.max(last),
                checkpoints: manifest.checkpoints,
                replaces: if old.is_aside { Vec::new() } else { vec![old.number] },
                ..Manifest::default()
            };
            build::build(&segments, new, &Entries::at_hand(&entries), None)?;
            next += 1;
            rebuilt.segments += 1;
            rebuilt.entries += n_entries;
            rebuilt.recovered += if old.is_aside { n_entries } else { 0 };
        }
        if is_whole {
            file::remove_folder(&old.path)?;
        } else if !old.is_aside {
            file::make_folder(&damaged)?;
            let aside = damaged.join(format!("segment-{:016}", old.number));
            file::remove_folder(&aside)?;
            file::rename(&old.path, &aside)?;
        }
    }
    if is_lost {
        Tombstones::write(&tombstones_path, &tombstones.forgotten, &tombstones.erasing)?;
        State { forgotten: tombstones.forgotten, next_segment: next, ..state }.write(&state_path)?;
    }
    Ok(rebuilt)
}

/// The segments as they stand, then those that were set aside.
fn olds(segments: &Path, damaged: &Path) -> Result<Vec<Old>, StoreError> {
    let standing = numbered(segments)?.into_iter();
    let mut olds: Vec<Old> =
        standing.map(|(number, name)| Old { number, path: segments.join(name), is_aside: false }).collect();
    for name in file::names(damaged)? {
        if let Some(number) = name.strip_prefix("segment-").and_then(|number| number.parse().ok()) {
            olds.push(Old { number, path: damaged.join(name), is_aside: true });
        }
    }
    Ok(olds)
}

/// All entries that can be read of a segment's bodies, and what can't be.
pub(super) fn read(path: &Path) -> Result<(Vec<Kept>, Vec<String>), StoreError> {
    let bodies = file::read(&path.join(BODIES))?.unwrap_or_default();
    let blocks = file::read(&path.join(BLOCKS))?.unwrap_or_default();
    let table = BlockTable(&blocks);
    let (mut entries, mut lost) = (Vec::new(), Vec::new());
    if table.len() == 0 {
        lost.push(format!("`{}`: there is no table of its bodies", path.display()));
    }
    let packed = file::read(&path.join(DICTIONARY))?.unwrap_or_default();
    let dictionary = match unpack_dictionary(&packed) {
        Ok(dictionary) => dictionary,
        Err(reason) => {
            lost.push(format!("`{}`: the dictionary of its bodies: {reason}", path.display()));
            return Ok((entries, lost));
        }
    };
    for block in 0..table.len() {
        let reader = match table.read(&bodies, &dictionary, block) {
            Ok(reader) => reader,
            Err(reason) => {
                lost.push(format!("`{}`: {reason}", path.display()));
                continue;
            }
        };
        for place in 0..reader.len() {
            match reader.get(place) {
                Ok(held) => {
                    let (key, knots) = (IdentityKey::of(&held.entry.identity()), knot_terms(&held.entry));
                    entries.push(Kept { held, key, knots });
                }
                Err(error) => lost.push(format!("`{}`: entry {place} of block {block}: {error}", path.display())),
            }
        }
    }
    Ok((entries, lost))
}
