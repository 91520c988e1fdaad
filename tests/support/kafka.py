"""A Kafka broker of the test's own: one KRaft node on the loopback, with and without TLS and passwords."""
import pathlib
import shutil
import signal
import socket
import subprocess
import time

from confluent_kafka import Consumer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from support import x509

ROOT = pathlib.Path(__file__).resolve().parents[2]
JARS = ROOT / ".deps" / "kafka"
CLUSTER = "c3RhcmxpbmctdGVzdC1rZg"
START_TIMEOUT_S = 60
USER, PASSWORD = "alice", "alice's secret"


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def inline(pem):
    return pem.replace("\n", "\\n")


class Kafka:
    """ports: of PLAINTEXT, SSL and SASL_SSL; ca_pem: what the TLS ones are trusted by."""

    def __init__(self, folder):
        self.folder, self.process = pathlib.Path(folder), None
        self.ports = {name: free_port() for name in ("PLAINTEXT", "SSL", "SASL_SSL", "CONTROLLER")}
        ca_key, key = x509.new_key(), x509.new_key()
        ca = x509.certificate("kafka CA", ca_key, ca=True)
        cert = x509.certificate("localhost", key, ca, ca_key, names=["localhost"])
        self.ca_pem = x509.cert_pem(ca)
        listeners = ",".join(f"{name}://localhost:{port}" for name, port in self.ports.items())
        advertised = ",".join(f"{n}://localhost:{p}" for n, p in self.ports.items() if n != "CONTROLLER")
        jaas = "org.apache.kafka.common.security"
        (self.folder / "server.properties").write_text(f"""process.roles=broker,controller
node.id=1
controller.quorum.voters=1@localhost:{self.ports["CONTROLLER"]}
listeners={listeners}
advertised.listeners={advertised}
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,SSL:SSL,SASL_SSL:SASL_SSL,CONTROLLER:PLAINTEXT
controller.listener.names=CONTROLLER
inter.broker.listener.name=PLAINTEXT
sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-512
listener.name.sasl_ssl.plain.sasl.jaas.config={jaas}.plain.PlainLoginModule required user_{USER}="{PASSWORD}";
listener.name.sasl_ssl.scram-sha-512.sasl.jaas.config={jaas}.scram.ScramLoginModule required;
ssl.keystore.type=PEM
ssl.keystore.certificate.chain={inline(x509.cert_pem(cert))}
ssl.keystore.key={inline(x509.key_pem(key))}
log.dirs={self.folder / "log"}
num.partitions=2
offsets.topic.replication.factor=1
auto.create.topics.enable=true
message.max.bytes=1000000
""")
        self.java("kafka.tools.StorageTool", "format", "-t", CLUSTER, "-c", str(self.folder / "server.properties"),
                  "--add-scram", f"SCRAM-SHA-512=[name={USER},password={PASSWORD}]")

    @staticmethod
    def present():
        return shutil.which("java") and (JARS / ".stamp").exists()

    def command(self, *words):
        return ["java", "-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-cp", f"{JARS}/*", *words]

    def java(self, *words):
        done = subprocess.run(self.command(*words), capture_output=True, text=True, timeout=START_TIMEOUT_S)
        assert done.returncode == 0, done.stdout + done.stderr

    def start(self):
        with (self.folder / "kafka.log").open("ab") as log:
            self.process = subprocess.Popen(self.command("kafka.Kafka", str(self.folder / "server.properties")),
                                            stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        deadline = time.monotonic() + START_TIMEOUT_S
        while True:
            try:
                AdminClient({"bootstrap.servers": self.servers(), "log_level": 0}).list_topics(timeout=2)
                return self
            except Exception:
                assert self.process.poll() is None and time.monotonic() < deadline, \
                    (self.folder / "kafka.log").read_text()[-4000:]

    def stop(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def servers(self, listener="PLAINTEXT"):
        return f"localhost:{self.ports[listener]}"

    def make_topic(self, name, partitions=2):
        admin = AdminClient({"bootstrap.servers": self.servers()})
        admin.create_topics([NewTopic(name, partitions, 1)])[name].result(30)

    def count(self, topic, partitions=2):
        """How many messages the broker has of a topic."""
        consumer = Consumer({"bootstrap.servers": self.servers(), "group.id": "t", "log_level": 0})
        try:
            ends = [consumer.get_watermark_offsets(TopicPartition(topic, p), timeout=20) for p in range(partitions)]
            return sum(high - low for low, high in ends)
        finally:
            consumer.close()

    def take(self, topic, n, partitions=2, timeout_s=20):
        """The first n messages of a topic, by partition and offset."""
        consumer = Consumer({"bootstrap.servers": self.servers(), "group.id": "t", "auto.offset.reset": "earliest",
                             "enable.auto.commit": False, "log_level": 0})
        try:
            consumer.assign([TopicPartition(topic, p, 0) for p in range(partitions)])
            got, deadline = [], time.monotonic() + timeout_s
            while len(got) < n:
                assert time.monotonic() < deadline, f"{len(got)} of {n} messages came"
                message = consumer.poll(0.5)
                if message is not None and not message.error():
                    got.append(message)
            return sorted(got, key=lambda m: (m.partition(), m.offset()))
        finally:
            consumer.close()
