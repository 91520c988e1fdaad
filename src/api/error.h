/* The errors that belong to no model: what AWS's front answers before or instead of an operation. */
#pragma once

#include "api/op.h"

extern const ApiError api_errors[];
#define API_SERIALIZATION (&api_errors[0])      /* 400: a body or a value that cannot be read */
#define API_VALIDATION (&api_errors[1])         /* 400: where a service declares no such error itself */
#define API_ACCESS_DENIED (&api_errors[2])      /* 403 */
#define API_UNKNOWN_OPERATION (&api_errors[3])  /* 404 */
#define API_METHOD_NOT_ALLOWED (&api_errors[4]) /* 405 */
#define API_TOO_LARGE (&api_errors[5])          /* 413 */
#define API_THROTTLING (&api_errors[6])         /* 429 */
#define API_INTERNAL_FAILURE (&api_errors[7])   /* 500 */
#define API_NOT_IMPLEMENTED (&api_errors[8])    /* 501: Starling's own word, AWS has no such error */
#define API_UNSUPPORTED_TYPE (&api_errors[9])   /* 415 */
#define API_UNAVAILABLE (&api_errors[10])       /* 503 */

/* The service's error of that name, else the one above. */
const ApiError *api_error_of(const ApiService *s, const ApiError *general);
