#include "api/resource.h"

#include "api/page.h"
#include "api/resource_link.h"

/* Each step: the key out of the input, the record out of the store, the step's own checks (a hook), members to fields,
 * the record back into the store, fields to members. A record that is read so makes the commit conflict with whoever
 * changes it meanwhile, so that two creates of one name, or an update and a delete, never both succeed. */

static const ApiOp *op_of(const Resource *r, const ResourceStep *step) {
    return &r->service->ops[step->op];
}

/* ------------------------------------------------------------------------------------------------ names, errors */

static Str name_of(Call *c, const Resource *r, const void *record) {
    Str out = STR_NONE;
    for (size_t i = 0; i < r->record->key_count; i++) {
        const RecordField *f = &r->record->key[i];
        const void *at = (const char *)record + f->offset;
        Str part = f->kind == FIELD_INT    ? str_format(c->arena, "%lld", (long long)*(const int64_t *)at)
                   : f->kind == FIELD_BOOL ? (*(const bool *)at ? S("true") : S("false"))
                                           : *(const Str *)at;
        out = i ? str_format(c->arena, "%.*s/%.*s", PS(out), PS(part)) : part;
    }
    return out;
}

static Str text_of(Call *c, const Resource *r, Str text, const void *record) {
    size_t hole = str_find_str(text, S("{}"));
    if (hole == SIZE_MAX) return text;
    Str name = name_of(c, r, record);
    return str_format(c->arena, "%.*s%.*s%.*s", PS(str_sub(text, 0, hole)), PS(name), PS(str_from(text, hole + 2)));
}

static Err fail(Call *c, const Resource *r, const ApiError *error, Str text, const void *record) {
    return api_fail(c, error, "%.*s", PS(text_of(c, r, text, record)));
}

Err resource_need(Call *c, const Resource *r, const void *key, void *out) {
    Err e = record_get(c->txn, r->record, call_tenant(c), key, c->arena, out);
    return e == ERR_NOT_FOUND ? fail(c, r, r->missing, r->missing_text, key) : e;
}

static Err expect_version(Call *c, const Resource *r, const ResourceStep *step, const void *in, const void *record) {
    if (step->expected < 0) return OK;
    const OptInt *expected = (const void *)((const char *)in + op_of(r, step)->in->members[step->expected].offset);
    int64_t version = *(const int64_t *)resource_slot(r->record, r->version, record);
    if (!expected->set || expected->v == version) return OK;
    return api_fail(c, r->conflict, "The expected version %lld of %.*s %.*s does not match its version %lld",
                    (long long)expected->v, PS(r->noun), PS(name_of(c, r, record)), (long long)version);
}

/* The key's members of *out, from the input's names or from its ARN. */
static Err take_key(Call *c, const Resource *r, const ResourceStep *step, const void *in, void *out) {
    const ApiShape *shape = op_of(r, step)->in;
    for (size_t i = 0; i < step->in.n; i++) {
        const ResourceLink *link = &step->in.items[i];
        const void *slot = NULL;
        resource_member(shape, link, in, &slot);
        if (link->field == RESOURCE_ARN && slot) {
            Str arn = *(const Str *)slot;
            if (resource_key_from_arn(c, r, arn, out) == OK) continue;
            return api_fail(c, r->missing, "The ARN %.*s is of no %.*s", PS(arn), PS(r->noun));
        }
        if (link->field < 0 || (size_t)link->field >= r->record->key_count) continue;
        Err e = resource_take(c, r, shape, (ResourceLinks){ link, 1 }, in, out);
        if (e != OK) return e;
    }
    return OK;
}

/* The record that the input names. */
static Err find(Call *c, const Resource *r, const ResourceStep *step, const void *in, void *out) {
    void *key = arena_alloc(c->arena, r->record->size_bytes);
    Err e = take_key(c, r, step, in, key);
    return e == OK ? resource_need(c, r, key, out) : e;
}

/* ------------------------------------------------------------------------------------------------ create */

static void set_field(Call *c, const Resource *r, const ResourceSet *s, void *record) {
    const RecordField *f = resource_field(r->record, s->field);
    void *at = (char *)record + f->offset;
    if (!resource_field_empty(f, record)) return;
    switch ((ResourceSetKind)s->kind) {
    case RESOURCE_SET_UUID: *(Str *)at = rng_uuid(c->rng, c->arena); return;
    case RESOURCE_SET_TEXT: *(Str *)at = s->text; return;
    case RESOURCE_SET_ACCOUNT: *(Str *)at = c->account; return;
    case RESOURCE_SET_NUMBER: break;
    }
    if (f->kind == FIELD_BOOL)
        *(bool *)at = s->number != 0;
    else
        *(int64_t *)at = s->number;
}

static void set_int(const Resource *r, int16_t field, int64_t v, void *record) {
    if (field >= 0) *(int64_t *)resource_slot(r->record, field, record) = v;
}

/* What the input says about it is so already. Tags are no part of it. */
static bool same(const Resource *r, const void *want, const void *have) {
    for (size_t i = 0; i < r->create.in.n; i++) {
        int16_t field = r->create.in.items[i].field;
        if (field < 0 || field == r->tags) continue;
        if (!resource_field_same(resource_field(r->record, field), want, have)) return false;
    }
    return true;
}

static Err exists(Call *c, const Resource *r, const void *have) {
    c->failure.resource_id = r->id >= 0 ? *(const Str *)resource_slot(r->record, r->id, have) : name_of(c, r, have);
    c->failure.resource_arn = resource_arn(c, r, have);
    return fail(c, r, r->exists, r->exists_text, have);
}

