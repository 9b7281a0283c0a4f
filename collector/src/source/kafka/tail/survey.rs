//! The survey: which topics and partitions there are, where each log begins and ends, and where we read on.

use super::*;

/// Where each partition that can be read now begins and ends.
type AllBounds = HashMap<(String, i32), Bounds>;

/// When nothing has come for so long although we polled, nothing is left to come: some fetches' worth of waiting.
const QUIET_FOR: Duration = Duration::from_millis(500);

/// What librdkafka's mock cluster calls itself: it lets DescribeTopics wait for ever, and its topics are never made again.
const MOCK_CLUSTER: &str = "mockCluster";

/// How long the broker may take to tell the ids of topics. We don't poll meanwhile.
const IDS_WITHIN: Duration = Duration::from_secs(2);

/// After so many surveys in a row without any id, this broker is taken for one that doesn't tell (Kafka before 2.8): asking costs us pauses.
const IDLESS_SURVEYS_MAX: u32 = 3;

impl Observer {
    /// Looks at the cluster, and puts every partition where it belongs.
    pub(super) fn survey(&mut self, consumer: &BaseConsumer<Hearing>) -> Result<(), Stopped> {
        let began = Instant::now();
        self.survey_at = began + SURVEY_EVERY;
        if self.watch.optional && !self.surveyed && !self.somebody_listens() {
            self.watch.notice.absent(self.absence());
            return Ok(());
        }
        let listed = match consumer.fetch_metadata(None, ANSWER_WITHIN) {
            Ok(metadata) if !metadata.brokers().is_empty() => self.listed(&metadata),
            answer => {
                let trouble = self.hearing.trouble(began - SURVEY_EVERY * 10);
                tracing::debug!(?answer, "no metadata");
                self.watch.notice.down(advice(&self.watch.brokers.join(","), trouble.as_ref()));
                self.was_down = true;
                self.survey_at = Instant::now() + SURVEY_AGAIN;
                return Ok(());
            }
        };
        let another_cluster = self.is_another_cluster(consumer);
        self.enter(&listed);
        self.leave_unlisted(consumer, &listed);
        self.identify(consumer, &listed);
        let bounds = match bounds(consumer, &listed) {
            Ok(bounds) => bounds,
            Err(error) => {
                tracing::debug!(%error, "no offsets"); // a leader just moved, or the topic just went: the next survey sees it
                self.survey_at = Instant::now() + SURVEY_AGAIN;
                return Ok(());
            }
        };
        self.probe(consumer, &bounds);
        self.settle(consumer, &bounds, another_cluster)?;
        self.surveyed = true;
        self.was_down = false;
        self.stuck = false;
        match &self.denied {
            Some(reason) => self.watch.notice.up_but(reason.clone()),
            None => self.watch.notice.up(),
        }
        self.measure(&bounds);
        Ok(())
    }

    /// Whether anything takes a connection at one of the brokers: asked first where nobody asked for this source.
    fn somebody_listens(&self) -> bool {
        self.watch
            .brokers
            .iter()
            .filter_map(|broker| broker.to_socket_addrs().ok())
            .flatten()
            .any(|address| TcpStream::connect_timeout(&address, Duration::from_millis(300)).is_ok())
    }

    fn absence(&self) -> String {
        format!(
            "no Kafka listens on {}, which is only tried because no source is configured: start one there, \
             or add a `[[source]]` with your own `brokers` to sillage.toml",
            self.watch.brokers.join(",")
        )
    }

    /// The topics that are meant, each with those of its partitions that somebody leads.
    fn listed(&mut self, metadata: &Metadata) -> BTreeMap<String, Vec<i32>> {
        let mut listed = BTreeMap::new();
        for topic in metadata.topics().iter().filter(|topic| self.watch.selection.takes(topic.name())) {
            if topic.error().is_some() {
                continue;
            }
            let led = topic.partitions().iter().filter(|partition| partition.leader() >= 0);
            listed.insert(topic.name().to_owned(), led.map(|partition| partition.id()).collect());
        }
        listed
    }

