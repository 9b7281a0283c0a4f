//! On which record each partition waits, and since when: looked up in our own store by its position, so that nothing is
//! interpolated and an idle topic has no lag.
//!
//! What a round costs the store: one look for each partition whose commit moved and that is behind, at most [`LOOKS_MAX`]; and for
//! at most [`HOLES_MAX`] of them, where no record is at the commit itself, one more at the places around it (transaction markers
//! and compaction leave holes). What is beyond is unknown until a later round. Records that aren't held aren't fetched from the broker.

use std::collections::HashMap;

use store::groups::{TimeLag, WaitingOn};
use store::knot::Tie;
use store::position::Incarnation;
use store::{Channel, Checkpoint, Entry, Knot, Place, SourceName, Store, Timestamp};

/// How many partitions are looked up in one round: some ten milliseconds of the store's time.
pub const LOOKS_MAX: usize = 1_000;

/// How many partitions are looked up in one question: their answers fit into one.
const LOOKS_AT_ONCE: usize = 200;

/// For how many partitions of a round the places around the commit are looked at.
pub const HOLES_MAX: usize = 50;

/// How far before a commit something must be held, for what comes after to be the next: holes are mostly one marker long.
const BEFORE: i64 = 4;

/// How far after a commit the next record is looked for.
const AFTER: i64 = 16;

const NOT_READ_YET: &str = "Sillage has not read this record yet";
const NOT_HELD: &str = "Sillage does not hold this record: it is from before it watched, or older than what it keeps";
const NOT_LOOKED: &str = "too many partitions moved at once: looked up in a later round";
const NOT_ANSWERED: &str = "the store did not answer";

/// A partition that is behind.
#[derive(Clone, Debug)]
pub struct Behind {
    pub topic: Channel,
    pub partition: i32,
    pub committed: i64,
    /// Nothing is left for us to read there, and its end rests: what lies between is markers.
    pub is_read_out: bool,
}

/// Remembers what was found: records don't change their times.
#[derive(Debug, Default)]
pub struct Waiting {
    found: HashMap<(Channel, i32, i64), WaitingOn>,
}

impl Waiting {
    /// Since when each of these waits, in their order.
    pub async fn look(
        &mut self,
        store: &dyn Store,
        checkpoint: &Checkpoint,
        behind: &[Behind],
        now: Timestamp,
    ) -> Vec<TimeLag> {
        let known = std::mem::take(&mut self.found);
        let mut to_find: Vec<&Behind> = Vec::new();
        for one in behind {
            let key = (one.topic.clone(), one.partition, one.committed);
            match known.get(&key) {
                Some(found) => drop(self.found.insert(key, found.clone())),
                None => to_find.push(one),
            }
        }
        to_find.dedup_by(|one, other| {
            (&one.topic, one.partition, one.committed) == (&other.topic, other.partition, other.committed)
        });
        let left = to_find.split_off(to_find.len().min(LOOKS_MAX));
        let mut is_answered = true;
        for some in to_find.chunks(LOOKS_AT_ONCE) {
            let wanted: Vec<_> = some.iter().map(|one| (&one.topic, one.partition, one.committed)).collect();
            match at(store, checkpoint, &wanted).await {
                Some(records) => self.found.extend(records),
                None => is_answered = false,
            }
        }
        let holes = to_find.iter().filter(|one| !one.is_read_out && !self.found.contains_key(&key(one)));
        let holes: Vec<&Behind> = holes.take(HOLES_MAX).copied().collect();
        for one in holes {
            if let Some(next) = after_a_hole(store, checkpoint, one).await {
                self.found.insert(key(one), next);
            }
        }
        let since = |one: &Behind| match self.found.get(&key(one)) {
            Some(on) => {
                TimeLag::Waits { ms: u64::try_from(now.nanos_since(on.at) / 1_000_000).unwrap_or(0), on: on.clone() }
            }
            None if one.is_read_out => TimeLag::Nothing,
            None if left.iter().any(|left| key(left) == key(one)) => TimeLag::Unknown(NOT_LOOKED),
            None if !is_answered => TimeLag::Unknown(NOT_ANSWERED),
            None if reached(checkpoint, one) <= one.committed => TimeLag::Unknown(NOT_READ_YET),
            None => TimeLag::Unknown(NOT_HELD),
        };
        behind.iter().map(since).collect()
    }
}

fn key(behind: &Behind) -> (Channel, i32, i64) {
    (behind.topic.clone(), behind.partition, behind.committed)
}

fn reached(checkpoint: &Checkpoint, behind: &Behind) -> i64 {
    checkpoint.partitions.get(&(behind.topic.clone(), behind.partition)).map_or(0, |reached| reached.next)
}

