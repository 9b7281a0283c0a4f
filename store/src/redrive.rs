//! Sending dead letters back: what would be sent, where to, and what speaks against it, told before anything is; and what was sent.
//!
//! A plan is made of the dead letter and, where it is kept, of the record that it was made from. It changes nothing and asks no broker.
//! Who wants it sent writes that into the journal, as [`said`] has it; the collector does it, and writes there what came of it.
//!
//! ```text
//! dead letter, origin --added--> headers of the origin --+
//! partitions of the target ---------murmur2--------------+--plan--> record to be sent, or why it can't be
//! ```

pub mod added; // headers that conventions add to a dead letter, and our own
pub mod edit; // a message that is edited before it is sent back
pub mod ledger; // the redrives that the journal knows
mod murmur2; // the partition that Java's producers choose for a key
pub mod outcome; // what became of what was sent back
pub mod plan; // what would be sent for one dead letter
pub mod said; // what the journal's lines say of a redrive

use std::time::{Duration, Instant};

use serde::Deserialize;

use crate::board::Board;
use crate::dead_letters::{self, DeadLetter, Decided, Wanted};
use crate::engine::{Cursor, Held, Store, StoreError};
use crate::flow::owner;
use crate::knot::{Knot, Tie};
use crate::position::{Channel, Place, Position, SourceName};
use crate::record::{Fate, Origin, Record};
pub use edit::{Edit, Edits, NotEdited};
use ledger::Step;
pub use ledger::{Redrive, Redrives};
pub use plan::{Obstacle, Plan};

/// How many dead letters one dry run looks at: for each the store is asked twice, and somebody waits.
pub const PLANNED_MAX: usize = 1_000;

/// For how long one dry run looks: people wait for it.
const TIME_MAX: Duration = Duration::from_secs(5);

/// How many entries at one position are looked at: its records in each life of the topic, their copies, and spans that name it.
const ENTRIES_PER_POSITION: usize = 200;

/// `[redrive]`: sending dead letters back. Every key may be left out.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Whether dead letters may be sent back. `false` by default: Sillage only reads.
    pub enabled: bool,
    /// After so many times a message is sent once more only where that is asked for by itself. 3 by default: what died four times isn't
    /// helped by a fifth.
    pub max_redrives: u32,
    /// How many messages a second are sent at most, 1 to 1,000. 20 by default; it begins with 1, 2, 5 a second.
    pub rate: u32,
    /// After so many messages of one redrive died again it pauses itself. 5 by default: what isn't repaired yet must not die by the thousand.
    pub stop_after: u32,
}

/// The highest [`Config::rate`].
pub const RATE_MAX: u32 = 1_000;

impl Config {
    /// What is wrong with it: the key, and a sentence.
    pub fn check(&self) -> Result<(), (&'static str, String)> {
        if !(1..=RATE_MAX).contains(&self.rate) {
            return Err((
                "rate",
                format!("`rate` in [redrive] is 1 to {RATE_MAX} messages a second, not {}", self.rate),
            ));
        }
        if self.stop_after == 0 {
            return Err(("stop_after", "`stop_after` in [redrive] is at least 1".to_owned()));
        }
        Ok(())
    }
}

impl Default for Config {
    fn default() -> Config {
        Config { enabled: false, max_redrives: 3, rate: 20, stop_after: 5 }
    }
}

/// What somebody wants to send back, and how.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Wish {
    /// Which dead letters.
    pub wanted: Wanted,
    /// Only those that were there when somebody looked: this one, and older ones.
    pub newest: Option<Cursor>,
    /// To this topic; `None` for where each came from.
    pub to: Option<String>,
    /// Also what was redriven as often as [`Config::max_redrives`] allows.
    pub overrides: bool,
}

/// What would be sent.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct DryRun {
    /// Each dead letter that is asked for, newest first, as far as they were looked at.
    pub items: Vec<Item>,
    /// Where all of them are, oldest first: the order in which they are sent, so that a key keeps its own.
    pub wanted: Vec<Position>,
    /// Why there may be more; in words.
    pub cut: Option<String>,
}

/// What would become of one dead letter.
#[derive(Clone, PartialEq, Debug)]
pub struct Item {
    /// The dead letter.
    pub letter: DeadLetter,
    /// What would be sent, or why nothing can be.
    pub outcome: Result<Plan, Obstacle>,
    /// The other groups that read the origin's partition and have committed past the origin: they would get it again. `None` where it isn't
    /// known, or where it goes elsewhere than to the origin's topic.
    pub again: Option<Vec<String>>,
}

