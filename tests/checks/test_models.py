"""The models, the pages made of them, and the reader of the notation."""
import pathlib
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools"))

import coverage_page  # noqa: E402
import reached  # noqa: E402
from model import Service, constant, pascal, snake  # noqa: E402
from pattern import translate  # noqa: E402

HEAD = "service  x\nversion  1\nproto    rest-json\nsign     x\naction   x\n"


def test_the_coverage_page_is_current():
    result = subprocess.run([sys.executable, ROOT / "tools/coverage_page.py", "--check"], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr


def test_a_handler_is_what_is_defined_not_what_is_declared(tmp_path, monkeypatch):
    services = tmp_path / "src/services/iot"
    services.mkdir(parents=True)
    (services / "thing.c").write_text("Err iot_create_thing(Call *c, const IotCreateThingIn *in,\n        IotCreateThingOut *out) {\n}\n"
                                      "Err iot_delete_thing(Call *c, const IotDeleteThingIn *in, IotDeleteThingOut *out);\n"
                                      "static Err iot_list_things(Call *c) {\n}\n")
    (services / "thing_test.c").write_text("Err iot_update_thing(Call *c) {\n}\n")
    monkeypatch.setattr(coverage_page, "ROOT", tmp_path)
    assert coverage_page.handlers() == {"iot_create_thing"}


def two_services(tmp_path):
    ops = "op       GetLamp GET /lamps\nin\nout\nerr      Gone Invalid\nop       ListLamps GET /list\nin\nout\n"
    errors = "error    Gone 404 message:Name\nerror    Invalid 400 message:Name\nstr      Name\n"
    for name, more in (("x", ops), ("y", ops.replace("ListLamps", "PutLamp"))):
        (tmp_path / f"{name}.api").write_text(HEAD.replace("x\n", f"{name}\n", 1) + "invalid  Invalid\n" + more + errors)
    return [Service(tmp_path / "x.api"), Service(tmp_path / "y.api")]


def test_an_operation_is_tested_when_a_client_of_its_service_calls_it(tmp_path, monkeypatch):
    tests = tmp_path / "tests/system"
    tests.mkdir(parents=True)
    (tests / "test_a.py").write_text('x = server.client("x")\nx.get_lamp()\nfails(anything.put_lamp)\n')
    (tests / "tour.mjs").write_text("await client.send(new ListLampsCommand({}))\n")
    monkeypatch.setattr(coverage_page, "ROOT", tmp_path)
    assert coverage_page.tested(two_services(tmp_path)) == {"x": {"GetLamp", "ListLamps"}, "y": {"PutLamp"}}


def test_what_no_test_reached_is_listed(tmp_path):
    (tmp_path / "reached").write_text("x GetLamp OK Boto3\nx GetLamp InvalidException -\nx ListLamps OK unit\n"
                                      "y GetLamp GoneException Boto3\n")
    services = two_services(tmp_path)
    found = {"x_get_lamp", "x_list_lamps", "y_get_lamp"}
    lines = reached.report(services, found, {"x": {"ListLamps"}, "y": set()}, reached.read([tmp_path / "reached"]))
    assert lines == ["x:", "  only without an SDK: ListLamps", "  named by a test that did not reach it: ListLamps",
                     "  GetLamp: no test got Gone", "y:", "  no test had it succeed: GetLamp",
                     "operations: 3 answered, 1 that no test had succeed, 1 only without an SDK; errors: 1 of 2 declared that "
                     "no test got"]


@pytest.mark.parametrize("name, want", [
    ("thingName", "thing_name"), ("registerCACertificate", "register_ca_certificate"), ("SetV2LoggingLevel", "set_v2_logging_level"),
    ("RegisterCertificateWithoutCA", "register_certificate_without_ca"), ("dynamoDBv2", "dynamo_db_v2"), ("default", "default_"),
    ("thingARNs", "thing_arns"), ("iot-jobs-data", "iot_jobs_data"), ("ListPrincipalThingsV2", "list_principal_things_v2"),
])
def test_names_in_c_are_what_a_reader_expects(name, want):
    assert snake(name) == want


def test_types_and_constants_keep_the_words_of_aws():
    assert pascal("iot-data") == "IotData" and pascal("__listOfThing") == "ListOfThing" and pascal("OTAUpdate") == "OTAUpdate"
    assert constant("ResourceAlreadyExists") == "RESOURCE_ALREADY_EXISTS" and constant("IN_PROGRESS") == "IN_PROGRESS"


@pytest.mark.parametrize("java, pcre", [
    ("[a-z]+", r"\A(?:[a-z]+)\z"), (r"[\p{Graph}\x20]*", r"\A(?:[!-~\x20]*)\z"), (r"\p{Upper}", r"\A(?:[A-Z])\z"),
    (r"\P{Digit}", r"\A(?:[^0-9])\z"), (r"[^\p{C}]+", r"\A(?:[^\p{C}]+)\z"), (r"\u0041", r"\A(?:\x{41})\z"),
    (r"[\uD800\uDC00-\uDBFF\uDFFF]", r"\A(?:[\x{10000}-\x{10FFFF}])\z"), (r"a|b", r"\A(?:a|b)\z"), (r"\[x\]", r"\A(?:\[x\])\z"),
    (r"[\w- ]", r"\A(?:[\w\- ])\z"), (r"[\w-]", r"\A(?:[\w-])\z"),
])
def test_patterns_of_java_become_anchored_patterns_of_pcre2(java, pcre):
    assert translate(java) == pcre


@pytest.mark.parametrize("java", [r"[a-z&&[^b]]", r"[\P{Digit}]"])
def test_a_pattern_without_translation_is_refused(java):
    with pytest.raises(SystemExit):
        translate(java)


@pytest.mark.parametrize("body, complaint", [
    ("op     A GET /a\nin     b:Str\n", "Str, which is nowhere described"),
    ("op     A GET /a\nerr    Odd\n", "A gives Odd"),
    ("op     B GET /b\nop     A GET /a\n", "sorted by name"),
    ("op     A GET /a\nin     b:T@path\nstr    T\n", "no label b"),
    ("op     A GET /a\nin     b:L@header=h\nstr    T\nlist   L T\n", "a header that holds a list"),
    ("str    T 1..2 a\nint    I 1..2 a\n", "has no place in a int"),
    ("op     A GET /a\nin     b\n", "expected name:Shape"),
    ("op     A GET /a\nin     b:T@road\nstr    T\n", "road is no place"),
    ("opp    A\n", "opp is no keyword"),
    ("invalid Odd\n", "Odd is nowhere described"),
])
def test_a_model_that_is_wrong_is_refused_with_what_is_wrong(tmp_path, body, complaint):
    path = tmp_path / "x.api"
    path.write_text(HEAD + body)
    with pytest.raises(SystemExit, match=complaint):
        Service(path)


def test_two_names_that_would_be_one_in_c_are_refused(tmp_path):
    (tmp_path / "x.api").write_text(HEAD + "op     A GET /a\nin     fooBar:T foo_bar:T\n\nstr    T\n")
    result = subprocess.run([sys.executable, ROOT / "tools/generate.py", "service", tmp_path / "x.api", tmp_path / "x.h", tmp_path / "x.c"],
                            capture_output=True, text=True)
    assert result.returncode != 0 and "would both be called foo_bar" in result.stderr


def test_the_generator_is_deterministic(tmp_path):
    for i in "12":
        subprocess.run([sys.executable, ROOT / "tools/generate.py", "service", ROOT / "models/iot.api", tmp_path / f"{i}.h", tmp_path / f"{i}.c"],
                       check=True, env={"PYTHONHASHSEED": i})
    assert (tmp_path / "1.c").read_bytes() == (tmp_path / "2.c").read_bytes()
    assert (tmp_path / "1.h").read_bytes() == (tmp_path / "2.h").read_bytes()
