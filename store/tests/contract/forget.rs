//! Forgetting: hidden at once, gone from every file in the end, whatever fails meanwhile; and it stays so.

use std::fs;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::{Duration, Instant};

use store::engine::{Facet, Forgotten, PageRequest};
use store::erasure::{By, Wanted};
use store::file::fault::{Fault, Operation};
use store::fixture;
use store::index::rebuild::rebuild;
use store::index::{Index, IndexConfig};
use store::lag_series::{LagKey, LagSample};
use store::query::Field;
use store::{Checkpoint, Entry, Journal, LagSeries, Query, Store, Timestamp};

use super::damage::files;
use super::restart::copy;
use crate::folder::{contents, holding};

/// Whose entries are forgotten. Words without digits stand in the index of words as they are.
const SECRET: &str = "erika-mustermann";

/// How long what goes on by itself may take: longer than the half a minute after which an idle store looks again.
const PATIENCE: Duration = Duration::from_secs(50);

fn placed(number: i64) -> Entry {
    let body = format!(r#"{{"number":{number},"text":"parcel"}}"#);
    fixture::record("orders", 0, number).body(body).trace(number as u64 + 1).at(number as f64).entry()
}

fn secret(number: i64) -> Entry {
    let body = format!(r#"{{"who":"{}","number":{number}}}"#, SECRET.repeat(9));
    fixture::record("orders", 1, number).key(SECRET).body(body).at(number as f64).entry()
}

fn config(folder: &Path) -> IndexConfig {
    IndexConfig { seal_age: Duration::from_secs(600), ..IndexConfig::new(folder) }
}

async fn keep(store: &Index, entries: Vec<Entry>) {
    store.append(entries, Checkpoint::none("main".into())).await.unwrap();
}

fn wanted() -> Query {
    Query::parse(&format!("key:{SECRET}")).unwrap()
}

async fn forget(store: &Index) -> Forgotten {
    store.forget(&wanted()).await.unwrap()
}

async fn found(store: &Index, query: &Query) -> usize {
    store.search(query, PageRequest { limit: 1_000, after: None }).await.unwrap().entries.len()
}

/// Nobody who asks sees it: not by searching, not in any count.
async fn is_hidden(store: &Index, rest: u64) {
    assert_eq!(found(store, &wanted()).await, 0);
    assert_eq!(found(store, &Query::All).await as u64, rest);
    for (field, rows) in [(None, 1), (Some(Field::Topic), 1), (Some(Field::Key), 0)] {
        for step in [None, Some(Duration::from_secs(60)), Some(Duration::from_secs(1))] {
            let by = Facet { field: field.clone(), step, values_max: 10 };
            let counts = store.count(&Query::All, by).await.unwrap();
            assert_eq!(counts.rows.len(), rows, "{field:?}: {counts:?}");
            assert!(counts.rows.iter().all(|row| row.count == rest), "{field:?}: {counts:?}");
        }
    }
    let stats = store.stats().await.unwrap();
    assert_eq!((stats.entries, stats.records), (rest, rest));
    assert_eq!(stats.oldest, Some(fixture::at(0.0)));
}

/// Waits until nothing of it stands in any file, and the store says so.
async fn is_gone(store: &Index, folder: &Path) {
    let began = Instant::now();
    while store.stats().await.unwrap().erasing > 0 {
        assert!(began.elapsed() < PATIENCE, "{:?}", store.stats().await.unwrap());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(holding(folder, SECRET), [""; 0].map(std::path::PathBuf::from));
}

/// Eight entries and two secret ones (the oldest and one amid) in a segment, and two more of each in the log.
async fn filled(folder: &Path) -> Index {
    let store = Index::open(config(folder)).unwrap();
    keep(&store, vec![secret(-1), secret(3)]).await;
    keep(&store, (0..8).map(placed).collect()).await;
    store.seal().await.unwrap();
    keep(&store, vec![placed(8), secret(5), placed(9), secret(6)]).await;
    store
}

/// No new segment can be written below the folder while it is held.
fn no_segments(folder: &Path) -> Fault {
    Fault::below(&folder.join("segments"), |operation, path| {
        let is_new = operation == Operation::Create && path.to_string_lossy().contains("building-");
        if is_new { Err(io::Error::from(io::ErrorKind::StorageFull)) } else { Ok(()) }
    })
}

#[tokio::test]
async fn what_was_forgotten_is_in_no_file() {
    let folder = tempfile::tempdir().unwrap();
    let store = Index::open(IndexConfig { seal_entries: 4, ..config(folder.path()) }).unwrap();
    let journal = Journal::open(folder.path()).unwrap();
    let lag = LagSeries::open(folder.path()).unwrap();
    let key = LagKey { source: "main".into(), group: "billing".into(), topic: "orders".into(), partition: 0 };
    lag.add(&key, LagSample { at: Timestamp::now(), committed: Some(1), end: Some(2) });
    lag.save().unwrap();
    keep(&store, (0..6).map(placed).collect()).await;
    keep(&store, vec![secret(1)]).await;
    keep(&store, (6..12).map(placed).collect()).await;
    store.seal().await.unwrap();
    keep(&store, vec![secret(2)]).await;
    // The look finds it wherever it is: packed with a dictionary and in it, as words of the index, in the log.
    let all = holding(folder.path(), SECRET);
    for name in ["bodies", "dictionary", "terms"] {
        assert!(all.iter().any(|path| path.ends_with(name)), "{name} is looked into: {all:?}");
    }
    assert!(all.iter().any(|path| path.starts_with(folder.path().join("log"))), "{all:?}");
    let whom = Wanted { by: By::Key, value: SECRET.to_owned() };
    assert_eq!(whom.forget(&store, &journal, "ops").await.unwrap().entries, 2);
    assert_eq!(holding(folder.path(), SECRET), [""; 0].map(std::path::PathBuf::from));
    let names: Vec<_> = contents(folder.path()).into_iter().map(|content| content.path).collect();
    for name in ["journal", "lag", "state", "tombstones"] {
        assert!(names.contains(&folder.path().join(name)), "{name} is looked into: {names:?}");
    }
    assert_eq!(found(&store, &Query::parse("parcel").unwrap()).await, 12);
}

#[tokio::test]
async fn what_could_not_be_removed_is_hidden_and_told_and_removed_when_it_is_asked_for_again() {
    let folder = tempfile::tempdir().unwrap();
    let store = filled(folder.path()).await;
    store.seal().await.unwrap();
    let fault = no_segments(folder.path());
    let forgotten = forget(&store).await;
    assert_eq!(forgotten.entries, 4);
    assert!(forgotten.unfinished.is_some_and(|reason| reason.contains("building-")), "it says what failed");
    is_hidden(&store, 10).await;
    let stats = store.stats().await.unwrap();
    assert!(stats.erasing == 4 && stats.not_erasing.is_some(), "{stats:?}");
    assert!(!holding(folder.path(), SECRET).is_empty());
    let again = forget(&store).await;
    assert!(again.entries == 0 && again.unfinished.is_some(), "{again:?}");
    drop(fault);
    // Whatever it is that is to be forgotten next.
    let done = store.forget(&Query::parse("key:nobody").unwrap()).await.unwrap();
    assert_eq!((done.entries, done.unfinished, done.files.len()), (4, None, 2));
    is_gone(&store, folder.path()).await;
    is_hidden(&store, 10).await;
    assert_eq!(forget(&store).await.entries, 0);
}

#[tokio::test]
async fn what_could_not_be_removed_is_removed_by_itself_and_at_the_next_start() {
    let folder = tempfile::tempdir().unwrap();
    let (live, stopped) = (folder.path().join("live"), folder.path().join("stopped"));
    let store = filled(&live).await;
    store.seal().await.unwrap();
    drop(store);
    let store = Index::open(IndexConfig { seal_age: Duration::from_millis(20), ..config(&live) }).unwrap();
    let fault = no_segments(&live);
    assert!(forget(&store).await.unfinished.is_some());
    copy(&live, &stopped);
    drop(fault);
    // Whatever comes next wakes the thread that looks after the segments; an idle one looks every half a minute.
    keep(&store, vec![placed(10)]).await;
    store.seal().await.unwrap();
    is_gone(&store, &live).await;
    is_hidden(&store, 11).await;
    let store = Index::open(config(&stopped)).unwrap();
    is_hidden(&store, 10).await;
    is_gone(&store, &stopped).await;
    is_hidden(&store, 10).await;
    keep(&store, vec![secret(3), secret(6)]).await;
    is_hidden(&store, 10).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crash_right_after_it_was_hidden_is_made_up_for_at_the_next_start() {
    let folder = tempfile::tempdir().unwrap();
    let (live, crashed) = (folder.path().join("live"), folder.path().join("crashed"));
    let store = Arc::new(filled(&live).await);
    // The tombstones are in the log and nowhere else: everything behind waits.
    let (is_waiting, may_go) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
    let fault = {
        let (is_waiting, may_go) = (is_waiting.clone(), may_go.clone());
        Fault::below(&live, move |_, path| {
            while !path.to_string_lossy().contains("/log") && !may_go.load(Ordering::SeqCst) {
                is_waiting.store(true, Ordering::SeqCst);
                std::thread::sleep(Duration::from_millis(5));
            }
            Ok(())
        })
    };
    let forgetting = tokio::spawn({
        let store = store.clone();
        async move { forget(&store).await }
    });
    while !is_waiting.load(Ordering::SeqCst) {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    is_hidden(&store, 10).await;
    copy(&live, &crashed);
    may_go.store(true, Ordering::SeqCst);
    let forgotten = forgetting.await.unwrap();
    assert_eq!((forgotten.entries, forgotten.unfinished), (4, None));
    assert_eq!(forgotten.files.iter().map(|(_, many)| many).sum::<u64>(), 4, "{:?}", forgotten.files);
    drop(fault);
    assert!(!holding(&crashed, SECRET).is_empty());
    let store = Index::open(config(&crashed)).unwrap();
    is_hidden(&store, 10).await;
    is_gone(&store, &crashed).await;
    is_hidden(&store, 10).await;
}

#[tokio::test]
async fn no_damage_to_a_single_file_brings_back_what_was_forgotten() {
    let folder = tempfile::tempdir().unwrap();
    let original = folder.path().join("original");
    let store = filled(&original).await;
    store.seal().await.unwrap();
    // It still stands in the segments, so that it would be seen.
    let fault = no_segments(&original);
    assert!(forget(&store).await.unfinished.is_some());
    store.close().await.unwrap();
    drop((store, fault));
    for name in ["state", "tombstones"] {
        for is_rebuilt in [false, true] {
            let data = folder.path().join(format!("{name}-{is_rebuilt}"));
            copy(&original, &data);
            let mut bytes = fs::read(data.join(name)).unwrap();
            bytes[30] ^= 1;
            fs::write(data.join(name), &bytes).unwrap();
            if is_rebuilt {
                let rebuilt = rebuild(&data).unwrap();
                assert_eq!(rebuilt.entries, 10);
                assert!(rebuilt.lost.len() == 1 && rebuilt.lost[0].contains(name), "{rebuilt:?}");
                assert_eq!(holding(&data.join("segments"), SECRET), [""; 0].map(std::path::PathBuf::from));
            }
            let store = Index::open(config(&data)).unwrap();
            is_hidden(&store, 10).await;
            assert_eq!(store.stats().await.unwrap().damaged, u64::from(!is_rebuilt), "{name}");
            is_gone(&store, &data).await;
            keep(&store, vec![secret(3), secret(6)]).await;
            is_hidden(&store, 10).await;
            assert_eq!(fs::read(data.join("damaged").join(name)).unwrap(), bytes, "the damaged file is kept aside");
            drop(store);
            let store = Index::open(config(&data)).unwrap();
            assert_eq!(store.stats().await.unwrap().damaged, 0, "it was written anew");
            is_hidden(&store, 10).await;
        }
    }
}

#[tokio::test]
async fn forgetting_looks_at_everything_however_long_that_takes() {
    // Each of these paths is looked up in a body that is parsed anew.
    let terms: Vec<String> = (0..60).map(|number| format!("-body.field{number}:none")).collect();
    let query = Query::parse(&terms.join(" ")).unwrap();
    let fields: Vec<String> = (0..4_000).map(|number| format!(r#""f{number}":[{number}]"#)).collect();
    let body = format!("{{{}}}", fields.join(","));
    let large = |number: i64| fixture::record("orders", 0, number).body(body.clone()).at(number as f64).entry();
    let began = Instant::now();
    assert!(query.matches(&large(0), Timestamp::now()));
    // Of what a search does in its two seconds, half as much again, in several segments.
    let many = (3_000 / began.elapsed().as_millis().max(1) as i64).clamp(200, 2_000);
    let folder = tempfile::tempdir().unwrap();
    let store = Index::open(IndexConfig { seal_entries: 64, ..config(folder.path()) }).unwrap();
    for first in (0..many).step_by(50) {
        keep(&store, (first..many.min(first + 50)).map(large).collect()).await;
    }
    keep(&store, vec![fixture::record("orders", 0, 9_999).at(1.5).body(r#"{"field7":"none"}"#).entry()]).await;
    store.seal().await.unwrap();
    let page = PageRequest { limit: 1, after: None };
    let cut = store.search(&Query::parse("-body.field0:none body.field1:none").unwrap(), page).await.unwrap().cut;
    eprintln!("{many} entries; a search is cut short: {cut:?}");
    let forgotten = store.forget(&query).await.unwrap();
    assert_eq!((forgotten.entries as i64, forgotten.unfinished), (many, None));
    assert_eq!(found(&store, &Query::All).await, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn forgetting_ends_while_more_comes_in_than_can_be_sealed() {
    let folder = tempfile::tempdir().unwrap();
    let store = Arc::new(Index::open(IndexConfig { seal_entries: 5, ..config(folder.path()) }).unwrap());
    keep(&store, vec![secret(1)]).await;
    let _slow = Fault::below(&folder.path().join("segments"), |operation, path| {
        if operation == Operation::Create && path.ends_with("manifest") {
            std::thread::sleep(Duration::from_millis(150));
        }
        Ok(())
    });
    let (stop, next) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicI64::new(0)));
    let appending = tokio::spawn({
        let (store, stop, next) = (store.clone(), stop.clone(), next.clone());
        async move {
            while !stop.load(Ordering::SeqCst) {
                let number = next.fetch_add(1, Ordering::SeqCst);
                keep(&store, vec![placed(number)]).await;
            }
        }
    });
    tokio::time::sleep(Duration::from_secs(1)).await;
    let began = Instant::now();
    let forgotten = forget(&store).await;
    assert_eq!((forgotten.entries, forgotten.unfinished), (1, None));
    assert!(began.elapsed() < PATIENCE, "{:?}", began.elapsed());
    assert!(!appending.is_finished());
    stop.store(true, Ordering::SeqCst);
    appending.await.unwrap();
    is_gone(&store, folder.path()).await;
}

#[tokio::test]
async fn a_damaged_segment_is_named_because_it_may_hold_what_was_forgotten() {
    let folder = tempfile::tempdir().unwrap();
    let store = filled(folder.path()).await;
    drop(store);
    let bodies = files(folder.path()).into_iter().find(|path| path.ends_with("bodies")).unwrap();
    let mut bytes = fs::read(&bodies).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&bodies, bytes).unwrap();
    let store = Index::open(config(folder.path())).unwrap();
    let forgotten = forget(&store).await;
    assert_eq!((forgotten.entries, forgotten.unread.len()), (2, 1), "{forgotten:?}");
    assert!(forgotten.unread[0].starts_with("segment-"), "{forgotten:?}");
}