    /// Whether the cluster has another id than the one that our places are of.
    fn is_another_cluster(&mut self, consumer: &BaseConsumer<Hearing>) -> bool {
        let Some(id) = consumer.client().fetch_cluster_id(SURVEY_AGAIN) else { return false };
        let before = self.cluster.as_deref().map(str::to_owned).or_else(|| self.watch.checkpoint.cluster.clone());
        let is_another = before.is_some_and(|before| before != id);
        if self.cluster.as_deref() != Some(id.as_str()) {
            self.cluster = Some(id.into());
        }
        is_another
    }

    /// Takes up topics and partitions that are new to us.
    fn enter(&mut self, listed: &BTreeMap<String, Vec<i32>>) {
        // `from` speaks of the first look at a source. What appears later is read from its beginning: it is news from its first record on.
        let by_config = !self.surveyed && self.watch.checkpoint.partitions.is_empty();
        for (name, numbers) in listed {
            let topic = self.topics.entry(name.clone()).or_insert_with(|| Topic::new(name.as_str().into()));
            for number in numbers {
                topic.partitions.entry(*number).or_insert_with(|| {
                    let reached = Reached { incarnation: topic.incarnation, ..Reached::default() };
                    Partition::new(reached, State::New { by_config })
                });
            }
        }
    }

    /// Stops reading what is gone, or led by nobody; it stays known, and is checked when it comes back.
    fn leave_unlisted(&mut self, consumer: &BaseConsumer<Hearing>, listed: &BTreeMap<String, Vec<i32>>) {
        for (name, topic) in &mut self.topics {
            let present = listed.get(name);
            for (number, partition) in &mut topic.partitions {
                if partition.assigned && !present.is_some_and(|numbers| numbers.contains(number)) {
                    partition.bounds = None;
                    partition.leave();
                }
            }
        }
        self.unassign(consumer);
    }

    /// Asks for each topic's id: one with another id than before was made again.
    fn identify(&mut self, consumer: &BaseConsumer<Hearing>, listed: &BTreeMap<String, Vec<i32>>) {
        let is_mock = self.cluster.as_deref().is_some_and(|cluster| cluster.starts_with(MOCK_CLUSTER));
        if is_mock || listed.is_empty() || self.idless_surveys >= IDLESS_SURVEYS_MAX {
            return;
        }
        let names: Vec<&str> = listed.keys().map(String::as_str).collect();
        let ids = admin::topic_ids(consumer.client(), &names, IDS_WITHIN);
        self.idless_surveys = if ids.is_empty() { self.idless_surveys + 1 } else { 0 };
        for (name, id) in ids {
            if let Some(topic) = self.topics.get_mut(&name) {
                topic.reborn |= topic.id.is_some_and(|before| before != id);
                topic.id = Some(id);
            }
        }
    }

    /// Decides for every partition where it belongs, and puts it there.
    fn settle(
        &mut self,
        consumer: &BaseConsumer<Hearing>,
        bounds: &AllBounds,
        another_cluster: bool,
    ) -> Result<(), Stopped> {
        // What was read before a decision belongs to the time before it.
        self.hand_over(self.nothing())?;
        let check_all = self.was_down || self.stuck;
        let now = Instant::now();
        for (name, topic) in &mut self.topics {
            for (number, partition) in &mut topic.partitions {
                partition.bounds = bounds.get(&(name.clone(), *number)).copied();
                let Some(bounds) = partition.bounds else { continue };
                let short = !matches!(partition.state, State::New { .. }) && bounds.end < partition.reached.next;
                if !short {
                    partition.short_since = None;
                } else if place::stays_short(&mut partition.short_since, now) {
                    topic.reborn = true;
                }
                let expired = bounds.begin > partition.reached.next;
                if partition.assigned && (check_all || short || expired) {
                    partition.leave();
                }
            }
            topic.reborn |= another_cluster;
        }
        let mut beside = self.nothing();
        self.begin_again(&mut beside, another_cluster);
        self.unassign(consumer);
        self.assign(consumer, &mut beside);
        self.hand_over(beside)
    }

