//! What is in one topic, who writes it, who reads it, how fast?

use std::time::Duration;

use askama::Template;
use axum::extract::{Path, Query, State};
use axum::response::Response;
use serde::Deserialize;
use store::engine::{Cursor, PageRequest};
use store::query::Field;
use store::topics::{self, Period};
use store::{Entry, Record, SourceName, Timestamp};

use crate::drawing::spark::{Spark, spark};
use crate::href::{self, Href};
use crate::page::topics::WINDOW;
use crate::page::{Frame, Problem, render};
use crate::state::AppState;
use crate::wording;

/// The steps of the drawing: sixty of them in the window.
const STEP: Duration = Duration::from_secs(15);

/// Records on one page.
const ROWS: usize = 50;

/// How much of a body is shown in a row.
const GLANCE_LETTERS: usize = 240;

/// What the address asks for.
#[derive(Deserialize)]
pub struct Params {
    /// Only records that this query holds for.
    #[serde(default)]
    q: String,
    /// Where the page begins.
    cursor: Option<String>,
}

#[derive(Template)]
#[template(path = "page/topic.html")]
struct Topic {
    frame: Frame,
    topic: String,
    source: String,
    here: Href,
    facts: Vec<(&'static str, String)>,
    types: Vec<(String, String, Href)>,
    groups: Vec<(String, String)>,
    spark: Option<Spark>,
    q: String,
    mistake: Option<String>,
    rows: Vec<Row>,
    next: Option<Href>,
    first: bool,
    cut: Option<String>,
}

/// One record, as it is shown.
struct Row {
    href: Href,
    clock: String,
    place: String,
    event_type: String,
    key: String,
    glance: String,
    problem: Option<String>,
    role: &'static str,
    tone: &'static str,
}

/// `GET /topic/{source}/{topic}`.
pub async fn show(
    State(state): State<AppState>,
    Path((source, topic)): Path<(String, String)>,
    Query(params): Query<Params>,
    frame: Frame,
) -> Result<Response, Problem> {
    let (source, topic) = (SourceName::from(href::segment(&source)), href::segment(&topic).to_owned());
    let now = Timestamp::now();
    let period = Period { window: WINDOW, step: STEP, now };
    let Some(detail) = topics::detail(&*state.store, &state.board, &source, &topic, period).await? else {
        return Err(Problem::not_found(&format!(
            "No topic `{topic}` is watched by `{source}`, and no record of it is kept."
        ))
        .try_instead("All topics", frame.links.topics())
        .try_instead("Status of the sources", frame.links.status()));
    };
    let here = frame.links.topic(source.as_str(), &topic);
    let of_topic = store::Query::Kind(store::entry::Kind::Record)
        .and(store::Query::is(Field::Source, source.as_str()))
        .and(store::Query::is(Field::Topic, &topic));
    let (query, mistake) = match store::Query::parse(&params.q) {
        Ok(asked) => (of_topic.and(asked), None),
        Err(error) => (of_topic, Some(error.to_string())),
    };
    let after = params.cursor.as_deref().and_then(Cursor::from_text);
    let first = after.is_none();
    let found = state.store.search(&query, PageRequest { limit: ROWS, after }).await?;
    let known = &detail.topic;
    let mut facts = vec![("seen in 15 min", wording::many(known.seen, "record"))];
    if let Some(partitions) = known.partitions {
        facts.push(("partitions", wording::count(u64::from(partitions))));
    }
    if let Some(records) = known.records {
        facts.push(("in the broker", wording::many(records, "record")));
    }
    let named = |names: &[String]| if names.is_empty() { "nobody seen".to_owned() } else { names.join(", ") };
    facts.push(("written by", named(&known.writers)));
    facts.push(("read by", named(&known.readers)));
    Ok(render(&Topic {
        facts,
        types: detail
            .types
            .iter()
            .filter(|(name, _)| !name.is_empty())
            .map(|(name, many)| {
                let query = store::Query::is(Field::Type, name).to_string();
                (name.clone(), wording::count(*many), here.clone().with("q", &query))
            })
            .collect(),
        groups: detail.groups.iter().map(|(name, many)| (name.clone(), wording::count(*many))).collect(),
        spark: spark(&detail.steps, STEP, "records"),
        rows: found
            .entries
            .iter()
            .filter_map(|held| match &*held.entry {
                Entry::Record(record) => Some(row(record, &frame, now)),
                Entry::Span(_) | Entry::Log(_) => None,
            })
            .collect(),
        next: found.next.map(|cursor| here.clone().with("q", &params.q).with("cursor", &cursor.to_text())),
        first,
        cut: found.cut,
        q: params.q,
        mistake,
        topic,
        source: source.to_string(),
        here,
        frame,
    }))
}

fn row(record: &Record, frame: &Frame, now: Timestamp) -> Row {
    let (role, tone) = match record.role() {
        "retry" => ("retry", "warn"),
        "dead" => ("dead letter", "bad"),
        _ => ("", ""),
    };
    let glance = match &record.body {
        None => "no body".to_owned(),
        Some(body) => match std::str::from_utf8(body) {
            Ok(text) => {
                wording::cut(&wording::visible(text).split_whitespace().collect::<Vec<_>>().join(" "), GLANCE_LETTERS)
            }
            Err(_) => format!("{} of binary data", wording::bytes(body.len() as u64)),
        },
    };
    Row {
        href: frame.links.record(&record.position),
        clock: wording::clock(record.time(), now),
        place: in_topic(&record.position),
        event_type: record.event.event_type.clone().unwrap_or_default(),
        key: match (&record.key, record.key_text()) {
            (None, _) => String::new(),
            (Some(_), Some(text)) => wording::cut(&wording::visible(text), GLANCE_LETTERS),
            (Some(key), None) => format!("{} of binary data", wording::bytes(key.len() as u64)),
        },
        glance,
        problem: record.problem.clone(),
        role,
        tone,
    }
}

/// Where in its topic: `p3@48213`.
fn in_topic(position: &store::Position) -> String {
    let whole = position.to_string();
    whole.strip_prefix(position.channel.as_str()).map_or(whole.clone(), |place| place.trim_start().to_owned())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use axum::http::StatusCode;
    use store::memory::Memory;
    use store::{Checkpoint, Store, fixture};

    use crate::given::{Console, empty};

    async fn console() -> Console {
        let store = Memory::new();
        let now = store::Timestamp::now().nanos_since(fixture::START) as f64 / 1e9;
        let entries = (0..120_i32)
            .map(|i| {
                let record =
                    fixture::record("orders", 0, i64::from(i)).event("OrderPlaced").key(&format!("order-{i:03}"));
                record.body(format!("{{\"note\":\"<script>{i}</script>\"}}")).at(now - 200.0 + f64::from(i)).entry()
            })
            .collect();
        store.append(entries, Checkpoint::none("main".into())).await.unwrap();
        Console::over(Arc::new(store))
    }

    #[tokio::test]
    async fn records_are_shown_newest_first_a_page_at_a_time() {
        let console = console().await;
        let page = console.page("/topic/main/orders").await;
        page.shows("order-119").shows("order-070").hides("order-069").shows("OrderPlaced 120");
        let (_, rest) = page.body.split_once("rel=\"next\" href=\"").expect("there is a next page");
        let next = rest.split_once('"').unwrap().0.replace("&#38;", "&");
        console.page(&next).await.shows("order-069").hides("order-119");
    }

    #[tokio::test]
    async fn a_filter_finds_and_a_mistake_in_it_is_said() {
        let console = console().await;
        console.page("/topic/main/orders?q=key:order-017").await.shows("order-017").hides("order-018");
        console.page("/topic/main/orders?q=evnt:1").await.shows("evnt");
    }

    #[tokio::test]
    async fn a_hostile_body_is_only_text() {
        let page = console().await.page("/topic/main/orders").await;
        assert!(!page.body.contains("<script>1"));
        page.shows("<script>119</script>");
    }

    #[tokio::test]
    async fn a_topic_that_nobody_knows_says_where_to_look() {
        let answer = Console::over(empty()).get("/topic/main/nothing").await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND);
        answer.shows("No topic nothing is watched").shows("All topics");
    }
}
