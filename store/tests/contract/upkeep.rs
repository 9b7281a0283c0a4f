//! What the store does by itself: what is too old or too much goes on time, small segments become few, and how much there was stays known.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use store::engine::Facet;
use store::file::fault::{Fault, Operation};
use store::file::folder_bytes;
use store::fixture;
use store::index::{Index, IndexConfig};
use store::query::Field;
use store::{Checkpoint, Entry, Query, Store, StoreError, Timestamp};

use super::restart::offsets;

/// How long something may take that is done in the background.
pub const SOON: Duration = Duration::from_secs(15);

const HOUR: i64 = 3_600;

pub fn record(number: i64, at: Timestamp) -> Entry {
    let noise: String = (0..800).map(|place| format!("{:x}", (number * 7_919 + place * 104_729) % 65_536)).collect();
    let mut entry = fixture::record("orders", 0, number).trace(number as u64 + 1).body(noise).entry();
    let Entry::Record(record) = &mut entry else { unreachable!("it is a record") };
    (record.received_at, record.timestamp) = (at, Some(at));
    entry
}

pub async fn keep(store: &Index, numbers: std::ops::Range<i64>, at: Timestamp) -> Result<(), StoreError> {
    let entries = numbers.map(|number| record(number, at)).collect();
    store.append(entries, Checkpoint::none("main".into())).await.map(drop)
}

/// Segments of ten entries each.
pub async fn segments(store: &Index, numbers: std::ops::Range<i64>) {
    for first in numbers.step_by(10) {
        keep(store, first..first + 10, Timestamp::now()).await.unwrap();
        store.seal().await.unwrap();
    }
}

