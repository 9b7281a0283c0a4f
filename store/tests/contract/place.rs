//! Where the store lives: small disks, clocks that jump, folders of other versions, neighbours that write beside it.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use store::engine::Facet;
use store::file::fault::{Fault, Operation};
use store::fixture;
use store::index::backup::backup;
use store::index::inspect::{Depth, inspect};
use store::index::{Index, IndexConfig};
use store::journal::LineKind;
use store::lag_series::{LagKey, LagSample};
use store::{Checkpoint, Entry, Journal, LagSeries, Store, StoreError, Timestamp};

use super::restart::{copy, offsets};

fn received(number: i64, at: Timestamp) -> Entry {
    let mut entry = fixture::record("orders", 0, number).trace(number as u64 + 1).at(number as f64).entry();
    let Entry::Record(record) = &mut entry else { unreachable!("it is a record") };
    record.received_at = at;
    entry
}

async fn keep(store: &Index, entry: Entry) -> Result<(), StoreError> {
    store.append(vec![entry], Checkpoint::none("main".into())).await.map(drop)
}

#[tokio::test]
async fn a_clock_that_jumps_removes_nothing_too_early_and_pins_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let config = IndexConfig { retention: Duration::from_secs(86_400), ..IndexConfig::new(folder.path()) };
    let (clock, day) = (config.clock.clone(), 86_400);
    let store = Index::open(config.clone()).unwrap();
    let seal = async |number: i64| {
        keep(&store, received(number, clock.now())).await.unwrap();
        store.seal().await.unwrap();
    };
    seal(0).await;
    store.look_after().await.unwrap();
    // Ten years ahead, as a machine without a battery or a slip of the hand has it.
    clock.jump(3_650 * day);
    seal(1).await;
    store.look_after().await.unwrap();
    assert_eq!(offsets(&store).await, [0, 1], "a jump removes nothing");
    // Back again, and two years into the past.
    clock.jump(-3_650 * day);
    clock.jump(-700 * day);
    seal(2).await;
    store.look_after().await.unwrap();
    clock.jump(700 * day);
    seal(3).await;
    store.look_after().await.unwrap();
    assert_eq!(offsets(&store).await, [0, 1, 2, 3], "what came between two good ones is as old as they are");
    store.close().await.unwrap();
    drop(store);
    // Days later nothing is pinned by the time when the clock was wrong: it is as old as what came next.
    for (number, left) in [(4, vec![4]), (5, vec![5])] {
        clock.jump(2 * day);
        let store = Index::open(config.clone()).unwrap();
        keep(&store, received(number, clock.now())).await.unwrap();
        store.seal().await.unwrap();
        store.look_after().await.unwrap();
        assert_eq!(offsets(&store).await, left);
    }
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

/// The first frame's payload, changed, with its checksum made right (marker, length, checksum, payload: `store/src/frame.rs`).
fn reframed(bytes: &[u8], change: impl Fn(&mut [u8])) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    let length = u32::from_le_bytes(bytes[4..8].try_into().unwrap()) as usize;
    change(&mut bytes[12..12 + length]);
    let summed = [&bytes[4..8], &bytes[12..12 + length]].concat();
    bytes[8..12].copy_from_slice(&crc32fast::hash(&summed).to_le_bytes());
    bytes
}

fn lag_key() -> LagKey {
    LagKey { source: "main".into(), group: "billing".into(), topic: "orders".into(), partition: 0 }
}

