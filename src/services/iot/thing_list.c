/* ListThings: through an index, by attribute before by type, else through all things; what is asked for besides is a
 * filter. The walk decodes into a scratch arena, so that a filter which few things pass costs no memory. */
#include "services/iot/thing_attribute.h"

#include "generated/registry_records.h"

static StrMap map_dup(Arena *arena, StrMap m) {
    StrMap out = { arena_array(arena, StrPair, m.n), m.n, true };
    for (size_t i = 0; i < m.n; i++)
        out.items[i] = (StrPair){ str_dup(arena, m.items[i].key), str_dup(arena, m.items[i].value) };
    return out;
}

static IotThingAttribute listed(Call *c, const ThingRecord *t) {
    return (IotThingAttribute){ .thing_name = str_dup(c->arena, t->thing_name),
                                .thing_type_name =
                                    t->thing_type_name.ptr ? str_dup(c->arena, t->thing_type_name) : STR_NONE,
                                .thing_arn = thing_arn(c, t->thing_name),
                                .attributes = map_dup(c->arena, t->attributes),
                                .version = { true, t->version } };
}

/* The walk of one call: by attribute it gives entries of an index, whose things are read behind it. */
typedef struct {
    Call *c;
    const IotListThingsIn *in;
    RecordScan *scan;
    Err failed;
} Walk;

static Err walk_begin(Walk *w, Str after) {
    Call *c = w->c;
    const IotListThingsIn *in = w->in;
    if (in->attribute_name.ptr)
        return thing_attributes_walk(c, in->attribute_name, in->attribute_value, in->use_prefix_attribute_value.v,
                                     after, &w->scan);
    if (in->thing_type_name.ptr)
        return thing_record_scan_by_type(c->txn, call_tenant(c), in->thing_type_name, after, false, &w->scan);
    return thing_record_scan(c->txn, call_tenant(c), after, false, &w->scan);
}

static bool by_attribute(Walk *w, Arena *arena, ThingRecord *out) {
    Call *c = w->c;
    const IotListThingsIn *in = w->in;
    ThingAttributeRecord a;
    while (thing_attribute_record_next(w->scan, arena, &a)) {
        if (in->attribute_value.ptr && !str_starts(a.value, in->attribute_value)) return false; /* behind the prefix */
        Err e = thing_record_peek(c->txn, call_tenant(c), a.thing_name, arena, out);
        if (e == OK && in->thing_type_name.ptr && !str_eq(out->thing_type_name, in->thing_type_name)) continue;
        if (e == ERR_NOT_FOUND) continue; /* it went while we walk */
        w->failed = e;
        return e == OK;
    }
    return false;
}

static bool walk_next(Walk *w, Arena *arena, ThingRecord *out) {
    return w->in->attribute_name.ptr ? by_attribute(w, arena, out) : thing_record_next(w->scan, arena, out);
}

Err iot_list_things(Call *c, const IotListThingsIn *in, IotListThingsOut *out) {
    if (in->attribute_value.ptr && !in->attribute_name.ptr)
        return api_fail(c, IOT_INVALID_REQUEST, "attributeValue is given without attributeName");
    Str filters = str_format(c->arena, "%.*s %.*s %d %.*s", PS(in->thing_type_name), PS(in->attribute_name),
                             in->use_prefix_attribute_value.v, PS(in->attribute_value));
    Walk w = { .c = c, .in = in };
    Page page;
    Err e = page_open(c, filters, in->next_token, in->max_results, REGISTRY_PAGE, &page);
    if (e == OK) e = walk_begin(&w, page.after);
    if (e != OK) return e;
    IotThingAttribute *things = arena_array(c->arena, IotThingAttribute, page.most);
    Arena scratch = { 0 };
    ThingRecord t;
    for (; walk_next(&w, &scratch, &t); arena_reset(&scratch)) {
        if (!page_take(&page, w.scan)) break;
        things[page.n - 1] = listed(c, &t);
    }
    arena_free(&scratch);
    out->things = (IotThingAttributeList){ .items = things, .n = page.n, .set = true };
    out->next_token = page.next;
    e = record_scan_end(w.scan);
    return e == OK ? w.failed : e;
}