pub async fn until(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    let began = Instant::now();
    while !is_so().await {
        assert!(began.elapsed() < SOON, "{what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

pub fn segment_folders(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder.join("segments")).unwrap();
    let mut folders: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    folders.sort();
    folders
}

#[tokio::test]
async fn what_is_due_goes_on_time_in_a_quiet_store_and_its_segments_stay_few() {
    let folder = tempfile::tempdir().unwrap();
    let retention = 24 * HOUR;
    let config = IndexConfig { retention: Duration::from_secs(retention as u64), ..IndexConfig::new(folder.path()) };
    let clock = config.clock.clone();
    clock.jump(-100 * HOUR);
    // Three hours are an eighth of the retention: so much too late something may go.
    for hour in 0..70 {
        clock.jump(HOUR);
        let store = Index::open(config.clone()).unwrap();
        keep(&store, hour..hour + 1, clock.now()).await.unwrap();
        store.seal().await.unwrap();
        store.look_after().await.unwrap();
        let held = offsets(&store).await;
        let oldest = held.first().copied().unwrap_or(hour);
        assert!(held.iter().copied().eq(oldest..=hour), "at hour {hour}: {held:?}");
        assert!(oldest <= (hour - 23).max(0), "at hour {hour} something went too early: {oldest}");
        assert!(oldest >= hour - 28, "at hour {hour} something stayed too long: {oldest}");
        let stats = store.stats().await.unwrap();
        assert!(stats.segments <= 14, "{} segments", stats.segments);
        store.close().await.unwrap();
    }
}

#[tokio::test]
async fn the_retention_size_is_that_of_the_data_folder_with_its_log() {
    let folder = tempfile::tempdir().unwrap();
    let config = IndexConfig { retention_size: 200 << 10, ..IndexConfig::new(folder.path()) };
    let store = Index::open(config).unwrap();
    segments(&store, 0..200).await;
    keep(&store, 200..220, Timestamp::now()).await.unwrap();
    let before = folder_bytes(folder.path()).unwrap();
    assert!(before > 250 << 10, "{before}");
    store.look_after().await.unwrap();
    let held = offsets(&store).await;
    assert!(held[0] > 0 && held[0] < 200 && *held.last().unwrap() == 219, "the oldest went: {held:?}");
    let after = folder_bytes(folder.path()).unwrap();
    // Manifests and folders are not counted to the byte.
    assert!(after < 230 << 10, "{after}");
}

/// A disk on which as much is free as is needed without a refusal, when segments take no more than `allowed` bytes.
fn nearly_full(folder: &Path, allowed: u64) -> Fault {
    const NEVER_REFUSED: u64 = 96 << 20;
    let segments = folder.join("segments");
    Fault::room_below(folder, move || {
        let taken = folder_bytes(&segments).unwrap_or(0);
        ((NEVER_REFUSED + allowed).saturating_sub(taken), 1 << 40)
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_oldest_segments_make_room_before_a_disk_is_so_full_that_anything_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let store = Index::open(IndexConfig::new(folder.path())).unwrap();
    segments(&store, 0..60).await;
    let taken = folder_bytes(&folder.path().join("segments")).unwrap();
    let _full = nearly_full(folder.path(), taken / 2);
    keep(&store, 60..61, Timestamp::now()).await.unwrap();
    until("the oldest segments go", async || store.stats().await.unwrap().segments <= 3).await;
    let held = offsets(&store).await;
    assert!(held[0] >= 30 && *held.last().unwrap() == 60, "{held:?}");
    assert!(held[0] < 60, "no more went than was needed: {held:?}");
    keep(&store, 61..62, Timestamp::now()).await.unwrap();
    assert_eq!(store.stats().await.unwrap().refused, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_too_much_goes_even_while_no_segment_can_be_written() {
    let folder = tempfile::tempdir().unwrap();
    let store = Index::open(IndexConfig::new(folder.path())).unwrap();
    segments(&store, 0..60).await;
    let fault = Fault::below(folder.path(), |operation, path| {
        let is_building = path.components().any(|part| part.as_os_str().to_string_lossy().starts_with("building-"));
        let fails = is_building && operation == Operation::Create;
        if fails { Err(io::Error::from(io::ErrorKind::StorageFull)) } else { Ok(()) }
    });
    keep(&store, 60..70, Timestamp::now()).await.unwrap();
    let store = Arc::new(store);
    let sealing = tokio::spawn({
        let store = store.clone();
        async move { store.seal().await }
    });
    until("it is said that no segment can be written", async || store.stats().await.unwrap().refusing.is_some()).await;
    let taken = folder_bytes(&folder.path().join("segments")).unwrap();
    let _full = nearly_full(folder.path(), taken / 2);
    until("the oldest segments go", async || store.stats().await.unwrap().segments <= 3).await;
    assert!(store.stats().await.unwrap().refusing.is_some(), "and still none can be written");
    drop(fault);
    sealing.await.unwrap().unwrap();
    assert_eq!(*offsets(&store).await.last().unwrap(), 69);
}

async fn by_topic(store: &Index, with_past: bool) -> Vec<(String, u64)> {
    let by = Facet { field: Some(Field::Topic), step: None, values_max: 10 };
    let counts = if with_past {
        store.count_with_past(&Query::All, by).await.unwrap()
    } else {
        store.count(&Query::All, by).await.unwrap()
    };
    assert!(!counts.at_least);
    counts.rows.into_iter().map(|row| (row.value, row.count)).collect()
}

#[tokio::test]
async fn counts_outlive_the_entries_each_once_and_what_is_forgotten_is_not_in_them() {
    let folder = tempfile::tempdir().unwrap();
    let config = IndexConfig { retention: Duration::from_secs(HOUR as u64), ..IndexConfig::new(folder.path()) };
    let store = Index::open(config.clone()).unwrap();
    let earlier = Timestamp::now().minus(Duration::from_secs(2 * HOUR as u64));
    keep(&store, 0..30, earlier).await.unwrap();
    let mut about_a_person = fixture::record("erika", 0, 1).entry();
    let Entry::Record(record) = &mut about_a_person else { unreachable!("it is a record") };
    (record.received_at, record.timestamp) = (earlier, Some(earlier));
    store.append(vec![about_a_person], Checkpoint::none("main".into())).await.unwrap();
    // Sent again, which is counted as long as it is held.
    keep(&store, 0..2, earlier).await.unwrap();
    store.seal().await.unwrap();
    keep(&store, 0..2, earlier).await.unwrap();
    keep(&store, 100..105, Timestamp::now()).await.unwrap();
    let identities = async |store: &Index| {
        let parts = store.stats().await.unwrap().memory.parts;
        parts.into_iter().find(|(what, _)| what.contains("repeated")).unwrap().1
    };
    assert!(identities(&store).await > 0);
    let expected = vec![("orders".to_owned(), 35), ("erika".to_owned(), 1)];
    assert_eq!(by_topic(&store, true).await, expected);
    store.look_after().await.unwrap();
    assert_eq!(by_topic(&store, false).await, [("orders".to_owned(), 5)]);
    assert_eq!(by_topic(&store, true).await, expected);
    assert_eq!(identities(&store).await, 0, "how often something came that is gone is forgotten");
    store.look_after().await.unwrap();
    drop(store);
    let store = Index::open(config.clone()).unwrap();
    assert_eq!(by_topic(&store, true).await, expected);
    store.forget(&Query::parse("topic:erika").unwrap()).await.unwrap();
    assert_eq!(by_topic(&store, true).await, [("orders".to_owned(), 35)]);
    drop(store);
    assert_eq!(by_topic(&Index::open(config).unwrap(), true).await, [("orders".to_owned(), 35)]);
}

#[tokio::test]
async fn a_segment_that_could_not_be_removed_by_its_age_is_counted_once_and_goes_with_the_next_start() {
    let folder = tempfile::tempdir().unwrap();
    let config = IndexConfig { retention: Duration::from_secs(HOUR as u64), ..IndexConfig::new(folder.path()) };
    let store = Index::open(config.clone()).unwrap();
    keep(&store, 0..30, Timestamp::now().minus(Duration::from_secs(2 * HOUR as u64))).await.unwrap();
    store.seal().await.unwrap();
    let fault = Fault::below(folder.path(), |operation, path| {
        let is_segment = path.parent().is_some_and(|parent| parent.ends_with("segments"));
        let fails = operation == Operation::Rename && is_segment;
        if fails { Err(io::Error::from_raw_os_error(5)) } else { Ok(()) }
    });
    store.look_after().await.unwrap_err();
    assert_eq!(by_topic(&store, true).await, [("orders".to_owned(), 30)]);
    drop(store);
    drop(fault);
    let store = Index::open(config).unwrap();
    store.look_after().await.unwrap();
    assert_eq!(by_topic(&store, true).await, [("orders".to_owned(), 30)]);
    assert_eq!((store.stats().await.unwrap().segments, segment_folders(folder.path()).len()), (0, 0));
}
