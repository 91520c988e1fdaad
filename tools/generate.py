#!/usr/bin/env python3
"""Makes a service's C types, handler prototypes and tables from models/NAME.api.

    tools/generate.py service models/iot-data.api OUT.h OUT.c
    tools/generate.py list OUT.c models/*.api
"""
import json
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from model import Service, constant, pascal, snake  # noqa: E402
from pattern import translate  # noqa: E402

KIND = {"str": "STR", "enum": "ENUM", "blob": "BLOB", "doc": "DOC", "int": "INT", "long": "INT", "time": "TIME",
        "bool": "BOOL", "double": "DOUBLE", "float": "DOUBLE", "list": "LIST", "map": "MAP", "struct": "STRUCT"}
PLAIN = {"str": "Str", "enum": "Str", "blob": "Str", "doc": "Str", "int": "OptInt", "long": "OptInt", "time": "OptInt",
         "bool": "OptBool", "double": "OptDouble", "float": "OptDouble"}
TIME = {"": "DEFAULT", "unixTimestamp": "UNIX", "iso8601": "ISO8601", "rfc822": "RFC822"}
PROTOCOL = {"rest-json": "API_REST_JSON", "json 1.0": "API_JSON_1_0", "json 1.1": "API_JSON_1_1"}
WHERE = {"body": "BODY", "path": "PATH", "query": "QUERY", "header": "HEADER", "headers": "HEADERS",
         "status": "STATUS", "payload": "PAYLOAD"}


def text(value):
    """A C string literal's inside."""
    out = []
    for byte in value.encode():
        char = chr(byte)
        if char in '"\\':
            out.append("\\" + char)
        elif char == "?":
            out.append("\\?")
        elif 32 <= byte < 127:
            out.append(char)
        else:
            out.append(f"\\{byte:03o}")
    return "".join(out)


def literal(value):
    return f'STR_INIT("{text(value)}")'


def flag(value):
    return "true" if value else "false"


