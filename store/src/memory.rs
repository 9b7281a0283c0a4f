//! The specification of a store: everything in memory, every question answered by looking at every entry.
//!
//! Useful for tests and as the model that other engines are compared with. Not useful for data that must outlive the process, nor for much of it.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use async_trait::async_trait;
use parking_lot::RwLock;
use tokio::sync::watch;

use crate::checkpoint::Checkpoint;
use crate::engine::{
    Counts, Cursor, Facet, Forgotten, Found, Held, PAGE_MAX, PageRequest, Sequence, Stats, Store, StoreError,
};
use crate::entry::{Entry, Identity, Kind};
use crate::knot::{Knot, Tie};
use crate::position::SourceName;
use crate::query::Query;
use crate::tally::Tally;
use crate::time::Timestamp;

/// A store that keeps everything in memory, and forgets it all when it is dropped.
#[derive(Debug)]
pub struct Memory {
    kept: RwLock<Kept>,
    generation: watch::Sender<Sequence>,
}

#[derive(Debug, Default)]
struct Kept {
    /// In the order in which they were kept.
    entries: Vec<(Identity, Held)>,
    /// Where each is in `entries`.
    places: HashMap<Identity, usize>,
    /// What must not come back.
    forgotten: HashSet<Identity>,
    checkpoints: BTreeMap<SourceName, Checkpoint>,
    latest: Sequence,
}

impl Default for Memory {
    fn default() -> Memory {
        Memory::new()
    }
}

impl Memory {
    /// An empty store.
    pub fn new() -> Memory {
        Memory { kept: RwLock::default(), generation: watch::Sender::new(Sequence::default()) }
    }
}

#[async_trait]
impl Store for Memory {
    async fn append(&self, entries: Vec<Entry>, checkpoint: Checkpoint) -> Result<Sequence, StoreError> {
        let latest = {
            let mut kept = self.kept.write();
            for entry in entries {
                kept.keep(entry);
            }
            match kept.checkpoints.get_mut(&checkpoint.source) {
                Some(held) => held.advance(&checkpoint),
                None => {
                    kept.checkpoints.insert(checkpoint.source.clone(), checkpoint);
                }
            }
            kept.latest
        };
        self.generation.send_if_modified(|generation| {
            let grew = latest > *generation;
            *generation = latest.max(*generation);
            grew
        });
        Ok(latest)
    }

    async fn checkpoint(&self, source: &SourceName) -> Result<Checkpoint, StoreError> {
        let held = self.kept.read().checkpoints.get(source).cloned();
        Ok(held.unwrap_or_else(|| Checkpoint::none(source.clone())))
    }

    async fn related(&self, knots: &[(Tie, Knot)], limit: usize) -> Result<Found, StoreError> {
        let wanted: HashSet<&(Tie, Knot)> = knots.iter().collect();
        let mut tied = self.kept.read().select(|entry| entry.knots().iter().any(|knot| wanted.contains(knot)));
        tied.sort_by(|(a, _), (b, _)| a.cmp(b));
        let cut = (tied.len() > limit).then(|| format!("only the first {limit} of {} are shown", tied.len()));
        tied.truncate(limit);
        Ok(Found { entries: tied.into_iter().map(|(_, held)| held).collect(), next: None, cut })
    }

    async fn search(&self, query: &Query, page: PageRequest) -> Result<Found, StoreError> {
        let now = Timestamp::now();
        let mut matching = self.kept.read().select(|entry| query.matches(entry, now));
        matching.sort_by(|(a, _), (b, _)| b.cmp(a));
        if let Some(after) = &page.after {
            matching.retain(|(cursor, _)| cursor < after);
        }
        let limit = page.limit.min(PAGE_MAX);
        let more = matching.len() > limit;
        matching.truncate(limit);
        let next = if more { matching.last().map(|(cursor, _)| cursor.clone()) } else { None };
        Ok(Found { entries: matching.into_iter().map(|(_, held)| held).collect(), next, cut: None })
    }

    async fn since(&self, sequence: Sequence, query: &Query, limit: usize) -> Result<Found, StoreError> {
        let now = Timestamp::now();
        let kept = self.kept.read();
        let begin = kept.entries.partition_point(|(_, held)| held.sequence <= sequence);
        let later = kept.entries[begin..].iter().map(|(_, held)| held);
        let entries = later.filter(|held| query.matches(&held.entry, now)).take(limit).cloned().collect();
        Ok(Found { entries, next: None, cut: None })
    }

    async fn count(&self, query: &Query, by: Facet) -> Result<Counts, StoreError> {
        let now = Timestamp::now();
        let mut tally = Tally::new(&by);
        for (_, held) in self.kept.read().entries.iter().filter(|(_, held)| query.matches(&held.entry, now)) {
            let time = held.entry.time();
            match &by.field {
                None => tally.add("", time),
                Some(field) => {
                    let values: HashSet<_> = field.values(&held.entry).into_iter().collect();
                    values.iter().for_each(|value| tally.add(value, time));
                }
            }
        }
        Ok(tally.finish())
    }

