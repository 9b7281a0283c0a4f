"""A real Kafka and the built Sillage beside it, on ports of their own, both stopped at the end."""

import json
import os
import pathlib
import re
import shutil
import socket
import subprocess
import tempfile
import time
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[2]
PARTS = pathlib.Path(os.environ["SILLAGE_PARTS"])
PROGRAM = os.environ.get("SILLAGE_PROGRAM", str(ROOT / "target/release/sillage"))
POLL_SECONDS = 10


def free_port():
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        return listening.getsockname()[1]


class Kafka:
    def __enter__(self):
        self.folder = tempfile.mkdtemp(prefix="lag-kafka-")
        port = free_port()
        self.address = f"127.0.0.1:{port}"
        script = [str(ROOT / "tests/parts/kafka"), "start", self.folder, str(port), str(free_port())]
        subprocess.run(script, check=True, env={**os.environ, "SILLAGE_OWNER": str(os.getpid())})
        return self

    def __exit__(self, *_):
        subprocess.run([str(ROOT / "tests/parts/kafka"), "stop", self.folder], check=True)
        shutil.rmtree(self.folder, ignore_errors=True)

    def told(self):
        """What kafka-consumer-groups prints of all groups: {(group, topic, partition): (committed, end, lag)}, None for `-`."""
        classpath = f"{PARTS}/kafka/lib/*:{PARTS}/kafka-tools/*"
        tool = "org.apache.kafka.tools.consumer.group.ConsumerGroupCommand"
        arguments = ["--bootstrap-server", self.address, "--describe", "--all-groups"]
        out = subprocess.run(["java", "-cp", classpath, tool, *arguments], check=True, capture_output=True, text=True).stdout
        number = lambda text: None if text == "-" else int(text)
        rows = [line.split() for line in out.splitlines()]
        return {
            (row[0], row[1], int(row[2])): tuple(number(text) for text in row[3:6])
            for row in rows
            if len(row) >= 6 and row[2].isdigit()
        }


class Sillage:
    """`sillage serve` with one Kafka source."""

    def __init__(self, kafka, more=""):
        self.kafka, self.more = kafka, more

    def __enter__(self):
        self.folder = tempfile.mkdtemp(prefix="lag-sillage-")
        self.port = free_port()
        config = pathlib.Path(self.folder, "sillage.toml")
        config.write_text(
            f'[web]\nlisten = "127.0.0.1:{self.port}"\n'
            f'[otlp]\ngrpc = "127.0.0.1:{free_port()}"\nhttp = "127.0.0.1:{free_port()}"\n'
            f'[store]\npath = "{self.folder}/data"\n'
            f'[[source]]\nname = "main"\ntype = "kafka"\nbrokers = ["{self.kafka.address}"]\n{self.more}\n'
        )
        self.log = open(f"{self.folder}/log", "w")
        self.process = subprocess.Popen([PROGRAM, "serve", "--config", str(config)], stdout=self.log, stderr=self.log)
        self.when(lambda: self.get("/healthz"), "it answers", 60)
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait(30)
        self.log.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def get(self, path):
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=30) as answer:
            return answer.read().decode()

    def api(self, path):
        return json.loads(self.get(f"/api/v1/{path}"))

    def groups(self):
        return {group["group"]: group for group in self.api("groups")["groups"]}

    def group(self, name):
        return self.api(f"groups/main/{name}")["groups"][0]

    def metrics(self):
        """Samples by their name with labels."""
        lines = [line.rsplit(" ", 1) for line in self.get("/metrics").splitlines() if line and not line.startswith("#")]
        return {name: float(value) for name, value in lines}

    def requests(self):
        """Requests for groups so far, by kind."""
        found = ((re.search(r'sillage_groups_requests_total.*kind="(\w+)"', name), value) for name, value in self.metrics().items())
        return {match[1]: value for match, value in found if match}

    def memory_mib(self):
        status = pathlib.Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(r"VmRSS:\s+(\d+)", status)[1]) / 1024

    @staticmethod
    def when(holds, what, seconds):
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            try:
                if found := holds():
                    return found
            except OSError:
                pass
            time.sleep(0.3)
        raise SystemExit(f"within {seconds} s it did not happen that {what}")
