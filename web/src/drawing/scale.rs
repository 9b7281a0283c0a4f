//! From times to places across: straight, but for long stretches in which nothing happens, which are drawn short.
//!
//! One consumer that lags for two minutes would else press all that happened before into a single line.

use std::fmt;

use store::Timestamp;

use super::axis::{self, Tick};
use crate::wording;

/// The least width of a drawing without the names of its lanes, in pixels; on a narrower screen it scrolls.
pub const WIDTH_MIN: f64 = 700.0;

/// The share of the width, in per cent, before the beginning and for all of the time.
const BEFORE: f64 = 1.2;
const TIME: f64 = 96.0;

/// A stretch in which nothing happens is drawn short where it is this share of all that is left: a retry that waits half of
/// the time keeps its length, because the wait is what one came to see.
const SHORTENED_ABOVE: f64 = 0.75;

/// The width of a shortened stretch, in per cent: room for a line across it, and for saying how long it was.
const SHORTENED: f64 = 12.0;

/// At most so many stretches are shortened: more, and most of the drawing would be gaps.
const SHORTENED_MAX: usize = 3;

/// A place across: a share of the width.
#[derive(Clone, Copy, PartialEq, PartialOrd, Debug)]
pub struct Share(pub f64);

impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.2}%", self.0)
    }
}

impl Share {
    /// In pixels, where the drawing is as narrow as it gets.
    pub fn px(self) -> f64 {
        self.0 * WIDTH_MIN / 100.0
    }
}

/// A stretch that is drawn short.
#[derive(Clone, PartialEq, Debug)]
pub struct Shortened {
    pub x: Share,
    pub width: Share,
    /// Its middle, where its length stands.
    pub middle: Share,
    /// How long it is, such as `1 min 56 s`.
    pub says: String,
}

/// From times to places across.
#[derive(Clone, PartialEq, Debug)]
pub struct Scale {
    from: Timestamp,
    /// In order, without holes between them.
    pieces: Vec<Piece>,
}

#[derive(Clone, Copy, PartialEq, Debug)]
struct Piece {
    /// Nanoseconds after the beginning.
    from: u64,
    to: u64,
    x: f64,
    width: f64,
    shortened: bool,
}

impl Scale {
    /// Between two times, in which something happens during these stretches.
    pub fn over(from: Timestamp, to: Timestamp, busy: &[(Timestamp, Timestamp)]) -> Scale {
        let total = after(from, to).max(1);
        let short = shortened(&quiet(from, total, busy), total);
        let left: u64 = total - short.iter().map(|(from, to)| to - from).sum::<u64>();
        let per_nano = (TIME - SHORTENED * short.len() as f64) / (left.max(1)) as f64;
        let mut pieces = Vec::new();
        let (mut reached, mut x) = (0, BEFORE);
        let mut add = |from: u64, to: u64, width: f64, shortened: bool| {
            pieces.push(Piece { from, to, x, width, shortened });
            x += width;
        };
        for (gap_from, gap_to) in short {
            add(reached, gap_from, (gap_from - reached) as f64 * per_nano, false);
            add(gap_from, gap_to, SHORTENED, true);
            reached = gap_to;
        }
        add(reached, total, (total - reached) as f64 * per_nano, false);
        Scale { from, pieces }
    }

    /// Where a time is.
    pub fn at(&self, at: Timestamp) -> Share {
        self.place(after(self.from, at))
    }

    fn place(&self, nanos: u64) -> Share {
        let piece = self.pieces.iter().find(|piece| nanos <= piece.to).or(self.pieces.last());
        let Some(piece) = piece else { return Share(BEFORE) };
        let length = (piece.to - piece.from).max(1) as f64;
        let within = (nanos.saturating_sub(piece.from) as f64 / length).clamp(0.0, 1.0);
        Share(piece.x + within * piece.width)
    }

    /// The axis: round times up to the first shortened stretch; after one, when it goes on.
    pub fn ticks(&self) -> Vec<(Share, Tick)> {
        const TICKS_MAX: f64 = 7.0;
        let mut ticks = Vec::new();
        for piece in self.pieces.iter().filter(|piece| !piece.shortened) {
            if piece.to <= 1 {
                ticks.push((Share(piece.x), Tick { at: 0, label: "0".to_owned() }));
            } else if piece.from == 0 {
                let room = (TICKS_MAX * piece.width / TIME).max(1.0);
                ticks.extend(axis::ticks(piece.to, room as u64).into_iter().map(|tick| (self.place(tick.at), tick)));
            } else {
                let label = wording::offset(i64::try_from(piece.from).unwrap_or(i64::MAX));
                ticks.push((Share(piece.x), Tick { at: piece.from, label }));
            }
        }
        ticks
    }

