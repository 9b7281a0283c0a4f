//! How far consumer groups were behind, over time: here is a group and a partition, give me its lag of the last hour, day or week.
//!
//! Never entries, never tantivy: 500 groups on 200 partitions every 10 seconds would be 864 million entries a day. A sample is kept when it
//! differs from the one before; the older it is, the coarser: 10 s steps for an hour, one a minute for a day, one in 10 minutes for a week.
//! The latest sample of a step stands for it, so that a line drawn through the samples ends where the lag really was.

mod thin; // keeps the older ones coarser

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use parking_lot::RwLock;
use prost::Message;

use crate::engine::StoreError;
use crate::file;
use crate::frame::{self, Looked, Piece};
use crate::position::{Channel, SourceName};
use crate::time::Timestamp;

/// Whose lag it is.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct LagKey {
    /// The broker.
    pub source: SourceName,
    /// The consumer group.
    pub group: String,
    /// The topic.
    pub topic: Channel,
    /// The partition.
    pub partition: i32,
}

/// How far behind it was at an instant. What isn't known is `None`, never 0.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LagSample {
    /// When.
    pub at: Timestamp,
    /// The committed offset.
    pub committed: Option<i64>,
    /// The end of the partition.
    pub end: Option<i64>,
    /// The lag in time, in milliseconds.
    pub lag_ms: Option<u64>,
}

/// Lag over time, in memory and in a file.
#[derive(Debug, Default)]
pub struct LagSeries {
    series: RwLock<Series>,
    /// Where it is kept; nowhere by default.
    path: Option<PathBuf>,
}

#[derive(Debug, Default)]
struct Series {
    by_key: BTreeMap<LagKey, Line>,
    n_samples: usize,
    /// The latest time that any sample told, and that at which all lines were thinned.
    now: Timestamp,
    thinned: Timestamp,
    /// Samples that are not in the file yet.
    unsaved: Vec<(LagKey, LagSample)>,
    file_bytes: u64,
    left_out: u64,
}

/// The samples of one partition of one group.
#[derive(Debug, Default)]
struct Line {
    samples: Vec<LagSample>,
    /// When its lag was last told, be it the same as before.
    told: Timestamp,
}

/// How often lines are thinned to which nothing is added: they change by the ten minutes at the finest.
const THIN_EVERY: Duration = Duration::from_secs(3_600);

/// How many samples are held, all series together: about 150 MiB. Beyond that samples of series that aren't held yet are left out and counted.
const SAMPLES_MAX: usize = 3_000_000;

/// How long a file may get, as a multiple of what a whole new one would take, before it is written anew.
const FILE_GROWTH_MAX: u64 = 4;

/// About how many bytes a sample takes in the file.
const SAMPLE_BYTES_ABOUT: u64 = 60;

/// A file shorter than this is never worth writing anew.
const FILE_BYTES_MIN: u64 = 4 << 20;

/// The format of samples that this program writes, and the newest that it reads.
const FORMAT: u32 = 1;

#[derive(Clone, PartialEq, Message)]
struct StoredSamples {
    #[prost(message, repeated, tag = "1")]
    samples: Vec<StoredSample>,
    /// See [`FORMAT`]; the first ones said none.
    #[prost(uint32, tag = "2")]
    format: u32,
}

#[derive(Clone, PartialEq, Message)]
struct StoredSample {
    #[prost(string, tag = "1")]
    source: String,
    #[prost(string, tag = "2")]
    group: String,
    #[prost(string, tag = "3")]
    topic: String,
    #[prost(int32, tag = "4")]
    partition: i32,
    #[prost(sfixed64, tag = "5")]
    at: i64,
    #[prost(int64, optional, tag = "6")]
    committed: Option<i64>,
    #[prost(int64, optional, tag = "7")]
    end: Option<i64>,
    #[prost(uint64, optional, tag = "8")]
    lag_ms: Option<u64>,
}

impl LagSample {
    /// The lag in records: how many are after the commit; `None` where either end is unknown.
    pub fn lag(&self) -> Option<u64> {
        u64::try_from(self.end?.saturating_sub(self.committed?)).ok()
    }

    fn says_the_same(&self, other: &LagSample) -> bool {
        (self.committed, self.end, self.lag_ms) == (other.committed, other.end, other.lag_ms)
    }
}

/// What is wrong with the series of a data folder; nothing is changed.
pub fn look_through(folder: &Path) -> Result<Looked, StoreError> {
    let bytes = file::read(&folder.join("lag"))?.unwrap_or_default();
    let mut looked = Looked::default();
    for (_, piece) in frame::pieces(&bytes) {
        match piece {
            Piece::Payload(payload) => looked.damaged += usize::from(StoredSamples::decode(payload).is_err()),
            Piece::Damaged(_) | Piece::Doubtful(_) => looked.damaged += 1,
            Piece::Torn(length) => looked.torn_bytes = length,
        }
    }
    Ok(looked)
}

