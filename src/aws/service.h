/* AWS's services as the rules' actions call them: how each is named, addressed and spoken to. */
#pragma once

#include "base/arena.h"

typedef struct {
    Str name; /* in `--aws-endpoint NAME=URL` */
    Str env; /* AWS_ENDPOINT_URL_…. Source: the SDKs' guide, "Service-specific endpoints": the service id, upper case */
    Str host;    /* before .REGION.amazonaws.com */
    Str signing; /* in the credential scope */
    Str target;  /* JSON protocols: before the dot of X-Amz-Target; STR_NONE: another protocol */
    Str version; /* JSON: "1.0", "1.1"; query: the API's version */
    bool query;  /* AWS's query protocol: parameters in a form, XML comes back */
    /* The address above only tells where to call (DescribeEndpoints); not where an endpoint is set.
     * Source: botocore's model, endpointdiscovery required */
    bool discovers;
} AwsService;

/* NULL: there is no such service here. */
const AwsService *aws_service(Str name);
/* The names of all, for error texts. */
Str aws_service_names(Arena *arena);

typedef struct {
    Str scheme, host, path; /* host with the port where it is not the scheme's; path without a slash at its end */
    bool custom;            /* not AWS's own */
} AwsEndpoint;

/* Shape:  http://HOST[:PORT][/PATH] or https://…
 * Errors: ERR_INVALID with *why
 * Owns:   *out borrows from url */
NODISCARD Err aws_endpoint_parse(Str url, Arena *arena, AwsEndpoint *out, Str *why);

/* Where calls to a service go: a setting, the environment's AWS_ENDPOINT_URL_SERVICE or AWS_ENDPOINT_URL, else AWS.
 * `settings` is what --aws-endpoint says: NAME=URL, separated by commas.
 * Errors: ERR_INVALID with *why */
typedef const char *AwsEnvironment(const char *name);
NODISCARD Err aws_endpoint_of(const AwsService *service, Str region, Str settings, AwsEnvironment *env, Arena *arena,
                              AwsEndpoint *out, Str *why);
/* All of it is well-formed, and names services that are here. */
NODISCARD Err aws_endpoint_settings_check(Str settings, Arena *arena, Str *why);
