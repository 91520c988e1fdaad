#include "api/resource_link.h"

#include "api/codec.h"
#include "api/tag.h"

/* By what stands on the two sides: a text and a text, a number and a number …; a structure, or a list or map of more
 * than texts, is kept as its JSON in a text. Members of the table were held against fields when it was made. */

const RecordField *resource_field(const RecordType *type, int16_t field) {
    size_t i = (size_t)field;
    return i < type->key_count ? &type->key[i] : &type->fields[i - type->key_count];
}

const ApiMember *resource_member(const ApiShape *shape, const ResourceLink *link, const void *in, const void **slot) {
    const ApiMember *m = NULL;
    for (size_t i = 0; i < link->depth; i++) {
        m = &shape->members[link->path[i]];
        const void *at = in ? (const char *)in + m->offset : NULL;
        if (i + 1 == link->depth)
            *slot = at;
        else
            in = at ? *(const void *const *)at : NULL;
        shape = m->shape;
    }
    return m;
}

/* The slot to write to: structures on the way are made. */
static const ApiMember *make_slot(Call *c, const ApiShape *shape, const ResourceLink *link, void *out, void **slot) {
    const ApiMember *m = NULL;
    for (size_t i = 0; i < link->depth; i++) {
        m = &shape->members[link->path[i]];
        *slot = (char *)out + m->offset;
        shape = m->shape;
        if (i + 1 == link->depth) break;
        if (!*(void **)*slot) *(void **)*slot = arena_alloc(c->arena, shape->element_size);
        out = *(void **)*slot;
    }
    return m;
}

static Err take_json(Call *c, const ApiShape *shape, const void *slot, Str *out) {
    *out = api_encode_value(c->arena, shape, slot);
    return out->ptr ? OK : ERR_INVALID;
}

static Err take_one(Call *c, const Resource *r, int16_t field, const ApiShape *shape, const void *slot, void *record) {
    const RecordField *f = resource_field(r->record, field);
    void *to = (char *)record + f->offset;
    if (field == r->tags) return tag_take(c, shape, slot, to);
    switch ((FieldKind)f->kind) {
    case FIELD_STR:
    case FIELD_BYTES:
        if (shape->kind > API_DOC) return take_json(c, shape, slot, to);
        *(Str *)to = *(const Str *)slot;
        return OK;
    case FIELD_INT: *(int64_t *)to = ((const OptInt *)slot)->v; return OK;
    case FIELD_DOUBLE: *(double *)to = ((const OptDouble *)slot)->v; return OK;
    case FIELD_BOOL: *(bool *)to = ((const OptBool *)slot)->v; return OK;
    case FIELD_LIST: *(StrList *)to = *(const StrList *)slot; return OK;
    case FIELD_MAP: *(StrMap *)to = *(const StrMap *)slot; return OK;
    }
    return ERR_INVALID;
}

Err resource_take(Call *c, const Resource *r, const ApiShape *shape, ResourceLinks links, const void *in,
                  void *record) {
    for (size_t i = 0; i < links.n; i++) {
        const void *slot = NULL;
        const ApiMember *m = resource_member(shape, &links.items[i], in, &slot);
        if (links.items[i].field < 0 || !slot || !api_present(m->shape, slot)) continue;
        Err e = take_one(c, r, links.items[i].field, m->shape, slot, record);
        if (e != OK) return e;
    }
    return OK;
}

static Err give_json(Call *c, const ApiShape *shape, Str json, void *slot) {
    Str why;
    return !json.ptr || api_decode_value(c->arena, shape, json, slot, &why) == OK ? OK : ERR_CORRUPT;
}

static Err give_field(Call *c, const Resource *r, const ResourceLink *link, const ApiShape *shape, const void *from,
                      void *slot) {
    if (link->field == r->tags) {
        tag_give(c, shape, *(const StrMap *)from, slot);
        return OK;
    }
    switch ((FieldKind)resource_field(r->record, link->field)->kind) {
    case FIELD_STR:
    case FIELD_BYTES:
        if (shape->kind > API_DOC) return give_json(c, shape, *(const Str *)from, slot);
        *(Str *)slot = *(const Str *)from;
        return OK;
    case FIELD_INT: *(OptInt *)slot = (OptInt){ true, *(const int64_t *)from }; return OK;
    case FIELD_DOUBLE: *(OptDouble *)slot = (OptDouble){ true, *(const double *)from }; return OK;
    case FIELD_BOOL: *(OptBool *)slot = (OptBool){ true, *(const bool *)from }; return OK;
    case FIELD_LIST: *(StrList *)slot = *(const StrList *)from; break;
    case FIELD_MAP: *(StrMap *)slot = *(const StrMap *)from; break;
    }
    ((ApiItems *)slot)->set = true;
    return OK;
}

Err resource_give(Call *c, const Resource *r, const ApiShape *shape, ResourceLinks links, const void *record,
                  void *out) {
    for (size_t i = 0; i < links.n; i++) {
        const ResourceLink *link = &links.items[i];
        void *slot = NULL;
        const ApiMember *m = make_slot(c, shape, link, out, &slot);
        if (link->field == RESOURCE_ARN) {
            *(Str *)slot = resource_arn(c, r, record);
            continue;
        }
        if (link->field == RESOURCE_ACCOUNT) {
            *(Str *)slot = c->account;
            continue;
        }
        const RecordField *f = resource_field(r->record, link->field);
        if (link->optional && resource_field_empty(f, record)) continue;
        Err e = give_field(c, r, link, m->shape, (const char *)record + f->offset, slot);
        if (e != OK) return e;
    }
    return OK;
}

bool resource_field_same(const RecordField *f, const void *a, const void *b) {
    const void *x = (const char *)a + f->offset, *y = (const char *)b + f->offset;
    switch ((FieldKind)f->kind) {
    case FIELD_STR:
    case FIELD_BYTES: return str_eq(*(const Str *)x, *(const Str *)y);
    case FIELD_INT: return *(const int64_t *)x == *(const int64_t *)y;
    case FIELD_DOUBLE: return *(const double *)x == *(const double *)y;
    case FIELD_BOOL: return *(const bool *)x == *(const bool *)y;
    case FIELD_LIST: return str_list_same(*(const StrList *)x, *(const StrList *)y);
    case FIELD_MAP: return str_map_same(*(const StrMap *)x, *(const StrMap *)y);
    }
    return false;
}

bool resource_field_empty(const RecordField *f, const void *record) {
    const void *at = (const char *)record + f->offset;
    switch ((FieldKind)f->kind) {
    case FIELD_STR:
    case FIELD_BYTES: return !((const Str *)at)->ptr;
    case FIELD_INT: return *(const int64_t *)at == 0;
    case FIELD_DOUBLE: return *(const double *)at == 0;
    case FIELD_BOOL: return !*(const bool *)at;
    case FIELD_LIST: return ((const StrList *)at)->n == 0;
    case FIELD_MAP: return ((const StrMap *)at)->n == 0;
    }
    return true;
}
