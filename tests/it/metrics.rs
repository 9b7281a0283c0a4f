//! `/metrics` as a real Prometheus reads it, and the dashboard and the rules that go by it.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use regex::Regex;
use serde_json::Value;

use crate::rig::home::{Home, encode, free_address};
use crate::rig::parts::{repository, run};
use crate::rig::receiver::{Does, Receiver};
use crate::rig::{http, until};

/// Debian's Prometheus, with what it needs at hand to begin to scrape, and to answer.
const PATIENCE: Duration = Duration::from_secs(40);

/// What only has samples while something is open or wrong.
const ONLY_SOMETIMES: [&str; 2] = ["sillage_uncommitted_records", "sillage_open_transaction_seconds"];

fn prometheus_folder() -> PathBuf {
    repository().join("docs/prometheus")
}

/// `promtool`, which comes with Debian's prometheus.
fn promtool() -> Command {
    let promtool = PathBuf::from("/usr/bin/promtool");
    assert!(promtool.exists(), "this test needs Debian's prometheus: run tests/parts/install");
    let mut command = Command::new(promtool);
    command.current_dir(prometheus_folder());
    command
}

/// A real Prometheus that scrapes one address by our rules; it ends with the test.
struct Prometheus {
    child: Child,
    address: SocketAddr,
    _folder: tempfile::TempDir,
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Prometheus {
    fn scraping(target: SocketAddr) -> Prometheus {
        let folder = tempfile::tempdir().unwrap();
        let address = free_address();
        let rules = prometheus_folder().join("rules.yml");
        let config = format!(
            "global: {{ scrape_interval: 1s, evaluation_interval: 1s }}\nrule_files: [{rules:?}]\nscrape_configs:\n  \
             - job_name: sillage\n    static_configs: [{{ targets: [\"{target}\"] }}]\n"
        );
        let file = folder.path().join("prometheus.yml");
        fs::write(&file, config).unwrap();
        let log = fs::File::create(folder.path().join("log")).unwrap();
        let child = Command::new("/usr/bin/prometheus")
            .arg(format!("--config.file={}", file.display()))
            .arg(format!("--storage.tsdb.path={}", folder.path().join("data").display()))
            .arg(format!("--web.listen-address={address}"))
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .expect("this test needs Debian's prometheus: run tests/parts/install");
        Prometheus { child, address, _folder: folder }
    }

    /// The series that an expression has now; fails where Prometheus can't evaluate it.
    fn query(&self, expression: &str) -> Vec<Value> {
        let answer = http::get(self.address, &format!("/api/v1/query?query={}", encode(expression))).unwrap();
        let told = answer.json();
        assert_eq!(told["status"], "success", "{expression}: {told}");
        told["data"]["result"].as_array().unwrap().clone()
    }
}

/// The metrics that a text names.
fn named(text: &str) -> BTreeSet<String> {
    Regex::new(r"\bsillage_[a-z_]+").unwrap().find_iter(text).map(|found| found.as_str().to_owned()).collect()
}

/// Every expression of the dashboard, with its variables filled in.
fn dashboard() -> Vec<String> {
    let text = fs::read_to_string(repository().join("docs/grafana/sillage.json")).unwrap();
    let dashboard: Value = serde_json::from_str(&text).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    let targets = panels.iter().filter_map(|panel| panel["targets"].as_array()).flatten();
    let expressions = targets.map(|target| target["expr"].as_str().unwrap());
    let filled = |text: &str| text.replace("$__rate_interval", "1m").replace("$instance", ".*").replace("$job", ".*");
    expressions.map(filled).collect()
}

#[test]
fn prometheus_reads_the_metrics_and_each_that_the_dashboard_and_the_rules_name_is_there() {
    // Its own telemetry has nowhere to go: then it waits in queues, and is lost and counted.
    let telemetry = format!("[telemetry]\nendpoint = \"http://{}\"\n", free_address());
    let receiver = Receiver::listen(free_address(), &[("/ops", &[Does::Answers(200, "")])]);
    let webhook = format!(
        "[[webhook]]\nname = \"ops\"\nurl = \"http://{}/ops\"\nformat = \"slack\"\nallow_private = true\n",
        receiver.address
    );
    let home = Home::new(&(telemetry + &webhook));
    let mut sillage = home.spawn("demo");
    sillage.await_answer("/readyz");
    // Something to refuse, and something that is shown.
    http::post(home.http, "/v1/traces", &[("content-type", "application/x-protobuf")], b"\xff\xff not otlp").unwrap();
    assert_eq!(sillage.get("/flows").status, 200);
    until("the lag of the demo's groups", PATIENCE, || {
        sillage.get("/metrics").text().contains("sillage_consumer_lag_seconds{").then_some(())
    });

    let text = http::get_with(home.web, "/metrics", &[("accept", "text/plain")]).unwrap();
    assert_eq!(text.header("content-type"), Some("text/plain; version=0.0.4; charset=utf-8"));
    let mut linting = promtool()
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    linting.stdin.take().unwrap().write_all(&text.body).unwrap();
    let linted = linting.wait_with_output().unwrap();
    let said = [linted.stdout, linted.stderr].concat();
    assert!(linted.status.success() && said.is_empty(), "{}", String::from_utf8_lossy(&said));

    let prometheus = Prometheus::scraping(home.web);
    until("a scrape", PATIENCE, || {
        http::get(prometheus.address, "/-/ready").ok().filter(|answer| answer.status == 200)?;
        (prometheus.query("up == 1").len() == 1).then_some(())
    });
    let target = http::get(prometheus.address, "/api/v1/targets").unwrap().json();
    assert_eq!(target["data"]["activeTargets"][0]["lastError"], "", "{target}");

    let expressions = dashboard();
    assert!(expressions.len() > 30, "{expressions:?}");
    expressions.iter().for_each(|expression| drop(prometheus.query(expression)));
    let rules = fs::read_to_string(prometheus_folder().join("rules.yml")).unwrap();
    let all = named(&format!("{rules}\n{}", expressions.join("\n")));
    assert!(all.len() > 25, "{all:?}");
    let missing = |name: &&String| !ONLY_SOMETIMES.contains(&name.as_str()) && prometheus.query(name).is_empty();
    let missing: Vec<&String> = all.iter().filter(missing).collect();
    assert!(missing.is_empty(), "named, and not there: {missing:?}\n{}", text.text());
    let declared = named(&text.text());
    assert!(ONLY_SOMETIMES.iter().all(|name| declared.contains(*name)));

    let told = http::get(prometheus.address, "/api/v1/rules").unwrap().json();
    let groups = told["data"]["groups"].as_array().unwrap();
    for rule in groups.iter().flat_map(|group| group["rules"].as_array().unwrap()) {
        assert_eq!((&rule["health"], &rule["lastError"]), (&"ok".into(), &Value::Null), "{rule}");
    }
    let firing = prometheus.query("ALERTS{alertstate=\"firing\",severity=~\"critical|warning\"}");
    assert!(firing.is_empty(), "nothing is wrong with the demo: {firing:?}");
}

#[test]
fn the_rules_are_good_for_what_they_are_for() {
    run(promtool().args(["check", "rules", "rules.yml"]));
    run(promtool().args(["test", "rules", "rules-test.yml"]));
}
