#!/usr/bin/env python3
"""Makes typed records in C of models/*.store.

    tools/generate_records.py OUT_DIR models/*.store      writes NAME_records.h and .c for each
    tools/generate_records.py --check models/*.store

One fact a line; `#` begins a comment, which goes into the header with its record or field:

    record Thing t                # a struct ThingRecord; "t" is its permanent tag in keys
    key    thing_name:str         # one or more parts: str, bytes, int, bool
    1 thing_type_name:str         # a field: permanent tag, name, type
    2 attributes:map  3 version:int
    index 1 by_type thing_type_name   # permanent number, name, fields or parts of the key
    retired 4 5                   # tags that no field may have again
    retired index 2

Types: str bytes int double bool, list (of text), map (text to text). A field that is absent is zero; a text that
may be absent has ptr NULL, and a record is in an index only when all indexed texts are there.
Walking an index gives records in the order of the indexed fields, then of the key.
"""
import pathlib
import re
import sys

TYPES = {"str": ("Str", "FIELD_STR"), "bytes": ("Str", "FIELD_BYTES"), "int": ("int64_t", "FIELD_INT"),
         "double": ("double", "FIELD_DOUBLE"), "bool": ("bool", "FIELD_BOOL"), "list": ("StrList", "FIELD_LIST"),
         "map": ("StrMap", "FIELD_MAP")}
KEY_TYPES = ("str", "bytes", "int", "bool")
NAME = re.compile(r"[a-z][a-z0-9_]*$")
TAG_MAX, INDEX_MAX = 65535, 255


class ModelError(Exception):
    pass


class Field:
    def __init__(self, name, type_, tag, comment, optional=False):
        self.name, self.type, self.tag, self.comment, self.optional = name, type_, tag, comment, optional


class Record:
    def __init__(self, name, tag, comment):
        self.name, self.tag, self.comment = name, tag, comment
        self.key, self.fields, self.indexes = [], [], []
        self.retired, self.retired_indexes = set(), set()

    @property
    def prefix(self):
        return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", self.name).lower() + "_record"

    @property
    def struct(self):
        return self.name + "Record"

    def member(self, name):
        for f in self.key + self.fields:
            if f.name == name:
                return f
        return None


def field_of(text, tag, comment):
    name, _, type_ = text.partition(":")
    optional = type_.endswith("?")  # left out of answers where it is empty: tools/generate_resources.py
    type_ = type_.rstrip("?")
    if not NAME.match(name) or name in ("unknown", "key"):
        raise ModelError(f"\"{name}\" is no name for a field: lower case, digits and _, not \"unknown\" or \"key\"")
    if type_ not in TYPES:
        raise ModelError(f"field {name} has the type \"{type_}\": there are {', '.join(TYPES)}")
    return Field(name, type_, tag, comment, optional)


def number(text, most):
    if not text.isdigit() or not 1 <= int(text) <= most:
        raise ModelError(f"\"{text}\" is no tag: 1 to {most}")
    return int(text)


def read_line(words, comment, records):
    if words[0] == "record":
        if len(words) != 3 or not re.match(r"[A-Z][A-Za-z0-9]*$", words[1]) or not re.match(r"[a-z0-9_-]+$", words[2]):
            raise ModelError("a record is: record Name tag")
        records.append(Record(words[1], words[2], comment))
        return
    if not records:
        raise ModelError("before the first record")
    r = records[-1]
    if words[0] == "key":
        if r.key:
            raise ModelError(f"{r.name} has a key already")
        r.key = [field_of(w, 0, comment) for w in words[1:]]
    elif words[0] == "index":
        if len(words) < 4 or not NAME.match(words[2]):
            raise ModelError("an index is: index number name field...")
        r.indexes.append((number(words[1], INDEX_MAX), words[2], words[3:]))
    elif words[:2] == ["retired", "index"]:
        r.retired_indexes |= {number(w, INDEX_MAX) for w in words[2:]}
    elif words[0] == "retired":
        r.retired |= {number(w, TAG_MAX) for w in words[1:]}
    elif words[0].isdigit():
        if len(words) % 2:
            raise ModelError("fields are: tag name:type, again and again")
        for tag, text in zip(words[::2], words[1::2]):
            r.fields.append(field_of(text, number(tag, TAG_MAX), comment))
    else:
        raise ModelError(f"a line cannot begin with \"{words[0]}\": record, key, index, retired or a tag")


