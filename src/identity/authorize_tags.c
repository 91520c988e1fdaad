#include "identity/authorize_tags.h"

#include "api/codec.h"
#include "api/tag.h"

static void name_var(Call *c, PolicyVar *out, const char *prefix, StrPair *tag) {
    *out = (PolicyVar){ str_format(c->arena, "%s%.*s", prefix, PS(tag->key)), &tag->value, 1 };
}

/* The tags of the input, whichever way its operation takes them; or only keys, to untag. */
static StrMap tags_in(Call *c, const ApiOp *op, const void *in, StrList *keys) {
    StrMap tags = { 0 };
    for (size_t i = 0; op->in && i < op->in->members_n; i++) {
        const ApiMember *m = &op->in->members[i];
        const void *slot = (const char *)in + m->offset;
        if (!api_present(m->shape, slot)) continue;
        if (str_eq_nocase(m->name, S("tagKeys")) && m->shape->kind == API_LIST) *keys = *(const StrList *)slot;
        if (str_eq_nocase(m->name, S("tags"))) tags = tag_pairs(c->arena, m->shape, slot);
    }
    return tags;
}

TagVars authorize_request_tags(Call *c, const ApiOp *op, const void *in) {
    StrList keys = { 0 };
    StrMap tags = tags_in(c, op, in, &keys);
    if (!tags.n && !keys.n) return (TagVars){ 0 };
    PolicyVar *vars = arena_array(c->arena, PolicyVar, tags.n + 1);
    if (tags.n) keys = (StrList){ arena_array(c->arena, Str, tags.n), tags.n, true };
    for (size_t i = 0; i < tags.n; i++) {
        keys.items[i] = tags.items[i].key;
        name_var(c, &vars[i], "aws:RequestTag/", &tags.items[i]);
    }
    vars[tags.n] = (PolicyVar){ S("aws:TagKeys"), keys.items, keys.n };
    return (TagVars){ vars, tags.n + 1 };
}

TagVars authorize_resource_tags(Call *c, StrMap tags) {
    PolicyVar *vars = arena_array(c->arena, PolicyVar, tags.n);
    for (size_t i = 0; i < tags.n; i++) name_var(c, &vars[i], "aws:ResourceTag/", &tags.items[i]);
    return (TagVars){ vars, tags.n };
}
