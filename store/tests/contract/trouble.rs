//! What goes wrong behind the scenes is contained and told: files that can't be read or removed for a moment, segments that a disk lost a part
//! of, mistakes of ours.

use std::fs;
use std::io::{self, Seek, SeekFrom, Write};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use store::engine::PageRequest;
use store::file::fault::{Fault, Operation};
use store::fixture;
use store::index::{Index, IndexConfig};
use store::{Query, Store, StoreError, Timestamp};

use super::restart::offsets;
use super::upkeep::{SOON, keep, segment_folders, segments, until};

#[tokio::test]
async fn a_disk_that_can_not_be_read_for_a_moment_costs_an_answer_and_no_segment() {
    let folder = tempfile::tempdir().unwrap();
    let store = Index::open(IndexConfig::new(folder.path())).unwrap();
    let at = Timestamp::now();
    for numbers in [0..10, 10..20] {
        keep(&store, numbers, at).await.unwrap();
        store.seal().await.unwrap();
    }
    drop(store);
    let no_more_files =
        || {
            let is_data = |path: &Path| path.extension().is_none();
            // EMFILE: too many open files.
            Fault::reading_below(folder.path(), move |_, path| {
                if is_data(path) { Err(io::Error::from_raw_os_error(24)) } else { Ok(()) }
            })
        };
    {
        let _fault = no_more_files();
        let says = Index::open(IndexConfig::new(folder.path())).unwrap_err().to_string();
        assert!(says.contains("can't be read now") && says.contains("start again"), "{says}");
    }
    let store = Index::open(IndexConfig::new(folder.path())).unwrap();
    let page = PageRequest { limit: 100, after: None };
    {
        let _fault = no_more_files();
        let found = store.search(&Query::All, page.clone()).await.unwrap();
        assert!(found.entries.is_empty());
        assert!(
            found.cut.is_some_and(|cut| cut.contains("can't be read now")),
            "an answer that lacks something says so"
        );
        // Whether it is held already can't be told.
        let again = keep(&store, 3..4, at).await.unwrap_err();
        assert!(matches!(again, StoreError::Refused { .. }), "{again}");
    }
    assert_eq!(store.stats().await.unwrap().damaged, 0);
    assert!(!folder.path().join("damaged").exists());
    assert_eq!(offsets(&store).await, (0..20).collect::<Vec<_>>());
    keep(&store, 20..21, Timestamp::now()).await.unwrap();
    assert_eq!(store.stats().await.unwrap().refusing, None);
}

#[tokio::test]
async fn a_segment_that_was_replaced_never_comes_back_although_it_could_not_be_removed() {
    let folder = tempfile::tempdir().unwrap();
    let store = Index::open(IndexConfig::new(folder.path())).unwrap();
    keep(&store, 0..10, Timestamp::now()).await.unwrap();
    store.seal().await.unwrap();
    let first = segment_folders(folder.path()).remove(0);
    let fault = {
        let first = first.clone();
        Fault::below(folder.path(), move |operation, path| {
            let fails = operation == Operation::Rename && path == first;
            if fails { Err(io::Error::from_raw_os_error(5)) } else { Ok(()) }
        })
    };
    let forget = async |number: u64| {
        let trace = format!("trace:{}", hex_of(fixture::trace(number + 1)));
        store.forget(&Query::parse(&trace).unwrap()).await.unwrap()
    };
    assert!(forget(3).await.unfinished.is_some(), "that it isn't gone from every file is told");
    assert!(forget(4).await.unfinished.is_some());
    assert!(first.exists());
    let left = vec![0, 1, 2, 5, 6, 7, 8, 9];
    assert_eq!(offsets(&store).await, left);
    drop(store);
    drop(fault);
    let store = Index::open(IndexConfig::new(folder.path())).unwrap();
    assert!(!first.exists());
    assert_eq!((offsets(&store).await, store.stats().await.unwrap().entries), (left, 8));
}