impl LagSeries {
    /// Opens the series of a data folder, or makes them. What is damaged in the file is left out, with a word in the log.
    pub fn open(folder: &Path) -> Result<LagSeries, StoreError> {
        file::make_folder(folder)?;
        let path = folder.join("lag");
        let bytes = file::read(&path)?.unwrap_or_default();
        let mut series = Series { file_bytes: bytes.len() as u64, ..Series::default() };
        let mut damaged = 0;
        for (_, piece) in frame::pieces(&bytes) {
            let stored = match piece {
                Piece::Payload(payload) => StoredSamples::decode(payload).ok(),
                Piece::Damaged(_) | Piece::Torn(_) | Piece::Doubtful(_) => None,
            };
            match stored {
                Some(StoredSamples { format, .. }) if format > FORMAT => {
                    return Err(StoreError::Unusable(format!(
                        "`{}` was written by a newer version of this program (format {format}, this one reads up to {FORMAT}): \
                         use that version",
                        path.display()
                    )));
                }
                Some(stored) => stored.samples.into_iter().for_each(|sample| series.add_stored(sample)),
                None => damaged += 1,
            }
        }
        series.unsaved.clear();
        if damaged > 0 {
            tracing::warn!("{damaged} piece(s) of `{}` can't be read and are left out", path.display());
        }
        let series = LagSeries { series: RwLock::new(series), path: Some(path.clone()) };
        if damaged > 0 {
            series.rewrite(&path)?;
        }
        Ok(series)
    }

    /// Adds a sample. Nothing is kept where it says the same as the one before; one that is older than the latest is left out.
    pub fn add(&self, key: &LagKey, sample: LagSample) {
        self.series.write().add(key, sample);
    }

    /// The samples from one instant to another, both included, oldest first, with the last one before them (what held at the beginning).
    pub fn range(&self, key: &LagKey, from: Timestamp, to: Timestamp) -> Vec<LagSample> {
        let series = self.series.read();
        let Some(Line { samples, .. }) = series.by_key.get(key) else { return Vec::new() };
        let begin = samples.partition_point(|sample| sample.at < from).saturating_sub(1);
        let end = samples.partition_point(|sample| sample.at <= to);
        samples.get(begin..end).map(<[LagSample]>::to_vec).unwrap_or_default()
    }

    /// The latest sample.
    pub fn latest(&self, key: &LagKey) -> Option<LagSample> {
        self.series.read().by_key.get(key)?.samples.last().copied()
    }

    /// Whose lag is held, by source, group, topic and partition; of one group only where one is named.
    pub fn keys(&self, group: Option<(&SourceName, &str)>) -> Vec<LagKey> {
        let series = self.series.read();
        let wanted = |key: &&LagKey| group.is_none_or(|(source, group)| key.source == *source && key.group == group);
        series.by_key.keys().filter(wanted).cloned().collect()
    }

    /// The lag in records of a whole group at the end of each step from `from` on, oldest first: the sum over its partitions of what
    /// was last known. `None` before anything was.
    pub fn course(&self, group: (&SourceName, &str), from: Timestamp, step: Duration, steps: u32) -> Vec<Option<u64>> {
        let (source, group) = group;
        let first = LagKey { source: source.clone(), group: group.to_owned(), topic: "".into(), partition: i32::MIN };
        let mut sums: Vec<Option<u64>> = vec![None; steps as usize];
        let series = self.series.read();
        let of_group = |key: &LagKey| key.source == *source && key.group == group;
        for (_, Line { samples, .. }) in series.by_key.range(first..).take_while(|(key, _)| of_group(key)) {
            let mut next = 0;
            for (number, sum) in (1..=steps).zip(&mut sums) {
                let end = from.plus(step * number);
                next += samples[next..].partition_point(|sample| sample.at <= end);
                let lag = next.checked_sub(1).and_then(|last| samples[last].lag());
                *sum = match (*sum, lag) {
                    (Some(sum), Some(lag)) => Some(sum.saturating_add(lag)),
                    (one, other) => one.or(other),
                };
            }
        }
        sums
    }

    /// About how many bytes of memory it takes.
    pub fn bytes(&self) -> u64 {
        self.series.read().bytes()
    }

    /// How many samples were left out because too many series are held.
    pub fn left_out(&self) -> u64 {
        self.series.read().left_out
    }

