//! How far consumer groups are behind, and what it costs to ask.

use std::collections::BTreeMap;

use store::Timestamp;
use store::groups::{GroupStatus, Round};
use store::position::SourceName;

use super::exposition::Exposition;
use super::exposition::Kind::{Counter, Gauge};
use crate::state::AppState;

/// How far one group is behind on a topic, or on a partition of it.
struct LagSamples<'a> {
    group: &'a GroupStatus,
    topic: &'a str,
    partition: Option<String>,
    records: Option<u64>,
    ms: Option<u64>,
}

/// How far consumer groups are behind: by topic, or by partition where that is wanted. What isn't known has no sample.
pub fn tell(text: &mut Exposition, state: &AppState) {
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
        text.family(name, Gauge, help);
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
    text.family("sillage_groups_round_seconds", Gauge, "How long the latest round of asking for groups took.");
    for (source, round) in rounds {
        text.sample("sillage_groups_round_seconds", &[("source", source.as_str())], round.took.as_secs_f64());
    }
    text.family("sillage_groups_partitions", Gauge, "Partitions of groups that the latest round saw.");
    for (source, round) in rounds {
        text.sample("sillage_groups_partitions", &[("source", source.as_str())], round.partitions as f64);
    }
    text.family("sillage_groups_requests", Counter, "Requests that brokers got for groups, by kind.");
    for (source, round) in rounds {
        for (kind, sent) in &round.requests {
            text.sample("sillage_groups_requests_total", &[("source", source.as_str()), ("kind", kind)], *sent as f64);
        }
    }
}
