/* What a role alias says of a role must be possible. A role need not be there yet when an alias is made for it: then
 * the credentials provider says so. Source: CreateRoleAlias; IAM identifiers */
#include "generated/iot.h"
#include "generated/iot_resources.h"
#include "identity/role.h"

static Err check(Call *c, const RoleAliasRecord *alias) {
    Str account;
    RoleRecord role;
    if (!role_arn_account(alias->role_arn, &account))
        return api_fail(c, IOT_INVALID_REQUEST, "Invalid role ARN '%.*s': arn:aws:iam::ACCOUNT:role/NAME is expected",
                        PS(str_sub(alias->role_arn, 0, 200)));
    if (!str_eq(account, c->account)) /* Source: the guide: the role belongs to the same account */
        return api_fail(c, IOT_INVALID_REQUEST, "Cross-account pass role is not allowed.");
    Err e = role_of_arn(c->txn, c->account, alias->role_arn, c->arena, &role);
    if (e == ERR_NOT_FOUND) return OK;
    if (e == OK && alias->credential_duration_seconds > role.session_s_max)
        e = api_fail(c, IOT_INVALID_REQUEST,
                     "credentialDurationSeconds %lld exceeds the MaxSessionDuration of the role, %lld",
                     (long long)alias->credential_duration_seconds, (long long)role.session_s_max);
    return e;
}

Err iot_role_alias_creating(Call *c, const IotCreateRoleAliasIn *in, RoleAliasRecord *record) {
    (void)in;
    return check(c, record);
}

Err iot_role_alias_updating(Call *c, const IotUpdateRoleAliasIn *in, const RoleAliasRecord *old,
                            RoleAliasRecord *record) {
    (void)in, (void)old;
    return check(c, record);
}
