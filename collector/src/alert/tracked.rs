//! How every alert stands: each look at a rule moves its alerts on, and tells what of it must outlive a restart.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use store::Timestamp;
use store::alert::{Alert, AlertState, Rule};
use store::config::Period;

use super::book::Change;
use super::machine::{Phase, Seen, Timing, step};
use super::reading::{Labels, Readings, SUBJECTS_MAX, Watched};

/// How many alerts that fired are remembered for the page, the latest.
const HISTORY_MAX: usize = 200;

/// How long an alert that is resolved is still listed as such, beside the history.
const RESOLVED_SHOWN: Duration = Duration::from_secs(3_600);

/// How often an hour the journal takes how one alert stands. One that changes more often is written when there is room again, as it
/// stands then: the journal is for ever, and a restart hardly ever comes.
const LINES_PER_HOUR: u32 = 20;

/// How much longer than it has to wait a pending alert may be old at a start: longer, and nobody knows whether it held all the while.
const PENDING_KEPT: Duration = Duration::from_secs(3_600);

/// The longest sentence of an alert, in letters.
const SUMMARY_LETTERS_MAX: usize = 500;

/// All alerts, by the name of their rule and by what they are about.
#[derive(Default)]
pub struct Tracked {
    by_rule: BTreeMap<String, BTreeMap<Labels, One>>,
    /// What fired, the oldest first.
    history: VecDeque<Alert>,
}

/// One alert.
struct One {
    phase: Phase,
    /// As it was last told; of what can't be seen, what was seen last.
    alert: Alert,
    /// Why nothing tells, where nothing does.
    unknown: Option<String>,
    /// How it stands in the journal.
    saved: Option<(AlertState, Timestamp)>,
    /// How many lines the journal took, since when.
    lines: (u32, Timestamp),
}

/// How one alert stands, for those who tell of it.
pub struct Standing<'a> {
    /// The alert.
    pub alert: &'a Alert,
    /// Why nothing tells whether it still holds, where nothing does.
    pub unknown: Option<&'a str>,
}

impl Tracked {
    /// Moves the alerts of a rule on, by what was just read.
    pub fn look(&mut self, watched: &Watched, readings: Readings, now: Timestamp) {
        let rule = &watched.rule;
        let timing = Timing { wait: rule.wait.0, keep_firing: rule.keep_firing.0 };
        let known = self.by_rule.entry(rule.name.clone()).or_default();
        let Readings { found, blind, .. } = readings;
        let seen_now: BTreeSet<&Labels> = found.iter().map(|reading| &reading.labels).collect();
        let missing: Vec<Labels> = known.keys().filter(|labels| !seen_now.contains(labels)).cloned().collect();
        for reading in found {
            let seen = watched.seen(&reading);
            let before = known.get(&reading.labels).map_or(Phase::Inactive, |one| one.phase);
            let phase = step(before, seen, timing, now);
            if phase == Phase::Inactive && !known.contains_key(&reading.labels) {
                continue;
            }
            if known.len() >= SUBJECTS_MAX && !known.contains_key(&reading.labels) {
                continue;
            }
            let one = known.entry(reading.labels.clone()).or_insert_with(|| One::of(rule, &reading.labels, now));
            one.unknown = (seen == Seen::Nothing).then(|| reading.text.clone());
            // What was resolved keeps the words that it fired with.
            if seen != Seen::Nothing && !matches!(phase, Phase::Resolved { .. }) {
                one.alert.value = reading.text;
                one.alert.summary = summary(&reading.says, phase);
                one.alert.page = reading.page.address(phase.began().unwrap_or(now), now);
            }
            one.settle(rule, &reading.labels, phase);
            remember(&mut self.history, before, one);
        }
        for labels in missing {
            let Some(one) = known.get_mut(&labels) else { continue };
            one.unknown = blind.why(&labels);
            let seen = if one.unknown.is_some() { Seen::Nothing } else { Seen::Over };
            let before = one.phase;
            one.settle(rule, &labels, step(before, seen, timing, now));
            remember(&mut self.history, before, one);
        }
        known.retain(|_, one| one.is_kept(now));
    }