fn hex_of(trace_id: store::TraceId) -> String {
    trace_id.as_bytes().iter().map(|byte| format!("{byte:02x}")).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_could_not_be_removed_is_removed_later() {
    let folder = tempfile::tempdir().unwrap();
    let store = Index::open(IndexConfig::new(folder.path())).unwrap();
    segments(&store, 0..30).await;
    let fault = Fault::below(folder.path(), |operation, path| {
        let is_segment = path.parent().is_some_and(|parent| parent.ends_with("segments"));
        let is_built = !path.to_string_lossy().contains("building-");
        let fails = operation == Operation::Rename && is_segment && is_built;
        if fails { Err(io::Error::from_raw_os_error(5)) } else { Ok(()) }
    });
    assert!(store.look_after().await.is_err());
    assert_eq!(segment_folders(folder.path()).len(), 4, "three that were merged, and what they became");
    assert_eq!(offsets(&store).await, (0..30).collect::<Vec<_>>());
    drop(fault);
    store.look_after().await.unwrap();
    assert_eq!(segment_folders(folder.path()).len(), 1);
    assert_eq!(offsets(&store).await, (0..30).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_panic_in_the_background_ends_that_job_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let store = Arc::new(Index::open(IndexConfig::new(folder.path())).unwrap());
    keep(&store, 0..10, Timestamp::now()).await.unwrap();
    let is_bad = Arc::new(AtomicBool::new(true));
    let _fault = {
        let is_bad = is_bad.clone();
        Fault::below(folder.path(), move |_, path| {
            assert!(!is_bad.load(Ordering::SeqCst) || !path.to_string_lossy().contains("building-"), "a bug of ours");
            Ok(())
        })
    };
    let sealing = tokio::spawn({
        let store = store.clone();
        async move { store.seal().await }
    });
    until("it is told", async || {
        let refusing = store.stats().await.unwrap().refusing;
        refusing.is_some_and(|reason| reason.contains("it panicked: a bug of ours"))
    })
    .await;
    assert_eq!(offsets(&store).await.len(), 10);
    keep(&store, 10..20, Timestamp::now()).await.unwrap();
    is_bad.store(false, Ordering::SeqCst);
    sealing.await.unwrap().unwrap();
    until("it is mended", async || store.stats().await.unwrap().refusing.is_none()).await;
    is_bad.store(true, Ordering::SeqCst);
    segments_of_two(&store, &is_bad).await;
    let error = store.look_after().await.unwrap_err().to_string();
    assert!(error.contains("it panicked"), "{error}");
    is_bad.store(false, Ordering::SeqCst);
    store.look_after().await.unwrap();
    assert_eq!(offsets(&store).await, (0..30).collect::<Vec<_>>());
}

/// Two segments that can be merged, made while nothing is bad.
async fn segments_of_two(store: &Index, is_bad: &AtomicBool) {
    is_bad.store(false, Ordering::SeqCst);
    segments(store, 20..30).await;
    is_bad.store(true, Ordering::SeqCst);
}

#[tokio::test]
async fn a_panic_while_the_log_is_written_is_told_and_everything_refused_until_the_next_start() {
    let folder = tempfile::tempdir().unwrap();
    let store = Index::open(IndexConfig::new(folder.path())).unwrap();
    keep(&store, 0..10, Timestamp::now()).await.unwrap();
    let fault = Fault::below(folder.path(), |operation, path| {
        let is_log = path.parent().is_some_and(|parent| parent.ends_with("log"));
        assert!(operation != Operation::Write || !is_log, "a bug of ours");
        Ok(())
    });
    for numbers in [10..11, 11..12] {
        let refused = keep(&store, numbers, Timestamp::now()).await.unwrap_err();
        assert!(matches!(&refused, StoreError::Refused { .. }), "{refused}");
    }
    let failed = tokio::time::timeout(SOON, store.failed()).await.unwrap();
    assert!(failed.contains("a bug of ours"), "{failed}");
    assert_eq!(store.stats().await.unwrap().refusing, Some(failed));
    assert_eq!(offsets(&store).await.len(), 10, "questions are answered");
    drop(fault);
    drop(store);
    let store = Index::open(IndexConfig::new(folder.path())).unwrap();
    keep(&store, 10..12, Timestamp::now()).await.unwrap();
    assert_eq!(offsets(&store).await, (0..12).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_log_file_that_could_not_be_made_leaves_nothing_behind() {
    let folder = tempfile::tempdir().unwrap();
    let store = Index::open(IndexConfig::new(folder.path())).unwrap();
    let failing = Arc::new(AtomicUsize::new(4));
    let _fault = {
        let failing = failing.clone();
        Fault::below(folder.path(), move |operation, path| {
            let is_log = path.parent().is_some_and(|parent| parent.ends_with("log"));
            let fails = operation == Operation::Sync
                && is_log
                && failing.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok();
            if fails { Err(io::Error::from(io::ErrorKind::StorageFull)) } else { Ok(()) }
        })
    };
    for _ in 0..4 {
        keep(&store, 0..1, Timestamp::now()).await.unwrap_err();
    }
    keep(&store, 0..1, Timestamp::now()).await.unwrap();
    assert_eq!(fs::read_dir(folder.path().join("log")).unwrap().count(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_disk_lost_is_found_before_anybody_asks_for_it() {
    let folder = tempfile::tempdir().unwrap();
    let config = IndexConfig { seal_age: Duration::from_millis(10), ..IndexConfig::new(folder.path()) };
    let store = Index::open(config).unwrap();
    segments(&store, 0..10).await;
    let bodies = segment_folders(folder.path()).remove(0).join("bodies");
    let mut file = fs::OpenOptions::new().write(true).open(bodies).unwrap();
    file.seek(SeekFrom::Start(100)).unwrap();
    file.write_all(b"\0\0\0\0\0\0\0\0").unwrap();
    let mut next = 10;
    until("it is found", async || {
        // A round of looking after the segments comes with each.
        tokio::time::sleep(Duration::from_millis(30)).await;
        segments(&store, next..next + 10).await;
        next += 10;
        store.stats().await.unwrap().damaged == 1
    })
    .await;
    assert_eq!(fs::read_dir(folder.path().join("damaged")).unwrap().count(), 1);
}

#[tokio::test]
async fn a_store_that_could_not_write_takes_entries_again_without_being_sent_any() {
    let folder = tempfile::tempdir().unwrap();
    let store = Index::open(IndexConfig::new(folder.path())).unwrap();
    {
        let _fault = Fault::below(folder.path(), |operation, _| match operation {
            Operation::Sync | Operation::Write => Err(io::Error::from_raw_os_error(5)),
            _ => Ok(()),
        });
        keep(&store, 0..1, Timestamp::now()).await.unwrap_err();
        assert!(store.stats().await.unwrap().refusing.is_some());
    }
    // Nobody may send anything while `/readyz` says that nothing is taken.
    until("it is ready again", async || store.stats().await.unwrap().refusing.is_none()).await;
    assert!(offsets(&store).await.is_empty(), "what was refused is not there");
    keep(&store, 1..2, Timestamp::now()).await.unwrap();
    let stats = store.stats().await.unwrap();
    assert_eq!((stats.kept, stats.writes.count() >= 2), ([1, 0, 0], true));
    drop(store);
    let store = Index::open(IndexConfig::new(folder.path())).unwrap();
    assert_eq!(offsets(&store).await, [1]);
}

#[tokio::test]
async fn a_disk_that_is_full_is_told_before_anything_is_to_be_kept() {
    let folder = tempfile::tempdir().unwrap();
    let store = Index::open(IndexConfig::new(folder.path())).unwrap();
    assert_eq!(store.stats().await.unwrap().refusing, None);
    assert!(store::file::writable(&folder.path().join("gone")).is_err());
    let _full = Fault::room_below(folder.path(), || (5 << 20, 1 << 30));
    let says = store.stats().await.unwrap().refusing.unwrap();
    assert!(says.starts_with("the disk is full: 5 MiB are free"), "{says}");
}
