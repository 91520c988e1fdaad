"""Reads models/NAME.api (the notation: models/README.md) and says how its names look in C."""
import json
import pathlib
import re
import sys

C_WORDS = {"auto", "break", "case", "char", "const", "continue", "default", "do", "double", "else", "enum", "extern", "float",
           "for", "goto", "if", "inline", "int", "long", "register", "return", "short", "signed", "sizeof", "static",
           "struct", "switch", "typedef", "union", "unsigned", "void", "volatile", "while", "bool", "true", "false", "unix",
           "linux"}
SHAPES = {"str", "enum", "blob", "doc", "int", "long", "time", "bool", "double", "float", "list", "map", "struct", "union"}


def words_of(name):
    """createOTAUpdate -> create ota update; dynamoDBv2 -> dynamo db v2"""
    name = name.replace("DBv2", "DbV2").replace("ARNs", "Arns").replace("IDs", "Ids").replace("CAs", "Cas")
    name = re.sub(r"([a-z0-9])([A-Z])", r"\1 \2", name)
    name = re.sub(r"([A-Z]+)([A-Z][a-z])", r"\1 \2", name)
    return [w.lower() for w in re.split(r"[^A-Za-z0-9]+", name) if w]


def snake(name):
    word = "_".join(words_of(name))
    return word + "_" if word in C_WORDS else word


def constant(name):
    return re.sub(r"[^A-Z0-9]+", "_", name.upper()).strip("_") if name.upper() == name else "_".join(words_of(name)).upper()


def pascal(name):
    """iot-data -> IotData; __listOfThing -> ListOfThing; OTAUpdate stays"""
    return "".join(part[0].upper() + part[1:] for part in re.split(r"[^A-Za-z0-9]+", name) if part)


class Member:
    def __init__(self, word, where):
        m = re.fullmatch(r"([^:]+):([^@!]+)(!?)(?:@(.+))?", word)
        if not m:
            sys.exit(f"{where}: {word}: expected name:Shape, then ! and @place where needed")
        self.name, self.shape, self.required = m[1], m[2], bool(m[3])
        self.where, self.wire, self.time = "body", self.name, ""
        self.token = self.json = self.stream = self.host = False
        for flag in (m[4] or "").split(","):
            key, _, value = flag.partition("=")
            if key in ("path", "query", "header", "headers", "status", "payload", "body"):
                self.where, self.wire = key, value or self.name
            elif key in ("token", "json", "stream", "host"):
                setattr(self, key, True)
            elif key in ("iso8601", "unixTimestamp", "rfc822"):
                self.time = key
            elif key:
                sys.exit(f"{where}: {word}: {flag} is no place or mark of a member")


class Shape:
    def __init__(self, kind, rest, where):
        self.kind, self.one_of = ("struct", True) if kind == "union" else (kind, False)
        words = rest.split(" ")
        self.name, words = words[0], words[1:]
        self.secret = self.sparse = self.streaming = self.event = self.eventstream = False
        while words and words[0] in ("secret", "sparse", "stream", "event", "eventstream"):
            word = words.pop(0)
            setattr(self, "streaming" if word == "stream" else word, True)
        self.min = self.max = self.pattern = self.member = self.key = None
        self.members, self.values, self.time = [], [], ""
        if kind == "enum":
            self.values = values_of(" ".join(words))
            return
        if kind in ("struct", "union"):
            self.members = [Member(w, where) for w in words]
            return
        if kind == "time":
            self.time = words[0] if words else ""
            return
        if kind == "map":
            self.key = words.pop(0)
        if kind in ("list", "map"):
            self.member = words.pop(0)
        bounds = re.fullmatch(r"(-?[0-9.]*?)\.\.(-?[0-9.]*)", words[0]) if words else None
        if bounds:
            words.pop(0)
            self.min, self.max = (number(b) if b else None for b in bounds.groups())
        if words and kind != "str":
            sys.exit(f"{where}: {words[0]} has no place in a {kind}")
        if words:
            text = " ".join(words)
            self.pattern = json.loads(text) if text.startswith('"') else text


def number(text):
    return float(text) if "." in text else int(text)


