//! What stands in the file: frames, each with what was new after some round, grouped so that a name stands once and numbers in columns.
//!
//! A point takes about 12 bytes. That the last point of a line still holds is not written each round: the next one says until when.

use std::collections::BTreeMap;
use std::path::Path;

use parking_lot::RwLock;
use prost::Message;

use super::line::{Line, Point};
use super::mark::{Change, Mark, Move};
use super::{GroupLines, Series};
use crate::engine::StoreError;
use crate::file;
use crate::frame::{self, Looked, Piece};
use crate::position::{Channel, SourceName};
use crate::time::Timestamp;

/// How long the file may get, as a multiple of what a whole new one would take, before it is written anew.
const FILE_GROWTH_MAX: u64 = 4;

/// About how many bytes a point takes in the file.
const POINT_BYTES_ABOUT: u64 = 16;

/// A file shorter than this is never worth writing anew.
const FILE_BYTES_MIN: u64 = 4 << 20;

/// The format that this program writes, and the newest that it reads. What the first one held, which told no end of a lag, is left out.
const FORMAT: u32 = 2;

#[derive(Clone, PartialEq, Message)]
struct StoredSeries {
    /// See [`FORMAT`].
    #[prost(uint32, tag = "2")]
    format: u32,
    #[prost(message, repeated, tag = "3")]
    groups: Vec<StoredGroup>,
}

#[derive(Clone, PartialEq, Message)]
struct StoredGroup {
    #[prost(string, tag = "1")]
    source: String,
    #[prost(string, tag = "2")]
    group: String,
    #[prost(message, optional, tag = "3")]
    sums: Option<StoredPoints>,
    #[prost(message, repeated, tag = "4")]
    topics: Vec<StoredPoints>,
    #[prost(message, repeated, tag = "5")]
    marks: Vec<StoredMark>,
}

/// Points of one topic's partitions, or of a group's sums, in columns.
#[derive(Clone, PartialEq, Message)]
struct StoredPoints {
    #[prost(string, tag = "1")]
    topic: String,
    #[prost(int32, repeated, tag = "2")]
    partition: Vec<i32>,
    /// Milliseconds since the point before in this list.
    #[prost(sint64, repeated, tag = "3")]
    at: Vec<i64>,
    /// How long the point before on its line had been seen, in milliseconds before this one.
    #[prost(sint64, repeated, tag = "4")]
    gap: Vec<i64>,
    #[prost(sint64, repeated, tag = "5")]
    first: Vec<i64>,
    /// How much more than the first.
    #[prost(sint64, repeated, tag = "6")]
    second: Vec<i64>,
}

#[derive(Clone, PartialEq, Message)]
struct StoredMark {
    #[prost(int64, tag = "1")]
    at: i64,
    #[prost(uint32, tag = "2")]
    joined: u32,
    #[prost(uint32, tag = "3")]
    left: u32,
    #[prost(uint32, tag = "4")]
    reassigned: u32,
    /// Of a reset.
    #[prost(string, optional, tag = "5")]
    topic: Option<String>,
    #[prost(int32, repeated, tag = "6")]
    partition: Vec<i32>,
    #[prost(int64, repeated, tag = "7")]
    from: Vec<i64>,
    #[prost(int64, repeated, tag = "8")]
    to: Vec<i64>,
}

/// Which points of a line are to be written.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Which {
    All,
    Unsaved,
}

/// What is wrong with the series of a data folder; nothing is changed.
pub fn look_through(folder: &Path) -> Result<Looked, StoreError> {
    let bytes = file::read(&folder.join("lag"))?.unwrap_or_default();
    let mut looked = Looked::default();
    for (_, piece) in frame::pieces(&bytes) {
        match piece {
            Piece::Payload(payload) => looked.damaged += usize::from(StoredSeries::decode(payload).is_err()),
            Piece::Damaged(_) | Piece::Doubtful(_) => looked.damaged += 1,
            Piece::Torn(length) => looked.torn_bytes = length,
        }
    }
    Ok(looked)
}

