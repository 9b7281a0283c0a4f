//! Who retries, how often, why, and whether it helps: by consumer and topic, over a window of time.
//!
//! Told from retry copies and dead letters, from process spans that failed, and from those that succeeded on the same record later. Spans
//! are sampled: an event whose end no span shows counts neither as helped nor as dead, and how many those are is said.

pub mod backoff; // how long attempts are apart
mod chain; // one event in the hands of one consumer

use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, Instant};

use crate::engine::{Facet, Held, PageRequest, Store, StoreError};
use crate::entry::Kind;
use crate::knot::{Knot, Tie};
use crate::position::{Channel, SourceName};
use crate::query::{Field, Query};
use crate::time::Timestamp;
use crate::topics::{Period, dense};
use backoff::{Backoff, Waits};
use chain::{Chain, Chains};

/// How many copies, and how many failed spans, are looked at for one answer; the newest first.
pub const LOOKED_AT_MAX: usize = 5_000;

/// For how long each of the two is looked at: people wait for the answer.
const TIME_MAX: Duration = Duration::from_secs(1);

/// How many entries one question to the store brings: their bodies are in memory together.
const ENTRIES_PER_QUESTION: usize = 200;

/// How many places are asked for at a time, and in all, to see which attempts succeeded.
const PLACES_AT_ONCE: usize = 200;
const PLACES_MAX: usize = 4_000;

/// How many consumers are told; those with the most retries come first. Each costs a count.
pub const CONSUMERS_MAX: usize = 100;

/// How many reasons are told of each.
const REASONS_MAX: usize = 3;

/// One consumer on one topic.
#[derive(Clone, PartialEq, Debug)]
pub struct Consumer {
    /// The consumer group, else the service; empty where nothing tells it.
    pub consumer: String,
    /// The source, where a record tells it.
    pub source: Option<SourceName>,
    /// The topic that its events came from.
    pub topic: String,
    /// How many events were written to the topic in the window.
    pub deliveries: u64,
    /// How many of those that failed were tried more than once, or are to be.
    pub retried: u64,
    /// How many of these a span shows to have succeeded in the end.
    pub succeeded: u64,
    /// How many of these were set aside.
    pub dead: u64,
    /// How many events took how many attempts, as far as it is known.
    pub attempts: BTreeMap<u32, u64>,
    /// How many were first tried again in each step, oldest first.
    pub steps: Vec<(Timestamp, u64)>,
    /// How long attempts are apart.
    pub backoff: Backoff,
    /// Why attempts failed, most first.
    pub reasons: Vec<(String, u64)>,
}

/// All consumers that retry.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Retries {
    /// Those with the most retries first.
    pub consumers: Vec<Consumer>,
    /// Why there may be more than was looked at; in words.
    pub cut: Option<String>,
}

/// All consumers that tried something again in the period.
pub async fn list(store: &dyn Store, period: Period) -> Result<Retries, StoreError> {
    let window = Query::Time { from: Some(period.now.minus(period.window)), to: None };
    let copies = Query::Or(vec![Query::is(Field::Status, "retried"), Query::is(Field::Status, "dead")]);
    let copies = Query::Kind(Kind::Record).and(copies).and(window.clone());
    let failed = Query::Kind(Kind::Span).and(Query::is(Field::Status, "failed")).and(window);
    let mut chains = Chains::default();
    let mut cut = look(store, &copies, |held| {
        if let Some(record) = held.entry.as_record() {
            chains.see_copy(record);
        }
    })
    .await?;
    let cut_of_spans = look(store, &failed, |held| {
        if let Some(span) = held.entry.as_span().filter(|span| span.processes()) {
            chains.see_failure(span);
        }
    })
    .await?;
    cut = cut.or(cut_of_spans);
    chains.settle();
    cut = cut.or(find_successes(store, &mut chains).await?);
    let mut rows = rows(&chains, period);
    if rows.len() > CONSUMERS_MAX {
        cut.get_or_insert_with(|| format!("only the {CONSUMERS_MAX} consumers with the most retries are told"));
        rows.truncate(CONSUMERS_MAX);
    }
    let mut by_topic: HashMap<(Option<SourceName>, String), u64> = HashMap::new();
    for row in &mut rows {
        let key = (row.source.clone(), row.topic.clone());
        row.deliveries = match by_topic.get(&key) {
            Some(known) => *known,
            None => {
                let many = written(store, row, period).await?;
                by_topic.insert(key, many);
                many
            }
        };
        let first = row.deliveries.saturating_sub(row.attempts.values().sum());
        if first > 0 {
            *row.attempts.entry(1).or_default() += first;
        }
    }
    Ok(Retries { consumers: rows, cut })
}