class Writer:
    """One service's header and source. `names` refuses two things that would get one C name."""

    def __init__(self, service):
        self.s = service
        self.file = snake(service.name)
        self.type_prefix = pascal(service.name)
        self.fn_prefix = self.file + "_"
        self.const_prefix = self.file.upper() + "_"
        self.names = {}
        self.index = {name: i for i, name in enumerate(service.shapes)}
        self.patterns = []
        self.header, self.source = [], []

    def claim(self, name, what):
        if self.names.setdefault(name, what) != what:
            sys.exit(f"{self.s.name}: {what} and {self.names[name]} would both be called {name} in C")
        return name

    # The C type that stands for a shape.
    def type_of(self, shape):
        if shape.kind in PLAIN:
            return PLAIN[shape.kind]
        if shape.kind == "list":
            return {"Str": "StrList", "OptInt": "IntList", "OptDouble": "DoubleList"}.get(
                self.type_of(self.s.shapes[shape.member])) or self.named(shape.name)
        if shape.kind == "map" and self.type_of(self.s.shapes[shape.member]) == "Str":
            return "StrMap"
        return self.named(shape.name)

    def named(self, name):
        return self.claim(self.type_prefix + pascal(name), f"shape {name}")

    def own_type(self, shape):
        return shape.kind in ("list", "map", "struct") and self.type_of(shape).startswith(self.type_prefix)

    def field_type(self, shape):
        return f"{self.type_of(shape)} *" if shape.kind == "struct" else f"{self.type_of(shape)} "

    def struct_of(self, name, members):
        self.header.append(f"struct {name} {{")
        seen = {}
        for m in members:
            field = snake(m.name)
            if seen.setdefault(field, m.name) != m.name:
                sys.exit(f"{self.s.name}: {m.name} and {seen[field]} of {name} would both be called {field} in C")
            self.header.append(f"    {self.field_type(self.s.shapes[m.shape])}{field};")
        if not members:
            self.header.append("    char nothing;")
        self.header.append("};")

    def types(self):
        own = [s for s in self.s.shapes.values() if self.own_type(s)]
        for shape in own:
            self.header.append(f"typedef struct {self.type_of(shape)} {self.type_of(shape)};")
        for shape in own:
            if shape.kind in ("list", "map"):
                item = self.type_of(self.s.shapes[shape.member])
                if shape.kind == "map":
                    item = self.claim(self.type_of(shape) + "Entry", f"entry of {shape.name}")
                    self.header.append(f"typedef struct {item} {item};")
                self.header.append(f"struct {self.type_of(shape)} {{\n    {item} *items;\n    size_t n;\n    bool set;\n}};")
        for shape in own:
            if shape.kind == "struct":
                self.struct_of(self.type_of(shape), shape.members)
        for shape in own:
            if shape.kind == "map":
                self.header.append(f"struct {self.type_of(shape)}Entry {{\n    Str key;\n"
                                   f"    {self.type_of(self.s.shapes[shape.member])} value;\n}};")

    def constants(self):
        self.header.append(f"extern const ApiError {self.file}_errors[];")
        for i, error in enumerate(self.s.errors.values()):
            name = self.claim(self.const_prefix + constant(error.name), f"error {error.name}")
            self.header.append(f"#define {name} (&{self.file}_errors[{i}])")
        for shape in self.s.shapes.values():
            if shape.kind == "enum":
                for value in shape.values:
                    name = self.const_prefix + constant(shape.name) + "_" + constant(value)
                    self.claim(name, f"{shape.name} {value}")
                    self.header.append(f'#define {name} S("{text(value)}")')

    def operations(self):
        for op in self.s.ops:
            base = self.type_prefix + pascal(op.name)
            for side, members in (("In", op.inputs), ("Out", op.outputs or [])):
                self.claim(base + side, f"{side} of {op.name}")
                self.header.append(f"typedef struct {base}{side} {base}{side};")
                self.struct_of(base + side, members)
            handler = self.claim(self.fn_prefix + snake(op.name), f"handler of {op.name}")
            self.header.append(f"Err {handler}(Call *c, const {base}In *in, {base}Out *out);\n")

    def make_header(self):
        self.header += [f"/* Made from models/{self.s.name}.api by tools/generate.py.",
                        " * An operation whose handler nobody defines answers not-implemented. */",
                        "#pragma once", "", '#include "api/call.h"', '#include "api/op.h"', ""]
        self.types()
        self.header.append("")
        self.constants()
        self.header.append("")
        self.operations()
        self.header.append(f"extern const ApiService {self.file}_service;")

    def shape_ref(self, name):
        return f"&shapes[{self.index[name]}]"

    def member_table(self, table, struct, members):
        if not members:
            return "NULL", 0
        self.source.append(f"static const ApiMember {table}[] = {{")
        for m in members:
            parts = [f".name = {literal(m.name)}", f".wire = {literal(m.wire)}", f".shape = {self.shape_ref(m.shape)}",
                     f".offset = offsetof({struct}, {snake(m.name)})", f".where = API_IN_{WHERE[m.where]}"]
            parts += [f".{key} = true" for key in ("required", "token", "json") if getattr(m, key)]
            parts += [f".time = API_TIME_{TIME[m.time]}"] if m.time else []
            self.source.append("    { " + ", ".join(parts) + " },")
        self.source.append("};")
        return table, len(members)

    def shape_table(self, shape):
        ident = pascal(shape.name)
        parts = [f".name = {literal(shape.name)}", f".kind = API_{KIND[shape.kind]}", f".pattern = {self.pattern_of(shape)}"]
        parts += [f".{key} = true" for key in ("secret", "sparse", "one_of", "streaming") if getattr(shape, key)]
        if shape.kind in ("int", "long", "float", "double"):
            parts.append(f".bits = {32 if shape.kind in ('int', 'float') else 64}")
        for key in ("min", "max"):
            if getattr(shape, key) is not None:
                value = getattr(shape, key)
                real = shape.kind in ("double", "float")
                parts.append(f".has_{key} = true, " + (f".real_{key} = {float(value)}" if real else f".{key} = INT64_C({value})"))
        if shape.time:
            parts.append(f".time = API_TIME_{TIME[shape.time]}")
        if shape.kind == "enum":
            self.source.append(f"static const Str values_{ident}[] = {{ {', '.join(map(literal, shape.values))} }};")
            parts.append(f".values = values_{ident}, .values_n = {len(shape.values)}")
        if shape.kind in ("list", "map"):
            item = self.type_of(self.s.shapes[shape.member])
            parts.append(f".member = {self.shape_ref(shape.member)}")
            if shape.kind == "list":
                parts.append(f".element_size = sizeof({item})")
            else:
                entry = "StrPair" if item == "Str" else self.type_of(shape) + "Entry"
                parts.append(f".key = {self.shape_ref(shape.key)}, .element_size = sizeof({entry}), "
                             f".member_offset = offsetof({entry}, value)")
        if shape.kind == "struct":
            table, n = self.member_table(f"members_{ident}", self.type_of(shape), shape.members)
            parts.append(f".members = {table}, .members_n = {n}, .element_size = sizeof({self.type_of(shape)})")
        return f"    {{ {', '.join(parts)} }},"

    def pattern_of(self, shape):
        if shape.pattern is None:
            return -1
        if shape.pattern not in self.patterns:
            self.patterns.append(shape.pattern)
        return self.patterns.index(shape.pattern)

    def error_tables(self):
        rows = []
        for error in self.s.errors.values():
            message = next((m.wire for m in error.members if m.name.lower() == "message"), "message")
            others = [m.wire for m in error.members if m.wire != message]
            table = "NULL"
            if others:
                table = f"error_members_{snake(error.name)}"
                self.source.append(f"static const Str {table}[] = {{ {', '.join(map(literal, others))} }};")
            rows.append(f"    {{ .name = {literal(error.wire)}, .status = {error.status}, .message_member = {literal(message)}, "
                        f".members = {table}, .members_n = {len(others)} }},")
        self.source += [f"const ApiError {self.file}_errors[] = {{"] + rows + ["};"]

    def op_table(self):
        rows, index = [], {name: i for i, name in enumerate(self.s.errors)}
        for op in self.s.ops:
            base, fn = self.type_prefix + pascal(op.name), snake(op.name)
            self.source += [
                f"#pragma weak {self.fn_prefix}{fn}",
                f"static bool handled_{fn}(void) {{\n    return {self.fn_prefix}{fn} != NULL;\n}}",
                f"static Err run_{fn}(Call *c, const void *in, void *out) {{",
                f"    return {self.fn_prefix}{fn} ? {self.fn_prefix}{fn}(c, in, out) : ERR_NOT_IMPLEMENTED;\n}}"]
            for side, members in (("in", op.inputs), ("out", op.outputs)):
                if members is None:
                    continue
                struct = base + side.title()
                table, n = self.member_table(f"{side}_{fn}", struct, members)
                self.source.append(f"static const ApiShape shape_{side}_{fn} = {{ .name = {literal(op.name + side.title())}, "
                                   f".kind = API_STRUCT, .pattern = -1, .members = {table}, .members_n = {n}, "
                                   f".element_size = sizeof({struct}) }};")
            if op.errors:
                refs = ", ".join(f"&{self.file}_errors[{index[e]}]" for e in op.errors)
                self.source.append(f"static const ApiError *const errors_{fn}[] = {{ {refs} }};")
            path, _, query = op.path.partition("?")
            rows.append(
                f"    {{ .name = {literal(op.name)}, .service = &{self.file}_service, .method = {literal(op.method)}, "
                f".path = {literal(path)}, .query = {literal(query)}, .host_prefix = {literal(op.host)}, .status = {op.status}, "
                f".in = &shape_in_{fn}, .out = {'NULL' if op.outputs is None else '&shape_out_' + fn}, "
                f".out_size = sizeof({base}Out), .run = run_{fn}, .handled = handled_{fn}, "
                f".errors = {'errors_' + fn if op.errors else 'NULL'}, .errors_n = {len(op.errors)} }},")
        self.source += [f"static const ApiOp ops[] = {{"] + rows + ["};"]

    def routes(self):
        order = sorted(range(len(self.s.ops)), key=lambda i: (self.s.ops[i].path.split("?")[0].split("/")[1].encode(), i))
        self.source.append(f"static const uint16_t routes[] = {{ {', '.join(map(str, order))} }};")

    def make_source(self):
        s = self.s
        self.source += [f"/* Made from models/{s.name}.api by tools/generate.py. */", f'#include "{self.file}.h"', "",
                        "#include <stddef.h>", ""]
        self.source.append(f"static const ApiShape shapes[{len(s.shapes)}];")
        rows = [self.shape_table(shape) for shape in s.shapes.values()]
        self.source += [f"static const ApiShape shapes[{len(s.shapes)}] = {{"] + rows + ["};"]
        self.error_tables()
        self.op_table()
        self.routes()
        if self.patterns:
            self.source.append("static const ApiPattern patterns[] = {")
            self.source += [f'    {{ "{text(translate(p))}", {literal(p)} }},' for p in self.patterns]
            self.source.append("};")
        self.source.append(f"static const Str signing[] = {{ {', '.join(map(literal, s.sign))} }};")
        invalid, unknown = (f"&{self.file}_errors[{list(s.errors).index(e)}]" if e else "NULL" for e in (s.invalid, s.unknown))
        self.source.append(
            f"const ApiService {self.file}_service = {{ .name = {literal(s.name)}, .action = {literal(s.action)}, "
            f".target = {literal(s.target)}, .version = {literal(s.version)}, .protocol = {PROTOCOL[s.protocol]}, "
            f".signing = signing, .signing_n = {len(s.sign)}, .invalid = {invalid}, .unknown = {unknown}, .ops = ops, .ops_n = {len(s.ops)}, "
            f".routes = routes, .errors = {self.file}_errors, .errors_n = {len(s.errors)}, "
            f".patterns = {'patterns' if self.patterns else 'NULL'}, .patterns_n = {len(self.patterns)}, "
            f".shapes = shapes, .shapes_n = {len(s.shapes)} }};")


def write_service(model, header, source):
    w = Writer(Service(pathlib.Path(model)))
    w.make_header()
    w.make_source()
    pathlib.Path(header).write_text("\n".join(w.header) + "\n")
    pathlib.Path(source).write_text("\n".join(w.source) + "\n")


def write_list(out, models):
    files = [snake(pathlib.Path(m).stem) for m in sorted(models)]
    lines = ["/* Every service that models/ describes. Made by tools/generate.py. */", '#include "api/dispatch.h"']
    lines += [f'#include "generated/{f}.h"' for f in files]
    lines.append("static const ApiService *const services[] = {")
    lines += [f"    &{f}_service," for f in files]
    lines += ["};", "const ApiService *const *api_services(size_t *n) {", "    *n = sizeof services / sizeof *services;",
              "    return services;", "}"]
    pathlib.Path(out).write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    if sys.argv[1:2] == ["service"] and len(sys.argv) == 5:
        write_service(*sys.argv[2:])
    elif sys.argv[1:2] == ["list"] and len(sys.argv) > 3:
        write_list(sys.argv[2], sys.argv[3:])
    else:
        sys.exit(__doc__)
