//! On which record each partition waits, and since when: looked up in our own store by its position, else fetched from the broker, so
//! that nothing is interpolated and an idle topic has no lag.
//!
//! What a round costs the store: one look for each partition whose commit moved and that is behind, at most [`LOOKS_MAX`]. What the
//! store doesn't hold is fetched, so many a second (`fetching`); until then it is unknown, with the reason.

use std::collections::{HashMap, HashSet};

use store::groups::{TimeLag, WaitingOn};
use store::knot::Tie;
use store::position::Incarnation;
use store::{Channel, Checkpoint, Entry, Knot, Place, SourceName, Store, Timestamp};

use super::fetching::{At, Desk, Fetched, Wanted};

/// How many partitions are looked up in one round: some ten milliseconds of the store's time.
pub const LOOKS_MAX: usize = 1_000;

/// How many partitions are looked up in one question: their answers fit into one.
const LOOKS_AT_ONCE: usize = 200;

/// How long a fetch that failed isn't tried again, in nanoseconds: six rounds.
const FAILED_HOLDS_NANOS: i64 = 60_000_000_000;

const NOT_FETCHED: &str =
    "Sillage does not hold this record, and fetches it from the broker: 20 a second, for all groups";
const NOT_LOOKED: &str = "too many partitions moved at once: looked up in a later round";
const NOT_ANSWERED: &str = "the store did not answer";

/// A partition that is behind.
#[derive(Clone, Debug)]
pub struct Behind {
    pub topic: Channel,
    pub partition: i32,
    /// The first offset that it has yet to read and that the broker still has.
    pub from: i64,
    pub end: i64,
    /// Whether its source reads this topic, so that the store may hold it.
    pub is_read: bool,
}

/// What is remembered of a place: records don't change their times.
#[derive(Clone, Debug)]
enum Known {
    Record(WaitingOn),
    /// Nothing could be read up to this end.
    NothingUntil(i64),
    Failed(&'static str, Timestamp),
}

/// Remembers what was found, as long as somebody waits there.
#[derive(Default)]
pub struct Waiting {
    known: HashMap<At, Known>,
    pub desk: Desk,
}

impl Behind {
    fn at(&self) -> At {
        (self.topic.clone(), self.partition, self.from)
    }
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
        self.take_in(behind, now);
        let unknown: HashMap<At, &Behind> =
            behind.iter().map(|one| (one.at(), one)).filter(|(at, _)| !self.known.contains_key(at)).collect();
        let may_hold = |one: &Behind| one.is_read && one.from < reached(checkpoint, one);
        let mut to_look: Vec<&At> = unknown.iter().filter(|(_, one)| may_hold(one)).map(|(at, _)| at).collect();
        to_look.sort_unstable();
        let left: HashSet<&At> = to_look.split_off(to_look.len().min(LOOKS_MAX)).into_iter().collect();
        let mut is_answered = true;
        for some in to_look.chunks(LOOKS_AT_ONCE) {
            match held_at(store, checkpoint, some).await {
                Some(records) => self.known.extend(records.into_iter().map(|(at, on)| (at, Known::Record(on)))),
                None => is_answered = false,
            }
        }
        let is_missing = |at: &At| !self.known.contains_key(at) && !left.contains(at);
        let missing = unknown.iter().filter(|(at, _)| is_missing(at));
        let mut to_fetch: Vec<Wanted> = missing.map(|(at, one)| Wanted { at: at.clone(), end: one.end }).collect();
        to_fetch.sort_unstable();
        self.desk.want(to_fetch.into_iter());
        let since = |one: &Behind| match self.known.get(&one.at()) {
            Some(Known::Record(on)) => {
                TimeLag::Waits { ms: u64::try_from(now.nanos_since(on.at) / 1_000_000).unwrap_or(0), on: on.clone() }
            }
            Some(Known::NothingUntil(_)) => TimeLag::Nothing,
            Some(Known::Failed(why, _)) => TimeLag::Unknown(why),
            None if left.contains(&one.at()) => TimeLag::Unknown(NOT_LOOKED),
            None if !is_answered => TimeLag::Unknown(NOT_ANSWERED),
            None => TimeLag::Unknown(NOT_FETCHED),
        };
        behind.iter().map(since).collect()
    }

    /// Takes in what was fetched, and forgets what nobody waits on any more, or what has changed since.
    fn take_in(&mut self, behind: &[Behind], now: Timestamp) {
        let ends: HashMap<At, i64> = behind.iter().map(|one| (one.at(), one.end)).collect();
        for (wanted, fetched) in self.desk.take() {
            let known = match fetched {
                Fetched::Record(on) => Known::Record(on),
                Fetched::Nothing => Known::NothingUntil(wanted.end),
                Fetched::Failed(why) => Known::Failed(why, now),
            };
            self.known.insert(wanted.at, known);
        }
        self.known.retain(|at, known| match (ends.get(at), known) {
            (None, _) => false,
            (Some(_), Known::Record(_)) => true,
            (Some(end), Known::NothingUntil(until)) => end == until,
            (Some(_), Known::Failed(_, since)) => now.nanos_since(*since) < FAILED_HOLDS_NANOS,
        });
    }
}

