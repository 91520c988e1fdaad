#include "identity/policy_condition.h"

#include "base/encode.h"
#include "identity/policy_value.h"

/* Every operator is a positive comparison of one value with one value, and perhaps its negation.
 *   Values of the policy:  one that compares is enough (so for a negated operator: none may).
 *   Values of the request: without a set operator one that compares is enough (negated: none may); ForAllValues asks
 *                          all of them, and is true of none; ForAnyValue asks one, and is false of none.
 *   Key absent:            false, but true for a negated operator, ForAllValues and …IfExists.
 *   A value whose variable is empty compares with nothing; a negated operator that would allow is then false too.
 * Source: IAM user guide, reference_policies_elements_condition_operators and -multi-value-conditions;
 *         AWS IoT developer guide, connect-policy (iot:ConnectAttributes) */

typedef enum {
    KIND_STRING,
    KIND_STRING_NOCASE,
    KIND_LIKE,
    KIND_NUMBER,
    KIND_DATE,
    KIND_BOOL,
    KIND_BINARY,
    KIND_ADDRESS,
    KIND_ARN,
    KIND_NULL,
} Kind;

typedef enum { ORDER_EQ, ORDER_LT, ORDER_LE, ORDER_GT, ORDER_GE } Order;

struct ConditionOp {
    Str name;
    Kind kind;
    bool negated;
    Order order;
};

static const ConditionOp ops[] = {
    { STR_INIT("StringEquals"), KIND_STRING, false, ORDER_EQ },
    { STR_INIT("StringNotEquals"), KIND_STRING, true, ORDER_EQ },
    { STR_INIT("StringEqualsIgnoreCase"), KIND_STRING_NOCASE, false, ORDER_EQ },
    { STR_INIT("StringNotEqualsIgnoreCase"), KIND_STRING_NOCASE, true, ORDER_EQ },
    { STR_INIT("StringLike"), KIND_LIKE, false, ORDER_EQ },
    { STR_INIT("StringNotLike"), KIND_LIKE, true, ORDER_EQ },
    { STR_INIT("NumericEquals"), KIND_NUMBER, false, ORDER_EQ },
    { STR_INIT("NumericNotEquals"), KIND_NUMBER, true, ORDER_EQ },
    { STR_INIT("NumericLessThan"), KIND_NUMBER, false, ORDER_LT },
    { STR_INIT("NumericLessThanEquals"), KIND_NUMBER, false, ORDER_LE },
    { STR_INIT("NumericGreaterThan"), KIND_NUMBER, false, ORDER_GT },
    { STR_INIT("NumericGreaterThanEquals"), KIND_NUMBER, false, ORDER_GE },
    { STR_INIT("DateEquals"), KIND_DATE, false, ORDER_EQ },
    { STR_INIT("DateNotEquals"), KIND_DATE, true, ORDER_EQ },
    { STR_INIT("DateLessThan"), KIND_DATE, false, ORDER_LT },
    { STR_INIT("DateLessThanEquals"), KIND_DATE, false, ORDER_LE },
    { STR_INIT("DateGreaterThan"), KIND_DATE, false, ORDER_GT },
    { STR_INIT("DateGreaterThanEquals"), KIND_DATE, false, ORDER_GE },
    { STR_INIT("Bool"), KIND_BOOL, false, ORDER_EQ },
    { STR_INIT("BinaryEquals"), KIND_BINARY, false, ORDER_EQ },
    { STR_INIT("IpAddress"), KIND_ADDRESS, false, ORDER_EQ },
    { STR_INIT("NotIpAddress"), KIND_ADDRESS, true, ORDER_EQ },
    { STR_INIT("ArnEquals"), KIND_ARN, false, ORDER_EQ },
    { STR_INIT("ArnLike"), KIND_ARN, false, ORDER_EQ },
    { STR_INIT("ArnNotEquals"), KIND_ARN, true, ORDER_EQ },
    { STR_INIT("ArnNotLike"), KIND_ARN, true, ORDER_EQ },
    { STR_INIT("Null"), KIND_NULL, false, ORDER_EQ },
};

