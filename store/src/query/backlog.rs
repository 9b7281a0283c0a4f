//! Which records wait for some consumer group, by what the groups have committed now: what `status:waiting` is worked out to.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use super::{Field, Query, Test};
use crate::board::Board;
use crate::entry::Entry;
use crate::position::{Channel, Incarnation, Place, SourceName};

/// The stretch of each partition that some group has yet to read.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Backlog {
    stretches: HashMap<Channel, Vec<Stretch>>,
}

/// One group on one partition: the offsets from its commit to the end, as both were last seen.
#[derive(Clone, PartialEq, Debug)]
struct Stretch {
    source: SourceName,
    partition: i32,
    incarnation: Incarnation,
    offsets: Range<i64>,
}

impl Backlog {
    /// Of all groups that are watched: of each partition, what the group that is furthest behind has yet to read.
    pub fn of(board: &Board) -> Backlog {
        let mut furthest: HashMap<(SourceName, Channel, i32, Incarnation), Range<i64>> = HashMap::new();
        for group in board.groups().iter().flat_map(|groups| groups.iter()) {
            for lag in &group.partitions {
                let (Some(committed), Some(end)) = (lag.committed, lag.end) else { continue };
                if committed < end {
                    let key = (group.source.clone(), lag.topic.clone(), lag.partition, lag.incarnation);
                    let offsets = furthest.entry(key).or_insert(committed..end);
                    *offsets = offsets.start.min(committed)..offsets.end.max(end);
                }
            }
        }
        let mut stretches: HashMap<Channel, Vec<Stretch>> = HashMap::new();
        for ((source, topic, partition, incarnation), offsets) in furthest {
            stretches.entry(topic).or_default().push(Stretch { source, partition, incarnation, offsets });
        }
        for of_topic in stretches.values_mut() {
            of_topic.sort_by(|one, other| (one.partition, &one.source).cmp(&(other.partition, &other.source)));
        }
        Backlog { stretches }
    }

    /// Whether an entry is a record that some group has yet to read.
    pub fn has(&self, entry: &Entry) -> bool {
        let Some(position) = entry.as_record().map(|record| &record.position) else { return false };
        let (Place::Offset { partition, offset }, Some(of_topic)) =
            (&position.place, self.stretches.get(&position.channel))
        else {
            return false;
        };
        let first = of_topic.partition_point(|stretch| stretch.partition < *partition);
        of_topic[first..].iter().take_while(|stretch| stretch.partition == *partition).any(|stretch| {
            stretch.source == position.source
                && stretch.incarnation == position.incarnation
                && stretch.offsets.contains(offset)
        })
    }

    /// The topics in which something waits.
    pub fn topics(&self) -> impl Iterator<Item = &Channel> {
        self.stretches.keys()
    }
}

impl Query {
    /// Whether it asks for what waits, so that only [`Query::with_commits`] decides it.
    pub fn asks_of_commits(&self) -> bool {
        match self {
            Query::And(all) | Query::Or(all) => all.iter().any(Query::asks_of_commits),
            Query::Not(query) | Query::Flow(query) => query.asks_of_commits(),
            Query::Waits(_) => true,
            query => query.is_waiting(),
        }
    }

    /// The same with `status:waiting` worked out, from what groups have committed now.
    pub fn with_commits(self, board: &Board) -> Query {
        if !self.asks_of_commits() {
            return self;
        }
        self.with_backlog(&Arc::new(Backlog::of(board)))
    }

    fn with_backlog(self, backlog: &Arc<Backlog>) -> Query {
        let each = |all: Vec<Query>| all.into_iter().map(|query| query.with_backlog(backlog)).collect();
        match self {
            Query::And(all) => Query::And(each(all)),
            Query::Or(any) => Query::Or(each(any)),
            Query::Not(query) => Query::Not(Box::new(query.with_backlog(backlog))),
            Query::Flow(query) => Query::Flow(Box::new(query.with_backlog(backlog))),
            query if query.is_waiting() => Query::Waits(backlog.clone()),
            query => query,
        }
    }

    fn is_waiting(&self) -> bool {
        matches!(self, Query::Term { field: Field::Status, test: Test::Is(value) } if value.eq_ignore_ascii_case("waiting"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{at, group, record, span};

    fn board() -> Board {
        let board = Board::default();
        let billing = group("billing").reads("orders", 0, Some(5), 9).reads("orders", 1, Some(3), 3);
        let billing = billing.reads("orders", 2, None, 7).status();
        let audit = group("audit").reads("orders", 0, Some(7), 9).status();
        board.post_groups(&"main".into(), vec![audit, billing]);
        board
    }

    #[track_caller]
    fn check(query: &str, entry: Entry, expected: bool) {
        let query = Query::parse(query).unwrap().with_commits(&board());
        assert_eq!(query.matches(&entry, at(0.0)), expected, "{query} on {entry:?}");
    }

    #[test]
    fn a_record_waits_from_the_commit_of_the_slowest_group_to_the_end() {
        for (offset, waits) in [(4, false), (5, true), (8, true), (9, false)] {
            check("status:waiting", record("orders", 0, offset).entry(), waits);
            check("-status:waiting", record("orders", 0, offset).entry(), !waits);
        }
        check("topic:orders (status:Waiting OR status:dead)", record("orders", 0, 6).entry(), true);
    }

    #[test]
    fn nothing_waits_where_nobody_is_behind_or_nobody_committed() {
        check("status:waiting", record("orders", 1, 2).entry(), false);
        check("status:waiting", record("orders", 2, 2).entry(), false);
        check("status:waiting", record("payments", 0, 6).entry(), false);
        check("status:waiting", span("billing", "process orders").consumed("orders", 0, 6).entry(), false);
    }

    #[test]
    fn a_commit_says_nothing_of_another_source_or_an_earlier_life_of_the_topic() {
        check("status:waiting", record("orders", 0, 6).source("other").entry(), false);
        check("status:waiting", record("orders", 0, 6).incarnation(1).entry(), false);
    }

    #[test]
    fn what_was_worked_out_is_still_printed_as_it_was_asked() {
        let query = Query::parse("flow:(status:waiting) topic:orders").unwrap();
        assert!(query.asks_of_commits());
        assert_eq!(query.clone().with_commits(&board()).to_string(), query.to_string());
    }
}
