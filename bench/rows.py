"""What is measured, one row each, and what it is to be at most (or at least)."""
import dataclasses

FLOOR, STARLING = "floor", "Starling"


@dataclasses.dataclass(frozen=True)
class Target:
    """ours <= factor * what `of` names: a system's figure in the same row, or ours in another row; a number by itself
    where `of` is empty. `least` turns it round."""
    factor: float
    of: str = ""
    row: str = ""
    least: bool = False

    def text(self):
        sign = "≥" if self.least else "≤"
        if not self.of and not self.row:
            return f"{sign} {self.factor:g}"
        return f"{sign} {self.factor:g} × {f'`{self.row}`' if self.row else self.of}"


@dataclasses.dataclass(frozen=True)
class Row:
    name: str
    title: str
    unit: str
    figure: str  # path in what the load prints, or in what a system measured of itself
    load: tuple[str, ...]
    targets: tuple[Target, ...] = ()
    tls: bool = False
    more_is_better: bool = False
    kind: str = ""  # of work, which a system may not be able to do; empty: the load's mode
    runs_on: tuple[str, ...] = ()  # names of systems; empty: all of the row's table
    setup: tuple[str, ...] = ()  # api: request files that are sent before, once
    once: bool = False  # it takes minutes: in the first round only

    @property
    def work(self):
        return self.kind or self.load[0]


PAIRS = ("fanin", "--clients", "50")
CPU = ("CPU s / million messages", "broker_cpu_s_per_million")
P50 = ("µs", "latency_us.p50")
CONNECT = ("connect", "--clients", "2000", "--seconds", "1")


def idle(n):
    return ("connect", "--clients", str(n), "--seconds", "1")


