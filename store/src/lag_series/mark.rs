//! What happened to a group: its members changed, or its commits were moved by other means than reading.

use crate::position::Channel;
use crate::time::Timestamp;

/// Something that happened to a group, between the look at `at` and the one before it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Mark {
    /// The look that found it.
    pub at: Timestamp,
    /// What happened.
    pub change: Change,
}

/// What happens to a group.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Change {
    /// Members came or went, so that partitions were shared out anew.
    Members {
        /// How many came.
        joined: u32,
        /// How many went.
        left: u32,
    },
    /// Partitions got other owners, among the same members.
    Reassigned {
        /// How many did.
        partitions: u32,
    },
    /// Commits went back, or moved on while the group had no members.
    Reset {
        /// On which topic.
        topic: Channel,
        /// On which partitions, from where to where.
        moves: Vec<Move>,
    },
}

/// A commit that was moved.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Move {
    /// On which partition.
    pub partition: i32,
    /// From where.
    pub from: i64,
    /// To where.
    pub to: i64,
}

impl Mark {
    /// Whether a reset moved the commit of a partition over an offset, so that nobody needs to have read it.
    pub(super) fn skips(&self, partition: (&Channel, i32), offset: i64) -> bool {
        match &self.change {
            Change::Members { .. } | Change::Reassigned { .. } => false,
            Change::Reset { topic, moves } => {
                let over = |moved: &&Move| moved.partition == partition.1 && moved.from <= offset && offset < moved.to;
                topic == partition.0 && moves.iter().any(|moved| over(&moved))
            }
        }
    }
}
