//! Starts, pauses and cancels redrives, for the API and for pages: writes what somebody wants into the journal, where the collector sees it.

use std::collections::BTreeSet;

use store::dead_letters::Wanted;
use store::redrive::edit;
use store::redrive::ledger::{AGAIN_MAX, Course, MESSAGES_MAX};
use store::redrive::said::{Asked, Said};
use store::redrive::{self, DryRun, Edit, Edits, Item, NotEdited, Plan, Redrive, Wish};
use store::{Position, StoreError};

use crate::door::Visitor;
use crate::href::Links;
use crate::page::dead_letters::asked;
use crate::state::AppState;

/// The longest description of which dead letters were asked for, in letters.
const FILTER_LETTERS_MAX: usize = 500;

/// What somebody wants to be sent, and what they confirm.
#[derive(Clone, Debug, Default)]
pub struct Order {
    /// Which dead letters, and where to.
    pub wish: Wish,
    /// How many a second; `None` for what the configuration says.
    pub rate: Option<u32>,
    /// After how many that died again it pauses; `None` for what the configuration says.
    pub stop_after: Option<u32>,
    /// The other groups that may get messages again.
    pub again: Vec<String>,
    /// Whether messages may be sent of which nobody knows who gets them again.
    pub again_unknown: bool,
    /// What the one message's value is to be; `None` for what it is.
    pub edited: Option<Edited>,
}

/// A value that somebody edited.
#[derive(Clone, Debug)]
pub enum Edited {
    /// As a form in a browser sends it, with other ends of lines.
    OfForm(String),
    /// Byte for byte.
    Exact(String),
}

/// What is to become of a redrive.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Steer {
    /// Nothing more is sent until it is resumed.
    Pause,
    /// It goes on.
    Resume,
    /// Nothing more is sent, ever.
    Cancel,
}

/// Why something was not done. Nothing was sent then, and nothing changed.
#[derive(Debug, thiserror::Error)]
pub enum NotDone {
    /// It is off.
    #[error(
        "dead letters are not sent back here, and nothing was: set `enabled = true` in [redrive], and start Sillage again"
    )]
    Off,
    /// What is asked for makes no sense.
    #[error("{0}")]
    Unreadable(String),
    /// There is no such redrive.
    #[error("no redrive has this id")]
    NotFound,
    /// As things are it can't be done.
    #[error("{0}")]
    Conflict(String),
    /// The store or the journal failed.
    #[error("the store could not do it")]
    Store(#[from] StoreError),
}

impl Steer {
    /// What a word stands for.
    pub fn from_name(name: &str) -> Option<Steer> {
        Some(match name {
            "pause" => Steer::Pause,
            "resume" => Steer::Resume,
            "cancel" => Steer::Cancel,
            _ => return None,
        })
    }
}

/// Writes down that dead letters are to be sent back, and gives the redrive's id, and how many they are.
pub async fn start(state: &AppState, visitor: &Visitor, order: Order) -> Result<(String, usize), NotDone> {
    let config = &state.redrive;
    if !config.enabled {
        return Err(NotDone::Off);
    }
    let rate = order.rate.unwrap_or(config.rate);
    if !(1..=config.rate).contains(&rate) {
        let says = format!("`rate` is 1 to {} messages a second, as [redrive] has it", config.rate);
        return Err(NotDone::Unreadable(says));
    }
    let stop_after = order.stop_after.unwrap_or(config.stop_after).max(1);
    let run = redrive::dry_run(&*state.store, &state.board, state.decided().await?, config, &order.wish).await?;
    let letters = sendable(&run)?;
    confirmed(&run, &order)?;
    let edit = match order.edited {
        Some(edited) => edit(state, &run, edited).map_err(|error| NotDone::Conflict(error.to_string()))?,
        None => None,
    };
    let asked = Asked {
        messages: letters.len(),
        filter: described(&order.wish.wanted),
        to: order.wish.to,
        rate,
        overrides: order.wish.overrides,
        stop_after,
        again: order.again,
        again_unknown: order.again_unknown,
        edited: None,
    };
    let who = name(visitor);
    let id = state.redrives.ask(&state.journal, asked, &letters, edit, who).await?;
    tracing::info!("{who} redrives {} dead letters: redrive {id}", letters.len());
    Ok((id, letters.len()))
}

/// What an edited value changes of the one message that would be sent; `None` where that is nothing.
pub fn edit(state: &AppState, run: &DryRun, edited: Edited) -> Result<Option<Edit>, NotEdited> {
    let (item, plan) = only(run)?;
    let redaction = state.board.redaction();
    let before = edit::editable(plan, &redaction)?;
    let after = match edited {
        Edited::OfForm(sent) => edit::of_form(&sent, before)?,
        Edited::Exact(value) => value,
    };
    Edit::of(&item.letter.position, plan, after, &redaction)
}

