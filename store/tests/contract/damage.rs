//! Damaged, torn, foreign and newer files: an error or less than all, never a panic, never a wrong answer.

use std::fs;
use std::path::{Path, PathBuf};

use store::engine::PageRequest;
use store::fixture;
use store::index::inspect::{Depth, inspect};
use store::index::{Index, IndexConfig};
use store::journal::LineKind;
use store::lag_series::{LagKey, LagSample};
use store::{Checkpoint, Entry, Journal, LagSeries, Query, Store, StoreError, Timestamp};

use super::restart::copy;

fn placed(number: i64) -> Entry {
    let body = format!(r#"{{"number":{number}}}"#);
    fixture::record("orders", 0, number).body(body).trace(number as u64 + 1).at(number as f64).entry()
}

async fn keep(store: &Index, numbers: std::ops::Range<i64>) {
    store.append(numbers.map(placed).collect(), Checkpoint::none("main".into())).await.unwrap();
}

/// How many entries are found, each of which must be as it was sent, and be found by its knots too, but for what was set aside meanwhile.
async fn whole(store: &Index) -> usize {
    let found = store.search(&Query::All, PageRequest { limit: 1_000, after: None }).await.unwrap();
    for held in &found.entries {
        let number = held.entry.as_record().unwrap().position.place.number().unwrap() as i64;
        assert_eq!(*held.entry, placed(number));
        let related = store.related(&held.entry.knots(), 10).await.unwrap();
        let is_found = related.entries.iter().any(|other| other.entry == held.entry);
        assert!(is_found || store.stats().await.unwrap().damaged > 0, "{number}");
    }
    found.entries.len()
}

pub fn files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { files.extend(self::files(&path)) } else { files.push(path) }
    }
    files.sort();
    files
}

#[tokio::test]
async fn a_log_torn_anywhere_in_its_last_group_loses_that_group_only() {
    let folder = tempfile::tempdir().unwrap();
    let original = folder.path().join("original");
    let store = Index::open(IndexConfig::new(&original)).unwrap();
    keep(&store, 0..3).await;
    let log = files(&original.join("log")).remove(0);
    let before = fs::metadata(&log).unwrap().len();
    keep(&store, 3..5).await;
    drop(store);
    let bytes = fs::read(&log).unwrap();
    for cut in before as usize..bytes.len() {
        let torn = folder.path().join("torn");
        copy(&original, &torn);
        fs::write(torn.join("log").join(log.file_name().unwrap()), &bytes[..cut]).unwrap();
        let store = Index::open(IndexConfig::new(&torn)).unwrap();
        assert_eq!(whole(&store).await, 3, "cut at {cut}");
        keep(&store, 3..6).await;
        drop(store);
        let store = Index::open(IndexConfig::new(&torn)).unwrap();
        assert_eq!(whole(&store).await, 6, "cut at {cut}, and gone on");
        drop(store);
        fs::remove_dir_all(&torn).unwrap();
    }
}

#[tokio::test]
async fn a_damaged_segment_is_set_aside_and_the_rest_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let store = Index::open(IndexConfig::new(folder.path())).unwrap();
    keep(&store, 0..3).await;
    store.seal().await.unwrap();
    keep(&store, 3..6).await;
    store.seal().await.unwrap();
    drop(store);
    let bodies = files(&folder.path().join("segments")).into_iter().find(|path| path.ends_with("bodies")).unwrap();
    let mut bytes = fs::read(&bodies).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&bodies, bytes).unwrap();
    let store = Index::open(IndexConfig::new(folder.path())).unwrap();
    let found = store.search(&Query::All, PageRequest { limit: 10, after: None }).await.unwrap();
    assert_eq!(found.entries.len(), 3);
    assert!(found.cut.is_some(), "an answer that lacks something says so");
    assert_eq!(store.stats().await.unwrap().damaged, 1);
    assert!(folder.path().join("damaged").read_dir().unwrap().count() == 1);
    assert_eq!(whole(&store).await, 3);
    keep(&store, 10..12).await;
    drop(store);
    assert_eq!(whole(&Index::open(IndexConfig::new(folder.path())).unwrap()).await, 5);
}

