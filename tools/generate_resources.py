#!/usr/bin/env python3
"""Makes handlers in C of models/*.resource: the plain operations of resources, declared.

    tools/generate_resources.py OUT_DIR models/*.api models/*.store models/*.resource
        writes NAME_resources.h and .c for each models/NAME.resource, and resources.h and .c, a table of all
    tools/generate_resources.py --check models/...

One fact a line; `#` begins a comment.

    service  iot                                   # whose operations the lines below name
    tags     TagResource UntagResource ListTagsForResource

    resource BillingGroup billing group            # record, and what it is called in error texts
    arn      billinggroup/{billing_group_name}     # behind the account; fields in braces
    create   CreateBillingGroup same               # same: again with the same settings succeeds
    read     DescribeBillingGroup
    update   UpdateBillingGroup
    delete   DeleteBillingGroup
    list     ListBillingGroups page=100 prefix=namePrefixFilter
    match    billingGroupDescription description   # member, field; @arn and @account are no fields
    match    ListBillingGroups.groupName billing_group_name
    leave    CreateX.member                        # what no field is: a hook deals with it
    set      billing_group_id uuid                 # when created: uuid, account, a number, true, a "text"
    limit    100                                   # of them in an account and region
    missing  Billing group {} cannot be found.     # texts of errors; {} is the name
    exists   ...
    full     ...
    hook     creating deleting changed             # C functions, declared in the header that is made

A line may be left out. Every member of every operation named must be a field, found in this order: a match line (of
OPERATION.member, of a.b for b within a, of member); the field of the same name in snake_case; created_ms and modified_ms
for creationDate, lastModifiedDate and their like; nameArn, arn; tags. A structure without such a field is looked into,
at any depth; with one (a str) it is kept as its JSON, so is a list or map of more than texts. expectedVersion, client
tokens, next tokens, page sizes and ascendingOrder are known. What is left is an error here, not a silence at run time.
Fields: version:int counts; created_ms and modified_ms:int are set; tags:map makes it taggable by its ARN. A field
marked ? is left out of answers where it is empty, any other is given. Members of a list's input that are fields are
filters; those that are the first parts of the key choose what is walked. A delete whose model has no error for what is
not there succeeds.
"""
import pathlib
import re
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from generate import literal  # noqa: E402
from generate_records import ModelError, read_model  # noqa: E402
from model import Service, constant, pascal, snake  # noqa: E402

CREATED = {"creationDate", "createdAt", "createDate", "creationTimestamp", "creationTime", "createdDate"}
MODIFIED = {"lastModifiedDate", "lastModifiedAt", "lastUpdatedAt", "lastUpdateDate", "lastUpdateTime", "lastUpdatedDate",
            "lastModifiedTime"}
IGNORED = {"clientToken", "clientRequestToken"}
TOKEN, SIZE, ORDER, NEXT = {"nextToken", "marker"}, {"maxResults", "pageSize"}, {"ascendingOrder"}, {"nextToken", "nextMarker"}
STEPS = ("create", "read", "update", "delete", "list")
HOOKS = {  # name: (parameters, operation whose struct is meant)
    "before": "Call *c",  # of every step but create: what must be there without having been created
    "creating": "Call *c, const {create_in} *in, {record} *record",
    "updating": "Call *c, const {update_in} *in, const {record} *old, {record} *record",
    "deleting": "Call *c, const {delete_in} *in, const {record} *record",
    "changed": "Call *c, const {record} *old, const {record} *record",
    "created": "Call *c, const {record} *record, {create_out} *out",
    "described": "Call *c, const {record} *record, {read_out} *out",
    "updated": "Call *c, const {record} *record, {update_out} *out",
    "listing": "Call *c, const {list_in} *in",
    "fits": "Call *c, const {list_in} *in, const {record} *record, bool *out",
    "listed": "Call *c, const {record} *record, {item} *item",
}
TEXTISH = {"str", "enum", "doc", "blob"}
FITS = {"str": TEXTISH, "enum": TEXTISH, "doc": TEXTISH, "blob": TEXTISH, "int": {"int"}, "long": {"int"}, "time": {"int"},
        "bool": {"bool"}, "double": {"double"}, "float": {"double"}}
