//! What a person relies on when a flow says who has an event: a commit is never taken for work, and no time is made up.

use crate::board::Board;
use crate::checkpoint::Checkpoint;
use crate::entry::Entry;
use crate::fixture::{GroupFixture, at, group, record, span};
use crate::flow::{Delivery, DeliveryState, Flow, Outcome, Start, assemble};
use crate::groups::{Consumer, LagState};
use crate::lag_series::{Change, LagKey, LagSample, Mark, Move};
use crate::memory::Memory;
use crate::position::Place;
use crate::{Store, Timestamp};

/// `OrderPlaced` at offset 7, written at second 10.
fn placed() -> Entry {
    record("orders", 0, 7).event("OrderPlaced").id("event-0001").trace(1).at(10.0).entry()
}

fn reads(name: &str, committed: Option<i64>, end: i64) -> GroupFixture {
    group(name).reads("orders", 0, committed, end)
}

fn board(groups: Vec<GroupFixture>) -> Board {
    let board = Board::default();
    board.post_groups(&"main".into(), groups.into_iter().map(GroupFixture::status).collect());
    board
}

/// What the group had committed at looks 10 s apart, from second 0 on.
fn looked(board: &Board, name: &str, commits: &[i64]) {
    let key = LagKey { source: "main".into(), group: name.to_owned(), topic: "orders".into(), partition: 0 };
    for (number, committed) in (0..).zip(commits) {
        let at = at(f64::from(number) * 10.0);
        board.lags().add(&key, LagSample { at, committed: Some(*committed), end: Some(100) });
    }
}

async fn flow(entries: Vec<Entry>, board: &Board) -> Flow {
    let store = Memory::new();
    store.append(entries, Checkpoint::none("test".into())).await.unwrap();
    let place = Place::Offset { partition: 0, offset: 7 };
    let start = Start::Record { source: "main".into(), channel: "orders".into(), place };
    assemble(&store, board, start, at(3_600.0)).await.unwrap().unwrap()
}

fn of<'a>(flow: &'a Flow, consumer: &str) -> &'a Delivery {
    flow.deliveries.iter().find(|delivery| delivery.consumer == consumer).unwrap()
}

fn bounds(delivery: &Delivery) -> Option<(Option<Timestamp>, Timestamp)> {
    delivery.commit.unwrap().passed.map(|passed| (passed.after, passed.by))
}

#[tokio::test]
async fn an_event_waits_in_each_group_that_has_not_reached_it_with_what_is_ahead_of_it() {
    let board = board(vec![reads("analytics", Some(2), 9), reads("billing", Some(7), 9)]);
    let flow = flow(vec![placed()], &board).await;
    assert_eq!(of(&flow, "analytics").state, DeliveryState::Waiting(Some(5)));
    assert_eq!(of(&flow, "billing").state, DeliveryState::Waiting(Some(0)), "it is the next one");
    assert_eq!((of(&flow, "billing").attempts, of(&flow, "billing").is_group), (0, true));
    assert_eq!(flow.outcome, Outcome::Waiting);
}

#[tokio::test]
async fn a_commit_past_it_is_no_proof_of_work_and_its_time_lies_between_two_looks() {
    let board = board(vec![reads("billing", Some(9), 9)]);
    looked(&board, "billing", &[5, 5, 7, 9, 9]);
    let flow = flow(vec![placed()], &board).await;
    let delivery = of(&flow, "billing");
    assert_eq!(delivery.state, DeliveryState::CommittedPast);
    assert_eq!(bounds(delivery), Some((Some(at(20.0)), at(30.0))));
    assert_eq!((delivery.started_at, delivery.ended_at), (None, None));
    assert_eq!(flow.outcome, Outcome::Ok);
}

#[tokio::test]
async fn where_the_history_does_not_reach_no_time_is_made_up() {
    let board = board(vec![reads("billing", Some(9), 9), reads("audit", Some(9), 9)]);
    looked(&board, "billing", &[9, 9]);
    let flow = flow(vec![placed()], &board).await;
    assert_eq!(bounds(of(&flow, "billing")), Some((None, at(0.0))));
    assert_eq!((of(&flow, "audit").state, bounds(of(&flow, "audit"))), (DeliveryState::CommittedPast, None));
}

#[tokio::test]
async fn a_span_proves_more_than_a_commit() {
    let board = board(vec![reads("billing", Some(9), 9), reads("shipping", Some(3), 9)]);
    let worked = |service: &str| span(service, "process").consumed("orders", 0, 7).group(service).at(12.0);
    let entries = vec![placed(), worked("billing").entry(), worked("shipping").trace(2).id(9).entry()];
    let flow = flow(entries, &board).await;
    assert_eq!((of(&flow, "billing").state, of(&flow, "billing").attempts), (DeliveryState::Processed, 1));
    assert_eq!(of(&flow, "billing").commit.unwrap().stands, DeliveryState::CommittedPast);
    assert_eq!(of(&flow, "shipping").state, DeliveryState::Processed, "it was, and will be read again after a restart");
    assert_eq!(flow.outcome, Outcome::Ok);
}

#[tokio::test]
async fn what_failed_and_is_not_committed_is_read_again() {
    let failed =
        span("billing", "process").consumed("orders", 0, 7).group("billing").at(12.0).failed("declined").entry();
    let waits = board(vec![reads("billing", Some(7), 9)]);
    let again = flow(vec![placed(), failed.clone()], &waits).await;
    assert_eq!(of(&again, "billing").state, DeliveryState::Retrying);
    let gone = board(vec![reads("billing", Some(8), 9)]);
    assert_eq!(of(&flow(vec![placed(), failed.clone()], &gone).await, "billing").state, DeliveryState::Failed);
    let before = board(vec![reads("billing", Some(7), 9).looked_at(11.0)]);
    assert_eq!(of(&flow(vec![placed(), failed], &before).await, "billing").state, DeliveryState::Failed);
}