def fleet(connections):
    return ("fanin", "--clients", str(connections // 2), "--rate", "20000")


MESSAGES = (
    Row("fanin-q0", "50 publishers to 50 subscribers, QoS 0, 64 bytes, window 50", *CPU, PAIRS, (Target(1.6, FLOOR),)),
    Row("fanin-q1", "50 to 50, QoS 1, 64 bytes, window 50", *CPU, (*PAIRS, "--qos", "1"), (Target(1.6, FLOOR),)),
    Row("fanin-w1", "50 to 50, QoS 0, window 1", *CPU, (*PAIRS, "--window", "1"), (Target(1.15, FLOOR),)),
    Row("fanin-20k", "50 to 50, QoS 0, 20,000 messages a second", *CPU, (*PAIRS, "--rate", "20000"),
        (Target(1.05, FLOOR),)),
    Row("latency-20k", "latency of 20,000 a second, 50 to 50: half below", *P50, (*PAIRS, "--rate", "20000"),
        (Target(80),)),
    Row("latency-20k-p999", "latency of 20,000 a second, 50 to 50: 99.9 % below", "µs", "latency_us.p999",
        (*PAIRS, "--rate", "20000")),
    Row("fanin-tls", "50 to 50, QoS 0, mutual TLS 1.3", *CPU, PAIRS, (Target(1.5, FLOOR),), tls=True),
    Row("latency-20k-tls", "latency of 20,000 a second, 50 to 50, mutual TLS 1.3: half below", *P50,
        (*PAIRS, "--rate", "20000"),
        (Target(110),), tls=True),
    Row("interleaved", "each of 50 publishers to the topics of 50 subscribers in turn, QoS 0", *CPU,
        ("interleaved", "--clients", "50"), (Target(0.55), Target(0.2, "mochi"))),
    Row("fanout-q0", "1 publisher to 1,000 subscribers, QoS 0", *CPU, ("fanout", "--clients", "1000"),
        (Target(0.5, "rumqttd"),)),
    Row("fanout-q1", "1 publisher to 1,000 subscribers, QoS 1", *CPU, ("fanout", "--clients", "1000", "--qos", "1"),
        (Target(0.5, "rumqttd"),)),
    Row("wildcards", "50 to 50, QoS 0, with 100,000 wildcard subscriptions in the table", *CPU,
        ("wildcard", "--clients", "50", "--wild", "100000"), (Target(1.05, row="wildcards-none"),)),
    Row("wildcards-none", "50 to 50, QoS 0, with one wildcard subscription", *CPU,
        ("wildcard", "--clients", "50", "--wild", "1")),
    Row("subscription-memory", "memory of one of 100,000 subscriptions", "kB", "kb_per_subscription",
        ("wildcard", "--clients", "50", "--wild", "100000"), (Target(0.5),)),
)

CONNECTIONS = (
    Row("connect", "CPU of a new handshake and CONNECT, mutual TLS 1.3", "µs", "broker_cpu_us_per_connect", CONNECT,
        (Target(0.9, FLOOR),), tls=True),
    Row("resume", "CPU of a resumed handshake and CONNECT, mutual TLS 1.3", "µs", "broker_cpu_us_per_connect",
        ("resume", *CONNECT[1:]),
        (Target(0.3, FLOOR + " of `connect`"),), tls=True),
    Row("connect-plain", "CPU of a CONNECT without TLS", "µs", "broker_cpu_us_per_connect", CONNECT),
    Row("idle-tls-1k", "memory of an idle TLS connection, 1,000 of them", "kB", "kb_per_connection", idle(1000), tls=True),
    Row("idle-tls-5k", "memory of an idle TLS connection, 5,000 of them", "kB", "kb_per_connection", idle(5000),
        (Target(25),), tls=True),
    Row("idle-tls-19k", "memory of an idle TLS connection, 19,000 of them", "kB", "kb_per_connection", idle(19000),
        (Target(25),), tls=True, runs_on=(FLOOR, STARLING), once=True),
    Row("idle-1k", "memory of an idle connection without TLS, 1,000 of them", "kB", "kb_per_connection", idle(1000)),
    Row("idle-5k", "memory of an idle connection without TLS, 5,000 of them", "kB", "kb_per_connection", idle(5000),
        (Target(1),)),
    Row("idle-19k", "memory of an idle connection without TLS, 19,000 of them", "kB", "kb_per_connection", idle(19000),
        (Target(1),)),
    Row("fleet-1k", "20,000 messages a second, QoS 0, from half of 1,000 connections to the others", *CPU, fleet(1000),
        runs_on=(FLOOR, STARLING)),
    Row("fleet-5k", "20,000 messages a second, QoS 0, from half of 5,000 connections to the others", *CPU, fleet(5000),
        runs_on=(FLOOR, STARLING)),
    Row("fleet-19k", "20,000 messages a second, QoS 0, from half of 19,000 connections to the others", *CPU, fleet(19000),
        (Target(1.1, row="fleet-1k"),), runs_on=(FLOOR, STARLING)),
)

REACTORS = (
    Row("two-fanin", "50 to 50, QoS 0", *CPU, PAIRS, (Target(1.15, row="fanin-q0"),)),
    Row("two-fanout", "1 to 1,000, QoS 0", *CPU, ("fanout", "--clients", "1000"), (Target(1.1, row="fanout-q0"),)),
    Row("two-20k", "50 to 50, 20,000 a second", *CPU, (*PAIRS, "--rate", "20000"), (Target(1.1, row="fanin-20k"),)),
)

API = (
    Row("shadow-get", "GetThingShadow, CPU of one", "ms", "server_cpu_ms", ("get",), (Target(0.03),), kind="api",
        setup=("create-1000", "update-all")),
    Row("shadow-get-rate", "GetThingShadow", "1/s", "requests_per_s", ("get",), kind="api", more_is_better=True,
        setup=("create-1000", "update-all")),
    Row("shadow-update", "UpdateThingShadow, CPU of one", "ms", "server_cpu_ms", ("update",), kind="api",
        setup=("create-1000",)),
    Row("shadow-update-rate", "UpdateThingShadow, durable", "1/s", "requests_per_s", ("update",), kind="api",
        more_is_better=True, setup=("create-1000",)),
    Row("thing-create", "10,000 times CreateThing", "s", "seconds", ("create-10000",), (Target(0.5),), kind="api"),
    Row("thing-create-cpu", "CreateThing, CPU of one", "ms", "server_cpu_ms", ("create-10000",), kind="api"),
    Row("start", "from start to ready, empty", "ms", "start_ms", ("nothing",), (Target(50),), kind="api"),
    Row("start-cpu", "CPU from start to ready, empty", "ms", "start_cpu_ms", ("nothing",), kind="api"),
    Row("resident", "resident memory when ready, empty", "MB", "rss_mb", ("nothing",), (Target(30),), kind="api"),
)

STORE = (
    Row("shadow-mqtt", "shadow updates over MQTT, 64 clients, accepted after the sync", "1/s", "delivered_per_s",
        ("shadow", "--clients", "64", "--window", "20"),
        (Target(0.2, FLOOR, least=True), Target(20, "ministack over HTTP", least=True)), more_is_better=True),
    Row("restart", "restart with 1 million things and 100,000 persistent sessions", "s", "start_s", ("restart",),
        (Target(2),), kind="restart", once=True),
)
