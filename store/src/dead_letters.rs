//! What died, why, in which consumer, and what was decided of it.
//!
//! Computed from the dead letters that are held, newest first, and from the journal's dismissals and redrives. A dead letter on a log is never deleted
//! by us: whether it is open is ours to say, and stands beside it.
//!
//! Not for: finding out that a record is a dead letter (`collector::correlate::failure` does, by headers, else by the topic's name).

pub mod cause; // why it died
pub mod dismissal; // what was decided of it

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::engine::{Cursor, Held, PageRequest, Store, StoreError};
use crate::entry::Kind;
use crate::id::TraceId;
use crate::position::{Channel, Place, Position, SourceName};
use crate::query::{Field, Query};
use crate::record::{Failure, Fate, Record};
use crate::redrive::Redrives;
use crate::time::Timestamp;
pub use cause::Cause;
pub use dismissal::{Dismissal, Dismissals};

/// How many dead letters are looked at for one answer: each is read whole, and where more are open one has to name a topic anyway.
pub const LOOKED_AT_MAX: usize = 10_000;

/// For how long dead letters are looked at for one answer: people wait for it.
const TIME_MAX: Duration = Duration::from_secs(2);

/// How many entries one question to the store brings: their bodies are in memory together.
const ENTRIES_PER_QUESTION: usize = 200;

/// One dead letter, without its body.
#[derive(Clone, PartialEq, Debug)]
pub struct DeadLetter {
    /// Where it is, as the store's pages have it.
    pub cursor: Cursor,
    /// Where it is.
    pub position: Position,
    /// When it was set aside: its own time.
    pub died_at: Timestamp,
    /// Why.
    pub cause: Cause,
    /// The consumer group that failed; `None` where nothing tells it.
    pub consumer: Option<String>,
    /// What happened, by its event type.
    pub event_type: Option<String>,
    /// Its event id.
    pub event_id: Option<String>,
    /// Its key, where it is text.
    pub key: Option<String>,
    /// Its trace.
    pub trace_id: Option<TraceId>,
    /// What its headers say of the failure.
    pub failure: Failure,
    /// That it needs no more attention; `None` where nobody said so.
    pub dismissal: Option<Dismissal>,
    /// The redrive that sent it back last, and as which of its messages; `None` where none did.
    pub redriven: Option<(String, usize)>,
}

/// What was decided of dead letters.
#[derive(Clone, Copy, Debug)]
pub struct Decided<'a> {
    /// Which need no more attention.
    pub dismissals: &'a Dismissals,
    /// Which were sent back.
    pub redrives: &'a Redrives,
}

/// Which dead letters are asked for. What is `None` or empty asks for nothing.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Wanted {
    /// On this source.
    pub source: Option<SourceName>,
    /// On this topic.
    pub topic: Option<Channel>,
    /// Of this consumer; an empty name for those that tell none.
    pub consumer: Option<String>,
    /// Of this event type; an empty name for those that tell none.
    pub event_type: Option<String>,
    /// Of this cause and consumer: [`Cause::id`].
    pub cause: Option<String>,
    /// In this state.
    pub state: State,
    /// Only these.
    pub positions: Vec<(SourceName, Channel, Place)>,
}

/// What was decided of a dead letter.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum State {
    /// Nothing yet.
    #[default]
    Open,
    /// That it is sent back, and it was.
    Redriven,
    /// That it needs no more attention.
    Dismissed,
    /// Any of these.
    Any,
}

/// Dead letters, and what they have in common.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct DeadLetters {
    /// Those that are asked for, newest first.
    pub letters: Vec<DeadLetter>,
    /// All that are asked for but for their cause and their places, by cause and consumer, most first.
    pub causes: Vec<CauseGroup>,
    /// The same by consumer, by topic and by event type, most first; an empty name for those that tell none.
    pub by: [Vec<(String, u64)>; 3],
    /// How many are open on the topics that are asked for.
    pub open: u64,
    /// When the oldest of these died.
    pub oldest_open: Option<Timestamp>,
    /// Why there may be more than was looked at; in words.
    pub cut: Option<String>,
}

