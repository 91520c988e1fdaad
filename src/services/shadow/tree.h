/* Tree: the state of a shadow with the time each value was written. State and metadata are one tree and are
 * told apart only in their texts, so they cannot disagree in shape. Everything lives in an arena. */
#pragma once

#include "base/json.h"
#include "base/writer.h"

typedef enum {
    NODE_OBJECT,
    NODE_ARRAY,
    NODE_STRING,
    NODE_NUMBER,
    NODE_TRUE,
    NODE_FALSE,
    NODE_NULL, /* in requests only */
} NodeKind;

typedef struct Node Node;
struct Node {
    Node *next; /* member or item after this one */
    Str key;    /* of a member, unescaped */
    Str text;   /* of a string, unescaped; of a number, as it was written */
    int64_t written_s;
    NodeKind kind;
    bool gone;          /* removed: every walk steps over it */
    uint32_t n;         /* members or items, gone ones included */
    Node *first, *last; /* members in their order, or items */
    Node **slots;       /* hash table of a wide object's members; NULL: not made yet */
    size_t slots_n;
};

#define node_each(parent, child)                                                                                       \
    for (Node *child = (parent)->first; child; child = child->next)                                                    \
        if (!child->gone)

Node *node_object(Arena *arena);
/* The tree of a request's value, all of it written now. Of equal keys the last one's value stays, in the place of
 * the first. The value's depth must be bounded. */
Node *node_from(Arena *arena, yyjson_val *value, int64_t now_s);
/* The tree of a stored value and its metadata.
 * Errors: ERR_CORRUPT: they differ in shape */
NODISCARD Err node_from_stored(Arena *arena, yyjson_val *value, yyjson_val *metadata, Node **out);

/* The member, or NULL. */
Node *node_find(Arena *arena, Node *object, Str key);
/* Appends a member whose key the object has not. */
void node_append(Arena *arena, Node *object, Node *member);
/* Becomes what `value` is; key and place stay. */
void node_become(Node *node, const Node *value);
bool node_is_empty(const Node *object); /* no member that is not gone */

/* By value: 1 is 1.0, the order of members means nothing, that of items does. */
bool node_same(Arena *arena, Node *a, Node *b);

void node_write(Writer *w, const Node *node);
/* A leaf becomes {"timestamp":n}. */
void node_write_metadata(Writer *w, const Node *node);
void json_write_string(Writer *w, Str s);
