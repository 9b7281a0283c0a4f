//! What the console was asked, and how long its answers took.

use store::histogram::Histogram;

use super::exposition::Exposition;
use super::exposition::Kind::{Counter, Gauge};
use crate::state::AppState;

/// Requests by route, whose names are those of `routes.rs`: there are no more of them than routes.
pub fn tell(text: &mut Exposition, state: &AppState) {
    let routes = state.traffic.routes();
    text.family("sillage_web_requests", Counter, "Answers of the console, by route and status.");
    for (route, asked) in &routes {
        for (status, many) in &asked.statuses {
            let labels = [("route", route.as_str()), ("status", &status.to_string())];
            text.sample("sillage_web_requests_total", &labels, *many as f64);
        }
    }
    let labels: Vec<[(&str, &str); 1]> = routes.keys().map(|route| [("route", route.as_str())]).collect();
    let took = labels.iter().zip(routes.values()).map(|(labels, asked)| (&labels[..], &asked.took));
    let took: Vec<(&[(&str, &str)], &Histogram)> = took.collect();
    text.histogram("sillage_web_request_seconds", "How long the console took to begin an answer, by route.", took);
    text.family("sillage_web_requests_under_way", Gauge, "Requests that are not answered yet.");
    text.sample("sillage_web_requests_under_way", &[], state.traffic.under_way() as f64);
}
