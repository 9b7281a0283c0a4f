//! Any order of appends, repetitions, seals, restarts and forgets: the answers of the index are those of `memory`.

use proptest::prelude::*;
use store::engine::{Facet, Found, PageRequest, Sequence};
use store::fixture;
use store::index::{Index, IndexConfig};
use store::knot::Tie;
use store::memory::Memory;
use store::query::Field;
use store::{Checkpoint, Entry, Knot, Query, Store};

/// How many cases a property is tried with: `PROPTEST_CASES=1000` asks for more than the usual ones, as it does of all others.
pub fn cases(usual: u32) -> u32 {
    std::env::var("PROPTEST_CASES").map_or(usual, |text| text.parse().unwrap())
}

#[derive(Clone, Debug)]
enum Step {
    Append(Vec<Entry>),
    Seal,
    Reopen,
    Forget(&'static str),
}

fn any_entry() -> impl Strategy<Value = Entry> {
    let numbers = (0..4_u64, 0..12_i64, 0..6_u64, 0..40_u32);
    // What is at a position never changes: all of it follows from the position.
    let record = (0..2_u64, 0..40_i64).prop_map(|(topic, offset)| {
        let (trace, kind, second) = (offset as u64 % 4, offset as u64 % 6, (offset * 7 % 40) as f64);
        let record = fixture::record(["orders", "payments"][topic as usize], 0, offset).at(second);
        let record = if trace > 0 { record.trace(trace) } else { record };
        let record = if kind > 2 { record.event("OrderPlaced").id(&format!("evt-{offset}")) } else { record };
        let record = if kind > 4 { record.dead("billing", "card declined").from("orders", 0, offset) } else { record };
        record.key(&format!("customer-{trace}")).body(format!(r#"{{"n":{offset},"who":"customer-{trace}"}}"#)).entry()
    });
    let span = numbers.clone().prop_map(|(trace, id, kind, second)| {
        let span = fixture::span(["shop", "billing"][kind as usize % 2], "process").trace(trace + 1).id(id as u64 + 1);
        let span = span.at(f64::from(second)).took(kind as f64 / 10.0).attribute("who", &format!("customer-{trace}"));
        let span = if kind > 3 { span.failed("card declined") } else { span };
        if kind == 1 { span.consumed("orders", 0, id).entry() } else { span.entry() }
    });
    let log = numbers.prop_map(|(trace, number, kind, second)| {
        let log = fixture::log("billing", &format!("said {number} to customer-{trace}")).at(f64::from(second));
        if kind > 2 { log.trace(trace + 1).entry() } else { log.entry() }
    });
    prop_oneof![record, span, log]
}

fn any_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => prop::collection::vec(any_entry(), 0..12).prop_map(Step::Append),
        1 => Just(Step::Seal),
        1 => Just(Step::Reopen),
        1 => prop::sample::select(vec!["customer-2", "event:evt-3", "service:shop status:failed"]).prop_map(Step::Forget),
    ]
}

const QUERIES: [&str; 22] = [
    "",
    "status:error",
    "-status:error",
    "service:billing status:failed",
    "kind:record -topic:orders",
    "customer-1",
    "custom*",
    "\"card declined\"",
    "attr.who:customer-3",
    "body.who:customer-2",
    "key:customer-*",
    "duration:>200ms",
    "event:evt-5 OR trace:f1000000000000000000000000000002",
    "-(kind:span OR kind:log)",
    "status:dead cause:*",
    "group:billing",
    "event:evt-1*",
    "span:proc*",
    "trace:f1*",
    "cause:order*",
    "attr.who:customer-*",
    "producer:sh*",
];

/// Everything that can be asked, asked of both.
async fn compare(model: &Memory, index: &Index) {
    for text in QUERIES {
        let query = Query::parse(text).unwrap();
        for limit in [3, 1_000] {
            let mut after = None;
            loop {
                let page = PageRequest { limit, after };
                let expected = model.search(&query, page.clone()).await.unwrap();
                let found = index.search(&query, page).await.unwrap();
                assert_eq!(found, expected, "search `{text}`");
                after = match expected.next {
                    Some(next) => Some(next),
                    None => break,
                };
            }
        }
        for (sequence, limit) in [(0, 5), (7, 1_000)] {
            let expected = model.since(Sequence(sequence), &query, limit).await.unwrap();
            assert_eq!(index.since(Sequence(sequence), &query, limit).await.unwrap(), expected, "since `{text}`");
        }
        for field in [None, Some(Field::Topic), Some(Field::Status), Some(Field::Key)] {
            let by = Facet { field, step: Some(std::time::Duration::from_secs(10)), values_max: 50 };
            let expected = model.count(&query, by.clone()).await.unwrap();
            assert_eq!(index.count(&query, by).await.unwrap(), expected, "count `{text}`");
        }
    }
    for tie in [Tie::Is, Tie::Refers] {
        for number in 1..6 {
            let knots = [
                (tie, Knot::Trace(fixture::trace(number))),
                (tie, Knot::Span(fixture::trace(number), fixture::span_id(number))),
                (tie, Knot::Event(format!("evt-{number}"))),
                (tie, Knot::Position("orders".into(), store::Place::Offset { partition: 0, offset: number as i64 })),
            ];
            for knots in [&knots[..], &knots[..1], &knots[1..2], &knots[2..3], &knots[3..]] {
                let expected = model.related(knots, 1_000).await.unwrap();
                assert_eq!(index.related(knots, 1_000).await.unwrap(), expected, "{knots:?}");
                let cut: Found = index.related(knots, 2).await.unwrap();
                assert_eq!(cut.entries[..], expected.entries[..expected.entries.len().min(2)], "{knots:?}");
            }
        }
    }
    let (stats, expected) = (index.stats().await.unwrap(), model.stats().await.unwrap());
    assert_eq!((stats.entries, stats.oldest, stats.damaged), (expected.entries, expected.oldest, 0));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(24), max_shrink_iters: 200, ..ProptestConfig::default() })]

    #[test]
    fn the_index_answers_as_the_specification_does(steps in prop::collection::vec(any_step(), 1..14), seal_entries in 3_usize..40) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let folder = tempfile::tempdir().unwrap();
            let config = IndexConfig { seal_entries, ..IndexConfig::new(folder.path()) };
            let model = Memory::new();
            let mut index = Index::open(config.clone()).unwrap();
            for step in steps {
                match step {
                    Step::Append(entries) => {
                        let checkpoint = Checkpoint::none("main".into());
                        let expected = model.append(entries.clone(), checkpoint.clone()).await.unwrap();
                        assert_eq!(index.append(entries, checkpoint).await.unwrap(), expected);
                    }
                    Step::Seal => index.seal().await.unwrap(),
                    Step::Reopen => {
                        drop(index);
                        index = Index::open(config.clone()).unwrap();
                    }
                    Step::Forget(text) => {
                        let query = Query::parse(text).unwrap();
                        let expected = model.forget(&query).await.unwrap().entries;
                        assert_eq!(index.forget(&query).await.unwrap().entries, expected, "forget `{text}`");
                    }
                }
            }
            compare(&model, &index).await;
            drop(index);
            compare(&model, &Index::open(config).unwrap()).await;
        });
    }
}
