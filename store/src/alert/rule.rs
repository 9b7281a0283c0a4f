//! A rule: one `[[alert]]` table of the configuration. What is measured, when it is too much, for how long, and who is told.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Deserialize;

use super::Severity;
use super::glob::Globs;
use super::kind::{COMMON, Kind, Measure};
use super::threshold::{Bounds, Threshold};
use crate::config::Period;
use crate::groups::LagState;

/// One `[[alert]]`.
#[derive(Clone, PartialEq, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// What it is called; the name of its alerts.
    pub name: String,
    /// What it is about.
    pub kind: Kind,
    /// Only these sources.
    #[serde(default)]
    pub source: Globs,
    /// Only these consumer groups.
    #[serde(default)]
    pub group: Globs,
    /// Only these topics.
    #[serde(default)]
    pub topic: Globs,
    /// Only these event types; of a flow, the type of its first event.
    #[serde(default, rename = "type")]
    pub event_type: Globs,
    /// Only these consumers, by group or by service.
    #[serde(default)]
    pub consumer: Globs,
    /// It holds above this.
    pub above: Option<Threshold>,
    /// It doesn't any more once it is not above this: hysteresis. As `above` where it is left out. For `disk_low` the other way round.
    pub below: Option<Threshold>,
    /// It must hold for so long before it fires. At once by default.
    #[serde(default, rename = "for")]
    pub wait: Period,
    /// It must be over for so long before it is resolved. At once by default.
    #[serde(default)]
    pub keep_firing: Period,
    /// What happened in so long counts.
    pub over: Option<Period>,
    /// With fewer than this, a share or a percentile tells nothing.
    pub at_least: Option<u64>,
    /// In which states a group needs somebody.
    pub state: Option<Vec<LagState>>,
    /// Which percentile of the flows' times.
    pub percentile: Option<u8>,
    /// The event that something must follow.
    #[serde(default)]
    pub event: Globs,
    /// What must follow it: one of these.
    #[serde(default)]
    pub one_of: Globs,
    /// In so long.
    pub within: Option<Period>,
    /// Which kinds of findings.
    pub finding: Option<Vec<FindingKind>>,
    /// How much it matters. `warning` by default.
    #[serde(default)]
    pub severity: Severity,
    /// What is added to the labels of its alerts.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    /// Who is told, by the names of `[[webhook]]`. All of them by default; an empty list for nobody.
    pub webhooks: Option<Vec<String>>,
}

/// The kinds of findings, as the JSON API names them.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FindingKind {
    /// The same event was published twice.
    Duplicate,
    /// Nothing followed an event in the time that a rule declares.
    Reaction,
    /// One key is on several partitions.
    Partitions,
    /// Events go back within their key.
    Order,
    /// A record could not be read in whole.
    Undecodable,
    /// A clock is wrong.
    Clock,
}

/// What belongs to us in an alert's labels.
pub const OWN_LABELS: [&str; 11] =
    ["alertname", "kind", "severity", "source", "group", "topic", "type", "consumer", "cause", "exception", "finding"];

/// How many rules there may be: each is asked for by itself.
pub const RULES_MAX: usize = 200;

/// The longest name, in bytes, of a rule or a label's value.
const NAME_BYTES_MAX: usize = 200;

/// How many labels a rule adds.
const LABELS_MAX: usize = 20;

/// The longest that counts, and that a rule waits: longer than entries are usually kept.
const PERIOD_MAX: Duration = Duration::from_secs(7 * 24 * 3_600);

/// The longest window in which single flows are looked at.
const FLOWS_OVER_MAX: Duration = Duration::from_secs(24 * 3_600);

impl Rule {
    /// The rules that hold where none is configured.
    pub fn defaults() -> Vec<Rule> {
        let rule =
            |name: &str, kind, wait_s| Rule { wait: Period(Duration::from_secs(wait_s)), ..Rule::new(name, kind) };
        vec![
            rule("consumer group is stopped or stalled", Kind::GroupState, 120),
            rule("dead letters have a new cause", Kind::DeadLetterCause, 0),
            rule("source is down", Kind::SourceDown, 0),
        ]
    }

    /// A rule with a name and a kind, and nothing more.
    pub fn new(name: &str, kind: Kind) -> Rule {
        Rule {
            name: name.to_owned(),
            kind,
            source: Globs::default(),
            group: Globs::default(),
            topic: Globs::default(),
            event_type: Globs::default(),
            consumer: Globs::default(),
            above: None,
            below: None,
            wait: Period::default(),
            keep_firing: Period::default(),
            over: None,
            at_least: None,
            state: None,
            percentile: None,
            event: Globs::default(),
            one_of: Globs::default(),
            within: None,
            finding: None,
            severity: Severity::default(),
            labels: BTreeMap::new(),
            webhooks: None,
        }
    }