    /// Resolves what belongs to rules that are in force no more.
    pub fn keep_rules(&mut self, rules: &[Rule], now: Timestamp) {
        for (name, known) in &mut self.by_rule {
            let in_force = rules.iter().find(|rule| rule.name == *name);
            for one in known.values_mut() {
                if in_force.is_some_and(|rule| rule.kind.as_str() == one.alert.kind) {
                    continue;
                }
                let before = one.phase;
                one.phase = match before {
                    Phase::Firing { since, .. } => Phase::Resolved { started: since, ended: now },
                    Phase::Resolved { .. } => before,
                    Phase::Inactive | Phase::Pending { .. } | Phase::NoData { .. } => Phase::Inactive,
                };
                tell(&mut one.alert, one.phase);
                remember(&mut self.history, before, one);
            }
            known.retain(|_, one| one.is_kept(now));
        }
        self.by_rule.retain(|name, known| !known.is_empty() || rules.iter().any(|rule| rule.name == *name));
    }

    /// Every alert that isn't inactive.
    pub fn standings(&self) -> impl Iterator<Item = Standing<'_>> {
        let all = self.by_rule.values().flat_map(BTreeMap::values).filter(|one| one.phase != Phase::Inactive);
        all.map(|one| Standing { alert: &one.alert, unknown: one.unknown.as_deref() })
    }

    /// What fired, the latest first.
    pub fn history(&self) -> Vec<Alert> {
        self.history.iter().rev().cloned().collect()
    }

    /// What the journal doesn't say yet.
    pub fn unsaved(&self, now: Timestamp) -> Vec<Change> {
        let mut changes = Vec::new();
        for (rule, known) in &self.by_rule {
            for (subject, one) in known {
                let stands = one.to_save(now);
                if stands == one.saved || !one.may_write(now) {
                    continue;
                }
                changes.push(match stands {
                    Some(_) => Change::Stands { subject: subject.clone(), alert: one.alert.clone() },
                    None => Change::Gone { rule: rule.clone(), subject: subject.clone() },
                });
            }
        }
        changes
    }

    /// The journal says these now.
    pub fn saved(&mut self, changes: &[Change], now: Timestamp) {
        for change in changes {
            let (rule, subject) = change.about();
            let Some(one) = self.by_rule.get_mut(rule).and_then(|known| known.get_mut(subject)) else { continue };
            one.saved = one.to_save(now);
            let is_new_hour = now.nanos_since(one.lines.1) >= 3_600_000_000_000;
            one.lines = if is_new_hour { (1, now) } else { (one.lines.0 + 1, one.lines.1) };
        }
        for known in self.by_rule.values_mut() {
            known.retain(|_, one| one.is_kept(now));
        }
    }

    /// Takes what a line of the journal says, at a start.
    pub fn restore(&mut self, change: Change, now: Timestamp) {
        match change {
            Change::Gone { rule, subject } => {
                self.by_rule.get_mut(&rule).map(|known| known.remove(&subject));
            }
            Change::Stands { subject, alert } => {
                let known = self.by_rule.entry(alert.name.clone()).or_default();
                let Some(phase) = Phase::of(&alert) else { return };
                if known.len() >= SUBJECTS_MAX && !known.contains_key(&subject) {
                    return;
                }
                let before = known.get(&subject).map_or(Phase::Inactive, |one| one.phase);
                let mut one = One { phase, alert, unknown: None, saved: None, lines: (0, now) };
                one.saved = one.to_save(now);
                remember(&mut self.history, before, &one);
                known.insert(subject, one);
            }
        }
    }

    /// After all lines were taken: lets go of what is too old to go on from.
    pub fn restored(&mut self, rules: &[Rule], now: Timestamp) {
        for (name, known) in &mut self.by_rule {
            let waits = rules.iter().find(|rule| rule.name == *name).map_or(Period::default(), |rule| rule.wait);
            for one in known.values_mut() {
                if let Phase::Pending { since } = one.phase
                    && since.plus(waits.0).plus(PENDING_KEPT) < now
                {
                    one.phase = Phase::Inactive;
                }
                one.unknown = Some("not looked at since Sillage was started".to_owned());
            }
        }
        self.keep_rules(rules, now);
    }
}

/// One sentence: what is wrong, of what, since when.
fn summary(says: &str, phase: Phase) -> String {
    let says: String = says.chars().take(SUMMARY_LETTERS_MAX).collect();
    phase.began().map_or(says.clone(), |since| format!("{says}, since {}", super::clock(since)))
}

