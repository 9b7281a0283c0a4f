//! Who reads a partition: consumer groups as they stand now, found by topic, without a look at all of them.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::{GroupStatus, PartitionLag};
use crate::position::Channel;

/// The groups of one source, as they were last looked at.
#[derive(Debug, Default)]
pub struct Readers {
    groups: Arc<Vec<GroupStatus>>,
    /// For each topic the groups that committed or own something there, each with its partitions: places in [`Readers::groups`].
    by_topic: HashMap<Channel, BTreeMap<usize, HashMap<i32, usize>>>,
}

/// A group that reads a topic, on one partition of it.
#[derive(Clone, Copy, Debug)]
pub struct Reader<'a> {
    /// The group.
    pub group: &'a GroupStatus,
    /// How it stands on the partition; `None` where it has neither committed nor a member there.
    pub partition: Option<&'a PartitionLag>,
}

impl Readers {
    /// Of the groups of one source.
    pub fn new(groups: Vec<GroupStatus>) -> Readers {
        let mut by_topic: HashMap<Channel, BTreeMap<usize, HashMap<i32, usize>>> = HashMap::new();
        for (number, group) in groups.iter().enumerate() {
            for (place, lag) in group.partitions.iter().enumerate() {
                let of_topic = by_topic.entry(lag.topic.clone()).or_default();
                of_topic.entry(number).or_default().insert(lag.partition, place);
            }
        }
        Readers { groups: Arc::new(groups), by_topic }
    }

    /// All groups.
    pub fn groups(&self) -> &Arc<Vec<GroupStatus>> {
        &self.groups
    }

    /// The groups that read a topic, by name, as they stand on one partition of it.
    pub fn of(&self, topic: &Channel, partition: i32) -> impl Iterator<Item = Reader<'_>> {
        self.by_topic.get(topic).into_iter().flatten().filter_map(move |(number, partitions)| {
            let group = self.groups.get(*number)?;
            let place = partitions.get(&partition);
            Some(Reader { group, partition: place.and_then(|place| group.partitions.get(*place)) })
        })
    }

    /// The only group that reads a topic with a member of that client id; `None` where several do, for then the id tells nothing.
    pub fn by_client(&self, topic: &Channel, client_id: &str) -> Option<&GroupStatus> {
        let mut named = self.by_topic.get(topic)?.keys().filter_map(|number| {
            let group = self.groups.get(*number)?;
            let members = group.members.as_deref().unwrap_or_default();
            members.iter().any(|member| member.client_id == client_id).then_some(group)
        });
        let only = named.next()?;
        named.next().is_none().then_some(only)
    }
}
