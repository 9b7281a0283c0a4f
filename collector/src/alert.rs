//! Alerts: whether rules hold, for how long, and what is told of that.
//!
//! ```text
//! loop {
//!     rule --reading--> how each thing stands --machine--> pending, firing, resolved --tracked--> journal
//!                                                                  \--telling--> journal (outbox): webhooks read it there
//!                                                                   \--> Board: pages read it there
//! }
//! ```
//! Everything that a restart must not forget is in the journal: pending timers, what fires, silences, what was told. Reads our own store
//! and board only, and of each rule no more than a tenth of the time: no broker and no sender notices that there are rules.

mod book; // what the journal says of alerts
pub mod config; // `[alerting]`
mod machine; // how one alert goes on
mod page; // which page shows what an alert is about
mod reading; // what a rule measures
mod rules; // the rules in force
mod telling; // what webhooks are told, and when
mod tracked; // how every alert stands

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use store::alert::standing::RuleStatus;
use store::alert::{AlertState, Alerts, Outbox, Silences, Standing};
use store::clock::Clock;
use store::dead_letters::{Decided, Dismissals};
use store::journal::{Bookmark, Line, LineKind};
use store::redrive::Redrives;
use store::{Board, Journal, Store, StoreError, Timestamp};
use tokio::sync::watch;
use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

pub use config::Config;
pub use rules::Rules;

use book::Said;
use reading::{Around, Readings, Watched};
use telling::{Heard, Pace, Telling};
use tracked::Tracked;

/// How often what is due is looked for, at the most: waits and intervals are told in seconds.
const TICK_MAX: Duration = Duration::from_secs(1);

/// A rule that took long is not asked again for so many times as long: of each rule we take a tenth of the time at the most.
const REST: u32 = 9;

/// How many alerts are listed, the gravest first.
const LISTED_MAX: usize = 1_000;

/// What alerts need.
pub struct Setup {
    /// The rules; new ones come into force at once.
    pub rules: watch::Receiver<Rules>,
    /// Where entries are asked for.
    pub store: Arc<dyn Store>,
    /// Where sources and groups stand, and alerts are put up.
    pub board: Arc<Board>,
    /// Where what is decided is kept.
    pub journal: Journal,
    /// What tells the time.
    pub clock: Clock,
    /// Cancelled when it is to stop.
    pub stop: CancellationToken,
}

/// Takes up what the journal has, and looks at the rules from then on. The task ends after `stop` is cancelled.
pub async fn start(setup: Setup) -> Result<JoinHandle<()>, StoreError> {
    let mut alerting = Alerting::new(setup);
    alerting.take_up().await?;
    alerting.post();
    Ok(tokio::spawn(alerting.run()))
}

/// Everything that is known of alerts.
struct Alerting {
    setup: Setup,
    rules: Rules,
    watched: Vec<Asked>,
    tracked: Tracked,
    telling: Telling,
    silences: Silences,
    dismissals: Dismissals,
    redrives: Redrives,
    /// The number of the latest line of the journal that was taken, and how far it was read.
    line: u64,
    bookmark: Bookmark,
    /// Whether the journal refused a line, and that was said.
    is_refused: bool,
}

/// One rule, and when it is asked.
struct Asked {
    watched: Watched,
    due: Instant,
    /// What the latest look said of itself.
    looked: Option<(Timestamp, Duration)>,
    subjects: usize,
    left_out: usize,
    problem: Option<String>,
}

impl Alerting {
    fn new(setup: Setup) -> Alerting {
        let mut alerting = Alerting {
            setup,
            rules: Rules::default(),
            watched: Vec::new(),
            tracked: Tracked::default(),
            telling: Telling::default(),
            silences: Silences::default(),
            dismissals: Dismissals::default(),
            redrives: Redrives::default(),
            line: 0,
            bookmark: Bookmark::default(),
            is_refused: false,
        };
        alerting.take_rules();
        alerting
    }

