//! Which spans are a service's work, and what each says; and which records each read or published.

use std::collections::HashMap;

use store::engine::Sequence;
use store::flow::Flow;
use store::span::{Operation, SpanStatus};
use store::value::attribute;
use store::{Place, Record, Span};

use super::{LineKind, SpanKey, short_type};
use crate::wording;

/// How deep spans are nested at most that we look up: deeper ones, or a cycle that a hostile sender made, end there.
const DEPTH_MAX: usize = 128;

/// The work in a flow.
pub struct Work<'a> {
    /// What is drawn as a bar, by its beginning.
    pub pieces: Vec<Piece<'a>>,
    moves: Vec<Moved>,
}

/// One piece of work: a span, with all below it in the same service.
pub struct Piece<'a> {
    pub sequence: Sequence,
    pub span: &'a Span,
    pub label: String,
}

/// A record that a piece of work read or published.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Moved {
    pub piece: Sequence,
    pub record: Sequence,
    pub kind: LineKind,
}

/// Whether a span only asks the broker for messages, or tells it that they were taken.
pub fn polls(span: &Span) -> bool {
    span.messaging
        .as_ref()
        .is_some_and(|messaging| matches!(messaging.operation, Operation::Receive | Operation::Settle))
}

impl<'a> Work<'a> {
    /// The work in a flow.
    pub fn of(flow: &'a Flow) -> Work<'a> {
        let spans: Vec<(Sequence, &Span)> =
            flow.spans.iter().filter_map(|joined| Some((joined.held.sequence, joined.held.entry.as_span()?))).collect();
        let mut by_id: HashMap<SpanKey, usize> = HashMap::new();
        for (index, (_, span)) in spans.iter().enumerate() {
            by_id.entry((span.trace_id, span.span_id)).or_insert(index);
        }
        let parent = |index: usize| {
            let (_, span) = spans[index];
            by_id.get(&(span.trace_id, span.parent_span_id?)).copied().filter(|parent| *parent != index)
        };
        // A piece is a span without a parent in its own service, or one that processes a message. What only polls is shown
        // where nothing that it led to is.
        let is_local_root =
            |index: usize| parent(index).is_none_or(|parent| spans[parent].1.service() != spans[index].1.service());
        let led_to_work: std::collections::HashSet<usize> = (0..spans.len())
            .filter(|index| spans[*index].1.processes())
            .filter_map(parent)
            .filter(|parent| polls(spans[*parent].1))
            .collect();
        let is_piece: Vec<bool> = (0..spans.len())
            .map(|index| {
                let span = spans[index].1;
                span.processes() || (is_local_root(index) && !led_to_work.contains(&index) && !settles(span))
            })
            .collect();
        let piece_of = |mut index: usize| {
            for _ in 0..DEPTH_MAX {
                if is_piece[index] {
                    return Some(spans[index].0);
                }
                index = parent(index)?;
            }
            None
        };

        let moves = Moves::of(flow, &spans, &by_id, piece_of);
        let attempts = attempts(flow, &spans);
        let pieces = spans
            .iter()
            .enumerate()
            .filter(|(index, _)| is_piece[*index])
            .map(|(_, (sequence, span))| Piece {
                sequence: *sequence,
                span,
                label: label(span, attempts.get(sequence).copied()),
            })
            .collect();
        Work { pieces, moves: moves.found }
    }

    /// What moved, publishing first.
    pub fn moves(&self) -> &[Moved] {
        &self.moves
    }
}

fn settles(span: &Span) -> bool {
    span.messaging.as_ref().is_some_and(|messaging| messaging.operation == Operation::Settle)
}

struct Moves {
    found: Vec<Moved>,
}

impl Moves {
    fn of(
        flow: &Flow,
        spans: &[(Sequence, &Span)],
        by_id: &HashMap<SpanKey, usize>,
        piece_of: impl Fn(usize) -> Option<Sequence>,
    ) -> Moves {
        let firsts = flow.firsts();
        let mut sequence_of = HashMap::new();
        for joined in &flow.records {
            if let Some(record) = joined.held.entry.as_record() {
                sequence_of.insert(&record.position, joined.held.sequence);
            }
        }
        let mut reads: Vec<(usize, Sequence)> = Vec::new();
        let mut sends: HashMap<(&str, &Place), usize> = HashMap::new();
        for (index, (_, span)) in spans.iter().enumerate() {
            if span.processes() {
                let record = flow.record_of(span).and_then(|record| sequence_of.get(&record.position));
                reads.extend(record.map(|record| (index, *record)));
            } else if let Some(messaging) = &span.messaging
                && matches!(messaging.operation, Operation::Send | Operation::Create | Operation::Unknown)
                && let (Some(destination), Some(place)) = (&messaging.destination, &messaging.place)
            {
                sends.insert((destination, place), index);
            }
        }

        let mut found = Vec::new();
        for joined in &flow.records {
            let Some(record) = joined.held.entry.as_record() else { continue };
            let sequence = joined.held.sequence;
            let first = firsts.get(&sequence).copied().unwrap_or(sequence);
            let by_place = sends.get(&(record.position.channel.as_str(), &record.position.place)).copied();
            let by_context = || {
                let trace = record.event.trace.as_ref()?;
                by_id.get(&(trace.trace_id, trace.span_id?)).copied()
            };
            // A copy often carries the first record's context: then its publisher is the attempt that failed just before.
            let by_attempt = || {
                let tries = reads.iter().filter(|(_, read)| firsts.get(read).copied().unwrap_or(*read) == first);
                let before = tries.filter(|(index, _)| spans[*index].1.started_at <= record.time());
                let failed_last = |index: &usize| (spans[*index].1.failed(), spans[*index].1.started_at);
                before.map(|(index, _)| *index).max_by_key(failed_last)
            };
            let is_copy = record.failure.is_some() && first != sequence;
            let publisher = match is_copy {
                true => by_place
                    .or_else(|| by_context().filter(|index| tells_of(spans[*index].1, record)))
                    .or_else(by_attempt)
                    .or_else(by_context),
                false => by_place.or_else(by_context),
            };
            if let Some(piece) = publisher.and_then(&piece_of) {
                found.push(Moved { piece, record: sequence, kind: LineKind::Published });
            }
        }
        for (index, record) in reads {
            if let Some(piece) = piece_of(index) {
                found.push(Moved { piece, record, kind: LineKind::Read });
            }
        }
        Moves { found }
    }
}

/// Whether a span says that it hands something to this record's channel.
fn tells_of(span: &Span, record: &Record) -> bool {
    span.messaging
        .as_ref()
        .is_some_and(|messaging| messaging.destination.as_deref() == Some(record.position.channel.as_str()))
}

/// Which attempt a process span is, from 1, and of how many; only where there is more than one.
fn attempts(flow: &Flow, spans: &[(Sequence, &Span)]) -> HashMap<Sequence, (u32, u32)> {
    let firsts = flow.firsts();
    let mut tries: HashMap<(Sequence, &str), Vec<Sequence>> = HashMap::new();
    for (sequence, span) in spans.iter().filter(|(_, span)| span.processes()) {
        let Some(record) = flow.record_of(span) else { continue };
        let held = flow
            .records
            .iter()
            .find(|joined| joined.held.entry.as_record().is_some_and(|other| other.position == record.position));
        let Some(held) = held.map(|joined| joined.held.sequence) else { continue };
        let first = firsts.get(&held).copied().unwrap_or(held);
        tries.entry((first, span.service())).or_default().push(*sequence);
    }
    let mut attempts = HashMap::new();
    for sequences in tries.into_values().filter(|sequences| sequences.len() > 1) {
        let of = u32::try_from(sequences.len()).unwrap_or(u32::MAX);
        for (sequence, number) in sequences.into_iter().zip(1..) {
            attempts.insert(sequence, (number, of));
        }
    }
    attempts
}

fn label(span: &Span, attempt: Option<(u32, u32)>) -> String {
    let what = match attempt {
        Some((number, _)) => format!("attempt {number}"),
        None => span.name.clone(),
    };
    match error(span) {
        Some(error) => wording::cut(&format!("{} · {error}", wording::cut(&what, 28)), 44),
        None => wording::cut(&what, 36),
    }
}

/// What a failed span says of its failure, in a few words: the exception's type, else its status.
pub fn error(span: &Span) -> Option<String> {
    let SpanStatus::Error(says) = &span.status else { return None };
    let exception = span.events.iter().rev().find(|event| event.name == "exception");
    let exception_type = exception.and_then(|event| attribute(&event.attributes, "exception.type")?.as_text());
    let words = match exception_type.or_else(|| attribute(&span.attributes, "error.type")?.as_text()) {
        Some(name) => short_type(name),
        None if says.is_empty() => "failed",
        None => says,
    };
    Some(words.to_owned())
}
