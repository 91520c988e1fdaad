#include "identity/directory_load.h"

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

typedef struct {
    Txn *txn;
    Tenant tenant;
    Arena *arena;
    NameSet groups, policies;
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

/* The group and its ancestors. */
static Err add_group(Load *l, Str name) {
    for (int level = 0; name.len && level < ANCESTORS_MAX; level++) {
        if (!names_add(&l->groups, name, l->arena)) return OK;
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

static Err add_groups_of(Load *l, Str thing_name) {
    RecordScan *scan;
    Err e = group_member_record_scan_by_thing(l->txn, l->tenant, thing_name, STR_NONE, false, &scan);
    if (e != OK) return e;
    GroupMemberRecord member;
    Err inner = OK;
    while (inner == OK && group_member_record_next(scan, l->arena, &member))
        inner = add_group(l, member.thing_group_name);
    e = record_scan_end(scan);
    return inner != OK ? inner : e;
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
    l->things[l->things_n++] =
        (PrincipalThing){ .name = thing.thing_name,
                          .type_name = thing.thing_type_name,
                          .attributes = attributes,
                          .attributes_n = thing.attributes.n,
                          .exclusive = str_eq(attached->thing_principal_type, S("EXCLUSIVE_THING")) };
    return add_groups_of(l, thing.thing_name);
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
    if (e != OK) return e;
    loaded.policies = l.policies.items;
    loaded.policies_n = l.policies.n;
    loaded.things = l.things;
    loaded.things_n = l.things_n;
    loaded.groups = l.groups.items;
    loaded.groups_n = l.groups.n;
    *out = loaded;
    return OK;
}
