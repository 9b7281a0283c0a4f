//! What died, why, in which consumer, and what was decided of it?

pub mod asked; // which ones an address asks for
pub mod decide; // dismisses them, or opens them again
mod redriven; // what became of those that were sent back

use std::time::Duration;

use askama::Template;
use axum::extract::{Path, RawQuery, State};
use axum::http::StatusCode;
use axum::response::Response;
use store::Timestamp;
use store::dead_letters::{self, CauseGroup, DeadLetter, DeadLetters, State as LetterState};
use store::engine::Cursor;
use store::flow::{self, Start};

use self::asked::Asked;
use crate::drawing::spark::{Spark, spark};
use crate::href::{self, Href};
use crate::page::flow::detail::Detail;
use crate::page::flow::headline::Pill;
use crate::page::redrive::one;
use crate::page::{Frame, Problem, render};
use crate::state::AppState;
use crate::wording;

/// How many dead letters one page shows, and how many causes.
const ROWS: usize = asked::NAMED_MAX;

/// How many consumers, topics and types are offered to narrow by.
const CHOICES_MAX: usize = 12;

/// How far back the growth is drawn, and in which steps.
const GROWTH: Duration = Duration::from_secs(24 * 3_600);
const GROWTH_STEP: Duration = Duration::from_secs(1_800);

#[derive(Template)]
#[template(path = "page/dead_letters.html")]
struct Page {
    frame: Frame,
    /// The topic that it is about, where it is about one.
    topic: Option<String>,
    open: Pill,
    facts: Vec<String>,
    growth: Option<Spark>,
    cut: Option<String>,
    causes: Vec<CauseRow>,
    causes_left: usize,
    choices: Vec<Choice>,
    states: Vec<(&'static str, Href, bool)>,
    /// What the messages have in common.
    title: String,
    rows: Vec<Row>,
    next: Option<Href>,
    /// What is kept of the address when some are selected.
    kept: Vec<(String, String)>,
    here: Href,
    narrower: Option<Href>,
    is_selected: bool,
    many: String,
    export: Href,
    decide: decide::Form,
    decided: Option<String>,
    /// What sending them back would do: all that are asked for, and those that are selected.
    redrive: Href,
    redrive_selected: Href,
    /// The latest redrives.
    redrives: Vec<redriven::Row>,
    detail: Option<Detail>,
    record: Option<Href>,
    /// Whether anything died at all.
    is_empty: bool,
}

/// One cause in one consumer.
struct CauseRow {
    href: Href,
    is_current: bool,
    cause: String,
    topics: String,
    consumer: String,
    count: u64,
    most: u64,
    last: String,
}

/// One way to narrow: by consumer, topic or type.
struct Choice {
    by: &'static str,
    values: Vec<(String, u64, Href, bool)>,
}

/// One dead letter.
struct Row {
    name: String,
    place: String,
    topic: String,
    event: String,
    key: String,
    href: Href,
    only: Href,
    attempts: String,
    reason: String,
    died: String,
    pill: Pill,
    note: String,
    /// The redrive that sent it back.
    redrive: Option<Href>,
    is_guessed: bool,
}

/// `GET /dead-letters`.
pub async fn all(State(state): State<AppState>, RawQuery(query): RawQuery, frame: Frame) -> Result<Response, Problem> {
    let asked = read(query.as_deref().unwrap_or_default(), &frame)?;
    show(&state, asked, frame).await
}

/// `GET /dead-letters/{source}/{topic}`.
pub async fn of_topic(
    State(state): State<AppState>,
    Path((source, topic)): Path<(String, String)>,
    RawQuery(query): RawQuery,
    frame: Frame,
) -> Result<Response, Problem> {
    let mut asked = read(query.as_deref().unwrap_or_default(), &frame)?;
    asked.wanted.source = Some(href::segment(&source).into());
    asked.wanted.topic = Some(href::segment(&topic).into());
    show(&state, asked, frame).await
}

fn read(query: &str, frame: &Frame) -> Result<Asked, Problem> {
    Asked::read(query).map_err(|says| {
        Problem::new(StatusCode::BAD_REQUEST, "This address can't be read")
            .because(&says)
            .try_instead("All dead letters", frame.links.dead_letters())
    })
}

async fn show(state: &AppState, asked: Asked, frame: Frame) -> Result<Response, Problem> {
    let now = Timestamp::now();
    let found = dead_letters::list(&*state.store, state.decided().await?, &asked.wanted).await?;
    let page = page_of(&found.letters, asked.after.as_ref());
    let next = page.last().filter(|last| found.letters.last() != Some(last)).map(|last| last.cursor.to_text());
    let only = match page {
        [only] if !asked.wanted.positions.is_empty() => Some(only),
        _ => None,
    };
    let here = asked.page(&frame.links);
    let any = Asked { after: None, decided: None, limit: None, ..asked.clone() };
    let (detail, record) = match only {
        Some(letter) => (detail(state, letter, now).await?, Some(frame.links.record(&letter.position))),
        None => (None, None),
    };
    let after = redriven::after(state, page).await?;
    let most = found.causes.first().map_or(0, |group| group.count);
    let narrower = |change: &dyn Fn(&mut Asked)| {
        let mut asked = any.clone();
        asked.wanted.positions.clear();
        change(&mut asked);
        asked.page(&frame.links)
    };
    let states = [
        (LetterState::Open, "Open"),
        (LetterState::Redriven, "Redriven"),
        (LetterState::Dismissed, "Dismissed"),
        (LetterState::Any, "All"),
    ];
    Ok(render(&Page {
        topic: asked.wanted.topic.as_ref().map(|topic| topic.to_string()),
        open: open(&found),
        facts: facts(&found, now),
        growth: growth(&found, now),
        causes: found.causes.iter().take(ROWS).map(|group| cause_row(group, most, &any, &frame, now)).collect(),
        causes_left: found.causes.len().saturating_sub(ROWS),
        choices: choices(&found, &any, &frame),
        states: states
            .map(|(state, text)| (text, narrower(&|asked| asked.wanted.state = state), asked.wanted.state == state))
            .to_vec(),
        title: title(&found, &asked),
        rows: page.iter().map(|letter| row(letter, &after, &any, &frame, now)).collect(),
        next: next.map(|cursor| here.clone().with("cursor", &cursor)),
        kept: kept(&any),
        narrower: (any.wanted != Default::default()).then(|| frame.links.dead_letters()),
        is_selected: !asked.wanted.positions.is_empty(),
        many: wording::many(found.letters.len() as u64, "dead letter"),
        export: any.of_api(frame.links.api_dead_letters_export()),
        redrive: any.of_api(frame.links.redrive()),
        redrive_selected: frame.links.redrive(),
        redrives: redriven::latest(state, now),
        decide: decide::Form::of(&any, found.letters.first(), asked.wanted.state),
        decided: asked.decided.map(|many| wording::many(many, "dead letter")),
        detail,
        record,
        is_empty: found.causes.is_empty() && found.open == 0,
        cut: found.cut,
        here,
        frame,
    }))
}

/// The dead letters of one page.
fn page_of<'a>(letters: &'a [DeadLetter], after: Option<&Cursor>) -> &'a [DeadLetter] {
    let from = after.map_or(0, |after| letters.partition_point(|letter| letter.cursor >= *after));
    &letters[from..letters.len().min(from + ROWS)]
}

