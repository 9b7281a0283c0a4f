"""A small shop on confluent-kafka with OpenTelemetry's own instrumentation (opentelemetry-instrumentation-confluent-kafka, -logging).

  shop.py place COUNT TOPIC             shop-api: publishes OrderPlaced, COUNT times, each under a request span of its own
  shop.py place-bare COUNT TOPIC        the same without a request span: each send span starts its own trace
  shop.py bill COUNT FROM TO            billing: poll() one by one, publishes PaymentAuthorized for each
  shop.py bill-batch COUNT FROM TO      billing: consume(COUNT): one span linked to every message, all follow-ups under it
  shop.py book COUNT FROM               ledger: reads and logs

The broker comes from KAFKA, everything else from OpenTelemetry's own variables (OTEL_SERVICE_NAME, OTEL_EXPORTER_OTLP_ENDPOINT...).
The instrumentation's poll() and consume() start a new trace that links to the producers' spans.
"""

import json
import logging
import os
import sys
import time
import uuid
from datetime import datetime, timezone

from opentelemetry import trace
from opentelemetry._logs import set_logger_provider
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.instrumentation.confluent_kafka import ConfluentKafkaInstrumentor
from opentelemetry.instrumentation.logging import LoggingInstrumentor
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

spans = TracerProvider()
spans.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
trace.set_tracer_provider(spans)
logs = LoggerProvider()
logs.add_log_record_processor(BatchLogRecordProcessor(OTLPLogExporter()))
set_logger_provider(logs)
ConfluentKafkaInstrumentor().instrument()
LoggingInstrumentor().instrument()

import confluent_kafka  # noqa: E402  the instrumentation replaces the classes of this module

tracer = trace.get_tracer("shop")
log = logging.getLogger("shop")
log.setLevel(logging.INFO)
broker = os.environ["KAFKA"]
service = os.environ["OTEL_SERVICE_NAME"]


def event(event_type, order_id, **more):
    now = datetime.now(timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    head = {"eventId": str(uuid.uuid4()), "eventType": event_type, "occurredAt": now, "producer": service, "version": 1}
    return head | {"orderId": order_id} | more


def publish(producer, topic, body):
    producer.produce(topic, json.dumps(body).encode(), key=body["orderId"].encode())


def new_producer():
    return confluent_kafka.Producer({"bootstrap.servers": broker, "linger.ms": 5})


def new_consumer(topic):
    consumer = confluent_kafka.Consumer(
        {
            "bootstrap.servers": broker,
            "group.id": service,
            "client.id": f"{service}-1",
            "auto.offset.reset": "earliest",
            "enable.auto.commit": False,
        }
    )
    consumer.subscribe([topic])
    return consumer


def place(count, topic, bare):
    producer = new_producer()
    run = uuid.uuid4().hex[:6]
    for number in range(count):
        order_id = f"order-{run}-{number:04}"
        if bare:
            publish(producer, topic, event("OrderPlaced", order_id, amount=10 + number))
            continue
        with tracer.start_as_current_span("POST /orders", kind=trace.SpanKind.SERVER) as span:
            trace_id = f"{span.get_span_context().trace_id:032x}"
            placed = event("OrderPlaced", order_id, traceId=trace_id, amount=10 + number)
            publish(producer, topic, placed)
            log.info("placed %s", order_id, extra={"eventId": placed["eventId"]})
    producer.flush()


def answer(producer, message, to, quiet=False):
    placed = json.loads(message.value())
    authorized = event("PaymentAuthorized", placed["orderId"], amount=placed["amount"])
    publish(producer, to, authorized)
    if not quiet:
        log.info("authorized %s", placed["orderId"], extra={"eventId": placed["eventId"]})


def each(consumer, count, then):
    """Hands COUNT messages over, one at a time, while the instrumentation's span for each is the current one."""
    seen = 0
    patience = time.monotonic() + 60
    while seen < count:
        message = consumer.poll(1.0)
        if message is None:
            if time.monotonic() > patience:
                sys.exit(f"only {seen} of {count} messages came within 60 s")
            continue
        if message.error():
            raise confluent_kafka.KafkaException(message.error())
        then(message)
        seen += 1
    consumer.commit(asynchronous=False)
    consumer.close()


def bill_batch(count, source, to):
    producer, consumer = new_producer(), new_consumer(source)
    batch = consumer.consume(count, 60.0)  # waits for the whole batch, joining the group included
    if len(batch) != count:
        sys.exit(f"{len(batch)} of {count} messages came in one batch")
    for message in batch:
        answer(producer, message, to, quiet=True)
    producer.flush()
    consumer.commit(asynchronous=False)
    consumer.close()


def main(arguments):
    match arguments:
        case ["place", count, topic]:
            place(int(count), topic, bare=False)
        case ["place-bare", count, topic]:
            place(int(count), topic, bare=True)
        case ["bill", count, source, to]:
            producer = new_producer()
            each(new_consumer(source), int(count), lambda message: answer(producer, message, to))
            producer.flush()
        case ["bill-batch", count, source, to]:
            bill_batch(int(count), source, to)
        case ["book", count, source]:
            each(
                new_consumer(source),
                int(count),
                lambda message: log.info("booked", extra={"eventId": json.loads(message.value())["eventId"]}),
            )
        case _:
            sys.exit(__doc__)
    spans.shutdown()
    logs.shutdown()


if __name__ == "__main__":
    main(sys.argv[1:])
