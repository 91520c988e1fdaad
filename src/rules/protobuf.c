#include "rules/protobuf.h"

#include <stdio.h>

#include "base/encode.h"
#include "base/reader.h"
#include "rules/protobuf_well_known.h"

/* A descriptor is itself a message, so one reader of fields serves both. Types refer to each other by full name, and
 * are looked up in the set each time: a set is small, and nothing is kept between messages. */

enum { DEPTH_MAX = 64 };
enum { VARINT, FIXED64, BYTES, GROUP, GROUP_END, FIXED32 };
enum { LABEL_REPEATED = 3 };
/* FieldDescriptorProto.Type */
enum {
    TYPE_DOUBLE = 1,
    TYPE_FLOAT,
    TYPE_INT64,
    TYPE_UINT64,
    TYPE_INT32,
    TYPE_FIXED64,
    TYPE_FIXED32,
    TYPE_BOOL,
    TYPE_STRING,
    TYPE_GROUP,
    TYPE_MESSAGE,
    TYPE_BYTES,
    TYPE_UINT32,
    TYPE_ENUM,
    TYPE_SFIXED32,
    TYPE_SFIXED64,
    TYPE_SINT32,
    TYPE_SINT64
};

typedef struct {
    uint32_t number;
    uint8_t wire;
    uint64_t value; /* of VARINT, FIXED64, FIXED32 */
    Str bytes;
} Field;

typedef struct {
    ExprRun *run;
    Str set;
    Err err;
    Str why;
} Decoder;

static void fail(Decoder *d, Err e, Str why) {
    if (d->err != OK) return;
    d->err = e;
    d->why = why;
}

static uint64_t read_varint(Reader *r) {
    uint64_t v = 0;
    for (int shift = 0; shift < 64; shift += 7) {
        uint8_t b = reader_u8(r);
        v |= (uint64_t)(b & 127) << shift;
        if (!(b & 128)) return v;
    }
    r->bad = true;
    return 0;
}

static uint64_t read_little(Reader *r, size_t n) {
    Str s = reader_take(r, n);
    uint64_t v = 0;
    for (size_t i = s.len; i-- > 0;) v = v << 8 | s.ptr[i];
    return v;
}

/* The next field; false at the end, or with r->bad. Groups, which no .proto of today has, are passed over. */
static bool next_field(Reader *r, Field *f) {
    int depth = 0;
    while (reader_left(r) > 0 && !r->bad) {
        uint64_t tag = read_varint(r);
        *f = (Field){ .number = (uint32_t)(tag >> 3), .wire = tag & 7 };
        if (tag >> 32 || f->number == 0) r->bad = true;
        switch (f->wire) {
        case VARINT: f->value = read_varint(r); break;
        case FIXED64: f->value = read_little(r, 8); break;
        case FIXED32: f->value = read_little(r, 4); break;
        case BYTES: {
            uint64_t n = read_varint(r);
            f->bytes = reader_take(r, n > SIZE_MAX / 2 ? SIZE_MAX / 2 : (size_t)n);
            break;
        }
        case GROUP: depth++; continue;
        case GROUP_END:
            if (--depth < 0) r->bad = true;
            continue;
        default: r->bad = true;
        }
        if (depth == 0 && !r->bad) return true;
    }
    if (depth > 0) r->bad = true;
    return false;
}

/* The last field of this number in a message of a descriptor. */
static bool find_field(Str message, uint32_t number, Field *out) {
    Reader r = reader_from(message);
    bool found = false;
    for (Field f; next_field(&r, &f);) {
        if (f.number != number) continue;
        *out = f;
        found = true;
    }
    return found;
}

static Str bytes_of(Str message, uint32_t number) {
    Field f;
    return find_field(message, number, &f) ? f.bytes : STR_NONE;
}

static uint64_t value_of(Str message, uint32_t number) {
    Field f;
    return find_field(message, number, &f) ? f.value : 0;
}

/* ---- types ---- */

enum { FILE_NAME = 1, FILE_PACKAGE = 2, FILE_MESSAGES = 4, FILE_ENUMS = 5 };
enum { MESSAGE_FIELDS = 2, MESSAGE_NESTED = 3, MESSAGE_ENUMS = 4, MESSAGE_OPTIONS = 7 };
enum { FIELD_NAME = 1, FIELD_NUMBER = 3, FIELD_LABEL = 4, FIELD_TYPE = 5, FIELD_TYPE_NAME = 6, FIELD_JSON_NAME = 10 };

