//! How one group stands, put together from what a round asked.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use rdkafka::error::RDKafkaErrorCode;
use store::Timestamp;
use store::groups::{GroupStatus, LagState, Member, PartitionLag, TimeLag};
use store::position::Incarnation;

use super::asking::Listing;
use super::verdict::{self, Look};
use super::{POLL_EVERY, Poller};
use crate::source::kafka::admin::{Committed, Described, TopicPartition};
use crate::source::kafka::tail::AllBounds;

/// For how long what was last seen of a group stands, where the broker doesn't answer: three rounds, each with its time on it.
const STANDS_FOR: Duration = POLL_EVERY.saturating_mul(3);

const MISSING: &str = "the broker lists no group of this name: nobody has used it yet";
const UNLISTED: &str = "the broker does not let us list groups, and of this one no commit can be seen: nobody has used the name yet, \
                        or it is a share group, which is not visible through this client";
const OTHER_KIND: &str = "not visible through this client: the broker lists a group of this name, but of a kind that keeps no commits \
                          for others to see, such as a share group";
const NOT_ALLOWED: &str = "the broker does not let us see what this group committed: grant DESCRIBE on the group, and DESCRIBE or READ on its topics";
const NOT_ANSWERED: &str =
    "the broker did not tell in time what this group committed; it is asked again every 10 seconds";

/// What a round found out about a group.
pub struct GroupLook<'a> {
    pub name: &'a str,
    pub listing: &'a Listing,
    pub committed: Option<&'a Result<Committed, RDKafkaErrorCode>>,
    pub described: Option<Described>,
    /// The partitions that it reads.
    pub keys: BTreeSet<TopicPartition>,
    pub is_mock: bool,
}

impl Poller {
    /// How a group stands. Where the broker didn't answer, as it did before, for a while.
    pub(super) fn status(
        &mut self,
        look: GroupLook<'_>,
        bounds: &AllBounds,
        before: Option<&GroupStatus>,
        at: Timestamp,
    ) -> GroupStatus {
        let unseen = unseen(&look);
        let stands = before.filter(|before| before.at.plus(STANDS_FOR) > at && before.unseen.is_none());
        if let (Some(NOT_ANSWERED), Some(before)) = (unseen, stands) {
            return before.clone();
        }
        let committed = look.committed.and_then(|answer| answer.as_ref().ok());
        let listed = match look.listing {
            Listing::Consumer { state, protocol, .. } => (*state, *protocol),
            Listing::OtherKind | Listing::Missing | Listing::Unlisted => (None, None),
        };
        let is_deserted = matches!(listed.0, Some("Empty" | "Dead"));
        let members: Option<Vec<Member>> = match &look.described {
            _ if is_deserted => Some(Vec::new()),
            described => described.as_ref().map(members),
        };
        let mut owners: HashMap<&TopicPartition, usize> = HashMap::new();
        for (number, member) in look.described.iter().flat_map(|described| described.members.iter().enumerate()) {
            owners.extend(member.owns.iter().map(|owned| (owned, number)));
        }
        let mut partitions = Vec::new();
        if unseen.is_none() {
            for key in &look.keys {
                let owner = owners.get(key).copied();
                partitions.push(self.partition(look.name, key, committed, bounds, (owner, members.is_some()), at));
            }
        }
        let mut status = GroupStatus {
            source: self.watch.source.clone(),
            group: look.name.to_owned(),
            state: if unseen.is_some() { LagState::Unseen } else { worst(&partitions, bounds) },
            broker_state: listed.0.or(look.described.as_ref().and_then(|told| told.state)).map(str::to_owned),
            protocol: listed.1.or(look.described.as_ref().and_then(|told| told.protocol)).map(str::to_owned),
            assignor: look.described.map(|told| told.assignor).filter(|assignor| !assignor.is_empty()),
            members: members.filter(|_| unseen.is_none()),
            partitions,
            trend: None,
            unseen: unseen.map(str::to_owned),
            at,
        };
        status.trend = self.trend(&status);
        status
    }

    fn partition(
        &mut self,
        group: &str,
        key: &TopicPartition,
        committed: Option<&Committed>,
        bounds: &AllBounds,
        (owner, is_told): (Option<usize>, bool),
        at: Timestamp,
    ) -> PartitionLag {
        let bounds = bounds.get(key);
        let look = Look {
            at,
            committed: committed.and_then(|all| all.get(key).copied()),
            begin: bounds.map(|bounds| bounds.begin),
            end: bounds.map(|bounds| bounds.end),
            is_owned: is_told.then_some(owner.is_some()),
        };
        PartitionLag {
            topic: key.0.as_str().into(),
            partition: key.1,
            incarnation: Incarnation::default(),
            committed: look.committed,
            end: look.end,
            lag: look.lag(),
            time: TimeLag::Unknown("nothing is committed"),
            state: self.windows.entry((group.to_owned(), key.clone())).or_default().see(look),
            owner,
        }
    }

    /// How the sum of a group's lags changed over the latest rounds, in records a second.
    fn trend(&mut self, status: &GroupStatus) -> Option<f64> {
        let lag = status.lag()?;
        let sums = self.sums.entry(status.group.clone()).or_default();
        verdict::keep(sums, (status.at, lag));
        let ((first_at, first), (last_at, last)) = (*sums.front()?, *sums.back()?);
        let seconds = last_at.nanos_since(first_at) as f64 / 1e9;
        (seconds > 0.0).then(|| (last as f64 - first as f64) / seconds)
    }
}

