/* Match: which of an account's rules want a topic. A trie of filter levels, walked once a topic: neither its cost nor
 * that of a change grows with the number of other rules. Not locked; the owner does that. */
#pragma once

#include "base/map.h"

typedef struct Rule Rule;
typedef struct MatchNode MatchNode;

typedef struct {
    MatchNode *root; /* NULL: empty */
    size_t count;    /* of rules */
} Match;

/* filter: a good one (mqtt_filter_parse); the rule is borrowed. The same rule once. */
void match_add(Match *m, Str filter, Rule *rule);
void match_remove(Match *m, Str filter, const Rule *rule); /* nothing happens when it is not there */
typedef void MatchFn(void *ctx, Rule *rule);
void match_find(const Match *m, Str topic, MatchFn *fn, void *ctx);
void match_free(Match *m);
