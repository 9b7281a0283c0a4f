//! The flows that a query finds: entries newest first, each put together to its flow, each flow once.

use std::collections::HashSet;

use store::engine::{Cursor, Held, PageRequest};
use store::flow::{self, Flow, Start};
use store::span::Operation;
use store::{Entry, Query, Timestamp};

use crate::href::Href;
use crate::page::Problem;
use crate::page::flow::headline::{Headline, Pill};
use crate::state::AppState;
use crate::wording;

/// How many entries one question to the store brings.
const ENTRIES_PER_QUESTION: usize = 200;

/// How many entries are looked at for one page: then it is shown with what was found, and one goes on from there.
const ENTRIES_MAX: usize = 4_000;

/// How many flows are put together for one page, whether they are shown or not: each costs some questions to the store.
const ASSEMBLED_MAX: usize = 100;

/// A flow in a list.
pub struct Row {
    pub href: Href,
    pub headline: Headline,
    pub pill: Pill,
    pub started: String,
    pub started_at: Timestamp,
    pub lasted: String,
    /// Who had to do with it, in the order in which they came.
    pub services: String,
    pub counts: String,
}

/// What was found.
#[derive(Default)]
pub struct Gathered {
    pub rows: Vec<Row>,
    /// Where the next page begins.
    pub next: Option<Cursor>,
    /// Why more may be there than is said; in words.
    pub cut: Option<String>,
}

/// Up to `rows_max` flows that a query finds, from `after` on.
pub async fn gather(
    state: &AppState,
    query: &Query,
    after: Option<Cursor>,
    rows_max: usize,
    now: Timestamp,
) -> Result<Gathered, Problem> {
    let mut gathered = Gathered::default();
    let mut seen = HashSet::new();
    let mut reached = after.clone();
    let (mut looked_at, mut assembled) = (0, 0);
    loop {
        let page = PageRequest { limit: ENTRIES_PER_QUESTION, after: reached.clone() };
        let found = state.store.search(query, page).await?;
        gathered.cut = gathered.cut.or(found.cut);
        for held in &found.entries {
            if !seen.contains(&held.sequence)
                && let Some(start) = start_of(&held.entry)
            {
                if gathered.rows.len() == rows_max || assembled == ASSEMBLED_MAX {
                    gathered.next = reached;
                    return Ok(gathered);
                }
                assembled += 1;
                if let Some(flow) = flow::assemble(&*state.store, start.clone(), now).await? {
                    seen.extend(flow.entries().map(|joined| joined.held.sequence));
                    if is_asked_for(&flow, query, held, after.as_ref(), now) {
                        gathered.rows.push(row(state, &flow, &start, now));
                    }
                }
                seen.insert(held.sequence);
            }
            reached = Some(Cursor { time: held.entry.time(), identity: held.entry.identity() });
        }
        looked_at += found.entries.len();
        match found.next {
            None => return Ok(gathered),
            Some(next) if looked_at >= ENTRIES_MAX => {
                gathered.next = Some(next);
                return Ok(gathered);
            }
            Some(next) => reached = Some(next),
        }
    }
}

/// What a flow is asked by, from one of its entries. `None` for what says of no flow: a log without a trace or event, and a span
/// that only polls or works through a batch, whose messages each have their own.
fn start_of(entry: &Entry) -> Option<Start> {
    match entry {
        Entry::Record(record) => Some(match &record.event.trace {
            // A copy made in a consumer's own trace leads to its origin by position; a trace may be shared by a batch.
            Some(trace) if record.failure.is_none() && record.event.causes.is_empty() => Start::Trace(trace.trace_id),
            _ => Start::Record {
                source: record.position.source.clone(),
                channel: record.position.channel.clone(),
                place: record.position.place.clone(),
            },
        }),
        Entry::Span(span) => {
            let polls = span.messaging.as_ref().is_some_and(|messaging| {
                matches!(messaging.operation, Operation::Receive | Operation::Settle)
                    || messaging.batch.unwrap_or(1) > 1
            });
            (!polls && span.links.len() < 2).then_some(Start::Trace(span.trace_id))
        }
        Entry::Log(log) => log.trace_id.map(Start::Trace).or_else(|| log.event_id.clone().map(Start::Event)),
    }
}

/// Whether a flow belongs on this page: what the query asks of the flow holds, and no page before has shown it.
fn is_asked_for(flow: &Flow, query: &Query, held: &Held, after: Option<&Cursor>, now: Timestamp) -> bool {
    let all: Vec<&Entry> = flow.entries().map(|joined| &*joined.held.entry).collect();
    if query.asks_of_flow() && !query.matches_in(&held.entry, &all, now) {
        return false;
    }
    let Some(after) = after else { return true };
    !all.iter().any(|entry| {
        (entry.time(), entry.identity()) >= (after.time, after.identity.clone()) && query.matches_in(entry, &all, now)
    })
}

fn row(state: &AppState, flow: &Flow, start: &Start, now: Timestamp) -> Row {
    let href = match start {
        Start::Trace(trace_id) => state.links.flow(flow.trace_ids.first().copied().unwrap_or(*trace_id)),
        Start::Event(id) => state.links.event(id),
        Start::Record { source, channel, place } => match flow.trace_ids.first() {
            Some(trace_id) => state.links.flow(*trace_id),
            None => state.links.record_at(source.as_str(), channel.as_str(), &place.to_string()),
        },
    };
    let mut services: Vec<&str> = Vec::new();
    for span in flow.each_span() {
        if !services.contains(&span.service()) {
            services.push(span.service());
        }
    }
    let counts = [(flow.records.len(), "record"), (flow.spans.len(), "span")];
    Row {
        href,
        headline: Headline::of(flow),
        pill: Pill::of(flow),
        started: wording::clock(flow.started_at, now),
        started_at: flow.started_at,
        lasted: wording::duration(flow.duration_nanos()),
        services: wording::cut(&services.join(", "), 120),
        counts: counts.map(|(many, word)| wording::many(many as u64, word)).join(" · "),
    }
}
