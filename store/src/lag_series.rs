//! How far consumer groups were behind, over time: here is a group, give me its lag of the last hour, day or week, and what happened
//! to it meanwhile; here is an offset, tell me when its commit passed it.
//!
//! Never entries, never tantivy: 500 groups on 200 partitions every 10 seconds would be 864 million entries a day. A look is kept when
//! it differs from the one before, which remembers until when it held; the older, the coarser (`thin`). Of each group its sums are kept
//! as a line of their own, so that a page of groups adds nothing up.
//!
//! Memory and file are bounded whatever there is to keep: at [`POINTS_MAX`] everything becomes coarser, step by step.

mod file; // what stands in the file
mod line; // points over time, thinned with age
mod mark; // what happened to a group
mod passed; // when a commit passed an offset

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use parking_lot::RwLock;

use crate::engine::StoreError;
use crate::position::{Channel, SourceName};
use crate::time::Timestamp;
use line::{Line, Point, Thinning};

pub use file::look_through;
pub use mark::{Change, Mark, Move};
pub use passed::Passed;

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

/// Where a group stood on a partition. What isn't known is `None`, never 0.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LagSample {
    /// The first look that found it so, to the millisecond.
    pub at: Timestamp,
    /// The committed offset; `None` where nothing was.
    pub committed: Option<i64>,
    /// The end of the partition.
    pub end: Option<i64>,
}

/// How far a whole group was behind. What isn't known is `None`, never 0.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Level {
    /// The sum of its lags in records.
    pub lag: Option<u64>,
    /// The longest that a record waited, in milliseconds.
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
    groups: BTreeMap<(SourceName, String), GroupLines>,
    n_lines: usize,
    n_points: usize,
    thinning: Thinning,
    file_bytes: u64,
    /// What was appended last may be torn, or is missing: the next time, all is written.
    is_file_wrong: bool,
    /// When everything was last thinned.
    swept: Timestamp,
    left_out: u64,
}

/// What is kept of one group.
#[derive(Debug, Default)]
struct GroupLines {
    /// Lag in records and in milliseconds, all partitions together.
    sums: Line,
    /// Committed offset and end.
    partitions: BTreeMap<Channel, BTreeMap<i32, Line>>,
    marks: Vec<Mark>,
    unsaved_marks: usize,
}

/// How many points are held, all lines together: 64 MiB, and as much again for room to grow.
const POINTS_MAX: usize = 2_000_000;

/// How many lines are held: 1,000 groups on 200 partitions. What is beyond is left out and counted.
const LINES_MAX: usize = 200_000;

/// How many marks are kept of a group; the oldest go first. A group that rebalances every minute has some hours of them.
const MARKS_MAX: usize = 300;

/// How often everything is thinned, and what is older than a week goes.
const SWEEP_EVERY: Duration = Duration::from_secs(600);

impl LagSample {
    /// The lag in records: how many are after the commit; `None` where either end is unknown.
    pub fn lag(&self) -> Option<u64> {
        Some(u64::try_from(self.end?.saturating_sub(self.committed?)).unwrap_or(0))
    }

    fn of(point: &Point) -> LagSample {
        let [committed, end] = point.values();
        LagSample { at: point.at(), committed, end }
    }
}

impl LagSeries {
    /// Opens the series of a data folder, or makes them. What is damaged in the file is left out, with a word in the log.
    pub fn open(folder: &Path) -> Result<LagSeries, StoreError> {
        crate::file::make_folder(folder)?;
        let path = folder.join("lag");
        let series = file::read(&path)?;
        Ok(LagSeries { series: RwLock::new(series), path: Some(path) })
    }

    /// Adds what a look at a partition found. Where it says the same as the one before, that one held on; one that is older than the
    /// latest is left out.
    pub fn add(&self, key: &LagKey, sample: LagSample) {
        let point = Point::new(sample.at, [sample.committed, sample.end]);
        self.series.write().add(&key.source, &key.group, Some((&key.topic, key.partition)), point);
    }

