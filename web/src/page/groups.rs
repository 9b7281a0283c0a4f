//! Who is behind, and by how much?

use std::cmp::Ordering;
use std::collections::BTreeSet;
use std::time::Duration;

use askama::Template;
use axum::extract::{Query, State};
use axum::response::Response;
use serde::Deserialize;
use store::Timestamp;
use store::groups::{GroupStatus, LagState};

use crate::drawing::spark::{Spark, level};
use crate::href::Href;
use crate::page::flow::headline::Pill;
use crate::page::head::Head;
use crate::page::{Frame, render};
use crate::state::AppState;
use crate::wording;

/// How far back the drawings reach, and in how many steps.
const WINDOW: Duration = Duration::from_secs(15 * 60);
const STEPS: u32 = 60;

/// How many groups one page shows; a filter finds the others.
const ROWS_MAX: usize = 500;

/// What the address asks for.
#[derive(Deserialize)]
pub struct Params {
    /// Only groups whose name, or a topic of theirs, holds this.
    #[serde(default)]
    name: String,
    /// Only groups that stand so, by the name of a state in the API; `bad` for all that need somebody.
    #[serde(default)]
    state: String,
    /// Only groups of this source.
    #[serde(default)]
    source: String,
    /// What the rows are sorted by; the gravest first where it is left out.
    #[serde(default)]
    sort: Sort,
}

/// What the rows are sorted by.
#[derive(Clone, Copy, PartialEq, Eq, Deserialize, Default)]
#[serde(rename_all = "lowercase")]
enum Sort {
    /// The gravest first.
    #[default]
    State,
    /// By name.
    Group,
    /// Most records first.
    Lag,
    /// The longest wait first.
    Time,
    /// Those that grow fastest first.
    Trend,
    /// Most members first.
    Members,
}

impl Sort {
    /// Its name in the address; the default has none.
    fn as_str(self) -> &'static str {
        match self {
            Sort::State => "",
            Sort::Group => "group",
            Sort::Lag => "lag",
            Sort::Time => "time",
            Sort::Trend => "trend",
            Sort::Members => "members",
        }
    }

    fn compare(self, one: &GroupStatus, other: &GroupStatus) -> Ordering {
        let by_name = || (&one.group, &one.source).cmp(&(&other.group, &other.source));
        let by_grade = match self {
            Sort::Group => Ordering::Equal,
            Sort::State => other.state.cmp(&one.state).then_with(|| other.lag().cmp(&one.lag())),
            Sort::Lag => other.lag().cmp(&one.lag()),
            Sort::Time => other.lag_ms().cmp(&one.lag_ms()),
            Sort::Trend => {
                let trend = |status: &GroupStatus| status.trend.unwrap_or(f64::NEG_INFINITY);
                trend(other).total_cmp(&trend(one))
            }
            Sort::Members => {
                let members = |status: &GroupStatus| status.members.as_ref().map(Vec::len);
                members(other).cmp(&members(one))
            }
        };
        by_grade.then_with(by_name)
    }
}

/// States to choose, gravest first, and their words.
const STATES: [LagState; 10] = [
    LagState::BelowStart,
    LagState::Rewound,
    LagState::Stalled,
    LagState::Stopped,
    LagState::FallingBehind,
    LagState::Behind,
    LagState::NoCommit,
    LagState::CatchingUp,
    LagState::KeepingUp,
    LagState::Unseen,
];

/// The name of all states together that need somebody.
const BAD: &str = "bad";

