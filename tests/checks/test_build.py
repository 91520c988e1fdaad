"""Each unit test is built. Two branches that both add to a list can leave it in a meson.build twice, and the later one
counts alone."""
import pathlib
import re

import pytest

SRC = pathlib.Path(__file__).resolve().parents[2] / "src"


def faults(src):
    said = []
    for build in sorted(src.rglob("meson.build")):
        lists = re.findall(r"^(tests|sources) = ", build.read_text(), re.MULTILINE)
        said += [f"{build}: '{name}' is set twice" for name in sorted({n for n in lists if lists.count(n) > 1})]
    named = set(re.findall(r"'([\w/]+_test)'", "".join(b.read_text() for b in src.rglob("meson.build"))))
    named = {name.rsplit("/", 1)[-1] for name in named}
    return said + [f"{test}: no meson.build names it" for test in sorted(src.rglob("*_test.c")) if test.stem not in named]


def test_every_unit_test_is_built():
    assert not faults(SRC)


@pytest.mark.parametrize("build, fault", [("tests = ['a_test']\ntests = []\n", "'tests' is set twice"),
                                          ("tests = []\n", "no meson.build names it")])
def test_what_is_not_built_is_found(tmp_path, build, fault):
    (tmp_path / "meson.build").write_text(build)
    (tmp_path / "a_test.c").write_text("")
    assert [f.split(": ")[1] for f in faults(tmp_path)] == [fault]
