//! Producers and consumers in other languages, instrumented by OpenTelemetry and not by us: their flows join without configuration.
//!
//! The programs are those of tests/recordings, whose README says what each flow must hold.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;
use std::time::Duration;

use serde_json::Value;

use crate::rig::home::{Home, Sillage};
use crate::rig::kafka::{self, Kafka, tally};
use crate::rig::parts::{self, installed};
use crate::rig::unique;

const PATIENCE: Duration = Duration::from_secs(40);

/// The language that a service of the shop is written in.
enum Shop {
    Python,
    JavaScript,
    Java,
}

impl Shop {
    /// Runs one service to its end. `arguments` are the role, how many, and the topics.
    fn run(&self, service: &str, otlp: SocketAddr, kafka: &Kafka, arguments: &[&str]) {
        let programs = parts::repository().join("tests/recordings/programs");
        let mut command = match self {
            Shop::Python => {
                let mut command = Command::new(installed("python/bin/python"));
                command.arg(programs.join("shop.py"));
                command
            }
            Shop::JavaScript => {
                let mut command = Command::new("node");
                command.env("NODE_PATH", installed("node/node_modules")).env("OTEL_LOGS_EXPORTER", "none");
                command.arg(programs.join("shop.cjs"));
                command
            }
            Shop::Java => {
                let classpath = format!("{}:{}/*", classes().display(), installed("kafka/lib").display());
                let mut command = Command::new("java");
                command.env("OTEL_LOGS_EXPORTER", "none").args(["-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC"]);
                command.arg(format!("-javaagent:{}", installed("opentelemetry-javaagent.jar").display()));
                command.args(["-cp", &classpath, "Shop"]);
                command
            }
        };
        command
            .env("KAFKA", &kafka.address)
            .env("OTEL_SERVICE_NAME", service)
            .env("OTEL_EXPORTER_OTLP_ENDPOINT", format!("http://{otlp}"))
            .env("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf")
            .env("OTEL_METRICS_EXPORTER", "none")
            .env("OTEL_SPAN_LINK_COUNT_LIMIT", "1000");
        parts::run(command.args(arguments));
    }
}

/// The Java program, compiled once.
fn classes() -> PathBuf {
    static CLASSES: OnceLock<PathBuf> = OnceLock::new();
    CLASSES
        .get_or_init(|| {
            let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("shop-classes");
            let source = parts::repository().join("tests/recordings/programs/Shop.java");
            let classpath = format!("{}/*", installed("kafka/lib").display());
            parts::run(Command::new("javac").arg("-d").arg(&folder).args(["-cp", &classpath]).arg(source));
            folder
        })
        .clone()
}

/// Two topics that Sillage watches, and Sillage.
struct Stage {
    kafka: &'static Kafka,
    orders: String,
    payments: String,
    home: Home,
    sillage: Sillage,
}

impl Stage {
    fn set(order_partitions: i32) -> Stage {
        let kafka = kafka::shared();
        let (orders, payments) = (kafka.topic("orders", order_partitions), kafka.topic("payments", 3));
        let home = Home::new(&kafka::source(kafka, &[&orders, &payments]));
        let sillage = home.serve();
        Stage { kafka, orders, payments, home, sillage }
    }

    fn run(&self, shop: Shop, service: &str, arguments: &[&str]) {
        shop.run(service, self.home.http, self.kafka, arguments);
    }

    /// The records of `orders`, once they are all there.
    fn placed(&self, count: usize) -> Vec<Value> {
        let records = self.sillage.records_when(&self.orders, count, PATIENCE);
        assert_eq!(records.len(), count);
        records
    }

    /// The flow of an order, once it has so many spans.
    fn flow(&self, order: &Value, spans: usize) -> Value {
        let trace = order["traceId"].as_str().unwrap();
        let flow = self.sillage.flow_when(trace, &format!("two records and {spans} spans"), |flow| {
            count(flow, "records") >= 2 && count(flow, "spans") >= spans
        });
        // Both records are this order's: the key is the order's id.
        for record in flow["records"].as_array().unwrap() {
            assert_eq!(record["key"], order["key"], "another order's record in the flow: {record}");
        }
        assert_eq!(count(&flow, "records"), 2);
        flow
    }
}

fn count(flow: &Value, what: &str) -> usize {
    flow[what].as_array().map_or(0, Vec::len)
}

