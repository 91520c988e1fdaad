#include "identity/interest.h"

#include <stdlib.h>

/* A group may be that of all devices, so an owner leaves a list in constant time: the lists are doubly linked. */

struct Interest {
    Link *first;
    Str key;
    uint8_t bytes[];
};

Name interest_name(InterestKind kind, Str account, Str name, Arena *arena) {
    Str key = str_format(arena, "%c%.*s%c%.*s", kind, PS(account), 0, PS(name));
    return (Name){ key, str_hash(key) };
}

Names interest_names(Str account, Str certificate_id, const Loaded *loaded, Arena *arena) {
    size_t cap = 1 + loaded->things_n + loaded->groups_n + loaded->types_n;
    Names out = { arena_array(arena, Name, cap), 0 };
    out.items[out.n++] = interest_name(INTEREST_CERTIFICATE, account, certificate_id, arena);
    for (size_t i = 0; i < loaded->things_n; i++)
        out.items[out.n++] = interest_name(INTEREST_THING, account, loaded->things[i].name, arena);
    for (size_t i = 0; i < loaded->groups_n; i++)
        out.items[out.n++] = interest_name(INTEREST_GROUP, account, loaded->groups[i], arena);
    for (size_t i = 0; i < loaded->types_n; i++)
        out.items[out.n++] = interest_name(INTEREST_TYPE, account, loaded->types[i], arena);
    return out;
}

static Interest *interest_new(Interests *in, const Name *name) {
    Interest *i = mem_new(sizeof *i + name->key.len);
    memcpy(i->bytes, name->key.ptr, name->key.len);
    i->key = (Str){ i->bytes, name->key.len };
    map_put(&in->map, i->key, i);
    return i;
}

void interests_link(Interests *in, Links *links, const Names *names, void *owner) {
    *links = (Links){ mem_new(names->n * sizeof(Link)), names->n };
    for (size_t n = 0; n < names->n; n++) {
        Interest *i = map_get_hashed(&in->map, names->items[n].key, names->items[n].hash);
        if (!i) i = interest_new(in, &names->items[n]);
        Link *l = &links->items[n];
        *l = (Link){ .next = i->first, .interest = i, .owner = owner };
        if (l->next) l->next->prev = l;
        i->first = l;
    }
}

void interests_unlink(Interests *in, Links *links) {
    for (size_t n = 0; n < links->n; n++) {
        Link *l = &links->items[n];
        Interest *i = l->interest;
        if (l->prev)
            l->prev->next = l->next;
        else
            i->first = l->next;
        if (l->next) l->next->prev = l->prev;
        if (i->first) continue;
        map_remove(&in->map, i->key);
        free(i);
    }
    free(links->items);
    *links = (Links){ 0 };
}

bool links_are(const Links *links, const Names *names) {
    if (links->n != names->n) return false;
    for (size_t n = 0; n < links->n; n++)
        if (!str_eq(links->items[n].interest->key, names->items[n].key)) return false;
    return true;
}

Link *interests_find(const Interests *in, const Name *name) {
    const Interest *i = map_get_hashed(&in->map, name->key, name->hash);
    return i ? i->first : NULL;
}

void interests_free(Interests *in) {
    map_free(&in->map);
}
