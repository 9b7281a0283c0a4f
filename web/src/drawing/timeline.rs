//! A scene as geometry: where each lane, bar, dot, line and text of a flow's drawing stands.
//!
//! Time runs to the right. A record waits in its topic's lane as a dashed line until somebody reads it; what is published or
//! read goes up or down between lanes. Text stands above its mark, so that no line of its own lane runs through it.

mod rows; // which row of its lane each bar is in
mod ruler; // the marks of the axis, and what stands at them
mod texts; // where each text finds room

use std::collections::HashMap;

use store::Timestamp;
use store::engine::Sequence;

use self::rows::Rows;
pub use self::ruler::shortened_label;
use super::label;
use super::scale::{Scale, Share, Shortened};
use super::scene::{LaneKind, LineKind, Scene, Tone};
use crate::wording;

/// The height of one row of marks with the text above them.
const ROW: f64 = 34.0;
/// Where the middle of a mark is in its row.
const MIDDLE: f64 = 23.0;
/// Where text stands in its row.
const BASELINE: f64 = 11.0;
/// A bar's height.
const BAR: f64 = 13.0;
/// The height of the axis.
const AXIS: f64 = 26.0;
/// The least width of a bar, in pixels.
const BAR_MIN: f64 = 3.0;

/// A flow's drawing.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Timeline {
    /// The width of the lanes' names, in pixels.
    pub names_width: u32,
    /// The whole height, in pixels.
    pub height: f64,
    /// The lanes from top to bottom.
    pub lanes: Vec<LaneBox>,
    /// The marks of the axis.
    pub ticks: Vec<TickMark>,
    /// Stretches in which nothing happens, drawn short.
    pub shortened: Vec<Shortened>,
    /// What moved, in straight pieces.
    pub segments: Vec<Segment>,
    /// Work.
    pub bars: Vec<BarMark>,
    /// Records.
    pub dots: Vec<DotMark>,
    /// Texts, on top of everything else.
    pub texts: Vec<Text>,
    /// How many bars and dots were left out.
    pub left_out: usize,
}

/// A lane.
#[derive(Clone, PartialEq, Debug)]
pub struct LaneBox {
    pub y: f64,
    pub height: f64,
    /// Where its name stands.
    pub name_y: f64,
    /// Whether it is a topic's, which is shaded.
    pub is_topic: bool,
    /// Its name in full, and cut to its room.
    pub name: String,
    pub short: String,
}

/// A mark of the axis.
#[derive(Clone, PartialEq, Debug)]
pub struct TickMark {
    pub x: Share,
    pub label: String,
    pub anchor: &'static str,
}

/// A straight piece of a line.
#[derive(Clone, PartialEq, Debug)]
pub struct Segment {
    pub x1: Share,
    pub y1: f64,
    pub x2: Share,
    pub y2: f64,
    /// Whether it is time spent waiting.
    pub waits: bool,
    pub tone: Tone,
}

/// A bar.
#[derive(Clone, PartialEq, Debug)]
pub struct BarMark {
    pub sequence: Sequence,
    pub x: Share,
    pub y: f64,
    /// Its width as an attribute: a share, or pixels where that would be too narrow to see.
    pub width: String,
    pub kind: &'static str,
    pub title: String,
}

/// A dot.
#[derive(Clone, PartialEq, Debug)]
pub struct DotMark {
    pub sequence: Sequence,
    pub x: Share,
    pub y: f64,
    pub tone: Tone,
    pub title: String,
}

/// A text.
#[derive(Clone, PartialEq, Debug)]
pub struct Text {
    pub x: Share,
    pub dx: f64,
    pub y: f64,
    pub anchor: &'static str,
    pub text: String,
    /// What it is about, for its colour.
    pub kind: &'static str,
}

/// The height of bars, for the template.
pub const BAR_HEIGHT: f64 = BAR;
/// The height of the axis, for the template.
pub const AXIS_HEIGHT: f64 = AXIS;

impl Timeline {
    /// Draws a scene between two times.
    pub fn of(scene: &Scene, from: Timestamp, to: Timestamp) -> Timeline {
        let bars = scene.bars.iter().map(|bar| (bar.from, bar.to));
        let busy: Vec<_> = bars.chain(scene.dots.iter().map(|dot| (dot.at, dot.at))).collect();
        let scale = Scale::over(from, to, &busy);
        let rows = Rows::of(scene, &scale);
        let mut timeline = Timeline { left_out: scene.left_out, ..Timeline::default() };
        timeline.draw_lanes(scene, &rows);
        timeline.shortened = scale.shortened();
        timeline.ticks = ruler::marks(&scale, &timeline.shortened);
        timeline.draw_marks(scene, &rows, &scale);
        timeline.draw_lines(scene, &rows, &scale);
        timeline.texts = texts::placed(scene, &rows, &scale, &timeline.segments);
        timeline
    }

