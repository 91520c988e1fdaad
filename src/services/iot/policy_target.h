/* What policies attach to: certificates, thing groups, Cognito identities. */
#pragma once

#include "services/iot/policy_shared.h"

typedef enum { TARGET_CERTIFICATE, TARGET_GROUP, TARGET_COGNITO } TargetKind;
typedef struct {
    TargetKind kind;
    Str text; /* as given: the key of attachments */
    Str name; /* certificate id, group name, Cognito identity id */
} PolicyTarget;

/* Shape: …:cert/ID or …:thinggroup/NAME of the call's account and region, or REGION:UUID of Cognito
 * Errors: ERR_API, InvalidRequestException */
NODISCARD Err target_parse(Call *c, Str text, PolicyTarget *out);
/* As target_parse, but a group is refused: for the deprecated operations on principals. */
NODISCARD Err target_parse_principal(Call *c, Str text, PolicyTarget *out);
/* It exists. Errors: ERR_API, ResourceNotFoundException */
NODISCARD Err target_check(Call *c, const PolicyTarget *t);
/* It exists, and until the commit nobody else deletes it or attaches to it. Cognito's are not known here: they pass.
 * Errors: ERR_API, ResourceNotFoundException; InvalidRequestException for a dynamic group */
NODISCARD Err target_hold(Call *c, const PolicyTarget *t);
/* After the commit: connections that the target concerns are decided anew. */
void target_tell(Call *c, const PolicyTarget *t);
/* Names of the policies attached to it, by name. Owns: *out lives in the call's arena */
NODISCARD Err target_policies(Call *c, Str target, StrList *out);
/* The group's ARN and those of its ancestors, added to *targets where they are not in it yet. */
NODISCARD Err target_add_group(Call *c, Str group_name, StrList *targets);
/* Appends where it is not in the list yet. */
void list_add_once(Call *c, StrList *list, Str s);
