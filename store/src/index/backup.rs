//! A copy of a data folder, taken while a process may be writing into it.
//!
//! The order makes the copy whole: first the log, then the state, then the segments. What leaves the log while it is copied has become a
//! segment by then, and what stands in both is known by its group's number. The torn end of the log is cut when the copy is opened.

use std::path::Path;

use super::inspect::numbered;
use crate::engine::StoreError;
use crate::file;
use crate::redrive::edit;

/// How many times the segments are copied anew because one was merged away meanwhile: merges are minutes apart.
const ROUNDS_MAX: usize = 20;

/// What was copied.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Copied {
    /// How many files.
    pub files: u64,
    /// How many bytes.
    pub bytes: u64,
}

/// Copies a data folder to a new or empty one, durably.
pub fn backup(from: &Path, to: &Path) -> Result<Copied, StoreError> {
    if !from.join("state").exists() && !from.join("log").exists() {
        return Err(StoreError::Unusable(format!("there is no data folder at `{}`", from.display())));
    }
    if !file::names(to)?.is_empty() {
        return Err(StoreError::Unusable(format!(
            "`{}` is not empty: give a new folder for each backup",
            to.display()
        )));
    }
    let mut copied = Copied::default();
    for folder in ["log", "segments"] {
        file::make_folder(&to.join(folder))?;
    }
    for (_, name) in numbered(&from.join("log"))? {
        copy(&from.join("log").join(&name), &to.join("log").join(&name), &mut copied)?;
    }
    file::sync_folder(&to.join("log"))?;
    let beside = |name: &String| {
        ["state", "tombstones", "counts"].contains(&name.as_str())
            || ["journal", "lag"].iter().any(|ours| name.starts_with(ours))
    };
    for name in file::names(from)?.iter().filter(|name| beside(name)) {
        if from.join(name).is_file() {
            copy(&from.join(name), &to.join(name), &mut copied)?;
        }
    }
    // After the journal, which names them: they are durable before it does.
    let (files, bytes) = edit::copy(from, to)?;
    copied.files += files;
    copied.bytes += bytes;
    for round in 1.. {
        if segments(&from.join("segments"), &to.join("segments"), &mut copied)? {
            break;
        }
        if round == ROUNDS_MAX {
            let reason = "segments were merged faster than they could be copied; nothing is wrong with the data";
            return Err(StoreError::Internal(reason.to_owned()));
        }
    }
    file::sync_folder(to)?;
    Ok(copied)
}

/// Copies the segments that aren't there yet, and removes those that are no more; false where something changed meanwhile. In the end the copy
/// has what stood there at one moment: one that was replaced since it was copied would come back beside what stands in for it.
fn segments(from: &Path, to: &Path, copied: &mut Copied) -> Result<bool, StoreError> {
    for (_, name) in numbered(from)? {
        let (source, target) = (from.join(&name), to.join(&name));
        if target.exists() {
            continue;
        }
        // Published by renaming, as the engine does it: half a segment is never taken for one.
        let building = to.join(format!("building-{name}"));
        file::remove_folder(&building)?;
        file::make_folder(&building)?;
        for inner in file::names(&source)? {
            copy(&source.join(&inner), &building.join(&inner), copied)?;
        }
        if !source.exists() {
            file::remove_folder(&building)?;
            return Ok(false);
        }
        file::sync_folder(&building)?;
        file::rename(&building, &target)?;
    }
    let there = numbered(from)?;
    let copies = numbered(to)?;
    // Twice the same: a folder that is listed while it changes may show neither what is replaced nor what replaces it.
    if numbered(from)? != there || there.iter().any(|segment| !copies.contains(segment)) {
        return Ok(false);
    }
    for (_, name) in copies.iter().filter(|copy| !there.contains(copy)) {
        file::remove_folder(&to.join(name))?;
    }
    Ok(true)
}

fn copy(from: &Path, to: &Path, copied: &mut Copied) -> Result<(), StoreError> {
    // What was removed since it was listed is left out.
    if let Some(bytes) = file::copy(from, to)? {
        copied.files += 1;
        copied.bytes += bytes;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_segment_that_is_replaced_while_it_is_copied_is_not_in_the_copy() {
        let folder = tempfile::tempdir().unwrap();
        let (from, to) = (folder.path().join("from"), folder.path().join("to"));
        let make = |number: u64| {
            let segment = from.join(format!("{number:016}"));
            file::make_folder(&segment).unwrap();
            file::write_synced(&segment.join("bodies"), b"entries").unwrap();
        };
        let copied = || numbered(&to).unwrap().into_iter().map(|(number, _)| number).collect::<Vec<_>>();
        [1, 2].into_iter().for_each(make);
        file::make_folder(&to).unwrap();
        assert!(segments(&from, &to, &mut Copied::default()).unwrap());
        assert_eq!(copied(), [1, 2]);
        make(3);
        file::remove_folder(&from.join(format!("{:016}", 1))).unwrap();
        assert!(segments(&from, &to, &mut Copied::default()).unwrap());
        assert_eq!(copied(), [2, 3]);
    }
}
