//! Who retries, how often, why, and whether it helps: `retries?window=`.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use store::Timestamp;
use store::retries::{self, Consumer};

use super::ask::Params;
use super::problem::Problem;
use super::view::{Time, millis};
use crate::page::retries::{WINDOWS, window};
use crate::state::AppState;

/// Which window.
#[derive(Deserialize, Default)]
#[serde(default)]
pub struct RetriesParams {
    window: String,
}

/// A list of consumers. `next` is always null: all that are looked at are told.
#[derive(Serialize)]
pub struct RetriesView {
    consumers: Vec<ConsumerView>,
    next: Option<String>,
    cut: Option<String>,
}

/// One consumer on one topic. What isn't known is null, never 0.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ConsumerView {
    consumer: Option<String>,
    source: Option<String>,
    topic: String,
    deliveries: u64,
    retried: u64,
    retry_rate: Option<f64>,
    succeeded: u64,
    dead: u64,
    success_after_retry: Option<f64>,
    /// How many events took how many attempts.
    attempts: BTreeMap<u32, u64>,
    steps: Vec<StepView>,
    backoff: BackoffView,
    reasons: Vec<ReasonView>,
}

#[derive(Serialize)]
struct StepView {
    at: Time,
    retried: u64,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct BackoffView {
    steps_ms: Vec<f64>,
    total_ms: f64,
    grows: bool,
    jitter: Option<bool>,
    hammers: bool,
    together: usize,
    seen: usize,
}

#[derive(Serialize)]
struct ReasonView {
    reason: String,
    count: u64,
}

/// `retries`.
pub async fn list(
    State(state): State<AppState>,
    Params(params): Params<RetriesParams>,
) -> Result<Json<RetriesView>, Problem> {
    let Some(period) = window(&params.window, Timestamp::now()) else {
        let known: Vec<&str> = WINDOWS.iter().map(|(name, ..)| *name).collect();
        return Err(Problem::unreadable(format!("`window` is one of {}", known.join(", "))));
    };
    let found = retries::list(&*state.store, period).await?;
    let consumers = found.consumers.into_iter().map(ConsumerView::from).collect();
    Ok(Json(RetriesView { consumers, next: None, cut: found.cut }))
}

impl From<Consumer> for ConsumerView {
    fn from(row: Consumer) -> ConsumerView {
        let nanos = |duration: std::time::Duration| millis(u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX));
        let backoff = BackoffView {
            steps_ms: row.backoff.steps.iter().copied().map(nanos).collect(),
            total_ms: nanos(row.backoff.total),
            grows: row.backoff.grows,
            jitter: row.backoff.jitter,
            hammers: row.backoff.hammers,
            together: row.backoff.together,
            seen: row.backoff.seen,
        };
        ConsumerView {
            retry_rate: row.rate(),
            success_after_retry: row.success_after_retry(),
            consumer: Some(row.consumer).filter(|consumer| !consumer.is_empty()),
            source: row.source.map(|source| source.to_string()),
            topic: row.topic,
            deliveries: row.deliveries,
            retried: row.retried,
            succeeded: row.succeeded,
            dead: row.dead,
            attempts: row.attempts,
            steps: row.steps.into_iter().map(|(at, retried)| StepView { at: Time(at), retried }).collect(),
            backoff,
            reasons: row.reasons.into_iter().map(|(reason, count)| ReasonView { reason, count }).collect(),
        }
    }
}
