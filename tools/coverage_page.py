#!/usr/bin/env python3
"""Writes docs/coverage.md: which operations of which service are answered, and which are tested through a real SDK.

    tools/coverage_page.py           writes it
    tools/coverage_page.py --check   fails when it is not what it would write

An operation is answered when src/services/ defines its handler or models/*.resource declares it; any other answers
HTTP 501, NotImplementedException. It is tested when tests/system calls it by its name in an SDK (a method of boto3, a
command of the aws CLI, JavaScript's …Command, Go's method); where several services have an operation of that name, by a
client of that service. (tools/reached.py says of a run of the tests which were really called, and how they ended.)
"""
import collections
import pathlib
import re
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from model import Service, snake  # noqa: E402

ROOT = pathlib.Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs/coverage.md"


def handlers():
    """The names of all functions in src/services/ that take a Call, where they are defined."""
    names = set()
    for source in sorted((ROOT / "src/services").rglob("*.c")):
        if not source.name.endswith("_test.c"):
            names |= set(re.findall(r"^Err (\w+)\(Call \*[^;{]*\)\s*\{", source.read_text(), re.M))
    return names | declared()


def declared():
    """The names of the handlers that tools/generate_resources.py makes."""
    names = set()
    for path in sorted((ROOT / "models").glob("*.resource")):
        service = ""
        for line in path.read_text().splitlines():
            words = line.split("#")[0].split()
            if words[:1] == ["service"]:
                service = words[1]
            elif words and words[0] in ("create", "read", "update", "delete", "list"):
                names.add(f"{snake(service)}_{snake(words[1])}")
            elif words[:1] == ["tags"]:
                names |= {f"{snake(service)}_{snake(op)}" for op in words[1:]}
    return names


def names_in_tests():
    """{file: its text} of the tests that drive real clients."""
    return {path: path.read_text() for path in sorted((ROOT / "tests/system").rglob("*"))
            if path.suffix in (".py", ".mjs", ".go") and "node_modules" not in path.parts}


def query_actions(service):
    """The actions of a service without a model: its table in src/services/SERVICE/SERVICE.c."""
    source = (ROOT / f"src/services/{service}/{service}.c").read_text()
    table = re.search(r"QueryAction ACTIONS\[\] = \{(.*?)\n\};", source, re.S)[1]
    return re.findall(r'\{ "(\w+)",', table)


# Fixtures of tests/system/conftest.py.
CLIENTS = {"iot": "iot", "data": "iot-data"}


def calls(text):
    """{name in an SDK: {receiver}} of all that could be calls: {"create_thing": {"iot"}}; receiver "" where none is said
    (the CLI, getattr, paginators)."""
    out = collections.defaultdict(set)
    for receiver, method in re.findall(r"(\w+)(?:\(\))?\.([a-z]\w+)", text):      # boto3, also as an argument
        out[method].add(receiver)
    for service, method in re.findall(r"client\(\"([\w-]+)\"[^)\n]*\)\.(\w+)", text):
        out[method].add(service)
    for name in re.findall(r"\"(\w+)\"|\b(\w+)Command\b|\.([A-Z]\w+)\(ctx\b", text):
        out[next(filter(None, name))].add("")
    for name in re.findall(r"[\"' ]([a-z][a-z0-9]*(?:-[a-z0-9]+)+)[\"' ,)]", text):
        out[name.replace("-", "_")].add("")
    return out


def clients_of(text):
    """{name: service} of the clients that a test file makes."""
    made = re.findall(r"(\w+)[^=\n]*=[^=\n]*client\(\"([\w-]+)\"", text)
    made += re.findall(r"def (\w+)\([^)]*\):(?:\n(?!def |@).*)*?client\(\"([\w-]+)\"", text)
    made += [(service, service) for service in re.findall(r"client\(\"([\w-]+)\"", text)]
    return {**CLIENTS, **dict(made)}


def tested(services):
    """{service: {operation}} that tests call through an SDK."""
    several = collections.Counter(op.name for s in services for op in s.ops)
    out = {s.name: set() for s in services}
    for text in names_in_tests().values():
        clients, found = clients_of(text), calls(text)
        for s in services:
            for op in s.ops:
                receivers = found.get(snake(op.name), set()) | found.get(op.name, set())
                if receivers and (several[op.name] == 1 or any(clients.get(r) == s.name for r in receivers)):
                    out[s.name].add(op.name)
    return out


def page(services, found, by_name):
    answered = {s.name: [op.name for op in s.ops if f"{snake(s.name)}_{snake(op.name)}" in found] for s in services}
    total = sum(len(s.ops) for s in services)
    lines = ["# What is answered", "",
             "Made by `tools/coverage_page.py` from `models/` and `src/services/`; a test keeps it current.",
             "An operation that is not answered gives HTTP 501 and `NotImplementedException`, which names it.",
             "Tested through a real SDK: called by name in `tests/system`; `./dev test` ends with what no test reached.", "",
             "| service | API version | operations | answered | tested | left |", "| --- | --- | ---: | ---: | ---: | ---: |"]
    by_name = {s.name: [name for name in answered[s.name] if name in by_name[s.name]] for s in services}
    for s in services:
        n = len(answered[s.name])
        lines.append(f"| {s.name} | {s.version} | {len(s.ops)} | {n} | {len(by_name[s.name])} | {len(s.ops) - n} |")
    n = sum(map(len, answered.values()))
    lines.append(f"| all | | {total} | {n} | {sum(map(len, by_name.values()))} | {total - n} |")
    for s in services:
        left = [op.name for op in s.ops if op.name not in answered[s.name]]
        lines += ["", f"## {s.name}"]
        untested = [name for name in answered[s.name] if name not in by_name[s.name]]
        for title, names in (("Answered and tested", by_name[s.name]), ("Answered", untested), ("Left", left)):
            if names:
                lines += ["", f"{title}: {', '.join(names)}."]
    lines += ["", "## iam, sts", "", "Subsets without a model here, not in the table above. Any other operation of theirs gives "
              "HTTP 501 and `NotImplemented`.", ""]
    lines += [f"{name}: {', '.join(sorted(query_actions(name)))}.\n" for name in ("iam", "sts")]
    return "\n".join(lines)


def main():
    services = [Service(path) for path in sorted((ROOT / "models").glob("*.api"))]
    text = page(services, handlers(), tested(services))
    if sys.argv[1:] == ["--check"]:
        if not PAGE.exists() or PAGE.read_text() != text:
            sys.exit(f"{PAGE.relative_to(ROOT)} is not current: run tools/coverage_page.py and commit it")
    elif sys.argv[1:]:
        sys.exit(__doc__)
    else:
        PAGE.parent.mkdir(exist_ok=True)
        PAGE.write_text(text)
        print(text.split("\n| all |")[1].split("\n")[0].strip(" |"))


if __name__ == "__main__":
    main()