#[tokio::test]
async fn a_reset_past_it_while_nobody_was_there_skipped_it_and_a_replay_did_not() {
    let board = board(vec![reads("billing", Some(50), 100), reads("audit", Some(50), 100)]);
    for name in ["billing", "audit"] {
        let moves = vec![Move { partition: 0, from: 5, to: 50 }];
        looked(&board, name, if name == "billing" { &[3, 5, 50] } else { &[20, 5, 50] });
        let reset = Mark { at: at(20.0), change: Change::Reset { topic: "orders".into(), moves } };
        board.lags().mark((&"main".into(), name), reset);
    }
    let flow = flow(vec![placed()], &board).await;
    assert_eq!(of(&flow, "billing").state, DeliveryState::Skipped);
    assert_eq!(bounds(of(&flow, "billing")), Some((Some(at(10.0)), at(20.0))));
    assert_eq!(of(&flow, "audit").state, DeliveryState::CommittedPast, "it had been read before it was set back");
}

#[tokio::test]
async fn a_commit_on_a_topic_that_was_made_again_says_nothing_of_its_earlier_life() {
    let board = board(vec![reads("billing", Some(9), 9).incarnation(1)]);
    let old = flow(vec![placed()], &board).await;
    assert!(matches!(of(&old, "billing").state, DeliveryState::Unknown(why) if why.contains("made again")));
    // And the commits of its earlier life say nothing of what was written since.
    looked(&board, "billing", &[3, 9, 9]);
    let late = record("orders", 0, 7).incarnation(1).trace(1).at(600.0).entry();
    let new = flow(vec![late], &board).await;
    assert_eq!((of(&new, "billing").state, bounds(of(&new, "billing"))), (DeliveryState::CommittedPast, None));
}

#[tokio::test]
async fn what_can_not_be_said_is_not_guessed() {
    let mut silent = reads("silent", None, 9).status();
    silent.unseen = Some("grant DESCRIBE".to_owned());
    let mut below = reads("below", Some(1), 9).status();
    below.partitions[0].state = LagState::BelowStart;
    let since = reads("since", Some(5), 7).status();
    let elsewhere = group("elsewhere").reads("orders", 1, Some(4), 4).status();
    let board = Board::default();
    board.post_groups(&"main".into(), vec![below, elsewhere, reads("never", None, 9).status(), silent, since]);
    let flow = flow(vec![placed()], &board).await;
    for (name, part) in [
        ("below", "retention took records"),
        ("elsewhere", "committed nothing"),
        ("never", "committed nothing"),
        ("silent", "does not tell"),
        ("since", "after the group was last looked at"),
    ] {
        assert!(matches!(of(&flow, name).state, DeliveryState::Unknown(why) if why.contains(part)), "{name}");
    }
    assert_eq!(flow.outcome, Outcome::Ok);
}

#[tokio::test]
async fn a_copy_is_an_attempt_at_what_it_was_made_from_and_nothing_that_groups_wait_for() {
    let board = board(vec![reads("billing", Some(9), 9), group("watcher").reads("orders.DLT", 0, Some(0), 1)]);
    let dead = record("orders.DLT", 0, 0).id("event-0001").trace(1).dead("billing", "declined").from("orders", 0, 7);
    let flow = flow(vec![placed(), dead.at(13.0).entry()], &board).await;
    let told: Vec<(&str, DeliveryState)> =
        flow.deliveries.iter().map(|delivery| (delivery.consumer.as_str(), delivery.state)).collect();
    assert_eq!(told, [("billing", DeliveryState::DeadLettered)]);
    assert_eq!(flow.outcome, Outcome::DeadLettered);
}

#[tokio::test]
async fn a_service_is_a_group_only_where_something_says_so() {
    let groups =
        || vec![reads("billing-v2", Some(9), 9).member("billing-7"), reads("other", Some(9), 9).member("shared")];
    let worked = |client: &str| {
        let span = span("billing", "process").consumed("orders", 0, 7).client(client).at(12.0);
        vec![placed(), span.entry()]
    };
    let by_client = flow(worked("billing-7"), &board(groups())).await;
    assert_eq!(of(&by_client, "billing-v2").state, DeliveryState::Processed);
    assert_eq!(by_client.deliveries.len(), 2);

    let untied = flow(worked("somebody"), &board(groups())).await;
    assert_eq!((of(&untied, "billing").state, of(&untied, "billing").is_group), (DeliveryState::Processed, false));
    assert_eq!(of(&untied, "billing-v2").state, DeliveryState::CommittedPast);

    let tied = board(groups());
    tied.tie(&Consumer { service: "billing".to_owned(), group: "other".to_owned() });
    assert_eq!(of(&flow(worked("somebody"), &tied).await, "other").state, DeliveryState::Processed);
}

#[tokio::test]
async fn a_flow_on_topics_that_many_groups_read_tells_the_first_and_says_so() {
    let groups = (0..super::READINGS_MAX + 1).map(|number| reads(&format!("group-{number:05}"), Some(9), 9)).collect();
    let flow = flow(vec![placed()], &board(groups)).await;
    assert_eq!(flow.deliveries.len(), super::READINGS_MAX);
    assert!(flow.cut.as_deref().is_some_and(|cut| cut.contains("first 2000 deliveries")), "{:?}", flow.cut);
}
