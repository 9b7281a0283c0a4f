//! Consumer groups: how they stand, and how far they are behind.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use store::Timestamp;
use store::groups::{Clock, GroupStatus, PartitionLag, TimeLag};
use store::lag_series::{Change, LagSeries, Level, Move};
use store::position::SourceName;

use super::ask::{Names, Params};
use super::problem::Problem;
use super::topics::WindowParams;
use super::view::Time;
use crate::state::AppState;

/// How many steps the course of one group has.
const STEPS: u32 = 60;

/// A list of groups. `next` is always null: all that are watched are told.
#[derive(Serialize)]
pub struct GroupsView {
    groups: Vec<GroupView>,
    next: Option<String>,
}

/// One group. What isn't known is null, never 0.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct GroupView {
    source: String,
    group: String,
    state: &'static str,
    /// In records: the sum of what is known.
    lag: Option<u64>,
    /// The longest that a record waits, of those that are known.
    lag_ms: Option<u64>,
    members: Option<usize>,
    topics: Vec<String>,
    /// In records a second.
    trend: Option<f64>,
    clears_in_ms: Option<f64>,
    protocol: Option<String>,
    broker_state: Option<String>,
    unseen: Option<String>,
    at: Time,
    #[serde(skip_serializing_if = "Option::is_none")]
    partitions: Option<Vec<PartitionView>>,
    #[serde(flatten)]
    past: Option<PastView>,
}

/// How it came to this.
#[derive(Serialize)]
struct PastView {
    /// At the end of each of some steps, oldest first.
    course: Vec<LevelView>,
    marks: Vec<MarkView>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct LevelView {
    at: Time,
    lag: Option<u64>,
    lag_ms: Option<u64>,
}

/// Something that happened, between the look at `at` and the one before it.
#[derive(Serialize)]
struct MarkView {
    at: Time,
    #[serde(flatten)]
    change: ChangeView,
}

#[derive(Serialize)]
#[serde(tag = "change", rename_all = "camelCase")]
enum ChangeView {
    Members { joined: u32, left: u32 },
    Reassigned { partitions: u32 },
    Reset { topic: String, moves: Vec<MoveView> },
}

#[derive(Serialize)]
struct MoveView {
    partition: i32,
    from: i64,
    to: i64,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct PartitionView {
    topic: String,
    partition: i32,
    state: &'static str,
    committed: Option<i64>,
    end: Option<i64>,
    lag: Option<u64>,
    lag_ms: Option<u64>,
    /// Why `lagMs` is null.
    lag_ms_unknown: Option<&'static str>,
    waiting_on: Option<WaitingOnView>,
    owner: Option<OwnerView>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct WaitingOnView {
    place: String,
    timestamp: Time,
    /// `record`, or `receipt` where its own time can't be true.
    clock: &'static str,
    /// Whether it is kept, so that there is a flow to look at.
    held: bool,
    event_type: Option<String>,
    key: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct OwnerView {
    member: String,
    client_id: String,
    host: String,
}

impl GroupView {
    fn new(status: &GroupStatus, detail: Option<(Vec<PartitionView>, PastView)>) -> GroupView {
        let (partitions, past) = detail.unzip();
        GroupView {
            source: status.source.to_string(),
            group: status.group.clone(),
            state: status.state.as_str(),
            lag: status.lag(),
            lag_ms: status.lag_ms(),
            members: status.members.as_ref().map(Vec::len),
            topics: status.topics().into_iter().map(str::to_owned).collect(),
            trend: status.trend,
            clears_in_ms: status.clears_in_s().map(|seconds| seconds * 1e3),
            protocol: status.protocol.clone(),
            broker_state: status.broker_state.clone(),
            unseen: status.unseen.clone(),
            at: Time(status.at),
            partitions,
            past,
        }
    }
}

fn partition(status: &GroupStatus, lag: &PartitionLag) -> PartitionView {
    let owner = lag.owner.and_then(|owner| status.members.as_ref()?.get(owner));
    PartitionView {
        topic: lag.topic.to_string(),
        partition: lag.partition,
        state: lag.state.as_str(),
        committed: lag.committed,
        end: lag.end,
        lag: lag.lag,
        lag_ms: lag.lag_ms(),
        lag_ms_unknown: match &lag.time {
            TimeLag::Unknown(why) => Some(why),
            TimeLag::Nothing | TimeLag::Waits { .. } => None,
        },
        waiting_on: match &lag.time {
            TimeLag::Waits { on, .. } => Some(WaitingOnView {
                place: format!("{}@{}", lag.partition, on.offset),
                timestamp: Time(on.at),
                clock: match on.clock {
                    Clock::Record => "record",
                    Clock::Receipt => "receipt",
                },
                held: on.is_held,
                event_type: on.event_type.clone(),
                key: on.key.clone(),
            }),
            TimeLag::Nothing | TimeLag::Unknown(_) => None,
        },
        owner: owner.map(|member| OwnerView {
            member: member.id.clone(),
            client_id: member.client_id.clone(),
            host: member.host.clone(),
        }),
    }
}

/// `groups`.
pub async fn list(State(state): State<AppState>) -> Json<GroupsView> {
    let all = state.board.groups();
    let groups = all.iter().flat_map(|groups| groups.iter()).map(|status| GroupView::new(status, None)).collect();
    Json(GroupsView { groups, next: None })
}

fn past(lags: &LagSeries, group: (&SourceName, &str), window: Duration, now: Timestamp) -> PastView {
    let (from, step) = (now.minus(window), window / STEPS);
    let level = |(number, level): (u32, Level)| LevelView {
        at: Time(from.plus(step * number)),
        lag: level.lag,
        lag_ms: level.lag_ms,
    };
    let change = |change: Change| match change {
        Change::Members { joined, left } => ChangeView::Members { joined, left },
        Change::Reassigned { partitions } => ChangeView::Reassigned { partitions },
        Change::Reset { topic, moves } => {
            let moves = moves.into_iter().map(|Move { partition, from, to }| MoveView { partition, from, to });
            ChangeView::Reset { topic: topic.to_string(), moves: moves.collect() }
        }
    };
    let marks = lags.marks(group, from, now).into_iter();
    PastView {
        course: (1..=STEPS).zip(lags.course(group, from, step, STEPS)).map(level).collect(),
        marks: marks.map(|mark| MarkView { at: Time(mark.at), change: change(mark.change) }).collect(),
    }
}

/// `groups/{source}/{group}`: the same for one group, with its partitions, and its past over `window`.
pub async fn show(
    State(state): State<AppState>,
    Names([source, group]): Names<2>,
    Params(params): Params<WindowParams>,
) -> Result<Json<GroupsView>, Problem> {
    let window = params.window()?;
    let Some(status) = state.board.group(&SourceName::from(source), &group) else {
        return Err(Problem::not_found("no source of this name watches such a consumer group"));
    };
    let partitions = status.partitions.iter().map(|lag| partition(&status, lag)).collect();
    let past = past(state.board.lags(), (&status.source, &group), window, Timestamp::now());
    Ok(Json(GroupsView { groups: vec![GroupView::new(&status, Some((partitions, past)))], next: None }))
}
