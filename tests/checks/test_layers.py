"""The layers of src/ hold, and the check that says so can fail."""
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]


def check(src):
    return subprocess.run([sys.executable, ROOT / "tools/check_layers", src], capture_output=True, text=True)


def plant(tmp_path, files):
    (tmp_path / "LAYERS").write_text("# low to high\nbase      strings\nnet       sockets\nservices  handlers\n")
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    return check(tmp_path)


def test_no_include_of_our_sources_points_up():
    result = check(ROOT / "src")
    assert result.returncode == 0, result.stdout


def test_arrows_that_point_down_or_sideways_pass(tmp_path):
    result = plant(tmp_path, {"net/a.c": '#include "net/a.h"\n#include "base/str.h"\n#include <stdio.h>\n'})
    assert result.returncode == 0, result.stdout


def test_a_planted_arrow_that_points_up_fails_with_its_line(tmp_path):
    result = plant(tmp_path, {"base/str.c": '#include "base/str.h"\n\n#  include "net/tls.h"\n'})
    assert result.returncode == 1
    assert "base/str.c:3: base includes net/tls.h, but net lies higher in LAYERS" in result.stdout


def test_a_service_that_includes_another_fails(tmp_path):
    result = plant(tmp_path, {"services/iot/thing.c": '#include "services/jobs/job.h"\n#include "services/env.h"\n'})
    assert result.returncode == 1
    assert "thing.c:1: service iot includes service jobs" in result.stdout
    assert result.stdout.count("thing.c") == 1


def test_the_fixture_is_for_tests_alone(tmp_path):
    line = '#include "services/testing/fixture.h"\n'
    result = plant(tmp_path, {"services/iot/thing_test.c": line, "services/iot/thing.c": line})
    assert result.returncode == 1
    assert "thing.c:1: service iot includes service testing" in result.stdout and "thing_test.c" not in result.stdout


def test_an_include_that_is_not_rooted_at_src_fails(tmp_path):
    assert plant(tmp_path, {"net/a.c": '#include "a.h"\n'}).returncode == 1
    assert plant(tmp_path, {"net/a.c": '#include "../base/str.h"\n'}).returncode == 1


def test_a_folder_that_layers_does_not_name_fails(tmp_path):
    result = plant(tmp_path, {"odd/a.c": "\n"})
    assert result.returncode == 1 and "folder odd is not in LAYERS" in result.stdout
