#include "rules/right.h"

#include "base/clock.h"
#include "base/writer.h"
#include "identity/connection_vars.h"

/* The right of each kind is data (ActionKind.right), but for those whose action or resource depends on the parameters.
 * Conditions see what AWS gives a service that acts for a resource: aws:SourceArn, aws:SourceAccount, and the moment.
 * Source: IAM user guide, "The confused deputy problem" */

Str right_role(const ActionKind *kind, const void *action) {
    const ApiShape *shape = action_member(kind)->shape;
    if (!kind->right.action && !kind->right_of) return STR_NONE;
    for (size_t i = 0; i < shape->members_n; i++)
        if (str_eq(shape->members[i].name, S("roleArn")))
            return *(const Str *)((const char *)action + shape->members[i].offset);
    return STR_NONE;
}

/* "arn:aws:kinesis:{region}:{account}:stream/{}": {} is what the kind calls its resource. */
static Str fill(const char *pattern, const RightAsker *who, Str resource, Arena *arena) {
    const struct {
        Str name, value;
    } known[] = { { S("{}"), resource },
                  { S("{region}"), who->region },
                  { S("{account}"), who->account },
                  { S("{rule}"), who->rule_name } };
    Writer w = writer_in(arena);
    for (Str rest = str_c(pattern); rest.len;) {
        size_t open = str_find(rest, '{'), i = 0, n = sizeof known / sizeof *known;
        writer_bytes(&w, str_sub(rest, 0, open == SIZE_MAX ? rest.len : open));
        if (open == SIZE_MAX) break;
        rest = str_from(rest, open);
        while (i < n && !str_starts(rest, known[i].name)) i++;
        writer_bytes(&w, i < n ? known[i].value : str_sub(rest, 0, 1));
        rest = str_from(rest, i < n ? known[i].name.len : 1);
    }
    return writer_str(&w);
}

Err right_ask(const RightAsker *who, Str action, Str resource, Arena *arena, Str *why) {
    Moment moment;
    PolicyVar vars[2 + MOMENT_VARS] = { { S("aws:SourceArn"), &who->rule_arn, 1 },
                                        { S("aws:SourceAccount"), &who->account, 1 } };
    moment_vars(real_ms(), &moment, vars + 2);
    return role_seat_may(who->book, who->seat, action, resource, vars, sizeof vars / sizeof *vars, arena, why);
}

Err right_check(const RightAsker *who, const ActionKind *kind, const void *action, Arena *arena, Str *why) {
    if (!who->seat || !role_seat_known(who->book, who->seat)) return OK;
    ActionRight right = kind->right_of ? kind->right_of(arena, action) : kind->right;
    Str resource = kind->resource ? kind->resource(arena, action) : S("");
    return right_ask(who, str_c(right.action), fill(right.resource, who, resource, arena), arena, why);
}
