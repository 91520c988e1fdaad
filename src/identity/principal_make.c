#include "identity/principal_make.h"

#include <stdatomic.h>
#include <stdlib.h>

#include "identity/vars_code.h"
#include "identity/x509.h"

enum { ARENA_BYTES = 1024 }; /* what a device mostly needs: there may be hundreds of thousands */

static Principal *principal_new(PrincipalKind kind, Str account, Str id) {
    Principal *p = mem_new(sizeof *p);
    p->arena.block_bytes = ARENA_BYTES;
    p->kind = kind;
    p->account = str_dup(&p->arena, account);
    p->id = str_dup(&p->arena, id);
    p->not_after_ms = INT64_MAX;
    atomic_init(&p->refs, 1);
    return p;
}

static Str str_keep(Arena *a, Str s) { /* absent stays absent */
    return s.ptr ? str_dup(a, s) : STR_NONE;
}

static Str *strs_keep(Arena *a, const Str *from, size_t n) {
    Str *to = arena_array(a, Str, n);
    for (size_t i = 0; i < n; i++) to[i] = str_keep(a, from[i]);
    return to;
}

static const StrPair *pairs_keep(Arena *a, const StrPair *from, size_t n) {
    StrPair *to = arena_array(a, StrPair, n);
    for (size_t i = 0; i < n; i++) to[i] = (StrPair){ str_keep(a, from[i].key), str_keep(a, from[i].value) };
    return to;
}

static void set_vars(Principal *p, const PolicyVar *vars, size_t n) {
    PolicyVar *to = arena_array(&p->arena, PolicyVar, n);
    for (size_t i = 0; i < n; i++)
        to[i] =
            (PolicyVar){ str_dup(&p->arena, vars[i].name), strs_keep(&p->arena, vars[i].values, vars[i].n), vars[i].n };
    p->vars = to;
    p->vars_n = n;
}

static void set_things(Principal *p, const PrincipalThing *things, size_t n) {
    PrincipalThing *to = arena_array(&p->arena, PrincipalThing, n);
    for (size_t i = 0; i < n; i++) {
        to[i] = things[i];
        to[i].name = str_dup(&p->arena, things[i].name);
        to[i].type_name = str_keep(&p->arena, things[i].type_name);
        to[i].attributes = strs_keep(&p->arena, things[i].attributes, 2 * things[i].attributes_n);
        to[i].groups = strs_keep(&p->arena, things[i].groups, things[i].groups_n);
        to[i].properties = pairs_keep(&p->arena, things[i].properties, things[i].properties_n);
    }
    p->things = to;
    p->things_n = n;
}

static Err set_certificate(Principal *p, const PrincipalSpec *spec, Arena *scratch) {
    if (spec->old) {
        set_vars(p, spec->old->vars, spec->old->vars_n);
        p->not_before_ms = spec->old->not_before_ms;
        p->not_after_ms = spec->old->not_after_ms;
        return OK;
    }
    const PolicyVar *vars;
    size_t n;
    if (vars_decode(spec->loaded->vars, scratch, &vars, &n)) {
        set_vars(p, vars, n);
        p->not_before_ms = spec->loaded->not_before_ms;
        p->not_after_ms = spec->loaded->not_after_ms;
        return OK;
    }
    CertInfo cert;
    Str why;
    if (x509_parse(spec->loaded->pem, scratch, &cert, &why) != OK) return ERR_CORRUPT;
    set_vars(p, cert.vars, cert.vars_n);
    p->not_before_ms = cert.not_before_ms;
    p->not_after_ms = cert.not_after_ms;
    return OK;
}

static Err set_policies(Principal *p, const PrincipalSpec *spec) {
    const Loaded *loaded = spec->loaded;
    p->policies = arena_array(&p->arena, PolicySlot *, loaded->policies_n);
    for (size_t i = 0; i < loaded->policies_n; i++) {
        Err e = policy_book_take(spec->policies, spec->account, loaded->policies[i], &p->policies[i]);
        if (e != OK) return e;
        p->policies_n = i + 1;
    }
    return OK;
}

Err principal_make(const PrincipalSpec *spec, Arena *scratch, Principal **out) {
    Principal *p = principal_new(PRINCIPAL_CERTIFICATE, spec->account, spec->id);
    p->arn =
        str_format(&p->arena, "arn:aws:iot:%.*s:%.*s:cert/%.*s", PS(spec->region), PS(spec->account), PS(spec->id));
    p->generation = spec->generation;
    set_things(p, spec->loaded->things, spec->loaded->things_n);
    Err e = set_certificate(p, spec, scratch);
    if (e == OK) e = set_policies(p, spec);
    if (e != OK) {
        principal_release(p);
        return e;
    }
    *out = p;
    return OK;
}

Principal *principal_make_custom(Str account, Str region, Str id, Policy **policies, size_t n) {
    Principal *p = principal_new(PRINCIPAL_CUSTOM, account, id);
    p->arn = str_format(&p->arena, "arn:aws:iot:%.*s:%.*s:custom/%.*s", PS(region), PS(account), PS(id));
    p->policies = arena_array(&p->arena, PolicySlot *, n);
    for (size_t i = 0; i < n; i++) p->policies[p->policies_n++] = policy_slot_fixed(policies[i]);
    return p;
}

Principal *principal_make_nobody(Str account) {
    Principal *p = principal_new(PRINCIPAL_CUSTOM, account, S("-"));
    p->arn = S("-");
    return p;
}

Principal *principal_make_plain(Str account, Str region) {
    static const char ALLOW_ALL[] = "{\"Version\":\"2012-10-17\",\"Statement\":"
                                    "[{\"Effect\":\"Allow\",\"Action\":\"iot:*\",\"Resource\":\"*\"}]}";
    Principal *p = principal_new(PRINCIPAL_PLAIN, account, S("plain"));
    p->arn = str_format(&p->arena, "arn:aws:iot:%.*s:%.*s:plain", PS(region), PS(account));
    p->policies = arena_array(&p->arena, PolicySlot *, 1);
    Policy *policy;
    PolicyFault fault;
    /* Were it ever refused, the principal would have no policy: denied everything. */
    if (policy_compile(S("plain"), str_c(ALLOW_ALL), POLICY_IOT, &p->arena, &policy, &fault) == OK)
        p->policies[p->policies_n++] = policy_slot_fixed(policy);
    return p;
}
