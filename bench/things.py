#!/usr/bin/env python3
"""Measures the registry: things created through the API by 8 clients in parallel over kept connections, then all listed
in pages to the end; beside moto_server, which is given fewer. Writes its table into bench/README.md.

   bench/things.py [--things 100000] [--peer-things 2000] [--rounds 3] [--print]

Creates are signed before and sent by bench/load/http.c over TLS; moto, which closes a connection after each answer, gets
its own from 8 threads of this program, without TLS. The server's CPU a create in the first half and in the second says what
grows with the number of things. What it is with few things is measured in turn with the tenths of the many, each time on
a fresh server: so both see the same of whatever else the machine does."""
import argparse
import concurrent.futures
import datetime
import http.client
import json
import os
import pathlib
import ssl
import statistics
import subprocess
import sys
import tempfile
import time
import types
import urllib.parse

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "tools"))
from arguments import positive  # noqa: E402
from ending import finish  # noqa: E402
from revision import commit, medians  # noqa: E402
from device import Signer, starling_key, write_requests
from systems import BUILD, ROOT, Moto, Starling

CLIENTS, PAGE, SITES = 8, 250, 100
FIRST, PARTS = 1_000, 10
README = ROOT / "bench/README.md"
BEGIN, END = "<!-- written by bench/things.py: begin -->", "<!-- written by bench/things.py: end -->"
API = types.SimpleNamespace(kind="api", tls=False)
PEER_KEY = ("AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY")


def cpu_s(pid):
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def key_of(system):
    return starling_key(system.data) if isinstance(system, Starling) else PEER_KEY


def document(i):
    return json.dumps({"attributePayload": {"attributes": {"site": f"site-{i % SITES:02}", "serial": f"{i:08x}"}}}).encode()


def create(system, first, n):
    """What httpload says of n things, from number `first` on."""
    signer = Signer(*key_of(system), "us-east-1", "iot")
    path = system.folder / "creates"
    write_requests(path, (signer.request("POST", "localhost", f"/things/thing-{i:06}", document(i))
                          for i in range(first, first + n)))
    command = [BUILD / "bench/httpload", "--port", system.port, "--requests", path, "--pid", system.process.pid, "--once",
               "--connections", CLIENTS, "--cafile", system.ca]
    done = subprocess.run([str(c) for c in command], capture_output=True, text=True, timeout=600)
    if done.returncode:
        raise SystemExit(f"bench: creates on {system.name}: {done.stderr}")
    return json.loads(done.stdout)


def create_on_peer(system, first, n):
    """The same figures of one that closes its connections."""
    signer, seconds = Signer(*PEER_KEY, "us-east-1", "iot"), []

    def client(number):
        for i in range(first + number, first + n, CLIENTS):
            start, path, body = time.perf_counter(), f"/things/thing-{i:06}", document(i)
            connection = http.client.HTTPConnection("127.0.0.1", system.port, timeout=60)
            connection.request("POST", path, body, {
                "Host": "localhost", "X-Amz-Date": signer.stamp, "Content-Type": "application/json",
                "Authorization": signer.authorization("POST", "localhost", path, "", body)})
            answer = connection.getresponse()
            said = answer.read()
            connection.close()
            if answer.status != 200:
                raise SystemExit(f"bench: a create on {system.name}: {answer.status} {said}")
            seconds.append(time.perf_counter() - start)

    before, began = cpu_s(system.process.pid), time.perf_counter()
    with concurrent.futures.ThreadPoolExecutor(CLIENTS) as pool:
        list(pool.map(client, range(CLIENTS)))
    span, used = time.perf_counter() - began, cpu_s(system.process.pid) - before
    return {"seconds": span, "requests": n, "server_cpu_ms": used * 1e3 / n, "rss_kb": 0,
            "latency_us": {"p99": sorted(seconds)[int(n * 0.99)] * 1e6}}


class Lister:
    """One client that reads pages one after the other."""

    def __init__(self, system):
        self.system = system
        if isinstance(system, Starling):
            context = ssl.create_default_context(cafile=str(system.ca))
            self.connection = http.client.HTTPSConnection("localhost", system.port, context=context, timeout=600)
        else:
            self.connection = http.client.HTTPConnection("127.0.0.1", system.port, timeout=600)

    def all(self, **filters):
        signer = Signer(*key_of(self.system), "us-east-1", "iot")
        names, seconds, token = [], [], None
        before, began = cpu_s(self.system.process.pid), time.perf_counter()
        while True:
            asked = {**filters, "maxResults": str(PAGE), **({"nextToken": token} if token else {})}
            query = "&".join(f"{name}={urllib.parse.quote(asked[name], safe='')}" for name in sorted(asked))
            start = time.perf_counter()
            self.connection.request("GET", f"/things?{query}", headers={
                "Host": "localhost", "X-Amz-Date": signer.stamp,
                "Authorization": signer.authorization("GET", "localhost", "/things", query, b"")})
            answer = self.connection.getresponse()
            said = json.loads(answer.read())
            seconds.append(time.perf_counter() - start)
            if answer.status != 200:
                raise SystemExit(f"bench: a list on {self.system.name}: {answer.status} {said}")
            names += [thing["thingName"] for thing in said["things"]]
            token = said.get("nextToken")
            if not token:
                break
        span, used = time.perf_counter() - began, cpu_s(self.system.process.pid) - before
        seconds.sort()
        return {"things": names, "pages": len(seconds), "things_per_s": len(names) / span,
                "p99_ms": seconds[int(len(seconds) * 0.99)] * 1e3, "cpu_us": used * 1e6 / max(len(names), 1)}


