#include "services/testing/fixture.h"

#include <stdio.h>
#include <stdlib.h>

#include "api/dispatch.h"
#include "api/validate.h"

static void must(bool ok, const char *what, Str why) {
    if (ok) return;
    fprintf(stderr, "fixture: %s: %.*s\n", what, PS(why));
    abort();
}

void fixture_open(Fixture *f, const ApiService *service) {
    *f = (Fixture){ .service = service,
                    .account = S(FIXTURE_ACCOUNT),
                    .region = S(FIXTURE_REGION),
                    .now_ms = FIXTURE_NOW_MS,
                    .rng = { .state = 1 } };
    Str why = STR_NONE;
    StoreOptions options = { .engine = "memory" };
    must(store_open(&options, &f->arena, &f->env.store, &why) == OK, "store", why);
    must(api_patterns_new(&service, 1, &f->arena, &f->patterns, &why) == OK, "patterns", why);
    f->env.account = f->account;
    f->env.region = f->region;
    f->env.endpoint = S("localhost");
}

void fixture_close(Fixture *f) {
    api_patterns_free(f->patterns);
    store_close(f->env.store);
    arena_free(&f->arena);
}

Txn *fixture_txn(Fixture *f) {
    Txn *txn = NULL;
    must(txn_begin(f->env.store, &txn) == OK, "txn_begin", STR_NONE);
    return txn;
}

void fixture_commit(Fixture *f, Txn *txn) {
    (void)f;
    must(txn_commit(txn, false) == OK, "txn_commit", STR_NONE);
}

static Call *call_new(Fixture *f, const ApiOp *op) {
    Call *c = arena_new(&f->arena, Call);
    c->op = op;
    c->env = &f->env;
    c->principal = f->principal;
    c->account = f->account;
    c->region = f->region;
    c->source_ip = S("127.0.0.1");
    c->now_ms = f->now_ms;
    c->arena = &f->arena;
    c->rng = &f->rng;
    c->patterns = f->patterns;
    c->validate_replies = true;
    c->outbox_tail = &c->outbox;
    return c;
}

static Err run(Fixture *f, Call *c, const void *in, const void **out, bool keep) {
    void *answer = NULL;
    c->outbox = NULL;
    c->outbox_tail = &c->outbox;
    c->txn = fixture_txn(f);
    Err e = api_run(c, in, &answer);
    if (e == OK && keep)
        fixture_commit(f, c->txn);
    else
        txn_abort(c->txn);
    if (e == OK) *out = answer;
    return e;
}

/* For tools/reached.py, as gateway/reached.h tells it. */
static void note_reached(const ApiOp *op, Str answer) {
    const char *file = getenv("STARLING_REACHED");
    FILE *out = file ? fopen(file, "ae") : NULL;
    if (!out) return;
    fprintf(out, "%.*s %.*s %.*s unit\n", PS(op->service->name), PS(op->name), PS(answer));
    fclose(out);
}

static Err note_failure(Fixture *f, const Call *c, Err e) {
    if (e != ERR_API || !c->failure.error) return e;
    f->error = c->failure.error->name;
    note_reached(c->op, f->error);
    f->message = c->failure.message;
    f->resource_arn = c->failure.resource_arn;
    return e;
}

Err fixture_call(Fixture *f, const char *operation, const void *in, void *out, size_t out_size) {
    const ApiOp *op = api_op(f->service, str_c(operation));
    must(op != NULL, "no such operation", str_c(operation));
    must(out == NULL || out_size == op->out_size, "the output is another operation's", str_c(operation));
    f->error = f->message = f->resource_arn = STR_NONE;
    f->outbox_n = 0;

    Call *c = call_new(f, op);
    Str why;
    if (api_validate(&f->arena, f->service, f->patterns, op->in, in, &why) != OK)
        return note_failure(f, c, api_fail(c, f->service->invalid, "%.*s", PS(why)));

    const void *answer = NULL;
    Rng rng = f->rng;
    Err first = run(f, c, in, &answer, false);
    f->rng = rng;
    Err e = run(f, c, in, &answer, true);
    must(first == e, "the second run ended in another way than the first", str_c(err_name(first)));
    if (e != OK) return note_failure(f, c, e);
    ApiResponse answered;
    api_answer(c, OK, answer, &answered);
    must(answered.status < 400, "the answer", c->failure.message);
    note_reached(op, S("OK"));
    for (Outgoing *o = c->outbox; o; o = o->next) {
        f->outbox_n++;
        if (f->run_outbox) o->run(&f->env, o->arg);
    }
    if (out) memcpy(out, answer, op->out_size);
    return OK;
}
