/* IAM, as much of it as roles need: roles with the policies written into them and attached to them, and the account's
 * own policies. There are no users, groups or instance profiles: access keys are `starling key`.
 * Source: AWS IAM API reference */
#pragma once

#include "generated/identity_records.h"
#include "services/query.h"

extern const QueryService IAM_SERVICE;

/* Of every action: one line of the table. */
Err iam_create_role(Query *q);
Err iam_get_role(Query *q);
Err iam_list_roles(Query *q);
Err iam_update_role(Query *q);
Err iam_update_assume_role_policy(Query *q);
Err iam_delete_role(Query *q);
Err iam_tag_role(Query *q);
Err iam_untag_role(Query *q);
Err iam_list_role_tags(Query *q);
Err iam_list_instance_profiles_for_role(Query *q);
Err iam_put_role_policy(Query *q);
Err iam_get_role_policy(Query *q);
Err iam_list_role_policies(Query *q);
Err iam_delete_role_policy(Query *q);
Err iam_attach_role_policy(Query *q);
Err iam_detach_role_policy(Query *q);
Err iam_list_attached_role_policies(Query *q);
Err iam_create_policy(Query *q);
Err iam_get_policy(Query *q);
Err iam_list_policies(Query *q);
Err iam_delete_policy(Query *q);
Err iam_create_policy_version(Query *q);
Err iam_get_policy_version(Query *q);
Err iam_list_policy_versions(Query *q);
Err iam_set_default_policy_version(Query *q);
Err iam_delete_policy_version(Query *q);

/* ---- what they share ---- */

/* Where IAM keeps what is the caller's account's. */
Tenant iam_tenant(const Query *q);
enum { IAM_NAME_MAX = 128, IAM_ROLE_NAME_MAX = 64, IAM_PATH_MAX = 512 };
#define IAM_NAME_CHARS "_+=,.@-"
/* The parameter RoleName's role; the caller may `action` on it. Errors: ERR_API, NoSuchEntity … */
NODISCARD Err iam_role(Query *q, const char *action, RoleRecord *out);
/* Path, "/" where it is not given. Errors: ERR_API */
NODISCARD Err iam_path(Query *q, Str *out);
/* An IAM document in the parameter PolicyDocument, compiled to see that it is one. Errors: ERR_API */
NODISCARD Err iam_document(Query *q, Str *out);
void iam_write_tags(Query *q, const StrMap *tags);
/* The role's temporary keys have other policies after the commit. */
void iam_role_changed(Query *q, Str role_name);
