/* Fetch: HTTP and HTTPS requests outward, any number at once on one thread of its own. Connections are kept and used
 * again, a host gets so many at most. Knows neither signatures nor retries: one request, one answer. */
#pragma once

#include "base/arena.h"
#include "net/header.h"

typedef struct Fetch Fetch;

typedef struct {
    int64_t connections_per_host_max, connections_max, waiting_max; /* 0: FETCH_…; waiting: requests not answered yet */
    /* Whoever writes the URLs is not the operator: no address of this machine and none of its own link is connected to,
     * whatever the host name resolves to (a cloud's metadata service is there). No proxy. Connections are not shared
     * with another Fetch's. */
    bool elsewhere_only;
} FetchOptions;
enum { FETCH_PER_HOST_MAX = 16, FETCH_CONNECTIONS_MAX = 256, FETCH_WAITING_MAX = 16384 };

/* All of it is copied. Zero and STR_NONE mean the default. */
typedef struct {
    Str method, url;           /* method: GET, or POST where there is a body */
    const HttpHeader *headers; /* free of CR and LF. Host comes from url, Content-Length from body */
    size_t headers_n;
    Str body;
    const char *ca_file;             /* PEM; what to trust instead of the system's CAs */
    Str client_cert_pem, client_key; /* PEM, both or none */
    int64_t connect_ms, total_ms;    /* total: from fetch_start on, waiting for a connection included */
    size_t answer_bytes_max;         /* of its body */
    int redirects_max;
} FetchRequest;
enum { FETCH_CONNECT_MS = 5000, FETCH_TOTAL_MS = 30000, FETCH_ANSWER_BYTES_MAX = 1 << 20, FETCH_HEADERS_MAX = 200 };

typedef struct {
    /* OK: the peer answered, with whatever status.
     * ERR_INVALID (the request), ERR_LIMIT (the answer is too large, or too many requests wait), ERR_AGAIN (its time
     * ran out), ERR_IO (no connection, or it broke), ERR_CLOSED (fetch_stop): there is no whole answer. */
    Err result;
    int status;
    const HttpHeader *headers;
    size_t headers_n;
    Str body;
    Str why; /* when not OK: a sentence */
} FetchAnswer;

/* Exactly once a request; on the fetch thread, or before fetch_start returns where the request cannot be made.
 * Must not wait for anything; may start other requests. The answer is borrowed. */
typedef void FetchDone(void *ctx, const FetchAnswer *answer);

/* Errors: ERR_IO where the thread cannot start. libcurl is loaded with the first request, which fails where it is not
 * there. */
NODISCARD Err fetch_new(const FetchOptions *options, Fetch **out);
/* From any thread. */
void fetch_start(Fetch *f, const FetchRequest *request, FetchDone *done, void *ctx);
/* Ends what is under way, and from then on every start, with ERR_CLOSED; all are answered when it returns.
 * Not from a FetchDone. */
void fetch_stop(Fetch *f);
void fetch_free(Fetch *f); /* accepts NULL; stops first */
