#include "generated/iot_records.h"
#include "identity/certificate_home.h"
#include "identity/vars_code.h"
#include "services/iot/first_seen.h"

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
                                .generation_id = rng_uuid(rng, arena),
                                .policy_vars = vars_encode(device->vars, device->vars_n, arena) };
    e = certificate_record_insert(txn, tenant, &fresh);
    if (e == OK)
        e = certificate_home_add(txn, &(CertificateHome){ tenant.region, device->id, tenant.account, ca.mode });
    if (e == OK) *out = (FirstSeen){ device->id, ca.certificate_id, now_ms, true };
    return e;
}
