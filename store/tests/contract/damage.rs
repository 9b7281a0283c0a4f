//! Damaged, torn, foreign and newer files: an error or less than all, never a panic, never a wrong answer.

use std::fs;
use std::path::{Path, PathBuf};

use store::engine::PageRequest;
use store::fixture;
use store::index::{Index, IndexConfig};
use store::{Checkpoint, Entry, Query, Store, StoreError};

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

fn files(folder: &Path) -> Vec<PathBuf> {
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
async fn every_byte_flipped_costs_at_most_what_it_belongs_to() {
    let folder = tempfile::tempdir().unwrap();
    let original = folder.path().join("original");
    let store = Index::open(IndexConfig::new(&original)).unwrap();
    keep(&store, 0..3).await;
    store.seal().await.unwrap();
    keep(&store, 3..5).await;
    drop(store);
    let mut flipped = 0;
    for path in files(&original) {
        let name = path.strip_prefix(&original).unwrap().to_owned();
        let bytes = fs::read(&path).unwrap();
        // Every byte of small files; of larger ones every few, so that the test takes seconds.
        let step = (bytes.len() / 150).max(1);
        for at in (0..bytes.len()).step_by(step) {
            let damaged = folder.path().join("damaged");
            copy(&original, &damaged);
            let mut bytes = bytes.clone();
            bytes[at] ^= 0x40;
            fs::write(damaged.join(&name), bytes).unwrap();
            match Index::open(IndexConfig::new(&damaged)) {
                Ok(store) => {
                    let found = whole(&store).await;
                    assert!(
                        found == 5 || store.stats().await.unwrap().damaged > 0 || found >= 3,
                        "{name:?} at {at}: {found}"
                    );
                    keep(&store, 7..8).await;
                    assert!(whole(&store).await > 0);
                }
                // Refused with words: a version number that became a newer one.
                Err(error) => assert!(matches!(error, StoreError::Unusable(_)), "{name:?} at {at}: {error}"),
            }
            flipped += 1;
            fs::remove_dir_all(&damaged).unwrap();
        }
    }
    assert!(flipped > 500, "{flipped}");
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
async fn what_was_forgotten_is_in_no_file() {
    let folder = tempfile::tempdir().unwrap();
    let store = Index::open(IndexConfig { seal_entries: 4, ..IndexConfig::new(folder.path()) }).unwrap();
    keep(&store, 0..6).await;
    let secret = "Xk7-erika-mustermann-9Qz";
    let entry = |offset: i64| fixture::record("orders", 1, offset).key(secret).body(secret.repeat(40)).at(3.0).entry();
    store.append(vec![entry(1)], Checkpoint::none("main".into())).await.unwrap();
    keep(&store, 6..12).await;
    store.append(vec![entry(2)], Checkpoint::none("main".into())).await.unwrap();
    assert_eq!(store.forget(&Query::parse(&format!("key:{secret}")).unwrap()).await.unwrap().entries, 2);
    // Every file, and every compressed block that can be found in it.
    for path in files(folder.path()) {
        let bytes = fs::read(&path).unwrap();
        let has = |bytes: &[u8]| bytes.windows(16).any(|window| window == &secret.as_bytes()[..16]);
        assert!(!has(&bytes), "{path:?}");
        for at in 0..bytes.len().saturating_sub(4) {
            if bytes[at..at + 4] == [0x28, 0xB5, 0x2F, 0xFD] {
                let mut unpacked = Vec::new();
                let mut block = zstd::stream::read::Decoder::new(&bytes[at..]).unwrap().single_frame();
                let _may_be_chance = std::io::copy(&mut block, &mut unpacked);
                assert!(!has(&unpacked), "{path:?} at {at}");
            }
        }
    }
    assert_eq!(whole(&store).await, 12);
}
