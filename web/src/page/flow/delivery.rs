//! Who was delivered what, as rows, with a sentence where the state alone would mislead: committed is not processed.

use store::Timestamp;
use store::flow::{Commit, Delivery, DeliveryState, Flow};

use super::headline::Pill;
use crate::href::{Href, Links};
use crate::wording;

/// A wait from which on it is told beside the outcome: below, it is how brokers work.
const LATE_NANOS: u64 = 1_000_000_000;

/// A row of the deliveries' table.
pub struct DeliveryRow {
    pub consumer: String,
    /// The consumer group's page; `None` for a service.
    pub group: Option<Href>,
    pub event: String,
    pub place: String,
    pub pill: Pill,
    /// How many attempts are known; empty where only commits tell of it.
    pub attempts: String,
    /// How long the record lay in the broker before anybody began.
    pub waited: String,
    /// Whether that is what a reader came for: longer than the work, and than anybody would call at once.
    pub is_late: bool,
    pub took: String,
    pub error: String,
    /// What the commits of the group tell, in a sentence; empty where nothing needs saying.
    pub says: String,
}

impl DeliveryRow {
    /// Of a delivery.
    pub fn of(flow: &Flow, delivery: &Delivery, links: &Links, now: Timestamp) -> DeliveryRow {
        let nanos = |from: Timestamp, to: Timestamp| to.nanos_since(from).max(0).unsigned_abs();
        let written =
            flow.each_record().find(|record| record.position == delivery.position).map(|record| record.time());
        let worked = delivery.started_at.zip(delivery.ended_at).map(|(from, to)| nanos(from, to));
        let until = match delivery.state {
            DeliveryState::Waiting(_) => delivery.commit.map(|commit| commit.looked_at),
            _ => delivery.started_at,
        };
        let waited = written.zip(until).map(|(from, to)| nanos(from, to));
        DeliveryRow {
            waited: waited.map_or_else(String::new, wording::duration),
            is_late: waited.is_some_and(|waited| waited >= LATE_NANOS.max(worked.unwrap_or(0))),
            consumer: delivery.consumer.clone(),
            group: delivery.is_group.then(|| links.group(delivery.position.source.as_str(), &delivery.consumer)),
            event: delivery.event_type.clone().unwrap_or_default(),
            place: delivery.position.to_string(),
            pill: pill(delivery.state, delivery.attempts),
            attempts: if delivery.attempts == 0 { String::new() } else { delivery.attempts.to_string() },
            took: worked.map_or_else(String::new, wording::duration),
            error: delivery.error.clone().unwrap_or_default(),
            says: delivery.commit.map_or_else(String::new, |commit| says(delivery, &commit, now)),
        }
    }
}

fn pill(state: DeliveryState, attempts: u32) -> Pill {
    let tries = |word: &str| match attempts {
        0 | 1 => word.to_owned(),
        many => format!("{word} after {many} attempts"),
    };
    match state {
        DeliveryState::Waiting(Some(0)) => Pill::new("warn", "waiting, next in line"),
        DeliveryState::Waiting(Some(ahead)) => Pill::new("warn", &format!("waiting, {} ahead", wording::count(ahead))),
        DeliveryState::Waiting(None) => Pill::new("warn", "waiting"),
        DeliveryState::CommittedPast => Pill::new("", "committed past"),
        DeliveryState::Processed if attempts > 1 => Pill::new("ok", &format!("processed on attempt {attempts}")),
        DeliveryState::Processed => Pill::new("ok", "processed"),
        DeliveryState::Failed => Pill::new("bad", &tries("failed")),
        DeliveryState::Retrying => Pill::new("warn", "to be tried again"),
        DeliveryState::DeadLettered => Pill::new("bad", &tries("dead")),
        DeliveryState::Skipped => Pill::new("warn", "skipped"),
        DeliveryState::Unknown(_) => Pill::new("", "not known"),
    }
}

fn says(delivery: &Delivery, commit: &Commit, now: Timestamp) -> String {
    let looked_at = wording::clock_short(commit.looked_at, now);
    match (delivery.state, commit.stands) {
        (DeliveryState::Waiting(_), _) => format!("by what it had committed at {looked_at}"),
        (DeliveryState::CommittedPast, _) => {
            format!(
                "Committed past it {}. Committed is not processed: no span tells what came of it.",
                when(commit, now)
            )
        }
        (DeliveryState::Skipped, _) => {
            format!("The commit was set past it {}, while nobody was there to read it.", when(commit, now))
        }
        (DeliveryState::Unknown(why), _) => format!("{why}."),
        (DeliveryState::Failed, DeliveryState::CommittedPast | DeliveryState::Skipped) => {
            format!("Committed past it all the same {}: the group won't read it again.", when(commit, now))
        }
        (DeliveryState::Retrying, DeliveryState::Waiting(_)) => {
            format!("At {looked_at} the group had not committed past it: it reads it again.")
        }
        (DeliveryState::Processed, DeliveryState::Waiting(_)) => {
            format!("At {looked_at} it was not committed yet: a restart of the group would read it again.")
        }
        _ => String::new(),
    }
}