    /// Writes what is new to the file. Call it after each round of samples; blocks on the disk. Not synced: a power cut costs the latest minutes.
    pub fn save(&self) -> Result<(), StoreError> {
        let Some(path) = &self.path else {
            self.series.write().unsaved.clear();
            return Ok(());
        };
        let (unsaved, payload, is_too_long) = {
            let mut series = self.series.write();
            series.thin_all();
            let unsaved = std::mem::take(&mut series.unsaved);
            if unsaved.is_empty() {
                return Ok(());
            }
            let whole = series.n_samples as u64 * SAMPLE_BYTES_ABOUT;
            let payload = stored(unsaved.iter().map(|(key, sample)| (key, sample)));
            series.file_bytes += payload.len() as u64;
            (unsaved, payload, series.file_bytes > FILE_BYTES_MIN.max(FILE_GROWTH_MAX * whole))
        };
        let saved = if is_too_long { self.rewrite(path) } else { append(path, &payload) };
        if saved.is_err() {
            // The next round tries them again; a frame that was torn by the failure is left out when the file is read.
            self.series.write().unsaved.splice(..0, unsaved);
        }
        saved
    }

    fn rewrite(&self, path: &Path) -> Result<(), StoreError> {
        let bytes = {
            let mut series = self.series.write();
            let all = series.by_key.iter().flat_map(|(key, line)| line.samples.iter().map(move |sample| (key, sample)));
            let bytes = frame::frame(&stored(all));
            series.file_bytes = bytes.len() as u64;
            bytes
        };
        file::replace(path, &bytes)
    }
}

fn append(path: &Path, payload: &[u8]) -> Result<(), StoreError> {
    let mut file = file::open_to_append(path)?;
    file::append(&mut file, path, &frame::frame(payload)).map_err(file::failed("can't write", path))
}

impl Series {
    fn add(&mut self, key: &LagKey, sample: LagSample) {
        if !self.by_key.contains_key(key) {
            if self.n_samples >= SAMPLES_MAX {
                self.left_out += 1;
                return;
            }
            self.by_key.insert(key.clone(), Line::default());
        }
        let Some(Line { samples, told }) = self.by_key.get_mut(key) else { return };
        *told = sample.at.max(*told);
        self.now = sample.at.max(self.now);
        if let Some(last) = samples.last()
            && (last.says_the_same(&sample) || sample.at < last.at)
        {
            return;
        }
        let before = samples.len();
        samples.push(sample);
        if samples.len().is_multiple_of(thin::EVERY) {
            thin::thin(samples, sample.at);
        }
        self.n_samples = self.n_samples + samples.len() - before;
        self.unsaved.push((key.clone(), sample));
    }

    /// Thins lines to which nothing is added, and lets go of those of which nobody tells any more: a group that was deleted, a topic.
    fn thin_all(&mut self) {
        if self.thinned == Timestamp::default() {
            self.thinned = self.now;
        }
        if self.now < self.thinned.plus(THIN_EVERY) {
            return;
        }
        self.thinned = self.now;
        let oldest = self.now.minus(thin::KEPT);
        self.by_key.retain(|_, line| line.told >= oldest);
        self.by_key.values_mut().for_each(|line| thin::thin(&mut line.samples, self.now));
        self.n_samples = self.by_key.values().map(|line| line.samples.len()).sum();
    }

    /// About how many bytes of memory they take.
    fn bytes(&self) -> u64 {
        let keys =
            self.by_key.keys().map(|key| size_of::<(LagKey, Line)>() + key.group.len() + key.topic.as_str().len());
        let samples = self.by_key.values().map(|line| line.samples.capacity() * size_of::<LagSample>());
        (keys.sum::<usize>() + samples.sum::<usize>()) as u64
    }

    fn add_stored(&mut self, stored: StoredSample) {
        let key = LagKey {
            source: stored.source.into(),
            group: stored.group,
            topic: stored.topic.into(),
            partition: stored.partition,
        };
        let at = Timestamp::from_nanos(stored.at);
        self.add(&key, LagSample { at, committed: stored.committed, end: stored.end, lag_ms: stored.lag_ms });
    }
}

fn stored<'a>(samples: impl Iterator<Item = (&'a LagKey, &'a LagSample)>) -> Vec<u8> {
    let samples = samples.map(|(key, sample)| StoredSample {
        source: key.source.to_string(),
        group: key.group.clone(),
        topic: key.topic.to_string(),
        partition: key.partition,
        at: sample.at.as_nanos(),
        committed: sample.committed,
        end: sample.end,
        lag_ms: sample.lag_ms,
    });
    StoredSamples { samples: samples.collect(), format: FORMAT }.encode_to_vec()
}

#[cfg(test)]
mod tests;
