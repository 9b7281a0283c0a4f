//! What all pages have: the frame around them, how they are rendered, and what is shown where something went wrong.
//!
//! A page is a file: its `Params` (from the address), its template struct, its handler, its tests.

pub mod overview; // is anything wrong right now, and where do I click?

pub mod flows; // the flows that a query finds

pub mod search; // straight to what a word names

pub mod flow; // what happened to this order, event, trace?

pub mod live; // what is going through right now?

pub mod entries; // one entry as a row

pub mod topics; // what is in the topics, who writes them, who reads them, how fast?

pub mod topic; // what is in one topic?

pub mod status; // is Sillage itself well?

pub mod help; // what the keys do, and how to ask

pub mod login; // the login form

pub mod theme; // light or dark

use std::convert::Infallible;

use askama::Template;
use axum::extract::{FromRequestParts, Request, State};
use axum::http::request::Parts;
use axum::http::{StatusCode, header};
use axum::middleware::Next;
use axum::response::{Html, IntoResponse, Response};
use store::StoreError;
use tracing::error;

use crate::door::Visitor;
use crate::guard::cookie;
use crate::href::{Href, Links};
use crate::state::AppState;
use crate::wording;

/// What the base template needs, beside the page itself.
#[derive(Clone)]
pub struct Frame {
    /// Writes our addresses.
    pub links: Links,
    /// `light`, `dark`, or empty for what the system says.
    pub theme: &'static str,
    /// The path that was asked for, below the prefix: the nav marks where one is.
    pub path: String,
    /// Path and query that were asked for, to come back to.
    pub here: String,
    /// What stands in the search box.
    pub search: String,
    /// The token for this page's forms.
    pub token: String,
    /// Who is logged in, where people have to.
    pub name: Option<String>,
    /// Whether nobody is in yet, so that only the login shows.
    pub outside: bool,
}

/// The version of this program.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

impl Frame {
    /// Whether a page, or one below it, is the one shown: `page` for the nav's mark, else empty.
    pub fn is_at(&self, path: &str) -> bool {
        let below = |path: &str| self.path == path || self.path.starts_with(&format!("{path}/"));
        match path {
            "/" => self.path == "/",
            "/flows" => ["/flows", "/flow", "/trace", "/event", "/record"].into_iter().any(below),
            "/topics" => below("/topics") || below("/topic"),
            _ => below(path),
        }
    }
}

impl FromRequestParts<AppState> for Frame {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Frame, Infallible> {
        let visitor = parts.extensions.get::<Visitor>();
        let query = parts.uri.query().unwrap_or_default();
        let path = parts.uri.path().to_owned();
        let here = format!("{}{path}{}{query}", state.links.prefix(), if query.is_empty() { "" } else { "?" });
        let search = match path.as_str() {
            "/flows" | "/search" | "/live" => form_value(query, "q"),
            _ => String::new(),
        };
        Ok(Frame {
            links: state.links.clone(),
            theme: theme::chosen(cookie(&parts.headers, theme::COOKIE)),
            path,
            here,
            search,
            token: state.door.form_token(visitor),
            name: visitor.and_then(|visitor| visitor.name.clone()),
            outside: visitor.is_none(),
        })
    }
}

fn form_value(query: &str, name: &str) -> String {
    let value = query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='));
    let spaced = value.unwrap_or_default().replace('+', " ");
    percent_encoding::percent_decode_str(&spaced).decode_utf8_lossy().into_owned()
}

/// Renders a page. Control characters and marks that turn the direction of writing come from payloads only, and could make
/// one thing look like another: they are made visible, wherever they stand.
pub fn render(page: &impl Template) -> Response {
    match page.render() {
        Ok(html) => Html(wording::visible(&html)).into_response(),
        Err(error) => {
            error!(error = &error as &dyn std::error::Error, "a page could not be rendered");
            Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "This page could not be shown").into_response()
        }
    }
}

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
    /// As plain text; [`show_problems`] makes a page of it where one was asked for.
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

/// Makes a page of every error that isn't one yet.
pub async fn show_problems(State(state): State<AppState>, request: Request, next: Next) -> Response {
    let (mut parts, body) = request.into_parts();
    let path = parts.uri.path();
    let is_page = !path.starts_with("/api/") && !matches!(path, "/healthz" | "/readyz" | "/metrics");
    let Ok(frame) = Frame::from_request_parts(&mut parts, &state).await;
    let response = next.run(Request::from_parts(parts, body)).await;
    let status = response.status();
    if !is_page || !(status.is_client_error() || status.is_server_error()) {
        return response;
    }
    let problem = match response.extensions().get::<Problem>() {
        Some(problem) => problem.clone(),
        None if is_html(&response) => return response,
        None => Problem::new(status, status.canonical_reason().unwrap_or("This did not work")),
    };
    let (mut parts, _) = response.into_parts();
    for name in [header::CONTENT_TYPE, header::CONTENT_LENGTH] {
        parts.headers.remove(name);
    }
    (parts, render(&ProblemPage { frame, problem })).into_response()
}

fn is_html(response: &Response) -> bool {
    response.headers().get(header::CONTENT_TYPE).is_some_and(|value| value.as_bytes().starts_with(b"text/html"))
}

/// An address that leads nowhere.
pub async fn nowhere(frame: Frame) -> Problem {
    Problem::new(StatusCode::NOT_FOUND, "There is no such page")
        .because("The address may be mistyped, or from another version of Sillage.")
        .try_instead("Overview", frame.links.overview())
        .try_instead("All flows", frame.links.flows())
}