/// The dead letter in full, as its flow has it.
async fn detail(state: &AppState, letter: &DeadLetter, now: Timestamp) -> Result<Option<Detail>, Problem> {
    let position = &letter.position;
    let start = Start::Record {
        source: position.source.clone(),
        channel: position.channel.clone(),
        place: position.place.clone(),
    };
    let Some(flow) = flow::assemble(&*state.store, &state.board, start, now).await? else { return Ok(None) };
    let joined = flow
        .records
        .iter()
        .find(|joined| joined.held.entry.as_record().is_some_and(|record| record.position == *position));
    Ok(joined.and_then(|joined| Detail::of(&flow, joined.held.sequence, &state.links, now)))
}

fn open(found: &DeadLetters) -> Pill {
    let at_least = if found.cut.is_some() { "at least " } else { "" };
    match found.open {
        0 => Pill::new("ok", "none open"),
        open => Pill::new("bad", &format!("{at_least}{} open", wording::count(open))),
    }
}

fn facts(found: &DeadLetters, now: Timestamp) -> Vec<String> {
    let hour = now.minus(Duration::from_secs(3_600));
    let lately = found.letters.iter().take_while(|letter| letter.died_at >= hour).count() as u64;
    let mut facts = vec![format!("{} in the last hour", wording::count(lately))];
    if let Some(oldest) = found.oldest_open {
        let age = u64::try_from(now.nanos_since(oldest)).unwrap_or(0);
        facts.push(format!("the oldest open one died {} ago", wording::duration(age)));
    }
    facts
}

/// How many died in each step of the last day.
fn growth(found: &DeadLetters, now: Timestamp) -> Option<Spark> {
    let step = GROWTH_STEP.as_nanos() as i64;
    let n_steps = (GROWTH.as_nanos() / GROWTH_STEP.as_nanos()) as i64;
    let last = now.as_nanos().div_euclid(step);
    let mut steps: Vec<(Timestamp, u64)> =
        (last - n_steps..=last + 1).map(|number| (Timestamp::from_nanos(number * step), 0)).collect();
    for letter in &found.letters {
        let place = letter.died_at.as_nanos().div_euclid(step) - (last - n_steps);
        if let Some((_, many)) = usize::try_from(place).ok().and_then(|place| steps.get_mut(place)) {
            *many += 1;
        }
    }
    spark(&steps, GROWTH_STEP, "dead letters in the last day")
}

