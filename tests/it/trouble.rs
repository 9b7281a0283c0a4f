//! Brokers that are down, disks that refuse, folders that are damaged: each a clear word, nothing lost, the rest goes on.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::Value;
use store::Timestamp;

use crate::rig::home::{Home, Sillage};
use crate::rig::kafka::{self, Draft, Kafka};
use crate::rig::{http, otlp, until};

const PATIENCE: Duration = Duration::from_secs(60);

fn text(body: &str) -> Draft {
    Draft { value: Some(body.as_bytes().to_vec()), ..Draft::default() }
}

/// The only source, as `/api/v1/status` tells it.
fn source_state(sillage: &Sillage) -> String {
    sillage.api("status")["sources"]
        .as_array()
        .and_then(|sources| sources.iter().find(|source| source["name"] == "main"))
        .map_or_else(String::new, |source| source.to_string())
}

#[test]
fn a_broker_that_is_down_at_start_and_again_later_is_said_and_nothing_is_lost() {
    let kafka = Kafka::planned("flaky");
    let (other, steady) = (kafka::shared(), kafka::shared().topic("steady", 1));
    let beside = kafka::source(other, &[&steady]).replace("main", "other");
    let home = Home::new(&[kafka::source(&kafka, &["*"]), beside].concat());
    let mut sillage = home.spawn("serve");
    sillage.await_answer("/healthz");
    // OTLP works while the broker does not.
    let (trace, span) = (rand::random(), rand::random());
    until("OTLP is taken", PATIENCE, || {
        otlp::post(home.http, "traces", &otlp::traces("s", vec![otlp::span(trace, span, "x")]))
            .ok()
            .filter(|answer| answer.status == 200)
    });
    sillage.flow_when(&hex::encode(trace), "a span", |flow| flow["spans"][0].is_object());
    until("the status says that the broker is not there", PATIENCE, || {
        let state = source_state(&sillage);
        (state.contains(&kafka.address) || state.contains("error\":\"")).then_some(())
    });

    // Another cluster is read meanwhile, as if nothing were.
    let goes_on = |records: usize| {
        let sent = Instant::now();
        other.send(&steady, &[text("steady")]);
        sillage.records_when(&steady, records, PATIENCE);
        assert!(sent.elapsed() < Duration::from_secs(5), "held back for {:?}", sent.elapsed());
    };
    other.send(&steady, &[text("steady")]);
    sillage.records_when(&steady, 1, PATIENCE);
    goes_on(2);

    kafka.up();
    let topic = kafka.topic("flaky", 1);
    kafka.send(&topic, &vec![text("before"); 10]);
    sillage.records_when(&topic, 10, PATIENCE);

    kafka.down();
    std::thread::sleep(Duration::from_secs(2));
    assert_eq!(sillage.get("/healthz").status, 200);
    goes_on(3);
    kafka.up();
    kafka.send(&topic, &vec![text("after"); 10]);
    let entries = sillage.records_when(&topic, 20, PATIENCE);
    assert_eq!(entries.len(), 20);
    kafka.down();
}

#[test]
fn a_data_folder_that_cannot_be_made_is_named_before_any_port_opens() {
    let home = Home::new("");
    // A file stands where the folder should be: refused for everybody, root included.
    fs::write(home.folder.path().join("data"), "in the way").unwrap();
    let mut sillage = home.spawn("serve");
    until("it ends", PATIENCE, || sillage.ended().then_some(()));
    let log = sillage.log();
    assert!(log.contains(home.data().to_str().unwrap()), "names the folder: {log}");
    assert!(!log.contains("panicked") && !log.contains("is ready"), "{log}");
}

#[test]
fn two_programs_do_not_share_one_data_folder() {
    let home = Home::new("");
    let first = home.serve();
    let other = Home::new("");
    let text = fs::read_to_string(other.file())
        .unwrap()
        .replace(other.data().to_str().unwrap(), home.data().to_str().unwrap());
    fs::write(other.file(), text).unwrap();
    let mut second = other.spawn("serve");
    until("it ends", PATIENCE, || second.ended().then_some(()));
    let log = second.log();
    assert!(log.contains(home.data().to_str().unwrap()), "names the folder: {log}");
    assert!(!log.contains("panicked") && !log.contains("is ready"), "{log}");
    assert_eq!(first.get("/readyz").status, 200);
}

/// Sends `count` traces of one span; their ids.
fn fill(home: &Home, count: usize) -> Vec<String> {
    let traces: Vec<[u8; 16]> = (0..count).map(|_| rand::random()).collect();
    for some in traces.chunks(50) {
        let spans = some.iter().map(|trace| otlp::span(*trace, rand::random(), "kept")).collect();
        otlp::post_all(home.http, "traces", &otlp::traces("damage", spans));
    }
    traces.iter().map(hex::encode).collect()
}

