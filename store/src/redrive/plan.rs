//! What would be sent for one dead letter: made of what is kept, without a look at any broker.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;

use super::added::{self, REDRIVE_COUNT};
use super::edit::Edit;
use super::murmur2;
use crate::position::{Place, Position};
use crate::record::{BodyEncoding, Header, Origin, Record};
use crate::redacted;
use crate::time::Timestamp;

/// What a plan is made of.
pub struct Given<'a> {
    /// The dead letter.
    pub letter: &'a Record,
    /// The record that it was made from, where that is kept.
    pub origin: Option<&'a Record>,
    /// The retry topic of the group that failed, where copies of the same origin show one.
    pub retry_topic: Option<&'a str>,
    /// The topic that somebody named.
    pub to: Option<&'a str>,
    /// How many partitions a topic has; `None` where it isn't watched, or is gone.
    pub partitions: &'a dyn Fn(&str) -> Option<u32>,
    /// After so many redrives a message is not sent again.
    pub redrives_max: u32,
    /// How often this very dead letter was sent back, as the journal has it: its own headers don't tell.
    pub sent_before: u32,
}

/// The record that would be sent.
#[derive(Clone, PartialEq, Debug)]
pub struct Plan {
    /// The topic.
    pub topic: String,
    /// Why that one.
    pub target: Target,
    /// The partition.
    pub partition: i32,
    /// Why that one.
    pub chosen_by: ChosenBy,
    /// The key, byte for byte.
    pub key: Option<Bytes>,
    /// The value, byte for byte.
    pub value: Option<Bytes>,
    /// What the value is.
    pub encoding: BodyEncoding,
    /// The origin's headers in their order, then how often it was redriven.
    pub headers: Vec<Header>,
    /// Names of the dead letter's headers that are left out.
    pub removed: Vec<String>,
    /// Which redrive of this message it is, from 1.
    pub redrive: u32,
    /// Whether key, value and headers are the origin's own, as kept; else they are the dead letter's, less what was added to it.
    pub is_of_origin: bool,
    /// Where the record is whose key, value and headers these are.
    pub bytes_at: Position,
    /// The broker's time of that record: it tells whether what the broker has there now is the same one.
    pub bytes_time: Option<Timestamp>,
    /// Whether something was visibly taken out of it before it was kept: what is sent must come from the broker.
    pub is_redacted: bool,
    /// By which convention it was recognised.
    pub convention: Arc<str>,
    /// The consumer group that failed, where something tells it.
    pub group: Option<String>,
    partitions: u32,
    origin_partition: Option<i32>,
}

/// Why a message goes to a topic.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Target {
    /// It is the failed group's own retry topic: no other group gets it again.
    RetryTopic,
    /// It came from there.
    OriginTopic,
    /// Somebody named it.
    Named,
}

/// Why a message goes to a partition.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ChosenBy {
    /// It is the origin's.
    Origin,
    /// The origin's isn't known or isn't there: the one that Java's producers choose for the key.
    Key,
    /// Neither is there, so that nothing keeps an order: the first.
    Nothing,
}

/// Why a dead letter can't be sent back.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Obstacle {
    /// It isn't kept any more.
    Gone,
    /// It was on no Kafka.
    NotKafka,
    /// Nothing tells where it came from.
    NoOrigin,
    /// It would go where it lies.
    SameTopic(String),
    /// The topic isn't watched, or is gone.
    UnknownTopic(String),
    /// It was redriven so often already.
    TooOften(u32),
    /// A redrive has sent it back already.
    SentBefore(String),
    /// A redrive is about to send it back.
    Underway(String),
}

impl Target {
    /// Its name in the JSON API.
    pub fn as_str(self) -> &'static str {
        match self {
            Target::RetryTopic => "retryTopic",
            Target::OriginTopic => "originTopic",
            Target::Named => "named",
        }
    }
}

impl ChosenBy {
    /// Its name in the JSON API.
    pub fn as_str(self) -> &'static str {
        match self {
            ChosenBy::Origin => "origin",
            ChosenBy::Key => "key",
            ChosenBy::Nothing => "nothing",
        }
    }
}

impl fmt::Display for Obstacle {
    /// What is wrong, and what to do.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Obstacle::Gone => f.write_str("it isn't kept any more"),
            Obstacle::NotKafka => f.write_str("it is on no Kafka: only dead letters on Kafka can be sent back"),
            Obstacle::NoOrigin => f.write_str("nothing tells which topic it came from: name one to send it to"),
            Obstacle::SameTopic(topic) => write!(f, "it lies on `{topic}` already: name another topic"),
            Obstacle::UnknownTopic(topic) => {
                write!(f, "`{topic}` is gone, or isn't watched: name another topic, or add it to the source's `topics`")
            }
            Obstacle::TooOften(times) => {
                write!(f, "it was redriven {times} times already: say that it is to go once more")
            }
            Obstacle::SentBefore(id) => {
                write!(f, "redrive {id} has sent it back already: say that it is to go once more")
            }
            Obstacle::Underway(id) => {
                write!(f, "redrive {id} is about to send it back: wait for its end, or cancel it")
            }
        }
    }
}

