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

/// From counts by step (those that have any) between two times. `None` where nothing was counted.
pub fn spark(
    steps: &[(Timestamp, u64)],
    from: Timestamp,
    to: Timestamp,
    step: Duration,
    of_what: &str,
) -> Option<Spark> {
    let filled = filled(steps, from, to, step);
    let most = *filled.iter().max()?;
    if most == 0 {
        return None;
    }
    let across = 100.0 / (filled.len().max(2) - 1) as f64;
    let mut line = String::new();
    for (index, many) in filled.iter().enumerate() {
        let y = HEIGHT - MARGIN - *many as f64 / most as f64 * (HEIGHT - 2.0 * MARGIN);
        let _ = write!(line, "{}{:.1} {y:.1}", if index == 0 { "M" } else { " L" }, index as f64 * across);
    }
    let area = format!("{line} L100 {HEIGHT} L0 {HEIGHT}Z");
    let says = format!("{of_what}: at most {} in {} s", crate::wording::count(most), step.as_secs());
    Some(Spark { line, area, says })
}

/// One count for each whole step, zeros where there were none. The first and last steps are left out: they are cut short.
fn filled(steps: &[(Timestamp, u64)], from: Timestamp, to: Timestamp, step: Duration) -> Vec<u64> {
    let length = i64::try_from(step.as_nanos()).unwrap_or(i64::MAX).max(1);
    let first = from.as_nanos().div_euclid(length) + 1;
    let last = to.as_nanos().div_euclid(length);
    let mut filled = vec![0; usize::try_from(last - first).unwrap_or(0).min(1_000)];
    for (at, many) in steps {
        let index = at.as_nanos().div_euclid(length) - first;
        if let Some(place) = usize::try_from(index).ok().and_then(|index| filled.get_mut(index)) {
            *place += many;
        }
    }
    filled
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_without_any_count_as_none() {
        let second = |at: i64| Timestamp::from_millis(at * 1_000);
        let steps = [(second(0), 9), (second(1), 4), (second(3), 2)];
        let spark = spark(&steps, second(0), second(5), Duration::from_secs(1), "events").unwrap();
        assert_eq!(spark.line, "M0.0 2.0 L33.3 28.0 L66.7 15.0 L100.0 28.0");
        assert_eq!(spark.says, "events: at most 4 in 1 s");
        assert!(super::spark(&[], second(0), second(5), Duration::from_secs(1), "events").is_none());
    }
}
