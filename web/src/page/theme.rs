//! Light or dark: a form that sets a cookie, so that the first paint is right and no script is needed.

use axum::Form;
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Redirect, Response};
use serde::Deserialize;

use crate::state::AppState;

/// The cookie that keeps the choice.
pub const COOKIE: &str = "sillage_theme";

/// How long a choice is kept: a year, in seconds.
const KEPT_S: u32 = 31_536_000;

#[derive(Deserialize)]
pub struct Choice {
    #[serde(default)]
    theme: String,
    next: Option<String>,
}

/// What a cookie's value stands for: `light`, `dark`, or empty for what the system says.
pub fn chosen(cookie: Option<&str>) -> &'static str {
    match cookie {
        Some("light") => "light",
        Some("dark") => "dark",
        _ => "",
    }
}

/// `POST /theme`.
pub async fn choose(State(state): State<AppState>, Form(choice): Form<Choice>) -> Response {
    let theme = chosen(Some(&choice.theme));
    let kept = if theme.is_empty() { 0 } else { KEPT_S };
    let cookie = format!("{COOKIE}={theme}; Path={}/; Max-Age={kept}; SameSite=Lax", state.links.prefix());
    let next = state.links.back_to(choice.next.as_deref());
    ([(header::SET_COOKIE, cookie)], Redirect::to(next.as_str())).into_response()
}
