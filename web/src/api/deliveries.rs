//! What webhooks were told: `alerts/deliveries?webhook=&state=&limit=&cursor=`; and `POST alerts/deliveries` with `{"test": NAME}`,
//! `{"test": NAME, "resolved": true}` or `{"again": ID}`, which answers 202 with the notification's id.

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Extension, State};
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use store::Timestamp;
use store::alert::deliveries::Delivery;
use store::alert::webhook::{WebhookState, WebhookStatus};

use super::ask::{self, Params};
use super::problem::{Problem, read_body};
use super::view::Time;
use crate::door::Visitor;
use crate::page::deliveries::order::{Order, OrderError, carry_out};
use crate::page::deliveries::{Found, asked};
use crate::state::AppState;

/// How many deliveries one answer holds, and at most: with 20 attempts of 2 KiB each one takes 50 KiB.
const DELIVERIES_USUAL: usize = 50;
const DELIVERIES_MAX: usize = 100;

/// Which deliveries.
#[derive(Deserialize, Default)]
#[serde(default)]
pub struct DeliveriesParams {
    webhook: String,
    state: String,
    limit: Option<usize>,
    cursor: Option<u64>,
}

/// A list of deliveries, and the webhooks of the configuration.
#[derive(Serialize)]
pub struct DeliveriesView {
    webhooks: Vec<WebhookView>,
    deliveries: Vec<DeliveryView>,
    next: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct WebhookView {
    name: String,
    format: &'static str,
    host: String,
    state: &'static str,
    /// Nothing is tried before, where it is let alone.
    open_until: Option<Time>,
    waiting: usize,
    succeeded_at: Option<Time>,
    error: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct DeliveryView {
    id: String,
    webhook: String,
    state: &'static str,
    title: String,
    group: String,
    firing: bool,
    is_test: bool,
    told_at: Time,
    told_by: String,
    /// When it is due by its schedule; null once it has ended.
    due_at: Option<Time>,
    ended_at: Option<Time>,
    attempts: Vec<AttemptView>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct AttemptView {
    number: u32,
    at: Time,
    took_ms: u64,
    /// Null where nothing was answered.
    status: Option<u16>,
    /// The beginning of the answer, or what went wrong.
    says: String,
}

/// What is ordered.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Body {
    test: Option<String>,
    #[serde(default)]
    resolved: bool,
    again: Option<String>,
}

/// What was told.
#[derive(Serialize)]
pub struct Told {
    id: String,
}

/// `GET alerts/deliveries`.
pub async fn list(
    State(state): State<AppState>,
    Params(params): Params<DeliveriesParams>,
) -> Result<Json<DeliveriesView>, Problem> {
    state.board.deliveries().catch_up(&state.journal).await?;
    let limit = ask::limit(params.limit, DELIVERIES_USUAL, DELIVERIES_MAX);
    let Found { deliveries, next } = asked(&state, &params.webhook, &params.state, params.cursor, limit);
    let waiting = state.board.deliveries().waiting_by_webhook();
    let webhook = |status: WebhookStatus| WebhookView {
        open_until: match status.state {
            WebhookState::Open(until) => Some(Time(until)),
            WebhookState::Healthy | WebhookState::Disabled => None,
        },
        state: status.state.as_str(),
        waiting: waiting.get(&status.name).copied().unwrap_or(0),
        name: status.name,
        format: status.format,
        host: status.host,
        succeeded_at: status.succeeded_at.map(Time),
        error: status.error,
    };
    Ok(Json(DeliveriesView {
        webhooks: state.board.webhooks().into_iter().map(webhook).collect(),
        deliveries: deliveries.iter().map(|delivery| view(delivery)).collect(),
        next: next.map(|number| number.to_string()),
    }))
}

/// `POST alerts/deliveries`.
pub async fn act(
    State(state): State<AppState>,
    Extension(visitor): Extension<Visitor>,
    body: Bytes,
) -> Result<(StatusCode, Json<Told>), Problem> {
    let body: Body = read_body(&body)?;
    let order = match (body.test, body.again) {
        (Some(webhook), None) => Order::Test { webhook, firing: !body.resolved },
        (None, Some(id)) => Order::Again { id, after: None },
        _ => return Err(Problem::unreadable("give one of `test` and `again`")),
    };
    match carry_out(&state, &visitor, order).await {
        Ok(id) => Ok((StatusCode::ACCEPTED, Json(Told { id }))),
        Err(OrderError::Unknown(says)) => Err(Problem::not_found(says)),
        Err(OrderError::Store(error)) => Err(Problem::from(error)),
    }
}

fn view(delivery: &Delivery) -> DeliveryView {
    let notification = &delivery.notification;
    let attempt = |(at, attempt): &(Timestamp, store::alert::Attempt)| AttemptView {
        number: attempt.number,
        at: Time(*at),
        took_ms: attempt.took_ms,
        status: attempt.status,
        says: attempt.says.clone(),
    };
    DeliveryView {
        id: delivery.id.clone(),
        webhook: notification.webhook.clone(),
        state: delivery.state().as_str(),
        title: notification.title(),
        group: notification.group.clone(),
        firing: notification.firing,
        is_test: notification.is_test,
        told_at: Time(delivery.at),
        told_by: delivery.by.clone(),
        due_at: delivery.due().map(Time),
        ended_at: delivery.ended.map(|(at, _)| Time(at)),
        attempts: delivery.attempts.iter().map(attempt).collect(),
    }
}