/// What would be sent, or why nothing can be.
pub fn plan(given: &Given<'_>) -> Result<Plan, Obstacle> {
    let letter = given.letter;
    if !matches!(letter.position.place, Place::Offset { .. }) {
        return Err(Obstacle::NotKafka);
    }
    let failure = letter.failure.as_ref();
    let told = failure.and_then(|failure| failure.origin.as_ref());
    let (topic, target) = target(given, told)?;
    let partitions = (given.partitions)(&topic).filter(|partitions| *partitions > 0);
    let partitions = partitions.ok_or_else(|| Obstacle::UnknownTopic(topic.clone()))?;

    let source = given.origin.unwrap_or(letter);
    let earlier = added::redrives(&letter.headers).max(added::redrives(&source.headers));
    let earlier = earlier.saturating_add(given.sent_before);
    if earlier >= given.redrives_max {
        return Err(Obstacle::TooOften(earlier));
    }
    let convention: Arc<str> = failure.map_or_else(|| "".into(), |failure| failure.convention.clone());
    // An origin that is a retry copy or was redriven itself has such headers, too.
    let is_added = |header: &&Header| added::is_added(&convention, &header.name);
    let redrive = earlier.saturating_add(1);
    let mut removed: Vec<String> = letter.headers.iter().filter(is_added).map(|header| header.name.clone()).collect();
    removed.sort();
    removed.dedup();
    let origin_partition = told.and_then(|origin| origin.partition);
    let (partition, chosen_by) = partition(origin_partition, source.key.as_deref(), partitions);
    Ok(Plan {
        topic,
        target,
        partition,
        chosen_by,
        key: source.key.clone(),
        value: source.body.clone(),
        encoding: source.encoding,
        headers: headers(&source.headers, &convention, redrive),
        removed,
        redrive,
        is_of_origin: given.origin.is_some(),
        bytes_at: source.position.clone(),
        bytes_time: source.timestamp,
        is_redacted: is_redacted(source),
        group: failure.and_then(|failure| failure.group.clone()),
        convention,
        partitions,
        origin_partition,
    })
}

impl Plan {
    /// The same with the bytes that the broker has of that record. Where the key chooses the partition, what is exact chooses it.
    pub fn with_bytes(self, key: Option<Bytes>, value: Option<Bytes>, of_broker: &[Header]) -> Plan {
        let (partition, chosen_by) = partition(self.origin_partition, key.as_deref(), self.partitions);
        let headers = headers(of_broker, &self.convention, self.redrive);
        Plan { partition, chosen_by, key, value, headers, is_redacted: false, ..self }
    }

    /// The same where the topic has so many partitions, as its broker tells.
    pub fn among(self, partitions: u32) -> Plan {
        let (partition, chosen_by) = partition(self.origin_partition, self.key.as_deref(), partitions.max(1));
        Plan { partition, chosen_by, partitions, ..self }
    }

    /// The same with a value that somebody edited. Its key stays, so it goes where it would have gone.
    pub fn edited(self, edit: &Edit) -> Plan {
        Plan { value: Some(edit.after.clone().into()), ..self }
    }

    /// About how many bytes it takes.
    pub fn bytes(&self) -> usize {
        let values = self.headers.iter().filter_map(|header| header.value.as_ref());
        self.key.iter().chain(&self.value).chain(values).map(Bytes::len).sum()
    }
}

/// A record's headers without those that were added to it, and then how often it was redriven.
fn headers(all: &[Header], convention: &str, redrive: u32) -> Vec<Header> {
    let own = all.iter().filter(|header| !added::is_added(convention, &header.name)).cloned();
    let count = Header { name: REDRIVE_COUNT.to_owned(), value: Some(redrive.to_string().into()) };
    own.chain([count]).collect()
}

/// The named topic, else the failed group's retry topic, else the origin's.
fn target(given: &Given<'_>, told: Option<&Origin>) -> Result<(String, Target), Obstacle> {
    let named = given.to.map(|topic| (topic, Target::Named));
    let retry = given.retry_topic.map(|topic| (topic, Target::RetryTopic));
    let origin = || told.and_then(|origin| origin.channel.as_deref()).map(|topic| (topic, Target::OriginTopic));
    let (topic, target) = named.or(retry).or_else(origin).ok_or(Obstacle::NoOrigin)?;
    if topic == given.letter.position.channel.as_str() {
        return Err(Obstacle::SameTopic(topic.to_owned()));
    }
    Ok((topic.to_owned(), target))
}

fn partition(origin: Option<i32>, key: Option<&[u8]>, partitions: u32) -> (i32, ChosenBy) {
    let is_there = |partition: &i32| u32::try_from(*partition).is_ok_and(|partition| partition < partitions);
    match (origin.filter(is_there), key) {
        (Some(partition), _) => (partition, ChosenBy::Origin),
        (None, Some(key)) => (i32::try_from(murmur2::partition(key, partitions)).unwrap_or_default(), ChosenBy::Key),
        (None, None) => (0, ChosenBy::Nothing),
    }
}

/// Whether something was visibly taken out of a record. What was dropped without a trace can't be told.
fn is_redacted(source: &Record) -> bool {
    let values = source.headers.iter().filter_map(|header| header.value.as_ref());
    let parts = source.key.iter().chain(&source.body).chain(values);
    parts.into_iter().any(|bytes| redacted::is_in(&String::from_utf8_lossy(bytes)))
}

#[cfg(test)]
mod tests;
