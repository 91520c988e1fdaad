"""A slow and a bad network: delay, packets that overtake each other, loss, little bandwidth, silence. Clients by mutual TLS,
in a network namespace of the run's own (line.py).
"""
import asyncio
import json
import pathlib
import subprocess
import sys

from crowd import device
from line import PEER
from support.server import Server
from traffic import Door, Traffic

# name, quality of the line, seconds short and long
PHASES = (
    ("delay of 60 ± 30 ms, 2 % lost", {"delay_ms": 60, "jitter_ms": 30, "loss": 0.02}, 4, 20),
    ("64 kB a second", {"delay_ms": 10, "bytes_per_s": 64_000}, 4, 20),
    ("a fifth lost", {"delay_ms": 5, "loss": 0.2}, 4, 20),
    ("silence", {"loss": 1.0}, 3, 15),
)


class Wire:
    """The line, a process of its own."""

    def __init__(self, seed):
        self.process = subprocess.Popen([sys.executable, pathlib.Path(__file__).parent / "line.py", str(seed)], text=True,
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.why = "" if self.process.stdout.readline().strip() == "ready" else self.process.communicate()[1][-300:]

    def become(self, **quality):
        """What the line did so far."""
        self.process.stdin.write(json.dumps(quality) + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def end(self):
        self.process.kill()
        self.process.wait()


async def phases(cases, folder, options, line):
    server = Server(folder / "data", ("--test", "--listen", "*", "--plain-port", "0"))
    try:
        server.start()
        door = Door(server, PEER, device(server, folder))
        traffic = await Traffic(server, door, per_s=25).start()
        await asyncio.sleep(1)
        for name, quality, short, long in PHASES:
            acked = traffic.acked
            before = line.become(**quality)
            await asyncio.sleep(short if options.short else long)
            after = line.become()
            acked = traffic.acked - acked
            cases.say(f"{name}: {acked} acknowledged, {after['passed'] - before['passed']} packets passed, "
                      f"{after['lost'] - before['lost']} lost, {traffic.cut} connections cut so far")
            if quality.get("loss") != 1.0:
                cases.add(f"{name}: messages go through", "" if acked else "none was acknowledged")
            await asyncio.sleep(1)
        verdict = await traffic.settle()
        cases.say(traffic.told(verdict))
        cases.add("a bad network: nothing is lost, doubled or out of order", cases.bad(verdict))
        server.stop()
    finally:
        if server.alive():
            server.kill()


def run(cases, folder, options):
    line = Wire(options.seed)
    try:
        if line.why:
            cases.skip("network", f"no TUN device: {line.why}")
        else:
            asyncio.run(phases(cases, folder, options, line))
    finally:
        line.end()
