#!/usr/bin/env python3
"""Writes docs/coverage.md: which operations of which service are answered.

    tools/coverage_page.py           writes it
    tools/coverage_page.py --check   fails when it is not what it would write

An operation is answered when src/services/ defines its handler or models/*.resource declares it; any other answers
HTTP 501, NotImplementedException.
"""
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


def page(services, found):
    answered = {s.name: [op.name for op in s.ops if f"{snake(s.name)}_{snake(op.name)}" in found] for s in services}
    total = sum(len(s.ops) for s in services)
    lines = ["# What is answered", "",
             "Made by `tools/coverage_page.py` from `models/` and `src/services/`; a test keeps it current.",
             "An operation that is not answered gives HTTP 501 and `NotImplementedException`, which names it.", "",
             "| service | API version | operations | answered | left |", "| --- | --- | ---: | ---: | ---: |"]
    for s in services:
        n = len(answered[s.name])
        lines.append(f"| {s.name} | {s.version} | {len(s.ops)} | {n} | {len(s.ops) - n} |")
    n = sum(map(len, answered.values()))
    lines.append(f"| all | | {total} | {n} | {total - n} |")
    for s in services:
        left = [op.name for op in s.ops if op.name not in answered[s.name]]
        lines += ["", f"## {s.name}"]
        for title, names in (("Answered", answered[s.name]), ("Left", left)):
            if names:
                lines += ["", f"{title}: {', '.join(names)}."]
    return "\n".join(lines) + "\n"


def main():
    services = [Service(path) for path in sorted((ROOT / "models").glob("*.api"))]
    text = page(services, handlers())
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
