//! For those who run us: is it alive, is it ready.

use axum::extract::State;
use axum::http::StatusCode;
use store::board::SourceState;

use crate::state::AppState;

/// `/healthz`: 200 while it is alive; no use in starting it again.
pub async fn alive() -> &'static str {
    "ok\n"
}

/// `/readyz`: 200 once it takes entries and answers questions, else 503 with the reasons, one a line.
///
/// Not ready: the store can't answer, or takes no entries (a full disk, a folder that can't be written), or a source has not answered yet since
/// the start. Ready, with a line about it: a source that is down. A balancer or a rollout that goes by this would take the console away
/// from those who come to see why, and starting it again mends no broker.
pub async fn ready(State(state): State<AppState>) -> (StatusCode, String) {
    let mut reasons = Vec::new();
    match state.store.stats().await {
        Ok(stats) => reasons.extend(stats.refusing.map(|reason| format!("the store takes no entries: {reason}"))),
        Err(error) => reasons.push(format!("the store can't answer: {error}")),
    }
    let mut said = Vec::new();
    for status in state.board.sources() {
        let error = status.error.map(|error| format!(": {error}")).unwrap_or_default();
        match status.state {
            SourceState::Starting => reasons.push(format!("source `{}` has not answered yet{error}", status.name)),
            SourceState::Down => said.push(format!("source `{}` is down{error}", status.name)),
            SourceState::Up | SourceState::Absent => {}
        }
    }
    let is_ready = reasons.is_empty();
    let first = if is_ready { "ready" } else { "not ready" };
    let lines = std::iter::once(first.to_owned()).chain(reasons).chain(said);
    // Reasons may quote what a broker said.
    let text: String = lines.map(|line| line.replace(['\r', '\n'], " ") + "\n").collect();
    (if is_ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE }, text)
}
