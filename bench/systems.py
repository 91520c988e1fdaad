"""What is measured: Starling, its peers and the floors, each a process on loopback, started for a load and ended after
it. Peers come from packages: mosquitto from Debian, rumqttd from cargo, mochi-mqtt from Go, moto and ministack from PyPI."""
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import time

from device import make_device

ROOT = pathlib.Path(__file__).resolve().parents[1]
BUILD = pathlib.Path(os.environ.get("BUILD", ROOT / "build"))
PEERS = BUILD / "peers"
STARLING, RELAY = BUILD / "src/server/starling", BUILD / "bench/relay"
VENV = ROOT / ".venv/bin"
RUMQTTD_VERSION = "0.20.0"
START_TIMEOUT_S = 60

# What a fleet's policy looks like: the client's own identity decides, for every connect, publish and receive.
POLICY = {"Version": "2012-10-17", "Statement": [
    {"Effect": "Allow", "Action": "iot:Connect", "Resource": "arn:aws:iot:*:*:client/${iot:ClientId}"},
    {"Effect": "Allow", "Action": ["iot:Publish", "iot:Receive"], "Resource": [
        "arn:aws:iot:*:*:topic/perf/*", "arn:aws:iot:*:*:topic/${iot:ClientId}/*"]},
    {"Effect": "Allow", "Action": "iot:Subscribe", "Resource": [
        "arn:aws:iot:*:*:topicfilter/perf/*", "arn:aws:iot:*:*:topicfilter/${iot:ClientId}/*"]}]}


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def openssl(folder, *arguments):
    subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)


def make_certificates(folder):
    """A CA, a server and a client certificate, all P-256 as Starling's are."""
    key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")
    openssl(folder, "req", "-x509", *key, "-keyout", "ca.key", "-out", "ca.pem", "-days", "2", "-subj", "/CN=bench CA")
    for name, subject, names in (("server", "/CN=localhost", "DNS:localhost"), ("client", "/CN=client", "DNS:client")):
        extensions = folder / f"{name}.ext"
        extensions.write_text(f"subjectAltName={names}\n")
        openssl(folder, "req", *key, "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", subject)
        openssl(folder, "x509", "-req", "-in", f"{name}.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-days", "2",
                "-extfile", extensions.name, "-out", f"{name}.pem")


class System:
    """One process. `cannot` says why it cannot carry out a row, or nothing."""
    name = ""
    connections = 64  # of loads of the API
    missing = ""  # why it cannot be measured here at all
    cannot_kinds: dict = {}

    def __init__(self, folder):
        self.folder, self.process, self.port, self.started_s = folder, None, 0, 0.0
        self.ca, self.cert, self.key = folder / "ca.pem", folder / "client.pem", folder / "client.key"

    def prepare(self):
        """Installs or builds what is missing, or says in `missing` why that fails."""

    def build(self, *command, **options):
        """By a peer's own tool; the reason why it failed is on the terminal."""
        if not shutil.which(command[0]):
            self.missing = f"no {command[0]} here"
        elif subprocess.run([str(c) for c in command], check=False, stdout=sys.stderr, **options).returncode:
            self.missing = f"{command[0]} could not build it"

    def cannot(self, row):
        return self.missing or self.cannot_kinds.get(row.work)

    def run(self, command, **environment):
        began = time.monotonic()
        with open(self.folder / f"{self.name}.log".replace(" ", "-"), "ab") as log:
            self.process = subprocess.Popen([str(c) for c in command], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                            cwd=self.folder, env={**os.environ, **environment})
        return began

    def wait(self, ready, began):
        deadline = time.monotonic() + START_TIMEOUT_S
        while not ready():
            if self.process.poll() is not None or time.monotonic() > deadline:
                log = (self.folder / f"{self.name}.log".replace(" ", "-")).read_text(errors="replace")[-2000:]
                raise SystemExit(f"bench: {self.name} did not start:\n{log}")
            time.sleep(0.002)
        self.started_s = time.monotonic() - began

    def accepts(self):
        with socket.socket() as s:
            return s.connect_ex(("127.0.0.1", self.port)) == 0

    def start(self, row):
        raise NotImplementedError

    def stop(self):
        if self.process is None:
            return
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process = None

    def version(self):
        return self.name


class Relay(System):
    name = "floor"
    cannot_kinds = {"fanout": "one receiver a topic", "wildcard": "no wildcards", "resume": "no sessions",
                    "fill": "no wildcards"}

    def start(self, row):
        self.port = free_port()
        tls = ["tls", self.ca, self.folder / "server.pem", self.folder / "server.key"] if row.tls else []
        self.wait(self.accepts, self.run([RELAY, self.port, *tls]))


