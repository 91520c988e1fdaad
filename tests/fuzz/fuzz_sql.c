#include "fuzz.h"

#include "base/json.h"
#include "rules/sql.h"

/* A statement, a payload and what others answer, parted by newlines: compiled and run twice, with and without
 * explanation. Two runs agree, whatever comes out is JSON again, and nothing is left set on failure. */

typedef struct {
    Str answer;
} Others;

static Err answer(void *ctx, const SqlOutsideCall *call, Arena *arena, Str *out, Str *why) {
    const Others *others = ctx;
    (void)arena;
    CHECK(call->kind < SQL_OUTSIDE_KINDS);
    if (others->answer.len == 0) {
        *why = S("no answer");
        return ERR_IO;
    }
    *out = others->answer;
    return OK;
}

static Err run_once(const Sql *sql, const SqlMessageIn *in, const SqlOutside *outside, bool explain, Arena *arena,
                    SqlResult *out) {
    Rng rng = { .state = 7 };
    SqlEnv env = { .account = S("123456789012"), .rng = &rng, .outside = outside, .explain = explain };
    return sql_run(sql, sql_message_open(in, arena), &env, out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    Arena a = { 0 };
    Str in = { data, size };
    SqlVersion version = (SqlVersion)(fuzz_choice(&in) % 3);
    Str statement = str_cut(&in, '\n'), payload = str_cut(&in, '\n');
    Others others = { in };
    SqlOutside outside = { &others, answer };
    const Sql *sql = NULL;
    SqlFault fault = { 0 };
    Err e = sql_compile(statement, version, &a, &sql, &fault);
    if (e != OK) {
        CHECK(sql == NULL && fault.text.len > 0 && fault.line >= 1 && fault.column >= 1);
        arena_free(&a);
        return 0;
    }
    SqlMessageIn message = { .topic = S("a/b/c"), .payload = payload, .client_id = S("c"), .time_ms = 1700000000000 };
    SqlResult plain, explained;
    e = run_once(sql, &message, &outside, false, &a, &plain);
    CHECK(e == run_once(sql, &message, &outside, true, &a, &explained));
    CHECK(plain.matched == explained.matched && plain.binary == explained.binary);
    CHECK(str_eq(plain.output, explained.output));
    if (e != OK) CHECK(!plain.matched && plain.why.len > 0);
    if (plain.matched && !plain.binary && plain.output.len > 0) {
        yyjson_val *v;
        CHECK(json_read(&a, plain.output, true, &v, NULL) == OK);
    }
    for (size_t i = 0; i < explained.undefined_n; i++) CHECK(explained.undefined[i].why.len > 0);
    arena_free(&a);
    return 0;
}
