//! For Prometheus and its like: OpenMetrics 1.0 (prometheus/OpenMetrics : specification/OpenMetrics.md), or Prometheus's older text for
//! those who ask for that.
//!
//! One file a part; a part that is new here has its file, and its line in [`show`].

mod alerts; // what fires, and whether webhooks arrive
mod exposition; // metrics as text
mod groups; // consumer groups
mod sources; // what is watched
mod store; // what is kept
mod traffic; // what the console was asked

use axum::extract::State;
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};

use self::exposition::{Exposition, Format, Kind};
use super::problem::Problem;
use crate::page::VERSION;
use crate::state::AppState;

/// `/metrics`.
pub async fn show(State(state): State<AppState>, headers: HeaderMap) -> Result<Response, Problem> {
    let accept = headers.get(header::ACCEPT).and_then(|accept| accept.to_str().ok()).unwrap_or_default();
    let format = Format::accepted(accept);
    let stats = state.store.stats().await?;
    let mut text = Exposition::new(format);
    text.family("sillage_build", Kind::Info, "Which version runs.");
    text.sample("sillage_build_info", &[("version", VERSION)], 1.0);
    text.family("sillage_uptime_seconds", Kind::Gauge, "How long the console has been up.");
    text.sample("sillage_uptime_seconds", &[], state.started.elapsed().as_secs_f64());
    store::tell(&mut text, &stats, &state);
    sources::tell(&mut text, &state);
    groups::tell(&mut text, &state);
    alerts::tell(&mut text, &state);
    traffic::tell(&mut text, &state);
    Ok(([(header::CONTENT_TYPE, format.content_type())], text.finish()).into_response())
}
