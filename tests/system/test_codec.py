"""Every operation of every service, both ways, against botocore: what its serializer sends is what the server reads, and
what the server answers is what its parser gives. So each place a member travels, each kind of value and each format of a
timestamp is proven wherever a model has it. (Services that botocore has dropped are imported from the last that had them:
tools/import_model.py; their operations go the same ways.)"""
import base64
import datetime
import io
import json
import pathlib
import subprocess
import sys
import urllib.parse

import botocore.parsers
import botocore.serialize
import botocore.session
import pytest
from botocore.awsrequest import AWSRequest, prepare_request_dict
from support.server import BINARY, ROOT

sys.path.insert(0, str(ROOT / "tools"))
from import_model import RETIRED  # noqa: E402
from model import Service  # noqa: E402

SERVICES = sorted(p.stem for p in (ROOT / "models").glob("*.api") if p.stem not in RETIRED)
EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)
# A text for each place: what a label, a query and a body may hold; headers hold ASCII.
TEXTS = {"uri": "a b/c+d%é", "querystring": "q &=+%é?", "header": "head-1", "headers": "head-2", None: "bödy \"\\\n☃"}


@pytest.fixture(scope="module")
def echo():
    build = BINARY.resolve().parents[2]
    subprocess.run(["ninja", "-C", build, "tests/codec/echo"], check=True, capture_output=True)
    process = subprocess.Popen([build / "tests/codec/echo"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def ask(**line):
        process.stdin.write(json.dumps(line) + "\n")
        process.stdin.flush()
        return json.loads(process.stdout.readline())

    yield ask
    process.stdin.close()
    assert process.wait(20) == 0


class Maker:
    """Values for shapes, all members set, each call another union member and another number."""

    def __init__(self):
        self.n = 0

    def value(self, shape, place=None, depth=0):
        self.n += 1
        kind = shape.type_name
        if kind == "string":
            return shape.enum[self.n % len(shape.enum)] if getattr(shape, "enum", None) else TEXTS[place]
        if kind in ("integer", "long"):
            return self.n
        if kind in ("float", "double"):
            return self.n + 0.5
        if kind == "boolean":
            return self.n % 2 == 0
        if kind == "timestamp":
            return EPOCH + datetime.timedelta(seconds=1700000000 + self.n)
        if kind == "blob":
            return bytes([0, 255, self.n % 256])
        if kind == "list":
            return [] if depth > 6 else [self.value(shape.member, place, depth + 1) for _ in range(2)]
        if kind == "map":
            return {} if depth > 6 else {f"key{i}": self.value(shape.value, place, depth + 1) for i in range(2)}
        if getattr(shape, "is_document_type", False):
            return {"any": [1, None, "x"]}
        members = list(shape.members.items())
        if getattr(shape, "is_tagged_union", False):
            members = [members[self.n % len(members)]]
        out = {}
        for name, member in members:
            if depth > 6 and member.type_name in ("structure", "list", "map"):
                continue
            where = member.serialization.get("location")
            if member.serialization.get("jsonvalue"):
                out[name] = {"json": self.n}
            else:
                out[name] = self.value(member, "headers" if where == "headers" else where, depth + 1)
        return out


def plain(shape, value):
    """A value as botocore has it, in what JSON can say: structures by their members' names, times as milliseconds."""
    kind = shape.type_name
    if shape.serialization.get("jsonvalue"):
        return value
    if kind == "structure" and not getattr(shape, "is_document_type", False):
        return {name: plain(shape.members[name], v) for name, v in value.items() if name in shape.members}
    if kind == "list":
        return [plain(shape.member, v) for v in value]
    if kind == "map":
        return {k: plain(shape.value, v) for k, v in value.items()}
    if kind == "timestamp":
        return round((value - EPOCH).total_seconds() * 1000)
    if kind == "blob":
        return base64.b64encode(value.read() if hasattr(value, "read") else value).decode()
    return value


def heard(shape, value, top=True):
    """The same of what echo says: structures by their names on the wire, but for the outermost."""
    kind = shape.type_name
    if shape.serialization.get("jsonvalue"):
        return json.loads(value)
    if kind == "structure" and not getattr(shape, "is_document_type", False):
        out = {}
        for name, member in shape.members.items():
            wire = name if top else member.serialization.get("name", name)
            if wire in value:
                out[name] = heard(member, value[wire], False)
        return out
    if kind == "list":
        return [heard(shape.member, v, False) for v in value]
    if kind == "map":
        return {k: heard(shape.value, v, False) for k, v in value.items()}
    if kind == "timestamp" and isinstance(value, str):
        at = datetime.datetime.fromisoformat(value.replace("Z", "+00:00")) if value[0].isdigit() else \
            datetime.datetime.strptime(value, "%a, %d %b %Y %H:%M:%S GMT").replace(tzinfo=datetime.timezone.utc)
        return round((at - EPOCH).total_seconds() * 1000)
    return round(value * 1000) if kind == "timestamp" else value


def told(shape, value, top=True):
    """A value for echo to answer with: names on the wire inside, times in seconds."""
    kind = shape.type_name
    if kind == "structure" and not getattr(shape, "is_document_type", False):
        return {name if top else shape.members[name].serialization.get("name", name): told(shape.members[name], v, False)
                for name, v in value.items()}
    if kind == "list":
        return [told(shape.member, v, False) for v in value]
    if kind == "map":
        return {k: told(shape.value, v, False) for k, v in value.items()}
    if kind == "timestamp":
        return (value - EPOCH).total_seconds()
    return base64.b64encode(value).decode() if kind == "blob" else value


def model_of(service):
    return botocore.session.get_session().get_service_model(service)


@pytest.mark.parametrize("service", SERVICES)
def test_what_botocore_sends_is_what_is_read(echo, service):
    model, make = model_of(service), Maker()
    serializer = botocore.serialize.create_serializer(model.metadata["protocol"], include_validation=False)
    for name in model.operation_names:
        operation = model.operation_model(name)
        shape = operation.input_shape
        value = make.value(shape) if shape else {}
        request = serializer.serialize_to_request(value, operation)
        prepare_request_dict(request, "https://localhost", context={})
        ready = AWSRequest(method=request["method"], url=request["url"], data=request["body"], headers=request["headers"]).prepare()
        url = urllib.parse.urlsplit(ready.url)
        body = ready.body.encode() if isinstance(ready.body, str) else ready.body or b""
        got = echo(service=service, method=ready.method, path=url.path, query=url.query, body=base64.b64encode(body).decode(),
                   headers=[[k, v.decode() if isinstance(v, bytes) else v] for k, v in ready.headers.items()])
        assert got.get("op") == name, (name, got, ready.url)
        assert heard(shape, got["input"]) == plain(shape, value) if shape else got["input"] == {}, name


@pytest.mark.parametrize("service", SERVICES)
def test_what_is_answered_is_what_botocore_gives(echo, service):
    model, make = model_of(service), Maker()
    parser = botocore.parsers.create_parser(model.metadata["protocol"])
    for name in model.operation_names:
        operation = model.operation_model(name)
        shape = operation.output_shape
        if operation.has_event_stream_output:
            continue  # nobody answers one yet
        value = make.value(shape) if shape else {}
        for member in (shape.members if shape else ()):
            if shape.members[member].serialization.get("location") == "statusCode":
                value[member] = 207
        got = echo(service=service, op=name, output=told(shape, value) if shape else {})
        assert "error" not in got, (name, got)
        body = base64.b64decode(got["body"])
        answer = {"status_code": got["status"], "headers": dict(got["headers"]),
                  "body": io.BytesIO(body) if operation.has_streaming_output else body}
        parsed = parser.parse(answer, shape)
        parsed.pop("ResponseMetadata")
        assert plain(shape, parsed) == plain(shape, value) if shape else parsed == {}, name


def test_a_value_that_arrives_elsewhere_or_otherwise_is_found(echo):
    """The comparison can fail: a query in the wrong case, a time a second off."""
    shape = model_of("iot").operation_model("ListThings").input_shape
    got = echo(service="iot", method="GET", path="/things", query="maxResults=7&attributename=x", headers=[], body="")
    assert heard(shape, got["input"]) == {"maxResults": 7}
    shape = model_of("iot").operation_model("ListAuditTasks").input_shape
    got = echo(service="iot", method="GET", path="/audit/tasks", query="startTime=1970-01-01T00%3A00%3A09Z&endTime=1", headers=[], body="")
    assert heard(shape, got["input"]) == {"startTime": 9000, "endTime": 1000}


def test_every_model_that_botocore_still_has_is_among_them():
    installed = set(botocore.session.get_session().get_available_services())
    for path in (ROOT / "models").glob("*.api"):
        assert (path.stem in installed) == (path.stem not in RETIRED), path.stem
    assert sum(len(Service(pathlib.Path(ROOT / f"models/{s}.api")).ops) for s in SERVICES) > 600