#[derive(Template)]
#[template(path = "page/groups.html")]
struct Groups {
    frame: Frame,
    name: String,
    sorted_by: &'static str,
    /// To choose: the name in the address, the words, whether it is chosen.
    states: Vec<(&'static str, String, bool)>,
    sources: Vec<(String, bool)>,
    is_filtered: bool,
    heads: Vec<Head>,
    rows: Vec<Row>,
    left_out: usize,
}

/// One group, as it is shown.
struct Row {
    group: String,
    source: String,
    href: Href,
    topics: String,
    pill: Pill,
    /// When that was, where it is not how it stands now.
    as_of: Option<String>,
    lag: String,
    time: String,
    spark: Option<Spark>,
    owned: String,
    members: String,
}

/// `GET /groups`.
pub async fn show(State(state): State<AppState>, Query(params): Query<Params>, frame: Frame) -> Response {
    let wanted = params.name.to_lowercase();
    let holds = |name: &str| name.to_lowercase().contains(&wanted);
    let all = state.board.groups();
    let mut found: Vec<&GroupStatus> = all
        .iter()
        .flat_map(|groups| groups.iter())
        .filter(|status| holds(&status.group) || status.topics().into_iter().any(holds))
        .filter(|status| params.source.is_empty() || status.source.as_str() == params.source)
        .filter(|status| match params.state.as_str() {
            "" => true,
            BAD => needs_somebody(status.state),
            state => status.state.as_str() == state,
        })
        .collect();
    found.sort_by(|one, other| params.sort.compare(one, other));
    let left_out = found.len().saturating_sub(ROWS_MAX);
    let now = Timestamp::now();
    let rows = found.into_iter().take(ROWS_MAX).map(|status| row(status, &state, &frame, now)).collect();
    let here =
        frame.links.groups().with("name", &params.name).with("state", &params.state).with("source", &params.source);
    let head = |text, sort: Sort, order, is_number| Head {
        text,
        href: here.clone().with("sort", sort.as_str()),
        sorted: if params.sort == sort { order } else { "" },
        is_number,
    };
    let heads = vec![
        head("Group", Sort::Group, "ascending", false),
        head("State", Sort::State, "descending", false),
        head("Lag, records", Sort::Lag, "descending", true),
        head("Lag, time", Sort::Time, "descending", true),
        head("Last 15 min", Sort::Trend, "descending", false),
        head("Members", Sort::Members, "descending", true),
    ];
    let chosen = |state: &str| params.state == state;
    let states = STATES.into_iter().map(|state| (state.as_str(), pill(state).text, chosen(state.as_str())));
    let states = std::iter::once((BAD, "needs somebody".to_owned(), chosen(BAD))).chain(states).collect();
    let sources: BTreeSet<&str> =
        all.iter().flat_map(|groups| groups.iter()).map(|status| status.source.as_str()).collect();
    let sources = sources.into_iter().map(|source| (source.to_owned(), source == params.source)).collect();
    let is_filtered = !(params.name.is_empty() && params.state.is_empty() && params.source.is_empty());
    let sorted_by = params.sort.as_str();
    render(&Groups { heads, rows, left_out, name: params.name, sorted_by, states, sources, is_filtered, frame })
}

/// Whether somebody should look at a group that stands so.
fn needs_somebody(state: LagState) -> bool {
    pill(state).tone != "ok" && !matches!(state, LagState::NoCommit | LagState::Unseen)
}

fn row(status: &GroupStatus, state: &AppState, frame: &Frame, now: Timestamp) -> Row {
    let group = (&status.source, status.group.as_str());
    let course = state.board.lags().course(group, now.minus(WINDOW), WINDOW / STEPS, STEPS);
    let levels: Vec<Option<u64>> = course.iter().map(|level| level.lag).collect();
    let topics: Vec<String> = status.topics().into_iter().map(str::to_owned).collect();
    Row {
        href: frame.links.group(status.source.as_str(), &status.group),
        group: status.group.clone(),
        source: status.source.to_string(),
        topics: if topics.is_empty() { String::new() } else { wording::names(&topics) },
        pill: pill(status.state),
        as_of: (!status.is_current(now)).then(|| wording::clock_short(status.at, now)),
        lag: status.lag().map_or_else(|| "–".to_owned(), wording::count),
        time: time(status.lag_ms()),
        spark: level(&levels, "lag in records"),
        owned: owned(status),
        members: status.members.as_ref().map_or_else(|| "–".to_owned(), |all| wording::count(all.len() as u64)),
    }
}

/// How a state is shown.
pub fn pill(state: LagState) -> Pill {
    let (tone, text) = match state {
        LagState::Unseen => ("", "can't be seen"),
        LagState::KeepingUp => ("ok", "keeping up"),
        LagState::CatchingUp => ("ok", "catching up"),
        LagState::NoCommit => ("warn", "no commit"),
        LagState::Behind => ("warn", "behind"),
        LagState::FallingBehind => ("warn", "falling behind"),
        LagState::Stopped => ("bad", "stopped"),
        LagState::Stalled => ("bad", "stalled"),
        LagState::Rewound => ("warn", "rewound"),
        LagState::BelowStart => ("bad", "committed below log start"),
    };
    Pill::new(tone, text)
}

/// A lag in time; a dash where it isn't known.
pub fn time(lag_ms: Option<u64>) -> String {
    match lag_ms {
        None => "–".to_owned(),
        Some(0) => "0".to_owned(),
        Some(ms) => wording::duration(ms.saturating_mul(1_000_000)),
    }
}

/// How many of its partitions somebody owns: `2 of 6`.
pub fn owned(status: &GroupStatus) -> String {
    let all = status.partitions.len() as u64;
    if status.members.is_none() {
        return "–".to_owned();
    }
    let owned = status.partitions.iter().filter(|partition| partition.owner.is_some()).count();
    format!("{} of {}", wording::count(owned as u64), wording::count(all))
}

#[cfg(test)]
pub mod tests;
