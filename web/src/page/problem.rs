//! What went wrong, and where to go from there: a page for people, problem details for scripts.

use askama::Template;
use axum::extract::{FromRequestParts, Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use store::StoreError;
use tracing::error;

use crate::api;
use crate::door::Visitor;
use crate::href::Href;
use crate::page::{Frame, render};
use crate::state::AppState;

/// What went wrong, and where to go from there.
#[derive(Clone, Debug)]
pub struct Problem {
    status: StatusCode,
    title: String,
    says: String,
    ways_out: Vec<(String, Href)>,
}

impl Problem {
    /// With a status and what is wrong, in a few words.
    pub fn new(status: StatusCode, title: &str) -> Problem {
        Problem { status, title: title.to_owned(), says: String::new(), ways_out: Vec::new() }
    }

    /// Something that isn't there.
    pub fn not_found(says: &str) -> Problem {
        Problem::new(StatusCode::NOT_FOUND, "Nothing is known of this").because(says)
    }

    /// Says why, and what to do, in sentences.
    pub fn because(mut self, says: &str) -> Problem {
        says.clone_into(&mut self.says);
        self
    }

    /// What is wrong and why, in words.
    pub fn in_words(&self) -> String {
        if self.says.is_empty() { self.title.clone() } else { format!("{}: {}", self.title, self.says) }
    }

    /// Offers a way out.
    pub fn try_instead(mut self, label: &str, href: Href) -> Problem {
        self.ways_out.push((label.to_owned(), href));
        self
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Problem {
        error!(error = &error as &dyn std::error::Error, "the store could not answer a page");
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, "The store can't answer")
            .because(&format!("It says: {error}. The log of Sillage says more."))
    }
}

impl IntoResponse for Problem {
    /// As plain text; [`show`] makes of it what the asking one can read.
    fn into_response(self) -> Response {
        let mut response = (self.status, format!("{}\n{}\n", self.title, self.says)).into_response();
        response.extensions_mut().insert(self);
        response
    }
}

#[derive(Template)]
#[template(path = "page/problem.html")]
struct ProblemPage {
    frame: Frame,
    problem: Problem,
}

/// What whoever asked can read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Wants {
    /// A person with a browser: a page of the console.
    Page,
    /// A script: problem details (RFC 9457).
    Details,
    /// Who watches the probes, or loads a part of a page: a line of text.
    Text,
}

impl Wants {
    /// Told by the path, and by what the request accepts.
    pub fn of(path: &str, headers: &HeaderMap) -> Wants {
        let accepts = headers.get(header::ACCEPT).and_then(|accept| accept.to_str().ok()).unwrap_or_default();
        let is_part = is_probe(path) || path == "/live/rows" || path.starts_with("/assets/");
        match () {
            () if path.starts_with("/api/") => Wants::Details,
            () if accepts.contains("text/html") => Wants::Page,
            () if accepts.contains("json") => Wants::Details,
            () if is_part => Wants::Text,
            () => Wants::Page,
        }
    }
}

/// The probes say in their own words what is wrong.
pub fn is_probe(path: &str) -> bool {
    matches!(path, "/healthz" | "/readyz" | "/metrics")
}

/// Makes of every error, whoever refused, what the asking one can read.
pub async fn show(State(state): State<AppState>, request: Request, next: Next) -> Response {
    let wants = Wants::of(request.uri().path(), request.headers());
    let is_probe = is_probe(request.uri().path());
    let (parts, body) = request.into_parts();
    let mut asked = parts.clone();
    let response = next.run(Request::from_parts(parts, body)).await;
    let status = response.status();
    if wants == Wants::Text || !(status.is_client_error() || status.is_server_error()) {
        return response;
    }
    let problem = match response.extensions().get::<Problem>() {
        Some(problem) => problem.clone(),
        None if is_probe || is_told(&response) => return response,
        None => Problem::new(status, status.canonical_reason().unwrap_or("This did not work")),
    };
    let (mut parts, _) = response.into_parts();
    for name in [header::CONTENT_TYPE, header::CONTENT_LENGTH] {
        parts.headers.remove(name);
    }
    let told = if wants == Wants::Details {
        api::Problem::new(status, problem.in_words()).into_response()
    } else {
        // Who it is was found out by the guard, inside: nobody yet, where it refused before.
        if let Some(visitor) = parts.extensions.remove::<Visitor>() {
            asked.extensions.insert(visitor);
        }
        let Ok(frame) = Frame::from_request_parts(&mut asked, &state).await;
        render(&ProblemPage { frame, problem })
    };
    let (described, body) = told.into_parts();
    parts.headers.extend(described.headers);
    Response::from_parts(parts, body)
}

