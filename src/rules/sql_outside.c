#include "base/encode.h"
#include "rules/sql_internal.h"

/* Functions that ask somebody else. How each is asked is the caller's (SqlOutside); here are their forms, what becomes
 * of the answer, and how often a statement may ask.
 * Source: AWS IoT developer guide, SQL functions */

static const char *const NAMES[SQL_OUTSIDE_KINDS] = {
    "get_thing_shadow",        "aws_lambda", "get_dynamodb", "get_secret", "get_registry_data",
    "machinelearning_predict", "decode",
};

/* "at most once per statement": a second call ends the rule. */
static const bool ONCE[SQL_OUTSIDE_KINDS] = { [SQL_GET_DYNAMODB] = true, [SQL_GET_REGISTRY_DATA] = true };

static void failed(ExprRun *run, Err e, SqlOutsideKind kind, Str why) {
    if (run->err != OK) return;
    expr_fail(run, e, "%s: %.*s", NAMES[kind], PS(why));
    sql_host(run)->outside_failed = true;
}

bool sql_outside(ExprRun *run, const SqlOutsideCall *call, Str *out) {
    SqlRun *r = sql_host(run);
    const SqlOutside *outside = r->env->outside;
    if (run->err != OK) return false;
    if (ONCE[call->kind] && r->once[call->kind]++) {
        r->once[call->kind] = 2;
        expr_fail(run, ERR_LIMIT, "%s may be called once in a statement", NAMES[call->kind]);
        return false;
    }
    Str why = S("nothing here answers it");
    Err e = outside ? outside->call(outside->ctx, call, run->arena, out, &why) : ERR_NOT_IMPLEMENTED;
    if (e != OK) failed(run, e, call->kind, why);
    return e == OK;
}

/* The answer as a value; what is no JSON fails. */
static bool ask(ExprRun *run, const SqlOutsideCall *call, ExprValue *out) {
    Str text, why;
    yyjson_val *json;
    if (!sql_outside(run, call, &text)) return false;
    if (json_read(run->arena, text, true, &json, &why) != OK) {
        failed(run, ERR_MALFORMED, call->kind, str_format(run->arena, "the answer is no JSON: %.*s", PS(why)));
        return false;
    }
    expr_from_json(json, run->whole_is_int, out);
    return true;
}

static void call_thing_shadow(ExprRun *run, const ExprNode *node, const ExprValue *args, size_t n, ExprValue *out) {
    (void)node;
    SqlOutsideCall call = { .kind = SQL_GET_THING_SHADOW,
                            .args = { args[0].s, n == 3 ? args[1].s : STR_NONE, args[n - 1].s } };
    ask(run, &call, out);
}

static void call_lambda(ExprRun *run, const ExprNode *node, const ExprValue *args, size_t n, ExprValue *out) {
    (void)n;
    Str payload = sql_whole_payload(run, node->kids[1]);
    if (args[1].type == EXPR_UNDEFINED) return;
    if (args[1].type == EXPR_BYTES) {
        *out = expr_because(run, "a function is given JSON; encode the payload");
        return;
    }
    if (!payload.ptr) payload = expr_to_json(run, &args[1]);
    SqlOutsideCall call = { .kind = SQL_AWS_LAMBDA, .args = { args[0].s, payload } };
    ask(run, &call, out);
}

/* A key's value keeps its type: DynamoDB has numbers and strings. */
static bool put_key(ExprRun *run, SqlOutsideCall *call, size_t i, const ExprValue *v, ExprValue *out) {
    call->number[i] = expr_is_number(v);
    call->args[i] = expr_text(run, v);
    if (call->number[i] || v->type == EXPR_STRING) return true;
    if (v->type != EXPR_UNDEFINED)
        *out = expr_because(run, "a key's value is a String or a number, got %.*s", PS(expr_shown(run, v)));
    return false;
}

static void call_dynamodb(ExprRun *run, const ExprNode *node, const ExprValue *args, size_t n, ExprValue *out) {
    (void)node;
    SqlOutsideCall call = { .kind = SQL_GET_DYNAMODB };
    if (n == 5) {
        *out = expr_because(run, "get_dynamodb takes 4 arguments, or 6 with a sort key, got 5");
        return;
    }
    for (size_t i = 0; i < n; i++) {
        bool value = i == 2 || (n == 6 && i == 4);
        size_t to = n == 4 && i == 3 ? 5 : i;
        if (value) {
            if (!put_key(run, &call, to, &args[i], out)) return;
            continue;
        }
        if (args[i].type != EXPR_STRING) {
            *out = expr_because(run, "argument %zu of get_dynamodb must be a String, got %.*s", i + 1,
                                PS(expr_shown(run, &args[i])));
            return;
        }
        call.args[to] = args[i].s;
    }
    ask(run, &call, out);
}

