//! The stream of new rows behind the live page: the rows as HTML, so that a row is written in one place only.

use std::convert::Infallible;
use std::sync::LazyLock;
use std::time::Duration;

use askama::Template;
use axum::extract::{Query as Params_, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::Stream;
use serde::Deserialize;
use store::Timestamp;
use store::engine::Sequence;
use store::query::Query;
use tokio::sync::{Semaphore, watch};

use super::{Params, ROWS};
use crate::page::Problem;
use crate::page::entries::{EntryRow, entry_row};
use crate::state::AppState;
use crate::wording;

/// How often new rows are sent at the most: faster, nobody can read them.
const PAUSE: Duration = Duration::from_secs(1);

/// How many live pages are fed at once: each asks the store once a second.
const STREAMS_MAX: usize = 64;

static ROOM: LazyLock<Semaphore> = LazyLock::new(|| Semaphore::new(STREAMS_MAX));

/// From where on.
#[derive(Deserialize)]
pub struct After {
    #[serde(default)]
    after: u64,
}

#[derive(Template)]
#[template(path = "part/entry-rows.html")]
struct Rows {
    rows: Vec<EntryRow>,
    /// Whether more came than are sent.
    is_full: bool,
}

/// `GET /live/rows`.
pub async fn stream(
    State(state): State<AppState>,
    Params_(params): Params_<Params>,
    Params_(from): Params_<After>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let Ok(query) = params.query(&state) else {
        return Err(Problem::new(StatusCode::BAD_REQUEST, "The query can't be read"));
    };
    let Ok(place) = ROOM.try_acquire() else {
        return Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, "Too many live pages are open")
            .because("Close some, or load the page again to see the latest entries."));
    };
    // A browser that lost its connection says where it was.
    let resumed = headers.get("last-event-id").and_then(|id| id.to_str().ok()?.parse().ok());
    let from = Sequence(resumed.unwrap_or(from.after));
    let sent = futures_util::stream::unfold((from, place), move |(from, place)| {
        let (state, query) = (state.clone(), query.clone());
        async move {
            let (event, reached) = next(&state, &query, from).await?;
            Some((Ok::<_, Infallible>(event), (reached, place)))
        }
    });
    Ok(sse(sent))
}

fn sse(sent: impl Stream<Item = Result<Event, Infallible>> + Send + 'static) -> Response {
    Sse::new(sent).keep_alive(KeepAlive::default()).into_response()
}

/// Waits for entries that the query holds for, and writes them. `None` once the store is closed.
async fn next(state: &AppState, query: &Query, mut from: Sequence) -> Option<(Event, Sequence)> {
    let mut generation = state.store.generation();
    loop {
        let latest = tokio::select! {
            () = state.stopping.cancelled() => return None,
            latest = grown(&mut generation, from) => latest?,
        };
        let found = state.store.since(from, query, ROWS).await.ok()?;
        // More than a page at once: the rest is skipped, and said. Nobody reads a hundred rows a second.
        let is_full = found.entries.len() == ROWS;
        let reached = latest;
        if found.entries.is_empty() {
            from = reached;
            continue;
        }
        let now = Timestamp::now();
        let rows = found.entries.iter().rev().map(|held| entry_row(held, &state.links, now)).collect();
        let html = Rows { rows, is_full }.render().ok()?;
        return Some((Event::default().id(reached.0.to_string()).data(wording::visible(&html)), reached));
    }
}

/// Waits a pause, and until the store has more than `from`. `None` once it is closed.
async fn grown(generation: &mut watch::Receiver<Sequence>, from: Sequence) -> Option<Sequence> {
    tokio::time::sleep(PAUSE).await;
    Some(*generation.wait_for(|latest| *latest > from).await.ok()?)
}
