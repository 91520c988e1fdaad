#include "identity/explain.h"

#include "base/writer.h"

static void write_statement(Writer *w, const Policy *policy, int statement, Str id) {
    writer_format(w, "statement %d", statement + 1);
    if (id.len) writer_format(w, " (%.*s)", PS(id));
    writer_format(w, " of policy %.*s", PS(policy_name(policy)));
}

static void write_near(Writer *w, const PolicyNear *near) {
    writer_bytes(w, S("  "));
    write_statement(w, near->policy, near->statement, near->statement_id);
    writer_bytes(w, near->deny ? S(" would deny the action, but ") : S(" would allow the action, but "));
    switch (near->kind) {
    case POLICY_NEAR_RESOURCE: writer_format(w, "names other resources: %.*s\n", PS(near->detail)); break;
    case POLICY_NEAR_VARIABLE: writer_format(w, "its variable ${%.*s} has no value here\n", PS(near->detail)); break;
    case POLICY_NEAR_CONDITION: writer_format(w, "its condition %.*s does not hold\n", PS(near->detail)); break;
    }
}

static void write_advice(Writer *w, PolicyDecision decision, Str action, Str resource, const PolicyWhy *why) {
    if (decision == POLICY_EXPLICIT_DENY) {
        writer_bytes(w, S("To allow it: change or detach what denies; no Allow outweighs a Deny.\n"));
        return;
    }
    for (size_t i = 0; i < why->near_n; i++) {
        if (why->near[i].deny || why->near[i].kind != POLICY_NEAR_VARIABLE) continue;
        writer_format(w, "To allow it: give ${%.*s} a value", PS(why->near[i].detail));
        if (str_starts(why->near[i].detail, S("iot:Connection.Thing.")))
            writer_bytes(
                w, S(" (attach the certificate to the thing whose name is the client id; --client-id says which)"));
        writer_bytes(w, S(".\n"));
        return;
    }
    writer_format(w, "To allow it: attach a policy with Allow for Action \"%.*s\" on Resource \"%.*s\".\n", PS(action),
                  PS(resource));
}

Str policy_explain(PolicyDecision decision, Str action, Str resource, const PolicyWhy *why, Arena *arena) {
    Writer w = writer_in(arena);
    const char *word = decision == POLICY_ALLOWED         ? "ALLOWED"
                       : decision == POLICY_EXPLICIT_DENY ? "DENIED (explicitly)"
                                                          : "DENIED (nothing allows it)";
    writer_format(&w, "%s: %.*s on %.*s\n", word, PS(action), PS(resource));
    if (why->policy) {
        writer_bytes(&w, S("  decided by "));
        write_statement(&w, why->policy, why->statement, why->statement_id);
        writer_bytes(&w, S("\n"));
    }
    if (decision == POLICY_IMPLICIT_DENY && why->near_n == 0)
        writer_bytes(&w, S("  no statement of the attached policies names this action\n"));
    for (size_t i = 0; i < why->near_n; i++) {
        bool useful = decision == POLICY_IMPLICIT_DENY ? !why->near[i].deny : why->near[i].kind == POLICY_NEAR_VARIABLE;
        if (useful) write_near(&w, &why->near[i]);
    }
    for (size_t i = 0; i < why->missing_n; i++)
        writer_format(&w, "  the variable ${%.*s} has no value\n", PS(why->missing[i]));
    if (decision != POLICY_ALLOWED) write_advice(&w, decision, action, resource, why);
    return writer_str(&w);
}
