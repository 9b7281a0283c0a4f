//! How far is one redrive, and what became of what it sent?

use askama::Template;
use axum::extract::{Extension, Path, Query, State};
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Redirect, Response};
use serde::Deserialize;
use store::Timestamp;
use store::position::{Incarnation, Place};
use store::redrive::Redrive;
use store::redrive::ledger::{Course, Message, Step, Target};
use store::redrive::outcome::{self, After, Outcome};
use store::{Position, SourceName};

use super::not_done;
use crate::difference::Difference;
use crate::door::Visitor;
use crate::href::{Href, Links};
use crate::page::dead_letters::asked;
use crate::page::flow::headline::Pill;
use crate::page::{Frame, Problem, render};
use crate::redriving::{self, NotDone, Steer};
use crate::state::AppState;
use crate::wording;

/// How many messages one page names.
const ROWS: usize = 100;

/// How often browsers load the page again while something may change: often enough to watch it, and nothing for a server.
const AGAIN_SECONDS: &str = "3";

/// What the address says.
#[derive(Deserialize, Default)]
#[serde(default)]
pub struct Params {
    /// The number of the first message that is named.
    from: usize,
}

#[derive(Template)]
#[template(path = "page/redrive_one.html")]
struct Page {
    frame: Frame,
    id: String,
    pill: Pill,
    /// Why it stands still, or what it waits for.
    why: Option<String>,
    facts: Vec<String>,
    /// How many are over, of how many.
    done: usize,
    all: usize,
    progress: String,
    outcome: String,
    cut: Option<String>,
    is_off: bool,
    can_pause: bool,
    can_resume: bool,
    is_open: bool,
    here: Href,
    /// What was edited of its message.
    difference: Option<Difference>,
    /// Whether it was edited, and what isn't kept any more.
    lost_edit: bool,
    rows: Vec<Row>,
    earlier: Option<Href>,
    later: Option<Href>,
}

/// One message.
struct Row {
    number: usize,
    letter: String,
    href: Href,
    target: Option<(String, Option<Href>)>,
    pill: Pill,
    why: String,
    /// The dead letter that it became again.
    again: Option<(String, Href)>,
}

/// `GET /redrive/{id}`.
pub async fn show(
    State(state): State<AppState>,
    Path(id): Path<String>,
    Query(params): Query<Params>,
    frame: Frame,
) -> Result<Response, Problem> {
    state.redrives.catch_up(&state.journal).await?;
    let redrive = state.redrives.get(&id).ok_or_else(|| not_done(NotDone::NotFound, &frame))?;
    let outcome = outcome::follow(&*state.store, &state.board, &redrive).await?;
    let edit = redriving::edit_of(&state, &redrive).await?;
    let here = frame.links.redrive_of(&id);
    let from = params.from.min(redrive.messages.len());
    let page = |from: usize| here.clone().with("from", &from.to_string());
    let rows = redrive.messages.iter().enumerate().skip(from).take(ROWS);
    let progress = redrive.progress();
    let mut response = render(&Page {
        pill: pill(&redrive),
        why: match &redrive.course {
            Course::Paused { by, why } if why.is_empty() => Some(format!("Paused by {by}.")),
            Course::Paused { why, .. } => Some(format!("It paused itself: {why}.")),
            Course::Cancelled { by } => Some(format!("Cancelled by {by}: nothing more is sent.")),
            Course::Incomplete => Some("It was never written down whole, and never begins.".to_owned()),
            Course::Going | Course::Finished => {
                state.board.redrive_waits(&id).map(|waits| format!("It can't go on just now: {waits}."))
            }
        },
        facts: facts(&redrive),
        done: redrive.messages.len() - progress.waiting,
        all: redrive.messages.len(),
        progress: progress.to_string(),
        outcome: outcome.to_string(),
        cut: outcome.cut.clone(),
        is_off: !state.redrive.enabled && redrive.course.is_open(),
        can_pause: redrive.course == Course::Going,
        can_resume: matches!(redrive.course, Course::Paused { .. }),
        is_open: redrive.course.is_open(),
        rows: rows.map(|(number, message)| row(number, message, &outcome, &frame.links)).collect(),
        earlier: (from > 0).then(|| page(from.saturating_sub(ROWS))),
        later: (from + ROWS < redrive.messages.len()).then(|| page(from + ROWS)),
        here: here.clone(),
        lost_edit: redrive.asked.edited.is_some() && edit.is_none(),
        difference: edit.map(|edit| Difference::shown(&edit.before, &edit.after)),
        id,
        frame,
    });
    if redrive.course.is_open() {
        response.headers_mut().insert(header::REFRESH, HeaderValue::from_static(AGAIN_SECONDS));
    }
    Ok(response)
}