def twice(values, what):
    seen = set()
    for v in values:
        if v in seen:
            raise ModelError(f"{what} {v} is used twice")
        seen.add(v)


def check(r):
    if not r.key:
        raise ModelError(f"{r.name} has no key")
    for f in r.key:
        if f.type not in KEY_TYPES:
            raise ModelError(f"{r.name}: {f.name} is in the key and has the type {f.type}: {', '.join(KEY_TYPES)} can be")
    twice([f.name for f in r.key + r.fields], f"{r.name}: the field")
    twice([f.tag for f in r.fields], f"{r.name}: the tag")
    twice([i[0] for i in r.indexes], f"{r.name}: the index number")
    twice([i[1] for i in r.indexes], f"{r.name}: the index")
    for f in r.fields:
        if f.tag in r.retired:
            raise ModelError(f"{r.name}: {f.name} has the tag {f.tag}, which is retired: data of an older version may hold it")
    for num, name, parts in r.indexes:
        if num in r.retired_indexes:
            raise ModelError(f"{r.name}: the index {name} has the number {num}, which is retired")
        for p in parts:
            f = r.member(p)
            if not f or f.type not in KEY_TYPES:
                raise ModelError(f"{r.name}: the index {name} is of {p}, which is no field of a type that orders")
    r.fields.sort(key=lambda f: f.tag)


def read_model(path):
    records = []
    for n, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        text, _, comment = line.partition("#")
        words = text.split()
        if not words:
            continue
        try:
            read_line(words, comment.strip(), records)
        except ModelError as e:
            raise ModelError(f"{path}:{n}: {e}") from None
    try:
        for r in records:
            check(r)
    except ModelError as e:
        raise ModelError(f"{path}: {e}") from None
    return records


def read_models(paths):
    models = {p: read_model(p) for p in paths}
    everything = [r for records in models.values() for r in records]
    twice([r.name for r in everything], "the record name")
    twice([r.tag for r in everything], "the record tag")
    return models


def c_params(fields):
    return ", ".join(f"{TYPES[f.type][0]} {f.name}" for f in fields)


def literal(r, fields):
    return f"&({r.struct}){{ " + ", ".join(f".{f.name} = {f.name}" for f in fields) + " }"


