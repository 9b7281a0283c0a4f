//! The same questions to every engine.

use std::sync::Arc;
use std::time::Duration;

use store::checkpoint::Reached;
use store::engine::{Facet, Found, PageRequest, Sequence};
use store::fixture::{self, at};
use store::index::{Index, IndexConfig};
use store::knot::Tie;
use store::memory::Memory;
use store::position::Incarnation;
use store::query::Field;
use store::{Checkpoint, Entry, Knot, Place, Query, Store};

/// An index that makes a segment of every few entries, so that each case meets live sets and segments.
pub fn small(folder: &std::path::Path) -> IndexConfig {
    IndexConfig { seal_entries: 5, ..IndexConfig::new(folder) }
}

macro_rules! cases {
    ($($case:ident),* $(,)?) => {
        mod memory {
            $(#[tokio::test] async fn $case() { super::$case(super::Arc::new(super::Memory::new())).await; })*
        }
        mod index {
            $(#[tokio::test] async fn $case() {
                let folder = tempfile::tempdir().unwrap();
                let store = super::Index::open(super::small(folder.path())).unwrap();
                super::$case(super::Arc::new(store)).await;
            })*
        }
    };
}

cases!(
    the_same_entry_sent_ten_times_is_kept_once_and_counted_ten_times,
    the_same_span_with_other_content_is_another_entry,
    a_recreated_topic_loses_nothing,
    what_was_acknowledged_is_found_at_once_by_every_knot,
    is_and_refers_are_told_apart,
    pages_show_each_entry_once_while_new_ones_come,
    late_and_skewed_entries_are_shown_by_their_own_time,
    arrivals_come_in_the_order_in_which_they_were_kept,
    counts_come_by_value_and_by_step,
    a_query_holds_for_one_entry_and_not_for_its_trace,
    words_and_fields_find_what_has_them,
    a_checkpoint_never_goes_back,
    what_was_forgotten_is_gone_and_stays_gone,
    the_generation_grows_with_what_can_be_found,
    a_limit_is_told_as_a_cut,
    an_empty_store_answers_everything_with_nothing,
);

type Any = Arc<dyn Store>;

async fn keep(store: &Any, entries: Vec<Entry>) -> Sequence {
    store.append(entries, Checkpoint::none("main".into())).await.unwrap()
}

async fn search(store: &Any, query: &str) -> Vec<u64> {
    let query = Query::parse(query).unwrap();
    numbers(&store.search(&query, PageRequest { limit: 1_000, after: None }).await.unwrap())
}

fn numbers(found: &Found) -> Vec<u64> {
    found.entries.iter().map(|held| held.sequence.0).collect()
}

fn placed(number: i64) -> Entry {
    let id = format!("evt-{number}");
    fixture::record("orders", 0, number).event("OrderPlaced").id(&id).trace(number as u64 + 1).at(number as f64).entry()
}

async fn the_same_entry_sent_ten_times_is_kept_once_and_counted_ten_times(store: Any) {
    let sent = || {
        vec![placed(1), fixture::span("billing", "charge").trace(1).entry(), fixture::log("billing", "done").entry()]
    };
    for _ in 0..10 {
        assert_eq!(keep(&store, sent()).await, Sequence(3));
    }
    let all = store.search(&Query::All, PageRequest { limit: 10, after: None }).await.unwrap();
    assert_eq!(all.entries.iter().map(|held| held.copies).collect::<Vec<_>>(), [10, 10, 10]);
    // The same, with others in between, so that the first ones move on.
    keep(&store, (20..40).map(placed).collect()).await;
    keep(&store, sent()).await;
    let all = store.search(&Query::All, PageRequest { limit: 100, after: None }).await.unwrap();
    assert_eq!(all.entries.len(), 23);
    assert_eq!(all.entries.iter().filter(|held| held.copies == 11).count(), 3);
    assert_eq!(store.stats().await.unwrap().entries, 23);
}

async fn the_same_span_with_other_content_is_another_entry(store: Any) {
    let span = || fixture::span("billing", "charge").trace(1).id(7);
    keep(&store, vec![span().entry(), span().failed("declined").entry()]).await;
    let found = store.related(&[(Tie::Is, Knot::Span(fixture::trace(1), fixture::span_id(7)))], 10).await.unwrap();
    assert_eq!(found.entries.len(), 2);
}

