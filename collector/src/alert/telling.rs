//! What webhooks are told, and when: the alerts of one rule together, not at each change, not again and again.
//!
//! ```text
//! fires --group_wait--> told --group_interval--> told of what came since; every repeat_interval while it fires
//!                          \--over for group_interval--> told that it is resolved
//! ```
//! What flaps faster than `group_interval` stays one incident: its receiver is told once, and again after `repeat_interval`.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use store::Timestamp;
use store::alert::{Alert, AlertState, Notification};

use super::reading::Labels;

/// How long to wait before something is told.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Pace {
    /// From an alert to the first word of it: what fires together is told together.
    pub group_wait: Duration,
    /// Between two words of one group, and how long an alert must be over before that is told.
    pub group_interval: Duration,
    /// Until it is told again that something still fires.
    pub repeat_interval: Duration,
}

/// One alert as it stands, and whether it is not to be told of.
#[derive(Clone, Copy)]
pub struct Heard<'a> {
    /// The alert.
    pub alert: &'a Alert,
    /// Somebody silenced it.
    pub is_silenced: bool,
}

/// What each webhook knows of each rule's alerts.
#[derive(Default)]
pub struct Telling {
    groups: BTreeMap<Group, Told>,
}

/// The alerts of one rule, for one webhook.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
struct Group {
    webhook: String,
    rule: String,
}

/// What a webhook knows.
#[derive(Default)]
struct Told {
    /// What it believes to fire.
    firing: BTreeMap<Labels, Alert>,
    /// Since when it is wrong about that.
    over_since: BTreeMap<Labels, Timestamp>,
    /// When it was told last.
    at: Option<Timestamp>,
    /// Until when it was told of more alerts than were named; only after a start.
    left_out_until: Option<Timestamp>,
}

impl Telling {
    /// Takes what was told, as the journal has it or as it was just written.
    pub fn take(&mut self, notification: &Notification) {
        if notification.is_test {
            return;
        }
        // A notification is of one rule's alerts.
        let Some(rule) = notification.alerts.first().map(|alert| alert.name.clone()) else { return };
        let told = self.groups.entry(Group { webhook: notification.webhook.clone(), rule }).or_default();
        told.at = Timestamp::from_rfc3339(&notification.at);
        if notification.left_out > 0 && notification.firing {
            told.left_out_until = told.at;
        }
        for alert in &notification.alerts {
            if alert.state == AlertState::Firing {
                told.firing.insert(alert.labels.clone(), alert.clone());
            } else {
                told.firing.remove(&alert.labels);
                told.over_since.remove(&alert.labels);
            }
        }
    }

    /// When each webhook was last told that an alert fires.
    pub fn of(&self, alert: &Alert) -> Vec<(String, Timestamp)> {
        let groups = self.groups.iter().filter(|(group, _)| group.rule == alert.name);
        let told = groups.filter(|(_, told)| told.firing.contains_key(&alert.labels));
        told.filter_map(|(group, told)| Some((group.webhook.clone(), told.at?))).collect()
    }

    /// What is to be told now. `webhooks` are those of each rule in force; `known` all that are configured.
    pub fn due(
        &mut self,
        alerts: &[Heard<'_>],
        webhooks: &BTreeMap<&str, Vec<&str>>,
        known: &[String],
        pace: Pace,
        now: Timestamp,
    ) -> Vec<Notification> {
        self.groups.retain(|group, _| known.contains(&group.webhook));
        let mut by_rule: BTreeMap<&str, Vec<Heard<'_>>> = BTreeMap::new();
        for heard in alerts.iter().filter(|heard| heard.alert.state == AlertState::Firing) {
            by_rule.entry(&heard.alert.name).or_default().push(*heard);
        }
        for rule in by_rule.keys() {
            for webhook in webhooks.get(rule).into_iter().flatten() {
                self.groups.entry(Group { webhook: (*webhook).to_owned(), rule: (*rule).to_owned() }).or_default();
            }
        }
        let mut due = Vec::new();
        for (group, told) in &mut self.groups {
            let is_told = webhooks.get(group.rule.as_str()).is_some_and(|all| all.contains(&group.webhook.as_str()));
            let firing = by_rule.get(group.rule.as_str()).filter(|_| is_told).map_or(&[][..], Vec::as_slice);
            if let Some(alerts) = told.due(firing, pace, now) {
                due.push(Notification {
                    webhook: group.webhook.clone(),
                    group: group.rule.clone(),
                    firing: alerts.iter().any(|alert| alert.state == AlertState::Firing),
                    is_test: false,
                    alerts,
                    left_out: 0,
                    at: now.to_string(),
                });
            }
        }
        self.groups
            .retain(|_, told| !told.firing.is_empty() || told.at.is_none_or(|at| at.plus(pace.repeat_interval) > now));
        due
    }
}

impl Told {
    /// The alerts to name, what is new first, then what still fires, then what is over; `None` while there is nothing to say.
    fn due(&mut self, firing: &[Heard<'_>], pace: Pace, now: Timestamp) -> Option<Vec<Alert>> {
        self.see(firing, now);
        let is_past = |since: Timestamp, wait: Duration| now.nanos_since(since) >= wait.as_nanos() as i64;
        let loud = || firing.iter().filter(|heard| !heard.is_silenced).map(|heard| heard.alert);
        let (new, known): (Vec<&Alert>, Vec<&Alert>) =
            loud().partition(|alert| !self.firing.contains_key(&alert.labels));
        let over = self.over_since.iter().filter(|(_, since)| is_past(**since, pace.group_interval));
        let over: Vec<Alert> =
            over.filter_map(|(labels, since)| self.firing.get(labels).map(|alert| resolved(alert, *since))).collect();
        let waited =
            new.iter().filter_map(|alert| started(alert)).min().is_some_and(|since| is_past(since, pace.group_wait));
        let is_open = !self.firing.is_empty();
        let may_speak = !is_open || self.at.is_none_or(|at| is_past(at, pace.group_interval));
        let repeats = !known.is_empty() && self.at.is_some_and(|at| is_past(at, pace.repeat_interval));
        let speaks = (may_speak && (waited || !over.is_empty())) || repeats;
        speaks.then(|| new.into_iter().chain(known).cloned().chain(over).collect())
    }

    /// Notes what is over, and what isn't after all.
    fn see(&mut self, firing: &[Heard<'_>], now: Timestamp) {
        if let Some(until) = self.left_out_until.take() {
            for heard in firing.iter().filter(|heard| started(heard.alert).is_some_and(|since| since <= until)) {
                self.firing.entry(heard.alert.labels.clone()).or_insert_with(|| heard.alert.clone());
            }
        }
        let fires: BTreeSet<&Labels> = firing.iter().map(|heard| &heard.alert.labels).collect();
        self.over_since.retain(|labels, _| !fires.contains(labels));
        for labels in self.firing.keys().filter(|labels| !fires.contains(labels)) {
            self.over_since.entry(labels.clone()).or_insert(now);
        }
    }
}

fn started(alert: &Alert) -> Option<Timestamp> {
    alert.started_at.as_deref().and_then(Timestamp::from_rfc3339)
}

/// The alert that was told to fire, as one that doesn't any more.
fn resolved(alert: &Alert, since: Timestamp) -> Alert {
    let since = since.to_string();
    Alert { state: AlertState::Resolved, since: since.clone(), ended_at: Some(since), ..alert.clone() }
}

#[cfg(test)]
mod tests;
