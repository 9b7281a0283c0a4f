use bytes::Bytes;
use proptest::prelude::*;

use super::*;
use crate::checkpoint::Checkpoint;
use crate::fixture::record;
use crate::memory::Memory;
use crate::record::Header;
use crate::redrive::plan::{Given, plan};

const FOUR: &dyn Fn(&str) -> Option<u32> = &|_| Some(4);

fn letter(body: &str) -> Record {
    let letter = record("orders.DLT", 0, 4).key("order-1").body(body.to_owned());
    letter.header("traceparent", "00-a-b-01").dead("billing", "declined").from("orders", 1, 17).at(1.0).record()
}

fn planned(letter: &Record) -> Plan {
    let given =
        Given { letter, origin: None, retry_topic: None, to: None, partitions: FOUR, redrives_max: 3, sent_before: 0 };
    plan(&given).unwrap()
}

fn edit(before: &str, after: &str) -> Result<Option<Edit>, NotEdited> {
    let letter = letter(before);
    Edit::of(&letter.position, &planned(&letter), after.to_owned(), &Redaction::default())
}

/// What a browser sends of a form's field: every line's end is CR LF.
fn by_browser(text: &str) -> String {
    text.replace("\r\n", "\n").replace('\r', "\n").replace('\n', "\r\n")
}

proptest! {
    #[test]
    fn an_edit_changes_the_value_and_nothing_else(before in "[a-z{}\":, ]{1,40}", after in "\\PC{0,40}") {
        let letter = letter(&before);
        let plan = planned(&letter);
        match Edit::of(&letter.position, &plan, after.clone(), &Redaction::default()).unwrap() {
            None => prop_assert_eq!(before, after),
            Some(edit) => {
                let mut edited = plan.clone().edited(&edit);
                prop_assert_eq!(edited.value.as_deref(), Some(after.as_bytes()));
                edited.value.clone_from(&plan.value);
                prop_assert_eq!(edited, plan);
            }
        }
    }

    #[test]
    fn what_a_browser_sends_unchanged_is_what_it_was(lines in proptest::collection::vec("[a-c]{0,3}", 1..5), crlf in any::<bool>()) {
        let before = lines.join(if crlf { "\r\n" } else { "\n" });
        prop_assert_eq!(of_form(&by_browser(&before), &before).unwrap(), before);
    }
}

#[test]
fn a_form_that_would_change_the_ends_of_lines_is_refused() {
    for before in ["a\r\nb\nc", "a\rb"] {
        assert_eq!(of_form(&by_browser(before), before), Err(NotEdited::LineEnds), "{before:?}");
    }
    assert_eq!(of_form("a\r\nx", "a\r\nb").unwrap(), "a\r\nx");
    assert_eq!(of_form("a\r\nx", "b").unwrap(), "a\nx", "a line more than there was");
}

