use std::sync::Arc;

use super::plan::Target;
use super::*;
use crate::board::{ChannelStatus, SourceState, SourceStatus};
use crate::dead_letters::Dismissals;
use crate::entry::Entry;
use crate::fixture::{at, group, record};
use crate::memory::Memory;
use crate::{Checkpoint, Timestamp};

fn board() -> Board {
    let channel =
        |name: &str| ChannelStatus { channel: name.to_owned(), partitions: 4, records: None, bounds: Arc::default() };
    let board = Board::default();
    board.post(SourceStatus {
        name: "main".into(),
        kind: "kafka".to_owned(),
        address: String::new(),
        state: SourceState::Up,
        error: None,
        since: Timestamp::default(),
        behind_ms: None,
        received: 0,
        channels: ["orders", "orders.DLT", "orders-retry"].map(channel).to_vec(),
        unseen: Vec::new(),
        transactions: Vec::new(),
    });
    board
}

fn dead(offset: i64) -> Entry {
    let letter = record("orders.DLT", 0, offset).key("order-1").body("as the dead letter has it");
    letter.dead("billing", "declined").from("orders", 3, 17).at(3.0).entry()
}

async fn run(entries: Vec<Entry>, board: &Board, wish: &Wish) -> DryRun {
    let store = Memory::new();
    store.append(entries, Checkpoint::none("main".into())).await.unwrap();
    let decided = Decided { dismissals: &Dismissals::default(), redrives: &Redrives::default() };
    dry_run(&store, board, decided, &Config::default(), wish).await.unwrap()
}

#[tokio::test]
async fn other_groups_that_processed_the_origin_are_named_since_they_get_it_again() {
    let board = board();
    let origin = record("orders", 3, 17).key("order-1").body("as it was").at(1.0).entry();
    let unknown = run(vec![origin.clone(), dead(0)], &board, &Wish::default()).await;
    assert_eq!(unknown.items[0].again, None, "no group was looked at yet");
    let groups = [("billing", 18), ("shipping", 18), ("analytics", 17)];
    let groups = groups.map(|(name, committed)| group(name).reads("orders", 3, Some(committed), 20).status());
    board.post_groups(&"main".into(), groups.to_vec());
    let found = run(vec![origin, dead(0)], &board, &Wish::default()).await;
    let [item] = &found.items[..] else { panic!("one dead letter") };
    let plan = item.outcome.as_ref().unwrap();
    assert_eq!((plan.topic.as_str(), plan.partition, plan.target), ("orders", 3, Target::OriginTopic));
    assert_eq!(plan.value.as_deref(), Some(&b"as it was"[..]), "the origin's own bytes");
    assert_eq!(item.again.as_deref(), Some(&["shipping".to_owned()][..]));
}

#[tokio::test]
async fn what_stands_where_the_origin_was_before_the_topic_was_made_again_is_not_sent() {
    let another = record("orders", 3, 17).key("order-2").body("of its next life").at(1.0).entry();
    let found = run(vec![another, dead(0)], &board(), &Wish::default()).await;
    let plan = found.items[0].outcome.as_ref().unwrap();
    assert_eq!(plan.value.as_deref(), Some(&b"as the dead letter has it"[..]));
}

#[tokio::test]
async fn only_the_failed_groups_own_retry_topic_is_a_target() {
    let board = board();
    let retry = |name| record("orders-retry", 0, 1).retry(name, 1).from("orders", 3, 17).at(2.0).entry();
    for (name, topic) in [("billing", "orders-retry"), ("shipping", "orders")] {
        let found = run(vec![retry(name), dead(0)], &board, &Wish::default()).await;
        let plan = found.items[0].outcome.as_ref().unwrap();
        assert_eq!(plan.topic, topic, "{name}");
        assert!(!plan.is_of_origin, "it isn't kept");
    }
}

#[tokio::test]
async fn a_topic_that_is_gone_stands_in_the_way() {
    let board = board();
    let lost = record("lost.DLT", 0, 1).dead("billing", "declined").from("lost", 0, 1).at(4.0).entry();
    let found = run(vec![lost.clone(), dead(0)], &board, &Wish::default()).await;
    assert_eq!(found.items[0].outcome, Err(Obstacle::UnknownTopic("lost".to_owned())));
    assert!(found.items[1].outcome.is_ok(), "the others are not kept back");
    let wish = Wish { to: Some("orders".to_owned()), ..Wish::default() };
    let found = run(vec![lost], &board, &wish).await;
    assert_eq!(found.items[0].outcome.as_ref().unwrap().target, Target::Named);
    assert_eq!(found.items[0].letter.died_at, at(4.0));
}
