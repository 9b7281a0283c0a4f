//! What happened to a group between two looks: members came or went, partitions changed hands, commits were moved by other means than
//! reading.
//!
//! A commit that moves on while nobody is there was set by somebody, by Kafka's own tool for instance; or by a member that came, read,
//! committed and left between two looks, which can't be told apart. Groups whose members never join (they assign partitions to
//! themselves, and only commit) are left out of this.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use store::Channel;
use store::groups::{GroupStatus, Member};
use store::lag_series::{Change, Move};

/// What happened between two looks at a group; `is_simple` where its members never join.
pub fn happened(before: &GroupStatus, after: &GroupStatus, is_simple: bool) -> Vec<Change> {
    let mut changes: Vec<Change> = members(before, after).into_iter().collect();
    let is_deserted =
        |status: &GroupStatus| status.members.as_ref().is_some_and(|members| members.is_empty()) && !is_simple;
    let is_unattended = is_deserted(before) && is_deserted(after);
    let was: HashMap<(&Channel, i32), i64> = before
        .partitions
        .iter()
        .filter_map(|partition| Some(((&partition.topic, partition.partition), partition.committed?)))
        .collect();
    let mut resets: BTreeMap<Channel, Vec<Move>> = BTreeMap::new();
    for partition in &after.partitions {
        let from = was.get(&(&partition.topic, partition.partition)).copied();
        let (Some(from), Some(to)) = (from, partition.committed) else { continue };
        if to < from || (to > from && is_unattended) {
            let moved = Move { partition: partition.partition, from, to };
            resets.entry(partition.topic.clone()).or_default().push(moved);
        }
    }
    changes.extend(resets.into_iter().map(|(topic, moves)| Change::Reset { topic, moves }));
    changes
}

fn members(before: &GroupStatus, after: &GroupStatus) -> Option<Change> {
    let (were, are) = (before.members.as_ref()?, after.members.as_ref()?);
    let ids = |members: &'_ [Member]| members.iter().map(|member| member.id.clone()).collect::<BTreeSet<String>>();
    let (were_ids, are_ids) = (ids(were), ids(are));
    let count = |many: usize| u32::try_from(many).unwrap_or(u32::MAX);
    let (joined, left) = (are_ids.difference(&were_ids).count(), were_ids.difference(&are_ids).count());
    if joined + left > 0 {
        return Some(Change::Members { joined: count(joined), left: count(left) });
    }
    let owned: HashMap<(&Channel, i32), &str> = owners(before, were).collect();
    let changed = owners(after, are).filter(|(key, owner)| owned.get(key).is_some_and(|was| was != owner)).count();
    (changed > 0).then(|| Change::Reassigned { partitions: count(changed) })
}

fn owners<'a>(status: &'a GroupStatus, members: &'a [Member]) -> impl Iterator<Item = ((&'a Channel, i32), &'a str)> {
    status.partitions.iter().filter_map(|partition| {
        let owner = members.get(partition.owner?)?;
        Some(((&partition.topic, partition.partition), owner.id.as_str()))
    })
}

#[cfg(test)]
mod tests {
    use store::Timestamp;
    use store::groups::{LagState, PartitionLag, TimeLag};
    use store::position::Incarnation;

    use super::*;

    /// A group with these members, and of partitions 0, 1, ... `(committed, owner)`.
    fn group(members: &[&str], partitions: &[(i64, Option<usize>)]) -> GroupStatus {
        let member = |id: &&str| Member { id: (*id).to_owned(), client_id: "c".to_owned(), host: String::new() };
        let partition = |(number, (committed, owner)): (i32, &(i64, Option<usize>))| PartitionLag {
            topic: "orders".into(),
            partition: number,
            incarnation: Incarnation::default(),
            committed: Some(*committed),
            end: Some(100),
            lag: Some(0),
            time: TimeLag::Nothing,
            state: LagState::KeepingUp,
            owner: *owner,
        };
        GroupStatus {
            source: "main".into(),
            group: "billing".to_owned(),
            state: LagState::KeepingUp,
            broker_state: None,
            protocol: None,
            assignor: None,
            members: Some(members.iter().map(member).collect()),
            partitions: (0..).zip(partitions).map(partition).collect(),
            trend: None,
            unseen: None,
            at: Timestamp::default(),
        }
    }

    fn reset(moves: &[(i32, i64, i64)]) -> Change {
        let moves = moves.iter().map(|(partition, from, to)| Move { partition: *partition, from: *from, to: *to });
        Change::Reset { topic: "orders".into(), moves: moves.collect() }
    }

    #[test]
    fn members_that_come_and_go_and_partitions_that_change_hands_are_told() {
        let two = group(&["a", "b"], &[(1, Some(0)), (1, Some(1))]);
        assert_eq!(happened(&two, &two, false), []);
        let one = group(&["a"], &[(5, Some(0)), (5, Some(0))]);
        assert_eq!(happened(&two, &one, false), [Change::Members { joined: 0, left: 1 }]);
        let other = group(&["a", "c"], &[(5, Some(0)), (5, Some(1))]);
        assert_eq!(happened(&two, &other, false), [Change::Members { joined: 1, left: 1 }]);
        let swapped = group(&["a", "b"], &[(5, Some(1)), (5, Some(0))]);
        assert_eq!(happened(&two, &swapped, false), [Change::Reassigned { partitions: 2 }]);
    }

    #[test]
    fn a_commit_that_goes_back_or_moves_while_nobody_is_there_is_a_reset() {
        let read = |members: &[&str], commits: [i64; 2]| group(members, &commits.map(|commit| (commit, None)));
        assert_eq!(happened(&read(&["a"], [5, 5]), &read(&["a"], [9, 2]), false), [reset(&[(1, 5, 2)])]);
        assert_eq!(happened(&read(&[], [5, 5]), &read(&[], [9, 5]), false), [reset(&[(0, 5, 9)])]);
        assert_eq!(happened(&read(&[], [5, 5]), &read(&[], [9, 5]), true), [], "its members never join");
        let mut untold = (read(&[], [5, 5]), read(&[], [9, 5]));
        (untold.0.members, untold.1.members) = (None, None);
        assert_eq!(happened(&untold.0, &untold.1, false), [], "whether anybody is there isn't known");
        // The last member committed and left: it read.
        assert_eq!(
            happened(&read(&["a"], [5, 5]), &read(&[], [9, 9]), false),
            [Change::Members { joined: 0, left: 1 }]
        );
    }
}