#[tokio::test]
async fn files_of_a_newer_version_are_refused_with_words_and_left_as_they_are() {
    let folder = tempfile::tempdir().unwrap();
    let original = folder.path().join("original");
    let store = Index::open(IndexConfig::new(&original)).unwrap();
    keep(&store, received(0, Timestamp::now())).await.unwrap();
    keep(&store, received(7, Timestamp::now())).await.unwrap();
    store.seal().await.unwrap();
    store.forget(&store::Query::parse("offset:7").unwrap()).await.unwrap();
    keep(&store, received(1, Timestamp::now())).await.unwrap();
    store.close().await.unwrap();
    Journal::open(&original).unwrap().append(LineKind::Audit, "a", "ops", &1).await.unwrap();
    let lag = LagSeries::open(&original).unwrap();
    lag.add(&lag_key(), LagSample { at: Timestamp::from_millis(1), committed: Some(1), end: Some(2) });
    lag.save().unwrap();
    let mut refused = Vec::new();
    for file in files(&original) {
        let inside = file.strip_prefix(&original).unwrap().to_owned();
        let name = inside.file_name().unwrap().to_string_lossy().into_owned();
        let bytes = fs::read(&file).unwrap();
        // The format is the first field of each protobuf head.
        let newer = match name.as_str() {
            "state" | "tombstones" | "manifest" | "lag" => reframed(&bytes, |payload| payload[1] = 99),
            _ if inside.starts_with("log") => reframed(&bytes, |payload| payload[1] = 99),
            "journal" => {
                let text = r#"{"format":99,"number":1,"more":true}"#;
                format!("{:08x} {text}\n", crc32fast::hash(text.as_bytes())).into_bytes()
            }
            // Files of a segment go by its manifest.
            _ => continue,
        };
        let data = folder.path().join("newer");
        copy(&original, &data);
        fs::write(data.join(&inside), &newer).unwrap();
        let errors = [
            Index::open(IndexConfig::new(&data)).map(drop),
            Journal::open(&data).map(drop),
            LagSeries::open(&data).map(drop),
        ];
        let says: Vec<String> = errors.into_iter().filter_map(Result::err).map(|error| error.to_string()).collect();
        assert_eq!(says.len(), 1, "{name}: {says:?}");
        assert!(says[0].contains("newer version") && says[0].contains("format 99"), "{name}: {says:?}");
        assert!(says[0].contains(data.join(&inside).parent().unwrap().to_str().unwrap()), "{name}: {says:?}");
        assert_eq!(fs::read(data.join(&inside)).unwrap(), newer, "{name} is left as it is");
        refused.push(name);
        fs::remove_dir_all(&data).unwrap();
    }
    refused.sort();
    refused.dedup_by(|a, b| a.starts_with('0') && b.starts_with('0'));
    assert_eq!(refused.len(), 6, "{refused:?}");
}

/// The bytes of a manifest as a version of this program with another format had them.
fn of_format(folder: &Path, format: u8) -> (PathBuf, Vec<u8>) {
    let manifest = files(folder).into_iter().find(|file| file.ends_with("manifest")).unwrap();
    let bytes = reframed(&fs::read(&manifest).unwrap(), |payload| payload[1] = format);
    (manifest, bytes)
}

#[tokio::test]
async fn a_segment_of_an_older_format_is_made_anew_when_its_folder_is_opened() {
    let folder = tempfile::tempdir().unwrap();
    let store = Index::open(IndexConfig::new(folder.path())).unwrap();
    for number in 0..4 {
        keep(&store, received(number, Timestamp::now())).await.unwrap();
    }
    store.seal().await.unwrap();
    drop(store);
    let (manifest, older) = of_format(folder.path(), 4);
    fs::write(&manifest, &older).unwrap();
    // A format that had one file less, and another of a content that nobody can read any more.
    let segment = manifest.parent().unwrap().to_owned();
    fs::remove_file(segment.join("minutes")).unwrap();
    fs::write(segment.join("terms"), "of another kind").unwrap();
    assert_eq!(inspect(folder.path(), Depth::Whole).unwrap().damages(), [""; 0], "it only is older");
    for _ in 0..2 {
        let store = Index::open(IndexConfig::new(folder.path())).unwrap();
        assert_eq!(offsets(&store).await, [0, 1, 2, 3]);
        let count = store.count(&store::Query::parse("topic:orders").unwrap(), Facet::default()).await.unwrap();
        assert_eq!(count.rows[0].count, 4);
        assert_eq!((store.stats().await.unwrap().damaged, segment.exists()), (0, false));
    }
    let store = Index::open(IndexConfig::new(folder.path())).unwrap();
    keep(&store, received(2, Timestamp::now())).await.unwrap();
    assert_eq!(store.stats().await.unwrap().entries, 4, "what is in it is still known");
    drop(store);
    assert_eq!(inspect(folder.path(), Depth::Whole).unwrap().damages(), [""; 0]);
    assert_eq!(fs::read_dir(folder.path().join("segments")).unwrap().count(), 1);
}

