//! A group of the log that is being put together: what is held already is left out, and counted.

use std::collections::HashMap;
use std::sync::Arc;

use foldhash::fast::RandomState;

use crate::checkpoint::Checkpoint;
use crate::engine::{Held, Sequence};
use crate::entry::{Entry, Identity};
use crate::index::batch::Batch;
use crate::index::hash::IdentityKey;
use crate::index::segment::Damage;
use crate::index::view::{Shared, View};
use crate::index::weight::weight;

/// A group that is being put together.
#[derive(Default)]
pub struct Group {
    /// What goes into the log.
    pub batch: Batch,
    /// The identities of its entries, in their order.
    pub identities: Vec<(Identity, IdentityKey)>,
    /// Where in the batch a new entry is.
    places: HashMap<IdentityKey, usize, RandomState>,
    /// Further copies of what is held already.
    repeats: HashMap<IdentityKey, u32, RandomState>,
    /// Why it can't be told whether something is held already, where that is so: the group must be refused then.
    pub unsure: Option<String>,
}

impl Group {
    /// Adds entries, leaving out what is held already; `last` is the sequence given out last. About how many bytes of memory were added.
    pub fn add(&mut self, shared: &Shared, last: u64, entries: Vec<Entry>, checkpoint: Checkpoint) -> usize {
        let view = shared.look();
        let mut bytes = 0;
        if !checkpoint.partitions.is_empty() || checkpoint.cluster.is_some() {
            self.batch.checkpoints.push(checkpoint);
        }
        for entry in entries {
            let identity = entry.identity();
            let key = IdentityKey::of(&identity);
            if shared.forgotten.read().contains(&key) {
                continue;
            }
            if let Some(place) = self.places.get(&key) {
                self.batch.entries[*place].copies += 1;
                continue;
            }
            match is_held(shared, &view, key, &entry, &identity) {
                Ok(false) => {}
                Ok(true) => {
                    *self.repeats.entry(key).or_default() += 1;
                    continue;
                }
                Err(damage) => {
                    self.unsure = Some(format!("segment {} can't be read now: {}", damage.segment, damage.reason));
                    return bytes;
                }
            }
            bytes += weight(&entry);
            self.places.insert(key, self.batch.entries.len());
            let sequence = Sequence(last + 1 + self.batch.entries.len() as u64);
            self.batch.entries.push(Held { entry: Arc::new(entry), sequence, copies: 1 });
            self.identities.push((identity, key));
        }
        bytes
    }

    /// The whole group.
    pub fn finish(mut self) -> (Batch, Vec<(Identity, IdentityKey)>) {
        self.batch.repeats = self.repeats.into_iter().collect();
        (self.batch, self.identities)
    }
}

/// Whether an entry is held already, in memory or in a segment. What a damaged segment holds is lost; where one can't be read just now,
/// that is an error.
fn is_held(shared: &Shared, view: &View, key: IdentityKey, entry: &Entry, identity: &Identity) -> Result<bool, Damage> {
    if view.active.read().holds(key) || view.frozen.iter().any(|frozen| frozen.live.read().holds(key)) {
        return Ok(true);
    }
    // A re-send keeps its own time, so only segments of that time are asked; but where the broker tells none, ours stands in, and changes.
    let has_own_time = entry.as_record().is_none_or(|record| record.timestamp.or(record.event.occurred_at).is_some());
    let nanos = has_own_time.then(|| entry.time().as_nanos());
    for segment in view.segments.iter().rev() {
        match shared.ask(segment, || segment.holds(&shared.caches, key, nanos, identity)) {
            Ok(true) => return Ok(true),
            Err(damage) if damage.is_passing => return Err(damage),
            Ok(false) | Err(_) => {}
        }
    }
    Ok(false)
}
