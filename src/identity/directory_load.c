#include "identity/directory_load.h"

#include "base/json.h"
#include "base/map.h"
#include "generated/iot_records.h"

/* A device mostly has one thing, few groups and one or two policies; a gateway's certificate may have thousands of
 * things, so names are kept apart by a map. Groups are followed to their roots: seven levels are AWS's limit, the
 * bound here only stops a circle that cannot be. */

enum { ANCESTORS_MAX = 32 };

/* Names, each once, in the order of their first appearance. */
typedef struct {
    Map seen;
    Str *items;
    size_t n, cap;
} NameSet;

/* A group that was met, and the way on to its root. */
typedef struct Met {
    Str name;
    const struct Met *parent;
} Met;

/* A type that was met, with what it adds to publishes; things of one type mostly come together. */
typedef struct {
    Str name;
    yyjson_val *propagating; /* an array, or NULL */
} MetType;

typedef struct {
    Txn *txn;
    Tenant tenant;
    Arena *arena;
    NameSet groups, policies, types;
    Map met; /* name to Met */
    MetType type;
    PrincipalThing *things;
    size_t things_n, things_cap;
} Load;

static void *room_for_one(Arena *arena, void *items, size_t n, size_t *cap, size_t size) {
    if (n < *cap) return items;
    *cap = *cap ? *cap * 2 : 4;
    void *more = arena_alloc_array(arena, size, *cap);
    if (n) memcpy(more, items, n * size);
    return more;
}

/* False where it is there already. The name must live in the arena. */
static bool names_add(NameSet *set, Str name, Arena *arena) {
    if (map_get(&set->seen, name)) return false;
    set->items = room_for_one(arena, set->items, set->n, &set->cap, sizeof *set->items);
    set->items[set->n++] = name;
    map_put(&set->seen, name, (void *)(uintptr_t)name.ptr);
    return true;
}

static Err add_policies_of(Load *l, Str target) {
    RecordScan *scan;
    Err e = policy_attachment_record_scan_of_target(l->txn, l->tenant, target, STR_NONE, false, &scan);
    if (e != OK) return e;
    PolicyAttachmentRecord at;
    while (policy_attachment_record_next(scan, l->arena, &at)) names_add(&l->policies, at.policy_name, l->arena);
    return record_scan_end(scan);
}

/* The group and its ancestors; *out: the group. */
static Err add_group(Load *l, Str name, const Met **out) {
    const Met **up = out;
    for (int level = 0; name.len && level < ANCESTORS_MAX; level++) {
        *up = map_get(&l->met, name);
        if (*up) return OK;
        Met *met = arena_new(l->arena, Met);
        *met = (Met){ .name = name };
        *up = met;
        up = &met->parent;
        map_put(&l->met, name, met);
        names_add(&l->groups, name, l->arena);
        Str arn = str_format(l->arena, "arn:aws:iot:%.*s:%.*s:thinggroup/%.*s", PS(l->tenant.region),
                             PS(l->tenant.account), PS(name));
        ThingGroupRecord group;
        Err e = add_policies_of(l, arn);
        if (e == OK) e = thing_group_record_peek(l->txn, l->tenant, name, l->arena, &group);
        if (e != OK) return e == ERR_NOT_FOUND ? OK : e;
        name = group.parent_group_name;
    }
    return OK;
}

static void add_way(Load *l, PrincipalThing *thing, size_t *cap, const Met *group) {
    Str *names = (Str *)(uintptr_t)thing->groups;
    for (int level = 0; level <= ANCESTORS_MAX; level++) {
        names = room_for_one(l->arena, names, thing->groups_n, cap, sizeof *names);
        names[thing->groups_n++] = group ? group->name : STR_NONE;
        if (!group) break;
        group = group->parent;
    }
    thing->groups = names;
}

static Err add_groups_of(Load *l, PrincipalThing *thing) {
    RecordScan *scan;
    Err e = group_member_record_scan_by_thing(l->txn, l->tenant, thing->name, STR_NONE, false, &scan);
    if (e != OK) return e;
    GroupMemberRecord member;
    Err inner = OK;
    size_t cap = 0;
    while (inner == OK && group_member_record_next(scan, l->arena, &member)) {
        const Met *group = NULL;
        inner = add_group(l, member.thing_group_name, &group);
        if (inner == OK) add_way(l, thing, &cap, group);
    }
    e = record_scan_end(scan);
    return inner != OK ? inner : e;
}

static Err find_type(Load *l, Str name) {
    ThingTypeRecord type;
    names_add(&l->types, name, l->arena);
    if (l->type.name.ptr && str_eq(l->type.name, name)) return OK;
    l->type = (MetType){ .name = name };
    Err e = thing_type_record_peek(l->txn, l->tenant, name, l->arena, &type);
    if (e == ERR_NOT_FOUND || (e == OK && !type.mqtt5_configuration.len)) return OK;
    yyjson_val *mqtt5;
    if (e == OK) e = json_read(l->arena, type.mqtt5_configuration, false, &mqtt5, NULL) == OK ? OK : ERR_CORRUPT;
    if (e == OK) l->type.propagating = json_get(mqtt5, S("propagatingAttributes"));
    return e;
}

