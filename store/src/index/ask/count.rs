//! How many entries a query holds for, by a facet: from the counts of minutes where they can tell, else from the columns, else by looking
//! at entries within a budget.

use std::collections::HashSet;

use super::search::Question;
use super::{Budget, bounds};
use crate::engine::{Counts, Facet, Held};
use crate::entry::Entry;
use crate::index::columns::{Columns, FIELDS, Minutes, Predicate, Verdict};
use crate::index::plan::Plan;
use crate::index::segment::{Damage, Segment};
use crate::index::view::Shared;
use crate::query::{Field, Query};
use crate::tally::Tally;
use crate::time::Timestamp;

/// How many entries, of those that are held or, `with_past`, of those that were. Says "at least" where the time or an unreadable segment
/// made it stop before the end.
pub fn count(shared: &Shared, query: &Query, by: &Facet, with_past: bool) -> Counts {
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
            let hidden = shared.erasing.in_live(&live);
            for number in 0..live.columns.len() {
                let time = live.columns.time(number).as_nanos();
                if time < first || time > last || hidden.has(number) {
                    continue;
                }
                match predicate.of(&live.columns, number) {
                    Verdict::No => {}
                    Verdict::Yes if facet.is_in_columns() => facet.add_columns(&mut tally, &live.columns, number, 1),
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
            let hidden = shared.erasing.in_segment(&shared.caches, segment)?;
            // Rows of minutes count what is hidden, too.
            let has_minutes = hidden.is_empty() && facet.is_in_columns() && is_of_minutes(query);
            if has_minutes && by_minutes(shared, segment, &question, by, &facet, &mut tally)? {
                return Ok(());
            }
            let narrowed = question.narrow(segment)?;
            if narrowed.as_ref().is_some_and(Vec::is_empty) {
                return Ok(());
            }
            let columns = segment.columns(&shared.caches)?;
            let within =
                |number: usize| (first..=last).contains(&columns.time(number).as_nanos()) && !hidden.has(number);
            let mut asked: Vec<(u32, Verdict)> = Vec::new();
            question.candidates(&columns, narrowed, within, |number, verdict| {
                if verdict == Verdict::Yes && facet.is_in_columns() {
                    facet.add_columns(&mut tally, &columns, number as usize, 1);
                } else {
                    asked.push((number, verdict));
                }
            });
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
        if let Err(damage) = shared.ask(segment, look) {
            budget.leave_out(&damage);
        }
    }
    if with_past {
        shared.past.look(|rows| by_hours(rows, &question, &facet, &mut tally));
    }
    if budget.cut().is_some() {
        tally.cut();
    }
    tally.finish()
}

/// Whether rows of minutes can tell: all that is asked for are fields that they have, and one period.
fn is_of_minutes(query: &Query) -> bool {
    fn is_of_fields(query: &Query) -> bool {
        match query {
            Query::All | Query::Kind(_) => true,
            Query::And(all) | Query::Or(all) => all.iter().all(is_of_fields),
            Query::Not(query) => is_of_fields(query),
            Query::Term { field, .. } => FIELDS.contains(field),
            Query::Time { .. } | Query::Text { .. } | Query::Flow(_) | Query::Finding(_) | Query::Waits(_) => false,
        }
    }
    match query {
        Query::Time { .. } => true,
        Query::And(all) => all.iter().all(|query| matches!(query, Query::Time { .. }) || is_of_fields(query)),
        query => is_of_fields(query),
    }
}

/// Counts a segment by its minutes; `false`, and nothing counted, where a bound or a step cuts through one.
fn by_minutes(
    shared: &Shared,
    segment: &Segment,
    question: &Question<'_>,
    by: &Facet,
    facet: &Grouping<'_>,
    tally: &mut Tally,
) -> Result<bool, Damage> {
    let minutes = segment.minutes(&shared.caches)?;
    let Some(minutes) = &*minutes else { return Ok(false) };
    let (first, last) = bounds(question.query);
    let step_nanos = by.step.and_then(|step| i64::try_from(step.as_nanos()).ok()).filter(|step| *step > 0);
    let Some(rows) = minutes.between(first, last, step_nanos) else { return Ok(false) };
    let predicate = Predicate::new(question.query, &minutes.rows, question.now);
    for (row, many) in rows {
        if predicate.of(&minutes.rows, row) == Verdict::Yes {
            facet.add_columns(tally, &minutes.rows, row, many);
        }
    }
    Ok(true)
}

/// Counts what is gone by its hours. An hour that a bound cuts through is left out, and so is all of it where the question asks for more than
/// hours tell: there may be more then.
fn by_hours(hours: &Minutes, question: &Question<'_>, facet: &Grouping<'_>, tally: &mut Tally) {
    let (first, last) = bounds(question.query);
    let can_tell = facet.is_in_columns() && is_of_minutes(question.query);
    let predicate = Predicate::new(question.query, &hours.rows, question.now);
    for (row, row_first, row_last, many) in hours.all() {
        if row_last < first || row_first > last {
            continue;
        }
        let is_within = first <= row_first && row_last <= last;
        if !can_tell || !is_within {
            tally.cut();
        } else if predicate.of(&hours.rows, row) == Verdict::Yes {
            facet.add_columns(tally, &hours.rows, row, many);
        }
    }
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

    fn add_columns(&self, tally: &mut Tally, columns: &Columns, number: usize, many: u64) {
        let time = columns.time(number);
        match self {
            Grouping::Column(column, _) => {
                columns.values(*column, number).iter().for_each(|value| tally.add_many(value, time, many));
            }
            Grouping::Nothing | Grouping::Asked(_) => tally.add_many("", time, many),
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