    async fn run(mut self) {
        let stop = self.setup.stop.clone();
        loop {
            let tick = self.rules.config.interval.0.min(TICK_MAX);
            tokio::select! {
                () = stop.cancelled() => return,
                Ok(()) = self.setup.rules.changed() => {
                    self.take_rules();
                    self.tracked.keep_rules(&self.rules.rules, self.setup.clock.now());
                }
                () = tokio::time::sleep(tick) => {
                    self.take_lines().await;
                    tokio::select! {
                        () = stop.cancelled() => return,
                        () = self.look() => {}
                    }
                }
            }
            self.write().await;
            self.post();
        }
    }

    /// Takes up how alerts stood, what was told, and what was silenced.
    async fn take_up(&mut self) -> Result<(), StoreError> {
        let now = self.setup.clock.now();
        for line in self.lines().await? {
            match line.kind {
                LineKind::Alert => {
                    let changes = line.read::<Said>().map_or_else(Vec::new, |said| said.changes);
                    changes.into_iter().for_each(|change| self.tracked.restore(change, now));
                }
                LineKind::Outbox => {
                    if let Some(Outbox::Told(notification)) = line.read() {
                        self.telling.take(&notification);
                    }
                }
                _ => self.take(&line),
            }
        }
        self.silences.end(now);
        self.tracked.restored(&self.rules.rules, now);
        Ok(())
    }

    /// The lines that were written since.
    async fn lines(&mut self) -> Result<Vec<Line>, StoreError> {
        self.redrives.catch_up(&self.setup.journal).await?;
        let (journal, mut bookmark) = (self.setup.journal.clone(), self.bookmark);
        let read = spawn_blocking(move || journal.read_on(&mut bookmark).map(|lines| (lines, bookmark))).await;
        let (lines, bookmark) = read.map_err(|error| StoreError::Internal(error.to_string()))??;
        self.bookmark = bookmark;
        self.line = lines.last().map_or(self.line, |line| line.number);
        Ok(lines)
    }

    /// Takes what people decided since. Not for lines of our own, which say nothing new.
    async fn take_lines(&mut self) {
        if *self.setup.journal.watch().borrow() <= self.line {
            return;
        }
        match self.lines().await {
            Ok(lines) => lines.iter().for_each(|line| self.take(line)),
            Err(error) => tracing::error!(error = &error as &dyn std::error::Error, "can't read what was silenced"),
        }
    }

    fn take(&mut self, line: &Line) {
        match line.kind {
            LineKind::Silence => self.silences.take(line),
            LineKind::Dismissal => self.dismissals.take(line),
            LineKind::Intent | LineKind::Outcome | LineKind::Alert | LineKind::Outbox | LineKind::Audit => {}
        }
    }

    /// Takes the rules that are in force from now on. A rule that stays as it is goes on as it was.
    fn take_rules(&mut self) {
        self.rules = self.setup.rules.borrow_and_update().clone();
        let mut before = std::mem::take(&mut self.watched);
        for rule in &self.rules.rules {
            let same = before.iter().position(|asked| asked.watched.rule == *rule);
            let asked = match same {
                Some(index) => Some(before.swap_remove(index)),
                None => Watched::new(rule.clone()).map(Asked::new),
            };
            self.watched.extend(asked);
        }
    }

    /// Looks at every rule whose time has come.
    async fn look(&mut self) {
        let interval = self.rules.config.interval.0;
        for asked in &mut self.watched {
            if asked.due > Instant::now() {
                continue;
            }
            let now = self.setup.clock.now();
            let decided = Decided { dismissals: &self.dismissals, redrives: &self.redrives };
            let around = Around { store: &*self.setup.store, board: &self.setup.board, decided, now };
            let started = Instant::now();
            let readings = asked.watched.read(around).await;
            let took = started.elapsed();
            // What stands on the board costs nothing to look at, and is told an interval sooner so.
            let every = if asked.watched.is_on_board() { interval.min(TICK_MAX) } else { interval };
            asked.due = started + every.max(took * (REST + 1));
            asked.note(&readings, now, took);
            self.tracked.look(&asked.watched, readings, now);
        }
        self.silences.end(self.setup.clock.now());
    }