/* Two that create the last one at a time conflict on the record without a name, which is never there. */
static Err leave_room(Call *c, const Resource *r, const void *want) {
    if (!r->most) return OK;
    void *record = arena_alloc(c->arena, r->record->size_bytes);
    RecordScan *scan;
    uint32_t n = 0;
    Err e = record_lock(c->txn, r->record, call_tenant(c), record);
    if (e == OK) e = record_scan_begin(c->txn, r->record, call_tenant(c), 0, NULL, 0, STR_NONE, false, &scan);
    if (e != OK) return e;
    while (n < r->most && record_scan_next(scan, c->arena, record)) n++;
    e = record_scan_end(scan);
    return e == OK && n == r->most ? fail(c, r, r->too_many, r->too_many_text, want) : e;
}

static Err prepare(Call *c, const Resource *r, const void *in, void *want) {
    Err e = resource_take(c, r, op_of(r, &r->create)->in, r->create.in, in, want);
    for (size_t i = 0; e == OK && i < r->sets_n; i++) set_field(c, r, &r->sets[i], want);
    set_int(r, r->version, 1, want);
    set_int(r, r->created, c->now_ms, want);
    set_int(r, r->modified, c->now_ms, want);
    return e == OK && r->hooks.creating ? r->hooks.creating(c, in, want) : e;
}

static Err add(Call *c, const Resource *r, void *want) {
    Err e = leave_room(c, r, want);
    if (e == OK) e = record_put(c->txn, r->record, call_tenant(c), want);
    return e == OK && r->hooks.changed ? r->hooks.changed(c, NULL, want) : e;
}

Err resource_create(Call *c, const Resource *r, const void *in, void *out) {
    void *want = arena_alloc(c->arena, r->record->size_bytes), *have = arena_alloc(c->arena, r->record->size_bytes);
    Err e = prepare(c, r, in, want);
    if (e != OK) return e;
    e = r->own_key ? ERR_NOT_FOUND : record_get(c->txn, r->record, call_tenant(c), want, c->arena, have);
    if (e == OK) {
        if (!r->same_again || !same(r, want, have)) return exists(c, r, have);
        want = have;
    } else if (e == ERR_NOT_FOUND) {
        e = add(c, r, want);
    }
    const ApiShape *shape = op_of(r, &r->create)->out;
    if (e == OK && shape) e = resource_give(c, r, shape, r->create.out, want, out);
    return e == OK && r->hooks.created ? r->hooks.created(c, want, out) : e;
}

/* ------------------------------------------------------------------------------------------------ the others */

static Err before(Call *c, const Resource *r) {
    return r->hooks.before ? r->hooks.before(c) : OK;
}

Err resource_read(Call *c, const Resource *r, const void *in, void *out) {
    void *record = arena_alloc(c->arena, r->record->size_bytes);
    Err e = before(c, r);
    if (e == OK) e = find(c, r, &r->read, in, record);
    if (e == OK) e = resource_give(c, r, op_of(r, &r->read)->out, r->read.out, record, out);
    return e == OK && r->hooks.described ? r->hooks.described(c, record, out) : e;
}

/* What the input names changes, all else stays. */
static Err change(Call *c, const Resource *r, const void *in, const void *old, void *record) {
    const ApiShape *shape = op_of(r, &r->update)->in;
    for (size_t i = 0; i < r->update.in.n; i++) {
        const ResourceLink *link = &r->update.in.items[i];
        if ((size_t)link->field < r->record->key_count) continue;
        Err e = resource_take(c, r, shape, (ResourceLinks){ link, 1 }, in, record);
        if (e != OK) return e;
    }
    if (r->version >= 0) ++*(int64_t *)resource_slot(r->record, r->version, record);
    set_int(r, r->modified, c->now_ms, record);
    return r->hooks.updating ? r->hooks.updating(c, in, old, record) : OK;
}

Err resource_update(Call *c, const Resource *r, const void *in, void *out) {
    void *old = arena_alloc(c->arena, r->record->size_bytes), *record = arena_alloc(c->arena, r->record->size_bytes);
    Err e = before(c, r);
    if (e == OK) e = find(c, r, &r->update, in, old);
    if (e == OK) e = expect_version(c, r, &r->update, in, old);
    if (e != OK) return e;
    memcpy(record, old, r->record->size_bytes);
    e = change(c, r, in, old, record);
    if (e == OK) e = record_put(c->txn, r->record, call_tenant(c), record);
    if (e == OK && r->hooks.changed) e = r->hooks.changed(c, old, record);
    const ApiShape *shape = op_of(r, &r->update)->out;
    if (e == OK && shape) e = resource_give(c, r, shape, r->update.out, record, out);
    return e == OK && r->hooks.updated ? r->hooks.updated(c, record, out) : e;
}

Err resource_delete(Call *c, const Resource *r, const void *in) {
    void *key = arena_alloc(c->arena, r->record->size_bytes), *record = arena_alloc(c->arena, r->record->size_bytes);
    Err e = before(c, r);
    if (e == OK) e = take_key(c, r, &r->remove, in, key);
    if (e == OK) e = record_get(c->txn, r->record, call_tenant(c), key, c->arena, record);
    if (e == ERR_NOT_FOUND) return r->gone_is_fine ? OK : fail(c, r, r->missing, r->missing_text, key);
    if (e == OK) e = expect_version(c, r, &r->remove, in, record);
    if (e == OK && r->hooks.deleting) e = r->hooks.deleting(c, in, record);
    if (e == OK) e = record_delete(c->txn, r->record, call_tenant(c), record);
    return e == OK && r->hooks.changed ? r->hooks.changed(c, record, NULL) : e;
}
