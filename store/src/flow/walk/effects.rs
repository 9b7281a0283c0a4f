//! Forward: from what we have to whoever refers to it.

use std::collections::HashSet;

use super::{ENTRIES_MAX, KNOTS_PER_QUESTION, SHARED_MAX, WEAK_ID_BYTES, Walk};
use crate::engine::{Held, Sequence, StoreError};
use crate::entry::Entry;
use crate::flow::{JoinedBy, owner};
use crate::knot::{Knot, Tie};
use crate::position::Place;
use crate::record::Record;

impl Walk<'_> {
    /// Forward: whoever refers to what we have.
    pub(super) async fn follow_effects(&mut self, entries: &[(Sequence, Held)]) -> Result<(), StoreError> {
        let mut knots = Vec::new();
        for (_, held) in entries {
            for (tie, knot) in held.entry.knots() {
                match (tie, &knot) {
                    (Tie::Is, Knot::Event(id)) => {
                        knots.push((Tie::Is, knot.clone()));
                        knots.push((Tie::Refers, Knot::Cause(id.clone())));
                        knots.push((Tie::Refers, knot));
                    }
                    (Tie::Is, Knot::Span(..) | Knot::Position(..)) => knots.push((Tie::Refers, knot)),
                    // A record's creation context: consumers link to it, whether that span was sent to us or not.
                    (Tie::Refers, Knot::Span(..)) if matches!(&*held.entry, Entry::Record(_)) => {
                        knots.push((tie, knot));
                    }
                    _ => {}
                }
            }
        }
        // What was asked forward before is not asked again.
        knots.retain(|tied| self.asked.insert(tied.clone()));
        for chunk in knots.chunks(KNOTS_PER_QUESTION) {
            // Together, as long as so few have any of them that no id is shared by too many.
            let found = self.ask(chunk.to_vec(), SHARED_MAX + 1).await?;
            if found.len() <= SHARED_MAX {
                self.take_effects(found, chunk).await?;
            } else {
                self.follow_many_effects(chunk).await?;
            }
        }
        Ok(())
    }

    /// Asks for each id by itself: one that too many share identifies nothing.
    async fn follow_many_effects(&mut self, knots: &[(Tie, Knot)]) -> Result<(), StoreError> {
        let is_id = |tied: &(Tie, Knot)| matches!(tied.1, Knot::Event(_) | Knot::Cause(_));
        let (ids, others): (Vec<_>, Vec<_>) = knots.iter().cloned().partition(is_id);
        if !others.is_empty() {
            let found = self.ask(others.clone(), ENTRIES_MAX).await?;
            self.take_effects(found, &others).await?;
        }
        for knot in ids {
            let found = self.ask(vec![knot.clone()], SHARED_MAX + 1).await?;
            if found.len() <= SHARED_MAX {
                self.take_effects(found, &[knot]).await?;
            }
        }
        Ok(())
    }

    async fn take_effects(&mut self, found: Vec<Held>, asked: &[(Tie, Knot)]) -> Result<(), StoreError> {
        let asked: HashSet<&(Tie, Knot)> = asked.iter().collect();
        for held in found {
            if self.joined.contains_key(&held.sequence) {
                continue;
            }
            let Some(knot) = self.true_tie(&held.entry, &asked).await? else {
                continue;
            };
            let entry = held.entry.clone();
            // A span is let in by its trace, which knows about batches; records and logs that name us are ours.
            if matches!(&*entry, Entry::Span(_)) {
                self.ties.insert(held.sequence, knot);
            } else {
                self.join(held, JoinedBy::Knot(knot));
            }
            self.reach(&entry, false).await?;
        }
        Ok(())
    }

    /// The knot by which the entry really is tied to the flow: a position must mean our record, a weak id our type of event.
    async fn true_tie(&mut self, entry: &Entry, asked: &HashSet<&(Tie, Knot)>) -> Result<Option<Knot>, StoreError> {
        for tied in entry.knots() {
            if !asked.contains(&tied) {
                continue;
            }
            let (tie, knot) = &tied;
            let holds = match knot {
                Knot::Position(channel, place) => self.means_ours(entry, channel.as_str(), place).await?,
                Knot::Event(id) if *tie == Tie::Is || id.len() < WEAK_ID_BYTES => self.is_same_event(entry, id),
                Knot::Cause(id) => id.len() >= WEAK_ID_BYTES,
                // Children, records and logs of a span are let in by their trace, which knows about batches.
                Knot::Span(trace_id, span_id) => entry.as_span().is_some_and(|span| {
                    span.links.iter().any(|link| link.trace_id == *trace_id && link.span_id == *span_id)
                }),
                Knot::Event(_) | Knot::Trace(_) => true,
            };
            if holds {
                return Ok(Some(tied.1));
            }
        }
        Ok(None)
    }

    /// Whether an entry that names a position means a record of ours, and not one of another source or incarnation.
    async fn means_ours(&mut self, entry: &Entry, channel: &str, place: &Place) -> Result<bool, StoreError> {
        let knot = Knot::Position(channel.into(), place.clone());
        let held = self.store.related(&[(Tie::Is, knot)], SHARED_MAX).await?.entries;
        let candidates: Vec<&Record> = held.iter().filter_map(|held| held.entry.as_record()).collect();
        let meant = match entry {
            Entry::Span(span) => owner::of_span(span, &candidates),
            Entry::Record(copy) => owner::of_copy(copy, &channel.into(), place, &candidates),
            Entry::Log(_) => None,
        };
        let sequence = meant.and_then(|meant| {
            held.iter().find(|held| held.entry.as_record().is_some_and(|record| std::ptr::eq(record, meant)))
        });
        Ok(sequence.is_some_and(|held| self.joined.contains_key(&held.sequence)))
    }

    /// Whether an entry with this event id speaks of the same event as a record of ours.
    fn is_same_event(&self, entry: &Entry, id: &str) -> bool {
        let Entry::Record(other) = entry else {
            return id.len() >= WEAK_ID_BYTES;
        };
        self.joined.values().filter_map(|joined| joined.held.entry.as_record()).any(|ours| {
            ours.event.id.as_deref() == Some(id)
                && (ours.event.event_type == other.event.event_type
                    || other.failure.is_some()
                    || ours.failure.is_some())
                && (id.len() >= WEAK_ID_BYTES || ours.event.event_type.is_some())
        })
    }
}
