//! For Prometheus and its like: OpenMetrics 1.0 text (prometheus/OpenMetrics : specification/OpenMetrics.md).

use std::fmt::Write as _;

use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use store::board::SourceState;
use store::engine::Stats;
use store::groups::GroupStatus;

use super::problem::Problem;
use crate::page::VERSION;
use crate::state::AppState;

const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// `/metrics`.
pub async fn show(State(state): State<AppState>) -> Result<Response, Problem> {
    let stats = state.store.stats().await?;
    let mut text = Exposition::default();
    text.family("sillage_build", "info", "Which version runs.");
    text.sample("sillage_build_info", &[("version", VERSION)], 1.0);
    text.family("sillage_uptime_seconds", "gauge", "How long the console has been up.");
    text.sample("sillage_uptime_seconds", &[], state.started.elapsed().as_secs_f64());
    of_store(&mut text, &stats);
    of_sources(&mut text, &state);
    of_groups(&mut text, &state);
    text.family("sillage_refused", "counter", "What was refused or dropped since the start, by reason.");
    for (reason, many) in state.board.refused() {
        text.sample("sillage_refused_total", &[("reason", &reason)], many as f64);
    }
    Ok(([(header::CONTENT_TYPE, CONTENT_TYPE)], text.finish()).into_response())
}

fn of_store(text: &mut Exposition, stats: &Stats) {
    text.family("sillage_store_entries", "gauge", "Entries held, by kind.");
    for (kind, many) in [("record", stats.records), ("span", stats.spans), ("log", stats.logs)] {
        text.sample("sillage_store_entries", &[("kind", kind)], many as f64);
    }
    text.family("sillage_store_bytes", "gauge", "Bytes on disk.");
    text.sample("sillage_store_bytes", &[], stats.bytes as f64);
    text.family("sillage_store_segments", "gauge", "Sealed segments, by state.");
    text.sample("sillage_store_segments", &[("state", "good")], stats.segments as f64);
    text.sample("sillage_store_segments", &[("state", "damaged")], stats.damaged as f64);
    text.family("sillage_store_refusing", "gauge", "1 while the store takes no entries.");
    text.sample("sillage_store_refusing", &[], f64::from(u8::from(stats.refusing.is_some())));
    if let Some(free_bytes) = stats.free_bytes {
        text.family("sillage_store_free_bytes", "gauge", "Free bytes on the disk that holds the data.");
        text.sample("sillage_store_free_bytes", &[], free_bytes as f64);
    }
    if let Some(last_fsync) = stats.last_fsync {
        text.family("sillage_store_last_fsync_seconds", "gauge", "How long the latest fsync took.");
        text.sample("sillage_store_last_fsync_seconds", &[], last_fsync.as_secs_f64());
    }
}

fn of_sources(text: &mut Exposition, state: &AppState) {
    let sources = state.board.sources();
    text.family("sillage_source_up", "gauge", "1 while a source works.");
    for source in &sources {
        let labels = [("source", source.name.as_str()), ("type", source.kind.as_str())];
        text.sample("sillage_source_up", &labels, f64::from(u8::from(source.state == SourceState::Up)));
    }
    text.family("sillage_source_received", "counter", "Entries received since the start.");
    for source in &sources {
        text.sample("sillage_source_received_total", &[("source", source.name.as_str())], source.received as f64);
    }
    text.family("sillage_source_behind_seconds", "gauge", "How far our reading is behind the broker's end.");
    for source in &sources {
        if let Some(behind_ms) = source.behind_ms {
            text.sample("sillage_source_behind_seconds", &[("source", source.name.as_str())], behind_ms as f64 / 1e3);
        }
    }
}

/// How far consumer groups are behind, by topic. What isn't known has no sample.
fn of_groups(text: &mut Exposition, state: &AppState) {
    let groups = state.board.groups();
    let topics: Vec<_> = groups
        .iter()
        .flat_map(|groups| groups.iter())
        .flat_map(|group| group.topics().into_iter().map(move |topic| (group, topic, group.of_topic(topic))))
        .collect();
    let labels = |group: &GroupStatus, topic: &str| [group.source.to_string(), group.group.clone(), topic.to_owned()];
    let mut family = |name: &str, help: &str, value: &dyn Fn((Option<u64>, Option<u64>)) -> Option<f64>| {
        text.family(name, "gauge", help);
        for (group, topic, lag) in &topics {
            if let Some(value) = value(*lag) {
                let [source, group, topic] = labels(group, topic);
                text.sample(name, &[("source", &source), ("group", &group), ("topic", &topic)], value);
            }
        }
    };
    family("sillage_consumer_lag_records", "Offsets between what a group committed and the end of a topic.", &|lag| {
        lag.0.map(|records| records as f64)
    });
    family("sillage_consumer_lag_seconds", "How long the first record that a group has yet to read waits.", &|lag| {
        lag.1.map(|ms| ms as f64 / 1e3)
    });
}

/// Metrics as text.
#[derive(Default)]
struct Exposition(String);

impl Exposition {
    fn family(&mut self, name: &str, kind: &str, help: &str) {
        let _ = write!(self.0, "# TYPE {name} {kind}\n# HELP {name} {help}\n");
    }

    fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: f64) {
        self.0.push_str(name);
        for (number, (label, text)) in labels.iter().enumerate() {
            let text = text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
            let _ = write!(self.0, "{}{label}=\"{text}\"", if number == 0 { '{' } else { ',' });
        }
        self.0.push_str(if labels.is_empty() { "" } else { "}" });
        let _ = writeln!(self.0, " {value}");
    }

    fn finish(mut self) -> String {
        self.0.push_str("# EOF\n");
        self.0
    }
}
