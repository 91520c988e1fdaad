#!/usr/bin/env python3
"""A soak: connects, publishes, shadows, rules and API writes for a long time, and whether memory and p99 stay where they were.

    ./dev soak [--minutes 30] [--share 0.5 | --modest] [--write]

First all of the load runs unthrottled for some seconds: that is the capacity, of this server with this load generator on
this machine as busy as it is. Then each kind of work goes on at --share of the rate that it reached; with --modest at fixed
rates, for a machine that has other work as well. Resident memory is
sampled once a second; its slope is fitted over the least of each block after the first third. Latency, from when a message
was due to when its subscriber had it, is compared window by window with that of the same messages through the bare relay
of the measurements (bench/relay.c) at the same time, so that what the machine does meanwhile counts for both. Each
message must come once and in its publisher's order. --write puts the result into bench/README.md.
"""
import argparse
import asyncio
import collections
import datetime
import json
import math
import os
import pathlib
import socket
import statistics
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent), str(HERE.parents[1] / "tools")]
from arguments import positive  # noqa: E402
from client import Api, Mqtt, Signer  # noqa: E402
from ending import finish  # noqa: E402
from revision import commit  # noqa: E402
from support import wire  # noqa: E402
from support.rules import payload, republish  # noqa: E402
from support.server import ROOT, Server  # noqa: E402

PUBLISHERS, DEVICES, API_CLIENTS, CONNECTORS = 4, 4, 2, 2
CAPACITY_S, SETTLE_S = 15, 2
WINDOW_S = 30
BLOCK_MIN = 2.5  # of memory
WARM_UP = 1 / 3  # of the whole time: buffers and caches fill
RELAY_PER_S = 50
MODEST = {"publish": 280, "rule": 60, "shadow": 40, "api": 20, "connect": 5}
SLOPE_KB_PER_MIN_MAX = 20  # what can be told from zero is less than this
P99_GROWTH_MAX = 1.1
MARKS = "<!-- written by tests/faults/soak.py: begin -->\n", "<!-- written by tests/faults/soak.py: end -->\n"
ALLOW_ALL = json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "iot:*", "Resource": "*"}]})


class Pace:
    """When the next one is due: at once while per_s is None, then evenly."""

    def __init__(self, share=1):
        self.per_s, self.done, self.next, self.share = None, 0, 0.0, share

    def throttle(self, per_s):
        self.per_s, self.done, self.next = per_s, 0, time.monotonic()

    async def due(self):
        """The moment when it was due, which counts for latency."""
        self.done += 1
        if self.per_s is None:
            await asyncio.sleep(0)
            return time.monotonic()
        self.next += 1 / self.per_s
        wait = self.next - time.monotonic()
        if wait > 0:
            await asyncio.sleep(wait)
        return self.next


class Stream:
    """Numbered messages from one client to another, with the moment when they were due: loss, order, latency."""

    def __init__(self):
        self.sent = self.acked = self.got = 0
        self.wrong: list[str] = []
        self.late_s: list[float] = []

    def payload(self, due):
        self.sent += 1
        return b'{"n":%d,"due":%r}' % (self.sent, due)

    def message(self, _, payload):
        now, fields = time.monotonic(), json.loads(payload)
        self.got += 1
        if fields["n"] != self.got and len(self.wrong) < 5:
            self.wrong.append(f"{fields['n']} came as the {self.got}th")
        self.late_s.append(now - fields["due"])


