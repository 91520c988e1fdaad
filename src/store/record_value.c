#include "base/reader.h"
#include "store/record_code.h"

/* A value: the format's number, then each field that is not zero: a varint of tag * 4 + form, and by its form
 * 0 a varint (an int, the sign in the lowest bit; a bool), 1 eight bytes (a double), 2 a length and bytes.
 * Lists and maps are bytes: a length and text for each item; keys and values in turn.
 * The form lets a reader pass over a tag that it does not know. Varints: 7 bits a byte, lowest first. */

enum { FORMAT = 1, FORM_VARINT = 0, FORM_FIXED = 1, FORM_BYTES = 2 };

static void write_varint(Writer *w, uint64_t v) {
    while (v >= 128) {
        writer_u8(w, (uint8_t)(v | 128));
        v >>= 7;
    }
    writer_u8(w, (uint8_t)v);
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

static Str read_bytes(Reader *r) {
    uint64_t n = read_varint(r);
    if (n > reader_left(r)) r->bad = true;
    return reader_take(r, r->bad ? 0 : (size_t)n);
}

static void write_bytes(Writer *w, Str s) {
    write_varint(w, s.len);
    writer_bytes(w, s);
}

static size_t varint_bytes(uint64_t v) {
    size_t n = 1;
    while (v >= 128) {
        v >>= 7;
        n++;
    }
    return n;
}

static void write_head(Writer *w, const RecordField *f, unsigned form) {
    write_varint(w, (uint64_t)f->tag * 4 + form);
}

/* items: n texts that lie side by side (a map's pairs are two each) */
static void write_items(Writer *w, const RecordField *f, const Str *items, size_t n) {
    size_t bytes = 0;
    for (size_t i = 0; i < n; i++) bytes += varint_bytes(items[i].len) + items[i].len;
    write_head(w, f, FORM_BYTES);
    write_varint(w, bytes);
    for (size_t i = 0; i < n; i++) write_bytes(w, items[i]);
}

static void write_field(Writer *w, const RecordField *f, const void *at) {
    switch ((FieldKind)f->kind) {
    case FIELD_STR:
    case FIELD_BYTES:
        if (!((const Str *)at)->ptr) return;
        write_head(w, f, FORM_BYTES);
        write_bytes(w, *(const Str *)at);
        return;
    case FIELD_INT: {
        int64_t v = *(const int64_t *)at;
        if (v == 0) return;
        write_head(w, f, FORM_VARINT);
        write_varint(w, (uint64_t)v << 1 ^ (v < 0 ? UINT64_MAX : 0));
        return;
    }
    case FIELD_BOOL:
        if (!*(const bool *)at) return;
        write_head(w, f, FORM_VARINT);
        write_varint(w, 1);
        return;
    case FIELD_DOUBLE: {
        uint64_t bits;
        memcpy(&bits, at, sizeof bits);
        if (bits == 0) return;
        write_head(w, f, FORM_FIXED);
        writer_u64(w, bits);
        return;
    }
    case FIELD_LIST: {
        const StrList *list = at;
        if (list->n || list->set) write_items(w, f, list->items, list->n);
        return;
    }
    case FIELD_MAP: {
        const StrMap *map = at;
        if (map->n || map->set) write_items(w, f, (const Str *)(const void *)map->items, map->n * 2);
        return;
    }
    }
}

Str record_encode(const RecordType *type, const void *record, Arena *arena) {
    Writer w = writer_in(arena);
    writer_u8(&w, FORMAT);
    for (size_t i = 0; i < type->field_count; i++)
        write_field(&w, &type->fields[i], (const uint8_t *)record + type->fields[i].offset);
    writer_bytes(&w, *(const Str *)((const uint8_t *)record + type->unknown_offset));
    return writer_str(&w);
}

/* The texts in bytes; NULL with *n 0 when there are none. */
static Str *read_items(Reader *r, Str bytes, Arena *arena, size_t *n) {
    Reader count = reader_from(bytes), items = count;
    size_t total = 0;
    for (; !count.bad && reader_left(&count); total++) read_bytes(&count);
    r->bad |= count.bad;
    *n = 0;
    if (r->bad || total == 0) return NULL;
    Str *list = arena_array(arena, Str, total);
    while (*n < total) list[(*n)++] = read_bytes(&items);
    return list;
}

static unsigned form_of(const RecordField *f) {
    switch ((FieldKind)f->kind) {
    case FIELD_INT:
    case FIELD_BOOL: return FORM_VARINT;
    case FIELD_DOUBLE: return FORM_FIXED;
    case FIELD_STR:
    case FIELD_BYTES:
    case FIELD_LIST:
    case FIELD_MAP: break;
    }
    return FORM_BYTES;
}

static void read_field(Reader *r, const RecordField *f, Arena *arena, void *at) {
    switch ((FieldKind)f->kind) {
    case FIELD_STR:
    case FIELD_BYTES: *(Str *)at = read_bytes(r); return;
    case FIELD_INT: {
        uint64_t v = read_varint(r);
        *(int64_t *)at = (int64_t)(v >> 1 ^ (v & 1 ? UINT64_MAX : 0));
        return;
    }
    case FIELD_BOOL: *(bool *)at = read_varint(r) != 0; return;
    case FIELD_DOUBLE: {
        uint64_t bits = reader_u64(r);
        memcpy(at, &bits, sizeof bits);
        return;
    }
    case FIELD_LIST: {
        StrList list = { .set = true };
        list.items = read_items(r, read_bytes(r), arena, &list.n);
        *(StrList *)at = list;
        return;
    }
    case FIELD_MAP: {
        StrMap map = { .set = true };
        size_t n;
        map.items = (StrPair *)(void *)read_items(r, read_bytes(r), arena, &n);
        r->bad |= n % 2 != 0;
        map.n = n / 2;
        *(StrMap *)at = map;
        return;
    }
    }
}

static void pass_over(Reader *r, unsigned form) {
    if (form == FORM_VARINT)
        read_varint(r);
    else if (form == FORM_FIXED)
        reader_take(r, 8);
    else if (form == FORM_BYTES)
        read_bytes(r);
    else
        r->bad = true;
}

static const RecordField *field_of(const RecordType *type, uint64_t tag) {
    for (size_t i = 0; i < type->field_count; i++)
        if (type->fields[i].tag == tag) return &type->fields[i];
    return NULL;
}

static void clear_fields(const RecordType *type, void *out) {
    static const size_t sizes[] = {
        [FIELD_STR] = sizeof(Str),       [FIELD_BYTES] = sizeof(Str), [FIELD_INT] = sizeof(int64_t),
        [FIELD_DOUBLE] = sizeof(double), [FIELD_BOOL] = sizeof(bool), [FIELD_LIST] = sizeof(StrList),
        [FIELD_MAP] = sizeof(StrMap),
    };
    for (size_t i = 0; i < type->field_count; i++)
        memset((uint8_t *)out + type->fields[i].offset, 0, sizes[type->fields[i].kind]);
}

Err record_decode(const RecordType *type, Str value, Arena *arena, void *out) {
    Reader r = reader_from(value);
    if (reader_u8(&r) != FORMAT) return ERR_CORRUPT;
    clear_fields(type, out);
    Writer unknown = writer_in(arena);
    while (!r.bad && reader_left(&r)) {
        const uint8_t *from = r.at;
        uint64_t head = read_varint(&r);
        const RecordField *f = field_of(type, head >> 2);
        if (f && form_of(f) == (head & 3)) {
            read_field(&r, f, arena, (uint8_t *)out + f->offset);
        } else if (f || head >> 2 == 0) {
            r.bad = true;
        } else {
            pass_over(&r, head & 3);
            if (!r.bad) writer_bytes(&unknown, (Str){ from, (size_t)(r.at - from) });
        }
    }
    if (r.bad) return ERR_CORRUPT;
    *(Str *)((uint8_t *)out + type->unknown_offset) = unknown.len ? writer_str(&unknown) : STR_NONE;
    return OK;
}
