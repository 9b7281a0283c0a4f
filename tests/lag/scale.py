"""500 groups on 200 partitions: what it costs to ask for them every ten seconds.

Commits are made by AlterConsumerGroupOffsets, so that no 500 consumers are needed; 40 groups more have a member each. Between rounds
all commits are moved, so that every partition has something new to keep.
"""

import os
import time

from confluent_kafka import Consumer, ConsumerGroupTopicPartitions, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from rig import POLL_SECONDS, Kafka, Sillage

GROUPS = int(os.environ.get("SCALE_GROUPS", 500))
PARTITIONS = int(os.environ.get("SCALE_PARTITIONS", 200))
WITH_MEMBERS, ROUNDS = 40, int(os.environ.get("SCALE_ROUNDS", 6))
TOPIC, RECORDS = "wide", 50
MEMORY_MIB_MAX = 512  # store.memory_limit by default


def commit_all(admin, offset):
    begun = time.monotonic()
    for number in range(0, GROUPS, 50):
        asked = []
        for group in range(number, min(number + 50, GROUPS)):
            places = [TopicPartition(TOPIC, partition, offset) for partition in range(PARTITIONS)]
            request = [ConsumerGroupTopicPartitions(f"group-{group:03}", places)]
            asked.extend(admin.alter_consumer_group_offsets(request).values())
        for answer in asked:
            answer.result()
    return time.monotonic() - begun


def main():
    with Kafka() as kafka:
        admin = AdminClient({"log_level": 2, "bootstrap.servers": kafka.address})
        for made in admin.create_topics([NewTopic(TOPIC, PARTITIONS, 1)]).values():
            made.result()
        producer = Producer({"log_level": 2, "bootstrap.servers": kafka.address})
        for record in range(PARTITIONS * RECORDS):
            producer.produce(TOPIC, b"{}", partition=record % PARTITIONS)
            producer.poll(0)
        producer.flush()
        print(f"{GROUPS} groups committed on {PARTITIONS} partitions in {commit_all(admin, 1):.1f} s")
        members = []
        for number in range(WITH_MEMBERS):
            settings = {"log_level": 2, "bootstrap.servers": kafka.address, "group.id": f"member-{number:02}", "enable.auto.commit": False}
            members.append(Consumer(settings))
            members[-1].subscribe([TOPIC])
        for member in members:
            member.poll(1)
        with Sillage(kafka, 'topics = ["*"]\nfrom = "earliest"') as sillage:
            wanted = GROUPS * PARTITIONS
            partitions = lambda: sillage.metrics().get('sillage_groups_partitions{source="main"}', 0)
            sillage.when(lambda: partitions() >= wanted, f"{wanted} partitions are told", 120)
            took, requests = [], []
            for round_number in range(ROUNDS):
                before = sillage.requests()
                commit_all(admin, 2 + round_number % RECORDS)
                for member in members:
                    member.poll(0)
                time.sleep(POLL_SECONDS)
                took.append(sillage.metrics()['sillage_groups_round_seconds{source="main"}'])
                requests.append({kind: sent - before.get(kind, 0) for kind, sent in sillage.requests().items()})
            seconds = ROUNDS * POLL_SECONDS
            memory, status = sillage.memory_mib(), sillage.api("status")
            begun = time.monotonic()
            sillage.get("/groups")
            page = time.monotonic() - begun
        for member in members:
            member.close()
    kept = status["memory"]["parts"]["the course of lag"] / 2**20
    print(f"rounds took {', '.join(f'{one:.2f}' for one in took)} s")
    print(f"requests in each about {POLL_SECONDS} s: {requests}")
    print(f"memory after {seconds} s: {memory:.0f} MiB in all, {kept:.0f} of them the lag over time; the page of all groups took {page:.2f} s")
    is_right = max(took) < POLL_SECONDS and memory < MEMORY_MIB_MAX
    raise SystemExit(0 if is_right else 1)


main()
