//! One event in the hands of one consumer that failed with it: its attempts, as copies and spans show them.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::backoff::Waits;
use crate::dead_letters::Cause;
use crate::position::{Channel, Place, SourceName};
use crate::record::{Fate, Record};
use crate::span::{Span, SpanStatus};
use crate::time::Timestamp;

/// What tells chains apart: the consumer (empty where nothing tells it), the topic, and where on it, else the event id.
pub type Key = (String, Channel, String);

/// One event in the hands of one consumer.
#[derive(Debug, Default)]
pub struct Chain {
    /// The source of its records, where one was seen.
    pub source: Option<SourceName>,
    copies: Vec<Copied>,
    /// When each failed attempt that a span shows ended.
    failed_at: Vec<Timestamp>,
    /// Why attempts failed, as copies tell it, and as spans do: the same failures twice, in other words.
    reasons: Vec<String>,
    reasons_of_spans: Vec<String>,
    /// Where an attempt may have succeeded: its own place, and those of its retry copies.
    places: HashSet<(Channel, Place)>,
    /// Whether a span shows an attempt that succeeded.
    pub succeeded: bool,
}

#[derive(Clone, Debug)]
struct Copied {
    at: Timestamp,
    fate: Fate,
    attempts: Option<u32>,
    not_before: Option<Timestamp>,
}

/// All chains, and which of them a copy belongs to.
#[derive(Debug, Default)]
pub struct Chains {
    /// By what tells them apart.
    pub by_key: BTreeMap<Key, Chain>,
    of_copy: HashMap<(Channel, Place), Key>,
}

impl Chains {
    /// Takes in a retry copy or a dead letter.
    pub fn see_copy(&mut self, record: &Record) {
        let Some(failure) = &record.failure else { return };
        let origin = failure.origin.as_ref();
        let place =
            origin.and_then(|origin| Some(Place::Offset { partition: origin.partition?, offset: origin.offset? }));
        let topic = origin.and_then(|origin| origin.channel.as_deref()).map(Channel::from);
        let name = place.as_ref().map(Place::to_string).or_else(|| record.event.id.clone());
        let name = name.unwrap_or_else(|| format!("{} {}", record.position.channel, record.position.place));
        let known_topic = topic.clone().unwrap_or_else(|| record.position.channel.clone());
        let key = (failure.group.clone().unwrap_or_default(), known_topic, name);
        let own = (record.position.channel.clone(), record.position.place.clone());
        self.of_copy.insert(own.clone(), key.clone());
        let chain = self.by_key.entry(key).or_default();
        chain.source.get_or_insert_with(|| record.position.source.clone());
        chain.places.extend(topic.zip(place));
        if failure.fate == Fate::Retry {
            chain.places.insert(own);
        }
        chain.reasons.extend(Cause::of(failure).told());
        chain.copies.push(Copied {
            at: record.time(),
            fate: failure.fate,
            attempts: failure.attempts,
            not_before: failure.not_before,
        });
    }

    /// Takes in an attempt that failed, as a span shows it; the copies must have been seen before.
    pub fn see_failure(&mut self, span: &Span) {
        let Some(place) = place_of(span) else { return };
        let key = match self.of_copy.get(&place) {
            Some(key) => key.clone(),
            None => (consumer_of(span).to_owned(), place.0.clone(), place.1.to_string()),
        };
        let chain = self.by_key.entry(key).or_default();
        chain.failed_at.push(span.ended_at);
        chain.places.insert(place);
        if let SpanStatus::Error(says) = &span.status {
            chain.reasons_of_spans.extend(Cause::of_text(says).told());
        }
    }

    /// Gives copies that don't tell who failed to the only consumer whose failure on the same record is known.
    pub fn settle(&mut self) {
        let nobody: Vec<Key> = self.by_key.keys().filter(|(consumer, ..)| consumer.is_empty()).cloned().collect();
        for key in nobody {
            let mut others = self
                .by_key
                .keys()
                .filter(|(consumer, topic, place)| !consumer.is_empty() && (topic, place) == (&key.1, &key.2));
            let (Some(only), None) = (others.next().cloned(), others.next()) else { continue };
            if let (Some(nobody), Some(chain)) = (self.by_key.remove(&key), self.by_key.get_mut(&only)) {
                chain.source = chain.source.take().or(nobody.source);
                chain.copies.extend(nobody.copies);
                chain.reasons.extend(nobody.reasons);
                chain.reasons_of_spans.extend(nobody.reasons_of_spans);
                chain.places.extend(nobody.places);
            }
        }
    }

