//! In which order services and topics stand: each topic under whoever wrote to it first, each consumer under what it read.
//!
//! So a flow reads from top to bottom as it went, and most lines are short.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use store::Record;
use store::engine::Sequence;
use store::flow::Flow;

use super::work::Work;
use super::{Lane, LaneKind, LineKind};

/// The name of a record's lane: its channel, with its source where the flow has that channel in several.
pub fn topic_name(flow: &Flow, record: &Record) -> String {
    let position = &record.position;
    let elsewhere = flow
        .each_record()
        .any(|other| other.position.channel == position.channel && other.position.source != position.source);
    if elsewhere { format!("{} ({})", position.channel, position.source) } else { position.channel.to_string() }
}

/// The lanes from top to bottom.
pub fn lanes(flow: &Flow, work: &Work<'_>) -> Vec<Lane> {
    let mut graph = Graph::default();
    let mut service_of: HashMap<Sequence, String> = HashMap::new();
    for piece in &work.pieces {
        graph.see(LaneKind::Service, piece.span.service(), piece.span.started_at.as_nanos());
        service_of.insert(piece.sequence, piece.span.service().to_owned());
    }
    let mut topic_of: HashMap<Sequence, String> = HashMap::new();
    for joined in &flow.records {
        let Some(record) = joined.held.entry.as_record() else { continue };
        let name = topic_name(flow, record);
        graph.see(LaneKind::Topic, &name, record.time().as_nanos());
        topic_of.insert(joined.held.sequence, name);
    }
    for moved in work.moves() {
        let (Some(service), Some(topic)) = (service_of.get(&moved.piece), topic_of.get(&moved.record)) else {
            continue;
        };
        let (service, topic) = ((LaneKind::Service, service.clone()), (LaneKind::Topic, topic.clone()));
        match moved.kind {
            LineKind::Published => graph.lead(service, topic),
            LineKind::Read => graph.lead(topic, service),
        }
    }
    graph.in_order()
}

type Node = (LaneKind, String);

/// Who leads to whom, and when each was first seen.
#[derive(Default)]
struct Graph {
    seen: BTreeMap<Node, i64>,
    leads: HashMap<Node, BTreeSet<Node>>,
    led: HashSet<Node>,
}

impl Graph {
    fn see(&mut self, kind: LaneKind, name: &str, at: i64) {
        let first = self.seen.entry((kind, name.to_owned())).or_insert(at);
        *first = at.min(*first);
    }

    fn lead(&mut self, from: Node, to: Node) {
        self.leads.entry(from).or_default().insert(to.clone());
        self.led.insert(to);
    }

    /// Depth first: from whatever nothing leads to, earliest first, then from what is left (cycles).
    fn in_order(&self) -> Vec<Lane> {
        let mut roots: Vec<(&Node, i64)> = self.seen.iter().map(|(node, at)| (node, *at)).collect();
        roots.sort_by_key(|(node, at)| (self.led.contains(*node), *at, *node));
        let mut placed = HashSet::new();
        let mut lanes = Vec::new();
        for (root, _) in roots {
            // An explicit stack: a flow can have as many lanes as entries.
            let mut waiting = vec![root];
            while let Some(node) = waiting.pop() {
                if !placed.insert(node.clone()) {
                    continue;
                }
                lanes.push(Lane { kind: node.0, name: node.1.clone() });
                let mut next: Vec<&Node> = self.leads.get(node).into_iter().flatten().collect();
                next.sort_by_key(|node| std::cmp::Reverse((self.seen.get(*node), *node)));
                waiting.extend(next);
            }
        }
        lanes
    }
}
