//! Redrives beside the dead letters: the latest of them, and what became of those letters that were sent back.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use store::Timestamp;
use store::dead_letters::DeadLetter;
use store::redrive::Redrive;
use store::redrive::outcome::{self, After};

use crate::href::Href;
use crate::page::Problem;
use crate::page::flow::headline::Pill;
use crate::page::redrive::one;
use crate::state::AppState;
use crate::wording;

/// How many redrives are named.
const REDRIVES: usize = 5;

/// Of how many redrives it is looked up what became of what they sent: each takes some questions to the store.
const FOLLOWED_MAX: usize = 10;

/// One redrive.
pub struct Row {
    /// Its page.
    pub href: Href,
    /// When, by whom, and how far it is.
    pub text: String,
    /// How it stands.
    pub pill: Pill,
}

/// What became of messages that were sent back, by redrive and message.
pub type Outcomes = BTreeMap<(String, usize), After>;

/// What became of the dead letters of one page that were sent back, by redrive and message.
pub async fn after(state: &AppState, page: &[DeadLetter]) -> Result<Outcomes, Problem> {
    let ids: BTreeSet<&String> = page.iter().filter_map(|letter| Some(&letter.redriven.as_ref()?.0)).collect();
    let mut all = BTreeMap::new();
    for redrive in ids.into_iter().rev().take(FOLLOWED_MAX).filter_map(|id| state.redrives.get(id)) {
        let outcome = outcome::follow(&*state.store, &state.board, &redrive).await?;
        all.extend(outcome.by_number.into_iter().map(|(number, after)| ((redrive.id.clone(), number), after)));
    }
    Ok(all)
}

/// The latest redrives.
pub fn latest(state: &AppState, now: Timestamp) -> Vec<Row> {
    let row = |redrive: &Arc<Redrive>| {
        let at = wording::clock_short(redrive.at, now);
        let text = format!("{} by {}: {}", at, redrive.by, redrive.progress());
        Row { href: state.links.redrive_of(&redrive.id), text, pill: one::pill(redrive) }
    };
    state.redrives.all().iter().take(REDRIVES).map(row).collect()
}
