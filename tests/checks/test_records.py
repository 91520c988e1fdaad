"""The notation of models/*.store refuses what would make old data unreadable."""
import pathlib
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
TOOL = ROOT / "tools/generate_records.py"
GOOD = "record Thing t\nkey name:str\n1 a:str 2 b:int\nretired 3\nindex 1 by_a a\nretired index 2\n"


def check(tmp_path, *texts):
    files = []
    for i, text in enumerate(texts):
        files.append(tmp_path / f"m{i}.store")
        files[-1].write_text(text)
    return subprocess.run([sys.executable, TOOL, "--check", *files], capture_output=True, text=True)


def test_our_own_models_pass():
    done = subprocess.run([sys.executable, TOOL, "--check", *ROOT.glob("models/*.store")], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_good_model_passes(tmp_path):
    assert check(tmp_path, GOOD).returncode == 0


@pytest.mark.parametrize("more, complaint", [
    ("2 c:str", "the tag 2 is used twice"),
    ("3 c:str", "has the tag 3, which is retired"),
    ("4 a:str", "the field a is used twice"),
    ("4 name:str", "the field name is used twice"),
    ("index 1 by_b b", "the index number 1 is used twice"),
    ("index 2 by_b b", "has the number 2, which is retired"),
    ("index 3 by_c c", "is of c, which is no field"),
    ("4 c:list\nindex 3 by_c c", "which is no field of a type that orders"),
    ("4 c:float", "has the type \"float\""),
    ("0 c:str", "\"0\" is no tag"),
    ("65536 c:str", "\"65536\" is no tag"),
    ("4 unknown:str", "is no name for a field"),
    ("5 Upper:str", "is no name for a field"),
    ("4", "fields are"),
    ("key other:str", "has a key already"),
    ("feild 4 c:str", "a line cannot begin with \"feild\""),
    ("record Other t\nkey a:str", "the record tag t is used twice"),
    ("record Thing u\nkey a:str", "the record name Thing is used twice"),
    ("record Other u", "Other has no key"),
    ("record Other u\nkey a:map", "a is in the key"),
])
def test_a_bad_line_is_refused_and_named(tmp_path, more, complaint):
    done = check(tmp_path, GOOD + more + "\n")
    assert done.returncode != 0
    assert complaint in done.stderr


def test_a_record_tag_is_unique_over_all_files(tmp_path):
    done = check(tmp_path, GOOD, "record Other t\nkey a:str\n")
    assert done.returncode != 0 and "the record tag t is used twice" in done.stderr