#[tokio::test]
async fn a_segment_of_a_format_from_before_the_first_release_is_refused_with_words_and_an_older_journal_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let store = Index::open(IndexConfig::new(folder.path())).unwrap();
    keep(&store, received(0, Timestamp::now())).await.unwrap();
    store.seal().await.unwrap();
    drop(store);
    let (manifest, older) = of_format(folder.path(), 1);
    fs::write(&manifest, &older).unwrap();
    let says = Index::open(IndexConfig::new(folder.path())).unwrap_err().to_string();
    assert!(says.contains("format 1") && says.contains("another data folder"), "{says}");
    assert_eq!(fs::read(&manifest).unwrap(), older);
    // The journal's first lines said no format.
    let text = r#"{"number":7,"at":"2026-11-23T10:00:00Z","kind":"audit","about":"a","by":"ops","says":1}"#;
    fs::write(folder.path().join("journal"), format!("{:08x} {text}\n", crc32fast::hash(text.as_bytes()))).unwrap();
    let journal = Journal::open(folder.path()).unwrap();
    assert_eq!(journal.replay(0).unwrap()[0].number, 7);
    assert_eq!(journal.append(LineKind::Audit, "a", "ops", &2).await.unwrap(), 8);
}

/// A filesystem of its own, until it is dropped; `None` where this user may not mount.
struct Mounted(PathBuf);

impl Mounted {
    fn small(at: &Path, size: &str) -> Option<Mounted> {
        fs::create_dir_all(at).unwrap();
        let options = format!("size={size}");
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", &options, "tmpfs"]).arg(at).output().ok()?;
        mounted.status.success().then(|| Mounted(at.to_owned()))
    }
}

impl Mounted {
    /// Whether it could be mounted anew, such as `ro`.
    fn again(&self, option: &str) -> bool {
        let options = format!("remount,{option}");
        Command::new("mount").args(["-o", &options]).arg(&self.0).status().is_ok_and(|status| status.success())
    }
}

#[tokio::test]
async fn a_folder_on_a_read_only_disk_is_refused_with_words_checked_copied_and_left_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let disk = folder.path().join("disk");
    let Some(mounted) = Mounted::small(&disk, "8m") else {
        eprintln!("NOT TESTED: this user may not mount a filesystem here; as root it is tested");
        return;
    };
    let data = disk.join("data");
    let store = Index::open(IndexConfig::new(&data)).unwrap();
    for number in 0..4 {
        keep(&store, received(number, Timestamp::now())).await.unwrap();
        if number == 1 {
            store.seal().await.unwrap();
        }
    }
    store.close().await.unwrap();
    drop(store);
    assert!(mounted.again("ro"));
    assert!(fs::write(data.join("state"), "").is_err(), "it is really read-only");
    let content = || files(&data).into_iter().map(|path| (fs::read(&path).unwrap(), path)).collect::<Vec<_>>();
    let before = content();
    let refused = Index::open(IndexConfig::new(&data)).unwrap_err();
    assert!(
        matches!(&refused, StoreError::File { source, .. } if source.kind() == io::ErrorKind::ReadOnlyFilesystem),
        "{refused:?}"
    );
    assert!(refused.to_string().contains(data.to_str().unwrap()), "{refused}");
    let found = inspect(&data, Depth::Whole).unwrap();
    assert_eq!((found.entries(), found.damages()), (2, Vec::new()));
    assert_eq!(found.logs.iter().map(|log| log.entries).sum::<u64>(), 2);
    let copied = folder.path().join("copy");
    backup(&data, &copied).unwrap();
    assert_eq!(offsets(&Index::open(IndexConfig::new(&copied)).unwrap()).await, [0, 1, 2, 3]);
    assert_eq!(content(), before, "it is left as it is");
    assert!(mounted.again("rw"));
    assert_eq!(offsets(&Index::open(IndexConfig::new(&data)).unwrap()).await, [0, 1, 2, 3]);
}

