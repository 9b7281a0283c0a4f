//! What is asked for most, entry by entry in columns: here is an entry's number, give me its time, its topic, its status.
//!
//! Useful for counting, for sorting by time, and for telling without decoding that an entry can't match.
//! Not useful for finding entries by rare values: that is the index's work.

mod hours; // how many entries alike there were in each hour, of those that are gone
mod minutes; // how many entries alike there were in each minute
mod predicate; // a query, as far as columns can answer it
mod stored; // columns as bytes

use std::collections::HashMap;

use foldhash::fast::RandomState;

use super::hash::hash;
use crate::engine::Held;
use crate::entry::Entry;
use crate::query::Field;
use crate::time::Timestamp;

pub use hours::Hours;
pub use minutes::Minutes;
pub use predicate::{Predicate, Verdict};
pub use stored::{read, write};

/// The fields that have a column: what pages count by, all with few values.
pub const FIELDS: [Field; 8] =
    [Field::Kind, Field::Source, Field::Topic, Field::Type, Field::Service, Field::Group, Field::Role, Field::Status];

/// Says that an entry has no duration.
const NO_DURATION: u64 = u64::MAX;

/// Columns of some entries, which are numbered from 0.
#[derive(Clone, PartialEq, Debug)]
pub struct Columns {
    times: Vec<i64>,
    sequences: Vec<u64>,
    durations: Vec<u64>,
    fields: Vec<FieldColumn>,
}

/// One field's values. Entries with the same values share them.
#[derive(Clone, Debug, Default)]
struct FieldColumn {
    /// Distinct lists of values; most have one value or none.
    lists: Vec<Vec<String>>,
    /// Each entry's list.
    numbers: Vec<u32>,
    /// Where lists with a given hash are in `lists`; only used while columns grow.
    known: HashMap<u64, Vec<u32>, RandomState>,
}

impl PartialEq for FieldColumn {
    fn eq(&self, other: &FieldColumn) -> bool {
        self.lists == other.lists && self.numbers == other.numbers
    }
}

impl Default for Columns {
    fn default() -> Columns {
        let fields = FIELDS.iter().map(|_| FieldColumn::default()).collect();
        Columns { times: Vec::new(), sequences: Vec::new(), durations: Vec::new(), fields }
    }
}

impl Columns {
    /// Adds an entry at the end.
    pub fn add(&mut self, held: &Held) {
        let entry = &*held.entry;
        self.times.push(entry.time().as_nanos());
        self.sequences.push(held.sequence.0);
        self.durations.push(entry.as_span().map_or(NO_DURATION, |span| span.duration_nanos().min(NO_DURATION - 1)));
        for (field, column) in FIELDS.iter().zip(&mut self.fields) {
            column.add(field, entry);
        }
    }

    /// The same entries in another order: first the one at the first of these numbers, and so on.
    pub fn in_order(&self, numbers: &[usize]) -> Columns {
        Columns {
            times: numbers.iter().map(|number| self.times[*number]).collect(),
            sequences: numbers.iter().map(|number| self.sequences[*number]).collect(),
            durations: numbers.iter().map(|number| self.durations[*number]).collect(),
            fields: self.fields.iter().map(|column| column.in_order(numbers)).collect(),
        }
    }

    /// How many entries there are.
    pub fn len(&self) -> usize {
        self.times.len()
    }

    /// An entry's own time.
    pub fn time(&self, number: usize) -> Timestamp {
        Timestamp::from_nanos(self.times[number])
    }

    /// When in the order of arrival an entry was kept.
    pub fn sequence(&self, number: usize) -> u64 {
        self.sequences[number]
    }

    /// An entry's values of a field that has a column (by its place in [`FIELDS`]), each once.
    pub fn values(&self, column: usize, number: usize) -> &[String] {
        let column = &self.fields[column];
        &column.lists[column.numbers[number] as usize]
    }

    /// About how much memory they take.
    pub fn bytes(&self) -> usize {
        let lists = self.fields.iter().flat_map(|column| &column.lists).flatten().map(|value| value.len() + 48);
        self.len() * (24 + 4 * FIELDS.len()) + lists.sum::<usize>()
    }
}

impl FieldColumn {
    fn in_order(&self, numbers: &[usize]) -> FieldColumn {
        let numbers = numbers.iter().map(|number| self.numbers[*number]).collect();
        FieldColumn { lists: self.lists.clone(), numbers, known: HashMap::default() }
    }

    fn add(&mut self, field: &Field, entry: &Entry) {
        let mut values = field.values(entry);
        if values.len() > 1 {
            values.sort_unstable();
            values.dedup();
        }
        // Neighbours are alike.
        let last = self.numbers.last().copied().filter(|last| self.lists[*last as usize] == *values);
        let number = last.unwrap_or_else(|| {
            let same = self.known.entry(key(&values)).or_default();
            let known = same.iter().copied().find(|number| self.lists[*number as usize] == *values);
            known.unwrap_or_else(|| {
                let number = self.lists.len() as u32;
                self.lists.push(values.into_iter().map(std::borrow::Cow::into_owned).collect());
                same.push(number);
                number
            })
        });
        self.numbers.push(number);
    }

    /// The number of a list of values, which is added where it isn't known yet.
    fn known(&mut self, values: Vec<String>) -> u32 {
        let same = self.known.entry(key(&values)).or_default();
        let known = same.iter().copied().find(|number| self.lists[*number as usize] == values);
        known.unwrap_or_else(|| {
            let number = self.lists.len() as u32;
            self.lists.push(values);
            same.push(number);
            number
        })
    }
}

fn key(values: &[impl AsRef<str>]) -> u64 {
    values.iter().fold(values.len() as u64, |key, value| hash(key, value.as_ref().as_bytes()))
}