impl Item {
    /// Whether it goes to its origin's topic, and nobody can say who would get it again.
    pub fn again_is_unknown(&self) -> bool {
        let origin = self.letter.failure.origin.as_ref().and_then(|origin| origin.channel.as_deref());
        self.again.is_none() && self.outcome.as_ref().is_ok_and(|plan| Some(plan.topic.as_str()) == origin)
    }
}

/// A dead letter and what is kept of its history.
struct History {
    letter: Record,
    origin: Option<Record>,
    retry_topic: Option<String>,
}

/// What plans are made with.
#[derive(Clone, Copy)]
pub struct Planning<'a> {
    /// What is kept of dead letters and their origins.
    pub store: &'a dyn Store,
    /// Which topics there are, and how far groups are.
    pub board: &'a Board,
    /// What was decided before.
    pub decided: Decided<'a>,
    /// After so many redrives a message is sent no more; see [`Config::max_redrives`].
    pub redrives_max: u32,
    /// Also what was redriven so often, or was sent back already.
    pub overrides: bool,
    /// To this topic; `None` for where each came from.
    pub to: Option<&'a str>,
    /// The redrive that it is planned for, which doesn't stand in its own way; empty for none yet.
    pub id: &'a str,
}

/// What would be sent for the dead letters that are asked for.
pub async fn dry_run(
    store: &dyn Store,
    board: &Board,
    decided: Decided<'_>,
    config: &Config,
    wish: &Wish,
) -> Result<DryRun, StoreError> {
    let started = Instant::now();
    let (to, overrides) = (wish.to.as_deref(), wish.overrides);
    let planning = Planning { store, board, decided, redrives_max: config.max_redrives, overrides, to, id: "" };
    let found = dead_letters::list(store, decided, &wish.wanted).await?;
    let mut run = DryRun { items: Vec::new(), wanted: Vec::new(), cut: found.cut };
    let seen = |letter: &DeadLetter| wish.newest.as_ref().is_none_or(|newest| letter.cursor <= *newest);
    let letters: Vec<DeadLetter> = found.letters.into_iter().filter(seen).collect();
    let mut by_age: Vec<&DeadLetter> = letters.iter().collect();
    by_age.sort_by_key(|letter| (letter.died_at, &letter.position));
    run.wanted = by_age.into_iter().map(|letter| letter.position.clone()).collect();
    for letter in letters {
        if run.items.len() == PLANNED_MAX || started.elapsed() > TIME_MAX {
            run.cut = Some(format!("only the newest {} dead letters were looked at", run.items.len()));
            break;
        }
        run.items.push(planning.item(letter).await?);
    }
    Ok(run)
}

impl Planning<'_> {
    /// What would become of the dead letter at a position; `None` where none is kept there any more.
    pub async fn item_at(&self, position: &Position) -> Result<Option<Item>, StoreError> {
        let own = (Tie::Is, Knot::Position(position.channel.clone(), position.place.clone()));
        let found = self.store.related(&[own], ENTRIES_PER_POSITION).await?;
        let is_it = |held: &&Held| held.entry.as_record().is_some_and(|record| record.position == *position);
        let letter = found.entries.iter().find(is_it).and_then(|held| DeadLetter::of(held, self.decided));
        Ok(match letter {
            Some(letter) => Some(self.item(letter).await?),
            None => None,
        })
    }

    async fn item(&self, letter: DeadLetter) -> Result<Item, StoreError> {
        let refused = |letter, obstacle| Ok(Item { letter, outcome: Err(obstacle), again: None });
        let Some(history) = history(self.store, &letter).await? else { return refused(letter, Obstacle::Gone) };
        if let Some(obstacle) = self.stands_before(&letter.position) {
            return refused(letter, obstacle);
        }
        let source = &letter.position.source;
        let partitions = |topic: &str| partitions(self.board, source, topic);
        let outcome = plan::plan(&plan::Given {
            letter: &history.letter,
            origin: history.origin.as_ref(),
            retry_topic: history.retry_topic.as_deref(),
            to: self.to,
            partitions: &partitions,
            redrives_max: if self.overrides { u32::MAX } else { self.redrives_max },
            sent_before: self.decided.redrives.sent(&letter.position).0,
        });
        let again = outcome.as_ref().ok().and_then(|plan| again(self.board, &letter, plan));
        Ok(Item { letter, outcome, again })
    }

    /// Another redrive that has sent a dead letter back, or is about to: sending it twice must be asked for by itself.
    fn stands_before(&self, position: &Position) -> Option<Obstacle> {
        let others = self.decided.redrives.of(position).into_iter().filter(|(redrive, _)| redrive.id != self.id);
        let mut sent = None;
        for (redrive, number) in others {
            match redrive.messages[number].step {
                // Those that were asked for later look for this one.
                Step::Waiting if redrive.course.is_open() && (self.id.is_empty() || redrive.id.as_str() < self.id) => {
                    return Some(Obstacle::Underway(redrive.id.clone()));
                }
                Step::Sending(_) => return Some(Obstacle::Underway(redrive.id.clone())),
                Step::There { .. } | Step::Unknown(..) if !self.overrides => sent = Some(redrive.id.clone()),
                _ => {}
            }
        }
        sent.map(Obstacle::SentBefore)
    }
}

