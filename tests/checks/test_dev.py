"""The developer's commands: what they refuse, what they say, and how they end when they are interrupted."""
import contextlib
import os
import pathlib
import re
import signal
import subprocess
import sys
import types

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tools"), str(ROOT / "bench")]

import run as bench  # noqa: E402
from rows import FLOOR, Row, Target  # noqa: E402
from systems import System  # noqa: E402

ROWS = [row for _, rows, _ in bench.TABLES for row in rows]


def said(*command, **options):
    """Status and output of one that ends by itself."""
    done = subprocess.run([str(c) for c in command], cwd=ROOT, capture_output=True, text=True, stdin=subprocess.DEVNULL,
                          timeout=50, **options)
    return done.returncode, done.stdout + done.stderr


# -- bench ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("wrong", [("nope",), ("fanin-q0", "nope"), ("fanin", "--without", "nope"),
                                   ("--without", "restart", "nope")])
def test_a_wrong_row_is_refused_with_the_right_ones(wrong):
    status, output = said(sys.executable, "bench/run.py", *wrong)
    assert status == 2
    assert "./dev bench: error: there is no row nope; there are fanin-q0, " in output and "restart" in output


def test_without_takes_whole_names_only():
    status, output = said(sys.executable, "bench/run.py", "--without", "fanin")
    assert status == 2 and "there is no row fanin; there are" in output


def test_only_a_run_of_all_rows_writes_and_print_keeps_it_from_that(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(bench.Run, "round", lambda *_: None)
    monkeypatch.setattr(bench, "make_certificates", lambda folder: None)
    monkeypatch.setattr(bench, "report", lambda *_: ["the tables"])
    monkeypatch.setattr(bench, "floors", lambda folder: {})
    monkeypatch.setattr(bench, "write_charts", lambda run: [])
    written = []
    monkeypatch.setattr(bench, "write_readme", written.append)
    for arguments, writes in (([], True), (["--print"], False), (["fanin-q0"], False), (["fanin-q0", "--print"], False)):
        written.clear()
        monkeypatch.setattr(sys, "argv", ["run.py", *arguments])
        bench.main()
        output = capsys.readouterr()
        assert output.out == "the tables\n" and bool(written) == writes
        assert output.err == ("bench: writes bench/README.md and bench/charts at its end; with --print it only prints\n"
                              if writes else "")


def test_a_row_can_be_read_without_the_one_above():
    titles = [row.title for row in ROWS]
    assert not [t for t in titles if re.match(r"(the same|its )", t) or len(t.split()) == 1 and t[0].isdigit()]
    for _, rows, _ in bench.TABLES:
        assert len({(r.title, r.unit) for r in rows}) == len(rows)


def test_charts_are_titled_as_their_rows_are():
    readme = (ROOT / "bench/README.md").read_text()
    for row in ROWS:
        if row.name in bench.CHARTED:
            chart = (ROOT / f"bench/charts/{row.name}.svg").read_text()
            assert f'aria-label="{row.title}"' in chart and f">{row.title}</text>" in chart
            assert f">{row.unit}; less is better</text>" in chart
            assert f"![{row.title}](charts/{row.name}.svg)" in readme


def test_a_peer_that_cannot_be_built_is_named_and_its_cells_say_so(tmp_path, capfd):
    class Peer(System):
        name = "peer"

        def prepare(self):
            self.build("false")

    class Starling(Peer):
        name = "Starling"

        def prepare(self):
            """It is there."""

    run = bench.Run(types.SimpleNamespace(rounds=1, seconds=1, without=[]), tmp_path)
    row = Row("lamps", "lamps lit", "s", "seconds", ("nothing",), (Target(0.5, "peer"),), kind="lamps")
    run.measure = lambda system, row: {"seconds": 2.0}
    run.round(0, [("Lamps", (row,), (Peer, Starling))])
    assert "bench: peer: false could not build it; its cells say so" in capfd.readouterr().err
    assert bench.one_table(run, {}, "Lamps", (row,), (Peer, Starling))[-2] == (
        "| `lamps`: lamps lit | s | false could not build it | **2** | – | ≤ 0.5 × peer: ? |")
    missing = Peer(tmp_path)
    missing.build("no-such-program")
    assert missing.cannot(row) == "no no-such-program here"


def test_each_ratio_that_decides_a_target_is_printed(tmp_path):
    run = bench.Run(types.SimpleNamespace(rounds=1, seconds=1, without=[]), tmp_path)
    row = next(r for r in ROWS if r.name == "shadow-mqtt")
    update = next(r for r in ROWS if r.name == "shadow-update-rate")
    run.results = {(row.load, row.tls, row.setup, "Starling"): [{"delivered_per_s": 3000}],
                   (update.load, update.tls, update.setup, "ministack"): [{"requests_per_s": 20}]}
    goals = [bench.goal(run, {"store": 2000}, row, target, (bench.Starling,), 3000) for target in row.targets]
    assert goals == [f"≥ 0.2 × {FLOOR} (× 1.50): met", "≥ 20 × ministack over HTTP (× 150): met"]


# -- the end ----------------------------------------------------------------------------------------------------------

POOLED = """
import sys
sys.path.insert(0, {tools!r})
from ending import Pool, finish
def main():
    with Pool(1) as pool:
        work = [pool.submit(pool.run, ["sh", "-c", "sleep 600 & echo $! $$ >&2; wait"]) for _ in range(2)]
        for one in work:
            one.result()
finish("lamp", main)
"""


def test_an_interrupted_command_ends_its_programs_and_starts_no_more():
    with subprocess.Popen([sys.executable, "-c", POOLED.format(tools=str(ROOT / "tools"))], stderr=subprocess.PIPE, text=True,
                          preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler)) as command:
        started = [int(word) for word in command.stderr.readline().split()]
        command.send_signal(signal.SIGINT)
        rest = command.stderr.read()
        assert command.wait(40) == 130 and rest == "\nlamp: interrupted\n"
    assert len(started) == 2
    for pid in started:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, 0)
            status = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
            assert status == "Z", f"{pid} still runs"


