//! Points over time: each two values, and from when to when they were seen. The older, the coarser.
//!
//! Within each step of time the latest point stands for it, so that a line drawn through them ends where the lag really was. Steps are
//! 10 s for an hour, a minute for a day, 10 minutes for a week; where too much is held they grow with age as well, so that what happened
//! lately is still told exactly.

use std::time::Duration;

use crate::time::Timestamp;

const SECOND_MS: i64 = 1_000;

/// Up to which age (in seconds) one point stands for a step of which length; what is older than the last is dropped.
const STEPS: [(i64, i64); 3] = [(3_600, 10), (86_400, 60), (7 * 86_400, 600)];

/// How many points a line has before it is thinned as it grows: rarely enough that this costs little for each new one.
const THIN_EVERY: usize = 64;

/// For how long a look speaks for the time after it, where the next found something else: looks are 10 s apart, and one may fail.
const LOOK_HOLDS: Duration = Duration::from_secs(30);

/// A value that isn't known. Offsets and lags are never negative.
const UNKNOWN: i64 = -1;

/// Two values, and from when to when they were seen.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Point {
    pub at_ms: i64,
    pub until_ms: i64,
    pub stored: [i64; 2],
}

/// How coarse things are kept: 0 is as [`STEPS`] has it; from 1 on a step is at least the 64th, 32nd, ... part of its age.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Thinning {
    tightness: u32,
}

/// Points in order of time.
#[derive(Debug, Default)]
pub(super) struct Line {
    points: Vec<Point>,
    /// How many of the last are not in the file yet.
    pub unsaved: usize,
}

impl Point {
    pub fn new(at: Timestamp, values: [Option<i64>; 2]) -> Point {
        let at_ms = at.as_millis();
        Point { at_ms, until_ms: at_ms, stored: values.map(|value| value.map_or(UNKNOWN, |value| value.max(0))) }
    }

    pub fn at(&self) -> Timestamp {
        Timestamp::from_millis(self.at_ms)
    }

    /// The last look that found the same.
    pub fn until(&self) -> Timestamp {
        Timestamp::from_millis(self.until_ms)
    }

    pub fn values(&self) -> [Option<i64>; 2] {
        self.stored.map(|value| (value >= 0).then_some(value))
    }
}

impl Thinning {
    /// At the tightest a step is half its age: a week is then told by about twenty points.
    const TIGHTEST: u32 = 6;

    /// One step coarser; false where it is the coarsest already.
    pub fn tighten(&mut self) -> bool {
        let is_looser = self.tightness < Self::TIGHTEST;
        self.tightness += u32::from(is_looser);
        is_looser
    }

    /// One step finer.
    pub fn loosen(&mut self) {
        self.tightness = self.tightness.saturating_sub(1);
    }

    /// Whether anything so old is kept at all.
    pub fn keeps(&self, at: Timestamp, now: Timestamp) -> bool {
        self.step_ms(now.as_millis().saturating_sub(at.as_millis())).is_some()
    }

    /// The length of the steps at this age; `None` beyond the oldest. Always a power of two times a step of the table, so that steps
    /// that have grown are made of whole ones.
    fn step_ms(&self, age_ms: i64) -> Option<i64> {
        let (_, step) = STEPS.iter().find(|(age_max, _)| age_ms < age_max * SECOND_MS)?;
        let mut step_ms = step * SECOND_MS;
        if self.tightness > 0 {
            let least = age_ms >> (Self::TIGHTEST + 1 - self.tightness);
            while step_ms < least {
                step_ms *= 2;
            }
        }
        Some(step_ms)
    }
}

impl Line {
    pub fn points(&self) -> &[Point] {
        &self.points
    }

    /// Adds a point; where it says the same as the last one, that one held on. One that is older than the last is left out.
    pub fn add(&mut self, point: Point, thinning: &Thinning) {
        if let Some(last) = self.points.last_mut() {
            if point.at_ms < last.until_ms {
                return;
            }
            if point.stored == last.stored {
                last.until_ms = point.until_ms;
                return;
            }
        }
        self.points.push(point);
        self.unsaved += 1;
        if self.points.len().is_multiple_of(THIN_EVERY) {
            self.thin(point.at(), thinning);
        }
    }

    /// Says that the last point was still seen then, as a file tells it.
    pub fn held(&mut self, until_ms: i64) {
        if let Some(last) = self.points.last_mut() {
            last.until_ms = last.until_ms.max(until_ms);
        }
    }

    pub fn thin(&mut self, now: Timestamp, thinning: &Thinning) {
        let mut kept: Vec<Point> = Vec::with_capacity(self.points.len());
        let mut kept_step = None;
        let n_points = self.points.len();
        for (number, point) in self.points.drain(..).enumerate() {
            // The last one says how things are, however long that has been so.
            let is_last = number + 1 == n_points;
            let age_ms = now.as_millis().saturating_sub(if is_last { point.until_ms } else { point.at_ms });
            let Some(step_ms) = thinning.step_ms(age_ms) else { continue };
            let here = (step_ms, point.at_ms.div_euclid(step_ms));
            if kept_step == Some(here) {
                kept.pop();
            }
            kept.push(point);
            kept_step = Some(here);
        }
        kept.shrink_to(kept.len() + THIN_EVERY / 4);
        self.points = kept;
        self.unsaved = self.unsaved.min(self.points.len());
    }

    pub fn drop_older_half(&mut self) {
        self.points.drain(..self.points.len() / 2);
        self.unsaved = self.unsaved.min(self.points.len());
    }

    /// What held at an instant; `None` where nobody looked around it. Steps of the asker are wide, and so may ours be.
    pub fn known_at(&self, at: Timestamp, asked_step: Duration, thinning: &Thinning) -> Option<&Point> {
        let next = self.points.partition_point(|point| point.at() <= at);
        let point = self.points.get(next.checked_sub(1)?)?;
        let now = self.points.last()?.until();
        let thinned_ms = thinning.step_ms(now.as_millis().saturating_sub(point.at_ms)).unwrap_or(0);
        let thinned = Duration::from_millis(u64::try_from(thinned_ms).unwrap_or(0));
        let holds = LOOK_HOLDS.max(asked_step).max(thinned * 2);
        (at <= point.until().plus(holds)).then_some(point)
    }
}
