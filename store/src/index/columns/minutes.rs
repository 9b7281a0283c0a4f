//! What is counted most, minute by minute: columns in which all entries of one minute that are alike (same topic, service, status, ...)
//! are one row. Charts, rates and lists of topics read these and not a row for every entry: a few dozen rows instead of 50,000.
//!
//! Exact, or nothing: a question whose bounds or steps cut through a row is answered from the entries' own columns.

use std::collections::HashMap;

use bytes::Bytes;
use foldhash::fast::RandomState;
use prost::Message;

use super::{Columns, FIELDS, FieldColumn, NO_DURATION};

/// The rows of a minute.
const MINUTE_NANOS: i64 = 60_000_000_000;

/// Rows are kept while they are at most this share of the entries; with more distinct values they would save nothing.
const ROWS_SHARE: usize = 4;

/// Counts of some entries.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Minutes {
    /// What the entries of each row have in common; its time is that of the last of them.
    pub rows: Columns,
    firsts: Vec<i64>,
    counts: Vec<u64>,
}

#[derive(Clone, PartialEq, Message)]
struct StoredMinutes {
    #[prost(bytes = "bytes", tag = "1")]
    rows: Bytes,
    #[prost(sfixed64, repeated, tag = "2")]
    firsts: Vec<i64>,
    #[prost(uint64, repeated, tag = "3")]
    counts: Vec<u64>,
}

impl Minutes {
    /// The rows of these entries; none where they are too different.
    pub fn of(columns: &Columns) -> Option<Minutes> {
        let mut minutes = Minutes::default();
        let mut places: HashMap<(i64, [u32; FIELDS.len()]), usize, RandomState> = HashMap::default();
        for (number, time) in columns.times.iter().enumerate() {
            let lists: [u32; FIELDS.len()] = std::array::from_fn(|field| columns.fields[field].numbers[number]);
            let next = minutes.counts.len();
            let place = *places.entry((time.div_euclid(MINUTE_NANOS), lists)).or_insert(next);
            if place == next {
                if next * ROWS_SHARE >= columns.len().max(ROWS_SHARE) {
                    return None;
                }
                minutes.add_row(*time, lists);
            }
            minutes.add_to(place, (*time, *time), 1);
        }
        for (column, of_entries) in minutes.rows.fields.iter_mut().zip(&columns.fields) {
            *column = FieldColumn {
                lists: of_entries.lists.clone(),
                numbers: std::mem::take(&mut column.numbers),
                ..FieldColumn::default()
            };
        }
        Some(minutes)
    }

    /// Counts more entries in a row, the first and the last of them at these times.
    pub(super) fn add_to(&mut self, row: usize, (first, last): (i64, i64), many: u64) {
        self.counts[row] += many;
        self.firsts[row] = self.firsts[row].min(first);
        self.rows.times[row] = self.rows.times[row].max(last);
    }

    /// All rows: which one, the times of the first and the last of its entries, and how many it has.
    pub fn all(&self) -> impl Iterator<Item = (usize, i64, i64, u64)> {
        let times = self.firsts.iter().zip(&self.rows.times).zip(&self.counts);
        times.enumerate().map(|(row, ((first, last), many))| (row, *first, *last, *many))
    }

    /// Adds a row that counts nothing yet.
    pub(super) fn add_row(&mut self, time: i64, lists: [u32; FIELDS.len()]) {
        self.counts.push(0);
        self.firsts.push(time);
        self.rows.times.push(time);
        self.rows.sequences.push(0);
        self.rows.durations.push(NO_DURATION);
        self.rows.fields.iter_mut().zip(lists).for_each(|(column, list)| column.numbers.push(list));
    }

    /// The rows whose entries lie between these times, with how many entries each has. `None` where a bound or a step cuts through one.
    pub fn between(&self, first: i64, last: i64, step_nanos: Option<i64>) -> Option<Vec<(usize, u64)>> {
        let mut found = Vec::new();
        for (row, (from, to)) in self.firsts.iter().zip(&self.rows.times).enumerate() {
            if *to < first || *from > last {
                continue;
            }
            let is_in_one_step = step_nanos.is_none_or(|step| from.div_euclid(step) == to.div_euclid(step));
            if *from < first || *to > last || !is_in_one_step {
                return None;
            }
            found.push((row, self.counts[row]));
        }
        Some(found)
    }

    /// As a segment keeps them.
    pub fn write(&self) -> std::io::Result<Vec<u8>> {
        let rows = Bytes::from(super::write(&self.rows)?);
        Ok(StoredMinutes { rows, firsts: self.firsts.clone(), counts: self.counts.clone() }.encode_to_vec())
    }

    /// From what a segment keeps, or why it is none.
    pub fn read(bytes: &[u8]) -> Result<Minutes, String> {
        let stored = StoredMinutes::decode(bytes).map_err(|error| error.to_string())?;
        let rows = super::read(&stored.rows)?;
        if rows.len() != stored.firsts.len() || rows.len() != stored.counts.len() {
            return Err("rows of different lengths".to_owned());
        }
        Ok(Minutes { rows, firsts: stored.firsts, counts: stored.counts })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::engine::{Held, Sequence};
    use crate::fixture;

    #[test]
    fn alike_entries_of_a_minute_are_one_row_and_bounds_that_cut_it_are_not_guessed() {
        let mut columns = Columns::default();
        for number in 0..60 {
            let entry = Arc::new(fixture::record("orders", 0, number).at(number as f64 * 2.0).entry());
            columns.add(&Held { entry, sequence: Sequence(1), copies: 1 });
        }
        let minutes = Minutes::of(&columns).unwrap();
        let read = Minutes::read(&minutes.write().unwrap()).unwrap();
        let time = |number: usize| columns.time(number).as_nanos();
        let all = read.between(i64::MIN, i64::MAX, Some(MINUTE_NANOS)).unwrap();
        assert!((2..=3).contains(&all.len()), "{all:?}");
        assert_eq!(all.iter().map(|(_, count)| count).sum::<u64>(), 60);
        assert_eq!(read.between(time(0), time(59), None).unwrap().len(), all.len());
        assert_eq!(read.between(time(1), time(59), None), None, "the first row has an entry before");
        assert_eq!(read.between(i64::MIN, i64::MAX, Some(1_000_000_000)), None, "seconds are finer than rows");
        assert_eq!(read.between(time(59) + 1, i64::MAX, None).unwrap(), []);
    }
}
