#!/usr/bin/env python3
"""Measures Starling beside its peers and the floors, and writes the tables of bench/README.md and the charts.

   ./dev bench                 every row, three rounds; writes bench/README.md and bench/charts
   ./dev bench --print         every row; prints the tables and writes nothing
   ./dev bench NAME...         only these rows (a prefix is enough); prints their tables and writes nothing
   ./dev bench --rounds N --seconds S

A round runs each load on each system in turn, each time on a freshly started process; the tables state medians. What is
stated as a ratio is the median of the ratios of pairs, one a round, three where it is to another row: the two sides of a
pair ran one after the other, as a machine that other machines share is faster or slower from one minute to the next."""
import argparse
import datetime
import json
import os
import pathlib
import resource
import statistics
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "tools"))
from arguments import positive  # noqa: E402
from ending import finish  # noqa: E402
from revision import commit, medians  # noqa: E402
import rows as all_rows
from apiload import ApiLoad
from rows import FLOOR, STARLING
from systems import API_SERVERS, BROKERS, BUILD, ROOT, Starling, StarlingTwo, make_certificates
from table import chart, number, table

MQLOAD, FLOORS = BUILD / "bench/mqload", BUILD / "bench/floors"
README, CHARTS = ROOT / "bench/README.md", ROOT / "bench/charts"
BEGIN, END = "<!-- written by bench/run.py: begin -->", "<!-- written by bench/run.py: end -->"
LOAD_TIMEOUT_S = 300
PAIRS_A_ROUND = 3  # of a ratio to another row
PEER_ROUNDS_OF_API = 1  # of moto and ministack, whose loads take minutes
CHARTED = ("fanin-q0", "interleaved", "fanout-q1", "connect", "shadow-get", "idle-5k")

TABLES = (
    ("Messages", all_rows.MESSAGES, BROKERS),
    ("Connections", all_rows.CONNECTIONS, BROKERS),
    ("Two reactors", all_rows.REACTORS, (StarlingTwo,)),
    ("The API over HTTPS", all_rows.API, API_SERVERS),
    ("The store", all_rows.STORE, (Starling,)),
)


def progress(text):
    if sys.stderr.isatty():
        print(f"\r\x1b[K{text}", end="", file=sys.stderr, flush=True)
    elif text:
        print(text, file=sys.stderr, flush=True)


def message_load(system, row, seconds):
    try:
        system.start(row)
        command = [MQLOAD, *row.load, "--port", system.port, "--pid", system.process.pid]
        if row.work not in ("connect", "resume"):
            command += ["--seconds", seconds]
        if row.tls:
            command += ["--tls=1.3", "--cafile", system.ca, "--cert", system.cert, "--key", system.key]
        done = subprocess.run([str(c) for c in command], capture_output=True, text=True, timeout=LOAD_TIMEOUT_S)
        if not done.stdout.strip():
            raise SystemExit(f"bench: {row.name} on {system.name}: {done.stderr}")
        return {**json.loads(done.stdout), **({"failed": done.stderr.strip()[:200]} if done.returncode else {})}
    finally:
        system.stop()


def why_not(system, row):
    """What stands in the cell of a row that the system does not run; or nothing."""
    if row.runs_on and system.name not in row.runs_on:
        return "not measured"
    return system.cannot(row)


class Run:
    def __init__(self, options, folder):
        self.options, self.folder = options, folder
        self.results, self.versions, self.systems = {}, {}, {}
        self.pairs = {}  # row and target to what both rows measured
        self.api = ApiLoad(folder, options.seconds)

    def key(self, row, system):
        return row.load, row.tls, row.setup, system.name

    def system(self, kind):
        if kind not in self.systems:
            system = self.systems[kind] = kind(self.folder)
            progress(f"preparing {system.name}")
            system.prepare()
            if system.missing:
                progress("")
                print(f"bench: {system.name}: {system.missing}; its cells say so", file=sys.stderr, flush=True)
            else:
                self.versions[system.name] = system.version()
        return self.systems[kind]

    def end(self):
        """Nothing is left running, whatever happened."""
        for system in self.systems.values():
            system.stop()

    def measure(self, system, row):
        if row.work in ("api", "restart"):
            return self.api.measure(system, row)
        return message_load(system, row, self.options.seconds)

    def round(self, turn, tables):
        seen = set()
        for _, rows, kinds in tables:
            for row in rows:
                for kind in sorted(kinds, key=lambda k: (k.name != FLOOR, not k.name.startswith(STARLING))):
                    system = self.system(kind)
                    key = self.key(row, system)
                    if key in seen or why_not(system, row):
                        continue
                    if row.work == "api" and system.name != STARLING and turn >= PEER_ROUNDS_OF_API:
                        continue
                    if (row.once and turn > 0) or row.name in self.options.without:
                        continue
                    seen.add(key)
                    progress(f"round {turn + 1} of {self.options.rounds}: {row.name} on {system.name}")
                    self.results.setdefault(key, []).append(self.measure(system, row))
                if row.name not in self.options.without:
                    self.measure_pairs(turn, row, kinds)

    def measure_pairs(self, turn, row, kinds):
        """For targets that are a ratio to another row: its load runs beside this one's, in turn."""
        own = self.system(own_kind(kinds))
        for target in row.targets:
            other, kind = other_side(row, target, kinds)
            if not kind or other is row:
                continue
            ours = self.results.get(self.key(row, own), [{}])[-1]
            for again in range(PAIRS_A_ROUND):
                progress(f"round {turn + 1} of {self.options.rounds}: {other.name} beside {row.name}")
                theirs = self.measure(self.system(kind), other)
                ours = self.measure(own, row) if again else ours
                self.pairs.setdefault((row, target), []).append((value_of(row, ours), value_of(other, theirs)))

    def ratio(self, row, target, kinds):
        other, kind = other_side(row, target, kinds)
        if other is row:
            return self.ratio_to(row, own_kind(kinds).name, kind.name) if kind else None
        return median_ratio(self.pairs.get((row, target), []))

    def ratio_to(self, row, name, other):
        """Of two systems' figures of the same row."""
        return median_ratio(zip(self.figures(row, name), self.figures(row, other)))

    def figures(self, row, name):
        return [value_of(row, run) for run in self.results.get((row.load, row.tls, row.setup, name), [])]

    def figure(self, row, name):
        values = [v for v in self.figures(row, name) if v is not None]
        return statistics.median(values) if values else None


