"""The notation of models/*.resource: what it does not understand it refuses, and says where."""
import pathlib
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
TOOL = ROOT / "tools/generate_resources.py"
API = """service  x
version  1
proto    rest-json
sign     x
action   x
invalid  InvalidRequest
op       CreateLamp POST /lamps/{lampName}
in       lampName:Name!@path colour:Name
out      lampName:Name lampArn:Name
err      ResourceAlreadyExists
op       DeleteLamp DELETE /lamps/{lampName}
in       lampName:Name!@path
out
op       ListLamps GET /lamps
in       maxResults:Size@query nextToken:Name@query
out      lamps:Lamps nextToken:Name
error    InvalidRequest 400 message:Name
error    ResourceAlreadyExists 409 message:Name
error    ResourceNotFound 404 message:Name
list     Lamps Name
str      Name 1..64
int      Size 1..50
"""
STORE = "record Lamp l\nkey lamp_name:str\n1 colour:str\n2 size:int\n"
GOOD = "service x\nresource Lamp lamp\narn lamp/{lamp_name}\ncreate CreateLamp\ndelete DeleteLamp\nlist ListLamps page=10\n"


def make(tmp_path, resource, store=STORE):
    files = [tmp_path / "x.api", tmp_path / "x.store", tmp_path / "x.resource"]
    for file, text in zip(files, (API, store, resource)):
        file.write_text(text)
    out = tmp_path / "out"
    out.mkdir(exist_ok=True)
    return subprocess.run([sys.executable, TOOL, out, *files], capture_output=True, text=True), out


def test_our_own_models_pass():
    paths = [p for ext in ("api", "store", "resource") for p in ROOT.glob(f"models/*.{ext}")]
    done = subprocess.run([sys.executable, TOOL, "--check", *paths], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_declaration_becomes_handlers_and_a_table(tmp_path):
    done, out = make(tmp_path, GOOD)
    assert done.returncode == 0, done.stderr
    source = (out / "x_resources.c").read_text()
    assert "Err x_create_lamp(Call *c, const XCreateLampIn *in, XCreateLampOut *out) {" in source
    assert ".page_default = 10, .page_max = 50" in source
    assert ".gone_is_fine = true" in source                     # DeleteLamp declares no ResourceNotFound
    assert "&x_lamp_resource," in (out / "resources.c").read_text()


@pytest.mark.parametrize("change, complaint", [
    (("create CreateLamp", "create CreateLampe"), "x has no operation CreateLampe"),
    (("resource Lamp lamp", "resource Lump lamp"), "there is no record Lump"),
    (("service x", "service y"), "there is no model of a service y"),
    (("{lamp_name}", "{name}"), "has no field name"),
    (("page=10", "by=by_size"), "no such index"),
    (("page=10", "pages=10"), "no such index, or word"),
    (("arn lamp/{lamp_name}\n", ""), "it has no arn"),
    (("page=10\n", "page=10\nmatch lumps colour\n"), "no member is lumps"),
    (("page=10\n", "page=10\nleave lumps\n"), "no member is lumps"),
    (("page=10\n", "page=10\nmatch colour size\n"), "colour is a str, the field size a int"),
    (("page=10\n", "page=10\nhook crating\n"), "crating is no hook"),
    (("page=10\n", "page=10\nsett size 3\n"), "no such line"),
])
def test_a_bad_line_is_refused_and_named(tmp_path, change, complaint):
    done, _ = make(tmp_path, GOOD.replace(*change))
    assert done.returncode != 0
    assert complaint in done.stderr


def test_a_member_that_nothing_keeps_does_not_build(tmp_path):
    done, _ = make(tmp_path, GOOD, STORE.replace("1 colour:str\n", ""))
    assert done.returncode != 0
    assert "CreateLamp: no field is colour" in done.stderr
    assert make(tmp_path, GOOD + "leave colour\n", STORE.replace("1 colour:str\n", ""))[0].returncode == 0
