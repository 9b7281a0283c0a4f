"""Lag as Sillage tells it, against Kafka's own tool and against what the producer knows.

Twenty groups on idle topics: some whose members are there (classic and KIP-848), some whose members left, some that only commit, one
without any commit. Every row that kafka-consumer-groups prints has to be told alike, and no group may have a partition with a lag that
the tool doesn't know.

Then one topic that is written to all the time, and three groups on it that stand still, keep a distance, and read along. The producer
knows when it sent each record, so it knows how long the first unread one has been waiting; what Sillage says may differ by one round.
"""

import threading
import time

from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from rig import POLL_SECONDS, Kafka, Sillage

IDLE_TOPICS, PARTITIONS, RECORDS = 4, 3, 40
GROUPS = 20
WATCHED_SECONDS = 45


def client(kafka, group, protocol="classic"):
    return Consumer({
        "log_level": 2, "bootstrap.servers": kafka.address,
        "group.id": group,
        "group.protocol": protocol,
        "enable.auto.commit": False,
        "auto.offset.reset": "earliest",
    })


def commit(consumer, topic, offsets):
    places = [TopicPartition(topic, partition, offset) for partition, offset in offsets.items()]
    consumer.commit(offsets=places, asynchronous=False)


def joined(consumer, topic):
    consumer.subscribe([topic])
    deadline = time.monotonic() + 60
    while not consumer.assignment() and time.monotonic() < deadline:
        consumer.poll(0.2)
    return consumer


def make_groups(kafka):
    """Commits differ by group and partition, so that no two rows can be taken for each other."""
    kept = []
    for number in range(GROUPS):
        group, topic = f"group-{number:02}", f"idle-{number % IDLE_TOPICS}"
        offsets = {partition: (number * 7 + partition * 11) % (RECORDS + 1) for partition in range(PARTITIONS)}
        kind = number % 5
        if kind == 4:  # only commits, and not everywhere
            commit(client(kafka, group), topic, {0: offsets[0], 1: offsets[1]})
            continue
        consumer = joined(client(kafka, group, "consumer" if kind == 1 else "classic"), topic)
        if number != 0:  # the first has members, and no commit
            commit(consumer, topic, offsets)
        if kind == 3:
            consumer.close()
        else:
            kept.append(consumer)
    return kept


def compare_records(kafka, sillage):
    sillage.when(lambda: len(sillage.groups()) >= GROUPS, f"{GROUPS} groups are told", 60)
    time.sleep(POLL_SECONDS + 2)  # a round that began after all was as it is
    kafkas = kafka.told()
    ours = {}
    for name in sillage.groups():
        for row in sillage.group(name)["partitions"]:
            ours[name, row["topic"], row["partition"]] = (row["committed"], row["end"], row["lag"])
    wrong = [(key, told, ours.get(key)) for key, told in kafkas.items() if ours.get(key) != told]
    wrong += [(key, None, told) for key, told in ours.items() if key not in kafkas and told[2] is not None]
    for key, theirs, told in wrong:
        print(f"  {key}: Kafka says {theirs}, Sillage {told}")
    groups = len({group for group, _, _ in kafkas})
    print(f"records: {groups} groups, {len(kafkas)} partitions that kafka-consumer-groups prints, {len(wrong)} told otherwise")
    return not wrong and groups == GROUPS


class Writer(threading.Thread):
    """Sends 20 records a second to `busy`, and keeps when each was sent by its offset."""

    def __init__(self, kafka):
        super().__init__(daemon=True)
        self.producer = Producer({"log_level": 2, "bootstrap.servers": kafka.address, "linger.ms": 5})
        self.sent_ms, self.going = {}, True

    def run(self):
        while self.going:
            now_ms = int(time.time() * 1000)
            kept = lambda _, message, at=now_ms: self.sent_ms.__setitem__(message.offset(), at)
            self.producer.produce("busy", b"{}", partition=0, timestamp=now_ms, on_delivery=kept)
            self.producer.poll(0.05)
        self.producer.flush()


def compare_time(kafka, sillage):
    writer = Writer(kafka)
    writer.start()
    committed = {"stands": 3, "follows": 0, "reads": 0}
    clients = {group: client(kafka, group) for group in committed}
    worst = dict.fromkeys(committed, 0)
    seen = dict.fromkeys(committed, 0)
    commit(clients["stands"], "busy", {0: committed["stands"]})
    begun = time.monotonic()
    while time.monotonic() - begun < WATCHED_SECONDS + 2 * POLL_SECONDS:
        last = max(writer.sent_ms, default=0)
        for group, behind in (("follows", 200), ("reads", 0)):
            committed[group] = max(committed[group], last + 1 - behind)
            commit(clients[group], "busy", {0: committed[group]})
        time.sleep(1)
        if time.monotonic() - begun < 2 * POLL_SECONDS:
            continue
        told, now_ms = sillage.groups(), time.time() * 1000
        for group, offset in committed.items():
            sent = writer.sent_ms.get(offset)
            truth = 0 if sent is None else now_ms - sent
            ours = told.get(group, {}).get("lagMs")
            if ours is None:
                continue
            seen[group] += 1
            worst[group] = max(worst[group], abs(ours - truth))
    writer.going = False
    writer.join()
    is_right = True
    for group, off in worst.items():
        # A round of its own takes a moment, too.
        within = off <= (POLL_SECONDS + 1) * 1000 and seen[group] >= WATCHED_SECONDS // 2
        is_right &= within
        print(f"time: group {group}: looked {seen[group]} times, at most {off / 1000:.1f} s from the truth{'' if within else ': TOO FAR'}")
    return is_right


def main():
    with Kafka() as kafka:
        topics = [NewTopic(f"idle-{number}", PARTITIONS, 1) for number in range(IDLE_TOPICS)] + [NewTopic("busy", 1, 1)]
        admin = AdminClient({"log_level": 2, "bootstrap.servers": kafka.address})
        for made in admin.create_topics(topics).values():
            made.result()
        producer = Producer({"log_level": 2, "bootstrap.servers": kafka.address})
        for number in range(IDLE_TOPICS):
            for record in range(PARTITIONS * RECORDS):
                producer.produce(f"idle-{number}", b"{}", partition=record % PARTITIONS)
        producer.flush()
        kept = make_groups(kafka)
        with Sillage(kafka, 'topics = ["*"]\nfrom = "latest"') as sillage:
            is_right = compare_records(kafka, sillage)
            is_right &= compare_time(kafka, sillage)
        for consumer in kept:
            consumer.close()
    raise SystemExit(0 if is_right else 1)


main()
