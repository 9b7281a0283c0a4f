//! The JSON API under `/api/v1`, and the probes at the root.
//!
//! camelCase; times as RFC 3339 with nanoseconds, durations in `…Ms`; errors as problem details (RFC 9457); lists with `next`,
//! an opaque cursor or null. Fields may be added; none changes or goes without a new version.

mod alerts; // what fires, and what fired
mod answer; // JSON made beside the runtime, and how much of it
mod ask; // what an address asks: parameters and names
mod dead_letters; // what died, and why
mod decide; // what is asked of a whole flow
mod deliveries; // what webhooks were told
mod flow; // flow, event, record
mod forget; // forgets entries
mod groups; // how far consumer groups are behind
mod live; // what goes through right now
mod metrics; // for Prometheus and its like
mod probe; // is it alive, is it ready
mod problem; // what went wrong
mod raw; // a record's body, byte for byte
mod redrives; // what would be sent back of what died, and what was
mod retries; // who retries, and whether it helps
mod search; // entries that a query finds
mod silences; // what is not told of for a while
mod status; // is Sillage itself well
mod topics; // who writes and reads what
mod view; // what the API shows of the store's types

use axum::Router;
use axum::routing::{get, post};

use crate::state::AppState;

pub use self::problem::Problem;

/// What is answered under `/api/v1`.
pub fn routes() -> Router<AppState> {
    Router::new()
        .route("/flow/{trace}", get(flow::by_trace))
        .route("/event/{event}", get(flow::by_event))
        .route("/record/{source}/{channel}/{place}", get(flow::by_record))
        .route("/record/{source}/{channel}/{place}/raw", get(raw::show))
        .route("/search", get(search::show))
        .route("/topics", get(topics::list))
        .route("/topics/{source}/{topic}", get(topics::show))
        .route("/groups", get(groups::list))
        .route("/groups/{source}/{group}", get(groups::show))
        .route("/retries", get(retries::list))
        .route("/dead-letters", get(dead_letters::list))
        .route("/dead-letters/export", get(dead_letters::export))
        .route("/redrives", get(redrives::all::list).post(redrives::act))
        .route("/redrives/{id}", get(redrives::all::show).post(redrives::all::steer))
        .route("/alerts", get(alerts::list))
        .route("/alerts/silences", get(silences::list).post(silences::act))
        .route("/alerts/deliveries", get(deliveries::list).post(deliveries::act))
        .route("/live", live::route())
        .route("/forget", post(forget::act))
        .route("/status", get(status::show))
        .fallback(problem::nowhere)
        .method_not_allowed_fallback(problem::only_get)
}

/// What those ask who run us: `/healthz`, `/readyz`, `/metrics`.
pub fn probes() -> Router<AppState> {
    Router::new()
        .route("/healthz", get(probe::alive))
        .route("/readyz", get(probe::ready))
        .route("/metrics", get(metrics::show))
}

#[cfg(test)]
mod tests;
