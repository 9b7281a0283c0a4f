//! Dead letters and retries as frameworks and clients themselves write them, on a real Kafka: the console understands them unconfigured.

use std::fs::{self, File};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};

use crate::rig::home::{Home, Sillage, free_port};
use crate::rig::kafka::{self, Draft, Kafka};
use crate::rig::parts::{self, installed};
use crate::rig::{unique, until};

const PATIENCE: Duration = Duration::from_secs(60);

/// Five orders of 10 to 14.
fn orders() -> Vec<Draft> {
    (10..15)
        .map(|amount| {
            let order = format!("order-{amount}");
            let body =
                json!({ "eventId": unique("event"), "eventType": "OrderPlaced", "orderId": order, "amount": amount });
            Draft::json(&order, &body)
        })
        .collect()
}

/// The dead letters on a topic, once there are so many, and one of them whole, with its stack trace.
fn died(sillage: &Sillage, topic: &str, many: usize) -> (Vec<Value>, Value) {
    let records = sillage.records_when(topic, many, PATIENCE);
    let found = sillage.api(&format!("dead-letters?topic={topic}"));
    let letters = found["messages"].as_array().unwrap().clone();
    assert_eq!(letters.len(), many, "{found}");
    (letters, records[0]["failure"].clone())
}

/// What a consumer did on a topic.
fn consumer(sillage: &Sillage, topic: &str, group: &str) -> Value {
    let retries = sillage.api("retries");
    let consumers = retries["consumers"].as_array().unwrap();
    let found = consumers.iter().find(|consumer| consumer["topic"] == topic && consumer["consumer"] == group);
    found.unwrap_or_else(|| panic!("{group} on {topic}: {retries}")).clone()
}

/// The place of an order among those sent: what its dead letter must name as its origin.
fn place(sent: &[(i32, i64)], number: usize) -> (Value, Value) {
    (sent[number].0.into(), sent[number].1.into())
}

fn origin(letter: &Value) -> (Value, Value) {
    (letter["origin"]["partition"].clone(), letter["origin"]["offset"].clone())
}

#[test]
fn spring_kafka_says_which_group_gave_up_after_how_many_attempts_and_why() {
    let kafka = kafka::shared();
    for (topic, partitions) in [
        ("orders", 2),
        ("orders-retry-200", 2),
        ("orders-retry-400", 2),
        ("orders-dlt", 2),
        ("payments", 2),
        ("payments-dlt", 2),
    ] {
        kafka.create(topic, partitions);
    }
    let topics = ["orders", "orders-retry-200", "orders-retry-400", "orders-dlt", "payments", "payments-dlt"];
    let home = Home::new(&kafka::source(kafka, &topics));
    let sillage = home.serve();
    let sent = kafka.send("orders", &orders());

    let classes = home.folder.path().join("classes");
    let libraries = installed("spring/lib");
    let source = parts::repository().join("tests/recordings/programs/SpringShop.java");
    let all = format!("{}/*", libraries.display());
    parts::run(Command::new("javac").arg("-d").arg(&classes).args(["-cp", &all]).arg(source));
    let classpath = format!("{}:{all}", classes.display());
    let jvm = ["-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-cp", &classpath, "SpringShop"];
    parts::run(Command::new("java").args(jvm).env("KAFKA", &kafka.address));

    // `@RetryableTopic`: two retry topics, then the dead-letter topic.
    let (letters, failure) = died(&sillage, "orders-dlt", 1);
    let letter = &letters[0];
    assert_eq!((&letter["origin"]["channel"], origin(letter)), (&"orders".into(), place(&sent, 2)), "{letter}");
    assert_eq!(
        (&letter["consumer"], &letter["attempts"], &letter["key"]),
        (&"billing".into(), &3.into(), &"order-12".into())
    );
    assert!(letter["reason"].as_str().unwrap().contains("card declined for order-12"), "{letter}");
    assert_eq!(letter["exception"], "SpringShop$CardDeclined", "{letter}");
    assert!(letter["cause"].as_str().unwrap().ends_with("CardDeclined at SpringShop.bill"), "{letter}");
    assert_eq!((&letter["convention"], &letter["guessed"]), (&"Spring retry topic".into(), &false.into()));
    assert!(failure["stackTrace"].as_str().unwrap().contains("at SpringShop.bill(SpringShop.java:"), "{failure}");
    let billing = consumer(&sillage, "orders", "billing");
    // That one succeeded at last nothing tells: no agent sends spans here, and a commit proves nothing.
    assert_eq!((&billing["retried"], &billing["dead"]), (&2.into(), &1.into()), "{billing}");

    // `DeadLetterPublishingRecoverer` by itself, behind a retry in memory.
    let (letters, failure) = died(&sillage, "payments-dlt", 1);
    let letter = &letters[0];
    assert_eq!((&letter["origin"]["channel"], &letter["consumer"]), (&"payments".into(), &"ledger".into()), "{letter}");
    assert!(letter["origin"]["offset"].is_i64() && letter["origin"]["partition"].is_i64(), "{letter}");
    assert_eq!(letter["attempts"], Value::Null, "it doesn't say");
    assert!(letter["reason"].as_str().unwrap().contains("the ledger is closed for order-13"), "{letter}");
    assert_eq!(
        (&letter["exception"], &letter["convention"]),
        (&"SpringShop$LedgerClosed".into(), &"Spring dead letter".into())
    );
    assert!(failure["stackTrace"].as_str().unwrap().contains("at SpringShop.book"), "{failure}");
}

