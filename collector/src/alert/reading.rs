//! What a rule measures: one reading for each thing that it looks at. Here is a rule, tell me how everything stands that it means.
//!
//! Reads our own store and board only: no broker is asked anything because of an alert.

mod flows; // what is seen only in whole flows, followed as they come in
mod groups; // consumer groups
mod letters; // dead letters
mod own; // our sources, our disk
mod rates; // retries and errors

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use store::alert::threshold::Bounds;
use store::alert::{Kind, Rule};
use store::dead_letters::Decided;
use store::{Board, Store, StoreError, Timestamp};

use super::machine::Seen;
use super::page::Page;
use flows::Follow;
use store::selection::Selection;

/// What tells the things apart that a rule looks at.
pub type Labels = BTreeMap<String, String>;

/// How many things one rule looks at. Those that hold come first; how many are left out is said.
pub const SUBJECTS_MAX: usize = 1_000;

/// How long one rule may ask the store. What takes longer tells nothing this time, and is asked less often.
pub const QUESTION_TIME_MAX: Duration = Duration::from_secs(5);

/// The window of what is counted over time, where a rule names none.
const OVER_DEFAULT: Duration = Duration::from_secs(5 * 60);

/// With fewer than this a share or a percentile tells nothing, where a rule names no number: one failure of two is no error rate.
const AT_LEAST_DEFAULT: u64 = 10;

/// The longest value of a label, in letters.
const LABEL_LETTERS_MAX: usize = 200;

/// How one thing stands.
#[derive(Clone, PartialEq, Debug)]
pub struct Reading {
    /// Which thing.
    pub labels: Labels,
    /// What was measured; `None` where nothing tells.
    pub value: Option<f64>,
    /// The same as people read it; why nothing tells where nothing does.
    pub text: String,
    /// What is wrong, of what, in half a sentence.
    pub says: String,
    /// The page that shows it.
    pub page: Page,
}

/// What a rule found.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Readings {
    /// Everything that it looks at.
    pub found: Vec<Reading>,
    /// Of what nothing can be said.
    pub blind: Blind,
    /// How many more there are than [`SUBJECTS_MAX`].
    pub left_out: usize,
}

/// Of what nothing can be said: that it wasn't found doesn't mean that it is gone.
#[derive(Clone, PartialEq, Debug, Default)]
pub enum Blind {
    /// All was seen.
    #[default]
    Nowhere,
    /// These sources can't be seen.
    At(BTreeSet<String>),
    /// Nothing can be seen, and why.
    Everywhere(String),
}

impl Blind {
    /// Why nothing can be said of a thing that wasn't found; `None` where it is gone.
    pub fn why(&self, labels: &Labels) -> Option<String> {
        match self {
            Blind::Nowhere => None,
            Blind::At(sources) => {
                let source = labels.get("source").filter(|source| sources.contains(*source))?;
                Some(format!("source {source} can't be seen"))
            }
            Blind::Everywhere(why) => Some(why.clone()),
        }
    }

    /// The same for people who look at the rule.
    pub fn told(&self) -> Option<String> {
        match self {
            Blind::Nowhere => None,
            Blind::At(sources) => {
                let sources: Vec<&str> = sources.iter().map(String::as_str).collect();
                Some(format!("nothing is known of source {}", sources.join(", ")))
            }
            Blind::Everywhere(why) => Some(why.clone()),
        }
    }
}

/// What readings are taken from.
#[derive(Clone, Copy)]
pub struct Around<'a> {
    /// The entries.
    pub store: &'a dyn Store,
    /// What the collector reports of sources and groups.
    pub board: &'a Board,
    /// Which dead letters need no more attention, and which were sent back.
    pub decided: Decided<'a>,
    /// The time.
    pub now: Timestamp,
}

/// A rule that is asked again and again.
pub struct Watched {
    /// The rule.
    pub rule: Rule,
    /// When it holds.
    pub bounds: Bounds,
    source: Selection,
    group: Selection,
    topic: Selection,
    event_type: Selection,
    consumer: Selection,
    /// Where it must look into flows.
    follow: Option<Follow>,
}

impl Watched {
    /// Of a rule that was checked; `None` where its thresholds mean nothing.
    pub fn new(rule: Rule) -> Option<Watched> {
        // No name is a broker's own here: who names a topic means it.
        let selection = |globs: &store::alert::glob::Globs| Selection::new("", &globs.0);
        Some(Watched {
            bounds: rule.bounds().ok()?,
            source: selection(&rule.source),
            group: selection(&rule.group),
            topic: selection(&rule.topic),
            event_type: selection(&rule.event_type),
            consumer: selection(&rule.consumer),
            follow: Follow::of(&rule),
            rule,
        })
    }

