//! On what does one group wait, who should read it, and how did it come to this?

mod history; // the chart, its table, and what happened
mod members; // who is there, and how evenly the work is shared out

use std::collections::BTreeMap;
use std::time::Duration;

use askama::Template;
use axum::extract::{Path, Query, State};
use axum::response::Response;
use serde::Deserialize;
use store::groups::{Clock, GroupStatus, PartitionLag, TimeLag};
use store::{SourceName, Timestamp};

use crate::href::{self, Href};
use crate::page::flow::headline::Pill;
use crate::page::groups::{owned, pill, time};
use crate::page::{Frame, Problem, render};
use crate::state::AppState;
use crate::wording;
use history::History;
use members::MemberRow;

/// How many partitions one page shows, over all topics.
const ROWS_MAX: usize = 1_000;

/// How much of a key is shown.
const KEY_LETTERS: usize = 60;

/// What the address asks for.
#[derive(Deserialize)]
pub struct Params {
    /// How far back the chart reaches.
    #[serde(default)]
    window: String,
    /// What it shows: records, or time.
    #[serde(default)]
    of: String,
}

#[derive(Template)]
#[template(path = "page/group.html")]
struct Group {
    frame: Frame,
    group: String,
    source: String,
    pill: Pill,
    facts: Vec<String>,
    unseen: Option<String>,
    history: History,
    members: Vec<MemberRow>,
    topics: Vec<(String, Href, Vec<Row>)>,
    left_out: usize,
    asked: String,
}

/// One partition, as it is shown.
struct Row {
    partition: i32,
    pill: Pill,
    owner: Option<String>,
    /// The broker tells who owns what.
    is_told: bool,
    committed: String,
    end: String,
    lag: String,
    time: String,
    waiting_on: Option<WaitingOn>,
    why: &'static str,
}

/// The record that a partition waits on.
struct WaitingOn {
    text: String,
    /// Its flow; none where it isn't kept.
    href: Option<Href>,
    /// What is to be known of its time.
    note: &'static str,
}

/// `GET /group/{source}/{group}`.
pub async fn show(
    State(state): State<AppState>,
    Path((source, group)): Path<(String, String)>,
    Query(params): Query<Params>,
    frame: Frame,
) -> Result<Response, Problem> {
    let (source, group) = (SourceName::from(href::segment(&source)), href::segment(&group).to_owned());
    let Some(status) = state.board.group(&source, &group) else {
        return Err(Problem::not_found(&format!(
            "No consumer group `{group}` is watched by `{source}`. Groups are asked for every ten seconds."
        ))
        .try_instead("All consumer groups", frame.links.groups())
        .try_instead("Status of the sources", frame.links.status()));
    };
    let now = Timestamp::now();
    let here = frame.links.group(source.as_str(), &group);
    let mut topics: BTreeMap<&str, Vec<Row>> = BTreeMap::new();
    for lag in status.partitions.iter().take(ROWS_MAX) {
        topics.entry(lag.topic.as_str()).or_default().push(row(&status, lag, &frame));
    }
    let topics = topics
        .into_iter()
        .map(|(topic, rows)| (topic.to_owned(), frame.links.topic(source.as_str(), topic), rows))
        .collect();
    Ok(render(&Group {
        pill: pill(status.state),
        facts: facts(&status),
        history: history::of(state.board.lags(), (&source, &group), (&params.window, &params.of), &here, now),
        members: members::rows(&status),
        topics,
        left_out: status.partitions.len().saturating_sub(ROWS_MAX),
        asked: wording::clock_short(status.at, now),
        unseen: status.unseen,
        group,
        source: source.to_string(),
        frame,
    }))
}

fn facts(status: &GroupStatus) -> Vec<String> {
    let mut facts = Vec::new();
    if let Some(lag) = status.lag() {
        let waits = match status.lag_ms() {
            Some(0) => String::new(),
            Some(_) => format!(", {}", time(status.lag_ms())),
            None => ", since when isn't known".to_owned(),
        };
        facts.push(format!("lag {}{waits}", wording::many(lag, "record")));
    }
    match status.trend {
        Some(trend) if trend.abs() < 0.01 => facts.push("neither grows nor falls".to_owned()),
        Some(trend) if trend > 0.0 => {
            facts.push(format!("grows by {trend:.1} a second"));
            facts.push("would never clear, at this rate".to_owned());
        }
        Some(trend) => facts.push(format!("falls by {:.1} a second", -trend)),
        None => {}
    }
    if let Some(seconds) = status.clears_in_s() {
        let nanos = Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX).as_nanos();
        let clears = wording::duration(u64::try_from(nanos).unwrap_or(u64::MAX / 2).min(u64::MAX / 2));
        facts.push(format!("would clear in {clears}, at this rate"));
    }
    facts.extend(members::skew(status));
    match &status.members {
        Some(members) => {
            let members = wording::many(members.len() as u64, "member");
            facts.push(format!("{members}, {} partitions owned", owned(status)));
        }
        None if status.unseen.is_some() => {}
        None => facts.push("who the members are can't be seen".to_owned()),
    }
    if let Some(protocol) = &status.protocol {
        let assignor = status.assignor.as_ref().map(|assignor| format!(", {assignor}")).unwrap_or_default();
        facts.push(format!("protocol {protocol}{assignor}"));
    }
    facts
}

fn row(status: &GroupStatus, lag: &PartitionLag, frame: &Frame) -> Row {
    let owner = lag.owner.and_then(|owner| status.members.as_ref()?.get(owner));
    let offset = |offset: Option<i64>| match offset {
        Some(offset) => wording::count(u64::try_from(offset).unwrap_or(0)),
        None => "–".to_owned(),
    };
    let waiting_on = match &lag.time {
        TimeLag::Waits { on, .. } => {
            let what = on.event_type.as_deref().unwrap_or("a record");
            let key = on.key.as_deref().map(|key| format!(" {}", wording::cut(&wording::visible(key), KEY_LETTERS)));
            let place = format!("{}@{}", lag.partition, on.offset);
            let href = frame.links.record_at(status.source.as_str(), lag.topic.as_str(), &place);
            Some(WaitingOn {
                text: format!("{what}{}", key.unwrap_or_default()),
                href: on.is_held.then_some(href),
                note: match (on.clock, on.is_held) {
                    (Clock::Receipt, _) => "its own time can't be true: since we received it",
                    (Clock::Record, false) => "not kept here: only its time was looked up",
                    (Clock::Record, true) => "",
                },
            })
        }
        TimeLag::Nothing | TimeLag::Unknown(_) => None,
    };
    Row {
        partition: lag.partition,
        pill: pill(lag.state),
        owner: owner.map(|member| format!("{} {}", member.client_id, member.host.trim_start_matches('/'))),
        is_told: status.members.is_some(),
        committed: offset(lag.committed),
        end: offset(lag.end),
        lag: lag.lag.map_or_else(|| "–".to_owned(), wording::count),
        time: time(lag.lag_ms()),
        waiting_on,
        why: match &lag.time {
            TimeLag::Unknown(why) => why,
            TimeLag::Nothing => "nothing",
            TimeLag::Waits { .. } => "",
        },
    }
}

#[cfg(test)]
mod tests;
