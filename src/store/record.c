#include "store/record.h"

#include <stdlib.h>

#include "store/record_code.h"
#include "store/txn.h"

/* Writing a record that has indexes reads the one it replaces, so that exactly the entries that changed move.
 * What is needed on the way (keys, encoded values) lives in the transaction's arena. */

static Str key_of(const RecordType *type, Tenant tenant, const void *key, Arena *arena) {
    Writer w = writer_in(arena);
    record_key_begin(&w, type, tenant, 0);
    for (size_t i = 0; i < type->key_count; i++) record_key_part(&w, &type->key[i], key);
    return writer_str(&w);
}

static bool is_absent(const RecordField *f, const void *record) {
    if (f->kind != FIELD_STR && f->kind != FIELD_BYTES) return false;
    return !((const Str *)(const void *)((const uint8_t *)record + f->offset))->ptr;
}

/* STR_NONE when the record is not in the index: one of the indexed texts is absent. */
static Str entry_of(const RecordType *type, const RecordIndex *index, Tenant tenant, const void *record, Arena *arena) {
    Writer w = writer_in(arena);
    record_key_begin(&w, type, tenant, index->number);
    for (size_t i = 0; i < index->part_count; i++) {
        if (is_absent(index->parts[i], record)) return STR_NONE;
        record_key_part(&w, index->parts[i], record);
    }
    for (size_t i = 0; i < type->key_count; i++) record_key_part(&w, &type->key[i], record);
    return writer_str(&w);
}

static Err read_value(const RecordType *type, Err e, Str value, const void *key, Arena *arena, void *out) {
    if (e != OK) return e;
    void *record = arena_alloc(arena, type->size_bytes);
    e = record_decode(type, value, arena, record);
    if (e != OK) return e;
    for (size_t i = 0; i < type->key_count; i++) {
        const RecordField *f = &type->key[i];
        const void *from = (const uint8_t *)key + f->offset;
        void *to = (uint8_t *)record + f->offset;
        if (f->kind == FIELD_INT)
            *(int64_t *)to = *(const int64_t *)from;
        else if (f->kind == FIELD_BOOL)
            *(bool *)to = *(const bool *)from;
        else
            *(Str *)to = str_dup(arena, *(const Str *)from);
    }
    memcpy(out, record, type->size_bytes);
    return OK;
}

Err record_get(Txn *txn, const RecordType *type, Tenant tenant, const void *key, Arena *arena, void *out) {
    Str value = STR_NONE;
    Err e = txn_get(txn, key_of(type, tenant, key, &txn->arena), arena, &value);
    return read_value(type, e, value, key, arena, out);
}

Err record_peek(Txn *txn, const RecordType *type, Tenant tenant, const void *key, Arena *arena, void *out) {
    Str value = STR_NONE;
    Err e = txn_peek(txn, key_of(type, tenant, key, &txn->arena), arena, &value);
    return read_value(type, e, value, key, arena, out);
}

/* Moves index entries from the old record (NULL: none) to the new one (NULL: none). */
static Err move_entries(Txn *txn, const RecordType *type, Tenant tenant, const void *old, const void *new) {
    Err e = OK;
    for (size_t i = 0; i < type->index_count && e == OK; i++) {
        Str from = old ? entry_of(type, &type->indexes[i], tenant, old, &txn->arena) : STR_NONE;
        Str to = new ? entry_of(type, &type->indexes[i], tenant, new, &txn->arena) : STR_NONE;
        if (from.ptr && to.ptr && str_eq(from, to)) continue;
        if (from.ptr) e = txn_delete(txn, from);
        if (e == OK && to.ptr) e = txn_put(txn, to, S(""));
    }
    return e;
}

Err record_insert(Txn *txn, const RecordType *type, Tenant tenant, const void *record) {
    Str key = key_of(type, tenant, record, &txn->arena), value;
    Err e = txn_get(txn, key, &txn->arena, &value);
    if (e != ERR_NOT_FOUND) return e == OK ? ERR_EXISTS : e;
    e = txn_put(txn, key, record_encode(type, record, &txn->arena));
    return e == OK ? move_entries(txn, type, tenant, NULL, record) : e;
}

Err record_put(Txn *txn, const RecordType *type, Tenant tenant, const void *record) {
    Str key = key_of(type, tenant, record, &txn->arena);
    void *old = NULL;
    if (type->index_count) {
        old = arena_alloc(&txn->arena, type->size_bytes);
        Err e = record_get(txn, type, tenant, record, &txn->arena, old);
        if (e == ERR_NOT_FOUND)
            old = NULL;
        else if (e != OK)
            return e;
    }
    Err e = txn_put(txn, key, record_encode(type, record, &txn->arena));
    return e == OK ? move_entries(txn, type, tenant, old, record) : e;
}

Err record_delete(Txn *txn, const RecordType *type, Tenant tenant, const void *key) {
    void *old = arena_alloc(&txn->arena, type->size_bytes);
    Err e = record_get(txn, type, tenant, key, &txn->arena, old);
    if (e == OK) e = txn_delete(txn, key_of(type, tenant, key, &txn->arena));
    return e == OK ? move_entries(txn, type, tenant, old, NULL) : e;
}

Err record_lock(Txn *txn, const RecordType *type, Tenant tenant, const void *key) {
    return txn_lock(txn, key_of(type, tenant, key, &txn->arena));
}

Err record_from_change(const RecordType *type, Str key, Str value, Arena *arena, Tenant *tenant, void *out) {
    void *record = arena_alloc(arena, type->size_bytes);
    Tenant t;
    Err e = record_key_read(type, key, 0, arena, &t, record);
    if (e == OK && value.ptr) e = record_decode(type, str_dup(arena, value), arena, record);
    if (e != OK) return e;
    *tenant = t;
    memcpy(out, record, type->size_bytes);
    return OK;
}