def median_ratio(pairs):
    ratios = [a / b for a, b in pairs if a is not None and b]
    return statistics.median(ratios) if ratios else None


def value_of(row, run):
    value = run
    for part in row.figure.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    return None if "failed" in run else value


def row_named(name):
    return next(r for _, rows, _ in TABLES for r in rows if r.name == name)


def own_kind(kinds):
    return next(k for k in kinds if k.name.startswith(STARLING))


def other_side(row, target, kinds):
    """The row and the kind of system that a target is a ratio to; the kind is None where that is not measured each round."""
    if target.row:
        return row_named(target.row), Starling
    if target.of == FLOOR + " of `connect`":
        return row_named("connect"), next(k for k in kinds if k.name == FLOOR)
    return row, next((k for k in kinds if k.name == target.of), None)


def floors(folder):
    """What the libraries charge by themselves."""
    def run(*arguments):
        done = subprocess.run([str(a) for a in (FLOORS, *arguments)], capture_output=True, text=True, cwd=folder)
        return json.loads(done.stdout) if done.returncode == 0 else {}
    store = [run("store", folder / f"floor-{i}") for i in range(3)]
    return {"store": statistics.median(s["records_per_s"] for s in store) if all(store) else None,
            "document": run("document").get("cpu_us"),
            **run("handshake", "ca.pem", "server.pem", "server.key", "client.pem", "client.key")}


def ratio_of_medians(run, bare, row, target, ours):
    """To what is not measured beside the row in each round."""
    other = None
    if target.of == "ministack over HTTP":
        other = run.figure(row_named("shadow-update-rate"), "ministack")
    elif target.of == FLOOR and row.work == "shadow":
        other = bare.get("store")
    return ours / other if ours is not None and other else None


def met(target, ours, ratio):
    """True, False, or None where there is nothing to compare with."""
    value = ratio if target.of or target.row else ours
    if value is None:
        return None
    return value >= target.factor if target.least else value <= target.factor


def goal(run, bare, row, target, kinds, ours):
    """A target, its ratio where the column of the floor's does not say it, and the verdict."""
    paired = run.ratio(row, target, kinds)
    ratio = ratio_of_medians(run, bare, row, target, ours) if paired is None else paired
    in_column = target.of == FLOOR and paired is not None
    stated = "" if ratio is None or in_column else f" (× {ratio:.2f})" if ratio < 10 else f" (× {number(ratio)})"
    verdict = {None: "?", True: "met", False: "**missed**"}[met(target, ours, ratio)]
    return f"{target.text()}{stated}: {verdict}"


def cell(run, row, system):
    reason = why_not(system, row)
    if reason:
        return reason
    text = number(run.figure(row, system.name))
    if any("failed" in r for r in run.results.get(run.key(row, system), [])):
        text += " (fails)"
    return f"**{text}**" if system.name.startswith(STARLING) else text


def one_table(run, bare, title, rows, kinds):
    systems = [run.system(kind) for kind in kinds]
    lines = []
    for row in rows:
        own = own_kind(kinds).name
        ours, floor = run.figure(row, own), run.ratio_to(row, own, FLOOR)
        ratio = f"× {floor:.2f}" if floor else "–"
        goals = "; ".join(goal(run, bare, row, t, kinds, ours) for t in row.targets) or "–"
        lines.append([f"`{row.name}`: {row.title}", row.unit + (" (more is better)" if row.more_is_better else ""),
                      *(cell(run, row, s) for s in systems), ratio, goals])
    return [f"### {title}", "", *table(["", "unit", *(s.name for s in systems), "to the floor", "target"], lines), ""]


