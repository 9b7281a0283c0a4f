//! What redriving needs of a cluster.

use std::time::Instant;

use async_trait::async_trait;
use bytes::Bytes;
use store::record::Header;

use crate::source::raw::Raw;

/// A cluster that dead letters are on, and are sent back to.
#[async_trait]
pub trait Broker: Send + Sync {
    /// How many partitions a topic has, whoever leads them.
    async fn partitions(&self, topic: String) -> Result<u32, String>;

    /// Where partitions end now, with what isn't committed. Never too far: what is sent afterwards lies there or behind.
    async fn ends(&self, partitions: Vec<(String, i32)>) -> Result<Vec<i64>, String>;

    /// The record at an offset, byte for byte; `None` where there is none any more.
    async fn fetch(&self, topic: String, partition: i32, offset: i64) -> Result<Option<Raw>, String>;

    /// Sends messages, those to one partition in their order. Comes back within [`DELIVERY_TIMEOUT`](super::DELIVERY_TIMEOUT) and a moment;
    /// then nothing more of them is sent.
    async fn send(&self, messages: Vec<Outgoing>) -> Vec<Delivered>;

    /// Looks through a partition to its end, with what isn't committed, for messages of a redrive.
    async fn find(&self, sought: Sought) -> Result<Search, String>;
}

/// What is looked for, and where.
#[derive(Clone, Debug)]
pub struct Sought {
    /// The redrive.
    pub id: String,
    /// The topic.
    pub topic: String,
    /// The partition.
    pub partition: i32,
    /// From this offset on.
    pub from: i64,
    /// Since when nothing more is sent.
    pub since: Instant,
}

/// A message to be sent.
#[derive(Clone, PartialEq, Debug)]
pub struct Outgoing {
    /// The topic.
    pub topic: String,
    /// The partition.
    pub partition: i32,
    /// The key.
    pub key: Option<Bytes>,
    /// The value.
    pub value: Option<Bytes>,
    /// The headers, in their order.
    pub headers: Vec<Header>,
}

/// What became of a message.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Delivered {
    /// It is at its target, at this offset.
    At(i64),
    /// It surely is not: why.
    Refused(String),
    /// Nobody knows yet: why.
    Unsure(String),
}

/// What looking for messages of a redrive found.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Search {
    /// All records were looked at: numbers of messages, and the offset of each.
    Whole(Vec<(usize, i64)>),
    /// Records went meanwhile, by retention or with their topic, and nothing tells whether they were among them; those that were found.
    Lost(Vec<(usize, i64)>),
}
