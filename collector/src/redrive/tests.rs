use std::collections::VecDeque;
use std::sync::Mutex;

use async_trait::async_trait;
use proptest::collection::vec;
use proptest::prelude::*;
use store::board::{ChannelStatus, SourceState, SourceStatus};
use store::dead_letters::Decided;
use store::fixture::{group, record};
use store::memory::Memory;
use store::record::Header;
use store::redacted::Redaction;
use store::redrive::ledger::{Course, Progress, Step as MessageStep};
use store::redrive::said::{Asked, Said};
use store::redrive::{Edit, Planning, Redrive};
use store::{Checkpoint, Entry, Place, Position, Record, Timestamp};
use tokio::sync::Notify;

use super::broker::{Delivered, Outgoing, Search, Sought};
use super::*;
use crate::source::raw::Raw;

/// Where its partitions began: behind all that died.
const BASE: i64 = 10_000;

/// What becomes of the next batch.
#[derive(Clone, Copy, Debug)]
enum Luck {
    /// It arrives.
    Good,
    /// So many arrive, some more late, and then the process is killed.
    Killed(usize, usize),
    /// So many arrive, some more late, and the producer can't tell.
    Unsure(usize, usize),
}

/// A cluster in memory, whose luck is told beforehand.
#[derive(Default)]
struct Cluster {
    kept: Mutex<Vec<Outgoing>>,
    late: Mutex<Vec<Outgoing>>,
    luck: Mutex<VecDeque<Luck>>,
    exact: Mutex<Option<Raw>>,
    killed: Notify,
    /// So many of the first went by retention.
    begin: Mutex<i64>,
}

#[async_trait]
impl Broker for Cluster {
    async fn partitions(&self, _: String) -> Result<u32, String> {
        Ok(4)
    }

    async fn ends(&self, partitions: Vec<(String, i32)>) -> Result<Vec<i64>, String> {
        let end = BASE + self.kept.lock().unwrap().len() as i64;
        Ok(partitions.iter().map(|_| end).collect())
    }

    async fn fetch(&self, _: String, _: i32, _: i64) -> Result<Option<Raw>, String> {
        Ok(self.exact.lock().unwrap().clone())
    }

    async fn send(&self, messages: Vec<Outgoing>) -> Vec<Delivered> {
        let luck = self.luck.lock().unwrap().pop_front().unwrap_or(Luck::Good);
        let (arrive, late) = match luck {
            Luck::Good => (messages.len(), 0),
            Luck::Killed(arrive, late) | Luck::Unsure(arrive, late) => (arrive, late),
        };
        let (first, many) = {
            let mut kept = self.kept.lock().unwrap();
            let first = kept.len();
            kept.extend(messages.iter().take(arrive).cloned());
            self.late.lock().unwrap().extend(messages.iter().skip(arrive).take(late).cloned());
            (first, messages.len())
        };
        match luck {
            Luck::Good => (first..first + many).map(|offset| Delivered::At(BASE + offset as i64)).collect(),
            Luck::Unsure(..) => (0..many).map(|_| Delivered::Unsure("timed out".to_owned())).collect(),
            Luck::Killed(..) => {
                self.killed.notify_one();
                std::future::pending().await
            }
        }
    }

    async fn find(&self, sought: Sought) -> Result<Search, String> {
        assert!(sought.since.elapsed() >= SETTLED_AFTER, "what was sent may still arrive");
        let mut kept = self.kept.lock().unwrap();
        kept.append(&mut self.late.lock().unwrap());
        let begin = BASE + *self.begin.lock().unwrap();
        let from = sought.from.max(begin);
        let held = kept.iter().enumerate().skip((from - BASE) as usize);
        let found = held.filter_map(|(offset, one)| {
            Some((store::redrive::added::number_in(&one.headers, &sought.id)?, BASE + offset as i64))
        });
        let found = found.collect();
        Ok(if begin <= sought.from { Search::Whole(found) } else { Search::Lost(found) })
    }
}

