//! What is seen only in whole flows: how long they take, what is wrong in them, what nothing followed.
//!
//! Records are followed as they are kept; a flow is put together once nothing has come for a while, or when a reaction is overdue:
//!
//! ```text
//! records since the last look --wanted--> waiting, each until it is due --flow::assemble--> judged --> samples of the last minutes
//! ```
//! In memory only, and a sample where much comes in: what is skipped is said.

mod judge; // what a flow says of a rule

use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

use store::alert::{Kind, Rule};
use store::engine::{PageRequest, Sequence};
use store::flow::finding::reaction::{self, GRACE, is_awaited};
use store::flow::{Start, assemble};
use store::{Position, Query, Record, StoreError, Timestamp, TraceId, entry};

use super::{Around, Blind, Readings, Watched};
use judge::Sample;

/// How many records one look takes in; those beyond are skipped.
const RECORDS_PER_LOOK: usize = 1_000;

/// How many flows wait to be put together; beyond that new ones are skipped.
const WAITING_MAX: usize = 20_000;

/// How many flows one look puts together, and for how long it does: the rest waits for the next look.
const FLOWS_PER_LOOK: usize = 300;
const LOOK_TIME_MAX: Duration = Duration::from_secs(2);

/// How many samples are held; the oldest go first.
const SAMPLES_MAX: usize = 5_000;

/// A flow in which nothing came for so long has probably ended; if not, it is looked at again.
const SETTLED_AFTER: Duration = Duration::from_secs(30);

/// What counts, where a rule doesn't say.
const OVER_DEFAULT: Duration = Duration::from_secs(15 * 60);

/// What a flow is put together from.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
enum Key {
    Trace(TraceId),
    Record(Position),
}

/// Follows what comes in, for one rule.
pub struct Follow {
    kind: Kind,
    over: Duration,
    within: Duration,
    /// How far records were read, and since when; `None` before the first look.
    read: Option<(Sequence, Timestamp)>,
    /// When each is to be put together.
    waiting: HashMap<Key, Timestamp>,
    /// What was found, oldest first.
    samples: VecDeque<(Key, Sample)>,
    /// How many records and flows were skipped.
    skipped: u64,
}

impl Follow {
    /// For a rule that needs flows.
    pub fn of(rule: &Rule) -> Option<Follow> {
        let needs_flows = matches!(rule.kind, Kind::FlowTime | Kind::MissingReaction | Kind::Finding);
        needs_flows.then(|| Follow {
            kind: rule.kind,
            over: rule.over.map_or(OVER_DEFAULT, |over| over.0),
            within: rule.within.map_or(Duration::ZERO, |within| within.0),
            read: None,
            waiting: HashMap::new(),
            samples: VecDeque::new(),
            skipped: 0,
        })
    }

    /// Takes in what came, judges what is due, and tells what stands.
    pub async fn read(&mut self, watched: &Watched, around: Around<'_>) -> Result<Readings, StoreError> {
        self.take_in(watched, around).await?;
        self.judge_due(watched, around).await?;
        let oldest = around.now.minus(self.over);
        self.samples.retain(|(_, sample)| sample.at >= oldest);
        while self.samples.len() > SAMPLES_MAX {
            self.samples.pop_front();
        }
        let samples: Vec<&Sample> = self.samples.iter().map(|(_, sample)| sample).collect();
        let found = judge::readings(watched, &samples, self.over);
        let since = self.read.map_or(around.now, |(_, since)| since);
        // What was found before a restart may still be so.
        let blind = match (around.now.nanos_since(since) < self.over.as_nanos() as i64, self.skipped) {
            (true, _) => Blind::Everywhere(format!("flows are followed since {} only", super::super::clock(since))),
            (false, 0) => Blind::Nowhere,
            (false, skipped) => Blind::Everywhere(format!("too much came in: {skipped} records were not looked at")),
        };
        Ok(Readings { found, blind, left_out: 0 })
    }

