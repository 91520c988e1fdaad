/* Tests of the SQL: one statement on one message. */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "rules/sql.h"

typedef struct {
    Arena arena;
    SqlMessageIn in;
    SqlVersion version;
    SqlEnv env;
    Rng rng;
    SqlFault fault;
    SqlResult result;
    Err err;
    const Sql *sql;
} Trial;

/* A message as tests want it unless they say otherwise. */
static inline Trial trial_new(const char *payload) {
    return (Trial){ .version = SQL_2016_03_23,
                    .rng = { .state = 1 },
                    .in = { .topic = S("a/b/c"),
                            .payload = str_c(payload),
                            .client_id = S("lamp"),
                            .principal = S("ba67293af50bf2506f5f93469686da660c7c844e7b3950bfb16813e0d31e9373"),
                            .trace_id = S("12345678-1234-1234-1234-123456789012"),
                            .source_ip = S("10.0.0.7"),
                            .time_ms = 1481825251155 } };
}

static inline Err trial_compile(Trial *t, Str text) {
    return sql_compile(text, t->version, &t->arena, &t->sql, &t->fault);
}

/* The output, or a text that begins with '!' and says why there is none. */
static inline Str trial_run(Trial *t, Str text) {
    if (trial_compile(t, text) != OK) return str_format(&t->arena, "!%.*s", PS(t->fault.text));
    if (!t->env.account.ptr) t->env.account = S("123456789012");
    t->env.rng = &t->rng;
    SqlMessage *message = sql_message_open(&t->in, &t->arena);
    t->err = sql_run(t->sql, message, &t->env, &t->result);
    if (t->err != OK) return str_format(&t->arena, "!%.*s", PS(t->result.why));
    return t->result.matched ? t->result.output : S("!WHERE");
}

#define check_output(t, statement, wanted)                                                                             \
    do {                                                                                                               \
        Str got_ = trial_run((t), str_c(statement));                                                                   \
        if (!str_eq(got_, str_c(wanted))) fail_msg("%s\n  gave   %.*s\n  wanted %s", (statement), PS(got_), (wanted)); \
    } while (0)

/* One expression of a table: what SELECT VALUE of it writes; "" is Undefined. */
typedef struct {
    const char *expression, *wanted;
} TrialRow;

static inline void trial_rows(const char *payload, SqlVersion version, const TrialRow *rows, size_t n) {
    for (size_t i = 0; i < n; i++) {
        Trial t = trial_new(payload);
        t.version = version;
        Str statement = str_format(&t.arena, "SELECT VALUE (%s) FROM 'a/#'", rows[i].expression);
        Str got = trial_run(&t, statement);
        if (!str_eq(got, str_c(rows[i].wanted)))
            fail_msg("%s\n  gave   %.*s\n  wanted %s", rows[i].expression, PS(got), rows[i].wanted);
        arena_free(&t.arena);
    }
}
#define TRIAL_ROWS(payload, version, rows) trial_rows(payload, version, rows, sizeof rows / sizeof *rows)
