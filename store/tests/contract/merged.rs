//! Seals and merges while somebody asks: the answers stay those of `memory`, and paging through one meets each entry once.

use proptest::prelude::*;
use store::engine::PageRequest;
use store::fixture;
use store::index::{Index, IndexConfig};
use store::memory::Memory;
use store::{Checkpoint, Entry, Query, Store};

use super::model::cases;

const SERVICES: [&str; 3] = ["shop", "billing", "shipping"];

#[derive(Clone, Debug)]
enum Step {
    Append(Vec<Entry>),
    Seal,
    Merge,
}

/// Spans of few traces, so that bundles hold good and bad ones of several services.
fn any_spans() -> impl Strategy<Value = Vec<Entry>> {
    let span = (1..4_u64, 1..60_u64, 0..3_usize, any::<bool>()).prop_map(|(trace, id, service, failed)| {
        let span = fixture::span(SERVICES[service], "work").trace(trace).id(id).at((id % 20) as f64);
        if failed { span.failed("declined").entry() } else { span.entry() }
    });
    prop::collection::vec(span, 1..10)
}

fn any_steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![5 => any_spans().prop_map(Step::Append), 3 => Just(Step::Seal), 2 => Just(Step::Merge)];
    prop::collection::vec(step, 2..16)
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

async fn take(index: &Index, step: &Step) {
    match step {
        Step::Append(entries) => {
            index.append(entries.clone(), Checkpoint::none("main".into())).await.unwrap();
        }
        Step::Seal => index.seal().await.unwrap(),
        Step::Merge => {
            index.seal().await.unwrap();
            index.look_after().await.unwrap();
        }
    }
}

async fn page(
    store: &dyn Store,
    query: &Query,
    limit: usize,
    after: Option<store::engine::Cursor>,
) -> store::engine::Found {
    store.search(query, PageRequest { limit, after }).await.unwrap()
}

/// What a query finds, asked of both; it must be the same.
async fn same(memory: &Memory, index: &Index, text: &str) -> Vec<Entry> {
    let query = Query::parse(text).unwrap();
    let expected = page(memory, &query, 1_000, None).await;
    assert_eq!(page(index, &query, 1_000, None).await, expected, "`{text}`");
    expected.entries.iter().map(|held| (*held.entry).clone()).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(40), max_shrink_iters: 100, ..ProptestConfig::default() })]

    #[test]
    fn a_service_and_a_status_never_match_across_two_spans_and_a_negation_hides_nothing_good(steps in any_steps()) {
        block_on(async {
            let folder = tempfile::tempdir().unwrap();
            let (memory, index) = (Memory::new(), Index::open(IndexConfig::new(folder.path())).unwrap());
            for step in &steps {
                take(&index, step).await;
                if let Step::Append(entries) = step {
                    memory.append(entries.clone(), Checkpoint::none("main".into())).await.unwrap();
                }
            }
            index.seal().await.unwrap();
            index.look_after().await.unwrap();
            let all = same(&memory, &index, "").await.len();
            let bad = same(&memory, &index, "status:error").await;
            let good = same(&memory, &index, "-status:error").await;
            assert_eq!(bad.len() + good.len(), all);
            for service in SERVICES {
                let of = |entries: &[Entry]| {
                    entries.iter().filter(|entry| entry.as_span().unwrap().service() == service).count()
                };
                assert_eq!(same(&memory, &index, &format!("service:{service} status:error")).await.len(), of(&bad));
                assert_eq!(same(&memory, &index, &format!("service:{service} -status:error")).await.len(), of(&good));
                assert_eq!(same(&memory, &index, &format!("-service:{service} -status:error")).await.len(), good.len() - of(&good));
            }
        });
    }

    #[test]
    fn paging_through_seals_and_merges_shows_each_entry_once(before in any_steps(), meanwhile in any_steps(), limit in 1..7_usize) {
        block_on(async {
            let folder = tempfile::tempdir().unwrap();
            let (memory, index) = (Memory::new(), Index::open(IndexConfig::new(folder.path())).unwrap());
            for step in &before {
                take(&index, step).await;
                if let Step::Append(entries) = step {
                    memory.append(entries.clone(), Checkpoint::none("main".into())).await.unwrap();
                }
            }
            let expected = page(&memory, &Query::All, 1_000, None).await;
            let mut meanwhile = meanwhile.iter().filter(|step| !matches!(step, Step::Append(_))).cycle();
            let (mut seen, mut after) = (Vec::new(), None);
            loop {
                let found = page(&index, &Query::All, limit, after).await;
                seen.extend(found.entries);
                if let Some(step) = meanwhile.next() {
                    take(&index, step).await;
                }
                // Newer than all that is paged through.
                let newer = fixture::span("late", "work").trace(9).id(1_000 + seen.len() as u64).at(90.0).entry();
                take(&index, &Step::Append(vec![newer])).await;
                match found.next {
                    Some(next) => after = Some(next),
                    None => break,
                }
            }
            assert_eq!(seen, expected.entries);
        });
    }
}
