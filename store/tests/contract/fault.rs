//! Full, failing, slow and read-only disks: what can't be kept is refused so that it may come again, and nothing that was acknowledged is lost.

use std::collections::HashSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use store::engine::PageRequest;
use store::file::fault::{Fault, Operation};
use store::fixture;
use store::index::backup::backup;
use store::index::{Index, IndexConfig};
use store::{Checkpoint, Entry, Query, Store, StoreError};
use tokio::task::JoinSet;

use super::cases::small;
use super::restart::offsets;

/// How many rounds run side by side, each with its fault at another operation.
const ROUNDS: usize = 16;

/// With no operation for so long, whatever goes on in the background has come to its end, or waits to try again.
const SETTLED: Duration = Duration::from_millis(200);

/// A background that goes on for longer doesn't come to an end.
const SETTLE_LOOKS_MAX: usize = 50;

/// Far more writes, syncs, renames and new files than anything here has.
const OPERATIONS_MAX: usize = 1_000;

fn placed(number: i64) -> Entry {
    fixture::record("orders", 0, number).trace(number as u64 + 1).at(number as f64).entry()
}

async fn append(store: &Index, numbers: std::ops::Range<i64>) -> Result<(), StoreError> {
    store.append(numbers.map(placed).collect(), Checkpoint::none("main".into())).await.map(drop)
}

fn full() -> io::Error {
    io::Error::from(io::ErrorKind::StorageFull)
}

/// A disk that is full from its `failing`th operation on, until it is given space.
struct Full {
    done: Arc<AtomicUsize>,
    has_space: Arc<AtomicBool>,
    failing: usize,
    _fault: Fault,
}

impl Full {
    fn from(failing: usize, folder: &Path) -> Full {
        let (done, has_space) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
        let fault = {
            let (done, has_space) = (done.clone(), has_space.clone());
            Fault::below(folder, move |_, _| {
                let is_full = done.fetch_add(1, Ordering::SeqCst) >= failing && !has_space.load(Ordering::SeqCst);
                if is_full { Err(full()) } else { Ok(()) }
            })
        };
        Full { done, has_space, failing, _fault: fault }
    }

    /// Whether anything met the full disk.
    fn was_met(&self) -> bool {
        self.done.load(Ordering::SeqCst) > self.failing
    }

    /// Waits until the full disk was met and that had its effect, or nothing is done any more.
    async fn settle(&self) {
        let mut before = usize::MAX;
        for _ in 0..SETTLE_LOOKS_MAX {
            let done = self.done.load(Ordering::SeqCst);
            if done == before {
                return;
            }
            before = done;
            tokio::time::sleep(SETTLED).await;
        }
    }

    fn give_space(&self) {
        self.has_space.store(true, Ordering::SeqCst);
    }
}

/// Tries a round with the disk full from each operation on, until rounds end before they come to their fault.
async fn at_every_operation<F: Future<Output = bool> + Send + 'static>(what: &str, round: impl Fn(usize) -> F) {
    let mut last = None;
    for first in (0..OPERATIONS_MAX).step_by(ROUNDS) {
        let mut rounds = JoinSet::new();
        for failing in first..first + ROUNDS {
            let round = round(failing);
            rounds.spawn(async move { (failing, round.await) });
        }
        // How far a round gets before it ends varies a little with what the threads do: none of a whole lot may come to its fault.
        let met = rounds.join_all().await.into_iter().filter(|(_, met)| *met).map(|(failing, _)| failing);
        match met.max() {
            Some(failing) => last = Some(failing),
            None => {
                let last = last.expect("no operation was met");
                eprintln!("{what}: {} operations, each failed once", last + 1);
                return;
            }
        }
    }
    panic!("{what} never ends");
}

