//! What were webhooks told, and did it arrive?

pub mod order; // sending something again, or a test

use std::sync::Arc;

use askama::Template;
use axum::extract::{Query, State};
use axum::response::Response;
use serde::Deserialize;
use store::Timestamp;
use store::alert::deliveries::{Delivery, DeliveryState};
use store::alert::webhook::{WebhookState, WebhookStatus};
use store::alert::{Attempt, Ended};

use crate::href::Href;
use crate::page::flow::headline::Pill;
use crate::page::{Frame, Problem, render};
use crate::state::AppState;
use crate::wording;

/// How many deliveries a page shows.
const ROWS_MAX: usize = 50;

/// The states to choose from, and what a reader calls them; all of them first.
const STATES: [(&str, &str); 6] = [
    ("", "All"),
    ("waiting", "Waiting"),
    ("retrying", "Retrying"),
    ("delivered", "Delivered"),
    ("gaveUp", "Given up"),
    ("disabled", "Disabled"),
];

/// What is said of a notification that wasn't tried yet.
const NOT_TRIED: &str =
    "It wasn't tried yet: it is about to be, or waits for an earlier one of its group, or its receiver is let alone.";

/// What the address asks for.
#[derive(Deserialize)]
pub struct Params {
    #[serde(default)]
    webhook: String,
    #[serde(default)]
    state: String,
    /// The one that is shown with its attempts.
    #[serde(default)]
    id: String,
    /// Only what was told before this line of the journal.
    #[serde(default)]
    before: Option<u64>,
}

