//! Each event and each consumer: how the delivery stands, told from spans, from retry and dead-letter copies, and from what
//! consumer groups have committed.
//!
//! A span or a copy proves more than a commit. Where there is neither, the commit alone speaks, and committed is not processed:
//! spans are sampled, and "no span" is not "not processed".

mod commit; // what a group's commits tell of a record
mod consumer; // who a span's service consumes as
mod draft; // a delivery while it is put together

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::origin::Origins;
use super::{Delivery, Flow, Joined, owner};
use crate::board::Board;
use crate::engine::Sequence;
use crate::groups::Readers;
use crate::id::{SpanId, TraceId};
use crate::position::{Place, SourceName};
use crate::record::Record;
use crate::span::Span;
use crate::time::Timestamp;
use consumer::Consumers;
use draft::{Attempt, Copied, Draft};

/// The deliveries so far: by the event's time, its sequence and the consumer.
type Drafts = BTreeMap<(Timestamp, Sequence, String), Draft>;

/// How many pairs of a record and a group that reads it are told in one flow: more than anybody reads, and what keeps a flow of a
/// thousand records on topics with hundreds of groups from holding up everybody else's.
const READINGS_MAX: usize = 2_000;

/// The deliveries of a flow, by the event's time, then by consumer; and what is left out of them, in words.
pub(super) fn deliveries(flow: &Flow, board: &Board) -> (Vec<Delivery>, Option<String>) {
    let origins = Origins::of(flow);
    let consumers = Consumers::of(flow, board);
    let mut drafts: Drafts = BTreeMap::new();
    for span in flow.each_span().filter(|span| span.processes()) {
        let Some(first) = record_of(flow, span).and_then(|record| origins.first(record)) else {
            continue;
        };
        let (consumer, is_group) = consumers.of_span(span, first);
        let draft = drafts.entry(key(first, &consumer)).or_insert_with(|| Draft::new(first, consumer, is_group));
        draft.attempts.push(Attempt::of(span));
        draft.service.get_or_insert_with(|| span.service().to_owned());
    }
    for joined in &flow.records {
        let Some(record) = joined.held.entry.as_record() else {
            continue;
        };
        let (Some(failure), Some(first)) = (&record.failure, origins.first_joined(joined)) else {
            continue;
        };
        let told = failure.group.clone().map(|group| (group, true));
        let Some((consumer, is_group)) = told.or_else(|| failing_consumer(flow, record, &drafts, first, &consumers))
        else {
            continue;
        };
        let draft = drafts.entry(key(first, &consumer)).or_insert_with(|| Draft::new(first, consumer, is_group));
        draft.copies.push(Copied {
            at: record.time(),
            fate: failure.fate,
            attempts: failure.attempts,
            error: error_of(record),
        });
    }
    let is_cut = add_commits(flow, board, &mut drafts);
    let cut =
        is_cut.then(|| format!("of what consumer groups committed, only the first {READINGS_MAX} deliveries are told"));
    (drafts.into_values().map(Draft::finish).collect(), cut)
}

/// Adds what each group that reads the topic of a record has committed. Copies are left out: they are attempts at the delivery of
/// the record that they were made from. Says whether anything was left out because there was too much.
fn add_commits(flow: &Flow, board: &Board, drafts: &mut Drafts) -> bool {
    let mut readings = 0;
    let mut readers: HashMap<&SourceName, Arc<Readers>> = HashMap::new();
    for joined in &flow.records {
        let Some(record) = joined.held.entry.as_record().filter(|record| record.failure.is_none()) else { continue };
        let Place::Offset { partition, offset } = record.position.place else { continue };
        let source = &record.position.source;
        let of_source = readers.entry(source).or_insert_with(|| board.readers(source));
        for reader in of_source.of(&record.position.channel, partition) {
            if readings == READINGS_MAX {
                return true;
            }
            readings += 1;
            let group = &reader.group.group;
            let draft = drafts.entry(key(joined, group)).or_insert_with(|| Draft::new(joined, group.clone(), true));
            draft.commit = Some(commit::of(record, (partition, offset), reader, board.lags()));
        }
    }
    false
}

/// What a failure says, in a line: the last part of the exception's type, and its message.
fn error_of(record: &Record) -> Option<String> {
    let failure = record.failure.as_ref()?;
    let exception = failure.exception.as_deref().map(|name| name.rsplit(['.', '/']).next().unwrap_or(name));
    match (exception, failure.message.as_deref()) {
        (Some(exception), Some(message)) => Some(format!("{exception}: {message}")),
        (Some(only), None) | (None, Some(only)) => Some(only.to_owned()),
        (None, None) => None,
    }
}

fn key(first: &Joined, consumer: &str) -> (Timestamp, Sequence, String) {
    (first.held.entry.time(), first.held.sequence, consumer.to_owned())
}

/// Which record of the flow a process span is about: by position, by the context it links to, by its parent.
pub(super) fn record_of<'a>(flow: &'a Flow, span: &Span) -> Option<&'a Record> {
    let messaging = span.messaging.as_ref()?;
    if messaging.place.is_some() && messaging.destination.is_some() {
        let records: Vec<&Record> = flow.each_record().collect();
        return owner::of_span(span, &records);
    }
    let contexts: Vec<(TraceId, SpanId)> = span
        .links
        .iter()
        .map(|link| (link.trace_id, link.span_id))
        .chain(span.parent_span_id.map(|parent| (span.trace_id, parent)))
        .collect();
    let mut fits: Vec<&Record> = flow
        .each_record()
        .filter(|record| {
            let published_in = record.event.trace.as_ref().and_then(|trace| Some((trace.trace_id, trace.span_id?)));
            let by_context = published_in.is_some_and(|context| contexts.contains(&context));
            let by_event = record.event.id.as_ref().is_some_and(|id| messaging.event_ids.contains(id));
            by_context || by_event
        })
        .filter(|record| messaging.destination.as_deref().is_none_or(|name| name == record.position.channel.as_str()))
        .filter(|record| match (&messaging.key, record.key_text()) {
            (Some(named), Some(key)) => named == key,
            _ => true,
        })
        .collect();
    // One context may have published several records; then the span doesn't say which one it is about.
    let only = fits.pop()?;
    fits.is_empty().then_some(only)
}

/// Who failed, where the copy doesn't tell: the service that published the copy, else the only consumer whose attempt failed.
fn failing_consumer(
    flow: &Flow,
    copy: &Record,
    drafts: &Drafts,
    first: &Joined,
    consumers: &Consumers<'_>,
) -> Option<(String, bool)> {
    let publisher = copy.event.trace.as_ref().and_then(|trace| {
        flow.each_span().find(|span| span.trace_id == trace.trace_id && Some(span.span_id) == trace.span_id)
    });
    let known: Vec<&Draft> = drafts
        .iter()
        .filter(|((_, sequence, _), _)| *sequence == first.held.sequence)
        .map(|(_, draft)| draft)
        .collect();
    let published = publisher.map(|span| consumers.of_span(span, first));
    if let Some((consumer, _)) = &published
        && let Some(draft) = known.iter().find(|draft| draft.consumer == *consumer)
    {
        return Some((consumer.clone(), draft.is_group));
    }
    let mut failed = known.iter().filter(|draft| draft.attempts.iter().any(|attempt| attempt.error.is_some()));
    match (failed.next(), failed.next()) {
        (Some(only), None) => Some((only.consumer.clone(), only.is_group)),
        _ => published,
    }
}

#[cfg(test)]
mod tests;
