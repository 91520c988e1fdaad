#!/usr/bin/env python3
"""Restates the model of an AWS service that an installed botocore has as models/NAME.api.

Only facts: names, places, types, limits, patterns, statuses; not a sentence of AWS's documentation.
The same botocore always gives the same file. The notation: models/README.md.

    python3 -m venv .venv && .venv/bin/pip install botocore==1.44.5
    .venv/bin/python tools/import_model.py iot iot-data iot-jobs-data

A retired service is imported with the last botocore that has it (RETIRED below).
"""
import json
import pathlib
import re
import sys
import textwrap

ROOT = pathlib.Path(__file__).resolve().parent.parent
WIDTH = 116
RETIRED = {  # the last release that has it
    "iotevents": "1.43.37", "iotevents-data": "1.43.37", "iotanalytics": "1.42.50", "iotfleethub": "1.40.60",
    "iot1click-devices": "1.35.93", "iot1click-projects": "1.35.93",
}
# What botocore does not say. action: the prefix of IAM actions (Source: the service authorization reference).
# sign: further names in a credential scope. invalid: the error that a value outside its limits gives, the first of
# these that the service has.
ACTION = {
    "iot": "iot", "iot-data": "iot", "iot-jobs-data": "iotjobsdata", "iotsecuretunneling": "iot",
    "iotevents-data": "iotevents", "iot1click-devices": "iot1click", "iot1click-projects": "iot1click",
    "greengrassv2": "greengrass",
}
SIGN = {"iot": ["execute-api"], "iot-data": ["iotdevicegateway"]}
UNKNOWN = {"iot-data": "ResourceNotFound"}  # what an unknown path gives (Source: aws-amplify/aws-sdk-ios issue 720)
# Outputs that AWS leaves out although its model requires them: a function without a signing configuration has no ARN of one
# (Source: GetFunctionCodeSigningConfig's example in the CLI's reference, and terraform-provider-aws reading nil).
LEFT_OUT = {("lambda", "GetFunctionCodeSigningConfigResponse", "CodeSigningConfigArn")}
INVALID = ["InvalidRequest", "Validation", "InvalidParameter", "BadRequest"]
SCALARS = {"integer": "int", "long": "long", "double": "double", "float": "float", "boolean": "bool"}


def word(text):
    """A value as one word: itself, or as a JSON string where it has blanks, quotes or control characters."""
    return text if re.fullmatch(r'[!#-\[\]-~]+', text) else json.dumps(text)


def bounds(shape):
    low, high = shape.get("min"), shape.get("max")
    if low is None and high is None:
        return ""
    return f"{'' if low is None else low}..{'' if high is None else high}"


def pattern(text):
    plain = text.strip() == text and not text.startswith('"') and text.isprintable()
    return text if plain else json.dumps(text)


def error_name(name):
    return name.removesuffix("Exception")


def labels(uri):
    return {label.rstrip("+") for label in re.findall(r"\{([^}]+)\}", uri.split("?")[0])}