/// The dead letters of one cause and one consumer.
#[derive(Clone, PartialEq, Debug)]
pub struct CauseGroup {
    /// What stands for it in an address.
    pub id: String,
    /// Why they died.
    pub cause: Cause,
    /// The consumer that failed.
    pub consumer: Option<String>,
    /// On which topics they are, the first few by name.
    pub topics: Vec<String>,
    /// How many there are.
    pub count: u64,
    /// When the last one died.
    pub last: Timestamp,
}

impl Wanted {
    /// What the store is asked; the rest is decided here.
    pub fn query(&self) -> Query {
        let mut query = Query::Kind(Kind::Record).and(Query::is(Field::Status, "dead"));
        if let Some(source) = &self.source {
            query = query.and(Query::is(Field::Source, source.as_str()));
        }
        if let Some(topic) = &self.topic {
            query = query.and(Query::is(Field::Topic, topic.as_str()));
        }
        query
    }

    /// Whether a dead letter is asked for, whatever its cause and its place.
    fn takes(&self, letter: &DeadLetter) -> bool {
        let is = |wanted: &Option<String>, told: &Option<String>| {
            wanted.as_ref().is_none_or(|wanted| wanted == told.as_deref().unwrap_or_default())
        };
        let in_state = self.state == State::Any || self.state == letter.state();
        in_state && is(&self.consumer, &letter.consumer) && is(&self.event_type, &letter.event_type)
    }

    /// Whether it is asked for by its cause and its place, too.
    fn takes_exactly(&self, letter: &DeadLetter) -> bool {
        let position = &letter.position;
        let is_named = || {
            self.positions.iter().any(|(source, channel, place)| {
                *source == position.source && *channel == position.channel && *place == position.place
            })
        };
        self.cause.as_ref().is_none_or(|cause| *cause == letter.cause_id()) && (self.positions.is_empty() || is_named())
    }

    /// A record, if it is a dead letter that is asked for.
    pub fn letter(&self, held: &Held, decided: Decided<'_>) -> Option<DeadLetter> {
        let letter = DeadLetter::of(held, decided)?;
        (self.takes(&letter) && self.takes_exactly(&letter)).then_some(letter)
    }
}

impl DeadLetter {
    /// Of an entry; `None` for what is no dead letter.
    pub fn of(held: &Held, decided: Decided<'_>) -> Option<DeadLetter> {
        let record: &Record = held.entry.as_record()?;
        let failure = record.failure.as_ref().filter(|failure| failure.fate == Fate::DeadLetter)?;
        Some(DeadLetter {
            cursor: Cursor { time: held.entry.time(), identity: held.entry.identity() },
            position: record.position.clone(),
            died_at: record.time(),
            cause: Cause::of(failure),
            consumer: failure.group.clone(),
            event_type: record.event.event_type.clone(),
            event_id: record.event.id.clone(),
            key: record.key_text().map(str::to_owned),
            trace_id: record.event.trace.as_ref().map(|trace| trace.trace_id),
            failure: Failure { stack_trace: None, ..failure.clone() },
            dismissal: decided.dismissals.of(&record.position),
            redriven: decided.redrives.sent(&record.position).1.map(|(redrive, number)| (redrive.id.clone(), number)),
        })
    }

    /// What was decided of it: open, redriven or dismissed. That it needs no more attention counts more than that it was sent back.
    pub fn state(&self) -> State {
        match (&self.dismissal, &self.redriven) {
            (Some(_), _) => State::Dismissed,
            (None, Some(_)) => State::Redriven,
            (None, None) => State::Open,
        }
    }

    /// What stands for its cause and consumer in an address.
    pub fn cause_id(&self) -> String {
        self.cause.id(self.consumer.as_deref())
    }
}

