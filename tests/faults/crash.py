"""kill -9 under load, again and again on the same data: nothing acknowledged is lost, nothing is corrupt.

Every second run also cuts the power: what the kernel holds and no sync asked for is cut off the store's log before
the server starts again. A checker outside of the server compares what it promised with what is there. That the
checker can fail is shown by two planted faults: a server that answers before it commits (found by kill -9), and one
that does not sync (found by the power cut).
"""
import argparse
import asyncio
import dataclasses
import os
import pathlib
import random
import statistics
import struct
import subprocess
import time

from load import World
from support.server import ROOT, Server

RESTART_S_MAX = 1.0
LOAD_S = (1.0, 3.0)  # the kill comes at a random moment of the load
PLANTED_RUNS_MAX = 5
SLOT = struct.Struct("=Qq")


class Power:
    """What the preloaded power.so noted, and the cut."""

    def __init__(self, folder):
        self.notes = folder / "synced"

    def environment(self):
        return {"LD_PRELOAD": str(ROOT / "build/tests/faults/power.so"), "STARLING_POWER": str(self.notes)}

    def cut(self, store) -> int:
        """Cuts the store's logs to what was synced; returns the bytes cut off."""
        synced = dict(SLOT.iter_unpack(self.notes.read_bytes()))
        lost = 0
        for log in store.glob("*.log"):
            status = log.stat()
            keep = min(status.st_size, synced.get(status.st_ino, 0))
            lost += status.st_size - keep
            os.truncate(log, keep)
        return lost


@dataclasses.dataclass
class Totals:
    restarts_s: list = dataclasses.field(default_factory=list)
    restarts_cpu_s: list = dataclasses.field(default_factory=list)
    bytes_cut: int = 0


def timed_start(server) -> float:
    started = time.monotonic()
    server.start()
    return time.monotonic() - started


def cpu_s(pid) -> float:
    """What the process has computed so far: a restart on a machine that is busy with other things takes longer."""
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def say(text):
    print(text, flush=True)


async def run_once(world, power, rng, cut, totals):
    await world.load()
    await asyncio.sleep(rng.uniform(*LOAD_S))
    if not world.server.alive():
        world.verdict.failed.append(f"the server ended by itself:\n{world.server.log()[-3000:]}")
    world.server.kill()
    await world.end()
    if cut:
        totals.bytes_cut += power.cut(world.server.data / "store")
    totals.restarts_s.append(timed_start(world.server))
    totals.restarts_cpu_s.append(cpu_s(world.server.process.pid))
    return await world.read_back()


async def fault_run(folder, options, arguments=(), cuts=lambda number: number % 2 == 1, stop_when_bad=False):
    """The runs; returns the verdict over all of them."""
    power, rng, totals = Power(folder), random.Random(options.seed), Totals()
    os.environ.update(power.environment())
    server = Server(folder / "data", ("--plain-port", "0", "--test", *arguments))
    server.start()
    server.stop()
    if options.things or options.sessions:
        fill = [ROOT / "build/tests/faults/fill", server.data / "store", str(options.things), str(options.sessions)]
        subprocess.run(fill, check=True)
    server.start()
    world, total = World(server, rng), None
    try:
        await world.prepare()
        for number in range(1, options.runs + 1):
            cut = cuts(number)
            began = time.monotonic()
            verdict = await run_once(world, power, rng, cut, totals)
            say(f"run {number:2}: {'power cut' if cut else 'kill -9  '}  {verdict.acknowledged:6} acknowledged, "
                f"{verdict.checked:6} read back, {len(verdict.lost)} lost, {len(verdict.corrupt)} corrupt, "
                f"{len(verdict.disordered)} out of order, {verdict.repeated} sent again, {len(verdict.failed)} failed, "
                f"restart {totals.restarts_s[-1] * 1000:.0f} ms, {time.monotonic() - began:.1f} s")
            for kind in ("lost", "corrupt", "disordered", "failed"):
                for line in getattr(verdict, kind)[:5]:
                    say(f"        {kind}: {line}")
            total = verdict if total is None else total
            if total is not verdict:
                total.add(verdict)
            if stop_when_bad and not total.good:
                break
    finally:
        if server.alive():
            server.kill()
        for name in power.environment():
            os.environ.pop(name)
    return total, totals


def planted(name, folder, options, argument, cut):
    """A server with a fault must be found out."""
    say(f"planted: {argument}, {name}")
    folder.mkdir()
    few = argparse.Namespace(**{**vars(options), "runs": PLANTED_RUNS_MAX, "things": 0, "sessions": 0})
    total, _ = asyncio.run(fault_run(folder, few, (argument,), lambda number: cut, stop_when_bad=True))
    return total.lost


def run(cases, folder, options):
    total, totals = asyncio.run(fault_run(folder, options))
    cases.add("nothing acknowledged is lost", "\n".join(total.lost))
    cases.add("nothing is corrupt", "\n".join(total.corrupt))
    cases.add("each publisher's messages come in order", "\n".join(total.disordered))
    cases.add("every request is answered until the kill", "\n".join(total.failed))
    middle, cpu = statistics.median(totals.restarts_s), max(totals.restarts_cpu_s)
    told = f"median {middle:.3f} s, at most {cpu:.2f} s of CPU"
    cases.add(f"with {options.things} things no restart takes a second of CPU", told if cpu >= RESTART_S_MAX else "")
    if not options.short:  # then other parts run beside it
        cases.add("the median restart takes less than a second", told if middle >= RESTART_S_MAX else "")
    say(f"restarts: median {middle * 1000:.0f} ms, longest {max(totals.restarts_s) * 1000:.0f} ms, "
        f"most CPU {cpu * 1000:.0f} ms; {sum(s >= RESTART_S_MAX for s in totals.restarts_s)} of "
        f"{len(totals.restarts_s)} took a second or more; {totals.bytes_cut} bytes cut off by power cuts")
    if not options.no_planted:
        early = planted("kill -9", folder / "early", options, "--test-answer-early", False)
        cases.add("a server that answers before it commits is found out", "" if early else "nothing was lost")
        unsynced = planted("power cut", folder / "unsynced", options, "--test-skip-sync", True)
        cases.add("a server that does not sync is found out", "" if unsynced else "nothing was lost")