/// Whether an error is a page or problem details already.
fn is_told(response: &Response) -> bool {
    let content_type = response.headers().get(header::CONTENT_TYPE).map(HeaderValue::as_bytes).unwrap_or_default();
    content_type.starts_with(b"text/html") || content_type.starts_with(b"application/problem+json")
}

/// A page that doesn't take what was sent to it.
pub async fn wrong_method(frame: Frame) -> Problem {
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, "This page is only to be looked at")
        .because("Something was sent to it. Nothing was changed.")
        .try_instead("Overview", frame.links.overview())
}

/// An address that leads nowhere.
pub async fn nowhere(frame: Frame) -> Problem {
    Problem::new(StatusCode::NOT_FOUND, "There is no such page")
        .because("The address may be mistyped, or from another version of Sillage.")
        .try_instead("Overview", frame.links.overview())
        .try_instead("All flows", frame.links.flows())
}

#[cfg(test)]
mod tests {
    use axum::http::Request;

    use super::*;
    use crate::given::{Answer, Console, empty};

    const BROWSER: &str = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";

    /// What the guard refuses, each by another of its rules, as asked by somebody who accepts this.
    async fn refused(accepts: &str) -> Vec<(StatusCode, Answer)> {
        let asking = || Console::over(empty()).sending("accept", accepts);
        let locked = || Console::locked(empty()).sending("accept", accepts);
        let big = "x".repeat(70_000);
        let form: &[(&str, &str)] = &[("theme", "dark")];
        vec![
            (StatusCode::MISDIRECTED_REQUEST, asking().sending("host", "evil.example").get("/flows").await),
            (StatusCode::FORBIDDEN, asking().post("/theme", form).await),
            (StatusCode::FORBIDDEN, asking().sending("origin", "http://evil.example").post("/theme", form).await),
            (StatusCode::PAYLOAD_TOO_LARGE, asking().post("/theme", &[("theme", &big)]).await),
            (StatusCode::UNAUTHORIZED, locked().post("/logout", form).await),
            (
                StatusCode::FORBIDDEN,
                locked().sending("authorization", "Bearer view secret").post("/redrives", &[("id", "1")]).await,
            ),
            (StatusCode::METHOD_NOT_ALLOWED, asking().ask(Request::options("/flows"), String::new()).await),
        ]
    }

    #[tokio::test]
    async fn a_browser_that_is_refused_gets_a_page() {
        for (status, answer) in refused(BROWSER).await {
            assert_eq!(answer.status, status, "{}", answer.body);
            assert_eq!(answer.header("content-type"), "text/html; charset=utf-8", "{status}");
            assert!(answer.body.contains("<h1>") && answer.body.contains("sillage.css"), "{status}: {}", answer.body);
            answer.assert_binds_browsers();
            assert_eq!(answer.header("cache-control"), "no-store");
        }
    }

    #[tokio::test]
    async fn a_script_that_is_refused_gets_problem_details() {
        for (status, answer) in refused("application/json").await {
            assert_eq!(answer.status, status, "{}", answer.body);
            assert_eq!(answer.header("content-type"), "application/problem+json", "{status}");
            let details: serde_json::Value = serde_json::from_str(&answer.body).unwrap();
            assert_eq!(details["status"], status.as_u16());
            assert!(details["detail"].as_str().is_some_and(|detail| detail.len() > 10), "{details}");
        }
    }

    #[tokio::test]
    async fn a_refused_page_has_the_frame_of_whoever_asked() {
        let inside = Console::over(empty()).sending("accept", BROWSER).post("/theme", &[("theme", "dark")]).await;
        inside.shows("This form is out of date");
        assert!(inside.body.contains("aria-label=\"Pages\"") && inside.body.contains("aria-label=\"Theme\""));
        // Nobody yet: no way into pages that would be refused too, and no form that would be.
        let outside = Console::over(empty()).sending("accept", BROWSER).sending("host", "evil.example").get("/").await;
        outside.shows("Sillage is not known by this name");
        assert!(!outside.body.contains("aria-label=\"Pages\"") && !outside.body.contains("<form"), "{}", outside.body);
        let ended = Console::locked(empty()).sending("accept", BROWSER).post("/logout", &[]).await;
        ended.shows("Your login has ended");
        assert!(ended.body.contains("href=\"/login\""), "{}", ended.body);
    }

    #[tokio::test]
    async fn the_api_and_the_probes_answer_in_their_own_way_whatever_is_accepted() {
        let elsewhere = || Console::over(empty()).sending("host", "evil.example");
        let api = elsewhere().sending("accept", BROWSER).get("/api/v1/status").await;
        assert_eq!(api.header("content-type"), "application/problem+json");
        assert!(elsewhere().get("/metrics").await.header("content-type").starts_with("text/plain"));
        let not_ready = Console::over(empty()).sending("accept", BROWSER).get("/readyz").await;
        assert!(!not_ready.body.contains("<h1>"), "{}", not_ready.body);
    }
}
