#include "fuzz.h"

#include "rules/sql.h"

/* A template and a payload, parted by a newline: what compiles renders to UTF-8, the same twice. */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    Arena a = { 0 };
    Str in = { data, size }, why = STR_NONE, first = STR_NONE, second = STR_NONE;
    Str text = str_cut(&in, '\n');
    const Sql *sql;
    const SqlTemplate *t = NULL;
    SqlFault fault = { 0 };
    SqlResult result;
    Rng rng = { .state = 7 };
    SqlEnv env = { .account = S("123456789012"), .rng = &rng };
    SqlMessageIn in_message = { .topic = S("a/b/c"), .payload = in, .time_ms = 1700000000000 };
    SqlMessage *message = sql_message_open(&in_message, &a);
    CHECK(sql_compile(S("SET @v = a, @w = @v.b SELECT *"), SQL_2016_03_23, &a, &sql, &fault) == OK);
    if (sql_run(sql, message, &env, &result) != OK || sql_template_compile(sql, text, &a, &t, &fault) != OK) {
        CHECK(t == NULL);
        arena_free(&a);
        return 0;
    }
    if (sql_template_is_constant(t)) CHECK(str_find_str(text, S("${")) == SIZE_MAX);
    Rng again = { .state = 9 };
    rng = (Rng){ .state = 9 };
    Err e = sql_template_render(t, message, &env, result.variables, &first, &why);
    if (e == OK) {
        CHECK(str_is_utf8(first));
        env.rng = &again;
        CHECK(sql_template_render(t, message, &env, result.variables, &second, &why) == OK && str_eq(first, second));
    } else {
        CHECK(first.ptr == NULL && why.len > 0);
    }
    arena_free(&a);
    return 0;
}