fn reached(checkpoint: &Checkpoint, behind: &Behind) -> i64 {
    checkpoint.partitions.get(&(behind.topic.clone(), behind.partition)).map_or(0, |reached| reached.next)
}

/// The records at these places, as far as they are held; `None` where the store doesn't answer.
async fn held_at(store: &dyn Store, checkpoint: &Checkpoint, places: &[&At]) -> Option<Vec<(At, WaitingOn)>> {
    let knots: Vec<(Tie, Knot)> = places
        .iter()
        .map(|(topic, partition, offset)| {
            let place = Place::Offset { partition: *partition, offset: *offset };
            (Tie::Is, Knot::Position(topic.clone(), place))
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
            records.push(((position.channel.clone(), partition, offset), WaitingOn::new(record, offset, true)));
        }
    }
    Some(records)
}

/// Which life of a topic is read now.
pub fn life(checkpoint: &Checkpoint, topic: &Channel, partition: i32) -> Incarnation {
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

    /// What is said of a partition whose store holds these `(life, offset)`.
    async fn look(held: &[(u32, i64)], next: i64, waiting: &mut Waiting, behind: &Behind) -> TimeLag {
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
        waiting.look(&store, &checkpoint, std::slice::from_ref(behind), fixture::at(100.0)).await.remove(0)
    }

    fn behind(from: i64, end: i64) -> Behind {
        Behind { topic: "orders".into(), partition: 0, from, end, is_read: true }
    }

    fn waits_on(lag: &TimeLag) -> Option<(i64, u64, bool)> {
        match lag {
            TimeLag::Waits { ms, on } => Some((on.offset, *ms, on.is_held)),
            TimeLag::Nothing | TimeLag::Unknown(_) => None,
        }
    }

    #[tokio::test]
    async fn the_record_at_the_commit_tells_since_when_it_waits() {
        let mut waiting = Waiting::default();
        let lag = look(&[(1, 5), (1, 6), (1, 7)], 8, &mut waiting, &behind(6, 8)).await;
        assert_eq!(waits_on(&lag), Some((6, 94_000, true)));
        assert_eq!(look(&[], 8, &mut waiting, &behind(6, 8)).await, lag, "remembered");
        assert!(waiting.desk.wanted().is_empty());
    }

    #[tokio::test]
    async fn what_is_not_held_is_fetched_and_until_then_unknown_with_a_reason_and_never_zero() {
        let wanted = Wanted { at: ("orders".into(), 0, 6), end: 9 };
        for (held, next, is_read) in [(&[(1, 5)][..], 6, true), (&[(0, 6)], 9, true), (&[(1, 6)], 9, false)] {
            let mut waiting = Waiting::default();
            let behind = Behind { is_read, ..behind(6, 9) };
            let lag = look(held, next, &mut waiting, &behind).await;
            assert_eq!(lag, TimeLag::Unknown(NOT_FETCHED));
            assert_eq!(waiting.desk.wanted(), std::slice::from_ref(&wanted));
            let Entry::Record(record) = fixture::record("orders", 0, 8).at(8.0).entry() else { panic!("a record") };
            waiting.desk.put(wanted.clone(), Fetched::Record(WaitingOn::new(&record, 8, false)));
            let lag = look(held, next, &mut waiting, &behind).await;
            assert_eq!(waits_on(&lag), Some((8, 92_000, false)), "a hole is stepped over");
        }
    }

    #[tokio::test]
    async fn where_only_markers_are_left_nothing_waits_until_more_comes() {
        let (mut waiting, wanted) = (Waiting::default(), Wanted { at: ("orders".into(), 0, 6), end: 7 });
        assert_eq!(look(&[], 6, &mut waiting, &behind(6, 7)).await, TimeLag::Unknown(NOT_FETCHED));
        waiting.desk.put(wanted, Fetched::Nothing);
        assert_eq!(look(&[], 6, &mut waiting, &behind(6, 7)).await, TimeLag::Nothing);
        assert_eq!(look(&[], 6, &mut waiting, &behind(6, 9)).await, TimeLag::Unknown(NOT_FETCHED));
    }

    #[tokio::test]
    async fn a_fetch_that_failed_says_why_and_is_not_tried_at_once_again() {
        let (mut waiting, wanted) = (Waiting::default(), Wanted { at: ("orders".into(), 0, 6), end: 7 });
        look(&[], 6, &mut waiting, &behind(6, 7)).await;
        waiting.desk.put(wanted, Fetched::Failed("no"));
        assert_eq!(look(&[], 6, &mut waiting, &behind(6, 7)).await, TimeLag::Unknown("no"));
        assert!(waiting.desk.wanted().is_empty());
    }
}
