use store::alert::rule::Rule;
use store::alert::standing::{Alerts, RuleStatus};
use store::board::{SourceState, SourceStatus};
use store::dead_letters::Dismissals;
use store::fixture::{at, group, record, span};
use store::groups::{GroupStatus, LagState, Round};
use store::memory::Memory;
use store::redrive::Redrives;
use store::{Checkpoint, Entry, Place};

use super::*;

/// What a rule reads, over a store and a board.
struct Given {
    store: Memory,
    board: Board,
    dismissals: Dismissals,
    redrives: Redrives,
}

impl Given {
    async fn holding(entries: Vec<Entry>) -> Given {
        let (dismissals, redrives) = (Dismissals::default(), Redrives::default());
        let given = Given { store: Memory::new(), board: Board::default(), dismissals, redrives };
        given.keep(entries).await;
        given
    }

    async fn keep(&self, entries: Vec<Entry>) {
        self.store.append(entries, Checkpoint::none("main".into())).await.unwrap();
    }

    /// A Kafka source with these groups.
    fn source(self, state: SourceState, groups: Vec<GroupStatus>) -> Given {
        self.board.post(SourceStatus {
            name: "main".into(),
            kind: "kafka".to_owned(),
            address: String::new(),
            state,
            error: Some("secret words of a broker".to_owned()),
            since: at(0.0),
            behind_ms: None,
            received: 0,
            channels: Vec::new(),
            unseen: Vec::new(),
            transactions: Vec::new(),
        });
        if state == SourceState::Up {
            self.board.post_groups(&"main".into(), groups);
            self.board.post_round(&"main".into(), Round::default());
        }
        self
    }

    async fn read(&self, watched: &mut Watched, seconds: f64) -> Readings {
        let Given { store, board, dismissals, redrives } = self;
        watched.read(Around { store, board, decided: Decided { dismissals, redrives }, now: at(seconds) }).await
    }

    /// What a rule with these keys reads: labels, what it says of the rule, the value in words.
    async fn told(&self, keys: &str, seconds: f64) -> Vec<(String, Seen, String)> {
        let mut watched = watched(keys);
        let readings = self.read(&mut watched, seconds).await;
        told(&watched, &readings)
    }
}

