//! A consumer that stops, and what is said of it: over restarts, and with rules that are changed meanwhile.

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use opentelemetry_proto::tonic::trace::v1::{Span, Status};
use serde_json::Value;

use crate::rig::home::{Home, Sillage, free_address};
use crate::rig::kafka::{self, Draft, Kafka};
use crate::rig::receiver::{Does, Receiver};
use crate::rig::{otlp, parts, unique, until};

/// Groups are asked for every ten seconds, and Kafka's own consumer commits every five; a busy machine takes some more.
const PATIENCE: Duration = Duration::from_secs(90);

/// What signs, for a webhook that is never called.
const SECRET: &str = "whsec_bmV3IG5ldyBuZXcgbmV3IG5ldyBuZXcgbmV3IG5ldyE=";

/// Kafka's own console consumer, a process of its own that can be stopped; it ends with the test.
struct Consumer(Child);

impl Consumer {
    fn start(kafka: &Kafka, group: &str, topic: &str) -> Consumer {
        let classpath = ["kafka/lib", "kafka-tools"].map(|part| parts::installed(part).join("*"));
        let mut command = Command::new("java");
        command.arg("-cp").arg(std::env::join_paths(classpath).unwrap());
        command.arg("org.apache.kafka.tools.consumer.ConsoleConsumer");
        command.args(["--bootstrap-server", &kafka.address, "--topic", topic, "--group", group, "--from-beginning"]);
        Consumer(command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap())
    }

    fn signal(&self, signal: &str) {
        let status = Command::new("kill").args([signal, &self.0.id().to_string()]).status().unwrap();
        assert!(status.success());
    }
}

