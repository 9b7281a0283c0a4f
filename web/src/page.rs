//! What all pages have: the frame around them, how they are rendered, and what is shown where something went wrong.
//!
//! A page is a file: its `Params` (from the address), its template struct, its handler, its tests.

pub mod overview; // is anything wrong right now, and where do I click?

pub mod flows; // the flows that a query finds
pub mod forget; // forgets entries, for good

pub mod search; // straight to what a word names

pub mod flow; // what happened to this order, event, trace?

pub mod dead_letters; // what died, why, and what was decided of it?

pub mod redrive; // what would sending dead letters back do, and what did it?

pub mod retries; // who retries, how often, why, does it help?

pub mod alerts; // what fires, what fired, and which rules there are?

pub mod live; // what is going through right now?

pub mod entries; // one entry as a row

pub mod head; // the head of a column that rows can be sorted by

pub mod topics; // what is in the topics, who writes them, who reads them, how fast?

pub mod topic; // what is in one topic?

pub mod groups; // who is behind, and by how much?

pub mod group; // on what does one group wait, and who should read it?

pub mod deliveries; // what were webhooks told, and did it arrive?

pub mod status; // is Sillage itself well?

pub mod help; // what the keys do, and how to ask

pub mod login; // the login form

pub mod theme; // light or dark

pub mod problem; // what went wrong, and where to go from there

use std::convert::Infallible;

use askama::Template;
use axum::extract::FromRequestParts;
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::response::{Html, IntoResponse, Response};
use tracing::error;

pub use self::problem::Problem;
use crate::door::Visitor;
use crate::guard::cookie;
use crate::href::Links;
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
    /// How many alerts fire that nobody has silenced: the browser's title and icon say so.
    pub firing: usize,
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
            "/dead-letters" => below("/dead-letters") || below("/redrive"),
            "/groups" => below("/groups") || below("/group"),
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
            firing: if visitor.is_some() { state.board.alerts().firing() } else { 0 },
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
