#include "api/tag.h"

#include "api/error.h"
#include "api/route.h"
#include "base/encode.h"

static const ApiError *declared(const ApiOp *op, Str name) {
    for (size_t i = 0; i < op->errors_n; i++)
        if (str_eq(op->errors[i]->name, name)) return op->errors[i];
    return NULL;
}

static const ApiError *invalid(Call *c) {
    return c->op->service->invalid ? c->op->service->invalid : API_VALIDATION;
}

/* Source: the models: TagResource of iot declares LimitExceededException, its creates InvalidRequestException */
static Err too_many(Call *c, size_t n) {
    const ApiError *e = declared(c->op, S("LimitExceededException"));
    if (!e) e = declared(c->op, S("TooManyTagsException"));
    return api_fail(c, e ? e : invalid(c), "%zu tags are more than the maximum of %d", n, TAGS_MAX);
}

/* Of an element of the member's list or map. */
static StrPair pair_at(const ApiShape *shape, const ApiItems *items, size_t i) {
    const char *at = (const char *)items->items + i * shape->element_size;
    StrPair p = { *(const Str *)(const void *)at, STR_NONE };
    if (shape->kind == API_MAP) {
        p.value = *(const Str *)(const void *)(at + shape->member_offset);
        return p;
    }
    for (size_t k = 0; k < shape->member->members_n; k++) {
        const ApiMember *m = &shape->member->members[k];
        Str v = *(const Str *)(const void *)(at + m->offset);
        *(str_eq_nocase(m->name, S("key")) ? &p.key : &p.value) = v;
    }
    return p;
}

Err tag_check(Call *c, StrMap given, StrMap *out) {
    if (given.n > TAGS_MAX) return too_many(c, given.n);
    StrMap m = { arena_array(c->arena, StrPair, given.n), 0, given.set };
    for (size_t i = 0; i < given.n; i++) {
        StrPair tag = given.items[i];
        if (tag.key.len >= 4 && str_eq_nocase(str_sub(tag.key, 0, 4), S("aws:")))
            return api_fail(c, invalid(c), "The tag key %.*s is reserved: it begins with aws:", PS(tag.key));
        if (str_map_find(&m, tag.key)) return api_fail(c, invalid(c), "The tag key %.*s is given twice", PS(tag.key));
        m.items[m.n++] = (StrPair){ tag.key, tag.value.ptr ? tag.value : S("") };
    }
    *out = m;
    return OK;
}

static StrMap pairs_in_text(Arena *a, Str text) {
    size_t n = 1;
    for (size_t i = 0; i < text.len; i++) n += text.ptr[i] == '&';
    if (n > TAGS_MAX) n = TAGS_MAX + 1;
    StrMap m = { arena_array(a, StrPair, n), 0, true };
    Str key, value;
    while (text.len && m.n < n && (value = query_next(&text, &key)).ptr) {
        StrPair *p = &m.items[m.n];
        if (percent_decode(a, key, true, &p->key) == OK && percent_decode(a, value, true, &p->value) == OK) m.n++;
    }
    return m;
}

StrMap tag_pairs(Arena *a, const ApiShape *shape, const void *slot) {
    if (shape->kind == API_STR) return pairs_in_text(a, *(const Str *)slot);
    const ApiItems *items = slot;
    size_t n = items->n > TAGS_MAX ? TAGS_MAX + 1 : items->n;
    StrMap given = { arena_array(a, StrPair, n), n, items->set };
    for (size_t i = 0; i < n; i++) given.items[i] = pair_at(shape, items, i);
    return given;
}

Err tag_take(Call *c, const ApiShape *shape, const void *slot, StrMap *out) {
    return tag_check(c, tag_pairs(c->arena, shape, slot), out);
}

void tag_give(Call *c, const ApiShape *shape, StrMap tags, void *slot) {
    ApiItems out = { arena_alloc_array(c->arena, shape->element_size, tags.n), tags.n, true };
    for (size_t i = 0; i < tags.n; i++) {
        char *at = (char *)out.items + i * shape->element_size;
        if (shape->kind == API_MAP) {
            *(Str *)(void *)at = tags.items[i].key;
            *(Str *)(void *)(at + shape->member_offset) = tags.items[i].value;
            continue;
        }
        for (size_t k = 0; k < shape->member->members_n; k++) {
            const ApiMember *m = &shape->member->members[k];
            bool key = str_eq_nocase(m->name, S("key"));
            *(Str *)(void *)(at + m->offset) = key ? tags.items[i].key : tags.items[i].value;
        }
    }
    *(ApiItems *)slot = out;
}

Err tag_merge(Call *c, StrMap have, StrMap more, StrMap *out) {
    StrMap m = { arena_array(c->arena, StrPair, have.n + more.n), have.n, true };
    if (have.n) memcpy(m.items, have.items, have.n * sizeof *m.items);
    for (size_t i = 0; i < more.n; i++) {
        StrPair *there = str_map_find(&m, more.items[i].key);
        *(there ? there : &m.items[m.n++]) = more.items[i];
    }
    if (m.n > TAGS_MAX) return too_many(c, m.n);
    *out = m;
    return OK;
}

StrMap tag_without(Call *c, StrMap have, StrList keys) {
    StrMap m = { arena_array(c->arena, StrPair, have.n), 0, true };
    for (size_t i = 0; i < have.n; i++) {
        bool gone = false;
        for (size_t k = 0; k < keys.n; k++) gone = gone || str_eq(keys.items[k], have.items[i].key);
        if (!gone) m.items[m.n++] = have.items[i];
    }
    return m;
}
