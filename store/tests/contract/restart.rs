//! What outlives the process, however it ends.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use store::checkpoint::Reached;
use store::engine::{PageRequest, Sequence};
use store::fixture;
use store::index::{Index, IndexConfig};
use store::{Checkpoint, Entry, Query, Store, StoreError};

use super::cases::small;

fn placed(number: i64) -> Entry {
    fixture::record("orders", 0, number).trace(number as u64 % 7 + 1).at(number as f64).entry()
}

fn reached(next: i64) -> Checkpoint {
    let mut checkpoint = Checkpoint::none("main".into());
    checkpoint.partitions.insert(("orders".into(), 0), Reached { next, ..Reached::default() });
    checkpoint
}

/// How many files a segment has, its manifest among them.
const SEGMENT_FILES: usize = 11;

/// The names of the log's files and of the segments.
fn names(folder: &Path) -> Vec<std::ffi::OsString> {
    let parts = ["log", "segments"].map(|part| fs::read_dir(folder.join(part)));
    let mut names: Vec<_> = parts.into_iter().flatten().flatten().flatten().map(|entry| entry.file_name()).collect();
    names.sort();
    names
}

pub fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    // A folder or file that is removed meanwhile is as good as one that was removed before.
    let Ok(entries) = fs::read_dir(from) else { return };
    for entry in entries.flatten() {
        let target = to.join(entry.file_name());
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => copy(&entry.path(), &target),
            _ => drop(fs::copy(entry.path(), &target)),
        }
    }
}

pub async fn offsets(store: &Index) -> Vec<i64> {
    let mut offsets = Vec::new();
    let mut after = None;
    loop {
        let page = store.search(&Query::All, PageRequest { limit: 1_000, after }).await.unwrap();
        for held in &page.entries {
            assert_eq!(held.copies, 1, "{held:?}");
            offsets.push(held.entry.as_record().unwrap().position.place.number().unwrap() as i64);
        }
        match page.next {
            Some(next) => after = Some(next),
            None => break,
        }
    }
    offsets.reverse();
    offsets
}

#[tokio::test]
async fn a_restart_loses_nothing_and_doubles_nothing() {
    let folder = tempfile::tempdir().unwrap();
    for round in 0..6 {
        let store = Index::open(small(folder.path())).unwrap();
        assert_eq!(offsets(&store).await, (0..round * 4).collect::<Vec<_>>());
        assert_eq!(
            store.checkpoint(&"main".into()).await.unwrap(),
            if round == 0 { Checkpoint::none("main".into()) } else { reached(round * 4) }
        );
        assert_eq!(*store.generation().borrow(), Sequence(round as u64 * 4));
        store.append((round * 4..round * 4 + 4).map(placed).collect(), reached(round * 4 + 4)).await.unwrap();
        if round % 2 == 0 {
            store.close().await.unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_of_the_folder_at_any_moment_opens_with_all_that_was_acknowledged() {
    let folder = tempfile::tempdir().unwrap();
    let live = folder.path().join("live");
    let store = Arc::new(Index::open(IndexConfig { seal_entries: 200, ..IndexConfig::new(&live) }).unwrap());
    let acknowledged = Arc::new(AtomicI64::new(0));
    let copies = Arc::new(AtomicI64::new(0));
    let appending = {
        let (store, acknowledged, copies) = (store.clone(), acknowledged.clone(), copies.clone());
        tokio::spawn(async move {
            let mut batch = 0;
            while batch < 150 || (batch < 3_000 && copies.load(Ordering::SeqCst) < 5) {
                let numbers = batch * 7..batch * 7 + 7;
                let end = numbers.end;
                store.append(numbers.map(placed).collect(), reached(end)).await.unwrap();
                acknowledged.store(end, Ordering::SeqCst);
                // So that a copy gets done between two seals on a busy machine too.
                tokio::time::sleep(std::time::Duration::from_millis(1)).await;
                batch += 1;
            }
        })
    };
    let mut round = 0;
    while !appending.is_finished() {
        let before = acknowledged.load(Ordering::SeqCst);
        let frozen = folder.path().join(format!("copy-{round}"));
        let earlier = names(&live);
        // So that whatever moves on meanwhile is met at least once, as a crash would leave it: a state is older than its
        // segments, and nothing went from the log that no segment has.
        fs::create_dir_all(&frozen).unwrap();
        drop(fs::copy(live.join("state"), frozen.join("state")));
        for part in ["log", "segments", "log"] {
            copy(&live.join(part), &frozen.join(part));
        }
        // While files only grow, a copy is what a crash would have left. Once one came or went, it may mix two moments
        // that never were together: the log after a seal, the segments before it.
        if names(&live) != earlier {
            fs::remove_dir_all(&frozen).unwrap();
            continue;
        }
        // A folder copied while it is renamed may be half of one; a crash never leaves that.
        let halves = fs::read_dir(frozen.join("segments")).unwrap().map(|entry| entry.unwrap().path());
        let halves: Vec<_> = halves.filter(|path| fs::read_dir(path).unwrap().count() < SEGMENT_FILES).collect();
        if halves.is_empty() {
            let opened = Index::open(small(&frozen)).unwrap();
            let found = offsets(&opened).await;
            assert!(found.len() as i64 >= before, "{} of {before}", found.len());
            assert_eq!(found, (0..found.len() as i64).collect::<Vec<_>>());
            let next = opened
                .checkpoint(&"main".into())
                .await
                .unwrap()
                .partitions
                .into_values()
                .next()
                .map_or(0, |reached| reached.next);
            assert_eq!(next, found.len() as i64, "the checkpoint covers what is kept, and nothing else");
            round = copies.fetch_add(1, Ordering::SeqCst) + 1;
        }
        fs::remove_dir_all(&frozen).unwrap();
    }
    appending.await.unwrap();
    assert!(round > 0);
    let kept = acknowledged.load(Ordering::SeqCst);
    assert_eq!(offsets(&store).await, (0..kept).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_folder_belongs_to_one_process_at_a_time() {
    let folder = tempfile::tempdir().unwrap();
    let store = Index::open(small(folder.path())).unwrap();
    let error = Index::open(small(folder.path())).unwrap_err();
    assert!(matches!(&error, StoreError::Unusable(says) if says.contains("in use")), "{error}");
    store.append(vec![placed(1)], reached(2)).await.unwrap();
    store.close().await.unwrap();
    assert!(matches!(store.append(vec![placed(2)], reached(3)).await, Err(StoreError::Closed)));
    assert_eq!(offsets(&Index::open(small(folder.path())).unwrap()).await, [1]);
}

#[tokio::test]
async fn retention_removes_whole_segments_and_numbers_are_not_given_again() {
    let folder = tempfile::tempdir().unwrap();
    let config = IndexConfig {
        retention: std::time::Duration::ZERO,
        seal_age: std::time::Duration::from_millis(10),
        ..small(folder.path())
    };
    let store = Index::open(config.clone()).unwrap();
    store.append((0..5).map(placed).collect(), reached(5)).await.unwrap();
    store.seal().await.unwrap();
    for number in 5..9 {
        store.append(vec![placed(number)], reached(number + 1)).await.unwrap();
        store.seal().await.unwrap();
    }
    let stats = store.stats().await.unwrap();
    assert!(stats.entries < 9, "{stats:?}");
    drop(store);
    let store = Index::open(config).unwrap();
    assert_eq!(store.checkpoint(&"main".into()).await.unwrap(), reached(9));
    assert_eq!(store.append(vec![placed(100)], reached(101)).await.unwrap(), Sequence(10));
}
