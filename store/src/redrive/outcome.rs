//! What became of messages after they were sent back: processed, waiting, or dead again.
//!
//! Nothing of it is written down: it is looked up in the copies that carry the redrive's id, or name what was sent as their origin, and in
//! what consumer groups have committed. *Processed* means that the group that failed has committed past the message and it is not
//! dead again; more nobody can tell who sees records and commits only.

use std::collections::BTreeMap;
use std::fmt;
use std::time::{Duration, Instant};

use super::added;
use super::ledger::{Redrive, Step, Target};
use crate::board::Board;
use crate::engine::{PageRequest, Store, StoreError};
use crate::entry::Kind;
use crate::knot::{Knot, Tie};
use crate::position::{Channel, Place, Position, SourceName};
use crate::query::{Query, words};
use crate::record::{Fate, Record};

/// How many messages are asked for at once by their places.
const PLACES_AT_ONCE: usize = 100;

/// How many entries that one question brings: their bodies are in memory together.
const ENTRIES_AT_ONCE: usize = 500;

/// For how long copies are looked for: people wait for it.
const TIME_MAX: Duration = Duration::from_secs(2);

/// What became of one message that was sent back.
#[derive(Clone, PartialEq, Debug)]
pub enum After {
    /// The group that failed has committed past it, and it didn't die again.
    Processed,
    /// The group has yet to come to it, or tries it again.
    Waiting,
    /// It was set aside once more, there.
    DeadAgain(Position),
    /// Nothing tells, and why.
    Untold(&'static str),
}

impl After {
    /// Its name in the JSON API.
    pub fn as_str(&self) -> &'static str {
        match self {
            After::Processed => "processed",
            After::Waiting => "waiting",
            After::DeadAgain(_) => "deadAgain",
            After::Untold(_) => "untold",
        }
    }
}

/// What became of all messages of a redrive that were sent.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Outcome {
    /// By the number of the message.
    pub by_number: BTreeMap<usize, After>,
    /// Why more may have died again; in words.
    pub cut: Option<String>,
}

impl Outcome {
    /// How many are processed, waiting, dead again, and untold.
    pub fn tally(&self) -> [usize; 4] {
        let mut tally = [0; 4];
        for after in self.by_number.values() {
            let place = match after {
                After::Processed => 0,
                After::Waiting => 1,
                After::DeadAgain(_) => 2,
                After::Untold(_) => 3,
            };
            tally[place] += 1;
        }
        tally
    }
}

impl fmt::Display for Outcome {
    /// As people read it: `11 redriven: 9 processed, 1 waiting, 1 dead again`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} redriven", self.by_number.len())?;
        let named = self.tally().into_iter().zip(["processed", "waiting", "dead again", "not known"]);
        for (place, (many, name)) in named.filter(|(many, _)| *many > 0).enumerate() {
            write!(f, "{} {many} {name}", if place == 0 { ":" } else { "," })?;
        }
        Ok(())
    }
}

/// What became of the messages that a redrive has sent.
pub async fn follow(store: &dyn Store, board: &Board, redrive: &Redrive) -> Result<Outcome, StoreError> {
    let (copies, cut) = copies(store, redrive).await?;
    let mut outcome = Outcome { by_number: BTreeMap::new(), cut };
    for (number, message) in redrive.messages.iter().enumerate() {
        let Step::There { target, offset, .. } = &message.step else { continue };
        let of_it = copies.get(&number).map(Vec::as_slice).unwrap_or_default();
        outcome.by_number.insert(number, after(board, &message.letter.source, target, *offset, of_it));
    }
    Ok(outcome)
}

/// A retry copy or a dead letter of something that was sent back.
struct Copy {
    position: Position,
    fate: Fate,
    group: Option<String>,
    at: crate::time::Timestamp,
}

