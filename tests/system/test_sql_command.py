"""starling sql: a rule tried on a message, without a server. The SQL's arithmetic beside Python's decimals, and its
protobuf decoder beside Google's."""
import base64
import decimal
import json
import random
import subprocess

import pytest
from google.protobuf import (any_pb2, descriptor_pb2, descriptor_pool, duration_pb2, empty_pb2, field_mask_pb2, json_format,
                             message_factory, struct_pb2, timestamp_pb2, wrappers_pb2)
from support.server import BINARY


@pytest.fixture
def sql(tmp_path):
    def run(*arguments, payload=b"{}", expect=0):
        file = tmp_path / "payload"
        file.write_bytes(payload if isinstance(payload, bytes) else json.dumps(payload).encode())
        done = subprocess.run([BINARY, "sql", *map(str, arguments), "--payload", str(file)], capture_output=True, timeout=60)
        assert done.returncode == expect, done.stdout + done.stderr
        return done
    return run


def test_prints_the_result(sql):
    done = sql("SELECT temp, topic(2) AS dev FROM 'a/+/t' WHERE temp > 50", "--topic", "a/d7/t", payload={"temp": 54.98})
    assert done.stdout == b'{"temp":54.98,"dev":"d7"}\n' and done.stderr == b""


def test_says_why_there_is_no_result(sql):
    statement = "SELECT temp FROM 'a/+/t' WHERE temp > 50"
    done = sql(statement, "--topic", "a/d7/t", payload={"temp": "hot"}, expect=3)
    assert done.stdout == b""
    assert b"line 1, column 32: temp > 50 is Undefined: > does not take String \"hot\" and Int 50" in done.stderr
    assert b"WHERE is not true" in done.stderr
    assert b"b/d7/t does not match FROM 'a/+/t'" in sql(statement, "--topic", "b/d7/t", expect=3).stderr


def test_shows_where_a_statement_is_wrong(sql):
    done = sql("SELECT temp\nFROM 'a' WHERE temp >> 5", "--topic", "a", expect=1)
    assert done.stderr.decode().splitlines() == [
        "starling: line 2, column 22: found '>', expected an expression", "  FROM 'a' WHERE temp >> 5", "                       ^"]


def test_passes_bytes_through(sql):
    assert sql("SELECT * FROM 'a'", "--topic", "a", payload=b"\x00\xff\n").stdout == b"\x00\xff\n"


def test_what_an_action_takes_as_it_is_stays_as_it_is(sql, tmp_path):
    """Only members that AWS lets have templates are rendered: not a header's name, nor Salesforce's token."""
    rule = tmp_path / "rule.json"
    rule.write_text(json.dumps({"sql": "SELECT * FROM 'a'", "actions": [
        {"http": {"url": "https://h/${d}", "headers": [{"key": "${d}", "value": "${d}"}]}},
        {"salesforce": {"url": "https://x/${d}", "token": "${d}"}}], "errorAction": {"noSuch": {}}}))
    done = sql("--rule", rule, "--topic", "a", payload={"d": "7"}, expect=1)
    _, http, salesforce = done.stdout.decode().splitlines()
    assert json.loads(http.removeprefix("action http: ")) == {"url": "https://h/7", "headers": [{"key": "${d}", "value": "7"}]}
    assert json.loads(salesforce.removeprefix("action salesforce: ")) == {"url": "https://x/${d}", "token": "${d}"}
    assert b"there is no noSuch action" in done.stderr


