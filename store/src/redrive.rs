//! Sending dead letters back: what would be sent, where to, and what speaks against it, told before anything is.
//!
//! A plan is made of the dead letter and, where it is kept, of the record that it was made from. It changes nothing and asks no broker.
//!
//! ```text
//! dead letter, origin --added--> headers of the origin --+
//! partitions of the target ---------murmur2--------------+--plan--> record to be sent, or why it can't be
//! ```

mod added; // headers that conventions add to a dead letter
mod murmur2; // the partition that Java's producers choose for a key
pub mod plan; // what would be sent for one dead letter

use std::time::{Duration, Instant};

use serde::Deserialize;

use crate::board::Board;
use crate::dead_letters::{self, DeadLetter, Dismissals, Wanted};
use crate::engine::{Store, StoreError};
use crate::flow::owner;
use crate::knot::{Knot, Tie};
use crate::position::{Channel, Place, SourceName};
use crate::record::{Fate, Origin, Record};
pub use plan::{Obstacle, Plan};

/// How many dead letters one dry run looks at: for each the store is asked twice, and somebody waits.
pub const PLANNED_MAX: usize = 500;

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
}

impl Default for Config {
    fn default() -> Config {
        Config { enabled: false, max_redrives: 3 }
    }
}

/// What somebody wants to send back, and how.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Wish {
    /// Which dead letters.
    pub wanted: Wanted,
    /// To this topic; `None` for where each came from.
    pub to: Option<String>,
    /// Also what was redriven as often as [`Config::max_redrives`] allows.
    pub overrides: bool,
}

/// What would be sent.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct DryRun {
    /// Each dead letter that is asked for, newest first.
    pub items: Vec<Item>,
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

/// A dead letter and what is kept of its history.
struct History {
    letter: Record,
    origin: Option<Record>,
    retry_topic: Option<String>,
}

/// What would be sent for the dead letters that are asked for.
pub async fn dry_run(
    store: &dyn Store,
    board: &Board,
    dismissals: &Dismissals,
    config: &Config,
    wish: &Wish,
) -> Result<DryRun, StoreError> {
    let started = Instant::now();
    let found = dead_letters::list(store, dismissals, &wish.wanted).await?;
    let mut run = DryRun { items: Vec::new(), cut: found.cut };
    for letter in found.letters {
        if run.items.len() == PLANNED_MAX || started.elapsed() > TIME_MAX {
            run.cut = Some(format!("only the newest {} dead letters were looked at", run.items.len()));
            break;
        }
        run.items.push(item(store, board, config, wish, letter).await?);
    }
    Ok(run)
}

async fn item(
    store: &dyn Store,
    board: &Board,
    config: &Config,
    wish: &Wish,
    letter: DeadLetter,
) -> Result<Item, StoreError> {
    let Some(history) = history(store, &letter).await? else {
        return Ok(Item { letter, outcome: Err(Obstacle::Gone), again: None });
    };
    let source = &letter.position.source;
    let partitions = |topic: &str| partitions(board, source, topic);
    let outcome = plan::plan(&plan::Given {
        letter: &history.letter,
        origin: history.origin.as_ref(),
        retry_topic: history.retry_topic.as_deref(),
        to: wish.to.as_deref(),
        partitions: &partitions,
        redrives_max: if wish.overrides { u32::MAX } else { config.max_redrives },
    });
    let again = outcome.as_ref().ok().and_then(|plan| again(board, &letter, plan));
    Ok(Item { letter, outcome, again })
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
        history.origin = owner::of_copy(&history.letter, &channel, &place, &all).cloned();
        history.retry_topic = found.iter().find(is_own_retry).map(|record| record.position.channel.to_string());
    }
    Ok(Some(history))
}

async fn records(store: &dyn Store, knots: &[(Tie, Knot)]) -> Result<Vec<Record>, StoreError> {
    let found = store.related(knots, ENTRIES_PER_POSITION).await?;
    Ok(found.entries.iter().filter_map(|held| held.entry.as_record().cloned()).collect())
}

fn place_of(origin: &Origin) -> Option<(Channel, Place)> {
    let place = Place::Offset { partition: origin.partition?, offset: origin.offset? };
    Some((origin.channel.as_deref()?.into(), place))
}

/// How many partitions a topic has now; `None` where it isn't watched, or is gone.
fn partitions(board: &Board, source: &SourceName, topic: &str) -> Option<u32> {
    let status = board.sources().into_iter().find(|status| status.name == *source)?;
    let channel = status.channels.iter().find(|channel| channel.channel == topic)?;
    Some(channel.partitions)
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