/// When the commit passed it: never an instant, for groups are only looked at every so often.
fn when(commit: &Commit, now: Timestamp) -> String {
    let clock = |at| wording::clock_short(at, now);
    match commit.passed {
        Some(passed) => match passed.after {
            Some(after) => format!("between {} and {}", clock(after), clock(passed.by)),
            None => format!("before {}, where its history begins", clock(passed.by)),
        },
        None => "at a time that its history doesn't tell".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::Value;
    use store::Board;
    use store::fixture::{at, group};
    use store::lag_series::{LagKey, LagSample};

    use crate::given::{Console, holding, order_journey};

    const RECORD: &str = "record/main/order.placed/3%4048213";

    /// Beside the consumers that spans tell of: analytics has yet to read the order, audit has committed past it, others only began.
    async fn console() -> Console {
        let board = Board::default();
        let reads = |name: &str, committed| group(name).reads("order.placed", 3, committed, 48_300);
        let key = |name: &str| LagKey {
            source: "main".into(),
            group: name.to_owned(),
            topic: "order.placed".into(),
            partition: 3,
        };
        for (seconds, committed) in [(50.0, 48_213), (60.0, 48_300)] {
            let sample = LagSample { at: at(seconds), committed: Some(committed), end: Some(48_300) };
            board.lags().add(&key("audit"), sample);
        }
        let groups = vec![
            reads("analytics", Some(47_009)).status(),
            reads("audit", Some(48_300)).status(),
            reads("inventory", Some(48_213)).status(),
            reads("newcomer", None).status(),
            reads("veteran", Some(48_300)).status(),
        ];
        board.post_groups(&"main".into(), groups);
        Console::beside(holding(order_journey()).await, Arc::new(board))
    }

    #[tokio::test]
    async fn each_group_says_whether_it_has_the_event_and_a_commit_is_never_taken_for_work() {
        let console = console().await;
        for path in [format!("/{RECORD}"), "/flow/f1000000000000000000000000000001?tab=deliveries".to_owned()] {
            let page = console.page(&path).await;
            page.shows("billing").shows("dead after 3 attempts");
            page.shows("waiting, 1,204 ahead").shows("by what it had committed at");
            page.shows("committed past Committed past it between");
            page.shows("14:00:50 and").shows("14:01:00. Committed is not processed: no span tells what came of it.");
            page.shows("at a time that its history doesn't tell");
            page.shows("a restart of the group would read it again");
            page.shows("not known the group has committed nothing on this partition.");
            assert!(page.body.contains("/group/main/analytics"), "a group leads to its page");
        }
    }

    #[tokio::test]
    async fn scripts_get_the_bounds_and_no_instant() {
        let console = console().await;
        let flow: Value = serde_json::from_str(&console.get(&format!("/api/v1/{RECORD}")).await.body).unwrap();
        let of = |consumer: &str| {
            let all = flow["deliveries"].as_array().unwrap();
            all.iter().find(|delivery| delivery["consumer"] == consumer).unwrap().clone()
        };
        let waiting = of("analytics");
        assert_eq!((&waiting["state"], &waiting["ahead"]), (&"waiting".into(), &1_204.into()));
        assert_eq!(waiting["commit"]["lookedAt"], "2026-11-23T14:01:00.000000000Z");
        let past = of("audit");
        assert_eq!((&past["state"], &past["startedAt"]), (&"committedPast".into(), &Value::Null));
        assert_eq!(past["commit"]["passedAfter"], "2026-11-23T14:00:50.000000000Z");
        assert_eq!(past["commit"]["passedBy"], "2026-11-23T14:01:00.000000000Z");
        let newcomer = of("newcomer");
        assert_eq!((&newcomer["state"], &newcomer["ahead"]), (&"unknown".into(), &Value::Null));
        assert!(newcomer["reason"].as_str().unwrap().contains("committed nothing"));
    }

    #[tokio::test]
    async fn what_waits_can_be_searched_for() {
        let console = console().await;
        for (query, many) in [("status:waiting", 1), ("status:waiting topic:stock.reserved", 0)] {
            let path = format!("/api/v1/search?q={}", query.replace(' ', "%20"));
            let found: Value = serde_json::from_str(&console.get(&path).await.body).unwrap();
            assert_eq!(found["entries"].as_array().unwrap().len(), many, "{query}");
        }
        let flow = "/api/v1/search?q=kind:log%20flow:(status:waiting)";
        let found: Value = serde_json::from_str(&console.get(flow).await.body).unwrap();
        assert_eq!(found["entries"].as_array().unwrap().len(), 2, "both logs are of a flow in which something waits");
        console.page("/flows?status=waiting").await.shows("order-48213");
        assert_eq!(console.get("/api/v1/live?q=status:waiting").await.status, 400);
    }

    #[tokio::test]
    async fn a_flow_that_only_waits_says_in_which_group_and_for_how_many() {
        let board = Board::default();
        board.post_groups(&"main".into(), vec![group("billing").reads("orders", 0, Some(30), 99).status()]);
        let placed = store::fixture::record("orders", 0, 42).event("OrderPlaced").trace(1).entry();
        let console = Console::beside(holding(vec![placed]).await, Arc::new(board));
        console.page("/record/main/orders/0%4042").await.shows("waiting in billing: 12 ahead");
    }
}
