#include "identity/connection_vars.h"

#include <stdio.h>
#include <time.h>

const PrincipalThing *connection_thing(const Principal *p, Str client_id) {
    const PrincipalThing *named = NULL;
    for (size_t i = 0; i < p->things_n; i++) {
        if (p->things[i].exclusive) return &p->things[i];
        if (client_id.len && str_eq(p->things[i].name, client_id)) named = &p->things[i];
    }
    return named;
}

typedef struct {
    PolicyVar *vars;
    size_t n;
    Arena *arena;
} List;

static void add(List *l, Str name, Str value) {
    if (!value.ptr) return;
    Str *one = arena_new(l->arena, Str);
    *one = value;
    l->vars[l->n++] = (PolicyVar){ name, one, 1 };
}

static void add_thing(List *l, const PrincipalThing *t) {
    add(l, S("iot:Connection.Thing.ThingName"), t->name);
    add(l, S("iot:Connection.Thing.ThingTypeName"), t->type_name);
    for (size_t i = 0; i < t->attributes_n; i++)
        add(l, str_format(l->arena, "iot:Connection.Thing.Attributes[%.*s]", PS(t->attributes[2 * i])),
            t->attributes[2 * i + 1]);
}

void connection_vars(const Principal *p, const ConnectionFacts *facts, Arena *arena, const PolicyVar **out,
                     size_t *out_n) {
    enum { FIXED = 7 };
    const PrincipalThing *thing = facts->client_id.ptr ? connection_thing(p, facts->client_id) : NULL;
    List l = { .arena = arena };
    l.vars = arena_array(arena, PolicyVar, FIXED + (thing ? thing->attributes_n : 0) + p->vars_n);
    add(&l, S("iot:ClientId"), facts->client_id);
    add(&l, S("aws:SourceIp"), facts->source_ip);
    add(&l, S("aws:SecureTransport"), facts->secure);
    add(&l, S("iot:DomainName"), facts->domain_name);
    if (facts->client_id.ptr) add(&l, S("iot:Connection.Thing.IsAttached"), thing ? S("true") : S("false"));
    if (thing) add_thing(&l, thing);
    if (p->vars_n) memcpy(l.vars + l.n, p->vars, p->vars_n * sizeof *p->vars);
    *out = l.vars;
    *out_n = l.n + p->vars_n;
}

/* Source: IAM user guide, "AWS global condition context keys" */
void moment_vars(int64_t now_ms, Moment *keep, PolicyVar out[MOMENT_VARS]) {
    time_t t = (time_t)(now_ms / 1000);
    struct tm tm;
    gmtime_r(&t, &tm);
    if (!strftime(keep->text[0], sizeof keep->text[0], "%Y-%m-%dT%H:%M:%SZ", &tm)) keep->text[0][0] = 0;
    snprintf(keep->text[1], sizeof keep->text[1], "%lld", (long long)t);
    for (size_t i = 0; i < MOMENT_VARS; i++) keep->values[i] = str_c(keep->text[i]);
    out[0] = (PolicyVar){ S("aws:CurrentTime"), &keep->values[0], 1 };
    out[1] = (PolicyVar){ S("aws:EpochTime"), &keep->values[1], 1 };
}

bool moment_matters(const PolicyBound *bound) {
    return policy_asks(bound, S("aws:CurrentTime")) || policy_asks(bound, S("aws:EpochTime"));
}