/* get_secret(id, type[, key], role) */
static void call_secret(ExprRun *run, const ExprNode *node, const ExprValue *args, size_t n, ExprValue *out) {
    (void)node;
    bool binary = str_eq(args[1].s, S("SecretBinary"));
    Str text;
    if (!binary && !str_eq(args[1].s, S("SecretString"))) {
        *out = expr_because(run, "a secret's type is SecretString or SecretBinary, got %.*s", PS(args[1].s));
        return;
    }
    SqlOutsideCall call = { .kind = SQL_GET_SECRET, .args = { args[0].s, args[1].s, args[n - 1].s } };
    if (binary && n == 4) {
        failed(run, ERR_INVALID, SQL_GET_SECRET, S("a SecretBinary has no keys"));
        return;
    }
    if (!sql_outside(run, &call, &text)) return;
    yyjson_val *json;
    bool object = !binary && json_read(run->arena, text, true, &json, NULL) == OK && yyjson_is_obj(json);
    if (binary) {
        *out = expr_string(base64_encode(run->arena, text));
    } else if (n == 3) {
        if (object)
            expr_from_json(json, run->whole_is_int, out);
        else
            *out = expr_string(sql_as_text(run, text));
    } else if (!object) {
        failed(run, ERR_INVALID, SQL_GET_SECRET, S("a key is asked for, and the secret is no JSON object"));
    } else {
        ExprValue all;
        expr_from_json(json, run->whole_is_int, &all);
        expr_member(&all, args[2].s, run->whole_is_int, out);
        if (out->type == EXPR_UNDEFINED) *out = expr_because(run, "the secret has no key '%.*s'", PS(args[2].s));
    }
}

static void call_registry(ExprRun *run, const ExprNode *node, const ExprValue *args, size_t n, ExprValue *out) {
    (void)node, (void)n;
    if (!str_eq(args[0].s, S("DescribeThing")) && !str_eq(args[0].s, S("ListThingGroupsForThing"))) {
        *out = expr_because(run, "the API is DescribeThing or ListThingGroupsForThing, got %.*s", PS(args[0].s));
        return;
    }
    SqlOutsideCall call = { .kind = SQL_GET_REGISTRY_DATA, .args = { args[0].s, args[1].s, args[2].s } };
    ask(run, &call, out);
}

/* A record is one layer of strings: inner objects are given as their JSON. Source: machinelearning_predict */
static void call_predict(ExprRun *run, const ExprNode *node, const ExprValue *args, size_t n, ExprValue *out) {
    (void)node, (void)n;
    if (args[2].type != EXPR_OBJECT) {
        *out = expr_because(run, "a record is an Object, got %.*s", PS(expr_shown(run, &args[2])));
        return;
    }
    size_t at = 0;
    ExprMember *flat = expr_make_members(run, expr_count(&args[2]));
    for (ExprEach each = expr_each(&args[2], run->whole_is_int); flat && expr_next(&each);) {
        Str text = expr_text(run, &each.value);
        if (text.ptr) flat[at++] = (ExprMember){ each.key, expr_string(text) };
    }
    ExprValue record = expr_members(flat, at);
    SqlOutsideCall call = { .kind = SQL_MACHINELEARNING_PREDICT,
                            .args = { args[0].s, args[1].s, expr_to_json(run, &record) } };
    ask(run, &call, out);
}

#define FN(fn_name, min, max, letters, from, of_kind, fn_call)                                                         \
    {                                                                                                                  \
        .name = STR_INIT(fn_name), .args_min = min, .args_max = max, .takes = letters, .since = from, .call = fn_call, \
        .reach = 1u << of_kind                                                                                         \
    }

static const ExprFn ITEMS[] = {
    FN("aws_lambda", 2, 2, "sb", SQL_2015_10_08, SQL_AWS_LAMBDA, call_lambda),
    FN("get_dynamodb", 4, 6, "v", SQL_2016_03_23, SQL_GET_DYNAMODB, call_dynamodb),
    FN("get_registry_data", 3, 3, "s", SQL_2016_03_23, SQL_GET_REGISTRY_DATA, call_registry),
    FN("get_secret", 3, 4, "s", SQL_2015_10_08, SQL_GET_SECRET, call_secret),
    FN("get_thing_shadow", 2, 3, "s", SQL_2016_03_23, SQL_GET_THING_SHADOW, call_thing_shadow),
    FN("machinelearning_predict", 3, 3, "ssv", SQL_2015_10_08, SQL_MACHINELEARNING_PREDICT, call_predict),
};

const ExprFns sql_outside_functions = { ITEMS, sizeof ITEMS / sizeof *ITEMS };
