//! How much there was of what retention removed, by the hour: charts look back further than entries are kept.
//!
//! ```text
//! retention: columns of a segment -> counts of its hours -> file `counts`, durable -> the segment is removed
//! ```
//! A crash in between leaves a segment whose counts were taken already: its number is in the file, and it goes without being counted again.
//! The counts have a retention of their own. They hold only values of fields that charts go by; forgetting by such a field goes through
//! them, too.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use parking_lot::RwLock;
use prost::Message;

use super::columns::{Columns, Hours, Minutes, Predicate, Verdict};
use crate::engine::StoreError;
use crate::file;
use crate::frame;
use crate::query::Query;
use crate::time::Timestamp;

/// The name of the file in a data folder.
pub const COUNTS: &str = "counts";

/// The format that this program writes, and the newest that it reads.
const FORMAT: u32 = 1;

/// How long counts are kept: a month can be compared with the one before, to the day of the week.
pub const KEPT: Duration = Duration::from_secs(35 * 24 * 3_600);

/// How far a clock may be ahead for its entries to be counted. What claims to be of the year 2099 would stay for ever.
const AHEAD_MAX: Duration = Duration::from_secs(24 * 3_600);

/// How much there was of what is gone.
#[derive(Debug)]
pub struct Past {
    path: PathBuf,
    counted: RwLock<Counted>,
    /// What it takes of memory: asked for with every append.
    bytes: AtomicUsize,
}

#[derive(Debug, Default)]
struct Counted {
    hours: Hours,
    /// Segments whose counts were taken, and that may still be there.
    taken: BTreeSet<u64>,
}

#[derive(Clone, PartialEq, Message)]
struct StoredPast {
    #[prost(uint32, tag = "1")]
    format: u32,
    #[prost(bytes = "bytes", tag = "2")]
    hours: Bytes,
    #[prost(uint64, repeated, tag = "3")]
    taken: Vec<u64>,
}

impl Past {
    /// Reads the file. Where it is damaged it is begun anew, with a word in the log: no entry is lost with it.
    pub fn open(path: PathBuf) -> Result<Past, StoreError> {
        let counted = match file::read(&path)?.map(|bytes| read(&bytes)) {
            None => Counted::default(),
            Some(Ok((format, _))) if format > FORMAT => {
                return Err(StoreError::Unusable(format!(
                    "`{}` was written by a newer version of this program (format {format}, this one reads up to {FORMAT}): \
                     use that version, or another data folder",
                    path.display()
                )));
            }
            Some(Ok((_, counted))) => counted,
            Some(Err(reason)) => {
                tracing::error!("`{}` is damaged ({reason}): counts of what is gone begin anew", path.display());
                Counted::default()
            }
        };
        let bytes = AtomicUsize::new(counted.hours.bytes());
        Ok(Past { path, counted: RwLock::new(counted), bytes })
    }

    /// Whether a segment's counts were taken: then it is on its way out.
    pub fn took(&self, segment: u64) -> bool {
        self.counted.read().taken.contains(&segment)
    }

    /// Takes the counts of a segment that is about to go, once.
    pub fn take(&self, segment: u64, columns: &Columns, now: Timestamp) {
        let mut counted = self.counted.write();
        if counted.taken.insert(segment) {
            counted.hours.add(columns, now.minus(KEPT).as_nanos(), now.plus(AHEAD_MAX).as_nanos());
        }
    }

    /// Makes durable what was taken, without what is too old by now. `is_there` tells which segments still are.
    pub fn save(&self, now: Timestamp, is_there: impl Fn(u64) -> bool) -> Result<(), StoreError> {
        let bytes = {
            let mut counted = self.counted.write();
            counted.hours.prune(now.minus(KEPT).as_nanos());
            counted.taken.retain(|number| is_there(*number));
            self.written(&counted)?
        };
        file::replace(&self.path, &bytes)
    }

    /// Forgets the rows that a query holds for; a query that asks for more than they tell holds for none.
    pub fn forget(&self, query: &Query) -> Result<(), StoreError> {
        let bytes = {
            let mut counted = self.counted.write();
            let rows = &counted.hours.rows().rows;
            let predicate = Predicate::new(query, rows, Timestamp::now());
            let goes: Vec<bool> = (0..rows.len()).map(|row| predicate.of(rows, row) == Verdict::Yes).collect();
            if !goes.contains(&true) {
                return Ok(());
            }
            counted.hours.retain(|row| !goes[row]);
            self.written(&counted)?
        };
        file::replace(&self.path, &bytes)
    }

    /// Shows the rows to whoever counts.
    pub fn look<T>(&self, look: impl FnOnce(&Minutes) -> T) -> T {
        look(self.counted.read().hours.rows())
    }

    /// About how much memory they take.
    pub fn bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }

    fn written(&self, counted: &Counted) -> Result<Vec<u8>, StoreError> {
        self.bytes.store(counted.hours.bytes(), Ordering::Relaxed);
        let hours = counted.hours.rows().write();
        let hours = hours.map_err(|error| StoreError::Internal(format!("counts can't be packed: {error}")))?;
        let taken = counted.taken.iter().copied().collect();
        Ok(frame::frame(&StoredPast { format: FORMAT, hours: hours.into(), taken }.encode_to_vec()))
    }
}

fn read(bytes: &[u8]) -> Result<(u32, Counted), String> {
    let payload = frame::only(bytes)?;
    let stored = StoredPast::decode(Bytes::copy_from_slice(payload)).map_err(|error| error.to_string())?;
    if stored.format > FORMAT {
        return Ok((stored.format, Counted::default()));
    }
    let hours = Hours::new(&Minutes::read(&stored.hours)?);
    Ok((stored.format, Counted { hours, taken: stored.taken.into_iter().collect() }))
}
