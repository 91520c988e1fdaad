/* ListThings: by type along its index, else through all things, with what attributes are asked for as a filter.
 * The walk decodes into a scratch arena, so that a filter which few things pass costs no memory. */
#include "services/iot/registry.h"

static bool attribute_fits(const ThingRecord *t, const IotListThingsIn *in) {
    if (!in->attribute_name.ptr) return true;
    for (size_t i = 0; i < t->attributes.n; i++) {
        if (!str_eq(t->attributes.items[i].key, in->attribute_name)) continue;
        Str value = t->attributes.items[i].value;
        if (!in->attribute_value.ptr) return true;
        return in->use_prefix_attribute_value.v ? str_starts(value, in->attribute_value)
                                                : str_eq(value, in->attribute_value);
    }
    return false;
}

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

static Err walk(Call *c, const IotListThingsIn *in, Str after, RecordScan **out) {
    if (in->thing_type_name.ptr)
        return thing_record_scan_by_type(c->txn, call_tenant(c), in->thing_type_name, after, false, out);
    return thing_record_scan(c->txn, call_tenant(c), after, false, out);
}

Err iot_list_things(Call *c, const IotListThingsIn *in, IotListThingsOut *out) {
    if (in->attribute_value.ptr && !in->attribute_name.ptr)
        return api_fail(c, IOT_INVALID_REQUEST, "attributeValue is given without attributeName");
    Str filters = str_format(c->arena, "%.*s %.*s %d %.*s", PS(in->thing_type_name), PS(in->attribute_name),
                             in->use_prefix_attribute_value.v, PS(in->attribute_value));
    RecordScan *scan;
    Page page;
    Err e = page_open(c, filters, in->next_token, in->max_results, REGISTRY_PAGE, &page);
    if (e == OK) e = walk(c, in, page.after, &scan);
    if (e != OK) return e;
    IotThingAttribute *things = arena_array(c->arena, IotThingAttribute, page.most);
    Arena scratch = { 0 };
    ThingRecord t;
    for (; thing_record_next(scan, &scratch, &t); arena_reset(&scratch)) {
        if (!attribute_fits(&t, in)) continue;
        if (!page_take(&page, scan)) break;
        things[page.n - 1] = listed(c, &t);
    }
    arena_free(&scratch);
    out->things = (IotThingAttributeList){ .items = things, .n = page.n, .set = true };
    out->next_token = page.next;
    return record_scan_end(scan);
}
