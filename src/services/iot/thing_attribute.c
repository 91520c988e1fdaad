/* Written in the thing's own transaction, one key an attribute: what a create pays for is that no search walks through
 * all things. Every attribute is in it, not only those that a type calls searchable, as AWS finds them all for things
 * without a type.
 * Source: botocore's iot model, ListThings */
#include "services/iot/thing_attribute.h"

#include "generated/registry_records.h"

static bool has(const ThingRecord *t, StrPair attribute) {
    for (size_t i = 0; t && i < t->attributes.n; i++)
        if (str_eq(t->attributes.items[i].key, attribute.key) && str_eq(t->attributes.items[i].value, attribute.value))
            return true;
    return false;
}

Err thing_attributes_moved(Call *c, const ThingRecord *old, const ThingRecord *now) {
    Err e = OK;
    for (size_t i = 0; e == OK && old && i < old->attributes.n; i++) {
        StrPair a = old->attributes.items[i];
        if (has(now, a)) continue;
        e = thing_attribute_record_delete(c->txn, call_tenant(c), a.key, a.value, old->thing_name);
        if (e == ERR_NOT_FOUND) e = OK;
    }
    for (size_t i = 0; e == OK && now && i < now->attributes.n; i++) {
        StrPair a = now->attributes.items[i];
        if (!has(old, a))
            e = thing_attribute_record_put(
                c->txn, call_tenant(c),
                &(ThingAttributeRecord){
                    .name = a.key, .value = a.value, .thing_name = now->thing_name, .created_ms = now->created_ms });
    }
    return e;
}

Err thing_attributes_walk(Call *c, Str name, Str value, bool prefix, Str after, RecordScan **out) {
    Tenant tenant = call_tenant(c);
    if (value.ptr && !prefix)
        return thing_attribute_record_scan_of_name_and_value(c->txn, tenant, name, value, after, false, out);
    if (value.len && !after.ptr) after = thing_attribute_record_position(name, value, S(""), c->arena);
    return thing_attribute_record_scan_of_name(c->txn, tenant, name, after, false, out);
}
