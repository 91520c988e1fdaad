#include "rules/match.h"

#include <stdlib.h>

#include "base/arena.h"

/* Children stand in a map by their level; `+` is one of them, found by its name, and `#` is a list at the node that it
 * hangs on. A topic of n levels visits at most 2^n nodes, and fewer than there are filters that match so far; AWS's
 * limit of eight levels bounds the recursion. */

typedef struct {
    Rule **items;
    size_t n, cap;
} RuleList;

struct MatchNode {
    MatchNode *parent;
    Map children;
    RuleList here, below; /* below: of filters that end in `/#` behind this level */
    Str level;
    uint8_t text[];
};

static MatchNode *node_new(MatchNode *parent, Str level) {
    MatchNode *n = mem_new(sizeof *n + level.len);
    if (level.len) memcpy(n->text, level.ptr, level.len);
    n->level = (Str){ n->text, level.len };
    n->parent = parent;
    return n;
}

static bool is_empty(const MatchNode *n) {
    return n->children.count == 0 && n->here.n == 0 && n->below.n == 0;
}

static void node_free(MatchNode *n) {
    map_free(&n->children);
    free(n->here.items);
    free(n->below.items);
    free(n);
}

/* The node of a filter and which of its lists; NULL where it is not there and may not be made. */
static MatchNode *node_of(Match *m, Str filter, bool make, bool *below) {
    MatchNode *n = m->root;
    if (!n && !make) return NULL;
    if (!n) n = m->root = node_new(NULL, S(""));
    *below = false;
    for (Str rest = filter; rest.ptr;) {
        Str level = str_cut(&rest, '/');
        if (str_eq(level, S("#"))) {
            *below = true;
            return n;
        }
        MatchNode *child = map_get(&n->children, level);
        if (!child && !make) return NULL;
        if (!child) {
            child = node_new(n, level);
            map_put(&n->children, child->level, child);
        }
        n = child;
    }
    return n;
}

void match_add(Match *m, Str filter, Rule *rule) {
    bool below;
    MatchNode *n = node_of(m, filter, true, &below);
    RuleList *l = below ? &n->below : &n->here;
    if (l->n == l->cap) {
        l->cap = l->cap ? l->cap * 2 : 2;
        l->items = mem_grow(l->items, l->cap * sizeof *l->items);
    }
    l->items[l->n++] = rule;
    m->count++;
}

void match_remove(Match *m, Str filter, const Rule *rule) {
    bool below;
    MatchNode *n = node_of(m, filter, false, &below);
    RuleList *l = !n ? NULL : below ? &n->below : &n->here;
    for (size_t i = 0; l && i < l->n; i++)
        if (l->items[i] == rule) {
            l->items[i] = l->items[--l->n];
            m->count--;
            break;
        }
    while (n && is_empty(n)) {
        MatchNode *parent = n->parent;
        if (parent)
            map_remove(&parent->children, n->level);
        else
            m->root = NULL;
        node_free(n);
        n = parent;
    }
}

typedef struct {
    MatchFn *fn;
    void *ctx;
} Found;

static void give(const RuleList *l, const Found *f) {
    for (size_t i = 0; i < l->n; i++) f->fn(f->ctx, l->items[i]);
}

static void find(const MatchNode *n, Str rest, bool first, const Found *f) {
    bool wild = !(first && rest.len && rest.ptr[0] == '$'); /* Source: MQTT 5 section 4.7.2 */
    if (!rest.ptr) {
        give(&n->here, f);
        return;
    }
    if (wild) give(&n->below, f);
    Str level = str_cut(&rest, '/');
    const MatchNode *child = map_get(&n->children, level);
    if (child) find(child, rest, false, f);
    child = wild && !str_eq(level, S("+")) ? map_get(&n->children, S("+")) : NULL;
    if (child) find(child, rest, false, f);
}

void match_find(const Match *m, Str topic, MatchFn *fn, void *ctx) {
    const Found f = { fn, ctx };
    if (m->root && topic.len) find(m->root, topic, true, &f);
}

static void free_below(MatchNode *n) {
    map_each (&n->children, slot) free_below(slot->value);
    node_free(n);
}

void match_free(Match *m) {
    if (m->root) free_below(m->root);
    *m = (Match){ 0 };
}
