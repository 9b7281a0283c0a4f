//! What is to be drawn of a flow: lanes for services and topics, bars for work, dots for records, lines for what moved.
//!
//! Knows times and lanes, no pixels: [`super::timeline`] finds the places.

mod lanes; // in which order services and topics stand
pub mod work; // which spans are a service's work, and what each says

use std::collections::HashMap;

use store::engine::Sequence;
use store::flow::Flow;
use store::record::Fate;
use store::{Record, SpanId, Timestamp, TraceId};

use self::work::Work;
use crate::wording;

/// The most bars and the most dots of one drawing: what a browser lays out in an instant, and an eye can still follow.
/// The table below the drawing has them all.
pub const MARKS_MAX: usize = 300;

/// What is to be drawn.
#[derive(Clone, Debug, Default)]
pub struct Scene {
    /// Services and topics, from top to bottom.
    pub lanes: Vec<Lane>,
    /// Work, by its beginning.
    pub bars: Vec<Bar>,
    /// Records, by their time.
    pub dots: Vec<Dot>,
    /// What moved from a bar to a dot, and from a dot to a bar.
    pub lines: Vec<Line>,
    /// How many bars and dots were left out.
    pub left_out: usize,
}

/// A lane.
#[derive(Clone, PartialEq, Debug)]
pub struct Lane {
    /// What it is of.
    pub kind: LaneKind,
    /// The service's or topic's name.
    pub name: String,
}

/// What a lane is of.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub enum LaneKind {
    /// A service.
    Service,
    /// A topic, queue, subject or stream.
    Topic,
}

/// One service's work.
#[derive(Clone, PartialEq, Debug)]
pub struct Bar {
    /// Which entry it is.
    pub sequence: Sequence,
    /// Its lane, by index.
    pub lane: usize,
    /// When it began.
    pub from: Timestamp,
    /// When it ended.
    pub to: Timestamp,
    /// What stands beside it.
    pub label: String,
    /// Whether it ended in an error.
    pub failed: bool,
    /// Whether it only asked the broker for messages.
    pub polls: bool,
}

/// One record.
#[derive(Clone, PartialEq, Debug)]
pub struct Dot {
    /// Which entry it is.
    pub sequence: Sequence,
    /// Its lane, by index.
    pub lane: usize,
    /// When.
    pub at: Timestamp,
    /// What stands beside it.
    pub label: String,
    /// What it is.
    pub tone: Tone,
}

/// What a mark or line has to do with.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub enum Tone {
    /// The usual way.
    Plain,
    /// A further attempt.
    Retry,
    /// Set aside.
    Dead,
}

/// Something moved.
#[derive(Clone, PartialEq, Debug)]
pub struct Line {
    /// The bar, by index.
    pub bar: usize,
    /// The dot, by index.
    pub dot: usize,
    /// Which way.
    pub kind: LineKind,
    /// What it has to do with.
    pub tone: Tone,
}

/// Which way something moved.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LineKind {
    /// From the bar to the dot: published.
    Published,
    /// From the dot to the bar: waited, then read.
    Read,
}

impl Tone {
    fn of(record: &Record) -> Tone {
        match record.failure.as_ref().map(|failure| failure.fate) {
            None => Tone::Plain,
            Some(Fate::Retry) => Tone::Retry,
            Some(Fate::DeadLetter) => Tone::Dead,
        }
    }

    /// Its name in the drawing's styles.
    pub fn as_str(self) -> &'static str {
        match self {
            Tone::Plain => "plain",
            Tone::Retry => "retry",
            Tone::Dead => "dead",
        }
    }
}

impl Scene {
    /// What is to be drawn of a flow.
    pub fn of(flow: &Flow) -> Scene {
        let work = Work::of(flow);
        let mut scene = Scene { lanes: lanes::lanes(flow, &work), ..Scene::default() };
        let lane_of: HashMap<(LaneKind, String), usize> =
            scene.lanes.iter().enumerate().map(|(index, lane)| ((lane.kind, lane.name.clone()), index)).collect();

        let mut bar_of: HashMap<Sequence, usize> = HashMap::new();
        for piece in work.pieces.iter().take(MARKS_MAX) {
            let lane = lane_of[&(LaneKind::Service, piece.span.service().to_owned())];
            bar_of.insert(piece.sequence, scene.bars.len());
            scene.bars.push(Bar {
                sequence: piece.sequence,
                lane,
                from: piece.span.started_at,
                to: piece.span.ended_at.max(piece.span.started_at),
                label: piece.label.clone(),
                failed: piece.span.failed(),
                polls: work::polls(piece.span),
            });
        }
        let mut dot_of: HashMap<Sequence, usize> = HashMap::new();
        for joined in flow.records.iter().take(MARKS_MAX) {
            let Some(record) = joined.held.entry.as_record() else { continue };
            let lane = lane_of[&(LaneKind::Topic, lanes::topic_name(flow, record))];
            dot_of.insert(joined.held.sequence, scene.dots.len());
            scene.dots.push(Dot {
                sequence: joined.held.sequence,
                lane,
                at: record.time(),
                label: dot_label(record),
                tone: Tone::of(record),
            });
        }
        for moved in work.moves() {
            if let (Some(bar), Some(dot)) = (bar_of.get(&moved.piece), dot_of.get(&moved.record)) {
                let tone = scene.dots[*dot].tone;
                scene.lines.push(Line { bar: *bar, dot: *dot, kind: moved.kind, tone });
            }
        }
        scene.left_out = work.pieces.len() - bar_of.len() + flow.records.len() - dot_of.len();
        scene
    }
}

/// What stands beside a record: its type, version and place; of a retry copy when it is tried again, of a dead letter why.
fn dot_label(record: &Record) -> String {
    let event_type = record.event.event_type.as_deref().unwrap_or("record");
    let Some(failure) = &record.failure else {
        let version = record.event.version.as_deref().map(|version| format!(" v{}", version.trim_start_matches('v')));
        let place = match &record.position.place {
            store::Place::Offset { partition, offset } => format!("p{partition}@{offset}"),
            other => other.to_string(),
        };
        return wording::cut(&format!("{event_type}{}  {place}", version.unwrap_or_default()), 44);
    };
    let reason = failure.exception.as_deref().map(short_type).or(failure.message.as_deref()).unwrap_or_default();
    let text = match failure.fate {
        Fate::DeadLetter if reason.is_empty() => "dead letter".to_owned(),
        Fate::DeadLetter => format!("dead letter: {reason}"),
        Fate::Retry => {
            let waits = failure.not_before.map(|until| until.nanos_since(record.time())).filter(|nanos| *nanos > 0);
            match waits {
                Some(nanos) => format!("to be tried again in {}", wording::duration(nanos.unsigned_abs())),
                None => "to be tried again".to_owned(),
            }
        }
    };
    wording::cut(&text, 44)
}

/// The last part of an exception's type: `java.net.SocketTimeoutException` is known by its last word.
pub fn short_type(name: &str) -> &str {
    name.rsplit(['.', '/', ':']).next().filter(|last| !last.is_empty()).unwrap_or(name)
}

/// A span, by its ids.
type SpanKey = (TraceId, SpanId);

#[cfg(test)]
mod tests;
