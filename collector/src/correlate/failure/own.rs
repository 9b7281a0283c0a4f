//! `[[convention]]`: how a team's own code writes its retries and dead letters.
//!
//! Asked before the table of frameworks, because whoever writes one means it. Topics alone prove it too: the configuration says so.

use std::collections::BTreeMap;

use serde::Deserialize;
use store::record::{Failure, Fate, Header};

use super::table::{CONVENTIONS, FateBy, Reading, Slot};
use crate::correlate::header::{Encoding, Take};
use crate::error::CollectorError;
use store::selection::Selection;

/// A `[[convention]]` table: on which topics, and which header says what.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// What it is called where a retry copy or dead letter is shown.
    pub name: String,
    /// Whether it writes dead letters, as it does by default, or retry copies.
    #[serde(default)]
    pub fate: Written,
    /// The topics it writes to, such as `*.parked`; `!` excludes. Without any, each record with one of its headers is one.
    #[serde(default)]
    pub topics: Vec<String>,
    /// The header that says what went wrong.
    pub reason: Option<String>,
    /// The header that says the exception's type.
    pub exception: Option<String>,
    /// The header that has the stack trace.
    pub stack: Option<String>,
    /// The header that says the topic it was on; of a repeated one the first counts, of the others the last.
    pub origin_topic: Option<String>,
    /// The header that says the partition it was on.
    pub origin_partition: Option<String>,
    /// The header that says the offset it was at.
    pub origin_offset: Option<String>,
    /// The header that says which consumer group failed.
    pub group: Option<String>,
    /// The header that says how many attempts were made.
    pub attempts: Option<String>,
    /// How its numbers are written.
    #[serde(default)]
    pub numbers: Numbers,
}

/// What a convention writes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Written {
    /// What was set aside.
    #[default]
    DeadLetter,
    /// What is to be tried again.
    Retry,
}

/// How a convention writes numbers. Eight digits and a long have the same length, so the bytes don't tell.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Numbers {
    /// Decimal digits.
    #[default]
    Text,
    /// As Java's `ByteBuffer` does: partition and attempts in four bytes, offset in eight, the highest first.
    Binary,
}

/// A convention that can be used.
#[derive(Debug)]
pub struct Own {
    name: String,
    fate: Fate,
    /// `None` for all of them.
    topics: Option<Selection>,
    rows: Vec<(String, Reading)>,
}

impl Own {
    /// All of the configuration, in its order.
    pub fn all(configs: &[Config]) -> Result<Vec<Own>, CollectorError> {
        configs.iter().map(Config::read).collect()
    }

    /// What the headers say of a failure, where one of them is there, and the topic is one of this convention's.
    pub(super) fn read(&self, channel: &str, headers: &[Header]) -> Option<Failure> {
        let is_told = self.rows.iter().any(|(name, _)| of_name(headers, name).next().is_some());
        let is_ours = self.topics.as_ref().is_none_or(|topics| topics.takes(channel));
        (is_told && is_ours).then(|| self.failure(channel, headers))
    }

    /// What the topic alone says.
    pub(super) fn by_name(&self, channel: &str) -> Option<Failure> {
        self.topics.as_ref()?.takes(channel).then(|| self.failure(channel, &[]))
    }

    fn failure(&self, channel: &str, headers: &[Header]) -> Failure {
        let said = self.rows.iter().map(|(name, reading)| (*reading, of_name(headers, name)));
        let mut failure = super::speak(&self.name, said);
        failure.fate = super::fate(FateBy::Always(self.fate), &failure, channel, &[]);
        failure
    }
}

fn of_name<'h>(headers: &'h [Header], name: &str) -> impl DoubleEndedIterator<Item = &'h Header> {
    headers.iter().filter(move |header| header.name.eq_ignore_ascii_case(name))
}

impl Config {
    /// Whether the convention can be used.
    pub fn check(&self) -> Result<(), CollectorError> {
        self.read().map(|_| ())
    }

    fn read(&self) -> Result<Own, CollectorError> {
        let wrong = |says: String| Err(CollectorError::Config(says));
        if self.name.trim().is_empty() {
            return wrong("`name` of [[convention]] is empty: retries and dead letters are shown with it".to_owned());
        }
        if let Some(known) = CONVENTIONS.iter().find(|known| known.name.eq_ignore_ascii_case(&self.name)) {
            return wrong(format!("`name` of [[convention]]: {} is known without it, choose another", known.name));
        }
        if self.topics.iter().any(|pattern| pattern.trim_start_matches('!').is_empty()) {
            return wrong("`topics` of [[convention]] has an empty pattern: write it as \"*.parked\"".to_owned());
        }
        let named = self.named();
        if named.is_empty() && self.topics.is_empty() {
            return wrong(
                "[[convention]] says nothing of how to recognise it: give its `topics`, or a header such as `reason`"
                    .to_owned(),
            );
        }
        let mut taken: BTreeMap<String, &str> = BTreeMap::new();
        for (key, header, _) in &named {
            if header.trim().is_empty() {
                return wrong(format!("`{key}` of [[convention]] is empty: it is the name of a header"));
            }
            if let Some(other) = taken.insert(header.to_ascii_lowercase(), key) {
                return wrong(format!("`{key}` of [[convention]] is the header `{header}`, like `{other}`"));
            }
        }
        let places = [("origin_partition", &self.origin_partition), ("origin_offset", &self.origin_offset)];
        if let Some((key, _)) = places.iter().find(|(_, header)| header.is_some() && self.origin_topic.is_none()) {
            return wrong(format!("`{key}` of [[convention]] is a place in no topic: give `origin_topic` too"));
        }
        Ok(Own {
            name: self.name.clone(),
            fate: match self.fate {
                Written::DeadLetter => Fate::DeadLetter,
                Written::Retry => Fate::Retry,
            },
            topics: (!self.topics.is_empty()).then(|| Selection::new("", &self.topics)),
            rows: named.into_iter().map(|(_, header, reading)| (header.to_owned(), reading)).collect(),
        })
    }

    /// The headers that are named: by which key, and how each is read.
    fn named(&self) -> Vec<(&'static str, &str, Reading)> {
        let (short, long) = match self.numbers {
            Numbers::Text => (Encoding::Text, Encoding::Text),
            Numbers::Binary => (Encoding::Int32, Encoding::Int64),
        };
        let reading = |slot, encoding, take| Reading { slot, encoding, take };
        [
            ("reason", &self.reason, reading(Slot::Message, Encoding::Text, Take::Last)),
            ("exception", &self.exception, reading(Slot::Exception, Encoding::Text, Take::Last)),
            ("stack", &self.stack, reading(Slot::StackTrace, Encoding::Text, Take::Last)),
            ("origin_topic", &self.origin_topic, reading(Slot::Topic, Encoding::Text, Take::First)),
            ("origin_partition", &self.origin_partition, reading(Slot::Partition, short, Take::First)),
            ("origin_offset", &self.origin_offset, reading(Slot::Offset, long, Take::First)),
            ("group", &self.group, reading(Slot::Group, Encoding::Text, Take::Last)),
            ("attempts", &self.attempts, reading(Slot::Attempts, short, Take::Last)),
        ]
        .into_iter()
        .filter_map(|(key, header, reading)| Some((key, header.as_deref()?, reading)))
        .collect()
    }
}

#[cfg(test)]
mod tests;
