/* A request and a stored shadow are at most some thousand values, read, merged and written within one call, so nodes
 * are bump-allocated and nothing is freed. Members hang in a list in their order. Most objects are narrow and are
 * searched by walking; a wide one gets a hash table at its first search, which keeps a hostile document of many
 * short keys linear. A removed member stays in the list, marked. */
#include "services/shadow/tree.h"

#include "services/shadow/number.h"

enum { NARROW_MAX = 8 };

Node *node_object(Arena *arena) {
    Node *n = arena_new(arena, Node);
    n->kind = NODE_OBJECT;
    return n;
}

static void slots_put(Node *object, Node *member) {
    size_t i = str_hash(member->key) & (object->slots_n - 1);
    while (object->slots[i]) i = (i + 1) & (object->slots_n - 1);
    object->slots[i] = member;
}

static void slots_make(Arena *arena, Node *object) {
    object->slots_n = 32;
    while (object->slots_n < (size_t)object->n * 4) object->slots_n *= 2;
    object->slots = arena_array(arena, Node *, object->slots_n);
    for (Node *m = object->first; m; m = m->next) slots_put(object, m);
}

/* Gone members too. */
static Node *find_any(Arena *arena, Node *object, Str key) {
    if (object->n <= NARROW_MAX) {
        for (Node *m = object->first; m; m = m->next)
            if (str_eq(m->key, key)) return m;
        return NULL;
    }
    if (!object->slots) slots_make(arena, object);
    for (size_t i = str_hash(key) & (object->slots_n - 1); object->slots[i]; i = (i + 1) & (object->slots_n - 1))
        if (str_eq(object->slots[i]->key, key)) return object->slots[i];
    return NULL;
}

Node *node_find(Arena *arena, Node *object, Str key) {
    Node *m = find_any(arena, object, key);
    return m && !m->gone ? m : NULL;
}

static void link_last(Node *parent, Node *child) {
    child->next = NULL;
    if (parent->last)
        parent->last->next = child;
    else
        parent->first = child;
    parent->last = child;
    parent->n++;
}

void node_append(Arena *arena, Node *object, Node *member) {
    Node *gone = find_any(arena, object, member->key);
    if (gone) { /* removed earlier in this call */
        node_become(gone, member);
        return;
    }
    link_last(object, member);
    if (!object->slots) return;
    if (object->n * 2u > object->slots_n)
        slots_make(arena, object);
    else
        slots_put(object, member);
}

void node_become(Node *node, const Node *value) {
    Node was = *node;
    *node = *value;
    node->key = was.key;
    node->next = was.next;
    node->gone = false;
}

bool node_is_empty(const Node *object) {
    node_each(object, m) return false;
    return true;
}

static Node *leaf_from(Arena *arena, yyjson_val *v, int64_t written_s) {
    Node *n = arena_new(arena, Node);
    n->written_s = written_s;
    n->kind = yyjson_is_str(v)     ? NODE_STRING
              : yyjson_is_raw(v)   ? NODE_NUMBER
              : yyjson_is_true(v)  ? NODE_TRUE
              : yyjson_is_false(v) ? NODE_FALSE
                                   : NODE_NULL;
    n->text = json_str(v);
    return n;
}

static Node *object_from(Arena *arena, yyjson_val *v, int64_t now_s) {
    Node *object = node_object(arena);
    yyjson_obj_iter it = yyjson_obj_iter_with(v);
    for (yyjson_val *key; (key = yyjson_obj_iter_next(&it));) {
        Node *m = node_from(arena, yyjson_obj_iter_get_val(key), now_s);
        m->key = json_str(key);
        Node *same = node_find(arena, object, m->key);
        if (same)
            node_become(same, m);
        else
            node_append(arena, object, m);
    }
    return object;
}

Node *node_from(Arena *arena, yyjson_val *v, int64_t now_s) {
    if (yyjson_is_obj(v)) return object_from(arena, v, now_s);
    if (!yyjson_is_arr(v)) return leaf_from(arena, v, now_s);
    Node *array = arena_new(arena, Node);
    array->kind = NODE_ARRAY;
    yyjson_arr_iter it = yyjson_arr_iter_with(v);
    for (yyjson_val *item; (item = yyjson_arr_iter_next(&it));) link_last(array, node_from(arena, item, now_s));
    return array;
}

static Err children_from_stored(Arena *arena, Node *parent, yyjson_val *v, yyjson_val *metadata) {
    bool object = parent->kind == NODE_OBJECT;
    if (object ? !yyjson_is_obj(metadata) : !yyjson_is_arr(metadata)) return ERR_CORRUPT;
    yyjson_obj_iter members = yyjson_obj_iter_with(v), members_meta = yyjson_obj_iter_with(metadata);
    yyjson_arr_iter items = yyjson_arr_iter_with(v), items_meta = yyjson_arr_iter_with(metadata);
    for (;;) {
        yyjson_val *key = object ? yyjson_obj_iter_next(&members) : NULL;
        yyjson_val *child = object ? yyjson_obj_iter_get_val(key) : yyjson_arr_iter_next(&items);
        if (!child) return OK;
        yyjson_val *meta = object ? yyjson_obj_iter_getn(&members_meta, yyjson_get_str(key), yyjson_get_len(key))
                                  : yyjson_arr_iter_next(&items_meta);
        Node *node;
        Err e = node_from_stored(arena, child, meta, &node);
        if (e != OK) return e;
        if (object) node->key = json_str(key);
        link_last(parent, node);
    }
}