    /// Whether all that it looks at stands on the board, so that no question to the store is needed.
    pub fn is_on_board(&self) -> bool {
        match self.rule.kind {
            Kind::LagRecords | Kind::LagTime | Kind::GroupState | Kind::NoMembers | Kind::SourceDown => true,
            Kind::RetryRate
            | Kind::DeadLetters
            | Kind::DeadLetterCause
            | Kind::FlowTime
            | Kind::MissingReaction
            | Kind::ErrorRate
            | Kind::Finding
            | Kind::DiskLow => false,
        }
    }

    /// Takes its readings. Never fails: what went wrong is why nothing is seen.
    pub async fn read(&mut self, around: Around<'_>) -> Readings {
        let read = tokio::time::timeout(QUESTION_TIME_MAX, self.ask(around)).await;
        let mut readings = match read {
            Ok(Ok(readings)) => readings,
            Ok(Err(error)) => Readings::blind(format!("the store can't answer: {error}")),
            Err(_) => {
                Readings::blind(format!("the store took longer than {} s to answer", QUESTION_TIME_MAX.as_secs()))
            }
        };
        if readings.found.len() > SUBJECTS_MAX {
            readings.left_out = readings.found.len() - SUBJECTS_MAX;
            readings.found.sort_by_key(|reading| self.seen(reading) != Seen::Holds);
            readings.found.truncate(SUBJECTS_MAX);
        }
        for reading in &mut readings.found {
            for value in reading.labels.values_mut().filter(|value| value.len() > LABEL_LETTERS_MAX) {
                *value = value.chars().take(LABEL_LETTERS_MAX).collect();
            }
        }
        readings
    }

    async fn ask(&mut self, around: Around<'_>) -> Result<Readings, StoreError> {
        match self.rule.kind {
            Kind::LagRecords | Kind::LagTime | Kind::GroupState | Kind::NoMembers => Ok(groups::read(self, around)),
            Kind::SourceDown => Ok(own::sources(self, around)),
            Kind::DiskLow => own::disk(around).await,
            Kind::DeadLetters => letters::many(self, around).await,
            Kind::DeadLetterCause => letters::new_causes(self, around).await,
            Kind::RetryRate => rates::retries(self, around).await,
            Kind::ErrorRate => rates::errors(self, around).await,
            Kind::FlowTime | Kind::MissingReaction | Kind::Finding => match self.follow.take() {
                Some(mut follow) => {
                    let readings = follow.read(self, around).await;
                    self.follow = Some(follow);
                    readings
                }
                // It was taken by a question that took too long: begin anew.
                None => {
                    self.follow = Follow::of(&self.rule);
                    Ok(Readings::blind("flows are followed from now on".to_owned()))
                }
            },
        }
    }

    /// What a reading says of the rule.
    pub fn seen(&self, reading: &Reading) -> Seen {
        let Bounds { enter, leave, rises } = self.bounds;
        let beyond = |value: f64, bound: f64| if rises { value > bound } else { value < bound };
        match reading.value {
            None => Seen::Nothing,
            Some(value) if beyond(value, enter) => Seen::Holds,
            Some(value) if beyond(value, leave) => Seen::Between,
            Some(_) => Seen::Over,
        }
    }

    fn over(&self) -> Duration {
        self.rule.over.map_or(OVER_DEFAULT, |over| over.0)
    }

    fn at_least(&self) -> u64 {
        self.rule.at_least.unwrap_or(AT_LEAST_DEFAULT)
    }
}

impl Readings {
    fn of(found: Vec<Reading>) -> Readings {
        Readings { found, ..Readings::default() }
    }

    fn blind(why: String) -> Readings {
        Readings { blind: Blind::Everywhere(why), ..Readings::default() }
    }
}

/// Labels from pairs; a name without a value is left out.
fn labels<const N: usize>(pairs: [(&str, &str); N]) -> Labels {
    let given = pairs.into_iter().filter(|(_, value)| !value.is_empty());
    given.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

/// A length of time as people read it: `310 ms`, `41 s`, `3 min 5 s`, `2 h 5 min`.
pub fn duration(ms: f64) -> String {
    let seconds = (ms / 1_000.0).round() as u64;
    match seconds {
        0 => format!("{} ms", ms.round()),
        1..60 => format!("{seconds} s"),
        60..3_600 => format!("{} min {} s", seconds / 60, seconds % 60),
        3_600..172_800 => format!("{} h {} min", seconds / 3_600, seconds / 60 % 60),
        _ => format!("{} d {} h", seconds / 86_400, seconds / 3_600 % 24),
    }
}

/// A share as people read it: `4.2 %`.
fn share(value: f64) -> String {
    format!("{:.1} %", value * 100.0)
}

/// How many of something: `1 record`, `5 records`.
fn many(count: u64, singular: &str) -> String {
    format!("{count} {singular}{}", if count == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests;
