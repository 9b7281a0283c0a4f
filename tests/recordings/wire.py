"""What the recordings and the tests need from the wire, in plain Python.

  wire.py sink PORT FILE               an OTLP/HTTP receiver that writes every body it gets to FILE, one JSON line each
  wire.py create BROKER TOPIC:PARTS... makes topics
  wire.py delete BROKER TOPIC...       deletes topics and waits until they are gone
  wire.py dump BROKER TOPIC...         every record of the topics as JSON lines, read by assign(), nothing committed
  wire.py groups BROKER                the consumer groups that the broker knows, one a line
  wire.py offsets BROKER               what every group committed: group, topic, partition and offset, one a line
  wire.py grant BROKER USER RIGHT...   lets a user do what it says: topic:NAME:READ, group:*:DESCRIBE; a NAME that ends in * is a prefix
  wire.py show FILE                    a recording (.jsonl or .jsonl.gz) in words: its spans, links, logs and records
"""

import base64
import gzip
import json
import signal
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock


def b64(value):
    return None if value is None else base64.b64encode(value).decode()


def sink(port, path):
    lock = Lock()
    out = open(path, "a", encoding="utf-8")

    class Receiver(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self):
            body = self.body()
            if self.headers.get("content-encoding") == "gzip":
                body = gzip.decompress(body)
            signal_name = self.path.rsplit("/", 1)[-1]
            if signal_name in ("traces", "logs"):
                with lock:
                    out.write(json.dumps({"otlp": signal_name, "protobuf": b64(body)}) + "\n")
                    out.flush()
            self.send_response(200)
            self.send_header("content-type", "application/x-protobuf")
            self.send_header("content-length", "0")
            self.end_headers()

        def body(self):
            if self.headers.get("transfer-encoding") != "chunked":
                return self.rfile.read(int(self.headers.get("content-length", 0)))
            chunks = []
            while size := int(self.rfile.readline().split(b";")[0], 16):
                chunks.append(self.rfile.read(size))
                self.rfile.readline()
            self.rfile.readline()
            return b"".join(chunks)

        def log_message(self, *_):
            pass

    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    ThreadingHTTPServer(("127.0.0.1", port), Receiver).serve_forever()


def admin(broker):
    from confluent_kafka.admin import AdminClient

    return AdminClient({"bootstrap.servers": broker})


def create(broker, topics):
    from confluent_kafka.admin import NewTopic

    client = admin(broker)
    wanted = [NewTopic(name, int(parts), 1) for name, parts in (topic.rsplit(":", 1) for topic in topics)]
    for future in client.create_topics(wanted).values():
        future.result(30)


def delete(broker, topics):
    client = admin(broker)
    for future in client.delete_topics(list(topics)).values():
        future.result(30)
    for _ in range(100):
        if not set(topics) & set(client.list_topics(timeout=10).topics):
            return
        time.sleep(0.1)
    sys.exit(f"still there after 10 s: {topics}")


def records(broker, topics):
    """Every record of the topics from the first offset to the end as it was when asked."""
    from confluent_kafka import TIMESTAMP_LOG_APPEND_TIME, Consumer, TopicPartition

    consumer = Consumer(
        {
            "bootstrap.servers": broker,
            "group.id": "wire-dump",
            "enable.auto.commit": False,
            "isolation.level": "read_uncommitted",
            "enable.partition.eof": True,
        }
    )
    known = consumer.list_topics(timeout=10).topics
    ends = {}
    for topic in topics:
        for partition in sorted(known[topic].partitions):
            low, high = consumer.get_watermark_offsets(TopicPartition(topic, partition), timeout=10)
            if high > low:
                ends[(topic, partition)] = (low, high)
    consumer.assign([TopicPartition(t, p, low) for (t, p), (low, _) in ends.items()])
    pending = set(ends)
    while pending:
        message = consumer.poll(10)
        if message is None:
            sys.exit(f"nothing more arrived from {sorted(pending)}")
        at = (message.topic(), message.partition())
        if message.error():
            pending.discard(at)  # the end of a partition
            continue
        kind, stamp = message.timestamp()
        yield {
            "topic": message.topic(),
            "partition": message.partition(),
            "offset": message.offset(),
            "timestampMs": stamp,
            "timestampType": "LogAppendTime" if kind == TIMESTAMP_LOG_APPEND_TIME else "CreateTime",
            "key": b64(message.key()),
            "value": b64(message.value()),
            "headers": [[name, b64(value)] for name, value in message.headers() or []],
        }
    consumer.close()


