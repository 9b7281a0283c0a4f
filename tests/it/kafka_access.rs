//! A broker that wants to know who we are, and what is said where it doesn't let us in.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};
use serde_json::Value;

use crate::rig::home::{Home, Sillage, free_address};
use crate::rig::kafka::Draft;
use crate::rig::secure::{self, PASSWORD, USER, source};
use crate::rig::{unique, until};

const PATIENCE: Duration = Duration::from_secs(60);

/// What our client shows to get a token.
const CLIENT_SECRET: &str = "client-secret+/&";

fn text(body: &str) -> Draft {
    Draft { value: Some(body.as_bytes().to_vec()), ..Draft::default() }
}

/// A token without a signature, such as Kafka's unsecured validator takes.
fn token(user: &str) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let claims = format!(r#"{{"sub":"{user}","iat":{now},"exp":{}}}"#, now + 3_600);
    format!("{}.{}.", URL_SAFE_NO_PAD.encode(r#"{"alg":"none"}"#), URL_SAFE_NO_PAD.encode(claims))
}

/// An endpoint that gives a token to who knows the secret. It ends with this process.
fn token_endpoint() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/oauth/token", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut request = Vec::new();
            let mut some = [0; 4_096];
            while !String::from_utf8_lossy(&request).contains("grant_type=client_credentials&scope=kafka%20read") {
                match stream.read(&mut some) {
                    Ok(many) if many > 0 => request.extend_from_slice(&some[..many]),
                    _ => break,
                }
            }
            let known = STANDARD.encode("sillage:client%2Dsecret%2B%2F%26");
            let request = String::from_utf8_lossy(&request).to_lowercase();
            let (status, body) = if request.contains(&format!("authorization: basic {}", known.to_lowercase())) {
                ("200 OK", format!(r#"{{"access_token":"{}","token_type":"Bearer","expires_in":3600}}"#, token(USER)))
            } else {
                ("401 Unauthorized", r#"{"error":"invalid_client","error_description":"no such client"}"#.to_owned())
            };
            let length = body.len();
            let answer = format!(
                "HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
            );
            stream.write_all(answer.as_bytes()).unwrap();
        }
    });
    url
}

fn by_token(more: &[(&'static str, String)]) -> Vec<(&'static str, String)> {
    let secure = secure::shared();
    let mut options = vec![
        ("security.protocol", "sasl_ssl".to_owned()),
        ("ssl.ca.location", secure.file("ca.pem").display().to_string()),
        ("sasl.mechanism", "OAUTHBEARER".to_owned()),
    ];
    options.extend_from_slice(more);
    options
}

fn by_endpoint(url: &str, secret: &str) -> Vec<(&'static str, String)> {
    by_token(&[
        ("sasl.oauthbearer.token.endpoint.url", url.to_owned()),
        ("sasl.oauthbearer.client.id", "sillage".to_owned()),
        ("sasl.oauthbearer.client.secret", secure::shared().secret(&unique("client-secret"), secret)),
        ("sasl.oauthbearer.scope", "kafka read".to_owned()),
    ])
}

fn status(sillage: &Sillage, source: &str) -> Value {
    let sources = sillage.api("status")["sources"].clone();
    sources.as_array().unwrap().iter().find(|status| status["name"] == source).unwrap().clone()
}

/// A group that committed `offset` in partition 0, and went.
fn commit(address: &str, group: &str, topic: &str, offset: i64) {
    let consumer: BaseConsumer =
        ClientConfig::new().set("bootstrap.servers", address).set("group.id", group).create().unwrap();
    let mut places = TopicPartitionList::new();
    places.add_partition_offset(topic, 0, Offset::Offset(offset)).unwrap();
    consumer.commit(&places, CommitMode::Sync).unwrap();
}

#[test]
fn every_way_to_identify_reads_with_no_more_than_describe_and_read_and_leaves_no_trace() {
    let secure = secure::shared();
    let topic = secure.kafka.topic("open-way", 1);
    secure.kafka.send(&topic, &[text("one"), text("two")]);
    let group = unique("readers");
    commit(&secure.kafka.address, &group, &topic, 1);
    let before = (secure.kafka.groups(), secure.kafka.offsets());

    let url = token_endpoint();
    let tls = vec![
        ("security.protocol", "ssl".to_owned()),
        ("ssl.ca.location", secure.file("ca.pem").display().to_string()),
        ("ssl.certificate.location", secure.file("client.pem").display().to_string()),
        ("ssl.key.location", secure.file("client.key").display().to_string()),
    ];
    let in_file = by_token(&[("sasl.oauthbearer.token", secure.secret("token", &token(USER)))]);
    let ways = [
        ("plain", &secure.sasl, secure.by_password("PLAIN")),
        ("scram-256", &secure.sasl, secure.by_password("SCRAM-SHA-256")),
        ("scram-512", &secure.sasl, secure.by_password("SCRAM-SHA-512")),
        ("mutual-tls", &secure.tls, tls),
        ("token-endpoint", &secure.sasl, by_endpoint(&url, CLIENT_SECRET)),
        ("token-file", &secure.sasl, in_file),
    ];
    let sources = ways.iter().map(|(name, broker, options)| source(name, broker, &["open-*"], options));
    let home = Home::new(&sources.collect::<String>());
    let sillage = home.serve();
    for (name, _, _) in &ways {
        let records = sillage.search_when(&format!("source:{name} topic:{topic} kind:record"), 2, PATIENCE);
        assert_eq!(records.len(), 2, "{name}");
        let status = status(&sillage, name);
        assert_eq!((&status["state"], &status["error"]), (&"up".into(), &Value::Null), "{status}");
        // Whoever may only DESCRIBE groups sees how far they are.
        let lag = until(&format!("{name} sees the group"), PATIENCE, || {
            let answer = sillage.get(&format!("/api/v1/groups/{name}/{group}"));
            (answer.status == 200).then(|| answer.json()["groups"][0]["lag"].clone()).filter(Value::is_u64)
        });
        assert_eq!(lag, 1, "{name}");
    }
    assert_eq!((secure.kafka.groups(), secure.kafka.offsets()), before);
    let said = [sillage.log(), sillage.api("status").to_string(), sillage.get("/status").text()].concat();
    for secret in [PASSWORD, CLIENT_SECRET, "client%2Dsecret", &token(USER)[..40]] {
        assert!(!said.contains(secret), "a secret is shown: {secret}");
    }
}

#[test]
fn what_keeps_a_source_out_is_said_with_what_to_do_and_the_others_go_on() {
    let secure = secure::shared();
    let (open, seen) = (secure.kafka.topic("open-good", 1), secure.kafka.topic("seen-only", 1));
    let hidden = secure.kafka.topic("hidden", 1);
    let nobody = free_address().to_string();
    let mut wrong_password = secure.by_password("SCRAM-SHA-256");
    wrong_password.last_mut().unwrap().1 = secure.secret("wrong-password", "not-the-password");
    let mut wrong_ca = secure.by_password("SCRAM-SHA-256");
    wrong_ca[1].1 = secure.file("other-ca.pem").display().to_string();
    let good = secure.by_password("SCRAM-SHA-512");
    let sources = [
        source("good", &secure.sasl, &["open-*"], &good),
        source("nobody-there", &nobody, &["*"], &[]),
        source("wrong-password", &secure.sasl, &["*"], &wrong_password),
        source("wrong-ca", &secure.sasl, &["*"], &wrong_ca),
        source("plain-text-to-tls", &secure.tls, &["*"], &[]),
        source("wrong-client-secret", &secure.sasl, &["*"], &by_endpoint(&token_endpoint(), "guessed")),
        source("no-endpoint", &secure.sasl, &["*"], &by_endpoint(&format!("http://{nobody}/token"), "any")),
        source("may-not-read", &secure.sasl, &[&open, &seen], &good),
        source("may-not-see", &secure.sasl, &[&open, &hidden], &good),
        source("misspelt", &secure.kafka.address, &["no-such-topic"], &[]),
    ];
    let home = Home::new(&sources.concat());
    let sillage = home.serve();
    secure.kafka.send(&open, &[text("one")]);
    secure.kafka.send(&seen, &[text("one")]);
    for (name, state, says) in [
        ("nobody-there", "down", vec![&*nobody, "start it, or correct `brokers`"]),
        ("wrong-password", "down", vec![&*secure.sasl, "sasl.password"]),
        ("wrong-ca", "down", vec![&*secure.sasl, "ssl."]),
        ("plain-text-to-tls", "down", vec![&*secure.tls, "security.protocol"]),
        ("wrong-client-secret", "down", vec!["sasl.oauthbearer.", "401", "no such client"]),
        ("no-endpoint", "down", vec!["sasl.oauthbearer.", "can't be reached"]),
        ("may-not-read", "up", vec![&*seen, "grant READ"]),
        ("may-not-see", "up", vec![&*hidden, "grant DESCRIBE and READ"]),
        ("misspelt", "up", vec!["no-such-topic", "correct `topics`"]),
    ] {
        let mut last = Value::Null;
        let started = std::time::Instant::now();
        loop {
            last.clone_from(&status(&sillage, name));
            let error = last["error"].as_str().unwrap_or_default();
            if last["state"] == state && says.iter().all(|word| error.contains(word)) {
                sillage.await_log(&format!("source `{name}`: {}", error.split(" (").next().unwrap()));
                break;
            }
            assert!(started.elapsed() < PATIENCE, "{name} never said {says:?}; last: {last}");
            std::thread::sleep(Duration::from_millis(200));
        }
        let page = sillage.get("/status").text();
        assert!(page.contains(name), "{name}");
    }
    // None of them held the others back, and what can be read is read.
    for source in ["good", "may-not-read", "may-not-see"] {
        assert_eq!(sillage.search_when(&format!("source:{source} topic:{open}"), 1, PATIENCE).len(), 1, "{source}");
    }
    secure.kafka.send(&open, &[text("two")]);
    assert_eq!(sillage.search_when(&format!("source:good topic:{open}"), 2, PATIENCE).len(), 2);
    let said = [sillage.log(), sillage.api("status").to_string()].concat();
    for secret in [PASSWORD, "not-the-password", "guessed"] {
        assert!(!said.contains(secret), "a secret is shown: {secret}");
    }
}
