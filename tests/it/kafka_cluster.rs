//! A cluster of three brokers that loses one.

use std::time::Duration;

use crate::rig::cluster::{self, Cluster};
use crate::rig::home::Home;
use crate::rig::kafka::{Draft, tally};
use crate::rig::until;

const PATIENCE: Duration = Duration::from_secs(90);

/// How many leaders are killed; more of them at night.
fn kills() -> usize {
    std::env::var("IT_LEADER_KILLS").map_or(1, |many| many.parse().expect("IT_LEADER_KILLS is a number"))
}

#[test]
fn a_killed_leader_costs_no_record_and_doubles_none() {
    let cluster = Cluster::start("three");
    let topic = cluster.kafka.topic("led", 3);
    let home = Home::new(&cluster::source(&cluster, &[&topic]));
    let sillage = home.serve();
    let sender = cluster.kafka.sender();
    let mut sent = Vec::new();
    let mut send = |many: usize| {
        let first = sent.len();
        let drafts: Vec<Draft> = (first..first + many)
            .map(|number| Draft {
                partition: Some((number % 3) as i32),
                value: Some(format!("record {number}").into_bytes()),
                ..Draft::default()
            })
            .collect();
        sender.send(&topic, &drafts);
        sent.extend((first..first + many).map(|number| format!("record {number}")));
        sent.len()
    };
    for _ in 0..kills() {
        let count = send(300);
        sillage.records_when(&topic, count, PATIENCE);
        let leader = until("somebody leads", PATIENCE, || cluster.leader(&topic, 0));
        cluster.kill(leader);
        // The producer waits for the next leader, and so do we.
        send(300);
        until("another one leads", PATIENCE, || cluster.leader(&topic, 0).filter(|now| *now != leader));
        let count = send(300);
        sillage.records_when(&topic, count, PATIENCE);
        cluster.again(leader);
        send(60);
    }
    let entries = sillage.records_when(&topic, sent.len(), PATIENCE);
    assert!(entries.iter().all(|record| record["copies"] == 1 && record["position"]["incarnation"] == 0));
    assert_eq!(tally(entries.iter().map(|record| record["body"].as_str().unwrap().to_owned())), tally(sent));
    let status = sillage.api("status")["sources"][0].clone();
    assert_eq!((&status["state"], &status["unseen"]), (&"up".into(), &serde_json::json!([])), "{status}");
    cluster.down();
}
