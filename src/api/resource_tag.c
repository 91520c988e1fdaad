#include "api/resource_tag.h"

#include "api/error.h"
#include "api/page.h"
#include "api/resource_link.h"
#include "api/tag.h"

Err resource_by_arn(Call *c, const Resource *const *all, size_t n, const ApiService *service, Str arn,
                    const Resource **out_resource, void **out_record) {
    *out_resource = NULL;
    *out_record = NULL;
    for (size_t i = 0; i < n; i++) {
        const Resource *r = all[i];
        if ((service && r->service != service) || r->tags < 0) continue;
        void *key = arena_alloc(c->arena, r->record->size_bytes),
             *record = arena_alloc(c->arena, r->record->size_bytes);
        if (resource_key_from_arn(c, r, arn, key) != OK) continue;
        *out_resource = r;
        Err e = record_get(c->txn, r->record, call_tenant(c), key, c->arena, record);
        if (e == OK && !str_eq(resource_arn(c, r, record), arn)) e = ERR_NOT_FOUND;
        if (e == OK) *out_record = record;
        return e;
    }
    return ERR_NOT_FOUND;
}

Err resource_tags_by_arn(Call *c, const Resource *const *all, size_t n, Str arn, StrMap *out) {
    const Resource *r;
    void *record;
    Err e = resource_by_arn(c, all, n, NULL, arn, &r, &record);
    if (e == OK) *out = *(const StrMap *)resource_slot(r->record, r->tags, record);
    if (e == ERR_NOT_FOUND) *out = (StrMap){ 0 };
    return e == ERR_NOT_FOUND ? OK : e;
}

/* Services differ in case: resourceArn, ResourceArn; Lambda's is Resource. */
static const ApiMember *member_of(const ApiShape *shape, Str name) {
    bool arn = str_eq(name, S("resourceArn"));
    for (size_t i = 0; shape && i < shape->members_n; i++) {
        Str here = shape->members[i].name;
        if (str_eq_nocase(here, name) || (arn && str_eq_nocase(here, S("resource")))) return &shape->members[i];
    }
    return NULL;
}

static const void *value_of(const ApiShape *shape, Str name, const void *in) {
    const ApiMember *m = member_of(shape, name);
    return m ? (const char *)in + m->offset : NULL;
}

typedef struct {
    const ApiOp *op;
    const Resource *resource;
    void *record;
    StrMap *tags; /* of the record */
} Tagged;

static Err find(Call *c, const Resource *const *all, size_t n, const ApiService *service, Str op, const void *in,
                Tagged *out) {
    Tagged t = { .op = api_op(service, op) };
    const Str *arn = value_of(t.op->in, S("resourceArn"), in);
    Err e = resource_by_arn(c, all, n, service, *arn, &t.resource, &t.record);
    if (e == ERR_NOT_FOUND && !t.resource)
        return api_fail(c, service->invalid ? service->invalid : API_VALIDATION,
                        "The ARN %.*s is of no resource of %.*s in this account and region that may have tags",
                        PS(*arn), PS(service->name));
    if (e == ERR_NOT_FOUND)
        return api_fail(c, t.resource->missing, "The %.*s with the ARN %.*s cannot be found.", PS(t.resource->noun),
                        PS(*arn));
    if (e != OK) return e;
    t.tags = resource_slot(t.resource->record, t.resource->tags, t.record);
    *out = t;
    return OK;
}

static Err keep(Call *c, const Tagged *t) {
    return record_put(c->txn, t->resource->record, call_tenant(c), t->record);
}

Err resource_tag(Call *c, const Resource *const *all, size_t n, const ApiService *service, Str op, const void *in,
                 void *out) {
    (void)out;
    Tagged t;
    StrMap more;
    Err e = find(c, all, n, service, op, in, &t);
    if (e != OK) return e;
    const ApiMember *m = member_of(t.op->in, S("tags"));
    e = tag_take(c, m->shape, (const char *)in + m->offset, &more);
    if (e == OK) e = tag_merge(c, *t.tags, more, t.tags);
    return e == OK ? keep(c, &t) : e;
}

Err resource_untag(Call *c, const Resource *const *all, size_t n, const ApiService *service, Str op, const void *in,
                   void *out) {
    (void)out;
    Tagged t;
    Err e = find(c, all, n, service, op, in, &t);
    if (e != OK) return e;
    *t.tags = tag_without(c, *t.tags, *(const StrList *)value_of(t.op->in, S("tagKeys"), in));
    return keep(c, &t);
}

/* All of them fit a page, so there is never another one. */
Err resource_tags_of(Call *c, const Resource *const *all, size_t n, const ApiService *service, Str op, const void *in,
                     void *out) {
    Tagged t;
    Err e = find(c, all, n, service, op, in, &t);
    if (e != OK) return e;
    const Str *token = value_of(t.op->in, S("nextToken"), in);
    Page page;
    if (token) e = page_open(c, S(""), *token, (OptInt){ 0 }, (PageSize){ TAGS_MAX, TAGS_MAX }, &page);
    if (e != OK) return e;
    const ApiMember *m = member_of(t.op->out, S("tags"));
    tag_give(c, m->shape, *t.tags, (char *)out + m->offset);
    return OK;
}
