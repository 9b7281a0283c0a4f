//! What somebody reads of one group.

use std::sync::Arc;
use std::time::Duration;

use axum::http::StatusCode;
use store::Timestamp;
use store::groups::{Clock, LagState, TimeLag, WaitingOn};
use store::lag_series::{Change, Level, Mark, Move};

use crate::given::{Console, empty};
use crate::page::groups::tests::{board, group, partition};

#[tokio::test]
async fn each_partition_links_the_message_it_waits_on_and_says_who_owns_it() {
    let page = Console::beside(empty(), board()).page("/group/main/analytics").await;
    page.shows("lag 1,204 records, 3 min 12 s").shows("grows by 6.1 a second").shows("would never clear");
    page.shows("OrderPlaced order-1").shows("analytics-1 127.0.0.1").shows("nobody").shows("protocol classic, range");
    page.shows("all of it on orders <b> p0");
    assert!(page.body.contains("href=\"/record/main/orders%20%3Cb%3E/0%4010\""), "{}", page.body);
}

#[tokio::test]
async fn what_is_not_known_says_why() {
    let page = Console::beside(empty(), board()).page("/group/main/never?window=7d").await;
    page.shows("no commit").shows("nothing is committed").hides("lag 0");
}

#[tokio::test]
async fn a_record_that_is_not_kept_has_no_link_and_a_time_that_is_ours_says_so() {
    let board = board();
    let waits = |clock, is_held| {
        let on = WaitingOn { offset: 12, at: Timestamp::now(), clock, is_held, event_type: None, key: None };
        TimeLag::Waits { ms: 1_000, on }
    };
    let mut partitions = vec![partition(0, 5, LagState::Behind), partition(1, 5, LagState::Behind)];
    partitions[0].time = waits(Clock::Record, false);
    partitions[1].time = waits(Clock::Receipt, true);
    board.post_groups(&"other".into(), vec![group("far", LagState::Behind, partitions)]);
    let page = Console::beside(empty(), board).page("/group/other/far").await;
    page.shows("not kept here").shows("since we received it");
    assert!(!page.body.contains("0%4012") && page.body.contains("1%4012"), "{}", page.body);
}

#[tokio::test]
async fn the_chart_tells_the_course_as_a_table_too_and_what_happened_meanwhile() {
    let board = board();
    let (source, now) = ("main".into(), Timestamp::now());
    let ago = |seconds: u64| now.minus(Duration::from_secs(seconds));
    for seconds in (0..600).rev().step_by(10) {
        let level = Level { lag: Some(600 - seconds), lag_ms: Some(seconds * 1_000) };
        board.lags().add_level((&source, "analytics"), ago(seconds), level);
    }
    let moves = vec![Move { partition: 2, from: 48_000, to: 100 }];
    for (seconds, change) in
        [(400, Change::Members { joined: 0, left: 1 }), (100, Change::Reset { topic: "orders <b>".into(), moves })]
    {
        board.lags().mark((&source, "analytics"), Mark { at: ago(seconds), change });
    }
    let console = Console::beside(empty(), Arc::clone(&board));
    let page = console.page("/group/main/analytics").await;
    page.shows("Lag, records").shows("1 member left").shows("reset on orders <b>: the commit went back");
    page.shows("p2 from 48,000 to 100").shows("not known");
    assert!(page.body.contains("class=\"course\"") && !page.body.contains("orders <b>: the"), "{}", page.body);
    let answer = console.get("/api/v1/groups/main/analytics?window=1h").await.body;
    let group = &serde_json::from_str::<serde_json::Value>(&answer).unwrap()["groups"][0];
    let course = group["course"].as_array().unwrap();
    assert_eq!((course.len(), &course[0]["lag"]), (60, &serde_json::Value::Null));
    assert!(course[59]["lag"].as_u64() >= Some(590), "{course:?}");
    assert_eq!(group["marks"][0]["change"], "members");
    assert_eq!(group["marks"][1]["moves"], serde_json::json!([{"partition": 2, "from": 48_000, "to": 100}]));
    console.page("/group/main/analytics?of=time&window=1h").await.shows("Lag, time").shows("5 min");
}

#[tokio::test]
async fn a_group_that_nobody_knows_says_where_to_look() {
    let answer = Console::over(empty()).get("/group/main/nobody").await;
    assert_eq!(answer.status, StatusCode::NOT_FOUND);
    answer.shows("All consumer groups");
}
