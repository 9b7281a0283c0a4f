//! How all alerts stand: what the collector reports on the [`Board`](crate::Board), and pages show.

use std::time::Duration;

use super::rule::Rule;
use super::silence::Silence;
use super::{Alert, AlertState};
use crate::time::Timestamp;

/// How all alerts stand.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Alerts {
    /// When that was; `None` before the first look.
    pub at: Option<Timestamp>,
    /// What fires, is pending, or can't be told, the gravest first.
    pub current: Vec<Standing>,
    /// How many more there are.
    pub left_out: usize,
    /// What fired, the latest first.
    pub history: Vec<Alert>,
    /// The rules in force.
    pub rules: Vec<RuleStatus>,
    /// The silences that hold.
    pub silences: Vec<Silence>,
    /// Why the configuration that was last given is not in force, and since when: the rules before it are.
    pub refused: Option<(Timestamp, String)>,
}

/// How one alert stands.
#[derive(Clone, PartialEq, Debug)]
pub struct Standing {
    /// The alert.
    pub alert: Alert,
    /// What silences it.
    pub silence: Option<Silence>,
    /// Which webhooks were told that it fires, and when last.
    pub told: Vec<(String, Timestamp)>,
    /// How long it has to hold before it fires.
    pub waits: Duration,
    /// Why nothing tells whether it still holds, where nothing does.
    pub unknown: Option<String>,
}

/// How one rule fares.
#[derive(Clone, PartialEq, Debug)]
pub struct RuleStatus {
    /// The rule.
    pub rule: Rule,
    /// Whether it holds because none is configured.
    pub is_default: bool,
    /// What it looked at last.
    pub subjects: usize,
    /// What it left out: there was more than it looks at.
    pub left_out: usize,
    /// Why it can't tell, or not all, where it can't.
    pub problem: Option<String>,
    /// When it looked last; `None` before it did.
    pub looked_at: Option<Timestamp>,
    /// How long that took.
    pub took: Duration,
}

impl Alerts {
    /// How many fire that nobody has silenced.
    pub fn firing(&self) -> usize {
        let loud = |standing: &&Standing| standing.alert.state == AlertState::Firing && standing.silence.is_none();
        self.current.iter().filter(loud).count()
    }
}