/// `service: span name` of all spans, the topics' unique names shortened.
fn span_names(flow: &Value, stage: &Stage) -> Vec<String> {
    let mut names: Vec<String> = flow["spans"]
        .as_array()
        .unwrap()
        .iter()
        .map(|span| {
            let name =
                span["name"].as_str().unwrap().replace(&stage.orders, "orders").replace(&stage.payments, "payments");
            format!("{}: {name}", span["service"].as_str().unwrap())
        })
        .collect();
    names.sort();
    names
}

#[test]
fn kafkajs_services_are_one_flow_from_request_to_last_consumer() {
    let stage = Stage::set(3);
    let (billing, ledger) = (unique("billing"), unique("ledger"));
    stage.run(Shop::JavaScript, "shop-api", &["place", "3", &stage.orders]);
    stage.run(Shop::JavaScript, &billing, &["bill", "3", &stage.orders, &stage.payments]);
    stage.run(Shop::JavaScript, &ledger, &["book", "3", &stage.payments]);
    for order in stage.placed(3) {
        let flow = stage.flow(&order, 5);
        let mut expected = vec![
            "shop-api: POST /orders".to_owned(),
            "shop-api: send orders".to_owned(),
            format!("{billing}: process orders"),
            format!("{billing}: send payments"),
            format!("{ledger}: process payments"),
        ];
        expected.sort();
        assert_eq!(span_names(&flow, &stage), expected);
    }
}

#[test]
fn python_consumers_that_start_new_traces_with_links_are_still_one_flow_with_their_logs() {
    let stage = Stage::set(3);
    let (billing, ledger) = (unique("billing"), unique("ledger"));
    stage.run(Shop::Python, "shop-api", &["place", "3", &stage.orders]);
    stage.run(Shop::Python, &billing, &["bill", "3", &stage.orders, &stage.payments]);
    stage.run(Shop::Python, &ledger, &["book", "3", &stage.payments]);
    for order in stage.placed(3) {
        let flow = stage.flow(&order, 6);
        assert_eq!(flow["traceIds"].as_array().unwrap().len(), 3, "three traces: {}", flow["traceIds"]);
        let names = span_names(&flow, &stage);
        for name in [
            "shop-api: POST /orders".to_owned(),
            "shop-api: orders send".to_owned(),
            format!("{billing}: orders process"),
            format!("{billing}: payments send"),
            format!("{ledger}: payments process"),
        ] {
            assert!(names.contains(&name), "{name} is missing in {names:?}");
        }
        assert!(names.len() <= 7, "nothing of the other orders: {names:?}");
        let mut said: Vec<&str> = flow["logs"]
            .as_array()
            .unwrap()
            .iter()
            .map(|log| log["body"].as_str().unwrap().split(' ').next().unwrap())
            .collect();
        said.sort_unstable();
        assert_eq!(said, ["authorized", "booked", "placed"]);
    }
}

#[test]
fn services_in_three_languages_are_one_flow() {
    let stage = Stage::set(3);
    let (billing, ledger) = (unique("billing"), unique("ledger"));
    stage.run(Shop::JavaScript, "shop-api", &["place", "3", &stage.orders]);
    stage.run(Shop::Python, &billing, &["bill", "3", &stage.orders, &stage.payments]);
    stage.run(Shop::Java, &ledger, &["book", "3", &stage.payments]);
    for order in stage.placed(3) {
        let flow = stage.flow(&order, 5);
        let services = tally(flow["spans"].as_array().unwrap().iter().map(|span| span["service"].as_str().unwrap()));
        assert_eq!(services.keys().copied().collect::<Vec<_>>(), {
            let mut all = vec!["shop-api", billing.as_str(), ledger.as_str()];
            all.sort_unstable();
            all
        });
        assert!(span_names(&flow, &stage).contains(&format!("{ledger}: payments process")));
    }
}

#[test]
fn a_batch_of_500_messages_does_not_make_500_orders_one_flow() {
    let stage = Stage::set(1);
    let billing = unique("billing");
    stage.run(Shop::Python, "shop-api", &["place-bare", "500", &stage.orders]);
    stage.run(Shop::Python, &billing, &["bill-batch", "500", &stage.orders, &stage.payments]);
    let placed = stage.placed(500);
    stage.sillage.records_when(&stage.payments, 500, PATIENCE);
    for order in placed.iter().step_by(100) {
        // Own send, the batch's span, own follow-up's send: its `recv` parent may be there too, once.
        let flow = stage.flow(order, 3);
        let names = tally(span_names(&flow, &stage));
        assert_eq!(names.get("shop-api: orders send"), Some(&1), "{names:?}");
        assert_eq!(names.get(&format!("{billing}: orders process")), Some(&1), "{names:?}");
        assert_eq!(names.get(&format!("{billing}: payments send")), Some(&1), "{names:?}");
    }
}
