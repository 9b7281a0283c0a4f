//! Which record each retry copy and dead letter goes back to.

use std::collections::HashMap;

use super::{Flow, Joined, owner};
use crate::engine::Sequence;
use crate::position::{Place, Position};
use crate::record::Record;

/// Which record of the flow each copy was made from, at the beginning of its chain.
pub(super) struct Origins<'a> {
    first: HashMap<Sequence, &'a Joined>,
    by_position: HashMap<&'a Position, Sequence>,
}

/// The longest chain of copies that is followed back; a hostile header can make a cycle.
const CHAIN_MAX: usize = 64;

impl<'a> Origins<'a> {
    pub(super) fn of(flow: &'a Flow) -> Origins<'a> {
        let records: Vec<(&Joined, &Record)> =
            flow.records.iter().filter_map(|joined| Some((joined, joined.held.entry.as_record()?))).collect();
        let plain: Vec<&Record> = records.iter().map(|(_, record)| *record).collect();
        let parent = |record: &Record| -> Option<&'a Joined> {
            let failure = record.failure.as_ref()?;
            let told = failure.origin.as_ref().and_then(|origin| {
                let place = Place::Offset { partition: origin.partition?, offset: origin.offset? };
                owner::of_copy(record, &origin.channel.as_deref()?.into(), &place, &plain)
            });
            let by_event = || {
                let id = record.event.id.as_ref()?;
                plain.iter().copied().find(|other| other.failure.is_none() && other.event.id.as_ref() == Some(id))
            };
            let found = told.or_else(by_event)?;
            records.iter().find(|(_, other)| std::ptr::eq(*other, found)).map(|(joined, _)| *joined)
        };
        let mut first = HashMap::new();
        let mut by_position = HashMap::new();
        for (joined, record) in &records {
            let mut at = *joined;
            for _ in 0..CHAIN_MAX {
                match at.held.entry.as_record().and_then(parent) {
                    Some(next) if next.held.sequence != at.held.sequence => at = next,
                    _ => break,
                }
            }
            first.insert(joined.held.sequence, at);
            by_position.insert(&record.position, joined.held.sequence);
        }
        Origins { first, by_position }
    }

    /// The record that a record of the flow goes back to; itself where it is no copy.
    pub(super) fn first(&self, record: &Record) -> Option<&'a Joined> {
        self.first.get(self.by_position.get(&record.position)?).copied()
    }

    /// The same, of an entry.
    pub(super) fn first_joined(&self, joined: &Joined) -> Option<&'a Joined> {
        self.first.get(&joined.held.sequence).copied()
    }
}

/// For each record the one that it goes back to, by their sequences.
pub(super) fn firsts(flow: &Flow) -> HashMap<Sequence, Sequence> {
    Origins::of(flow).first.into_iter().map(|(sequence, first)| (sequence, first.held.sequence)).collect()
}
