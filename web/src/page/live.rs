//! What is going through right now, filtered?
//!
//! Rows come in the order in which they arrived. Paused, the page stands at one arrival, and its address can be sent on.

use askama::Template;
use axum::extract::{Query, State};
use axum::response::Response;
use serde::Deserialize;
use store::engine::{Held, PAGE_MAX, Sequence};
use store::{Entry, StoreError, Timestamp};

use crate::href::Href;
use crate::page::{Frame, Problem, render};
use crate::state::AppState;
use crate::wording;

/// How many rows are shown: what an eye can follow.
const ROWS: usize = 50;

/// Among how many of the latest arrivals a filter looks: enough for minutes of a busy laptop, and cheap enough for every second.
const ARRIVALS_SEARCHED: u64 = 4_000;

/// How much of a text is shown in a row.
const GLANCE_LETTERS: usize = 140;

/// What the address asks for.
#[derive(Deserialize)]
pub struct Params {
    /// Only entries that this query holds for.
    #[serde(default)]
    q: String,
    /// Paused after this arrival.
    at: Option<u64>,
}

#[derive(Template)]
#[template(path = "page/live.html")]
struct Live {
    frame: Frame,
    q: String,
    mistake: Option<String>,
    rows: Vec<Row>,
    paused: bool,
    newer: usize,
    pause: Href,
    resume: Href,
    searched: String,
}

/// One arrival, as it is shown.
struct Row {
    clock: String,
    kind: &'static str,
    href: Option<Href>,
    what: String,
    glance: String,
    place: String,
    tone: &'static str,
    mark: &'static str,
}

/// `GET /live`.
pub async fn show(
    State(state): State<AppState>,
    Query(params): Query<Params>,
    frame: Frame,
) -> Result<Response, Problem> {
    let (query, mistake) = match store::Query::parse(&params.q) {
        Ok(query) => (query, None),
        Err(error) => (store::Query::All, Some(error.to_string())),
    };
    let latest = *state.store.generation().borrow();
    let until = params.at.map_or(latest, |at| Sequence(at).min(latest));
    let mut arrived = arrivals(&state, &query, until).await?;
    let newer = arrived.iter().filter(|held| held.sequence > until).count();
    arrived.retain(|held| held.sequence <= until);
    let now = Timestamp::now();
    let rows = arrived.iter().rev().take(ROWS).map(|held| row(held, &frame, now)).collect();
    let here = frame.links.live().with("q", &params.q);
    Ok(render(&Live {
        rows,
        mistake,
        newer,
        paused: params.at.is_some(),
        pause: here.clone().with("at", &latest.0.to_string()),
        resume: here,
        searched: wording::count(ARRIVALS_SEARCHED),
        q: params.q,
        frame,
    }))
}

/// What arrived lately, in the order of arrival: some before `until`, and as much after it as one look holds.
async fn arrivals(state: &AppState, query: &store::Query, until: Sequence) -> Result<Vec<Held>, StoreError> {
    let mut after = Sequence(until.0.saturating_sub(ARRIVALS_SEARCHED));
    let mut arrived: Vec<Held> = Vec::new();
    for _ in 0..=ARRIVALS_SEARCHED as usize / PAGE_MAX {
        let found = state.store.since(after, query, PAGE_MAX).await?.entries;
        let Some(last) = found.last() else { break };
        after = last.sequence;
        let full = found.len() >= PAGE_MAX;
        arrived.extend(found);
        if !full {
            break;
        }
    }
    Ok(arrived)
}

fn row(held: &Held, frame: &Frame, now: Timestamp) -> Row {
    let entry = &*held.entry;
    let by_trace = || entry.trace_id().map(|trace_id| frame.links.flow(trace_id));
    let glance = |text: &str| {
        wording::cut(&wording::visible(text).split_whitespace().collect::<Vec<_>>().join(" "), GLANCE_LETTERS)
    };
    let clock = wording::clock(entry.time(), now);
    match entry {
        Entry::Record(record) => {
            let (tone, mark) = match record.role() {
                "retry" => ("warn", "retry"),
                "dead" => ("bad", "dead letter"),
                _ if record.problem.is_some() => ("warn", "unreadable"),
                _ => ("", ""),
            };
            let body = record.body.as_deref().map(|body| std::str::from_utf8(body).unwrap_or("binary data"));
            Row {
                clock,
                kind: "record",
                href: Some(frame.links.record(&record.position)),
                what: match (&record.event.event_type, record.key_text()) {
                    (Some(name), Some(key)) => format!("{} {}", glance(name), glance(key)),
                    (Some(only), None) => glance(only),
                    (None, Some(key)) => glance(key),
                    (None, None) => "record".to_owned(),
                },
                glance: glance(body.unwrap_or("no body")),
                place: record.position.to_string(),
                tone,
                mark,
            }
        }
        Entry::Span(span) => Row {
            clock,
            kind: "span",
            href: by_trace(),
            what: format!("{}: {}", glance(span.service()), glance(&span.name)),
            glance: wording::duration(span.duration_nanos()),
            place: span.messaging.as_ref().and_then(|messaging| messaging.destination.clone()).unwrap_or_default(),
            tone: if span.failed() { "bad" } else { "" },
            mark: if span.failed() { "failed" } else { "" },
        },
        Entry::Log(log) => Row {
            clock,
            kind: "log",
            href: by_trace().or_else(|| log.event_id.as_deref().map(|id| frame.links.event(id))),
            what: format!("{}: {}", glance(log.service()), glance(&log.body.to_string())),
            glance: glance(log.severity_name()),
            place: String::new(),
            tone: if log.severity >= 17 { "bad" } else { "" },
            mark: if log.severity >= 17 { "error" } else { "" },
        },
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use store::memory::Memory;
    use store::{Checkpoint, Store, fixture};

    use crate::given::{Console, empty};

    async fn store() -> Arc<Memory> {
        let store = Memory::new();
        let entries = vec![
            fixture::record("orders", 0, 1).event("OrderPlaced").key("order-1").at(9.0).entry(),
            fixture::span("billing", "charge <card>").failed("timeout").at(1.0).entry(),
            fixture::log("billing", "gave up").severity(17).entry(),
        ];
        for entry in entries {
            store.append(vec![entry], Checkpoint::none("main".into())).await.unwrap();
        }
        Arc::new(store)
    }

    #[tokio::test]
    async fn what_arrived_last_stands_first_and_can_be_filtered() {
        let console = Console::over(store().await);
        let page = console.page("/live").await;
        let text = page.text();
        let at = |words: &str| text.find(words).unwrap_or_else(|| panic!("{words} is not in {text}"));
        assert!(at("gave up") < at("charge <card>") && at("charge <card>") < at("OrderPlaced order-1"));
        console.page("/live?q=kind:record").await.shows("OrderPlaced").hides("gave up");
        console.page("/live?q=(").await.shows("can't be read");
    }

    #[tokio::test]
    async fn a_paused_page_stays_and_says_what_is_new() {
        let store = store().await;
        let page = Console::over(store).page("/live?at=1").await;
        page.shows("OrderPlaced").hides("gave up").shows("2 new, show");
        assert!(!page.body.contains("<live-region"), "a paused page doesn't move");
    }

    #[tokio::test]
    async fn before_anything_arrives_it_says_so() {
        Console::over(empty()).page("/live").await.shows("Nothing has arrived");
    }
}