static bool starts_nocase(Str s, Str prefix) {
    return s.len >= prefix.len && str_eq_nocase(str_sub(s, 0, prefix.len), prefix);
}

Err condition_parse_op(Str name, Condition *c) {
    Str all = S("ForAllValues:"), any = S("ForAnyValue:"), exists = S("IfExists");
    ConditionSet set = starts_nocase(name, all)   ? CONDITION_FOR_ALL
                       : starts_nocase(name, any) ? CONDITION_FOR_ANY
                                                  : CONDITION_ONE;
    if (set != CONDITION_ONE) name = str_from(name, set == CONDITION_FOR_ALL ? all.len : any.len);
    size_t bare = name.len > exists.len ? name.len - exists.len : 0;
    bool if_exists = bare && str_eq_nocase(str_from(name, bare), exists);
    if (if_exists) name = str_sub(name, 0, bare);
    for (size_t i = 0; i < sizeof ops / sizeof ops[0]; i++) {
        if (!str_eq_nocase(ops[i].name, name)) continue;
        if (ops[i].kind == KIND_NULL && (if_exists || set != CONDITION_ONE)) return ERR_INVALID;
        c->op = &ops[i];
        c->set = set;
        c->if_exists = if_exists;
        return OK;
    }
    return ERR_INVALID;
}

static bool is_bool(Str s) {
    return str_eq_nocase(s, S("true")) || str_eq_nocase(s, S("false"));
}

/* Whether the text can be compared at all, and with what it can. */
static const char *wrong_with(Kind kind, Str text, Arena *arena) {
    double number;
    int64_t ms;
    PolicyNet net;
    Str bytes;
    switch (kind) {
    case KIND_NUMBER: return policy_number(text, &number) == OK ? NULL : "a number";
    case KIND_DATE: return policy_date(text, &ms) == OK ? NULL : "a date such as 2026-01-31T12:00:00Z";
    case KIND_ADDRESS: return policy_net(text, &net) == OK ? NULL : "an IP address or a range such as 10.0.0.0/8";
    case KIND_BINARY: return base64_decode(arena, text, &bytes) == OK ? NULL : "base64";
    case KIND_BOOL:
    case KIND_NULL: return is_bool(text) ? NULL : "true or false";
    default: return NULL;
    }
}

Err condition_parse_value(const Condition *c, Str text, bool variables, Arena *arena, Template *out, Str *reason) {
    Kind kind = c->op->kind;
    TemplateRules rules = { .wildcards = kind == KIND_LIKE || kind == KIND_ARN, .variables = variables };
    Template t;
    if (template_parse(text, rules, arena, &t, reason) != OK) return ERR_INVALID;
    const char *right = t.variable ? NULL : wrong_with(kind, t.glob.pattern, arena);
    if (right) {
        *reason = str_format(arena, "Invalid value \"%.*s\" for the condition %.*s: it must be %s", PS(text),
                             PS(c->label), right);
        return ERR_INVALID;
    }
    *out = t;
    return OK;
}

static bool ordered(Order order, int cmp) {
    switch (order) {
    case ORDER_EQ: return cmp == 0;
    case ORDER_LT: return cmp < 0;
    case ORDER_LE: return cmp <= 0;
    case ORDER_GT: return cmp > 0;
    default: return cmp >= 0;
    }
}

/* Each of an ARN's six parts is matched by itself, so a star before the fifth colon stops there. */
static bool arn_like(Str pattern, Str arn) {
    if (pattern.len == 1 && pattern.ptr[0] == GLOB_ANY) return true;
    for (int part = 0; part < 5; part++) {
        if (str_find(pattern, ':') == SIZE_MAX || str_find(arn, ':') == SIZE_MAX) return false;
        Glob g = glob_from(str_cut(&pattern, ':'));
        if (!glob_match(&g, str_cut(&arn, ':'))) return false;
    }
    Glob last = glob_from(pattern);
    return glob_match(&last, arn);
}