/// Reads a file; what is damaged is left out, and the file made anew without it.
pub(super) fn read(path: &Path) -> Result<Series, StoreError> {
    let bytes = file::read(path)?.unwrap_or_default();
    let mut series = Series { file_bytes: bytes.len() as u64, ..Series::default() };
    let mut damaged = 0;
    for (_, piece) in frame::pieces(&bytes) {
        let stored = match piece {
            Piece::Payload(payload) => StoredSeries::decode(payload).ok(),
            Piece::Damaged(_) | Piece::Torn(_) | Piece::Doubtful(_) => None,
        };
        match stored {
            Some(StoredSeries { format, .. }) if format > FORMAT => {
                return Err(StoreError::Unusable(format!(
                    "`{}` was written by a newer version of this program (format {format}, this one reads up to {FORMAT}): \
                     use that version",
                    path.display()
                )));
            }
            Some(stored) => stored.groups.into_iter().for_each(|group| take_in(&mut series, group)),
            None => damaged += 1,
        }
    }
    for lines in series.groups.values_mut() {
        lines.unsaved_marks = 0;
        lines.all_mut().for_each(|line| line.unsaved = 0);
    }
    if damaged > 0 {
        tracing::warn!("{damaged} piece(s) of `{}` can't be read and are left out", path.display());
        let bytes = frame::frame(&stored(&mut series, Which::All));
        series.file_bytes = bytes.len() as u64;
        file::replace(path, &bytes)?;
    }
    Ok(series)
}

/// Writes what is new, or everything anew where the file has grown too long or may be wrong.
pub(super) fn save(series: &RwLock<Series>, path: Option<&Path>) -> Result<(), StoreError> {
    let (payload, is_whole) = {
        let mut series = series.write();
        let whole = FILE_BYTES_MIN.max(FILE_GROWTH_MAX * POINT_BYTES_ABOUT * series.n_points as u64);
        let is_whole = series.is_file_wrong || series.file_bytes > whole;
        let payload = stored(&mut series, if is_whole { Which::All } else { Which::Unsaved });
        if payload.is_empty() || path.is_none() {
            return Ok(());
        }
        let before = if is_whole { 0 } else { series.file_bytes };
        series.file_bytes = before + (payload.len() + frame::HEAD_BYTES) as u64;
        (payload, is_whole)
    };
    let Some(path) = path else { return Ok(()) };
    let saved = if is_whole { file::replace(path, &frame::frame(&payload)) } else { append(path, &payload) };
    // What couldn't be saved is saved with the next, and a frame that was torn by the failure goes.
    series.write().is_file_wrong = saved.is_err();
    saved
}

fn append(path: &Path, payload: &[u8]) -> Result<(), StoreError> {
    let mut file = file::open_to_append(path)?;
    file::append(&mut file, path, &frame::frame(payload)).map_err(file::failed("can't write", path))
}

/// What is to be written, as a payload; empty where nothing is. It counts as saved from then on.
fn stored(series: &mut Series, which: Which) -> Vec<u8> {
    let mut groups = Vec::new();
    for ((source, group), lines) in &mut series.groups {
        let mut topics = Vec::new();
        for (topic, partitions) in &mut lines.partitions {
            let mut points = StoredPoints { topic: topic.as_str().to_owned(), ..StoredPoints::default() };
            let mut last_ms = 0;
            for (partition, line) in partitions {
                points.push(*partition, line, which, &mut last_ms);
            }
            topics.extend((!points.at.is_empty()).then_some(points));
        }
        let mut sums = StoredPoints::default();
        sums.push(0, &mut lines.sums, which, &mut 0);
        let n_marks = if which == Which::All { lines.marks.len() } else { lines.unsaved_marks };
        lines.unsaved_marks = 0;
        let marks = lines.marks[lines.marks.len() - n_marks..].iter().map(stored_mark).collect();
        let (source, group) = (source.to_string(), group.clone());
        let stored = StoredGroup { source, group, sums: Some(sums), topics, marks };
        let is_empty = stored.topics.is_empty() && stored.marks.is_empty();
        if !is_empty || stored.sums.as_ref().is_some_and(|sums| !sums.at.is_empty()) {
            groups.push(stored);
        }
    }
    if groups.is_empty() {
        return Vec::new();
    }
    StoredSeries { format: FORMAT, groups }.encode_to_vec()
}