/// Keeps what was just resolved.
fn remember(history: &mut VecDeque<Alert>, before: Phase, one: &One) {
    let is_new = matches!(one.phase, Phase::Resolved { .. }) && before != one.phase;
    if is_new {
        history.push_back(one.alert.clone());
        if history.len() > HISTORY_MAX {
            history.pop_front();
        }
    }
}

impl One {
    fn of(rule: &Rule, subject: &Labels, now: Timestamp) -> One {
        let alert = Alert {
            name: rule.name.clone(),
            kind: rule.kind.as_str().to_owned(),
            severity: rule.severity,
            state: AlertState::NoData,
            labels: subject.clone(),
            value: String::new(),
            summary: String::new(),
            page: String::new(),
            since: now.to_string(),
            started_at: None,
            ended_at: None,
        };
        One { phase: Phase::Inactive, alert, unknown: None, saved: None, lines: (0, now) }
    }

    fn settle(&mut self, rule: &Rule, subject: &Labels, phase: Phase) {
        self.phase = phase;
        self.alert.severity = rule.severity;
        self.alert.labels = rule.labels.clone();
        self.alert.labels.extend(subject.clone());
        tell(&mut self.alert, phase);
    }

    /// How it must stand in the journal. What is pending is worth a line from its second look on: most never get there.
    fn to_save(&self, now: Timestamp) -> Option<(AlertState, Timestamp)> {
        match self.phase {
            Phase::Pending { since } | Phase::NoData { held_since: Some(since), .. } => {
                (since < now).then_some((AlertState::Pending, since))
            }
            Phase::Firing { since, .. } => Some((AlertState::Firing, since)),
            Phase::Resolved { ended, .. } => Some((AlertState::Resolved, ended)),
            Phase::Inactive | Phase::NoData { held_since: None, .. } => None,
        }
    }

    fn may_write(&self, now: Timestamp) -> bool {
        self.lines.0 < LINES_PER_HOUR || now.nanos_since(self.lines.1) >= 3_600_000_000_000
    }

    fn is_kept(&self, now: Timestamp) -> bool {
        match self.phase {
            Phase::Inactive => self.saved.is_some(),
            Phase::Resolved { ended, .. } => {
                ended.plus(RESOLVED_SHOWN) > now || self.saved.is_some_and(|(state, _)| state != AlertState::Resolved)
            }
            Phase::Pending { .. } | Phase::Firing { .. } | Phase::NoData { .. } => true,
        }
    }
}

impl Phase {
    /// Since when something has been wrong.
    fn began(self) -> Option<Timestamp> {
        match self {
            Phase::Pending { since } | Phase::Firing { since, .. } => Some(since),
            Phase::Resolved { started, .. } => Some(started),
            Phase::Inactive | Phase::NoData { .. } => None,
        }
    }

    /// As an alert tells it.
    fn of(alert: &Alert) -> Option<Phase> {
        let since = Timestamp::from_rfc3339(&alert.since)?;
        let time = |text: &Option<String>| text.as_deref().and_then(Timestamp::from_rfc3339);
        Some(match alert.state {
            AlertState::Pending => Phase::Pending { since },
            AlertState::Firing => Phase::Firing { since, over_since: None },
            AlertState::Resolved => Phase::Resolved {
                started: time(&alert.started_at).unwrap_or(since),
                ended: time(&alert.ended_at).unwrap_or(since),
            },
            AlertState::NoData => Phase::NoData { since, held_since: None },
        })
    }
}

/// Puts a phase into an alert's own words.
fn tell(alert: &mut Alert, phase: Phase) {
    let (state, since, started, ended) = match phase {
        Phase::Pending { since } => (AlertState::Pending, since, None, None),
        Phase::Firing { since, .. } => (AlertState::Firing, since, Some(since), None),
        Phase::Resolved { started, ended } => (AlertState::Resolved, ended, Some(started), Some(ended)),
        Phase::NoData { since, .. } => (AlertState::NoData, since, None, None),
        Phase::Inactive => return,
    };
    alert.state = state;
    alert.since = since.to_string();
    alert.started_at = started.map(|at| at.to_string());
    alert.ended_at = ended.map(|at| at.to_string());
}
