//! What the keys do, and how to ask: the query language on one page.

use askama::Template;
use axum::response::Response;

use crate::page::{Frame, render};

/// Questions, each with what it finds.
pub const EXAMPLES: &[(&str, &str)] = &[
    ("order-48213", "this word anywhere: key, body, headers, attributes, ids"),
    ("key:order-48213", "records with exactly this key"),
    ("type:OrderPlaced", "events of a type"),
    ("topic:order.*", "records on topics whose name begins so"),
    ("service:billing status:failed", "spans of a service that failed; `status:error` asks the same"),
    ("status:dead", "what was set aside"),
    ("status:waiting topic:order.*", "records that some consumer group has yet to read"),
    ("status:retried -service:billing", "what was tried again, but not by billing"),
    ("duration:>500ms", "spans that took longer"),
    ("age:<5m", "what is younger than five minutes"),
    ("body.total:>100", "records with a number in their JSON body"),
    ("header.tenant:acme OR attr.tenant:acme", "a header, or an attribute"),
    ("\"payment gateway\"", "words in this order"),
    ("flow:(status:dead) type:OrderPlaced", "orders in whose flow something was set aside"),
    (
        "finding:duplicate",
        "flows in which an event was published twice; also reaction (none came in its declared time), partitions, order, undecodable, clock, or * for any",
    ),
];

/// Keys, each with what it does.
pub const KEYS: &[(&str, &str)] = &[
    ("/", "search"),
    ("?", "this page"),
    ("g o", "overview"),
    ("g f", "flows"),
    ("g l", "live"),
    ("g t", "topics"),
    ("g r", "retries"),
    ("g d", "dead letters"),
    ("g a", "alerts"),
    ("g s", "status"),
    ("j k", "along the rows, down and up"),
    ("Esc", "out of the search box"),
];

#[derive(Template)]
#[template(path = "page/help.html")]
struct Help {
    frame: Frame,
}

/// `GET /help`.
pub async fn show(frame: Frame) -> Response {
    render(&Help { frame })
}
