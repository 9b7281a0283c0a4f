//! A flow as the API shows it: its summary, and a page of its entries.

use serde::Serialize;
use store::TraceId;
use store::engine::Cursor;
use store::flow::{Delivery, DeliveryState, Finding, Flow, Joined, Neighbours, Outcome};

use super::value::cut;
use super::{AsText, EntryView, PositionView, Time, millis};
use crate::href::Links;

/// A flow, with a page of its entries.
#[derive(Serialize, Debug)]
#[serde(rename_all = "camelCase")]
pub struct FlowView<'a> {
    trace_id: Option<AsText<TraceId>>,
    trace_ids: Vec<AsText<TraceId>>,
    started_at: Time,
    ended_at: Time,
    duration_ms: f64,
    outcome: &'static str,
    budget: BudgetView,
    records: Vec<EntryView<'a>>,
    spans: Vec<EntryView<'a>>,
    logs: Vec<EntryView<'a>>,
    deliveries: Vec<DeliveryView<'a>>,
    retries: u32,
    dead_letters: u32,
    findings: Vec<FindingView<'a>>,
    neighbours: Vec<NeighboursView<'a>>,
    cut: Option<&'a str>,
    next: Option<String>,
}

#[derive(Serialize, Debug)]
#[serde(rename_all = "camelCase")]
struct BudgetView {
    working_ms: f64,
    waiting_ms: f64,
    backing_off_ms: f64,
    unknown_ms: f64,
}

/// Which entries of a flow are shown, and where the next page begins.
#[derive(Debug)]
pub struct FlowPage<'a> {
    /// The entries, by time.
    pub entries: Vec<&'a Joined>,
    /// The last of them, where more follow.
    pub next: Option<Cursor>,
}

impl<'a> FlowView<'a> {
    /// A flow as it was asked for, by a trace or by something else.
    pub fn new(flow: &'a Flow, asked: Option<TraceId>, page: &FlowPage<'a>, links: &Links) -> FlowView<'a> {
        let mut view = FlowView {
            trace_id: asked.or_else(|| flow.trace_ids.first().copied()).map(AsText),
            trace_ids: flow.trace_ids.iter().copied().map(AsText).collect(),
            started_at: Time(flow.started_at),
            ended_at: Time(flow.ended_at),
            duration_ms: millis(flow.duration_nanos()),
            outcome: outcome(flow.outcome),
            budget: BudgetView {
                working_ms: millis(flow.budget.working),
                waiting_ms: millis(flow.budget.waiting),
                backing_off_ms: millis(flow.budget.backing_off),
                unknown_ms: millis(flow.budget.unknown),
            },
            records: Vec::new(),
            spans: Vec::new(),
            logs: Vec::new(),
            deliveries: flow.deliveries.iter().map(DeliveryView::from).collect(),
            retries: flow.retries,
            dead_letters: flow.dead_letters,
            findings: flow.findings.iter().map(FindingView::from).collect(),
            neighbours: flow.neighbours.iter().map(NeighboursView::from).collect(),
            cut: flow.cut.as_deref(),
            next: page.next.as_ref().map(Cursor::to_text),
        };
        for joined in &page.entries {
            let entry = EntryView::new(&joined.held, Some(&joined.by), links);
            match entry {
                EntryView::Record(_) => view.records.push(entry),
                EntryView::Span(_) => view.spans.push(entry),
                EntryView::Log(_) => view.logs.push(entry),
            }
        }
        view
    }
}

/// The word that `status:` has for it.
fn outcome(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Ok => "ok",
        Outcome::Waiting => "waiting",
        Outcome::Retried => "retried",
        Outcome::Failed => "failed",
        Outcome::DeadLettered => "dead",
    }
}

/// One event and one consumer.
#[derive(Serialize, Debug)]
#[serde(rename_all = "camelCase")]
struct DeliveryView<'a> {
    position: PositionView<'a>,
    event_id: Option<&'a str>,
    event_type: Option<&'a str>,
    consumer: &'a str,
    is_group: bool,
    service: Option<&'a str>,
    state: &'static str,
    /// Why the state can't be said, where it can't.
    reason: Option<&'static str>,
    ahead: Option<u64>,
    attempts: u32,
    started_at: Option<Time>,
    ended_at: Option<Time>,
    error: Option<&'a str>,
    commit: Option<CommitView>,
}

/// What the group's commits tell: between which two looks they passed the record, never an instant.
#[derive(Serialize, Debug)]
#[serde(rename_all = "camelCase")]
struct CommitView {
    state: &'static str,
    looked_at: Time,
    passed_after: Option<Time>,
    passed_by: Option<Time>,
    went_back: bool,
}

impl<'a> From<&'a Delivery> for DeliveryView<'a> {
    fn from(delivery: &'a Delivery) -> DeliveryView<'a> {
        DeliveryView {
            position: PositionView::from(&delivery.position),
            event_id: delivery.event_id.as_deref(),
            event_type: delivery.event_type.as_deref(),
            consumer: &delivery.consumer,
            is_group: delivery.is_group,
            service: delivery.service.as_deref(),
            state: state(delivery.state),
            reason: match delivery.state {
                DeliveryState::Unknown(why) => Some(why),
                _ => None,
            },
            ahead: match delivery.state {
                DeliveryState::Waiting(ahead) => ahead,
                _ => None,
            },
            attempts: delivery.attempts,
            started_at: delivery.started_at.map(Time),
            ended_at: delivery.ended_at.map(Time),
            error: delivery.error.as_deref().map(cut),
            commit: delivery.commit.map(|commit| CommitView {
                state: state(commit.stands),
                looked_at: Time(commit.looked_at),
                passed_after: commit.passed.and_then(|passed| passed.after).map(Time),
                passed_by: commit.passed.map(|passed| Time(passed.by)),
                went_back: commit.passed.is_some_and(|passed| passed.went_back),
            }),
        }
    }
}

fn state(state: DeliveryState) -> &'static str {
    match state {
        DeliveryState::Waiting(_) => "waiting",
        DeliveryState::CommittedPast => "committedPast",
        DeliveryState::Processed => "processed",
        DeliveryState::Failed => "failed",
        DeliveryState::Retrying => "retrying",
        DeliveryState::DeadLettered => "deadLettered",
        DeliveryState::Skipped => "skipped",
        DeliveryState::Unknown(_) => "unknown",
    }
}

#[derive(Serialize, Debug)]
struct FindingView<'a> {
    kind: &'static str,
    says: &'a str,
    position: Option<PositionView<'a>>,
}

impl<'a> From<&'a Finding> for FindingView<'a> {
    fn from(finding: &'a Finding) -> FindingView<'a> {
        FindingView {
            kind: finding.kind,
            says: &finding.says,
            position: finding.position.as_ref().map(PositionView::from),
        }
    }
}

#[derive(Serialize, Debug)]
struct NeighboursView<'a> {
    shared: &'a str,
    others: usize,
}

impl<'a> From<&'a Neighbours> for NeighboursView<'a> {
    fn from(neighbours: &'a Neighbours) -> NeighboursView<'a> {
        NeighboursView { shared: &neighbours.shared, others: neighbours.others }
    }
}
