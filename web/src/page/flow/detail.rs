//! One entry of a flow in full: what it says, where it is, what joined it, everything that its sender sent.

use store::engine::Sequence;
use store::flow::{Flow, Joined};
use store::record::{CauseKind, Fate, TimestampKind};
use store::value::Attributes;
use store::{Entry, Log, Record, Span, Timestamp};

use super::delivery::DeliveryRow;
use super::headline::untyped;
use super::payload::{self, Payload};
use crate::drawing::scene::work;
use crate::href::{Href, Links};
use crate::wording;

/// The most headers, attributes, links or span events that are shown of one entry: hostile ones come by the thousand.
const LISTED_MAX: usize = 200;

/// The longest value that is shown in a list, in letters.
const VALUE_LETTERS_MAX: usize = 4_000;

/// A name and what it is.
pub type Pair = (String, String);

/// One entry in full.
#[derive(Default)]
pub struct Detail {
    pub title: String,
    /// What it is, beside the title: version and encoding, kind, severity.
    pub what: String,
    /// What is wrong with it; empty for nothing.
    pub problem: String,
    pub pairs: Vec<Pair>,
    pub deliveries: Vec<DeliveryRow>,
    pub payload: Option<Payload>,
    pub stack_trace: String,
    /// Where the whole body is, byte for byte.
    pub raw: Option<Href>,
    /// Named lists: headers, attributes, resource.
    pub lists: Vec<(&'static str, Vec<Pair>)>,
    /// Span events: when, what, with what.
    pub events: Vec<(String, String, Vec<Pair>)>,
    /// Links to other traces.
    pub links: Vec<(String, Href)>,
    /// What was left out of a list, in words.
    pub left_out: String,
}

impl Detail {
    /// The entry of that sequence.
    pub fn of(flow: &Flow, sequence: Sequence, links: &Links, now: Timestamp) -> Option<Detail> {
        let joined = flow.entries().find(|joined| joined.held.sequence == sequence)?;
        let mut detail = match &*joined.held.entry {
            Entry::Record(record) => of_record(flow, record, sequence, links, now),
            Entry::Span(span) => of_span(flow, span, links, now),
            Entry::Log(log) => of_log(log),
        };
        detail.pairs.push(("joined by".to_owned(), joined_by(joined)));
        if joined.held.copies > 1 {
            detail.pairs.push(("received".to_owned(), format!("{} times, kept once", joined.held.copies)));
        }
        if detail.is_redacted() {
            detail.pairs.push(("redacted".to_owned(), "some of it was taken out before it was kept".to_owned()));
        }
        Some(detail)
    }
}

impl Detail {
    /// Whether something was taken out of what is shown.
    fn is_redacted(&self) -> bool {
        let tokens = self.payload.iter().flat_map(|payload| &payload.tokens).map(|token| token.text.as_str());
        let lists = self.lists.iter().flat_map(|(_, list)| list);
        let events = self.events.iter().flat_map(|(_, _, list)| list);
        let pairs = self.pairs.iter().chain(lists).chain(events).map(|(_, value)| value.as_str());
        tokens.chain(pairs).chain([self.title.as_str(), &self.stack_trace]).any(store::redacted::is_in)
    }
}

fn joined_by(joined: &Joined) -> String {
    joined.by.to_string()
}

fn of_record(flow: &Flow, record: &Record, sequence: Sequence, links: &Links, now: Timestamp) -> Detail {
    let event = &record.event;
    let mut pairs = Pairs::default();
    pairs.add("eventId", event.id.as_deref());
    pairs.add("occurredAt", event.occurred_at.map(wording::instant).as_deref());
    pairs.add("producer", event.producer.as_deref());
    let key = record.readable_key().map(|key| match std::str::from_utf8(key) {
        Ok(text) => text.to_owned(),
        Err(_) => format!("0x{}", hex::encode(key)),
    });
    pairs.add("key", Some(key.as_deref().unwrap_or("null")));
    pairs.add("schema", record.body_schema().map(|schema| schema.to_string()).as_deref());
    pairs.add("key's schema", record.key_schema().map(|schema| schema.to_string()).as_deref());
    pairs.add("position", Some(&record.position.to_string()));
    pairs.add("source", Some(record.position.source.as_str()));
    if let Some(at) = record.timestamp {
        let clock = match record.timestamp_kind {
            TimestampKind::Producer => "the producer's clock",
            TimestampKind::Broker => "the broker's clock",
            TimestampKind::Unknown => "clock unknown",
        };
        pairs.add("timestamp", Some(&format!("{} ({clock})", wording::instant(at))));
    }
    if let Some(trace) = &event.trace {
        pairs.add("trace", Some(&format!("{} (from {})", trace.trace_id, trace.found_in)));
        pairs.add("in span", trace.span_id.map(|id| id.to_string()).as_deref());
    }
    for cause in &event.causes {
        let name = match cause.kind {
            CauseKind::Causation => "causationId",
            CauseKind::Correlation => "correlationId",
            CauseKind::Saga => "sagaId",
        };
        pairs.add(name, Some(&cause.id));
    }
    let mut stack_trace = String::new();
    if let Some(failure) = &record.failure {
        let fate = match failure.fate {
            Fate::Retry => "to be tried again",
            Fate::DeadLetter => "dead letter",
        };
        let guessed = if failure.guessed { ", guessed from the topic's name" } else { "" };
        pairs.add("fate", Some(&format!("{fate} (by {}{guessed})", failure.convention)));
        pairs.add("failed in group", failure.group.as_deref());
        pairs.add("exception", failure.exception.as_deref());
        pairs.add("message", failure.message.as_deref());
        let counted = failure.attempts_from.as_deref().unwrap_or("as told");
        pairs.add("attempts", failure.attempts.map(|many| format!("{many} ({counted})")).as_deref());
        pairs.add("not before", failure.not_before.map(wording::instant).as_deref());
        if let Some(origin) = &failure.origin {
            let place =
                origin.partition.zip(origin.offset).map(|(partition, offset)| format!(" p{partition}@{offset}"));
            let channel = origin.channel.as_deref().unwrap_or("?");
            pairs.add("made from", Some(&format!("{channel}{}", place.unwrap_or_default())));
        }
        stack_trace = shown(failure.stack_trace.as_deref().unwrap_or_default());
    }
    let (headers, left_out) = listed(record.headers.iter().map(|header| {
        let value = header.value.as_ref().map_or_else(
            || "null".to_owned(),
            |value| match std::str::from_utf8(value) {
                Ok(text) => text.to_owned(),
                Err(_) => format!("0x{}", hex::encode(value)),
            },
        );
        (header.name.clone(), value)
    }));
    let version = event.version.as_deref().map(|version| format!("v{} · ", version.trim_start_matches('v')));
    let payload = payload::of_record(record);
    let first = flow.firsts().get(&sequence).copied().unwrap_or(sequence);
    let first_position = flow.records.iter().find(|joined| joined.held.sequence == first);
    let first_position = first_position.and_then(|joined| Some(&joined.held.entry.as_record()?.position));
    Detail {
        title: event.event_type.clone().unwrap_or_else(|| untyped(record)),
        what: format!("{}{}", version.unwrap_or_default(), payload.what),
        problem: record.problem.as_deref().unwrap_or_default().to_owned(),
        pairs: pairs.found,
        deliveries: flow
            .deliveries
            .iter()
            .filter(|delivery| Some(&delivery.position) == first_position)
            .take(LISTED_MAX)
            .map(|delivery| DeliveryRow::of(flow, delivery, links, now))
            .collect(),
        payload: Some(payload),
        stack_trace,
        raw: record.body.is_some().then(|| links.api_raw(&record.position)),
        lists: vec![("Headers", headers)],
        left_out,
        ..Detail::default()
    }
}

fn of_span(flow: &Flow, span: &Span, links: &Links, now: Timestamp) -> Detail {
    let mut pairs = Pairs::default();
    pairs.add("service", Some(span.service()));
    pairs.add("started", Some(&wording::instant(span.started_at)));
    pairs.add("took", Some(&wording::duration(span.duration_nanos())));
    pairs.add("spanId", Some(&span.span_id.to_string()));
    pairs.add("parent", Some(&span.parent_span_id.map_or_else(|| "none: a root".to_owned(), |id| id.to_string())));
    pairs.add("trace", Some(&span.trace_id.to_string()));
    pairs.add("trace state", Some(&span.trace_state).filter(|state| !state.is_empty()).map(String::as_str));
    if let Some(messaging) = &span.messaging {
        pairs.add("system", Some(&messaging.system).filter(|system| !system.is_empty()).map(String::as_str));
        pairs.add("destination", messaging.destination.as_deref());
        pairs.add("place", messaging.place.as_ref().map(|place| place.to_string()).as_deref());
        pairs.add("group", messaging.group.as_deref());
        pairs.add("batch of", messaging.batch.map(|many| wording::many(u64::from(many), "message")).as_deref());
    }
    let scope = format!("{} {}", span.scope.name, span.scope.version);
    pairs.add("library", Some(scope.trim()).filter(|scope| !scope.is_empty()));
    pairs.add(
        "dropped attributes",
        Some(span.dropped_attributes).filter(|many| *many > 0).map(|many| many.to_string()).as_deref(),
    );
    let (attributes, left_out) = listed(attribute_pairs(&span.attributes));
    let (resource, _) = listed(attribute_pairs(&span.resource.attributes));
    let record = span.processes().then(|| flow.record_of(span)).flatten();
    let deliveries = flow
        .deliveries
        .iter()
        .filter(|delivery| record.is_some_and(|record| record.position == delivery.position))
        .filter(|delivery| delivery.service.as_deref() == Some(span.service()))
        .map(|delivery| DeliveryRow::of(flow, delivery, links, now))
        .collect();
    Detail {
        title: wording::cut(&span.name, 200),
        what: span.kind.as_str().to_owned(),
        problem: work::error(span)
            .map(|error| match &span.status {
                store::span::SpanStatus::Error(says) if !says.is_empty() && *says != error => {
                    format!("{error}: {says}")
                }
                _ => error,
            })
            .unwrap_or_default(),
        pairs: pairs.found,
        deliveries,
        lists: vec![("Attributes", attributes), ("Resource", resource)],
        events: span
            .events
            .iter()
            .take(LISTED_MAX)
            .map(|event| {
                let at = wording::offset(event.at.nanos_since(span.started_at));
                (at, event.name.clone(), listed(attribute_pairs(&event.attributes)).0)
            })
            .collect(),
        links: span
            .links
            .iter()
            .take(LISTED_MAX)
            .map(|link| (format!("trace {} span {}", link.trace_id, link.span_id), links.flow(link.trace_id)))
            .collect(),
        left_out,
        ..Detail::default()
    }
}

fn of_log(log: &Log) -> Detail {
    let mut pairs = Pairs::default();
    pairs.add("service", Some(log.service()));
    pairs.add("timestamp", Some(&wording::instant(log.timestamp)));
    pairs.add("trace", log.trace_id.map(|id| id.to_string()).as_deref());
    pairs.add("spanId", log.span_id.map(|id| id.to_string()).as_deref());
    pairs.add("event.id", log.event_id.as_deref());
    pairs.add("event name", Some(log.event_name.as_str()).filter(|name| !name.is_empty()));
    let (attributes, left_out) = listed(attribute_pairs(&log.attributes));
    let (resource, _) = listed(attribute_pairs(&log.resource.attributes));
    let body = bytes::Bytes::from(log.body.to_string());
    Detail {
        title: format!("{} {}", log.service(), log.severity_name()),
        what: "log".to_owned(),
        pairs: pairs.found,
        payload: Some(payload::payload(Some(&body), store::record::BodyEncoding::Text)),
        lists: vec![("Attributes", attributes), ("Resource", resource)],
        left_out,
        ..Detail::default()
    }
}

fn attribute_pairs(attributes: &Attributes) -> impl Iterator<Item = Pair> + '_ {
    attributes.iter().map(|(name, value)| (name.to_string(), value.to_string()))
}

fn listed(pairs: impl Iterator<Item = Pair>) -> (Vec<Pair>, String) {
    let mut kept: Vec<Pair> = Vec::new();
    let mut left = 0;
    for (name, value) in pairs {
        if kept.len() < LISTED_MAX {
            kept.push((shown(&wording::cut(&name, 200)), shown(&value)));
        } else {
            left += 1;
        }
    }
    let left_out = if left > 0 { format!("{left} more are in the JSON.") } else { String::new() };
    (kept, left_out)
}

fn shown(text: &str) -> String {
    wording::visible(&wording::cut(text, VALUE_LETTERS_MAX))
}

#[derive(Default)]
struct Pairs {
    found: Vec<Pair>,
}

impl Pairs {
    fn add(&mut self, name: &str, value: Option<&str>) {
        if let Some(value) = value {
            self.found.push((name.to_owned(), shown(value)));
        }
    }
}
