//! How long something took, over many times: counts by upper bounds, as Prometheus has them.

use std::time::Duration;

/// The upper bounds, in seconds: from what a fast disk takes to what nobody waits for any more.
const BOUNDS: [f64; 12] = [0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

/// How often something took at most so long, since the start.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Histogram {
    /// By bound; and what took longer than the last.
    counts: [u64; BOUNDS.len() + 1],
    sum: Duration,
}

impl Histogram {
    /// Once more, and so long.
    pub fn observe(&mut self, took: Duration) {
        let seconds = took.as_secs_f64();
        self.counts[BOUNDS.partition_point(|bound| *bound < seconds)] += 1;
        self.sum += took;
    }

    /// How often it took at most so many seconds, bound by bound: each count has the ones before in it.
    pub fn buckets(&self) -> impl Iterator<Item = (f64, u64)> {
        BOUNDS.iter().zip(&self.counts).scan(0, |so_far, (bound, count)| {
            *so_far += count;
            Some((*bound, *so_far))
        })
    }

    /// How often in all.
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// How long in all.
    pub fn sum(&self) -> Duration {
        self.sum
    }

    /// The bound in seconds below which this share of all stayed; `None` where there is nothing to tell of, or it took longer than the last.
    pub fn quantile(&self, share: f64) -> Option<f64> {
        let wanted = ((self.count() as f64 * share).ceil() as u64).max(1);
        self.buckets().find(|(_, count)| *count >= wanted).map(|(bound, _)| bound)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_takes_exactly_a_bound_counts_under_it_and_each_bucket_has_those_below() {
        let mut histogram = Histogram::default();
        assert_eq!((histogram.quantile(0.5), histogram.count()), (None, 0));
        for millis in [10, 11, 100, 20_000] {
            histogram.observe(Duration::from_millis(millis));
        }
        let up_to = |bound: f64| histogram.buckets().find(|(other, _)| *other == bound).unwrap().1;
        assert_eq!([0.005, 0.01, 0.025, 0.1, 10.0].map(up_to), [0, 1, 2, 3, 3]);
        assert_eq!((histogram.count(), histogram.sum()), (4, Duration::from_millis(20_121)));
        assert_eq!(
            [0.25, 0.5, 0.75, 0.99].map(|share| histogram.quantile(share)),
            [Some(0.01), Some(0.025), Some(0.1), None]
        );
    }
}