static Str attribute_of(const PrincipalThing *thing, Str name) {
    for (size_t i = 0; i < thing->attributes_n; i++)
        if (str_eq(thing->attributes[2 * i], name)) return thing->attributes[2 * i + 1];
    return STR_NONE;
}

/* An attribute that the thing does not have adds nothing.
 * Source: AWS IoT developer guide, "Adding propagating attributes for message enrichment" */
static Err add_properties(Load *l, PrincipalThing *thing) {
    Err e = thing->type_name.ptr ? find_type(l, thing->type_name) : OK;
    if (e != OK || !thing->type_name.ptr || !l->type.propagating) return e;
    StrPair *pairs = arena_array(l->arena, StrPair, yyjson_arr_size(l->type.propagating));
    yyjson_arr_iter it = yyjson_arr_iter_with(l->type.propagating);
    for (yyjson_val *p; (p = yyjson_arr_iter_next(&it));) {
        Str key = json_str(json_get(p, S("userPropertyKey"))), of_thing = json_str(json_get(p, S("thingAttribute")));
        Str of_connection = json_str(json_get(p, S("connectionAttribute")));
        Str value = of_thing.ptr ? attribute_of(thing, of_thing) : STR_NONE;
        bool client = str_eq(of_connection, S("iot:ClientId"));
        if (str_eq(of_connection, S("iot:Thing.ThingName"))) value = thing->name;
        if (value.ptr || client) pairs[thing->properties_n++] = (StrPair){ key, value };
    }
    thing->properties = pairs;
    return OK;
}

static Err add_thing(Load *l, const ThingPrincipalRecord *attached) {
    ThingRecord thing;
    Err e = thing_record_peek(l->txn, l->tenant, attached->thing_name, l->arena, &thing);
    if (e != OK) return e == ERR_NOT_FOUND ? OK : e;
    l->things = room_for_one(l->arena, l->things, l->things_n, &l->things_cap, sizeof *l->things);
    Str *attributes = arena_array(l->arena, Str, 2 * thing.attributes.n);
    for (size_t i = 0; i < thing.attributes.n; i++) {
        attributes[2 * i] = thing.attributes.items[i].key;
        attributes[2 * i + 1] = thing.attributes.items[i].value;
    }
    PrincipalThing *to = &l->things[l->things_n++];
    *to = (PrincipalThing){ .name = thing.thing_name,
                            .type_name = thing.thing_type_name,
                            .attributes = attributes,
                            .attributes_n = thing.attributes.n,
                            .exclusive = str_eq(attached->thing_principal_type, S("EXCLUSIVE_THING")) };
    e = add_groups_of(l, to);
    return e == OK ? add_properties(l, to) : e;
}

static Err add_things_of(Load *l, Str principal) {
    RecordScan *scan;
    Err e = thing_principal_record_scan_by_principal(l->txn, l->tenant, principal, STR_NONE, false, &scan);
    if (e != OK) return e;
    ThingPrincipalRecord attached;
    Err inner = OK;
    while (inner == OK && thing_principal_record_next(scan, l->arena, &attached)) inner = add_thing(l, &attached);
    e = record_scan_end(scan);
    return inner != OK ? inner : e;
}

static const char *status_name(Str status) {
    static const char *const NAMES[] = { "ACTIVE",           "INACTIVE",          "REVOKED",
                                         "PENDING_TRANSFER", "REGISTER_INACTIVE", "PENDING_ACTIVATION" };
    for (size_t i = 0; i < sizeof NAMES / sizeof *NAMES; i++)
        if (str_eq(status, str_c(NAMES[i]))) return NAMES[i];
    return NULL;
}

static Err gather(Load *l, Str arn) {
    Err e = add_policies_of(l, arn);
    return e == OK ? add_things_of(l, arn) : e;
}

Err directory_load(Txn *txn, Str account, Str region, Str certificate_id, Arena *arena, Loaded *out) {
    Load l = { .txn = txn, .tenant = { account, region }, .arena = arena };
    CertificateRecord cert;
    Err e = certificate_record_peek(txn, l.tenant, certificate_id, arena, &cert);
    if (e == ERR_NOT_FOUND) {
        *out = (Loaded){ 0 };
        return OK;
    }
    if (e != OK) return e;
    Loaded loaded = { .status = status_name(cert.status),
                      .pem = cert.certificate_pem,
                      .vars = cert.policy_vars,
                      .not_before_ms = cert.not_before_ms,
                      .not_after_ms = cert.not_after_ms };
    if (!loaded.status) return ERR_CORRUPT;
    Str arn = str_format(arena, "arn:aws:iot:%.*s:%.*s:cert/%.*s", PS(region), PS(account), PS(certificate_id));
    e = gather(&l, arn);
    map_free(&l.groups.seen);
    map_free(&l.policies.seen);
    map_free(&l.types.seen);
    map_free(&l.met);
    if (e != OK) return e;
    loaded.policies = l.policies.items;
    loaded.policies_n = l.policies.n;
    loaded.things = l.things;
    loaded.things_n = l.things_n;
    loaded.groups = l.groups.items;
    loaded.groups_n = l.groups.n;
    loaded.types = l.types.items;
    loaded.types_n = l.types.n;
    *out = loaded;
    return OK;
}
