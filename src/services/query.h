/* AWS's query protocol: a form in, XML out. What its services share, IAM and STS; each is a table of actions.
 * Source: botocore's models of iam (2010-05-08) and sts (2011-06-15), protocol "query" */
#pragma once

#include "api/canonical.h"
#include "api/dispatch.h"
#include "base/list.h"
#include "base/writer.h"

typedef struct QueryService QueryService;

typedef struct {
    Call *call;
    const QueryService *service;
    const QueryParam *params;
    size_t params_n;
    Writer w; /* the result's elements */
    ApiResponse *rs;
} Query;

typedef struct {
    const char *name;
    Err (*run)(Query *q); /* writes the result; ERR_API after query_fail */
    bool empty;           /* its answer has no result element */
} QueryAction;

struct QueryService {
    const char *name; /* of the scope: "iam" */
    const char *namespace;
    const QueryAction *actions;
    size_t actions_n;
    const Str *others; /* actions that AWS has and that are not here, answered so: 501 */
    size_t others_n;
    bool all_others; /* every other action is answered so */
};

/* Carries out a signed request, in the call's transaction (call->txn), which may run twice.
 * Errors: ERR_API: what it did is to be undone; *rs is the answer in any case but ERR_IO and its like */
NODISCARD Err query_handle(const QueryService *s, Call *c, const ApiRequest *rq, ApiResponse *rs);
/* An authentication failure in the protocol's shape. */
void query_refuse(const QueryService *s, Call *c, int status, const char *code, Str message, ApiResponse *rs);

/* For the actions. A parameter's value, STR_NONE where it is not there. */
Str query_param(const Query *q, const char *name);
/* The same of one that must be there, within the limits (of characters) and of these characters beside letters and
 * digits (NULL: any). Errors: ERR_API, ValidationError */
NODISCARD Err query_text(Query *q, const char *name, size_t least, size_t most, const char *others, Str *out);
/* Errors: ERR_API, ValidationError: no number within the limits */
NODISCARD Err query_number(Query *q, const char *name, int64_t otherwise, int64_t least, int64_t most, int64_t *out);
/* NAME.member.1.Key, NAME.member.1.Value … Errors: ERR_API */
NODISCARD Err query_tags(Query *q, StrMap *out);
/* NAME.member.1, … */
StrList query_list(Query *q, const char *name);
NODISCARD Err query_fail(Query *q, int status, const char *code, const char *format, ...) PRINTF_LIKE(4, 5);
/* Whether the caller may: `action` on the resource. Errors: ERR_API, AccessDenied */
NODISCARD Err query_authorize(Query *q, const char *action, Str resource);

void query_open(Query *q, const char *element);
void query_close(Query *q, const char *element);
void query_element(Query *q, const char *name, Str text);
void query_time(Query *q, const char *name, int64_t ms);

/* A page of a list: MaxItems and Marker. */
typedef struct {
    Str after; /* the name to go on behind; ptr NULL: from the start */
    size_t most;
} QueryPage;
NODISCARD Err query_page(Query *q, QueryPage *out); /* Errors: ERR_API */
void query_page_end(Query *q, bool more, Str last); /* IsTruncated, Marker */
