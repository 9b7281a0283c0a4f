//! Looks through a data folder without changing anything in it: what is there, and whether all of it is whole.
//!
//! It takes no lock and writes nothing, so it works on a folder that is only to be read, and beside a running process. What that
//! process removes meanwhile is left out.

use std::collections::BTreeMap;
use std::path::Path;

use super::log_file;
use super::rebuild;
use super::segment::Segment;
use super::segment::build::MANIFEST;
use super::segment::manifest::{FORMAT, FORMAT_OLDEST, Manifest, Unreadable};
use super::state::State;
use super::tombstones::Tombstones;
use crate::engine::StoreError;
use crate::file;
use crate::redrive::edit;
use crate::time::Timestamp;
use crate::{journal, lag_series};

/// How closely to look.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Depth {
    /// Reads what the files say of themselves: milliseconds.
    Glance,
    /// Reads every byte, and decodes every entry.
    Whole,
}

/// What is in a data folder.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Inspection {
    /// The segments, oldest first.
    pub segments: Vec<SegmentFound>,
    /// The files of the log, oldest first: what is in no segment yet.
    pub logs: Vec<LogFound>,
    /// What is wrong with the files beside them, a line each.
    pub beside: Vec<String>,
    /// What is not damaged but was never finished, a line each.
    pub unfinished: Vec<String>,
    /// What was set aside as damaged earlier, by name.
    pub set_aside: Vec<String>,
    /// How many bytes the folder takes.
    pub bytes: u64,
}

/// One segment.
#[derive(Clone, PartialEq, Debug)]
pub struct SegmentFound {
    /// Its number.
    pub number: u64,
    /// How many records, spans and logs it holds.
    pub kinds: [u64; 3],
    /// How many bytes it takes.
    pub bytes: u64,
    /// The earliest and the latest of its entries' own times.
    pub times: Option<(Timestamp, Timestamp)>,
    /// What is wrong with it; `None` where it is whole as far as it was looked at.
    pub damage: Option<String>,
}

/// One file of the log.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LogFound {
    /// Its number.
    pub number: u64,
    /// How many bytes it takes.
    pub bytes: u64,
    /// How many entries it holds; some may be in a segment already.
    pub entries: u64,
    /// What is wrong with it; `None` where all that was acknowledged can be read.
    pub damage: Option<String>,
    /// How many bytes at its end are of a write that was cut short.
    pub torn_bytes: u64,
}

impl Inspection {
    /// Entries in the segments.
    pub fn entries(&self) -> u64 {
        self.segments.iter().flat_map(|segment| segment.kinds).sum()
    }

    /// What is wrong, a line each.
    pub fn damages(&self) -> Vec<String> {
        let segments = self
            .segments
            .iter()
            .filter_map(|segment| Some(format!("segments/{:016}: {}", segment.number, segment.damage.as_ref()?)));
        let logs = self.logs.iter().filter_map(|log| Some(format!("log/{:016}: {}", log.number, log.damage.as_ref()?)));
        segments.chain(logs).chain(self.beside.iter().cloned()).collect()
    }
}

/// Looks through a folder. Fails where it is none of ours, or a newer version's.
pub fn inspect(folder: &Path, depth: Depth) -> Result<Inspection, StoreError> {
    let no_folder = |_| StoreError::Unusable(format!("there is no data folder at `{}`", folder.display()));
    std::fs::read_dir(folder).map_err(no_folder)?;
    let mut inspection = Inspection { bytes: file::folder_bytes(folder)?, ..Inspection::default() };
    beside(folder, depth, &mut inspection)?;
    let segments = folder.join("segments");
    for (number, name) in numbered(&segments)? {
        if let Some(found) = segment(&segments.join(name), number, depth)? {
            inspection.segments.push(found);
        }
    }
    inspection.set_aside = file::names(&folder.join("damaged"))?;
    inspection.logs = logs(&folder.join("log"))?;
    for log in inspection.logs.iter().filter(|log| log.damage.is_none() && log.torn_bytes > 0) {
        inspection.unfinished.push(format!(
            "log/{:016}: its last {} bytes are of a write that was cut short",
            log.number, log.torn_bytes
        ));
    }
    Ok(inspection)
}

