/* A group keeps its parent's name; children and members are found along indexes. Trees are shallow (7 levels) and
 * a thing is in few groups (10), so ancestors are walked, never stored. */
#include "services/iot/event.h"

Err group_path(Call *c, const ThingGroupRecord *group, GroupPath *out) {
    GroupPath path = { 0 };
    Str parent = group->parent_group_name;
    while (parent.ptr) {
        if (path.n == GROUP_LEVELS_MAX) return ERR_CORRUPT;
        memmove(path.names + 1, path.names, path.n++ * sizeof *path.names);
        path.names[0] = parent;
        ThingGroupRecord g;
        Err e = thing_group_record_get(c->txn, call_tenant(c), parent, c->arena, &g);
        if (e != OK) return e == ERR_NOT_FOUND ? ERR_CORRUPT : e;
        parent = g.parent_group_name;
    }
    *out = path;
    return OK;
}

typedef struct {
    Str *items;
    size_t n, cap;
} Names;

static void names_add(Arena *arena, Names *names, Str name) {
    if (names->n == names->cap) {
        size_t cap = names->cap ? names->cap * 2 : 16;
        Str *items = arena_array(arena, Str, cap);
        if (names->n) memcpy(items, names->items, names->n * sizeof *items);
        names->items = items;
        names->cap = cap;
    }
    names->items[names->n++] = name;
}

static Err children(Call *c, Str parent, Names *out) {
    RecordScan *scan;
    ThingGroupRecord g;
    Err e = thing_group_record_scan_by_parent(c->txn, call_tenant(c), parent, STR_NONE, false, &scan);
    if (e != OK) return e;
    while (thing_group_record_next(scan, c->arena, &g)) names_add(c->arena, out, g.thing_group_name);
    return record_scan_end(scan);
}

static Err descend(Call *c, Str name, int levels, Names *all) {
    names_add(c->arena, all, name);
    if (levels == 0) return OK;
    Names below = { 0 };
    Err e = children(c, name, &below);
    for (size_t i = 0; e == OK && i < below.n; i++) e = descend(c, below.items[i], levels - 1, all);
    return e;
}

Err group_descendants(Call *c, Str name, StrList *out) {
    Names all = { 0 };
    Err e = descend(c, name, GROUP_LEVELS_MAX, &all);
    if (e == OK) *out = (StrList){ all.items, all.n, true };
    return e;
}

static Err root_of(Call *c, const ThingGroupRecord *group, Str *out) {
    GroupPath path;
    Err e = group_path(c, group, &path);
    if (e == OK) *out = path.n ? path.names[0] : group->thing_group_name;
    return e;
}

static Err groups_of(Call *c, Str thing, Names *out) {
    RecordScan *scan;
    GroupMemberRecord m;
    Err e = group_member_record_scan_by_thing(c->txn, call_tenant(c), thing, STR_NONE, false, &scan);
    if (e != OK) return e;
    while (group_member_record_next(scan, c->arena, &m)) names_add(c->arena, out, m.thing_group_name);
    return record_scan_end(scan);
}

static Err check_room(Call *c, Str thing, const ThingGroupRecord *group, const Names *in, bool *already) {
    Str root, other_root;
    Err e = root_of(c, group, &root);
    *already = false;
    for (size_t i = 0; e == OK && i < in->n; i++)
        if (str_eq(in->items[i], group->thing_group_name)) *already = true;
    if (e != OK || *already) return e;
    if (in->n >= GROUPS_OF_THING_MAX)
        return api_fail(c, IOT_INVALID_REQUEST, "Thing %.*s is in %zu thing groups already, the maximum is %d",
                        PS(thing), in->n, GROUPS_OF_THING_MAX);
    for (size_t i = 0; i < in->n; i++) {
        ThingGroupRecord other;
        e = thing_group_record_get(c->txn, call_tenant(c), in->items[i], c->arena, &other);
        if (e == OK) e = root_of(c, &other, &other_root);
        if (e != OK) return e == ERR_NOT_FOUND ? ERR_CORRUPT : e;
        if (str_eq(root, other_root))
            return api_fail(
                c, IOT_INVALID_REQUEST,
                "Thing %.*s is in thing group %.*s, which has the root %.*s in common with %.*s: it can be in "
                "one group of a hierarchy only",
                PS(thing), PS(in->items[i]), PS(root), PS(group->thing_group_name));
    }
    return OK;
}

Err member_add(Call *c, Str thing, const ThingGroupRecord *group) {
    Names in = { 0 };
    bool already = false;
    if (group->query_string.ptr)
        return api_fail(c, IOT_INVALID_REQUEST, "Things cannot be added to the dynamic thing group %.*s",
                        PS(group->thing_group_name));
    Err e = thing_record_lock(c->txn, call_tenant(c), thing);
    if (e == OK) e = thing_group_record_lock(c->txn, call_tenant(c), group->thing_group_name);
    if (e == OK) e = groups_of(c, thing, &in);
    if (e == OK) e = check_room(c, thing, group, &in, &already);
    if (e != OK || already) return e;
    GroupMemberRecord m = { .thing_group_name = group->thing_group_name,
                            .thing_name = thing,
                            .created_ms = c->now_ms,
                            .membership_id = rng_uuid(c->rng, c->arena) };
    e = group_member_record_put(c->txn, call_tenant(c), &m);
    if (e == OK) e = event_membership(c, &m, true);
    if (e == OK) registry_thing_changed(c, thing);
    return e;
}

Err member_remove(Call *c, Str thing, Str group) {
    GroupMemberRecord m;
    Err e = group_member_record_get(c->txn, call_tenant(c), group, thing, c->arena, &m);
    if (e == ERR_NOT_FOUND) return OK;
    if (e == OK) e = event_membership(c, &m, false);
    if (e == OK) e = group_member_record_delete(c->txn, call_tenant(c), group, thing);
    if (e == OK) registry_thing_changed(c, thing);
    return e;
}

Err members_drop_thing(Call *c, Str thing) {
    Names in = { 0 };
    Err e = groups_of(c, thing, &in);
    for (size_t i = 0; e == OK && i < in.n; i++) e = member_remove(c, thing, in.items[i]);
    return e;
}

Err members_drop_group(Call *c, Str group) {
    Names things = { 0 };
    RecordScan *scan;
    GroupMemberRecord m;
    Err e = group_member_record_scan_of_thing_group_name(c->txn, call_tenant(c), group, STR_NONE, false, &scan);
    if (e != OK) return e;
    while (group_member_record_next(scan, c->arena, &m)) names_add(c->arena, &things, m.thing_name);
    e = record_scan_end(scan);
    for (size_t i = 0; e == OK && i < things.n; i++) e = member_remove(c, things.items[i], group);
    return e;
}
