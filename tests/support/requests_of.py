"""A valid request for any operation of models/*.api: the smallest that its limits and patterns take."""
import base64
import json
import re._parser
import string
import sys
import urllib.parse
import warnings

from .server import ROOT

sys.path.insert(0, str(ROOT / "tools"))
from model import Service  # noqa: E402

SERVICES = {path.stem: Service(path) for path in sorted((ROOT / "models").glob("*.api"))}
ANY_TEXT = string.ascii_lowercase + string.digits + string.ascii_uppercase + "-_:/.,+=@# "


def matches(pattern, least):
    """A text that the pattern takes, of `least` characters where its repeats can make so many."""
    text = re.sub(r"\\p\{\w+\}", "a", pattern.replace("\\p{Graph}", "[a-z]").replace("\\p{Alpha}", "[a-z]"))
    text = re.sub(r"(\\[wds])-(?!\])", r"\1\\-", text)  # Java's [\w-.]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # of [[, which Java and Python read alike
        tree = re._parser.parse(text)
    for more in (0, 1, 2, 4, 8, 16, 32, 64, 128):
        made = "".join(pieces(tree, more))
        if len(made) >= least:
            return made
    return made


def pieces(tree, more):
    for op, value in tree:
        op = str(op)
        if op == "LITERAL":
            yield chr(value)
        elif op == "NOT_LITERAL":
            yield "a" if value != ord("a") else "b"
        elif op == "ANY":
            yield "a"
        elif op == "IN":
            yield one_of(value)
        elif op in ("MAX_REPEAT", "MIN_REPEAT"):
            low, high, inner = value
            for _ in range(min(low + more if high > low else low, int(high))):
                yield "".join(pieces(inner, 0))
        elif op == "SUBPATTERN":
            yield "".join(pieces(value[-1], more))
        elif op == "BRANCH":
            yield max(("".join(pieces(branch, more)) for branch in value[1]), key=len)
        elif op not in ("AT", "ASSERT", "ASSERT_NOT"):
            raise ValueError(f"{op} in a pattern")


def one_of(items):
    negated = items and str(items[0][0]) == "NEGATE"

    def has(c):
        for op, value in items:
            op = str(op)
            if op == "LITERAL" and ord(c) == value or op == "RANGE" and value[0] <= ord(c) <= value[1]:
                return True
            if op == "CATEGORY" and re.fullmatch({"CATEGORY_DIGIT": r"\d", "CATEGORY_WORD": r"\w", "CATEGORY_SPACE": r"\s",
                                                  "CATEGORY_NOT_SPACE": r"\S", "CATEGORY_NOT_DIGIT": r"\D",
                                                  "CATEGORY_NOT_WORD": r"\W"}[str(value)], c):
                return True
        return False

    for c in ANY_TEXT:
        if has(c) != negated:
            return c
    return chr(items[0][1])


def value_of(service, shape_name, depth=0):
    shape = service.shapes[shape_name]
    low = int(shape.min or 0)
    if shape.kind == "str":
        return matches(shape.pattern, max(low, 1)) if shape.pattern else "a" * max(low, 1)
    if shape.kind == "enum":
        return shape.values[0]
    if shape.kind in ("int", "long", "float", "double"):
        return max(low, 1)
    if shape.kind == "bool":
        return True
    if shape.kind == "blob":
        return base64.b64encode(b"a" * max(low, 1)).decode()
    if shape.kind == "time":
        return "2027-01-01T00:00:00Z" if shape.time == "iso8601" else 1798761600
    if shape.kind == "list":
        return [value_of(service, shape.member, depth + 1) for _ in range(max(low, 1 if depth < 4 else 0))]
    if shape.kind == "map":
        return {value_of(service, shape.key, depth + 1): value_of(service, shape.member, depth + 1)} if low else {}
    if shape.kind == "doc":
        return {}
    members = shape.members[:1] if shape.one_of else [m for m in shape.members if m.required]
    return {m.wire: value_of(service, m.shape, depth + 1) for m in members}


def request_of(service, op, values=None):
    """(method, path with query, headers, body) of op with its required members; values: {member: text} goes before, and
    names members that may be left out too."""
    path, query, headers, body, payload = op.path, {}, {}, {}, None
    for m in op.inputs:
        given = values and m.name in values
        if not (m.required or given):
            continue
        value = values[m.name] if given else value_of(service, m.shape)
        if m.json and not given:
            value = "e30="
        if m.where == "path":
            text = urllib.parse.quote(str(value), safe="")
            path = path.replace("{%s+}" % m.wire, text).replace("{%s}" % m.wire, text)
        elif m.where == "query":
            query[m.wire] = value if service.shapes[m.shape].kind != "bool" else "true"
        elif m.where == "header":
            headers[m.wire] = str(value)
        elif m.where == "payload":
            payload = json.dumps(value) if service.shapes[m.shape].kind == "struct" else "a"
        elif m.where == "body":
            body[m.wire] = value
    if query:
        path += ("&" if "?" in path else "?") + urllib.parse.urlencode(query, doseq=True)
    if service.protocol != "rest-json":
        headers |= {"X-Amz-Target": f"{service.target}.{op.name}", "Content-Type": f"application/x-amz-{service.protocol.replace(' ', '-')}"}
        return "POST", "/", headers, json.dumps(body).encode()
    has_body = payload is not None or any(m.where == "body" for m in op.inputs)
    if has_body:
        headers["Content-Type"] = "application/json"
    return op.method, path, headers, (payload if payload is not None else json.dumps(body) if has_body else "").encode()
