//! On what does one group wait, and who should read it?

use std::collections::BTreeMap;
use std::time::Duration;

use askama::Template;
use axum::extract::{Path, Query, State};
use axum::response::Response;
use serde::Deserialize;
use store::groups::{GroupStatus, PartitionLag, TimeLag};
use store::{SourceName, Timestamp};

use crate::drawing::spark::{Spark, level};
use crate::href::{self, Href};
use crate::page::flow::headline::Pill;
use crate::page::groups::{owned, pill, time};
use crate::page::{Frame, Problem, render};
use crate::state::AppState;
use crate::wording;

/// Which lengths of time the chart can show, and what they are called in the address.
const WINDOWS: [(&str, &str, u64); 4] =
    [("", "15 min", 15 * 60), ("1h", "1 h", 3_600), ("24h", "24 h", 86_400), ("7d", "7 d", 7 * 86_400)];

/// How many steps the chart has: about one in three pixels.
const STEPS: u32 = 300;

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
    windows: Vec<(&'static str, Href, bool)>,
    spark: Option<Spark>,
    from: String,
    to: String,
    topics: Vec<(String, Href, Vec<Row>)>,
    left_out: usize,
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
    waiting_on: Option<(String, Href)>,
    why: &'static str,
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
    let (chosen, _, seconds) = WINDOWS.into_iter().find(|(name, ..)| *name == params.window).unwrap_or(WINDOWS[0]);
    let window = Duration::from_secs(seconds);
    let levels = state.board.lags().course((&source, &group), now.minus(window), window / STEPS, STEPS);
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
        windows: WINDOWS
            .into_iter()
            .map(|(name, text, _)| (text, here.clone().with("window", name), name == chosen))
            .collect(),
        spark: level(&levels, "lag in records"),
        from: wording::clock_short(now.minus(window), now),
        to: wording::clock_short(now, now),
        topics,
        left_out: status.partitions.len().saturating_sub(ROWS_MAX),
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
    match &status.members {
        Some(members) => {
            let members = wording::many(members.len() as u64, "member");
            facts.push(format!("{members}, {} partitions owned", owned(status)));
        }
        None => facts.push("this broker doesn't tell who the members are".to_owned()),
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
            Some((format!("{what}{}", key.unwrap_or_default()), href))
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
mod tests {
    use axum::http::StatusCode;

    use crate::given::{Console, empty};
    use crate::page::groups::tests::board;

    #[tokio::test]
    async fn each_partition_links_the_message_it_waits_on_and_says_who_owns_it() {
        let page = Console::beside(empty(), board()).page("/group/main/analytics").await;
        page.shows("lag 1,204 records, 3 min 12 s").shows("grows by 6.1 a second").shows("would never clear");
        page.shows("OrderPlaced order-1")
            .shows("analytics-1 127.0.0.1")
            .shows("nobody")
            .shows("protocol classic, range");
        assert!(page.body.contains("href=\"/record/main/orders%20%3Cb%3E/0%4010\""), "{}", page.body);
    }

    #[tokio::test]
    async fn what_is_not_known_says_why() {
        let page = Console::beside(empty(), board()).page("/group/main/never?window=7d").await;
        page.shows("no commit").shows("nothing is committed").hides("lag 0");
    }

    #[tokio::test]
    async fn a_group_that_nobody_knows_says_where_to_look() {
        let answer = Console::over(empty()).get("/group/main/nobody").await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND);
        answer.shows("All consumer groups");
    }
}