    /// Topics that were made again start over, all their partitions together, as another life.
    fn begin_again(&mut self, beside: &mut Checkpoint, another_cluster: bool) {
        if another_cluster {
            self.watch.notice.noticed(format!(
                "another cluster answers at {}: its topics are read from their beginning, beside what is kept of the old ones",
                self.watch.brokers.join(",")
            ));
        }
        for (name, topic) in &mut self.topics {
            if !std::mem::take(&mut topic.reborn) {
                continue;
            }
            topic.incarnation = Incarnation(topic.incarnation.0 + 1);
            for (number, partition) in &mut topic.partitions {
                let next = partition.bounds.map_or(0, |bounds| bounds.begin);
                partition.leave();
                partition.short_since = None;
                partition.reached = Reached { incarnation: topic.incarnation, next, ..Reached::default() };
                beside.partitions.insert((topic.channel.clone(), *number), partition.reached.clone());
            }
            if !another_cluster {
                self.watch.notice.noticed(format!(
                    "topic `{name}` was deleted and made again: it is read from its beginning, beside what is kept of the old one"
                ));
            }
        }
    }

    /// Lets go of the partitions that were left.
    fn unassign(&mut self, consumer: &BaseConsumer<Hearing>) {
        let mut list = TopicPartitionList::new();
        for (name, topic) in &mut self.topics {
            for (number, partition) in &mut topic.partitions {
                if partition.assigned && matches!(partition.state, State::Waiting) {
                    partition.assigned = false;
                    list.add_partition(name, *number);
                }
            }
        }
        if list.count() > 0
            && let Err(error) = consumer.incremental_unassign(&list)
        {
            tracing::warn!(%error, "librdkafka did not let go of {} partitions", list.count());
        }
    }

    /// Begins to read the partitions that wait and can be read.
    fn assign(&mut self, consumer: &BaseConsumer<Hearing>, beside: &mut Checkpoint) {
        let by_time = self.offsets_by_time(consumer);
        let mut list = TopicPartitionList::new();
        for (name, topic) in &mut self.topics {
            for (number, partition) in &mut topic.partitions {
                let (false, Some(bounds)) = (partition.assigned, partition.bounds) else { continue };
                if let State::New { by_config } = partition.state {
                    let timed = by_time.get(&(name.clone(), *number)).copied();
                    partition.reached.next = match (by_config, self.watch.from) {
                        (false, _) | (true, From::Earliest) => bounds.begin,
                        (true, From::Latest) => bounds.end,
                        (true, From::Ago(_) | From::At(_)) => timed.unwrap_or(bounds.begin),
                    };
                    partition.state = State::Waiting;
                    beside.partitions.insert((topic.channel.clone(), *number), partition.reached.clone());
                }
                let offset = match place::place(&partition.reached, bounds) {
                    Place::Short => continue,
                    Place::Check(offset) => {
                        partition.state = State::Checking;
                        offset
                    }
                    Place::On(offset) => {
                        partition.state = State::Reading;
                        partition.reached.next = offset;
                        offset
                    }
                    Place::Gap(offset) => {
                        let (first, last) = (partition.reached.next, offset - 1);
                        self.watch.notice.lost_sight(
                            "expired before they were read",
                            u64::try_from(offset - first).unwrap_or_default(),
                            format!(
                                "offsets {first} to {last} of `{name}` partition {number} expired before they were read: \
                                 lengthen the topic's retention, or keep Sillage running"
                            ),
                        );
                        partition.state = State::Reading;
                        partition.reached =
                            Reached { incarnation: topic.incarnation, next: offset, ..Reached::default() };
                        beside.partitions.insert((topic.channel.clone(), *number), partition.reached.clone());
                        offset
                    }
                };
                partition.assigned = true;
                list.add_partition_offset(name, *number, Offset::Offset(offset))
                    .expect("an offset of the broker's is not negative");
            }
        }
        if list.count() == 0 {
            return;
        }
        if let Err(error) = consumer.incremental_assign(&list) {
            tracing::warn!(%error, "librdkafka did not take {} partitions, which are tried again", list.count());
            for element in list.elements() {
                let topic = self.topics.get_mut(element.topic());
                if let Some(partition) = topic.and_then(|topic| topic.partitions.get_mut(&element.partition())) {
                    partition.assigned = false;
                    partition.state = State::Waiting;
                }
            }
        }
    }

