use super::*;
use crate::fixture::record;
use crate::redrive::said::{Sending, Told};

fn letters(many: i64) -> Vec<Position> {
    (0..many).map(|offset| record("orders.DLT", 0, offset).record().position).collect()
}

async fn say(journal: &Journal, id: &str, said: Said) {
    said.append(journal, id, "ops").await.unwrap();
}

#[tokio::test]
async fn what_became_of_each_message_is_known_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let journal = Journal::open(folder.path()).unwrap();
    let redrives = Redrives::read(&journal).unwrap();
    let asked = Asked { rate: 20, again: vec!["shipping".to_owned()], ..Asked::default() };
    let id = redrives.ask(&journal, asked, &letters(200), None, "ops").await.unwrap();
    let sending = |number| Sending { number, topic: "orders".to_owned(), partition: 3, end: 17, group: None };
    say(&journal, &id, Said::Sending { messages: (0..4).map(sending).collect() }).await;
    let fates = [
        Sent::There { offset: 18 },
        Sent::Refused { why: "too large".to_owned() },
        Sent::Unknown { why: "retention".to_owned() },
    ];
    let told = (0..).zip(fates).map(|(number, fate)| Told { number, fate }).collect();
    say(&journal, &id, Said::Told { messages: told }).await;
    say(&journal, &id, Said::Paused { why: String::new() }).await;
    redrives.catch_up(&journal).await.unwrap();
    drop(journal);
    let again = Redrives::read(&Journal::open(folder.path()).unwrap()).unwrap();
    let redrive = again.get(&id).unwrap();
    assert_eq!(redrives.get(&id).unwrap(), redrive);
    assert_eq!((redrive.messages.len(), redrive.by.as_str(), redrive.asked.rate), (200, "ops", 20));
    assert_eq!(redrive.course, Course::Paused { by: "ops".to_owned(), why: String::new() });
    let target = Target { topic: "orders".to_owned(), partition: 3, end: 17, group: None };
    assert!(matches!(&redrive.messages[0].step, Step::There { offset: 18, target: at, .. } if *at == target));
    assert_eq!(redrive.messages[1].step, Step::Refused("too large".to_owned()));
    assert_eq!(redrive.messages[3].step, Step::Sending(target));
    assert_eq!(redrive.progress(), Progress { waiting: 197, sent: 1, refused: 1, unknown: 1 });
    assert_eq!(again.sent(&letters(1)[0]).0, 1);
    assert_eq!(again.sent(&letters(2)[1]), (0, None), "it was not sent");
}

#[tokio::test]
async fn one_that_was_not_written_down_whole_never_begins() {
    let folder = tempfile::tempdir().unwrap();
    let journal = Journal::open(folder.path()).unwrap();
    say(&journal, "1", Said::Asked(Asked { messages: 2, ..Asked::default() })).await;
    let one = Letters(letters(1).iter().map(SaidPosition::of).collect());
    say(&journal, "1", Said::Letters { letters: one.clone() }).await;
    say(&journal, "1", Said::Resumed).await;
    let redrives = Redrives::read(&journal).unwrap();
    assert_eq!(redrives.get("1").unwrap().course, Course::Incomplete);
    say(&journal, "1", Said::Letters { letters: one }).await;
    redrives.catch_up(&journal).await.unwrap();
    assert_eq!(redrives.get("1").unwrap().course, Course::Going);
}

#[tokio::test]
async fn what_was_cancelled_goes_on_no_more() {
    let folder = tempfile::tempdir().unwrap();
    let journal = Journal::open(folder.path()).unwrap();
    let redrives = Redrives::default();
    let id = redrives.ask(&journal, Asked::default(), &letters(1), None, "ops").await.unwrap();
    for said in [Said::Paused { why: String::new() }, Said::Resumed, Said::Cancelled, Said::Resumed] {
        say(&journal, &id, said).await;
    }
    redrives.catch_up(&journal).await.unwrap();
    let redrive = redrives.get(&id).unwrap();
    assert_eq!((&redrive.course, redrive.resumed), (&Course::Cancelled { by: "ops".to_owned() }, 1));
}
