//! One message as a broker hands it over: where it is and its bytes, not what they mean.

use std::sync::Arc;

use bytes::Bytes;
use store::record::{Header, TimestampKind, Transaction};
use store::{Position, Timestamp};

/// One message as a broker hands it over.
#[derive(Clone, PartialEq, Debug)]
pub struct Raw {
    /// Where it is.
    pub position: Position,
    /// The broker's id of its cluster, where it tells one.
    pub cluster: Option<Arc<str>>,
    /// The broker's time for it.
    pub timestamp: Option<Timestamp>,
    /// Whose clock that is.
    pub timestamp_kind: TimestampKind,
    /// When we received it, by our clock.
    pub received_at: Timestamp,
    /// The key; `None` is null.
    pub key: Option<Bytes>,
    /// The body; `None` is null.
    pub body: Option<Bytes>,
    /// Headers in the broker's order.
    pub headers: Vec<Header>,
    /// Set where readers of committed records don't get it.
    pub transaction: Option<Transaction>,
    /// What could not even be read off the wire.
    pub problem: Option<String>,
}

impl Raw {
    /// How many bytes of keys, bodies and header values it holds.
    pub fn bytes(&self) -> usize {
        let length = |bytes: &Option<Bytes>| bytes.as_ref().map_or(0, Bytes::len);
        length(&self.key) + length(&self.body) + self.headers.iter().map(|header| length(&header.value)).sum::<usize>()
    }

    /// CRC-32 over key and body: what a checkpoint remembers, to know the record again.
    pub fn checksum(&self) -> u32 {
        checksum(self.key.as_deref(), self.body.as_deref())
    }
}

/// CRC-32 over a key and a body, null counting as empty.
pub fn checksum(key: Option<&[u8]>, body: Option<&[u8]>) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(key.unwrap_or_default());
    hasher.update(body.unwrap_or_default());
    hasher.finalize()
}
