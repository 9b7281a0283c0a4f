//! Every byte of every file of a small store, flipped one at a time: it is noticed, nothing panics, no answer is wrong, and what is
//! missing is missing only together with a damage that is told.

use std::collections::BTreeSet;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use store::checkpoint::Reached;
use store::engine::{Counts, Facet, PageRequest, Sequence};
use store::fixture;
use store::index::inspect::{Depth, inspect};
use store::index::{Index, IndexConfig};
use store::journal::LineKind;
use store::lag_series::{LagKey, LagSample};
use store::query::Field;
use store::{Checkpoint, Entry, Journal, LagSeries, Query, Store, StoreError, Timestamp};

use super::damage::files;
use super::power_cut::folder;
use super::restart::copy;

/// How large the store may be: what every byte can be tried of in seconds.
const BYTES_MAX: u64 = 32 * 1024;

/// How many entries are kept, and up to which they are in a segment; the rest is in the log.
const ENTRIES: i64 = 21;
const SEALED: i64 = 18;

/// The one that is forgotten.
const FORGOTTEN: i64 = 4;

fn entry(number: i64) -> Entry {
    // All in one minute, and many alike, so that they are counted by the minute.
    let at = number as f64 * 2.0;
    match number % 3 {
        0 => {
            let span = fixture::span("billing", "charge card").trace(number as u64 % 4 + 1).id(number as u64 + 1);
            let span = span.at(at).attribute("order.id", &format!("order-{number}"));
            if number % 2 == 0 { span.entry() } else { span.failed("declined").entry() }
        }
        1 => {
            let record = fixture::record("orders", 0, number).key(&format!("order-{number}")).at(at);
            record.id(&format!("evt-{number}")).event("OrderPlaced").body(format!(r#"{{"number":{number}}}"#)).entry()
        }
        _ => fixture::log("shipping", &format!("parcel of order-{number} left"))
            .trace(number as u64 % 4 + 1)
            .at(at)
            .entry(),
    }
}

fn checkpoint(next: i64) -> Checkpoint {
    let mut checkpoint = Checkpoint::none("main".into());
    checkpoint.partitions.insert(("orders".into(), 0), Reached { next, ..Reached::default() });
    checkpoint
}

fn lag_key() -> LagKey {
    LagKey { source: "main".into(), group: "billing".into(), topic: "orders".into(), partition: 0 }
}

async fn make(data: &Path) {
    let store = Index::open(IndexConfig::new(data)).unwrap();
    store.append((0..SEALED).map(entry).collect(), checkpoint(SEALED)).await.unwrap();
    store.seal().await.unwrap();
    store.forget(&Query::parse(&format!("key:order-{FORGOTTEN}")).unwrap()).await.unwrap();
    for number in SEALED..ENTRIES {
        store.append(vec![entry(number)], checkpoint(number + 1)).await.unwrap();
    }
    store.close().await.unwrap();
    let journal = Journal::open(data).unwrap();
    for number in 0..2 {
        journal.append(LineKind::Audit, "a", "ops", &number).await.unwrap();
    }
    let lag = LagSeries::open(data).unwrap();
    for second in 1..3 {
        let at = Timestamp::from_millis(second * 1_000);
        lag.add(&lag_key(), LagSample { at, committed: Some(second), end: Some(9) });
        lag.save().unwrap();
    }
}

/// All that is asked; between them the questions read every file.
#[derive(PartialEq, Debug, Default)]
struct Answers {
    /// Which entries each question finds.
    found: Vec<(&'static str, BTreeSet<i64>)>,
    counts: Vec<Counts>,
    checkpoint: i64,
    entries: u64,
    lines: Vec<i64>,
    samples: usize,
    /// Whether something is said to be missing.
    is_damage_told: bool,
}

const QUESTIONS: [&str; 9] = [
    "",
    "charge",
    "key:order-1",
    "order-13",
    "order-19",
    "attr.order.id:order-6",
    "status:failed service:billing",
    "-kind:log topic:orders",
    "parc*",
];

/// What an entry is, which must be just as it was sent.
fn number_of(held: &Entry) -> i64 {
    let number = (0..=ENTRIES).find(|number| entry(*number) == *held);
    number.unwrap_or_else(|| panic!("this was never sent: {held:?}"))
}

async fn ask(store: &Index) -> Answers {
    let mut answers = Answers::default();
    let mut note = |text: &'static str, found: Vec<store::engine::Held>, cut: bool| {
        let mut numbers = BTreeSet::new();
        for held in found {
            assert!(numbers.insert(number_of(&held.entry)), "`{text}` shows one twice");
        }
        answers.is_damage_told |= cut;
        answers.found.push((text, numbers));
    };
    for text in QUESTIONS {
        let page = PageRequest { limit: 1_000, after: None };
        let found = store.search(&Query::parse(text).unwrap(), page).await.unwrap();
        note(text, found.entries, found.cut.is_some());
    }
    let knots: Vec<_> = (0..ENTRIES).flat_map(|number| entry(number).knots()).collect();
    let related = store.related(&knots, 1_000).await.unwrap();
    note("related", related.entries, related.cut.is_some());
    let since = store.since(Sequence(3), &Query::All, 1_000).await.unwrap();
    note("since", since.entries, since.cut.is_some());
    for field in [None, Some(Field::Service), Some(Field::Key)] {
        let by = Facet { field, step: Some(Duration::from_secs(60)), values_max: 100 };
        let counts = store.count(&Query::All, by).await.unwrap();
        answers.is_damage_told |= counts.at_least;
        answers.counts.push(counts);
    }
    let reached = store.checkpoint(&"main".into()).await.unwrap();
    answers.checkpoint = reached.partitions.values().next().map_or(0, |reached| reached.next);
    let stats = store.stats().await.unwrap();
    answers.entries = stats.entries;
    answers.is_damage_told |= stats.damaged > 0;
    answers
}

/// What is said of the folder: by a look through it, and by opening it and asking.
async fn look(data: &Path) -> Result<Answers, StoreError> {
    let store = Index::open(IndexConfig::new(data))?;
    let mut answers = ask(&store).await;
    // The same once more: what is held is known by its identity, what was forgotten stays so.
    let again = store.append((0..ENTRIES).map(entry).collect(), checkpoint(0)).await;
    again.unwrap();
    let after = ask(&store).await;
    answers.is_damage_told |= after.is_damage_told;
    let forgotten = after.found.iter().any(|(_, numbers)| numbers.contains(&FORGOTTEN));
    assert!(!forgotten, "what was forgotten came back");
    if !answers.is_damage_told {
        assert_eq!((&after.found, after.entries), (&answers.found, answers.entries), "a repetition changed something");
    }
    drop(store);
    answers.lines = Journal::open(data)?.replay(0)?.iter().filter_map(|line| line.read()).collect();
    answers.samples = LagSeries::open(data)?.range(&lag_key(), Timestamp::MIN, Timestamp::MAX).len();
    Ok(answers)
}

async fn judge(original: &Path, name: &Path, at: usize, whole: &Answers, scratch: &Path) {
    copy(original, scratch);
    let mut bytes = fs::read(original.join(name)).unwrap();
    bytes[at] ^= 0x40;
    fs::write(scratch.join(name), bytes).unwrap();
    let told = match inspect(scratch, Depth::Whole) {
        Ok(inspection) => [inspection.damages(), inspection.unfinished].concat(),
        Err(error) => vec![error.to_string()],
    };
    assert!(!told.is_empty(), "a check takes it for whole");
    match look(scratch).await {
        // Refused with words: a version number that became a newer one.
        Err(error) => assert!(matches!(error, StoreError::Unusable(_)), "{error}"),
        Ok(answers) => {
            for ((text, found), (_, expected)) in answers.found.iter().zip(&whole.found) {
                assert!(found.is_subset(expected), "`{text}` finds what it must not: {found:?}");
                assert!(found == expected || answers.is_damage_told, "`{text}` lacks something, and nothing is said");
            }
            let all_said = answers.is_damage_told
                || (&answers.counts, answers.entries, answers.checkpoint)
                    == (&whole.counts, whole.entries, whole.checkpoint);
            assert!(all_said, "{answers:?}");
            for (counts, expected) in answers.counts.iter().zip(&whole.counts) {
                for row in &counts.rows {
                    let most = expected.rows.iter().find(|most| most.value == row.value).map_or(0, |most| most.count);
                    assert!(row.count <= most, "{row:?}");
                }
            }
            assert!(answers.checkpoint <= whole.checkpoint);
            // What these lack is told by the check, and in the program's log.
            assert!(answers.lines.iter().all(|line| whole.lines.contains(line)) && answers.samples <= whole.samples);
            let is_of = |file: &str| name == Path::new(file);
            assert!(answers.lines == whole.lines || is_of("journal"));
            assert!(answers.samples == whole.samples || is_of("lag"));
        }
    }
    fs::remove_dir_all(scratch).unwrap();
}

#[test]
fn every_byte_of_a_small_store_flipped_is_noticed_and_costs_at_most_what_it_belongs_to() {
    let folder = folder();
    let original = folder.path().join("original");
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime().block_on(make(&original));
    let paths: Vec<(PathBuf, usize)> = files(&original)
        .into_iter()
        .map(|path| (path.strip_prefix(&original).unwrap().to_owned(), fs::metadata(&path).unwrap().len() as usize))
        .collect();
    let bytes: usize = paths.iter().map(|(_, length)| length).sum();
    assert!(bytes as u64 <= BYTES_MAX, "{bytes} bytes");
    let with_bytes = paths.iter().filter(|(_, length)| *length > 0);
    let names: BTreeSet<String> =
        with_bytes.map(|(path, _)| path.file_name().unwrap().to_string_lossy().into_owned()).collect();
    for name in ["state", "tombstones", "journal", "lag", "manifest", "bodies", "terms", "ids", "minutes", "knots"] {
        assert!(names.contains(name), "there is no {name} to be flipped: {names:?}");
    }
    let whole = {
        let copied = folder.path().join("whole");
        copy(&original, &copied);
        runtime().block_on(look(&copied)).unwrap()
    };
    assert!(!whole.is_damage_told && whole.found[0].1.len() as i64 == ENTRIES - 1, "{whole:?}");
    assert!(
        whole.found.iter().all(|(_, found)| !found.is_empty()),
        "a question without an answer tells nothing: {whole:?}"
    );
    let flips: Vec<(&Path, usize)> =
        paths.iter().flat_map(|(path, length)| (0..*length).map(move |at| (path.as_path(), at))).collect();
    assert_eq!(flips.len(), bytes);
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        let n_threads = std::thread::available_parallelism().map_or(1, usize::from);
        for thread in 0..n_threads {
            let (next, flips, whole, original) = (&next, &flips, &whole, &original);
            let scratch = folder.path().join(format!("flipped-{thread}"));
            scope.spawn(move || {
                let runtime = runtime();
                while let Some((name, at)) = flips.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let judged = AssertUnwindSafe(|| runtime.block_on(judge(original, name, *at, whole, &scratch)));
                    if let Err(panic) = catch_unwind(judged) {
                        eprintln!("byte {at} of {}", name.display());
                        std::panic::resume_unwind(panic);
                    }
                }
            });
        }
    });
    eprintln!("{bytes} bytes of {} files flipped", paths.len());
}
