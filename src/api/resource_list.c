#include "api/codec.h"
#include "api/page.h"
#include "api/resource_link.h"

/* A page: records in the order of their key (or of an index) from behind the token's position, those that fit, until
 * there are enough and one more, whose token is the position of the last. Where the input names the first parts of the
 * key (a parent, or the whole of it) only those are walked. A token is good for the filters that it was given for. */

typedef struct {
    Call *c;
    const Resource *r;
    const ApiOp *op;
    const void *in;
    void *record; /* the one that is looked at */
    void *parts;  /* a record with the parts of the key that the input names */
    size_t parts_n;
    Page page;
    bool backwards;
    char *items;
} Listing;

static const void *in_slot(const Listing *l, int16_t member) {
    return member < 0 ? NULL : (const char *)l->in + l->op->in->members[member].offset;
}

static OptInt asked_size(const Listing *l) {
    const OptInt *size = in_slot(l, l->r->list.size);
    return size ? *size : (OptInt){ 0 };
}

static Str asked_token(const Listing *l) {
    const Str *token = in_slot(l, l->r->list.token);
    return token ? *token : STR_NONE;
}

/* Everything that the list is asked for but its token and the page's size. */
static Str scope_of(const Listing *l) {
    Str out = S("");
    for (size_t i = 0; i < l->op->in->members_n; i++) {
        const ApiMember *m = &l->op->in->members[i];
        const void *slot = (const char *)l->in + m->offset;
        if ((int16_t)i == l->r->list.token || (int16_t)i == l->r->list.size || !api_present(m->shape, slot)) continue;
        Str value = api_encode_value(l->c->arena, m->shape, slot);
        out = str_format(l->c->arena, "%.*s%.*s=%.*s;", PS(out), PS(m->name), PS(value));
    }
    return out;
}

static Err take_parts(Listing *l) {
    l->parts = arena_alloc(l->c->arena, l->r->record->size_bytes);
    if (l->r->list.index) return OK;
    for (size_t part = 0; part < l->r->record->key_count; part++) {
        bool given = false;
        for (size_t i = 0; i < l->r->list.filters.n; i++) {
            const ResourceLink *link = &l->r->list.filters.items[i];
            const void *slot = NULL;
            const ApiMember *m = resource_member(l->op->in, link, l->in, &slot);
            if ((size_t)link->field != part || !slot || !api_present(m->shape, slot)) continue;
            Err e = resource_take(l->c, l->r, l->op->in, (ResourceLinks){ link, 1 }, l->in, l->parts);
            if (e != OK) return e;
            given = true;
        }
        if (!given) break;
        l->parts_n++;
    }
    return OK;
}

static Err filters_fit(const Listing *l, bool *out) {
    void *asked = arena_alloc(l->c->arena, l->r->record->size_bytes);
    for (size_t i = 0; i < l->r->list.filters.n; i++) {
        const ResourceLink *link = &l->r->list.filters.items[i];
        const void *slot = NULL;
        const ApiMember *m = resource_member(l->op->in, link, l->in, &slot);
        if (!slot || !api_present(m->shape, slot)) continue;
        Err e = resource_take(l->c, l->r, l->op->in, (ResourceLinks){ link, 1 }, l->in, asked);
        if (e != OK) return e;
        if (!resource_field_same(resource_field(l->r->record, link->field), asked, l->record)) {
            *out = false;
            return OK;
        }
    }
    return OK;
}

static bool prefixes_fit(const Listing *l) {
    for (size_t i = 0; i < l->r->list.prefixes.n; i++) {
        const ResourceLink *link = &l->r->list.prefixes.items[i];
        const void *slot = NULL;
        resource_member(l->op->in, link, l->in, &slot);
        if (slot && !str_starts(*(const Str *)resource_slot(l->r->record, link->field, l->record), *(const Str *)slot))
            return false;
    }
    return true;
}

static Err fits(const Listing *l, bool *out) {
    *out = prefixes_fit(l);
    Err e = *out ? filters_fit(l, out) : OK;
    if (e == OK && *out && l->r->hooks.fits) e = l->r->hooks.fits(l->c, l->in, l->record, out);
    return e;
}

/* A list of texts has the field itself; one of structures, their members. */
static Err give_item(Listing *l, const ApiShape *list) {
    char *item = l->items + (l->page.n - 1) * list->element_size;
    if (list->member->kind != API_STRUCT) {
        int16_t field = l->r->list.item.items[0].field;
        *(Str *)(void *)item = field == RESOURCE_ARN ? resource_arn(l->c, l->r, l->record)
                                                     : *(const Str *)resource_slot(l->r->record, field, l->record);
        return OK;
    }
    Err e = resource_give(l->c, l->r, list->member, l->r->list.item, l->record, item);
    return e == OK && l->r->hooks.listed ? l->r->hooks.listed(l->c, l->record, item) : e;
}

static Err walk(Listing *l, const ApiShape *list, RecordScan *scan) {
    while (record_scan_next(scan, l->c->arena, l->record)) {
        bool fit = true;
        Err e = fits(l, &fit);
        if (e == OK && fit && !page_take(&l->page, scan)) return OK;
        if (e == OK && fit) e = give_item(l, list);
        if (e != OK) return e;
    }
    return OK;
}

static Err open_walk(Listing *l, RecordScan **scan) {
    const OptBool *ascending = in_slot(l, l->r->list.order);
    PageSize size = { l->r->list.page_default, l->r->list.page_max };
    l->backwards = ascending && !ascending->v;
    Err e = l->r->hooks.listing ? l->r->hooks.listing(l->c, l->in) : OK;
    if (e == OK) e = page_open(l->c, scope_of(l), asked_token(l), asked_size(l), size, &l->page);
    if (e == OK) e = take_parts(l);
    if (e != OK) return e;
    return record_scan_begin(l->c->txn, l->r->record, call_tenant(l->c), l->r->list.index, l->parts, l->parts_n,
                             l->page.after, l->backwards, scan);
}

Err resource_list(Call *c, const Resource *r, const void *in, void *out) {
    Listing l = { .c = c, .r = r, .op = &r->service->ops[r->list.op], .in = in };
    const ApiMember *items = &l.op->out->members[r->list.items];
    RecordScan *scan;
    l.record = arena_alloc(c->arena, r->record->size_bytes);
    Err e = open_walk(&l, &scan), ended;
    if (e != OK) return e;
    l.items = arena_alloc_array(c->arena, items->shape->element_size, l.page.most);
    e = walk(&l, items->shape, scan);
    ended = record_scan_end(scan);
    if (e == OK) e = ended;
    if (e != OK) return e;
    *(ApiItems *)(void *)((char *)out + items->offset) = (ApiItems){ l.items, l.page.n, true };
    if (r->list.next >= 0) *(Str *)(void *)((char *)out + l.op->out->members[r->list.next].offset) = l.page.next;
    return OK;
}
