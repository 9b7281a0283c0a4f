//! The course of a group's lag as a chart with its table, and what happened to the group meanwhile.

use std::time::Duration;

use store::lag_series::{Change, LagSeries, Level, Mark};
use store::{SourceName, Timestamp};

use crate::drawing::course::{Course, Data, Unit, course};
use crate::href::Href;
use crate::wording;

/// Which lengths of time the chart can show, and what they are called in the address.
const WINDOWS: [(&str, &str, u64); 4] =
    [("", "15 min", 15 * 60), ("1h", "1 h", 3_600), ("24h", "24 h", 86_400), ("7d", "7 d", 7 * 86_400)];

/// What the chart can show, and what that is called in the address.
const UNITS: [(&str, &str, Unit); 2] = [("", "Records", Unit::Records), ("time", "Time", Unit::Millis)];

/// How many steps the chart has: about one in three pixels; the table has one of [`ROW_STEPS`].
const STEPS: u32 = 300;
const ROW_STEPS: usize = 10;

/// How many of the things that happened are listed, the latest first.
const EVENTS_MAX: usize = 50;

/// How many partitions of a reset are named.
const MOVES_SHOWN: usize = 3;

/// What a page shows of the past.
pub struct History {
    pub title: &'static str,
    pub windows: Vec<(&'static str, Href, bool)>,
    pub units: Vec<(&'static str, Href, bool)>,
    pub course: Option<Course>,
    /// Time, records, time lag: the chart as a table, oldest first.
    pub rows: Vec<(String, String, String)>,
    /// When something happened, and what, latest first.
    pub events: Vec<(String, String)>,
    pub events_left_out: usize,
}

/// The past of a group, over the window and in the unit that the address names.
pub fn of(
    lags: &LagSeries,
    group: (&SourceName, &str),
    (window, of): (&str, &str),
    here: &Href,
    now: Timestamp,
) -> History {
    let (window_name, _, seconds) = WINDOWS.into_iter().find(|(name, ..)| *name == window).unwrap_or(WINDOWS[0]);
    let (of_name, _, unit) = UNITS.into_iter().find(|(name, ..)| *name == of).unwrap_or(UNITS[0]);
    let window = Duration::from_secs(seconds);
    let (from, step) = (now.minus(window), window / STEPS);
    let levels = lags.course(group, from, step, STEPS);
    let marks = lags.marks(group, from, now);
    let said: Vec<(Timestamp, String)> = marks.iter().map(|mark| (mark.at, in_short(mark))).collect();
    let values: Vec<Option<u64>> = levels.iter().map(|level| of_level(level, unit)).collect();
    let data = Data { from, to: now, values: &values, marks: &said, unit };
    let rows = levels.iter().enumerate().skip(ROW_STEPS - 1).step_by(ROW_STEPS).map(|(number, level)| {
        let at = from.plus(step * u32::try_from(number + 1).unwrap_or(u32::MAX));
        let text =
            |unit: Unit| of_level(level, unit).map_or_else(|| "not known".to_owned(), |value| unit.written(value));
        (wording::clock_short(at, now), text(Unit::Records), text(Unit::Millis))
    });
    let events = marks.iter().rev().take(EVENTS_MAX).map(|mark| (wording::clock_short(mark.at, now), in_full(mark)));
    History {
        title: if unit == Unit::Records { "Lag, records" } else { "Lag, time" },
        windows: WINDOWS
            .into_iter()
            .map(|(name, text, _)| (text, here.clone().with("window", name).with("of", of_name), name == window_name))
            .collect(),
        units: UNITS
            .into_iter()
            .map(|(name, text, _)| (text, here.clone().with("window", window_name).with("of", name), name == of_name))
            .collect(),
        course: course(&data),
        rows: rows.collect(),
        events: events.collect(),
        events_left_out: marks.len().saturating_sub(EVENTS_MAX),
    }
}

fn of_level(level: &Level, unit: Unit) -> Option<u64> {
    match unit {
        Unit::Records => level.lag,
        Unit::Millis => level.lag_ms,
    }
}

/// What happened, in so few words that it fits on a chart.
fn in_short(mark: &Mark) -> String {
    match &mark.change {
        Change::Members { joined, left: 0 } => format!("{} joined", wording::many(u64::from(*joined), "member")),
        Change::Members { joined: 0, left } => format!("{} left", wording::many(u64::from(*left), "member")),
        Change::Members { joined, left } => format!("{joined} joined, {left} left"),
        Change::Reassigned { .. } => "rebalance".to_owned(),
        Change::Reset { .. } => "reset".to_owned(),
    }
}

fn in_full(mark: &Mark) -> String {
    match &mark.change {
        Change::Members { .. } => format!("{}: partitions were shared out anew", in_short(mark)),
        Change::Reassigned { partitions } => {
            format!("{} went to another member", wording::many(u64::from(*partitions), "partition"))
        }
        Change::Reset { topic, moves } => {
            let shown: Vec<String> = moves
                .iter()
                .take(MOVES_SHOWN)
                .map(|moved| {
                    let count = |offset: i64| wording::count(u64::try_from(offset).unwrap_or(0));
                    format!("p{} from {} to {}", moved.partition, count(moved.from), count(moved.to))
                })
                .collect();
            let more = match moves.len().saturating_sub(MOVES_SHOWN) {
                0 => String::new(),
                more => format!(", and {}", wording::many(more as u64, "more partition")),
            };
            let is_back = moves.iter().any(|moved| moved.to < moved.from);
            let how = if is_back { "the commit went back" } else { "the commit was moved on while nobody was there" };
            format!("reset on {topic}: {how} ({}{more})", shown.join(", "))
        }
    }
}
