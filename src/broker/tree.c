#include "broker/tree.h"

#include <stdlib.h>

#include "base/writer.h"

/* A trie whose edges are in one hash table: (parent, level) leads to the child. A device's own filters make chains
 * of nodes with one child each, for which a table of children a node would cost ten times as much. A node knows its
 * '+' and '#' child, so that a level costs one look-up. Nodes without subscriptions and children are freed. */

struct TreeNode {
    TreeNode *parent, *plus, *hash_child;
    Sub *subs;
    ShareGroup *groups;
    uint64_t hash;
    uint32_t children, level_len;
    uint8_t level[];
};

static Str level_of(const TreeNode *n) {
    return (Str){ n->level, n->level_len };
}

static uint64_t edge_hash(const TreeNode *parent, Str level) {
    return str_hash(level) ^ ((uint64_t)(uintptr_t)parent >> 4) * 0x9e3779b97f4a7c15u;
}

static TreeNode **slot_of(const Tree *t, const TreeNode *parent, Str level, uint64_t hash) {
    for (size_t i = hash & (t->cap - 1);; i = (i + 1) & (t->cap - 1)) {
        TreeNode *n = t->slots[i];
        if (!n || (n->hash == hash && n->parent == parent && str_eq(level_of(n), level))) return &t->slots[i];
    }
}

static void grow(Tree *t) {
    TreeNode **old = t->slots;
    size_t old_cap = t->cap;
    t->cap = old_cap ? old_cap * 2 : 64;
    t->slots = mem_new(t->cap * sizeof *t->slots);
    for (size_t i = 0; i < old_cap; i++)
        if (old[i]) *slot_of(t, old[i]->parent, level_of(old[i]), old[i]->hash) = old[i];
    free(old);
}

static TreeNode *child(const Tree *t, const TreeNode *parent, Str level) {
    return *slot_of(t, parent, level, edge_hash(parent, level));
}

static TreeNode *child_make(Tree *t, TreeNode *parent, Str level) {
    uint64_t hash = edge_hash(parent, level);
    TreeNode **slot = slot_of(t, parent, level, hash);
    if (*slot) return *slot;
    if ((t->count + 1) * 4 > t->cap * 3) {
        grow(t);
        slot = slot_of(t, parent, level, hash);
    }
    TreeNode *n = mem_new(sizeof *n + level.len);
    n->parent = parent;
    n->hash = hash;
    n->level_len = (uint32_t)level.len;
    if (level.len) memcpy(n->level, level.ptr, level.len);
    parent->children++;
    if (str_eq(level, S("+"))) parent->plus = n;
    if (str_eq(level, S("#"))) parent->hash_child = n;
    *slot = n;
    t->count++;
    return n;
}

static void slot_clear(Tree *t, TreeNode **slot) {
    size_t mask = t->cap - 1, hole = (size_t)(slot - t->slots);
    for (size_t i = (hole + 1) & mask; t->slots[i]; i = (i + 1) & mask) {
        size_t home = t->slots[i]->hash & mask;
        if (((i - home) & mask) >= ((i - hole) & mask)) {
            t->slots[hole] = t->slots[i];
            hole = i;
        }
    }
    t->slots[hole] = NULL;
    t->count--;
}

static void prune(Tree *t, TreeNode *n) {
    while (n->parent && !n->subs && !n->groups && n->children == 0) {
        TreeNode *parent = n->parent;
        if (parent->plus == n) parent->plus = NULL;
        if (parent->hash_child == n) parent->hash_child = NULL;
        parent->children--;
        slot_clear(t, slot_of(t, parent, level_of(n), n->hash));
        free(n);
        n = parent;
    }
}

void tree_init(Tree *t) {
    *t = (Tree){ .root = mem_new(sizeof(TreeNode)) };
    grow(t);
}

void tree_free(Tree *t) {
    for (size_t i = 0; i < t->cap; i++) free(t->slots[i]);
    free(t->slots);
    free(t->root);
    *t = (Tree){ 0 };
}

static TreeNode *node_find(const Tree *t, Str filter) {
    TreeNode *n = t->root;
    for (Str rest = filter; rest.ptr && n;) n = child(t, n, str_cut(&rest, '/'));
    return n;
}

static ShareGroup *group_find(const TreeNode *n, Str name) {
    for (ShareGroup *g = n->groups; g; g = g->next)
        if (str_eq((Str){ g->name, g->name_len }, name)) return g;
    return NULL;
}

/* A filter may have a hundred thousand subscribers; a session has some dozen filters. */
static Sub *list_find(Sub *of_session, const TreeNode *n, const ShareGroup *g) {
    while (of_session && (of_session->node != n || of_session->group != g)) of_session = of_session->next_of_session;
    return of_session;
}