/* Of the parts of a.b.c, the first must be a type in `within`, and so on down; kind: messages or enums at the end. */
static Str find_within(Decoder *d, Str within, Str name, uint32_t messages, uint32_t enums, bool want_enum) {
    for (int depth = 0; depth < DEPTH_MAX; depth++) {
        Str rest = name, first = str_cut(&rest, '.'), found = STR_NONE;
        uint32_t number = want_enum && !rest.ptr ? enums : messages;
        Reader r = reader_from(within);
        for (Field f; !found.ptr && expr_steps(d->run, 1) && next_field(&r, &f);)
            if (f.number == number && f.wire == BYTES && str_eq(bytes_of(f.bytes, FILE_NAME), first)) found = f.bytes;
        if (!found.ptr || !rest.ptr) return found;
        within = found;
        name = rest;
        messages = MESSAGE_NESTED;
        enums = MESSAGE_ENUMS;
    }
    return STR_NONE;
}

/* A type of the file by its name with or without the package. */
static Str find_in_file(Decoder *d, Str file, Str name, bool want_enum) {
    Str package = bytes_of(file, FILE_PACKAGE), inner = name;
    if (package.len && str_starts(name, package) && name.len > package.len && name.ptr[package.len] == '.')
        inner = str_from(name, package.len + 1);
    Str found = find_within(d, file, inner, FILE_MESSAGES, FILE_ENUMS, want_enum);
    return found.ptr ? found : find_within(d, file, name, FILE_MESSAGES, FILE_ENUMS, want_enum);
}

/* A type by the full name that a field has for it: ".pack.Outer.Inner". */
static Str find_type(Decoder *d, Str full, bool want_enum) {
    Reader r = reader_from(d->set);
    Str name = str_starts(full, S(".")) ? str_from(full, 1) : full;
    for (Field f; expr_steps(d->run, 1) && next_field(&r, &f);) {
        if (f.number != 1 || f.wire != BYTES) continue;
        Str package = bytes_of(f.bytes, FILE_PACKAGE);
        if (package.len && !(str_starts(name, package) && name.len > package.len && name.ptr[package.len] == '.'))
            continue;
        Str inner = package.len ? str_from(name, package.len + 1) : name;
        Str found = find_within(d, f.bytes, inner, FILE_MESSAGES, FILE_ENUMS, want_enum);
        if (found.ptr) return found;
    }
    return STR_NONE;
}

static Str find_file(Decoder *d, Str name) {
    Reader r = reader_from(d->set);
    Str wanted = str_ends(name, S(".proto")) ? str_sub(name, 0, name.len - 6) : name, found = STR_NONE;
    for (Field f; !found.ptr && expr_steps(d->run, 1) && next_field(&r, &f);) {
        if (f.number != 1 || f.wire != BYTES) continue;
        Str path = bytes_of(f.bytes, FILE_NAME);
        if (str_ends(path, S(".proto"))) path = str_sub(path, 0, path.len - 6);
        bool in_folder = str_ends(path, wanted) && path.len > wanted.len && path.ptr[path.len - wanted.len - 1] == '/';
        if (str_eq(path, wanted) || in_folder) found = f.bytes;
    }
    if (r.bad) fail(d, ERR_MALFORMED, S("the descriptor file is no FileDescriptorSet"));
    return found;
}

/* ---- values ---- */

typedef struct {
    Str name;
    uint32_t number;
    uint8_t type;
    bool repeated, map;
    Str message; /* the descriptor of TYPE_MESSAGE and TYPE_ENUM; STR_NONE until it is needed */
    Str type_name;
    ExprValue *items;
    size_t n, cap;
} Slot;

static ExprValue message_value(Decoder *d, Str descriptor, Str bytes, int depth);
static ExprValue typed_value(Decoder *d, Str name, Str descriptor, Str bytes, int depth);

static ExprValue int_text(Decoder *d, ExprInt i) {
    char text[INT_TEXT_BYTES_MAX];
    return expr_string(str_dup(d->run->arena, (Str){ (const uint8_t *)text, expr_int_text(i, text) }));
}

static ExprValue double_value(Decoder *d, double v, bool single) {
    ExprValue out;
    Decimal decimal;
    if (v != v) return expr_string(S("NaN"));
    if (single && v > -1e38 && v < 1e38) { /* the shortest text that is this float */
        Str text = str_format(d->run->arena, "%.9g", v);
        for (int precision = 1; precision <= 9; precision++) {
            Str shorter = str_format(d->run->arena, "%.*g", precision, v);
            float again = 0;
            if (sscanf((const char *)shorter.ptr, "%f", &again) == 1 && again == (float)v) {
                text = shorter;
                break;
            }
        }
        if (decimal_parse(text, &decimal)) return expr_decimal(decimal, d->run->whole_is_int);
    }
    out = decimal_from_double(v, &decimal) ? expr_decimal(decimal, d->run->whole_is_int)
                                           : expr_string(v > 0 ? S("Infinity") : S("-Infinity"));
    return out;
}