/// The dead letter whole, with what is kept of its origin; `None` where the dead letter itself was removed meanwhile.
async fn history(store: &dyn Store, letter: &DeadLetter) -> Result<Option<History>, StoreError> {
    let position = &letter.position;
    let own = (Tie::Is, Knot::Position(position.channel.clone(), position.place.clone()));
    let found = records(store, &[own]).await?;
    let Some(whole) = found.into_iter().find(|record| record.position == *position) else { return Ok(None) };
    let mut history = History { letter: whole, origin: None, retry_topic: None };
    if let Some((channel, place)) = letter.failure.origin.as_ref().and_then(place_of) {
        let knot = Knot::Position(channel.clone(), place.clone());
        let found = records(store, &[(Tie::Is, knot.clone()), (Tie::Refers, knot)]).await?;
        let all: Vec<&Record> = found.iter().collect();
        let is_own_retry = |record: &&Record| {
            let failure = record.failure.as_ref().filter(|failure| failure.fate == Fate::Retry);
            record.position.source == position.source
                && record.position.channel != channel
                && failure.is_some_and(|failure| failure.group.is_some() && failure.group == letter.consumer)
        };
        let origin = owner::of_copy(&history.letter, &channel, &place, &all);
        history.origin = origin.filter(|origin| is_same_event(origin, &history.letter)).cloned();
        history.retry_topic = found.iter().find(is_own_retry).map(|record| record.position.channel.to_string());
    }
    Ok(Some(history))
}

/// Whether what stands at a dead letter's origin can be what it was made from: where a topic was made again, another record is there now.
fn is_same_event(origin: &Record, letter: &Record) -> bool {
    let keeps_key = letter.key.is_none() || letter.key == origin.key;
    let (of_origin, of_letter) = (origin.event.id.as_ref(), letter.event.id.as_ref());
    keeps_key && of_letter.is_none_or(|id| of_origin.is_none_or(|other| other == id))
}

async fn records(store: &dyn Store, knots: &[(Tie, Knot)]) -> Result<Vec<Record>, StoreError> {
    let found = store.related(knots, ENTRIES_PER_POSITION).await?;
    Ok(found.entries.iter().filter_map(|held| held.entry.as_record().cloned()).collect())
}

fn place_of(origin: &Origin) -> Option<(Channel, Place)> {
    let place = Place::Offset { partition: origin.partition?, offset: origin.offset? };
    Some((origin.channel.as_deref()?.into(), place))
}

/// How many partitions a topic has now, as far as each is led by somebody; `None` where it isn't watched, or is gone.
fn partitions(board: &Board, source: &SourceName, topic: &str) -> Option<u32> {
    let status = board.sources().into_iter().find(|status| status.name == *source)?;
    let channel = status.channels.iter().find(|channel| channel.channel == topic)?;
    // One that nobody leads just now is not among them, and its number is missing.
    let beyond = channel.bounds.iter().filter_map(|bounds| u32::try_from(bounds.partition + 1).ok()).max();
    Some(channel.partitions.max(beyond.unwrap_or(0)))
}

fn again(board: &Board, letter: &DeadLetter, plan: &Plan) -> Option<Vec<String>> {
    let origin = letter.failure.origin.as_ref()?;
    let (channel, place) = place_of(origin)?;
    if plan.topic != channel.as_str() {
        return None;
    }
    let readers = board.readers(&letter.position.source);
    if readers.groups().is_empty() {
        return None;
    }
    let has_passed = |committed: i64| origin.offset.is_some_and(|offset| committed > offset);
    let others = readers.of(&channel, place.partition()?).filter(|reader| {
        Some(&reader.group.group) != letter.consumer.as_ref()
            && reader.partition.and_then(|lag| lag.committed).is_some_and(has_passed)
    });
    Some(others.map(|reader| reader.group.group.clone()).collect())
}

#[cfg(test)]
mod tests;