    /// Where the time that `from` names lies in each partition that begins by it.
    fn offsets_by_time(&self, consumer: &BaseConsumer<Hearing>) -> HashMap<(String, i32), i64> {
        let time = match self.watch.from {
            From::Latest | From::Earliest => return HashMap::new(),
            From::Ago(ago) => Timestamp::now().minus(ago),
            From::At(time) => time,
        };
        if self.cannot_seek_by_time {
            return HashMap::new();
        }
        let mut list = TopicPartitionList::new();
        for (name, topic) in &self.topics {
            for (number, partition) in &topic.partitions {
                if partition.bounds.is_some() && partition.state == (State::New { by_config: true }) {
                    let millis = Offset::Offset(time.as_millis().max(0));
                    list.add_partition_offset(name, *number, millis).expect("a time since the epoch is not negative");
                }
            }
        }
        if list.count() == 0 {
            return HashMap::new();
        }
        let Ok(found) = consumer.offsets_for_times(list, ANSWER_WITHIN) else { return HashMap::new() };
        let mut offsets = HashMap::new();
        for element in found.elements() {
            let key = (element.topic().to_owned(), element.partition());
            let end = self.topics[element.topic()].partitions[&element.partition()].bounds.map(|bounds| bounds.end);
            match (element.error(), element.offset()) {
                (Ok(()), Offset::Offset(offset)) => drop(offsets.insert(key, offset)),
                (Ok(()), Offset::End) => drop(end.and_then(|end| offsets.insert(key, end))), // nothing is as young
                _ => {}
            }
        }
        offsets
    }

    /// Finds out once what this broker can't do, and says so.
    fn probe(&mut self, consumer: &BaseConsumer<Hearing>, bounds: &AllBounds) {
        if !self.probed_time
            && let Some(((name, number), _)) = bounds.iter().find(|(_, bounds)| bounds.begin < bounds.end)
        {
            let mut list = TopicPartitionList::new();
            list.add_partition_offset(name, *number, Offset::Offset(0)).expect("the epoch is not negative");
            if let Ok(found) = consumer.offsets_for_times(list, ANSWER_WITHIN) {
                self.probed_time = true;
                // Everything is younger than 1970: a broker that finds nothing can't seek by time (librdkafka's mock cluster).
                self.cannot_seek_by_time = found.elements().iter().all(|found| found.offset() == Offset::End);
            }
            if self.cannot_seek_by_time {
                self.watch
                    .notice
                    .unseen("this broker can't seek by time: a `from` that names a time reads all that it holds");
            }
        }
        if !self.probed_groups && self.surveyed {
            self.probed_groups = true;
            let own = self.watch.client_config.get("group.id");
            if consumer.fetch_group_list(own, SURVEY_AGAIN).is_err() {
                self.watch
                    .notice
                    .unseen("this broker can't list consumer groups: only those named in `groups` are asked for");
            }
        }
    }

