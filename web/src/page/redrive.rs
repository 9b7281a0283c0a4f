//! What would sending dead letters back do, and to whom? And then: send them.

mod editing; // the one message, edited before it is sent
pub mod one; // how far is one redrive, and what became of what it sent?

use std::collections::BTreeMap;

use askama::Template;
use axum::extract::{Extension, RawQuery, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use store::engine::Cursor;
use store::redrive::plan::{ChosenBy, Target};
use store::redrive::{self, DryRun, Item, Wish};

use self::editing::Editing;
use crate::door::Visitor;
use crate::href::{Href, Links};
use crate::page::dead_letters::asked::{self, Asked};
use crate::page::{Frame, Problem, render};
use crate::redriving::{self, Edited, NotDone, Order};
use crate::state::AppState;
use crate::wording;

/// How many messages the page names; all of them are counted.
const ROWS: usize = 100;

#[derive(Template)]
#[template(path = "page/redrive.html")]
struct Page {
    frame: Frame,
    is_enabled: bool,
    /// Back to the dead letters that it is about.
    back: Href,
    /// What is asked for, as an address has it.
    asked: String,
    /// The same as fields of the form that asks anew.
    kept: Vec<(String, String)>,
    newest: String,
    to: String,
    overrides: bool,
    rate: u32,
    stop_after: u32,
    many: String,
    sendable: String,
    is_nothing: bool,
    redriven_before: usize,
    cut: Option<String>,
    targets: Vec<(String, &'static str, usize)>,
    /// Who gets messages again, and how many.
    again: Vec<(String, usize)>,
    again_unknown: usize,
    obstacles: Vec<(String, usize)>,
    /// Where there is one message: its value.
    editing: Option<Editing>,
    /// The value that somebody looked at and that is sent.
    edited: Option<String>,
    /// Whether what is shown is what would be sent.
    can_send: bool,
    /// The same dry run without an edit.
    start: Href,
    rows: Vec<Row>,
    rows_left: usize,
}

/// One dead letter.
struct Row {
    place: String,
    topic: String,
    href: Href,
    key: String,
    /// Where it goes; empty where it can't.
    goes: String,
    why: String,
    obstacle: String,
}

/// What an address or a form asks for.
struct Wanted {
    asked: Asked,
    to: String,
    overrides: bool,
    newest: Option<Cursor>,
}

impl Wanted {
    fn read(text: &str, frame: &Frame) -> Result<Wanted, Problem> {
        let asked = Asked::read(text).map_err(|says| wrong(StatusCode::BAD_REQUEST, &says, frame))?;
        let value = |name: &str| asked::pairs(text).find(|(field, _)| field == name).map(|(_, value)| value);
        Ok(Wanted {
            asked: Asked { after: None, limit: None, decided: None, ..asked }.whatever_is_named(),
            to: value("to").unwrap_or_default().trim().to_owned(),
            overrides: value("override").is_some(),
            newest: value("newest").and_then(|text| Cursor::from_text(&text)),
        })
    }

    fn wish(&self) -> Wish {
        let to = Some(self.to.clone()).filter(|to| !to.is_empty());
        Wish { wanted: self.asked.wanted.clone(), newest: self.newest.clone(), to, overrides: self.overrides }
    }
}

/// `GET /redrive`: what would be sent; nothing is.
pub async fn show(State(state): State<AppState>, RawQuery(query): RawQuery, frame: Frame) -> Result<Response, Problem> {
    let wanted = Wanted::read(query.as_deref().unwrap_or_default(), &frame)?;
    look(&state, wanted, None, frame).await
}

/// The page of a dry run, with an edited value where somebody looks at one.
async fn look(state: &AppState, wanted: Wanted, edited: Option<&str>, frame: Frame) -> Result<Response, Problem> {
    let decided = state.decided().await?;
    let run = redrive::dry_run(&*state.store, &state.board, decided, &state.redrive, &wanted.wish()).await?;
    let href = wanted.asked.of_api(Links::below("").dead_letters()).to_string();
    let asked = href.split_once('?').map_or("", |(_, query)| query);
    let newest = run.items.first().map(|item| item.letter.cursor.to_text()).unwrap_or_default();
    let sendable = run.items.iter().filter(|item| item.outcome.is_ok()).count();
    let again = run.items.iter().flat_map(|item| item.again.iter().flatten().cloned());
    let obstacles = run.items.iter().filter_map(|item| Some(item.outcome.as_ref().err()?.to_string()));
    let editing = Editing::of(state, &run, edited).filter(|_| state.redrive.enabled);
    let start = wanted.asked.of_api(frame.links.redrive()).with("to", &wanted.to);
    Ok(render(&Page {
        edited: editing.as_ref().filter(|editing| editing.is_edited()).map(|editing| editing.value.clone()),
        // What somebody edited, and what can't be sent so, must not be sent as it was by mistake.
        can_send: edited.is_none() || editing.as_ref().is_some_and(|editing| editing.refused.is_none()),
        start: if wanted.overrides { start.with("override", "yes") } else { start },
        is_enabled: state.redrive.enabled,
        back: wanted.asked.page(&frame.links),
        kept: asked::pairs(asked).collect(),
        asked: asked.to_owned(),
        newest: wanted.newest.map_or(newest, |newest| newest.to_text()),
        to: wanted.to,
        overrides: wanted.overrides,
        rate: state.redrive.rate,
        stop_after: state.redrive.stop_after,
        many: wording::many(run.wanted.len() as u64, "dead letter"),
        // Those that were not looked at may be sendable, too; each is looked at once more before it is sent.
        sendable: wording::many((sendable + run.wanted.len() - run.items.len()) as u64, "message"),
        is_nothing: sendable == 0,
        redriven_before: redriven_before(&run),
        targets: targets(&run),
        again: tally(again),
        again_unknown: run.items.iter().filter(|item| item.again_is_unknown()).count(),
        obstacles: tally(obstacles),
        editing,
        rows: run.items.iter().take(ROWS).map(|item| row(item, &frame)).collect(),
        rows_left: run.wanted.len().saturating_sub(ROWS),
        cut: run.cut,
        frame,
    }))
}

/// `POST /redrive`: has it sent, and goes to the page that follows it; or shows what somebody edited, which no address could hold.
pub async fn act(
    State(state): State<AppState>,
    Extension(visitor): Extension<Visitor>,
    frame: Frame,
    form: String,
) -> Result<Response, Problem> {
    let values =
        |name: &'static str| asked::pairs(&form).filter(move |(field, _)| field == name).map(|(_, value)| value);
    let number =
        |name: &'static str| values(name).next().filter(|text| !text.is_empty()).map(|text| text.parse::<u32>());
    let unreadable = |_| wrong(StatusCode::BAD_REQUEST, "A rate is a number. Nothing was sent.", &frame);
    let text = values("asked").next().unwrap_or_default();
    let asked = Wanted::read(&text, &frame)?.asked;
    let wanted = Wanted { asked, ..Wanted::read(&form, &frame)? };
    if wanted.newest.is_none() {
        let says = "The form doesn't say which dead letters it showed. Nothing was sent.";
        return Err(wrong(StatusCode::BAD_REQUEST, says, &frame));
    }
    let value = values("value").next();
    if values("do").next().as_deref() == Some("look") {
        return look(&state, wanted, value.as_deref(), frame).await;
    }
    let order = Order {
        edited: value.map(Edited::OfForm),
        wish: wanted.wish(),
        rate: number("rate").transpose().map_err(unreadable)?,
        stop_after: number("stop_after").transpose().map_err(unreadable)?,
        again: values("again").collect(),
        again_unknown: values("again_unknown").next().is_some(),
    };
    let (id, _) = redriving::start(&state, &visitor, order).await.map_err(|error| not_done(error, &frame))?;
    Ok(Redirect::to(frame.links.redrive_of(&id).as_str()).into_response())
}

fn wrong(status: StatusCode, says: &str, frame: &Frame) -> Problem {
    Problem::new(status, "This can't be done").because(says).try_instead("All dead letters", frame.links.dead_letters())
}

/// Why something was not done, for people.
fn not_done(error: NotDone, frame: &Frame) -> Problem {
    let status = match error {
        NotDone::Store(error) => return error.into(),
        NotDone::Off => StatusCode::FORBIDDEN,
        NotDone::Unreadable(_) => StatusCode::BAD_REQUEST,
        NotDone::NotFound => StatusCode::NOT_FOUND,
        NotDone::Conflict(_) => StatusCode::CONFLICT,
    };
    wrong(status, &format!("{error}."), frame)
}

fn redriven_before(run: &DryRun) -> usize {
    run.items.iter().filter(|item| item.outcome.as_ref().is_ok_and(|plan| plan.redrive > 1)).count()
}

fn targets(run: &DryRun) -> Vec<(String, &'static str, usize)> {
    let plans = run.items.iter().filter_map(|item| Some((item, item.outcome.as_ref().ok()?)));
    let targets =
        plans.map(|(item, plan)| (format!("{}/{}", item.letter.position.source, plan.topic), why(plan.target)));
    tally(targets).into_iter().map(|((topic, why), many)| (topic, why, many)).collect()
}

fn why(target: Target) -> &'static str {
    match target {
        Target::RetryTopic => "the failed group's own retry topic: nobody else gets it again",
        Target::OriginTopic => "where it came from",
        Target::Named => "as you say",
    }
}

fn tally<T: Ord>(things: impl Iterator<Item = T>) -> Vec<(T, usize)> {
    let mut tally = BTreeMap::new();
    for thing in things {
        *tally.entry(thing).or_insert(0) += 1;
    }
    tally.into_iter().collect()
}

fn row(item: &Item, frame: &Frame) -> Row {
    let letter = &item.letter;
    let (goes, why, obstacle) = match &item.outcome {
        Err(obstacle) => (String::new(), String::new(), obstacle.to_string()),
        Ok(plan) => {
            let partition = match plan.chosen_by {
                ChosenBy::Origin => "the partition that it had",
                ChosenBy::Key => "the partition that Java's producers choose for its key",
                ChosenBy::Nothing => "no key, so the first partition",
            };
            let bytes = match (plan.is_redacted, plan.is_of_origin) {
                (true, _) => "bytes from the broker, because something was taken out of what is kept",
                (false, true) => "bytes of the origin",
                (false, false) => "bytes of the dead letter, less what was added to it",
            };
            (format!("{} p{}", plan.topic, plan.partition), format!("{partition}; {bytes}"), String::new())
        }
    };
    Row {
        place: letter.position.place.to_string(),
        topic: letter.position.channel.to_string(),
        href: frame.links.record(&letter.position),
        key: wording::cut(letter.key.as_deref().or(letter.event_id.as_deref()).unwrap_or_default(), 80),
        goes,
        why,
        obstacle,
    }
}

#[cfg(test)]
mod tests;