def list_all(system, n):
    lister, site = Lister(system), "site-07"
    got = lister.all()
    if sorted(got["things"]) != [f"thing-{i:06}" for i in range(n)]:
        raise SystemExit(f"bench: {system.name} lists {len(got['things'])} things of {n}")
    by_attribute = lister.all(attributeName="site", attributeValue=site)
    want = [f"thing-{i:06}" for i in range(n) if f"site-{i % SITES:02}" == site]
    if sorted(by_attribute["things"]) != want:
        raise SystemExit(f"bench: {system.name} lists {len(by_attribute['things'])} things by attribute, not {len(want)}")
    return got, by_attribute


def measure(kind, n, between=lambda: None):
    """One fresh server with n things: figures of the creates (all, and by parts) and of the lists. `between` is called
    after each part."""
    with tempfile.TemporaryDirectory(prefix="things-") as folder:
        return measure_in(pathlib.Path(folder), kind, n, between)


def measure_in(folder, kind, n, between):
    system = kind(folder)
    try:
        system.start(API)
        part = (n - FIRST) // PARTS
        sizes = [n] if part < FIRST else [FIRST, *[part] * (PARTS - 1), n - FIRST - part * (PARTS - 1)]
        parts, first = [], 0
        for size in sizes:
            parts.append((create if isinstance(system, Starling) else create_on_peer)(system, first, size))
            first += size
            between()
        seconds = sum(part["seconds"] for part in parts)
        listed, by_attribute = list_all(system, n)
        windows = [part["server_cpu_ms"] * 1e3 for part in parts[1:]]
        return {"per_s": n / seconds, "p99_ms": max(part["latency_us"]["p99"] for part in parts) / 1e3,
                "cpu_us": sum(part["server_cpu_ms"] * part["requests"] for part in parts) * 1e3 / n,
                "early_us": statistics.mean(windows[:PARTS // 2]) if windows else None,
                "late_us": statistics.mean(windows[PARTS // 2:]) if windows else None,
                "most_us": max(windows) if windows else None,
                "rss_mb": parts[-1]["rss_kb"] / 1024, "list": listed, "by_attribute": by_attribute}
    finally:
        system.stop()


def median(rounds, *path):
    def dig(value):
        for name in path:
            value = value[name]
        return value
    return statistics.median(dig(figures) for figures in rounds)


def row(title, n, rounds):
    return (f"| {title} | {n:,} | {median(rounds, 'per_s'):,.0f} | {median(rounds, 'p99_ms'):.1f} | "
            f"{median(rounds, 'cpu_us'):.0f} | {median(rounds, 'list', 'things_per_s'):,.0f} | "
            f"{median(rounds, 'list', 'p99_ms'):.1f} | {median(rounds, 'list', 'cpu_us'):.1f} | "
            f"{median(rounds, 'by_attribute', 'p99_ms'):.1f} |")


def table(arguments, many, few, peer):
    early, late = median(many, "early_us"), median(many, "late_us")
    ratio = statistics.median(m["cpu_us"] / m["few_us"] for m in many)
    load = os.getloadavg()[0]
    return "\n".join([
        f"`bench/things.py --rounds {arguments.rounds} --peer-things {arguments.peer_things}`, commit {commit()}, {datetime.date.today()}; {os.cpu_count()} cores "
        f"(load average {load:.1f}), {Moto(pathlib.Path('/tmp')).version()}; {medians(arguments.rounds)}", "",
        "| | things | creates a second | p99, ms | CPU a create, µs | listed a second | p99 of a page, ms | CPU a thing "
        "listed, µs | p99 of a page by attribute, ms |", "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
        row("Starling", arguments.things, many), row("Starling", FIRST, few),
        *([row("moto_server", arguments.peer_things, peer)] if peer else []),
        "", f"CPU of one create with {arguments.things:,} things to that with {FIRST:,}: × {ratio:.2f} (target: ≤ 1.1), not "
        "the ratio of the two cells but the median of those of pairs, one a round, whose sides ran in turn.", "",
        f"CPU of one create in the first half of {arguments.things:,} (behind the first {FIRST:,}): {early:.0f} µs; in the "
        f"second half: {late:.0f} µs, × {late / early:.2f}; in the dearest tenth, into which the store's compaction falls: "
        f"{median(many, 'most_us'):.0f} µs."])


def main():
    parser = argparse.ArgumentParser(prog="bench/things.py", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--things", type=positive(int), default=100_000, help="that Starling has (default: 100000)")
    parser.add_argument("--peer-things", type=int, default=2_000, help="that moto has (default: 2000; 0: without moto)")
    parser.add_argument("--rounds", type=positive(int), default=3, help="each on fresh servers (default: 3)")
    parser.add_argument("--print", action="store_true", help="prints the table and writes nothing")
    arguments = parser.parse_args()
    if arguments.things < FIRST * (PARTS + 1):
        parser.error(f"--things {arguments.things} is less than {FIRST * (PARTS + 1)}: {FIRST} and {PARTS} parts of as many")
    many, few, peer = [], [], []
    for n in range(arguments.rounds):
        print(f"round {n + 1} of {arguments.rounds}", flush=True)
        beside = []
        many.append(measure(Starling, arguments.things, lambda: beside.append(measure(Starling, FIRST))))
        many[-1]["few_us"] = statistics.mean(small["cpu_us"] for small in beside)
        few += beside
        if arguments.peer_things:
            peer.append(measure(Moto, arguments.peer_things))
    text = table(arguments, many, few, peer)
    print(text)
    if arguments.print:
        return
    old = README.read_text()
    before, after = old.split(BEGIN)[0], old.split(END)[1]
    README.write_text(f"{before}{BEGIN}\n{text}\n{END}{after}")


if __name__ == "__main__":
    finish("bench/things.py", main)