/// Copies of what a redrive has sent, by message.
async fn copies(
    store: &dyn Store,
    redrive: &Redrive,
) -> Result<(BTreeMap<usize, Vec<Copy>>, Option<String>), StoreError> {
    let started = Instant::now();
    let mut copies: BTreeMap<usize, Vec<Copy>> = BTreeMap::new();
    let sent: Vec<(usize, &SourceName, Knot)> = redrive.messages.iter().enumerate().filter_map(sent_at).collect();
    for some in sent.chunks(PLACES_AT_ONCE) {
        let knots: Vec<(Tie, Knot)> = some.iter().map(|(_, _, knot)| (Tie::Refers, knot.clone())).collect();
        let found = store.related(&knots, ENTRIES_AT_ONCE).await?;
        for record in found.entries.iter().filter_map(|held| held.entry.as_record()) {
            let origin = record.failure.as_ref().and_then(|failure| failure.origin.as_ref()).and_then(super::place_of);
            let Some((channel, place)) = origin else { continue };
            let knot = Knot::Position(channel, place);
            let of = some.iter().find(|(_, source, at)| *at == knot && **source == record.position.source);
            if let Some((number, ..)) = of {
                add(redrive, &mut copies, *number, record);
            }
        }
    }
    // Who writes dead letters by hand may name no origin, but passes headers on.
    let query = Query::Kind(Kind::Record)
        .and(Query::Text { words: words(&redrive.id).map(Into::into).collect(), prefix: false });
    let mut page = PageRequest { limit: ENTRIES_AT_ONCE, after: None };
    loop {
        let found = store.search(&query, page).await?;
        for record in found.entries.iter().filter_map(|held| held.entry.as_record()) {
            if let Some(number) = added::number_in(&record.headers, &redrive.id) {
                add(redrive, &mut copies, number, record);
            }
        }
        match found.next {
            None => return Ok((copies, found.cut)),
            Some(_) if started.elapsed() > TIME_MAX => {
                return Ok((copies, Some("not all copies were looked at".to_owned())));
            }
            next => page = PageRequest { limit: ENTRIES_AT_ONCE, after: next },
        }
    }
}

fn sent_at((number, message): (usize, &super::ledger::Message)) -> Option<(usize, &SourceName, Knot)> {
    let Step::There { target, offset, .. } = &message.step else { return None };
    let place = Place::Offset { partition: target.partition, offset: *offset };
    Some((number, &message.letter.source, Knot::Position(target.topic.as_str().into(), place)))
}

fn add(redrive: &Redrive, copies: &mut BTreeMap<usize, Vec<Copy>>, number: usize, record: &Record) {
    // What came before is of an earlier life of the topic, in which another record was at that place.
    let Some(failure) = record.failure.as_ref().filter(|_| record.received_at >= redrive.at) else { return };
    let of_it = copies.entry(number).or_default();
    if of_it.iter().all(|copy| copy.position != record.position) {
        let (position, at) = (record.position.clone(), record.time());
        of_it.push(Copy { position, fate: failure.fate, group: failure.group.clone(), at });
    }
}

fn after(board: &Board, source: &SourceName, target: &Target, offset: i64, copies: &[Copy]) -> After {
    if let Some(dead) = copies.iter().find(|copy| copy.fate == Fate::DeadLetter) {
        return After::DeadAgain(dead.position.clone());
    }
    // What is tried again waits on a topic of its own: how far the group is there decides.
    let sent = (Channel::from(target.topic.as_str()), target.partition, offset, target.group.as_deref());
    let latest = copies.iter().max_by_key(|copy| copy.at).and_then(|copy| {
        let Place::Offset { partition, offset } = copy.position.place else { return None };
        Some((copy.position.channel.clone(), partition, offset, copy.group.as_deref().or(target.group.as_deref())))
    });
    let (channel, partition, offset, group) = latest.unwrap_or(sent);
    let readers = board.readers(source);
    let mut committed = readers
        .of(&channel, partition)
        .filter(|reader| group.is_none_or(|group| reader.group.group == group))
        .filter_map(|reader| reader.partition.and_then(|lag| lag.committed))
        .peekable();
    if committed.peek().is_none() {
        return After::Untold("no commit is known of the group that is to process it");
    }
    if committed.all(|committed| committed > offset) { After::Processed } else { After::Waiting }
}

#[cfg(test)]
mod tests;