    /// Where attempts may have succeeded, and for whom.
    pub fn open_places(&self) -> HashMap<(Channel, Place), Vec<Key>> {
        let mut places: HashMap<(Channel, Place), Vec<Key>> = HashMap::new();
        for (key, chain) in self.by_key.iter().filter(|(_, chain)| !chain.is_dead()) {
            for place in &chain.places {
                places.entry(place.clone()).or_default().push(key.clone());
            }
        }
        places
    }

    /// Takes in an attempt that succeeded at a place of these chains. On the topic itself others read too, and theirs says nothing; a
    /// retry copy was made for the one who failed, whatever the group is called that reads it.
    pub fn see_success(&mut self, span: &Span, keys: &[Key]) {
        for key in keys {
            let is_theirs = key.0 == consumer_of(span) || place_of(span).is_some_and(|(topic, _)| topic != key.1);
            if let Some(chain) = self.by_key.get_mut(key).filter(|_| is_theirs) {
                chain.succeeded = true;
            }
        }
    }
}

impl Chain {
    /// Whether it was set aside.
    pub fn is_dead(&self) -> bool {
        self.copies.iter().any(|copied| copied.fate == Fate::DeadLetter)
    }

    /// How many attempts are known.
    pub fn attempts(&self) -> u32 {
        let many = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
        let told = self.copies.iter().filter_map(|copied| copied.attempts).max().unwrap_or(0);
        let after_last = u32::from(self.succeeded);
        let seen = many(self.failed_at.len());
        let retries = many(self.copies.iter().filter(|copied| copied.fate == Fate::Retry).count());
        // What was set aside after a retry failed once more than it was copied.
        let untold = self.copies.iter().any(|copied| copied.fate == Fate::DeadLetter && copied.attempts.is_none());
        let copied = retries.saturating_add(u32::from(untold));
        told.max(seen).max(copied).saturating_add(after_last).max(1)
    }

    /// Whether it was tried again, or is to be.
    pub fn is_retried(&self) -> bool {
        self.attempts() > 1 || self.copies.iter().any(|copied| copied.fate == Fate::Retry)
    }

    /// When the first attempt is known to have failed.
    pub fn failed_first(&self) -> Option<Timestamp> {
        self.failed_at.iter().copied().chain(self.copies.iter().map(|copied| copied.at)).min()
    }

    /// Why its attempts failed, as often as they did: as copies tell it, else as spans do.
    pub fn reasons(&self) -> &[String] {
        if self.reasons.is_empty() { &self.reasons_of_spans } else { &self.reasons }
    }

    /// Adds the waits between its attempts: as told by copies, else by when the next copy was written.
    pub fn wait(&self, waits: &mut Waits) {
        let mut copies = self.copies.clone();
        copies.sort_by_key(|copied| copied.at);
        for (attempt, copied) in (1..).zip(&copies) {
            let until = match copied.not_before {
                // Written after it was due, as Spring's first copies are: how long the wait was, it doesn't tell.
                Some(due) => Some(due).filter(|due| *due > copied.at),
                None => copies.get(attempt as usize).map(|next| next.at),
            };
            if let Some(until) = until.filter(|_| copied.fate == Fate::Retry) {
                waits.add(attempt, copied.at, until);
            }
        }
    }
}

/// Who consumed, by a span: the group, else the service.
fn consumer_of(span: &Span) -> &str {
    span.messaging.as_ref().and_then(|messaging| messaging.group.as_deref()).unwrap_or_else(|| span.service())
}

/// The record that a span is about, where it says so.
pub fn place_of(span: &Span) -> Option<(Channel, Place)> {
    let messaging = span.messaging.as_ref()?;
    Some((messaging.destination.as_deref()?.into(), messaging.place.clone()?))
}
