#include "services/shadow/kept.h"

#include "base/reader.h"
#include "base/writer.h"

/* ACCOUNT 0 REGION 0 "shadow" 0 THING 0 NAME */
static Str record_key(Call *c, Str thing, Str name) {
    Writer w = writer_in(c->arena);
    Str parts[] = { c->account, c->region, S("shadow"), thing, name };
    for (size_t i = 0; i < 5; i++) {
        if (i) writer_u8(&w, 0);
        writer_bytes(&w, parts[i]);
    }
    return writer_str(&w);
}

Err shadow_kept_read(Call *c, ShadowKey key, ShadowKept *out) {
    Str value;
    Err e = txn_get(c->txn, record_key(c, key.thing, key.name), c->arena, &value);
    if (e == ERR_NOT_FOUND) {
        *out = (ShadowKept){ 0 };
        return OK;
    }
    if (e != OK) return e;
    Reader r = reader_from(value);
    ShadowKept kept = { .stored.version = (int64_t)reader_u64(&r), .deleted_s = (int64_t)reader_u64(&r) };
    if (r.bad) return ERR_CORRUPT;
    if (!kept.deleted_s) kept.stored.text = reader_rest(&r);
    *out = kept;
    return OK;
}

Err shadow_kept_write(Call *c, ShadowKey key, const ShadowKept *kept) {
    Writer w = writer_in(c->arena);
    writer_u64(&w, (uint64_t)kept->stored.version);
    writer_u64(&w, (uint64_t)kept->deleted_s);
    writer_bytes(&w, kept->stored.text);
    return txn_put(c->txn, record_key(c, key.thing, key.name), writer_str(&w));
}

Err shadow_kept_names(Call *c, Str thing, Str after, size_t n_max, Str *names, size_t *n) {
    Str prefix = record_key(c, thing, STR_NONE), from = record_key(c, thing, after);
    Scan *scan;
    Err e = scan_begin(c->txn, from, store_prefix_end(c->arena, prefix), false, &scan);
    if (e != OK) return e;
    size_t found = 0;
    Str key, value;
    while (found < n_max && scan_next(scan, &key, &value)) {
        Str name = str_from(key, prefix.len);
        Reader r = reader_from(value);
        reader_u64(&r);
        bool deleted = reader_u64(&r) != 0;
        if (name.len == 0 || deleted || str_eq(name, after)) continue;
        names[found++] = str_dup(c->arena, name);
    }
    e = scan_end(scan);
    if (e == OK) *n = found;
    return e;
}