class Mosquitto(System):
    name = "mosquitto"
    program = shutil.which("mosquitto", path=os.environ.get("PATH", "") + ":/usr/sbin")  # where Debian puts it

    def prepare(self):
        self.missing = "" if self.program else "no mosquitto here"

    def start(self, row):
        self.port = free_port()
        lines = [f"listener {self.port} 127.0.0.1", "allow_anonymous true", "persistence false", "log_type error"]
        if os.getuid() == 0:
            lines += ["user root"]  # it would drop to a user that cannot read the keys
        if row.tls:
            lines += [f"cafile {self.ca}", f"certfile {self.folder}/server.pem", f"keyfile {self.folder}/server.key",
                      "require_certificate true"]
        config = self.folder / "mosquitto.conf"
        config.write_text("\n".join(lines) + "\n")
        self.wait(self.accepts, self.run([self.program, "-c", config]))

    def version(self):
        said = subprocess.run([self.program, "-h"], capture_output=True, text=True).stdout
        return said.splitlines()[0].replace(" version", "") if said else self.name


class Rumqttd(System):
    name = "rumqttd"
    cannot_kinds = {"resume": "gives no sessions"}
    program = PEERS / "rumqttd/bin/rumqttd"

    def prepare(self):
        if not self.program.exists():
            # Not --locked: its lock file names a version of metrics that rustc 1.95 refuses (E0521).
            self.build("cargo", "install", "rumqttd", "--version", RUMQTTD_VERSION, "--root", PEERS / "rumqttd")

    def start(self, row):
        self.port = free_port()
        tls = f"""[v4.1.tls]
capath = "{self.ca}"
certpath = "{self.folder}/server.pem"
keypath = "{self.folder}/server.key"
""" if row.tls else ""
        config = self.folder / "rumqttd.toml"
        config.write_text(f"""id = 0
[router]
id = 0
max_connections = 20010
max_outgoing_packet_count = 200
max_segment_size = 104857600
max_segment_count = 10
[v4.1]
name = "v4-1"
listen = "127.0.0.1:{self.port}"
next_connection_delay_ms = 0
{tls}[v4.1.connections]
connection_timeout_ms = 60000
max_payload_size = 200000
max_inflight_count = 100
dynamic_filters = true
""")
        self.wait(self.accepts, self.run([self.program, "-c", config, "-q"]))

    def version(self):
        return f"rumqttd {RUMQTTD_VERSION}"


class Mochi(System):
    name = "mochi"
    program = PEERS / "mochi"

    def prepare(self):
        self.build("go", "build", "-o", self.program, ".", cwd=ROOT / "bench/peers/mochi")

    def start(self, row):
        self.port = free_port()
        tls = [self.ca, self.folder / "server.pem", self.folder / "server.key"] if row.tls else []
        self.wait(self.accepts, self.run([self.program, self.port, *tls]))

    def version(self):
        for line in (ROOT / "bench/peers/mochi/go.mod").read_text().splitlines():
            if "mochi-mqtt/server" in line:
                return "mochi-mqtt " + line.split()[-1]
        return self.name


class Starling(System):
    name = "Starling"

    def __init__(self, folder):
        super().__init__(folder)
        self.data, self.reactors = folder / "data", 1
        self.ca, self.cert, self.key = self.data / "ca.pem", folder / "device.pem", folder / "device.key"

    def start(self, row):
        self.serve()
        ready = self.ready()
        self.port = ready["https_port" if row.kind == "api" else "mqtt_port" if row.tls else "plain_port"]
        if row.tls and row.kind != "api" and not self.cert.exists():
            make_device(self.data, POLICY, self.key, self.cert)
            self.stop()  # a server that has just made a device is not a fresh one
            self.start(row)

    def serve(self):
        ready = self.data / "ready.json"
        ready.unlink(missing_ok=True)
        self.wait(ready.exists, self.run([STARLING, "serve", "--data", self.data, "--reactors", self.reactors, "--mqtt-port",
                                          0, "--https-port", 0, "--plain-port", 0]))

    def renew(self):
        """Forgets everything."""
        shutil.rmtree(self.data, ignore_errors=True)
        self.cert.unlink(missing_ok=True)

    def ready(self):
        return json.loads((self.data / "ready.json").read_text())


class StarlingTwo(Starling):
    """The same with two reactors."""
    name = "Starling, 2 reactors"

    def __init__(self, folder):
        super().__init__(folder)
        self.reactors = 2


class Moto(System):
    name = "moto"
    connections = 8  # it answers one at a time, and closes each

    def cannot(self, row):
        return "minutes" if row.load == ("create-10000",) else super().cannot(row)

    def start(self, row):
        self.port = free_port()
        self.wait(self.accepts, self.run([VENV / "moto_server", "-H", "127.0.0.1", "-p", self.port]))

    def version(self):
        return package_version("moto")


class Ministack(System):
    name = "ministack"

    def start(self, row):
        self.port = free_port()
        self.wait(self.answers, self.run([VENV / "ministack"], BIND_HOST="127.0.0.1", GATEWAY_PORT=str(self.port),
                                         LOG_LEVEL="ERROR"))

    def answers(self):
        return self.accepts()

    def version(self):
        return package_version("ministack")


def package_version(name):
    said = subprocess.run([VENV / "python", "-c", f"import importlib.metadata as m; print(m.version('{name}'))"],
                          capture_output=True, text=True).stdout.strip()
    return f"{name} {said}"


BROKERS = (Relay, Mosquitto, Rumqttd, Mochi, Starling)
API_SERVERS = (Ministack, Moto, Starling)
