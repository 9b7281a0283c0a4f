//! How far each partition of a source has been kept.
//!
//! A checkpoint is kept together with the entries it covers, or not at all: after a crash the source reads on from it,
//! and nothing is lost or kept twice.

use std::collections::BTreeMap;

use crate::position::{Channel, Incarnation, SourceName};
use crate::time::Timestamp;

/// How far each partition of one source has been kept.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Checkpoint {
    /// Which source.
    pub source: SourceName,
    /// The broker's id of the cluster that this speaks of, where it tells one: another cluster means other channels.
    pub cluster: Option<String>,
    /// By channel and partition (0 where the broker has no partitions).
    pub partitions: BTreeMap<(Channel, i32), Reached>,
}

/// How far one partition has been kept, and what proves that it is still the same partition.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Reached {
    /// Which life of the channel.
    pub incarnation: Incarnation,
    /// The next offset or sequence to read: everything before it is kept, or was gone before we could read it.
    pub next: i64,
    /// The timestamp of the last record kept: if the broker has another one there now, the channel was made again.
    pub last_timestamp: Option<Timestamp>,
    /// CRC-32 of the last record's key and body, for the same purpose.
    pub last_checksum: Option<u32>,
}

impl Checkpoint {
    /// Of a source that nothing was kept of yet; what receivers such as OTLP pass, which have no place to read on from.
    pub fn none(source: SourceName) -> Checkpoint {
        Checkpoint { source, cluster: None, partitions: BTreeMap::new() }
    }

    /// Takes over what `newer` says, partition by partition. A later incarnation always wins; within one, the later place.
    pub fn advance(&mut self, newer: &Checkpoint) {
        if newer.cluster.is_some() {
            self.cluster.clone_from(&newer.cluster);
        }
        for (partition, reached) in &newer.partitions {
            let held = self.partitions.entry(partition.clone()).or_insert_with(|| reached.clone());
            if (reached.incarnation, reached.next) >= (held.incarnation, held.next) {
                *held = reached.clone();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reached(incarnation: u32, next: i64) -> Checkpoint {
        let mut checkpoint = Checkpoint::none("main".into());
        let reached = Reached { incarnation: Incarnation(incarnation), next, ..Reached::default() };
        checkpoint.partitions.insert(("orders".into(), 0), reached);
        checkpoint
    }

    #[test]
    fn a_checkpoint_never_goes_back_but_for_a_new_incarnation() {
        let mut checkpoint = reached(0, 10);
        checkpoint.advance(&reached(0, 7));
        assert_eq!(checkpoint, reached(0, 10));
        checkpoint.advance(&reached(0, 12));
        assert_eq!(checkpoint, reached(0, 12));
        checkpoint.advance(&reached(1, 3));
        assert_eq!(checkpoint, reached(1, 3));
        checkpoint.advance(&reached(0, 99));
        assert_eq!(checkpoint, reached(1, 3));
    }
}