    /// What is wrong with it, each in a sentence that has the guilty key in backticks first.
    pub fn check(&self) -> Vec<String> {
        let row = self.kind.row();
        let mut wrong = Vec::new();
        if self.name.trim().is_empty() || self.name.len() > NAME_BYTES_MAX {
            wrong.push(format!("`name` must have 1 to {NAME_BYTES_MAX} bytes"));
        }
        let given = self.given();
        for key in given.iter().filter(|key| !COMMON.contains(key)) {
            if !row.needs.contains(key) && !row.takes.contains(key) {
                let known: Vec<&str> = row.needs.iter().chain(row.takes).copied().collect();
                wrong.push(format!(
                    "`{key}` says nothing in a rule of kind {}, which takes {}",
                    row.name,
                    known.join(", ")
                ));
            }
        }
        for key in row.needs.iter().filter(|key| !given.contains(key)) {
            wrong.push(format!("`kind` {} needs the key {key}", row.name));
        }
        if wrong.is_empty()
            && let Err(says) = self.bounds()
        {
            wrong.push(says);
        }
        let periods = [
            ("for", Some(self.wait)),
            ("keep_firing", Some(self.keep_firing)),
            ("over", self.over),
            ("within", self.within),
        ];
        let of_flows = matches!(self.kind, Kind::FlowTime | Kind::MissingReaction | Kind::Finding);
        for (key, period) in periods {
            let most = if of_flows && matches!(key, "over" | "within") { FLOWS_OVER_MAX } else { PERIOD_MAX };
            if period.is_some_and(|period| period.0 > most) {
                wrong.push(format!("`{key}` is longer than {}", Period(most)));
            }
        }
        for (key, period) in [("over", self.over), ("within", self.within)] {
            if period.is_some_and(|period| period.0 < Duration::from_secs(1)) {
                wrong.push(format!("`{key}` is shorter than a second"));
            }
        }
        if self.percentile.is_some_and(|percentile| !(1..=99).contains(&percentile)) {
            wrong.push("`percentile` is a whole number from 1 to 99, such as 50 or 99".to_owned());
        }
        for (key, empty) in
            [("state", self.state.as_deref() == Some(&[])), ("finding", self.finding.as_deref() == Some(&[]))]
        {
            if empty {
                wrong.push(format!("`{key}` is an empty list: leave it out to mean the usual ones"));
            }
        }
        wrong.extend(self.wrong_labels());
        wrong
    }

    fn wrong_labels(&self) -> Vec<String> {
        let mut wrong = Vec::new();
        if self.labels.len() > LABELS_MAX {
            wrong.push(format!("`labels` has more than {LABELS_MAX}"));
        }
        for (name, value) in &self.labels {
            let mut letters = name.chars();
            let starts = letters.next().is_some_and(|first| first.is_ascii_alphabetic() || first == '_');
            if !starts || !letters.all(|letter| letter.is_ascii_alphanumeric() || letter == '_') {
                wrong.push(format!("`labels`: `{name}` is no name of a label: write letters, digits and _"));
            } else if OWN_LABELS.contains(&name.as_str()) {
                wrong.push(format!("`labels`: `{name}` is set by Sillage itself"));
            } else if value.len() > NAME_BYTES_MAX {
                wrong.push(format!("`labels`: the value of `{name}` is longer than {NAME_BYTES_MAX} bytes"));
            }
        }
        wrong
    }

    /// The keys that are given, by their names in the configuration.
    fn given(&self) -> Vec<&'static str> {
        let all = [
            ("source", !self.source.is_empty()),
            ("group", !self.group.is_empty()),
            ("topic", !self.topic.is_empty()),
            ("type", !self.event_type.is_empty()),
            ("consumer", !self.consumer.is_empty()),
            ("above", self.above.is_some()),
            ("below", self.below.is_some()),
            ("over", self.over.is_some()),
            ("at_least", self.at_least.is_some()),
            ("state", self.state.is_some()),
            ("percentile", self.percentile.is_some()),
            ("event", !self.event.is_empty()),
            ("one_of", !self.one_of.is_empty()),
            ("within", self.within.is_some()),
            ("finding", self.finding.is_some()),
        ];
        all.into_iter().filter(|(_, is_given)| *is_given).map(|(key, _)| key).collect()
    }

    /// When it begins to hold and when it stops; what is wrong with the thresholds where that can't be said.
    pub fn bounds(&self) -> Result<Bounds, String> {
        let measure = self.kind.row().measure;
        let [above, below] = [("above", &self.above), ("below", &self.below)];
        let number = |(key, threshold): (&str, &Option<Threshold>)| -> Result<Option<f64>, String> {
            threshold
                .as_ref()
                .map(|threshold| threshold.number(measure).map_err(|says| format!("`{key}`: {says}")))
                .transpose()
        };
        let (above, below) = (number(above)?, number(below)?);
        let rises = measure != Measure::Bytes;
        let (enter, leave) = if rises { (above, below) } else { (below, above) };
        // What holds or doesn't is 1 or 0.
        let enter = enter.unwrap_or(0.5);
        let leave = leave.unwrap_or(enter);
        match (rises, leave > enter) {
            (true, true) => Err("`below` is where it stops: it must not be more than above".to_owned()),
            (false, _) if leave < enter => Err("`above` is where it stops: it must not be less than below".to_owned()),
            _ => Ok(Bounds { enter, leave, rises }),
        }
    }
}

impl FindingKind {
    /// Its name in the JSON API.
    pub fn as_str(self) -> &'static str {
        match self {
            FindingKind::Duplicate => "duplicate",
            FindingKind::Reaction => "reaction",
            FindingKind::Partitions => "partitions",
            FindingKind::Order => "order",
            FindingKind::Undecodable => "undecodable",
            FindingKind::Clock => "clock",
        }
    }
}

#[cfg(test)]
mod tests;
