use store::alert::{Notification, Rule};
use store::board::{SourceState, SourceStatus};
use store::config::Period;
use store::memory::Memory;

use super::*;

/// Alerts over a board and a journal, on a clock that is moved by hand.
struct Room {
    folder: tempfile::TempDir,
    journal: Journal,
    board: Arc<Board>,
    clock: Clock,
    rules: watch::Sender<Rules>,
}

const DOWN: &str = "a source is down";

impl Room {
    fn new() -> Room {
        let folder = tempfile::tempdir().unwrap();
        let journal = Journal::open(folder.path()).unwrap();
        let rule = Rule { wait: Period(Duration::from_secs(30)), ..Rule::new(DOWN, store::alert::Kind::SourceDown) };
        let config = Config { interval: Period(Duration::from_millis(100)), ..Config::default() };
        let rules = watch::Sender::new(Rules::new(vec![rule], vec!["ops".to_owned()], config));
        Room { folder, journal, board: Arc::default(), clock: Clock::default(), rules }
    }

    fn source(&self, state: SourceState) {
        self.board.post(SourceStatus {
            name: "main".into(),
            kind: "kafka".to_owned(),
            address: String::new(),
            state,
            error: None,
            since: Timestamp::now(),
            behind_ms: None,
            received: 0,
            channels: Vec::new(),
            unseen: Vec::new(),
            transactions: Vec::new(),
        });
    }

    /// As after a start: with what the journal has.
    async fn start(&self) -> Alerting {
        let mut alerting = Alerting::new(Setup {
            rules: self.rules.subscribe(),
            store: Arc::new(Memory::new()),
            board: self.board.clone(),
            journal: self.journal.clone(),
            clock: self.clock.clone(),
            stop: CancellationToken::new(),
        });
        alerting.take_up().await.unwrap();
        alerting
    }

    /// What each look finds, `seconds` after the one before: the state of the only alert.
    async fn look(&self, alerting: &mut Alerting, seconds: i64) -> Option<AlertState> {
        self.clock.jump(seconds);
        alerting.watched.iter_mut().for_each(|asked| asked.due = Instant::now());
        alerting.take_lines().await;
        alerting.look().await;
        alerting.write().await;
        alerting.post();
        self.board.alerts().current.first().map(|standing| standing.alert.state)
    }

    /// What was told, in the order of the journal: whether it fires.
    fn told(&self) -> Vec<Notification> {
        let lines = Journal::open(self.folder.path()).unwrap().replay(0).unwrap();
        let told = lines.iter().filter(|line| line.kind == LineKind::Outbox).filter_map(Line::read);
        told.filter_map(|outbox| match outbox {
            Outbox::Told(notification) => Some(notification),
            _ => None,
        })
        .collect()
    }
}

#[tokio::test]
async fn a_pending_timer_what_fires_and_what_was_told_outlive_restarts() {
    let room = Room::new();
    room.source(SourceState::Down);
    let mut alerting = room.start().await;
    assert_eq!(room.look(&mut alerting, 0).await, Some(AlertState::Pending));
    assert_eq!(room.look(&mut alerting, 10).await, Some(AlertState::Pending));
    let mut alerting = room.start().await;
    assert_eq!(room.look(&mut alerting, 21).await, Some(AlertState::Firing), "the timer went on over the restart");
    room.look(&mut alerting, 6).await;
    assert_eq!(room.told().len(), 1);
    for _ in 0..3 {
        let mut alerting = room.start().await;
        alerting.post();
        assert_eq!(room.board.alerts().firing(), 1, "before anything was looked at");
        assert_eq!(room.look(&mut alerting, 10).await, Some(AlertState::Firing));
        assert_eq!(room.look(&mut alerting, 100).await, Some(AlertState::Firing));
    }
    assert_eq!(room.told().len(), 1, "nobody is told twice");
    room.source(SourceState::Up);
    let mut alerting = room.start().await;
    assert_eq!(room.look(&mut alerting, 10).await, Some(AlertState::Resolved));
    room.look(&mut alerting, 61).await;
    let told = room.told();
    assert_eq!(told.iter().map(|told| told.firing).collect::<Vec<_>>(), [true, false]);
    assert_eq!(told[1].alerts[0].labels["source"], "main");
    let alerting = room.start().await;
    alerting.post();
    assert_eq!(room.board.alerts().history.len(), 1, "it is remembered");
}