impl Drop for Consumer {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The only alert of a rule, once it is in a state.
fn alert_when(sillage: &Sillage, state: &str) -> Value {
    until(&format!("the alert is {state}"), PATIENCE, || {
        std::thread::sleep(Duration::from_millis(200));
        let all = sillage.api("alerts");
        all["alerts"].as_array().unwrap().iter().find(|alert| alert["state"] == state).cloned()
    })
}

#[test]
fn a_consumer_that_is_stopped_is_told_of_until_it_goes_on_and_a_restart_forgets_nothing() {
    let kafka = kafka::shared();
    let (topic, group) = (kafka.topic("alerted", 1), unique("alerted"));
    let records = || kafka.send(&topic, &vec![Draft { value: Some(b"x".to_vec()), ..Draft::default() }; 10]);
    records();
    let consumer = Consumer::start(kafka, &group, &topic);
    let receiver = Receiver::listen(free_address(), &[("/ops", &[Does::Answers(200, "")])]);
    let home = Home::new(&format!(
        "{}\n[alerting]\ngroup_interval = \"2s\"\n[[webhook]]\nname = \"ops\"\nurl = \"http://{}/ops\"\nallow_private = true\n\
         secret = \"whsec_b3VyIG93biBvdXIgb3duIG91ciBvd24gb3VyIG93biE=\"\n[[alert]]\nname = \"it is late\"\nkind = \"lag_records\"\ngroup = \"{group}\"\n\
         above = 5\nbelow = 1\nfor = \"3s\"\nseverity = \"critical\"\n",
        kafka::source(kafka, &[&topic]),
        receiver.address
    ));
    let sillage = home.serve();
    until("it has read everything", PATIENCE, || {
        std::thread::sleep(Duration::from_millis(300));
        let answer = sillage.get(&format!("/api/v1/groups/main/{group}"));
        (answer.status == 200 && answer.json()["groups"][0]["lag"] == 0).then_some(())
    });
    assert_eq!(sillage.api("alerts")["alerts"], serde_json::json!([]));
    consumer.signal("-STOP");
    records();
    let stopped = Instant::now();
    let pending = alert_when(&sillage, "pending");
    assert_eq!((&pending["name"], &pending["value"]), (&"it is late".into(), &"10 records".into()));
    let firing = alert_when(&sillage, "firing");
    assert_eq!((&firing["labels"]["group"], &firing["severity"]), (&group.as_str().into(), &"critical".into()));
    assert_eq!(sillage.get(&format!("/{}", firing["page"].as_str().unwrap())).status, 200);
    let told = receiver.calls_when("/ops", 1, PATIENCE).remove(0);
    assert_eq!((&told.body["type"], &told.body["data"]["group"]), (&"alert.firing".into(), &"it is late".into()));
    // Groups are asked for every ten seconds: `for`, two of those, and what a busy machine takes.
    assert!(told.at - stopped < Duration::from_secs(3 + 20 + 5), "told after {:?}", told.at - stopped);
    let page = sillage.get("/alerts").text();
    assert!(page.contains("<title>(1) Alerts") && page.contains(&format!("{group} on main is 10 records behind")));

    assert!(sillage.stop().success());
    let sillage = home.serve();
    let after = alert_when(&sillage, "firing");
    assert_eq!(after["startedAt"], firing["startedAt"], "it is the same alert");
    std::thread::sleep(Duration::from_secs(4));
    assert_eq!(receiver.calls("/ops").len(), 1, "a restart tells nobody twice");

    consumer.signal("-CONT");
    let resolved = alert_when(&sillage, "resolved");
    assert_eq!(resolved["startedAt"], firing["startedAt"]);
    let told = receiver.calls_when("/ops", 2, PATIENCE);
    assert_eq!(
        told.iter().map(|call| call.body["type"].as_str()).collect::<Vec<_>>(),
        [Some("alert.firing"), Some("alert.resolved")]
    );
    assert_ne!(told[0].id, told[1].id);
    assert_eq!(sillage.api("alerts")["history"].as_array().unwrap().len(), 1);
    assert!(sillage.get("/").text().contains("<title>Overview"), "nothing fires any more");
}

#[test]
fn what_flaps_is_one_incident_that_is_told_once_and_again_after_each_repeat_interval() {
    const REPEAT: Duration = Duration::from_secs(8);
    let receiver = Receiver::listen(free_address(), &[("/ops", &[Does::Answers(200, "")])]);
    let home = Home::new(&format!(
        "[alerting]\ninterval = \"200ms\"\ngroup_wait = \"0s\"\ngroup_interval = \"6s\"\nrepeat_interval = \"{}s\"\n\
         [[webhook]]\nname = \"ops\"\nurl = \"http://{}/ops\"\nallow_private = true\nsecret = \"{SECRET}\"\n\
         [[alert]]\nname = \"it fails\"\nkind = \"error_rate\"\nabove = 0.5\nover = \"1s\"\nat_least = 1\nwebhooks = [\"ops\"]\n",
        REPEAT.as_secs(),
        receiver.address
    ));
    let sillage = home.serve();
    let began = Instant::now();
    let mut flaps = 0;
    while began.elapsed() < REPEAT * 3 {
        flaps += 1;
        let failed = Span {
            kind: SpanKind::Consumer.into(),
            status: Some(Status { code: StatusCode::Error.into(), ..Status::default() }),
            ..otlp::span([flaps; 16], [flaps; 8], "process orders")
        };
        otlp::post_all(home.http, "traces", &otlp::traces("billing", vec![failed]));
        alert_when(&sillage, "firing");
        alert_when(&sillage, "resolved");
    }
    assert!(flaps > 5, "it flapped only {flaps} times");
    let calls = receiver.calls("/ops");
    assert!((2..=4).contains(&calls.len()), "told {} times of {flaps} flaps", calls.len());
    assert!(calls.iter().all(|call| call.body["type"] == "alert.firing"), "it wasn't over for long enough");
    for pair in calls.windows(2) {
        let apart = pair[1].at - pair[0].at;
        assert!(apart > REPEAT - Duration::from_secs(1), "told again after {apart:?}");
    }
    let resolved = receiver.calls_when("/ops", calls.len() + 1, PATIENCE).pop().unwrap();
    assert_eq!(resolved.body["type"], "alert.resolved");
    drop(sillage);
}

#[test]
fn rules_are_read_again_on_a_hangup_and_a_bad_file_changes_nothing_and_is_shown() {
    let rule = |name: &str| format!("[[alert]]\nname = \"{name}\"\nkind = \"source_down\"\n");
    let home = Home::new(&rule("before"));
    let sillage = home.serve();
    let hang_up = || Command::new("kill").args(["-HUP", &sillage.pid().to_string()]).status().unwrap();
    let names = |all: &Value| {
        all["rules"]
            .as_array()
            .unwrap()
            .iter()
            .map(|rule| rule["name"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    home.configure("[[alert]]\nname = \"bad\"\nkind = \"lag_time\"\nabov = \"30s\"\n");
    hang_up();
    let all = until("it is refused", PATIENCE, || {
        let all = sillage.api("alerts");
        all["refused"]["reason"].is_string().then_some(all)
    });
    let reason = all["refused"]["reason"].as_str().unwrap();
    assert!(reason.contains("sillage.toml:14:1") && reason.contains("did you mean `above`?"), "{reason}");
    assert_eq!(names(&all), ["before"]);
    assert!(sillage.get("/alerts").text().contains("did you mean"));
    let webhook = format!(
        "[[webhook]]\nname = \"team\"\nurl = \"https://localhost/\"\nsecret = \"{SECRET}\"\nallow_private = true\n"
    );
    home.configure(&(webhook + &rule("told") + "webhooks = [\"team\"]\n"));
    hang_up();
    until("a rule for a webhook without a sender is refused", PATIENCE, || {
        let all = sillage.api("alerts");
        let is_said = all["refused"]["reason"].as_str()?.contains("`team`, which is new");
        (is_said && names(&all) == ["before"]).then_some(())
    });
    home.configure(&(rule("after") + &rule("and another")));
    hang_up();
    until("the new rules are in force", PATIENCE, || {
        let all = sillage.api("alerts");
        (names(&all) == ["after", "and another"] && all["refused"].is_null()).then_some(())
    });
    assert!(sillage.stop().success());
}
