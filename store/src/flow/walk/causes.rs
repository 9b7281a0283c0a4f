//! Backward: from what was asked for to what caused it.

use super::{CAUSE_TRACES_MAX, CAUSES_FOLLOWED_MAX, ENTRIES_MAX, KNOTS_PER_QUESTION, SHARED_MAX, WEAK_ID_BYTES, Walk};
use crate::engine::{Held, StoreError};
use crate::entry::Entry;
use crate::flow::{JoinedBy, Neighbours, owner};
use crate::id::{SpanId, TraceId};
use crate::knot::{Knot, Tie};
use crate::position::Place;
use crate::record::{CauseKind, Record};
use crate::span::Span;

impl Walk<'_> {
    /// Backward: what caused an entry that was asked for, or that caused such a one.
    pub(super) async fn follow_causes(&mut self, held: &Held) -> Result<(), StoreError> {
        match &*held.entry {
            Entry::Span(span) => {
                let targets: Vec<(TraceId, SpanId)> =
                    span.links.iter().map(|link| (link.trace_id, link.span_id)).collect();
                if targets.len() > 1
                    && (self.follow_batch(held, &targets).await? || targets.len() > CAUSES_FOLLOWED_MAX)
                {
                    return Ok(());
                }
                for (trace_id, span_id) in targets {
                    if !self.traces.contains_key(&trace_id) && self.cause_traces >= CAUSE_TRACES_MAX {
                        self.cut =
                            Some(format!("it has more causes than {CAUSE_TRACES_MAX}; the rest is not followed"));
                        return Ok(());
                    }
                    self.cause_traces += 1;
                    self.load(trace_id, false).await?;
                    self.enter(trace_id, Some(span_id), true);
                    let made = self.ask(vec![(Tie::Refers, Knot::Span(trace_id, span_id))], SHARED_MAX).await?;
                    for held in made {
                        let is_cause = held.entry.as_record().is_some_and(|record| is_about(span, record));
                        if is_cause && !self.joined.contains_key(&held.sequence) {
                            self.causes.insert(held.sequence);
                            self.join(held, JoinedBy::Knot(Knot::Span(trace_id, span_id)));
                        }
                    }
                }
                if let Some(messaging) = &span.messaging
                    && let (Some(destination), Some(place)) = (&messaging.destination, &messaging.place)
                    && span.processes()
                {
                    let knot = Knot::Position(destination.as_str().into(), place.clone());
                    let found = self.ask(vec![(Tie::Is, knot.clone())], SHARED_MAX).await?;
                    let candidates: Vec<&Record> = found.iter().filter_map(|held| held.entry.as_record()).collect();
                    let meant = owner::of_span(span, &candidates).map(|record| record.position.clone());
                    self.join_cause(found, |record| Some(&record.position) == meant.as_ref(), &knot).await?;
                }
            }
            Entry::Record(record) => {
                for cause in record.event.causes.iter().filter(|cause| cause.kind == CauseKind::Causation) {
                    let knot = Knot::Event(cause.id.clone());
                    let found = self.ask(vec![(Tie::Is, knot.clone())], SHARED_MAX + 1).await?;
                    if found.len() <= SHARED_MAX && cause.id.len() >= WEAK_ID_BYTES {
                        self.join_cause(found, |_| true, &knot).await?;
                    }
                }
            }
            Entry::Log(_) => {}
        }
        Ok(())
    }

    /// Backward through a span with several causes: only those with a key or event id of ours. Says whether there was one.
    /// Where the question named the span's trace nothing is ours before anything else, and a large batch stays a batch.
    pub(super) async fn follow_batch(
        &mut self,
        batch: &Held,
        targets: &[(TraceId, SpanId)],
    ) -> Result<bool, StoreError> {
        let asked = batch.entry.trace_id().is_some_and(|id| self.traces.get(&id).is_some_and(|trace| trace.asked));
        if let (true, Entry::Span(span)) = (asked, &*batch.entry) {
            if targets.len() > CAUSES_FOLLOWED_MAX {
                let shared = format!("{}: {}", span.service(), span.name);
                self.neighbours.push(Neighbours { shared, others: targets.len() });
            }
            return Ok(false);
        }
        let knots: Vec<(Tie, Knot)> =
            targets.iter().map(|(trace_id, span_id)| (Tie::Refers, Knot::Span(*trace_id, *span_id))).collect();
        let mut claimed_any = false;
        for chunk in knots.chunks(KNOTS_PER_QUESTION) {
            for held in self.ask(chunk.to_vec(), ENTRIES_MAX).await? {
                let entry = held.entry.clone();
                let Some(record) = entry.as_record().filter(|record| self.ours.claims(record)) else {
                    continue;
                };
                claimed_any = true;
                if !self.joined.contains_key(&held.sequence) {
                    let by = JoinedBy::Key(record.key_text().unwrap_or_default().to_owned());
                    self.causes.insert(held.sequence);
                    self.join(held, by);
                    self.reach(&entry, true).await?;
                }
            }
        }
        Ok(claimed_any)
    }

    /// Backward: the record that a retry copy or dead letter was made from. It has no other cause.
    pub(super) async fn follow_origin(&mut self, copy: &Record) -> Result<(), StoreError> {
        let Some(origin) = copy.failure.as_ref().and_then(|failure| failure.origin.as_ref()) else {
            return Ok(());
        };
        let (Some(channel), Some(partition), Some(offset)) = (&origin.channel, origin.partition, origin.offset) else {
            return Ok(());
        };
        let (channel, place) = (channel.as_str().into(), Place::Offset { partition, offset });
        let knot = Knot::Position(channel, place);
        let found = self.ask(vec![(Tie::Is, knot.clone())], SHARED_MAX).await?;
        let Knot::Position(channel, place) = &knot else {
            return Ok(());
        };
        let candidates: Vec<&Record> = found.iter().filter_map(|held| held.entry.as_record()).collect();
        let meant = owner::of_copy(copy, channel, place, &candidates).map(|record| record.position.clone());
        self.join_cause(found, |record| Some(&record.position) == meant.as_ref(), &knot).await
    }

    /// Sideways: what shares a correlation or saga id, unless half the world does.
    pub(super) async fn follow_shared_causes(&mut self, record: &Record) -> Result<(), StoreError> {
        for cause in &record.event.causes {
            if cause.kind == CauseKind::Causation || cause.id.len() < WEAK_ID_BYTES {
                continue;
            }
            let knot = Knot::Cause(cause.id.clone());
            let found = self.ask(vec![(Tie::Refers, knot.clone())], SHARED_MAX + 1).await?;
            if found.len() <= SHARED_MAX {
                self.join_cause(found, |_| true, &knot).await?;
            }
        }
        Ok(())
    }

    async fn join_cause(
        &mut self,
        found: Vec<Held>,
        holds: impl Fn(&Record) -> bool,
        knot: &Knot,
    ) -> Result<(), StoreError> {
        for held in found {
            if !self.joined.contains_key(&held.sequence) && held.entry.as_record().is_some_and(&holds) {
                let entry = held.entry.clone();
                self.causes.insert(held.sequence);
                self.join(held, JoinedBy::Knot(knot.clone()));
                self.reach(&entry, true).await?;
            }
        }
        Ok(())
    }
}

/// Whether a record that was made in the context a span links to is the message the span is about.
fn is_about(span: &Span, record: &Record) -> bool {
    let Some(messaging) = &span.messaging else {
        return true;
    };
    let key_fits = match (&messaging.key, record.key_text()) {
        (Some(named), Some(key)) => named == key,
        _ => true,
    };
    let place_fits = messaging.place.as_ref().is_none_or(|place| *place == record.position.place);
    messaging.destination.as_deref().is_none_or(|name| name == record.position.channel.as_str())
        && key_fits
        && place_fits
}
