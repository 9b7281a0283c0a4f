//! Rewrites the segments that hold what was forgotten, so that it is gone from every file.

use std::collections::HashSet;

use super::replace::{Remaining, unreadable};
use crate::engine::{Forgotten, StoreError};
use crate::index::hash::IdentityKey;
use crate::index::view::Shared;

/// Rewrites the segments that hold one of these, and says how many entries went from which.
pub fn rewrite(shared: &Shared, keys: &[IdentityKey]) -> Result<Forgotten, StoreError> {
    let keys: HashSet<IdentityKey> = keys.iter().copied().collect();
    let shorts: HashSet<u32> = keys.iter().map(|key| key.short()).collect();
    let mut forgotten = Forgotten::default();
    for segment in &shared.look().segments {
        // A damaged segment is set aside; what of it was forgotten goes with its folder. One that can't be read now may hold some.
        match shared.ask(segment, || segment.may_hold_any(&shorts)) {
            Ok(true) => {}
            Err(damage) if damage.is_passing => return Err(unreadable(damage)),
            Ok(false) | Err(_) => continue,
        }
        let remaining = match Remaining::of(shared, std::slice::from_ref(segment), |key| keys.contains(&key)) {
            Ok(remaining) => remaining,
            Err(damage) if damage.is_passing => return Err(unreadable(damage)),
            Err(_) => continue,
        };
        let n_gone = remaining.n_gone();
        if n_gone == 0 {
            continue;
        }
        remaining.replace()?;
        forgotten.entries += n_gone;
        forgotten.files.push((format!("segments/{:016}", segment.number()), n_gone));
    }
    Ok(forgotten)
}
