//! Adds up counts by a facet, entry by entry. Both engines count with it, so that they can only differ in what they add.

use std::collections::{BTreeMap, HashMap};

use crate::engine::{CountRow, Counts, Facet};
use crate::time::Timestamp;

/// How many distinct values are told apart when a facet names no limit of its own: more rows than this nobody reads.
pub const VALUES_MAX: usize = 1_000;

/// How many distinct values are added up before further ones are left out: bounds memory when somebody counts by an id.
const VALUES_HELD_MAX: usize = 100_000;

/// How many steps one value may have: a week of minutes, and a bound on memory when steps are short.
const STEPS_MAX: usize = 20_000;

/// Counts that are being added up.
#[derive(Debug)]
pub struct Tally {
    step_nanos: Option<i64>,
    values_max: usize,
    rows: HashMap<String, Row>,
    at_least: bool,
}

#[derive(Debug)]
struct Row {
    count: u64,
    last: Timestamp,
    steps: BTreeMap<i64, u64>,
}

impl Tally {
    /// Nothing added yet. A facet whose `values_max` is 0 gets [`VALUES_MAX`]; a step of no length counts as none.
    pub fn new(by: &Facet) -> Tally {
        let step_nanos =
            by.step.map(|step| i64::try_from(step.as_nanos()).unwrap_or(i64::MAX)).filter(|step| *step > 0);
        let values_max = if by.values_max == 0 { VALUES_MAX } else { by.values_max };
        Tally { step_nanos, values_max, rows: HashMap::new(), at_least: false }
    }

    /// Adds one entry under one value (empty where the facet has no field).
    pub fn add(&mut self, value: &str, time: Timestamp) {
        self.add_many(value, time, 1);
    }

    /// Adds several entries of about one time under one value.
    pub fn add_many(&mut self, value: &str, time: Timestamp, many: u64) {
        if !self.rows.contains_key(value) {
            if self.rows.len() >= VALUES_HELD_MAX {
                self.at_least = true;
                return;
            }
            self.rows.insert(value.to_owned(), Row { count: 0, last: time, steps: BTreeMap::new() });
        }
        let Some(row) = self.rows.get_mut(value) else { return };
        row.count += many;
        row.last = row.last.max(time);
        if let Some(step) = self.step_nanos {
            let begin = time.as_nanos().div_euclid(step).saturating_mul(step);
            if row.steps.len() < STEPS_MAX || row.steps.contains_key(&begin) {
                *row.steps.entry(begin).or_default() += many;
            } else {
                self.at_least = true;
            }
        }
    }

    /// Says that not everything could be looked at.
    pub fn cut(&mut self) {
        self.at_least = true;
    }

    /// The rows, most entries first, equal ones by value; at most as many as the facet allows.
    pub fn finish(self) -> Counts {
        let mut rows: Vec<CountRow> = self
            .rows
            .into_iter()
            .map(|(value, row)| CountRow {
                value,
                count: row.count,
                last: row.last,
                steps: row.steps.into_iter().map(|(begin, count)| (Timestamp::from_nanos(begin), count)).collect(),
            })
            .collect();
        rows.sort_by(|a, b| b.count.cmp(&a.count).then_with(|| a.value.cmp(&b.value)));
        let at_least = self.at_least || rows.len() > self.values_max;
        rows.truncate(self.values_max);
        Counts { rows, at_least }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn counts_come_by_value_and_step_with_the_most_first() {
        let by = Facet { field: None, step: Some(Duration::from_secs(60)), values_max: 2 };
        let mut tally = Tally::new(&by);
        for (value, second) in [("a", 0), ("b", 59), ("b", 61), ("c", -1), ("b", 62)] {
            tally.add(value, Timestamp::from_millis(second * 1_000));
        }
        let counts = tally.finish();
        assert!(counts.at_least, "a value was left out");
        assert_eq!(
            counts.rows.iter().map(|row| (row.value.as_str(), row.count)).collect::<Vec<_>>(),
            [("b", 3), ("a", 1)]
        );
        let minute = Timestamp::from_millis(60_000);
        assert_eq!(counts.rows[0].steps, [(Timestamp::default(), 1), (minute, 2)]);
        assert_eq!(counts.rows[0].last, Timestamp::from_millis(62_000));
    }
}