/// Looks at what a query finds, newest first; says why where it didn't look at all of it.
async fn look(store: &dyn Store, query: &Query, mut see: impl FnMut(&Held)) -> Result<Option<String>, StoreError> {
    let started = Instant::now();
    let mut page = PageRequest { limit: ENTRIES_PER_QUESTION, after: None };
    let mut looked_at = 0;
    loop {
        let found = store.search(query, page).await?;
        found.entries.iter().for_each(&mut see);
        looked_at += found.entries.len();
        let Some(next) = found.next else { return Ok(found.cut) };
        if looked_at >= LOOKED_AT_MAX || started.elapsed() > TIME_MAX {
            return Ok(Some(format!("only the newest {looked_at} failures were looked at")));
        }
        page = PageRequest { limit: ENTRIES_PER_QUESTION, after: Some(next) };
    }
}

/// Asks for the spans on the places of all chains, to see which ended well.
async fn find_successes(store: &dyn Store, chains: &mut Chains) -> Result<Option<String>, StoreError> {
    let places = chains.open_places();
    let mut wanted: Vec<_> = places.keys().cloned().collect();
    wanted.sort();
    let is_cut = wanted.len() > PLACES_MAX;
    wanted.truncate(PLACES_MAX);
    for some in wanted.chunks(PLACES_AT_ONCE) {
        let knots: Vec<(Tie, Knot)> =
            some.iter().map(|(topic, place)| (Tie::Refers, Knot::Position(topic.clone(), place.clone()))).collect();
        let found = store.related(&knots, knots.len() * 8).await?;
        let spans = found.entries.iter().filter_map(|held| held.entry.as_span());
        for span in spans.filter(|span| span.processes() && !span.failed()) {
            if let Some(keys) = chain::place_of(span).and_then(|place| places.get(&place)) {
                chains.see_success(span, keys);
            }
        }
    }
    Ok(is_cut.then(|| format!("whether a retry helped was looked up at {PLACES_MAX} places only")))
}

fn rows(chains: &Chains, period: Period) -> Vec<Consumer> {
    let mut by_consumer: BTreeMap<(&str, &Channel), Vec<&Chain>> = BTreeMap::new();
    for ((consumer, topic, _), chain) in &chains.by_key {
        by_consumer.entry((consumer, topic)).or_default().push(chain);
    }
    let told = by_consumer.into_iter().map(|((consumer, topic), chains)| row(consumer, topic, &chains, period));
    let mut rows: Vec<Consumer> = told.filter(|row| row.retried > 0).collect();
    rows.sort_by(|one, other| other.retried.cmp(&one.retried).then_with(|| one.consumer.cmp(&other.consumer)));
    rows
}

