#!/usr/bin/env python3
"""What a machine, a network and its clients may do to a server, and whether it keeps its promises meanwhile.

    ./dev faults [RUNS] [--seed N] [--short] [--jobs N] [--only PART...] [--junit FILE]

    crash    kill -9 and power cuts under mixed load, RUNS times, and two planted faults
    disk     a disk that fills, and has room again
    damage   files of the store cut short or with flipped bits
    clock    the system's clock jumps, both ways
    crowd    no file descriptors left; clients that never read; a thousand half-open handshakes
    network  delay, loss, little bandwidth, silence

A checker outside of the server counts what was lost, doubled or out of order. disk and network run in mount and network
namespaces of their own, and are skipped, with the reason, where the kernel allows none. --short is what CI runs.
"""
import argparse
import logging
import os
import pathlib
import random
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent), str(HERE.parents[1] / "tools")]
import crash  # noqa: E402
import crowd  # noqa: E402
import clock  # noqa: E402
import damage  # noqa: E402
import disk  # noqa: E402
import network  # noqa: E402
from arguments import positive  # noqa: E402
from cases import Cases  # noqa: E402
from ending import Pool, finish  # noqa: E402
from support.server import ROOT  # noqa: E402

BUILT = ("fill", "power.so", "clock.so")
PARTS = {"crash": crash, "disk": disk, "damage": damage, "clock": clock, "crowd": crowd, "network": network}
INSIDE = {"disk": "--mount", "network": "--net"}  # unshare's options


def unshare(part):
    """The command that runs what follows it in a namespace of its own, and why it cannot."""
    command = ["unshare", *([] if os.geteuid() == 0 else ["--map-root-user"]), INSIDE[part]]
    try:
        tried = subprocess.run([*command, "true"], capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return command, "there is no unshare (Debian: util-linux)"
    return command, "" if tried.returncode == 0 else f"the kernel gives no namespace: {tried.stderr.strip()}"


def run_part(pool, part, arguments):
    """Runs this program again, for this part; returns its cases."""
    cases, began = Cases(), time.monotonic()
    command, why = unshare(part) if part in INSIDE else ([], "")
    if why:
        cases.skip(part, why)
        return cases
    with tempfile.NamedTemporaryFile(suffix=".json") as file:
        ran = pool.run([*command, sys.executable, __file__, "--inside", file.name, "--only", part, *arguments],
                       stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        if not cases.take(file.name):
            cases.add(part, "it ended without a report")
    cases.say(f"-- {part}\n{ran.stdout}-- {part}: {time.monotonic() - began:.0f} s")
    return cases


def main():
    parser = argparse.ArgumentParser(prog="./dev faults", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=positive(int), default=20, help="of crash (default: 20)")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 32),
                        help="of what is left to chance; each run prints its own, to be had again")
    parser.add_argument("--things", type=positive(int), default=100_000, help="of crash, beside the load (default: 100000)")
    parser.add_argument("--sessions", type=positive(int), default=10_000, help="of crash, beside the load (default: 10000)")
    parser.add_argument("--no-planted", action="store_true", help="crash without the planted faults")
    parser.add_argument("--short", action="store_true", help="fewer and shorter faults of each part, as in CI")
    parser.add_argument("--jobs", type=positive(int), default=1, help="parts at once (default: 1)")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS), metavar="PART",
                        help="not all parts: " + ", ".join(PARTS))
    parser.add_argument("--junit", type=pathlib.Path, metavar="FILE", help="where a report for CI is written, too")
    parser.add_argument("--inside", type=pathlib.Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    logging.getLogger("asyncio").setLevel(logging.ERROR)  # a connection that was cut is written to: that is what is tried
    if not options.inside:
        subprocess.run(["ninja", "-C", ROOT / "build", *(f"tests/faults/{name}" for name in BUILT)], check=True,
                       stdout=subprocess.DEVNULL)
        print(f"seed {options.seed}", flush=True)
    cases = Cases()
    if options.inside:
        with tempfile.TemporaryDirectory(prefix="starling-faults-") as name:
            PARTS[options.only[0]].run(cases, pathlib.Path(name), options)
        cases.give(options.inside)
        return 0
    arguments = [f"--{name}={getattr(options, name)}" for name in ("runs", "seed", "things", "sessions")]
    arguments += [f"--{name}".replace("_", "-") for name in ("no_planted", "short") if getattr(options, name)]
    with Pool(options.jobs) as pool:
        for work in [pool.submit(run_part, pool, part, arguments) for part in options.only]:
            done = work.result()
            cases.all += done.all
            cases.skipped += done.skipped
    if options.junit:
        cases.report(options.junit)
    cases.tell()
    return 1 if cases.failed() else 0


if __name__ == "__main__":
    finish("faults", main)
