/* Endpoint names: each account has host names of its own, and what a client asked for by SNI tells the account. Pure.
 *
 *   PREFIX-ats.iot.REGION.DOMAIN           iot:Data-ATS     PREFIX.credentials.iot.REGION.DOMAIN iot:CredentialProvider
 *   PREFIX.iot.REGION.DOMAIN               iot:Data         PREFIX.jobs.iot.REGION.DOMAIN         iot:Jobs
 *
 * Source: AWS IoT developer guide, "Connecting devices to AWS IoT", and DescribeEndpoint */
#pragma once

#include "base/arena.h"

enum { ACCOUNT_DIGITS = 12 };
typedef struct {
    char digits[ACCOUNT_DIGITS + 1]; /* terminated; empty: none */
    const char *type;                /* of the endpoint: "iot:Data-ATS" …; lives for ever */
} AccountName;

/* Shape: 14 of a-z 2-7, always the same for this account of 12 digits */
Str endpoint_prefix(Str account, Arena *arena);
/* The name of that type ("iot:Data-ATS" …); STR_NONE for a type that there is not. */
Str endpoint_host(Str account, Str type, Str region, Str domain, Arena *arena);
/* Whose endpoint the host name is, in whatever domain; false, and *out empty, when it is nobody's. */
bool endpoint_account(Str host, AccountName *out);