fn cause_row(group: &CauseGroup, most: u64, any: &Asked, frame: &Frame, now: Timestamp) -> CauseRow {
    let is_current = any.wanted.cause.as_ref() == Some(&group.id);
    let mut asked = any.clone();
    asked.wanted.positions.clear();
    asked.wanted.cause = (!is_current).then(|| group.id.clone());
    CauseRow {
        href: asked.page(&frame.links),
        is_current,
        cause: wording::cut(&group.cause.to_string(), 200),
        topics: wording::names(&group.topics),
        consumer: group.consumer.as_deref().map_or_else(|| "not told".to_owned(), |name| wording::cut(name, 80)),
        count: group.count,
        most,
        last: wording::clock_short(group.last, now),
    }
}

fn choices(found: &DeadLetters, any: &Asked, frame: &Frame) -> Vec<Choice> {
    let [consumers, topics, types] = &found.by;
    let choice = |by, rows: &[(String, u64)], chosen: Option<&str>, choose: &dyn Fn(&mut Asked, Option<String>)| {
        let value = |(name, many): &(String, u64)| {
            let is_chosen = chosen == Some(name.as_str());
            let mut asked = any.clone();
            asked.wanted.positions.clear();
            choose(&mut asked, (!is_chosen).then(|| name.clone()));
            let shown = if name.is_empty() { "not told".to_owned() } else { wording::cut(name, 60) };
            (shown, *many, asked.page(&frame.links), is_chosen)
        };
        Choice { by, values: rows.iter().take(CHOICES_MAX).map(value).collect() }
    };
    let wanted = &any.wanted;
    let topic = wanted.topic.as_ref().map(|topic| topic.as_str());
    vec![
        choice("Consumer", consumers, wanted.consumer.as_deref(), &|asked, name| asked.wanted.consumer = name),
        choice("Topic", topics, topic, &|asked, name| asked.wanted.topic = name.map(Into::into)),
        choice("Type", types, wanted.event_type.as_deref(), &|asked, name| asked.wanted.event_type = name),
    ]
}

fn title(found: &DeadLetters, asked: &Asked) -> String {
    let current = found.causes.iter().find(|group| asked.wanted.cause.as_ref() == Some(&group.id));
    match (current, asked.wanted.positions.is_empty()) {
        (_, false) => "Selected".to_owned(),
        (Some(group), true) => match &group.consumer {
            Some(consumer) => {
                format!("{} in {}", wording::cut(&group.cause.to_string(), 160), wording::cut(consumer, 80))
            }
            None => wording::cut(&group.cause.to_string(), 200),
        },
        (None, true) => "Messages".to_owned(),
    }
}

fn row(letter: &DeadLetter, after: &redriven::Outcomes, any: &Asked, frame: &Frame, now: Timestamp) -> Row {
    let mut only = any.clone();
    let position = &letter.position;
    only.wanted.positions = vec![(position.source.clone(), position.channel.clone(), position.place.clone())];
    let (pill, note) = match (&letter.dismissal, &letter.redriven) {
        (None, None) => (Pill::new("", "new"), String::new()),
        (None, Some(by)) => {
            (after.get(by).map_or_else(|| Pill::new("sea", "redriven"), one::pill_after), String::new())
        }
        (Some(dismissal), _) => {
            let note = if dismissal.note.is_empty() { "no note" } else { &dismissal.note };
            let at = wording::clock_short(dismissal.at, now);
            (Pill::new("", "dismissed"), format!("{} at {at}: {}", dismissal.by, wording::cut(note, 300)))
        }
    };
    let reason = letter.failure.message.as_deref().map(|reason| wording::cut(reason, 160));
    Row {
        name: asked::name(letter),
        place: position.place.to_string(),
        topic: position.channel.to_string(),
        event: letter.event_type.clone().unwrap_or_else(|| "a record".to_owned()),
        key: wording::cut(letter.key.as_deref().or(letter.event_id.as_deref()).unwrap_or_default(), 80),
        href: frame.links.record(position),
        only: only.page(&frame.links),
        attempts: letter.failure.attempts.map_or_else(|| "–".to_owned(), |many| wording::count(u64::from(many))),
        reason: reason.unwrap_or_else(|| letter.cause.to_string()),
        died: wording::clock_short(letter.died_at, now),
        pill,
        note,
        redrive: letter.redriven.as_ref().map(|(id, _)| frame.links.redrive_of(id)),
        is_guessed: letter.failure.guessed,
    }
}

/// The parts of the address that stay when some are selected.
fn kept(any: &Asked) -> Vec<(String, String)> {
    let mut whole = any.clone();
    if whole.wanted.source.is_some() && whole.wanted.topic.is_some() {
        (whole.wanted.source, whole.wanted.topic) = (None, None);
    }
    whole.wanted.positions.clear();
    let href = whole.page(&crate::href::Links::below("")).to_string();
    asked::pairs(href.split_once('?').map_or("", |(_, query)| query)).collect()
}

#[cfg(test)]
mod tests;