class Soak:
    def __init__(self, folder):
        # The cache of TLS sessions is full before memory is looked at.
        self.server = Server(folder / "data", ("--plain-port", "0", "--test", "--tls-sessions-max", "1000"))
        self.streams = [Stream() for _ in range(PUBLISHERS)]
        self.ruled, self.floor = Stream(), Stream()
        self.paces = {name: [] for name in ("publish", "rule", "shadow", "api", "connect")}
        self.relay_pace = Pace()
        self.tasks, self.clients, self.stopping = [], [], False
        self.api_made, self.problems = 0, collections.Counter()
        self.folder, self.relay = folder, None

    def pace(self, name):
        self.paces[name].append(Pace())
        return self.paces[name][-1]

    # -- before -------------------------------------------------------------------------------------------------------

    async def start(self):
        self.server.start()
        iot = self.server.client("iot")
        iot.create_policy(policyName="everything", policyDocument=ALLOW_ALL)
        made = iot.create_keys_and_certificate(setAsActive=True)
        iot.attach_policy(policyName="everything", target=made["certificateArn"])
        cert, key = self.folder / "device.pem", self.folder / "device.key"
        cert.write_text(made["certificatePem"])
        key.write_text(made["keyPair"]["PrivateKey"])
        self.context = wire.tls_context(self.server)
        self.context.load_cert_chain(cert, key)
        iot.create_topic_rule(ruleName="soak", topicRulePayload=payload(
            "SELECT n, due FROM 'rule/#' WHERE n > 0", republish("ruled", 1)))
        for i in range(DEVICES):
            iot.create_thing(thingName=f"device-{i}")
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.relay_port = free.getsockname()[1]
        self.relay = subprocess.Popen([ROOT / "build/bench/relay", str(self.relay_port)], stdin=subprocess.DEVNULL)
        await asyncio.sleep(0.5)
        work = [self.publish(i, self.pace("publish")) for i in range(PUBLISHERS)] + [self.rule(self.pace("rule"))]
        work += [self.device(i, self.pace("shadow")) for i in range(DEVICES)]
        work += [self.registry(i, self.pace("api")) for i in range(API_CLIENTS)]
        work += [self.connect(i, self.pace("connect")) for i in range(CONNECTORS)]
        work += [self.through_relay()]
        self.tasks = [asyncio.create_task(one) for one in work]

    async def open(self, client_id, stream=None, filters=(), tls=False, port=None, **options):
        mqtt = Mqtt(client_id, on_message=stream.message if stream else None, **options)
        if port or not tls:
            await mqtt.open(port or self.server.plain_port)
        else:
            await mqtt.open(self.server.mqtt_port, self.context)
        if filters:
            await mqtt.subscribe(*filters, granted=b"\0" if port else b"\1")
        self.clients.append(mqtt)
        return mqtt

    # -- work ---------------------------------------------------------------------------------------------------------

    async def send(self, mqtt, stream, topic, pace):
        while not self.stopping:
            due = await pace.due()
            await mqtt.room.acquire()

            def acked(future):
                mqtt.room.release()
                if future.cancelled() or future.exception() or future.result() not in (0, 16):
                    self.problems[f"PUBACK on {topic}: {future}"] += 1
                else:
                    stream.acked += 1

            mqtt.publish(topic, stream.payload(due)).add_done_callback(acked)

    async def publish(self, i, pace):
        """To a persistent session that is there, so that the store is asked before the PUBACK; every second pair by TLS."""
        stream, version, tls = self.streams[i], 4 + i % 2, i >= PUBLISHERS // 2
        await self.open(f"sub-{i}", stream, (f"soak/{i}",), tls, version=version, clean=version == 5, expiry_s=3600)
        await self.send(await self.open(f"pub-{i}", tls=tls, version=version), stream, f"soak/{i}", pace)

    async def rule(self, pace):
        await self.open("ruled", self.ruled, ("ruled",), version=5)
        await self.send(await self.open("ruler", version=5), self.ruled, "rule/1", pace)

    async def device(self, i, pace):
        topic, accepted = f"$aws/things/device-{i}/shadow/update", asyncio.Queue()
        mqtt = Mqtt(f"device-{i}", 4 + i % 2, on_message=lambda topic, _: accepted.put_nowait(topic))
        await mqtt.open(self.server.mqtt_port, self.context)
        await mqtt.subscribe(topic + "/accepted", topic + "/rejected")
        number = 0
        while not self.stopping:
            await pace.due()
            number += 1
            mqtt.publish(topic, b'{"state":{"reported":{"n":%d,"on":true,"color":"white"}}}' % number)
            answered = await asyncio.wait_for(accepted.get(), 60)
            if not answered.endswith("/accepted"):
                self.problems[answered] += 1
        await mqtt.close()

    async def registry(self, i, pace):
        """A thing is made, changed, read and deleted: what is kept does not grow."""
        api = await Api(Signer(*self.server.credentials)).open(self.server.https_port, self.server.ca_file)
        number = 0
        while not self.stopping:
            number += 1
            path = f"/things/made-{i}-{number}"
            body = json.dumps({"attributePayload": {"attributes": {"n": str(number), "site": "north"}}}).encode()
            for method, data in (("POST", body), ("PATCH", body.replace(b"north", b"south")), ("GET", b""), ("DELETE", b"")):
                await pace.due()
                status, answer = await api.call(method, path, data)
                if status != 200:
                    self.problems[f"{method} {path}: {status} {answer[:100]!r}"] += 1
        api.close()

    async def connect(self, i, pace):
        """A device that comes by mutual TLS, subscribes, says something and goes; every second one just vanishes."""
        number = 0
        while not self.stopping:
            await pace.due()
            number += 1
            mqtt = Mqtt(f"caller-{i}-{number % 50}", 4 + number % 2, clean=number % 3 > 0, expiry_s=60 * (number % 2))
            await mqtt.open(self.server.mqtt_port, self.context)
            await mqtt.subscribe(f"caller/{i}/#")
            await mqtt.publish(f"caller/{i}/{number % 10}", b"here", retain=True)
            if number % 2:
                await mqtt.close()
            else:
                mqtt.abort()
                await mqtt.closed

    async def through_relay(self):
        """The floor: the same messages, without anything between."""
        sub = await self.open("floor-sub", self.floor, ("perf/1",), port=self.relay_port, version=4)
        pub = await self.open("floor-pub", port=self.relay_port, version=4)
        self.relay_pace.throttle(RELAY_PER_S)
        while not self.stopping and not sub.closed.done():
            due = await self.relay_pace.due()
            pub.publish("perf/1/x", self.floor.payload(due))

    # -- the course ---------------------------------------------------------------------------------------------------

    async def check(self):
        for task in self.tasks:
            if task.done() and task.exception():
                raise RuntimeError(f"a part of the load ended: {task.exception()!r}; the end of the server's log:\n"
                                   + self.server.log()[-1500:]) from task.exception()
        if not self.server.alive():
            raise RuntimeError("the server ended:\n" + self.server.log()[-3000:])

    async def capacity(self):
        await asyncio.sleep(SETTLE_S)
        before, began = {k: sum(p.done for p in v) for k, v in self.paces.items()}, time.monotonic()
        await asyncio.sleep(CAPACITY_S)
        await self.check()
        took = time.monotonic() - began
        return {k: (sum(p.done for p in v) - before[k]) / took for k, v in self.paces.items()}

    def slow_down(self, rates):
        for name, paces in self.paces.items():
            for pace in paces:
                pace.throttle(rates[name] / len(paces))

    def rss_kb(self):
        status = pathlib.Path(f"/proc/{self.server.process.pid}/smaps_rollup").read_text()
        return int(status.split("Rss:")[1].split()[0])

    def take(self, *streams):
        """The latencies since the last time."""
        found = []
        for stream in streams:
            found += stream.late_s
            stream.late_s = []
        return found

    async def run(self, minutes, share):
        """share None: the modest rates."""
        await self.start()
        rates = await self.capacity() if share else None
        self.slow_down({k: v * share for k, v in rates.items()} if share else MODEST)
        await asyncio.sleep(SETTLE_S)
        self.take(*self.streams, self.ruled, self.floor)
        windows, memory, end = [], [], time.monotonic() + minutes * 60
        began = time.monotonic()
        done_before = {k: sum(p.done for p in v) for k, v in self.paces.items()}
        while time.monotonic() < end:
            close = min(end, time.monotonic() + WINDOW_S)
            while time.monotonic() < close:
                await asyncio.sleep(1)
                memory.append(((time.monotonic() - began) / 60, self.rss_kb()))
            await self.check()
            here, floor = self.take(*self.streams, self.ruled), self.take(self.floor)
            if len(here) >= 200 and len(floor) >= 200:
                windows.append((percentile(here, 50), percentile(here, 99), percentile(floor, 99)))
                minute, kb = memory[-1]
                print(f"{minute:6.1f} min  {kb:8} kB  p50 {windows[-1][0] * 1000:6.2f} ms  p99 "
                      f"{windows[-1][1] * 1000:7.2f} ms  relay's {windows[-1][2] * 1000:7.2f} ms  load "
                      f"{os.getloadavg()[0]:.1f}", flush=True)
        took = time.monotonic() - began
        reached = {k: (sum(p.done for p in v) - done_before[k]) / took for k, v in self.paces.items()}
        await self.finish()
        return rates, reached, windows, memory

    async def finish(self):
        self.stopping = True
        await asyncio.wait_for(asyncio.gather(*self.tasks), 90)
        streams = [*self.streams, self.ruled]
        for _ in range(200):
            if all(s.got >= s.sent and s.acked >= s.sent for s in streams):
                break
            await asyncio.sleep(0.1)
        for mqtt in self.clients:
            await mqtt.close()
        self.server.stop()

    def end(self):
        if self.relay:
            self.relay.kill()
            self.relay.wait()
        if self.server.alive():
            self.server.kill()


