/* An absent value, null and {} mean the same to a shadow: `{}` in a request removes what it names, and objects that
 * would hold nothing are not stored. Only an object whose last member was removed by its name stays behind as {};
 * a delta passes over it. */
#include "services/shadow/merge.h"

static bool counts_as_absent(const Node *n) {
    return n->kind == NODE_NULL || (n->kind == NODE_OBJECT && node_is_empty(n));
}

/* Takes everything absent out of a value that is new to the shadow. */
static void strip(Node *n) {
    if (n->kind != NODE_OBJECT) return;
    node_each(n, m) {
        strip(m);
        m->gone = counts_as_absent(m);
    }
}

void shadow_merge(Arena *arena, Node *section, Node *patch) {
    for (Node *p = patch->first, *next; p; p = next) {
        next = p->next; /* p may move into the section */
        if (p->gone) continue;
        Node *have = node_find(arena, section, p->key);
        if (have && have->kind == NODE_OBJECT && p->kind == NODE_OBJECT && !node_is_empty(p)) {
            shadow_merge(arena, have, p);
            continue;
        }
        strip(p);
        if (!counts_as_absent(p)) {
            if (have)
                node_become(have, p);
            else
                node_append(arena, section, p);
        } else if (have) {
            have->gone = true;
        }
    }
}

static void write_member(Writer *w, bool first, Str key) {
    if (!first) writer_u8(w, ',');
    json_write_string(w, key);
    writer_u8(w, ':');
}

bool shadow_write_delta(Arena *arena, Node *desired, Node *reported, Writer *state, Writer *metadata) {
    size_t state_was = state->len, metadata_was = metadata->len;
    bool any = false;
    writer_u8(state, '{');
    writer_u8(metadata, '{');
    node_each(desired, d) {
        Node *r = reported ? node_find(arena, reported, d->key) : NULL;
        if (d->kind != NODE_OBJECT && r && node_same(arena, d, r)) continue;
        size_t state_at = state->len, metadata_at = metadata->len;
        write_member(state, !any, d->key);
        write_member(metadata, !any, d->key);
        if (d->kind == NODE_OBJECT) {
            Node *inside = r && r->kind == NODE_OBJECT ? r : NULL;
            if (!shadow_write_delta(arena, d, inside, state, metadata)) {
                state->len = state_at;
                metadata->len = metadata_at;
                continue;
            }
        } else {
            node_write(state, d);
            node_write_metadata(metadata, d);
        }
        any = true;
    }
    writer_u8(state, '}');
    writer_u8(metadata, '}');
    if (!any) {
        state->len = state_was;
        metadata->len = metadata_was;
    }
    return any;
}
