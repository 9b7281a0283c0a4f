//! The search box: straight to what a word names, else to the flows that it finds.

use axum::extract::{Query, State};
use axum::response::{IntoResponse, Redirect, Response};
use serde::Deserialize;
use store::knot::{Knot, Tie};
use store::query::{Goto, goto};

use crate::href::Href;
use crate::page::Problem;
use crate::state::AppState;

#[derive(Deserialize)]
pub struct Params {
    #[serde(default)]
    q: String,
}

/// `GET /search`.
pub async fn go(State(state): State<AppState>, Query(params): Query<Params>) -> Result<Response, Problem> {
    for guess in goto(&params.q) {
        if let Some(href) = found(&state, guess).await? {
            return Ok(Redirect::to(href.as_str()).into_response());
        }
    }
    Ok(Redirect::to(state.links.flows_for(params.q.trim()).as_str()).into_response())
}

/// Where a guess leads, if there is such a thing.
async fn found(state: &AppState, guess: Goto) -> Result<Option<Href>, Problem> {
    let knots = match &guess {
        Goto::Trace(trace_id) => vec![(Tie::Is, Knot::Trace(*trace_id)), (Tie::Refers, Knot::Trace(*trace_id))],
        Goto::Event(id) => vec![(Tie::Is, Knot::Event(id.clone()))],
        Goto::Record { channel, place } => vec![(Tie::Is, Knot::Position(channel.clone(), place.clone()))],
    };
    let found = state.store.related(&knots, 1).await?;
    let Some(held) = found.entries.first() else { return Ok(None) };
    Ok(match guess {
        Goto::Trace(trace_id) => Some(state.links.flow(trace_id)),
        Goto::Event(id) => Some(state.links.event(&id)),
        Goto::Record { .. } => held.entry.as_record().map(|record| state.links.record(&record.position)),
    })
}
