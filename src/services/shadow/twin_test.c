/* The engine against a naive twin: state and metadata as two JSON values, merged by searching and copying, numbers
 * compared as doubles. Both are fed the same random requests and must agree on every text. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <stdlib.h>

#include "base/json.h"
#include "base/rng.h"
#include "base/writer.h"
#include "services/shadow/document.h"

typedef yyjson_mut_val Value;

typedef struct {
    Arena *arena;
    yyjson_mut_doc *doc;
    Value *state, *metadata;
    int64_t now_s;
} Twin;

static Value *get(Value *object, const char *key) {
    return yyjson_mut_obj_get(object, key);
}

static void put(Twin *t, Value *object, const char *key, Value *v) {
    if (get(object, key))
        yyjson_mut_obj_replace(object, yyjson_mut_strcpy(t->doc, key), v);
    else
        yyjson_mut_obj_add(object, yyjson_mut_strcpy(t->doc, key), v);
}

static Value *copy(Twin *t, Value *v) {
    return yyjson_mut_val_mut_copy(t->doc, v);
}

static Value *without_absent(Twin *t, Value *v) {
    if (!yyjson_mut_is_obj(v)) return yyjson_mut_is_null(v) ? NULL : copy(t, v);
    Value *out = yyjson_mut_obj(t->doc);
    size_t i, n;
    Value *key, *child;
    yyjson_mut_obj_foreach(v, i, n, key, child) {
        Value *kept = without_absent(t, child);
        if (kept) put(t, out, yyjson_mut_get_str(key), kept);
    }
    return yyjson_mut_obj_size(out) ? out : NULL;
}

static Value *times(Twin *t, Value *v) {
    size_t i, n;
    Value *key, *child;
    if (yyjson_mut_is_obj(v)) {
        Value *out = yyjson_mut_obj(t->doc);
        yyjson_mut_obj_foreach(v, i, n, key, child) put(t, out, yyjson_mut_get_str(key), times(t, child));
        return out;
    }
    if (yyjson_mut_is_arr(v)) {
        Value *out = yyjson_mut_arr(t->doc);
        yyjson_mut_arr_foreach(v, i, n, child) yyjson_mut_arr_append(out, times(t, child));
        return out;
    }
    Value *out = yyjson_mut_obj(t->doc);
    yyjson_mut_obj_add_int(t->doc, out, "timestamp", t->now_s);
    return out;
}

static void merge(Twin *t, Value *have, Value *have_times, Value *patch) {
    size_t i, n;
    Value *k, *p;
    yyjson_mut_obj_foreach(patch, i, n, k, p) {
        const char *key = yyjson_mut_get_str(k);
        Value *old = get(have, key);
        if (yyjson_mut_is_obj(old) && yyjson_mut_is_obj(p) && yyjson_mut_obj_size(p)) {
            merge(t, old, get(have_times, key), p);
            continue;
        }
        Value *kept = without_absent(t, p);
        if (kept) {
            put(t, have, key, kept);
            put(t, have_times, key, times(t, kept));
        } else {
            yyjson_mut_obj_remove_key(have, key);
            yyjson_mut_obj_remove_key(have_times, key);
        }
    }
}

static void merge_section(Twin *t, const char *name, Value *patch) {
    if (!patch) return;
    Value *have = get(t->state, name), *have_times = get(t->metadata, name);
    if (!have) {
        have = yyjson_mut_obj(t->doc);
        have_times = yyjson_mut_obj(t->doc);
    }
    if (yyjson_mut_obj_size(patch)) merge(t, have, have_times, patch);
    bool empty = yyjson_mut_obj_size(patch) == 0 || yyjson_mut_obj_size(have) == 0;
    yyjson_mut_obj_remove_key(t->state, name);
    yyjson_mut_obj_remove_key(t->metadata, name);
    if (empty) return;
    yyjson_mut_obj_add(t->state, yyjson_mut_strcpy(t->doc, name), have);
    yyjson_mut_obj_add(t->metadata, yyjson_mut_strcpy(t->doc, name), have_times);
}

static bool same(Value *a, Value *b) {
    if (yyjson_mut_is_raw(a) && yyjson_mut_is_raw(b))
        return strtod(yyjson_mut_get_raw(a), NULL) == strtod(yyjson_mut_get_raw(b), NULL);
    if (yyjson_mut_get_type(a) != yyjson_mut_get_type(b)) return false;
    size_t i, n;
    Value *key, *child;
    if (yyjson_mut_is_obj(a)) {
        if (yyjson_mut_obj_size(a) != yyjson_mut_obj_size(b)) return false;
        yyjson_mut_obj_foreach(a, i, n, key, child) {
            Value *other = get(b, yyjson_mut_get_str(key));
            if (!other || !same(child, other)) return false;
        }
        return true;
    }
    if (yyjson_mut_is_arr(a)) {
        if (yyjson_mut_arr_size(a) != yyjson_mut_arr_size(b)) return false;
        yyjson_mut_arr_foreach(a, i, n, child) if (!same(child, yyjson_mut_arr_get(b, i))) return false;
        return true;
    }
    return yyjson_mut_equals(a, b);
}

static Value *difference(Twin *t, Value *desired, Value *reported) {
    Value *out = yyjson_mut_obj(t->doc);
    size_t i, n;
    Value *k, *d;
    yyjson_mut_obj_foreach(desired, i, n, k, d) {
        const char *key = yyjson_mut_get_str(k);
        Value *r = get(reported, key);
        if (yyjson_mut_is_obj(d)) {
            Value *inside = difference(t, d, yyjson_mut_is_obj(r) ? r : NULL);
            if (yyjson_mut_obj_size(inside)) put(t, out, key, inside);
        } else if (!r || !same(d, r)) {
            put(t, out, key, copy(t, d));
        }
    }
    return out;
}

/* Random requests of few keys, so that they meet. */
static void random_value(Writer *w, Rng *rng, int depth, bool in_array) {
    static const char *const leaves[] = { "1",       "1.0",  "10e-1", "2",     "-0", "0.0",
                                          "\"a\"",   "\"\"", "true",  "false", "[]", "\"\\u0007\\\"\"",
                                          "12345.5", "null" };
    uint64_t kind = rng_u64(rng) % 8;
    bool object = depth > 0 && kind < 3;
    if (!object && !(depth > 0 && kind == 3)) {
        writer_bytes(w, str_c(leaves[rng_u64(rng) % (sizeof leaves / sizeof *leaves - (in_array ? 1 : 0))]));
        return;
    }
    uint64_t n = rng_u64(rng) % 5;
    writer_u8(w, object ? '{' : '[');
    for (uint64_t i = 0; i < n; i++) {
        if (i) writer_u8(w, ',');
        /* each key once, in any order */
        if (object) writer_format(w, "\"k%d\":", (int)((i * 3 + kind * 2 + n) % 11));
        random_value(w, rng, depth - 1, in_array || !object);
    }
    writer_u8(w, object ? '}' : ']');
}

