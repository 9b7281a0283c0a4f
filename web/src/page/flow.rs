//! What happened to this order, event, trace? Where did the time go?
//!
//! `/flow/{traceId}` and `/trace/{id}`, `/event/{eventId}`, `/record/{source}/{channel}/{place}`: the same flow, asked by what one has.

mod delivery; // who was delivered what, as rows
pub mod detail; // one entry of it, in full
pub mod headline; // what a flow is called and what came of it
mod nothing; // what is said where nothing is known
pub mod payload; // a body as people read it
mod rows; // records and logs as rows
mod story; // what happened, as a table
mod tab; // what of it is shown
mod tree; // spans below each other

use askama::Template;
use axum::extract::{Path, Query, State};
use axum::response::Response;
use serde::Deserialize;
use store::engine::Sequence;
use store::flow::{self, Flow, Start};
use store::{Entry, Place, Timestamp, TraceId};

use self::delivery::DeliveryRow;
use self::detail::Detail;
use self::headline::{Headline, Pill};
use self::rows::{LogRow, RecordRow};
use self::story::Step;
use self::tab::{Tab, TabLink};
use self::tree::Branch;
use crate::drawing::budget::{self, Part};
use crate::drawing::scene::Scene;
use crate::drawing::timeline::Timeline;
use crate::href::{self, Href};
use crate::page::{Frame, Problem, render};
use crate::state::AppState;
use crate::wording;

/// The most rows of one table: about what a browser lays out without effort. The JSON pages through the rest.
const ROWS_MAX: usize = 1_000;

/// The most further traces that are listed; a flow that goes on in more is a batch.
const TRACES_MAX: usize = 20;

/// What the address says beside the flow.
#[derive(Deserialize)]
pub struct Params {
    #[serde(default)]
    tab: String,
    at: Option<String>,
}

#[derive(Template)]
#[template(path = "page/flow.html")]
struct FlowPage {
    frame: Frame,
    base: Href,
    headline: Headline,
    pill: Pill,
    started: String,
    started_at: Timestamp,
    lasted: String,
    counts: String,
    retries: u32,
    trace: Option<(String, Href)>,
    /// The others, where it goes on in more than one.
    traces: Vec<(String, Href)>,
    notices: Vec<String>,
    neighbours: Vec<String>,
    budget: Vec<Part>,
    tab: Tab,
    tabs: Vec<TabLink>,
    timeline: Timeline,
    steps: Vec<Step>,
    steps_left: usize,
    deliveries: Vec<DeliveryRow>,
    records: Vec<RecordRow>,
    spans: Vec<Branch>,
    logs: Vec<LogRow>,
    findings: Vec<(String, Option<(String, Href)>)>,
    rows_left: usize,
    raw: Option<(String, Href)>,
    selected: Option<Sequence>,
    detail: Option<Detail>,
}

impl FlowPage {
    /// The same page with an entry selected.
    fn at(&self, sequence: &Sequence) -> Href {
        self.base.clone().with("tab", self.tab.name()).with("at", &sequence.0.to_string()).at("detail")
    }

    fn is_selected(&self, sequence: &Sequence) -> bool {
        self.selected.as_ref() == Some(sequence)
    }
}

/// `GET /flow/{traceId}` and `/trace/{traceId}`.
pub async fn by_trace(
    State(state): State<AppState>,
    Path(id): Path<String>,
    Query(params): Query<Params>,
    frame: Frame,
) -> Result<Response, Problem> {
    let Some(trace_id) = TraceId::from_lenient(&id) else {
        return Err(nothing::no_trace_id(&state, &id));
    };
    let base = state.links.flow(trace_id);
    show(&state, Start::Trace(trace_id), base, params, frame).await
}

/// `GET /event/{eventId}`.
pub async fn by_event(
    State(state): State<AppState>,
    Path(id): Path<String>,
    Query(params): Query<Params>,
    frame: Frame,
) -> Result<Response, Problem> {
    let id = href::segment(&id);
    let base = state.links.event(id);
    show(&state, Start::Event(id.to_owned()), base, params, frame).await
}

/// `GET /record/{source}/{channel}/{place}`.
pub async fn by_record(
    State(state): State<AppState>,
    Path((source, channel, place)): Path<(String, String, String)>,
    Query(params): Query<Params>,
    frame: Frame,
) -> Result<Response, Problem> {
    let (source, channel, place) = (href::segment(&source), href::segment(&channel), href::segment(&place));
    let Some(place) = Place::parse(place) else {
        return Err(nothing::no_place(&state, place));
    };
    let start = Start::Record { source: source.into(), channel: channel.into(), place };
    let base = state.links.record_at(source, channel, &start_place(&start));
    show(&state, start, base, params, frame).await
}

fn start_place(start: &Start) -> String {
    match start {
        Start::Record { place, .. } => place.to_string(),
        Start::Trace(_) | Start::Event(_) => String::new(),
    }
}