#[test]
fn status_tells_how_the_store_fares_and_what_takes_memory() {
    let home = Home::new("seal_age = \"200ms\"\n");
    let sillage = home.serve();
    let began = Timestamp::now().minus(Duration::from_secs(1));
    fill(&home, 300);
    let store = until("a segment is made", PATIENCE, || {
        let store = sillage.api("status")["store"].clone();
        (store["segments"].as_u64()? >= 1).then_some(store)
    });
    let number = |figure: &str| store[figure].as_u64();
    assert_eq!(
        ["entries", "spans", "damaged", "refused"].map(number),
        [Some(300), Some(300), Some(0), Some(0)],
        "{store}"
    );
    assert_eq!(store["refusing"], Value::Null);
    for figure in ["perSecond", "lastFsyncMs", "slowestFsyncMs"] {
        assert!(store[figure].as_f64().unwrap() > 0.0, "{figure}: {store}");
    }
    // Written as text, instants of one length sort as they follow one another.
    let (oldest, now) = (store["oldest"].as_str().unwrap(), Timestamp::now().to_string());
    assert!(*began.to_string() <= *oldest && *oldest <= *now && oldest.len() == now.len(), "{began} {oldest} {now}");
    let on_disk: u64 =
        files(&home.data()).iter().filter_map(|file| fs::metadata(file).ok()).map(|file| file.len()).sum();
    let told = store["bytes"].as_u64().unwrap();
    assert!(told > on_disk / 2 && told < on_disk * 2, "{told} of {on_disk}");
    assert!(store["freeBytes"].as_u64().unwrap() > 0, "{store}");
    let memory = sillage.api("status")["memory"].clone();
    assert_eq!(memory["limit"], 512 << 20);
    let parts = ["live set", "segments' tables", "columns read lately", "the course of lag", "OTLP requests in flight"];
    assert!(parts.iter().all(|part| memory["parts"][part].is_u64()), "{memory}");
    let page = sillage.get("/status").text();
    let shown = ["On disk", "Segments", "Kept a second", "Last fsync took", "Oldest entry", "Free on the disk"];
    assert!(shown.iter().all(|words| page.contains(words)), "{page}");
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap().flatten() {
        if entry.path().is_dir() {
            found.extend(files(&entry.path()));
        } else {
            found.push(entry.path());
        }
    }
    found.sort();
    found
}

#[test]
fn a_torn_tail_after_a_crash_costs_nothing_that_was_acknowledged() {
    let home = Home::new("");
    let sillage = home.serve();
    let traces = fill(&home, 300);
    sillage.kill_9();
    // Half a batch at the end of the newest file, as a crash in the middle of a write leaves it.
    let newest = files(&home.data())
        .into_iter()
        .filter(|file| is_log(file))
        .max_by_key(|file| fs::metadata(file).unwrap().modified().unwrap());
    let newest = newest.expect("the store has a log");
    OpenOptions::new().append(true).open(&newest).unwrap().write_all(&[0xa5; 777]).unwrap();
    let sillage = home.serve();
    for trace in &traces {
        assert_eq!(sillage.get(&format!("/api/v1/flow/{trace}")).status, 200, "{trace} is lost");
    }
    assert!(!sillage.log().contains("panicked"));
    // And it can be written again, and read after one more restart.
    let more = fill(&home, 50);
    sillage.stop();
    let sillage = home.serve();
    for trace in traces.iter().chain(&more) {
        assert_eq!(sillage.get(&format!("/api/v1/flow/{trace}")).status, 200, "{trace} is lost");
    }
}

/// The store's own log files, wherever it keeps them.
fn is_log(file: &Path) -> bool {
    let path = file.to_string_lossy();
    path.contains("log") && fs::metadata(file).unwrap().len() > 0
}

#[test]
fn whichever_file_is_damaged_it_says_so_and_never_panics() {
    let home = Home::new("");
    let sillage = home.serve();
    let mut traces = fill(&home, 300);
    sillage.stop();
    // A second life, so that there is an older and a newer part.
    let sillage = home.serve();
    traces.extend(fill(&home, 300));
    sillage.kill_9();

    let whole = home.folder.path().join("whole");
    copy(&home.data(), &whole);
    for file in files(&whole) {
        let inside = file.strip_prefix(&whole).unwrap();
        if fs::metadata(&file).unwrap().len() == 0 {
            continue;
        }
        fs::remove_dir_all(home.data()).unwrap();
        copy(&whole, &home.data());
        let mut bytes = fs::read(&file).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 0x55;
        fs::write(home.data().join(inside), bytes).unwrap();

        let before = fs::read_to_string(home.folder.path().join("log")).unwrap_or_default().len();
        let mut sillage = home.spawn("serve");
        // Either it runs without the damaged part, or it refuses and says what is damaged: both are an answer.
        let runs = until(&format!("an answer about {}", inside.display()), PATIENCE, || {
            if http::get(home.web, "/readyz").is_ok_and(|answer| answer.status == 200) {
                return Some(true);
            }
            sillage.ended().then_some(false)
        });
        let said = sillage.log()[before..].to_owned();
        assert!(!said.contains("panicked"), "{}: {said}", inside.display());
        if runs {
            let kept =
                traces.iter().filter(|trace| sillage.get(&format!("/api/v1/flow/{trace}")).status == 200).count();
            if kept < traces.len() {
                assert!(
                    said.to_lowercase().contains("damage") || said.contains("set aside") || said.contains("corrupt"),
                    "{}: lost {} of {} without a word: {said}",
                    inside.display(),
                    traces.len() - kept,
                    traces.len()
                );
            }
            assert!(!fill(&home, 1).is_empty(), "it goes on");
            sillage.stop();
        } else {
            assert!(
                said.contains(home.data().to_str().unwrap()),
                "{}: refused without naming the folder: {said}",
                inside.display()
            );
        }
    }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().flatten() {
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

#[test]
fn a_stop_is_orderly_and_a_restart_finds_everything() {
    let home = Home::new("");
    let sillage = home.serve();
    let traces = fill(&home, 500);
    let status = sillage.stop();
    assert!(status.success(), "{status}");
    let sillage = home.serve();
    for trace in traces {
        assert_eq!(sillage.api(&format!("flow/{trace}"))["spans"].as_array().unwrap().len(), 1);
    }
}
