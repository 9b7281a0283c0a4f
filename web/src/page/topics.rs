//! What is in the topics, who writes them, who reads them, how fast?

use std::cmp::Ordering;
use std::time::Duration;

use askama::Template;
use axum::extract::{Query, State};
use axum::response::Response;
use serde::Deserialize;
use store::Timestamp;
use store::topics::{self, Topic};

use crate::href::Href;
use crate::page::head::Head;
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
    /// What the rows are sorted by; the source where it is left out.
    #[serde(default)]
    sort: Sort,
}

/// What the rows are sorted by.
#[derive(Clone, Copy, PartialEq, Eq, Deserialize, Default)]
#[serde(rename_all = "lowercase")]
enum Sort {
    /// By source and then by name, those that nobody watches last.
    #[default]
    Source,
    /// By name.
    Topic,
    /// Most partitions first.
    Partitions,
    /// Most records in the broker first.
    Held,
    /// Most records seen first.
    Seen,
    /// The quickest first.
    Rate,
}

impl Sort {
    /// Its name in the address; the default has none.
    fn as_str(self) -> &'static str {
        match self {
            Sort::Source => "",
            Sort::Topic => "topic",
            Sort::Partitions => "partitions",
            Sort::Held => "held",
            Sort::Seen => "seen",
            Sort::Rate => "rate",
        }
    }

    /// Topics come by source and name, and keep that order where they are alike.
    fn compare(self, one: &Topic, other: &Topic) -> Ordering {
        match self {
            Sort::Source => Ordering::Equal,
            Sort::Topic => one.topic.cmp(&other.topic),
            Sort::Partitions => other.partitions.cmp(&one.partitions),
            Sort::Held => other.records.cmp(&one.records),
            Sort::Seen => other.seen.cmp(&one.seen),
            Sort::Rate => other.rate.total_cmp(&one.rate),
        }
    }
}

#[derive(Template)]
#[template(path = "page/topics.html")]
struct Topics {
    frame: Frame,
    name: String,
    sorted_by: &'static str,
    heads: Vec<Head>,
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
    let mut topics = found.topics;
    topics.retain(|topic| topic.topic.to_lowercase().contains(&wanted));
    topics.sort_by(|one, other| params.sort.compare(one, other));
    let left_out = topics.len().saturating_sub(ROWS_MAX);
    topics.truncate(ROWS_MAX);
    let rows = topics.into_iter().map(|topic| row(topic, &frame)).collect();
    let here = frame.links.topics().with("name", &params.name);
    let head = |text, sort: Sort, order, is_number| Head {
        text,
        href: here.clone().with("sort", sort.as_str()),
        sorted: if params.sort == sort { order } else { "" },
        is_number,
    };
    let heads = vec![
        head("Topic", Sort::Topic, "ascending", false),
        head("Source", Sort::Source, "ascending", false),
        head("Partitions", Sort::Partitions, "descending", true),
        head("In the broker", Sort::Held, "descending", true),
        head("Seen", Sort::Seen, "descending", true),
        head("Rate", Sort::Rate, "descending", true),
    ];
    let (name, sorted_by, at_least) = (params.name, params.sort.as_str(), found.at_least);
    Ok(render(&Topics { frame, name, sorted_by, heads, rows, left_out, at_least }))
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
    use store::{Checkpoint, Entry, Store, fixture};

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
    async fn the_busiest_come_first_for_whoever_asks_and_a_filter_keeps_the_order() {
        let store = Memory::new();
        let now = store::Timestamp::now().nanos_since(fixture::START) as f64 / 1e9;
        let of = |topic: &str, many: i64| -> Vec<Entry> {
            (0..many).map(|offset| fixture::record(topic, 0, offset).at(now - 5.0).entry()).collect()
        };
        let entries = [of("aisles", 1), of("baskets", 3), of("carts", 2)].concat();
        store.append(entries, Checkpoint::none("main".into())).await.unwrap();
        let console = Console::over(Arc::new(store));
        let order = |body: &str| {
            let mut names = ["aisles", "baskets", "carts"].map(|name| (body.find(&format!("<code>{name}")), name));
            names.sort_unstable();
            names.map(|(_, name)| name)
        };
        let page = console.page("/topics").await;
        assert_eq!(order(&page.body), ["aisles", "baskets", "carts"]);
        let page = console.page("/topics?sort=seen&name=a").await;
        assert_eq!(order(&page.body), ["baskets", "carts", "aisles"]);
        assert!(page.body.contains("name=\"sort\" value=\"seen\"") && page.body.contains("sort=rate"), "{}", page.body);
    }

    #[tokio::test]
    async fn without_topics_it_says_what_to_do() {
        Console::over(empty()).page("/topics").await.shows("[[source]]");
    }
}