def test_shows_what_each_action_would_be_given(sql, tmp_path):
    rule = tmp_path / "rule.json"
    rule.write_text(json.dumps({"ruleName": "r", "topicRulePayload": {
        "sql": "SET @d = device SELECT * FROM 'a/#'", "awsIotSqlVersion": "2016-03-23",
        "actions": [{"republish": {"topic": "out/${@d}/${topic(2)}", "roleArn": "arn:aws:iam::123456789012:role/${x}", "qos": 1}},
                    {"s3": {"bucketName": "b", "key": "${parse_time('yyyy', timestamp())}/${device}.json",
                            "roleArn": "arn:aws:iam::123456789012:role/r"}}],
        "errorAction": {"sqs": {"queueUrl": "https://q/${clientid()}", "roleArn": "arn:aws:iam::123456789012:role/r"}}}}))
    done = sql("--rule", rule, "--topic", "a/b", "--time", 1700000000000, "--client-id", "lamp", payload={"device": "d7"})
    result, republish, s3, error = done.stdout.decode().splitlines()
    assert json.loads(result) == {"device": "d7"}
    assert json.loads(republish.removeprefix("action republish: ")) == {
        "topic": "out/d7/b", "roleArn": "arn:aws:iam::123456789012:role/${x}", "qos": 1}
    assert json.loads(s3.removeprefix("action s3: "))["key"] == "2023/d7.json"
    assert json.loads(error.removeprefix("error action sqs: "))["queueUrl"] == "https://q/lamp"


def test_functions_that_ask_others_are_answered_by_a_file_or_fail_by_name(sql, tmp_path):
    statement = "SELECT get_thing_shadow('lamp', 'arn:r').state.on AS lit FROM 'a'"
    done = sql(statement, "--topic", "a", expect=1)
    assert b"get_thing_shadow: it asks others" in done.stderr
    answers = tmp_path / "answers.json"
    answers.write_text('{"get_thing_shadow": {"state": {"on": true}}}')
    assert sql(statement, "--topic", "a", "--answers", answers).stdout == b'{"lit":true}\n'


def number(rng):
    kind = rng.randrange(4)
    if kind == 0:
        return str(rng.randrange(-1000, 1000))
    if kind == 1:
        return f"{rng.randrange(-10**6, 10**6)}.{rng.randrange(10**4):04}"
    if kind == 2:
        return str(rng.randrange(-10**33, 10**33))
    return f"{rng.randrange(1, 10**17)}E{rng.randrange(-40, 40)}"


def same(got, wanted):
    """Within 34 digits; Python's decimals are the twin."""
    return (got is None and wanted is None) or (got is not None and wanted is not None and decimal.Decimal(got) == wanted)


