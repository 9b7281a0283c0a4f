//! The flows that a query finds: entries newest first, each put together to its flow, each flow once.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use store::engine::{Cursor, Held, PageRequest, Sequence};
use store::flow::{self, Flow, Start};
use store::query::Whole;
use store::span::Operation;
use store::{Entry, Position, Query, Record, Timestamp, TraceId};

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

/// How long flows are put together for one page: then what there is is shown, and one goes on from there. Nobody waits longer
/// for a list; with the index it takes a tenth of that.
const TIME_MAX: Duration = Duration::from_millis(1_500);

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

/// Up to `rows_max` flows that a query finds, from `after` on. Ends early when its time is up.
pub async fn gather(
    state: &AppState,
    query: &Query,
    after: Option<Cursor>,
    rows_max: usize,
    now: Timestamp,
) -> Result<Gathered, Problem> {
    let deadline = Instant::now() + TIME_MAX;
    let mut gathered = Gathered::default();
    let mut assembly = Assembly { state, now, seen: HashSet::new(), batches: HashSet::new(), assembled: 0 };
    let mut reached = after.clone();
    let mut looked_at = 0;
    loop {
        let page = PageRequest { limit: ENTRIES_PER_QUESTION, after: reached.clone() };
        let found = state.store.search(query, page).await?;
        gathered.cut = gathered.cut.or(found.cut);
        for held in &found.entries {
            if !assembly.seen.contains(&held.sequence) {
                let is_late = Instant::now() > deadline && !gathered.rows.is_empty();
                if gathered.rows.len() == rows_max || assembly.assembled >= ASSEMBLED_MAX || is_late {
                    gathered.next = reached;
                    return Ok(gathered);
                }
                // A log whose record or span hasn't arrived yet is no flow that anybody asked for.
                if *query == Query::All && held.entry.as_log().is_some() {
                    reached = Some(Cursor { time: held.entry.time(), identity: held.entry.identity() });
                    continue;
                }
                if let Some((flow, start)) = assembly.flow_of(held).await?
                    && is_asked_for(&flow, query, held, after.as_ref(), now)
                {
                    gathered.rows.push(row(state, &flow, &start, now));
                }
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

/// Puts flows together from single entries.
struct Assembly<'a> {
    state: &'a AppState,
    now: Timestamp,
    /// Entries of flows that were put together already.
    seen: HashSet<Sequence>,
    /// Traces that work through batches: asked for whole, they would make one flow of many.
    batches: HashSet<TraceId>,
    assembled: usize,
}

impl Assembly<'_> {
    /// The flow that an entry belongs to. `None` for what says of no single flow: a log without a trace or event, a span that
    /// polls or works through a batch; the batch's messages each have their own.
    async fn flow_of(&mut self, held: &Held) -> Result<Option<(Flow, Start)>, Problem> {
        let Some(start) = start_of(&held.entry) else { return Ok(None) };
        if matches!(start, Start::Trace(trace_id) if self.batches.contains(&trace_id)) {
            return Ok(None);
        }
        let Some(flow) = self.assemble(&start).await? else { return Ok(None) };
        let Start::Trace(trace_id) = start else { return Ok(Some(self.taken(flow, start, held))) };
        if !is_batch(&flow, trace_id) {
            return Ok(Some(self.taken(flow, start, held)));
        }
        self.batches.insert(trace_id);
        let record = held.entry.as_span().and_then(|span| flow.record_of(span));
        let Some(start) = record.map(start_at) else { return Ok(None) };
        Ok(self.assemble(&start).await?.map(|flow| self.taken(flow, start, held)))
    }

    async fn assemble(&mut self, start: &Start) -> Result<Option<Flow>, Problem> {
        self.assembled += 1;
        Ok(flow::assemble(&*self.state.store, &self.state.board, start.clone(), self.now).await?)
    }

    fn taken(&mut self, flow: Flow, start: Start, held: &Held) -> (Flow, Start) {
        self.seen.extend(flow.entries().map(|joined| joined.held.sequence));
        self.seen.insert(held.sequence);
        (flow, start)
    }
}

/// What a flow is asked by, from one of its entries.
fn start_of(entry: &Entry) -> Option<Start> {
    match entry {
        // By its place, not by its trace: the trace of a consumer that works through a batch is many flows.
        Entry::Record(record) => Some(start_at(record)),
        Entry::Span(span) => {
            let operation = span.messaging.as_ref().map(|messaging| messaging.operation);
            let polls = matches!(operation, Some(Operation::Receive | Operation::Settle));
            (!polls && span.links.len() < 2).then_some(Start::Trace(span.trace_id))
        }
        Entry::Log(log) => log.trace_id.map(Start::Trace).or_else(|| log.event_id.clone().map(Start::Event)),
    }
}

fn start_at(record: &Record) -> Start {
    let Position { source, channel, place, .. } = record.position.clone();
    Start::Record { source, channel, place }
}

/// Whether a trace works through several messages that have nothing to do with each other.
fn is_batch(flow: &Flow, trace_id: TraceId) -> bool {
    flow.each_span().filter(|span| span.trace_id == trace_id).any(|span| {
        span.links.len() > 1 || span.messaging.as_ref().is_some_and(|messaging| messaging.batch.unwrap_or(1) > 1)
    })
}

/// Whether a flow belongs on this page: what the query asks of the flow holds, and no page before has shown it.
fn is_asked_for(flow: &Flow, query: &Query, held: &Held, after: Option<&Cursor>, now: Timestamp) -> bool {
    let all: Vec<&Entry> = flow.entries().map(|joined| &*joined.held.entry).collect();
    let whole = Whole { entries: &all, findings: &flow.findings };
    if query.asks_of_flow() && !query.matches_in(&held.entry, whole, now) {
        return false;
    }
    let Some(after) = after else { return true };
    !all.iter().any(|entry| {
        (entry.time(), entry.identity()) >= (after.time, after.identity.clone()) && query.matches_in(entry, whole, now)
    })
}

fn row(state: &AppState, flow: &Flow, start: &Start, now: Timestamp) -> Row {
    let whole = flow.trace_ids.first().copied().filter(|trace_id| !is_batch(flow, *trace_id));
    let href = match (whole, start) {
        (Some(trace_id), _) => state.links.flow(trace_id),
        (None, Start::Trace(trace_id)) => state.links.flow(*trace_id),
        (None, Start::Event(id)) => state.links.event(id),
        (None, Start::Record { source, channel, place }) => {
            state.links.record_at(source.as_str(), channel.as_str(), &place.to_string())
        }
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
