//! The login form: a secret of `[[access]]` begins a session.

use askama::Template;
use axum::Form;
use axum::extract::{Extension, Query, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use serde::Deserialize;

use crate::door::{LoginRefused, SESSION_COOKIE, ShownBy, Visitor};
use crate::page::{Frame, render};
use crate::state::AppState;

#[derive(Deserialize)]
pub struct Params {
    next: Option<String>,
}

#[derive(Deserialize)]
pub struct Login {
    #[serde(default)]
    secret: String,
    next: Option<String>,
}

#[derive(Template)]
#[template(path = "page/login.html")]
struct LoginPage {
    frame: Frame,
    next: String,
    refused: Option<&'static str>,
}

/// `GET /login`.
pub async fn show(State(state): State<AppState>, frame: Frame, Query(params): Query<Params>) -> Response {
    let next = state.links.back_to(params.next.as_deref());
    if !state.door.is_locked() {
        return Redirect::to(next.as_str()).into_response();
    }
    render(&LoginPage { frame, next: next.to_string(), refused: None })
}

/// `POST /login`.
pub async fn log_in(State(state): State<AppState>, frame: Frame, Form(login): Form<Login>) -> Response {
    let next = state.links.back_to(login.next.as_deref());
    match state.door.log_in(login.secret.trim()) {
        Ok(id) => {
            let cookie = session_cookie(&state, &id, "");
            ([(header::SET_COOKIE, cookie)], Redirect::to(next.as_str())).into_response()
        }
        Err(refused) => {
            tokio::time::sleep(state.door.hold_back()).await;
            let (status, says) = match refused {
                LoginRefused::Wrong => (StatusCode::UNAUTHORIZED, "Nobody in [[access]] has this secret."),
                LoginRefused::TooManyTries => (
                    StatusCode::TOO_MANY_REQUESTS,
                    "Nobody has this secret, and many were tried. Answers are slowed down for a minute.",
                ),
            };
            (status, render(&LoginPage { frame, next: next.to_string(), refused: Some(says) })).into_response()
        }
    }
}

/// `POST /logout`.
pub async fn log_out(State(state): State<AppState>, visitor: Option<Extension<Visitor>>) -> Response {
    if let Some(Extension(Visitor { by: ShownBy::Cookie(id), .. })) = visitor {
        state.door.log_out(&id);
    }
    let cookie = session_cookie(&state, "", "; Max-Age=0");
    ([(header::SET_COOKIE, cookie)], Redirect::to(state.links.login().as_str())).into_response()
}

/// Not for scripts, not sent along by other sites' forms, and over TLS only where the public address is so.
fn session_cookie(state: &AppState, id: &str, more: &str) -> String {
    let secure = if state.door.public_url.as_ref().is_some_and(|url| url.scheme == "https") { "; Secure" } else { "" };
    format!("{SESSION_COOKIE}={id}; Path={}/; HttpOnly; SameSite=Lax{secure}{more}", state.links.prefix())
}
