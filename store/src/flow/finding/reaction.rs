//! What nothing followed, although a rule of the kind `missing_reaction` says that something does, and in which time.
//!
//! Of records alone: spans are sampled. Nothing is said of a flow of which we don't see all, nor while a source is behind or down: what
//! we have not read may be what followed.

use std::time::Duration;

use super::originals;
use crate::alert::standing::Alerts;
use crate::alert::{Kind, Rule};
use crate::board::{Board, SourceState};
use crate::flow::{Finding, Flow};
use crate::record::Record;
use crate::selection::Selection;
use crate::time::Timestamp;

/// How far the clocks of two services may differ for a reaction still to come after what it reacts to.
const CLOCKS_DIFFER: Duration = Duration::from_secs(1);

/// How much later than its time a reaction may be kept: brokers, batches and we take some.
pub const GRACE: Duration = Duration::from_secs(5);

/// Whether a record is an event that something must follow, as a rule says.
pub fn is_awaited(rule: &Rule, record: &Record) -> bool {
    let takes = |globs: &crate::alert::glob::Globs, name: &str| Selection::new("", &globs.0).takes(name);
    record.failure.is_none()
        && takes(&rule.event, event_type(record))
        && takes(&rule.event_type, event_type(record))
        && takes(&rule.source, record.position.source.as_str())
        && takes(&rule.topic, record.position.channel.as_str())
}

/// Whether nothing that a rule names followed an event of a flow in time. Where not all of the flow is seen that can't be told, and where the
/// event was published before, its consumers do well to do nothing.
pub fn is_missing(rule: &Rule, flow: &Flow, awaited: &Record) -> bool {
    flow.cut.is_none()
        && !was_published_before(flow, awaited)
        && first_reaction(rule, flow, awaited, within(rule)).is_none()
}

/// What is missing in a flow, by the rules in force.
pub(super) fn missing(flow: &Flow, board: &Board, now: Timestamp) -> Vec<Finding> {
    let alerts = board.alerts();
    let mut rules = rules(&alerts).peekable();
    if rules.peek().is_none() || !all_is_read(board) {
        return Vec::new();
    }
    let found = rules.flat_map(|rule| {
        let overdue = awaited(rule, flow).filter(move |record| due(rule, record) <= now);
        overdue.filter(|record| is_missing(rule, flow, record)).map(|record| finding(rule, flow, record))
    });
    found.collect()
}

/// When something more may be missing in a flow: the next time by which a rule in force wants an event of it to be followed.
pub fn next_due(flow: &Flow, board: &Board, now: Timestamp) -> Option<Timestamp> {
    let alerts = board.alerts();
    let all = rules(&alerts).flat_map(|rule| awaited(rule, flow).map(move |record| due(rule, record)));
    all.filter(|due| *due > now).min()
}

fn rules(alerts: &Alerts) -> impl Iterator<Item = &Rule> {
    alerts.rules.iter().map(|status| &status.rule).filter(|rule| rule.kind == Kind::MissingReaction)
}

fn awaited<'a>(rule: &'a Rule, flow: &'a Flow) -> impl Iterator<Item = &'a Record> {
    originals(flow).filter(|record| is_awaited(rule, record))
}

/// From when on it counts that nothing followed.
fn due(rule: &Rule, record: &Record) -> Timestamp {
    record.time().max(record.received_at).plus(within(rule)).plus(GRACE)
}

fn finding(rule: &Rule, flow: &Flow, awaited: &Record) -> Finding {
    let (event, channel, reactions) = (event_type(awaited), &awaited.position.channel, rule.one_of.0.join(" or "));
    let within = rule.within.map_or_else(String::new, |within| format!(" within {within}"));
    let mut says = format!("{event} on {channel}: no {reactions} followed{within}, as the rule `{}` has it", rule.name);
    if let Some(late) = first_reaction(rule, flow, awaited, Duration::MAX) {
        let after = late.time().nanos_since(awaited.time()) as f64 / 1e9;
        says.push_str(&format!("; {} came after {after:.1} s", event_type(late)));
    }
    Finding { kind: "reaction", says, position: Some(awaited.position.clone()) }
}

/// The first record of a flow that a rule takes for a reaction, and that came in so long.
fn first_reaction<'a>(rule: &Rule, flow: &'a Flow, awaited: &Record, within: Duration) -> Option<&'a Record> {
    let reactions = Selection::new("", &rule.one_of.0);
    let (earliest, latest) = (awaited.time().minus(CLOCKS_DIFFER), awaited.time().plus(within));
    flow.each_record().find(|record| {
        let is_it = record.failure.is_none() && reactions.takes(event_type(record));
        is_it && record.position != awaited.position && (earliest..=latest).contains(&record.time())
    })
}

fn was_published_before(flow: &Flow, awaited: &Record) -> bool {
    let is_same =
        |record: &&Record| record.event.id == awaited.event.id && record.position.channel == awaited.position.channel;
    awaited.event.id.is_some() && originals(flow).find(is_same).is_some_and(|first| first.position != awaited.position)
}

