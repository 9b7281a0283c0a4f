//! The one CSS file, the one JS file and the icon, as `build.rs` put them together, served under their version.

use axum::extract::Path;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};

use crate::page::Problem;

/// A hash of all assets: they change address when they change, so browsers may keep them for ever.
pub const VERSION: &str = env!("SILLAGE_ASSETS");

const CSS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/sillage.css"));
const JS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/sillage.js"));
const ICON: &[u8] = include_bytes!("../../assets/icon.svg");

/// `/assets/{version}/{name}`. A version that isn't ours is answered with what we have, but not to be kept: an old page then
/// still gets a style while it is open across an update.
pub async fn show(Path((version, name)): Path<(String, String)>, headers: HeaderMap) -> Response {
    let (content_type, bytes) = match name.as_str() {
        "sillage.css" => ("text/css; charset=utf-8", CSS),
        "sillage.js" => ("text/javascript; charset=utf-8", JS),
        "icon.svg" => ("image/svg+xml", ICON),
        _ => return Problem::not_found("There is no such file.").into_response(),
    };
    let cache = if version == VERSION { "public, max-age=31536000, immutable" } else { "no-cache" };
    let etag = format!("\"{VERSION}\"");
    let kept_already = headers.get(header::IF_NONE_MATCH).is_some_and(|held| held.as_bytes() == etag.as_bytes());
    let described = [(header::CACHE_CONTROL, cache.to_owned()), (header::ETAG, etag)];
    if kept_already {
        (StatusCode::NOT_MODIFIED, described).into_response()
    } else {
        (described, [(header::CONTENT_TYPE, content_type)], bytes).into_response()
    }
}

/// `/favicon.ico` and `/icon.svg`, which browsers and people ask for without a version.
pub async fn icon(headers: HeaderMap) -> Response {
    show(Path(("icon".to_owned(), "icon.svg".to_owned())), headers).await
}
