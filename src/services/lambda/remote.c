#include "services/lambda/remote.h"

#include <stdlib.h>

#include "base/encode.h"

/* Invoke over HTTP, signed. Whether the function may be called is the other side's to say: it knows its policies. */

enum { TIMEOUT_MS = 900 * 1000, ANSWER_BYTES_MAX = 7 << 20 };

struct Remote {
    Functions functions; /* first */
    AwsClient *client;
};

typedef struct {
    FunctionDone *done;
    void *ctx;
} Waiting;

static Str header(const AwsAnswer *a, Str name) {
    return http_header(a->headers, a->headers_n, name);
}

/* Source: Invoke's errors */
static Err result_of(const AwsAnswer *a) {
    if (a->result != ERR_DENIED) return a->result == ERR_AGAIN ? ERR_AGAIN : ERR_IO;
    if (str_eq(a->error.code, S("ResourceNotFoundException"))) return ERR_NOT_FOUND;
    if (a->status == 429) return ERR_LIMIT;
    return a->status == 403 ? ERR_DENIED : ERR_IO;
}

static void answered(void *ctx, const AwsAnswer *a) {
    Waiting *k = ctx;
    FunctionAnswer said = { .result = OK, .payload = a->body };
    if (a->result == OK)
        said.error = header(a, S("X-Amz-Function-Error"));
    else
        said = (FunctionAnswer){ .result = result_of(a), .payload = a->why };
    k->done(k->ctx, &said);
    free(k);
}

static void call(Functions *self, const FunctionCall *c, FunctionDone *done, void *ctx) {
    Remote *r = (Remote *)self;
    Arena scratch = { 0 };
    Waiting *k = mem_new(sizeof *k);
    *k = (Waiting){ done, ctx };
    const HttpHeader headers[] = { { S("X-Amz-Invocation-Type"), c->event ? S("Event") : S("RequestResponse") } };
    const AwsRequest rq = { .service = aws_service(S("lambda")),
                            .account = c->account,
                            .method = S("POST"),
                            .path = str_format(&scratch, "/2015-03-31/functions/%.*s/invocations",
                                               PS(percent_encode(&scratch, c->function, false))),
                            .headers = headers,
                            .headers_n = 1,
                            .content_type = S("application/json"),
                            .body = c->payload,
                            .total_ms = c->patience_ms ? c->patience_ms : TIMEOUT_MS,
                            .answer_bytes_max = ANSWER_BYTES_MAX };
    aws_call(r->client, &rq, answered, k);
    arena_free(&scratch);
}

Remote *remote_new(AwsClient *client) {
    Remote *r = mem_new(sizeof *r);
    r->functions.call = call;
    r->client = client;
    return r;
}

void remote_free(Remote *r) {
    free(r);
}

Functions *remote_functions(Remote *r) {
    return &r->functions;
}
