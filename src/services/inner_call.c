#include "services/inner_call.h"

#include "api/dispatch.h"
#include "api/error.h"
#include "base/clock.h"
#include "identity/principal.h"
#include "store/store.h"

enum { TRIES = 20 };

static Err once(Call *c, const void *in, void **out) {
    c->outbox = NULL;
    c->outbox_tail = &c->outbox;
    c->failure.error = NULL;
    Err e = txn_begin(c->env->store, &c->txn);
    if (e != OK) return e;
    e = api_run(c, in, out);
    if (e == OK) return txn_commit(c->txn, true);
    txn_abort(c->txn);
    return e;
}

Err inner_call(const InnerCall *who, const ApiService *service, Str operation, const void *in, void **out, Str *code,
               Str *message) {
    static const Principal self = { .kind = PRINCIPAL_SERVICE, .id = STR_INIT("server"), .arn = STR_INIT("server") };
    Call c = { .op = api_op(service, operation),
               .env = who->env,
               .principal = &self,
               .account = who->tenant.account,
               .region = who->tenant.region,
               .source_ip = S("127.0.0.1"),
               .request_id = rng_uuid(who->rng, who->arena),
               .now_ms = clock_ms(who->env->clock),
               .arena = who->arena,
               .rng = who->rng };
    Err e = ERR_CONFLICT;
    for (int i = 0; e == ERR_CONFLICT && i < TRIES; i++) e = once(&c, in, out);
    for (Outgoing *o = c.outbox; e == OK && o; o = o->next) o->run(c.env, o->arg);
    if (e == OK) return OK;
    *code = e == ERR_API ? c.failure.error->name : STR_NONE;
    *message = e == ERR_API ? c.failure.message : str_c(err_name(e));
    return e == ERR_API && c.failure.error == API_NOT_IMPLEMENTED ? ERR_NOT_IMPLEMENTED : e;
}
