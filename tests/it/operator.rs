//! What an operator relies on: what is redacted is in no file, what is forgotten is gone from every file, a folder can be checked, rebuilt
//! and copied.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;
use std::time::Duration;

use serde_json::json;

use crate::rig::home::{Home, program};
use crate::rig::kafka::{self, Draft};
use crate::rig::{folder, otlp, unique};

fn run(home: &Home, arguments: &[&str]) -> Output {
    let file = home.file();
    program(&[arguments, &["--config", file.to_str().unwrap()]].concat()).output().unwrap()
}

#[track_caller]
pub fn succeeds(home: &Home, arguments: &[&str]) -> String {
    let output = run(home, arguments);
    let told = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{arguments:?}: {told}{}", String::from_utf8_lossy(&output.stderr));
    told
}

#[track_caller]
pub fn fails(home: &Home, arguments: &[&str], says: &str) {
    let output = run(home, arguments);
    let told = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(!output.status.success() && told.contains(says), "{arguments:?}: {told}");
}

/// A span that names a key, and a log beside it.
fn send(home: &Home, number: u8, key: &str, says: &str) {
    let (trace, id) = ([number; 16], [number; 8]);
    let mut span = otlp::span(trace, id, "process orders");
    span.kind = 5;
    span.attributes = vec![
        otlp::string("messaging.system", "kafka"),
        otlp::string("messaging.kafka.message.key", key),
        otlp::string("http.request.header.authorization", "Bearer s3cr3t-bearer"),
        otlp::string("customer.email", "ada-s3cr3t@example.org"),
        otlp::string("says", says),
    ];
    otlp::post_all(home.http, "traces", &otlp::traces("billing", vec![span]));
    let log = otlp::log(trace, id, &format!("login with password=s3cr3t-word and card 4111 1111 1111 1111 {says}"));
    otlp::post_all(home.http, "logs", &otlp::logs("billing", vec![log]));
}

fn names(paths: &[PathBuf], below: &Path) -> Vec<String> {
    paths.iter().map(|path| path.strip_prefix(below).unwrap().display().to_string()).collect()
}

#[test]
fn what_is_redacted_stands_in_no_file() {
    let home = Home::new(
        "[[redact]]\nfield = \"customer.email\"\naction = \"hash\"\n\n[[redact]]\nregex = \"s3cr3t-[a-z]+-own\"\naction = \"drop\"\n",
    );
    let sillage = home.serve();
    send(&home, 1, "order-1", "kept-4711 s3cr3t-rule-own");
    let found = sillage.search_when("kept", 2, Duration::from_secs(10));
    let told = serde_json::to_string(&found).unwrap();
    assert!(told.contains("[redacted]") && told.contains("redacted-"), "{told}");
    // printf %s ada-s3cr3t@example.org | sha256sum | cut -c-16
    let hash = "80f86bbd7142e773";
    assert_eq!(sillage.search_all(&format!("redacted-{hash}")).len(), 1, "equal values can still be found");
    // Once as the log holds it, once as a segment does.
    for round in ["log", "segment"] {
        let data = home.data();
        assert!(!folder::holding(&data, "kept-4711").is_empty(), "the search in {round} finds what is there");
        for secret in ["s3cr3t", "4111 1111"] {
            let found = names(&folder::holding(&data, secret), &data);
            assert!(found.is_empty(), "{secret} stands in {found:?}");
        }
        if round == "log" {
            // Forgetting anything makes a segment of what is in the log.
            send(&home, 2, "order-2", "another");
            succeeds(&home, &["forget", "--key", "order-2", "--yes"]);
        }
    }
    assert!(sillage.stop().success());
}

