//! Counts by the hour of entries that are gone: what is left of a segment when retention removes it. Charts read them where they look
//! back further than entries are kept.

use std::collections::HashMap;

use foldhash::fast::RandomState;

use super::{Columns, FIELDS, Minutes};

/// The rows of an hour.
const HOUR_NANOS: i64 = 3_600_000_000_000;

/// How many rows are kept: 35 days of 200 kinds of entries an hour, in about 20 MiB of memory. Beyond that the oldest hours go.
const ROWS_MAX: usize = 170_000;

/// How much memory a row takes, with its place.
const ROW_BYTES: usize = 120;

/// Each entry's list of values in each column.
type Lists = [u32; FIELDS.len()];

/// Counts of entries by the hour in which their own times lie.
#[derive(Debug, Default)]
pub struct Hours {
    rows: Minutes,
    places: HashMap<(i64, Lists), usize, RandomState>,
}

impl Hours {
    /// From rows that were counted before.
    pub fn new(rows: &Minutes) -> Hours {
        let mut hours = Hours::default();
        hours.add_rows(rows, |_| true);
        hours
    }

    /// The rows; the times of each are those of the first and of the last of its entries.
    pub fn rows(&self) -> &Minutes {
        &self.rows
    }

    /// Counts the entries of these columns, as far as their own times lie between these.
    pub fn add(&mut self, columns: &Columns, first: i64, last: i64) {
        let mut same = Same::new(columns);
        for (number, time) in columns.times.iter().enumerate() {
            if (first..=last).contains(time) {
                let lists = same.lists(columns, number, &mut self.rows.rows);
                self.count((*time, *time), lists, 1);
            }
        }
    }

    /// Keeps the rows of which this is true, and nothing else: no value of another row either.
    pub fn retain(&mut self, keep: impl Fn(usize) -> bool) {
        let before = std::mem::take(self);
        self.add_rows(&before.rows, keep);
    }

    /// Lets go of the oldest rows where there are too many, and of all before a time.
    pub fn prune(&mut self, oldest: i64) {
        let mut lasts = self.rows.rows.times.clone();
        let surplus = lasts.len().saturating_sub(ROWS_MAX);
        lasts.sort_unstable();
        let oldest = lasts.get(surplus).map_or(oldest, |last| oldest.max(*last));
        if lasts.first().is_some_and(|first| *first < oldest) {
            let lasts = self.rows.rows.times.clone();
            self.retain(|row| lasts[row] >= oldest);
        }
    }

    /// About how much memory they take.
    pub fn bytes(&self) -> usize {
        self.places.len() * ROW_BYTES + self.rows.rows.bytes()
    }

    fn add_rows(&mut self, rows: &Minutes, keep: impl Fn(usize) -> bool) {
        let mut same = Same::new(&rows.rows);
        for (row, first, last, many) in rows.all().filter(|(row, ..)| keep(*row)) {
            let lists = same.lists(&rows.rows, row, &mut self.rows.rows);
            self.count((first, last), lists, many);
        }
    }

    fn count(&mut self, (first, last): (i64, i64), lists: Lists, many: u64) {
        let next = self.places.len();
        let place = *self.places.entry((last.div_euclid(HOUR_NANOS), lists)).or_insert(next);
        if place == next {
            self.rows.add_row(last, lists);
        }
        self.rows.add_to(place, (first, last), many);
    }
}

/// Which list of some columns is which of others, as far as it was asked for.
struct Same {
    lists: Vec<Vec<Option<u32>>>,
}

impl Same {
    fn new(from: &Columns) -> Same {
        Same { lists: from.fields.iter().map(|column| vec![None; column.lists.len()]).collect() }
    }

    fn lists(&mut self, from: &Columns, number: usize, to: &mut Columns) -> Lists {
        std::array::from_fn(|field| {
            let list = from.fields[field].numbers[number] as usize;
            let same = &mut self.lists[field][list];
            *same.get_or_insert_with(|| to.fields[field].known(from.fields[field].lists[list].clone()))
        })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::engine::{Held, Sequence};
    use crate::fixture;

    fn columns(topic: &str, seconds: impl Iterator<Item = f64>) -> Columns {
        let mut columns = Columns::default();
        for (number, second) in seconds.enumerate() {
            let entry = Arc::new(fixture::record(topic, 0, number as i64).at(second).entry());
            columns.add(&Held { entry, sequence: Sequence(1), copies: 1 });
        }
        columns
    }

    fn counted(hours: &Hours) -> Vec<u64> {
        hours.rows().all().map(|(_, _, _, many)| many).collect()
    }

    #[test]
    fn several_segments_are_one_row_for_each_hour_and_kind() {
        let mut hours = Hours::default();
        let orders = columns("orders", (0..60).map(|minute| f64::from(minute) * 120.0));
        hours.add(&orders, i64::MIN, i64::MAX);
        let once = counted(&hours);
        assert!((2..=3).contains(&once.len()) && once.iter().sum::<u64>() == 60, "{once:?}");
        hours.add(&orders, i64::MIN, i64::MAX);
        assert_eq!(counted(&hours), once.iter().map(|many| many * 2).collect::<Vec<_>>());
        hours.add(&columns("payments", [0.0].into_iter()), i64::MIN, i64::MAX);
        let again = Hours::new(&Minutes::read(&hours.rows().write().unwrap()).unwrap());
        assert_eq!(counted(&again), counted(&hours));
        hours.add(&orders, orders.times[0], orders.times[0]);
        assert_eq!(counted(&hours).iter().sum::<u64>(), 122, "only what lies between the times is counted");
    }

    #[test]
    fn what_goes_leaves_no_value_behind_and_the_oldest_go_first() {
        let mut hours = Hours::default();
        hours.add(&columns("erika", [0.0].into_iter()), i64::MIN, i64::MAX);
        hours.add(&columns("orders", [9_000.0].into_iter()), i64::MIN, i64::MAX);
        let later = hours.rows().all().map(|(_, _, last, _)| last).max().unwrap();
        hours.prune(later);
        assert_eq!(counted(&hours), [1]);
        let bytes = format!("{:?}", hours.rows());
        assert!(bytes.contains("orders") && !bytes.contains("erika"), "{bytes}");
    }
}
