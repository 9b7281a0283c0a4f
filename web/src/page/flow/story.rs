//! What happened, as a table: the drawing's twin.

use std::collections::HashMap;

use store::engine::Sequence;
use store::flow::Flow;
use store::record::Fate;
use store::{Record, Timestamp};

use crate::drawing::scene::LineKind;
use crate::drawing::scene::work::{self, Work};
use crate::wording;

/// One thing that happened.
#[derive(Clone, PartialEq, Debug)]
pub struct Step {
    /// Which entry tells it.
    pub sequence: Sequence,
    /// How long after the start.
    pub at: String,
    /// Whose doing it was; may be empty.
    pub who: String,
    /// What was done.
    pub did: String,
    /// The event that it was about; may be empty.
    pub event: String,
    /// Where.
    pub place: String,
    /// How long it took, or was waited for.
    pub took: String,
    /// `bad`, `warn`, or empty.
    pub tone: &'static str,
}

/// The steps of a flow by their time, at most so many; and how many were left out.
pub fn steps(flow: &Flow, steps_max: usize) -> (Vec<Step>, usize) {
    let work = Work::of(flow);
    let mut publisher: HashMap<Sequence, &str> = HashMap::new();
    let mut read: HashMap<Sequence, Sequence> = HashMap::new();
    let mut first_read: HashMap<Sequence, Timestamp> = HashMap::new();
    let pieces: HashMap<Sequence, &store::Span> =
        work.pieces.iter().map(|piece| (piece.sequence, piece.span)).collect();
    for moved in work.moves() {
        let Some(span) = pieces.get(&moved.piece) else { continue };
        match moved.kind {
            LineKind::Published => {
                publisher.insert(moved.record, span.service());
            }
            LineKind::Read => {
                read.insert(moved.piece, moved.record);
                let first = first_read.entry(moved.record).or_insert(span.started_at);
                *first = span.started_at.min(*first);
            }
        }
    }
    let places: HashMap<Sequence, String> = flow
        .records
        .iter()
        .filter_map(|joined| Some((joined.held.sequence, joined.held.entry.as_record()?.position.to_string())))
        .collect();

    let mut steps: Vec<(Timestamp, Step)> = Vec::new();
    for joined in &flow.records {
        let Some(record) = joined.held.entry.as_record() else { continue };
        let sequence = joined.held.sequence;
        let who = publisher.get(&sequence).copied().or(record.event.producer.as_deref());
        let mut step = record_step(record, who, sequence);
        step.at = wording::offset(record.time().nanos_since(flow.started_at));
        if let Some(first) = first_read.get(&sequence) {
            let waited = first.nanos_since(record.time()).max(0).unsigned_abs();
            step.took = format!("read after {}", wording::duration(waited));
        }
        steps.push((record.time(), step));
    }
    for piece in &work.pieces {
        let span = piece.span;
        let tone = if span.failed() { "bad" } else { "" };
        let place = read.get(&piece.sequence).and_then(|record| places.get(record)).cloned();
        let destination = || span.messaging.as_ref()?.destination.clone();
        steps.push((
            span.started_at,
            Step {
                sequence: piece.sequence,
                at: wording::offset(span.started_at.nanos_since(flow.started_at)),
                who: span.service().to_owned(),
                did: span_did(&piece.label, work::polls(span)),
                event: String::new(),
                place: place.or_else(destination).unwrap_or_default(),
                took: wording::duration(span.duration_nanos()),
                tone,
            },
        ));
    }
    steps.sort_by_key(|(at, step)| (*at, step.sequence));
    let left = steps.len().saturating_sub(steps_max);
    steps.truncate(steps_max);
    (steps.into_iter().map(|(_, step)| step).collect(), left)
}

fn span_did(label: &str, polls: bool) -> String {
    if polls { format!("asked for messages: {label}") } else { label.to_owned() }
}

fn record_step(record: &Record, who: Option<&str>, sequence: Sequence) -> Step {
    let event = record.event.event_type.clone().unwrap_or_else(|| "a record".to_owned());
    let (did, tone) = match &record.failure {
        None if who.is_some() => ("published".to_owned(), ""),
        None => ("somebody published".to_owned(), ""),
        Some(failure) => {
            let reason =
                failure.exception.as_deref().map(crate::drawing::scene::short_type).or(failure.message.as_deref());
            let because = reason.map_or_else(String::new, |reason| format!(" ({})", wording::cut(reason, 80)));
            match failure.fate {
                Fate::DeadLetter => (format!("gave up{because}: dead letter of"), "bad"),
                Fate::Retry => {
                    let wait =
                        failure.not_before.map(|until| until.nanos_since(record.time())).filter(|nanos| *nanos > 0);
                    let wait = wait
                        .map_or_else(String::new, |nanos| format!(" in {}", wording::duration(nanos.unsigned_abs())));
                    (format!("will try again{wait}{because}:"), "warn")
                }
            }
        }
    };
    let consumer = record.failure.as_ref().and_then(|failure| failure.group.as_deref());
    Step {
        sequence,
        at: String::new(),
        who: consumer.or(who).unwrap_or_default().to_owned(),
        did,
        event,
        place: record.position.to_string(),
        took: String::new(),
        tone,
    }
}