def faults(run, tables):
    """What would make a figure worth nothing: loss, reordering, refusals."""
    lines, seen = [], set()
    for _, rows, kinds in tables:
        for row in rows:
            for kind in kinds:
                system = run.system(kind)
                key = run.key(row, system)
                runs = run.results.get(key, [])
                if key in seen or not runs:
                    continue
                seen.add(key)
                lost = statistics.median(r.get("lost", 0) for r in runs)
                reordered = sum(r.get("reordered", 0) for r in runs)
                if lost or reordered:
                    lines.append(f"- `{row.name}` on {system.name}: {lost:,.0f} messages lost (median), "
                                 f"{reordered:,.0f} out of order")
                for why in sorted({r["failed"] for r in runs if "failed" in r}):
                    lines.append(f"- `{row.name}` on {system.name}: {why}")
    return lines


def machine():
    model = "unknown processor"
    for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            model = line.split(":", 1)[1].strip()
            break
    return f"{os.cpu_count()} cores of {model}, Linux {os.uname().release.split('-')[0]}"


def write_readme(lines):
    head, rest = README.read_text().split(BEGIN, 1)
    _, tail = rest.split(END, 1)
    README.write_text(head + BEGIN + "\n" + "\n".join(lines) + "\n" + END + tail)


def write_charts(run):
    CHARTS.mkdir(exist_ok=True)
    made = []
    for _, rows, kinds in TABLES:
        for row in rows:
            if row.name not in CHARTED:
                continue
            bars = [(s.name, run.figure(row, s.name)) for s in map(run.system, kinds)]
            unit = f"{row.unit}; {'more' if row.more_is_better else 'less'} is better"
            (CHARTS / f"{row.name}.svg").write_text(chart(row.title, unit, bars))
            made.append(f"![{row.title}](charts/{row.name}.svg)")
    return made


def arguments():
    names = [r.name for _, rows, _ in TABLES for r in rows]
    parser = argparse.ArgumentParser(prog="./dev bench", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help="rows, or how their names begin: " + ", ".join(names))
    parser.add_argument("--print", action="store_true", help="prints the tables and writes nothing, as with names")
    parser.add_argument("--rounds", type=positive(int), default=3, help="how often each load runs (default: 3)")
    parser.add_argument("--seconds", type=positive(float), default=3, help="of each measured span (default: 3)")
    parser.add_argument("--without", nargs="+", default=[], metavar="NAME",
                        help="not these rows (whole names), which then stay empty")
    options = parser.parse_args()
    wrong = [n for n in options.names if not any(name.startswith(n) for name in names)]
    wrong += [n for n in options.without if n not in names]
    if wrong:
        parser.error(f"there is no row {' and no row '.join(wrong)}; there are {', '.join(names)}")
    return options


def chosen(options):
    """The tables of the rows asked for, each with the systems that run one of them."""
    tables = []
    for title, rows, kinds in TABLES:
        rows = tuple(r for r in rows if not options.names or any(r.name.startswith(n) for n in options.names))
        kinds = tuple(k for k in kinds if any(not r.runs_on or k.name in r.runs_on for r in rows))
        tables += [(title, rows, kinds)] if rows else []
    return tables


def report(run, tables, bare, loads):
    """The lines of all that was measured."""
    rounds, seconds = run.options.rounds, run.options.seconds
    peers = [v for n, v in run.versions.items() if n != FLOOR and not n.startswith(STARLING)]
    lines = ["; ".join([f"`./dev bench`, commit {commit()}, {datetime.date.today()}", f"{machine()}, load average "
                        f"{min(loads):.1f} to {max(loads):.1f}", *([", ".join(peers)] if peers else []),
                        f"{medians(rounds)} of {seconds:g} s" + (" (moto and ministack: one round)" if rounds > 1 else "")]), ""]
    lines += [f"Floors of the libraries: RocksDB {number(bare.get('store'))} records a second in synced batches of 64; "
              f"yyjson {number(bare.get('document'))} µs to read, change and write a shadow document; OpenSSL's part of "
              f"a mutual TLS 1.3 handshake in memory {number(bare.get('new_us'))} µs.", ""]
    for title, rows, kinds in tables:
        lines += one_table(run, bare, title, rows, kinds)
    return lines + (faults(run, tables) or ["No message was lost or out of order."])


def main():
    options = arguments()
    tables, writes = chosen(options), not (options.names or options.print)
    if writes:
        print("bench: writes bench/README.md and bench/charts at its end; with --print it only prints", file=sys.stderr,
              flush=True)
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    with tempfile.TemporaryDirectory(prefix="starling-bench-") as folder:
        folder = pathlib.Path(folder)
        make_certificates(folder)
        run = Run(options, folder)
        loads = [os.getloadavg()[0]]
        bare = floors(folder)
        try:
            for turn in range(options.rounds):
                run.round(turn, tables)
                loads.append(os.getloadavg()[0])
        finally:
            run.end()
        progress("")
        lines = report(run, tables, bare, loads)
        print("\n".join(lines))
        if writes:
            write_readme([*lines, "", *write_charts(run)])


if __name__ == "__main__":
    finish("bench", main)
