#include <stdio.h>
#include <stdlib.h>

#include "base/rng.h"
#include "base/writer.h"
#include "generated/iot_records.h"

/* fill DIR THINGS SESSIONS: writes things and away sessions straight into the store of a server that does not run,
 * as the registry and the broker write them. 100,000 of them over the API would take longer than the test. */

enum { BATCH = 1000 };
static const Tenant TENANT = { STR_INIT("123456789012"), STR_INIT("us-east-1") };

static Err put_thing(Txn *txn, long i, Arena *a) {
    Rng rng = { (uint64_t)i + 1 };
    StrPair attributes[] = { { S("site"), str_format(a, "s%ld", i % 100) }, { S("model"), S("m1") } };
    ThingRecord t = { .thing_name = str_format(a, "fill-%07ld", i),
                      .thing_id = rng_uuid(&rng, a),
                      .attributes = { attributes, 2, true },
                      .version = 1,
                      .created_ms = 1700000000000 };
    return thing_record_put(txn, TENANT, &t);
}

/* Shape: the broker's: QoS, flags, length of the filter, the filter */
static void put_filter(Writer *w, Str filter) {
    writer_u8(w, 1);
    writer_u8(w, 0);
    writer_u16(w, (uint16_t)filter.len);
    writer_bytes(w, filter);
}

static Err put_session(Txn *txn, long i, Arena *a) {
    Writer w = writer_in(a);
    put_filter(&w, str_format(a, "fill/%ld/+", i));
    put_filter(&w, str_format(a, "$aws/things/fill-%07ld/shadow/update/delta", i));
    SessionRecord s = { .client_id = str_format(a, "fill-%07ld", i),
                        .mqtt_version = 5,
                        .expiry_s = 86400,
                        .connected = true, /* cut off by a crash: its time begins at the start */
                        .principal = S("plain"),
                        .subscriptions = writer_str(&w) };
    return session_record_put(txn, TENANT, &s);
}

static Err put_all(Store *store, long n, Err (*put)(Txn *, long, Arena *)) {
    Arena a = { 0 };
    Err e = OK;
    for (long i = 0; i < n && e == OK;) {
        Txn *txn;
        e = txn_begin(store, &txn);
        for (long end = i + BATCH; e == OK && i < n && i < end; i++) e = put(txn, i, &a);
        if (e == OK)
            e = txn_commit(txn, false);
        else
            txn_abort(txn);
        arena_reset(&a);
    }
    arena_free(&a);
    return e;
}

int main(int argc, char **argv) {
    Arena a = { 0 };
    Store *store;
    Str why;
    if (argc != 4) {
        fputs("usage: fill DIR THINGS SESSIONS\n", stderr);
        return 2;
    }
    StoreOptions o = { .engine = "rocksdb", .dir = argv[1] };
    Err e = store_open(&o, &a, &store, &why);
    if (e != OK) {
        fprintf(stderr, "fill: %.*s\n", PS(why));
        return 1;
    }
    e = put_all(store, atol(argv[2]), put_thing);
    if (e == OK) e = put_all(store, atol(argv[3]), put_session);
    store_close(store);
    arena_free(&a);
    if (e != OK) fprintf(stderr, "fill: %s\n", err_name(e));
    return e != OK;
}