def test_arithmetic_agrees_with_pythons_decimals(sql):
    rng = random.Random(7)
    context = decimal.Context(prec=34, rounding=decimal.ROUND_HALF_EVEN, Emax=6144, Emin=-6143, traps=[])
    operators = {"+": context.add, "-": context.subtract, "*": context.multiply, "/": context.divide, "%": context.remainder}
    for _ in range(12):
        cases = [(number(rng), rng.choice("+-*/%"), number(rng)) for _ in range(200)]
        items = ", ".join(f"a{i} {op} b{i} AS r{i}" for i, (_, op, _) in enumerate(cases))
        payload = "{" + ",".join(f'"a{i}":{a},"b{i}":{b}' for i, (a, _, b) in enumerate(cases)) + "}"
        # In the first version a number with a point stays a Decimal, so that only two Ints divide as Ints.
        done = sql(f"SELECT {items} FROM 'a'", "--topic", "a", "--version", "2015-10-08", payload=payload.encode())
        got = json.loads(done.stdout, parse_float=str, parse_int=str)
        for i, (a, op, b) in enumerate(cases):
            x, y = decimal.Decimal(a), decimal.Decimal(b)
            wanted = operators[op](x, y)
            if a.lstrip("-").isdigit() and b.lstrip("-").isdigit() and op == "/" and y:
                wanted = context.create_decimal(int(abs(int(a)) // abs(int(b))) * (1 if (int(a) < 0) == (int(b) < 0) else -1))
            if not wanted.is_finite():
                # Python gives up on a remainder of too many digits, the SQL does not.
                assert op == "%" or f"r{i}" not in got, (a, op, b, got.get(f"r{i}"))
            else:
                assert same(got.get(f"r{i}"), wanted), (a, op, b, got.get(f"r{i}"), wanted)


# ---- protobuf ----

T = descriptor_pb2.FieldDescriptorProto


def descriptors():
    """telemetry.proto: everything that a message of today can have."""
    file = descriptor_pb2.FileDescriptorProto(name="models/telemetry.proto", package="plant.v1", syntax="proto3")
    kind = file.enum_type.add(name="Kind")
    for n, name in enumerate(("UNKNOWN", "LAMP", "PUMP")):
        kind.value.add(name=name, number=n)
    reading = file.message_type.add(name="Reading")
    scalars = [("double", T.TYPE_DOUBLE), ("float", T.TYPE_FLOAT), ("int64", T.TYPE_INT64), ("uint64", T.TYPE_UINT64),
               ("int32", T.TYPE_INT32), ("fixed64", T.TYPE_FIXED64), ("fixed32", T.TYPE_FIXED32), ("bool", T.TYPE_BOOL),
               ("string", T.TYPE_STRING), ("bytes", T.TYPE_BYTES), ("uint32", T.TYPE_UINT32),
               ("sfixed32", T.TYPE_SFIXED32), ("sfixed64", T.TYPE_SFIXED64), ("sint32", T.TYPE_SINT32),
               ("sint64", T.TYPE_SINT64)]
    number_of = iter(range(1, 100))
    for name, type_ in scalars:
        reading.field.add(name=f"one_{name}", number=next(number_of), label=T.LABEL_OPTIONAL, type=type_)
        reading.field.add(name=f"many_{name}", number=next(number_of), label=T.LABEL_REPEATED, type=type_)
    reading.field.add(name="kind", number=60, label=T.LABEL_OPTIONAL, type=T.TYPE_ENUM, type_name=".plant.v1.Kind")
    reading.field.add(name="kinds", number=61, label=T.LABEL_REPEATED, type=T.TYPE_ENUM, type_name=".plant.v1.Kind")
    place = reading.nested_type.add(name="Place")
    place.field.add(name="floor", number=1, label=T.LABEL_OPTIONAL, type=T.TYPE_INT32)
    place.field.add(name="inner", number=2, label=T.LABEL_OPTIONAL, type=T.TYPE_MESSAGE, type_name=".plant.v1.Reading.Place")
    reading.field.add(name="place", number=62, label=T.LABEL_OPTIONAL, type=T.TYPE_MESSAGE, type_name=".plant.v1.Reading.Place")
    reading.field.add(name="places", number=63, label=T.LABEL_REPEATED, type=T.TYPE_MESSAGE, type_name=".plant.v1.Reading.Place")
    entry = reading.nested_type.add(name="TagsEntry")
    entry.options.map_entry = True
    entry.field.add(name="key", number=1, label=T.LABEL_OPTIONAL, type=T.TYPE_STRING)
    entry.field.add(name="value", number=2, label=T.LABEL_OPTIONAL, type=T.TYPE_INT32)
    reading.field.add(name="tags", number=64, label=T.LABEL_REPEATED, type=T.TYPE_MESSAGE, type_name=".plant.v1.Reading.TagsEntry")
    return descriptor_pb2.FileDescriptorSet(file=[file])


def fill(reading, rng, kinds):
    values = {"double": lambda: rng.uniform(-1e6, 1e6), "float": lambda: rng.uniform(-1e3, 1e3),
              "bool": lambda: True, "string": lambda: rng.choice(["häuser", "a\"b", "\n"]), "bytes": lambda: rng.randbytes(5)}
    for field in reading.DESCRIPTOR.fields:
        which, _, name = field.name.partition("_")
        if which not in ("one", "many") or rng.random() < 0.4:
            continue
        bits = int(name[-2:]) if name[-2:].isdigit() else 0
        low, high = (0, 2**bits) if name[0] in "uf" else (-2**(bits - 1), 2**(bits - 1)) if bits else (0, 0)
        make = values.get(name) or (lambda low=low, high=high: rng.choice([low, high - 1, rng.randrange(1, 100)]))
        if which == "one":
            setattr(reading, field.name, make())
        else:
            getattr(reading, field.name).extend(make() for _ in range(rng.randrange(1, 4)))
    if kinds:
        reading.kind, reading.place.floor, reading.place.inner.floor = 2, -3, 5
        reading.kinds.extend([1, 0, 7])
        reading.places.add(floor=1)
        reading.places.add()
        reading.tags.update({"a": 1, "ö": -1})


def parsed(text):
    return json.loads(text, parse_float=decimal.Decimal, parse_int=decimal.Decimal)


def plain(v):
    """Numbers as decimals, 1.0 as 1: the two printers differ in nothing else."""
    if isinstance(v, dict):
        return {k: plain(x) for k, x in v.items()}
    if isinstance(v, list):
        return [plain(x) for x in v]
    return v.normalize() if isinstance(v, decimal.Decimal) else v


def test_protobuf_decodes_as_googles_own_library_does(sql, tmp_path):
    described = descriptors()
    (tmp_path / "set.desc").write_bytes(described.SerializeToString())
    (tmp_path / "answers.json").write_text(json.dumps({"decode": str(tmp_path / "set.desc")}))
    pool = descriptor_pool.DescriptorPool()
    pool.Add(described.file[0])
    kind = message_factory.GetMessageClass(pool.FindMessageTypeByName("plant.v1.Reading"))
    rng = random.Random(3)
    for round_ in range(25):
        reading = kind()
        fill(reading, rng, round_ % 2)
        data = reading.SerializeToString()
        wanted = parsed(json_format.MessageToJson(reading))
        file, type_ = rng.choice(["telemetry", "models/telemetry", "telemetry.proto"]), rng.choice(["Reading", "plant.v1.Reading"])
        done = sql(f"SELECT VALUE decode(*, 'proto', 'bucket', 'key', '{file}', '{type_}') FROM 'a'", "--topic", "a",
                   "--answers", tmp_path / "answers.json", payload=data)
        assert plain(parsed(done.stdout)) == plain(wanted)
        again = sql(f"SELECT VALUE decode(data, 'proto', 'bucket', 'key', '{file}', '{type_}') FROM 'a'", "--topic", "a",
                    "--answers", tmp_path / "answers.json", payload={"data": base64.b64encode(data).decode()})
        assert again.stdout == done.stdout


WELL_KNOWN = {timestamp_pb2: "Timestamp", duration_pb2: "Duration", struct_pb2: "Struct Value ListValue",
              field_mask_pb2: "FieldMask", any_pb2: "Any", empty_pb2: "Empty",
              wrappers_pb2: "DoubleValue FloatValue Int64Value UInt64Value Int32Value UInt32Value BoolValue StringValue BytesValue"}


def well_known_set():
    """telemetry.proto with one field and one list of each of google.protobuf's types, and their files, as protoc
    --include_imports writes them."""
    file = descriptor_pb2.FileDescriptorProto(name="telemetry.proto", package="plant", syntax="proto3")
    kind, number_of = file.message_type.add(name="Known"), iter(range(1, 100))
    described = descriptor_pb2.FileDescriptorSet()
    for source, names in WELL_KNOWN.items():
        made = descriptor_pb2.FileDescriptorProto()
        source.DESCRIPTOR.CopyToProto(made)
        described.file.append(made)
        file.dependency.append(made.name)
        for name in names.split():
            for label, prefix in ((T.LABEL_OPTIONAL, "one"), (T.LABEL_REPEATED, "many")):
                kind.field.add(name=f"{prefix}_{name.lower()}", number=next(number_of), label=label, type=T.TYPE_MESSAGE,
                               type_name=f".google.protobuf.{name}")
    described.file.append(file)
    return described


def fill_known(known, rng):
    for field in known.DESCRIPTOR.fields:
        if rng.random() < 0.3:
            continue
        prefix, name = field.name.split("_")
        for _ in range(1 if prefix == "one" else 2):
            target = getattr(known, field.name) if prefix == "one" else getattr(known, field.name).add()
            if name in ("timestamp", "duration"):
                target.seconds = rng.choice([0, 1700000000, -62135596800 if name == "timestamp" else 315576000000, 253402300799
                                             if name == "timestamp" else 1])
                target.nanos = rng.choice([0, 500000000, 1000, 1, 999999999])
                if name == "duration" and rng.random() < 0.5:
                    target.seconds, target.nanos = -target.seconds, -target.nanos
            elif name == "struct":
                target.update({"a": None, "b": [1.5, "x", {"c": True}], "d": {}})
            elif name == "value":
                json_format.Parse(rng.choice(["null", "1.25", '"x"', "false", '{"a":[]}', "[1,null]"]), target)
            elif name == "listvalue":
                target.extend([1, "two", False, None])
            elif name == "fieldmask":
                target.paths.extend(["foo_bar.baz", "q"])
            elif name == "any":
                target.Pack(rng.choice([timestamp_pb2.Timestamp(seconds=5), struct_pb2.ListValue(),
                                        field_mask_pb2.FieldMask(paths=["a_b"]), wrappers_pb2.Int64Value(value=7)]))
            elif name != "empty" and rng.random() < 0.7:
                target.value = {"boolvalue": True, "stringvalue": "ä", "bytesvalue": b"\x00\xff", "doublevalue": -2.5,
                                "floatvalue": 0.5}.get(name, 12345)
            else:
                target.SetInParent()


def test_the_well_known_types_have_the_forms_that_googles_library_gives_them(sql, tmp_path):
    """Source: protobuf.dev, ProtoJSON Format."""
    described = well_known_set()
    (tmp_path / "set.desc").write_bytes(described.SerializeToString())
    (tmp_path / "answers.json").write_text(json.dumps({"decode": str(tmp_path / "set.desc")}))
    pool = descriptor_pool.DescriptorPool()
    for file in described.file:
        pool.Add(file)
    kind = message_factory.GetMessageClass(pool.FindMessageTypeByName("plant.Known"))
    rng = random.Random(4)
    for _ in range(25):
        known = kind()
        fill_known(known, rng)
        done = sql("SELECT VALUE decode(*, 'proto', 'b', 'k', 'telemetry', 'Known') FROM 'a'", "--topic", "a", "--answers",
                   tmp_path / "answers.json", payload=known.SerializeToString() or b"\x0a\x00")
        wanted = known if known.ListFields() else kind(one_timestamp={})
        assert plain(parsed(done.stdout)) == plain(parsed(json_format.MessageToJson(wanted, descriptor_pool=pool)))


@pytest.mark.parametrize("type_, message", [
    ("timestamp", timestamp_pb2.Timestamp(seconds=253402300800)), ("timestamp", timestamp_pb2.Timestamp(nanos=-1)),
    ("duration", duration_pb2.Duration(seconds=1, nanos=-1)), ("duration", duration_pb2.Duration(seconds=315576000001)),
    ("any", any_pb2.Any(type_url="type.googleapis.com/no.Such", value=b""))])
def test_well_known_types_that_have_no_form_are_refused(sql, tmp_path, type_, message):
    (tmp_path / "set.desc").write_bytes(well_known_set().SerializeToString())
    (tmp_path / "answers.json").write_text(json.dumps({"decode": str(tmp_path / "set.desc")}))
    number = next(f.number for f in well_known_set().file[-1].message_type[0].field if f.name == f"one_{type_}")
    inner = message.SerializeToString()
    data = bytes([number << 3 & 0x7F | 2 | (0x80 if number > 15 else 0)] + ([number >> 4] if number > 15 else [])
                 + [len(inner)]) + inner
    done = sql("SELECT VALUE decode(*, 'proto', 'b', 'k', 'telemetry', 'Known') FROM 'a'", "--topic", "a", "--answers",
               tmp_path / "answers.json", payload=data, expect=1)
    assert (b"no.Such" if type_ == "any" else type_.capitalize().encode()) in done.stderr


@pytest.mark.parametrize("file,type_,data,says", [
    ("nosuch", "Reading", b"", b"the descriptor file has no nosuch.proto"),
    ("telemetry", "Nosuch", b"", b"telemetry.proto has no message type Nosuch"),
    ("telemetry", "Reading", b"\xff\xff", b"the bytes are no message of this type"),
    ("telemetry", "Reading", b"\x89\x01\x02", b"the bytes are no message of this type"),
])
def test_protobuf_says_what_is_wrong(sql, tmp_path, file, type_, data, says):
    (tmp_path / "set.desc").write_bytes(descriptors().SerializeToString())
    (tmp_path / "answers.json").write_text(json.dumps({"decode": str(tmp_path / "set.desc")}))
    done = sql(f"SELECT VALUE decode(*, 'proto', 'b', 'k', '{file}', '{type_}') FROM 'a'", "--topic", "a", "--answers",
               tmp_path / "answers.json", payload=data, expect=1)
    assert says in done.stderr
