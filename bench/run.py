#!/usr/bin/env python3
"""Measures Starling beside mosquitto and a bare relay, one load at a time, and writes the table of bench/README.md.

   ./dev bench                 every row, three rounds; writes bench/README.md
   ./dev bench NAME...         only these rows (a prefix is enough); prints the table
   ./dev bench --rounds N --seconds S

A round runs each row on each broker in turn, each time on a freshly started process; the table states medians."""
import argparse
import dataclasses
import datetime
import json
import os
import pathlib
import resource
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time

from device import make_device

ROOT = pathlib.Path(__file__).resolve().parents[1]
BUILD = pathlib.Path(os.environ.get("BUILD", ROOT / "build"))
STARLING, MQLOAD, RELAY = BUILD / "src/server/starling", BUILD / "bench/mqload", BUILD / "bench/relay"
README = ROOT / "bench/README.md"
BEGIN, END = "<!-- written by bench/run.py: begin -->", "<!-- written by bench/run.py: end -->"
START_TIMEOUT_S = 30
LOAD_TIMEOUT_S = 300
WILDCARDS = 100_000

# What a fleet's policy looks like: the client's own identity decides, for every connect, publish and receive.
POLICY = {"Version": "2012-10-17", "Statement": [
    {"Effect": "Allow", "Action": "iot:Connect", "Resource": "arn:aws:iot:*:*:client/${iot:ClientId}"},
    {"Effect": "Allow", "Action": ["iot:Publish", "iot:Receive"], "Resource": [
        "arn:aws:iot:*:*:topic/perf/*", "arn:aws:iot:*:*:topic/${iot:ClientId}/*"]},
    {"Effect": "Allow", "Action": "iot:Subscribe", "Resource": [
        "arn:aws:iot:*:*:topicfilter/perf/*", "arn:aws:iot:*:*:topicfilter/${iot:ClientId}/*"]}]}


@dataclasses.dataclass(frozen=True)
class Row:
    name: str
    title: str
    unit: str
    figure: str  # of what mqload prints
    load: tuple[str, ...]
    tls: bool = False
    relay: bool = True  # the relay knows a topic's number and nothing else
    more_is_better: bool = False


CONNECTS = ("connect", "--clients", "3000", "--seconds", "1")
CONNECTS_PLAIN = ("connect", "--clients", "5000", "--seconds", "1")
FANIN = ("fanin", "--clients", "50")
FANOUT = ("fanout", "--clients", "1000")
WILDCARD = ("wildcard", "--clients", "50", "--wild", str(WILDCARDS))
CPU = ("CPU s / million", "broker_cpu_s_per_million")
ROWS = (
    Row("connect-rate", "connects a second, mutual TLS 1.3", "1/s", "connects_per_s", CONNECTS, tls=True,
        more_is_better=True),
    Row("connect-cpu", "CPU of a connect, mutual TLS 1.3", "µs", "broker_cpu_us_per_connect", CONNECTS, tls=True),
    Row("connect-memory", "memory of an idle connection, mutual TLS 1.3", "kB", "kb_per_connection", CONNECTS, tls=True),
    Row("connect-plain-memory", "memory of an idle connection, no TLS", "kB", "kb_per_connection", CONNECTS_PLAIN),
    Row("fanin-q0", "50 publishers to 50 subscribers, QoS 0", *CPU, FANIN),
    Row("fanin-q1", "the same, QoS 1", *CPU, (*FANIN, "--qos", "1")),
    Row("fanin-tls-q0", "the same, QoS 0, mutual TLS 1.3", *CPU, FANIN, tls=True),
    Row("fanout-q0", "1 publisher to 1,000 subscribers, QoS 0", *CPU, FANOUT, relay=False),
    Row("fanout-q1", "the same, QoS 1", *CPU, (*FANOUT, "--qos", "1"), relay=False),
    Row("wildcards-q0", f"50 to 50, QoS 0, with {WILDCARDS:,} wildcard subscriptions", *CPU, WILDCARD, relay=False),
)


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
    for name, subject in (("server", "/CN=localhost"), ("client", "/CN=client")):
        openssl(folder, "req", *key, "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", subject)
        openssl(folder, "x509", "-req", "-in", f"{name}.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-days", "2",
                "-out", f"{name}.pem")