def percentile(values, percent):
    return sorted(values)[min(len(values) - 1, math.ceil(len(values) * percent / 100))]


def slope(memory):
    """kB a minute, and the half-width of its 95 % confidence interval. The store's table of last writes grows by 8 MB and
    goes, again and again: so the least of each block is fitted, which is long enough for one to have gone."""
    blocks = collections.defaultdict(list)
    for minute, kb in memory:
        blocks[int((minute - memory[0][0]) / BLOCK_MIN)].append((kb, minute))
    points = [(minute, kb) for kb, minute in map(min, blocks.values())]
    if len(points) < 4:
        return None, math.inf
    x0, y0 = statistics.mean(x for x, _ in points), statistics.mean(y for _, y in points)
    square = sum((x - x0) ** 2 for x, _ in points)
    fit = sum((x - x0) * (y - y0) for x, y in points) / square
    rest = sum((y - y0 - fit * (x - x0)) ** 2 for x, y in points) / (len(points) - 2)
    student = 2.0 if len(points) > 30 else 2.1 if len(points) > 16 else 2.3 if len(points) > 8 else 3.0
    return fit, student * math.sqrt(rest / square)


def stated_slope(fit, error, flat):
    if fit is None:
        return f"not fitted | too short to tell: that takes {4 * BLOCK_MIN / (1 - WARM_UP):.0f} minutes"
    verdict = "zero within noise" if abs(fit) <= error else f"below {SLOPE_KB_PER_MIN_MAX} kB/min" if flat else "**not zero**"
    return f"{fit:+.1f} ± {error:.1f} kB/min | 95 %; {verdict}"


