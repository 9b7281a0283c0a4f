//! Keeps older samples coarser: within each step of time, the latest one stands for it.

use super::LagSample;
use crate::time::Timestamp;

const SECOND: i64 = 1_000_000_000;

/// Up to which age (in seconds) one sample stands for a step of which length; older than the last, samples are dropped.
const STEPS: [(i64, i64); 3] = [(3_600, 10), (86_400, 60), (7 * 86_400, 600)];

/// How many samples a series has before it is thinned: rarely enough that thinning costs little for each new sample.
const EVERY: usize = 64;

/// Thins samples in order of time, as of now. Does nothing for most calls.
pub fn thin(samples: &mut Vec<LagSample>, now: Timestamp) {
    if !samples.len().is_multiple_of(EVERY) {
        return;
    }
    let mut kept: Vec<LagSample> = Vec::with_capacity(samples.len());
    let mut kept_step = None;
    for sample in samples.drain(..) {
        let age = now.nanos_since(sample.at) / SECOND;
        let Some((tier, (_, step))) = STEPS.iter().enumerate().find(|(_, (age_max, _))| age < *age_max) else {
            continue;
        };
        let here = (tier, sample.at.as_nanos().div_euclid(step * SECOND));
        if kept_step == Some(here) {
            kept.pop();
        }
        kept.push(sample);
        kept_step = Some(here);
    }
    *samples = kept;
}