class Model:
    def __init__(self, data):
        self.data = data
        self.shapes = data["shapes"]
        for service, shape, member in LEFT_OUT:
            if service == data["metadata"]["endpointPrefix"]:
                self.shapes[shape]["required"].remove(member)
        self.errors = {name for op in data["operations"].values() for name in (e["shape"] for e in op.get("errors", []))}
        self.used = set()

    def place(self, name, member, shape, uri):
        """Where a member travels, when that is not the body under its own name."""
        where, wire = member.get("location"), member.get("locationName", name)
        named = "" if wire == name else f"={wire}"
        flags = []
        if shape.get("payload") == name:
            flags.append("payload")
        elif where == "uri":
            if wire not in labels(uri):
                raise SystemExit(f"{name}: no label {wire} in {uri}")
            flags.append("path" + named)
        elif where == "querystring":
            flags.append("query" + named)
        elif where == "header":
            flags.append("header" + named)
        elif where == "headers":
            flags.append(f"headers={wire}")
        elif where == "statusCode":
            flags.append("status")
        elif where:
            raise SystemExit(f"{name}: location {where} is new to this importer")
        elif named:
            flags.append("body" + named)
        if member.get("idempotencyToken"):
            flags.append("token")
        if member.get("jsonvalue"):
            flags.append("json")
        if member.get("timestampFormat"):
            flags.append(member["timestampFormat"])
        if member.get("hostLabel"):
            flags.append("host")
        if member.get("streaming"):
            flags.append("stream")
        return "@" + ",".join(flags) if flags else ""

    def members(self, shape, uri=""):
        required = shape.get("required", [])
        words = []
        for name, member in shape.get("members", {}).items():
            self.use(member["shape"])
            words.append(f"{name}:{member['shape']}{'!' if name in required else ''}{self.place(name, member, shape, uri)}")
        return words

    def use(self, name):
        if name in self.used:
            return
        self.used.add(name)
        shape = self.shapes[name]
        for part in ("member", "key", "value"):
            if part in shape:
                self.use(shape[part]["shape"])
        for member in shape.get("members", {}).values():
            self.use(member["shape"])

    def shape_line(self, name):
        shape = self.shapes[name]
        kind = shape["type"]
        words = [name]
        words += ["secret"] if shape.get("sensitive") else []
        for part in ("member", "key", "value"):
            if "locationName" in shape.get(part, {}):
                raise SystemExit(f"{name}: a locationName of list or map parts is new to this importer")
        if kind == "structure":
            if shape.get("document"):
                return ["doc", name]
            words += [flag for flag in ("eventstream", "event") if shape.get(flag)]
            return ["union" if shape.get("union") else "struct"] + words + self.members(shape)
        if kind == "string" and "enum" in shape:
            return ["enum"] + words + [word(value) for value in shape["enum"]]
        if kind == "list":
            words += ["sparse"] if shape.get("sparse") else []
            return ["list"] + words + [shape["member"]["shape"], bounds(shape)]
        if kind == "map":
            words += ["sparse"] if shape.get("sparse") else []
            return ["map"] + words + [shape["key"]["shape"], shape["value"]["shape"], bounds(shape)]
        if kind == "timestamp":
            return ["time"] + words + [shape.get("timestampFormat", "")]
        if kind == "blob":
            return ["blob"] + words + (["stream"] if shape.get("streaming") else []) + [bounds(shape)]
        if kind == "string":
            return ["str"] + words + [bounds(shape), pattern(shape["pattern"]) if "pattern" in shape else ""]
        return [SCALARS[kind]] + words + [bounds(shape)]

    def error_line(self, name):
        shape = self.shapes[name]
        trait = shape.get("error", {})
        status = trait.get("httpStatusCode", 500 if shape.get("fault") else 400)
        words = ["error", error_name(name), str(status)]
        wire = trait.get("code", name)
        if wire != error_name(name) + "Exception":
            words.append(f"code={wire}")
        return words + self.members(shape)

    def op_lines(self, name):
        op = self.data["operations"][name]
        uri, status = op["http"]["requestUri"], op["http"].get("responseCode", 200)
        words = ["op", name, op["http"]["method"], uri]
        words += [str(status)] if status != 200 else []
        prefix = op.get("endpoint", {}).get("hostPrefix")
        words += [f"host={prefix}"] if prefix else []
        yield words
        for key in ("input", "output"):
            if key in op:
                # An output without members is an empty object, no output is an empty body.
                shape = self.shapes[op[key]["shape"]]
                yield ["in" if key == "input" else "out"] + self.members(shape, uri if key == "input" else "")
        errors = sorted(error_name(e["shape"]) for e in op.get("errors", []))
        if errors:
            yield ["err"] + errors


def line(words, wrap=True):
    head, rest = words[0], " ".join(w for w in words[1:] if w)
    text = f"{head:<6} {rest}".rstrip()
    if not wrap or len(text) <= WIDTH:
        return text
    return "\n".join(textwrap.wrap(text, WIDTH, subsequent_indent=" " * 7, break_long_words=False, break_on_hyphens=False))


def restate(service, data, version):
    meta, model = data["metadata"], Model(data)
    out = [f"# {meta['serviceFullName']}: facts restated from botocore {version} by tools/import_model.py; see README.md here"]
    sign = meta.get("signingName", meta["endpointPrefix"])
    head = [("service", service), ("version", meta["apiVersion"])]
    head.append(("proto", meta["protocol"] + (f" {meta['jsonVersion']}" if meta["protocol"] == "json" else "")))
    head.append(("host", meta["endpointPrefix"]))
    head.append(("sign", " ".join([sign] + SIGN.get(service, []))))
    head.append(("action", ACTION.get(service, sign)))
    if "targetPrefix" in meta:
        head.append(("target", meta["targetPrefix"]))
    invalid = next((name for name in INVALID if name + "Exception" in model.errors), None)
    if invalid:
        head.append(("invalid", invalid))
    if service in UNKNOWN:
        head.append(("unknown", UNKNOWN[service]))
    out += [f"{key:<8} {value}" for key, value in head]
    for name in sorted(data["operations"]):
        out.append("")
        out += [line(words) for words in model.op_lines(name)]
    errors = [line(model.error_line(name)) for name in sorted(model.errors)]
    shapes = [line(model.shape_line(name), data["shapes"][name]["type"] in ("structure", "string") and "pattern" not in data["shapes"][name])
              for name in sorted(model.used)]
    return "\n".join(out + [""] + errors + [""] + shapes) + "\n"


def main():
    try:
        import botocore
        import botocore.loaders
    except ImportError:
        sys.exit("botocore is not installed: python3 -m venv .venv && .venv/bin/pip install botocore==1.44.5")
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    loader = botocore.loaders.Loader()
    for service in sys.argv[1:]:
        try:
            data = loader.load_service_model(service, "service-2")
        except botocore.exceptions.UnknownServiceError:
            sys.exit(f"botocore {botocore.__version__} has no {service}; the last that has it: {RETIRED.get(service, 'none is known')}")
        path = ROOT / "models" / f"{service}.api"
        path.write_text(restate(service, data, botocore.__version__))
        print(f"{path.relative_to(ROOT)}: {len(data['operations'])} operations")


if __name__ == "__main__":
    main()
