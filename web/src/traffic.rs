//! What the console was asked, how it answered, and how long that took.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use axum::extract::{MatchedPath, Request, State};
use axum::http::{Method, StatusCode};
use axum::middleware::Next;
use axum::response::Response;
use parking_lot::Mutex;
use store::histogram::Histogram;
use tracing::Instrument;
use tracing::field::Empty;

use crate::page::problem::is_probe;
use crate::state::AppState;

/// The route of what leads nowhere: addresses that somebody made up must not become names.
const NOWHERE: &str = "other";

/// What the console was asked since it started.
#[derive(Debug, Default)]
pub struct Traffic {
    /// By route, as `routes.rs` writes it: no more than there are of them.
    routes: Mutex<BTreeMap<String, Asked>>,
    under_way: AtomicU64,
}

/// What one route was asked.
#[derive(Clone, Debug, Default)]
pub struct Asked {
    /// How many answers of each status.
    pub statuses: BTreeMap<u16, u64>,
    /// How long it took until an answer began.
    pub took: Histogram,
}

impl Asked {
    /// How often it was asked.
    pub fn times(&self) -> u64 {
        self.statuses.values().sum()
    }

    /// How often the answer was that something is wrong with us.
    pub fn failed(&self) -> u64 {
        self.statuses.range(500..).map(|(_, many)| many).sum()
    }
}

impl Traffic {
    /// Each route that was asked.
    pub fn routes(&self) -> BTreeMap<String, Asked> {
        self.routes.lock().clone()
    }

    /// Requests whose answers have not begun.
    pub fn under_way(&self) -> u64 {
        self.under_way.load(Ordering::Relaxed)
    }

    fn answered(&self, route: &str, status: StatusCode, took: Duration) {
        let mut routes = self.routes.lock();
        if !routes.contains_key(route) {
            routes.insert(route.to_owned(), Asked::default());
        }
        let Some(asked) = routes.get_mut(route) else { return };
        *asked.statuses.entry(status.as_u16()).or_default() += 1;
        asked.took.observe(took);
    }
}

/// Takes a request off those under way, however it ends: whoever asked may have gone meanwhile.
struct UnderWay<'a>(&'a Traffic);

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.0.under_way.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A span for Sillage's own telemetry; none for the probes, which are asked every few seconds.
fn span(method: &Method, route: &str) -> tracing::Span {
    if is_probe(route) {
        return tracing::Span::none();
    }
    tracing::info_span!(
        target: "span",
        "request",
        otel.name = format!("{method} {route}"),
        otel.kind = "server",
        otel.status_code = Empty,
        http.request.method = method.as_str(),
        http.route = route,
        http.response.status_code = Empty,
    )
}

/// Counts a request and times its answer; and makes a span of it, for whoever collects Sillage's own.
pub async fn count(State(state): State<AppState>, request: Request, next: Next) -> Response {
    let traffic = &state.traffic;
    let route = request.extensions().get::<MatchedPath>().map(|path| path.as_str());
    // What lies below `/api/v1` and leads nowhere has a name of axum's own.
    let route = route.filter(|route| !route.contains('*')).unwrap_or(NOWHERE).to_owned();
    let method = request.method().clone();
    let span = span(&method, &route);
    traffic.under_way.fetch_add(1, Ordering::Relaxed);
    let under_way = UnderWay(traffic);
    let began = Instant::now();
    let response = next.run(request).instrument(span.clone()).await;
    drop(under_way);
    let status = response.status();
    span.record("http.response.status_code", i64::from(status.as_u16()));
    if status.is_server_error() {
        span.record("otel.status_code", "ERROR");
    }
    traffic.answered(&route, status, began.elapsed());
    response
}

#[cfg(test)]
mod tests {
    use crate::given::{Console, empty};

    #[tokio::test]
    async fn each_answer_counts_under_its_route_and_made_up_addresses_under_one() {
        let console = Console::over(empty());
        for path in ["/flows", "/flows?q=x", "/no-such-page", "/api/v1/nowhere", "/evil/%7B", "/record/a/b/1@2"] {
            console.get(path).await;
        }
        let metrics = console.get("/metrics").await.body;
        for line in [
            "sillage_web_requests_total{route=\"/flows\",status=\"200\"} 2",
            "sillage_web_requests_total{route=\"/record/{source}/{channel}/{place}\",status=\"404\"} 1",
            "sillage_web_requests_total{route=\"other\",status=\"404\"} 3",
            "sillage_web_request_seconds_count{route=\"/flows\"} 2",
            "sillage_web_requests_under_way 1",
        ] {
            assert!(metrics.lines().any(|found| found == line), "{line} in {metrics}");
        }
    }
}
