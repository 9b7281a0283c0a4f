//! An alert, and what is told of it: the words that the rules, the webhooks and the pages share.
//!
//! ```text
//! rules --Alert--> grouped --Notification--> journal (outbox) --> webhooks --Attempt--> journal
//! ```
//! A notification is written down before anything is sent, and every attempt after it: a restart goes on where the journal ends.

pub mod deliveries; // what became of each notification
pub mod glob; // names or patterns in a rule
pub mod kind; // what rules can be about
mod print; // a rule as a file has it
pub mod rule; // one `[[alert]]` of the configuration
pub mod silence; // what is not told of for a while
pub mod standing; // how all alerts stand
pub mod threshold; // when it is too much
pub mod webhook; // how a webhook stands now

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub use kind::Kind;
pub use rule::Rule;
pub use silence::{Silence, Silences};
pub use standing::{Alerts, Standing};

/// How much an alert matters.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Good to know.
    Info,
    /// Somebody should look at it in working hours. The default.
    #[default]
    Warning,
    /// Somebody should get up.
    Critical,
}

impl Severity {
    /// Its name in the configuration and the JSON API.
    pub fn as_str(self) -> &'static str {
        match self {
            Severity::Info => "info",
            Severity::Warning => "warning",
            Severity::Critical => "critical",
        }
    }
}

/// Whether a rule holds for a thing.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum AlertState {
    /// It holds, but not for long enough yet.
    Pending,
    /// It has held for long enough.
    Firing,
    /// It held, and doesn't any more.
    Resolved,
    /// Nothing tells whether it holds.
    NoData,
}

impl AlertState {
    /// Its name in the JSON API.
    pub fn as_str(self) -> &'static str {
        match self {
            AlertState::Pending => "pending",
            AlertState::Firing => "firing",
            AlertState::Resolved => "resolved",
            AlertState::NoData => "noData",
        }
    }
}

/// That a rule holds, or held, for one thing.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Alert {
    /// The rule's name.
    pub name: String,
    /// The rule's kind, as in the configuration: `lag_time`.
    pub kind: String,
    /// How much it matters.
    pub severity: Severity,
    /// How it stands.
    pub state: AlertState,
    /// What it is about, such as `source`, `group`, `topic`, and the rule's own labels. Rule, labels: the identity of an alert.
    pub labels: BTreeMap<String, String>,
    /// What was measured, as people read it: `41 s`, `Stalled`. Never from a payload.
    pub value: String,
    /// One sentence: what is wrong, of what, since when.
    pub summary: String,
    /// The page that shows it, with its time range: a path and a query below `public_url`, without a leading slash.
    pub page: String,
    /// Since when it is in this state: RFC 3339.
    pub since: String,
    /// Since when it fires, or fired; `None` while it never did. RFC 3339.
    pub started_at: Option<String>,
    /// Since when it doesn't any more. RFC 3339.
    pub ended_at: Option<String>,
}

/// What a webhook is to be told: some alerts of one group, at one time.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Notification {
    /// The webhook's name.
    pub webhook: String,
    /// Ties together what is told of the same alerts over time: the key of an incident (PagerDuty's `dedup_key`, Alertmanager's `groupKey`).
    pub group: String,
    /// Firing while any of the alerts fires, else resolved.
    pub firing: bool,
    /// Somebody tries whether the webhook works: nothing is wrong.
    pub is_test: bool,
    /// At most [`ALERTS_PER_NOTIFICATION`].
    pub alerts: Vec<Alert>,
    /// How many more there are of the group.
    pub left_out: usize,
    /// When it was decided: RFC 3339.
    pub at: String,
}