#[test]
fn a_kafkajs_consumer_that_writes_its_own_retries_and_dead_letters_is_understood() {
    let kafka = kafka::shared();
    let from = kafka.topic("placed", 2);
    let (retry, dead) = (format!("{from}.retry"), format!("{from}.dlq"));
    kafka.create(&retry, 1);
    kafka.create(&dead, 1);
    let home = Home::new(&kafka::source(kafka, &[&from, &retry, &dead]));
    let sillage = home.serve();
    let sent = kafka.send(&from, &orders());
    let group = unique("billing");
    let mut program = Command::new("node");
    program
        .env("NODE_PATH", installed("node/node_modules"))
        .arg(parts::repository().join("tests/it/frameworks/billing.cjs"));
    parts::run(program.args(["5", &from, &retry, &dead]).env("KAFKA", &kafka.address).env("GROUP", &group));

    let (letters, failure) = died(&sillage, &dead, 1);
    let letter = &letters[0];
    assert_eq!((&letter["origin"]["channel"], origin(letter)), (&from.clone().into(), place(&sent, 2)), "{letter}");
    assert_eq!((&letter["consumer"], &letter["attempts"]), (&group.clone().into(), &2.into()), "{letter}");
    assert_eq!(
        (&letter["reason"], &letter["exception"]),
        (&"card declined for order-12".into(), &"CardDeclined".into())
    );
    assert_eq!((&letter["cause"], &letter["guessed"]), (&"CardDeclined at charge".into(), &false.into()), "{letter}");
    assert!(failure["stackTrace"].as_str().unwrap().contains("billing.cjs:"), "{failure}");
    let billing = consumer(&sillage, &from, &group);
    assert_eq!((&billing["retried"], &billing["dead"]), (&2.into(), &1.into()), "{billing}");
}

#[test]
fn a_python_consumer_that_writes_its_own_dead_letters_is_understood() {
    let kafka = kafka::shared();
    let from = kafka.topic("paid", 2);
    let dead = format!("{from}-dead-letter");
    kafka.create(&dead, 1);
    let home = Home::new(&kafka::source(kafka, &[&from, &dead]));
    let sillage = home.serve();
    let sent = kafka.send(&from, &orders());
    let group = unique("ledger");
    let mut program = Command::new(installed("python/bin/python"));
    program.arg(parts::repository().join("tests/it/frameworks/ledger.py")).args(["5", &from, &dead]);
    parts::run(program.env("KAFKA", &kafka.address).env("GROUP", &group));

    let (letters, failure) = died(&sillage, &dead, 1);
    let letter = &letters[0];
    assert_eq!((&letter["origin"]["channel"], origin(letter)), (&from.into(), place(&sent, 2)), "{letter}");
    assert_eq!((&letter["consumer"], &letter["attempts"]), (&group.into(), &3.into()), "{letter}");
    assert_eq!(
        (&letter["reason"], &letter["exception"]),
        (&"the ledger is closed for order-12".into(), &"LedgerClosed".into())
    );
    assert_eq!(
        (&letter["cause"], &letter["guessed"]),
        (&"LedgerClosed at ledger.book".into(), &false.into()),
        "{letter}"
    );
    assert!(failure["stackTrace"].as_str().unwrap().starts_with("Traceback"), "{failure}");
}