impl StoredPoints {
    fn push(&mut self, partition: i32, line: &mut Line, which: Which, last_ms: &mut i64) {
        let points = line.points();
        let begin = if which == Which::All { 0 } else { points.len() - line.unsaved };
        for number in begin..points.len() {
            let point = points[number];
            let before = number.checked_sub(1).map_or(point.at_ms, |before| points[before].until_ms);
            self.row(partition, &point, point.at_ms, before, last_ms);
        }
        if let Some(last) = points.last().filter(|last| which == Which::All && last.until_ms > last.at_ms) {
            self.row(partition, last, last.until_ms, last.until_ms, last_ms); // says the same, so it only holds on
        }
        line.unsaved = 0;
    }

    fn row(&mut self, partition: i32, point: &Point, at_ms: i64, until_before_ms: i64, last_ms: &mut i64) {
        let [first, second] = point.stored;
        self.partition.push(partition);
        self.at.push(at_ms - std::mem::replace(last_ms, at_ms));
        self.gap.push(at_ms - until_before_ms);
        self.first.push(first);
        self.second.push(second - first);
    }
}

fn stored_mark(mark: &Mark) -> StoredMark {
    let mut stored = StoredMark { at: mark.at.as_millis(), ..StoredMark::default() };
    match &mark.change {
        Change::Members { joined, left } => (stored.joined, stored.left) = (*joined, *left),
        Change::Reassigned { partitions } => stored.reassigned = *partitions,
        Change::Reset { topic, moves } => {
            stored.topic = Some(topic.as_str().to_owned());
            stored.partition = moves.iter().map(|moved| moved.partition).collect();
            stored.from = moves.iter().map(|moved| moved.from).collect();
            stored.to = moves.iter().map(|moved| moved.to).collect();
        }
    }
    stored
}

fn read_mark(stored: StoredMark) -> Mark {
    let StoredMark { at, joined, left, reassigned, topic, partition, from, to } = stored;
    let change = match topic {
        Some(topic) => {
            let moves = partition.into_iter().zip(from).zip(to);
            let moves = moves.map(|((partition, from), to)| Move { partition, from, to }).collect();
            Change::Reset { topic: topic.as_str().into(), moves }
        }
        None if reassigned > 0 => Change::Reassigned { partitions: reassigned },
        None => Change::Members { joined, left },
    };
    Mark { at: Timestamp::from_millis(at), change }
}

fn take_in(series: &mut Series, stored: StoredGroup) {
    let (source, group) = (SourceName::from(stored.source), stored.group);
    let sums = stored.sums.into_iter().map(|points| (None, points));
    let topics = stored.topics.into_iter().map(|points| (Some(Channel::from(points.topic.as_str())), points));
    for (topic, points) in sums.chain(topics) {
        let mut at_ms = 0;
        let rows = points.partition.into_iter().zip(points.at).zip(points.gap);
        for ((((partition, since), gap), first), more) in rows.zip(points.first).zip(points.second) {
            at_ms += since;
            let place = topic.as_ref().map(|topic| (topic, partition));
            if let Some(line) =
                series.groups.get_mut(&(source.clone(), group.clone())).and_then(|lines| lines.line(place))
            {
                line.held(at_ms - gap);
            }
            let point = Point { at_ms, until_ms: at_ms, stored: [first, first + more] };
            series.add(&source, &group, place, point);
        }
    }
    if let Some(lines) = series.groups.get_mut(&(source, group)) {
        stored.marks.into_iter().map(read_mark).for_each(|mark| lines.mark(mark));
    }
}

impl GroupLines {
    fn line(&mut self, partition: Option<(&Channel, i32)>) -> Option<&mut Line> {
        match partition {
            None => Some(&mut self.sums),
            Some((topic, partition)) => {
                self.partitions.get_mut(topic).and_then(|all: &mut BTreeMap<i32, Line>| all.get_mut(&partition))
            }
        }
    }
}
