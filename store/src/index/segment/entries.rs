//! What a segment is made of: entries that are at hand, or that are read from other segments one after the other.
//!
//! A segment is put in order by outlines alone, a few dozen bytes for each entry; the entries themselves are asked for once, in that order,
//! so that a segment made of others takes no more memory than a block of each.

use std::borrow::Cow;

use crate::engine::{Held, StoreError};
use crate::entry::Entry;
use crate::index::hash::{IdentityKey, hash};

/// An entry that is to be kept, with its key, which is known already.
#[derive(Clone, Debug)]
pub struct Kept {
    /// The entry.
    pub held: Held,
    /// What stands for its identity.
    pub key: IdentityKey,
    /// Its knots, by [`knot_term`](crate::index::hash::knot_term).
    pub knots: Box<[u32]>,
}

/// What belongs together: the entries of one trace, else of one event id, else an entry alone.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Together {
    /// Of this trace.
    Trace([u8; 16]),
    /// Of the event id with this hash; that two share one costs a longer bundle, and no answer.
    Event(u64),
    /// Alone.
    Alone,
}

/// What must be known of an entry to put a segment in order.
#[derive(Clone, Copy, Debug)]
pub struct Outline {
    /// What it belongs to.
    pub together: Together,
    /// Its own time, in nanoseconds.
    pub time: i64,
    /// When in the order of arrival it was kept.
    pub sequence: u64,
    /// When it was received, in nanoseconds.
    pub received: i64,
    /// 0 for a record, 1 for a span, 2 for a log.
    pub kind: usize,
}

/// Gives an entry by its place.
type Get<'a> = dyn Fn(usize) -> Result<Cow<'a, Kept>, StoreError> + 'a;

/// Entries that are to become a segment, in any order.
pub struct Entries<'a> {
    /// What they are, by their places.
    pub outlines: Vec<Outline>,
    /// Gives an entry by its place.
    pub get: Box<Get<'a>>,
}

impl Outline {
    /// Of an entry.
    pub fn of(held: &Held) -> Outline {
        let entry = &*held.entry;
        let (kind, event_id) = match entry {
            Entry::Record(record) => (0, record.event.id.as_deref()),
            Entry::Span(_) => (1, None),
            Entry::Log(log) => (2, log.event_id.as_deref()),
        };
        let together = match (entry.trace_id(), event_id) {
            (Some(trace_id), _) => Together::Trace(*trace_id.as_bytes()),
            (None, Some(event_id)) => Together::Event(hash(0, event_id.as_bytes())),
            (None, None) => Together::Alone,
        };
        Outline {
            together,
            time: entry.time().as_nanos(),
            sequence: held.sequence.0,
            received: entry.received_at().as_nanos(),
            kind,
        }
    }
}

impl<'a> Entries<'a> {
    /// These.
    pub fn at_hand(kept: &'a [Kept]) -> Entries<'a> {
        Entries {
            outlines: kept.iter().map(|kept| Outline::of(&kept.held)).collect(),
            get: Box::new(|place| Ok(Cow::Borrowed(&kept[place]))),
        }
    }
}