    fn draw_lanes(&mut self, scene: &Scene, rows: &Rows) {
        const LETTERS_MAX: usize = 26;
        let widest = scene
            .lanes
            .iter()
            .map(|lane| label::width(&wording::cut(&lane.name, LETTERS_MAX), 12.0, lane.kind == LaneKind::Topic));
        self.names_width = widest.fold(60.0, f64::max).min(200.0).ceil() as u32 + 34;
        for (index, lane) in scene.lanes.iter().enumerate() {
            let (y, height) = (rows.lane_y[index], rows.lane_rows[index] as f64 * ROW);
            self.lanes.push(LaneBox {
                y,
                height,
                name_y: y + height / 2.0 + 4.0,
                is_topic: lane.kind == LaneKind::Topic,
                name: lane.name.clone(),
                short: wording::cut(&lane.name, LETTERS_MAX),
            });
        }
        self.height = self.lanes.last().map_or(AXIS, |last| last.y + last.height);
    }

    fn draw_marks(&mut self, scene: &Scene, rows: &Rows, scale: &Scale) {
        for (index, bar) in scene.bars.iter().enumerate() {
            let (x, width) = reach(scale, bar.from, bar.to);
            let kind = if bar.failed {
                "failed"
            } else if bar.polls {
                "polls"
            } else {
                "works"
            };
            let took = wording::duration(bar.to.nanos_since(bar.from).unsigned_abs());
            self.bars.push(BarMark {
                sequence: bar.sequence,
                x,
                y: rows.bar_middle(scene, index) - BAR / 2.0,
                width,
                kind,
                title: format!("{}: {}, {took}", scene.lanes[bar.lane].name, bar.label),
            });
        }
        for dot in &scene.dots {
            self.dots.push(DotMark {
                sequence: dot.sequence,
                x: scale.at(dot.at),
                y: rows.lane_y[dot.lane] + MIDDLE,
                tone: dot.tone,
                title: format!("{}: {}", scene.lanes[dot.lane].name, dot.label),
            });
        }
    }

    fn draw_lines(&mut self, scene: &Scene, rows: &Rows, scale: &Scale) {
        // All who read a record wait on one dashed line, as long as the one who took longest.
        let mut waits: HashMap<(usize, bool), (Share, Tone)> = HashMap::new();
        for line in &scene.lines {
            let (bar, dot) = (&scene.bars[line.bar], &scene.dots[line.dot]);
            let (bar_y, dot_y) = (rows.bar_middle(scene, line.bar), rows.lane_y[dot.lane] + MIDDLE);
            let dot_x = scale.at(dot.at);
            match line.kind {
                LineKind::Published => {
                    let (bar_from, bar_to) = (scale.at(bar.from), scale.at(bar.to));
                    let leaves = Share(dot_x.0.clamp(bar_from.0, bar_to.0.max(bar_from.0)));
                    if (leaves.0 - dot_x.0).abs() > 0.1 {
                        self.segment((leaves, bar_y), (dot_x, bar_y), false, line.tone);
                    }
                    self.segment((dot_x, bar_y), (dot_x, dot_y), false, line.tone);
                }
                LineKind::Read => {
                    let read_x = scale.at(bar.from);
                    let back = read_x < dot_x;
                    let longest = waits.entry((line.dot, back)).or_insert((read_x, line.tone));
                    if (back && read_x < longest.0) || (!back && read_x > longest.0) {
                        longest.0 = read_x;
                    }
                    self.segment((read_x, dot_y), (read_x, bar_y), false, line.tone);
                }
            }
        }
        let mut waits: Vec<_> = waits.into_iter().collect();
        waits.sort_by_key(|((dot, back), _)| (*dot, *back));
        for ((dot, _), (until, tone)) in waits {
            let dot = &scene.dots[dot];
            let (x, y) = (scale.at(dot.at), rows.lane_y[dot.lane] + MIDDLE);
            if (until.0 - x.0).abs() > 0.1 {
                self.segment((x, y), (until, y), true, tone);
            }
        }
    }

    fn segment(&mut self, (x1, y1): (Share, f64), (x2, y2): (Share, f64), waits: bool, tone: Tone) {
        self.segments.push(Segment { x1, y1, x2, y2, waits, tone });
    }
}

/// Where a bar begins and how wide it is: a share, or pixels where that would be too narrow to see.
fn reach(scale: &Scale, from: Timestamp, to: Timestamp) -> (Share, String) {
    let (x, end) = (scale.at(from), scale.at(to));
    let width = Share(end.0 - x.0);
    (x, if width.px() < BAR_MIN { format!("{BAR_MIN}") } else { width.to_string() })
}

#[cfg(test)]
mod tests;
