//! What is asked of a whole flow, `flow:(…)` and `finding:`: the store finds the entries that may be meant, and here their flows decide.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use store::engine::{Cursor, Found, Held};
use store::flow::{Finding, Flow, Start, assemble};
use store::query::Whole;
use store::{Entry, Query, StoreError, Timestamp, TraceId};

use crate::state::AppState;

/// How many flows one answer looks into: each takes a walk of some milliseconds. What lies behind is left to the next page.
pub const FLOWS_DECIDED_MAX: usize = 64;

/// How long one answer looks into flows: people wait for it, and others want the machine too. What lies behind is left to the next page.
pub const DECIDING_TIME_MAX: Duration = Duration::from_secs(2);

/// Keeps of what was found that which a query holds for in its whole flow. Where the query asks nothing of the flow, that is all of it.
///
/// When the budget of [`FLOWS_DECIDED_MAX`] or of [`DECIDING_TIME_MAX`] runs out, the answer ends early, says so, and its `next` goes on from there.
pub async fn decide(state: &AppState, query: &Query, found: Found, now: Timestamp) -> Result<Found, StoreError> {
    if !query.asks_of_flow() {
        return Ok(found);
    }
    let started = Instant::now();
    let mut flows: Vec<Flow> = Vec::new();
    let mut by_trace: HashMap<TraceId, usize> = HashMap::new();
    let mut decided = Found { entries: Vec::new(), ..found };
    let mut last: Option<Held> = None;
    for held in found.entries {
        let known = held.entry.trace_id().and_then(|trace_id| by_trace.get(&trace_id).copied());
        let flow = match known {
            Some(number) => Some(&flows[number]),
            // At least one flow, so that every page moves on.
            None if !flows.is_empty()
                && (flows.len() == FLOWS_DECIDED_MAX || started.elapsed() > DECIDING_TIME_MAX) =>
            {
                decided.next = last.map(|held| Cursor { time: held.entry.time(), identity: held.entry.identity() });
                decided.cut = Some(format!("only {} flows were looked into; the next page goes on", flows.len()));
                return Ok(decided);
            }
            None => match looked_into(state, &held.entry, now).await? {
                Some(flow) => {
                    by_trace.extend(flow.trace_ids.iter().map(|trace_id| (*trace_id, flows.len())));
                    flows.push(flow);
                    flows.last()
                }
                None => None,
            },
        };
        let (entries, findings): (Vec<&Entry>, &[Finding]) = match flow {
            Some(flow) => (flow.entries().map(|joined| &*joined.held.entry).collect(), &flow.findings),
            None => (vec![&*held.entry], &[]),
        };
        if query.matches_in(&held.entry, Whole { entries: &entries, findings }, now) {
            decided.entries.push(held.clone());
        }
        last = Some(held);
    }
    Ok(decided)
}

/// The flow of an entry. Lets others run first: a store that answers from memory never waits.
async fn looked_into(state: &AppState, entry: &Entry, now: Timestamp) -> Result<Option<Flow>, StoreError> {
    tokio::task::yield_now().await;
    assemble(&*state.store, &state.board, start(entry), now).await
}

/// What an entry's flow is best asked by.
fn start(entry: &Entry) -> Start {
    match (entry.trace_id(), entry) {
        (Some(trace_id), _) => Start::Trace(trace_id),
        (None, Entry::Record(record)) => Start::Record {
            source: record.position.source.clone(),
            channel: record.position.channel.clone(),
            place: record.position.place.clone(),
        },
        (None, Entry::Log(log)) => Start::Event(log.event_id.clone().unwrap_or_default()),
        (None, Entry::Span(span)) => Start::Trace(span.trace_id),
    }
}
