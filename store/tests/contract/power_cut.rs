//! Power cuts at any moment: what was acknowledged is there once and whole, whatever a disk made of what was not synced.
//!
//! One life of a store is written down change by change; then for each seed a moment is drawn, and a folder is made as a disk may hold
//! it then. `POWER_CUTS=10000` asks for more than the usual ones, `POWER_CUT_SEED=N` for one.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use store::checkpoint::Reached;
use store::engine::PageRequest;
use store::file::crash::{Recorder, Step, leave};
use store::fixture;
use store::index::inspect::{Depth, inspect};
use store::index::{Index, IndexConfig};
use store::journal::LineKind;
use store::lag_series::{LagKey, LagSample};
use store::{Checkpoint, Entry, Journal, LagSeries, Query, Store};

use crate::folder::contents;

/// How many power cuts where nothing else is said, and how many are tried on one life.
const CUTS: u64 = 500;
const CUTS_A_LIFE: u64 = 100;

fn entry(number: i64) -> Entry {
    let text = "wake ".repeat(1 + number as usize % 40);
    let body = format!(r#"{{"n":{number},"mark":"{}","text":"{text}"}}"#, mark(number));
    let person = format!("person-{}", number % 9);
    fixture::record("orders", 0, number).trace(number as u64 % 7 + 1).key(&person).body(body).at(number as f64).entry()
}

/// What stands in one entry and in no other.
fn mark(number: i64) -> String {
    format!("mark{number}kram")
}

fn reached(next: i64) -> Checkpoint {
    let mut checkpoint = Checkpoint::none("main".into());
    checkpoint.partitions.insert(("orders".into(), 0), Reached { next, ..Reached::default() });
    checkpoint
}

fn config(folder: &Path) -> IndexConfig {
    IndexConfig { seal_entries: 16, ..IndexConfig::new(folder) }
}

/// A folder in memory where there is one: a power cut is not about this machine's own disk.
pub fn folder() -> tempfile::TempDir {
    let shared = Path::new("/dev/shm");
    if shared.is_dir() { tempfile::tempdir_in(shared).unwrap() } else { tempfile::tempdir().unwrap() }
}

/// Appends, seals, merges, forgets, is closed and opened again; all that was done, with what was told to whom.
async fn live(seed: u64) -> Vec<Step> {
    let folder = folder();
    let data = folder.path().join("data");
    std::fs::create_dir(&data).unwrap();
    let recorder = Recorder::below(&data);
    let mut next = 0;
    for life in 0..2 {
        let store = Index::open(config(&data)).unwrap();
        let (journal, lag) = (Journal::open(&data).unwrap(), LagSeries::open(&data).unwrap());
        for round in 0..16_i64 {
            let many = 1 + (seed as i64 + round * 5) % 6;
            recorder.mark(format!("sent {}", next + many));
            store.append((next..next + many).map(entry).collect(), reached(next + many)).await.unwrap();
            next += many;
            recorder.mark(format!("kept {next}"));
            match (seed as i64 + round) % 8 {
                1 => store.seal().await.unwrap(),
                3 => {
                    store.seal().await.unwrap();
                    store.look_after().await.unwrap();
                }
                5 => {
                    journal.append(LineKind::Audit, "cut", "it", &next).await.unwrap();
                    recorder.mark(format!("line {next}"));
                    let key = LagKey { source: "main".into(), group: "g".into(), topic: "orders".into(), partition: 0 };
                    let at = store::Timestamp::from_millis(next * 1_000);
                    lag.add(&key, LagSample { at, committed: Some(next), end: Some(next) });
                    lag.save().unwrap();
                }
                6 if round > 8 && life == 1 => {
                    let person = format!("person-{}", round % 9);
                    recorder.mark(format!("forget {}", round % 9));
                    store.forget(&Query::parse(&format!("key:{person}")).unwrap()).await.unwrap();
                    recorder.mark(format!("forgot {} {next}", round % 9));
                }
                _ => {}
            }
        }
        if life == 0 {
            store.close().await.unwrap();
        }
    }
    recorder.steps()
}

/// What was promised up to a moment.
#[derive(Default, Debug)]
struct Promised {
    sent: i64,
    kept: i64,
    lines: BTreeSet<i64>,
    /// Whom somebody asked to forget: their entries may be gone.
    maybe_forgotten: BTreeSet<i64>,
    /// Who was forgotten, and up to which entry.
    forgotten: BTreeMap<i64, i64>,
}

fn promised(steps: &[Step]) -> Promised {
    let mut promised = Promised::default();
    for step in steps {
        let Step::Mark(text) = step else { continue };
        let mut words = text.split(' ');
        let (what, mut numbers) = (words.next().unwrap(), words.map(|number| number.parse::<i64>().unwrap()));
        let number = numbers.next().unwrap();
        match what {
            "sent" => promised.sent = number,
            "kept" => promised.kept = number,
            "line" => drop(promised.lines.insert(number)),
            "forget" => drop(promised.maybe_forgotten.insert(number)),
            _ => drop(promised.forgotten.insert(number, numbers.next().unwrap())),
        }
    }
    promised
}

async fn found(store: &Index) -> BTreeSet<i64> {
    let all = store.search(&Query::All, PageRequest { limit: 1_000, after: None }).await.unwrap();
    assert!(all.cut.is_none(), "{:?}", all.cut);
    let mut numbers = BTreeSet::new();
    for held in &all.entries {
        let number = held.entry.as_record().unwrap().position.place.number().unwrap() as i64;
        assert_eq!(*held.entry, entry(number));
        assert_eq!(held.copies, 1);
        assert!(numbers.insert(number), "{number} is there twice");
    }
    numbers
}

fn judge(found: &BTreeSet<i64>, promised: &Promised) {
    for number in 0..promised.kept {
        let person = number % 9;
        assert!(found.contains(&number) || promised.maybe_forgotten.contains(&person), "{number} is lost");
        let is_forgotten = promised.forgotten.get(&person).is_some_and(|until| number < *until);
        assert!(!(is_forgotten && found.contains(&number)), "{number} came back although it was forgotten");
    }
    assert!(found.iter().all(|number| *number < promised.sent), "something was never sent");
}

/// What was forgotten stands in no file that the power cut left, before anybody opened it.
fn judge_bytes(data: &Path, promised: &Promised) {
    if promised.forgotten.is_empty() {
        return;
    }
    let contents = contents(data);
    for (person, until) in &promised.forgotten {
        for number in (0..*until).filter(|number| number % 9 == *person) {
            let holding: Vec<_> =
                contents.iter().filter(|content| content.holds(&mark(number))).map(|content| &content.path).collect();
            assert!(holding.is_empty(), "{number} was forgotten, and stands in {holding:?}");
        }
    }
    let others = (0..promised.kept).filter(|number| !promised.maybe_forgotten.contains(&(number % 9)));
    for number in others.take(1) {
        assert!(contents.iter().any(|content| content.holds(&mark(number))), "the look sees what is there");
    }
}

/// The moment that is drawn for a seed: spread over the life by a constant that is prime to every length.
fn moment(steps: &[Step], seed: u64) -> usize {
    (seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) % steps.len() as u64) as usize + 1
}