fn board(groups: &[(&str, i64)]) -> Arc<Board> {
    let channel =
        |name: &str| ChannelStatus { channel: name.to_owned(), partitions: 4, records: None, bounds: Arc::default() };
    let board = Board::default();
    board.post(SourceStatus {
        name: "main".into(),
        kind: "kafka".to_owned(),
        address: String::new(),
        state: SourceState::Up,
        error: None,
        since: Timestamp::default(),
        behind_ms: None,
        received: 0,
        channels: ["orders", "orders.DLT"].map(channel).to_vec(),
        unseen: Vec::new(),
        transactions: Vec::new(),
    });
    let groups =
        groups.iter().map(|(name, committed)| group(name).reads("orders", 1, Some(*committed), 2_000).status());
    board.post_groups(&"main".into(), groups.collect());
    Arc::new(board)
}

/// Dead letters whose origins are kept: `orders`, partition 1.
fn dead(many: i64) -> Vec<Entry> {
    let origin = |offset| record("orders", 1, offset).key("order-1").body(format!("body {offset}")).at(1.0);
    let letter = |offset| record("orders.DLT", 0, offset).dead("billing", "no").from("orders", 1, offset).at(2.0);
    let pair = |offset| [origin(offset).header("traceparent", "00-a-b-01").entry(), letter(offset).entry()];
    (0..many).flat_map(pair).collect()
}

fn position(offset: i64) -> Position {
    record("orders.DLT", 0, offset).record().position
}

/// What lives on over kills.
struct World {
    _folder: tempfile::TempDir,
    setup: Setup,
    cluster: Arc<Cluster>,
}

impl World {
    async fn of(entries: Vec<Entry>, groups: &[(&str, i64)]) -> World {
        let folder = tempfile::tempdir().unwrap();
        let store = Arc::new(Memory::new());
        store.append(entries, Checkpoint::none("main".into())).await.unwrap();
        let cluster = Arc::new(Cluster::default());
        let broker: Arc<dyn Broker> = cluster.clone();
        let setup = Setup {
            config: Config { enabled: true, ..Config::default() },
            store,
            journal: Journal::open(folder.path()).unwrap(),
            board: board(groups),
            brokers: BTreeMap::from([("main".into(), broker)]),
            stop: CancellationToken::new(),
        };
        World { _folder: folder, setup, cluster }
    }

    /// Has one message sent back with another value.
    async fn ask_edited(&self, number: i64, value: &str) -> String {
        let (redrives, dismissals) = (Redrives::default(), Dismissals::default());
        let planning = Planning {
            store: &*self.setup.store,
            board: &self.setup.board,
            decided: Decided { dismissals: &dismissals, redrives: &redrives },
            redrives_max: 3,
            overrides: false,
            to: None,
            id: "",
        };
        let plan = planning.item_at(&position(number)).await.unwrap().unwrap().outcome.unwrap();
        let edit = Edit::of(&position(number), &plan, value.to_owned(), &Redaction::default()).unwrap();
        let asked = Asked { rate: 1_000, stop_after: 5, ..Asked::default() };
        redrives.ask(&self.setup.journal, asked, &[position(number)], edit, "ops").await.unwrap()
    }

    async fn ask(&self, asked: Asked, letters: &[Position]) -> String {
        let asked = Asked { rate: 1_000, stop_after: 5, ..asked };
        Redrives::default().ask(&self.setup.journal, asked, letters, None, "ops").await.unwrap()
    }

    /// One life of the process: works until nothing more can be done, or until it is killed. Says whether it was.
    async fn live(&self, id: &str) -> bool {
        let (redrives, dismissals) = (Redrives::default(), Dismissals::default());
        let mut pace = fast();
        let long_ago = Instant::now().checked_sub(SETTLED_AFTER).unwrap();
        let settling = Settling { since: long_ago, why: "started".to_owned(), in_a_row: 0 };
        loop {
            redrives.catch_up(&self.setup.journal).await.unwrap();
            let redrive = redrives.get(id).unwrap();
            let job = Job { setup: &self.setup, redrives: &redrives, dismissals: &dismissals, redrive: &redrive };
            let step = tokio::select! {
                biased;
                () = self.cluster.killed.notified() => return true,
                step = job.step(&mut pace, &settling) => step.unwrap(),
            };
            match step {
                Step::Done | Step::Sent | Step::Unsure(_) => {}
                Step::Later(_) => pace = fast(),
                Step::Waits(_) | Step::Nothing | Step::Closed => return false,
            }
        }
    }