async fn show(state: &AppState, start: Start, base: Href, params: Params, frame: Frame) -> Result<Response, Problem> {
    let now = Timestamp::now();
    let Some(flow) = flow::assemble(&*state.store, &state.board, start.clone(), now).await? else {
        return Err(nothing::found(state, &start).await);
    };
    let tab = Tab::named(&params.tab);
    let selected = selected(&flow, &start, tab, params.at.as_deref());
    let detail = selected.and_then(|sequence| Detail::of(&flow, sequence, &state.links, now));
    let mut traces = flow.trace_ids.iter().map(|id| (id.to_string(), state.links.flow(*id)));
    let mut page = FlowPage {
        headline: Headline::of(&flow),
        pill: Pill::of(&flow),
        started: wording::clock(flow.started_at, now),
        started_at: flow.started_at,
        lasted: wording::duration(flow.duration_nanos()),
        counts: counts(&flow),
        retries: flow.retries,
        trace: traces.next(),
        traces: traces.take(TRACES_MAX).collect(),
        notices: notices(&flow),
        neighbours: neighbours(&flow),
        budget: budget::parts(&flow.budget),
        tabs: tab::links(&flow, tab, &base),
        timeline: Timeline::default(),
        steps: Vec::new(),
        steps_left: 0,
        deliveries: Vec::new(),
        records: Vec::new(),
        spans: Vec::new(),
        logs: Vec::new(),
        findings: Vec::new(),
        rows_left: 0,
        raw: raw(state, &flow, &start),
        selected,
        detail,
        frame,
        base,
        tab,
    };
    page.fill(&flow, state, now);
    Ok(render(&page))
}

impl FlowPage {
    /// With what its tab shows.
    fn fill(&mut self, flow: &Flow, state: &AppState, now: Timestamp) {
        let mut left = 0;
        let mut count_left = |all: usize| left = all.saturating_sub(ROWS_MAX);
        match self.tab {
            Tab::Timeline => {
                self.timeline = Timeline::of(&Scene::of(flow), flow.started_at, flow.ended_at);
                (self.steps, self.steps_left) = story::steps(flow, ROWS_MAX);
            }
            Tab::Deliveries => {
                count_left(flow.deliveries.len());
                let shown = flow.deliveries.iter().take(ROWS_MAX);
                self.deliveries = shown.map(|delivery| DeliveryRow::of(flow, delivery, &state.links, now)).collect();
            }
            Tab::Records => {
                count_left(flow.records.len());
                self.records =
                    flow.records.iter().take(ROWS_MAX).filter_map(|joined| RecordRow::of(flow, joined)).collect();
            }
            Tab::Spans => {
                count_left(flow.spans.len());
                self.spans = tree::branches(flow, ROWS_MAX);
            }
            Tab::Logs => {
                count_left(flow.logs.len());
                self.logs = flow.logs.iter().take(ROWS_MAX).filter_map(|joined| LogRow::of(flow, joined)).collect();
            }
            Tab::Findings => {
                self.findings = flow
                    .findings
                    .iter()
                    .map(|finding| {
                        let position = finding.position.as_ref();
                        (finding.says.clone(), position.map(|at| (at.to_string(), state.links.record(at))))
                    })
                    .collect();
            }
            Tab::Raw => {}
        }
        self.rows_left = left;
    }
}

/// What is shown in full beside the rest: what the address selects, else what was asked for, else the first record.
fn selected(flow: &Flow, start: &Start, tab: Tab, at: Option<&str>) -> Option<Sequence> {
    let named = at.and_then(|at| at.parse().ok()).map(Sequence);
    if let Some(named) = named.filter(|named| flow.entries().any(|joined| joined.held.sequence == *named)) {
        return Some(named);
    }
    let asked = flow.records.iter().find(|joined| match (start, &*joined.held.entry) {
        (Start::Record { source, channel, place }, Entry::Record(record)) => {
            let at = &record.position;
            at.source == *source && at.channel == *channel && at.place == *place
        }
        (Start::Event(id), Entry::Record(record)) => record.event.id.as_ref() == Some(id),
        _ => false,
    });
    let first = match tab {
        Tab::Spans => flow.spans.first(),
        Tab::Logs => flow.logs.first(),
        _ => asked.or(flow.records.first()).or(flow.spans.first()).or(flow.logs.first()),
    };
    first.map(|joined| joined.held.sequence)
}

fn counts(flow: &Flow) -> String {
    let parts = [(flow.records.len(), "record"), (flow.spans.len(), "span"), (flow.logs.len(), "log")];
    parts.map(|(many, word)| wording::many(many as u64, word)).join(" · ")
}

/// What a reader must know of what is not shown.
fn notices(flow: &Flow) -> Vec<String> {
    let cut = flow.cut.iter().map(|cut| format!("This flow is not whole: {cut}."));
    let no_spans = (flow.spans.is_empty() && !flow.records.is_empty()).then(|| {
        let beyond = match flow.deliveries.is_empty() {
            true => "so who read its records can't be said. That doesn't mean that nobody did.",
            false => "so what came of its records is told by commits and copies alone.",
        };
        format!("No spans have arrived for this flow, {beyond}")
    });
    cut.chain(no_spans).collect()
}

/// Others of a batch, which the drawing leaves out.
fn neighbours(flow: &Flow) -> Vec<String> {
    let told = flow.neighbours.iter().map(|neighbours| {
        let others = wording::many(neighbours.others as u64, "other message");
        format!("{others} of this batch ({}), with causes of their own.", neighbours.shared)
    });
    told.collect()
}

fn raw(state: &AppState, flow: &Flow, start: &Start) -> Option<(String, Href)> {
    let href = match start {
        Start::Trace(trace_id) => state.links.api_flow(*trace_id),
        Start::Event(id) => state.links.api_event(id),
        Start::Record { .. } => state.links.api_record(&flow.each_record().next()?.position),
    };
    Some((href.to_string(), href))
}

#[cfg(test)]
mod tests;
