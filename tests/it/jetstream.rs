//! NATS JetStream beside Kafka: the same pages over another broker's own coordinates.

use std::process::Command;
use std::time::Duration;

use async_nats::HeaderMap;
use async_nats::jetstream::{self, stream};
use futures_util::TryStreamExt;
use serde_json::json;

use crate::rig::home::{Home, free_port};
use crate::rig::kafka::block_on;
use crate::rig::{parts, unique};

/// A nats-server of the test's own.
struct Nats {
    folder: tempfile::TempDir,
    url: String,
}

impl Nats {
    fn start() -> Nats {
        let (folder, port) = (tempfile::tempdir().unwrap(), free_port());
        let mut command = Command::new(parts::script("nats"));
        command
            .env("SILLAGE_OWNER", std::process::id().to_string())
            .arg("start")
            .arg(folder.path())
            .arg(port.to_string());
        parts::run(&mut command);
        Nats { folder, url: format!("nats://127.0.0.1:{port}") }
    }
}

impl Drop for Nats {
    fn drop(&mut self) {
        let _ = Command::new(parts::script("nats")).arg("stop").arg(self.folder.path()).status();
    }
}

#[test]
fn a_stream_is_read_without_a_consumer_left_behind_and_joins_the_flow() {
    let nats = Nats::start();
    let trace = hex::encode(rand::random::<[u8; 16]>());
    let events: Vec<String> = (0..20).map(|_| unique("event")).collect();
    let publish = |ids: Vec<String>, trace: String, url: String| async move {
        let context = jetstream::new(async_nats::connect(url).await.unwrap());
        let config = stream::Config { name: "ORDERS".into(), subjects: vec!["orders.>".into()], ..Default::default() };
        context.get_or_create_stream(config).await.unwrap();
        for id in ids {
            let mut headers = HeaderMap::new();
            headers.insert("traceparent", format!("00-{trace}-00f067aa0ba902b7-01"));
            headers.insert("Nats-Msg-Id", id.as_str());
            let body = json!({"eventId": id, "eventType": "OrderPlaced", "producer": "shop"}).to_string();
            context.publish_with_headers("orders.placed", headers, body.into()).await.unwrap().await.unwrap();
        }
    };
    block_on(publish(events[..10].to_vec(), trace.clone(), nats.url.clone()));

    let home = Home::new(&format!(
        "[[source]]\nname = \"stream\"\ntype = \"nats\"\nurl = {:?}\nfrom = \"earliest\"\n",
        nats.url
    ));
    let sillage = home.serve();
    let flow =
        sillage.flow_when(&trace, "ten records", |flow| flow["records"].as_array().is_some_and(|all| all.len() == 10));
    let mut sequences: Vec<u64> = flow["records"]
        .as_array()
        .unwrap()
        .iter()
        .map(|record| record["position"]["place"]["sequence"].as_u64().unwrap())
        .collect();
    sequences.sort_unstable();
    assert_eq!(sequences, (1..=10).collect::<Vec<u64>>());

    // What comes while it runs, and what comes while it is down: each once.
    block_on(publish(events[10..15].to_vec(), trace.clone(), nats.url.clone()));
    sillage.flow_when(&trace, "15 records", |flow| flow["records"].as_array().is_some_and(|all| all.len() == 15));
    sillage.stop();
    block_on(publish(events[15..].to_vec(), trace.clone(), nats.url.clone()));
    let sillage = home.serve();
    let flow =
        sillage.flow_when(&trace, "20 records", |flow| flow["records"].as_array().is_some_and(|all| all.len() >= 20));
    let mut found: Vec<&str> =
        flow["records"].as_array().unwrap().iter().map(|record| record["eventId"].as_str().unwrap()).collect();
    found.sort_unstable();
    let mut expected: Vec<&str> = events.iter().map(String::as_str).collect();
    expected.sort_unstable();
    assert_eq!(found, expected);

    sillage.stop();
    let left: Vec<String> = block_on(async {
        tokio::time::sleep(Duration::from_millis(200)).await;
        let context = jetstream::new(async_nats::connect(&nats.url).await.unwrap());
        let stream = context.get_stream("ORDERS").await.unwrap();
        stream.consumer_names().try_collect().await.unwrap()
    });
    assert_eq!(left, Vec::<String>::new(), "no durable consumer is left on the stream");
}