/// What somebody edited of a redrive's one message; `None` where nothing was, or where it isn't kept any more.
pub async fn edit_of(state: &AppState, redrive: &Redrive) -> Result<Option<Edit>, StoreError> {
    if redrive.asked.edited.is_none() {
        return Ok(None);
    }
    match Edits::beside(&state.journal).get(&redrive.id).await {
        Err(StoreError::Damaged { .. }) => Ok(None),
        read => read,
    }
}

/// The one message that would be sent.
pub fn only(run: &DryRun) -> Result<(&Item, &Plan), NotEdited> {
    match &run.items[..] {
        [item] if run.wanted.len() == 1 => {
            // Where it can't be sent at all, that is told by itself.
            item.outcome.as_ref().map(|plan| (item, plan)).map_err(|_| NotEdited::NotOne(0))
        }
        _ => Err(NotEdited::NotOne(run.wanted.len())),
    }
}

/// Pauses a redrive, resumes it or cancels it. What is on its way already is not called back.
pub async fn steer(state: &AppState, visitor: &Visitor, id: &str, steer: Steer) -> Result<(), NotDone> {
    state.redrives.catch_up(&state.journal).await?;
    let redrive = state.redrives.get(id).ok_or(NotDone::NotFound)?;
    if !redrive.course.is_open() {
        return Err(NotDone::Conflict(format!("redrive {id} is {} already", redrive.course.as_str())));
    }
    let said = match steer {
        Steer::Resume if !state.redrive.enabled => return Err(NotDone::Off),
        Steer::Resume if redrive.course == Course::Going => return Ok(()),
        Steer::Pause if redrive.course != Course::Going => return Ok(()),
        Steer::Pause => Said::Paused { why: String::new() },
        Steer::Resume => Said::Resumed,
        Steer::Cancel => Said::Cancelled,
    };
    said.append(&state.journal, id, name(visitor)).await?;
    Ok(state.redrives.catch_up(&state.journal).await?)
}

fn name(visitor: &Visitor) -> &str {
    visitor.name.as_deref().unwrap_or("operator")
}

/// What is sent: all but those that something stands in the way of.
fn sendable(run: &DryRun) -> Result<Vec<Position>, NotDone> {
    let blocked: BTreeSet<&Position> =
        run.items.iter().filter(|item| item.outcome.is_err()).map(|item| &item.letter.position).collect();
    let letters: Vec<Position> = run.wanted.iter().filter(|letter| !blocked.contains(letter)).cloned().collect();
    if letters.len() > MESSAGES_MAX {
        let says =
            format!("that is more than {MESSAGES_MAX} dead letters at once: narrow it by topic, consumer or cause");
        return Err(NotDone::Conflict(says));
    }
    if letters.is_empty() {
        let why = run.items.iter().find_map(|item| item.outcome.as_ref().err());
        let why =
            why.map_or_else(|| "no dead letter is asked for".to_owned(), |why| format!("of the first one: {why}"));
        return Err(NotDone::Conflict(format!("nothing can be sent; {why}")));
    }
    Ok(letters)
}

/// Whether somebody who would be sent something again was confirmed. The collector sees to it once more before it sends each.
fn confirmed(run: &DryRun, order: &Order) -> Result<(), NotDone> {
    if order.again.len() > AGAIN_MAX {
        let says = format!("more than {AGAIN_MAX} groups would get messages again: send them to another topic");
        return Err(NotDone::Conflict(says));
    }
    let others: BTreeSet<&str> =
        run.items.iter().flat_map(|item| item.again.iter().flatten()).map(String::as_str).collect();
    let unconfirmed: Vec<String> =
        others.into_iter().filter(|group| !order.again.iter().any(|named| named == group)).map(str::to_owned).collect();
    if !unconfirmed.is_empty() {
        let says = format!(
            "these groups have processed some of it and would get it again: {}; confirm them in `again`, or send it elsewhere with `to`",
            unconfirmed.join(", ")
        );
        return Err(NotDone::Conflict(says));
    }
    if !order.again_unknown && run.items.iter().any(Item::again_is_unknown) {
        let says = "who would get some of it again isn't known, because no consumer group is seen: confirm that by `againUnknown`";
        return Err(NotDone::Conflict(says.to_owned()));
    }
    Ok(())
}

/// Which dead letters were asked for, as an address has it; those that are named by their number only.
fn described(wanted: &Wanted) -> String {
    let named = wanted.positions.len();
    let unnamed =
        asked::Asked { wanted: Wanted { positions: Vec::new(), ..wanted.clone() }, ..asked::Asked::default() };
    let href = unnamed.of_api(Links::below("").dead_letters()).to_string();
    let filter = href.split_once('?').map_or("", |(_, query)| query);
    let selected = if named == 0 { String::new() } else { format!("{named} selected") };
    let parts = [filter, selected.as_str()].into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>();
    parts.join(", ").chars().take(FILTER_LETTERS_MAX).collect()
}