#[test]
fn what_is_redacted_in_records_stands_in_no_file() {
    let kafka = kafka::shared();
    let topic = kafka.topic("secrets", 1);
    let rules = "[[redact]]\nfield = \"customer.email\"\naction = \"hash\"\n\n[[redact]]\nregex = \"s3cr3t-[a-z]+-own\"\naction = \"drop\"\n\n\
         [[redact]]\nheader = \"x-tenant-pin\"\naction = \"mask\"\n\n";
    let home = Home::new(&format!("{rules}{}", kafka::source(kafka, &[&topic])));
    let sillage = home.serve();
    let body = json!({
        "eventId": unique("evt"), "eventType": "CustomerPaid", "says": "kept-4711 s3cr3t-rule-own",
        "accessToken": "s3cr3t-token", "nested": {"password": "s3cr3t-word", "note": "card 4111 1111 1111 1111 was charged"},
        "customer": {"email": "ada-s3cr3t@example.org"},
    });
    let draft = Draft::json("order-1", &body)
        .header("cookie", Some(b"session=s3cr3t-cookie; theme=dark"))
        .header("Authorization", Some(b"Bearer s3cr3t-bearer"))
        .header("x-tenant-pin", Some(b"s3cr3t-pin"))
        .header("traceparent", Some(b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"));
    let text =
        Draft { value: Some(b"kept-4712 token=s3cr3t-text card 4111-1111-1111-1111".to_vec()), ..Draft::default() };
    kafka.sender().send(&topic, &[draft, text]);
    let found = sillage.records_when(&topic, 2, Duration::from_secs(30));
    let told = serde_json::to_string(&found).unwrap();
    assert!(told.contains("[redacted]") && told.contains("redacted-80f86bbd7142e773"), "{told}");
    // Once as the log holds it, once as a segment does.
    for round in ["log", "segment"] {
        let data = home.data();
        for kept in ["kept-4711", "kept-4712", "CustomerPaid"] {
            assert!(!folder::holding(&data, kept).is_empty(), "the search in the {round} finds {kept}");
        }
        for secret in ["s3cr3t", "4111 1111", "4111-1111", "41111111"] {
            let found = names(&folder::holding(&data, secret), &data);
            assert!(found.is_empty(), "{secret} stands in {found:?}");
        }
        if round == "log" {
            // Forgetting anything makes a segment of what is in the log.
            send(&home, 2, "order-2", "another");
            succeeds(&home, &["forget", "--key", "order-2", "--yes"]);
            assert!(succeeds(&home, &["store", "stats"]).contains("in 1 segment"));
        }
    }
    assert!(sillage.stop().success());
}

#[test]
fn what_is_forgotten_is_gone_from_every_file_of_a_running_server_and_of_a_stopped_one() {
    let home = Home::new("");
    let sillage = home.serve();
    for (number, key) in [(1, "ada-lovelace-key"), (2, "bo-key"), (3, "cy-other-key")] {
        send(&home, number, key, &format!("kept-{key}"));
    }
    let data = home.data();
    let would = succeeds(&home, &["forget", "--key", "ada-lovelace-key"]);
    assert!(would.contains("1 entry would go") && would.contains("--yes"), "{would}");
    assert!(!folder::holding(&data, "ada-lovelace-key").is_empty(), "a dry run changes nothing");
    let trace = "01".repeat(16);
    let gone = succeeds(&home, &["forget", "--trace", &trace, "--yes"]);
    assert!(gone.contains("2 entries gone"), "{gone}");
    assert!(sillage.search_all("key:ada-lovelace-key").is_empty());
    assert_eq!(sillage.search_all("kept").len(), 4);
    assert_eq!(names(&folder::holding(&data, "ada-lovelace"), &data), [""; 0]);
    assert!(!folder::holding(&data, "kept-bo-key").is_empty(), "the rest stays");
    assert!(sillage.stop().success());
    // Nobody uses the folder any more: it is opened.
    let gone = succeeds(&home, &["forget", "--query", "bo-key", "--yes"]);
    assert!(gone.contains("gone"), "{gone}");
    assert_eq!(names(&folder::holding(&data, "bo-key"), &data), [""; 0]);
    assert!(!folder::holding(&data, "cy-other-key").is_empty(), "the rest stays");
    let journal = fs::read_to_string(data.join("journal")).unwrap();
    assert_eq!(journal.matches("forget ").count(), 4, "who forgot what kind of thing, twice: {journal}");
    assert!(journal.contains("command line"), "{journal}");
    fails(&home, &["forget", "--query", "flow:(status:dead)", "--yes"], "asks of whole flows");
}

#[test]
fn a_folder_is_copied_while_it_is_used_and_the_copy_opens() {
    let home = Home::new("");
    let sillage = home.serve();
    for number in 1..20 {
        send(&home, number, "k", &format!("kept-{number}"));
    }
    // Something in segments, something in the log.
    succeeds(&home, &["forget", "--query", "kept-19", "--yes"]);
    send(&home, 30, "k", "kept-30");
    let copy = home.file().with_file_name("copy");
    let told = succeeds(&home, &["store", "backup", copy.to_str().unwrap()]);
    assert!(told.contains("in the log"), "{told}");
    fails(&home, &["store", "backup", copy.to_str().unwrap()], "is not empty");
    fails(&home, &["store", "rebuild"], "in use by another process");
    let before = sillage.search_all("kept").len();
    assert!(succeeds(&home, &["store", "check"]).contains("whole"), "a folder in use can be checked");
    assert!(sillage.stop().success());
    fs::rename(home.data(), home.file().with_file_name("gone")).unwrap();
    fs::rename(&copy, home.data()).unwrap();
    let sillage = home.serve();
    assert_eq!(sillage.search_all("kept").len(), before);
    assert_eq!(before, 38);
    assert!(sillage.stop().success());
}

#[test]
fn a_damaged_index_is_told_and_made_anew_from_the_bodies() {
    let home = Home::new("");
    let sillage = home.serve();
    for number in 1..10 {
        send(&home, number, "k", &format!("kept-{number}"));
    }
    succeeds(&home, &["forget", "--query", "kept-9", "--yes"]);
    assert!(sillage.stop().success());
    assert!(succeeds(&home, &["store", "stats"]).contains("in 1 segment"));
    let segments = home.data().join("segments");
    let segment = fs::read_dir(&segments).unwrap().next().unwrap().unwrap().path();
    let terms = segment.join("terms");
    let mut bytes = fs::read(&terms).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0xff;
    fs::write(&terms, bytes).unwrap();
    fails(&home, &["store", "check"], "the checksum of `terms` is wrong");
    let told = succeeds(&home, &["store", "rebuild"]);
    assert!(told.contains("1 segment made anew, with 16 entries"), "{told}");
    assert!(succeeds(&home, &["store", "check"]).contains("every byte of it is whole"));
    let sillage = home.serve();
    assert_eq!(sillage.search_all("kept").len(), 16);
    assert!(sillage.stop().success());
}

#[test]
fn a_folder_that_is_none_or_newer_is_refused_with_words() {
    let home = Home::new("");
    for task in ["check", "stats", "rebuild"] {
        fails(&home, &["store", task], "there is no data folder");
    }
    fails(&home, &["forget", "--key", "a"], "there is no data folder");
    assert!(!home.data().exists(), "asking makes nothing");
}
