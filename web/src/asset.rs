//! The one CSS file, the one JS file and the icon, as `build.rs` put them together, served under their version.

use axum::extract::Path;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};

use crate::page::Problem;

/// A hash of all assets: they change address when they change, so browsers may keep them for ever.
pub const VERSION: &str = env!("SILLAGE_ASSETS");

// `Files`, in every build inside the program: it needs no folder beside it.
include!(concat!(env!("OUT_DIR"), "/files.rs"));

/// `/assets/{version}/{name}`. A version that isn't ours is answered with what we have, but not to be kept: an old page then
/// still gets a style while it is open across an update.
pub async fn show(Path((version, name)): Path<(String, String)>, headers: HeaderMap) -> Response {
    let content_type = match name.rsplit_once('.') {
        Some((_, "css")) => "text/css; charset=utf-8",
        Some((_, "js")) => "text/javascript; charset=utf-8",
        Some((_, "svg")) => "image/svg+xml",
        _ => "application/octet-stream",
    };
    let Some(file) = Files::get(&name) else {
        return Problem::not_found("There is no such file.").into_response();
    };
    let cache = if version == VERSION { "public, max-age=31536000, immutable" } else { "no-cache" };
    let etag = format!("\"{}\"", hex::encode(&file.metadata.sha256_hash()[..16]));
    let kept_already = headers.get(header::IF_NONE_MATCH).is_some_and(|held| held.as_bytes() == etag.as_bytes());
    let described = [(header::CACHE_CONTROL, cache.to_owned()), (header::ETAG, etag)];
    if kept_already {
        (StatusCode::NOT_MODIFIED, described).into_response()
    } else {
        (described, [(header::CONTENT_TYPE, content_type)], file.data).into_response()
    }
}

/// `/favicon.ico` and `/icon.svg`, which browsers and people ask for without a version.
pub async fn icon(headers: HeaderMap) -> Response {
    show(Path(("icon".to_owned(), "icon.svg".to_owned())), headers).await
}
