//! What an address asks: its parameters, and the names in its path. What can't be read is a problem with a reason.

use axum::extract::{FromRequestParts, Path, Query};
use axum::http::request::Parts;
use serde::de::DeserializeOwned;
use store::Timestamp;

use super::problem::Problem;
use crate::href::segment;
use crate::state::AppState;

/// The parameters behind the `?`.
pub struct Params<T>(pub T);

impl<T: DeserializeOwned> FromRequestParts<AppState> for Params<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &AppState) -> Result<Params<T>, Problem> {
        match Query::try_from_uri(&parts.uri) {
            Ok(Query(params)) => Ok(Params(params)),
            Err(rejection) => Err(Problem::unreadable(format!("a parameter can't be read: {}", source(&rejection)))),
        }
    }
}

/// The names in the path, in order, decoded.
pub struct Names<const N: usize>(pub [String; N]);

impl<const N: usize> FromRequestParts<AppState> for Names<N> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Names<N>, Problem> {
        let path = Path::<Vec<(String, String)>>::from_request_parts(parts, state).await;
        let Path(names) = path.map_err(|rejection| Problem::unreadable(rejection.body_text()))?;
        let names: Vec<String> = names.iter().map(|(_, name)| segment(name).to_owned()).collect();
        Ok(Names(names.try_into().expect("each route has as many names as its handler takes")))
    }
}

/// The innermost cause: what it wraps only repeats where it happened.
fn source(error: &(dyn std::error::Error + 'static)) -> String {
    match error.source() {
        Some(inner) => source(inner),
        None => error.to_string(),
    }
}

/// A point in time as parameters have it: RFC 3339, or so long ago, such as `-15m`.
pub fn instant(name: &str, text: &str, now: Timestamp) -> Result<Timestamp, Problem> {
    let ago = text.strip_prefix('-').and_then(store::query::duration);
    // A `+` that was not encoded arrives as a space.
    let at = ago.map(|ago| now.minus(ago)).or_else(|| Timestamp::from_rfc3339(&text.replace(' ', "+")));
    at.ok_or_else(|| {
        Problem::unreadable(format!(
            "`{name}` is no time: write it as 2026-11-23T14:02:11Z, or as -15m for so long ago"
        ))
    })
}

/// A page's length, 1 to `most`.
pub fn limit(asked: Option<usize>, usual: usize, most: usize) -> usize {
    asked.unwrap_or(usual).clamp(1, most)
}
