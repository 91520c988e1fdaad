#include "base/reader.h"
#include "store/record_code.h"

/* Parts are written so that their bytes compare as they do, and no part is the beginning of another:
 * text:    its bytes, each 0 as 00 FF, then 00 01
 * numbers: 64 bits, big endian, the sign turned over
 * bool:    one byte */

static void write_text(Writer *w, Str s) {
    for (size_t i = 0; i < s.len; i++) {
        writer_u8(w, s.ptr[i]);
        if (s.ptr[i] == 0) writer_u8(w, 0xFF);
    }
    writer_u16(w, 0x0001);
}

void record_key_begin(Writer *w, const RecordType *type, Tenant tenant, unsigned number) {
    write_text(w, tenant.account);
    write_text(w, tenant.region);
    write_text(w, type->tag);
    writer_u8(w, (uint8_t)number);
}

void record_key_part(Writer *w, const RecordField *f, const void *record) {
    const void *at = (const uint8_t *)record + f->offset;
    if (f->kind == FIELD_INT)
        writer_u64(w, (uint64_t) * (const int64_t *)at ^ (1ull << 63));
    else if (f->kind == FIELD_BOOL)
        writer_u8(w, *(const bool *)at);
    else
        write_text(w, *(const Str *)at);
}

static Str read_text(Reader *r, Arena *arena) {
    const uint8_t *from = r->at;
    size_t zeros = 0;
    for (;;) {
        if (reader_u8(r) != 0 && !r->bad) continue;
        uint8_t then = reader_u8(r);
        if (then == 0xFF)
            zeros++;
        else if (then != 1)
            r->bad = true;
        if (then != 0xFF || r->bad) break;
    }
    if (r->bad) return STR_NONE;
    size_t n = (size_t)(r->at - from) - 2;
    uint8_t *text = arena_bytes(arena, n - zeros), *to = text;
    for (size_t i = 0; i < n; i++) {
        *to++ = from[i];
        if (from[i] == 0) i++;
    }
    return (Str){ text, n - zeros };
}

static void read_part(Reader *r, const RecordField *f, Arena *arena, void *record) {
    void *at = (uint8_t *)record + f->offset;
    if (f->kind == FIELD_INT)
        *(int64_t *)at = (int64_t)(reader_u64(r) ^ (1ull << 63));
    else if (f->kind == FIELD_BOOL)
        *(bool *)at = reader_u8(r) != 0;
    else
        *(Str *)at = read_text(r, arena);
}

static const RecordIndex *index_of(const RecordType *type, unsigned number) {
    for (size_t i = 0; i < type->index_count; i++)
        if (type->indexes[i].number == number) return &type->indexes[i];
    return NULL;
}

Err record_key_read(const RecordType *type, Str key, unsigned number, Arena *arena, Tenant *tenant, void *out) {
    Reader r = reader_from(key);
    Tenant t;
    t.account = read_text(&r, arena);
    t.region = read_text(&r, arena);
    Str tag = read_text(&r, arena);
    uint8_t found = reader_u8(&r);
    if (r.bad || !str_eq(tag, type->tag) || found != number) return ERR_NOT_FOUND;
    if (number) {
        const RecordIndex *index = index_of(type, number);
        if (!index) return ERR_NOT_FOUND;
        for (size_t i = 0; i < index->part_count; i++) read_part(&r, index->parts[i], arena, out);
    }
    for (size_t i = 0; i < type->key_count; i++) read_part(&r, &type->key[i], arena, out);
    if (r.bad || reader_left(&r)) return ERR_CORRUPT;
    *tenant = t;
    return OK;
}
