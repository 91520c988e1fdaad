"""Every list that an API pages is paged by src/api/page.h: opaque tokens, a limit, one place."""
import pathlib
import re
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools"))

from model import Service, snake  # noqa: E402

TOKENS = {"nextToken", "nextMarker", "marker", "NextToken"}


def sources():
    """{handler: the text of the file that defines it}"""
    out = {}
    for path in (ROOT / "src/services").rglob("*.c"):
        text = path.read_text()
        for name in re.findall(r"^Err (\w+)\(Call \*[^;{]*\)\s*\{", text, re.M):
            out[name] = text
    return out


def paged_operations():
    for path in sorted((ROOT / "models").glob("*.api")):
        service = Service(path)
        for op in service.ops:
            if {m.name for m in op.inputs} & TOKENS and {m.name for m in op.outputs or []} & TOKENS:
                yield f"{snake(service.name)}_{snake(op.name)}"


def unpaged(found):
    return [name for name in paged_operations() if name in found and "page_open(" not in found[name]]


def test_every_paged_handler_opens_a_page():
    assert unpaged(sources()) == []


@pytest.mark.parametrize("name", ["iot_list_things", "iot_data_list_subscriptions"])
def test_one_that_does_not_is_found(name):
    found = sources()
    assert name in found
    assert unpaged({**found, name: "Err x(Call *c) { return OK; }"}) == [name]
