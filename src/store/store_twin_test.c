#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "base/rng.h"
#include "store/store_fixture.h"

/* Random work over both engines against a naive twin: an array in key order, copied whole for a savepoint. */

enum { KEYS = 40, DEPTH = 4 };
typedef struct {
    bool there[KEYS];
    int value[KEYS];
} Twin;

/* Keys that are prefixes of one another, hold zeros and 0xFF; in order by index. */
static Str key_at(Arena *a, int i) {
    uint8_t *k = arena_bytes(a, 3);
    k[0] = (uint8_t)(i / 8 ? 0xF9 + i / 8 : 0);
    k[1] = (uint8_t)(i / 4 % 2 ? 0xFF : 0);
    k[2] = (uint8_t)(i % 4);
    return (Str){ k, 3 };
}

static void scan_equals(Bench *b, Txn *t, const Twin *twin, Rng *rng, bool *faulty) {
    int from = (int)(rng_u64(rng) % KEYS), to = (int)(rng_u64(rng) % (KEYS + 1));
    bool backwards = rng_u64(rng) % 2;
    Scan *s;
    Str end = to == KEYS ? STR_NONE : key_at(&b->arena, to);
    assert_int_equal(scan_begin(t, key_at(&b->arena, from), end, backwards, &s), OK);
    Str key, value;
    for (int n = 0; n < to - from; n++) {
        int i = backwards ? to - 1 - n : from + n;
        if (!twin->there[i]) continue;
        char text[16];
        snprintf(text, sizeof text, "%d", twin->value[i]);
        bool same = scan_next(s, &key, &value) && str_eq(key, key_at(&b->arena, i)) && str_eq(value, str_c(text));
        if (!same) *faulty = true;
    }
    if (scan_next(s, &key, &value)) *faulty = true;
    assert_int_equal(scan_end(s), OK);
}

static void get_equals(Bench *b, Txn *t, const Twin *twin, int i, bool *faulty) {
    Str v = STR_NONE, many[2];
    Err e = txn_get(t, key_at(&b->arena, i), &b->arena, &v);
    char text[16];
    snprintf(text, sizeof text, "%d", twin->value[i]);
    if ((e == OK) != twin->there[i] || (e == OK && !str_eq(v, str_c(text)))) *faulty = true;
    Str keys[2] = { key_at(&b->arena, i), key_at(&b->arena, (i + 7) % KEYS) };
    assert_int_equal(txn_multi_get(t, keys, 2, &b->arena, many), OK);
    if ((many[0].ptr != NULL) != twin->there[i] || (many[1].ptr != NULL) != twin->there[(i + 7) % KEYS]) *faulty = true;
}

typedef struct {
    Twin committed, stack[DEPTH + 1];
    int depth; /* savepoints */
} Model;

static void random_step(Bench *b, Txn *t, Model *m, Rng *rng, bool skip_undo, bool *faulty) {
    Twin *now = &m->stack[m->depth];
    int i = (int)(rng_u64(rng) % KEYS);
    char text[16];
    switch (rng_u64(rng) % 9) {
    case 0:
    case 1:
    case 2:
        now->there[i] = true;
        now->value[i] = (int)(rng_u64(rng) % 1000);
        snprintf(text, sizeof text, "%d", now->value[i]);
        assert_int_equal(txn_put(t, key_at(&b->arena, i), str_c(text)), OK);
        break;
    case 3:
        now->there[i] = false;
        assert_int_equal(txn_delete(t, key_at(&b->arena, i)), OK);
        break;
    case 4:
        if (m->depth == DEPTH) break;
        m->stack[m->depth + 1] = *now;
        m->depth++;
        txn_savepoint(t);
        break;
    case 5:
        if (m->depth == 0) break;
        if (skip_undo) m->stack[m->depth - 1] = *now;
        m->depth--;
        txn_rollback(t);
        break;
    case 6:
        if (m->depth == 0) break;
        m->stack[m->depth - 1] = *now;
        m->depth--;
        txn_release(t);
        break;
    case 7: get_equals(b, t, now, i, faulty); break;
    case 8: scan_equals(b, t, now, rng, faulty); break;
    }
}

/* The planted fault: a twin that forgets to undo. True when a difference was seen. */
static bool run_against_twin(Bench *b, uint64_t seed, bool plant_fault) {
    bool faulty = false;
    Rng rng = { .state = seed };
    Model m = { 0 };
    for (int round = 0; round < 120 && !faulty; round++) {
        Txn *t = begin(b);
        m.stack[0] = m.committed;
        m.depth = 0;
        for (int step = 0; step < 60 && !faulty; step++) random_step(b, t, &m, &rng, plant_fault, &faulty);
        if (rng_u64(&rng) % 4) {
            assert_int_equal(txn_commit(t, round % 20 == 0), OK);
            m.committed = m.stack[m.depth];
        } else {
            txn_abort(t);
        }
        if (round % 40 == 39 && str_eq(str_c(b->engine), S("rocksdb"))) {
            store_close(b->store);
            bench_open(b);
        }
        arena_reset(&b->arena);
    }
    return faulty;
}

static void random_work_agrees_with_a_naive_twin(void **state) {
    assert_false(run_against_twin(*state, 7, false));
}

static void the_twin_finds_a_planted_fault(void **state) {
    assert_true(run_against_twin(*state, 7, true));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        ON_BOTH(random_work_agrees_with_a_naive_twin),
        ON_BOTH(the_twin_finds_a_planted_fault),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
