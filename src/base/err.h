/* One closed list of ways to fail, for every folder.
 * A function that can fail returns Err, must be listened to, and leaves its out parameters untouched. */
#pragma once

#define NODISCARD __attribute__((warn_unused_result))
#define PRINTF_LIKE(fmt, first) __attribute__((format(printf, fmt, first)))

typedef enum {
    OK = 0,
    ERR_MALFORMED, /* bytes that are not what their format says */
    ERR_INVALID,   /* well formed, but a value that is not allowed */
    ERR_LIMIT,     /* larger or more than the limit that applies */
    ERR_NOT_FOUND,
    ERR_EXISTS,
    ERR_CONFLICT,        /* a version, or a transaction that lost to another */
    ERR_DENIED,          /* known who asks, not allowed */
    ERR_UNAUTHENTICATED, /* not known who asks */
    ERR_NOT_IMPLEMENTED,
    ERR_AGAIN, /* nothing now; a later call may succeed */
    ERR_CLOSED,
    ERR_FULL,    /* no room left on the disk where the data is */
    ERR_IO,      /* the operating system or a peer failed */
    ERR_CORRUPT, /* stored bytes that do not check out */
    ERR_API,     /* the Call carries the AWS error (api_fail) */
} Err;

/* Shape: the enum's name without ERR_, lower case: "not found" */
const char *err_name(Err e);
