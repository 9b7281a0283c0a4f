//! The JSON API under `/api/v1`, and the probes at the root.

use axum::Router;
use axum::routing::get;

use crate::state::AppState;

/// What is answered under `/api/v1`.
pub fn routes() -> Router<AppState> {
    Router::new()
}

/// What those ask who run us: `/healthz`, `/readyz`, `/metrics`.
pub fn probes() -> Router<AppState> {
    Router::new().route("/healthz", get(async || "ok\n"))
}