Sub *tree_find(Tree *t, Sub *of_session, Str group, Str filter) {
    const TreeNode *n = node_find(t, filter);
    if (!n) return NULL;
    const ShareGroup *g = group.ptr ? group_find(n, group) : NULL;
    return group.ptr && !g ? NULL : list_find(of_session, n, g);
}

const ShareGroup *tree_group(const Tree *t, Str group, Str filter) {
    const TreeNode *n = node_find(t, filter);
    return n ? group_find(n, group) : NULL;
}

static ShareGroup *group_make(Tree *t, TreeNode *n, Str name) {
    ShareGroup *g = group_find(n, name);
    if (g) return g;
    g = mem_new(sizeof *g + name.len);
    g->node = n;
    g->name_len = name.len;
    memcpy(g->name, name.ptr, name.len);
    g->next = n->groups;
    n->groups = g;
    t->groups_n++;
    return g;
}

Sub *tree_add(Tree *t, Session *session, Sub **of_session, Str group, Str filter, bool *made) {
    TreeNode *n = t->root;
    for (Str rest = filter; rest.ptr;) n = child_make(t, n, str_cut(&rest, '/'));
    ShareGroup *g = group.ptr ? group_make(t, n, group) : NULL;
    Sub **list = g ? &g->members : &n->subs, *sub = list_find(*of_session, n, g);
    *made = sub == NULL;
    if (sub) return sub;
    sub = mem_new(sizeof *sub);
    sub->session = session;
    sub->node = n;
    sub->group = g;
    sub->link = list;
    sub->next = *list;
    if (sub->next) sub->next->link = &sub->next;
    *list = sub;
    sub->next_of_session = *of_session;
    *of_session = sub;
    if (g) g->members_n++;
    t->subs_n++;
    return sub;
}

void tree_remove(Tree *t, Sub **of_session, Sub *sub) {
    TreeNode *n = sub->node;
    ShareGroup *g = sub->group;
    while (*of_session != sub) of_session = &(*of_session)->next_of_session;
    *of_session = sub->next_of_session;
    *sub->link = sub->next;
    if (sub->next) sub->next->link = sub->link;
    if (g && --g->members_n == 0) {
        ShareGroup **at = &n->groups;
        while (*at != g) at = &(*at)->next;
        *at = g->next;
        free(g);
        t->groups_n--;
    }
    free(sub);
    t->subs_n--;
    prune(t, n);
}

typedef struct {
    const Tree *tree;
    TreeSubFn *fn;
    TreeGroupFn *group_fn;
    void *ctx;
} Match;

static void emit(const Match *m, TreeNode *n) {
    for (Sub *s = n->subs; s; s = s->next) m->fn(m->ctx, s);
    for (ShareGroup *g = n->groups; g; g = g->next) m->group_fn(m->ctx, g);
}

/* '#' matches what is below its parent, not the parent itself (AWS): it is looked at with a level in hand.
 * The depth is bounded by the limit on slashes, which each filter in the tree obeys. */
static void walk(const Match *m, TreeNode *n, Str rest, bool first, bool system) {
    bool wildcards = !(first && system);
    if (wildcards && n->hash_child) emit(m, n->hash_child);
    Str level = str_cut(&rest, '/');
    TreeNode *exact = child(m->tree, n, level);
    TreeNode *next[2] = { exact, wildcards ? n->plus : NULL };
    for (int i = 0; i < 2; i++) {
        if (!next[i]) continue;
        if (rest.ptr)
            walk(m, next[i], rest, false, system);
        else
            emit(m, next[i]);
    }
}

void tree_match(Tree *t, Str topic, TreeSubFn *fn, TreeGroupFn *group_fn, void *ctx) {
    Match m = { t, fn, group_fn, ctx };
    walk(&m, t->root, topic, true, topic.len && topic.ptr[0] == '$');
}

static void filter_levels(const TreeNode *n, Writer *w) {
    if (n->parent && n->parent->parent) {
        filter_levels(n->parent, w);
        writer_u8(w, '/');
    }
    writer_bytes(w, level_of(n));
}

Str tree_filter(const Sub *sub, Arena *arena) {
    Writer w = writer_in(arena);
    if (sub->group) writer_format(&w, "$share/%.*s/", (int)sub->group->name_len, (const char *)sub->group->name);
    filter_levels(sub->node, &w);
    return writer_str(&w);
}

Str tree_first_level(const Sub *sub) {
    const TreeNode *n = sub->node;
    while (n->parent && n->parent->parent) n = n->parent;
    return level_of(n);
}

size_t tree_bytes(const Tree *t) {
    return t->cap * sizeof *t->slots + t->count * sizeof(TreeNode) + t->subs_n * sizeof(Sub);
}