ERRORS = {"missing": ("ResourceNotFound", "NotFound"),
          "exists": ("ResourceAlreadyExists", "ConflictingOperation", "Conflict", "ResourceConflict", "ConflictingResourceUpdate"),
          "conflict": ("VersionConflict", "VersionMismatch", "Conflict", "ResourceConflict"),
          "too_many": ("LimitExceeded", "ServiceQuotaExceeded")}


class Resource:
    def __init__(self, where, service, record_name, noun):
        self.where, self.service, self.record_name, self.noun = where, service, record_name, noun
        self.arn = ""
        self.ops, self.words = {}, {}
        self.matches, self.left, self.sets, self.hooks, self.texts = {}, set(), [], [], {}
        self.limit = 0

    def fail(self, text):
        raise ModelError(f"{self.where}: {self.record_name}: {text}")

    @property
    def name(self):
        return f"{snake(self.service.name)}_{snake(self.record_name)}"


class Declared:
    """What one file declares."""

    def __init__(self, path, services):
        self.path, self.resources, self.tags, self.service = path, [], None, None
        for n, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            text = re.sub(r"(^|\s)#.*", "", line).strip()
            if text:
                keyword, _, rest = text.partition(" ")
                self.take(f"{path.name}:{n}", keyword, rest.strip(), services)

    def take(self, where, keyword, rest, services):
        words = rest.split()
        if keyword == "service":
            if rest not in services:
                raise ModelError(f"{where}: there is no model of a service {rest}")
            self.service = services[rest]
            return
        if self.service is None:
            raise ModelError(f"{where}: before the first service")
        if keyword == "tags":
            self.tags = (self.service, words)
        elif keyword == "resource":
            if len(words) < 2:
                raise ModelError(f"{where}: a resource is: resource Record what it is called")
            self.resources.append(Resource(where, self.service, words[0], " ".join(words[1:])))
        elif not self.resources:
            raise ModelError(f"{where}: before the first resource")
        else:
            self.take_fact(self.resources[-1], where, keyword, rest, words)

    def take_fact(self, r, where, keyword, rest, words):
        if keyword in STEPS:
            op = next((op for op in r.service.ops if op.name == words[0]), None)
            if op is None:
                raise ModelError(f"{where}: {r.service.name} has no operation {words[0]}")
            r.ops[keyword], r.words[keyword] = op, words[1:]
        elif keyword == "arn":
            r.arn = rest
        elif keyword == "match" and len(words) == 2:
            r.matches[words[0]] = words[1]
        elif keyword == "leave":
            r.left |= set(words)
        elif keyword == "set" and len(words) > 1:
            r.sets.append((words[0], " ".join(words[1:])))
        elif keyword == "limit":
            r.limit = int(rest)
        elif keyword in ("missing", "exists", "full"):
            r.texts[keyword] = rest
        elif keyword == "hook":
            r.hooks += words
        else:
            raise ModelError(f"{where}: {keyword}: no such line, or not so")