static ExprValue name_value(Decoder *d, Str name) {
    if (!str_is_utf8(name)) fail(d, ERR_MALFORMED, S("a name of an enum is not UTF-8"));
    return expr_string(name.ptr ? name : S(""));
}

static ExprValue enum_value(Decoder *d, Slot *slot, uint64_t value) {
    if (!slot->message.ptr) slot->message = find_type(d, slot->type_name, true);
    Reader r = reader_from(slot->message);
    for (Field f; expr_steps(d->run, 1) && next_field(&r, &f);)
        if (f.number == 2 && f.wire == BYTES && (int32_t)value_of(f.bytes, 2) == (int32_t)value)
            return name_value(d, bytes_of(f.bytes, 1));
    return expr_int((int32_t)value);
}

static int64_t zigzag(uint64_t v) {
    return (int64_t)(v >> 1) ^ -(int64_t)(v & 1);
}

static ExprValue scalar(Decoder *d, Slot *slot, const Field *f) {
    double number;
    float single;
    switch (slot->type) {
    case TYPE_DOUBLE: memcpy(&number, &f->value, 8); return double_value(d, number, false);
    case TYPE_FLOAT: {
        uint32_t bits = (uint32_t)f->value;
        memcpy(&single, &bits, 4);
        return double_value(d, (double)single, true);
    }
    case TYPE_INT64:
    case TYPE_SFIXED64: return int_text(d, (int64_t)f->value);
    case TYPE_SINT64: return int_text(d, zigzag(f->value));
    case TYPE_UINT64:
    case TYPE_FIXED64: return int_text(d, f->value);
    case TYPE_INT32:
    case TYPE_SFIXED32: return expr_int((int32_t)f->value);
    case TYPE_SINT32: return expr_int((int32_t)zigzag((uint32_t)f->value));
    case TYPE_UINT32:
    case TYPE_FIXED32: return expr_int((uint32_t)f->value);
    case TYPE_BOOL: return expr_boolean(f->value != 0);
    default: return enum_value(d, slot, f->value);
    }
}

static uint8_t wire_of(uint8_t type) {
    switch (type) {
    case TYPE_DOUBLE:
    case TYPE_FIXED64:
    case TYPE_SFIXED64: return FIXED64;
    case TYPE_FLOAT:
    case TYPE_FIXED32:
    case TYPE_SFIXED32: return FIXED32;
    case TYPE_STRING:
    case TYPE_BYTES:
    case TYPE_MESSAGE: return BYTES;
    default: return VARINT;
    }
}

static void add(Decoder *d, Slot *slot, ExprValue v) {
    if (slot->n == slot->cap) {
        size_t cap = slot->repeated ? (slot->cap ? slot->cap * 2 : 4) : 1;
        if (!slot->repeated && slot->n) {
            slot->items[0] = v; /* the last one counts */
            return;
        }
        ExprValue *grown = expr_make_items(d->run, cap);
        if (!grown) return;
        if (slot->n) memcpy(grown, slot->items, slot->n * sizeof *grown);
        slot->items = grown;
        slot->cap = cap;
    }
    slot->items[slot->n++] = v;
}

static void add_bytes(Decoder *d, Slot *slot, Str bytes, int depth) {
    if (slot->type == TYPE_STRING) {
        if (!str_is_utf8(bytes)) fail(d, ERR_MALFORMED, str_format(d->run->arena, "%.*s is not UTF-8", PS(slot->name)));
        add(d, slot, expr_string(bytes.ptr ? bytes : S("")));
    } else if (slot->type == TYPE_BYTES) {
        add(d, slot, expr_string(base64_encode(d->run->arena, bytes)));
    } else {
        add(d, slot, typed_value(d, slot->type_name, slot->message, bytes, depth + 1));
    }
}

static void add_packed(Decoder *d, Slot *slot, Str bytes) {
    Reader r = reader_from(bytes);
    uint8_t wire = wire_of(slot->type);
    while (reader_left(&r) > 0 && !r.bad && expr_steps(d->run, 1)) {
        Field f = { .wire = wire };
        f.value = wire == VARINT ? read_varint(&r) : read_little(&r, wire == FIXED64 ? 8 : 4);
        if (!r.bad) add(d, slot, scalar(d, slot, &f));
    }
    if (r.bad) fail(d, ERR_MALFORMED, str_format(d->run->arena, "%.*s is cut short", PS(slot->name)));
}