def dump(broker, topics):
    for record in records(broker, topics):
        print(json.dumps({"record": record}))


def groups(broker):
    client = admin(broker)
    for group in sorted(listing.group_id for listing in client.list_consumer_groups().result(30).valid):
        print(group)


def offsets(broker):
    from confluent_kafka import ConsumerGroupTopicPartitions

    client = admin(broker)
    for group in sorted(listing.group_id for listing in client.list_consumer_groups().result(30).valid):
        asked = client.list_consumer_group_offsets([ConsumerGroupTopicPartitions(group)])
        for place in sorted(asked[group].result(30).topic_partitions, key=lambda place: (place.topic, place.partition)):
            print(group, place.topic, place.partition, place.offset)


def grant(broker, user, rights):
    from confluent_kafka.admin import AclBinding, AclOperation, AclPermissionType, ResourcePatternType, ResourceType

    bindings = []
    for right in rights:
        kind, name, operation = right.split(":")
        prefixed = name != "*" and name.endswith("*")
        pattern = ResourcePatternType.PREFIXED if prefixed else ResourcePatternType.LITERAL
        bindings.append(
            AclBinding(
                ResourceType[kind.upper()], name.rstrip("*") if prefixed else name, pattern,
                f"User:{user}", "*", AclOperation[operation], AclPermissionType.ALLOW,
            )
        )
    client = admin(broker)
    for future in client.create_acls(bindings).values():
        future.result(30)


def show(path):
    from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

    def attributes(pairs):
        def plain(value):
            kind = value.WhichOneof("value")
            return getattr(value, kind) if kind else None

        return {pair.key: plain(pair.value) for pair in pairs}

    def at(nanoseconds):
        return time.strftime("%H:%M:%S", time.gmtime(nanoseconds // 10**9)) + f".{nanoseconds // 10**6 % 1000:03}"

    opened = gzip.open(path, "rt") if path.endswith(".gz") else open(path, encoding="utf-8")
    for line in map(json.loads, opened):
        if "scenario" in line:
            print(json.dumps(line))
        elif line.get("otlp") == "traces":
            for resource in ExportTraceServiceRequest.FromString(base64.b64decode(line["protobuf"])).resource_spans:
                service = attributes(resource.resource.attributes).get("service.name")
                for span in (span for scope in resource.scope_spans for span in scope.spans):
                    kind = ("?", "internal", "server", "client", "producer", "consumer")[span.kind]
                    print(f"span {at(span.start_time_unix_nano)} {service:9} {kind:8} {span.name!r:30} trace={span.trace_id.hex()} id={span.span_id.hex()} parent={span.parent_span_id.hex()} status={span.status.code}")
                    print(f"     {attributes(span.attributes)}")
                    for link in span.links[:3]:
                        print(f"     link trace={link.trace_id.hex()} id={link.span_id.hex()}")
                    if len(span.links) > 3 or span.dropped_links_count:
                        print(f"     ... {len(span.links)} links, {span.dropped_links_count} dropped")
        elif line.get("otlp") == "logs":
            for resource in ExportLogsServiceRequest.FromString(base64.b64decode(line["protobuf"])).resource_logs:
                service = attributes(resource.resource.attributes).get("service.name")
                for log in (log for scope in resource.scope_logs for log in scope.log_records):
                    print(f"log  {at(log.time_unix_nano)} {service} {log.severity_text} {log.body.string_value!r} trace={log.trace_id.hex()} span={log.span_id.hex()} {attributes(log.attributes)}")
        elif record := line.get("record"):
            headers = {name: base64.b64decode(value or "").decode(errors="replace") for name, value in record["headers"]}
            print(f"record {at(record['timestampMs'] * 10**6)} {record['topic']} {record['partition']}@{record['offset']} key={base64.b64decode(record['key'] or '').decode()} {headers}")
            print(f"     {base64.b64decode(record['value'] or '').decode(errors='replace')}")


def main(arguments):
    match arguments:
        case ["sink", port, path]:
            sink(int(port), path)
        case ["create", broker, *topics]:
            create(broker, topics)
        case ["delete", broker, *topics]:
            delete(broker, topics)
        case ["dump", broker, *topics]:
            dump(broker, topics)
        case ["groups", broker]:
            groups(broker)
        case ["offsets", broker]:
            offsets(broker)
        case ["grant", broker, user, *rights]:
            grant(broker, user, rights)
        case ["show", path]:
            show(path)
        case _:
            sys.exit(__doc__)


if __name__ == "__main__":
    main(sys.argv[1:])
