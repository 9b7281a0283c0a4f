//! What a whole flow says of a rule, and what many of them say together.

use std::collections::BTreeMap;
use std::time::Duration;

use store::alert::Kind;
use store::alert::rule::FindingKind;
use store::flow::Flow;
use store::flow::finding::reaction;
use store::query::Field;
use store::{Position, Query, Record, Timestamp};

use super::super::{Page, Reading, Watched, duration, labels, many};

/// Which percentile, where a rule doesn't say.
const PERCENTILE_DEFAULT: u8 = 99;

/// What one flow says.
#[derive(Clone, PartialEq, Debug)]
pub struct Sample {
    /// When that was.
    pub at: Timestamp,
    /// What it is counted under: an event type, or a finding's kind.
    what: String,
    source: String,
    topic: String,
    /// How long the flow took, in milliseconds.
    took_ms: f64,
    /// The record that shows it.
    position: Option<Position>,
}

/// Whether a record is of those that a rule names.
pub fn takes(watched: &Watched, record: &Record) -> bool {
    watched.source.takes(record.position.source.as_str())
        && watched.topic.takes(record.position.channel.as_str())
        && watched.event_type.takes(event_type(record))
}

/// What a flow says of a rule. `asked` is the record that it was put together for.
pub fn judge(watched: &Watched, flow: &Flow, asked: Option<&Position>) -> Vec<Sample> {
    match watched.rule.kind {
        Kind::FlowTime => took(watched, flow).into_iter().collect(),
        Kind::MissingReaction => missing(watched, flow, asked).into_iter().collect(),
        _ => findings(watched, flow),
    }
}

/// How long it took, where it began with an event that the rule names.
fn took(watched: &Watched, flow: &Flow) -> Option<Sample> {
    let first = flow.each_record().find(|record| record.failure.is_none())?;
    let took_ms = flow.duration_nanos() as f64 / 1e6;
    takes(watched, first).then(|| sample(first, event_type(first), took_ms))
}

/// The event that nothing followed in time.
fn missing(watched: &Watched, flow: &Flow, asked: Option<&Position>) -> Option<Sample> {
    let awaited = flow.each_record().find(|record| Some(&record.position) == asked)?;
    reaction::is_missing(&watched.rule, flow, awaited).then(|| sample(awaited, event_type(awaited), 0.0))
}

/// What is wrong in it, of the kinds that the rule names.
fn findings(watched: &Watched, flow: &Flow) -> Vec<Sample> {
    let kinds = watched.rule.finding.as_deref();
    let is_meant = |kind: &str| {
        kinds.is_none_or(|kinds| kinds.iter().copied().map(FindingKind::as_str).any(|meant| meant == kind))
    };
    let found = flow.findings.iter().filter(|finding| is_meant(finding.kind));
    let samples = found.filter_map(|finding| {
        let about = finding.position.as_ref();
        let record = flow.each_record().find(|record| about.is_none_or(|position| record.position == *position))?;
        takes(watched, record).then(|| sample(record, finding.kind, 0.0))
    });
    samples.collect()
}

fn sample(record: &Record, what: &str, took_ms: f64) -> Sample {
    let Position { source, channel, .. } = &record.position;
    Sample {
        at: record.time(),
        what: what.to_owned(),
        source: source.to_string(),
        topic: channel.to_string(),
        took_ms,
        position: Some(record.position.clone()),
    }
}

fn event_type(record: &Record) -> &str {
    record.event.event_type.as_deref().unwrap_or_default()
}

/// What all samples say together.
pub fn readings(watched: &Watched, samples: &[&Sample], over: Duration) -> Vec<Reading> {
    let mut together: BTreeMap<(&str, &str, &str), Vec<&Sample>> = BTreeMap::new();
    for sample in samples {
        together.entry((&sample.what, &sample.source, &sample.topic)).or_default().push(sample);
    }
    let over = duration(over.as_secs_f64() * 1e3);
    let readings = together.into_iter().map(|((what, source, topic), samples)| {
        let page = match samples.last().and_then(|sample| sample.position.clone()) {
            Some(position) => Page::Record(position),
            None => Page::Status,
        };
        let n_samples = samples.len() as u64;
        match watched.rule.kind {
            Kind::FlowTime => flow_time(watched, what, (source, topic), &samples),
            Kind::MissingReaction => {
                let reactions = watched.rule.one_of.0.join(" or ");
                let within = watched.rule.within.map_or_else(String::new, |within| within.to_string());
                Reading {
                    labels: labels([("source", source), ("topic", topic), ("type", what)]),
                    value: Some(n_samples as f64),
                    text: format!("{n_samples} in {over}"),
                    says: format!("{n_samples} {what} on {topic} ({source}) without {reactions} within {within}"),
                    page,
                }
            }
            _ => Reading {
                labels: labels([("source", source), ("topic", topic), ("finding", what)]),
                value: Some(n_samples as f64),
                text: format!("{} in {over}", many(n_samples, "finding")),
                says: format!("{} of kind {what} on {topic} ({source})", many(n_samples, "finding")),
                page,
            },
        }
    });
    readings.collect()
}

fn flow_time(watched: &Watched, what: &str, (source, topic): (&str, &str), samples: &[&Sample]) -> Reading {
    let percentile = watched.rule.percentile.unwrap_or(PERCENTILE_DEFAULT);
    let mut times: Vec<f64> = samples.iter().map(|sample| sample.took_ms).collect();
    times.sort_by(f64::total_cmp);
    let enough = times.len() as u64 >= watched.at_least();
    // The nearest rank: a flow that there was.
    let rank = (times.len() * usize::from(percentile)).div_ceil(100).max(1);
    let value = if enough { times.get(rank - 1).copied().unwrap_or(0.0) } else { 0.0 };
    let text = match enough {
        true => format!("p{percentile} {}", duration(value)),
        false => format!("only {}", many(times.len() as u64, "flow")),
    };
    Reading {
        labels: labels([("source", source), ("topic", topic), ("type", what)]),
        value: Some(value),
        says: format!("flows that begin with {what} on {topic} ({source}) take {text} ({} of them)", times.len()),
        text,
        page: Page::Flows(Query::is(Field::Type, what).to_string()),
    }
}
