#include <stdlib.h>

#include "store/record_code.h"
#include "store/txn.h"

/* A walk by key reads records as they come. A walk by index takes each record's key from the entry and reads the
 * record; one that is gone by then (deleted while the walk is under way) is passed over. */

struct RecordScan {
    Txn *txn;
    const RecordType *type;
    unsigned number;
    Scan *scan;
    size_t base_len; /* of every key: up to its parts */
    Arena arena;     /* the range's ends, the last key */
    Str last;
    Err failed;
};

static const RecordIndex *index_of(const RecordType *type, unsigned number) {
    for (size_t i = 0; i < type->index_count; i++)
        if (type->indexes[i].number == number) return &type->indexes[i];
    return NULL;
}

static const RecordField *part_at(const RecordType *type, const RecordIndex *index, size_t i) {
    if (index && i < index->part_count) return index->parts[i];
    if (index) i -= index->part_count;
    return i < type->key_count ? &type->key[i] : NULL;
}

/* Narrows from..to to what is behind `after`, which follows base in the key. */
static void resume(Str base, Str after, bool backwards, Arena *arena, Str *from, Str *to) {
    uint8_t *at = arena_bytes(arena, base.len + after.len + 1);
    memcpy(at, base.ptr, base.len);
    if (after.len) memcpy(at + base.len, after.ptr, after.len);
    at[base.len + after.len] = 0; /* the first key behind */
    Str key = { at, base.len + after.len + (backwards ? 0 : 1) };
    if (backwards && (!to->ptr || str_cmp(key, *to) < 0)) *to = key;
    if (!backwards && str_cmp(key, *from) > 0) *from = key;
}

Err record_scan_begin(Txn *txn, const RecordType *type, Tenant tenant, unsigned number, const void *parts,
                      size_t part_count, Str after, bool backwards, RecordScan **out) {
    const RecordIndex *index = index_of(type, number);
    if (number && !index) return ERR_INVALID;
    RecordScan *s = mem_new(sizeof *s);
    *s = (RecordScan){ .txn = txn, .type = type, .number = number };
    Writer w = writer_in(&s->arena);
    record_key_begin(&w, type, tenant, number);
    s->base_len = w.len;
    for (size_t i = 0; i < part_count; i++) {
        const RecordField *part = part_at(type, index, i);
        if (part) record_key_part(&w, part, parts);
    }
    Str from = writer_str(&w), to = store_prefix_end(&s->arena, from);
    if (after.ptr) resume(str_sub(from, 0, s->base_len), after, backwards, &s->arena, &from, &to);
    Err e = scan_begin(txn, from, to, backwards, &s->scan);
    if (e != OK) {
        arena_free(&s->arena);
        free(s);
        return e;
    }
    *out = s;
    return OK;
}

static Err read_one(RecordScan *s, Str key, Str value, Arena *arena, void *out) {
    Tenant tenant;
    void *record = arena_alloc(arena, s->type->size_bytes);
    Err e = record_key_read(s->type, key, s->number, arena, &tenant, record);
    if (e == ERR_NOT_FOUND) e = ERR_CORRUPT; /* in this range there are no others */
    if (e == OK && s->number) return record_peek(s->txn, s->type, tenant, record, arena, out);
    if (e == OK) e = record_decode(s->type, str_dup(arena, value), arena, record);
    if (e == OK) memcpy(out, record, s->type->size_bytes);
    return e;
}

bool record_scan_next(RecordScan *s, Arena *arena, void *out) {
    Str value;
    while (s->failed == OK && scan_next(s->scan, &s->last, &value)) {
        Err e = read_one(s, s->last, value, arena, out);
        if (e == OK) return true;
        if (e != ERR_NOT_FOUND) s->failed = e;
    }
    s->last = STR_NONE;
    return false;
}

Str record_scan_position(const RecordScan *s, Arena *arena) {
    return s->last.ptr ? str_dup(arena, str_from(s->last, s->base_len)) : STR_NONE;
}

Err record_scan_end(RecordScan *s) {
    Err e = scan_end(s->scan);
    if (e == OK) e = s->failed;
    arena_free(&s->arena);
    free(s);
    return e;
}

Str record_position(const RecordType *type, const void *key, Arena *arena) {
    Writer w = writer_in(arena);
    for (size_t i = 0; i < type->key_count; i++) record_key_part(&w, &type->key[i], key);
    return writer_str(&w);
}