async fn a_recreated_topic_loses_nothing(store: Any) {
    let record = |life: u32| fixture::record("orders", 0, 1).incarnation(life).entry();
    keep(&store, vec![record(0), record(1), record(0)]).await;
    let place = Knot::Position("orders".into(), Place::Offset { partition: 0, offset: 1 });
    let found = store.related(&[(Tie::Is, place)], 10).await.unwrap();
    assert_eq!(found.entries.iter().map(|held| held.copies).collect::<Vec<_>>(), [2, 1]);
}

async fn what_was_acknowledged_is_found_at_once_by_every_knot(store: Any) {
    for number in 0..12 {
        let entry = fixture::record("orders", 0, number).id(&format!("evt-{number}")).trace(9).span(number as u64 + 1);
        let entry = entry.correlation("order-1").at(number as f64).entry();
        let knots = entry.knots();
        keep(&store, vec![entry]).await;
        for knot in &knots {
            let found = store.related(std::slice::from_ref(knot), 100).await.unwrap();
            let shared = matches!(knot.1, Knot::Trace(_) | Knot::Cause(_));
            assert_eq!(found.entries.len(), if shared { number as usize + 1 } else { 1 }, "{knot:?}");
        }
    }
}

async fn is_and_refers_are_told_apart(store: Any) {
    let record = fixture::record("orders", 0, 7).trace(1).entry();
    let consumed = fixture::span("billing", "process orders").trace(2).link(1, 5).consumed("orders", 0, 7).entry();
    keep(&store, vec![record, consumed]).await;
    let place = Knot::Position("orders".into(), Place::Offset { partition: 0, offset: 7 });
    let ask = async |tie: Tie, knot: Knot| numbers(&store.related(&[(tie, knot)], 10).await.unwrap());
    assert_eq!(ask(Tie::Is, place.clone()).await, [1]);
    assert_eq!(ask(Tie::Refers, place).await, [2]);
    assert_eq!(ask(Tie::Is, Knot::Trace(fixture::trace(1))).await, [1]);
    assert_eq!(ask(Tie::Refers, Knot::Trace(fixture::trace(1))).await, [2]);
    assert_eq!(ask(Tie::Is, Knot::Trace(fixture::trace(2))).await, [2]);
    assert_eq!(ask(Tie::Is, Knot::Trace(fixture::trace(3))).await, [0; 0]);
}

async fn pages_show_each_entry_once_while_new_ones_come(store: Any) {
    // Five at each instant: pages end within them.
    keep(&store, (0..43).map(|number| fixture::record("orders", 0, number).at((number / 5) as f64).entry()).collect())
        .await;
    let (mut seen, mut after) = (Vec::new(), None);
    let mut next_number = 1_000;
    loop {
        let page = store.search(&Query::All, PageRequest { limit: 4, after }).await.unwrap();
        assert!(page.entries.len() <= 4 && page.cut.is_none());
        seen.extend(numbers(&page));
        // New ones, all later than what is being paged through.
        keep(&store, vec![fixture::record("orders", 1, next_number).at(next_number as f64).entry()]).await;
        next_number += 1;
        match page.next {
            Some(next) => after = Some(next),
            None => break,
        }
    }
    assert_eq!(seen.len(), 43);
    seen.sort_unstable();
    assert_eq!(seen, (1..=43).collect::<Vec<_>>());
}

async fn late_and_skewed_entries_are_shown_by_their_own_time(store: Any) {
    let years = 365.25 * 86_400.0;
    let order = [5.0, 1.0, 73.0 * years, 3.0, -56.0 * years, 2.0, 4.0, 0.0, 2.5, 1.5];
    for (number, seconds) in order.iter().enumerate() {
        keep(&store, vec![fixture::record("orders", 0, number as i64).at(*seconds).entry()]).await;
    }
    let all = search(&store, "").await;
    let mut expected: Vec<usize> = (0..order.len()).collect();
    expected.sort_by(|a, b| order[*b].total_cmp(&order[*a]));
    assert_eq!(all, expected.into_iter().map(|number| number as u64 + 1).collect::<Vec<_>>());
    let between = Query::Time { from: Some(at(1.5)), to: Some(at(4.0)) };
    let found = store.search(&between, PageRequest { limit: 10, after: None }).await.unwrap();
    assert_eq!(numbers(&found), [4, 9, 6, 10]);
}

