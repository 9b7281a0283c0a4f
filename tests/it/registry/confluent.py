"""Sends a saga's events with Confluent's own serializers: Avro with a reference, Protobuf with imports, JSON Schema.

usage: confluent.py KAFKA REGISTRY_URL TOPIC_PREFIX TRACE EVENT
Topics: PREFIX-avro (its key in Avro, too), PREFIX-proto, PREFIX-json. Each event has an id of its own, and the first's as its cause.
"""

import json
import sys
import time

from confluent_kafka import Producer
from confluent_kafka.schema_registry import Schema, SchemaReference, SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroSerializer
from confluent_kafka.schema_registry.json_schema import JSONSerializer
from confluent_kafka.schema_registry.protobuf import ProtobufSerializer
from confluent_kafka.serialization import MessageField, SerializationContext
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, timestamp_pb2

MONEY = {
    "type": "record", "name": "Money", "namespace": "shop",
    "fields": [
        {"name": "amount", "type": {"type": "bytes", "logicalType": "decimal", "precision": 9, "scale": 2}},
        {"name": "currency", "type": "string"},
    ],
}
PLACED = {
    "type": "record", "name": "OrderPlaced", "namespace": "shop",
    "fields": [
        {"name": "eventId", "type": "string"},
        {"name": "traceId", "type": "string"},
        {"name": "occurredAt", "type": {"type": "long", "logicalType": "timestamp-millis"}},
        {"name": "customer", "type": ["null", "string"]},
        {"name": "password", "type": ["null", "string"]},
        {"name": "total", "type": "shop.Money"},
    ],
}
RESERVED = {
    "$schema": "http://json-schema.org/draft-07/schema#", "title": "StockReserved", "type": "object",
    "properties": {"eventId": {"type": "string"}, "causationId": {"type": "string"}, "sku": {"type": "string"}},
}


def protobuf_classes():
    """The message classes of two files, one of which imports the other, and Google's timestamp."""
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(timestamp_pb2.DESCRIPTOR.serialized_pb)
    text, message = descriptor_pb2.FieldDescriptorProto.TYPE_STRING, descriptor_pb2.FieldDescriptorProto.TYPE_MESSAGE
    method = descriptor_pb2.FileDescriptorProto(name="shop/method.proto", package="shop", syntax="proto3")
    card = method.message_type.add(name="Method")
    card.field.add(name="kind", number=1, type=text, label=1)
    paid = descriptor_pb2.FileDescriptorProto(name="shop/paid.proto", package="shop", syntax="proto3")
    paid.dependency.extend(["shop/method.proto", "google/protobuf/timestamp.proto"])
    paid.message_type.add(name="Refunded").field.add(name="event_id", number=1, type=text, label=1)
    authorized = paid.message_type.add(name="PaymentAuthorized")
    for number, name in enumerate(["event_id", "causation_id", "note"], 1):
        authorized.field.add(name=name, number=number, type=text, label=1)
    authorized.field.add(name="method", number=4, type=message, type_name=".shop.Method", label=1)
    authorized.field.add(name="occurred_at", number=5, type=message, type_name=".google.protobuf.Timestamp", label=1)
    for file in [method, paid]:
        pool.Add(file)
    return [message_factory.GetMessageClass(pool.FindMessageTypeByName(name)) for name in ["shop.PaymentAuthorized", "shop.Method"]]


def main(kafka, url, prefix, trace, event):
    from decimal import Decimal

    registry = SchemaRegistryClient({"url": url})
    producer = Producer({"bootstrap.servers": kafka})

    def send(topic, serializer, value, key=None):
        body = serializer(value, SerializationContext(topic, MessageField.VALUE))
        producer.produce(topic, body, key)

    registry.register_schema("shop.Money", Schema(json.dumps(MONEY), "AVRO"))
    placed = Schema(json.dumps(PLACED), "AVRO", [SchemaReference("shop.Money", "shop.Money", 1)])
    avro = AvroSerializer(registry, placed)
    topic = f"{prefix}-avro"
    key = AvroSerializer(registry, '"string"')(f"order-{event}", SerializationContext(topic, MessageField.KEY))
    now = int(time.time() * 1000)
    order = {"eventId": event, "traceId": trace, "occurredAt": now, "customer": "Ada", "password": None,
             "total": {"amount": Decimal("129.90"), "currency": "EUR"}}
    send(topic, avro, order, key)
    send(topic, avro, order | {"eventId": f"{event}-secret", "password": "hunter2"}, key)

    authorized, method = protobuf_classes()
    proto = ProtobufSerializer(authorized, registry, {"use.deprecated.format": False})
    paid = authorized(event_id=f"{event}-paid", causation_id=event, note="paid by card")
    paid.method.CopyFrom(method(kind="card"))
    paid.occurred_at.FromMilliseconds(now)
    send(f"{prefix}-proto", proto, paid)

    reserved = JSONSerializer(json.dumps(RESERVED), registry)
    send(f"{prefix}-json", reserved, {"eventId": f"{event}-reserved", "causationId": f"{event}-paid", "sku": "teapot-4711"})
    producer.flush()


if __name__ == "__main__":
    main(*sys.argv[1:])