    /// The stretches that are drawn short.
    pub fn shortened(&self) -> Vec<Shortened> {
        let short = self.pieces.iter().filter(|piece| piece.shortened);
        short
            .map(|piece| Shortened {
                x: Share(piece.x),
                width: Share(piece.width),
                middle: Share(piece.x + piece.width / 2.0),
                says: wording::duration(piece.to - piece.from),
            })
            .collect()
    }
}

fn after(from: Timestamp, at: Timestamp) -> u64 {
    u64::try_from(at.nanos_since(from)).unwrap_or(0)
}

/// The stretches in which nothing happens.
fn quiet(from: Timestamp, total: u64, busy: &[(Timestamp, Timestamp)]) -> Vec<(u64, u64)> {
    let mut busy: Vec<(u64, u64)> = busy.iter().map(|(start, end)| (after(from, *start), after(from, *end))).collect();
    busy.sort_unstable();
    let mut quiet = Vec::new();
    let mut reached = 0;
    for (start, end) in busy {
        if start > reached {
            quiet.push((reached, start.min(total)));
        }
        reached = reached.max(end);
    }
    if reached < total && total > 1 {
        quiet.push((reached, total));
    }
    quiet
}

/// Those of them that are drawn short, in order: the longest first is judged against what is left without it.
fn shortened(quiet: &[(u64, u64)], total: u64) -> Vec<(u64, u64)> {
    let mut by_length = quiet.to_vec();
    by_length.sort_by_key(|(from, to)| std::cmp::Reverse(to - from));
    let mut left = total;
    let mut short = Vec::new();
    for (from, to) in by_length.into_iter().take(SHORTENED_MAX) {
        if (to - from) as f64 <= left as f64 * SHORTENED_ABOVE {
            break;
        }
        left -= to - from;
        short.push((from, to));
    }
    short.sort_unstable();
    short
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: i64 = 1_000_000;

    fn at(ms: i64) -> Timestamp {
        Timestamp::from_nanos(ms * MS)
    }

    fn scale(total_ms: i64, busy: &[(i64, i64)]) -> Scale {
        let busy: Vec<_> = busy.iter().map(|(from, to)| (at(*from), at(*to))).collect();
        Scale::over(at(0), at(total_ms), &busy)
    }

    #[test]
    fn a_wait_of_half_the_time_keeps_its_length() {
        let scale = scale(4_000, &[(0, 400), (1_400, 1_700), (3_700, 4_000)]);
        assert!(scale.shortened().is_empty());
        assert!((scale.at(at(2_000)).0 - (BEFORE + TIME / 2.0)).abs() < 1e-9);
    }

    #[test]
    fn a_long_silence_is_drawn_short_and_says_how_long_it_was() {
        let scale = scale(116_500, &[(0, 400), (116_400, 116_500)]);
        let short = scale.shortened();
        assert_eq!(short.iter().map(|short| short.says.as_str()).collect::<Vec<_>>(), ["1 min 56 s"]);
        assert!(scale.at(at(400)).0 > 60.0, "what happened before has room");
        assert!(scale.at(at(116_400)).0 - scale.at(at(400)).0 < 13.0);
        assert!((scale.at(at(116_500)).0 - (BEFORE + TIME)).abs() < 1e-9);
        let labels: Vec<String> = scale.ticks().into_iter().map(|(_, tick)| tick.label).collect();
        assert_eq!(labels, ["0", "0.1 s", "0.2 s", "0.3 s", "0.4 s", "+1:56.400"]);
    }

    #[test]
    fn places_never_go_back_whatever_is_short() {
        let scale = scale(700_000, &[(0, 10), (10_000, 10_010), (70_000, 70_005), (699_990, 700_000)]);
        assert_eq!(scale.shortened().len(), 3);
        let places: Vec<Share> = (0..700).map(|second| scale.at(at(second * 1_000))).collect();
        assert!(places.windows(2).all(|pair| pair[0] <= pair[1]));
        assert!(places.iter().all(|place| (0.0..=100.0).contains(&place.0)));
    }

    #[test]
    fn a_moment_and_a_time_before_the_beginning_have_a_place() {
        assert_eq!(scale(0, &[]).at(at(0)), Share(BEFORE));
        assert_eq!(scale(10, &[(0, 10)]).at(at(-5)), Share(BEFORE));
    }
}