async fn fill(failing: usize) -> bool {
    let folder = tempfile::tempdir().unwrap();
    let store = Index::open(small(folder.path())).unwrap();
    let disk = Full::from(failing, folder.path());
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
    disk.settle().await;
    let was_met = disk.was_met();
    disk.give_space();
    let freed = Instant::now();
    while append(&store, 100..104).await.is_err() {
        assert!(freed.elapsed() < Duration::from_secs(5), "at operation {failing}: no recovery");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    kept.extend(100..104);
    assert_eq!(offsets(&store).await, kept);
    store.close().await.unwrap();
    drop((store, disk));
    let again = Index::open(small(folder.path())).unwrap();
    assert_eq!(offsets(&again).await, kept, "at operation {failing}, after a restart");
    was_met
}

/// A folder with three segments and something in the log.
async fn filled(folder: &Path) -> Index {
    let store = Index::open(IndexConfig::new(folder)).unwrap();
    for first in [0, 4, 8] {
        append(&store, first..first + 4).await.unwrap();
        store.seal().await.unwrap();
    }
    append(&store, 12..14).await.unwrap();
    store
}

async fn open(failing: usize) -> bool {
    let folder = tempfile::tempdir().unwrap();
    drop(filled(folder.path()).await);
    // What is full becomes a segment at once, so that opening has all to do that it can have.
    let disk = Full::from(failing, folder.path());
    let opened = Index::open(IndexConfig { seal_entries: 2, ..IndexConfig::new(folder.path()) });
    match &opened {
        Ok(store) => assert_eq!(offsets(store).await, (0..14).collect::<Vec<_>>()),
        Err(error) => assert!(matches!(error, StoreError::File { .. }), "at operation {failing}: {error}"),
    }
    disk.settle().await;
    let was_met = disk.was_met();
    disk.give_space();
    drop(opened);
    drop(disk);
    let again = Index::open(IndexConfig::new(folder.path())).unwrap();
    assert_eq!(offsets(&again).await, (0..14).collect::<Vec<_>>(), "at operation {failing}");
    was_met
}

async fn merge(failing: usize) -> bool {
    let folder = tempfile::tempdir().unwrap();
    let store = filled(folder.path()).await;
    let all: Vec<i64> = (0..14).collect();
    let disk = Full::from(failing, folder.path());
    let merged = store.look_after().await;
    let was_met = disk.was_met();
    assert_eq!(merged.is_err(), was_met, "at operation {failing}: {merged:?}");
    assert_eq!(offsets(&store).await, all, "at operation {failing}");
    disk.give_space();
    store.look_after().await.unwrap();
    assert_eq!(offsets(&store).await, all, "at operation {failing}, with space again");
    drop((store, disk));
    let again = Index::open(IndexConfig::new(folder.path())).unwrap();
    assert_eq!(offsets(&again).await, all, "at operation {failing}, after a restart");
    was_met
}

async fn forget(failing: usize) -> bool {
    let folder = tempfile::tempdir().unwrap();
    let store = Arc::new(filled(folder.path()).await);
    let (all, rest): (Vec<i64>, Vec<i64>) =
        ((0..14).collect(), (0..14).filter(|number| *number != 5 && *number != 13).collect());
    let query = Query::parse("offset:5 OR offset:13").unwrap();
    let disk = Full::from(failing, folder.path());
    let forgetting = tokio::spawn({
        let (store, query) = (store.clone(), query.clone());
        async move { store.forget(&query).await }
    });
    // With a live set that can't be sealed it waits, so space comes meanwhile.
    while !forgetting.is_finished() && !disk.was_met() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    disk.settle().await;
    let was_met = disk.was_met();
    let now = offsets(&store).await;
    disk.give_space();
    match forgetting.await.unwrap() {
        Err(error) => {
            assert!(matches!(error, StoreError::Refused { .. }), "at operation {failing}: {error}");
            assert_eq!(now, all, "at operation {failing}: what was refused hides nothing");
        }
        Ok(forgotten) => {
            assert_eq!((forgotten.entries, now), (2, rest.clone()), "at operation {failing}");
            assert!(was_met || forgotten.unfinished.is_none(), "{forgotten:?}");
        }
    }
    let again = store.forget(&query).await.unwrap();
    assert_eq!(again.unfinished, None, "at operation {failing}");
    assert_eq!(store.stats().await.unwrap().erasing, 0);
    assert_eq!(offsets(&store).await, rest, "at operation {failing}, with space again");
    drop((store, disk));
    let again = Index::open(IndexConfig::new(folder.path())).unwrap();
    assert_eq!(offsets(&again).await, rest, "at operation {failing}, after a restart");
    was_met
}

async fn back_up(failing: usize) -> bool {
    let folder = tempfile::tempdir().unwrap();
    let (data, to) = (folder.path().join("data"), folder.path().join("copy"));
    let store = filled(&data).await;
    let disk = Full::from(failing, &to);
    let copied = backup(&data, &to);
    let was_met = disk.was_met();
    assert_eq!(copied.is_err(), was_met, "at operation {failing}: half a copy is an error");
    drop(disk);
    let to = folder.path().join("another");
    backup(&data, &to).unwrap();
    drop(store);
    for folder in [data, to] {
        assert_eq!(offsets(&Index::open(IndexConfig::new(folder)).unwrap()).await, (0..14).collect::<Vec<_>>());
    }
    was_met
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_disk_that_is_full_at_any_operation_refuses_for_now_and_recovers() {
    at_every_operation("appending and sealing", fill).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_disk_that_is_full_at_any_operation_of_a_start_loses_nothing() {
    at_every_operation("opening", open).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_disk_that_is_full_at_any_operation_of_a_merge_loses_nothing() {
    at_every_operation("merging", merge).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_disk_that_is_full_at_any_operation_of_forgetting_makes_nothing_half_forgotten() {
    at_every_operation("forgetting", forget).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_disk_that_is_full_at_any_operation_of_a_backup_makes_no_half_of_one() {
    at_every_operation("a backup", back_up).await;
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
