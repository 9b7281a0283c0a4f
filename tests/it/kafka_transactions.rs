//! Transactions of a real Kafka: what readers of committed records wait for, and what was taken back.

use std::time::Duration;

use serde_json::Value;

use crate::rig::home::{Home, Sillage, encode};
use crate::rig::kafka::{self, Draft};
use crate::rig::until;

const PATIENCE: Duration = Duration::from_secs(40);

fn text(body: &str) -> Draft {
    Draft { value: Some(body.as_bytes().to_vec()), ..Draft::default() }
}

/// `(offset, body, transaction)` of the records of a topic, in order.
fn told(records: &[Value]) -> Vec<(i64, String, String)> {
    let text = |value: &Value| value.as_str().unwrap_or("none").to_owned();
    let offset = |record: &Value| record["position"]["place"]["offset"].as_i64().unwrap();
    let mut told: Vec<_> =
        records.iter().map(|record| (offset(record), text(&record["body"]), text(&record["transaction"]))).collect();
    told.sort();
    told
}

fn expected(records: &[(i64, &str, &str)]) -> Vec<(i64, String, String)> {
    records.iter().map(|(offset, body, fate)| (*offset, (*body).to_owned(), (*fate).to_owned())).collect()
}

fn transactions(sillage: &Sillage) -> Value {
    sillage.api("status")["sources"][0]["transactions"].clone()
}

#[test]
fn a_hanging_transaction_is_told_everywhere_and_nothing_is_lost_when_it_ends() {
    let kafka = kafka::shared();
    let topic = kafka.topic("hanging", 1);
    let home = Home::new(&kafka::source(kafka, &[&topic]));
    let sillage = home.serve();
    kafka.send(&topic, &[text("before"), text("before")]);
    let hanging = kafka.transaction(&topic, &[text("held"), text("held"), text("held")]);
    kafka.send(&topic, &[text("behind")]);
    let open = until("the transaction is seen", PATIENCE, || {
        transactions(&sillage).get(0).filter(|open| open["waiting"] == 4).cloned()
    });
    let number = |name: &str| open[name].as_i64().unwrap();
    assert_eq!(open["topic"], topic.as_str());
    assert_eq!((number("lastStableOffset"), number("highWatermark"), number("waiting")), (2, 6, 4), "{open}");
    assert_eq!(sillage.records_when(&topic, 2, PATIENCE).len(), 2, "readers of committed records wait");

    let waits = format!("readers of committed records wait at offset 2 of <code>{topic}</code> partition 0");
    until("the status page says so", PATIENCE, || sillage.get("/status").text().contains(&waits).then_some(()));
    assert!(sillage.get(&format!("/topic/main/{topic}")).text().contains(&waits));
    let metrics = sillage.get("/metrics").text();
    assert!(
        metrics.contains(&format!("sillage_uncommitted_records{{source=\"main\",topic=\"{topic}\"}} 4")),
        "{metrics}"
    );
    assert!(metrics.contains("sillage_open_transaction_seconds{"), "{metrics}");
    sillage.await_log("a transaction has been open for more than 10 s");

    hanging.commit();
    let records = sillage.records_when(&topic, 6, PATIENCE);
    assert_eq!(records.len(), 6);
    until("it is over", PATIENCE, || (transactions(&sillage) == serde_json::json!([])).then_some(()));
}

#[test]
fn shown_transactions_mark_what_is_open_and_what_was_aborted() {
    let kafka = kafka::shared();
    let topic = kafka.topic("shown", 1);
    let home = Home::new(&format!("{}transactions = \"show\"\n", kafka::source(kafka, &[&topic])));
    let sillage = home.serve();
    kafka.transact(&topic, &[text("taken back"), text("taken back")], false);
    kafka.transact(&topic, &[text("committed")], true);
    kafka.send(&topic, &[text("plain")]);
    let open = kafka.transaction(&topic, &[text("undecided"), text(r#"{"password":"hunter2"}"#)]);
    let decided =
        [(0, "taken back", "aborted"), (1, "taken back", "aborted"), (3, "committed", "none"), (5, "plain", "none")];
    assert_eq!(told(&sillage.records_when(&topic, 4, PATIENCE)), expected(&decided));
    assert_eq!(sillage.search_all(&format!("status:aborted topic:{topic}")).len(), 2);

    // What is open is shown beside what is kept, and what nobody may read of it isn't.
    let search = format!("search?q={}", encode(&format!("topic:{topic}")));
    let shown = until("what is open is shown", PATIENCE, || {
        let shown = sillage.api(&search)["open"].clone();
        (shown.as_array().unwrap().len() == 2).then_some(shown)
    });
    assert_eq!((&shown[0]["body"], &shown[0]["transaction"]), (&"undecided".into(), &"open".into()));
    let page = sillage.get(&format!("/topic/main/{topic}")).text();
    assert!(page.contains("Not committed yet") && page.contains("undecided"), "{page}");
    assert!(!shown.to_string().contains("hunter2") && !page.contains("hunter2"));
    assert_eq!(
        told(&sillage.records_when(&topic, 4, PATIENCE)),
        expected(&decided),
        "it is not kept before it is decided"
    );

    open.abort();
    let mut all = sillage.records_when(&topic, 6, PATIENCE);
    assert_eq!(told(&all)[4], (6, "undecided".to_owned(), "aborted".to_owned()));
    until("nothing is open", PATIENCE, || (sillage.api(&search)["open"] == serde_json::json!([])).then_some(()));

    // A restart finds what was aborted at the end of the log, and keeps nothing twice.
    std::thread::sleep(Duration::from_secs(4));
    sillage.stop();
    let sillage = home.serve();
    kafka.transact(&topic, &[text("after")], true);
    let again = sillage.records_when(&topic, 7, PATIENCE);
    all.push(again.iter().find(|record| record["body"] == "after").unwrap().clone());
    assert_eq!(told(&again), told(&all));
    assert!(again.iter().all(|record| record["copies"] == 1), "{again:?}");
}

#[test]
fn many_transactions_under_load_are_told_apart_to_the_last_record() {
    let kafka = kafka::shared();
    let topic = kafka.topic("mixed", 3);
    let home = Home::new(&format!("{}transactions = \"show\"\n", kafka::source(kafka, &[&topic])));
    let sillage = home.serve();
    let (mut kept, mut taken_back) = (0, 0);
    for round in 0..12 {
        let commits = round % 3 != 0;
        let body = if commits { "kept" } else { "taken back" };
        let drafts: Vec<Draft> = (0..40).map(|number| Draft { partition: Some(number % 3), ..text(body) }).collect();
        kafka.transact(&topic, &drafts, commits);
        kafka.send(&topic, &vec![text("kept"); 10]);
        kept += 10 + if commits { 40 } else { 0 };
        taken_back += if commits { 0 } else { 40 };
    }
    let records = sillage.records_when(&topic, kept + taken_back, PATIENCE);
    let fates: Vec<(String, String)> = told(&records).into_iter().map(|(_, body, fate)| (body, fate)).collect();
    let expected = kafka::tally(
        [(("kept".to_owned(), "none".to_owned()), kept), (("taken back".to_owned(), "aborted".to_owned()), taken_back)]
            .into_iter()
            .flat_map(|(fate, count)| vec![fate; count]),
    );
    assert_eq!(kafka::tally(fates), expected);
}
