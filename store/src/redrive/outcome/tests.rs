use super::*;
use crate::entry::Entry;
use crate::fixture::{at, group, record};
use crate::memory::Memory;
use crate::redrive::ledger::{Course, Message};
use crate::redrive::said::Asked;
use crate::{Checkpoint, Timestamp};

/// A redrive that sent so many messages to `orders`, partition 0, from offset 100 on.
fn redrive(many: usize) -> Redrive {
    let target = Target { topic: "orders".to_owned(), partition: 0, end: 100, group: Some("billing".to_owned()) };
    let message = |number: usize| Message {
        letter: record("orders.DLT", 0, number as i64).record().position,
        step: Step::There { target: target.clone(), offset: 100 + number as i64, at: at(1.0) },
    };
    Redrive {
        id: "18b2c09f3a1d".to_owned(),
        by: "ops".to_owned(),
        at: at(0.0),
        asked: Asked { messages: many, ..Asked::default() },
        messages: (0..many).map(message).collect(),
        course: Course::Finished,
        resumed: 0,
        is_closed: true,
        changed_at: at(1.0),
    }
}

#[tokio::test]
async fn what_was_sent_back_is_processed_waiting_or_dead_again() {
    let store = Memory::new();
    let dead = |offset| record("orders.DLT", 0, offset).dead("billing", "declined").at(5.0);
    let entries = vec![
        // By its origin.
        dead(50).from("orders", 0, 101).entry(),
        // By its header: written by hand, without its origin.
        dead(51).header("sillage-redrive-id", "18b2c09f3a1d/2").entry(),
        // Tried again: the group isn't past it yet on the retry topic.
        record("orders.retry", 0, 7).retry("billing", 1).from("orders", 0, 103).at(5.0).entry(),
        // Of other redrives, and of none.
        dead(52).header("sillage-redrive-id", "18b2c09f3a1d0/4").entry(),
        dead(53).from("orders", 1, 104).entry(),
        // Of an earlier life of the topic.
        Entry::Record(Record { received_at: Timestamp::default(), ..dead(54).from("orders", 0, 100).record() }),
    ];
    store.append(entries, Checkpoint::none("main".into())).await.unwrap();
    let board = Board::default();
    let redrive = redrive(6);
    let untold = follow(&store, &board, &redrive).await.unwrap();
    assert_eq!(untold.to_string(), "6 redriven: 2 dead again, 4 not known", "no group was looked at yet");
    let billing = group("billing").reads("orders", 0, Some(105), 106).reads("orders.retry", 0, Some(7), 8);
    let other = group("other").reads("orders", 0, Some(0), 106);
    board.post_groups(&"main".into(), vec![billing.status(), other.status()]);
    let told = follow(&store, &board, &redrive).await.unwrap();
    assert_eq!(told.to_string(), "6 redriven: 2 processed, 2 waiting, 2 dead again");
    assert_eq!(told.by_number[&2], After::DeadAgain(record("orders.DLT", 0, 51).record().position));
    assert_eq!(told.by_number[&3], After::Waiting, "it is tried again");
    assert_eq!(told.by_number[&5], After::Waiting);
}