# -- fuzz, faults, coverage -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("wrong, complaint", [
    (("-1",), "./dev fuzz: error: seconds: got '-1', expected a whole number above 0"),
    (("0",), "./dev fuzz: error: seconds: got '0', expected a whole number above 0"),
    (("1.5", "mqtt"), "./dev fuzz: error: seconds: got '1.5', expected a whole number above 0"),
    (("10", "mqtt", "nope"), "./dev fuzz: error: there is no target 'nope', only api "),
])
def test_fuzz_refuses_what_makes_no_sense(wrong, complaint):
    status, output = said(sys.executable, "tools/fuzz", *wrong)
    assert status == 2 and complaint in output


@pytest.mark.parametrize("wrong, complaint", [
    (("--runs=-1",), "./dev faults: error: argument --runs: got '-1', expected a whole number above 0"),
    (("--runs=many",), "./dev faults: error: argument --runs: got 'many', expected a whole number above 0"),
    (("--only", "nope"), "'nope' (choose from"),
])
def test_faults_refuses_what_makes_no_sense(wrong, complaint):
    status, output = said(sys.executable, "tests/faults/run.py", *wrong)
    assert status == 2 and complaint in output


def test_coverage_without_a_run_says_what_makes_one(tmp_path):
    (tmp_path / "tools").mkdir()
    for name in ("coverage", "ending.py"):
        (tmp_path / "tools" / name).write_bytes((ROOT / "tools" / name).read_bytes())
    status, output = said(sys.executable, tmp_path / "tools/coverage", "--no-tests")
    assert status == 1
    assert output == "coverage: build-coverage/ has no run of the tests yet; ./dev test --coverage, without --no-tests, makes one\n"


@pytest.mark.parametrize("command, name", [
    ("bench/run.py", "./dev bench"), ("bench/things.py", "bench/things.py"), ("bench/rules.py", "bench/rules.py"),
    ("tools/fuzz", "./dev fuzz"), ("tools/coverage", "./dev test --coverage"), ("tests/faults/run.py", "./dev faults"),
    ("tests/faults/soak.py", "./dev soak"), ("tests/demo/demo.py", "./dev demo"),
])
def test_each_command_calls_itself_as_it_is_called_and_explains_each_option(command, name):
    status, output = said(sys.executable, command, "--help", env={**os.environ, "COLUMNS": "200"})
    assert status == 0 and output.startswith(f"usage: {name} [")
    options = re.findall(r"^  (-\S.*?)(?:  +(.*))?$\n(^ {10,}\S.*$)?", output, re.M)
    assert len(options) >= 2
    assert not [option for option, beside, below in options if not beside and not below]
