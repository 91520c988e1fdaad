/* Endpoints that a service tells of itself (Timestream): asked for once, kept for as long as the service says. Safe
 * from every thread. Source: the SDKs' guide, "Endpoint discovery"; Timestream Write API, DescribeEndpoints */
#pragma once

#include "aws/service.h"

typedef struct Discovery Discovery;

Discovery *discovery_new(void);
void discovery_free(Discovery *d); /* accepts NULL */

/* Where to call; false: it must be asked for. Owns: out->host lives in the arena */
bool discovery_get(Discovery *d, const AwsService *service, int64_t now_ms, Arena *arena, Str *host);
void discovery_keep(Discovery *d, const AwsService *service, Str host, int64_t until_ms);
/* The service says that it is no address of its own (any more). */
void discovery_forget(Discovery *d, const AwsService *service);

/* DescribeEndpoints' answer. Pure. Shape: {"Endpoints":[{"Address":"HOST[:PORT]","CachePeriodInMinutes":1440}]}
 * Errors: ERR_MALFORMED */
NODISCARD Err discovery_read(Str body, Arena *arena, Str *host, int64_t *keep_ms);