/// What was done last, and what it left, for whoever looks into a failure.
fn tell(steps: &[Step], seed: u64) {
    let steps = &steps[..moment(steps, seed)];
    for step in &steps[steps.len().saturating_sub(40)..] {
        eprintln!("{}", format!("{step:?}").chars().take(120).collect::<String>());
    }
    let folder = folder();
    let data = folder.path().join("data");
    leave(steps, seed, &data).unwrap();
    match inspect(&data, Depth::Whole) {
        Ok(found) => {
            eprintln!("{:?}; {:?}", found.damages(), found.segments.iter().map(|one| one.number).collect::<Vec<_>>())
        }
        Err(error) => eprintln!("{error}"),
    }
}

async fn cut(steps: &[Step], seed: u64) {
    let moment = moment(steps, seed);
    let steps = &steps[..moment];
    let promised = promised(steps);
    let folder = folder();
    let data = folder.path().join("data");
    leave(steps, seed, &data).unwrap();
    judge_bytes(&data, &promised);
    let looked = inspect(&data, Depth::Whole).unwrap();
    // An end whose length was on the disk before its content can't be told from one that was damaged later.
    let (doubtful, damaged): (Vec<String>, Vec<String>) =
        looked.damages().into_iter().partition(|damage| damage.contains("while they were written"));
    // Samples of lag are never synced.
    assert!(damaged.iter().all(|damage| damage.starts_with("lag:")), "nothing that was synced is damaged: {damaged:?}");
    let store = Index::open(config(&data)).unwrap_or_else(|error| panic!("seed {seed}, moment {moment}: {error}"));
    let before = found(&store).await;
    judge(&before, &promised);
    let checkpoint = store.checkpoint(&"main".into()).await.unwrap();
    let next = checkpoint.partitions.values().next().map_or(0, |reached| reached.next);
    assert!(next >= promised.kept && next <= promised.sent, "the checkpoint says {next}: {promised:?}");
    assert!(
        !promised.maybe_forgotten.is_empty() || before.len() as i64 == next,
        "it covers what is kept, nothing else"
    );
    assert_eq!(store.stats().await.unwrap().damaged as usize, doubtful.len());
    let journal = Journal::open(&data).unwrap();
    let lines: BTreeSet<i64> = journal.replay(0).unwrap().iter().filter_map(|line| line.read()).collect();
    assert!(lines.is_superset(&promised.lines), "{lines:?} of {:?}", promised.lines);
    LagSeries::open(&data).unwrap();
    // And it goes on.
    store.append(vec![entry(5_000)], reached(5_001)).await.unwrap();
    drop(store);
    let mut after = found(&Index::open(config(&data)).unwrap()).await;
    assert!(after.remove(&5_000));
    assert_eq!(after, before);
}

#[test]
fn a_power_cut_at_any_moment_loses_nothing_that_was_acknowledged() {
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let number = |name: &str| std::env::var(name).ok().map(|text| text.parse::<u64>().unwrap());
    let seeds = match number("POWER_CUT_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("POWER_CUTS").unwrap_or(CUTS),
    };
    let (mut life, mut steps) = (u64::MAX, Vec::new());
    for seed in seeds {
        if seed / CUTS_A_LIFE != life {
            life = seed / CUTS_A_LIFE;
            steps = runtime().block_on(live(life));
            assert!(steps.len() > 300, "{}", steps.len());
        }
        let tried = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| runtime().block_on(cut(&steps, seed))));
        if let Err(panic) = tried {
            eprintln!("POWER_CUT_SEED={seed} tries this one again");
            tell(&steps, seed);
            std::panic::resume_unwind(panic);
        }
    }
}