class Broker:
    """A process on loopback, started for each load and ended after it."""
    name = ""

    def __init__(self, folder):
        self.folder, self.process, self.port = folder, None, 0
        self.ca, self.cert, self.key = folder / "ca.pem", folder / "client.pem", folder / "client.key"

    def run(self, command):
        with open(self.folder / f"{self.name}.log", "ab") as log:
            self.process = subprocess.Popen([str(c) for c in command], stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def wait(self, ready):
        deadline = time.monotonic() + START_TIMEOUT_S
        while not ready():
            if self.process.poll() is not None or time.monotonic() > deadline:
                log = (self.folder / f"{self.name}.log").read_text()[-2000:]
                raise SystemExit(f"bench: {self.name} did not start:\n{log}")
            time.sleep(0.02)

    def accepts(self):
        with socket.socket() as s:
            return s.connect_ex(("127.0.0.1", self.port)) == 0

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def version(self):
        return self.name


class Relay(Broker):
    name = "bare relay"

    def start(self, tls):
        self.port = free_port()
        self.run([RELAY, self.port, *(["tls", self.ca, self.folder / "server.pem", self.folder / "server.key"] if tls else [])])
        self.wait(self.accepts)


class Mosquitto(Broker):
    name = "mosquitto"

    def start(self, tls):
        self.port = free_port()
        lines = [f"listener {self.port} 127.0.0.1", "allow_anonymous true", "persistence false", "log_type error"]
        if os.getuid() == 0:
            lines += ["user root"]  # it would drop to a user that cannot read the keys
        if tls:
            lines += [f"cafile {self.ca}", f"certfile {self.folder}/server.pem", f"keyfile {self.folder}/server.key",
                      "require_certificate true"]
        config = self.folder / "mosquitto.conf"
        config.write_text("\n".join(lines) + "\n")
        self.run(["mosquitto", "-c", config])
        self.wait(self.accepts)

    def version(self):
        said = subprocess.run(["mosquitto", "-h"], capture_output=True, text=True).stdout
        return said.splitlines()[0] if said else self.name


class Starling(Broker):
    name = "Starling"

    def __init__(self, folder):
        super().__init__(folder)
        self.data = folder / "data"
        self.ca, self.cert, self.key = self.data / "ca.pem", folder / "device.pem", folder / "device.key"

    def start(self, tls):
        ready = self.data / "ready.json"
        ready.unlink(missing_ok=True)
        self.run([STARLING, "serve", "--data", self.data, "--reactors", 1, "--mqtt-port", 0, "--https-port", 0,
                  "--plain-port", 0])
        self.wait(ready.exists)
        self.port = json.loads(ready.read_text())["mqtt_port" if tls else "plain_port"]
        if tls and not self.cert.exists():
            self.add_device()

    def add_device(self):
        make_device(self.data, POLICY, self.key, self.cert)
        self.stop()  # a server that has just made a device is not a fresh one
        self.start(True)


def measure(broker, row, seconds):
    broker.start(row.tls)
    try:
        command = [MQLOAD, *row.load, "--port", broker.port, "--pid", broker.process.pid]
        if row.load[0] != "connect":
            command += ["--seconds", seconds]
        if row.tls:
            command += ["--tls=1.3", "--cafile", broker.ca, "--cert", broker.cert, "--key", broker.key]
        done = subprocess.run([str(c) for c in command], capture_output=True, text=True, timeout=LOAD_TIMEOUT_S)
        if done.returncode:
            raise SystemExit(f"bench: {row.name} on {broker.name}: {done.stderr or done.stdout}")
        return json.loads(done.stdout)
    finally:
        broker.stop()


def progress(text):
    if sys.stderr.isatty():
        print(f"\r\x1b[K{text}", end="", file=sys.stderr, flush=True)
    elif text:
        print(text, file=sys.stderr, flush=True)


def run_all(rows, rounds, seconds):
    """Figures by (load, broker): rows that share a load and differ in the figure are measured once."""
    results, versions = {}, {}
    with tempfile.TemporaryDirectory(prefix="starling-bench-") as folder:
        folder = pathlib.Path(folder)
        make_certificates(folder)
        brokers = [Relay(folder), Mosquitto(folder), Starling(folder)]
        for turn in range(rounds):
            seen = set()
            for row in rows:
                if (row.load, row.tls) in seen:
                    continue
                seen.add((row.load, row.tls))
                for broker in brokers:
                    if broker.name == Relay.name and not row.relay:
                        continue
                    progress(f"round {turn + 1} of {rounds}: {row.name} on {broker.name}")
                    figures = measure(broker, row, seconds)
                    results.setdefault((row.load, row.tls, broker.name), []).append(figures)
                    versions[broker.name] = broker.version()
        progress("")
    return results, versions


def median_of(results, row, broker):
    runs = results.get((row.load, row.tls, broker))
    return statistics.median(run[row.figure] for run in runs) if runs else None


def number(value):
    if value is None:
        return "–"
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.3g}"


