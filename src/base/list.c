#include "base/list.h"

StrPair *str_map_find(const StrMap *m, Str key) {
    for (size_t i = 0; i < m->n; i++)
        if (str_eq(m->items[i].key, key)) return &m->items[i];
    return NULL;
}

bool str_map_same(StrMap a, StrMap b) {
    if (a.n != b.n) return false;
    for (size_t i = 0; i < a.n; i++) {
        const StrPair *other = str_map_find(&b, a.items[i].key);
        if (!other || !str_eq(other->value, a.items[i].value)) return false;
    }
    return true;
}

bool str_list_same(StrList a, StrList b) {
    if (a.n != b.n) return false;
    for (size_t i = 0; i < a.n; i++)
        if (!str_eq(a.items[i], b.items[i])) return false;
    return true;
}