/// Looks at the files beside the log and the segments.
fn beside(folder: &Path, depth: Depth, inspection: &mut Inspection) -> Result<(), StoreError> {
    let reads = [
        ("state", State::read(&folder.join("state")).map(drop)),
        (
            "tombstones",
            Tombstones::read(&folder.join("tombstones")).map(|read| {
                let erasing = read.map_or(0, |tombstones| tombstones.erasing.len());
                if erasing > 0 {
                    inspection.unfinished.push(format!(
                        "{erasing} entries that were forgotten may still stand in files: start Sillage, and it goes on"
                    ));
                }
            }),
        ),
    ];
    for (name, read) in reads {
        match read {
            Ok(()) => {}
            Err(StoreError::Damaged { reason, .. }) => inspection.beside.push(format!("{name}: {reason}")),
            Err(other) => return Err(other),
        }
    }
    if depth == Depth::Glance {
        return Ok(());
    }
    let journal = journal::look_through(folder)?;
    let lag = lag_series::look_through(folder)?;
    let edits = edit::look_through(folder)?;
    for (name, what, looked) in [("journal", "lines", journal), ("lag", "pieces", lag), ("edits", "files", edits)] {
        if looked.damaged > 0 {
            inspection.beside.push(format!("{name}: {} {what} can't be read", looked.damaged));
        }
        if looked.torn_bytes > 0 {
            inspection
                .unfinished
                .push(format!("{name}: its last {} bytes are of a write that was cut short", looked.torn_bytes));
        }
    }
    Ok(())
}

/// What is in a folder under a number, in order.
pub(super) fn numbered(folder: &Path) -> Result<Vec<(u64, String)>, StoreError> {
    let names = file::names(folder)?.into_iter();
    let mut numbered: Vec<(u64, String)> = names.filter_map(|name| Some((name.parse().ok()?, name))).collect();
    numbered.sort_unstable();
    Ok(numbered)
}

/// A segment's manifest, or what is wrong with it; an error where another version wrote it.
pub(super) fn manifest(path: &Path) -> Result<Result<Manifest, String>, StoreError> {
    let bytes = file::read(&path.join(MANIFEST))?.unwrap_or_default();
    let other = |version: &str, format: u32| {
        Err(StoreError::Unusable(format!(
            "`{}` was written by {version} of this program (format {format}; this one reads {FORMAT_OLDEST} to {FORMAT}): use that version",
            path.display()
        )))
    };
    match Manifest::from_bytes(&bytes) {
        Ok(manifest) => Ok(Ok(manifest)),
        Err(Unreadable::Damaged(reason)) => Ok(Err(format!("`{MANIFEST}`: {reason}"))),
        Err(Unreadable::Newer(format)) => other("a newer version", format),
        Err(Unreadable::Older(format)) => other("an older version", format),
    }
}

fn segment(path: &Path, number: u64, depth: Depth) -> Result<Option<SegmentFound>, StoreError> {
    let read = manifest(path)?;
    if !path.exists() {
        return Ok(None);
    }
    let bytes = file::folder_bytes(path)?;
    let manifest = match read {
        Ok(manifest) => manifest,
        Err(damage) => {
            return Ok(Some(SegmentFound { number, kinds: [0; 3], bytes, times: None, damage: Some(damage) }));
        }
    };
    let (kinds, times) = (manifest.kinds, manifest.times);
    let entries = manifest.entries();
    let times = Some((Timestamp::from_nanos(times.0), Timestamp::from_nanos(times.1)));
    if manifest.is_older() {
        let damage = if depth == Depth::Whole { rebuild::read(path)?.1.into_iter().next() } else { None };
        return Ok(Some(SegmentFound { number, kinds, bytes, times, damage }));
    }
    let damage = match Segment::open(path, manifest) {
        Ok(_) if depth == Depth::Glance => None,
        Ok(segment) => match segment.check() {
            Ok(read) if read == entries => None,
            Ok(read) => Some(format!("it holds {read} entries, not {entries}")),
            Err(damage) => Some(damage.reason),
        },
        Err(damage) => Some(damage.reason),
    };
    if !path.exists() {
        return Ok(None);
    }
    Ok(Some(SegmentFound { number, kinds, bytes, times, damage }))
}

fn logs(folder: &Path) -> Result<Vec<LogFound>, StoreError> {
    let numbered = numbered(folder)?;
    let mut ends = BTreeMap::new();
    for (number, _) in &numbered {
        let path = log_file::path(folder, *number);
        if path.exists()
            && let Some(cut) = log_file::read_cut(&path)?
        {
            ends.insert(cut.number, cut.length);
        }
    }
    let mut logs = Vec::new();
    let last = numbered.last().map(|(number, _)| *number);
    for (number, _) in numbered {
        let mut entries = 0;
        let path = log_file::path(folder, number);
        let contents =
            log_file::read(&path, ends.get(&number).copied(), |batch| entries += batch.entries.len() as u64)?;
        logs.push(LogFound {
            number,
            bytes: contents.length,
            entries,
            damage: contents.damage(Some(number) == last),
            torn_bytes: contents.torn_bytes as u64,
        });
    }
    Ok(logs)
}