    /// Adds how far a whole group is behind.
    pub fn add_level(&self, group: (&SourceName, &str), at: Timestamp, level: Level) {
        let signed = |value: Option<u64>| value.map(|value| i64::try_from(value).unwrap_or(i64::MAX));
        let point = Point::new(at, [signed(level.lag), signed(level.lag_ms)]);
        self.series.write().add(group.0, group.1, None, point);
    }

    /// Adds what happened to a group.
    pub fn mark(&self, group: (&SourceName, &str), mark: Mark) {
        if let Some(lines) = self.series.write().groups.get_mut(&(group.0.clone(), group.1.to_owned())) {
            lines.mark(mark);
        }
    }

    /// The samples from one instant to another, both included, oldest first, with the last one before them (what held at the beginning).
    pub fn range(&self, key: &LagKey, from: Timestamp, to: Timestamp) -> Vec<LagSample> {
        let series = self.series.read();
        let Some(points) = series.line(key).map(Line::points) else { return Vec::new() };
        let begin = points.partition_point(|point| point.at() < from).saturating_sub(1);
        let end = points.partition_point(|point| point.at() <= to);
        points.get(begin..end).unwrap_or_default().iter().map(LagSample::of).collect()
    }

    /// The latest sample.
    pub fn latest(&self, key: &LagKey) -> Option<LagSample> {
        self.series.read().line(key)?.points().last().map(LagSample::of)
    }

    /// Whose lag is held, by source, group, topic and partition; of one group only where one is named.
    pub fn keys(&self, group: Option<(&SourceName, &str)>) -> Vec<LagKey> {
        let series = self.series.read();
        let mut keys = Vec::new();
        for ((source, name), lines) in &series.groups {
            if group.is_some_and(|group| group != (source, name.as_str())) {
                continue;
            }
            for (topic, partitions) in &lines.partitions {
                keys.extend(partitions.keys().map(|partition| LagKey {
                    source: source.clone(),
                    group: name.clone(),
                    topic: topic.clone(),
                    partition: *partition,
                }));
            }
        }
        keys
    }

    /// How far a group was behind at the end of each step from `from` on, oldest first: what was last seen, and nothing where nobody
    /// looked.
    pub fn course(&self, group: (&SourceName, &str), from: Timestamp, step: Duration, steps: u32) -> Vec<Level> {
        let mut levels = vec![Level::default(); steps as usize];
        let series = self.series.read();
        let Some(lines) = series.groups.get(&(group.0.clone(), group.1.to_owned())) else { return levels };
        for (number, level) in (1..=steps).zip(&mut levels) {
            let end = from.plus(step * number);
            if let Some(point) = lines.sums.known_at(end, step, &series.thinning) {
                let [lag, lag_ms] = point.values().map(|value| value.and_then(|value| u64::try_from(value).ok()));
                *level = Level { lag, lag_ms };
            }
        }
        levels
    }

    /// What happened to a group from one instant to another, oldest first.
    pub fn marks(&self, group: (&SourceName, &str), from: Timestamp, to: Timestamp) -> Vec<Mark> {
        let series = self.series.read();
        let Some(lines) = series.groups.get(&(group.0.clone(), group.1.to_owned())) else { return Vec::new() };
        lines.marks.iter().filter(|mark| from <= mark.at && mark.at <= to).cloned().collect()
    }

    /// When a group's commit passed an offset, by the looks before and after. `None` while it hasn't, or where nothing is known.
    pub fn passed(&self, key: &LagKey, offset: i64) -> Option<Passed> {
        let series = self.series.read();
        let lines = series.groups.get(&(key.source.clone(), key.group.clone()))?;
        let line = lines.partitions.get(&key.topic)?.get(&key.partition)?;
        passed::passed(line.points(), &lines.marks, (&key.topic, key.partition), offset)
    }

    /// How many looks were left out because too many lines are held.
    pub fn left_out(&self) -> u64 {
        self.series.read().left_out
    }

    /// About how much memory this takes, in bytes.
    pub fn bytes(&self) -> u64 {
        self.series.read().bytes()
    }