/// Kafka Connect in its standalone mode, with one connector; it ends with the test.
struct Connect {
    child: Child,
    log: PathBuf,
}

impl Drop for Connect {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Connect {
    /// A sink to a file for one topic, which sets aside on `dead` what is no JSON.
    fn sinking(kafka: &Kafka, home: &Home, connector: &str, topic: &str, dead: &str) -> Connect {
        let folder = home.folder.path();
        let worker = format!(
            "bootstrap.servers={}\nlisteners=http://127.0.0.1:{}\noffset.storage.file.filename={}\n\
             key.converter=org.apache.kafka.connect.storage.StringConverter\n\
             value.converter=org.apache.kafka.connect.json.JsonConverter\nvalue.converter.schemas.enable=false\n\
             plugin.discovery=service_load\nconsumer.auto.offset.reset=earliest\n",
            kafka.address,
            free_port(),
            folder.join("connect.offsets").display(),
        );
        let sink = format!(
            "name={connector}\nconnector.class=org.apache.kafka.connect.file.FileStreamSinkConnector\ntasks.max=1\n\
             topics={topic}\nfile={}\nerrors.tolerance=all\nerrors.deadletterqueue.topic.name={dead}\n\
             errors.deadletterqueue.topic.replication.factor=1\nerrors.deadletterqueue.context.headers.enable=true\n",
            folder.join("sunk").display(),
        );
        let [worker_file, sink_file, log] =
            ["worker.properties", "sink.properties", "connect.log"].map(|name| folder.join(name));
        fs::write(&worker_file, worker).unwrap();
        fs::write(&sink_file, sink).unwrap();
        let out = File::create(&log).unwrap();
        let classpath = format!("{}/*:{}/*", installed("connect/lib").display(), installed("kafka/lib").display());
        let logging = parts::repository().join("tests/parts/kafka.d/log4j2.properties");
        let child = Command::new("java")
            .args(["-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Xmx256m"])
            .arg(format!("-Dlog4j2.configurationFile={}", logging.display()))
            .args(["-cp", &classpath, "org.apache.kafka.connect.cli.ConnectStandalone"])
            .args([worker_file, sink_file])
            .stdin(Stdio::null())
            .stdout(out.try_clone().unwrap())
            .stderr(out)
            .spawn()
            .unwrap();
        Connect { child, log }
    }
}

#[test]
fn kafka_connect_says_which_connector_could_not_read_what() {
    let kafka = kafka::shared();
    let topic = kafka.topic("shipped", 2);
    let dead = unique("sink-problems");
    kafka.create(&dead, 1);
    let mut drafts = orders();
    drafts[3].value = Some(b"{ this is no JSON".to_vec());
    let sent = kafka.send(&topic, &drafts);
    let home = Home::new(&kafka::source(kafka, &[&topic, &dead]));
    let sillage = home.serve();
    let connector = unique("warehouse");
    let connect = Connect::sinking(kafka, &home, &connector, &topic, &dead);

    let told = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| died(&sillage, &dead, 1)));
    let (letters, failure) = told.unwrap_or_else(|_| panic!("{}", fs::read_to_string(&connect.log).unwrap()));
    let letter = &letters[0];
    assert_eq!((&letter["origin"]["channel"], origin(letter)), (&topic.into(), place(&sent, 3)), "{letter}");
    assert_eq!(letter["consumer"], format!("connect-{connector}"), "what Connect calls the connector's group");
    assert_eq!(letter["attempts"], Value::Null, "it doesn't say");
    assert_eq!((&letter["convention"], &letter["guessed"]), (&"Kafka Connect".into(), &false.into()));
    assert!(letter["exception"].as_str().unwrap().ends_with("DataException"), "{letter}");
    assert!(letter["reason"].as_str().unwrap().contains("JsonParseException: Unexpected character"), "{letter}");
    assert!(
        failure["stackTrace"].as_str().unwrap().contains("at org.apache.kafka.connect.json.JsonConverter"),
        "{failure}"
    );
    // The group is one that the broker knows, so its page is one click away, once groups were asked for again.
    until("the page of its group", PATIENCE, || {
        (sillage.get(&format!("/group/main/connect-{connector}")).status == 200).then_some(())
    });
}