def values_of(text):
    out, decoder = [], json.JSONDecoder()
    while text := text.lstrip():
        if text.startswith('"'):
            value, end = decoder.raw_decode(text)
        else:
            value = text.split(" ")[0]
            end = len(value)
        out.append(value)
        text = text[end:]
    return out


class Error:
    def __init__(self, rest, where):
        words = rest.split()
        self.name, self.status = words[0], int(words[1])
        self.wire = self.name + "Exception"
        words = words[2:]
        if words and words[0].startswith("code="):
            self.wire = words.pop(0)[5:]
        self.members = [Member(w, where) for w in words]


class Op:
    def __init__(self, rest):
        words = rest.split()
        self.name, self.method, self.path = words[:3]
        self.status, self.host = 200, ""
        self.inputs, self.outputs, self.errors = [], None, []
        for word in words[3:]:
            if word.startswith("host="):
                self.host = word[5:]
            else:
                self.status = int(word)


class Service:
    def __init__(self, path: pathlib.Path):
        self.name = self.target = self.action = self.version = self.protocol = ""
        self.invalid, self.unknown, self.sign = None, None, []
        self.ops, self.errors, self.shapes = [], {}, {}
        for where, keyword, rest in logical_lines(path):
            self.take(where, keyword, rest)
        self.check(path)

    def take(self, where, keyword, rest):
        if keyword in SHAPES:
            shape = Shape(keyword, rest, where)
            self.shapes[shape.name] = shape
        elif keyword == "op":
            self.ops.append(Op(rest))
        elif keyword == "in":
            self.ops[-1].inputs = [Member(w, where) for w in rest.split()]
        elif keyword == "out":
            self.ops[-1].outputs = [Member(w, where) for w in rest.split()]
        elif keyword == "err":
            self.ops[-1].errors = rest.split()
        elif keyword == "error":
            error = Error(rest, where)
            self.errors[error.name] = error
        elif keyword == "service":
            self.name = rest
        elif keyword == "proto":
            self.protocol = rest
        elif keyword == "sign":
            self.sign = rest.split()
        elif keyword in ("version", "action", "target", "invalid", "unknown"):
            setattr(self, keyword, rest)
        elif keyword != "host":
            sys.exit(f"{where}: {keyword} is no keyword of the notation")

    def check(self, path):
        def known(shape, who):
            if shape is not None and shape not in self.shapes:
                sys.exit(f"{path}: {who} needs {shape}, which is nowhere described")
        for shape in self.shapes.values():
            known(shape.member, shape.name)
            known(shape.key, shape.name)
            for m in shape.members:
                known(m.shape, shape.name)
        for name in (self.invalid, self.unknown):
            if name and name not in self.errors:
                sys.exit(f"{path}: {name} is nowhere described as an error")
        for op in self.ops:
            for m in op.inputs + (op.outputs or []):
                known(m.shape, op.name)
                if m.where == "header" and self.shapes[m.shape].kind in ("list", "map", "struct"):
                    sys.exit(f"{path}: {op.name}: a header that holds a {self.shapes[m.shape].kind} is new to the codec")
                if m.where == "path" and "{" + m.wire + "}" not in op.path and "{" + m.wire + "+}" not in op.path:
                    sys.exit(f"{path}: {op.name}: its path has no label {m.wire}")
            for e in op.errors:
                if e not in self.errors:
                    sys.exit(f"{path}: {op.name} gives {e}, which is nowhere described")
        for a, b in zip(self.ops, self.ops[1:]):
            if a.name >= b.name:
                sys.exit(f"{path}: operations are sorted by name: {b.name} comes before {a.name}")


def logical_lines(path):
    """(where, keyword, rest); a line that begins with a blank goes on the one above."""
    held = None
    for number, line in enumerate(path.read_text().splitlines(), 1):
        if line.startswith(" ") and held:
            held[1] += " " + line.strip()
            continue
        if held:
            yield split(held)
        held = None if not line.strip() or line.startswith("#") else [f"{path.name}:{number}", line]
    if held:
        yield split(held)


def split(held):
    keyword, _, rest = held[1].partition(" ")
    return held[0], keyword, rest.lstrip()
