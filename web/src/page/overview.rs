//! Is anything wrong right now, and where do I click? Before anything has arrived: what to do so that it does.

mod start; // what is said before anything has arrived

use askama::Template;
use axum::extract::State;
use axum::response::Response;
use store::alert::AlertState;
use store::board::SourceState;
use store::overview::{self, Course, Overview as Figures};
use store::query::{Field, Query, WINDOW_DEFAULT};
use store::topics::Period;
use store::{Timestamp, topics};

use self::start::Start;
use super::flows::gather::{Row, gather};
use crate::drawing::spark::{Spark, spark};
use crate::href::Href;
use crate::page::{Frame, Problem, render};
use crate::state::AppState;
use crate::wording;

/// The steps of the small charts: 90 of them in the usual window.
const STEP: std::time::Duration = std::time::Duration::from_secs(10);

/// Over how long "now" is taken.
const NOW: std::time::Duration = std::time::Duration::from_secs(30);

/// How many flows that need a look are shown: more are a click away.
const ROWS: usize = 8;

/// How many of them may be dead letters: these come first, and what fails just now still has room below.
const DEAD_ROWS: usize = 5;

/// One figure.
struct Tile {
    value: String,
    label: &'static str,
    more: String,
    tone: &'static str,
    chart: Option<Spark>,
    href: Href,
}

#[derive(Template)]
#[template(path = "page/overview.html")]
struct Overview {
    frame: Frame,
    start: Option<Start>,
    tiles: Vec<Tile>,
    rows: Vec<Row>,
    /// What fires, the first few.
    firing: String,
    /// Sources that are not up, and why.
    troubles: Vec<(String, String)>,
    sources: String,
    topics: Vec<(Option<Href>, String, String, String)>,
    window: String,
    at_least: bool,
}

/// `GET /`.
pub async fn show(State(state): State<AppState>, frame: Frame) -> Result<Response, Problem> {
    let now = Timestamp::now();
    let mut page = Overview {
        frame,
        start: None,
        tiles: Vec::new(),
        rows: Vec::new(),
        firing: firing(&state),
        troubles: troubles(&state),
        sources: sources(&state),
        topics: Vec::new(),
        window: wording::duration(u64::try_from(WINDOW_DEFAULT.as_nanos()).unwrap_or(u64::MAX)),
        at_least: false,
    };
    if state.store.stats().await?.entries == 0 {
        page.start = Some(Start::of(&state));
        return Ok(render(&page));
    }
    let figures = overview::overview(&*state.store, Period { window: WINDOW_DEFAULT, step: STEP, now }).await?;
    let topics = topics::list(&*state.store, &state.board, WINDOW_DEFAULT, now).await?;
    page.at_least = figures.at_least;
    page.tiles = tiles(&state, &figures, topics.topics.len());
    page.topics = busiest(&state, &topics);
    page.rows = needing_a_look(&state, now).await?;
    Ok(render(&page))
}

/// Flows in which something went wrong: dead letters first, because nothing mends them by itself; then the newest others.
async fn needing_a_look(state: &AppState, now: Timestamp) -> Result<Vec<Row>, Problem> {
    let status = |word: &str| Query::is(Field::Status, word);
    let lately = || Query::Time { from: Some(now.minus(WINDOW_DEFAULT)), to: None };
    let dead = gather(state, &status("dead").and(lately()), None, DEAD_ROWS, now).await?.rows;
    let wrong = Query::Or(vec![status("dead"), status("failed"), status("retried")]).and(lately());
    let newest = gather(state, &wrong, None, ROWS, now).await?.rows;
    let mut rows = dead;
    for row in newest {
        if rows.len() < ROWS && rows.iter().all(|known| known.href.as_str() != row.href.as_str()) {
            rows.push(row);
        }
    }
    // Stable: within each, the newest stay first.
    rows.sort_by_key(|row| row.pill.tone != "bad");
    Ok(rows)
}

