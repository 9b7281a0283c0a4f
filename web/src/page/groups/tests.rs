//! What somebody reads of all groups; groups to stand on the board for the other pages' tests.

use std::sync::Arc;

use store::Board;
use store::groups::{Clock, Member, PartitionLag, TimeLag, WaitingOn};

use super::*;
use crate::config::Config;
use crate::given::{Console, empty};

pub fn partition(number: i32, lag: u64, state: LagState) -> PartitionLag {
    let on = WaitingOn {
        offset: 10,
        at: Timestamp::now(),
        clock: Clock::Record,
        is_held: true,
        event_type: Some("OrderPlaced".to_owned()),
        key: Some("order-1".to_owned()),
    };
    PartitionLag {
        topic: "orders <b>".into(),
        partition: number,
        incarnation: store::position::Incarnation::default(),
        committed: Some(10),
        end: Some(10 + lag as i64),
        lag: Some(lag),
        time: if lag == 0 { TimeLag::Nothing } else { TimeLag::Waits { ms: 192_000, on } },
        state,
        owner: (number == 0).then_some(0),
    }
}

pub fn group(name: &str, state: LagState, partitions: Vec<PartitionLag>) -> GroupStatus {
    GroupStatus {
        source: "main".into(),
        group: name.to_owned(),
        state,
        broker_state: Some("Stable".to_owned()),
        protocol: Some("classic".to_owned()),
        assignor: Some("range".to_owned()),
        members: Some(vec![Member {
            id: "m-1".to_owned(),
            client_id: format!("{name}-1"),
            host: "/127.0.0.1".to_owned(),
        }]),
        partitions,
        trend: Some(6.1),
        unseen: None,
        at: Timestamp::now(),
    }
}

pub fn board() -> Arc<Board> {
    let board = Board::default();
    let behind = vec![partition(0, 1_204, LagState::FallingBehind), partition(1, 0, LagState::KeepingUp)];
    let mut never = group("never", LagState::NoCommit, Vec::new());
    never.partitions.push(PartitionLag {
        committed: None,
        lag: None,
        time: TimeLag::Unknown("nothing is committed"),
        ..partition(0, 5, LagState::NoCommit)
    });
    board.post_groups(
        &"main".into(),
        vec![
            group("analytics", LagState::FallingBehind, behind),
            group("billing", LagState::KeepingUp, vec![partition(0, 0, LagState::KeepingUp)]),
            never,
        ],
    );
    Arc::new(board)
}

#[tokio::test]
async fn each_group_says_how_it_stands_and_the_gravest_comes_first() {
    let page = Console::beside(empty(), board()).page("/groups").await;
    page.shows("analytics").shows("falling behind").shows("1,204").shows("3 min 12 s").shows("1 of 2");
    page.shows("no commit").shows("orders <b>");
    assert!(!page.body.contains("<b>analytics") || !page.body.contains("orders <b>"));
    let text = page.text();
    assert!(text.find("analytics").unwrap() < text.find("billing").unwrap());
}

#[tokio::test]
async fn groups_are_sorted_and_filtered_by_the_address() {
    let console = Console::beside(empty(), board());
    let text = console.page("/groups?sort=group").await.text();
    assert!(text.find("billing").unwrap() < text.find("never").unwrap());
    console.page("/groups?name=BILL").await.shows("billing").hides("analytics");
    console.page("/groups?name=nothing").await.shows("No group");
    console.page("/groups?state=noCommit").await.shows("never").hides("analytics");
    console.page("/groups?state=bad&sort=trend").await.shows("analytics").hides("never");
    console.page("/groups?source=other").await.shows("No group").hides("analytics");
    Console::over(empty()).page("/groups").await.shows("No consumer group");
}

#[tokio::test]
async fn a_group_without_a_commit_is_never_a_lag_of_zero_for_scripts_either() {
    let console = Console::beside(empty(), board());
    let all: serde_json::Value = serde_json::from_str(&console.get("/api/v1/groups").await.body).unwrap();
    let never = all["groups"].as_array().unwrap().iter().find(|group| group["group"] == "never").unwrap();
    assert_eq!((&never["state"], &never["lag"]), (&"noCommit".into(), &serde_json::Value::Null));
    let one: serde_json::Value =
        serde_json::from_str(&console.get("/api/v1/groups/main/analytics").await.body).unwrap();
    let partition = &one["groups"][0]["partitions"][0];
    assert_eq!((&partition["lag"], &partition["waitingOn"]["place"]), (&1_204.into(), &"0@10".into()));
    assert_eq!(console.get("/api/v1/groups/main/nobody").await.status, 404);
    let metrics = console.get("/metrics").await.body;
    assert!(
        metrics.contains("sillage_consumer_lag_records{source=\"main\",group=\"analytics\",topic=\"orders <b>\"} 1204"),
        "{metrics}"
    );
    assert!(!metrics.contains("sillage_consumer_lag_records{source=\"main\",group=\"never\""), "{metrics}");
}

#[tokio::test]
async fn what_was_seen_before_the_source_went_down_says_when_and_is_no_metric() {
    let board = board();
    let mut late = group("late", LagState::KeepingUp, vec![partition(0, 3, LagState::KeepingUp)]);
    late.source = "gone".into();
    late.at = Timestamp::now().minus(Duration::from_secs(600));
    board.post_groups(&"gone".into(), vec![late]);
    let console = Console::beside(empty(), board);
    console.page("/groups?source=gone").await.shows("late").shows("as of");
    console.page("/groups?source=main").await.hides("as of");
    let metrics = console.get("/metrics").await.body;
    assert!(!metrics.contains("group=\"late\"") && metrics.contains("group=\"analytics\""), "{metrics}");
}

#[tokio::test]
async fn a_switch_makes_the_metrics_tell_each_partition() {
    let config = Config { metrics_partitions: true, ..Config::default() };
    let metrics = Console::set(&config, empty(), board()).get("/metrics").await.body;
    let labels = "{source=\"main\",group=\"analytics\",topic=\"orders <b>\",partition=\"0\"}";
    assert!(metrics.contains(&format!("sillage_consumer_lag_records{labels} 1204")), "{metrics}");
    assert!(metrics.contains(&format!("sillage_consumer_lag_seconds{labels} 192")), "{metrics}");
}
