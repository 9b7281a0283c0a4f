//! JSON made beside the runtime, and how much of it there may be.

use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use store::Entry;

use super::problem::Problem;
use axum::http::StatusCode;

/// How many entries one answer holds at most: what [`store::engine::PAGE_MAX`] allows.
pub const ENTRIES_MAX: usize = store::engine::PAGE_MAX;

/// How much of entries one answer holds at most, in bytes as they are kept; then a `next` follows. Bounds memory when every body is long:
/// a thousand bodies of 64 KiB would be 64 MiB.
pub const ANSWER_BYTES_MAX: usize = 8 << 20;

/// How much of one body or attribute value is shown, in bytes; `truncated` says that there is more.
pub const VALUE_BYTES_MAX: usize = 64 << 10;

/// An answer of so few entries is made where it is asked for: the wake-up of another thread would take longer.
const BRIEF_ENTRIES_MAX: usize = 32;

/// Answers with JSON about so many entries. A long one takes milliseconds, and so is made on a thread that may block.
pub async fn json(
    n_entries: usize,
    make: impl FnOnce() -> serde_json::Result<Vec<u8>> + Send + 'static,
) -> Result<Response, Problem> {
    let made = if n_entries <= BRIEF_ENTRIES_MAX { Ok(make()) } else { tokio::task::spawn_blocking(make).await };
    let Ok(Ok(body)) = made else {
        tracing::error!(?made, "an answer of the API could not be written");
        return Err(Problem::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "the answer could not be written; the log says more",
        ));
    };
    let mut response = body.into_response();
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    Ok(response)
}

/// How many of the first entries fit into an answer: at least one, so that every page moves on.
pub fn fitting<'a>(entries: impl Iterator<Item = &'a Entry>) -> usize {
    let mut bytes = 0;
    let mut n_fitting = 0;
    for entry in entries.take(ENTRIES_MAX) {
        bytes += weight(entry);
        if n_fitting > 0 && bytes > ANSWER_BYTES_MAX {
            break;
        }
        n_fitting += 1;
    }
    n_fitting
}

/// About how many bytes an entry takes in an answer: only what can be long counts.
fn weight(entry: &Entry) -> usize {
    const USUAL: usize = 512;
    let of_attributes = |attributes: &[(store::value::Text, store::Value)]| -> usize {
        attributes.iter().map(|(name, value)| name.len() + weight_of_value(value)).sum()
    };
    USUAL
        + match entry {
            Entry::Record(record) => {
                let headers: usize =
                    record.headers.iter().map(|header| header.value.as_ref().map_or(0, |value| value.len())).sum();
                headers + record.readable_body().map_or(0, |body| body.len().min(VALUE_BYTES_MAX))
            }
            Entry::Span(span) => {
                let events: usize = span.events.iter().map(|event| of_attributes(&event.attributes)).sum();
                let links: usize = span.links.iter().map(|link| 64 + of_attributes(&link.attributes)).sum();
                of_attributes(&span.attributes) + of_attributes(&span.resource.attributes) + events + links
            }
            Entry::Log(log) => {
                weight_of_value(&log.body) + of_attributes(&log.attributes) + of_attributes(&log.resource.attributes)
            }
        }
}

fn weight_of_value(value: &store::Value) -> usize {
    use store::Value;
    match value {
        Value::Empty | Value::Bool(_) | Value::Int(_) | Value::Double(_) => 8,
        Value::Text(text) => text.len().min(VALUE_BYTES_MAX),
        Value::Bytes(bytes) => (bytes.len() * 2).min(VALUE_BYTES_MAX),
        Value::List(values) => values.iter().map(weight_of_value).sum(),
        Value::Map(fields) => fields.iter().map(|(name, value)| name.len() + weight_of_value(value)).sum(),
    }
}
