//! Where each text of a drawing finds room: above its mark, clear of other texts, and of lines where that can be.

use std::collections::HashMap;

use super::rows::Rows;
use super::{BASELINE, MIDDLE, ROW, Segment, Text};
use crate::drawing::label::{self, Row, Side};
use crate::drawing::scale::{Scale, Share, WIDTH_MIN};
use crate::drawing::scene::{Scene, Tone};

/// How far text stands from its mark's beginning, in pixels: clear of lines that end there.
const TEXT_AFTER: f64 = 7.0;
/// The size of its letters, in pixels.
pub const TEXT_SIZE: f64 = 11.5;

/// The texts of a scene. They take their room one after another: what went wrong first, then by time.
pub fn placed(scene: &Scene, rows: &Rows, scale: &Scale, segments: &[Segment]) -> Vec<Text> {
    let mut texts = Vec::new();
    let mut taken: HashMap<u64, Row> = HashMap::new();
    let row_at = |y: f64| y.to_bits();
    for (lane, lane_y) in rows.lane_y.iter().enumerate() {
        for row in 0..rows.lane_rows[lane] {
            taken.insert(row_at(lane_y + row as f64 * ROW), Row::default());
        }
    }
    for segment in segments.iter().filter(|segment| segment.x1 == segment.x2) {
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
        texts.push(Text { x, dx, y: wish.row_y + BASELINE, anchor, text, kind: wish.kind });
    }
    texts
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
