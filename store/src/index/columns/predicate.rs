//! A query, as far as columns can answer it: yes, no, or "look at the entry".

use super::{Columns, FIELDS, NO_DURATION};
use crate::query::{Field, Query, Test};
use crate::time::Timestamp;

/// What columns say of an entry.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Verdict {
    /// The query doesn't hold for it.
    No,
    /// They can't say: the entry itself must be asked.
    Maybe,
    /// The query holds for it.
    Yes,
}

/// A query made ready for some columns.
#[derive(Debug)]
pub enum Predicate {
    /// The same for every entry.
    Always(Verdict),
    /// From the first time, before the second.
    Time(i64, i64),
    /// By the entry's list of values in this column.
    Column(usize, Vec<bool>),
    /// By the span's duration.
    Duration(Test),
    /// By how long before this time, between these numbers of nanoseconds.
    Age(i64, Option<f64>, Option<f64>),
    /// The least of these.
    All(Vec<Predicate>),
    /// The greatest of these.
    Any(Vec<Predicate>),
    /// The opposite.
    Not(Box<Predicate>),
}

impl Predicate {
    /// Makes a query ready for these columns. `now` is what ages are counted from.
    pub fn new(query: &Query, columns: &Columns, now: Timestamp) -> Predicate {
        match query {
            Query::All => Predicate::Always(Verdict::Yes),
            Query::And(all) => Predicate::All(all.iter().map(|query| Predicate::new(query, columns, now)).collect()),
            Query::Or(any) => Predicate::Any(any.iter().map(|query| Predicate::new(query, columns, now)).collect()),
            Query::Not(query) => Predicate::Not(Box::new(Predicate::new(query, columns, now))),
            Query::Kind(kind) => column(&Field::Kind, &Test::Is(kind.as_str().to_owned()), columns),
            Query::Time { from, to } => {
                let nanos = |at: Option<Timestamp>| at.map(Timestamp::as_nanos);
                match nanos(*to) {
                    Some(to) => Predicate::Time(nanos(*from).unwrap_or(i64::MIN), to),
                    // Without an end, the very last nanosecond belongs to it too.
                    None => Predicate::Any(vec![
                        Predicate::Time(nanos(*from).unwrap_or(i64::MIN), i64::MAX),
                        Predicate::Not(Box::new(Predicate::Time(i64::MIN, i64::MAX))),
                    ]),
                }
            }
            Query::Term { field: Field::Duration, test } => {
                Predicate::Duration(test.folded(&Field::Duration).into_owned())
            }
            Query::Term { field: Field::Age, test } => match test {
                Test::Between(from, to) => Predicate::Age(now.as_nanos(), *from, *to),
                Test::Present => Predicate::Always(Verdict::Yes),
                Test::Is(_) | Test::Begins(_) => Predicate::Always(Verdict::No),
            },
            Query::Term { field, test } => column(field, test, columns),
            Query::Text { words, .. } if words.is_empty() => Predicate::Always(Verdict::Yes),
            Query::Text { .. } | Query::Flow(_) | Query::Finding(_) | Query::Waits(_) => {
                Predicate::Always(Verdict::Maybe)
            }
        }
    }

    /// What it says of an entry, by its number.
    pub fn of(&self, columns: &Columns, number: usize) -> Verdict {
        match self {
            Predicate::Always(verdict) => *verdict,
            Predicate::Time(from, to) => {
                let time = columns.times[number];
                known(*from <= time && time < *to)
            }
            Predicate::Column(column, holds) => known(holds[columns.fields[*column].numbers[number] as usize]),
            Predicate::Duration(test) => match columns.durations[number] {
                NO_DURATION => Verdict::No,
                duration => known(test.takes(&duration.to_string())),
            },
            Predicate::Age(now, from, to) => {
                let age = now.saturating_sub(columns.times[number]) as f64;
                known(from.is_none_or(|from| age >= from) && to.is_none_or(|to| age <= to))
            }
            Predicate::All(all) => {
                let mut least = Verdict::Yes;
                for predicate in all {
                    least = least.min(predicate.of(columns, number));
                    if least == Verdict::No {
                        break;
                    }
                }
                least
            }
            Predicate::Any(any) => {
                let mut greatest = Verdict::No;
                for predicate in any {
                    greatest = greatest.max(predicate.of(columns, number));
                    if greatest == Verdict::Yes {
                        break;
                    }
                }
                greatest
            }
            Predicate::Not(predicate) => match predicate.of(columns, number) {
                Verdict::No => Verdict::Yes,
                Verdict::Maybe => Verdict::Maybe,
                Verdict::Yes => Verdict::No,
            },
        }
    }
}

fn known(holds: bool) -> Verdict {
    if holds { Verdict::Yes } else { Verdict::No }
}

fn column(field: &Field, test: &Test, columns: &Columns) -> Predicate {
    let Some(place) = FIELDS.iter().position(|known| known == field) else {
        return Predicate::Always(Verdict::Maybe);
    };
    let test = test.folded(field);
    let lists = &columns.fields[place].lists;
    Predicate::Column(place, lists.iter().map(|values| values.iter().any(|value| test.takes(value))).collect())
}