Err node_from_stored(Arena *arena, yyjson_val *v, yyjson_val *metadata, Node **out) {
    if (!yyjson_is_ctn(v)) {
        int64_t written_s;
        if (!metadata || str_to_i64(json_str(json_get(metadata, S("timestamp"))), &written_s) != OK) return ERR_CORRUPT;
        *out = leaf_from(arena, v, written_s);
        return OK;
    }
    Node *node = arena_new(arena, Node);
    node->kind = yyjson_is_obj(v) ? NODE_OBJECT : NODE_ARRAY;
    Err e = children_from_stored(arena, node, v, metadata);
    if (e == OK) *out = node;
    return e;
}

static bool objects_same(Arena *arena, Node *a, Node *b) {
    size_t left = 0;
    node_each(b, m) left++;
    node_each(a, m) {
        Node *other = node_find(arena, b, m->key);
        if (!other || !node_same(arena, m, other)) return false;
        left--; /* keys differ, so each of b's is met once at most */
    }
    return left == 0;
}

bool node_same(Arena *arena, Node *a, Node *b) {
    if (a->kind != b->kind) return false;
    if (a->kind == NODE_OBJECT) return objects_same(arena, a, b);
    if (a->kind == NODE_NUMBER) return number_same(a->text, b->text);
    if (a->kind != NODE_ARRAY) return str_eq(a->text, b->text);
    if (a->n != b->n) return false;
    for (Node *x = a->first, *y = b->first; x; x = x->next, y = y->next)
        if (!node_same(arena, x, y)) return false;
    return true;
}

void json_write_string(Writer *w, Str s) {
    static const char hex[] = "0123456789abcdef";
    writer_u8(w, '"');
    for (size_t i = 0, from = 0; i <= s.len; i++) {
        uint8_t c = i < s.len ? s.ptr[i] : 0;
        if (i < s.len && c >= 0x20 && c != '"' && c != '\\') continue;
        writer_bytes(w, str_sub(s, from, i));
        from = i + 1;
        if (i == s.len) break;
        writer_u8(w, '\\');
        switch (c) {
        case '"':
        case '\\': writer_u8(w, c); break;
        case '\b': writer_u8(w, 'b'); break;
        case '\f': writer_u8(w, 'f'); break;
        case '\n': writer_u8(w, 'n'); break;
        case '\r': writer_u8(w, 'r'); break;
        case '\t': writer_u8(w, 't'); break;
        default:
            writer_bytes(w, S("u00"));
            writer_u8(w, (uint8_t)hex[c >> 4]);
            writer_u8(w, (uint8_t)hex[c & 15]);
        }
    }
    writer_u8(w, '"');
}

static void write_timestamp(Writer *w, int64_t s) {
    uint8_t digits[20], *at = digits + sizeof digits;
    uint64_t v = (uint64_t)s;
    do {
        *--at = (uint8_t)('0' + v % 10);
        v /= 10;
    } while (v);
    writer_bytes(w, S("{\"timestamp\":"));
    writer_bytes(w, (Str){ at, (size_t)(digits + sizeof digits - at) });
    writer_u8(w, '}');
}

static void write_leaf(Writer *w, const Node *n) {
    switch (n->kind) {
    case NODE_STRING: json_write_string(w, n->text); break;
    case NODE_NUMBER: writer_bytes(w, n->text); break;
    case NODE_TRUE: writer_bytes(w, S("true")); break;
    case NODE_FALSE: writer_bytes(w, S("false")); break;
    default: writer_bytes(w, S("null"));
    }
}

static void write_tree(Writer *w, const Node *n, bool metadata) {
    if (n->kind > NODE_ARRAY) {
        if (metadata)
            write_timestamp(w, n->written_s);
        else
            write_leaf(w, n);
        return;
    }
    bool object = n->kind == NODE_OBJECT, first = true;
    writer_u8(w, object ? '{' : '[');
    node_each(n, child) {
        if (!first) writer_u8(w, ',');
        first = false;
        if (object) {
            json_write_string(w, child->key);
            writer_u8(w, ':');
        }
        write_tree(w, child, metadata);
    }
    writer_u8(w, object ? '}' : ']');
}

void node_write(Writer *w, const Node *node) {
    write_tree(w, node, false);
}

void node_write_metadata(Writer *w, const Node *node) {
    write_tree(w, node, true);
}
