#include "rules/rule.h"

#include <openssl/sha.h>

#include <stdlib.h>

#include "base/encode.h"
#include "api/codec.h"
#include "rules/actions/kinds.h"

RuleFigures *rule_figures_new(void) {
    RuleFigures *f = mem_new(sizeof *f);
    f->refs = 1;
    return f;
}

void rule_figures_release(RuleFigures *f) {
    if (f && atomic_fetch_sub(&f->refs, 1) == 1) free(f);
}

/* ------------------------------------------------------------------------------------------------ as JSON */

static const ApiShape *payload_shape(void) {
    static const Str NAME = STR_INIT("TopicRulePayload");
    for (size_t i = 0; i < iot_service.shapes_n; i++)
        if (str_eq(iot_service.shapes[i].name, NAME)) return &iot_service.shapes[i];
    return NULL;
}

Str rule_payload_write(const IotTopicRulePayload *payload, Arena *arena) {
    yyjson_mut_doc *doc = json_doc(arena);
    return json_write_mut(arena, api_encode_struct(doc, arena, payload_shape(), payload));
}

Err rule_payload_read(Str json, Arena *arena, IotTopicRulePayload *out) {
    yyjson_val *v;
    Str why;
    IotTopicRulePayload p = { 0 };
    Err e = json_read(arena, json, false, &v, &why);
    if (e == OK) e = api_decode_struct(arena, payload_shape(), v, &p, &why);
    if (e == OK) *out = p;
    return e;
}

/* ------------------------------------------------------------------------------------------------ compiling */

typedef struct {
    const Sql *sql;
    Plan *plans, *error;
    size_t plans_n;
    uint32_t outside;
} Compiled;

static Err invalid(RuleFault *fault, Str text) {
    *fault = (RuleFault){ .text = text };
    return ERR_INVALID;
}

static Err compile_statement(const IotTopicRulePayload *p, Arena *arena, const Sql **out, RuleFault *fault) {
    SqlVersion version;
    SqlFault why = { 0 };
    if (sql_version_parse(p->aws_iot_sql_version, &version) != OK)
        return invalid(fault, str_format(arena, "awsIotSqlVersion '%.*s' is none of 2015-10-08, 2016-03-23 and beta",
                                         PS(p->aws_iot_sql_version)));
    Err e = sql_compile(p->sql, version, arena, out, &why);
    if (e == OK) return OK;
    *fault = (RuleFault){ .sql = true, .text = why.text };
    return ERR_INVALID;
}

static Err compile_plans(const RuleSpec *spec, const IotTopicRulePayload *p, Arena *arena, Compiled *c,
                         RuleFault *fault) {
    ActionCheck check = {
        .arena = arena, .account = spec->account, .region = spec->region, .plain_http = spec->plain_http
    };
    c->plans = arena_array(arena, Plan, p->actions.n);
    for (size_t i = 0; i < p->actions.n; i++) {
        Plan *plan = &c->plans[c->plans_n++];
        if (plan_make(&check, c->sql, &p->actions.items[i], arena, plan) != OK) return invalid(fault, check.why);
        c->outside |= plan->outside;
    }
    if (!p->error_action) return OK;
    check.error_action = true;
    c->error = arena_new(arena, Plan);
    return plan_make(&check, c->sql, p->error_action, arena, c->error) == OK ? OK : invalid(fault, check.why);
}

static Err compile(const RuleSpec *spec, const IotTopicRulePayload *p, Arena *arena, Compiled *out, RuleFault *fault) {
    Compiled c = { 0 };
    if (p->actions.n > RULE_ACTIONS_MAX)
        return invalid(fault,
                       str_format(arena, "A rule has at most %d actions, got %zu", RULE_ACTIONS_MAX, p->actions.n));
    Err e = compile_statement(p, arena, &c.sql, fault);
    if (e == OK) e = compile_plans(spec, p, arena, &c, fault);
    if (e != OK) return e;
    c.outside |= sql_reaches_outside(c.sql);
    *out = c;
    return OK;
}