    async fn redrive(&self, id: &str) -> Arc<Redrive> {
        Redrives::read(&self.setup.journal).unwrap().get(id).unwrap()
    }
}

/// A pace that has ramped up already.
fn fast() -> Pace {
    let began = Instant::now();
    let mut pace = Pace::new(began);
    for second in 1..=5 {
        pace.spend(1);
        let _ = pace.allowed(began + Duration::from_secs(second), 1_000);
    }
    pace
}

fn luck() -> impl Strategy<Value = Luck> {
    let counts = (0..40_usize, 0..10_usize);
    prop_oneof![
        2 => Just(Luck::Good),
        3 => counts.clone().prop_map(|(arrive, late)| Luck::Killed(arrive, late)),
        2 => counts.prop_map(|(arrive, late)| Luck::Unsure(arrive, late)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn each_message_is_at_its_target_exactly_once_however_often_the_process_is_killed(
        lucks in vec(luck(), 0..12),
        many in 1..150_usize,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let world = World::of(dead(many as i64), &[("billing", 2_000)]).await;
            let letters: Vec<Position> = (0..many as i64).map(position).collect();
            let id = world.ask(Asked::default(), &letters).await;
            *world.cluster.luck.lock().unwrap() = lucks.into();
            while world.live(&id).await {}
            let kept = world.cluster.kept.lock().unwrap().clone();
            let mut bodies: Vec<&[u8]> = kept.iter().map(|one| one.value.as_deref().unwrap()).collect();
            bodies.sort_unstable();
            let mut expected: Vec<String> = (0..many).map(|number| format!("body {number}")).collect();
            expected.sort_unstable();
            assert_eq!(bodies, expected.iter().map(String::as_bytes).collect::<Vec<_>>());
            let redrive = world.redrive(&id).await;
            assert_eq!(redrive.progress(), Progress { sent: many, ..Progress::default() });
            assert!(redrive.is_closed && redrive.course == Course::Finished);
            for message in &redrive.messages {
                let MessageStep::There { offset, .. } = &message.step else { panic!("{message:?}") };
                let there = kept[(*offset - BASE) as usize].value.clone().unwrap();
                let Place::Offset { offset, .. } = message.letter.place else { panic!("{message:?}") };
                assert_eq!(there, format!("body {offset}"), "the outcome names the right record");
            }
        });
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn an_edited_message_is_at_its_target_exactly_once_and_differs_by_its_value_only(
        lucks in vec(luck(), 0..6),
        value in "\\PC{1,40}",
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let world = World::of(dead(3), &[("billing", 2_000)]).await;
            let id = world.ask_edited(2, &value).await;
            *world.cluster.luck.lock().unwrap() = lucks.into();
            while world.live(&id).await {}
            let edited = world.cluster.kept.lock().unwrap().clone();
            assert_eq!(edited.len(), 1);
            let world = World::of(dead(3), &[("billing", 2_000)]).await;
            let id = world.ask(Asked::default(), &[position(2)]).await;
            world.live(&id).await;
            let [Outgoing { topic, partition, key, headers, .. }] = &world.cluster.kept.lock().unwrap()[..] else {
                panic!("one message")
            };
            let [one] = &edited[..] else { panic!("one message") };
            assert_eq!(one.value.as_deref(), Some(value.as_bytes()));
            assert_eq!((&one.topic, &one.partition, &one.key), (topic, partition, key));
            let less_the_id = |headers: &[Header]| headers[..headers.len() - 1].to_vec();
            assert_eq!(less_the_id(&one.headers), less_the_id(headers));
        });
    }
}

