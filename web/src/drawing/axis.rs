//! Round ticks: the marks of a time axis stand at times that people count in.

/// One mark of an axis.
#[derive(Clone, PartialEq, Debug)]
pub struct Tick {
    /// How long after the start, in nanoseconds.
    pub at: u64,
    /// What stands there, such as `0.5 s`.
    pub label: String,
}

const SECOND: u64 = 1_000_000_000;
const MINUTE: u64 = 60 * SECOND;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

/// Steps above a second that people count in; below one, and above a day, it is 1, 2 and 5 times a power of ten.
const STEPS: [u64; 18] = [
    SECOND,
    2 * SECOND,
    5 * SECOND,
    10 * SECOND,
    15 * SECOND,
    30 * SECOND,
    MINUTE,
    2 * MINUTE,
    5 * MINUTE,
    10 * MINUTE,
    15 * MINUTE,
    30 * MINUTE,
    HOUR,
    2 * HOUR,
    3 * HOUR,
    6 * HOUR,
    12 * HOUR,
    DAY,
];

/// Ticks from 0 to at most `total` nanoseconds, about `ticks_max` of them.
pub fn ticks(total: u64, ticks_max: u64) -> Vec<Tick> {
    let step = step(total / ticks_max.max(1));
    let marks = total / step;
    (0..=marks).map(|mark| Tick { at: mark * step, label: label(mark * step, step) }).collect()
}

/// The smallest round step of time that isn't below this one, in nanoseconds.
pub fn step(least: u64) -> u64 {
    if least <= SECOND / 2 {
        return one_two_five(least, 1);
    }
    STEPS.into_iter().find(|step| *step >= least).unwrap_or_else(|| one_two_five(least, DAY))
}

/// The smallest step that isn't below this one, of 1, 2 and 5 times a power of ten of a unit.
pub fn one_two_five(least: u64, unit: u64) -> u64 {
    let mut power = unit;
    loop {
        for times in [1, 2, 5] {
            let step = power.saturating_mul(times);
            if step >= least {
                return step;
            }
        }
        power = power.saturating_mul(10);
    }
}

/// A tick's label. All ticks of an axis with steps below a minute read in one unit; above, the larger unit comes first.
fn label(at: u64, step: u64) -> String {
    if at == 0 {
        return "0".to_owned();
    }
    if at >= 2 * MINUTE || step >= MINUTE {
        return crate::wording::duration(at);
    }
    let (unit, name) = match step {
        step if step >= SECOND / 10 => (SECOND, "s"),
        step if step >= 100_000 => (1_000_000, "ms"),
        step if step >= 100 => (1_000, "µs"),
        _ => (1, "ns"),
    };
    let text = format!("{:.3}", at as f64 / unit as f64);
    format!("{} {name}", text.trim_end_matches('0').trim_end_matches('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(total: u64) -> Vec<String> {
        ticks(total, 7).into_iter().map(|tick| tick.label).collect()
    }

    #[test]
    fn ticks_stand_at_round_times() {
        assert_eq!(labels(4_060_000_000), ["0", "1 s", "2 s", "3 s", "4 s"]);
        assert_eq!(labels(42_000_000), ["0", "10 ms", "20 ms", "30 ms", "40 ms"]);
        assert_eq!(labels(1_400_000_000), ["0", "0.2 s", "0.4 s", "0.6 s", "0.8 s", "1 s", "1.2 s", "1.4 s"]);
        assert_eq!(labels(900_000), ["0", "0.2 ms", "0.4 ms", "0.6 ms", "0.8 ms"]);
        assert_eq!(labels(95 * SECOND), ["0", "15 s", "30 s", "45 s", "60 s", "75 s", "90 s"]);
        assert_eq!(labels(200 * SECOND), ["0", "30 s", "60 s", "90 s", "2 min", "2 min 30 s", "3 min"]);
        assert_eq!(labels(3 * HOUR), ["0", "30 min", "1 h", "1 h 30 min", "2 h", "2 h 30 min", "3 h"]);
        assert_eq!(labels(40 * DAY), ["0", "10 d", "20 d", "30 d", "40 d"]);
    }

    #[test]
    fn an_axis_of_any_length_has_few_ticks() {
        assert_eq!(labels(0), ["0"]);
        assert_eq!(labels(5), ["0", "1 ns", "2 ns", "3 ns", "4 ns", "5 ns"]);
        for total in [1, 999, 1_000_000_007, 400 * DAY, u64::MAX / 2] {
            assert!(ticks(total, 7).len() <= 9, "{total}");
        }
    }
}
