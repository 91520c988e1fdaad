/* Fixture: a server's worth of Call for tests of handlers: an empty memory store, a default account, a clock that
 * stands still until it is moved. Nothing but the tests uses it.
 *
 *   Fixture f;
 *   fixture_open(&f, &iot_service);
 *   IotGetPolicyOut out;
 *   Err e = FIXTURE_CALL(&f, "GetPolicy", (&(IotGetPolicyIn){ .policy_name = S("p") }), &out);
 *   if (e == ERR_API) f.error is the exception's name and f.message its text
 *   fixture_close(&f); */
#pragma once

#include "api/call.h"
#include "api/op.h"
#include "services/env.h"

#define FIXTURE_ACCOUNT "123456789012"
#define FIXTURE_REGION "us-east-1"
#define FIXTURE_NOW_MS 1700000000000

typedef struct {
    Arena arena; /* what calls return lives here until fixture_close */
    const ApiService *service;
    ApiPatterns *patterns;
    Env env; /* its members beyond the store may be set by the test */
    Rng rng;
    Str account, region;
    int64_t now_ms;
    const Principal *principal;
    bool run_outbox;  /* else what goes outward is only counted */
    size_t outbox_n;  /* of the last call */
    Str error;        /* of the last call that returned ERR_API: "ResourceNotFoundException"; else empty */
    Str message;      /* its text */
    Str resource_arn; /* that ResourceAlreadyExistsException carries */
} Fixture;

void fixture_open(Fixture *f, const ApiService *service);
void fixture_close(Fixture *f);

/* Validates the input, runs the operation twice (the first run is rolled back: a handler may run twice), commits,
 * and validates the output. *out (may be NULL) is the generated output struct and is untouched on failure.
 * Errors: what the handler returned; ERR_API for input that its model refuses */
NODISCARD Err fixture_call(Fixture *f, const char *operation, const void *in, void *out, size_t out_size);
#define FIXTURE_CALL(f, operation, in, out) fixture_call((f), (operation), (in), (out), sizeof *(out))

/* A transaction of the test's own, to put records there or to look at them. Ends in fixture_commit. */
Txn *fixture_txn(Fixture *f);
void fixture_commit(Fixture *f, Txn *txn);