fn watched(keys: &str) -> Watched {
    let rule: Rule = serde_json::from_str(&format!(r#"{{"name": "rule", {keys}}}"#)).unwrap();
    assert_eq!(rule.check(), Vec::<String>::new(), "{keys}");
    Watched::new(rule).unwrap()
}

fn told(watched: &Watched, readings: &Readings) -> Vec<(String, Seen, String)> {
    let labels = |labels: &Labels| labels.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>();
    let told = readings.found.iter();
    told.map(|reading| (labels(&reading.labels).join(" "), watched.seen(reading), reading.text.clone())).collect()
}

fn seen(told: &[(String, Seen, String)]) -> Vec<(&str, Seen, &str)> {
    told.iter().map(|(labels, seen, text)| (labels.as_str(), *seen, text.as_str())).collect()
}

/// A group that stands so, with a member, behind by this many records on each topic.
fn standing(name: &str, state: LagState, lags: &[(&str, i64)]) -> GroupStatus {
    let group = group(name).member("one").looked_at(100.0);
    let reading = lags.iter().fold(group, |group, (topic, lag)| group.reads(topic, 0, Some(0), *lag));
    GroupStatus { state, ..reading.status() }
}

#[tokio::test]
async fn groups_are_read_by_their_lag_their_state_and_their_members() {
    let mut lonely = standing("lonely", LagState::Stopped, &[("orders", 5)]);
    lonely.members = Some(Vec::new());
    let unseen = GroupStatus { unseen: Some("a share group".into()), ..standing("share", LagState::Unseen, &[]) };
    let billing = standing("billing", LagState::Stalled, &[("orders", 40), ("stock", 2)]);
    let given = Given::holding(Vec::new()).await.source(SourceState::Up, vec![billing, lonely, unseen]);
    let lag = given.told(r#""kind": "lag_records", "above": 10, "below": 4"#, 100.0).await;
    assert_eq!(
        seen(&lag),
        [
            ("group=billing source=main", Seen::Holds, "42 records"),
            ("group=lonely source=main", Seen::Between, "5 records"),
            ("group=share source=main", Seen::Nothing, "a share group"),
        ]
    );
    let of_topic = given.told(r#""kind": "lag_records", "above": 10, "topic": "st*", "group": "b*""#, 100.0).await;
    assert_eq!(seen(&of_topic), [("group=billing source=main topic=stock", Seen::Over, "2 records")]);
    let state = given.told(r#""kind": "group_state""#, 100.0).await;
    assert_eq!(state[0].1, Seen::Holds);
    assert_eq!(state[2].1, Seen::Nothing);
    let moving = given.told(r#""kind": "group_state", "state": ["belowStart"]"#, 100.0).await;
    assert_eq!(seen(&moving)[0], ("group=billing source=main", Seen::Over, "stalled"));
    let members = given.told(r#""kind": "no_members", "group": ["*", "!share"]"#, 100.0).await;
    let lonely = members.iter().find(|(labels, ..)| labels.contains("lonely")).unwrap();
    assert_eq!((lonely.1, lonely.2.as_str()), (Seen::Holds, "0 members"));
    let late = given.told(r#""kind": "group_state""#, 500.0).await;
    assert!(late.iter().all(|(_, seen, _)| *seen == Seen::Nothing), "nobody looked at them lately: {late:?}");
}

#[tokio::test]
async fn of_a_source_that_is_down_no_group_is_said_to_be_well_or_gone() {
    let given = Given::holding(Vec::new()).await.source(SourceState::Down, Vec::new());
    let readings = given.read(&mut watched(r#""kind": "lag_time", "above": "1s""#), 100.0).await;
    assert_eq!(readings.found, []);
    assert!(readings.blind.why(&labels([("source", "main"), ("group", "billing")])).is_some());
    assert_eq!(readings.blind.why(&labels([("source", "other")])), None);
    let down = given.told(r#""kind": "source_down""#, 100.0).await;
    assert_eq!(seen(&down), [("source=main", Seen::Holds, "down")]);
    let readings = given.read(&mut watched(r#""kind": "source_down""#), 100.0).await;
    assert!(!readings.found[0].says.contains("secret words"), "what a broker says stays on our pages");
}

fn dead(offset: i64, consumer: &str, message: &str, at: f64) -> Entry {
    record("orders.DLT", 0, offset)
        .event("OrderPlaced")
        .dead(consumer, message)
        .from("orders", 0, offset)
        .at(at)
        .entry()
}

#[tokio::test]
async fn dead_letters_are_counted_in_all_and_lately_without_those_that_were_dismissed() {
    let entries =
        vec![dead(1, "billing", "no", 0.0), dead(2, "billing", "no", 5_000.0), dead(3, "shipping", "no", 5_000.0)];
    let given = Given::holding(entries).await;
    let all = given.told(r#""kind": "dead_letters", "above": 2"#, 5_010.0).await;
    assert_eq!(seen(&all), [("source=main topic=orders.DLT", Seen::Holds, "3 dead letters")]);
    let lately = given.told(r#""kind": "dead_letters", "above": 2, "over": "1m""#, 5_010.0).await;
    assert_eq!(seen(&lately), [("source=main topic=orders.DLT", Seen::Over, "2 dead letters")]);
    let of_one =
        given.told(r#""kind": "dead_letters", "above": 0, "consumer": "shipping", "over": "1m""#, 5_010.0).await;
    assert_eq!(seen(&of_one), [("source=main topic=orders.DLT", Seen::Holds, "1 dead letter")]);
    let folder = tempfile::tempdir().unwrap();
    let journal = store::Journal::open(folder.path()).unwrap();
    let position = record("orders.DLT", 0, 1).record().position;
    given.dismissals.decide(&journal, &[position], Some("refunded"), "ann").await.unwrap();
    let open = given.told(r#""kind": "dead_letters", "above": 2"#, 5_010.0).await;
    assert_eq!(open[0].2, "2 dead letters");
}

#[tokio::test]
async fn a_cause_is_new_for_an_hour_and_an_old_one_is_not_and_no_words_of_a_payload_are_told() {
    let old =
        vec![dead(1, "billing", "card of Ann declined", 0.0), dead(2, "billing", "card of Ann declined", 9_000.0)];
    let given = Given::holding(old).await;
    given.keep(vec![dead(3, "billing", "no answer from the gateway of Bob", 9_000.0)]).await;
    let mut watched = watched(r#""kind": "dead_letter_cause""#);
    let holds = async |watched: &mut Watched, seconds| {
        let readings = given.read(watched, seconds).await;
        readings.found.iter().filter(|reading| watched.seen(reading) == Seen::Holds).cloned().collect::<Vec<_>>()
    };
    let new = holds(&mut watched, 9_010.0).await;
    assert_eq!(new.len(), 1, "{new:?}");
    assert_eq!(new[0].labels["exception"], "RuntimeError");
    let everything = format!("{:?}", new[0]);
    assert!(!everything.contains("Bob") && !everything.contains("gateway"), "{everything}");
    assert_eq!(holds(&mut watched, 9_000.0 + 3_601.0).await, []);
}

#[tokio::test]
async fn retries_and_errors_are_told_as_shares_once_there_is_enough_to_tell() {
    let mut entries: Vec<Entry> =
        (0..20).map(|offset| record("orders", 0, offset).event("OrderPlaced").at(10.0).entry()).collect();
    entries.push(record("orders-retry", 0, 0).retry("billing", 1).from("orders", 0, 1).at(11.0).entry());
    entries.push(record("orders-retry", 0, 1).retry("billing", 1).from("orders", 0, 2).at(11.0).entry());
    for number in 0..20 {
        let span =
            span("billing", "process").trace(100 + number).id(number + 1).consumed("orders", 0, number as i64).at(12.0);
        entries.push(if number < 3 { span.failed("no").entry() } else { span.entry() });
    }
    let given = Given::holding(entries).await;
    let retried = given.told(r#""kind": "retry_rate", "above": "5%""#, 20.0).await;
    let billing = retried.iter().find(|(labels, ..)| labels.contains("consumer=billing")).unwrap();
    assert_eq!(billing.1, Seen::Holds, "{retried:?}");
    let failed = given.told(r#""kind": "error_rate", "above": "10%""#, 20.0).await;
    assert_eq!(seen(&failed), [("consumer=billing", Seen::Holds, "15.0 %")]);
    let few = given.told(r#""kind": "error_rate", "above": "10%", "at_least": 100"#, 20.0).await;
    assert_eq!(seen(&few), [("consumer=billing", Seen::Over, "only 20 spans")]);
    let other = given.told(r#""kind": "error_rate", "above": "10%", "consumer": "shipping""#, 20.0).await;
    assert_eq!(seen(&other), []);
}

fn placed(offset: i64, trace: u64, at: f64) -> store::fixture::RecordFixture {
    record("orders", 0, offset).event("OrderPlaced").id(&format!("evt-{offset}")).trace(trace).at(at)
}

#[tokio::test]
async fn an_event_that_nothing_followed_in_time_is_found_and_one_that_something_did_is_not() {
    let given = Given::holding(Vec::new()).await;
    let mut watched =
        watched(r#""kind": "missing_reaction", "event": "Order*", "one_of": ["Paid", "Declined"], "within": "60s""#);
    assert_eq!(given.read(&mut watched, 0.0).await.found, []);
    let paid = |offset, trace, at| record("payments", 0, offset).event("Paid").trace(trace).at(at).entry();
    given.keep(vec![placed(1, 1, 1.0).entry(), placed(2, 2, 1.0).entry(), placed(3, 3, 1.0).entry()]).await;
    given.keep(vec![paid(1, 1, 20.0), paid(2, 2, 100.0)]).await;
    assert_eq!(given.read(&mut watched, 2.0).await.found, []);
    assert_eq!(given.read(&mut watched, 60.0).await.found, [], "it isn't overdue yet");
    let readings = given.read(&mut watched, 110.0).await;
    let told = told(&watched, &readings);
    assert_eq!(seen(&told), [("source=main topic=orders type=OrderPlaced", Seen::Holds, "2 in 15 min 0 s")]);
    assert_eq!(readings.found[0].says, "2 OrderPlaced on orders (main) without Paid or Declined within 1m");
    let later = given.read(&mut watched, 110.0 + 901.0).await;
    assert_eq!((later.found, later.blind), (Vec::new(), Blind::Nowhere), "it is of the past now");
}

#[tokio::test]
async fn what_came_before_the_first_look_is_followed_too_but_for_what_is_long_past() {
    let of_the_past = placed(1, 1, 1.0).entry();
    let given = Given::holding(vec![of_the_past, placed(2, 2, 2_000.0).entry()]).await;
    let mut watched = watched(r#""kind": "missing_reaction", "event": "Order*", "one_of": ["Paid"], "within": "60s""#);
    given.read(&mut watched, 2_010.0).await;
    let readings = given.read(&mut watched, 2_080.0).await;
    assert_eq!(readings.found[0].says, "1 OrderPlaced on orders (main) without Paid within 1m");
}

#[tokio::test]
async fn a_reaction_that_is_due_later_is_still_found_missing_by_whoever_asks_for_findings() {
    let given = Given::holding(vec![placed(1, 1, 1.0).entry()]).await;
    let rule = watched(r#""kind": "missing_reaction", "event": "Order*", "one_of": ["Paid"], "within": "10m""#).rule;
    let (took, looked_at) = (Duration::ZERO, None);
    let status = RuleStatus { rule, is_default: false, subjects: 0, left_out: 0, problem: None, looked_at, took };
    given.board.post_alerts(Alerts { rules: vec![status], ..Alerts::default() });
    let mut watched = watched(r#""kind": "finding", "finding": ["reaction"]"#);
    for seconds in [2.0, 40.0, 600.0] {
        assert_eq!(given.read(&mut watched, seconds).await.found, [], "{seconds}");
    }
    let readings = given.read(&mut watched, 610.0).await;
    assert_eq!(readings.found[0].says, "1 finding of kind reaction on orders (main)");
}

#[tokio::test]
async fn how_long_flows_take_and_what_is_wrong_in_them_is_told_once_nothing_comes_any_more() {
    let given = Given::holding(Vec::new()).await;
    let mut slow =
        watched(r#""kind": "flow_time", "type": "OrderPlaced", "above": "4s", "percentile": 50, "at_least": 3"#);
    let mut twice = watched(r#""kind": "finding", "finding": ["duplicate"]"#);
    for watched in [&mut slow, &mut twice] {
        given.read(watched, 0.0).await;
    }
    for (trace, took) in [(1, 1.0), (2, 5.0), (3, 6.0)] {
        let shipped = record("parcels", 0, trace).event("Shipped").trace(trace as u64).at(1.0 + took);
        given.keep(vec![placed(trace, trace as u64, 1.0).entry(), shipped.entry()]).await;
    }
    given.keep(vec![placed(9, 1, 1.5).id("evt-1").entry()]).await;
    for watched in [&mut slow, &mut twice] {
        assert_eq!(given.read(watched, 10.0).await.found, [], "more may come");
    }
    let readings = given.read(&mut slow, 45.0).await;
    assert_eq!(seen(&told(&slow, &readings)), [("source=main topic=orders type=OrderPlaced", Seen::Holds, "p50 5 s")]);
    let readings = given.read(&mut twice, 45.0).await;
    assert_eq!(
        seen(&told(&twice, &readings)),
        [("finding=duplicate source=main topic=orders", Seen::Holds, "1 finding in 15 min 0 s")]
    );
    assert!(
        matches!(&readings.found[0].page, Page::Record(position) if matches!(position.place, Place::Offset { .. }))
    );
    assert!(readings.blind.why(&Labels::new()).is_some(), "nothing is known of the time before");
}

#[tokio::test]
async fn no_rule_looks_at_more_than_a_thousand_things_and_those_that_hold_come_first() {
    let groups = (0..SUBJECTS_MAX + 20).map(|number| {
        let lag = if number >= SUBJECTS_MAX { 50 } else { 0 };
        standing(&format!("group-{number:05}"), LagState::Behind, &[("orders", lag)])
    });
    let given = Given::holding(Vec::new()).await.source(SourceState::Up, groups.collect());
    let mut watched = watched(r#""kind": "lag_records", "above": 10"#);
    let readings = given.read(&mut watched, 100.0).await;
    assert_eq!((readings.found.len(), readings.left_out), (SUBJECTS_MAX, 20));
    let holds = readings.found.iter().filter(|reading| watched.seen(reading) == Seen::Holds).count();
    assert_eq!(holds, 20);
}

#[tokio::test]
async fn where_nothing_tells_how_much_room_the_disk_has_nothing_is_said_of_it() {
    let given = Given::holding(Vec::new()).await;
    let disk = given.told(r#""kind": "disk_low", "below": "1GiB""#, 1.0).await;
    assert_eq!(seen(&disk), [("", Seen::Nothing, "not known")]);
}
