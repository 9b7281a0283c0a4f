//! A flow, reached from a trace, an event or a record.

use axum::extract::State;
use axum::response::Response;
use serde::Deserialize;
use store::engine::Cursor;
use store::flow::{Flow, Joined, Start, assemble};
use store::{Place, Timestamp, TraceId};

use super::answer::{self, ENTRIES_MAX};
use super::ask::{Names, Params, limit};
use super::problem::Problem;
use super::view::{FlowPage, FlowView};
use crate::state::AppState;

/// Which page of a flow's entries.
#[derive(Deserialize, Default)]
#[serde(default)]
pub struct PageParams {
    limit: Option<usize>,
    cursor: Option<String>,
}

/// `flow/{traceId}`: everything that hangs together with a trace.
pub async fn by_trace(
    State(state): State<AppState>,
    Names([text]): Names<1>,
    Params(params): Params<PageParams>,
) -> Result<Response, Problem> {
    let Some(trace_id) = TraceId::from_lenient(&text) else {
        return Err(Problem::unreadable(format!("`{}` is no trace id: it has 32 hexadecimal digits", shorten(&text))));
    };
    show(state, Start::Trace(trace_id), Some(trace_id), params).await
}

/// `event/{eventId}`: the same, reached from an event id.
pub async fn by_event(
    State(state): State<AppState>,
    Names([event_id]): Names<1>,
    Params(params): Params<PageParams>,
) -> Result<Response, Problem> {
    show(state, Start::Event(event_id), None, params).await
}

/// `record/{source}/{channel}/{place}`: the same, reached from a record.
pub async fn by_record(
    State(state): State<AppState>,
    Names([source, channel, place]): Names<3>,
    Params(params): Params<PageParams>,
) -> Result<Response, Problem> {
    let place = parse_place(&place)?;
    show(state, Start::Record { source: source.into(), channel: channel.into(), place }, None, params).await
}

/// A place as addresses have it.
pub fn parse_place(text: &str) -> Result<Place, Problem> {
    let no_place =
        || Problem::unreadable(format!("`{}` is no place: write partition@offset, such as 3@48213", shorten(text)));
    Place::parse(text).ok_or_else(no_place)
}

async fn show(state: AppState, start: Start, asked: Option<TraceId>, params: PageParams) -> Result<Response, Problem> {
    let after = match params.cursor.as_deref() {
        None | Some("") => None,
        Some(text) => Some(Cursor::from_text(text).ok_or_else(|| Problem::unreadable("`cursor` is not one of ours"))?),
    };
    let Some(flow) = assemble(&*state.store, &state.board, start, Timestamp::now()).await? else {
        return Err(Problem::not_found(
            "nothing that is kept hangs together with this: it may be older than what is kept, or never have arrived",
        ));
    };
    let n_asked = limit(params.limit, ENTRIES_MAX, ENTRIES_MAX);
    answer::json(flow.entries().count(), move || {
        let page = page(&flow, after.as_ref(), n_asked);
        serde_json::to_vec(&FlowView::new(&flow, asked, &page, &state.links))
    })
    .await
}

/// The entries of a page, by time over all kinds.
fn page<'a>(flow: &'a Flow, after: Option<&Cursor>, n_asked: usize) -> FlowPage<'a> {
    let place = |joined: &Joined| Cursor { time: joined.held.entry.time(), identity: joined.held.entry.identity() };
    let mut placed: Vec<(Cursor, &Joined)> = flow.entries().map(|joined| (place(joined), joined)).collect();
    placed.sort_by(|(left, _), (right, _)| left.cmp(right));
    if let Some(after) = after {
        placed.retain(|(place, _)| place > after);
    }
    let n_shown = answer::fitting(placed.iter().map(|(_, joined)| &*joined.held.entry)).min(n_asked);
    let next = (n_shown < placed.len()).then(|| placed[n_shown - 1].0.clone());
    FlowPage { entries: placed.into_iter().take(n_shown).map(|(_, joined)| joined).collect(), next }
}

/// What was sent, for a message: no longer than a message should be.
fn shorten(text: &str) -> String {
    const CHARS_MAX: usize = 64;
    text.chars().take(CHARS_MAX).collect()
}
