//! A scene as geometry: where each lane, bar, dot, line and text of a flow's drawing stands.
//!
//! Time runs to the right. A record waits in its topic's lane as a dashed line until somebody reads it; what is published or
//! read goes up or down between lanes. Text stands above its mark, so that no line of its own lane runs through it.

use std::collections::HashMap;

use store::Timestamp;
use store::engine::Sequence;

use super::label::{self, Row, Side};
use super::scale::{Scale, Share, Shortened, WIDTH_MIN};
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
/// Work at the same time goes into as many rows as this, then into the last one over each other.
const ROWS_MAX: usize = 4;
/// The least width of a bar, in pixels.
const BAR_MIN: f64 = 3.0;
/// How far text stands from its mark's beginning, in pixels: clear of lines that end there.
const TEXT_AFTER: f64 = 7.0;
const TEXT_SIZE: f64 = 11.5;

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
        timeline.draw_axis(&scale);
        timeline.draw_marks(scene, &rows, &scale);
        timeline.draw_lines(scene, &rows, &scale);
        timeline.draw_texts(scene, &rows, &scale);
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

    fn draw_axis(&mut self, scale: &Scale) {
        for (x, tick) in scale.ticks() {
            let anchor = if tick.at == 0 {
                "start"
            } else if x.0 > 95.0 {
                "end"
            } else {
                "middle"
            };
            self.ticks.push(TickMark { x, label: tick.label, anchor });
        }
        self.shortened = scale.shortened();
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

    /// Texts take their room one after another: what went wrong first, then by time.
    fn draw_texts(&mut self, scene: &Scene, rows: &Rows, scale: &Scale) {
        let mut taken: HashMap<u64, Row> = HashMap::new();
        let row_at = |y: f64| y.to_bits();
        for (lane, lane_y) in rows.lane_y.iter().enumerate() {
            for row in 0..rows.lane_rows[lane] {
                taken.insert(row_at(lane_y + row as f64 * ROW), Row::default());
            }
        }
        for segment in self.segments.iter().filter(|segment| segment.x1 == segment.x2) {
            let (top, bottom) = (segment.y1.min(segment.y2), segment.y1.max(segment.y2));
            for (row, room) in &mut taken {
                let text_y = f64::from_bits(*row) + BASELINE;
                if text_y > top && text_y - TEXT_SIZE < bottom {
                    room.cross(segment.x1.px());
                }
            }
        }
        let bars = scene.bars.iter().enumerate().map(|(index, bar)| Wish {
            rank: if bar.failed { 1 } else { 3 },
            from: scale.at(bar.from),
            to: scale.at(bar.to),
            row_y: rows.bar_middle(scene, index) - MIDDLE,
            text: bar.label.clone(),
            kind: if bar.failed { "failed" } else { "quiet" },
        });
        let dots = clusters(scene, scale).into_iter().map(|(index, many)| {
            let dot = &scene.dots[index];
            let (rank, kind) = match dot.tone {
                Tone::Dead => (0, "dead"),
                Tone::Retry => (2, "record"),
                Tone::Plain => (1, "record"),
            };
            let text = if many > 1 { format!("{many} × {}", dot.label) } else { dot.label.clone() };
            Wish { rank, from: scale.at(dot.at), to: scale.at(dot.at), row_y: rows.lane_y[dot.lane], text, kind }
        });
        let mut wishes: Vec<Wish> = bars.chain(dots).collect();
        wishes.sort_by(|one, other| {
            (one.rank, one.from.0).partial_cmp(&(other.rank, other.from.0)).unwrap_or(std::cmp::Ordering::Equal)
        });
        // First the beginning of each ("attempt 2"), so that every one is named; then the rest of it where there is room.
        let mut placed: Vec<(Wish, Side)> = Vec::new();
        for wish in wishes {
            let Some(room) = taken.get_mut(&row_at(wish.row_y)) else { continue };
            if let Some(side) = room.place(wish.start(), wish.end(), wish.width(wish.short()), WIDTH_MIN) {
                placed.push((wish, side));
            }
        }
        for (wish, side) in placed {
            let Some(room) = taken.get_mut(&row_at(wish.row_y)) else { continue };
            let widths = (wish.width(wish.short()), wish.width(&wish.text));
            let is_whole =
                wish.short().len() == wish.text.len() || room.widen(side, wish.start(), wish.end(), widths, WIDTH_MIN);
            let text = if is_whole { wish.text.clone() } else { wish.short().to_owned() };
            let (x, dx, anchor) = match side {
                Side::Right => (wish.from, TEXT_AFTER, "start"),
                Side::Left => (wish.to, wish.end() - wish.to.px(), "end"),
            };
            self.texts.push(Text { x, dx, y: wish.row_y + BASELINE, anchor, text, kind: wish.kind });
        }
    }
}