    /// Writes what is new to the file. Call it after each round of looks; blocks on the disk. Not synced: a power cut costs the latest
    /// minutes.
    pub fn save(&self) -> Result<(), StoreError> {
        file::save(&self.series, self.path.as_deref())
    }
}

impl Series {
    fn line(&self, key: &LagKey) -> Option<&Line> {
        self.groups.get(&(key.source.clone(), key.group.clone()))?.partitions.get(&key.topic)?.get(&key.partition)
    }

    /// Adds a point to the line of a partition, or to that of the group's sums.
    fn add(&mut self, source: &SourceName, group: &str, partition: Option<(&Channel, i32)>, point: Point) {
        let lines = self.groups.entry((source.clone(), group.to_owned())).or_default();
        let line = match partition {
            None => &mut lines.sums,
            Some((topic, partition)) => {
                if !lines.partitions.contains_key(topic) {
                    lines.partitions.insert(topic.clone(), BTreeMap::new());
                }
                let Some(partitions) = lines.partitions.get_mut(topic) else { return };
                if !partitions.contains_key(&partition) {
                    if self.n_lines >= LINES_MAX {
                        self.left_out += 1;
                        return;
                    }
                    self.n_lines += 1;
                }
                partitions.entry(partition).or_default()
            }
        };
        let before = line.points().len();
        line.add(point, &self.thinning);
        self.n_points = self.n_points + line.points().len() - before;
        if self.n_points >= POINTS_MAX {
            self.tighten(point.at());
        } else if self.swept.plus(SWEEP_EVERY) <= point.at() {
            self.sweep(point.at());
        }
    }

    /// Thins everything as of now, and drops what nothing is left of.
    fn sweep(&mut self, now: Timestamp) {
        self.swept = now;
        let (mut n_points, mut n_lines) = (0, 0);
        let thinning = self.thinning;
        self.groups.retain(|_, lines| {
            lines.marks.retain(|mark| thinning.keeps(mark.at, now));
            lines.unsaved_marks = lines.unsaved_marks.min(lines.marks.len());
            lines.sums.thin(now, &thinning);
            lines.partitions.retain(|_, partitions| {
                partitions.retain(|_, line| {
                    line.thin(now, &thinning);
                    n_points += line.points().len();
                    !line.points().is_empty()
                });
                n_lines += partitions.len();
                !partitions.is_empty()
            });
            n_points += lines.sums.points().len();
            !lines.partitions.is_empty() || !lines.sums.points().is_empty()
        });
        (self.n_points, self.n_lines) = (n_points, n_lines);
        if n_points < POINTS_MAX / 4 {
            self.thinning.loosen();
        }
    }

    /// Makes everything coarser until a quarter of the room is free; where the coarsest is still too much, the older half goes.
    fn tighten(&mut self, now: Timestamp) {
        while self.n_points > POINTS_MAX / 4 * 3 {
            let is_coarsest = !self.thinning.tighten();
            if is_coarsest {
                for lines in self.groups.values_mut() {
                    lines.all_mut().for_each(Line::drop_older_half);
                }
            }
            self.sweep(now);
            if is_coarsest {
                return;
            }
        }
    }

    fn bytes(&self) -> u64 {
        /// A line's place in its tree, and its own head.
        const LINE_BYTES: usize = 64;
        const MARK_BYTES: usize = 128;
        let marks: usize = self.groups.values().map(|lines| lines.marks.len()).sum();
        (self.n_points * 2 * size_of::<Point>() + self.n_lines * LINE_BYTES + marks * MARK_BYTES) as u64
    }
}

impl GroupLines {
    fn all_mut(&mut self) -> impl Iterator<Item = &mut Line> {
        self.partitions.values_mut().flat_map(BTreeMap::values_mut).chain(std::iter::once(&mut self.sums))
    }

    fn mark(&mut self, mark: Mark) {
        if self.marks.len() >= MARKS_MAX {
            self.marks.remove(0);
        }
        let place = self.marks.partition_point(|other| other.at <= mark.at);
        self.marks.insert(place, mark);
        self.unsaved_marks = (self.unsaved_marks + 1).max(self.marks.len() - place);
    }
}

#[cfg(test)]
mod tests;