/* ---- messages ---- */

/* protoc writes the name that JSON has; where another tool left it out, it is made of the name. */
static Str json_name(Decoder *d, Str field) {
    Str given = bytes_of(field, FIELD_JSON_NAME), name = bytes_of(field, FIELD_NAME);
    if (given.ptr || str_find(name, '_') == SIZE_MAX) return given.ptr ? given : name;
    uint8_t *p = arena_bytes(d->run->arena, name.len);
    size_t n = 0;
    bool upper = false;
    for (size_t i = 0; i < name.len; i++) {
        uint8_t c = name.ptr[i];
        if (c != '_') p[n++] = upper && c >= 'a' && c <= 'z' ? c ^ 32 : c;
        upper = c == '_';
    }
    return (Str){ p, n };
}

static size_t make_slots(Decoder *d, Str descriptor, Slot **out) {
    size_t n = 0, i = 0;
    Reader r = reader_from(descriptor), again = r;
    Field f;
    while (next_field(&r, &f)) n += f.number == MESSAGE_FIELDS && f.wire == BYTES;
    if (!expr_steps(d->run, 1 + n)) return 0;
    Slot *slots = arena_array(d->run->arena, Slot, n + 1);
    while (next_field(&again, &f)) {
        if (f.number != MESSAGE_FIELDS || f.wire != BYTES) continue;
        slots[i++] = (Slot){ .name = json_name(d, f.bytes),
                             .number = (uint32_t)value_of(f.bytes, FIELD_NUMBER),
                             .type = (uint8_t)value_of(f.bytes, FIELD_TYPE),
                             .repeated = value_of(f.bytes, FIELD_LABEL) == LABEL_REPEATED,
                             .type_name = bytes_of(f.bytes, FIELD_TYPE_NAME) };
        if (!str_is_utf8(slots[i - 1].name)) fail(d, ERR_MALFORMED, S("a field's name is not UTF-8"));
    }
    *out = slots;
    return n;
}

/* An array of {key, value} messages as an object. */
static ExprValue map_value(Decoder *d, const Slot *slot) {
    ExprMember *members = expr_make_members(d->run, slot->n);
    if (!members) return expr_undefined();
    for (size_t i = 0; i < slot->n; i++) {
        ExprValue key;
        expr_member(&slot->items[i], S("key"), false, &key);
        members[i].key = S("");
        if (key.type == EXPR_STRING) members[i].key = key.s;
        if (key.type == EXPR_BOOLEAN) members[i].key = key.boolean ? S("true") : S("false");
        if (key.type == EXPR_INT) members[i].key = int_text(d, key.i).s;
        expr_member(&slot->items[i], S("value"), false, &members[i].value);
        if (members[i].value.type == EXPR_UNDEFINED) members[i].value = expr_null(); /* a default that is left out */
    }
    return expr_members(members, slot->n);
}

static void take_field(Decoder *d, Slot *slots, size_t n, size_t *near, const Field *f, int depth) {
    size_t i = *near; /* fields come in the order of their descriptors, mostly */
    for (size_t looked = 0; looked < n && slots[i].number != f->number; looked++) i = i + 1 < n ? i + 1 : 0;
    if (!expr_steps(d->run, 1) || n == 0 || slots[i].number != f->number) return; /* unknown: passed over */
    Slot *slot = &slots[i];
    *near = i;
    if (slot->type == TYPE_MESSAGE && !slot->message.ptr) {
        slot->message = find_type(d, slot->type_name, false);
        Str options = bytes_of(slot->message, MESSAGE_OPTIONS);
        slot->map = slot->repeated && options.ptr && value_of(options, 7);
        if (!slot->message.ptr)
            fail(d, ERR_NOT_FOUND,
                 str_format(d->run->arena, "the descriptor file has no type %.*s", PS(slot->type_name)));
    }
    if (f->wire == BYTES && wire_of(slot->type) == BYTES)
        add_bytes(d, slot, f->bytes, depth);
    else if (f->wire == BYTES && slot->repeated)
        add_packed(d, slot, f->bytes);
    else if (f->wire == wire_of(slot->type))
        add(d, slot, scalar(d, slot, f));
    else
        fail(d, ERR_MALFORMED, str_format(d->run->arena, "%.*s is not of its type", PS(slot->name)));
}

