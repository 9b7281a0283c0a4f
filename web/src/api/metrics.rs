//! For Prometheus and its like: OpenMetrics 1.0 text (prometheus/OpenMetrics : specification/OpenMetrics.md).

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use store::Timestamp;
use store::board::SourceState;
use store::engine::Stats;
use store::groups::{GroupStatus, Round};
use store::position::SourceName;

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
    of_transactions(&mut text, &state);
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

/// What readers of committed records can't reach, by topic. Topics where nothing is open have no sample.
fn of_transactions(text: &mut Exposition, state: &AppState) {
    let now = Timestamp::now();
    let mut topics: BTreeMap<(String, String), (u64, Duration)> = BTreeMap::new();
    for source in state.board.sources() {
        for open in source.transactions {
            let (waiting, open_for) = topics.entry((source.name.to_string(), open.channel.clone())).or_default();
            *waiting += open.waiting();
            *open_for = open.open_for(now).max(*open_for);
        }
    }
    let mut family = |name: &str, help: &str, value: &dyn Fn(&(u64, Duration)) -> f64| {
        text.family(name, "gauge", help);
        for ((source, topic), open) in &topics {
            text.sample(name, &[("source", source), ("topic", topic)], value(open));
        }
    };
    family("sillage_uncommitted_records", "Offsets between last stable offset and high watermark.", &|open| {
        open.0 as f64
    });
    family(
        "sillage_open_transaction_seconds",
        "How long the last stable offset has stood below the high watermark.",
        &|open| open.1.as_secs_f64(),
    );
}

/// How far one group is behind on a topic, or on a partition of it.
struct LagSamples<'a> {
    group: &'a GroupStatus,
    topic: &'a str,
    partition: Option<String>,
    records: Option<u64>,
    ms: Option<u64>,
}

/// How far consumer groups are behind: by topic, or by partition where that is wanted. What isn't known has no sample.
fn of_groups(text: &mut Exposition, state: &AppState) {
    const RECORDS: &str = "sillage_consumer_lag_records";
    const SECONDS: &str = "sillage_consumer_lag_seconds";
    let groups = state.board.groups();
    let mut lags: Vec<LagSamples<'_>> = Vec::new();
    let now = Timestamp::now();
    for group in groups.iter().flat_map(|groups| groups.iter()).filter(|group| group.is_current(now)) {
        if state.metrics_partitions {
            lags.extend(group.partitions.iter().map(|lag| LagSamples {
                group,
                topic: lag.topic.as_str(),
                partition: Some(lag.partition.to_string()),
                records: lag.lag,
                ms: lag.lag_ms(),
            }));
        } else {
            lags.extend(group.topics().into_iter().map(|topic| {
                let (records, ms) = group.of_topic(topic);
                LagSamples { group, topic, partition: None, records, ms }
            }));
        }
    }
    let families = [
        (RECORDS, "Offsets between what a group committed and the end of a topic or partition."),
        (SECONDS, "How long the first record that a group has yet to read waits."),
    ];
    for (name, help) in families {
        text.family(name, "gauge", help);
        for lag in &lags {
            let in_seconds = lag.ms.map(|ms| ms as f64 / 1e3);
            let value = if name == RECORDS { lag.records.map(|records| records as f64) } else { in_seconds };
            let Some(value) = value else { continue };
            let LagSamples { group, topic, partition, .. } = lag;
            let mut labels = vec![("source", group.source.as_str()), ("group", &group.group), ("topic", topic)];
            labels.extend(partition.as_deref().map(|partition| ("partition", partition)));
            text.sample(name, &labels, value);
        }
    }
    of_rounds(text, &state.board.rounds());
}

/// What it costs to ask for groups.
fn of_rounds(text: &mut Exposition, rounds: &BTreeMap<SourceName, Round>) {
    text.family("sillage_groups_round_seconds", "gauge", "How long the latest round of asking for groups took.");
    for (source, round) in rounds {
        text.sample("sillage_groups_round_seconds", &[("source", source.as_str())], round.took.as_secs_f64());
    }
    text.family("sillage_groups_partitions", "gauge", "Partitions of groups that the latest round saw.");
    for (source, round) in rounds {
        text.sample("sillage_groups_partitions", &[("source", source.as_str())], round.partitions as f64);
    }
    text.family("sillage_groups_requests", "counter", "Requests that brokers got for groups, by kind.");
    for (source, round) in rounds {
        for (kind, sent) in &round.requests {
            text.sample("sillage_groups_requests_total", &[("source", source.as_str()), ("kind", kind)], *sent as f64);
        }
    }
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