fn row(consumer: &str, topic: &Channel, chains: &[&Chain], period: Period) -> Consumer {
    let Period { window, step, now } = period;
    let retried: Vec<&&Chain> = chains.iter().filter(|chain| chain.is_retried()).collect();
    let mut attempts: BTreeMap<u32, u64> = BTreeMap::new();
    let mut steps: BTreeMap<i64, u64> = BTreeMap::new();
    let mut reasons: HashMap<&str, u64> = HashMap::new();
    let mut waits = Waits::default();
    let step_nanos = i64::try_from(step.as_nanos()).unwrap_or(i64::MAX).max(1);
    for chain in chains {
        *attempts.entry(chain.attempts()).or_default() += 1;
        for reason in chain.reasons() {
            *reasons.entry(reason).or_default() += 1;
        }
    }
    for chain in &retried {
        chain.wait(&mut waits);
        if let Some(at) = chain.failed_first() {
            *steps.entry(at.as_nanos().div_euclid(step_nanos)).or_default() += 1;
        }
    }
    let steps = steps.into_iter().map(|(step, many)| (Timestamp::from_nanos(step.saturating_mul(step_nanos)), many));
    let mut reasons: Vec<(String, u64)> = reasons.into_iter().map(|(reason, many)| (reason.to_owned(), many)).collect();
    reasons.sort_by(|one, other| other.1.cmp(&one.1).then_with(|| one.0.cmp(&other.0)));
    reasons.truncate(REASONS_MAX);
    let count = |holds: fn(&Chain) -> bool| retried.iter().filter(|chain| holds(chain)).count() as u64;
    Consumer {
        consumer: consumer.to_owned(),
        source: chains.iter().find_map(|chain| chain.source.clone()),
        topic: topic.to_string(),
        deliveries: 0,
        retried: retried.len() as u64,
        succeeded: count(|chain| chain.succeeded && !chain.is_dead()),
        dead: count(Chain::is_dead),
        attempts,
        steps: dense(steps.collect(), now.minus(window), now, step),
        backoff: waits.tell(),
        reasons,
    }
}

/// How many events were written to a consumer's topic in the period, copies left out.
async fn written(store: &dyn Store, row: &Consumer, period: Period) -> Result<u64, StoreError> {
    let not = |status: &str| Query::Not(Box::new(Query::is(Field::Status, status)));
    let mut query = Query::Kind(Kind::Record).and(Query::is(Field::Topic, &row.topic));
    if let Some(source) = &row.source {
        query = query.and(Query::is(Field::Source, source.as_str()));
    }
    let window = Query::Time { from: Some(period.now.minus(period.window)), to: None };
    let query = query.and(not("retried")).and(not("dead")).and(window);
    let counts = store.count(&query, Facet { field: None, step: None, values_max: 1 }).await?;
    Ok(counts.rows.first().map_or(0, |row| row.count))
}

impl Consumer {
    /// Which share of the events was tried again; `None` where no event of the window is known.
    pub fn rate(&self) -> Option<f64> {
        (self.deliveries > 0).then(|| self.retried as f64 / self.deliveries as f64)
    }

