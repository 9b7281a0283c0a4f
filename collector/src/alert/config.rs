//! `[alerting]`: how often rules are looked at, and how soon anything is told.

use std::time::Duration;

use serde::Deserialize;
use store::config::Period;

/// `[alerting]`. Every key may be left out.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// How often each rule asks the store; those on groups and sources are looked at every second, because that costs nothing. 10 seconds by
    /// default: as often as consumer groups are asked for.
    pub interval: Period,
    /// How long the first word of a rule's alerts waits for others of the same rule. 5 seconds by default: less than an interval, so that
    /// nobody is told late.
    pub group_wait: Period,
    /// The least time between two words of the same rule, and how long an alert must be over before that is told. A minute by default: what
    /// flaps faster is one incident.
    pub group_interval: Period,
    /// After how long it is told again that something still fires. 4 hours by default.
    pub repeat_interval: Period,
}

/// The shortest interval: shorter ones only cost.
const INTERVAL_MIN: Duration = Duration::from_millis(100);

/// The longest of each: longer ones are a slip of the pen.
const PERIOD_MAX: Duration = Duration::from_secs(30 * 24 * 3_600);

impl Default for Config {
    fn default() -> Config {
        let seconds = |seconds| Period(Duration::from_secs(seconds));
        Config {
            interval: seconds(10),
            group_wait: seconds(5),
            group_interval: seconds(60),
            repeat_interval: seconds(4 * 3_600),
        }
    }
}

impl Config {
    /// What is wrong with it, each in a sentence that has the guilty key in backticks first.
    pub fn check(&self) -> Vec<String> {
        let all = [
            ("interval", self.interval, INTERVAL_MIN),
            ("group_wait", self.group_wait, Duration::ZERO),
            ("group_interval", self.group_interval, Duration::ZERO),
            ("repeat_interval", self.repeat_interval, Duration::from_secs(1)),
        ];
        let mut wrong = Vec::new();
        for (key, period, least) in all {
            if period.0 < least || period.0 > PERIOD_MAX {
                wrong.push(format!("`{key}` in [alerting] must be from {} to {}", Period(least), Period(PERIOD_MAX)));
            }
        }
        wrong
    }
}