static Str random_section(Arena *arena, Rng *rng) {
    Writer w = writer_in(arena);
    enum { KEYS = 14 };
    uint64_t n = rng_u64(rng) % 5, from = rng_u64(rng) % KEYS;
    writer_u8(&w, '{');
    for (uint64_t i = 0; i < n; i++) {
        writer_format(&w, "%s\"k%d\":", i ? "," : "", (int)((from + i * 5) % KEYS));
        random_value(&w, rng, 3, false);
    }
    writer_u8(&w, '}');
    return writer_str(&w);
}

static Value *mutable(Twin *t, Str text) {
    yyjson_val *v = NULL;
    assert_int_equal(json_read(t->arena, text, true, &v, NULL), OK);
    return yyjson_val_mut_copy(t->doc, v);
}

static void assert_texts(Str got, Str want) {
    if (!str_eq(got, want)) fail_msg("got  %.*s\nwant %.*s", PS(got), PS(want));
}

/* Carries the twin over into a fresh arena: a walk of thousands of steps shall not keep them all. */
static void twin_move(Twin *t, Arena *fresh) {
    Str state = json_write_mut(fresh, t->state), metadata = json_write_mut(fresh, t->metadata);
    t->arena = fresh;
    t->doc = json_doc(fresh);
    t->state = mutable(t, state);
    t->metadata = mutable(t, metadata);
}

