/* Lists of groups and of their things. A list over a whole subtree goes group by group in the order of
 * group_descendants; its page token holds the group it stands in and the position there. A thing is in one group of
 * a tree at most, so it is met once.
 * Source: botocore's iot model */
#include "base/reader.h"
#include "base/writer.h"
#include "services/iot/group.h"

static IotGroupNameAndArn named(Call *c, Str name) {
    return (IotGroupNameAndArn){ .group_name = name, .group_arn = iot_thing_group_arn(c, name) };
}

typedef struct {
    Call *c;
    Str prefix, parent; /* STR_NONE: of any */
    bool recursive;     /* below the parent at any level; without parent: every group, else the roots */
} GroupFilter;

static Err group_fits(const GroupFilter *f, const ThingGroupRecord *g, bool *out) {
    bool fits = str_starts(g->thing_group_name, f->prefix);
    if (fits && !f->recursive)
        fits = f->parent.ptr ? str_eq(g->parent_group_name, f->parent) : !g->parent_group_name.ptr;
    if (fits && f->recursive && f->parent.ptr) {
        GroupPath path;
        Err e = group_path(f->c, g, &path);
        if (e != OK) return e;
        fits = false;
        for (size_t i = 0; i < path.n; i++) fits = fits || str_eq(path.names[i], f->parent);
    }
    *out = fits;
    return OK;
}

static Err walk_groups(const GroupFilter *f, Str after, RecordScan **out) {
    if (f->parent.ptr && !f->recursive)
        return thing_group_record_scan_by_parent(f->c->txn, call_tenant(f->c), f->parent, after, false, out);
    return thing_group_record_scan(f->c->txn, call_tenant(f->c), after, false, out);
}

/* Recursive unless told otherwise, as AWS. */
Err iot_list_thing_groups(Call *c, const IotListThingGroupsIn *in, IotListThingGroupsOut *out) {
    GroupFilter filter = { c, in->name_prefix_filter, in->parent_group, !in->recursive.set || in->recursive.v };
    Str filters = str_format(c->arena, "%.*s %.*s %d", PS(filter.prefix), PS(filter.parent), filter.recursive);
    RecordScan *scan;
    ThingGroupRecord g;
    Page page;
    Err e = in->parent_group.ptr ? iot_thing_group_need(c, in->parent_group, &g) : OK, failed = OK;
    if (e == OK) e = page_open(c, filters, in->next_token, in->max_results, REGISTRY_PAGE, &page);
    if (e == OK) e = walk_groups(&filter, page.after, &scan);
    if (e != OK) return e;
    IotGroupNameAndArn *items = arena_array(c->arena, IotGroupNameAndArn, page.most);
    while (failed == OK && thing_group_record_next(scan, c->arena, &g)) {
        bool fits = false;
        failed = group_fits(&filter, &g, &fits);
        if (!fits) continue;
        if (!page_take(&page, scan)) break;
        items[page.n - 1] = named(c, g.thing_group_name);
    }
    out->thing_groups = (IotThingGroupNameAndArnList){ items, page.n, true };
    out->next_token = page.next;
    e = record_scan_end(scan);
    return e == OK ? failed : e;
}

Err iot_list_thing_groups_for_thing(Call *c, const IotListThingGroupsForThingIn *in,
                                    IotListThingGroupsForThingOut *out) {
    RecordScan *scan;
    ThingRecord t;
    GroupMemberRecord m;
    Page page;
    Err e = thing_need(c, in->thing_name, &t);
    if (e == OK) e = page_open(c, in->thing_name, in->next_token, in->max_results, REGISTRY_PAGE, &page);
    if (e == OK)
        e = group_member_record_scan_by_thing(c->txn, call_tenant(c), in->thing_name, page.after, false, &scan);
    if (e != OK) return e;
    IotGroupNameAndArn *items = arena_array(c->arena, IotGroupNameAndArn, page.most);
    while (group_member_record_next(scan, c->arena, &m) && page_take(&page, scan))
        items[page.n - 1] = named(c, m.thing_group_name);
    out->thing_groups = (IotThingGroupNameAndArnList){ items, page.n, true };
    out->next_token = page.next;
    return record_scan_end(scan);
}

/* Where a list of a subtree's things goes on: in which group, behind which member. */
typedef struct {
    Str group, after;
} Place;

static Str place_text(Arena *arena, Place p) {
    Writer w = writer_in(arena);
    writer_u16(&w, (uint16_t)p.group.len);
    writer_bytes(&w, p.group);
    writer_bytes(&w, p.after);
    return writer_str(&w);
}

static Place place_from(Str text) {
    Reader r = reader_from(text);
    Place p = { .group = reader_take(&r, reader_u16(&r)) };
    p.after = reader_rest(&r);
    return text.len && !r.bad ? p : (Place){ 0 };
}

/* Adds the group's things behind `after` until the page is full. */
static Err add_things(Call *c, Place from, Page *page, Str *things, bool *full) {
    RecordScan *scan;
    GroupMemberRecord m;
    Err e = group_member_record_scan_of_thing_group_name(c->txn, call_tenant(c), from.group,
                                                         from.after.len ? from.after : STR_NONE, false, &scan);
    if (e != OK) return e;
    while (!*full && group_member_record_next(scan, c->arena, &m)) {
        Place here = { from.group, record_scan_position(scan, c->arena) };
        *full = !page_take_at(page, place_text(c->arena, here));
        if (!*full) things[page->n - 1] = m.thing_name;
    }
    return record_scan_end(scan);
}

Err iot_list_things_in_thing_group(Call *c, const IotListThingsInThingGroupIn *in, IotListThingsInThingGroupOut *out) {
    Str filters = str_format(c->arena, "%.*s %d", PS(in->thing_group_name), in->recursive.v);
    StrList groups = { (Str[]){ in->thing_group_name }, 1, true };
    ThingGroupRecord g;
    Page page;
    Err e = iot_thing_group_need(c, in->thing_group_name, &g);
    if (e == OK) e = page_open(c, filters, in->next_token, in->max_results, REGISTRY_PAGE, &page);
    if (e == OK && in->recursive.v) e = group_descendants(c, in->thing_group_name, &groups);
    if (e != OK) return e;
    Place from = place_from(page.after);
    Str *things = arena_array(c->arena, Str, page.most);
    size_t i = 0;
    while (from.group.ptr && i < groups.n && !str_eq(groups.items[i], from.group)) i++;
    for (bool full = false; e == OK && !full && i < groups.n; i++) {
        Place at = { groups.items[i], from.after };
        from.after = STR_NONE;
        e = add_things(c, at, &page, things, &full);
    }
    out->things = (StrList){ things, page.n, true };
    out->next_token = page.next;
    return e;
}