    /// Puts up what is watched, and how far behind we are.
    fn measure(&mut self, bounds: &AllBounds) {
        let now = Timestamp::now();
        let drained = std::mem::take(&mut self.drained);
        let quiet = drained && self.last_taken.elapsed() >= QUIET_FOR;
        let mut behind_ms = Some(0);
        let mut channels = Vec::new();
        for (name, topic) in &mut self.topics {
            let mut status = ChannelStatus { channel: name.clone(), partitions: 0, records: Some(0) };
            for (number, partition) in &mut topic.partitions {
                let Some(bounds) = bounds.get(&(name.clone(), *number)) else { continue };
                status.partitions += 1;
                let held = u64::try_from(bounds.end - bounds.begin).unwrap_or_default();
                status.records = status.records.map(|records| records + held);
                // Transaction markers take offsets at the end of a log and never arrive: a partition with nothing to come is not behind.
                let caught_up = partition.reached.next >= bounds.end || quiet || (drained && !partition.moved);
                if !caught_up {
                    let since = partition.reached.last_timestamp.map(|last| now.nanos_since(last).max(0));
                    let since_ms = since.and_then(|nanos| u64::try_from(nanos / 1_000_000).ok());
                    behind_ms = behind_ms.zip(since_ms).map(|(one, other): (u64, u64)| one.max(other));
                }
                partition.moved = false;
            }
            if status.partitions > 0 {
                channels.push(status);
            }
        }
        channels.sort_by(|one, other| one.channel.cmp(&other.channel));
        self.watch.notice.measured(behind_ms, channels);
    }

    fn nothing(&self) -> Checkpoint {
        Checkpoint::none(self.watch.checkpoint.source.clone())
    }
}

impl Topic {
    pub(super) fn new(channel: Channel) -> Topic {
        Topic { channel, id: None, incarnation: Incarnation::default(), partitions: BTreeMap::new(), reborn: false }
    }
}

impl Partition {
    pub(super) fn new(reached: Reached, state: State) -> Partition {
        Partition { reached, state, assigned: false, bounds: None, short_since: None, last: None, moved: false }
    }

    /// It is to be let go, and then read on from our place.
    fn leave(&mut self) {
        if !matches!(self.state, State::New { .. }) {
            self.state = State::Waiting;
        }
    }

    /// Whether this is the record that was kept last.
    pub(super) fn knows_again(&self, message: &BorrowedMessage<'_>) -> bool {
        let (timestamp, _) = message::timestamp(message);
        let sum = checksum(message.key(), message.payload());
        self.reached.last_timestamp == timestamp && self.reached.last_checksum == Some(sum)
    }
}

/// Where the log of each partition begins and ends, asked of each leader at once.
/// `offsets_for_times` passes the numbers that stand for "beginning" and "end" through to ListOffsets
/// (librdkafka : src/rdkafka.c, rd_kafka_offsets_for_times), and with `read_committed` the end is the last stable offset.
fn bounds(consumer: &BaseConsumer<Hearing>, listed: &BTreeMap<String, Vec<i32>>) -> Result<AllBounds, KafkaError> {
    let ask = |place: Offset| -> Result<HashMap<(String, i32), i64>, KafkaError> {
        let mut list = TopicPartitionList::new();
        for (name, numbers) in listed {
            for number in numbers {
                list.add_partition_offset(name, *number, place)?;
            }
        }
        if list.count() == 0 {
            return Ok(HashMap::new());
        }
        let found = consumer.offsets_for_times(list, ANSWER_WITHIN)?;
        let known = found.elements().into_iter().filter_map(|element| match (element.error(), element.offset()) {
            (Ok(()), Offset::Offset(offset)) => Some(((element.topic().to_owned(), element.partition()), offset)),
            _ => None,
        });
        Ok(known.collect())
    };
    let begins = ask(Offset::Beginning)?;
    let ends = ask(Offset::End)?;
    let both = begins.into_iter().filter_map(|(key, begin)| {
        let end = *ends.get(&key)?;
        Some((key, Bounds { begin, end: end.max(begin) }))
    });
    Ok(both.collect())
}