async fn arrivals_come_in_the_order_in_which_they_were_kept(store: Any) {
    for number in (0..30).rev() {
        keep(&store, vec![placed(number)]).await;
    }
    let query = Query::parse("type:OrderPlaced").unwrap();
    let found = store.since(Sequence(11), &query, 7).await.unwrap();
    assert_eq!(numbers(&found), (12..19).collect::<Vec<_>>());
    let found = store.since(Sequence(25), &query, 100).await.unwrap();
    assert_eq!(numbers(&found), (26..31).collect::<Vec<_>>());
    assert!(store.since(Sequence(30), &query, 100).await.unwrap().entries.is_empty());
}

async fn counts_come_by_value_and_by_step(store: Any) {
    let mut entries: Vec<Entry> =
        (0..20).map(|number| fixture::record("orders", 0, number).at(number as f64).entry()).collect();
    entries.extend((0..7).map(|number| fixture::record("payments", 0, number).at(number as f64).entry()));
    entries.extend((1..6).map(|number| fixture::span("billing", "charge").trace(number).at(70.0).failed("no").entry()));
    keep(&store, entries).await;
    let facet = |field: Option<Field>| Facet { field, step: Some(Duration::from_secs(60)), values_max: 10 };
    let counts = store.count(&Query::All, facet(Some(Field::Topic))).await.unwrap();
    let rows: Vec<_> = counts.rows.iter().map(|row| (row.value.as_str(), row.count, row.last)).collect();
    assert_eq!(rows, [("orders", 20, at(19.0)), ("payments", 7, at(6.0))]);
    assert!(!counts.at_least);
    let counts = store.count(&Query::All, facet(None)).await.unwrap();
    assert_eq!(counts.rows.len(), 1);
    assert_eq!((counts.rows[0].value.as_str(), counts.rows[0].count), ("", 32));
    assert_eq!(counts.rows[0].steps, [(at(0.0), 27), (at(60.0), 5)]);
    let query = Query::parse("kind:record topic:orders").unwrap();
    let within = query.and(Query::Time { from: Some(at(3.0)), to: Some(at(9.0)) });
    assert_eq!(store.count(&within, facet(None)).await.unwrap().rows[0].count, 6);
    let by_key = store.count(&Query::All, facet(Some(Field::Span))).await.unwrap();
    assert_eq!(by_key.rows.iter().map(|row| (row.value.as_str(), row.count)).collect::<Vec<_>>(), [("charge", 5)]);
    let few = store.count(&Query::All, Facet { field: Some(Field::Topic), step: None, values_max: 1 }).await.unwrap();
    assert!(few.at_least && few.rows.len() == 1 && few.rows[0].steps.is_empty());
}

async fn a_query_holds_for_one_entry_and_not_for_its_trace(store: Any) {
    let good = fixture::span("shop", "place").trace(1).id(1).entry();
    let bad = fixture::span("billing", "charge").trace(1).id(2).failed("declined").entry();
    keep(&store, vec![good, bad]).await;
    keep(&store, (0..10).map(placed).collect()).await;
    assert_eq!(search(&store, "service:shop status:failed").await, [0; 0]);
    assert_eq!(search(&store, "service:billing status:failed").await, [2]);
    assert_eq!(search(&store, "kind:span -status:failed").await, [1]);
    assert_eq!(search(&store, "kind:span (service:shop OR status:failed)").await.len(), 2);
}

async fn words_and_fields_find_what_has_them(store: Any) {
    let body = r#"{"orderId":"order-48213","customer":{"name":"Zoë Müller"},"total":12.50,"items":[{"sku":"A-1"}]}"#;
    keep(
        &store,
        vec![fixture::record("orders", 0, 1).body(body).key("order-48213").header("tenant", "acme-7").entry()],
    )
    .await;
    keep(
        &store,
        vec![fixture::span("billing", "charge").trace(3).attribute("card.kind", "visa-credit").took(0.25).entry()],
    )
    .await;
    keep(&store, vec![fixture::log("billing", "charged order-48213 at last").trace(3).entry()]).await;
    keep(&store, (100..120).map(placed).collect()).await;
    for (query, expected) in [
        ("order-48213", 2),
        ("48213", 2),
        ("order-482*", 2),
        ("\"charged order\"", 1),
        ("müller", 1),
        ("mül*", 1),
        ("nothing", 0),
        ("key:order-48213", 1),
        ("key:order-48*", 1),
        ("body.customer.name:\"Zoë Müller\"", 1),
        ("body.total:12.5", 1),
        ("body.items.sku:A-1", 1),
        ("header.tenant:acme-7", 1),
        ("attr.card.kind:visa-credit", 1),
        ("attr.card.kind:visa*", 1),
        ("attr.card.kind:master", 0),
        ("duration:>200ms", 1),
        ("duration:>300ms", 0),
        ("service:billing", 2),
        ("event:evt-105", 1),
        ("offset:105", 1),
        ("type:Order*", 20),
    ] {
        assert_eq!(search(&store, query).await.len(), expected, "{query}");
    }
}