/// Why nothing can be told of a group, where nothing can.
fn unseen(look: &GroupLook<'_>) -> Option<&'static str> {
    let is_empty = look.keys.is_empty();
    match (look.listing, look.committed) {
        (Listing::OtherKind, Some(Ok(_))) if !is_empty => None,
        (Listing::OtherKind, _) => Some(OTHER_KIND),
        (_, Some(Err(RDKafkaErrorCode::GroupAuthorizationFailed | RDKafkaErrorCode::TopicAuthorizationFailed))) => {
            Some(NOT_ALLOWED)
        }
        (_, None | Some(Err(_))) => Some(NOT_ANSWERED),
        (Listing::Missing, Some(Ok(_))) if is_empty => Some(MISSING),
        (Listing::Unlisted, Some(Ok(_))) if is_empty => Some(if look.is_mock { MISSING } else { UNLISTED }),
        (Listing::Consumer { .. } | Listing::Missing | Listing::Unlisted, Some(Ok(_))) => None,
    }
}

/// A group stands as its worst partition does. That nothing is committed where nothing is there to be read makes nobody worse.
fn worst(partitions: &[PartitionLag], bounds: &AllBounds) -> LagState {
    let counts = |partition: &&PartitionLag| {
        let bounds = bounds.get(&(partition.topic.as_str().to_owned(), partition.partition));
        partition.state != LagState::NoCommit || bounds.is_none_or(|bounds| bounds.begin < bounds.end)
    };
    let worst = partitions.iter().filter(counts).map(|partition| partition.state).max();
    worst.unwrap_or(LagState::NoCommit)
}

fn members(described: &Described) -> Vec<Member> {
    let member = |(id, client_id, host): (&String, &String, &String)| Member {
        id: id.clone(),
        client_id: client_id.clone(),
        host: host.clone(),
    };
    described.members.iter().map(|told| member((&told.id, &told.client_id, &told.host))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(listing: Listing, committed: Option<Result<&[i64], RDKafkaErrorCode>>) -> Option<&'static str> {
        let committed = committed.map(|answer| {
            answer.map(|offsets| (0..).zip(offsets).map(|(number, at)| (("orders".to_owned(), number), *at)).collect())
        });
        let keys = committed.iter().flatten().flat_map(|all: &Committed| all.keys().cloned()).collect();
        let look = GroupLook {
            name: "billing",
            listing: &listing,
            committed: committed.as_ref(),
            described: None,
            keys,
            is_mock: false,
        };
        unseen(&look)
    }

    #[test]
    fn a_share_group_one_that_is_not_there_and_one_that_we_may_not_see_are_told_apart() {
        let listed = || Listing::Consumer { state: Some("Stable"), protocol: Some("classic"), is_simple: false };
        assert_eq!(check(Listing::OtherKind, Some(Ok(&[]))), Some(OTHER_KIND));
        assert_eq!(check(Listing::OtherKind, Some(Err(RDKafkaErrorCode::Unknown))), Some(OTHER_KIND));
        assert_eq!(check(Listing::OtherKind, Some(Ok(&[4]))), None, "a streams group keeps commits as others do");
        assert_eq!(check(Listing::Missing, Some(Ok(&[]))), Some(MISSING));
        assert_eq!(check(Listing::Unlisted, Some(Ok(&[]))), Some(UNLISTED));
        assert_eq!(check(Listing::Unlisted, Some(Ok(&[4]))), None);
        assert_eq!(check(listed(), Some(Err(RDKafkaErrorCode::GroupAuthorizationFailed))), Some(NOT_ALLOWED));
        assert_eq!(check(listed(), None), Some(NOT_ANSWERED));
        assert_eq!(check(listed(), Some(Ok(&[]))), None, "its members may own partitions without a commit");
    }

    #[test]
    fn a_group_stands_as_its_worst_partition_and_an_empty_one_without_a_commit_counts_for_nothing() {
        use crate::source::kafka::place::Bounds;
        let partition = |number: i32, state: LagState| PartitionLag {
            topic: "orders".into(),
            partition: number,
            incarnation: Incarnation::default(),
            committed: None,
            end: None,
            lag: None,
            time: TimeLag::Nothing,
            state,
            owner: None,
        };
        let ends = [(0, 5), (1, 0), (2, 5)];
        let bounds: AllBounds =
            ends.map(|(number, end)| (("orders".to_owned(), number), Bounds { begin: 0, end })).into_iter().collect();
        let check = |states: &[LagState]| {
            let partitions: Vec<_> = (0..).zip(states).map(|(number, state)| partition(number, *state)).collect();
            worst(&partitions, &bounds)
        };
        assert_eq!(check(&[LagState::KeepingUp, LagState::NoCommit]), LagState::KeepingUp);
        assert_eq!(check(&[LagState::KeepingUp, LagState::NoCommit, LagState::NoCommit]), LagState::NoCommit);
        assert_eq!(check(&[LagState::KeepingUp, LagState::NoCommit, LagState::Stalled]), LagState::Stalled);
        assert_eq!(check(&[]), LagState::NoCommit);
    }
}