class Writer:
    """Collects the header and the source of one model."""

    def __init__(self, name):
        self.name, self.header, self.source = name, [], []

    def struct(self, r):
        h = self.header
        if r.comment:
            h.append(f"/* {r.name}: {r.comment} */")
        h.append("typedef struct {")
        for f in r.key + r.fields:
            note = ("key" + (f": {f.comment}" if f.comment and f is r.key[-1] else "")) if f.tag == 0 else f.comment
            h.append(f"    {TYPES[f.type][0]} {f.name};" + (f" /* {note} */" if note else ""))
        h += ["    Str unknown; /* fields of a newer definition, kept */", f"}} {r.struct};", ""]

    def function(self, signature, body, comment=""):
        self.header.append(f"NODISCARD {signature};" + (f" /* {comment} */" if comment else ""))
        self.source += [f"{signature} {{", f"    {body}", "}", ""]

    def table(self, r):
        s, p = self.source, r.prefix
        for group, fields in (("key", r.key), ("fields", r.fields)):
            if not fields:
                continue
            s.append(f"static const RecordField {p}_{group}[] = {{")
            for f in fields:
                s.append(f"    {{ \"{f.name}\", {f.tag}, offsetof({r.struct}, {f.name}), {TYPES[f.type][1]} }},")
            s.append("};")
        for num, name, parts in r.indexes:
            s.append(f"static const RecordField *const {p}_{name}[] = {{")
            for part in parts:
                group = "key" if r.member(part) in r.key else "fields"
                fields = r.key if group == "key" else r.fields
                s.append(f"    &{p}_{group}[{fields.index(r.member(part))}], /* {part} */")
            s.append("};")
        if r.indexes:
            s.append(f"static const RecordIndex {p}_indexes[] = {{")
            s += [f"    {{ \"{name}\", {num}, {len(parts)}, {p}_{name} }}," for num, name, parts in r.indexes]
            s.append("};")
        s += [f"const RecordType {p} = {{", f"    .name = \"{r.name}\",", f"    .tag = STR_INIT(\"{r.tag}\"),",
              f"    .size_bytes = sizeof({r.struct}),", f"    .unknown_offset = offsetof({r.struct}, unknown),",
              f"    .key = {p}_key,", f"    .key_count = {len(r.key)},"]
        if r.fields:
            s += [f"    .fields = {p}_fields,", f"    .field_count = {len(r.fields)},"]
        if r.indexes:
            s += [f"    .indexes = {p}_indexes,", f"    .index_count = {len(r.indexes)},"]
        s += ["};", ""]
        self.header.append(f"extern const RecordType {p};")

    def access(self, r):
        p, params, key = r.prefix, c_params(r.key), literal(r, r.key)
        for verb in ("get", "peek"):
            self.function(f"Err {p}_{verb}(Txn *txn, Tenant tenant, {params}, Arena *arena, {r.struct} *out)",
                          f"return record_{verb}(txn, &{p}, tenant, {key}, arena, out);")
        for verb in ("insert", "put"):
            self.function(f"Err {p}_{verb}(Txn *txn, Tenant tenant, const {r.struct} *record)",
                          f"return record_{verb}(txn, &{p}, tenant, record);")
        for verb in ("delete", "lock"):
            self.function(f"Err {p}_{verb}(Txn *txn, Tenant tenant, {params})",
                          f"return record_{verb}(txn, &{p}, tenant, {key});")

    def walk(self, r, name, num, parts, count):
        fixed = [r.member(x) for x in parts[:count]]
        params = c_params(fixed) + ", " if fixed else ""
        given = literal(r, fixed) if fixed else "NULL"
        self.function(
            f"Err {r.prefix}_{name}(Txn *txn, Tenant tenant, {params}Str after, bool backwards, RecordScan **out)",
            f"return record_scan_begin(txn, &{r.prefix}, tenant, {num}, {given}, {count}, after, backwards, out);")

    def walks(self, r):
        p, key = r.prefix, [f.name for f in r.key]
        self.walk(r, "scan", 0, key, 0)
        for count in range(1, len(key)):
            self.walk(r, "scan_of_" + "_and_".join(key[:count]), 0, key, count)
        for num, name, parts in r.indexes:
            self.walk(r, f"scan_all_{name}", num, parts, 0)
            for count in range(1, len(parts)):
                self.walk(r, f"scan_{name}_of_" + "_and_".join(parts[:count]), num, parts, count)
            self.walk(r, f"scan_{name}", num, parts, len(parts))
        self.header += [f"static inline bool {p}_next(RecordScan *scan, Arena *arena, {r.struct} *out) {{",
                        "    return record_scan_next(scan, arena, out);", "}",
                        f"Str {p}_position({c_params(r.key)}, Arena *arena); /* for {p}_scan */"]
        self.source += [f"Str {p}_position({c_params(r.key)}, Arena *arena) {{",
                        f"    return record_position(&{p}, {literal(r, r.key)}, arena);", "}", ""]
        self.function(f"Err {p}_from_change(Str key, Str value, Arena *arena, Tenant *tenant, {r.struct} *out)",
                      f"return record_from_change(&{p}, key, value, arena, tenant, out);")
        self.header.append("")

    def text(self, records, model):
        self.header += [f"/* Made from {model} by tools/generate_records.py. What the functions do: store/record.h. */",
                        "#pragma once", "", "#include \"store/record.h\"", ""]
        self.source += [f"/* Made from {model} by tools/generate_records.py. */",
                        f"#include \"generated/{self.name}_records.h\"", ""]
        for r in records:
            self.struct(r)
            self.table(r)
            self.access(r)
            self.walks(r)
        return "\n".join(self.header), "\n".join(self.source)


def main(args):
    check_only = args[:1] == ["--check"]
    out, paths = (None if check_only else pathlib.Path(args[0])), [pathlib.Path(a) for a in args[1:]]
    try:
        models = read_models(paths)
    except ModelError as e:
        sys.exit(f"generate_records: {e}")
    for path, records in () if check_only else models.items():
        name = path.stem.replace("-", "_")
        header, source = Writer(name).text(records, f"models/{path.name}")
        (out / f"{name}_records.h").write_text(header, encoding="utf-8")
        (out / f"{name}_records.c").write_text(source, encoding="utf-8")


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    main(sys.argv[1:])