async fn a_checkpoint_never_goes_back(store: Any) {
    let reached = |next: i64| {
        let mut checkpoint = Checkpoint { cluster: Some("c1".into()), ..Checkpoint::none("main".into()) };
        let reached =
            Reached { incarnation: Incarnation(0), next, last_timestamp: Some(at(1.0)), last_checksum: Some(7) };
        checkpoint.partitions.insert(("orders".into(), 3), reached);
        checkpoint
    };
    assert_eq!(store.checkpoint(&"main".into()).await.unwrap(), Checkpoint::none("main".into()));
    store.append(vec![placed(1)], reached(10)).await.unwrap();
    store.append(vec![], reached(12)).await.unwrap();
    store.append(vec![placed(2)], reached(11)).await.unwrap();
    assert_eq!(store.checkpoint(&"main".into()).await.unwrap(), reached(12));
    assert_eq!(store.checkpoint(&"other".into()).await.unwrap(), Checkpoint::none("other".into()));
}

async fn what_was_forgotten_is_gone_and_stays_gone(store: Any) {
    let private = || fixture::record("orders", 0, 3).key("erika").event("OrderPlaced").trace(4).at(3.0).entry();
    keep(&store, (10..20).map(placed).collect()).await;
    keep(&store, vec![private()]).await;
    keep(&store, (20..32).map(placed).collect()).await;
    keep(&store, vec![fixture::log("billing", "erika paid").entry()]).await;
    let forgotten = store.forget(&Query::parse("key:erika OR erika").unwrap()).await.unwrap();
    assert_eq!(forgotten.entries, 2);
    assert_eq!(forgotten.files.iter().map(|(_, many)| many).sum::<u64>(), 2);
    keep(&store, vec![private()]).await;
    assert_eq!(search(&store, "erika").await, [0; 0]);
    assert!(store.related(&[(Tie::Is, Knot::Trace(fixture::trace(4)))], 10).await.unwrap().entries.is_empty());
    assert_eq!(search(&store, "").await.len(), 22);
    assert_eq!(store.forget(&Query::parse("erika").unwrap()).await.unwrap().entries, 0);
    assert_eq!(keep(&store, vec![placed(50)]).await, Sequence(25), "a number is never given twice");
}

async fn the_generation_grows_with_what_can_be_found(store: Any) {
    let mut generation = store.generation();
    assert_eq!(*generation.borrow_and_update(), Sequence(0));
    let last = keep(&store, vec![placed(1), placed(2)]).await;
    assert!(generation.has_changed().unwrap());
    assert_eq!(*generation.borrow_and_update(), last);
    keep(&store, vec![placed(1)]).await;
    assert!(!generation.has_changed().unwrap(), "nothing new can be found");
}

async fn a_limit_is_told_as_a_cut(store: Any) {
    keep(
        &store,
        (0..20).map(|number| fixture::record("orders", 0, number).trace(1).at(20.0 - number as f64).entry()).collect(),
    )
    .await;
    let knots = [(Tie::Is, Knot::Trace(fixture::trace(1)))];
    let found = store.related(&knots, 5).await.unwrap();
    assert_eq!(numbers(&found), [20, 19, 18, 17, 16], "the oldest by their own time");
    assert!(found.cut.is_some());
    assert!(store.related(&knots, 20).await.unwrap().cut.is_none());
}

async fn an_empty_store_answers_everything_with_nothing(store: Any) {
    assert_eq!(search(&store, "status:dead").await, [0; 0]);
    assert!(store.related(&[(Tie::Is, Knot::Event("e".into()))], 5).await.unwrap().entries.is_empty());
    assert!(store.count(&Query::All, Facet::default()).await.unwrap().rows.is_empty());
    assert_eq!(store.stats().await.unwrap().entries, 0);
    assert_eq!(store.forget(&Query::All).await.unwrap().entries, 0);
    store.close().await.unwrap();
}
