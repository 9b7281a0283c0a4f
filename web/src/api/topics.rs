//! Topics: what is in them, who writes them, who reads them, how fast.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use store::board::{PartitionBounds, Retention};
use store::position::SourceName;
use store::query::{WINDOW_DEFAULT, duration};
use store::topics::{Period, Topic, detail, missing};
use store::{Gap, Timestamp};

use super::ask::{Names, Params};
use super::problem::Problem;
use super::status::OpenTransactionView;
use super::view::Time;
use crate::state::AppState;

/// The longest time that rates are taken over: a week, which is what is usually kept.
const WINDOW_MAX: Duration = Duration::from_secs(35 * 24 * 3_600);

/// How many steps the course of one topic has.
const STEPS: u32 = 60;

/// Over which time.
#[derive(Deserialize, Default)]
#[serde(default)]
pub struct WindowParams {
    window: Option<String>,
}

impl WindowParams {
    /// The window, 15 minutes where none is named.
    pub fn window(&self) -> Result<Duration, Problem> {
        let Some(text) = self.window.as_deref().filter(|text| !text.is_empty()) else { return Ok(WINDOW_DEFAULT) };
        let window = duration(text).filter(|window| (Duration::from_secs(1)..=WINDOW_MAX).contains(window));
        window.ok_or_else(|| Problem::unreadable("`window` is no length of time from 1s to 35d, such as 15m"))
    }
}

/// A list of topics. `next` is always null: more topics than can be shown at once aren't told apart.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TopicsView {
    topics: Vec<TopicView>,
    window_ms: u64,
    at_least: bool,
    next: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct TopicView {
    source: Option<String>,
    topic: String,
    partitions: Option<u32>,
    records: Option<u64>,
    seen: u64,
    rate_per_s: f64,
    last_at: Option<Time>,
    readers: Vec<String>,
    writers: Vec<String>,
    #[serde(flatten)]
    detail: Option<DetailView>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct DetailView {
    /// Where each partition begins and ends; empty where that can't be seen.
    bounds: Vec<BoundsView>,
    /// Null where it can't be seen.
    retention: Option<RetentionView>,
    types: Vec<CountView>,
    groups: Vec<CountView>,
    steps: Vec<(Time, u64)>,
    transactions: Vec<OpenTransactionView>,
    gaps: Vec<GapView>,
}

/// Offsets that expired before they were read.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct GapView {
    noticed_at: Time,
    partition: i32,
    first_offset: i64,
    last_offset: i64,
}

#[derive(Serialize)]
struct BoundsView {
    partition: i32,
    begin: i64,
    end: i64,
}

/// Null is no limit.
#[derive(Serialize)]
struct RetentionView {
    ms: Option<u64>,
    bytes: Option<u64>,
    compacted: bool,
}

#[derive(Serialize)]
struct CountView {
    name: String,
    count: u64,
}

impl TopicView {
    fn new(topic: Topic, detail: Option<DetailView>) -> TopicView {
        TopicView {
            source: topic.source.map(|source| source.as_str().to_owned()),
            topic: topic.topic,
            partitions: topic.partitions,
            records: topic.records,
            seen: topic.seen,
            rate_per_s: topic.rate,
            last_at: topic.last.map(Time),
            readers: topic.readers,
            writers: topic.writers,
            detail,
        }
    }
}

fn counts(rows: Vec<(String, u64)>) -> Vec<CountView> {
    rows.into_iter().map(|(name, count)| CountView { name, count }).collect()
}

/// `topics`.
pub async fn list(
    State(state): State<AppState>,
    Params(params): Params<WindowParams>,
) -> Result<Json<TopicsView>, Problem> {
    let window = params.window()?;
    let found = store::topics::list(&*state.store, &state.board, window, Timestamp::now()).await?;
    Ok(Json(TopicsView {
        topics: found.topics.into_iter().map(|topic| TopicView::new(topic, None)).collect(),
        window_ms: u64::try_from(window.as_millis()).unwrap_or(u64::MAX),
        at_least: found.at_least,
        next: None,
    }))
}

/// `topics/{source}/{topic}`: the same for one topic, with its event types, groups and course.
pub async fn show(
    State(state): State<AppState>,
    Names([source, topic]): Names<2>,
    Params(params): Params<WindowParams>,
) -> Result<Json<TopicsView>, Problem> {
    let window = params.window()?;
    let period = Period { window, step: window / STEPS, now: Timestamp::now() };
    let source = SourceName::from(source);
    let found = detail(&*state.store, &state.board, &source, &topic, period).await?;
    let Some(found) = found else {
        return Err(Problem::not_found("no source of this name watches such a topic, and no record of it is kept"));
    };
    let steps = found.steps.into_iter().map(|(at, count)| (Time(at), count)).collect();
    let missing = missing(&*state.store, &state.board, &source, &topic).await?;
    let gap = |(at, gap): (Timestamp, Gap)| GapView {
        noticed_at: Time(at),
        partition: gap.partition,
        first_offset: gap.first,
        last_offset: gap.last,
    };
    let status = state.board.sources().into_iter().find(|status| status.name == source);
    let channel = status.and_then(|status| status.channels.into_iter().find(|channel| channel.channel == topic));
    let bounds = channel.map(|channel| channel.bounds).unwrap_or_default();
    let bounds = bounds.iter().map(|PartitionBounds { partition, begin, end }| BoundsView {
        partition: *partition,
        begin: *begin,
        end: *end,
    });
    let retention = state.board.retention(&source, &topic).map(|Retention { ms, bytes, is_compacted }| RetentionView {
        ms,
        bytes,
        compacted: is_compacted,
    });
    let detail = DetailView {
        bounds: bounds.collect(),
        retention,
        types: counts(found.types),
        groups: counts(found.groups),
        steps,
        transactions: missing.transactions.into_iter().map(OpenTransactionView::from).collect(),
        gaps: missing.gaps.into_iter().map(gap).collect(),
    };
    Ok(Json(TopicsView {
        topics: vec![TopicView::new(found.topic, Some(detail))],
        window_ms: u64::try_from(window.as_millis()).unwrap_or(u64::MAX),
        at_least: found.at_least,
        next: None,
    }))
}
