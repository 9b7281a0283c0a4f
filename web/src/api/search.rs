//! Entries that a query finds, newest first.

use std::time::Instant;

use axum::extract::State;
use axum::response::Response;
use serde::{Deserialize, Serialize};
use store::engine::{Cursor, PageRequest};
use store::{Entry, Query, Timestamp};

use super::answer::{self, ENTRIES_MAX};
use super::ask::{Params, instant, limit};
use super::decide;
use super::problem::Problem;
use super::view::{EntryView, RecordView, millis};
use crate::state::AppState;

/// How many entries a page holds when nothing is said.
const ENTRIES_USUAL: usize = 100;

/// What is searched for.
#[derive(Deserialize, Default)]
#[serde(default)]
pub struct SearchParams {
    q: String,
    from: Option<String>,
    to: Option<String>,
    limit: Option<usize>,
    cursor: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct SearchView<'a> {
    entries: Vec<EntryView<'a>>,
    /// Records in open transactions that the query holds for, with the first page: none of them is kept.
    open: Vec<RecordView<'a>>,
    next: Option<String>,
    took_ms: f64,
    cut: Option<&'a str>,
}

/// The records in open transactions that a query holds for.
fn open(state: &AppState, query: &Query, now: Timestamp) -> Vec<Entry> {
    let open = state.board.open_records();
    let entries = open.iter().flat_map(|records| records.iter()).map(|record| Entry::Record(record.clone()));
    let mut found: Vec<Entry> = entries.filter(|entry| query.matches(entry, now)).take(ENTRIES_MAX).collect();
    found.truncate(answer::fitting(found.iter()));
    found
}

/// `search?q=&from=&to=&limit=&cursor=`: `from` and `to` bound the entries' own time.
pub async fn show(State(state): State<AppState>, Params(params): Params<SearchParams>) -> Result<Response, Problem> {
    let started = Instant::now();
    let now = Timestamp::now();
    let bound = |name, text: &Option<String>| match text.as_deref() {
        None | Some("") => Ok(None),
        Some(text) => instant(name, text, now).map(Some),
    };
    let (from, to) = (bound("from", &params.from)?, bound("to", &params.to)?);
    let mut query = state.query(&params.q)?;
    if from.is_some() || to.is_some() {
        query = query.and(Query::Time { from, to });
    }
    let open = if params.cursor.is_some() { Vec::new() } else { open(&state, &query, now) };
    let after = match params.cursor.as_deref() {
        None | Some("") => None,
        Some(text) => Some(Cursor::from_text(text).ok_or_else(|| Problem::unreadable("`cursor` is not one of ours"))?),
    };
    let page = PageRequest { limit: limit(params.limit, ENTRIES_USUAL, ENTRIES_MAX), after };
    let found = state.store.search(&query, page).await?;
    let mut found = decide::decide(&state, &query, found, now).await?;
    answer::json(found.entries.len(), move || {
        let n_shown = answer::fitting(found.entries.iter().map(|held| &*held.entry));
        if n_shown < found.entries.len() {
            found.entries.truncate(n_shown);
            let last = &found.entries[n_shown - 1].entry;
            found.next = Some(Cursor { time: last.time(), identity: last.identity() });
        }
        serde_json::to_vec(&SearchView {
            entries: found.entries.iter().map(|held| EntryView::new(held, None, &state.links)).collect(),
            open: open.iter().filter_map(|entry| Some(RecordView::open(entry.as_record()?, &state.links))).collect(),
            next: found.next.as_ref().map(Cursor::to_text),
            took_ms: millis(u64::try_from(started.elapsed().as_nanos()).unwrap_or(u64::MAX)),
            cut: found.cut.as_deref(),
        })
    })
    .await
}
