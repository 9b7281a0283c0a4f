//! The headers that bind browsers: what a page of ours may load, and who may frame or read it.

use axum::extract::Request;
use axum::http::{HeaderName, HeaderValue, header};
use axum::middleware::Next;
use axum::response::Response;

/// Nothing but our own files runs, no script or style stands in a page, and nobody frames us. A payload that got through
/// unescaped would still not run.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; \
     connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

const HEADERS: [(HeaderName, &str); 6] = [
    (header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY),
    // A payload is never taken for something else than we say it is.
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    // Our addresses hold trace ids and keys: no other site is told them.
    (header::REFERRER_POLICY, "no-referrer"),
    // No other window reaches into ours, and no other site loads what we answer.
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    (HeaderName::from_static("permissions-policy"), "camera=(), geolocation=(), microphone=()"),
];

/// Puts the headers on every answer, errors too. Pages are not kept by caches, unless an answer says otherwise.
pub async fn bind_browsers(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    for (name, value) in HEADERS {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}