#[tokio::test]
async fn the_journal_grows_on_change_only_and_little_with_what_flaps() {
    let room = Room::new();
    room.source(SourceState::Up);
    let mut alerting = room.start().await;
    let lines = || room.journal.replay(0).unwrap().len();
    for _ in 0..20 {
        room.look(&mut alerting, 10).await;
    }
    assert_eq!(lines(), 0, "nothing happens, nothing is written");
    room.source(SourceState::Down);
    for _ in 0..30 {
        room.look(&mut alerting, 10).await;
    }
    assert_eq!(lines(), 3, "pending, firing, told");
    room.rules.send_modify(|rules| rules.rules[0].wait = Period(Duration::ZERO));
    alerting.take_rules();
    for number in 0..720 {
        room.source(if number % 2 == 0 { SourceState::Up } else { SourceState::Down });
        room.look(&mut alerting, 5).await;
    }
    assert!(lines() < 3 + 2 * 20 + 4, "an hour of flapping is {} lines", lines());
}

#[tokio::test]
async fn what_somebody_silences_is_shown_as_such_at_once_and_not_told() {
    let room = Room::new();
    room.source(SourceState::Down);
    let mut alerting = room.start().await;
    room.look(&mut alerting, 0).await;
    let wanted = store::alert::silence::Wanted {
        rule: DOWN.to_owned(),
        labels: BTreeMap::new(),
        until: room.clock.now().plus(Duration::from_secs(300)),
        reason: "the broker is being moved".to_owned(),
    };
    wanted.begin(&room.journal, "ann").await.unwrap();
    assert_eq!(room.look(&mut alerting, 40).await, Some(AlertState::Firing));
    let alerts = room.board.alerts();
    assert_eq!(alerts.current[0].silence.as_ref().map(|silence| silence.by.as_str()), Some("ann"));
    assert_eq!(alerts.firing(), 0, "nobody is to look up");
    room.look(&mut alerting, 30).await;
    assert_eq!(room.told(), []);
    let mut alerting = room.start().await;
    room.look(&mut alerting, 300).await;
    assert_eq!(room.told().len(), 1, "it has ended, and it still fires");
}

#[tokio::test]
async fn rules_that_are_changed_take_force_at_once_and_what_is_no_rule_any_more_is_resolved() {
    let room = Room::new();
    room.source(SourceState::Down);
    let mut alerting = room.start().await;
    room.look(&mut alerting, 0).await;
    room.look(&mut alerting, 31).await;
    room.look(&mut alerting, 10).await;
    room.rules.send_modify(|rules| rules.refused = Some((Timestamp::now(), "line 3 is wrong".to_owned())));
    alerting.take_rules();
    alerting.post();
    assert_eq!(room.board.alerts().refused.as_ref().map(|(_, why)| why.as_str()), Some("line 3 is wrong"));
    assert_eq!(room.board.alerts().firing(), 1, "and all goes on");
    room.rules.send_modify(|rules| rules.rules = vec![Rule::new("another", store::alert::Kind::SourceDown)]);
    alerting.take_rules();
    alerting.tracked.keep_rules(&alerting.rules.rules, room.clock.now());
    room.look(&mut alerting, 1).await;
    let states: Vec<(String, AlertState)> = room
        .board
        .alerts()
        .current
        .iter()
        .map(|standing| (standing.alert.name.clone(), standing.alert.state))
        .collect();
    assert_eq!(states, [("another".to_owned(), AlertState::Firing), (DOWN.to_owned(), AlertState::Resolved)]);
    room.look(&mut alerting, 61).await;
    room.look(&mut alerting, 61).await;
    let told: Vec<(String, bool)> = room.told().iter().map(|told| (told.group.clone(), told.firing)).collect();
    assert!(told.contains(&(DOWN.to_owned(), false)), "its receiver isn't left in the belief that it fires: {told:?}");
}

#[tokio::test]
async fn a_notification_of_very_many_alerts_fits_into_a_line_and_counts_the_rest() {
    let room = Room::new();
    let labels = |number: usize| BTreeMap::from([("group".to_owned(), format!("{number:0200}"))]);
    let alerts = (0..500).map(|number| store::alert::Alert {
        name: DOWN.to_owned(),
        kind: "source_down".to_owned(),
        severity: Default::default(),
        state: AlertState::Firing,
        labels: labels(number),
        value: String::new(),
        summary: "x".repeat(4_000),
        page: String::new(),
        since: String::new(),
        started_at: None,
        ended_at: None,
    });
    let notification = Notification {
        webhook: "ops".to_owned(),
        group: DOWN.to_owned(),
        firing: true,
        is_test: false,
        alerts: alerts.collect(),
        left_out: 0,
        at: Timestamp::now().to_string(),
    };
    book::write_notification(&room.journal, &notification).await.unwrap();
    let told = room.told();
    assert!(!told[0].alerts.is_empty() && told[0].alerts.len() <= 30);
    assert_eq!(told[0].alerts.len() + told[0].left_out, 500);
}