/// The dead letters that are asked for, and what they have in common.
pub async fn list(store: &dyn Store, decided: Decided<'_>, wanted: &Wanted) -> Result<DeadLetters, StoreError> {
    let started = Instant::now();
    let query = wanted.query();
    let mut found = DeadLetters::default();
    let mut groups: BTreeMap<String, CauseGroup> = BTreeMap::new();
    let mut tallies: [BTreeMap<String, u64>; 3] = Default::default();
    let mut page = PageRequest { limit: ENTRIES_PER_QUESTION, after: None };
    let mut looked_at = 0;
    loop {
        let answer = store.search(&query, page).await?;
        found.cut = found.cut.or(answer.cut);
        looked_at += answer.entries.len();
        for letter in answer.entries.iter().filter_map(|held| DeadLetter::of(held, decided)) {
            if letter.state() == State::Open {
                found.open += 1;
                // They come newest first.
                found.oldest_open = Some(letter.died_at);
            }
            if !wanted.takes(&letter) {
                continue;
            }
            let id = letter.cause_id();
            groups.entry(id.clone()).or_insert_with(|| CauseGroup::of(id, &letter)).add(&letter);
            let topic = Some(letter.position.channel.to_string());
            for (tally, value) in tallies.iter_mut().zip([letter.consumer.clone(), topic, letter.event_type.clone()]) {
                *tally.entry(value.unwrap_or_default()).or_default() += 1;
            }
            if wanted.takes_exactly(&letter) {
                found.letters.push(letter);
            }
        }
        let Some(next) = answer.next else { break };
        if looked_at >= LOOKED_AT_MAX || started.elapsed() > TIME_MAX {
            found.cut.get_or_insert_with(|| format!("only the newest {looked_at} dead letters were looked at"));
            break;
        }
        page = PageRequest { limit: ENTRIES_PER_QUESTION, after: Some(next) };
    }
    found.causes = groups.into_values().collect();
    found.causes.sort_by_key(|group| Reverse((group.count, group.last)));
    found.by = tallies.map(|tally| {
        let mut rows: Vec<(String, u64)> = tally.into_iter().collect();
        rows.sort_by(|one, other| other.1.cmp(&one.1).then_with(|| one.0.cmp(&other.0)));
        rows
    });
    Ok(found)
}

impl CauseGroup {
    /// How many topics are named.
    const TOPICS_MAX: usize = 4;

    fn of(id: String, letter: &DeadLetter) -> CauseGroup {
        let (cause, consumer) = (letter.cause.clone(), letter.consumer.clone());
        CauseGroup { id, cause, consumer, topics: Vec::new(), count: 0, last: letter.died_at }
    }