#[derive(Template)]
#[template(path = "page/deliveries.html")]
struct Deliveries {
    frame: Frame,
    webhooks: Vec<WebhookRow>,
    /// Those that are configured no more, and how much waits for them.
    unknown: Vec<(String, String)>,
    detail: Option<Detail>,
    /// An id that is asked for and isn't held.
    missing: Option<String>,
    states: Vec<(&'static str, Href, bool)>,
    only: Option<(String, Href)>,
    rows: Vec<Row>,
    next: Option<Href>,
}

/// One webhook of the configuration.
struct WebhookRow {
    name: String,
    format: &'static str,
    host: String,
    pill: Pill,
    says: String,
    waiting: String,
    taken: String,
    deliveries: Href,
}

/// One delivery.
struct Row {
    at: String,
    title: String,
    about: String,
    webhook: String,
    href: Href,
    attempts: String,
    last: String,
    pill: Pill,
}

/// One delivery with its attempts.
struct Detail {
    id: String,
    n_attempts: u32,
    row: Row,
    told: String,
    alerts: Vec<String>,
    attempts: Vec<AttemptRow>,
    next: Option<String>,
}

/// One attempt.
struct AttemptRow {
    number: u32,
    at: String,
    took: String,
    pill: Pill,
    says: String,
}

/// `GET /alerts/deliveries`.
pub async fn show(
    State(state): State<AppState>,
    Query(params): Query<Params>,
    frame: Frame,
) -> Result<Response, Problem> {
    let now = Timestamp::now();
    let deliveries = state.board.deliveries();
    deliveries.catch_up(&state.journal).await?;
    let waiting = deliveries.waiting_by_webhook();
    let known = state.board.webhooks();
    let is_known = |name: &String| known.iter().any(|webhook| webhook.name == *name);
    let found = asked(&state, &params.webhook, &params.state, params.before, ROWS_MAX);
    let href = frame.links.deliveries().with("webhook", &params.webhook);
    let detail = deliveries.of(&params.id).map(|delivery| detail(&delivery, now, &frame));
    let next = found.next.map(|before| href.clone().with("state", &params.state).with("before", &before.to_string()));
    Ok(render(&Deliveries {
        unknown: waiting
            .iter()
            .filter(|(name, _)| !is_known(name))
            .map(|(name, many)| (name.clone(), wording::many(*many as u64, "notification")))
            .collect(),
        webhooks: known
            .iter()
            .map(|webhook| webhook_row(webhook, waiting.get(&webhook.name).copied().unwrap_or(0), now, &frame))
            .collect(),
        missing: Some(params.id.clone()).filter(|id| !id.is_empty() && detail.is_none()),
        detail,
        states: STATES.map(|(word, text)| (text, href.clone().with("state", word), params.state == word)).to_vec(),
        only: Some(params.webhook.clone())
            .filter(|name| !name.is_empty())
            .map(|name| (name, frame.links.deliveries().with("state", &params.state))),
        rows: found.deliveries.iter().map(|delivery| row(delivery, now, &frame)).collect(),
        next,
        frame,
    }))
}

/// Some deliveries, and before which line of the journal the next ones were told.
pub struct Found {
    pub deliveries: Vec<Arc<Delivery>>,
    pub next: Option<u64>,
}

/// The newest deliveries to a webhook, in a state; empty for any. A word that is no state finds nothing.
pub fn asked(state: &AppState, webhook: &str, word: &str, before: Option<u64>, most: usize) -> Found {
    let meets = |delivery: &Delivery| {
        (webhook.is_empty() || delivery.notification.webhook == webhook)
            && (word.is_empty() || delivery.state().as_str() == word)
    };
    // One more than is shown tells whether there are more.
    let mut deliveries = state.board.deliveries().newest(before.unwrap_or(u64::MAX), most + 1, meets);
    let has_more = deliveries.len() > most;
    deliveries.truncate(most);
    let next = deliveries.last().map(|delivery| delivery.number).filter(|_| has_more);
    Found { deliveries, next }
}

fn webhook_row(webhook: &WebhookStatus, waiting: usize, now: Timestamp, frame: &Frame) -> WebhookRow {
    let error = webhook.error.clone();
    let (pill, says) = match webhook.state {
        WebhookState::Healthy if error.is_some() => (Pill::new("warn", "failing"), error.unwrap_or_default()),
        WebhookState::Healthy => (Pill::new("ok", "healthy"), String::new()),
        WebhookState::Open(until) => {
            let until = wording::clock_short(until, now);
            (Pill::new("bad", "let alone"), format!("until {until}; last: {}", error.unwrap_or_default()))
        }
        WebhookState::Disabled => {
            let says = "its receiver said 410: it is told nothing until it is configured otherwise";
            (Pill::new("bad", "disabled"), says.to_owned())
        }
    };
    WebhookRow {
        name: webhook.name.clone(),
        format: webhook.format,
        host: webhook.host.clone(),
        pill,
        says: wording::cut(&says, 300),
        waiting: wording::count(waiting as u64),
        taken: webhook.succeeded_at.map_or_else(|| "none yet".to_owned(), |at| wording::clock_short(at, now)),
        deliveries: frame.links.deliveries().with("webhook", &webhook.name),
    }
}

fn row(delivery: &Delivery, now: Timestamp, frame: &Frame) -> Row {
    let last = delivery.attempts.last().map(|(_, attempt)| attempt);
    Row {
        at: wording::clock_short(delivery.at, now),
        title: wording::cut(&delivery.notification.title(), 120),
        about: delivery.notification.alerts.first().map_or_else(String::new, |alert| wording::cut(&alert.summary, 200)),
        webhook: delivery.notification.webhook.clone(),
        href: frame.links.deliveries().with("id", &delivery.id),
        attempts: wording::count(u64::from(delivery.n_attempts())),
        last: last.map_or_else(|| "not tried yet".to_owned(), answered),
        pill: pill(delivery.state()),
    }
}

fn detail(delivery: &Delivery, now: Timestamp, frame: &Frame) -> Detail {
    let attempts = delivery.attempts.iter().map(|(at, attempt)| AttemptRow {
        number: attempt.number,
        at: wording::clock(*at, now),
        took: wording::duration(attempt.took_ms.saturating_mul(1_000_000)),
        pill: Pill::new(tone(attempt), &answered(attempt)),
        says: attempt.says.clone(),
    });
    let due = delivery.due().filter(|due| *due > now).map(|due| wording::clock_short(due, now));
    let alerts = delivery.notification.alerts.iter().map(|alert| format!("{} ({})", alert.summary, alert.value));
    let left_out = delivery.notification.left_out;
    Detail {
        id: delivery.id.clone(),
        n_attempts: delivery.n_attempts(),
        row: row(delivery, now, frame),
        told: format!("{} by {}", wording::clock(delivery.at, now), delivery.by),
        alerts: alerts.chain((left_out > 0).then(|| format!("and {left_out} more"))).collect(),
        attempts: attempts.collect(),
        next: match delivery.state() {
            DeliveryState::Retrying => due.map(|due| {
                format!("The next attempt is due at {due}, or earlier where there is something newer to tell.")
            }),
            DeliveryState::Waiting => Some(NOT_TRIED.to_owned()),
            DeliveryState::Ended(_) => None,
        },
    }
}

fn answered(attempt: &Attempt) -> String {
    attempt.status.map_or_else(|| "no answer".to_owned(), |status| status.to_string())
}

fn tone(attempt: &Attempt) -> &'static str {
    match attempt.status {
        Some(200..300) => "ok",
        _ => "bad",
    }
}

fn pill(state: DeliveryState) -> Pill {
    match state {
        DeliveryState::Waiting => Pill::new("", "waiting"),
        DeliveryState::Retrying => Pill::new("warn", "retrying"),
        DeliveryState::Ended(Ended::Delivered) => Pill::new("ok", "delivered"),
        DeliveryState::Ended(Ended::GaveUp) => Pill::new("bad", "given up"),
        DeliveryState::Ended(Ended::Disabled) => Pill::new("bad", "disabled"),
    }
}

#[cfg(test)]
mod tests;
