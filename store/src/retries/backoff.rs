//! How long a consumer waits between attempts: whether the waits grow, whether they are spread, whether all come at once.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::time::Timestamp;

/// A wait so short that it hammers what has just failed.
const HAMMERS_BELOW: Duration = Duration::from_millis(100);

/// From which growth on from one wait to the next they are said to grow.
const GROWS_BY: f64 = 1.3;

/// From which spread on (between the tenth and the ninetieth of a hundred, against the middle) waits are said to have jitter.
const JITTER_FROM: f64 = 0.1;

/// How few waits tell nothing of jitter.
const JITTER_WAITS_MIN: usize = 5;

/// Retries that begin within so long of each other arrive together.
pub const TOGETHER: Duration = Duration::from_millis(200);

/// The waits that were seen.
#[derive(Debug, Default)]
pub struct Waits {
    /// By the number of the attempt that failed, from 1 on.
    by_attempt: BTreeMap<u32, Vec<Duration>>,
    /// When attempts were due.
    due: Vec<Timestamp>,
}

/// What the waits tell.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Backoff {
    /// The middle wait after each attempt that failed, in order.
    pub steps: Vec<Duration>,
    /// Whether each wait is longer than the one before.
    pub grows: bool,
    /// Whether waits of the same step differ; `None` where too few were seen.
    pub jitter: Option<bool>,
    /// Whether what failed is tried again at once.
    pub hammers: bool,
    /// All waits together.
    pub total: Duration,
    /// The most retries that were due within [`TOGETHER`].
    pub together: usize,
    /// How many were seen.
    pub seen: usize,
}

impl Waits {
    /// A wait after an attempt failed, until the next was due.
    pub fn add(&mut self, attempt: u32, from: Timestamp, until: Timestamp) {
        let wait = Duration::from_nanos(u64::try_from(until.nanos_since(from)).unwrap_or(0));
        self.by_attempt.entry(attempt).or_default().push(wait);
        self.due.push(until);
    }

    /// What they tell.
    pub fn tell(mut self) -> Backoff {
        self.due.sort();
        let mut spreads = Vec::new();
        let mut steps = Vec::new();
        for waits in self.by_attempt.values_mut() {
            waits.sort();
            let at = |part: usize| waits[(waits.len() - 1) * part / 10];
            if waits.len() >= JITTER_WAITS_MIN && !at(5).is_zero() {
                spreads.push((at(9) - at(1)).as_secs_f64() / at(5).as_secs_f64());
            }
            steps.push(at(5));
        }
        let grows =
            steps.len() > 1 && steps.iter().zip(steps.iter().skip(1)).all(|(one, next)| *next >= one.mul_f64(GROWS_BY));
        Backoff {
            grows,
            jitter: (!spreads.is_empty()).then(|| spreads.iter().any(|spread| *spread >= JITTER_FROM)),
            hammers: steps.first().is_some_and(|first| *first < HAMMERS_BELOW),
            total: self.by_attempt.values().flatten().fold(Duration::ZERO, |sum, wait| sum.saturating_add(*wait)),
            together: together(&self.due),
            seen: self.due.len(),
            steps,
        }
    }
}

/// The most of these, in order, within [`TOGETHER`].
fn together(due: &[Timestamp]) -> usize {
    let mut first = 0;
    let mut most = 0;
    for (index, at) in due.iter().enumerate() {
        while due[first].plus(TOGETHER) < *at {
            first += 1;
        }
        most = most.max(index + 1 - first);
    }
    most
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::at;

    /// Retries after each attempt's wait, in milliseconds; a chain begins every second.
    fn backoff(chains: &[Vec<u64>]) -> Backoff {
        let mut waits = Waits::default();
        for (number, chain) in chains.iter().enumerate() {
            for (attempt, wait) in (1..).zip(chain) {
                let from = at(number as f64);
                waits.add(attempt, from, from.plus(Duration::from_millis(*wait)));
            }
        }
        waits.tell()
    }

    #[test]
    fn waits_that_double_grow_and_those_that_never_differ_have_no_jitter() {
        let told = backoff(&vec![vec![1_000, 2_000, 4_000]; 6]);
        assert_eq!(told.steps, [1, 2, 4].map(Duration::from_secs));
        assert_eq!((told.grows, told.jitter, told.hammers), (true, Some(false), false));
        assert_eq!((told.total, told.seen), (Duration::from_secs(42), 18));
    }

    #[test]
    fn waits_that_differ_have_jitter_and_too_few_tell_nothing() {
        let told = backoff(&[400, 500, 600, 700, 450, 550].map(|wait| vec![wait]));
        assert_eq!((told.grows, told.jitter), (false, Some(true)));
        assert_eq!(backoff(&[vec![400], vec![900]]).jitter, None);
    }

    #[test]
    fn what_is_tried_again_at_once_hammers() {
        assert!(backoff(&vec![vec![1, 1, 1]; 3]).hammers);
        assert_eq!(Waits::default().tell(), Backoff::default());
    }

    #[test]
    fn retries_that_are_due_at_the_same_moment_arrive_together() {
        let mut waits = Waits::default();
        for number in 0..36 {
            let from = at(f64::from(number) / 1_000.0);
            waits.add(1, from, if number < 31 { at(5.0) } else { at(f64::from(number)) });
        }
        let told = waits.tell();
        assert_eq!((told.together, told.seen), (31, 36));
    }
}
