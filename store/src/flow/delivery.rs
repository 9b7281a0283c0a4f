//! Each event and each consumer: how the delivery stands, told from spans and from retry and dead-letter copies.
//!
//! Without a span or a copy nothing is said here: spans are sampled, and "no span" is not "not processed".

use std::collections::{BTreeMap, HashMap};

use super::{Delivery, DeliveryState, Flow, Joined, owner};
use crate::engine::Sequence;
use crate::id::{SpanId, TraceId};
use crate::record::{Fate, Record};
use crate::span::Span;
use crate::time::Timestamp;

/// The deliveries of a flow: by the event's time, then by consumer.
pub(super) fn deliveries(flow: &Flow) -> Vec<Delivery> {
    let origins = Origins::of(flow);
    let groups = groups_by_service(flow);
    let mut drafts: BTreeMap<(Timestamp, Sequence, String), Draft> = BTreeMap::new();
    for span in flow.each_span().filter(|span| span.processes()) {
        let Some(record) = record_of(flow, span) else {
            continue;
        };
        let Some(first) = origins.first(record) else {
            continue;
        };
        let (consumer, is_group) = consumer_of(span, &groups);
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
        let told = failure.group.clone();
        let is_group = told.is_some();
        let Some(consumer) = told.or_else(|| failing_consumer(flow, record, &drafts, first, &groups)) else {
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
    drafts.into_values().map(Draft::finish).collect()
}

/// For each record the one that it goes back to, by their sequences.
pub(super) fn firsts(flow: &Flow) -> HashMap<Sequence, Sequence> {
    Origins::of(flow).first.into_iter().map(|(sequence, first)| (sequence, first.held.sequence)).collect()
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

fn consumer_of(span: &Span, groups: &HashMap<String, String>) -> (String, bool) {
    let told = span.messaging.as_ref().and_then(|messaging| messaging.group.clone());
    match told.or_else(|| groups.get(span.service()).cloned()) {
        Some(group) => (group, true),
        None => (span.service().to_owned(), false),
    }
}

/// The group of each service that names exactly one: its spans that name none belong to it too.
fn groups_by_service(flow: &Flow) -> HashMap<String, String> {
    let mut groups: HashMap<String, Option<String>> = HashMap::new();
    for span in flow.each_span() {
        if let Some(group) = span.messaging.as_ref().and_then(|messaging| messaging.group.clone()) {
            groups
                .entry(span.service().to_owned())
                .and_modify(|known| {
                    if known.as_ref() != Some(&group) {
                        *known = None;
                    }
                })
                .or_insert(Some(group));
        }
    }
    groups.into_iter().filter_map(|(service, group)| Some((service, group?))).collect()
}

/// Who failed, where the copy doesn't tell: the service that published the copy, else the only consumer whose attempt failed.
fn failing_consumer(
    flow: &Flow,
    copy: &Record,
    drafts: &BTreeMap<(Timestamp, Sequence, String), Draft>,
    first: &Joined,
    groups: &HashMap<String, String>,
) -> Option<String> {
    let publisher = copy.event.trace.as_ref().and_then(|trace| {
        flow.each_span().find(|span| span.trace_id == trace.trace_id && Some(span.span_id) == trace.span_id)
    });
    let consumers: Vec<&Draft> = drafts
        .iter()
        .filter(|((_, sequence, _), _)| *sequence == first.held.sequence)
        .map(|(_, draft)| draft)
        .collect();
    if let Some(span) = publisher {
        let (consumer, _) = consumer_of(span, groups);
        if consumers.iter().any(|draft| draft.consumer == consumer) {
            return Some(consumer);
        }
    }
    let mut failed = consumers.iter().filter(|draft| draft.attempts.iter().any(|attempt| attempt.error.is_some()));
    match (failed.next(), failed.next()) {
        (Some(only), None) => Some(only.consumer.clone()),
        _ => publisher.map(|span| consumer_of(span, groups).0),
    }
}

/// Which record of the flow each copy was made from, at the beginning of its chain.
struct Origins<'a> {
    first: HashMap<Sequence, &'a Joined>,
    by_position: HashMap<&'a crate::position::Position, Sequence>,
}

/// The longest chain of copies that is followed back; a hostile header can make a cycle.
const CHAIN_MAX: usize = 64;

impl<'a> Origins<'a> {
    fn of(flow: &'a Flow) -> Origins<'a> {
        let records: Vec<(&Joined, &Record)> =
            flow.records.iter().filter_map(|joined| Some((joined, joined.held.entry.as_record()?))).collect();
        let plain: Vec<&Record> = records.iter().map(|(_, record)| *record).collect();
        let parent = |record: &Record| -> Option<&'a Joined> {
            let failure = record.failure.as_ref()?;
            let told = failure.origin.as_ref().and_then(|origin| {
                let place = crate::position::Place::Offset { partition: origin.partition?, offset: origin.offset? };
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

    fn first(&self, record: &Record) -> Option<&'a Joined> {
        self.first.get(self.by_position.get(&record.position)?).copied()
    }

    fn first_joined(&self, joined: &Joined) -> Option<&'a Joined> {
        self.first.get(&joined.held.sequence).copied()
    }
}

/// One process span.
struct Attempt {
    started_at: Timestamp,
    ended_at: Timestamp,
    error: Option<String>,
}

impl Attempt {
    fn of(span: &Span) -> Attempt {
        let error = span.failed().then(|| {
            let crate::span::SpanStatus::Error(says) = &span.status else {
                return String::new();
            };
            if says.is_empty() { "failed".to_owned() } else { says.clone() }
        });
        Attempt { started_at: span.started_at, ended_at: span.ended_at.max(span.started_at), error }
    }
}

/// One retry copy or dead letter.
struct Copied {
    at: Timestamp,
    fate: Fate,
    attempts: Option<u32>,
    error: Option<String>,
}

struct Draft {
    position: crate::position::Position,
    event_id: Option<String>,
    event_type: Option<String>,
    consumer: String,
    is_group: bool,
    service: Option<String>,
    attempts: Vec<Attempt>,
    copies: Vec<Copied>,
}

impl Draft {
    fn new(first: &Joined, consumer: String, is_group: bool) -> Draft {
        let record = first.held.entry.as_record().expect("only records are first of a chain");
        Draft {
            position: record.position.clone(),
            event_id: record.event.id.clone(),
            event_type: record.event.event_type.clone(),
            consumer,
            is_group,
            service: None,
            attempts: Vec::new(),
            copies: Vec::new(),
        }
    }

    fn finish(mut self) -> Delivery {
        self.attempts.sort_by_key(|attempt| (attempt.started_at, attempt.ended_at));
        self.copies.sort_by_key(|copied| copied.at);
        let last_copy = self.copies.last();
        let last_attempt = self.attempts.last();
        let error = last_copy
            .and_then(|copied| copied.error.clone())
            .or_else(|| self.attempts.iter().rev().find_map(|attempt| attempt.error.clone()));
        let tried_since = match (last_attempt, last_copy) {
            (Some(attempt), Some(copied)) => attempt.started_at > copied.at,
            (Some(_), None) => true,
            (None, _) => false,
        };
        let succeeded = last_attempt.is_some_and(|attempt| attempt.error.is_none());
        let state = match last_copy.map(|copied| copied.fate) {
            _ if tried_since && succeeded => DeliveryState::Processed,
            Some(Fate::DeadLetter) => DeliveryState::DeadLettered,
            Some(Fate::Retry) if !tried_since => DeliveryState::Retrying,
            _ => DeliveryState::Failed,
        };
        let told = self.copies.iter().filter_map(|copied| copied.attempts).max().unwrap_or(0);
        let retry_copies = self.copies.iter().filter(|copied| copied.fate == Fate::Retry).count();
        let seen = u32::try_from(self.attempts.len().max(retry_copies)).unwrap_or(u32::MAX);
        // What a copy tells may count the attempt that is still to come; what spans show was really done.
        let attempts = if self.attempts.is_empty() { told.max(seen).max(1) } else { seen.max(1) };
        let ended_at =
            self.attempts.iter().map(|attempt| attempt.ended_at).chain(last_copy.map(|copied| copied.at)).max();
        Delivery {
            position: self.position,
            event_id: self.event_id,
            event_type: self.event_type,
            consumer: self.consumer,
            is_group: self.is_group,
            service: self.service,
            state,
            attempts,
            started_at: self.attempts.first().map(|attempt| attempt.started_at),
            ended_at,
            error: (state != DeliveryState::Processed).then_some(error).flatten(),
        }
    }
}
