//! An alert, and what is told of it: the words that the rules, the webhooks and the pages share.
//!
//! ```text
//! rules --Alert--> grouped --Notification--> journal (outbox) --> webhooks --Attempt--> journal
//! ```
//! A notification is written down before anything is sent, and every attempt after it: a restart goes on where the journal ends.

pub mod glob; // names or patterns in a rule
pub mod kind; // what rules can be about
mod print; // a rule as a file has it
pub mod rule; // one `[[alert]]` of the configuration
pub mod silence; // what is not told of for a while
pub mod standing; // how all alerts stand
pub mod threshold; // when it is too much

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
    Again,
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