class Maker:
    """One resource's tables and handlers."""

    def __init__(self, r, records):
        self.r, self.used = r, set()
        if r.record_name not in records:
            r.fail(f"there is no record {r.record_name}")
        self.record = records[r.record_name]
        self.fields = self.record.key + self.record.fields
        self.index = {f.name: i for i, f in enumerate(self.fields)}
        self.keys = len(self.record.key)
        self.header, self.source = [], []

    def field(self, name):
        if name not in self.index:
            self.r.fail(f"the record {self.record.name} has no field {name}")
        return self.index[name]

    def special(self, name):
        return self.index.get(name, -1)

    # ---- members to fields

    def named(self, table, op, path):
        """What a match or leave line says of a member, by the longest way to call it."""
        dotted, leaf = ".".join(path), path[-1]
        for key in (f"{op.name}.{dotted}", f"{op.name}.{leaf}", dotted, leaf):
            if key in table:
                self.used.add(key)
                return key
        return None

    def target(self, op, path, shape):
        """A field's index, @arn, @account, or None."""
        key = self.named(self.r.matches, op, path)
        if key:
            to = self.r.matches[key]
            return to if to.startswith("@") else self.field(to)
        name = path[-1]
        if snake(name) in self.index:
            return self.index[snake(name)]
        if name in CREATED and "created_ms" in self.index:
            return self.index["created_ms"]
        if name in MODIFIED and "modified_ms" in self.index:
            return self.index["modified_ms"]
        if name in self.arn_names():
            return "@arn"
        return None

    def arn_names(self):
        key = self.record.key[-1].name
        base = {key, re.sub(r"_(name|id)$", "", key), snake(self.record.name)}
        return {"arn"} | {re.sub(r"_(.)", lambda m: m[1].upper(), b) + "Arn" for b in base}

    def check_type(self, op, path, shape, target):
        if not isinstance(target, int):
            return
        f = self.fields[target]
        shapes = self.r.service.shapes
        if f.name == "tags":
            return
        if shape.kind in FITS:
            want = {"str", "bytes"} if shape.kind in TEXTISH else FITS[shape.kind]
        elif shape.kind in ("list", "map") and shapes[shape.member].kind in TEXTISH and not shapes[shape.member].sparse:
            want = {shape.kind}
        else:
            want = {"str"}
        if f.type not in want:
            self.r.fail(f"{op.name}: {'.'.join(path)} is a {shape.kind}, the field {f.name} a {f.type}: it would have to be "
                        f"{' or '.join(sorted(want))}")

    def links(self, op, members, known=frozenset(), path=(), indexes=()):
        """[(indexes of members, target)] of all members, at any depth."""
        out = []
        for i, m in enumerate(members):
            here, at = path + (m.name,), indexes + (i,)
            shape = self.r.service.shapes[m.shape]
            if not path and (m.name in known or m.name in IGNORED and self.target(op, here, shape) is None):
                continue
            if self.named(self.r.left, op, here):
                continue
            target = self.target(op, here, shape)
            if target is not None:
                self.check_type(op, here, shape, target)
                out.append((at, target))
            elif shape.kind == "struct" and len(at) < 4:
                out += self.links(op, shape.members, known, here, at)
            else:
                self.r.fail(f"{op.name}: no field is {'.'.join(here)}: say it by match, or leave it to a hook")
        return out

    def table(self, name, links):
        if not links:
            return "{ NULL, 0 }"
        self.source.append(f"static const ResourceLink {name}[] = {{")
        for at, target in links:
            field = {"@arn": "RESOURCE_ARN", "@account": "RESOURCE_ACCOUNT"}.get(target, target)
            if isinstance(field, str) and field.startswith("@"):
                self.r.fail(f"{field} is no word: @arn, @account")
            optional = isinstance(target, int) and self.is_optional(self.fields[target])
            self.source.append(f"    {{ .path = {{ {', '.join(map(str, at))} }}, .depth = {len(at)}, "
                               f".optional = {'true' if optional else 'false'}, .field = {field} }},")
        self.source.append("};")
        return f"{{ {name}, {len(links)} }}"

    @staticmethod
    def is_optional(f):
        """Texts and times that are not there are never answered."""
        return f.optional or f.type in ("str", "bytes") or f.type == "int" and f.name.endswith("_ms")

    # ---- steps

    def op_index(self, op):
        return self.r.service.ops.index(op)

    def check_key(self, op, links):
        have = {t for _, t in links}
        for i in range(self.keys):
            if i not in have and "@arn" not in have:
                self.r.fail(f"{op.name}: nothing of its input is {self.fields[i].name}, a part of the key")

    def step(self, verb):
        op, name = self.r.ops.get(verb), f"{self.r.name}_{verb}"
        if op is None:
            return "{ .op = RESOURCE_NONE }"
        links = self.links(op, op.inputs, {"expectedVersion"})
        if verb != "create":
            self.check_key(op, links)
        if verb in ("read", "delete"):
            links = [x for x in links if x[1] == "@arn" or isinstance(x[1], int) and x[1] < self.keys]
        out = self.links(op, op.outputs or [])
        if verb == "delete" and out:
            self.r.fail(f"{op.name}: a delete that answers something is a handler of its own")
        expected = next((i for i, m in enumerate(op.inputs) if m.name == "expectedVersion"), -1)
        if expected >= 0 and self.special("version") < 0:
            self.r.fail(f"{op.name} expects a version, and the record has no field version:int")
        return (f"{{ .op = {self.op_index(op)}, .in = {self.table(name + '_in', links)}, "
                f".out = {self.table(name + '_out', out)}, .expected = {expected} }}")

    def list_step(self):
        op, name = self.r.ops.get("list"), f"{self.r.name}_list"
        if op is None:
            return "{ .op = RESOURCE_NONE }"
        said = dict(w.partition("=")[::2] for w in self.r.words["list"])
        find = lambda members, names: next((i for i, m in enumerate(members) if m.name in names), -1)  # noqa: E731
        size = find(op.inputs, SIZE)
        links = self.links(op, op.inputs, TOKEN | SIZE | ORDER)
        prefix = said.pop("prefix", "").split(",")
        prefixes = [x for x in links if op.inputs[x[0][0]].name in prefix]
        filters = [x for x in links if x not in prefixes]
        lists = [i for i, m in enumerate(op.outputs) if self.r.service.shapes[m.shape].kind == "list"]
        if len(lists) != 1:
            self.r.fail(f"{op.name}: its output has {len(lists)} lists")
        default = int(said.pop("page", 25))
        most = self.r.service.shapes[op.inputs[size].shape].max if size >= 0 else default
        index = said.pop("by", "")
        number = next((i[0] for i in self.record.indexes if i[1] == index), 0)
        if index and not number or said:
            self.r.fail(f"{op.name}: {index or list(said)}: no such index, or word")
        return (f"{{ .op = {self.op_index(op)}, .filters = {self.table(name + '_filters', filters)}, "
                f".prefixes = {self.table(name + '_prefixes', prefixes)}, .item = {self.table(name + '_item', self.item_links(op, lists[0]))}, "
                f".token = {find(op.inputs, TOKEN)}, .size = {size}, .order = {find(op.inputs, ORDER)}, "
                f".next = {find(op.outputs, NEXT)}, .items = {lists[0]}, .index = {number}, "
                f".page_default = {default}, .page_max = {most or default} }}")

    def item_links(self, op, items):
        shapes = self.r.service.shapes
        element = shapes[shapes[op.outputs[items].shape].member]
        if element.kind == "struct":
            return self.links(op, element.members)
        last = self.keys - 1
        target = self.target(op, (op.outputs[items].name,), element)
        return [((0,), last if target is None else target)]

    # ---- the rest

    def error(self, kind):
        declared = {e for op in self.r.ops.values() for e in op.errors}
        names = [n for n in ERRORS[kind] if n in declared] or [n for n in ERRORS[kind] if n in self.r.service.errors]
        if not names:
            return "NULL"
        prefix = snake(self.r.service.name)
        return f"&{prefix}_errors[{list(self.r.service.errors).index(names[0])}]"

    def text(self, kind, default):
        return literal(self.r.texts.get(kind, default))

    def set_row(self, name, value):
        i = self.field(name)
        if value in ("uuid", "account"):
            return f"{{ .field = {i}, .kind = RESOURCE_SET_{value.upper()} }}"
        if value.startswith('"'):
            return f"{{ .field = {i}, .kind = RESOURCE_SET_TEXT, .text = {literal(value.strip(chr(34)))} }}"
        number = {"true": 1, "false": 0}.get(value, value)
        return f"{{ .field = {i}, .kind = RESOURCE_SET_NUMBER, .number = {int(number)} }}"

    def id_field(self):
        return next((self.index[n] for n, v in self.r.sets if v == "uuid"), -1)

    def types(self):
        op = lambda verb, side: pascal(self.r.service.name) + pascal(self.r.ops[verb].name) + side if verb in self.r.ops else "void"  # noqa: E731
        out = {f"{v}_{s.lower()}": op(v, s) for v in STEPS for s in ("In", "Out")}
        out["record"] = f"{self.record.name}Record"
        if "list" in self.r.ops:
            shapes, o = self.r.service.shapes, self.r.ops["list"]
            item = next(shapes[shapes[m.shape].member] for m in o.outputs if shapes[m.shape].kind == "list")
            out["item"] = pascal(self.r.service.name) + pascal(item.name) if item.kind == "struct" else "void"
        return out

    def hook(self, hook):
        if hook not in HOOKS:
            self.r.fail(f"{hook} is no hook: {', '.join(HOOKS)}")
        params = HOOKS[hook].format(**self.types())
        untyped = re.sub(r"(const )?\w+ \*(in|old|record|out|item)\b", lambda m: f"{m[1] or ''}void *{m[2]}", params)
        if hook == "fits":
            untyped = untyped.replace("void *out", "bool *out")
        names = ", ".join(re.findall(r"(\w+)(?:,|$)", params))
        self.header.append(f"NODISCARD Err {self.r.name}_{hook}({params});")
        self.source += [f"static Err {hook}_{self.r.name}({untyped}) {{",
                        f"    return {self.r.name}_{hook}({names});", "}"]

    def handlers(self):
        base = pascal(self.r.service.name)
        for verb, op in self.r.ops.items():
            name = f"{snake(self.r.service.name)}_{snake(op.name)}"
            self.source.append(f"Err {name}(Call *c, const {base}{pascal(op.name)}In *in, {base}{pascal(op.name)}Out *out) {{")
            if verb == "delete":
                self.source += ["    (void)out;", f"    return resource_delete(c, &{self.r.name}_resource, in);", "}"]
            else:
                self.source += [f"    return resource_{verb}(c, &{self.r.name}_resource, in, out);", "}"]

    def helpers(self):
        r, record = self.r, f"{self.record.name}Record"
        types = {"str": "Str", "bytes": "Str", "int": "int64_t", "bool": "bool"}
        params = ", ".join(f"{types[f.type]} {f.name}" for f in self.record.key)
        given = ", ".join(f".{f.name} = {f.name}" for f in self.record.key)
        self.header.append(f"/* The {r.noun} of that name. Errors: ERR_API: there is none */")
        self.header.append(f"NODISCARD Err {r.name}_need(Call *c, {params}, {record} *out);")
        self.source += [f"Err {r.name}_need(Call *c, {params}, {record} *out) {{",
                        f"    return resource_need(c, &{r.name}_resource, &({record}){{ {given} }}, out);", "}"]
        holes = set(re.findall(r"\{(\w+)\}", r.arn))
        if holes <= {f.name for f in self.record.key}:
            self.header.append(f"Str {r.name}_arn(Call *c, {params});")
            self.source += [f"Str {r.name}_arn(Call *c, {params}) {{",
                            f"    return resource_arn(c, &{r.name}_resource, &({record}){{ {given} }});", "}"]
        else:
            self.header.append(f"Str {r.name}_arn(Call *c, const {record} *record);")
            self.source += [f"Str {r.name}_arn(Call *c, const {record} *record) {{",
                            f"    return resource_arn(c, &{r.name}_resource, record);", "}"]

    def check(self):
        r = self.r
        if not r.arn:
            r.fail("it has no arn")
        for hole in re.findall(r"\{(\w+)\}", r.arn):
            self.field(hole)
        for key in (set(r.matches) | r.left) - self.used:
            r.fail(f"no member is {key}, which a match or leave line names")

    def make(self):
        r = self.r
        for hook in r.hooks:
            self.hook(hook)
        steps = {verb: self.step(verb) for verb in STEPS[:4]}
        steps["list"] = self.list_step()
        self.check()
        noun = r.noun[0].upper() + r.noun[1:]
        if r.sets:
            rows = ", ".join(self.set_row(*s) for s in r.sets)
            self.source.append(f"static const ResourceSet {r.name}_sets[] = {{ {rows} }};")
        own_key = any(self.field(n) < self.keys and v == "uuid" for n, v in r.sets)
        delete = r.ops.get("delete")
        gone = delete is not None and not set(ERRORS["missing"]) & set(delete.errors)
        flag = lambda v: "true" if v else "false"  # noqa: E731
        hooks = ", ".join(f".{h} = {h}_{r.name}" for h in r.hooks)
        self.header.append(f"extern const Resource {r.name}_resource;")
        self.source += [
            f"const Resource {r.name}_resource = {{",
            f"    .service = &{snake(r.service.name)}_service, .record = &{self.record.prefix},",
            f"    .noun = {literal(r.noun)}, .arn = {literal(r.arn)},",
            f"    .same_again = {flag('same' in r.words.get('create', []))}, .own_key = {flag(own_key)}, .gone_is_fine = {flag(gone)}, "
            f".most = {r.limit},",
            f"    .id = {self.id_field()}, .version = {self.special('version')}, .created = {self.special('created_ms')}, "
            f".modified = {self.special('modified_ms')}, .tags = {self.special('tags')},"]
        if r.sets:
            self.source.append(f"    .sets = {r.name}_sets, .sets_n = {len(r.sets)},")
        self.source += [f"    .{k} = {self.error(k)}," for k in ERRORS]
        self.source += [
            f"    .missing_text = {self.text('missing', f'{noun} {{}} cannot be found.')},",
            f"    .exists_text = {self.text('exists', f'{noun} {{}} already exists in account' + (' with different settings' if 'same' in r.words.get('create', []) else ''))},",
            f"    .too_many_text = {self.text('full', f'{noun} {{}} would be more than the limit of {r.limit} in account')},"]
        names = {"create": "create", "read": "read", "update": "update", "delete": "remove", "list": "list"}
        self.source += [f"    .{names[verb]} = {text}," for verb, text in steps.items()]
        self.source += [f"    .hooks = {{ {hooks} }}," if hooks else "    .hooks = { 0 },", "};"]
        self.helpers()
        self.handlers()
        self.header.append("")
        self.source.append("")