static ExprValue message_value(Decoder *d, Str descriptor, Str bytes, int depth) {
    if (depth > DEPTH_MAX) fail(d, ERR_LIMIT, S("messages are nested too deep"));
    if (d->err != OK || d->run->err != OK) return expr_undefined();
    Slot *slots = NULL;
    size_t n = make_slots(d, descriptor, &slots), near = 0, some = 0;
    Reader r = reader_from(bytes);
    for (Field f; d->err == OK && d->run->err == OK && next_field(&r, &f);) take_field(d, slots, n, &near, &f, depth);
    if (r.bad) fail(d, ERR_MALFORMED, S("the bytes are no message of this type"));
    ExprMember *members = d->err == OK ? expr_make_members(d->run, n) : NULL;
    if (!members) return expr_undefined();
    for (size_t i = 0; i < n; i++) {
        if (slots[i].n == 0) continue;
        ExprValue v = slots[i].map        ? map_value(d, &slots[i])
                      : slots[i].repeated ? expr_items(slots[i].items, slots[i].n)
                                          : slots[i].items[0];
        members[some++] = (ExprMember){ slots[i].name, v };
    }
    return expr_members(members, some);
}

/* {"@type": "type.googleapis.com/NAME", …its members}, or {"@type": …, "value": its form}. */
static ExprValue any_value(Decoder *d, Str bytes, int depth) {
    enum { ANY_TYPE = 1, ANY_BYTES = 2 };
    Str url = bytes_of(bytes, ANY_TYPE), name = url, rest = url;
    while (rest.ptr) name = str_cut(&rest, '/');
    if (!str_is_utf8(url)) fail(d, ERR_MALFORMED, S("the type of an Any is not UTF-8"));
    if (!url.len || d->err != OK) return expr_members(NULL, 0);
    Str descriptor = find_type(d, name, false);
    if (!descriptor.ptr)
        fail(d, ERR_NOT_FOUND,
             str_format(d->run->arena, "the descriptor file has no type %.*s, of which an Any is", PS(name)));
    if (d->err != OK) return expr_undefined();
    ExprValue inner = typed_value(d, name, descriptor, bytes_of(bytes, ANY_BYTES), depth + 1);
    bool formed = protobuf_is_well_known(name) || inner.type != EXPR_OBJECT;
    size_t n = 0;
    ExprMember *members = expr_make_members(d->run, formed ? 2 : expr_count(&inner) + 1);
    if (!members) return expr_undefined();
    members[n++] = (ExprMember){ S("@type"), expr_string(url) };
    if (formed) members[n++] = (ExprMember){ S("value"), inner };
    for (ExprEach each = expr_each(&inner, false); !formed && expr_next(&each);)
        members[n++] = (ExprMember){ each.key, each.value };
    return expr_members(members, n);
}

/* name: full, with or without a dot before it */
static ExprValue typed_value(Decoder *d, Str name, Str descriptor, Str bytes, int depth) {
    if (str_starts(name, S("."))) name = str_from(name, 1);
    if (depth > DEPTH_MAX) fail(d, ERR_LIMIT, S("messages are nested too deep"));
    if (d->err != OK) return expr_undefined();
    if (str_eq(name, S("google.protobuf.Any"))) return any_value(d, bytes, depth);
    ExprValue v = message_value(d, descriptor, bytes, depth), formed;
    Str why;
    if (d->err != OK || d->run->err != OK || !protobuf_is_well_known(name)) return v;
    Err e = protobuf_well_known(d->run, name, &v, &formed, &why);
    if (e != OK) fail(d, e, why);
    return e == OK ? formed : expr_undefined();
}

Err protobuf_decode(ExprRun *run, Str set, Str file, Str type, Str message, ExprValue *out, Str *why) {
    Decoder d = { .run = run, .set = set };
    Str in_file = find_file(&d, file);
    if (!in_file.ptr)
        fail(&d, ERR_NOT_FOUND, str_format(run->arena, "the descriptor file has no %.*s.proto", PS(file)));
    Str descriptor = d.err == OK ? find_in_file(&d, in_file, type, false) : STR_NONE;
    if (!descriptor.ptr)
        fail(&d, ERR_NOT_FOUND, str_format(run->arena, "%.*s.proto has no message type %.*s", PS(file), PS(type)));
    ExprValue v = d.err == OK ? message_value(&d, descriptor, message, 0) : expr_undefined();
    if (d.err == OK && run->err != OK) fail(&d, run->err, run->why);
    if (d.err != OK) {
        *why = d.why;
        return d.err;
    }
    *out = v;
    return OK;
}