impl Notification {
    /// In a few words: `Firing: billing is late (2 alerts)`.
    pub fn title(&self) -> String {
        let state = if self.firing { "Firing" } else { "Resolved" };
        let test = if self.is_test { "Test. " } else { "" };
        let name = self.alerts.first().map_or("an alert", |alert| alert.name.as_str());
        let others = self.alerts.iter().any(|alert| alert.name != name);
        let more = match self.alerts.len() + self.left_out {
            0 | 1 => String::new(),
            many if others => format!(" and others ({many} alerts)"),
            many => format!(" ({many} alerts)"),
        };
        format!("{test}{state}: {name}{more}")
    }
}

/// How many alerts one notification names: a line of the journal holds 64 KiB, and an alert takes about one.
pub const ALERTS_PER_NOTIFICATION: usize = 30;

/// One line of the journal of kind `Outbox`; what it is about ([`crate::journal::Line::about`]) is the notification's id, which is the
/// `webhook-id` of every attempt.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "line")]
pub enum Outbox {
    /// It is to be sent.
    Told(Notification),
    /// It was sent, or could not be.
    Attempted(Attempt),
    /// Nothing more is tried.
    Ended(Ended),
    /// Somebody wants it sent once more, from the start of its schedule.
    Again {
        /// The number of the latest attempt that they knew of: where there was another since, they have what they want. So a form that is
        /// sent twice sends once.
        #[serde(default)]
        after: Option<u32>,
    },
    /// The receiver said 410 to it: its webhook is told nothing more until it is configured otherwise.
    Gone(Gone),
}

/// A receiver that wants no more.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Gone {
    /// The webhook's name.
    pub webhook: String,
    /// A hash of how the webhook is configured, so that another configuration is known as another one.
    pub target: String,
}

/// One attempt at sending a notification.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Attempt {
    /// Counts from 1.
    pub number: u32,
    /// How long it took, in milliseconds.
    pub took_ms: u64,
    /// The answer's status, where there was one.
    pub status: Option<u16>,
    /// The beginning of the answer's body, or what went wrong.
    pub says: String,
    /// When the next one is due, where there is one: RFC 3339.
    pub next_at: Option<String>,
}

/// How a notification ended.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Ended {
    /// The receiver has it.
    Delivered,
    /// Every attempt failed.
    GaveUp,
    /// The receiver said 410: it wants no more, until the configuration changes.
    Disabled,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_title_says_how_it_stands_and_of_how_many() {
        let notification = |firing, names: &[&str], left_out| {
            let test = deliveries::test_notification("ops", firing, crate::Timestamp::from_millis(0));
            let alert = |name: &&str| Alert { name: (*name).to_owned(), ..test.alerts[0].clone() };
            Notification { is_test: false, alerts: names.iter().map(alert).collect(), left_out, ..test.clone() }
        };
        assert_eq!(notification(true, &["billing is late"], 0).title(), "Firing: billing is late");
        assert_eq!(notification(false, &["late", "late"], 3).title(), "Resolved: late (5 alerts)");
        assert_eq!(notification(true, &["late", "lost"], 0).title(), "Firing: late and others (2 alerts)");
        let test = deliveries::test_notification("ops", true, crate::Timestamp::from_millis(0));
        assert_eq!(test.title(), "Test. Firing: test");
    }

    #[test]
    fn each_line_of_the_outbox_reads_back_as_it_was_written() {
        let attempt = Attempt { number: 1, took_ms: 7, status: Some(503), says: "later".to_owned(), next_at: None };
        let lines = [
            Outbox::Told(deliveries::test_notification("ops", true, crate::Timestamp::from_millis(0))),
            Outbox::Attempted(attempt),
            Outbox::Ended(Ended::Delivered),
            Outbox::Ended(Ended::GaveUp),
            Outbox::Ended(Ended::Disabled),
            Outbox::Again { after: None },
            Outbox::Again { after: Some(3) },
            Outbox::Gone(Gone { webhook: "ops".to_owned(), target: "0123".to_owned() }),
        ];
        for line in lines {
            let written = serde_json::to_value(&line).unwrap();
            assert_eq!(serde_json::from_value::<Outbox>(written.clone()).unwrap(), line, "{written}");
        }
    }
}