/// Whether what the brokers have now was read.
fn all_is_read(board: &Board) -> bool {
    let grace = u64::try_from(GRACE.as_millis()).unwrap_or(u64::MAX);
    board.sources().iter().all(|source| {
        matches!(source.state, SourceState::Up | SourceState::Absent)
            && source.behind_ms.is_none_or(|behind| behind <= grace)
    })
}

fn within(rule: &Rule) -> Duration {
    rule.within.map_or(Duration::ZERO, |within| within.0)
}

fn event_type(record: &Record) -> &str {
    record.event.event_type.as_deref().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Store;
    use crate::alert::standing::RuleStatus;
    use crate::board::SourceStatus;
    use crate::checkpoint::Checkpoint;
    use crate::entry::Entry;
    use crate::fixture::{RecordFixture, at, record, trace};
    use crate::flow::{Start, assemble};
    use crate::memory::Memory;

    const RULE: &str = r#"{"name": "unpaid", "kind": "missing_reaction", "event": "OrderPlaced", "source": "main",
        "one_of": ["Paid", "Declined"], "within": "60s"}"#;

    fn board() -> Board {
        let status = RuleStatus {
            rule: serde_json::from_str(RULE).unwrap(),
            is_default: false,
            subjects: 0,
            left_out: 0,
            problem: None,
            looked_at: None,
            took: Duration::ZERO,
        };
        let board = Board::default();
        board.post_alerts(Alerts { rules: vec![status], ..Alerts::default() });
        board
    }

    fn source(state: SourceState, behind_ms: Option<u64>) -> SourceStatus {
        SourceStatus {
            name: "main".into(),
            kind: "kafka".to_owned(),
            address: String::new(),
            state,
            error: None,
            since: Timestamp::default(),
            behind_ms,
            received: 0,
            channels: Vec::new(),
            unseen: Vec::new(),
            transactions: Vec::new(),
        }
    }

    fn event(channel: &str, offset: i64, name: &str, seconds: f64) -> RecordFixture {
        record(channel, 0, offset).event(name).id(&format!("{name}-{offset}")).trace(1).at(seconds)
    }

    async fn found(board: &Board, entries: Vec<RecordFixture>, now: f64) -> Vec<String> {
        let store = Memory::new();
        let entries: Vec<Entry> = entries.into_iter().map(RecordFixture::entry).collect();
        store.append(entries, Checkpoint::none("main".into())).await.unwrap();
        let flow = assemble(&store, board, Start::Trace(trace(1)), at(now)).await.unwrap().unwrap();
        let reactions = flow.findings.into_iter().filter(|finding| finding.kind == "reaction");
        reactions.map(|finding| finding.says).collect()
    }

    #[tokio::test]
    async fn an_event_that_nothing_followed_in_the_declared_time_is_found_once_that_is_sure() {
        let placed = || event("orders", 1, "OrderPlaced", 1.0);
        let says = "OrderPlaced on orders: no Paid or Declined followed within 1m, as the rule `unpaid` has it";
        assert_eq!(found(&board(), vec![placed()], 500.0).await, [says]);
        assert_eq!(found(&board(), vec![placed()], 60.0).await, [""; 0], "it isn't overdue yet");
        let late = vec![placed(), event("payments", 1, "Paid", 91.0)];
        assert_eq!(found(&board(), late, 500.0).await, [format!("{says}; Paid came after 90.0 s")]);
        for name in ["Paid", "Declined"] {
            let followed = vec![placed(), event("payments", 1, name, 40.0)];
            assert_eq!(found(&board(), followed, 500.0).await, [""; 0], "{name}");
        }
        assert_eq!(found(&Board::default(), vec![placed()], 500.0).await, [""; 0], "no rule declares it");
    }

    #[tokio::test]
    async fn what_may_not_have_been_read_yet_is_no_finding() {
        let placed = || vec![event("orders", 1, "OrderPlaced", 1.0)];
        for (state, behind, many) in [
            (SourceState::Up, Some(0), 1),
            (SourceState::Up, Some(60_000), 0),
            (SourceState::Down, None, 0),
            (SourceState::Starting, None, 0),
        ] {
            let board = board();
            board.post(source(state, behind));
            assert_eq!(found(&board, placed(), 500.0).await.len(), many, "{state:?} {behind:?}");
        }
    }

    #[tokio::test]
    async fn copies_dead_letters_and_what_was_published_again_are_not_waited_upon() {
        let placed = || event("orders", 1, "OrderPlaced", 1.0).id("evt-1");
        let paid = || event("payments", 1, "Paid", 2.0);
        let again = event("orders", 2, "OrderPlaced", 200.0).id("evt-1");
        let sent_back = event("orders", 3, "OrderPlaced", 200.0).id("evt-2").header("sillage-redrive-id", "1/0");
        let dead = event("orders.DLT", 1, "OrderPlaced", 200.0).id("evt-1").dead("billing", "no");
        let other = event("orders", 4, "OrderShipped", 3.0);
        let all = vec![placed(), paid(), again, sent_back, dead.from("orders", 0, 1), other];
        assert_eq!(found(&board(), all, 900.0).await, [""; 0]);
    }
}