#[tokio::test]
async fn an_edited_message_is_not_sent_where_its_edit_is_gone_damaged_or_made_of_what_lacks_something() {
    let path = |world: &World, id: &str| world.setup.journal.folder().join("edits").join(id);
    let why = async |world: &World, id: &str| {
        world.live(id).await;
        assert!(world.cluster.kept.lock().unwrap().is_empty(), "as it was it isn't sent either");
        match &world.redrive(id).await.messages[0].step {
            MessageStep::Refused(why) => why.clone(),
            other => panic!("{other:?}"),
        }
    };
    let world = World::of(dead(3), &[("billing", 2_000)]).await;
    let id = world.ask_edited(0, "other").await;
    std::fs::remove_file(path(&world, &id)).unwrap();
    assert!(why(&world, &id).await.contains("isn't kept any more"));
    let id = world.ask_edited(1, "other").await;
    std::fs::write(path(&world, &id), b"rubbish").unwrap();
    assert!(why(&world, &id).await.contains("damaged"));
    let id = world.ask_edited(2, "other").await;
    std::fs::copy(path(&world, &world.ask_edited(0, "another").await), path(&world, &id)).unwrap();
    assert!(why(&world, &id).await.contains("damaged"), "it is another one's");
    let id = world.ask_edited(2, "other").await;
    world.setup.board.redacts(Redaction::new(true, |_| false));
    assert!(why(&world, &id).await.contains("[[redact]]"));
}

#[tokio::test]
async fn a_message_goes_with_its_origins_bytes_and_trace_and_says_which_redrive_sent_it() {
    let world = World::of(dead(3), &[("billing", 2_000)]).await;
    let id = world.ask(Asked::default(), &[position(2)]).await;
    assert!(!world.live(&id).await);
    let kept = world.cluster.kept.lock().unwrap().clone();
    let header = |name: &str, value: &str| Header { name: name.to_owned(), value: Some(value.to_owned().into()) };
    let expected = Outgoing {
        topic: "orders".to_owned(),
        partition: 1,
        key: Some("order-1".into()),
        value: Some("body 2".into()),
        headers: vec![
            header("traceparent", "00-a-b-01"),
            header("sillage-redrive-count", "1"),
            header("sillage-redrive-id", &format!("{id}/0")),
        ],
    };
    assert_eq!(kept, [expected]);
    let lines = world.setup.journal.replay(0).unwrap();
    let audit = lines.iter().find(|line| line.kind == store::journal::LineKind::Audit).unwrap();
    assert_eq!((audit.by.as_str(), &audit.says["result"]), ("ops", &"1 sent".into()));
    assert_eq!((&audit.says["from"][0], &audit.says["to"][0]), (&"orders.DLT".into(), &"orders".into()));
}

#[tokio::test]
async fn who_gets_it_again_must_have_been_confirmed_even_if_they_came_to_it_since() {
    let world = World::of(dead(2), &[("billing", 2_000), ("shipping", 1)]).await;
    let letters = [position(0), position(1)];
    let id = world.ask(Asked::default(), &letters).await;
    world.live(&id).await;
    let redrive = world.redrive(&id).await;
    assert!(matches!(&redrive.messages[0].step, MessageStep::Refused(why) if why.contains("`shipping`")));
    assert!(matches!(&redrive.messages[1].step, MessageStep::There { .. }), "shipping has not come to it yet");
    let confirmed = Asked { again: vec!["shipping".to_owned()], ..Asked::default() };
    let id = world.ask(confirmed, &letters).await;
    world.live(&id).await;
    let redrive = world.redrive(&id).await;
    assert!(matches!(&redrive.messages[0].step, MessageStep::There { .. }));
    assert!(matches!(&redrive.messages[1].step, MessageStep::Refused(why) if why.contains("has sent it back already")));
    assert_eq!(world.cluster.kept.lock().unwrap().len(), 2);
}