    /// Writes down what changed, and what is to be told. What the journal refuses is written later.
    async fn write(&mut self) {
        let now = self.setup.clock.now();
        let changes = self.tracked.unsaved(now);
        let mut refusal = None;
        let mut lines = Vec::new();
        match book::write_changes(&self.setup.journal, &changes).await {
            Ok(written) => {
                lines = written;
                self.tracked.saved(&changes, now);
            }
            Err(error) => refusal = Some(error),
        }
        let config = &self.rules.config;
        let pace = Pace {
            group_wait: config.group_wait.0,
            group_interval: config.group_interval.0,
            repeat_interval: config.repeat_interval.0,
        };
        let standings: Vec<_> = self.tracked.standings().collect();
        let heard: Vec<Heard<'_>> = standings
            .iter()
            .map(|standing| Heard {
                alert: standing.alert,
                is_silenced: self.silences.of(standing.alert, now).is_some(),
            })
            .collect();
        let due = self.telling.due(&heard, &self.rules.told_to(), &self.rules.webhooks, pace, now);
        for notification in due {
            match book::write_notification(&self.setup.journal, &notification).await {
                Ok(line) => {
                    lines.push(line);
                    self.telling.take(&notification);
                }
                Err(error) => refusal = Some(error),
            }
        }
        for line in lines {
            // Where somebody wrote in between, that is still to be read.
            if line == self.line + 1 {
                self.line = line;
            }
        }
        match &refusal {
            Some(error) if !self.is_refused => {
                tracing::error!(
                    error = error as &dyn std::error::Error,
                    "alerts can't be written down, and so nobody is told"
                );
            }
            _ => {}
        }
        self.is_refused = refusal.is_some();
    }

    /// Puts up how everything stands.
    fn post(&self) {
        let now = self.setup.clock.now();
        let waits: BTreeMap<&str, Duration> =
            self.rules.rules.iter().map(|rule| (rule.name.as_str(), rule.wait.0)).collect();
        let standing = |standing: tracked::Standing<'_>| Standing {
            silence: self.silences.of(standing.alert, now).cloned(),
            told: self.telling.of(standing.alert),
            waits: waits.get(standing.alert.name.as_str()).copied().unwrap_or_default(),
            unknown: standing.unknown.map(str::to_owned),
            alert: standing.alert.clone(),
        };
        let mut current: Vec<Standing> = self.tracked.standings().map(standing).collect();
        current.sort_by_key(|standing| {
            let alert = &standing.alert;
            (grade(alert.state), std::cmp::Reverse(alert.severity), alert.since.clone(), alert.name.clone())
        });
        let left_out = current.len().saturating_sub(LISTED_MAX);
        current.truncate(LISTED_MAX);
        let looked = self.watched.iter().filter_map(|asked| asked.looked);
        self.setup.board.post_alerts(Alerts {
            at: looked.map(|(at, _)| at).max(),
            current,
            left_out,
            history: self.tracked.history(),
            rules: self.watched.iter().map(|asked| asked.status(self.rules.are_default)).collect(),
            silences: self.silences.all(),
            refused: self.rules.refused.clone(),
        });
    }
}

/// What comes first in a list.
fn grade(state: AlertState) -> u8 {
    match state {
        AlertState::Firing => 0,
        AlertState::Pending => 1,
        AlertState::Resolved => 2,
        AlertState::NoData => 3,
    }
}

impl Asked {
    fn new(watched: Watched) -> Asked {
        Asked { watched, due: Instant::now(), looked: None, subjects: 0, left_out: 0, problem: None }
    }

    fn note(&mut self, readings: &Readings, now: Timestamp, took: Duration) {
        self.looked = Some((now, took));
        self.subjects = readings.found.len();
        self.left_out = readings.left_out;
        self.problem = readings.blind.told();
    }

    fn status(&self, is_default: bool) -> RuleStatus {
        RuleStatus {
            rule: self.watched.rule.clone(),
            is_default,
            subjects: self.subjects,
            left_out: self.left_out,
            problem: self.problem.clone(),
            looked_at: self.looked.map(|(at, _)| at),
            took: self.looked.map_or(Duration::ZERO, |(_, took)| took),
        }
    }
}

/// The time of day in UTC: `14:02:11`.
fn clock(at: Timestamp) -> String {
    at.to_string().get(11..19).map_or_else(|| at.to_string(), |clock| format!("{clock} UTC"))
}

#[cfg(test)]
mod tests;