    async fn forget(&self, query: &Query) -> Result<Forgotten, StoreError> {
        let now = Timestamp::now();
        let mut kept = self.kept.write();
        let (gone, stays): (Vec<_>, Vec<_>) =
            std::mem::take(&mut kept.entries).into_iter().partition(|(_, held)| query.matches(&held.entry, now));
        kept.places = stays.iter().enumerate().map(|(place, (identity, _))| (identity.clone(), place)).collect();
        kept.entries = stays;
        let entries = gone.len() as u64;
        kept.forgotten.extend(gone.into_iter().map(|(identity, _)| identity));
        let files = if entries == 0 { Vec::new() } else { vec![("memory".to_owned(), entries)] };
        Ok(Forgotten { entries, files, ..Forgotten::default() })
    }

    fn generation(&self) -> watch::Receiver<Sequence> {
        self.generation.subscribe()
    }

    async fn stats(&self) -> Result<Stats, StoreError> {
        let kept = self.kept.read();
        let many = |kind: Kind| kept.entries.iter().filter(|(_, held)| held.entry.kind() == kind).count() as u64;
        Ok(Stats {
            entries: kept.entries.len() as u64,
            records: many(Kind::Record),
            spans: many(Kind::Span),
            logs: many(Kind::Log),
            kept: [Kind::Record, Kind::Span, Kind::Log].map(many),
            oldest: kept.entries.iter().map(|(_, held)| held.entry.time()).min(),
            ..Stats::default()
        })
    }
}

impl Kept {
    /// Keeps one entry, or counts it as a further copy of the one that is held; what was forgotten stays forgotten.
    fn keep(&mut self, entry: Entry) {
        let identity = entry.identity();
        if self.forgotten.contains(&identity) {
            return;
        }
        if let Some(place) = self.places.get(&identity) {
            self.entries[*place].1.copies += 1;
            return;
        }
        self.latest.0 += 1;
        self.places.insert(identity.clone(), self.entries.len());
        self.entries.push((identity, Held { entry: Arc::new(entry), sequence: self.latest, copies: 1 }));
    }

    /// The entries that are wanted, each with its place in an answer that is sorted by time.
    fn select(&self, wanted: impl Fn(&Entry) -> bool) -> Vec<(Cursor, Held)> {
        let held = self.entries.iter().filter(|(_, held)| wanted(&held.entry));
        held.map(|(identity, held)| (Cursor { time: held.entry.time(), identity: identity.clone() }, held.clone()))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::position::{Incarnation, Place, Position};
    use crate::record::{BodyEncoding, Event, Record, TimestampKind};

    fn record(offset: i64, millis: i64) -> Entry {
        let place = Place::Offset { partition: 0, offset };
        Entry::Record(Record {
            position: Position { source: "main".into(), channel: "orders".into(), incarnation: Incarnation(0), place },
            cluster: None,
            timestamp: Some(Timestamp::from_millis(millis)),
            timestamp_kind: TimestampKind::Broker,
            received_at: Timestamp::from_millis(millis),
            key: None,
            body: None,
            encoding: BodyEncoding::Null,
            decoded: None,
            headers: Vec::new(),
            event: Event::default(),
            failure: None,
            transaction: None,
            problem: None,
        })
    }

    #[tokio::test]
    async fn the_same_record_sent_twice_is_kept_once_and_counted_twice() {
        let store = Memory::new();
        let sent = vec![record(1, 10), record(2, 5), record(1, 10)];
        assert_eq!(store.append(sent, Checkpoint::none("main".into())).await.unwrap(), Sequence(2));
        let all = store.search(&Query::All, PageRequest { limit: 10, after: None }).await.unwrap();
        assert_eq!(all.entries.iter().map(|held| (held.sequence.0, held.copies)).collect::<Vec<_>>(), [(1, 2), (2, 1)]);
        assert_eq!(*store.generation().borrow(), Sequence(2));
    }

    #[tokio::test]
    async fn pages_follow_one_another_without_gap_or_overlap() {
        let store = Memory::new();
        let sent = (0..10).map(|offset| record(offset, offset / 3)).collect();
        store.append(sent, Checkpoint::none("main".into())).await.unwrap();
        let (mut seen, mut after) = (Vec::new(), None);
        loop {
            let page = store.search(&Query::All, PageRequest { limit: 3, after }).await.unwrap();
            seen.extend(page.entries.iter().map(|held| held.sequence.0));
            match page.next {
                Some(next) => after = Some(next),
                None => break,
            }
        }
        assert_eq!(seen, [10, 9, 8, 7, 6, 5, 4, 3, 2, 1]);
    }
}