def ratio(ours, other):
    return f"× {ours / other:.2g}" if other and ours is not None and other > 0 else "–"


def table(rows, results):
    lines = ["| | unit | bare relay | mosquitto | **Starling** | to the relay | to mosquitto |",
             "| --- | --- | ---: | ---: | ---: | ---: | ---: |"]
    for row in rows:
        floor, peer, ours = (median_of(results, row, b.name) for b in (Relay, Mosquitto, Starling))
        unit = row.unit + (" (more is better)" if row.more_is_better else "")
        lines.append(f"| `{row.name}`: {row.title} | {unit} | {number(floor)} | {number(peer)} | **{number(ours)}** |"
                     f" {ratio(ours, floor)} | {ratio(ours, peer)} |")
    return lines


def faults(rows, results):
    """What would make a figure worth nothing: loss, reordering."""
    lines = []
    for (load, tls, broker), runs in results.items():
        lost = statistics.median(r["lost"] for r in runs)
        reordered = sum(r["reordered"] for r in runs)
        if lost or reordered:
            name = next(r.name for r in rows if (r.load, r.tls) == (load, tls))
            lines.append(f"- `{name}` on {broker}: {lost:,.0f} messages lost (median), {reordered:,.0f} out of order")
    return lines


def machine():
    model = "unknown processor"
    for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            model = line.split(":", 1)[1].strip()
            break
    return f"{os.cpu_count()} cores of {model}, Linux {os.uname().release.split('-')[0]}"


def commit():
    def git(*arguments):
        return subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True).stdout.strip()
    return git("rev-parse", "--short", "HEAD") + (" and changes" if git("status", "--porcelain", "-uno", "src") else "")


def write_readme(lines):
    text = README.read_text()
    head, rest = text.split(BEGIN, 1)
    _, tail = rest.split(END, 1)
    README.write_text(head + BEGIN + "\n" + "\n".join(lines) + "\n" + END + tail)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help="rows: " + ", ".join(r.name for r in ROWS))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=3, help="of each measured span")
    options = parser.parse_args()
    rows = [r for r in ROWS if not options.names or any(r.name.startswith(n) for n in options.names)]
    if not rows:
        parser.error(f"no row {' '.join(options.names)}; there are {', '.join(r.name for r in ROWS)}")
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    results, versions = run_all(rows, options.rounds, options.seconds)
    load = os.getloadavg()[1]
    lines = [f"`./dev bench`, commit {commit()}, {datetime.date.today()}; {machine()} (load average {load:.1f}), "
             f"{versions[Mosquitto.name]}; medians of {options.rounds} rounds of {options.seconds:g} s", "",
             *table(rows, results)]
    lost = faults(rows, results)
    lines += ["", *lost] if lost else ["", "No message was lost or out of order."]
    print("\n".join(lines))
    if not options.names:
        write_readme(lines)


if __name__ == "__main__":
    main()
