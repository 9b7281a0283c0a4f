//! What every request passes first, from the outside in: security headers, the Host check, who it is, and what may change things.
//!
//! Denied by default: what needs no login is named in [`is_open`], what a viewer may post in [`role_needed`].

mod policy; // the headers that bind browsers
mod sender; // which hosts and origins a request may come for and from

use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Redirect, Response};
use store::redrive::edit::EDIT_BYTES_MAX;

pub use self::policy::bind_browsers;
use crate::config::Role;
use crate::door::{SESSION_COOKIE, ShownBy, Visitor};
use crate::page::Problem;
use crate::page::problem::Wants;
use crate::state::AppState;

/// The largest body of a request to the console: forms and small JSON; events come in elsewhere.
const BODY_BYTES_MAX: usize = 64 * 1024;

/// The same where somebody sends a message that they edited: each byte may be three in a form, and room for the rest of it.
const EDITED_BODY_BYTES_MAX: usize = 3 * EDIT_BYTES_MAX + BODY_BYTES_MAX;

/// The field of every form that shows that the form is ours.
pub const TOKEN_FIELD: &str = "token";

/// Lets a request in, or says why not.
pub async fn check(State(state): State<AppState>, mut request: Request, next: Next) -> Response {
    if let Err(problem) = sender::check_host(&state.door, request.headers()) {
        return problem.into_response();
    }
    let path = request.uri().path();
    let visitor = state.door.visitor(cookie(request.headers(), SESSION_COOKIE), bearer(request.headers()));
    let Some(visitor) = visitor else {
        if is_open(path) {
            return match posted(&state, None, request).await {
                Ok(request) => next.run(request).await,
                Err(problem) => problem.into_response(),
            };
        }
        if request.headers().contains_key(header::AUTHORIZATION) {
            tokio::time::sleep(state.door.hold_back()).await;
        }
        return ask_to_log_in(&state, &request);
    };
    let mut response = if visitor.role < role_needed(request.method(), path) {
        Problem::new(StatusCode::FORBIDDEN, "This needs the role operate")
            .because("You are logged in as somebody who may look, but not change anything.")
            .try_instead("Log in as somebody else", state.links.login())
            .into_response()
    } else {
        request.extensions_mut().insert(visitor.clone());
        match posted(&state, Some(&visitor), request).await {
            Ok(request) => next.run(request).await,
            Err(problem) => problem.into_response(),
        }
    };
    // A page that tells of an error shows its reader the same frame as any other.
    response.extensions_mut().insert(visitor);
    response
}

/// What needs no login: the login itself, what a login page is made of, and the probes of those who run us.
fn is_open(path: &str) -> bool {
    matches!(path, "/login" | "/theme" | "/healthz" | "/readyz" | "/favicon.ico" | "/icon.svg")
        || path.starts_with("/assets/")
}

/// What a request needs its sender to be.
fn role_needed(method: &Method, path: &str) -> Role {
    let only_looks = matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS);
    if only_looks || matches!(path, "/login" | "/logout" | "/theme") { Role::View } else { Role::Operate }
}

/// Checks where a request that changes things comes from, and that it carries our token. Hands it back whole.
async fn posted(state: &AppState, visitor: Option<&Visitor>, request: Request) -> Result<Request, Problem> {
    if matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS) {
        return Ok(request);
    }
    sender::check_origin(&state.door, request.headers())?;
    let (parts, body) = request.into_parts();
    let bytes_max = match parts.uri.path() {
        "/redrive" | "/api/v1/redrives" => EDITED_BODY_BYTES_MAX,
        _ => BODY_BYTES_MAX,
    };
    let body: Bytes = to_bytes(body, bytes_max).await.map_err(|_| {
        let says = format!("It takes at most {} KiB here. Events go to the OTLP port.", bytes_max / 1024);
        Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "That is too much").because(&says)
    })?;
    // Nobody's browser sends a bearer token by itself, so nobody can be tricked into it.
    if visitor.is_none_or(|visitor| visitor.by != ShownBy::Token) {
        let sent = form_field(&body, TOKEN_FIELD)
            .or_else(|| Some(parts.headers.get("x-sillage-token")?.to_str().ok()?.to_owned()));
        if !sent.is_some_and(|token| state.door.is_form_token(visitor, &token)) {
            return Err(Problem::new(StatusCode::FORBIDDEN, "This form is out of date")
                .because("It was made before Sillage was started again, or for another login. Nothing was changed.")
                .try_instead("Load the page again", state.links.overview()));
        }
    }
    Ok(Request::from_parts(parts, Body::from(body)))
}

fn ask_to_log_in(state: &AppState, request: &Request) -> Response {
    let path = request.uri().path();
    let is_person = Wants::of(path, request.headers()) == Wants::Page;
    if *request.method() == Method::GET && is_person {
        let asked = request.uri().path_and_query().map_or("/", |asked| asked.as_str());
        let next = format!("{}{asked}", state.links.prefix());
        return Redirect::to(state.links.login().with("next", &next).as_str()).into_response();
    }
    let problem = Problem::new(StatusCode::UNAUTHORIZED, "Log in first");
    let problem = if is_person {
        problem.because("Your login has ended. Nothing was changed.").try_instead("Log in", state.links.login())
    } else {
        problem.because("Send a secret of `[[access]]` as `Authorization: Bearer …`.")
    };
    let mut response = problem.into_response();
    response.headers_mut().insert(header::WWW_AUTHENTICATE, header::HeaderValue::from_static("Bearer"));
    response
}

/// The value of a cookie, by its name.
pub fn cookie<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|line| line.to_str().ok())
        .flat_map(|line| line.split(';'))
        .find_map(|pair| pair.trim().strip_prefix(name)?.strip_prefix('='))
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then_some(token.trim())
}

fn form_field(body: &[u8], name: &str) -> Option<String> {
    std::str::from_utf8(body).ok()?.split('&').find_map(|pair| {
        let value = pair.strip_prefix(name)?.strip_prefix('=')?;
        Some(percent_encoding::percent_decode_str(value).decode_utf8().ok()?.into_owned())
    })
}
