//! All addresses on one screen.

use axum::Router;
use axum::extract::Request;
use axum::http::Uri;
use axum::http::uri::PathAndQuery;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::routing::{get, post};
use tower::ServiceBuilder;
use tower::util::MapRequestLayer;
use tower_http::compression::CompressionLayer;

use crate::page::{
    alerts, dead_letters, deliveries, flow, flows, forget, group, groups, help, live, login, overview, redrive,
    retries, search, status, theme, topic, topics,
};
use crate::state::AppState;
use crate::{api, asset, guard, page, traffic};

/// The whole console.
pub fn app(state: AppState) -> Router {
    let routes = Router::new()
        .route("/", get(overview::show))
        .route("/flows", get(flows::show))
        .route("/search", get(search::go))
        .route("/flow/{trace_id}", get(flow::by_trace))
        .route("/trace/{trace_id}", get(flow::by_trace))
        .route("/event/{event_id}", get(flow::by_event))
        .route("/record/{source}/{channel}/{place}", get(flow::by_record))
        .route("/live", get(live::show))
        .route("/live/rows", get(live::rows::stream))
        .route("/topics", get(topics::show))
        .route("/topic/{source}/{topic}", get(topic::show))
        .route("/groups", get(groups::show))
        .route("/group/{source}/{group}", get(group::show))
        .route("/retries", get(retries::show))
        .route("/dead-letters", get(dead_letters::all))
        .route("/dead-letters/decide", post(dead_letters::decide::act))
        .route("/dead-letters/{source}/{topic}", get(dead_letters::of_topic))
        .route("/alerts", get(alerts::show))
        .route("/alerts/silence", get(alerts::silence::show).post(alerts::silence::act))
        .route("/alerts/rule", get(alerts::rule::show))
        .route("/alerts/deliveries", get(deliveries::show).post(deliveries::order::act))
        .route("/redrive", get(redrive::show).post(redrive::act))
        .route("/redrive/{id}", get(redrive::one::show).post(redrive::one::steer))
        .route("/status", get(status::show))
        .route("/forget", get(forget::show).post(forget::act))
        .route("/help", get(help::show))
        .route("/login", get(login::show).post(login::log_in))
        .route("/logout", post(login::log_out))
        .route("/theme", post(theme::choose))
        .route("/assets/{version}/{name}", get(asset::show))
        .route("/favicon.ico", get(asset::icon))
        .route("/icon.svg", get(asset::icon))
        .nest("/api/v1", api::routes())
        .merge(api::probes())
        .fallback(page::problem::nowhere)
        .method_not_allowed_fallback(page::problem::wrong_method);
    below_prefix(&state, wrapped(routes, state.clone()))
}

/// From the inside out: the guard, what went wrong told so that it can be read, the browser's bonds around everything, compressed,
/// counted last.
fn wrapped(routes: Router<AppState>, state: AppState) -> Router {
    routes
        .layer(from_fn_with_state(state.clone(), guard::check))
        .layer(from_fn_with_state(state.clone(), page::problem::show))
        .layer(from_fn(guard::bind_browsers))
        .layer(CompressionLayer::new())
        .layer(from_fn_with_state(state.clone(), traffic::count))
        .with_state(state)
}

/// Takes the public address's path off what is asked for. A proxy may pass it on or take it off itself: both work.
fn below_prefix(state: &AppState, app: Router) -> Router {
    let prefix = state.links.prefix().to_owned();
    if prefix.is_empty() {
        return app;
    }
    let strip = MapRequestLayer::new(move |mut request: Request| {
        if let Some(uri) = without_prefix(&prefix, request.uri()) {
            *request.uri_mut() = uri;
        }
        request
    });
    Router::new().fallback_service(ServiceBuilder::new().layer(strip).service(app))
}

fn without_prefix(prefix: &str, uri: &Uri) -> Option<Uri> {
    let rest = uri.path_and_query()?.as_str().strip_prefix(prefix)?;
    let path_and_query = match rest.as_bytes().first() {
        Some(b'/') => rest.to_owned(),
        None | Some(b'?') => format!("/{rest}"),
        Some(_) => return None,
    };
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = Some(PathAndQuery::try_from(path_and_query).ok()?);
    Uri::from_parts(parts).ok()
}

#[cfg(test)]
mod tests;
