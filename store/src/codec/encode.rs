//! From entries to bytes. Tags as in [`wire`](super::wire).

mod record; // a record with its event and its failure
mod span; // a span or a log

use std::collections::HashMap;
use std::sync::Arc;

use foldhash::fast::RandomState;

use super::write::Message;
use crate::checkpoint::Checkpoint;
use crate::engine::Held;
use crate::entry::Entry;
use crate::position::Place;
use crate::span::{Resource, Scope};
use crate::time::Timestamp;
use crate::value::{Text, Value};

/// Entries that are being written together. What they share (resources and scopes) is written once.
#[derive(Debug, Default)]
pub struct BlockWriter {
    message: Message,
    resources: Shared<Resource>,
    scopes: Shared<Scope>,
    entries: u32,
}

/// Things that several entries share, numbered in the order in which they were met.
#[derive(Debug)]
struct Shared<T> {
    /// By address. Each is held in `met`, or is equal to one that is, and the caller's entries outlive the block.
    numbers: HashMap<usize, u32, RandomState>,
    met: Vec<Arc<T>>,
}

/// How many of the things met last a new one is compared with: requests of a handful of services come in turn.
const COMPARED_MAX: usize = 16;

impl BlockWriter {
    /// Writes into a buffer that was used before; what is in it goes.
    pub fn reusing(buffer: Vec<u8>) -> BlockWriter {
        BlockWriter { message: Message::reusing(buffer), ..BlockWriter::default() }
    }

    /// Adds an entry at the end.
    pub fn add(&mut self, held: &Held) {
        let (resource, scope) = match &*held.entry {
            Entry::Record(_) => (0, 0),
            Entry::Span(span) => self.share(&span.resource, &span.scope),
            Entry::Log(log) => self.share(&log.resource, &log.scope),
        };
        self.entries += 1;
        self.message.nested(3, |stored| {
            stored.number(1, held.sequence.0);
            stored.number(2, held.copies.into());
            time(stored, 3, held.entry.received_at());
            match &*held.entry {
                Entry::Record(entry) => stored.nested(4, |message| record::record(message, entry)),
                Entry::Span(entry) => stored.nested(5, |message| span::span(message, entry, resource, scope)),
                Entry::Log(entry) => stored.nested(6, |message| span::log(message, entry, resource, scope)),
            }
        });
    }

    /// How many entries were added.
    pub fn entries(&self) -> u32 {
        self.entries
    }

    /// How many bytes they take so far.
    pub fn len(&self) -> usize {
        self.message.len()
    }

    /// The whole block.
    pub fn finish(self) -> Vec<u8> {
        self.message.into_bytes()
    }

    fn share(&mut self, resource: &Arc<Resource>, scope: &Arc<Scope>) -> (u32, u32) {
        let (resource_number, is_new) = self.resources.number(resource);
        if is_new {
            self.message.nested(1, |message| {
                message.text(1, &resource.service);
                attributes(message, 2, &resource.attributes);
            });
        }
        let (scope_number, is_new) = self.scopes.number(scope);
        if is_new {
            self.message.nested(2, |message| {
                message.text(1, &scope.name);
                message.text(2, &scope.version);
                attributes(message, 3, &scope.attributes);
            });
        }
        (resource_number, scope_number)
    }
}

impl<T> Default for Shared<T> {
    fn default() -> Shared<T> {
        Shared { numbers: HashMap::default(), met: Vec::new() }
    }
}

impl<T: PartialEq> Shared<T> {
    /// Its number, and whether it is met for the first time.
    fn number(&mut self, thing: &Arc<T>) -> (u32, bool) {
        let address = Arc::as_ptr(thing).addr();
        if let Some(number) = self.numbers.get(&address) {
            return (*number, false);
        }
        let equal = self.met.iter().enumerate().rev().take(COMPARED_MAX).find(|(_, met)| *met == thing);
        let (number, is_new) = match equal {
            Some((number, _)) => (number, false),
            None => {
                self.met.push(thing.clone());
                (self.met.len() - 1, true)
            }
        };
        self.numbers.insert(address, number as u32);
        (number as u32, is_new)
    }
}

/// A checkpoint as the log and the segments keep it.
pub fn checkpoint(checkpoint: &Checkpoint) -> Vec<u8> {
    let mut message = Message::default();
    message.text(1, checkpoint.source.as_str());
    message.maybe_text(2, checkpoint.cluster.as_deref());
    for ((channel, partition), reached) in &checkpoint.partitions {
        message.nested(3, |message| {
            message.text(1, channel.as_str());
            message.signed(2, (*partition).into());
            message.number(3, reached.incarnation.0.into());
            message.signed(4, reached.next);
            maybe_time(message, 5, reached.last_timestamp);
            if let Some(checksum) = reached.last_checksum {
                message.number_present(6, checksum.into());
            }
        });
    }
    message.into_bytes()
}

fn time(message: &mut Message, tag: u64, at: Timestamp) {
    message.fixed(tag, at.as_nanos().to_le_bytes());
}

fn maybe_time(message: &mut Message, tag: u64, at: Option<Timestamp>) {
    if let Some(at) = at {
        time(message, tag, at);
    }
}

/// The place's fields at this tag and the four after it.
fn place(message: &mut Message, tag: u64, place: &Place) {
    match place {
        Place::Offset { partition, offset } => {
            message.signed(tag, (*partition).into());
            message.signed(tag + 1, *offset);
        }
        Place::Sequence(number) => message.number_present(tag + 2, *number),
        Place::MessageId(id) => message.bytes(tag + 3, id.as_bytes()),
        Place::Arrival(number) => message.number_present(tag + 4, *number),
    }
}

fn attributes(message: &mut Message, tag: u64, attributes: &[(Text, Value)]) {
    for (name, said) in attributes {
        message.nested(tag, |message| {
            message.text(1, name);
            message.nested(2, |message| value(message, said));
        });
    }
}

fn value(message: &mut Message, said: &Value) {
    match said {
        Value::Empty => {}
        Value::Text(text) => message.bytes(1, text.as_bytes()),
        Value::Bool(truth) => message.number_present(2, (*truth).into()),
        Value::Int(number) => message.signed(3, *number),
        Value::Double(number) => message.fixed(4, number.to_le_bytes()),
        Value::Bytes(bytes) => message.bytes(5, bytes),
        Value::List(values) => message.nested(6, |message| {
            for item in values {
                message.nested(1, |message| value(message, item));
            }
        }),
        Value::Map(entries) => message.nested(7, |message| attributes(message, 1, entries)),
    }
}
