/* Under an account that is none, because it is about them all; a reset of the server takes it along. Somebody may
 * register another's certificate without its CA, so that mode never decides against the other. */
#include "identity/certificate_home.h"

#include "generated/identity_records.h"

static Tenant shared(Str region) {
    return (Tenant){ S("*"), region };
}

Err certificate_home_add(Txn *txn, const CertificateHome *home) {
    const CertificateHomeRecord r = { .certificate_id = home->certificate_id,
                                      .account = home->account,
                                      .mode = home->mode };
    return certificate_home_record_put(txn, shared(home->region), &r);
}

Err certificate_home_remove(Txn *txn, const CertificateHome *home) {
    Err e = certificate_home_record_delete(txn, shared(home->region), home->certificate_id, home->account);
    return e == ERR_NOT_FOUND ? OK : e; /* one that an older server registered */
}

Err certificate_home_find(Txn *txn, Str region, Str certificate_id, Arena *arena, Str *account) {
    RecordScan *scan;
    CertificateHomeRecord r;
    Str any = STR_NONE, proven = STR_NONE;
    size_t any_n = 0, proven_n = 0;
    Err e = certificate_home_record_scan_of_certificate_id(txn, shared(region), certificate_id, STR_NONE, false, &scan);
    if (e != OK) return e;
    while (certificate_home_record_next(scan, arena, &r)) {
        any = r.account;
        any_n++;
        if (!str_eq(r.mode, S("DEFAULT"))) continue;
        proven = r.account;
        proven_n++;
    }
    e = record_scan_end(scan);
    if (e != OK) return e;
    if (proven_n != 1 && any_n != 1) return ERR_NOT_FOUND;
    *account = proven_n == 1 ? proven : any;
    return OK;
}

Err ca_home_take(Txn *txn, Str region, Str certificate_id, Str account, Arena *arena) {
    CaHomeRecord r;
    Err e = ca_home_record_get(txn, shared(region), certificate_id, arena, &r);
    if (e == OK) return str_eq(r.account, account) ? OK : ERR_EXISTS;
    if (e != ERR_NOT_FOUND) return e;
    return ca_home_record_insert(txn, shared(region),
                                 &(CaHomeRecord){ .certificate_id = certificate_id, .account = account });
}

Err ca_home_leave(Txn *txn, Str region, Str certificate_id, Str account, Arena *arena) {
    CaHomeRecord r;
    Err e = ca_home_record_get(txn, shared(region), certificate_id, arena, &r);
    if (e == ERR_NOT_FOUND) return OK;
    if (e != OK || !str_eq(r.account, account)) return e;
    return ca_home_record_delete(txn, shared(region), certificate_id);
}