def tell(soak, minutes, share, rates, reached, windows, memory):
    """The lines of the report, and whether all is as it must be."""
    steady = [(m, kb) for m, kb in memory if m >= minutes * WARM_UP]
    fit, error = slope(steady)
    part = max(2, len(windows) // 6)
    first, last = windows[:part], windows[-part:]

    def middle(which, column):
        return statistics.median(w[column] for w in which) * 1000

    ratio = [statistics.median(w[1] / w[2] for w in which) for which in (first, last)]
    wrong = [text for s in (*soak.streams, soak.ruled) for text in s.wrong]
    missing = sum(s.acked - s.got for s in (*soak.streams, soak.ruled))
    flat = fit is None or abs(fit) <= max(error, SLOPE_KB_PER_MIN_MAX)
    even = ratio[1] <= ratio[0] * P99_GROWTH_MAX or middle(last, 1) <= middle(first, 1) * P99_GROWTH_MAX
    names = {"publish": "QoS 1 publishes", "rule": "messages through a rule", "shadow": "shadow updates",
             "api": "API calls", "connect": "connects (mutual TLS)"}
    lines = [f"`./dev soak --minutes {minutes:g}{'' if share else ' --modest'}`, commit {commit()}, "
             f"{datetime.date.today()}; load average at the end {os.getloadavg()[0]:.1f}. " +
             (f"Capacity was measured for {CAPACITY_S} s, then {share:.0%} of it kept up:" if share else
              "Fixed rates, as the machine had other work:"), "",
             f"| a second | {'capacity' if share else 'asked for'} | kept up |", "| --- | ---: | ---: |"]
    rates = rates or MODEST
    lines += [f"| {names[k]} | {rates[k]:,.0f} | {reached[k]:,.0f} |" for k in rates]
    lines += ["", "| | | |", "| --- | ---: | --- |",
              f"| messages lost, doubled or out of order | {max(0, missing) + len(wrong)} | of "
              f"{sum(s.got for s in (*soak.streams, soak.ruled)):,}; other complaints: {sum(soak.problems.values())} |",
              f"| resident memory at the start, after a third, at the end | {memory[0][1] / 1000:.1f}, "
              f"{steady[0][1] / 1000:.1f}, {memory[-1][1] / 1000:.1f} MB | |",
              f"| its slope after a third | {stated_slope(fit, error, flat)} |",
              f"| p50, median of windows, first and last sixth | {middle(first, 0):.2f}, {middle(last, 0):.2f} ms | |",
              f"| p99, the same | {middle(first, 1):.2f}, {middle(last, 1):.2f} ms | × {middle(last, 1) / middle(first, 1):.2f} |",
              f"| the bare relay's p99 at the same times | {middle(first, 2):.2f}, {middle(last, 2):.2f} ms | "
              f"× {middle(last, 2) / middle(first, 2):.2f} |",
              f"| p99 to the relay's | {ratio[0]:.2f}, {ratio[1]:.2f} | × {ratio[1] / ratio[0]:.2f}; wanted ≤ {P99_GROWTH_MAX}: "
              f"{'met' if even else '**missed**'} |"]
    good = flat and even and not wrong and missing <= 0 and not soak.problems
    return lines, good, [*wrong, *map(str, soak.problems.most_common(5))]


def write(lines):
    path = ROOT / "bench/README.md"
    text = path.read_text()
    before, rest = text.split(MARKS[0])
    path.write_text(before + MARKS[0] + "\n".join(lines) + "\n" + MARKS[1] + rest.split(MARKS[1])[1])


def main():
    parser = argparse.ArgumentParser(prog="./dev soak", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=positive(float), default=30, help="of load (default: 30)")
    parser.add_argument("--share", type=positive(float), default=0.5, help="of the capacity (default: 0.5)")
    parser.add_argument("--modest", action="store_true", help="fixed rates instead")
    parser.add_argument("--write", action="store_true", help="into bench/README.md; without, the result is printed")
    options = parser.parse_args()
    if options.minutes < 2 * WINDOW_S / 60:
        parser.error(f"--minutes {options.minutes:g} is shorter than the two windows of {WINDOW_S} s that are compared")
    share = None if options.modest else options.share
    subprocess.run(["ninja", "-C", ROOT / "build", "bench/relay"], check=True, stdout=subprocess.DEVNULL)
    with tempfile.TemporaryDirectory(prefix="starling-soak-") as name:
        soak = Soak(pathlib.Path(name))
        try:
            rates, reached, windows, memory = asyncio.run(soak.run(options.minutes, share))
        finally:
            soak.end()
    lines, good, wrong = tell(soak, options.minutes, share, rates, reached, windows, memory)
    print("\n".join([*lines, *wrong]))
    if options.write:
        write(lines)
    return 0 if good else 1


if __name__ == "__main__":
    finish("soak", main)