    async fn take_in(&mut self, watched: &Watched, around: Around<'_>) -> Result<(), StoreError> {
        let latest = *around.store.generation().borrow();
        let records = Query::Kind(entry::Kind::Record);
        self.skipped = 0;
        let (found, since) = match self.read {
            Some((from, since)) => (around.store.since(from, &records, RECORDS_PER_LOOK).await?, since),
            None => {
                // A restart forgets what waited, and sources are read before the first look.
                let from = Some(self.oldest_wanted(around.now));
                let recent = records.and(Query::Time { from, to: None });
                let page = PageRequest { limit: RECORDS_PER_LOOK, after: None };
                (around.store.search(&recent, page).await?, around.now)
            }
        };
        let last = found.entries.iter().map(|held| held.sequence).max().unwrap_or_default();
        if self.read.is_some() && found.entries.len() >= RECORDS_PER_LOOK {
            self.skipped = latest.0.saturating_sub(last.0);
        }
        self.read = Some((latest.max(last), since));
        for record in found.entries.iter().filter_map(|held| held.entry.as_record()) {
            let Some((key, due)) = self.wants(watched, record, around.now) else { continue };
            if self.waiting.len() < WAITING_MAX || self.waiting.contains_key(&key) {
                self.waiting.insert(key, due);
            } else {
                self.skipped += 1;
            }
        }
        Ok(())
    }

    /// What was read late, of the past before this, is nobody's alarm today.
    fn oldest_wanted(&self, now: Timestamp) -> Timestamp {
        now.minus(self.over).minus(self.within)
    }

    /// What a record makes us put together, and when.
    fn wants(&self, watched: &Watched, record: &Record, now: Timestamp) -> Option<(Key, Timestamp)> {
        if record.time() < self.oldest_wanted(now) {
            return None;
        }
        let key = match record.event.trace.as_ref() {
            Some(trace) if self.kind != Kind::MissingReaction => Key::Trace(trace.trace_id),
            _ => Key::Record(record.position.clone()),
        };
        let is_wanted = match self.kind {
            Kind::MissingReaction => is_awaited(&watched.rule, record),
            // Whatever comes to a flow that waits already puts it off.
            _ => self.waiting.contains_key(&key) || judge::takes(watched, record),
        };
        let due = match self.kind {
            Kind::MissingReaction => record.time().max(now).plus(self.within).plus(GRACE),
            _ => now.plus(SETTLED_AFTER),
        };
        is_wanted.then_some((key, due))
    }

    async fn judge_due(&mut self, watched: &Watched, around: Around<'_>) -> Result<(), StoreError> {
        let started = Instant::now();
        let mut due: Vec<(Timestamp, Key)> =
            self.waiting.iter().filter(|(_, due)| **due <= around.now).map(|(key, due)| (*due, key.clone())).collect();
        due.sort_by_key(|(due, _)| *due);
        for (_, key) in due.into_iter().take(FLOWS_PER_LOOK) {
            if started.elapsed() > LOOK_TIME_MAX {
                break;
            }
            let start = match &key {
                Key::Trace(trace_id) => Start::Trace(*trace_id),
                Key::Record(position) => Start::Record {
                    source: position.source.clone(),
                    channel: position.channel.clone(),
                    place: position.place.clone(),
                },
            };
            let flow = assemble(around.store, around.board, start, around.now).await?;
            let again = flow.as_ref().filter(|_| self.kind == Kind::Finding);
            match again.and_then(|flow| reaction::next_due(flow, around.board, around.now)) {
                // By then it may have one finding more.
                Some(due) => self.waiting.insert(key.clone(), due),
                None => self.waiting.remove(&key),
            };
            self.samples.retain(|(known, _)| *known != key);
            let asked = match &key {
                Key::Record(position) => Some(position),
                Key::Trace(_) => None,
            };
            for sample in flow.iter().flat_map(|flow| judge::judge(watched, flow, asked)) {
                self.samples.push_back((key.clone(), sample));
            }
            // A store that answers from memory never waits: let others run.
            tokio::task::yield_now().await;
        }
        Ok(())
    }
}
