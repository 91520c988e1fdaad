/* The credentials that outgoing calls are signed with, found where AWS's SDKs find them. */
#pragma once

#include "aws/service.h"

typedef struct {
    Str access_key, secret, token; /* token STR_NONE: none */
} AwsCredentials;

/* AWS_ACCESS_KEY_ID and its like in the environment; else the profile (`profile`, AWS_PROFILE, "default") of the file
 * that AWS_SHARED_CREDENTIALS_FILE names, or ~/.aws/credentials. A given `profile` goes before the environment's keys.
 * Errors: ERR_NOT_FOUND with *why: what to set
 * Source: the SDKs' guide, "Shared config and credentials files" */
NODISCARD Err aws_credentials_find(const char *profile, AwsEnvironment *env, Arena *arena, AwsCredentials *out,
                                   Str *why);
/* The same out of a file's text. Pure. Errors: ERR_NOT_FOUND: no such profile, or a key is missing in it */
NODISCARD Err aws_credentials_read(Str text, Str profile, AwsCredentials *out);
