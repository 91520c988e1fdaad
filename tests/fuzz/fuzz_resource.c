#include "fuzz.h"

#include "api/resource.h"
#include "api/tag.h"
#include "generated/resources.h"

/* Any text is an ARN of a declared resource or is not: where it is and the whole of its form is key, the key's own ARN
 * is that text again. Any text gives tags, within their number, or a refusal. */

static bool form_is_key(const Resource *r) {
    size_t holes = 0;
    for (size_t i = 0; i < r->arn.len; i++) holes += r->arn.ptr[i] == '{';
    return holes == r->record->key_count;
}

static void arn(Arena *a, Call *c, Str text) {
    for (size_t i = 0; i < resources_all_n; i++) {
        const Resource *r = resources_all[i];
        void *key = arena_alloc(a, r->record->size_bytes);
        if (resource_key_from_arn(c, r, text, key) != OK || !form_is_key(r)) continue;
        CHECK(str_eq(resource_arn(c, r, key), text));
    }
}

static void tags(Arena *a, Call *c, Str text) {
    static const ApiShape shape = { .kind = API_STR };
    StrMap given = tag_pairs(a, &shape, &text), out = { 0 }, merged = { 0 };
    CHECK(given.n <= TAGS_MAX + 1);
    if (tag_check(c, given, &out) != OK) return;
    CHECK(out.n == given.n && out.n <= TAGS_MAX);
    for (size_t i = 0; i < out.n; i++) CHECK(str_map_find(&out, out.items[i].key) == &out.items[i]);
    CHECK(tag_merge(c, out, out, &merged) == OK && str_map_same(out, merged));
    StrList keys = { arena_array(a, Str, out.n), out.n, true };
    for (size_t i = 0; i < out.n; i++) keys.items[i] = out.items[i].key;
    CHECK(tag_without(c, out, keys).n == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    Arena a = { 0 };
    Str in = { data, size };
    Call c = { .op = resources_all[0]->service->ops, .arena = &a, .account = S("1"), .region = S("r") };
    bool is_arn = fuzz_choice(&in) & 1;
    (is_arn ? arn : tags)(&a, &c, in);
    arena_free(&a);
    return 0;
}