/// Where a bar begins and how wide it is: a share, or pixels where that would be too narrow to see.
fn reach(scale: &Scale, from: Timestamp, to: Timestamp) -> (Share, String) {
    let (x, end) = (scale.at(from), scale.at(to));
    let width = Share(end.0 - x.0);
    (x, if width.px() < BAR_MIN { format!("{BAR_MIN}") } else { width.to_string() })
}

/// A text that wants room.
struct Wish {
    rank: u8,
    from: Share,
    to: Share,
    row_y: f64,
    text: String,
    kind: &'static str,
}

impl Wish {
    /// What is said where there is no room for all of it.
    fn short(&self) -> &str {
        self.text.split(" · ").next().unwrap_or_default()
    }

    fn width(&self, text: &str) -> f64 {
        label::width(text, TEXT_SIZE, self.kind == "record")
    }

    /// Where it begins if it goes on to the right.
    fn start(&self) -> f64 {
        self.from.px() + TEXT_AFTER
    }

    /// Where it ends if it comes from the left.
    fn end(&self) -> f64 {
        (self.to.px() - 2.0).max(self.from.px() - TEXT_AFTER)
    }
}

/// Dots of one lane so close together that they look like one: the first of each, and how many there are.
fn clusters(scene: &Scene, scale: &Scale) -> Vec<(usize, usize)> {
    const CLOSE: f64 = 5.0;
    let mut last: HashMap<(usize, Tone), usize> = HashMap::new();
    let mut clusters: Vec<(usize, usize)> = Vec::new();
    for (index, dot) in scene.dots.iter().enumerate() {
        let close = last.get(&(dot.lane, dot.tone)).copied().filter(|cluster| {
            let first = &scene.dots[clusters[*cluster].0];
            scale.at(dot.at).px() - scale.at(first.at).px() < CLOSE
        });
        match close {
            Some(cluster) => clusters[cluster].1 += 1,
            None => {
                last.insert((dot.lane, dot.tone), clusters.len());
                clusters.push((index, 1));
            }
        }
    }
    clusters
}

/// Which row of its lane each bar is in, and where the lanes are.
struct Rows {
    bar_row: Vec<usize>,
    lane_rows: Vec<usize>,
    lane_y: Vec<f64>,
}

impl Rows {
    fn of(scene: &Scene, scale: &Scale) -> Rows {
        let mut ends: Vec<Vec<f64>> = vec![Vec::new(); scene.lanes.len()];
        let mut bar_row = Vec::with_capacity(scene.bars.len());
        for bar in &scene.bars {
            let (from, to) = (scale.at(bar.from).px(), scale.at(bar.to).px());
            let lane = &mut ends[bar.lane];
            let free = lane.iter().position(|end| *end + 1.0 <= from);
            let row = free.unwrap_or(lane.len()).min(ROWS_MAX - 1);
            if row == lane.len() {
                lane.push(0.0);
            }
            lane[row] = lane[row].max(to.max(from + BAR_MIN));
            bar_row.push(row);
        }
        let lane_rows: Vec<usize> = ends.iter().map(|rows| rows.len().max(1)).collect();
        let mut y = AXIS;
        let mut lane_y = Vec::with_capacity(lane_rows.len());
        for rows in &lane_rows {
            lane_y.push(y);
            y += *rows as f64 * ROW;
        }
        Rows { bar_row, lane_rows, lane_y }
    }

    fn bar_middle(&self, scene: &Scene, bar: usize) -> f64 {
        self.lane_y[scene.bars[bar].lane] + self.bar_row[bar] as f64 * ROW + MIDDLE
    }
}

#[cfg(test)]
mod tests;
