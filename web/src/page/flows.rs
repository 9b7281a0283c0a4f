//! What happened to this order, event, trace? The way there: one row a flow, newest first, for a query in the address.

pub mod gather; // the flows that a query finds

use askama::Template;
use axum::extract::{Query as Params_, State};
use axum::response::Response;
use serde::Deserialize;
use store::engine::Cursor;
use store::query::{Field, Query};
use store::{Timestamp, query};

use self::gather::{Gathered, Row, gather};
use crate::href::Href;
use crate::page::{Frame, Problem, render};
use crate::state::AppState;
use crate::wording;

/// How many flows one page shows. Each is put together from its entries, so the number is what a reader scans, not more.
const ROWS: usize = 25;

/// What the address says.
#[derive(Clone, Deserialize, Default)]
#[serde(default)]
pub struct Params {
    q: String,
    status: String,
    since: String,
    cursor: String,
}

/// A window of time to choose: its name in the address, its words, its length.
pub const WINDOWS: [(&str, &str, std::time::Duration); 4] = [
    ("15m", "Last 15 min", std::time::Duration::from_secs(15 * 60)),
    ("1h", "Last hour", std::time::Duration::from_secs(3_600)),
    ("24h", "Last 24 h", std::time::Duration::from_secs(86_400)),
    ("7d", "Last 7 days", std::time::Duration::from_secs(7 * 86_400)),
];

/// Statuses to choose: the word in a query, and what a reader calls it.
pub const STATUSES: [(&str, &str); 4] =
    [("dead", "Dead letters"), ("failed", "Failed"), ("retried", "Retried"), ("waiting", "Waiting")];

#[derive(Template)]
#[template(path = "page/flows.html")]
struct Flows {
    frame: Frame,
    params: Params,
    /// Why the query can't be read: what stands before the mistake, what follows it, and what is wrong.
    mistake: Option<Mistake>,
    rows: Vec<Row>,
    cut: Option<String>,
    next: Option<Href>,
    is_first: bool,
    is_asked: bool,
    held: u64,
}

/// Why a query can't be read.
pub struct Mistake {
    pub before: String,
    pub after: String,
    pub says: String,
}

impl Mistake {
    /// With the query split where the mistake is.
    pub fn in_query(text: &str, error: &query::QueryError) -> Mistake {
        let before = wording::beginning(text, error.at);
        Mistake { before: before.to_owned(), after: text[before.len()..].to_owned(), says: error.message.clone() }
    }
}

/// `GET /flows`.
pub async fn show(
    State(state): State<AppState>,
    Params_(params): Params_<Params>,
    frame: Frame,
) -> Result<Response, Problem> {
    let now = Timestamp::now();
    let mut page = Flows {
        mistake: None,
        rows: Vec::new(),
        cut: None,
        next: None,
        is_first: params.cursor.is_empty(),
        is_asked: !(params.q.trim().is_empty() && params.status.is_empty() && params.since.is_empty()),
        held: state.store.stats().await?.entries,
        params: params.clone(),
        frame,
    };
    match state.query(&params.q) {
        Err(error) => page.mistake = Some(Mistake::in_query(&params.q, &error)),
        Ok(query) => {
            let query = query
                .and(chosen_status(&params.status).with_commits(&state.board))
                .and(chosen_window(&params.since, now));
            let after = Cursor::from_text(&params.cursor);
            let Gathered { rows, next, cut } = gather(&state, &query, after, ROWS, now).await?;
            page.rows = rows;
            page.cut = cut;
            page.next = next.map(|cursor| {
                let href = state.links.flows().with("q", &params.q).with("status", &params.status);
                href.with("since", &params.since).with("cursor", &cursor.to_text())
            });
        }
    }
    Ok(render(&page))
}

/// The query of a status in the address; everything for one that isn't known.
fn chosen_status(status: &str) -> Query {
    match STATUSES.iter().any(|(word, _)| *word == status) {
        true => Query::is(Field::Status, status),
        false => Query::All,
    }
}

/// The query of a window in the address; everything for one that isn't known.
pub fn chosen_window(since: &str, now: Timestamp) -> Query {
    match WINDOWS.iter().find(|(name, ..)| *name == since) {
        Some((.., window)) => Query::Time { from: Some(now.minus(*window)), to: None },
        None => Query::All,
    }
}

#[cfg(test)]
mod tests;
