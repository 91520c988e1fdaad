/* Tree: the filters of an account's subscriptions, and which of them match a topic. Off the hot path: routes
 * are kept elsewhere. Not locked; space.h has the lock. Knows sessions only as pointers. */
#pragma once

#include "base/arena.h"

typedef struct Session Session;
typedef struct TreeNode TreeNode;
typedef struct ShareGroup ShareGroup;

/* One subscription: a session's to a filter. Owned by the tree, which keeps its session's list, too. */
typedef struct Sub {
    struct Sub *next, **link; /* at its node, or in its share group */
    struct Sub *next_of_session;
    Session *session;
    TreeNode *node;
    ShareGroup *group; /* NULL: not shared */
    uint32_t version;  /* grows with each SUBSCRIBE that replaces it */
    uint8_t qos, retain_handling;
    bool no_local, retain_as_published;
} Sub;

struct ShareGroup {
    ShareGroup *next;
    TreeNode *node;
    Sub *members;
    size_t members_n;
    uint32_t turn; /* whose turn it is */
    size_t name_len;
    uint8_t name[];
};

typedef struct {
    TreeNode **slots; /* by (parent, level) */
    size_t count, cap;
    TreeNode *root;
    size_t subs_n, groups_n;
} Tree;

void tree_init(Tree *t);
void tree_free(Tree *t); /* without subscriptions left */

/* The session's subscription to this filter, made when it is not there (*made). group: STR_NONE when not shared.
 * of_session: all of the session's, which are fewer than a filter may have subscribers. */
Sub *tree_add(Tree *t, Session *session, Sub **of_session, Str group, Str filter, bool *made);
Sub *tree_find(Tree *t, Sub *of_session, Str group, Str filter);
void tree_remove(Tree *t, Sub **of_session, Sub *sub); /* frees it */
/* The share group of this name at this filter, or NULL. */
const ShareGroup *tree_group(const Tree *t, Str group, Str filter);

/* Calls fn for each subscription at a matching filter, and group_fn once for each matching share group. */
typedef void TreeSubFn(void *ctx, Sub *sub);
typedef void TreeGroupFn(void *ctx, ShareGroup *group);
void tree_match(Tree *t, Str topic, TreeSubFn *fn, TreeGroupFn *group_fn, void *ctx);

/* "$share/G/F" for a shared one. */
Str tree_filter(const Sub *sub, Arena *arena);
/* The filter's first level. */
Str tree_first_level(const Sub *sub);
size_t tree_bytes(const Tree *t); /* memory, for /metrics */
