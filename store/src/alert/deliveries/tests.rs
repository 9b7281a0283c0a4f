use super::*;

async fn write(journal: &Journal, id: &str, says: &Outbox) {
    journal.append(LineKind::Outbox, id, "sillage", says).await.unwrap();
}

fn told(webhook: &str) -> Outbox {
    Outbox::Told(test_notification(webhook, true, Timestamp::from_millis(0)))
}

const AGAIN: Outbox = Outbox::Again { after: None };

fn failed(number: u32, next_at: Option<&str>) -> Outbox {
    let next_at = next_at.map(str::to_owned);
    Outbox::Attempted(Attempt { number, took_ms: 1, status: Some(500), says: "no".to_owned(), next_at })
}

fn waiting(deliveries: &Deliveries) -> Vec<String> {
    deliveries.waiting("ops").iter().map(|delivery| delivery.id.clone()).collect()
}

#[tokio::test]
async fn what_was_told_waits_until_it_ended_also_over_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let journal = Journal::open(folder.path()).unwrap();
    let deliveries = Deliveries::default();
    write(&journal, "a", &told("ops")).await;
    write(&journal, "b", &told("ops")).await;
    write(&journal, "c", &told("other")).await;
    deliveries.catch_up(&journal).await.unwrap();
    write(&journal, "a", &failed(1, Some("2026-11-26T02:00:05Z"))).await;
    write(&journal, "b", &Outbox::Ended(Ended::Delivered)).await;
    deliveries.catch_up(&journal).await.unwrap();
    let again = Deliveries::default();
    again.catch_up(&Journal::open(folder.path()).unwrap()).await.unwrap();
    for deliveries in [&deliveries, &again] {
        assert_eq!(waiting(deliveries), ["a"]);
        let first = deliveries.of("a").unwrap();
        assert_eq!((first.state(), first.tries), (DeliveryState::Retrying, 1));
        assert_eq!(first.due(), Timestamp::from_rfc3339("2026-11-26T02:00:05Z"));
        assert_eq!(deliveries.of("b").unwrap().state().as_str(), "delivered");
        assert_eq!(deliveries.of("c").unwrap().state(), DeliveryState::Waiting);
        let newest = deliveries.newest(u64::MAX, 2, |_| true);
        assert_eq!(newest.iter().map(|delivery| delivery.id.as_str()).collect::<Vec<_>>(), ["c", "b"]);
    }
}

#[tokio::test]
async fn what_is_wanted_once_more_begins_its_schedule_anew_and_counts_its_attempts_on() {
    let folder = tempfile::tempdir().unwrap();
    let journal = Journal::open(folder.path()).unwrap();
    for line in [told("ops"), failed(1, None), Outbox::Ended(Ended::GaveUp), AGAIN] {
        write(&journal, "a", &line).await;
    }
    write(&journal, "never told", &AGAIN).await;
    let deliveries = Deliveries::default();
    deliveries.catch_up(&journal).await.unwrap();
    let delivery = deliveries.of("a").unwrap();
    assert_eq!(
        (waiting(&deliveries), delivery.state(), delivery.tries),
        (vec!["a".to_owned()], DeliveryState::Waiting, 0)
    );
    assert_eq!((delivery.attempts.len(), delivery.due()), (1, Some(delivery.asked_at)));
    assert!(delivery.asked_at > delivery.at);
}

#[tokio::test]
async fn what_is_wanted_twice_by_who_saw_the_same_is_sent_once() {
    let folder = tempfile::tempdir().unwrap();
    let journal = Journal::open(folder.path()).unwrap();
    let deliveries = Deliveries::default();
    let after = |after| Outbox::Again { after: Some(after) };
    for line in [told("ops"), failed(1, None), Outbox::Ended(Ended::GaveUp), after(1), after(1)] {
        write(&journal, "a", &line).await;
    }
    deliveries.catch_up(&journal).await.unwrap();
    assert_eq!(waiting(&deliveries), ["a"]);
    for line in [failed(2, None), Outbox::Ended(Ended::Delivered), after(1)] {
        write(&journal, "a", &line).await;
    }
    deliveries.catch_up(&journal).await.unwrap();
    assert_eq!(deliveries.of("a").unwrap().state(), DeliveryState::Ended(Ended::Delivered), "it was sent since");
    write(&journal, "a", &after(2)).await;
    deliveries.catch_up(&journal).await.unwrap();
    assert_eq!(waiting(&deliveries), ["a"], "wanted by who saw that it was sent");
}

#[tokio::test]
async fn of_what_ended_the_newest_are_held_and_of_what_waits_everything() {
    let folder = tempfile::tempdir().unwrap();
    let journal = Journal::open(folder.path()).unwrap();
    let mut held = Held::default();
    write(&journal, "waits", &told("ops")).await;
    write(&journal, "ends", &told("ops")).await;
    write(&journal, "ends", &Outbox::Ended(Ended::GaveUp)).await;
    let lines = journal.replay(0).unwrap();
    held.take(&lines[0]);
    for number in 0..ENDED_MAX as u64 + 10 {
        for line in &lines[1..] {
            held.take(&Line { number: number + 2, about: format!("ends-{number}"), ..line.clone() });
        }
    }
    assert_eq!((held.ended.len(), held.by_number.len(), held.by_id.len()), (ENDED_MAX, ENDED_MAX + 1, ENDED_MAX + 1));
    assert!(held.by_id.contains_key("waits") && !held.by_id.contains_key("ends-9"));
    let bytes: usize = held.ended.iter().map(|number| held.by_number[number].bytes).sum();
    assert_eq!(held.ended_bytes, bytes);
}
