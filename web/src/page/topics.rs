//! What is in the topics, who writes them, who reads them, how fast?

use std::time::Duration;

use askama::Template;
use axum::extract::{Query, State};
use axum::response::Response;
use serde::Deserialize;
use store::Timestamp;
use store::topics::{self, Topic};

use crate::href::Href;
use crate::page::{Frame, Problem, render};
use crate::state::AppState;
use crate::wording;

/// How far back rates and who reads and writes are told from.
pub const WINDOW: Duration = Duration::from_secs(15 * 60);

/// How many topics one page shows; a filter finds the others.
const ROWS_MAX: usize = 500;

/// What the address asks for.
#[derive(Deserialize)]
pub struct Params {
    /// Only topics whose name holds this.
    #[serde(default)]
    name: String,
}

#[derive(Template)]
#[template(path = "page/topics.html")]
struct Topics {
    frame: Frame,
    name: String,
    rows: Vec<Row>,
    left_out: usize,
    at_least: bool,
}

/// One topic, as it is shown.
struct Row {
    topic: String,
    href: Option<Href>,
    source: String,
    partitions: String,
    held: String,
    seen: String,
    rate: String,
    writers: String,
    readers: String,
}

/// `GET /topics`.
pub async fn show(
    State(state): State<AppState>,
    Query(params): Query<Params>,
    frame: Frame,
) -> Result<Response, Problem> {
    let found = topics::list(&*state.store, &state.board, WINDOW, Timestamp::now()).await?;
    let wanted = params.name.to_lowercase();
    let mut rows: Vec<Row> = found
        .topics
        .into_iter()
        .filter(|topic| topic.topic.to_lowercase().contains(&wanted))
        .map(|topic| row(topic, &frame))
        .collect();
    let left_out = rows.len().saturating_sub(ROWS_MAX);
    rows.truncate(ROWS_MAX);
    Ok(render(&Topics { frame, name: params.name, rows, left_out, at_least: found.at_least }))
}

fn row(topic: Topic, frame: &Frame) -> Row {
    Row {
        href: topic.source.as_ref().map(|source| frame.links.topic(source.as_str(), &topic.topic)),
        source: topic.source.map_or_else(|| "not watched".to_owned(), |source| source.to_string()),
        partitions: topic.partitions.map_or_else(|| "–".to_owned(), |many| wording::count(u64::from(many))),
        held: topic.records.map_or_else(|| "–".to_owned(), wording::count),
        seen: wording::count(topic.seen),
        rate: wording::rate(topic.seen, if topic.rate > 0.0 { topic.seen as f64 / topic.rate } else { 1.0 }),
        writers: topic.writers.join(", "),
        readers: topic.readers.join(", "),
        topic: topic.topic,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use store::memory::Memory;
    use store::{Checkpoint, Store, fixture};

    use crate::given::{Console, empty};

    #[tokio::test]
    async fn each_topic_says_who_writes_and_who_reads_it() {
        let store = Memory::new();
        let now = store::Timestamp::now().nanos_since(fixture::START) as f64 / 1e9;
        let entries = vec![
            fixture::record("orders <b>", 0, 1).event("OrderPlaced").producer("shop").at(now - 5.0).entry(),
            fixture::span("billing", "process").consumed("orders <b>", 0, 1).at(now - 4.0).entry(),
            fixture::record("payments", 0, 1).event("Paid").at(now - 5.0).entry(),
        ];
        store.append(entries, Checkpoint::none("main".into())).await.unwrap();
        let console = Console::over(Arc::new(store));
        let page = console.page("/topics").await;
        page.shows("orders <b>").shows("shop").shows("billing").shows("payments");
        assert!(!page.body.contains("<b>"));
        console.page("/topics?name=PAY").await.shows("payments").hides("orders");
        console.page("/topics?name=nothing").await.shows("No topic");
    }

    #[tokio::test]
    async fn without_topics_it_says_what_to_do() {
        Console::over(empty()).page("/topics").await.shows("[[source]]");
    }
}
