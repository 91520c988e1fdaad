/* ListThings: by type along its index, else through all things, with what attributes are asked for as a filter.
 * The walk decodes into a scratch arena, so that a filter which few things pass costs no memory. */
#include "api/page.h"
#include "services/iot/registry.h"

enum { PAGE_MAX = 250, PAGE_DEFAULT = 100 };

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
    size_t most = page_size(in->max_results, PAGE_DEFAULT, PAGE_MAX), n = 0;
    Str after, last = STR_NONE;
    RecordScan *scan;
    Err e = page_begin(c, filters, in->next_token, &after);
    if (e == OK) e = walk(c, in, after, &scan);
    if (e != OK) return e;
    IotThingAttribute *things = arena_array(c->arena, IotThingAttribute, most);
    Arena scratch = { 0 };
    ThingRecord t;
    for (; thing_record_next(scan, &scratch, &t); arena_reset(&scratch)) {
        if (!attribute_fits(&t, in)) continue;
        if (n == most) {
            out->next_token = page_next(c, filters, last);
            break;
        }
        things[n++] = listed(c, &t);
        if (n == most) last = record_scan_position(scan, c->arena);
    }
    arena_free(&scratch);
    out->things = (IotThingAttributeList){ .items = things, .n = n, .set = true };
    return record_scan_end(scan);
}