def tag_handlers(service, ops, header, source):
    if len(ops) != 3:
        raise ModelError(f"{service.name}: tags are three operations: tag, untag, list")
    for verb, op in zip(("tag", "untag", "tags_of"), ops):
        if op not in {o.name for o in service.ops}:
            raise ModelError(f"{service.name} has no operation {op}")
        base, name = pascal(service.name) + pascal(op), f"{snake(service.name)}_{snake(op)}"
        source += [f"Err {name}(Call *c, const {base}In *in, {base}Out *out) {{",
                   f"    return resource_{verb}(c, resources_all, resources_all_n, &{snake(service.name)}_service, "
                   f"{literal(op).replace('STR_INIT', 'S')}, in, out);", "}"]


def write_file(out, declared, records, stores):
    name = declared.path.stem.replace("-", "_")
    services = sorted({snake(r.service.name) for r in declared.resources} | ({snake(declared.tags[0].name)} if declared.tags else set()))
    used = sorted({stores[r.record_name] for r in declared.resources if r.record_name in stores})
    header = [f"/* Made from models/{declared.path.name} by tools/generate_resources.py. */", "#pragma once", "",
              "#include \"api/resource.h\""]
    header += [f"#include \"generated/{s}.h\"" for s in services] + [f"#include \"generated/{s}_records.h\"" for s in used] + [""]
    source = [f"/* Made from models/{declared.path.name} by tools/generate_resources.py. */",
              f"#include \"generated/{name}_resources.h\"", "#include \"api/resource_tag.h\"", "#include \"generated/resources.h\"", ""]
    for r in declared.resources:
        m = Maker(r, records)
        m.make()
        header += m.header
        source += m.source
    if declared.tags:
        tag_handlers(*declared.tags, header, source)
    if out:
        (out / f"{name}_resources.h").write_text("\n".join(header) + "\n", encoding="utf-8")
        (out / f"{name}_resources.c").write_text("\n".join(source) + "\n", encoding="utf-8")


