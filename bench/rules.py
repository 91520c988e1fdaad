#!/usr/bin/env python3
"""What a rule costs through the whole server, with 1, 100 and 10,000 rules installed of which one's topic matches.

    .venv/bin/python bench/rules.py [--rounds N] [--messages N] [--write]

Publishes {"temp": …} as QoS 0 by one client without TLS as fast as the server reads, to `a/7/t`, and waits until the
rule `SELECT temp, topic(2) AS dev FROM 'a/+/t' WHERE temp > 50` has run on all of them. CPU is the server process's, less
what the same messages cost without any rule. `--write` puts the table into bench/README.md.
"""
import argparse
import datetime
import os
import pathlib
import statistics
import sys
import tempfile
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "tools")]
from arguments import positive  # noqa: E402
from ending import finish  # noqa: E402
from revision import commit, medians  # noqa: E402
from support import wire  # noqa: E402
from support.rules import figure, payload, republish  # noqa: E402
from support.server import Server  # noqa: E402

SQL = "SELECT temp, topic(2) AS dev FROM 'a/+/t' WHERE temp > 50"
COUNTS = (1, 100, 10000)
KINDS = {"no action": [], "republish": [republish("out/${topic(2)}", 0)]}
MARKS = "<!-- written by bench/rules.py: begin -->\n", "<!-- written by bench/rules.py: end -->\n"


def publish_frame(topic, body):
    head = len(topic).to_bytes(2, "big") + topic.encode() + b"\0"
    size, length = len(head) + len(body), b""
    while True:
        size, digit = size >> 7, size & 127
        length += bytes([digit | 128 if size else digit])
        if not size:
            return b"\x30" + length + head + body


def cpu_s(server):
    """Of all its threads, to the nanosecond."""
    tasks = pathlib.Path(f"/proc/{server.process.pid}/task").iterdir()
    return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks) / 1e9


def install(server, count, actions):
    """Rules of other topics by several clients at once, then the one that matches."""
    def some(numbers):
        iot = server.client("iot")
        for number in numbers:
            iot.create_topic_rule(ruleName=f"other_{number}", topicRulePayload=payload(
                SQL.replace("a/+/t", f"other/{number}/+/t"), *actions))

    workers = [threading.Thread(target=some, args=(range(first, count - 1, 4),)) for first in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    server.client("iot").create_topic_rule(ruleName="it", topicRulePayload=payload(SQL, *actions))


def load(server, messages, matched):
    """(seconds, CPU seconds) for all of them."""
    bodies = [f'{{"temp": {51 + n % 40}, "unit": "C", "at": {1700000000 + n}}}'.encode() for n in range(1000)]
    chunk = b"".join(publish_frame("a/7/t", body) for body in bodies)
    with wire.plain_wire(server) as client:
        client.connect("bench")
        ran = figure(server, "starling_rules_executed_total")
        client.stream.settimeout(120)
        cpu, began = cpu_s(server), time.monotonic()
        for _ in range(messages // 1000):
            client.stream.sendall(chunk)
        client.send(wire.packet(wire.PINGREQ, 0, b""))
        client.expect(wire.PINGRESP)  # all before it has been handled
        seconds, cpu = time.monotonic() - began, cpu_s(server) - cpu
        assert figure(server, "starling_rules_executed_total") - ran == (messages if matched else 0)
        return seconds, cpu


def measure(count, actions, messages, rounds):
    """CPU µs a message without rules and with them, and messages a second: medians."""
    with tempfile.TemporaryDirectory() as folder:
        server = Server(pathlib.Path(folder) / "data", ("--plain-port", "0", "--ephemeral", "--reactors", "1",
                                                        "--rules-max", "20000")).start()
        try:
            load(server, messages, False)
            bare = [load(server, messages, False)[1] for _ in range(rounds)]
            install(server, count, actions)
            load(server, messages, True)
            runs = [load(server, messages, True) for _ in range(rounds)]
        finally:
            server.stop()
    with_rules = statistics.median(cpu for _, cpu in runs)
    return (statistics.median(bare) / messages * 1e6, with_rules / messages * 1e6,
            messages / statistics.median(seconds for seconds, _ in runs))


def table(args):
    lines = [f"`bench/rules.py --rounds {args.rounds}`, commit {commit()}, {datetime.date.today()}; `{SQL}`, "
             f"{args.messages:,} messages a round, {medians(args.rounds)}; load average {os.getloadavg()[0]:.1f}", "",
             "| rules installed | action | CPU µs a message, no rule | **with them** | the rule's share | "
             "messages a second a core | messages a second here |",
             "| ---: | --- | ---: | ---: | ---: | ---: | ---: |"]
    for kind, actions in KINDS.items():
        for count in COUNTS:
            bare, ours, rate = measure(count, actions, args.messages, args.rounds)
            lines.append(f"| {count:,} | {kind} | {bare:.2f} | **{ours:.2f}** | {ours - bare:.2f} | {1e6 / ours:,.0f} | "
                         f"{rate:,.0f} |")
            print(lines[-1], flush=True)
    return lines


def main():
    parser = argparse.ArgumentParser(prog="bench/rules.py", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=positive(int), default=5, help="of each number of rules (default: 5)")
    parser.add_argument("--messages", type=positive(int), default=300000, help="of a round (default: 300000)")
    parser.add_argument("--write", action="store_true", help="into bench/README.md; without, the table is printed")
    args = parser.parse_args()
    lines = table(args)
    if args.write:
        readme = ROOT / "bench" / "README.md"
        text = readme.read_text()
        start, rest = text.split(MARKS[0])
        end = rest.split(MARKS[1])[1]
        readme.write_text(start + MARKS[0] + "\n".join(lines) + "\n" + MARKS[1] + end)


if __name__ == "__main__":
    finish("bench/rules.py", main)
