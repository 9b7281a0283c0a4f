//! Spans below each other, as they called each other, each with its bar.

use std::collections::HashMap;

use store::engine::Sequence;
use store::flow::Flow;
use store::{Span, SpanId, TraceId};

use crate::drawing::scale::Share;
use crate::drawing::scene::work;
use crate::wording;

/// The deepest step that is still indented; deeper ones stand below it all the same.
const INDENT_MAX: usize = 12;

/// The deepest nesting that is followed: beyond it, or in a cycle that a hostile sender made, spans stand at the top.
const DEPTH_MAX: usize = 256;

/// A span in its place.
#[derive(Clone, PartialEq, Debug)]
pub struct Branch {
    pub sequence: Sequence,
    /// How deep it stands.
    pub depth: usize,
    pub name: String,
    pub service: String,
    pub kind: &'static str,
    pub at: String,
    pub took: String,
    /// What it says of its failure; empty where it did not fail.
    pub error: String,
    /// Its bar, in shares of the flow's time.
    pub x: Share,
    pub width: String,
}

/// The spans of a flow, each after its parent, at most so many.
pub fn branches(flow: &Flow, branches_max: usize) -> Vec<Branch> {
    let spans: Vec<(Sequence, &Span)> =
        flow.spans.iter().filter_map(|joined| Some((joined.held.sequence, joined.held.entry.as_span()?))).collect();
    let held: HashMap<(TraceId, SpanId), usize> =
        spans.iter().enumerate().rev().map(|(index, (_, span))| ((span.trace_id, span.span_id), index)).collect();
    let mut children: HashMap<usize, Vec<usize>> = HashMap::new();
    let mut roots = Vec::new();
    for (index, (_, span)) in spans.iter().enumerate() {
        let parent = span.parent_span_id.and_then(|parent| held.get(&(span.trace_id, parent)).copied());
        match parent.filter(|parent| *parent != index) {
            Some(parent) => children.entry(parent).or_default().push(index),
            None => roots.push(index),
        }
    }
    let mut branches = Vec::new();
    let mut placed = vec![false; spans.len()];
    // Roots by time; then whatever hangs in a cycle.
    for root in roots.into_iter().chain(0..spans.len()) {
        let mut waiting = vec![(root, 0)];
        while let Some((index, depth)) = waiting.pop() {
            if placed[index] || branches.len() == branches_max {
                continue;
            }
            placed[index] = true;
            branches.push(branch(flow, spans[index], depth));
            if depth < DEPTH_MAX {
                waiting.extend(children.get(&index).into_iter().flatten().rev().map(|child| (*child, depth + 1)));
            }
        }
    }
    branches
}

fn branch(flow: &Flow, (sequence, span): (Sequence, &Span), depth: usize) -> Branch {
    let total = flow.duration_nanos().max(1) as f64;
    let from = span.started_at.nanos_since(flow.started_at) as f64 / total * 100.0;
    let width = span.duration_nanos() as f64 / total * 100.0;
    Branch {
        sequence,
        depth: depth.min(INDENT_MAX),
        name: wording::cut(&span.name, 80),
        service: span.service().to_owned(),
        kind: span.kind.as_str(),
        at: wording::offset(span.started_at.nanos_since(flow.started_at)),
        took: wording::duration(span.duration_nanos()),
        error: work::error(span).unwrap_or_default(),
        x: Share(from.clamp(0.0, 99.5)),
        width: if width < 1.0 { "2".to_owned() } else { Share(width.min(100.0)).to_string() },
    }
}