def write_all(out, files):
    names = [d.path.stem.replace("-", "_") for d in files]
    (out / "resources.h").write_text("\n".join([
        "/* Every resource that models/ declares. Made by tools/generate_resources.py. */", "#pragma once", "",
        "#include \"api/resource.h\"", "", "extern const Resource *const resources_all[];",
        "extern const size_t resources_all_n;", ""]), encoding="utf-8")
    lines = ["/* Made by tools/generate_resources.py. */", "#include \"generated/resources.h\""]
    lines += [f"#include \"generated/{n}_resources.h\"" for n in names] + ["", "const Resource *const resources_all[] = {"]
    all_of = [r.name for d in files for r in d.resources]
    lines += [f"    &{n}_resource," for n in all_of] + ["};", f"const size_t resources_all_n = {len(all_of)};", ""]
    (out / "resources.c").write_text("\n".join(lines), encoding="utf-8")


def main(args):
    out = None if args[0] == "--check" else pathlib.Path(args[0])
    paths = [pathlib.Path(a) for a in args[1:]]
    of = lambda ext: [p for p in paths if p.suffix == ext]  # noqa: E731
    try:
        wanted = {m for p in of(".resource") for m in re.findall(r"^service\s+(\S+)", p.read_text(encoding="utf-8"), re.M)}
        services = {p.stem: Service(p) for p in of(".api") if p.stem in wanted}
        records, stores = {}, {}
        for p in of(".store"):
            for record in read_model(p):
                records[record.name], stores[record.name] = record, p.stem.replace("-", "_")
        files = [Declared(p, services) for p in sorted(of(".resource"))]
        for d in files:
            write_file(out, d, records, stores)
        if out:
            write_all(out, files)
    except ModelError as e:
        sys.exit(f"generate_resources: {e}")


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    main(sys.argv[1:])
