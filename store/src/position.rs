//! Where a record is: source, channel, place.

use std::fmt;
use std::sync::Arc;

/// The name of one broker or receiver that is watched, as the configuration gives it.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SourceName(Arc<str>);

/// A topic, queue, subject or stream.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Channel(Arc<str>);

/// Where in its channel a record is, in the broker's own terms.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub enum Place {
    /// Kafka and streams: a partition and an offset in it.
    Offset {
        /// The partition, from 0.
        partition: i32,
        /// The offset in the partition, from 0.
        offset: i64,
    },
    /// NATS JetStream: the stream's sequence, from 1.
    Sequence(u64),
    /// Pulsar and SQS: the broker's own id.
    MessageId(Arc<str>),
    /// Our own durable number, where the broker gives none. "Stored once" can't be promised there.
    Arrival(u64),
}

/// Which life of a channel: one that was deleted and made again is another one, because offsets start over.
/// Counted by us per source and channel, from 0; grows by one each time a new life is noticed.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Default)]
pub struct Incarnation(pub u32);

/// Where a record is.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct Position {
    /// Which broker.
    pub source: SourceName,
    /// Which topic, queue, subject or stream.
    pub channel: Channel,
    /// Which life of that channel.
    pub incarnation: Incarnation,
    /// Where in it.
    pub place: Place,
}

macro_rules! name {
    ($type:ident) => {
        impl $type {
            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl From<&str> for $type {
            fn from(name: &str) -> $type {
                $type(name.into())
            }
        }

        impl From<String> for $type {
            fn from(name: String) -> $type {
                $type(name.into())
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&self.0, f)
            }
        }
    };
}

name!(SourceName);
name!(Channel);

impl Place {
    /// The partition, where the broker has partitions.
    pub fn partition(&self) -> Option<i32> {
        match self {
            Place::Offset { partition, .. } => Some(*partition),
            Place::Sequence(_) | Place::MessageId(_) | Place::Arrival(_) => None,
        }
    }

    /// The number that grows along the channel (offset, sequence, arrival), where there is one.
    pub fn number(&self) -> Option<u64> {
        match self {
            Place::Offset { offset, .. } => u64::try_from(*offset).ok(),
            Place::Sequence(number) | Place::Arrival(number) => Some(*number),
            Place::MessageId(_) => None,
        }
    }

    /// Reads a place as URLs have it: `3@48213` (partition and offset), `seq:17`, `arrival:5`, else the broker's own id.
    pub fn parse(text: &str) -> Option<Place> {
        if let Some(sequence) = text.strip_prefix("seq:") {
            return sequence.parse().ok().map(Place::Sequence);
        }
        if let Some(arrival) = text.strip_prefix("arrival:") {
            return arrival.parse().ok().map(Place::Arrival);
        }
        if let Some((partition, offset)) = text.split_once('@')
            && let (Ok(partition), Ok(offset)) = (partition.parse(), offset.parse())
        {
            return Some(Place::Offset { partition, offset });
        }
        (!text.is_empty()).then(|| Place::MessageId(text.into()))
    }
}

impl fmt::Display for Place {
    /// As URLs have it; see [`Place::parse`].
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::Offset { partition, offset } => write!(f, "{partition}@{offset}"),
            Place::Sequence(number) => write!(f, "seq:{number}"),
            Place::MessageId(id) => f.write_str(id),
            Place::Arrival(number) => write!(f, "arrival:{number}"),
        }
    }
}

impl fmt::Display for Position {
    /// As people read it: `order.placed p3@48213`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.place {
            Place::Offset { .. } => write!(f, "{} p{}", self.channel, self.place),
            Place::Sequence(number) => write!(f, "{} #{number}", self.channel),
            Place::MessageId(id) => write!(f, "{} {id}", self.channel),
            Place::Arrival(number) => write!(f, "{} arrival {number}", self.channel),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_reads_back_from_its_url_form() {
        for place in [
            Place::Offset { partition: 3, offset: 48213 },
            Place::Sequence(17),
            Place::Arrival(5),
            Place::MessageId("57:1:0".into()),
        ] {
            assert_eq!(Place::parse(&place.to_string()), Some(place));
        }
        assert_eq!(Place::parse(""), None);
    }
}