#[test]
fn what_can_not_be_edited_is_told() {
    let none = Redaction::default();
    let refused = |letter: &Record, redaction: &Redaction| {
        Edit::of(&letter.position, &planned(letter), "after".to_owned(), redaction).unwrap_err()
    };
    let null = Record { body: None, encoding: BodyEncoding::Null, ..letter("x") };
    assert_eq!(refused(&null, &none), NotEdited::Null);
    let avro = Record { encoding: BodyEncoding::Avro, ..letter("x") };
    assert_eq!(refused(&avro, &none), NotEdited::NoText("avro"));
    let framed = Record { body: Some(Bytes::from_static(b"\0\0\0\0\x07{}")), ..letter("x") };
    assert_eq!(refused(&framed, &none), NotEdited::NoText("binary"), "it would lose its schema's number");
    let long = "x".repeat(EDIT_BYTES_MAX + 1);
    assert_eq!(refused(&letter(&long), &none), NotEdited::TooLong);
    assert_eq!(edit("short", &long), Err(NotEdited::TooLong));
    assert_eq!(refused(&letter(r#"{"card":"[redacted]"}"#), &none), NotEdited::HasGaps);
    assert_eq!(refused(&letter("x"), &Redaction::new(true, |_| false)), NotEdited::HasGaps);
    assert_eq!(refused(&letter("x"), &Redaction::new(false, |value| value == b"after")), NotEdited::WouldHaveGaps);
    let hidden = Record { headers: vec![Header { name: "x".into(), value: Some("[redacted]".into()) }], ..letter("x") };
    assert_eq!(refused(&hidden, &none), NotEdited::HasGaps);
}

#[test]
fn json_that_would_no_longer_parse_is_a_warning() {
    let warned = |before, after| edit(before, after).unwrap().unwrap().warning();
    assert!(warned("{}", "{").unwrap().contains("isn't any more"));
    assert_eq!(warned("{}", "[1]"), None);
    assert_eq!(warned("plain", "{"), None);
}

/// A folder with the edit of one dead letter that is kept, and one of another that isn't.
async fn kept() -> (tempfile::TempDir, Memory, Journal, Edits) {
    let folder = tempfile::tempdir().unwrap();
    let (store, journal) = (Memory::new(), Journal::open(folder.path()).unwrap());
    store.append(vec![Entry::Record(letter("before"))], Checkpoint::none("main".into())).await.unwrap();
    let edits = Edits::beside(&journal);
    let edit = edit("before", "after: ada@example.org").unwrap().unwrap();
    edits.keep("18b2c09f3a1d", edit.clone()).await.unwrap();
    let mut gone = letter("before").position;
    gone.place = crate::Place::Offset { partition: 0, offset: 5 };
    edits.keep("18b2c09f3a1e", Edit { letter: SaidPosition::of(&gone), ..edit }).await.unwrap();
    (folder, store, journal, edits)
}

#[tokio::test]
async fn an_edit_goes_with_its_dead_letter_and_with_what_somebody_wants_forgotten() {
    let (folder, store, _journal, edits) = kept().await;
    assert_eq!(edits.get("18b2c09f3a1d").await.unwrap().unwrap().after, "after: ada@example.org");
    assert_eq!(edits.sweep(&store, None).await.unwrap(), 1, "its dead letter isn't kept");
    assert!(edits.get("18b2c09f3a1d").await.unwrap().is_some());
    assert_eq!(edits.sweep(&store, Some(&Query::parse("bo").unwrap())).await.unwrap(), 0);
    let ada = Query::parse("ada@example.org").unwrap();
    assert_eq!(edits.sweep(&store, Some(&ada)).await.unwrap(), 1, "a word that only the edit has");
    assert_eq!(file::names(&folder.path().join(FOLDER)).unwrap(), Vec::<String>::new());
}

#[tokio::test]
async fn what_is_being_written_is_left_and_what_a_crash_left_is_removed() {
    let (folder, store, journal, edits) = kept().await;
    let now = Timestamp::now().as_nanos();
    let path = |nanos: i64| folder.path().join(FOLDER).join(format!("{nanos:x}.new"));
    std::fs::write(path(now), b"half").unwrap();
    std::fs::write(path(1_000), b"half").unwrap();
    assert_eq!(look_through(folder.path()).unwrap().damaged, 2);
    assert_eq!(edits.sweep(&store, None).await.unwrap(), 2);
    assert!(path(now).exists() && !path(1_000).exists());
    drop(journal);
}

#[tokio::test]
async fn a_copy_of_the_folder_has_the_edits_and_a_newer_programs_are_refused() {
    let (folder, _store, _journal, edits) = kept().await;
    let copy_to = tempfile::tempdir().unwrap();
    assert_eq!(copy(folder.path(), copy_to.path()).unwrap().0, 2);
    let copied = Edits::beside(&Journal::open(copy_to.path()).unwrap());
    assert_eq!(copied.get("18b2c09f3a1d").await.unwrap(), edits.get("18b2c09f3a1d").await.unwrap());
    let newer = Edit { format: FORMAT + 1, ..edit("a", "b").unwrap().unwrap() };
    edits.keep("1", newer).await.unwrap();
    let refused = edits.get("1").await.unwrap_err().to_string();
    assert!(refused.contains("use that version"), "{refused}");
}
