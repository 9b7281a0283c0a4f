//! Full, failing, slow and read-only disks: what can't be kept is refused so that it may come again, and nothing that was acknowledged is lost.

use std::collections::HashSet;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use store::engine::PageRequest;
use store::file::fault::{Fault, Operation};
use store::fixture;
use store::index::{Index, IndexConfig};
use store::{Checkpoint, Entry, Query, Store, StoreError};
use tokio::task::JoinSet;

use super::cases::small;
use super::restart::offsets;

/// More writes, syncs, renames and new files than a round of appends and seals has.
const OPERATIONS_MAX: usize = 70;

fn placed(number: i64) -> Entry {
    fixture::record("orders", 0, number).trace(number as u64 + 1).at(number as f64).entry()
}

async fn append(store: &Index, numbers: std::ops::Range<i64>) -> Result<(), StoreError> {
    store.append(numbers.map(placed).collect(), Checkpoint::none("main".into())).await.map(drop)
}

fn full() -> io::Error {
    io::Error::from(io::ErrorKind::StorageFull)
}

/// A disk that is full from its `failing`th operation on, until it is given space; says whether it came to that.
async fn fill(failing: usize) -> bool {
    let folder = tempfile::tempdir().unwrap();
    let store = Index::open(small(folder.path())).unwrap();
    let (done, has_space) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
    let fault = {
        let (done, has_space) = (done.clone(), has_space.clone());
        Fault::below(folder.path(), move |_, _| {
            let is_full = done.fetch_add(1, Ordering::SeqCst) >= failing && !has_space.load(Ordering::SeqCst);
            if is_full { Err(full()) } else { Ok(()) }
        })
    };
    let mut kept = Vec::new();
    for batch in 0..5 {
        match append(&store, batch * 4..batch * 4 + 4).await {
            Ok(()) => kept.extend(batch * 4..batch * 4 + 4),
            Err(StoreError::Refused { retry_after, .. }) => assert!(retry_after > Duration::ZERO),
            Err(other) => panic!("at operation {failing}: {other}"),
        }
        assert_eq!(offsets(&store).await, kept, "at operation {failing}: what was refused can't be seen, the rest can");
    }
    // Seals go on behind the appends.
    tokio::time::sleep(Duration::from_millis(300)).await;
    let was_full = done.load(Ordering::SeqCst) > failing;
    has_space.store(true, Ordering::SeqCst);
    let freed = Instant::now();
    while append(&store, 100..104).await.is_err() {
        assert!(freed.elapsed() < Duration::from_secs(5), "at operation {failing}: no recovery");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    kept.extend(100..104);
    assert_eq!(offsets(&store).await, kept);
    store.close().await.unwrap();
    drop((store, fault));
    let again = Index::open(small(folder.path())).unwrap();
    assert_eq!(offsets(&again).await, kept, "at operation {failing}, after a restart");
    was_full
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_disk_that_is_full_at_any_operation_refuses_for_now_and_recovers() {
    let mut rounds = JoinSet::new();
    for failing in 0..OPERATIONS_MAX {
        rounds.spawn(fill(failing));
    }
    let were_full = rounds.join_all().await.into_iter().filter(|was_full| *was_full).count();
    assert!(were_full >= 20, "only {were_full} rounds came to their fault");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_whose_sync_failed_is_never_synced_again() {
    for failing in 0..6 {
        let folder = tempfile::tempdir().unwrap();
        let store = Index::open(IndexConfig::new(folder.path())).unwrap();
        let (failed, after) = (Arc::new(Mutex::new(HashSet::<PathBuf>::new())), Arc::new(AtomicUsize::new(0)));
        let syncs = AtomicUsize::new(0);
        let fault = {
            let (failed, after) = (failed.clone(), after.clone());
            Fault::below(folder.path(), move |operation, path| {
                if operation != Operation::Sync || path.is_dir() {
                    return Ok(());
                }
                if failed.lock().contains(path) {
                    after.fetch_add(1, Ordering::SeqCst);
                }
                if syncs.fetch_add(1, Ordering::SeqCst) == failing {
                    failed.lock().insert(path.to_owned());
                    return Err(io::Error::other("the disk lost what it was given"));
                }
                Ok(())
            })
        };
        let mut kept = Vec::new();
        for number in 0..8 {
            match append(&store, number..number + 1).await {
                Ok(()) => kept.push(number),
                Err(StoreError::Refused { .. }) => {}
                Err(other) => panic!("{other}"),
            }
        }
        assert_eq!((kept.len(), failed.lock().len()), (7, 1), "one append was refused, the next went to a new file");
        assert_eq!(after.load(Ordering::SeqCst), 0);
        drop((store, fault));
        assert_eq!(offsets(&Index::open(IndexConfig::new(folder.path())).unwrap()).await, kept);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_disk_delays_acknowledgements_and_no_answer() {
    const SYNC: Duration = Duration::from_secs(2);
    let folder = tempfile::tempdir().unwrap();
    let store = Arc::new(Index::open(IndexConfig::new(folder.path())).unwrap());
    append(&store, 0..4).await.unwrap();
    let _fault = Fault::below(folder.path(), |operation, _| {
        if operation == Operation::Sync {
            std::thread::sleep(SYNC);
        }
        Ok(())
    });
    let began = Instant::now();
    let appending = tokio::spawn({
        let store = store.clone();
        async move { append(&store, 4..8).await }
    });
    let mut slowest = Duration::ZERO;
    while !appending.is_finished() {
        let asked = Instant::now();
        let found = store.search(&Query::All, PageRequest { limit: 10, after: None }).await.unwrap();
        slowest = slowest.max(asked.elapsed());
        assert!(
            found.entries.len() == 4 || appending.is_finished() || began.elapsed() >= SYNC,
            "seen before it was durable"
        );
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    appending.await.unwrap().unwrap();
    assert!(began.elapsed() >= SYNC);
    assert!(slowest < Duration::from_millis(500), "{slowest:?}");
}

#[tokio::test]
async fn a_read_only_folder_is_refused_with_words() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let fault = Fault::below(&data, |_, _| Err(io::Error::from(io::ErrorKind::ReadOnlyFilesystem)));
    let refused = Index::open(IndexConfig::new(&data)).unwrap_err();
    assert!(matches!(&refused, StoreError::File { .. }), "{refused}");
    assert!(refused.to_string().contains("data"), "{refused}");
    drop(fault);
    Index::open(IndexConfig::new(&data)).unwrap();
}