#[tokio::test]
async fn a_check_names_what_is_damaged() {
    let folder = tempfile::tempdir().unwrap();
    let store = Index::open(IndexConfig::new(folder.path())).unwrap();
    keep(&store, 0..3).await;
    store.seal().await.unwrap();
    assert_eq!(store.check().await.unwrap().entries, 3);
    let terms = files(&folder.path().join("segments")).into_iter().find(|path| path.ends_with("terms")).unwrap();
    let mut bytes = fs::read(&terms).unwrap();
    bytes[20] ^= 1;
    fs::write(&terms, bytes).unwrap();
    let checked = store.check().await.unwrap();
    assert_eq!(checked.damaged.len(), 1);
    assert!(checked.damaged[0].1.contains("terms"), "{checked:?}");
}

#[tokio::test]
async fn a_foreign_folder_is_refused_with_words() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("thesis.doc"), "years of work").unwrap();
    let error = Index::open(IndexConfig::new(folder.path())).unwrap_err();
    assert!(matches!(&error, StoreError::Unusable(says) if says.contains("thesis.doc")), "{error}");
}

#[tokio::test]
async fn a_log_whose_last_group_was_damaged_is_not_said_to_have_lost_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let original = folder.path().join("original");
    let store = Index::open(IndexConfig::new(&original)).unwrap();
    keep(&store, 0..3).await;
    let log = files(&original.join("log")).remove(0);
    let before = fs::metadata(&log).unwrap().len() as usize;
    keep(&store, 3..5).await;
    drop(store);
    let bytes = fs::read(&log).unwrap();
    let changed = folder.path().join("changed");
    let log = changed.join("log").join(log.file_name().unwrap());
    // Every bit of the marker, the length, the checksum and the first bytes of what was acknowledged.
    for bit in 0..20 * 8 {
        copy(&original, &changed);
        let mut bytes = bytes.clone();
        bytes[before + bit / 8] ^= 1 << (bit % 8);
        fs::write(&log, &bytes).unwrap();
        let damages = inspect(&changed, Depth::Whole).unwrap().damages();
        assert!(damages.len() == 1 && damages[0].contains("damaged later"), "bit {bit}: {damages:?}");
        let store = Index::open(IndexConfig::new(&changed)).unwrap();
        assert_eq!(store.stats().await.unwrap().damaged, 1, "bit {bit}");
        assert_eq!(fs::read(&files(&changed.join("damaged"))[0]).unwrap(), bytes, "the whole file is kept aside");
        assert_eq!(whole(&store).await, 3);
        drop(store);
        fs::remove_dir_all(&changed).unwrap();
    }
    // What is cut short in a file that another one follows was acknowledged all the same.
    copy(&original, &changed);
    fs::write(&log, &bytes[..bytes.len() - 1]).unwrap();
    assert_eq!(inspect(&changed, Depth::Whole).unwrap().damages(), [""; 0]);
    let told = inspect(&changed, Depth::Whole).unwrap().unfinished;
    assert!(told.len() == 1 && told[0].contains("cut short"), "{told:?}");
    fs::write(log.with_file_name("0000000000000002"), &bytes[..before]).unwrap();
    let damages = inspect(&changed, Depth::Whole).unwrap().damages();
    assert!(damages.len() == 1 && damages[0].contains("lost"), "{damages:?}");
}

#[tokio::test]
async fn a_check_reads_the_files_beside_the_segments_too() {
    let folder = tempfile::tempdir().unwrap();
    let store = Index::open(IndexConfig::new(folder.path())).unwrap();
    keep(&store, 0..3).await;
    store.forget(&Query::parse("trace:f1000000000000000000000000000002").unwrap()).await.unwrap();
    store.close().await.unwrap();
    let journal = Journal::open(folder.path()).unwrap();
    journal.append(LineKind::Audit, "a", "ops", &1).await.unwrap();
    let lag = LagSeries::open(folder.path()).unwrap();
    let key = LagKey { source: "main".into(), group: "billing".into(), topic: "orders".into(), partition: 0 };
    lag.add(&key, LagSample { at: Timestamp::now(), committed: Some(1), end: Some(2) });
    lag.save().unwrap();
    let found = inspect(folder.path(), Depth::Whole).unwrap();
    assert_eq!([found.damages(), found.unfinished].concat(), [""; 0]);
    for name in ["state", "tombstones", "journal", "lag"] {
        let path = folder.path().join(name);
        let whole = fs::read(&path).unwrap();
        let mut bytes = whole.clone();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        fs::write(&path, &bytes).unwrap();
        let damages = inspect(folder.path(), Depth::Whole).unwrap().damages();
        assert!(damages.len() == 1 && damages[0].starts_with(name), "{name}: {damages:?}");
        fs::write(&path, &whole).unwrap();
    }
}
