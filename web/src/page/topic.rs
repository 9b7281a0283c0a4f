//! What is in one topic, who writes it, who reads it, how fast?

mod jump; // to an offset or a time
pub mod missing; // what its readers don't get

use std::time::Duration;

use askama::Template;
use axum::extract::{Path, Query, State};
use axum::response::Response;
use serde::Deserialize;
use store::board::{PartitionBounds, Retention};
use store::engine::{Cursor, PageRequest};
use store::query::Field;
use store::topics::{self, Period};
use store::{Entry, Record, SourceName, Timestamp};

use crate::drawing::spark::{Spark, spark};
use crate::href::{self, Href};
use crate::page::flow::headline::Pill;
use crate::page::groups;
use crate::page::topics::WINDOW;
use crate::page::{Frame, Problem, render};
use crate::state::AppState;
use crate::wording;
use missing::MissingView;

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
    /// Only records from this place or time on, towards older ones: see [`jump`].
    #[serde(default)]
    at: String,
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
    partitions: Vec<PartitionRow>,
    partitions_left_out: usize,
    readers: Vec<Reader>,
    at: String,
    /// What came of the jump, where there is something to say.
    jumped: Option<String>,
    spark: Option<Spark>,
    missing: MissingView,
    q: String,
    mistake: Option<String>,
    rows: Vec<Row>,
    next: Option<Href>,
    first: bool,
    cut: Option<String>,
}

/// One partition, as it is shown.
struct PartitionRow {
    partition: i32,
    begin: String,
    end: String,
    records: String,
}

/// A group that reads the topic.
struct Reader {
    group: String,
    /// Its page; none where only spans tell of it.
    href: Option<Href>,
    pill: Option<Pill>,
    lag: String,
    time: String,
    seen: String,
}

/// How many partitions one page shows.
const PARTITIONS_MAX: usize = 200;

/// One record, as it is shown.
pub struct Row {
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
    let (query, mut mistake) = match state.query(&params.q) {
        Ok(asked) => (of_topic.and(asked), None),
        Err(error) => (of_topic, Some(error.to_string())),
    };
    let (query, target) = match jump::read(&params.at, now) {
        Ok(None) => (query, None),
        Ok(Some(jump)) => (query.and(jump.query()), Some(jump)),
        Err(why) => {
            mistake = Some(why);
            (query, None)
        }
    };
    let after = params.cursor.as_deref().and_then(Cursor::from_text);
    let first = after.is_none();
    let found = state.store.search(&query, PageRequest { limit: ROWS, after }).await?;
    let missing = topics::missing(&*state.store, &state.board, &source, &topic).await?;
    let known = &detail.topic;
    let mut facts = vec![("seen in 15 min", wording::many(known.seen, "record"))];
    if let Some(partitions) = known.partitions {
        facts.push(("partitions", wording::count(u64::from(partitions))));
    }
    if let Some(records) = known.records {
        facts.push(("in the broker", wording::many(records, "record")));
    }
    facts
        .push(("rate", wording::rate(known.seen, if known.rate > 0.0 { known.seen as f64 / known.rate } else { 1.0 })));
    facts.push(("retention", retention(state.board.retention(&source, &topic))));
    let watched = state.board.sources().into_iter().find(|status| status.name == source);
    let channel = watched.and_then(|status| status.channels.into_iter().find(|channel| channel.channel == topic));
    let bounds = channel.map(|channel| channel.bounds).unwrap_or_default();
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
        partitions: bounds.iter().take(PARTITIONS_MAX).map(partition).collect(),
        partitions_left_out: bounds.len().saturating_sub(PARTITIONS_MAX),
        readers: readers(&state, (&source, &topic), &detail.groups, &frame),
        jumped: target.and_then(|target| target.says(found.entries.first().map(|held| &*held.entry))),
        at: params.at.clone(),
        spark: spark(&detail.steps, STEP, "records"),
        missing: MissingView::new(&missing, &frame, now),
        rows: found
            .entries
            .iter()
            .filter_map(|held| match &*held.entry {
                Entry::Record(record) => Some(row(record, &frame, now)),
                Entry::Span(_) | Entry::Log(_) => None,
            })
            .collect(),
        next: found
            .next
            .map(|cursor| here.clone().with("q", &params.q).with("at", &params.at).with("cursor", &cursor.to_text())),
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

fn partition(bounds: &PartitionBounds) -> PartitionRow {
    let count = |number: i64| wording::count(u64::try_from(number).unwrap_or(0));
    PartitionRow {
        partition: bounds.partition,
        begin: count(bounds.begin),
        end: count(bounds.end),
        records: count(bounds.end - bounds.begin),
    }
}

/// How long a topic keeps its records, in words.
fn retention(retention: Option<Retention>) -> String {
    let Some(retention) = retention else { return "can't be seen".to_owned() };
    let time = retention.ms.map(|ms| wording::duration(ms.saturating_mul(1_000_000)));
    let size = retention.bytes.map(|bytes| format!("{} a partition", wording::bytes(bytes)));
    let limits: Vec<String> = time.into_iter().chain(size).collect();
    match (limits.is_empty(), retention.is_compacted) {
        (true, true) => "the latest of each key".to_owned(),
        (true, false) => "for ever".to_owned(),
        (false, true) => format!("{}, and then the latest of each key", limits.join(", ")),
        (false, false) => limits.join(", "),
    }
}

/// Who reads the topic: groups by what they committed or own, and those that only spans tell of.
fn readers(
    state: &AppState,
    (source, topic): (&SourceName, &str),
    told: &[(String, u64)],
    frame: &Frame,
) -> Vec<Reader> {
    let seen = |group: &str| told.iter().find(|(name, _)| name == group).map_or(0, |(_, many)| *many);
    let groups = state.board.groups_of(source);
    let known = groups.iter().filter(|status| status.topics().contains(&topic)).map(|status| {
        let (lag, lag_ms) = status.of_topic(topic);
        let worst = status.partitions.iter().filter(|lag| lag.topic.as_str() == topic).map(|lag| lag.state).max();
        Reader {
            group: status.group.clone(),
            href: Some(frame.links.group(source.as_str(), &status.group)),
            pill: worst.map(groups::pill),
            lag: lag.map_or_else(|| "–".to_owned(), wording::count),
            time: groups::time(lag_ms),
            seen: wording::count(seen(&status.group)),
        }
    });
    let is_known = |name: &str| groups.iter().any(|status| status.group == name && status.topics().contains(&topic));
    let others = told.iter().filter(|(name, _)| !name.is_empty() && !is_known(name)).map(|(name, many)| Reader {
        group: name.clone(),
        href: None,
        pill: None,
        lag: "–".to_owned(),
        time: "–".to_owned(),
        seen: wording::count(*many),
    });
    known.chain(others).collect()
}

fn row(record: &Record, frame: &Frame, now: Timestamp) -> Row {
    let (role, tone) = match (record.transaction, record.role()) {
        (Some(transaction), _) => (transaction.as_str(), "warn"),
        (None, "retry") => ("retry", "warn"),
        (None, "dead") => ("dead letter", "bad"),
        (None, _) => ("", ""),
    };
    let glance = match record.readable_body() {
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
        key: match (record.readable_key(), record.key_text()) {
            (None, _) => String::new(),
            (Some(_), Some(text)) => wording::cut(&wording::visible(text), GLANCE_LETTERS),
            (Some(key), None) => format!("{} of binary data", wording::bytes(key.len() as u64)),
        },
        glance,
        problem: record.problem.as_deref().map(str::to_owned),
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
mod tests;
