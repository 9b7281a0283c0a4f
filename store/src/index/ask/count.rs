//! How many entries a query holds for, by a facet: from the columns where they can tell, else by looking at entries within a budget.

use std::collections::HashSet;

use super::search::Question;
use super::{Budget, bounds};
use crate::engine::{Counts, Facet, Held};
use crate::entry::Entry;
use crate::index::columns::{Columns, FIELDS, Predicate, Verdict};
use crate::index::plan::Plan;
use crate::index::view::Shared;
use crate::query::{Field, Query};
use crate::tally::Tally;
use crate::time::Timestamp;

/// How many entries. Says "at least" where the time or an unreadable segment made it stop before the end.
pub fn count(shared: &Shared, query: &Query, by: &Facet) -> Counts {
    let mut tally = Tally::new(by);
    let mut budget = Budget::new();
    let (first, last) = bounds(query);
    let question = Question { query, plan: Plan::new(query), now: Timestamp::now() };
    let facet = Grouping::new(by.field.as_ref());
    let view = shared.look();
    for live in view.frozen.iter().map(|frozen| &frozen.live).chain([&view.active]) {
        let mut asked: Vec<(Held, Verdict)> = Vec::new();
        {
            let live = live.read();
            let predicate = Predicate::new(query, &live.columns, question.now);
            for number in 0..live.columns.len() {
                let time = live.columns.time(number).as_nanos();
                if time < first || time > last {
                    continue;
                }
                match predicate.of(&live.columns, number) {
                    Verdict::No => {}
                    Verdict::Yes if facet.is_in_columns() => facet.add_columns(&mut tally, &live.columns, number),
                    verdict => asked.push((live.entries()[number].held.clone(), verdict)),
                }
            }
        }
        for (held, verdict) in asked {
            if !budget.allows() {
                break;
            }
            if verdict == Verdict::Yes || query.matches(&held.entry, question.now) {
                facet.add_entry(&mut tally, &held.entry);
            }
        }
    }
    for segment in view.segments.iter().rev() {
        let times = segment.manifest.times;
        if budget.is_spent {
            break;
        }
        if times.1 < first || times.0 > last {
            continue;
        }
        let look = || {
            let columns = segment.columns(&shared.caches)?;
            let within = |number: usize| (first..=last).contains(&columns.time(number).as_nanos());
            let mut asked: Vec<(u32, Verdict)> = Vec::new();
            question.candidates(segment, &columns, within, |number, verdict| {
                if verdict == Verdict::Yes && facet.is_in_columns() {
                    facet.add_columns(&mut tally, &columns, number as usize);
                } else {
                    asked.push((number, verdict));
                }
            })?;
            for (number, verdict) in asked {
                if !budget.allows() {
                    break;
                }
                let held = segment.get(&shared.caches, number)?;
                if verdict == Verdict::Yes || query.matches(&held.entry, question.now) {
                    facet.add_entry(&mut tally, &held.entry);
                }
            }
            Ok(())
        };
        if shared.ask(segment, look).is_err() {
            budget.damaged += 1;
        }
    }
    if budget.cut().is_some() {
        tally.cut();
    }
    tally.finish()
}

/// What is counted by.
enum Grouping<'a> {
    /// One row of all.
    Nothing,
    /// A field with a column.
    Column(usize, &'a Field),
    /// A field that the entries must be asked for.
    Asked(&'a Field),
}

impl<'a> Grouping<'a> {
    fn new(field: Option<&'a Field>) -> Grouping<'a> {
        let Some(field) = field else { return Grouping::Nothing };
        match FIELDS.iter().position(|known| known == field) {
            Some(column) => Grouping::Column(column, field),
            None => Grouping::Asked(field),
        }
    }

    fn is_in_columns(&self) -> bool {
        !matches!(self, Grouping::Asked(_))
    }

    fn add_columns(&self, tally: &mut Tally, columns: &Columns, number: usize) {
        let time = columns.time(number);
        match self {
            Grouping::Column(column, _) => {
                columns.values(*column, number).iter().for_each(|value| tally.add(value, time));
            }
            Grouping::Nothing | Grouping::Asked(_) => tally.add("", time),
        }
    }

    fn add_entry(&self, tally: &mut Tally, entry: &Entry) {
        match self {
            Grouping::Nothing => tally.add("", entry.time()),
            Grouping::Column(_, field) | Grouping::Asked(field) => {
                let values: HashSet<_> = field.values(entry).into_iter().collect();
                values.iter().for_each(|value| tally.add(value, entry.time()));
            }
        }
    }
}
