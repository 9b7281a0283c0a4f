//! How many over time, in a small space: a line with its area.

use std::fmt::Write as _;
use std::time::Duration;

use store::Timestamp;

/// A line over time in a box of 100 by 30 units that is stretched to its room.
#[derive(Clone, PartialEq, Debug)]
pub struct Spark {
    /// The line's path.
    pub line: String,
    /// The path of the area below it.
    pub area: String,
    /// What it shows, for those who can't see it.
    pub says: String,
}

/// The height of the box; the line keeps clear of its edges by [`MARGIN`].
const HEIGHT: f64 = 30.0;
const MARGIN: f64 = 2.0;

/// From counts by step, oldest first, empty steps included. The first and last are left out: they are cut short.
/// `None` where nothing was counted, so that nobody takes a flat line for a steady one.
pub fn spark(steps: &[(Timestamp, u64)], step: Duration, of_what: &str) -> Option<Spark> {
    let whole = steps.get(1..steps.len().saturating_sub(1)).unwrap_or_default();
    let most = whole.iter().map(|(_, many)| *many).max().filter(|most| *most > 0)?;
    let across = 100.0 / (whole.len().max(2) - 1) as f64;
    let mut line = String::new();
    for (index, (_, many)) in whole.iter().enumerate() {
        let y = HEIGHT - MARGIN - *many as f64 / most as f64 * (HEIGHT - 2.0 * MARGIN);
        let _ = write!(line, "{}{:.1} {y:.1}", if index == 0 { "M" } else { " L" }, index as f64 * across);
    }
    let area = format!("{line} L100 {HEIGHT} L0 {HEIGHT}Z");
    let span = crate::wording::duration(u64::try_from(step.as_nanos()).unwrap_or(u64::MAX));
    let says = format!("{of_what}: at most {} in {span}", crate::wording::count(most));
    Some(Spark { line, area, says })
}

/// From levels by step, oldest first, the last known one at each. What lies before anything was known stays empty. `None` where
/// less than two are known: a single point is no course.
pub fn level(levels: &[Option<u64>], of_what: &str) -> Option<Spark> {
    let known: Vec<(usize, u64)> =
        levels.iter().enumerate().filter_map(|(index, level)| level.map(|level| (index, level))).collect();
    let [(first_index, first), .., (last_index, last)] = known.as_slice() else { return None };
    let most = known.iter().map(|(_, level)| *level).max()?;
    let across = 100.0 / (levels.len().max(2) - 1) as f64;
    let mut line = String::new();
    for (index, level) in &known {
        let y = HEIGHT - MARGIN - *level as f64 / most.max(1) as f64 * (HEIGHT - 2.0 * MARGIN);
        let _ = write!(line, "{}{:.1} {y:.1}", if line.is_empty() { "M" } else { " L" }, *index as f64 * across);
    }
    let (from, to) = (*first_index as f64 * across, *last_index as f64 * across);
    let area = format!("{line} L{to:.1} {HEIGHT} L{from:.1} {HEIGHT}Z");
    let count = crate::wording::count;
    let says = format!("{of_what}: from {} to {}, at most {}", count(*first), count(*last), count(most));
    Some(Spark { line, area, says })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_runs_over_the_whole_steps() {
        let counted = |many: &[u64]| many.iter().map(|many| (Timestamp::default(), *many)).collect::<Vec<_>>();
        let spark = spark(&counted(&[9, 4, 0, 2, 0, 7]), Duration::from_secs(10), "events").unwrap();
        assert_eq!(spark.line, "M0.0 2.0 L33.3 28.0 L66.7 15.0 L100.0 28.0");
        assert_eq!(spark.says, "events: at most 4 in 10 s");
        for nothing in [&[][..], &[5], &[5, 5], &[5, 0, 0, 5]] {
            assert!(super::spark(&counted(nothing), Duration::from_secs(1), "events").is_none());
        }
    }

    #[test]
    fn a_level_runs_from_when_it_was_first_known() {
        let spark = level(&[None, Some(0), Some(10), Some(5)], "lag").unwrap();
        assert_eq!(spark.line, "M33.3 28.0 L66.7 2.0 L100.0 15.0");
        assert_eq!(spark.says, "lag: from 0 to 5, at most 10");
        assert_eq!(
            level(&[Some(0), Some(0)], "lag").unwrap().line,
            "M0.0 28.0 L100.0 28.0",
            "nothing behind is told too"
        );
        assert!(level(&[None, Some(3)], "lag").is_none());
    }
}
