//! What went wrong, as problem details (RFC 9457).

use std::time::Duration;

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde::de::DeserializeOwned;
use store::StoreError;
use store::query::QueryError;
use tracing::error;

/// What an order's body says, in JSON; 400 with the mistake's place where it can't be read.
pub fn read_body<T: DeserializeOwned>(body: &[u8]) -> Result<T, Problem> {
    serde_json::from_slice(body).map_err(|error| Problem::unreadable(format!("the body can't be read: {error}")))
}

/// What went wrong.
#[derive(Clone, PartialEq, Debug)]
pub struct Problem {
    status: StatusCode,
    detail: String,
    at: Option<usize>,
    retry_after: Option<Duration>,
}

impl Problem {
    /// With a status, and what is wrong and what to do in a sentence.
    pub fn new(status: StatusCode, detail: impl Into<String>) -> Problem {
        Problem { status, detail: detail.into(), at: None, retry_after: None }
    }

    /// Something that isn't there.
    pub fn not_found(detail: impl Into<String>) -> Problem {
        Problem::new(StatusCode::NOT_FOUND, detail)
    }

    /// Something that can't be read.
    pub fn unreadable(detail: impl Into<String>) -> Problem {
        Problem::new(StatusCode::BAD_REQUEST, detail)
    }

    /// To be tried again after a while.
    pub fn later(detail: impl Into<String>, retry_after: Duration) -> Problem {
        Problem { retry_after: Some(retry_after), ..Problem::new(StatusCode::SERVICE_UNAVAILABLE, detail) }
    }
}

impl From<QueryError> for Problem {
    /// With the place of the error, in bytes from the start of the query.
    fn from(error: QueryError) -> Problem {
        Problem { at: Some(error.at), ..Problem::unreadable(error.message) }
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Problem {
        error!(error = &error as &dyn std::error::Error, "the store could not answer the API");
        let retry_after = match &error {
            StoreError::Refused { retry_after, .. } => *retry_after,
            _ => Duration::from_secs(1),
        };
        Problem::later(error.to_string(), retry_after)
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Details<'a> {
    r#type: &'static str,
    title: &'a str,
    status: u16,
    detail: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    at: Option<usize>,
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let details = Details {
            r#type: "about:blank",
            title: self.status.canonical_reason().unwrap_or("Problem"),
            status: self.status.as_u16(),
            detail: &self.detail,
            at: self.at,
        };
        let body = serde_json::to_vec(&details).expect("text and numbers always serialize");
        let mut response = (self.status, body).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if let Some(retry_after) = self.retry_after {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(retry_after.as_secs().max(1)));
        }
        response
    }
}

/// An address of the API that leads nowhere.
pub async fn nowhere() -> Problem {
    Problem::not_found("there is no such address in this version of the API")
}

/// A method that isn't taken.
pub async fn only_get() -> Response {
    let problem = Problem::new(StatusCode::METHOD_NOT_ALLOWED, "this address only takes GET");
    let mut response = problem.into_response();
    response.headers_mut().insert(header::ALLOW, HeaderValue::from_static("GET, HEAD"));
    response
}
