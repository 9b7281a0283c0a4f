//! What we know of a topic and its partitions.
//!
//! A topic can be deleted and made again between two looks at it. librdkafka doesn't notice: it reads the new life's records at the
//! places where the old one's were expected, and they are kept as the old one's. When the next survey finds out, the new life is read
//! from its beginning, and those few would be kept once more; so what was read since the last look is remembered, and known again.

use std::collections::{BTreeMap, VecDeque};
use std::time::Instant;

use rdkafka::message::{BorrowedMessage, Message};
use store::checkpoint::Reached;
use store::position::Incarnation;
use store::{Channel, Timestamp};

use super::undecided::Undecided;
use crate::source::kafka::admin::TopicId;
use crate::source::kafka::message;
use crate::source::kafka::place::Bounds;
use crate::source::raw::{Raw, checksum};

/// How many records of a partition are remembered between two looks at its topic: some seconds of reading at full speed, 2 MiB.
/// Of a topic that was made again meanwhile, those beyond it are kept under both of its lives: rather twice than not.
const DOUBTFUL_MAX: usize = 65_536;

/// One topic that is watched.
pub(super) struct Topic {
    pub channel: Channel,
    /// The broker's id of it, where it tells one: a topic that was made again has another.
    pub id: Option<TopicId>,
    pub incarnation: Incarnation,
    pub partitions: BTreeMap<i32, Partition>,
    /// The broker told the same id at the last look as at the one before.
    pub is_same: bool,
    /// The topic was found to be another one than before.
    pub reborn: bool,
}

/// One partition that is watched.
pub(super) struct Partition {
    pub reached: Reached,
    pub state: State,
    /// Whether librdkafka reads it for us.
    pub assigned: bool,
    pub bounds: Option<Bounds>,
    pub short_since: Option<Instant>,
    /// True when we read on since the last batch.
    pub touched: bool,
    /// True when records came since the last survey.
    pub moved: bool,
    /// True when records of this life came since we began.
    pub was_read: bool,
    /// What became of its records, where a second reader sees all of them.
    pub undecided: Option<Undecided<Raw>>,
    /// What was read since the topic was last known to be the same.
    doubtful: VecDeque<Seen>,
    /// What was doubtful when the topic turned out to be another one: perhaps already of this life.
    kept_before: VecDeque<Seen>,
}

/// What we do with a partition.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    /// Nothing is known of where to begin; true where `from` of the configuration says it.
    New { by_config: bool },
    /// It is to be read on from our place.
    Waiting,
    /// It is read; the record before our place comes first, to be known again.
    Checking,
    /// It is read.
    Reading,
}

/// By what a record is known again.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Seen {
    pub offset: i64,
    timestamp: Option<Timestamp>,
    checksum: u32,
}

impl Seen {
    pub fn of(message: &BorrowedMessage<'_>) -> Seen {
        let (timestamp, _) = message::timestamp(message);
        Seen { offset: message.offset(), timestamp, checksum: checksum(message.key(), message.payload()) }
    }
}

impl Topic {
    pub fn new(channel: Channel) -> Topic {
        Topic {
            channel,
            id: None,
            incarnation: Incarnation::default(),
            partitions: BTreeMap::new(),
            is_same: false,
            reborn: false,
        }
    }

    /// Takes the id that the broker tells now.
    pub fn identify(&mut self, id: TopicId) {
        self.is_same = self.id == Some(id);
        if self.id.is_some_and(|before| before != id) {
            self.reborn = true;
        } else {
            self.partitions.values_mut().for_each(|partition| partition.doubtful.clear());
        }
        self.id = Some(id);
    }

    /// The broker doesn't tell ids any more.
    pub fn forget_id(&mut self) {
        self.id = None;
        self.is_same = false;
        self.partitions.values_mut().for_each(|partition| partition.doubtful.clear());
    }
}

