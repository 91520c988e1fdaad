#include "identity/policy_compiled.h"

static bool begins(Str name, Str prefix) {
    return str_eq_nocase(str_sub(name, 0, prefix.len), prefix);
}

static bool template_asks(const Template *t, size_t n, Str prefix) {
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < t[i].n; k++)
            if (t[i].parts[k].name.ptr && begins(t[i].parts[k].name, prefix)) return true;
    return false;
}

static bool statement_asks(const Statement *s, Str prefix) {
    for (size_t i = 0; i < s->conditions_n; i++) {
        const Condition *c = &s->conditions[i];
        if (begins(c->key, prefix) || template_asks(c->values, c->n, prefix)) return true;
    }
    return template_asks(s->resources, s->resources_n, prefix);
}

bool policy_asks(const PolicyBound *bound, Str prefix) {
    for (size_t i = 0; i < bound->n; i++)
        if (statement_asks(bound->statements[i].statement, prefix)) return true;
    return false;
}

/* Source: AWS IoT developer guide, "Basic AWS IoT Core policy variables", names aws:SourceIp alone of IAM's global
 * keys; the other three are given as well here, so that a Deny by time or transport binds. */
static bool is_given(Str key) {
    static const Str GIVEN[] = { STR_INIT("aws:SourceIp"), STR_INIT("aws:SecureTransport"), STR_INIT("aws:CurrentTime"),
                                 STR_INIT("aws:EpochTime") };
    if (!begins(key, S("aws:"))) return true;
    for (size_t i = 0; i < sizeof GIVEN / sizeof *GIVEN; i++)
        if (str_eq_nocase(key, GIVEN[i])) return true;
    return false;
}

Str policy_vain_deny(const Policy *p) {
    for (size_t i = 0; i < p->statements_n; i++)
        for (size_t k = 0; k < p->statements[i].conditions_n; k++)
            if (p->statements[i].deny && !is_given(p->statements[i].conditions[k].key))
                return p->statements[i].conditions[k].key;
    return STR_NONE;
}