/// The first record after a commit at which there is none, where what is held reaches over the commit without a break.
async fn after_a_hole(store: &dyn Store, checkpoint: &Checkpoint, behind: &Behind) -> Option<WaitingOn> {
    let commit = behind.committed;
    let places = (commit - BEFORE).max(0)..=commit + AFTER;
    let wanted: Vec<_> = places.map(|offset| (&behind.topic, behind.partition, offset)).collect();
    let records = at(store, checkpoint, &wanted).await?;
    let is_held_before = records.iter().any(|((_, _, offset), _)| *offset < commit);
    let next = records.into_iter().filter(|((_, _, offset), _)| *offset >= commit).min_by_key(|((_, _, at), _)| *at);
    next.filter(|_| is_held_before).map(|(_, record)| record)
}

/// The records at these places, as far as they are held; `None` where the store doesn't answer.
async fn at(
    store: &dyn Store,
    checkpoint: &Checkpoint,
    places: &[(&Channel, i32, i64)],
) -> Option<Vec<((Channel, i32, i64), WaitingOn)>> {
    let knots: Vec<(Tie, Knot)> = places
        .iter()
        .map(|(topic, partition, offset)| {
            let place = Place::Offset { partition: *partition, offset: *offset };
            (Tie::Is, Knot::Position((*topic).clone(), place))
        })
        .collect();
    // Topics of other sources, and earlier lives, may hold records at the same places.
    let found = store.related(&knots, knots.len() * 4).await.ok()?;
    let mut records = Vec::new();
    for held in found.entries {
        let Entry::Record(record) = &*held.entry else { continue };
        let position = &record.position;
        let Place::Offset { partition, offset } = position.place else { continue };
        if position.source == checkpoint.source
            && position.incarnation == life(checkpoint, &position.channel, partition)
        {
            records.push(((position.channel.clone(), partition, offset), WaitingOn::new(record, offset)));
        }
    }
    Some(records)
}

fn life(checkpoint: &Checkpoint, topic: &Channel, partition: i32) -> Incarnation {
    checkpoint.partitions.get(&(topic.clone(), partition)).map(|reached| reached.incarnation).unwrap_or_default()
}

/// Where nothing was read of yet.
pub fn unread(source: &SourceName) -> Checkpoint {
    Checkpoint::none(source.clone())
}

#[cfg(test)]
mod tests {
    use store::checkpoint::Reached;
    use store::fixture;
    use store::memory::Memory;

    use super::*;

    async fn check(held: &[(u32, i64)], committed: i64, next: i64, is_read_out: bool) -> TimeLag {
        let store = Memory::new();
        let entries = held
            .iter()
            .map(|(life, offset)| {
                fixture::record("orders", 0, *offset).incarnation(*life).event("Placed").at(*offset as f64).entry()
            })
            .collect();
        let mut checkpoint = Checkpoint::none("main".into());
        let reached = Reached { incarnation: Incarnation(1), next, ..Reached::default() };
        checkpoint.partitions.insert(("orders".into(), 0), reached);
        store.append(entries, checkpoint.clone()).await.unwrap();
        let behind = [Behind { topic: "orders".into(), partition: 0, committed, is_read_out }];
        let mut waiting = Waiting::default();
        let now = fixture::at(100.0);
        let first = waiting.look(&store, &checkpoint, &behind, now).await.remove(0);
        let again = waiting.look(&store, &checkpoint, &behind, now).await.remove(0);
        assert_eq!(first, again, "remembered");
        first
    }

    fn waits_on(lag: &TimeLag) -> Option<(i64, u64)> {
        match lag {
            TimeLag::Waits { ms, on } => Some((on.offset, *ms)),
            TimeLag::Nothing | TimeLag::Unknown(_) => None,
        }
    }

    #[tokio::test]
    async fn the_record_at_the_commit_tells_since_when_it_waits() {
        let lag = check(&[(1, 5), (1, 6), (1, 7)], 6, 8, false).await;
        assert_eq!(waits_on(&lag), Some((6, 94_000)));
    }

    #[tokio::test]
    async fn a_marker_at_the_commit_is_stepped_over_only_where_the_reading_is_unbroken() {
        assert_eq!(waits_on(&check(&[(1, 5), (1, 8)], 6, 9, false).await), Some((8, 92_000)));
        assert_eq!(check(&[(1, 8)], 6, 9, false).await, TimeLag::Unknown(NOT_HELD));
    }

    #[tokio::test]
    async fn what_is_not_held_is_unknown_with_a_reason_and_never_zero() {
        assert_eq!(check(&[(1, 5)], 6, 6, false).await, TimeLag::Unknown(NOT_READ_YET));
        assert_eq!(check(&[(0, 6)], 6, 9, false).await, TimeLag::Unknown(NOT_HELD), "of an earlier life");
        assert_eq!(check(&[(1, 5)], 6, 6, true).await, TimeLag::Nothing, "only markers are left");
    }
}
