//! What goes through right now, as server-sent events: one entry each, with an id to resume from.
//!
//! ```text
//! loop { wait until the store's generation grew and the last push is LIVE_STEP ago; send what a query finds since then }
//! ```
//!
//! Events: unnamed ones are entries; `dropped` tells that somebody reads too slowly, or asked for more than a stream carries, and how many
//! entries were skipped. The id of an event is the sequence up to which everything was looked at.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, get};
use futures_util::stream;
use serde::{Deserialize, Serialize};
use store::engine::{Held, Sequence};
use store::{Query, Store, StoreError};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::ask::Params;
use super::problem::Problem;
use super::view::EntryView;
use crate::href::Links;
use crate::state::AppState;

/// How many streams may be open at once: each asks the store four times a second.
const STREAMS_MAX: usize = 64;

/// The shortest time between two pushes of one stream.
const LIVE_STEP: Duration = Duration::from_millis(250);

/// How many entries one push carries at most: 2,000 a second are more than a person or a browser follows.
const BATCH_MAX: usize = 500;

/// How many entries a stream may lie behind before it skips to the end and says so: ten seconds of a busy system.
const BEHIND_MAX: u64 = 20_000;

/// How often an idle stream says that it is still there, so that proxies keep it open: they close after 30 s and more.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// What is streamed.
#[derive(Deserialize, Default)]
#[serde(default)]
pub struct LiveParams {
    q: String,
}

/// `live?q=`.
pub fn route() -> MethodRouter<AppState> {
    let room = Arc::new(Semaphore::new(STREAMS_MAX));
    get(async move |State(state): State<AppState>, Params(params): Params<LiveParams>, headers: HeaderMap| {
        show(state, params, &headers, room)
    })
}

fn show(state: AppState, params: LiveParams, headers: &HeaderMap, room: Arc<Semaphore>) -> Result<Response, Problem> {
    let query = Query::parse(&params.q)?;
    if query.asks_of_flow() {
        return Err(Problem::unreadable(
            "a live stream sees one entry at a time, so `flow:(…)` and `finding:` can't be asked here",
        ));
    }
    if query.asks_of_commits() {
        return Err(Problem::unreadable(
            "a live stream shows what arrives, which nobody can have read yet, so `status:waiting` can't be asked here",
        ));
    }
    let after = match headers.get("last-event-id").map(|id| id.to_str().ok()?.trim().parse().ok()) {
        None => None,
        Some(Some(number)) => Some(Sequence(number)),
        Some(None) => return Err(Problem::unreadable("`Last-Event-ID` is not one of ours")),
    };
    let Ok(place) = room.try_acquire_owned() else {
        return Err(Problem::later(format!("{STREAMS_MAX} live streams are open already"), Duration::from_secs(5)));
    };
    let live = Live::new(state, query, after, place);
    let events = stream::unfold(live, |mut live| async move {
        let event = live.next().await?;
        Some((Ok::<Event, Infallible>(event), live))
    });
    Ok(Sse::new(events).keep_alive(KeepAlive::new().interval(KEEP_ALIVE)).into_response())
}

/// One stream.
struct Live {
    store: Arc<dyn Store>,
    links: Links,
    query: Query,
    generation: watch::Receiver<Sequence>,
    reached: Sequence,
    pushed_at: Instant,
    stopping: CancellationToken,
    waiting: VecDeque<Event>,
    _place: OwnedSemaphorePermit,
}

/// How many entries were skipped, whether or not the query holds for them: they were not looked at.
#[derive(Serialize)]
struct Dropped {
    skipped: u64,
}

impl Live {
    fn new(state: AppState, query: Query, after: Option<Sequence>, place: OwnedSemaphorePermit) -> Live {
        let generation = state.store.generation();
        let latest = *generation.borrow();
        Live {
            store: state.store,
            links: state.links,
            query,
            // One from another data folder, or ahead of us, can't be resumed from.
            reached: after.unwrap_or(latest).min(latest),
            generation,
            pushed_at: Instant::now() - LIVE_STEP,
            stopping: state.stopping,
            waiting: VecDeque::from([Event::default().comment("live").retry(Duration::from_secs(2))]),
            _place: place,
        }
    }

    /// The next event; `None` when we stop, or when the store can't answer: the browser comes again, and then hears why.
    async fn next(&mut self) -> Option<Event> {
        loop {
            if let Some(event) = self.waiting.pop_front() {
                return Some(event);
            }
            let reached = self.reached;
            tokio::select! {
                () = self.stopping.cancelled() => return None,
                grown = self.generation.wait_for(|latest| *latest > reached) => drop(grown.ok()?),
            }
            tokio::time::sleep_until(self.pushed_at + LIVE_STEP).await;
            self.pushed_at = Instant::now();
            if let Err(error) = self.look().await {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "a live stream ended because the store could not answer"
                );
                return None;
            }
        }
    }

    /// Looks at what came since the last time.
    async fn look(&mut self) -> Result<(), StoreError> {
        let latest = *self.generation.borrow_and_update();
        let behind = latest.0.saturating_sub(self.reached.0);
        if behind > BEHIND_MAX {
            let skipped = behind - BATCH_MAX as u64;
            self.reached = Sequence(self.reached.0 + skipped);
            let event = Event::default().event("dropped").id(self.reached.0.to_string());
            self.waiting.extend(event.json_data(Dropped { skipped }).ok());
        }
        let found = self.store.since(self.reached, &self.query, BATCH_MAX).await?;
        let last = found.entries.last().map_or(self.reached, |held| held.sequence);
        for held in &found.entries {
            self.waiting.extend(self.event(held));
        }
        // A full batch may have more behind it; anything less has looked at everything.
        self.reached = if found.entries.len() >= BATCH_MAX { last } else { latest.max(last) };
        Ok(())
    }

    fn event(&self, held: &Held) -> Option<Event> {
        let event = Event::default().id(held.sequence.0.to_string());
        event.json_data(EntryView::new(held, None, &self.links)).ok()
    }
}