/// `POST /redrive/{id}`: pauses it, resumes it or cancels it.
pub async fn steer(
    State(state): State<AppState>,
    Extension(visitor): Extension<Visitor>,
    Path(id): Path<String>,
    frame: Frame,
    form: String,
) -> Result<Response, Problem> {
    let steer = asked::pairs(&form).find(|(name, _)| name == "do").and_then(|(_, value)| Steer::from_name(&value));
    let steer =
        steer.ok_or_else(|| not_done(NotDone::Unreadable("The form doesn't say what to do".to_owned()), &frame))?;
    redriving::steer(&state, &visitor, &id, steer).await.map_err(|error| not_done(error, &frame))?;
    Ok(Redirect::to(frame.links.redrive_of(&id).as_str()).into_response())
}

/// How a redrive stands, in a word.
pub fn pill(redrive: &Redrive) -> Pill {
    let tone = match redrive.course {
        Course::Going => "sea",
        Course::Paused { .. } => "warn",
        Course::Finished => "ok",
        Course::Cancelled { .. } | Course::Incomplete => "",
    };
    Pill::new(tone, redrive.course.as_str())
}

fn facts(redrive: &Redrive) -> Vec<String> {
    let asked = &redrive.asked;
    let now = Timestamp::now();
    let mut facts = vec![
        format!("by {}, {}", redrive.by, wording::clock_short(redrive.at, now)),
        format!("at most {} a second", asked.rate),
        format!("pauses when {} died again", asked.stop_after),
    ];
    facts.extend(asked.edited.as_ref().map(|_| "edited".to_owned()));
    facts.extend(asked.to.as_ref().map(|to| format!("to {to}")));
    if !asked.again.is_empty() {
        facts.push(format!("{} may get messages again", wording::names(&asked.again)));
    }
    facts
}

fn row(number: usize, message: &Message, outcome: &Outcome, links: &Links) -> Row {
    let letter = &message.letter;
    let after = outcome.by_number.get(&number);
    let (pill, why) = match (&message.step, after) {
        (Step::Waiting, _) => (Pill::new("", "waiting"), String::new()),
        (Step::Sending(_), _) => (Pill::new("sea", "sending"), String::new()),
        (Step::Refused(why), _) => (Pill::new("warn", "not sent"), why.clone()),
        (Step::Unknown(_, why), _) => (Pill::new("bad", "sent or not, which can't be told"), why.clone()),
        (Step::There { .. }, Some(after)) => (
            pill_after(after),
            match after {
                After::Untold(why) => (*why).to_owned(),
                _ => String::new(),
            },
        ),
        (Step::There { .. }, None) => (Pill::new("sea", "sent"), String::new()),
    };
    let target = match &message.step {
        Step::There { target, offset, .. } => Some(at(&letter.source, target, Some(*offset), links)),
        Step::Sending(target) | Step::Unknown(target, _) => Some(at(&letter.source, target, None, links)),
        Step::Waiting | Step::Refused(_) => None,
    };
    let again = match after {
        Some(After::DeadAgain(position)) => Some((position.to_string(), links.record(position))),
        _ => None,
    };
    Row { number, letter: letter.to_string(), href: links.record(letter), target, pill, why, again }
}

/// What became of a message that was sent back, in a word.
pub fn pill_after(after: &After) -> Pill {
    match after {
        After::Processed => Pill::new("ok", "processed after redrive"),
        After::Waiting => Pill::new("sea", "redriven"),
        After::DeadAgain(_) => Pill::new("bad", "dead again"),
        After::Untold(_) => Pill::new("", "redriven"),
    }
}

fn at(source: &SourceName, target: &Target, offset: Option<i64>, links: &Links) -> (String, Option<Href>) {
    let Target { topic, partition, .. } = target;
    match offset {
        None => (format!("{topic} p{partition}"), None),
        Some(offset) => {
            let place = Place::Offset { partition: *partition, offset };
            let (source, channel) = (source.clone(), topic.as_str().into());
            let position = Position { source, channel, incarnation: Incarnation::default(), place };
            (position.to_string(), Some(links.record(&position)))
        }
    }
}
