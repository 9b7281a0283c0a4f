//! A course over time with both axes, and what happened meanwhile as marks: how far a group was behind.
//!
//! Where nothing is known the line breaks off.

use std::fmt::Write as _;

use store::Timestamp;

use super::axis;
use crate::wording;

/// Where the plot lies across, in per cent of the drawing's width.
const LEFT: f64 = 8.0;
const RIGHT: f64 = 98.5;

/// Where it lies down, in pixels; below it are the times, above it room for what marks say.
const TOP: f64 = 26.0;
const BOTTOM: f64 = 206.0;

/// The plot's own box, which is stretched to its room.
const PLOT_WIDTH: f64 = 1_000.0;
const PLOT_HEIGHT: f64 = BOTTOM - TOP;

/// The least width of the drawing, in pixels (`.course` in drawing.css): where texts have room there, they have it everywhere.
const WIDTH_MIN: f64 = 700.0;

/// About how many ticks each axis has.
const TIME_TICKS: u64 = 7;
const VALUE_TICKS: u64 = 4;

/// How close marks may stand to each other, in per cent: nearer ones become one.
const MARKS_APART: f64 = 1.2;

/// About how wide a letter of a mark's text is, in per cent of the least width.
const LETTER: f64 = 6.2 / WIDTH_MIN * 100.0;

/// What is drawn.
pub struct Data<'a> {
    /// When the first step begins.
    pub from: Timestamp,
    /// When the last one ends.
    pub to: Timestamp,
    /// The value at the end of each step.
    pub values: &'a [Option<u64>],
    /// When something happened, and what, oldest first.
    pub marks: &'a [(Timestamp, String)],
    /// How a value of the axis is written.
    pub unit: Unit,
}

/// What the values are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Unit {
    /// Records.
    Records,
    /// Milliseconds.
    Millis,
}

/// A drawn course.
#[derive(Clone, PartialEq, Debug)]
pub struct Course {
    /// The path of the line, broken where nothing is known.
    pub line: String,
    /// The path of the area below it.
    pub area: String,
    /// Where the ticks of the time axis stand, in per cent, and what they say.
    pub times: Vec<(String, String)>,
    /// Where those of the value axis stand, in pixels, and what they say.
    pub values: Vec<(String, String)>,
    /// What happened.
    pub marks: Vec<Drawn>,
    /// What it shows, for those who can't see it.
    pub says: String,
}

/// A mark.
#[derive(Clone, PartialEq, Debug)]
pub struct Drawn {
    /// Where it stands.
    pub x: String,
    /// What happened, all of it.
    pub title: String,
    /// What stands beside it; empty where there is no room.
    pub text: String,
    /// True where the text ends at the mark.
    pub is_left: bool,
}

impl Unit {
    /// A value as it is read.
    pub fn written(self, value: u64) -> String {
        match self {
            Unit::Records => wording::count(value),
            Unit::Millis if value == 0 => "0".to_owned(),
            Unit::Millis => wording::duration(value.saturating_mul(1_000_000)),
        }
    }

    /// The smallest round step that isn't below this one.
    fn step(self, least: u64) -> u64 {
        match self {
            Unit::Records => axis::one_two_five(least.max(1), 1),
            Unit::Millis => axis::step(least.max(1).saturating_mul(1_000_000)).div_ceil(1_000_000).max(1),
        }
    }
}

/// Draws a course; `None` where less than two values are known: a single point is no course.
pub fn course(data: &Data<'_>) -> Option<Course> {
    let known: Vec<u64> = data.values.iter().copied().flatten().collect();
    let [first, .., last] = known.as_slice() else { return None };
    let most = known.iter().copied().max()?;
    let value_step = data.unit.step(most.div_ceil(VALUE_TICKS));
    let top = value_step.saturating_mul(most.div_ceil(value_step).max(1));
    let y = |value: u64| PLOT_HEIGHT * (1.0 - value as f64 / top as f64);
    let across = PLOT_WIDTH / data.values.len() as f64;
    let (mut line, mut area) = (String::new(), String::new());
    let mut begun: Option<f64> = None;
    for (number, value) in data.values.iter().enumerate() {
        let x = across * (number + 1) as f64;
        let Some(value) = value else {
            close(&mut area, &mut begun, x - across);
            continue;
        };
        let command = if begun.is_none() { 'M' } else { 'L' };
        let _ = write!(line, "{command}{x:.1} {:.1} ", y(*value));
        let _ = match begun {
            None => write!(area, "M{x:.1} {PLOT_HEIGHT} L{x:.1} {:.1} ", y(*value)),
            Some(_) => write!(area, "L{x:.1} {:.1} ", y(*value)),
        };
        begun = begun.or(Some(x));
    }
    close(&mut area, &mut begun, PLOT_WIDTH);
    let written = |value: u64| data.unit.written(value);
    Some(Course {
        line: line.trim_end().to_owned(),
        area: area.trim_end().to_owned(),
        times: times(data),
        values: (0..=top / value_step)
            .map(|tick| (format!("{:.1}", TOP + y(tick * value_step)), written(tick * value_step)))
            .collect(),
        marks: marks(data),
        says: format!("from {} to {}, at most {}", written(*first), written(*last), written(most)),
    })
}