impl Partition {
    pub fn new(reached: Reached, state: State) -> Partition {
        Partition {
            reached,
            state,
            assigned: false,
            bounds: None,
            short_since: None,
            touched: false,
            moved: false,
            was_read: false,
            undecided: None,
            doubtful: VecDeque::new(),
            kept_before: VecDeque::new(),
        }
    }

    /// It is to be let go, and then read on from our place.
    pub fn leave(&mut self) {
        if !matches!(self.state, State::New { .. }) {
            self.state = State::Waiting;
        }
    }

    /// It is to be read from the beginning of another life of its topic.
    pub fn begin_again(&mut self, incarnation: Incarnation, next: i64) {
        self.leave();
        self.short_since = None;
        self.was_read = false;
        self.undecided = None;
        self.reached = Reached { incarnation, next, ..Reached::default() };
        self.kept_before = std::mem::take(&mut self.doubtful);
    }

    /// Whether all that we read of it is decided, so that nothing is missed by reading on from our place.
    pub fn is_decided(&self) -> bool {
        self.undecided.as_ref().is_none_or(|undecided| undecided.decided() >= self.reached.next)
    }

    /// Whether this is the record that was kept last.
    pub fn knows_again(&self, seen: &Seen) -> bool {
        self.reached.last_timestamp == seen.timestamp && self.reached.last_checksum == Some(seen.checksum)
    }

    /// Whether this record of a new life was kept as one of the life before. To be asked in the order of offsets.
    pub fn kept_in_an_earlier_life(&mut self, seen: &Seen) -> bool {
        while self.kept_before.front().is_some_and(|before| before.offset < seen.offset) {
            self.kept_before.pop_front();
        }
        self.kept_before.front() == Some(seen)
    }

    /// Reads on behind this record. It is doubtful where its topic's id will be looked at.
    pub fn reach(&mut self, seen: Seen, doubtful: bool) {
        self.reached.next = seen.offset + 1;
        self.reached.last_timestamp = seen.timestamp;
        self.reached.last_checksum = Some(seen.checksum);
        self.moved = true;
        self.was_read = true;
        if doubtful {
            if self.doubtful.len() == DOUBTFUL_MAX {
                self.doubtful.pop_front();
            }
            self.doubtful.push_back(seen);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: TopicId = (1, 1);
    const SECOND: TopicId = (2, 2);

    fn seen(offset: i64, checksum: u32) -> Seen {
        Seen { offset, timestamp: Some(Timestamp::from_millis(offset)), checksum }
    }

    fn topic(read: &[Seen]) -> Topic {
        let mut topic = Topic::new("orders".into());
        topic.identify(FIRST);
        let mut partition = Partition::new(Reached::default(), State::Reading);
        read.iter().for_each(|seen| partition.reach(*seen, true));
        topic.partitions.insert(0, partition);
        topic
    }

    fn again(topic: &mut Topic) -> &mut Partition {
        let partition = topic.partitions.get_mut(&0).unwrap();
        partition.begin_again(Incarnation(1), 0);
        partition
    }

    #[test]
    fn what_was_read_of_a_new_life_before_it_was_noticed_is_not_kept_twice() {
        let mut topic = topic(&[seen(3, 30), seen(4, 40), seen(6, 60)]);
        topic.identify(SECOND);
        assert!(topic.reborn);
        let partition = again(&mut topic);
        let kept = [seen(0, 7), seen(3, 30), seen(4, 41), seen(6, 60), seen(7, 70)];
        assert_eq!(
            kept.map(|record| partition.kept_in_an_earlier_life(&record)),
            [false, true, false, true, false],
            "offset 4 is another record than the old life's"
        );
    }

    #[test]
    fn what_was_read_before_the_last_look_at_the_topic_is_of_the_old_life_for_certain() {
        let mut topic = topic(&[seen(3, 30)]);
        topic.identify(FIRST);
        topic.identify(SECOND);
        assert!(!again(&mut topic).kept_in_an_earlier_life(&seen(3, 30)), "two lives may hold the same record");
    }
}
