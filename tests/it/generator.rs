//! telemetrygen, OpenTelemetry's own generator: what it sends is taken over both transports without an error.

use std::process::Command;
use std::time::Duration;

use crate::rig::home::Home;
use crate::rig::parts::{self, installed};
use crate::rig::unique;

/// Runs telemetrygen against one of the two receivers; it exits with an error if one of its requests fails.
fn generate(home: &Home, signal: &str, by_http: bool, service: &str, more: &[&str]) {
    let mut command = Command::new(installed("bin/telemetrygen"));
    command.args([signal, "--otlp-insecure", "--service", service, "--rate", "0"]).args(more);
    if by_http {
        command.args(["--otlp-http", "--otlp-endpoint", &home.http.to_string()]);
    } else {
        command.args(["--otlp-endpoint", &home.grpc.to_string()]);
    }
    let output = parts::run(&mut command);
    // Its log lines are time, level, place, text, with tabs between.
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    for line in said.lines() {
        let level = line.split('\t').nth(1).unwrap_or_default();
        assert!(!["WARN", "ERROR", "FATAL"].contains(&level) && !line.contains("artial success"), "{line}");
    }
}

#[test]
fn telemetrygen_traces_and_logs_are_all_kept_over_both_transports() {
    let home = Home::new("");
    let sillage = home.serve();
    for by_http in [false, true] {
        let (traces, logs) = (unique("traces"), unique("logs"));
        generate(&home, "traces", by_http, &traces, &["--traces", "50", "--child-spans", "3"]);
        generate(&home, "logs", by_http, &logs, &["--logs", "50", "--body", "a line"]);
        let spans = sillage.search_when(&format!("service:{traces}"), 200, Duration::from_secs(20));
        assert_eq!(spans.len(), 200, "a parent and three children, 50 times");
        let lines = sillage.search_when(&format!("service:{logs}"), 50, Duration::from_secs(20));
        assert_eq!(lines.len(), 50);
        let trace = spans[0]["traceId"].as_str().unwrap();
        assert_eq!(sillage.api(&format!("flow/{trace}"))["spans"].as_array().unwrap().len(), 4);
    }
}