fn close(area: &mut String, begun: &mut Option<f64>, x: f64) {
    if begun.take().is_some() {
        let _ = write!(area, "L{x:.1} {PLOT_HEIGHT}Z ");
    }
}

fn x_of(data: &Data<'_>, at: Timestamp) -> f64 {
    let whole = data.to.nanos_since(data.from).max(1) as f64;
    LEFT + (at.nanos_since(data.from) as f64 / whole).clamp(0.0, 1.0) * (RIGHT - LEFT)
}

/// Ticks at times of day that people count in; days where the axis is longer.
fn times(data: &Data<'_>) -> Vec<(String, String)> {
    let whole = u64::try_from(data.to.nanos_since(data.from)).unwrap_or(0);
    let step = i64::try_from(axis::step(whole / TIME_TICKS)).unwrap_or(i64::MAX).max(1);
    let first = data.from.as_nanos().div_euclid(step) + 1;
    let last = data.to.as_nanos().div_euclid(step);
    (first..=last)
        .map(|tick| {
            let at = Timestamp::from_nanos(tick.saturating_mul(step));
            (format!("{:.2}", x_of(data, at)), wording::tick(at, whole))
        })
        .collect()
}

fn marks(data: &Data<'_>) -> Vec<Drawn> {
    let mut places: Vec<(f64, Vec<&str>)> = Vec::new();
    for (at, text) in data.marks {
        let x = x_of(data, *at);
        match places.last_mut() {
            Some((last, texts)) if x - *last < MARKS_APART => texts.push(text),
            _ => places.push((x, vec![text])),
        }
    }
    let mut free_from = LEFT;
    let mut drawn = Vec::new();
    for (number, (x, texts)) in places.iter().enumerate() {
        let text = match texts.as_slice() {
            [one] => (*one).to_owned(),
            all => format!("{} and {} more", all[0], all.len() - 1),
        };
        let next = places.get(number + 1).map_or(RIGHT, |(next, _)| *next);
        let wide = text.chars().count() as f64 * LETTER + 1.5;
        let is_left = x - wide >= free_from;
        let fits = is_left || x + wide <= next;
        free_from = if is_left || !fits { *x } else { x + wide };
        let text = if fits { text } else { String::new() };
        drawn.push(Drawn { x: format!("{x:.2}"), title: texts.join("; "), text, is_left });
    }
    drawn
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_millis(1_795_442_400_000 + seconds * 1_000) // 14:00:00
    }

    fn draw(values: &[Option<u64>], marks: &[(Timestamp, String)], unit: Unit) -> Option<Course> {
        course(&Data { from: at(0), to: at(900), values, marks, unit })
    }

    #[test]
    fn both_axes_have_round_ticks() {
        let drawn = draw(&[Some(0), Some(500), Some(1_204)], &[], Unit::Records).unwrap();
        let said = |ticks: &[(String, String)]| ticks.iter().map(|(_, text)| text.clone()).collect::<Vec<_>>();
        assert_eq!(said(&drawn.values), ["0", "500", "1,000", "1,500"]);
        assert_eq!(said(&drawn.times), ["14:05", "14:10", "14:15"]);
        assert_eq!(drawn.says, "from 0 to 1,204, at most 1,204");
        let drawn = draw(&[Some(0), Some(192_000)], &[], Unit::Millis).unwrap();
        assert_eq!(said(&drawn.values), ["0", "1 min", "2 min", "3 min", "4 min"]);
        let nothing = draw(&[Some(0), Some(0)], &[], Unit::Records).unwrap();
        assert_eq!(said(&nothing.values), ["0", "1"]);
    }

    #[test]
    fn the_line_breaks_off_where_nothing_is_known() {
        let drawn = draw(&[Some(1), Some(2), None, None, Some(2), Some(1)], &[], Unit::Records).unwrap();
        assert_eq!(drawn.line.matches('M').count(), 2);
        assert_eq!(drawn.area.matches('Z').count(), 2);
        assert!(draw(&[None, Some(3), None], &[], Unit::Records).is_none());
    }

    #[test]
    fn marks_that_are_close_become_one_and_no_text_runs_over_another() {
        let mark = |seconds: i64, text: &str| (at(seconds), text.to_owned());
        let values = [Some(1), Some(2)];
        let marks = [mark(300, "1 member left"), mark(302, "1 member joined"), mark(330, "reset"), mark(890, "reset")];
        let drawn = draw(&values, &marks, Unit::Records).unwrap().marks;
        assert_eq!(drawn.len(), 3);
        assert_eq!((drawn[0].text.as_str(), drawn[0].is_left), ("1 member left and 1 more", true));
        assert_eq!(drawn[0].title, "1 member left; 1 member joined");
        assert_eq!((drawn[1].text.as_str(), drawn[1].is_left), ("reset", false));
        assert!(drawn[2].is_left, "at the right edge");
    }
}