fn tiles(state: &AppState, figures: &Figures, n_topics: usize) -> Vec<Tile> {
    let links = &state.links;
    let chart = |course: &Course, of_what| spark(&course.steps, STEP, of_what);
    let last = |course: &Course, none: &str| match course.last {
        Some(last) => format!("last at {}", wording::clock_short(last, Timestamp::now())),
        None => none.to_owned(),
    };
    let tone = |course: &Course, tone| if course.total > 0 { tone } else { "" };
    let rate = wording::rate((figures.records.rate(NOW, STEP) * 1e6) as u64, 1e6);
    vec![
        Tile {
            value: rate,
            label: "records",
            more: format!("on {}", wording::many(n_topics as u64, "topic")),
            tone: "",
            chart: chart(&figures.records, "records"),
            href: links.topics(),
        },
        Tile {
            value: wording::share(figures.retried.total, figures.records.total.max(figures.retried.total)),
            label: "of records are retries",
            more: format!(
                "{} · {}",
                wording::many(figures.retried.total, "retry").replace("retrys", "retries"),
                last(&figures.retried, "none")
            ),
            tone: tone(&figures.retried, "warn"),
            chart: chart(&figures.retried, "retries"),
            href: links.retries(),
        },
        Tile {
            value: wording::count(figures.dead.total),
            label: if figures.dead.total == 1 { "dead letter" } else { "dead letters" },
            more: last(&figures.dead, "none"),
            tone: tone(&figures.dead, "bad"),
            chart: chart(&figures.dead, "dead letters"),
            href: links.dead_letters(),
        },
        Tile {
            value: wording::share(figures.failed.total, figures.spans.total),
            label: "of spans failed",
            more: format!("{} of {}", wording::count(figures.failed.total), wording::count(figures.spans.total)),
            tone: tone(&figures.failed, "warn"),
            chart: chart(&figures.failed, "failed spans"),
            href: links.flows().with("status", "failed"),
        },
    ]
}

/// The topics with most records.
fn busiest(state: &AppState, found: &topics::Topics) -> Vec<(Option<Href>, String, String, String)> {
    let mut topics: Vec<_> = found.topics.iter().filter(|topic| topic.seen > 0).collect();
    topics.sort_by(|one, other| other.seen.cmp(&one.seen).then_with(|| one.topic.cmp(&other.topic)));
    topics
        .into_iter()
        .take(ROWS)
        .map(|topic| {
            let href = topic.source.as_ref().map(|source| state.links.topic(source.as_str(), &topic.topic));
            let readers = if topic.readers.is_empty() {
                "no reader seen".to_owned()
            } else {
                format!("read by {}", wording::names(&topic.readers))
            };
            (href, topic.topic.clone(), readers, wording::rate((topic.rate * 1e6) as u64, 1e6))
        })
        .collect()
}

/// The rules of what fires, each once.
fn firing(state: &AppState) -> String {
    let alerts = state.board.alerts();
    let loud = alerts.current.iter().filter(|standing| standing.silence.is_none());
    let firing = loud.filter(|standing| standing.alert.state == AlertState::Firing);
    let mut names: Vec<String> = firing.map(|standing| standing.alert.name.clone()).collect();
    names.sort();
    names.dedup();
    if names.is_empty() { String::new() } else { wording::names(&names) }
}

fn troubles(state: &AppState) -> Vec<(String, String)> {
    let sources = state.board.sources().into_iter();
    sources
        .filter(|source| {
            source.state == SourceState::Down || (source.state == SourceState::Up && source.error.is_some())
        })
        .map(|source| (source.name.to_string(), source.error.unwrap_or_else(|| "it doesn't answer".to_owned())))
        .collect()
}

/// All sources in a line: `main, otlp up`.
fn sources(state: &AppState) -> String {
    let sources = state.board.sources();
    let up: Vec<String> =
        sources.iter().filter(|source| source.state == SourceState::Up).map(|source| source.name.to_string()).collect();
    let there = sources.iter().filter(|source| source.state != SourceState::Absent).count();
    match up.len() {
        0 => "no source is up".to_owned(),
        many if many == there => format!("all sources up: {}", wording::names(&up)),
        many => format!("{many} of {there} sources up"),
    }
}

#[cfg(test)]
mod tests;