static bool compares(const ConditionOp *op, const Glob *want, Str have, Arena *arena) {
    double a, b;
    int64_t da, db;
    PolicyNet net, address;
    Str x, y;
    switch (op->kind) {
    case KIND_STRING: return str_eq(have, want->pattern);
    case KIND_STRING_NOCASE:
    case KIND_BOOL: return str_eq_nocase(have, want->pattern);
    case KIND_LIKE: return glob_match(want, have);
    case KIND_ARN: return arn_like(want->pattern, have);
    case KIND_NUMBER:
        if (policy_number(have, &a) != OK || policy_number(want->pattern, &b) != OK) return false;
        return ordered(op->order, (a > b) - (a < b));
    case KIND_DATE:
        if (policy_date(have, &da) != OK || policy_date(want->pattern, &db) != OK) return false;
        return ordered(op->order, (da > db) - (da < db));
    case KIND_ADDRESS:
        return policy_net(want->pattern, &net) == OK && policy_net(have, &address) == OK &&
               policy_net_has(&net, &address);
    case KIND_BINARY:
        return base64_decode(arena, want->pattern, &x) == OK && base64_decode(arena, have, &y) == OK && str_eq(x, y);
    default: return false;
    }
}

/* *empty: some value had a variable without a value. */
static bool any_compares(const Condition *c, Str have, const PolicyScope *scope, Arena *arena, bool *empty) {
    for (size_t i = 0; i < c->n; i++) {
        const Glob *globs;
        size_t n;
        if (template_expand(&c->values[i], scope, arena, &globs, &n) != OK) {
            *empty = true;
            continue;
        }
        for (size_t g = 0; g < n; g++)
            if (compares(c->op, &globs[g], have, arena)) return true;
    }
    return false;
}

static size_t present(PolicyValues v) {
    size_t n = 0;
    for (size_t i = 0; i < v.n; i++) n += v.values[i].ptr != NULL;
    return n;
}

static bool null_holds(const Condition *c, bool absent, const PolicyScope *scope, Arena *arena) {
    bool empty = false;
    return any_compares(&(Condition){ .op = &(ConditionOp){ .kind = KIND_BOOL }, .values = c->values, .n = c->n },
                        absent ? S("true") : S("false"), scope, arena, &empty);
}

bool condition_holds(const Condition *c, const PolicyScope *scope, Arena *arena) {
    PolicyValues v = policy_key_values(scope, c->key);
    bool absent = present(v) == 0, negated = c->op->negated;
    if (c->op->kind == KIND_NULL) return null_holds(c, absent, scope, arena);
    if (absent) {
        if (c->if_exists || c->set == CONDITION_FOR_ALL) return true;
        return negated && c->set != CONDITION_FOR_ANY;
    }
    size_t some = 0, all = 0;
    bool empty = false;
    for (size_t i = 0; i < v.n; i++) {
        if (!v.values[i].ptr) continue;
        some += any_compares(c, v.values[i], scope, arena, &empty);
        all++;
    }
    if (negated && empty && !c->deny) return false;
    if (c->set == CONDITION_FOR_ALL) return negated ? some == 0 : some == all;
    if (c->set == CONDITION_FOR_ANY) return negated ? some < all : some > 0;
    return negated ? some == 0 : some > 0;
}

bool condition_is_settled(const Condition *c, const PolicyScope *scope) {
    if (!present(policy_key_values(scope, c->key))) return false;
    for (size_t i = 0; i < c->n; i++)
        if (!template_is_settled(&c->values[i], scope)) return false;
    return true;
}

Str condition_missing(const Condition *c, const PolicyScope *scope) {
    for (size_t i = 0; i < c->n; i++) {
        Str name = template_missing(&c->values[i], scope);
        if (name.ptr) return name;
    }
    return STR_NONE;
}
