#include "services/iot/first_seen.h"

#include <stdlib.h>

#include "base/json.h"
#include "base/rng.h"
#include "broker/broker.h"
#include "generated/iot_records.h"
#include "identity/directory.h"
#include "store/worker.h"

/* Only the leaf counts: AWS wants the immediate signing CA registered, so what else the client presented proves
 * nothing here. The CA is found by the issuer's name; several may share one, then the signature tells. */

static Err find_ca(Txn *txn, Tenant tenant, const CertInfo *device, Arena *arena, CaCertificateRecord *out, Str *why) {
    RecordScan *scan;
    Err e = ca_certificate_record_scan_by_subject(txn, tenant, device->issuer_der, STR_NONE, false, &scan);
    if (e != OK) return e;
    CaCertificateRecord r;
    bool found = false;
    *why = S("no registered CA has the name of its issuer");
    while (!found && ca_certificate_record_next(scan, arena, &r)) {
        CertInfo ca;
        if (x509_parse(r.certificate_pem, arena, &ca, why) != OK) continue;
        if (x509_check_signed_by(device, &ca, arena, why) != OK) continue;
        if (x509_check_dates(&ca, real_ms(), arena, why) != OK) continue;
        found = true;
    }
    e = record_scan_end(scan);
    if (e != OK) return e;
    if (!found) return ERR_NOT_FOUND;
    *out = r;
    return OK;
}

Err iot_first_seen_register(Txn *txn, Tenant tenant, const CertInfo *device, int64_t now_ms, Rng *rng, Arena *arena,
                            FirstSeen *out, Str *why) {
    CertificateRecord had;
    Err e = certificate_record_get(txn, tenant, device->id, arena, &had);
    if (e == OK) {
        if (!str_eq(had.status, S("PENDING_ACTIVATION"))) {
            *why = str_format(arena, "it is registered as %.*s", PS(had.status));
            return ERR_NOT_FOUND;
        }
        *out = (FirstSeen){ had.certificate_id, had.ca_certificate_id, had.created_ms, false };
        return OK;
    }
    if (e != ERR_NOT_FOUND) return e;
    CaCertificateRecord ca;
    e = x509_check_algorithms(device, arena, why);
    if (e == OK) e = x509_check_dates(device, real_ms(), arena, why);
    if (e != OK) return ERR_NOT_FOUND;
    e = find_ca(txn, tenant, device, arena, &ca, why);
    if (e != OK) return e;
    if (!str_eq(ca.status, S("ACTIVE")) || !str_eq(ca.auto_registration_status, S("ENABLE"))) {
        *why = str_format(arena, "the CA %.*s is %.*s and its auto registration %.*s", PS(ca.certificate_id),
                          PS(ca.status), PS(ca.auto_registration_status));
        return ERR_NOT_FOUND;
    }
    CertificateRecord fresh = { .certificate_id = device->id,
                                .certificate_pem = x509_pem(arena, device->der),
                                .status = S("PENDING_ACTIVATION"),
                                .ca_certificate_id = ca.certificate_id,
                                .owned_by = tenant.account,
                                .mode = ca.mode,
                                .created_ms = now_ms,
                                .modified_ms = now_ms,
                                .not_before_ms = device->not_before_ms,
                                .not_after_ms = device->not_after_ms,
                                .customer_version = 1,
                                .generation_id = rng_uuid(rng, arena) };
    e = certificate_record_insert(txn, tenant, &fresh);
    if (e == OK) *out = (FirstSeen){ device->id, ca.certificate_id, now_ms, true };
    return e;
}

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
