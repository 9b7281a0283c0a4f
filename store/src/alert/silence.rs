//! Silences: that alerts are not told of for a while, and why. They fire all the same, and pages show them.
//!
//! Pages write them to the journal, and whoever tells of alerts reads them there: a silence holds from the moment it is written, over
//! restarts, and ends by itself.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, Ordering};

use serde::{Deserialize, Serialize};

use super::Alert;
use crate::engine::StoreError;
use crate::journal::{Journal, Line, LineKind};
use crate::time::Timestamp;

/// That some alerts are not told of for a while.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Silence {
    /// What stands for it in an address.
    pub id: String,
    /// The rule whose alerts are meant.
    pub rule: String,
    /// Of these, those that have all of these labels.
    pub labels: BTreeMap<String, String>,
    /// When it ends.
    pub until: Timestamp,
    /// Why.
    pub reason: String,
    /// Who said so.
    pub by: String,
    /// When it began.
    pub since: Timestamp,
}

/// The silences that hold.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Silences {
    by_id: BTreeMap<String, Silence>,
}

/// What somebody wants to be silent.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Wanted {
    /// See [`Silence::rule`].
    pub rule: String,
    /// See [`Silence::labels`].
    pub labels: BTreeMap<String, String>,
    /// See [`Silence::until`].
    pub until: Timestamp,
    /// See [`Silence::reason`].
    pub reason: String,
}

/// What a line of the journal says of the silence that it is about.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "silence")]
enum Said {
    Begun { rule: String, labels: BTreeMap<String, String>, until: String, reason: String },
    Lifted,
}

/// How many silences may hold at once: more than anybody keeps in mind, and a bound on memory.
pub const SILENCES_MAX: usize = 1_000;

/// The longest reason, in bytes.
pub const REASON_BYTES_MAX: usize = 2_000;

impl Wanted {
    /// Writes it down, and gives its id. Durable when it returns.
    pub async fn begin(self, journal: &Journal, by: &str) -> Result<String, StoreError> {
        static BEGUN: AtomicU32 = AtomicU32::new(0);
        let number = BEGUN.fetch_add(1, Ordering::Relaxed);
        let id = format!("sil_{:x}-{number:x}", Timestamp::now().as_nanos());
        let until = self.until.to_string();
        let said = Said::Begun { rule: self.rule, labels: self.labels, until, reason: self.reason };
        journal.append(LineKind::Silence, &id, by, &said).await?;
        Ok(id)
    }
}

/// Ends a silence before its time.
pub async fn lift(journal: &Journal, id: &str, by: &str) -> Result<(), StoreError> {
    journal.append(LineKind::Silence, id, by, &Said::Lifted).await.map(|_| ())
}

impl Silences {
    /// Takes what a line of the journal says of a silence.
    pub fn take(&mut self, line: &Line) {
        match line.read() {
            Some(Said::Begun { rule, labels, until, reason }) => {
                let Some(until) = Timestamp::from_rfc3339(&until) else { return };
                self.end(line.at);
                if self.by_id.len() >= SILENCES_MAX {
                    tracing::warn!("more than {SILENCES_MAX} silences hold: that of `{rule}` is left out");
                    return;
                }
                let (id, by) = (line.about.clone(), line.by.clone());
                let silence = Silence { id, rule, labels, until, reason, by, since: line.at };
                self.by_id.insert(line.about.clone(), silence);
            }
            Some(Said::Lifted) => {
                self.by_id.remove(&line.about);
            }
            None => tracing::warn!("line {} of the journal says nothing of a silence that is understood", line.number),
        }
    }

    /// Lets go of those that have ended.
    pub fn end(&mut self, now: Timestamp) {
        self.by_id.retain(|_, silence| silence.until > now);
    }

    /// What silences an alert; of several the one that lasts longest.
    pub fn of(&self, alert: &Alert, now: Timestamp) -> Option<&Silence> {
        let covering = self.by_id.values().filter(|silence| silence.until > now && silence.covers(alert));
        covering.max_by_key(|silence| silence.until)
    }

    /// All of them, those that end soonest first.
    pub fn all(&self) -> Vec<Silence> {
        let mut all: Vec<Silence> = self.by_id.values().cloned().collect();
        all.sort_by_key(|silence| silence.until);
        all
    }
}

impl Silence {
    /// Whether it means an alert.
    pub fn covers(&self, alert: &Alert) -> bool {
        self.rule == alert.name && self.labels.iter().all(|(name, value)| alert.labels.get(name) == Some(value))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::alert::{AlertState, Severity};
    use crate::fixture::at;

    /// An alert that fires.
    fn alert(name: &str, pairs: &[(&str, &str)]) -> Alert {
        Alert {
            name: name.to_owned(),
            kind: "lag_time".to_owned(),
            severity: Severity::Warning,
            state: AlertState::Firing,
            labels: labels(pairs),
            value: "41 s".to_owned(),
            summary: String::new(),
            page: String::new(),
            since: String::new(),
            started_at: None,
            ended_at: None,
        }
    }

    fn labels(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[tokio::test]
    async fn a_silence_holds_over_a_restart_for_what_it_means_until_it_ends_or_is_lifted() {
        let folder = tempfile::tempdir().unwrap();
        let journal = Journal::open(folder.path()).unwrap();
        let until = Timestamp::now().plus(Duration::from_secs(3_600));
        let wanted = |pairs: &[(&str, &str)]| Wanted {
            rule: "billing is late".to_owned(),
            labels: labels(pairs),
            until,
            reason: "deployment".to_owned(),
        };
        let all = wanted(&[]).begin(&journal, "ann").await.unwrap();
        let one = wanted(&[("group", "billing")]).begin(&journal, "ann").await.unwrap();
        let read = || {
            let mut silences = Silences::default();
            let lines = Journal::open(folder.path()).unwrap().replay(0).unwrap();
            lines.iter().filter(|line| line.kind == LineKind::Silence).for_each(|line| silences.take(line));
            silences
        };
        let now = Timestamp::now();
        let [billing, shipping] = ["billing", "shipping"].map(|group| alert("billing is late", &[("group", group)]));
        assert_eq!(read().of(&shipping, now).map(|silence| silence.by.as_str()), Some("ann"));
        lift(&journal, &all, "bob").await.unwrap();
        assert_eq!(read().of(&shipping, now), None);
        assert_eq!(read().of(&billing, now).map(|silence| silence.id.clone()), Some(one));
        assert_eq!(read().of(&alert("another", &[("group", "billing")]), now), None);
        assert_eq!(read().of(&billing, until), None, "it has ended");
        let mut silences = read();
        silences.end(until);
        assert_eq!(silences.all(), []);
    }

    #[test]
    fn there_are_never_more_than_a_thousand() {
        let mut silences = Silences::default();
        for number in 0..SILENCES_MAX as u64 + 5 {
            let says = serde_json::json!({ "silence": "begun", "rule": "a", "labels": {}, "until": at(9e6).to_string(), "reason": "" });
            let about = format!("sil_{number}");
            silences.take(&Line { number, at: at(0.0), kind: LineKind::Silence, about, by: "ann".into(), says });
        }
        assert_eq!(silences.all().len(), SILENCES_MAX);
    }
}
