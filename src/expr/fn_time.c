#include "expr/functions.h"
#include "expr/parse.h"
#include "expr/time_text.h"

/* A constant zone is read when the statement is compiled, so that no message waits for a file. */
static const void *prepare_zone(const ExprNode *node, Arena *arena) {
    const Zone *zone = NULL;
    bool constant = node->n == 3 && expr_is_constant(node->kids[2]) && node->kids[2]->value.type == EXPR_STRING;
    if (constant && zone_load(node->kids[2]->value.s, arena, &zone) != OK) return NULL;
    if (node->n == 2 && zone_load(S("UTC"), arena, &zone) != OK) return NULL;
    return zone;
}

static void call_parse_time(ExprRun *run, const ExprNode *node, const ExprValue *args, size_t n, ExprValue *out) {
    const Zone *zone = node->prepared;
    Str text, why;
    if (!zone && (n < 3 || zone_load(args[2].s, run->arena, &zone) != OK)) {
        *out = expr_because(run, "there is no time zone '%.*s'", n < 3 ? 0 : (int)args[2].s.len,
                            n < 3 ? "" : (const char *)args[2].s.ptr);
        return;
    }
    ExprInt ms = args[1].i > INT64_MAX ? INT64_MAX : args[1].i < INT64_MIN ? INT64_MIN : args[1].i;
    if (time_format(args[0].s, (int64_t)ms, zone, run->arena, &text, &why) != OK)
        *out = expr_because(run, "%.*s", PS(why));
    else if (expr_make(run, text.len))
        *out = expr_string(text); /* counts it */
}

static void call_time_to_epoch(ExprRun *run, const ExprNode *node, const ExprValue *args, size_t n, ExprValue *out) {
    (void)node, (void)n;
    int64_t ms;
    Str why;
    if (!expr_steps(run, 1 + args[1].s.len)) return;
    if (time_parse(args[0].s, args[1].s, run->arena, &ms, &why) != OK)
        *out = expr_because(run, "%.*s", PS(why));
    else
        *out = expr_int(ms);
}

static const ExprFn ITEMS[] = {
    { .name = STR_INIT("parse_time"),
      .args_min = 2,
      .args_max = 3,
      .since = 1,
      .takes = "sts",
      .call = call_parse_time,
      .prepare = prepare_zone },
    { .name = STR_INIT("time_to_epoch"),
      .args_min = 2,
      .args_max = 2,
      .since = 1,
      .takes = "s",
      .call = call_time_to_epoch },
};

const ExprFns expr_time_functions = { ITEMS, sizeof ITEMS / sizeof *ITEMS };