    /// Which share of those that were tried again succeeded, of those whose end is known; `None` where none is.
    pub fn success_after_retry(&self) -> Option<f64> {
        let ended = self.succeeded + self.dead;
        (ended > 0).then(|| self.succeeded as f64 / ended as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Checkpoint;
    use crate::entry::Entry;
    use crate::fixture::{SpanFixture, at, record, span};
    use crate::memory::Memory;

    async fn told(entries: Vec<Entry>) -> Retries {
        let store = Memory::new();
        store.append(entries, Checkpoint::none("main".into())).await.unwrap();
        let period = Period { window: Duration::from_secs(900), step: Duration::from_secs(60), now: at(100.0) };
        list(&store, period).await.unwrap()
    }

    fn attempt(service: &str, topic: &str, offset: i64, id: u64, seconds: f64) -> SpanFixture {
        span(service, "process").trace(id).id(id).consumed(topic, 0, offset).group(service).at(seconds).took(0.1)
    }

    fn written(many: i64) -> Vec<Entry> {
        (0..many).map(|offset| record("orders", 0, offset).event("OrderPlaced").at(offset as f64).entry()).collect()
    }

    #[tokio::test]
    async fn retry_topics_tell_the_rate_the_attempts_and_whether_it_helped() {
        let mut entries = written(10);
        let copy = |offset, attempts| record("orders-retry", 0, offset).retry("billing", attempts);
        entries.push(copy(0, 1).from("orders", 0, 1).at(2.0).entry());
        entries.push(copy(1, 2).from("orders", 0, 1).at(3.0).entry());
        entries.push(attempt("billing-retry", "orders-retry", 1, 9, 5.0).entry());
        entries.push(copy(2, 1).from("orders", 0, 2).at(3.0).entry());
        entries.push(record("orders-dlt", 0, 0).dead("billing", "declined 7").from("orders", 0, 2).at(4.0).entry());
        entries.push(copy(3, 1).from("orders", 0, 3).at(4.0).entry());
        let found = told(entries).await;
        let [billing] = found.consumers.as_slice() else { panic!("{found:?}") };
        assert_eq!((billing.consumer.as_str(), billing.topic.as_str()), ("billing", "orders"));
        assert_eq!((billing.deliveries, billing.retried, billing.succeeded, billing.dead), (10, 3, 1, 1));
        assert_eq!((billing.rate(), billing.success_after_retry()), (Some(0.3), Some(0.5)));
        assert_eq!(billing.attempts, BTreeMap::from([(1, 8), (2, 1), (3, 1)]));
        assert_eq!(billing.steps.iter().map(|(_, many)| many).sum::<u64>(), 3);
        assert_eq!(billing.reasons, [("RuntimeError: declined #".to_owned(), 1)]);
        assert_eq!(billing.backoff.steps, [Duration::from_secs(1)]);
    }

    #[tokio::test]
    async fn several_process_spans_on_one_record_are_retries_too() {
        let mut entries = written(4);
        entries.push(attempt("billing", "orders", 1, 1, 1.0).failed("timeout after 300 ms").entry());
        entries.push(attempt("billing", "orders", 1, 2, 2.0).failed("timeout after 301 ms").entry());
        entries.push(attempt("billing", "orders", 1, 3, 3.0).entry());
        entries.push(attempt("shipping", "orders", 1, 4, 1.0).entry());
        entries.push(attempt("audit", "orders", 2, 5, 1.0).failed("once").entry());
        let found = told(entries).await;
        let [billing] = found.consumers.as_slice() else { panic!("only billing tried again: {found:?}") };
        assert_eq!((billing.retried, billing.succeeded, billing.dead), (1, 1, 0));
        assert_eq!(billing.attempts, BTreeMap::from([(1, 3), (3, 1)]));
        assert_eq!(billing.reasons, [("timeout after # ms".to_owned(), 2)]);
    }

    #[tokio::test]
    async fn a_copy_that_was_written_after_it_was_due_tells_of_no_wait_instead_of_none_at_all() {
        let copy = |due: f64| {
            let mut copy =
                record("orders-retry", 0, due as i64).retry("billing", 1).from("orders", 0, 1).at(2.0).record();
            copy.failure.as_mut().unwrap().not_before = Some(at(due));
            Entry::Record(copy)
        };
        let [late, early] = [told(vec![copy(1.8)]).await, told(vec![copy(2.4)]).await].map(|found| found.consumers);
        assert_eq!((late[0].backoff.seen, late[0].backoff.hammers), (0, false));
        assert_eq!(early[0].backoff.steps, [Duration::from_millis(400)]);
    }

    #[tokio::test]
    async fn copies_that_do_not_tell_who_failed_belong_to_the_only_one_whose_failure_is_known() {
        let mut entries = written(2);
        let mut copy = record("orders-retry", 0, 0).retry("", 1).from("orders", 0, 1).at(2.0).record();
        copy.failure.as_mut().unwrap().group = None;
        entries.push(Entry::Record(copy));
        entries.push(attempt("billing", "orders", 1, 1, 1.0).failed("no").entry());
        let found = told(entries).await;
        assert_eq!(found.consumers.iter().map(|row| row.consumer.as_str()).collect::<Vec<_>>(), ["billing"]);
    }

    #[tokio::test]
    async fn nothing_that_went_well_is_a_retry() {
        let mut entries = written(3);
        entries.push(attempt("billing", "orders", 1, 1, 1.0).entry());
        assert_eq!(told(entries).await, Retries::default());
    }
}
