//! What is going through right now, filtered? The latest entries; with JavaScript new ones come by themselves.

pub mod rows; // the stream of new rows

use askama::Template;
use axum::extract::{Query as Params_, State};
use axum::response::Response;
use serde::Deserialize;
use store::Timestamp;
use store::engine::PageRequest;
use store::entry::Kind;
use store::query::{Field, Query, QueryError};

use super::flows::Mistake;
use crate::href::Href;
use crate::page::entries::{EntryRow, entry_row};
use crate::page::{Frame, Problem, render};
use crate::state::AppState;

/// How many entries stand on the page: above that the oldest go.
pub const ROWS: usize = 100;

/// What the address says.
#[derive(Clone, Deserialize, Default)]
#[serde(default)]
pub struct Params {
    q: String,
    kind: String,
}

/// Kinds to choose: the word in the address, and what a reader calls them.
pub const KINDS: [(&str, &str); 4] = [("", "Records"), ("span", "Spans"), ("log", "Logs"), ("all", "Everything")];

impl Params {
    /// What is asked for.
    fn query(&self, state: &AppState) -> Result<Query, QueryError> {
        let query = state.query(&self.q)?;
        Ok(match self.kind.as_str() {
            "all" => query,
            "span" => Query::Kind(Kind::Span).and(query),
            "log" => Query::Kind(Kind::Log).and(query),
            // Where records are missing stands among them.
            _ => Query::Or(vec![Query::Kind(Kind::Record), Query::is(Field::Status, "gap")]).and(query),
        })
    }
}

#[derive(Template)]
#[template(path = "page/live.html")]
struct Live {
    frame: Frame,
    params: Params,
    mistake: Option<Mistake>,
    rows: Vec<EntryRow>,
    stream: Href,
    rows_max: usize,
}

/// `GET /live`.
pub async fn show(
    State(state): State<AppState>,
    Params_(params): Params_<Params>,
    frame: Frame,
) -> Result<Response, Problem> {
    let now = Timestamp::now();
    let reached = *state.store.generation().borrow();
    let (mut rows, mut mistake) = (Vec::new(), None);
    match params.query(&state) {
        Err(error) => mistake = Some(Mistake::in_query(&params.q, &error)),
        Ok(query) => {
            let found = state.store.search(&query, PageRequest { limit: ROWS, after: None }).await?;
            rows = found.entries.iter().map(|held| entry_row(held, &state.links, now)).collect();
        }
    }
    let stream = state.links.live_rows().with("q", &params.q).with("kind", &params.kind);
    let stream = stream.with("after", &reached.0.to_string());
    Ok(render(&Live { frame, params, mistake, rows, stream, rows_max: ROWS }))
}

#[cfg(test)]
mod tests;