    fn add(&mut self, letter: &DeadLetter) {
        self.count += 1;
        self.last = self.last.max(letter.died_at);
        let topic = letter.position.channel.as_str();
        if self.topics.len() < CauseGroup::TOPICS_MAX && !self.topics.iter().any(|known| known == topic) {
            self.topics.push(topic.to_owned());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Checkpoint;
    use crate::entry::Entry;
    use crate::fixture::{RecordFixture, at, record};
    use crate::journal::Journal;
    use crate::memory::Memory;

    fn dead(topic: &str, offset: i64, group: &str, message: &str) -> RecordFixture {
        let event = record(topic, 0, offset).event("OrderPlaced").id(&format!("evt-{offset}")).key("order-1").trace(1);
        event.dead(group, message).from("orders", 0, offset).at(offset as f64)
    }

    async fn held(entries: Vec<Entry>) -> Memory {
        let store = Memory::new();
        store.append(entries, Checkpoint::none("main".into())).await.unwrap();
        store
    }

    async fn letters() -> Memory {
        let mut nobody = dead("poison", 9, "", "").record();
        let failure = nobody.failure.as_mut().unwrap();
        (failure.group, failure.exception, failure.message) = (None, None, None);
        held(vec![
            dead("orders.DLT", 1, "billing", "order 1 declined").entry(),
            dead("orders.DLT", 2, "billing", "order 2 declined").entry(),
            dead("orders.DLT", 3, "shipping", "order 3 declined").entry(),
            dead("stock.DLT", 4, "shipping", "no stock").event("StockReserved").entry(),
            Entry::Record(nobody),
            record("orders", 0, 1).event("OrderPlaced").at(0.0).entry(),
            record("orders.retry", 0, 1).retry("billing", 1).at(0.0).entry(),
        ])
        .await
    }

    async fn told_of(store: &Memory, dismissals: &Dismissals, wanted: &Wanted) -> Result<DeadLetters, StoreError> {
        list(store, Decided { dismissals, redrives: &Redrives::default() }, wanted).await
    }

    fn told(found: &DeadLetters) -> Vec<(String, u64)> {
        found.causes.iter().map(|group| (group.cause.to_string(), group.count)).collect()
    }

    #[tokio::test]
    async fn the_dead_are_grouped_by_why_they_died_and_in_whose_hands() {
        let found = told_of(&letters().await, &Dismissals::default(), &Wanted::default()).await.unwrap();
        let expected = [
            ("RuntimeError: order # declined", 2),
            ("no reason given", 1),
            ("RuntimeError: no stock", 1),
            ("RuntimeError: order # declined", 1),
        ];
        assert_eq!(told(&found), expected.map(|(cause, count)| (cause.to_owned(), count)));
        assert_eq!((found.open, found.oldest_open, found.letters.len()), (5, Some(at(1.0)), 5));
        let [consumers, topics, types] = &found.by;
        let named =
            |rows: &[(String, u64)]| rows.iter().map(|(name, many)| format!("{name} {many}")).collect::<Vec<_>>();
        assert_eq!(named(consumers), ["billing 2", "shipping 2", " 1"]);
        assert_eq!(named(topics), ["orders.DLT 3", "poison 1", "stock.DLT 1"]);
        assert_eq!(named(types), ["OrderPlaced 4", "StockReserved 1"]);
        assert_eq!(found.letters[0].position.to_string(), "poison p0@9", "the newest first");
    }

    #[tokio::test]
    async fn one_cause_one_consumer_one_topic_or_some_places_can_be_asked_for() {
        let store = letters().await;
        let places = async |wanted: Wanted| {
            let found = told_of(&store, &Dismissals::default(), &wanted).await.unwrap();
            found.letters.iter().map(|letter| letter.position.place.number().unwrap()).collect::<Vec<_>>()
        };
        let all = told_of(&store, &Dismissals::default(), &Wanted::default()).await.unwrap();
        assert_eq!(places(Wanted { cause: Some(all.causes[0].id.clone()), ..Wanted::default() }).await, [2, 1]);
        assert_eq!(places(Wanted { consumer: Some("shipping".into()), ..Wanted::default() }).await, [4, 3]);
        assert_eq!(places(Wanted { consumer: Some(String::new()), ..Wanted::default() }).await, [9]);
        assert_eq!(places(Wanted { topic: Some("orders.DLT".into()), ..Wanted::default() }).await, [3, 2, 1]);
        assert_eq!(places(Wanted { event_type: Some("StockReserved".into()), ..Wanted::default() }).await, [4]);
        let place = ("main".into(), "orders.DLT".into(), Place::Offset { partition: 0, offset: 3 });
        let only = Wanted { positions: vec![place], ..Wanted::default() };
        assert_eq!(places(only.clone()).await, [3]);
        let found = told_of(&store, &Dismissals::default(), &only).await.unwrap();
        assert_eq!(found.causes.len(), 4, "what else there is stays in sight");
    }

    #[tokio::test]
    async fn what_was_dismissed_is_open_no_more_and_is_found_where_it_is_asked_for() {
        let folder = tempfile::tempdir().unwrap();
        let journal = Journal::open(folder.path()).unwrap();
        let (store, dismissals) = (letters().await, Dismissals::default());
        let position = record("orders.DLT", 0, 1).record().position;
        dismissals.decide(&journal, &[position], Some("refunded by hand"), "ops").await.unwrap();
        let open = told_of(&store, &dismissals, &Wanted::default()).await.unwrap();
        assert_eq!((open.open, open.letters.len(), open.oldest_open), (4, 4, Some(at(2.0))));
        let gone =
            told_of(&store, &dismissals, &Wanted { state: State::Dismissed, ..Wanted::default() }).await.unwrap();
        assert_eq!(gone.letters[0].dismissal.as_ref().unwrap().note, "refunded by hand");
        let any = told_of(&store, &dismissals, &Wanted { state: State::Any, ..Wanted::default() }).await.unwrap();
        assert_eq!((any.letters.len(), any.open), (5, 4));
    }

    #[tokio::test]
    async fn of_very_many_the_newest_are_told_and_that_there_are_more() {
        let many = (0..LOOKED_AT_MAX as i64 + 500).map(|offset| dead("orders.DLT", offset, "billing", "no").entry());
        let found = told_of(&held(many.collect()).await, &Dismissals::default(), &Wanted::default()).await.unwrap();
        assert!(found.cut.is_some_and(|cut| cut.contains("only the newest")));
        assert_eq!(found.causes[0].count, found.open);
    }
}