#[tokio::test]
async fn what_was_taken_out_comes_from_the_broker_or_it_is_not_sent() {
    let masked = record("orders", 1, 7).body(r#"{"card":"[redacted]"}"#).at(1.0);
    let letter = record("orders.DLT", 0, 7).dead("billing", "no").from("orders", 1, 7).at(2.0);
    let entries = [masked.record(), letter.record()].into_iter().map(Entry::Record).collect();
    let world = World::of(entries, &[("billing", 2_000)]).await;
    let id = world.ask(Asked::default(), &[position(7)]).await;
    world.live(&id).await;
    let redrive = world.redrive(&id).await;
    assert!(matches!(&redrive.messages[0].step, MessageStep::Refused(why) if why.contains("doesn't hold it any more")));

    let own = record("orders", 1, 7).at(1.0).record();
    let raw = Raw {
        position: own.position,
        cluster: None,
        timestamp: own.timestamp,
        timestamp_kind: own.timestamp_kind,
        received_at: own.received_at,
        key: None,
        body: Some(r#"{"card":"4111"}"#.into()),
        headers: Vec::new(),
        transaction: None,
        problem: None,
    };
    let another = Raw { timestamp: Some(Timestamp::now()), ..raw.clone() };
    for (there, sent) in [(another, 0), (raw, 1)] {
        *world.cluster.exact.lock().unwrap() = Some(there);
        let id = world.ask(Asked::default(), &[position(7)]).await;
        world.live(&id).await;
        assert_eq!(world.redrive(&id).await.progress().sent, sent, "only the very record that was kept counts");
    }
    let kept = world.cluster.kept.lock().unwrap();
    assert_eq!(kept[0].value.as_deref(), Some(&br#"{"card":"4111"}"#[..]));
}

#[tokio::test]
async fn what_nobody_can_tell_of_any_more_is_not_sent_again() {
    let world = World::of(dead(5), &[("billing", 2_000)]).await;
    let letters: Vec<Position> = (0..5).map(position).collect();
    let id = world.ask(Asked::default(), &letters).await;
    *world.cluster.luck.lock().unwrap() = [Luck::Killed(3, 0)].into();
    assert!(world.live(&id).await);
    *world.cluster.begin.lock().unwrap() = 1;
    assert!(!world.live(&id).await);
    let redrive = world.redrive(&id).await;
    assert_eq!(redrive.progress(), Progress { sent: 2, unknown: 3, ..Progress::default() });
    assert_eq!(world.cluster.kept.lock().unwrap().len(), 3);
}

#[tokio::test]
async fn it_pauses_when_messages_die_again_and_goes_on_when_it_is_resumed() {
    let world = World::of(dead(200), &[("billing", 2_000)]).await;
    let letters: Vec<Position> = (0..200).map(position).collect();
    let id = world.ask(Asked::default(), &letters).await;
    let again = |number: i64| {
        let died = record("orders.DLT", 0, 1_000 + number).dead("billing", "no");
        let died = died.header("sillage-redrive-id", &format!("{id}/{number}"));
        Entry::Record(Record { received_at: Timestamp::now(), ..died.record() })
    };
    let mut died = 0;
    for (deaths, course) in [(5, "paused"), (1, "finished")] {
        // Each batch of a life that goes on dies at once.
        let entries = (died..died + deaths).map(again).collect();
        died += deaths;
        *world.cluster.luck.lock().unwrap() = [Luck::Good, Luck::Killed(0, 0)].into();
        world.live(&id).await;
        world.setup.store.append(entries, Checkpoint::none("main".into())).await.unwrap();
        while world.live(&id).await {}
        let redrive = world.redrive(&id).await;
        assert_eq!(redrive.course.as_str(), course, "{:?}", redrive.progress());
        if course == "paused" {
            assert!(
                matches!(&redrive.course, Course::Paused { by, why } if by == "sillage" && why.contains("5 of its"))
            );
            assert!(redrive.progress().waiting > 0);
            Said::Resumed.append(&world.setup.journal, &id, "ops").await.unwrap();
        }
    }
    assert_eq!(world.redrive(&id).await.progress().sent, 200);
}

#[tokio::test]
async fn it_waits_for_its_broker_and_does_nothing_when_it_is_not_enabled() {
    let world = World::of(dead(1), &[("billing", 2_000)]).await;
    let id = world.ask(Asked::default(), &[position(0)]).await;
    world.setup.board.amend(&"main".into(), |status| status.state = SourceState::Down);
    world.live(&id).await;
    assert_eq!(world.redrive(&id).await.progress().waiting, 1);
    world.setup.board.amend(&"main".into(), |status| status.state = SourceState::Up);
    let setup = Setup { config: Config::default(), ..world.setup };
    setup.stop.cancel();
    assert_eq!(start(setup).len(), 1, "only edits are looked after");
}
