#include "server/reset.h"

#include <stdlib.h>
#include <time.h>

#include "base/writer.h"
#include "identity/directory.h"
#include "identity/domain_book.h"
#include "rules/rules.h"

/* First everybody goes and what they still had to write is written; then the store is emptied, so that nothing of it
 * comes back; last the caches. Access keys stay: they stand under the account "-", everything else under a real one.
 * Writes that come meanwhile are in the way of no one but the test that sends them. */

enum { KEYS_PER_TXN = 10000, QUIET_TRIES = 5000 };

static void wait_for_workers(Server *s) {
    static const struct timespec moment = { .tv_nsec = 1000000 };
    for (int i = 0; i < QUIET_TRIES && workers_queued(s->env.workers); i++) nanosleep(&moment, NULL);
}

static bool is_kept(Str key) {
    static const Str KEPT = { (const uint8_t *)"-\0\1", 3 }; /* the account "-", as store/record_key.c writes it */
    return str_starts(key, KEPT);
}

/* *more: there are further ones. */
static Err delete_some(Txn *txn, bool *more) {
    Scan *scan;
    Str key, value;
    Err e = scan_begin(txn, STR_NONE, STR_NONE, false, &scan);
    if (e != OK) return e;
    int n = 0;
    while (e == OK && n < KEYS_PER_TXN && scan_next(scan, &key, &value)) {
        if (is_kept(key)) continue;
        e = txn_delete(txn, key);
        n++;
    }
    Err end = scan_end(scan);
    *more = n == KEYS_PER_TXN;
    return e != OK ? e : end;
}

static Err empty_store(Store *store) {
    Err e = OK;
    for (bool more = true; e == OK && more;) {
        Txn *txn;
        e = txn_begin(store, &txn);
        if (e != OK) break;
        e = delete_some(txn, &more);
        if (e != OK) {
            txn_abort(txn);
            break;
        }
        e = txn_commit(txn, !more);
        if (e == ERR_CONFLICT) {
            e = OK;
            more = true;
        }
    }
    return e;
}

Err server_reset(Server *s) {
    broker_reset(s->env.broker);
    wait_for_workers(s);
    broker_reset(s->env.broker); /* who came meanwhile */
    Err e = empty_store(s->env.store);
    directory_all_changed(s->env.directory);
    domain_book_changed(s->env.domains);
    rules_reset(s->env.rules);
    service_log_clear(s->env.service_log);
    wait_for_workers(s);
    return e;
}