impl Drop for Mounted {
    fn drop(&mut self) {
        let _gone = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_really_small_disk_refuses_for_now_and_recovers_within_five_seconds_of_space() {
    let folder = tempfile::tempdir().unwrap();
    let disk = folder.path().join("disk");
    let Some(_mounted) = Mounted::small(&disk, "8m") else {
        eprintln!("NOT TESTED: this user may not mount a small filesystem here; as root it is tested");
        return;
    };
    let data = disk.join("data");
    // No segment is made meanwhile: the oldest would make room.
    let config = IndexConfig::new(&data);
    let store = Index::open(config.clone()).unwrap();
    // Somebody else's file takes most of the room; we take the rest.
    fs::write(disk.join("ballast"), vec![1_u8; 4 << 20]).unwrap();
    let noise = |number: i64| {
        let body: String = (0..1_500).map(|at| format!("{:x}", (number * 7_919 + at * 104_729) % 65_536)).collect();
        fixture::record("orders", 0, number).trace(number as u64 + 1).body(body).at(number as f64).entry()
    };
    let (mut kept, mut refusals) = (Vec::new(), 0);
    for number in 0..4_000 {
        match keep(&store, noise(number)).await {
            Ok(()) => kept.push(number),
            Err(StoreError::Refused { retry_after, reason }) => {
                assert!(retry_after > Duration::ZERO && !reason.is_empty());
                refusals += 1;
            }
            Err(other) => panic!("{other}"),
        }
        if refusals == 20 {
            break;
        }
    }
    assert!(refusals == 20 && kept.len() > 20, "{refusals} refusals, {} kept", kept.len());
    assert!(store.stats().await.unwrap().refusing.is_some_and(|reason| reason.contains("full")));
    assert_eq!(offsets(&store).await, kept, "questions are answered meanwhile");
    // Filled to the last byte by somebody else: still nothing but refusals.
    let mut rest = fs::File::create(disk.join("rest")).unwrap();
    while io::Write::write_all(&mut rest, &[2; 4096]).is_ok() {}
    assert!(matches!(keep(&store, noise(5_000)).await, Err(StoreError::Refused { .. })));
    fs::remove_file(disk.join("rest")).unwrap();
    fs::remove_file(disk.join("ballast")).unwrap();
    let freed = Instant::now();
    while keep(&store, noise(6_000)).await.is_err() {
        assert!(freed.elapsed() < Duration::from_secs(5), "no recovery");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    eprintln!("{} kept, taken again {:?} after there was room", kept.len(), freed.elapsed());
    kept.push(6_000);
    assert_eq!(offsets(&store).await, kept);
    store.close().await.unwrap();
    drop(store);
    assert_eq!(offsets(&Index::open(config).unwrap()).await, kept);
}

#[tokio::test]
async fn a_journal_and_a_lag_series_on_a_failing_disk_keep_what_they_acknowledged() {
    for failing in [Operation::Write, Operation::Sync] {
        let folder = tempfile::tempdir().unwrap();
        let journal = Journal::open(folder.path()).unwrap();
        let lag = LagSeries::open(folder.path()).unwrap();
        let sample = |second: i64| LagSample {
            at: Timestamp::from_millis(second * 1_000),
            committed: Some(second),
            end: Some(9),
        };
        assert_eq!(journal.append(LineKind::Audit, "a", "ops", &1).await.unwrap(), 1);
        lag.add(&lag_key(), sample(1));
        lag.save().unwrap();
        let fault = Fault::below(folder.path(), move |operation, _| {
            if operation == failing { Err(io::Error::from(io::ErrorKind::StorageFull)) } else { Ok(()) }
        });
        journal.append(LineKind::Audit, "a", "ops", &2).await.unwrap_err();
        lag.add(&lag_key(), sample(2));
        assert_eq!(lag.save().is_err(), failing == Operation::Write, "samples are not synced");
        drop(fault);
        assert_eq!(journal.append(LineKind::Audit, "a", "ops", &3).await.unwrap(), 2, "a refused line has no number");
        lag.add(&lag_key(), sample(3));
        lag.save().unwrap();
        drop((journal, lag));
        let said: Vec<i64> =
            Journal::open(folder.path()).unwrap().replay(0).unwrap().iter().filter_map(|line| line.read()).collect();
        assert_eq!(said, [1, 3]);
        let samples = LagSeries::open(folder.path()).unwrap().range(&lag_key(), Timestamp::MIN, Timestamp::MAX);
        assert_eq!(samples, [sample(1), sample(2), sample(3)], "what couldn't be saved is saved with the next");
    }
}