Err rule_check(const RuleSpec *spec, const IotTopicRulePayload *payload, Arena *arena, RuleFault *fault) {
    Compiled c;
    size_t bytes = rule_payload_write(payload, arena).len;
    if (bytes > RULE_TEXT_BYTES_MAX)
        return invalid(fault, str_format(arena, "The rule of %zu bytes is longer than the maximum of %d", bytes,
                                         RULE_TEXT_BYTES_MAX));
    return compile(spec, payload, arena, &c, fault);
}

Str rule_topic_pattern(const IotTopicRulePayload *payload, Arena *arena) {
    const Sql *sql;
    RuleFault fault;
    return compile_statement(payload, arena, &sql, &fault) == OK ? sql_topic_filter(sql) : STR_NONE;
}

/* ------------------------------------------------------------------------------------------------ life */

/* The error action comes in the place of an action that failed. */
static size_t republishes(const Rule *r) {
    size_t n = 0;
    for (size_t i = 0; i < r->plans_n; i++) n += r->plans[i].kind == &ACTION_REPUBLISH;
    return n + (r->error && r->error->kind == &ACTION_REPUBLISH && n < r->plans_n);
}

static Str version_of(Rule *r) {
    enum { HASH_BYTES = 16 };
    uint8_t hash[SHA256_DIGEST_LENGTH];
    Str text = str_format(&r->arena, "%.*s %.*s", PS(r->name), PS(r->payload));
    SHA256(text.ptr, text.len, hash);
    return hex_encode(&r->arena, (Str){ hash, HASH_BYTES });
}

static void hold_roles(Rule *r, RoleBook *book) {
    if (!book) return;
    r->roles = book;
    r->seats = arena_array(&r->arena, RoleSeat *, r->plans_n + 1);
    for (size_t i = 0; i <= r->plans_n; i++) {
        const Plan *p = i < r->plans_n ? &r->plans[i] : r->error;
        Str arn = p ? right_role(p->kind, p->action) : STR_NONE;
        r->seats[i] = arn.ptr ? role_book_hold(book, r->account, arn) : NULL;
    }
}

Err rule_new(const RuleSpec *spec, Str json, RuleFigures *figures, Arena *scratch, Rule **out, RuleFault *fault) {
    Rule *r = mem_new(sizeof *r);
    IotTopicRulePayload payload;
    Compiled c = { 0 };
    r->refs = 1;
    r->payload = str_dup(&r->arena, json);
    Err e = rule_payload_read(r->payload, &r->arena, &payload);
    if (e != OK) *fault = (RuleFault){ .text = S("The stored rule is no JSON of a TopicRulePayload") };
    if (e == OK) e = compile(spec, &payload, &r->arena, &c, fault);
    if (e != OK) {
        fault->text = str_dup(scratch, fault->text);
        arena_free(&r->arena);
        free(r);
        return e;
    }
    r->account = str_dup(&r->arena, spec->account);
    r->region = str_dup(&r->arena, spec->region);
    r->name = str_dup(&r->arena, spec->name);
    r->arn =
        str_format(&r->arena, "arn:aws:iot:%.*s:%.*s:rule/%.*s", PS(spec->region), PS(spec->account), PS(spec->name));
    r->version = version_of(r);
    r->sql = c.sql;
    r->filter = sql_topic_filter(c.sql);
    r->outside = c.outside;
    r->disabled = spec->disabled;
    r->plans = c.plans;
    r->plans_n = c.plans_n;
    r->error = c.error;
    r->republishes = republishes(r);
    hold_roles(r, spec->roles);
    atomic_fetch_add(&figures->refs, 1);
    r->figures = figures;
    *out = r;
    return OK;
}

Rule *rule_retain(Rule *r) {
    atomic_fetch_add_explicit(&r->refs, 1, memory_order_relaxed);
    return r;
}

void rule_release(Rule *r) {
    if (!r || atomic_fetch_sub_explicit(&r->refs, 1, memory_order_acq_rel) > 1) return;
    for (size_t i = 0; r->seats && i <= r->plans_n; i++) role_book_drop(r->roles, r->seats[i]);
    rule_figures_release(r->figures);
    arena_free(&r->arena);
    free(r);
}