static void check_step(Twin *t, ShadowStored *kept, Rng *rng) {
    Str sections[2] = { random_section(t->arena, rng), random_section(t->arena, rng) };
    uint64_t which = rng_u64(rng) % 4;
    bool desired = which != 1, reported = which != 0;
    Str request =
        str_format(t->arena, "{\"state\":{%s%.*s%s%s%.*s}}", desired ? "\"desired\":" : "",
                   desired ? (int)sections[0].len : 0, (const char *)sections[0].ptr, desired && reported ? "," : "",
                   reported ? "\"reported\":" : "", reported ? (int)sections[1].len : 0, (const char *)sections[1].ptr);
    ShadowUpdate u;
    ShadowFault fault = { 0 };
    if (shadow_update(kept, request, t->now_s, &SHADOW_LIMITS, t->arena, &u, &fault) != OK)
        fail_msg("refused with %.*s: %.*s", PS(fault.message), PS(request));
    if (desired) merge_section(t, "desired", mutable(t, sections[0]));
    if (reported) merge_section(t, "reported", mutable(t, sections[1]));
    Value *order_state = yyjson_mut_obj(t->doc), *order_times = yyjson_mut_obj(t->doc);
    for (int i = 0; i < 2; i++) {
        const char *name = i ? "reported" : "desired";
        if (!get(t->state, name)) continue;
        put(t, order_state, name, copy(t, get(t->state, name)));
        put(t, order_times, name, copy(t, get(t->metadata, name)));
    }
    Str state = json_write_mut(t->arena, order_state);
    assert_texts(u.stored, str_format(t->arena, "{\"state\":%.*s,\"metadata\":%.*s}", PS(state),
                                      PS(json_write_mut(t->arena, order_times))));
    Value *delta = difference(t, get(t->state, "desired"), get(t->state, "reported"));
    assert_true((u.delta.ptr != NULL) == (yyjson_mut_obj_size(delta) > 0));
    if (u.delta.ptr)
        assert_texts(json_write_mut(t->arena, get(mutable(t, u.delta), "state")), json_write_mut(t->arena, delta));
    *kept = (ShadowStored){ u.stored, u.version };
}

static void random_updates_agree_with_a_naive_twin(void **state) {
    (void)state;
    enum { SHADOWS = 60, STEPS = 60 };
    Rng rng = { .state = 20 };
    for (int shadow = 0; shadow < SHADOWS; shadow++) {
        Arena arenas[2] = { { 0 }, { 0 } };
        Twin t = { .arena = &arenas[0], .doc = json_doc(&arenas[0]) };
        t.state = yyjson_mut_obj(t.doc);
        t.metadata = yyjson_mut_obj(t.doc);
        ShadowStored kept = { 0 };
        for (int step = 1; step <= STEPS; step++) {
            Arena *fresh = &arenas[step % 2];
            twin_move(&t, fresh);
            kept.text = kept.text.ptr ? str_dup(fresh, kept.text) : STR_NONE;
            arena_reset(&arenas[(step + 1) % 2]);
            t.now_s = step;
            check_step(&t, &kept, &rng);
            assert_int_equal(kept.version, step);
        }
        arena_free(&arenas[0]);
        arena_free(&arenas[1]);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = { cmocka_unit_test(random_updates_agree_with_a_naive_twin) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
