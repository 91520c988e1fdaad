#include "services/iot/first_seen.h"

#include <stdlib.h>

#include "base/json.h"
#include "broker/broker.h"
#include "identity/directory.h"
#include "store/worker.h"

/* One attempt, on its way through the workers. */
typedef struct {
    Job job; /* first */
    Env *env;
    Tenant tenant;
    CertInfo device;
    int64_t now_ms;
    FirstSeenFn *done;
    void *ctx;
    FirstSeen seen;
    Arena arena, scratch;
} Attempt;

static Err attempt_run(Job *job, Txn *txn) {
    Attempt *a = (Attempt *)job;
    Rng rng = { 0 };
    Str why;
    arena_reset(&a->scratch);
    return iot_first_seen_register(txn, a->tenant, &a->device, a->now_ms, &rng, &a->scratch, &a->seen, &why);
}

/* Source: the guide's example: the registration's time is text, the event's a number; both milliseconds. */
static void publish_event(Attempt *a) {
    yyjson_mut_doc *d = json_doc(&a->scratch);
    yyjson_mut_val *o = yyjson_mut_obj(d);
    json_add_str(d, o, S("certificateId"), a->seen.certificate_id);
    json_add_str(d, o, S("caCertificateId"), a->seen.ca_certificate_id);
    yyjson_mut_obj_add_int(d, o, "timestamp", a->now_ms);
    json_add_str(d, o, S("certificateStatus"), S("PENDING_ACTIVATION"));
    json_add_str(d, o, S("awsAccountId"), a->tenant.account);
    json_add_str(d, o, S("certificateRegistrationTimestamp"),
                 str_format(&a->scratch, "%lld", (long long)a->seen.registered_ms));
    Str topic = str_format(&a->scratch, "$aws/events/certificates/registered/%.*s", PS(a->seen.ca_certificate_id));
    broker_publish(a->env->broker, &(BrokerMessage){ .account = a->tenant.account,
                                                     .topic = topic,
                                                     .payload = json_write_mut(&a->scratch, o),
                                                     .qos = 1 });
}

static void attempt_done(Job *job, Err e) {
    Attempt *a = (Attempt *)job;
    if (e == OK) {
        publish_event(a);
        if (a->seen.fresh) directory_certificate_changed(a->env->directory, a->tenant.account, a->device.id);
    }
    a->done(a->ctx, e == OK);
    arena_free(&a->scratch);
    arena_free(&a->arena);
    free(a);
}

void iot_first_seen(Env *env, Str account, const Str *chain, size_t chain_n, FirstSeenFn *done, void *ctx) {
    Attempt *a = mem_new(sizeof *a);
    Str why;
    if (chain_n == 0 || x509_parse(chain[0], &a->arena, &a->device, &why) != OK) {
        arena_free(&a->arena);
        free(a);
        done(ctx, false);
        return;
    }
    a->env = env;
    a->tenant = (Tenant){ str_dup(&a->arena, account.ptr ? account : env->account), env->region };
    a->now_ms = clock_ms(env->clock);
    a->done = done;
    a->ctx = ctx;
    a->job = (Job){ .key = str_hash(a->device.id), .run = attempt_run, .done = attempt_done };
    workers_submit(env->workers, &a->job);
}
