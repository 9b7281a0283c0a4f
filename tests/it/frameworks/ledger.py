"""A consumer on confluent-kafka that sets aside by itself what it can't handle: the client has no dead letters of its own.

  ledger.py COUNT FROM DEAD   handles COUNT messages of FROM: three attempts each, in memory; an amount of 12 fails for good

The broker comes from KAFKA, the consumer group from GROUP. Ends when all are settled.
"""

import json
import os
import sys
import time
import traceback
from datetime import datetime, timezone

import confluent_kafka

ATTEMPTS = 3
count, source, dead = int(sys.argv[1]), sys.argv[2], sys.argv[3]
broker, group = os.environ["KAFKA"], os.environ["GROUP"]


class LedgerClosed(Exception):
    pass


def book(payment):
    if payment["amount"] == 12:
        raise LedgerClosed(f"the ledger is closed for {payment['orderId']}")


def set_aside(producer, message, error):
    headers = (message.headers() or []) + [
        ("original_topic", message.topic().encode()),
        ("original_partition", str(message.partition()).encode()),
        ("original_offset", str(message.offset()).encode()),
        ("consumer_group", group.encode()),
        ("retry_count", str(ATTEMPTS).encode()),
        ("error_type", type(error).__name__.encode()),
        ("error_message", str(error).encode()),
        ("stack_trace", "".join(traceback.format_exception(error)).encode()),
        ("failed_at", datetime.now(timezone.utc).isoformat().encode()),
    ]
    producer.produce(dead, message.value(), key=message.key(), headers=headers)
    producer.flush()


consumer = confluent_kafka.Consumer(
    {"bootstrap.servers": broker, "group.id": group, "auto.offset.reset": "earliest", "enable.auto.commit": False}
)
consumer.subscribe([source])
producer = confluent_kafka.Producer({"bootstrap.servers": broker})
settled, patience = 0, time.monotonic() + 60
while settled < count:
    message = consumer.poll(1.0)
    if message is None:
        if time.monotonic() > patience:
            sys.exit(f"only {settled} of {count} messages came within 60 s")
        continue
    if message.error():
        raise confluent_kafka.KafkaException(message.error())
    for attempt in range(1, ATTEMPTS + 1):
        try:
            book(json.loads(message.value()))
            break
        except Exception as error:
            if attempt == ATTEMPTS:
                set_aside(producer, message, error)
    settled += 1
consumer.commit(asynchronous=False)
consumer.close()
