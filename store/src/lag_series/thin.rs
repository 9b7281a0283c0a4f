//! Keeps older samples coarser: within each step of time, the latest one stands for it.

use std::time::Duration;

use super::LagSample;
use crate::time::Timestamp;

const SECOND: i64 = 1_000_000_000;

/// Up to which age (in seconds) one sample stands for a step of which length; older than the last, samples are dropped.
const STEPS: [(i64, i64); 3] = [(3_600, 10), (86_400, 60), (7 * 86_400, 600)];

/// How long samples are kept.
pub const KEPT: Duration = Duration::from_secs(7 * 86_400);

/// Thinning is for each so many new samples of a series: rarely enough that it costs little for each.
pub const EVERY: usize = 64;

/// Thins samples in order of time, as of now. The last one stays however old it is: it holds until another comes.
pub fn thin(samples: &mut Vec<LagSample>, now: Timestamp) {
    let Some(last) = samples.pop() else { return };
    let mut kept: Vec<LagSample> = Vec::with_capacity(samples.len() + 1);
    let mut kept_step = None;
    let step_of = |sample: &LagSample| {
        let age = now.nanos_since(sample.at) / SECOND;
        let (tier, (_, step)) = STEPS.iter().enumerate().find(|(_, (age_max, _))| age < *age_max)?;
        Some((tier, sample.at.as_nanos().div_euclid(step * SECOND)))
    };
    for sample in samples.drain(..) {
        let Some(here) = step_of(&sample) else { continue };
        if kept_step == Some(here) {
            kept.pop();
        }
        kept.push(sample);
        kept_step = Some(here);
    }
    if kept_step.is_some() && kept_step == step_of(&last) {
        kept.pop();
    }
    kept.push(last);
    kept.shrink_to_fit();
    *samples = kept;
}
