/* An account has ten configurations at most and they change by hand, so a change reads all of them. Lookups are one a
 * connection: a map under a reader's lock. */
#include "identity/domain_book.h"

#include <openssl/crypto.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/json.h"
#include "base/map.h"
#include "generated/identity_records.h"
#include "identity/access_key.h"
#include "identity/endpoint.h"

typedef struct {
    Arena arena;
    _Atomic int refs;
    Map hosts;  /* of configurations with a name of their own, in lower case */
    Map places; /* "ACCOUNT TYPE": accounts' own endpoints */
    Domain **all;
    size_t n, cap;
} Table;

struct DomainBook {
    DomainBookOptions o;
    pthread_mutex_t changing;
    pthread_rwlock_t lock;
    Table *table;
    DomainListener *listener;
    void *listener_ctx;
};

static void table_release(Table *t) {
    if (!t || atomic_fetch_sub_explicit(&t->refs, 1, memory_order_acq_rel) != 1) return;
    for (size_t i = 0; i < t->n; i++)
        if (t->all[i]->key_pem.ptr)
            OPENSSL_cleanse((uint8_t *)(uintptr_t)t->all[i]->key_pem.ptr, t->all[i]->key_pem.len);
    map_free(&t->hosts);
    map_free(&t->places);
    arena_free(&t->arena);
    free(t);
}

const Domain *domain_retain(const Domain *d) {
    Table *t = d->table;
    atomic_fetch_add_explicit(&t->refs, 1, memory_order_relaxed);
    return d;
}

void domain_release(const Domain *d) {
    if (d) table_release(d->table);
}

static Str lower(Str s, Arena *a) {
    Str copy = str_dup(a, s);
    uint8_t *at = (uint8_t *)(uintptr_t)copy.ptr;
    for (size_t i = 0; i < s.len; i++)
        if (at[i] >= 'A' && at[i] <= 'Z') at[i] |= 0x20;
    return copy;
}

/* Source: AWS IoT developer guide, "Security policies" (transport security) */
Err domain_tls_versions(Str policy, const char **min, const char **max) {
    static const struct {
        Str name;
        const char *min, *max;
    } ALL[] = {
        { STR_INIT("IoTSecurityPolicy_TLS13_1_3_2022_10"), "1.3", "1.3" },
        { STR_INIT("IoTSecurityPolicy_TLS13_1_2_2022_10"), "1.2", "1.3" },
        { STR_INIT("IoTSecurityPolicy_TLS13_1_2_2022_01"), "1.2", "1.3" },
        { STR_INIT("IoTSecurityPolicy_TLS12_1_2_2022_10"), "1.2", "1.2" },
        { STR_INIT("IoTSecurityPolicy_TLS12_1_0_2016_01"), "1.2", "1.2" },
        { STR_INIT("IoTSecurityPolicy_TLS12_1_0_2015_01"), "1.2", "1.2" },
    };
    for (size_t i = 0; i < sizeof ALL / sizeof *ALL; i++) {
        if (!str_eq(policy, ALL[i].name)) continue;
        *min = ALL[i].min;
        *max = ALL[i].max;
        return OK;
    }
    return ERR_NOT_FOUND;
}

/* ------------------------------------------------------------------------------------------------ reading */

typedef struct {
    DomainBook *book;
    Table *table;
    Txn *txn;
} Reading;

static Str text_of(Str json, Str member, Arena *a) {
    yyjson_val *v;
    if (!json.len || json_read(a, json, false, &v, NULL) != OK) return STR_NONE;
    return json_str(json_get(v, member));
}

static bool flag_of(Str json, Str member, Arena *a) {
    yyjson_val *v;
    return json.len && json_read(a, json, false, &v, NULL) == OK && yyjson_is_true(json_get(v, member));
}

/* One that is gone meanwhile leaves the server's own. */
static Err take_certificate(const Reading *r, Str account, const StrList *arns, Domain *d) {
    if (!arns->n) return OK;
    AcmCertificateRecord record;
    Arena *a = &r->table->arena;
    Str id = str_after_last(arns->items[0], '/');
    Err e = acm_certificate_record_peek(r->txn, (Tenant){ account, r->book->o.region }, id, a, &record);
    if (e != OK) return e == ERR_NOT_FOUND ? OK : e;
    d->chain_pem = str_format(a, "%.*s\n%.*s", PS(record.certificate_pem), PS(record.chain_pem));
    d->key_pem = record.key_pem;
    return OK;
}

static void add(Table *t, Domain *d) {
    if (t->n == t->cap) {
        Domain **more = arena_array(&t->arena, Domain *, t->cap * 2 + 16);
        if (t->n) memcpy(more, t->all, t->n * sizeof *more);
        t->all = more;
        t->cap = t->cap * 2 + 16;
    }
    t->all[t->n++] = d;
    if (d->host.len)
        map_put(&t->hosts, d->host, d);
    else
        map_put(&t->places, str_format(&t->arena, "%.*s %.*s", PS(d->account), PS(d->name)), d);
}

static Err read_one(const Reading *r, Str account, const DomainConfigurationRecord *record) {
    Arena *a = &r->table->arena;
    Domain *d = arena_new(a, Domain);
    *d = (Domain){ .account = account,
                   .name = record->domain_configuration_name,
                   .host = record->domain_name.len ? lower(record->domain_name, a) : STR_NONE,
                   .enabled = str_eq(record->domain_configuration_status, S("ENABLED")),
                   .authentication_type = record->authentication_type,
                   .application_protocol = record->application_protocol,
                   .authorizer = text_of(record->authorizer_config, S("defaultAuthorizerName"), a),
                   .authorizer_override = flag_of(record->authorizer_config, S("allowAuthorizerOverride"), a),
                   .table = r->table };
    Str policy = text_of(record->tls_config, S("securityPolicy"), a);
    if (policy.len && domain_tls_versions(policy, &d->tls_min, &d->tls_max) != OK) return ERR_CORRUPT;
    Err e = take_certificate(r, account, &record->server_certificate_arns, d);
    if (e == OK) add(r->table, d);
    return e;
}

static Err read_account(void *ctx, Str account) {
    const Reading *r = ctx;
    RecordScan *scan;
    DomainConfigurationRecord record;
    account = str_dup(&r->table->arena, account);
    Err e = domain_configuration_record_scan(r->txn, (Tenant){ account, r->book->o.region }, STR_NONE, false, &scan);
    if (e != OK) return e;
    Err inner = OK;
    while (inner == OK && domain_configuration_record_next(scan, &r->table->arena, &record))
        inner = read_one(r, account, &record);
    e = record_scan_end(scan);
    return inner != OK ? inner : e;
}

static Err read_all(DomainBook *book, Table **out) {
    Txn *txn;
    Err e = txn_begin(book->o.store, &txn);
    if (e != OK) return e;
    Table *t = mem_new(sizeof *t);
    t->refs = 1;
    e = access_key_each_account(txn, read_account, &(Reading){ book, t, txn });
    txn_abort(txn);
    if (e == OK)
        *out = t;
    else
        table_release(t);
    return e;
}

/* Every name by which a client may ask for it. */
static size_t hosts_of(const DomainBook *book, const Domain *d, Arena *a, DomainSite *out) {
    const Str domains[] = { book->o.domain, S("amazonaws.com"), S("amazonaws.localhost") };
    if (!d->chain_pem.len && !d->tls_min) return 0;
    if (d->host.len) {
        *out = (DomainSite){ d->host, d };
        return 1;
    }
    for (size_t i = 0; i < 3; i++)
        out[i] = (DomainSite){ endpoint_host(d->account, d->name, book->o.region, domains[i], a), d };
    return 3;
}

static void tell(DomainBook *book, const Table *t) {
    Arena a = { 0 };
    DomainSite *sites = arena_array(&a, DomainSite, t->n * 3 + 1);
    size_t n = 0;
    for (size_t i = 0; i < t->n; i++) n += hosts_of(book, t->all[i], &a, sites + n);
    if (book->listener) book->listener(book->listener_ctx, sites, n);
    arena_free(&a);
}

void domain_book_changed(DomainBook *book) {
    Table *fresh;
    pthread_mutex_lock(&book->changing);
    if (read_all(book, &fresh) == OK) { /* else what was known goes on */
        pthread_rwlock_wrlock(&book->lock);
        Table *old = book->table;
        book->table = fresh;
        pthread_rwlock_unlock(&book->lock);
        tell(book, fresh);
        table_release(old);
    }
    pthread_mutex_unlock(&book->changing);
}

void domain_book_listen(DomainBook *book, DomainListener *listener, void *ctx) {
    pthread_mutex_lock(&book->changing);
    book->listener = listener;
    book->listener_ctx = ctx;
    tell(book, book->table);
    pthread_mutex_unlock(&book->changing);
}

/* ------------------------------------------------------------------------------------------------ lookups */

static const Domain *find(const DomainBook *book, Str host, bool *named) {
    enum { HOST_BYTES_MAX = 253 };
    uint8_t text[HOST_BYTES_MAX + 1];
    AccountName account;
    const Table *t = book->table;
    *named = true;
    for (size_t i = 0; i < host.len && i < sizeof text; i++)
        text[i] = host.ptr[i] >= 'A' && host.ptr[i] <= 'Z' ? host.ptr[i] | 0x20 : host.ptr[i];
    const Domain *d = host.len && host.len < sizeof text ? map_get(&t->hosts, (Str){ text, host.len }) : NULL;
    if (d) return d;
    *named = endpoint_account(host, &account);
    Str whose = *named ? str_c(account.digits) : book->o.account;
    Str type = *named ? str_c(account.type) : S("iot:Data-ATS");
    int n = snprintf((char *)text, sizeof text, "%.*s %.*s", PS(whose), PS(type));
    return map_get(&t->places, (Str){ text, (size_t)n });
}

const Domain *domain_book_find(DomainBook *book, Str host, bool *named) {
    pthread_rwlock_rdlock(&book->lock);
    const Domain *d = find(book, host, named);
    if (d) domain_retain(d);
    pthread_rwlock_unlock(&book->lock);
    return d;
}

Err domain_book_open(const DomainBookOptions *options, Arena *arena, DomainBook **out, Str *why) {
    DomainBook *book = mem_new(sizeof *book);
    book->o = *options;
    pthread_mutex_init(&book->changing, NULL);
    pthread_rwlock_init(&book->lock, NULL);
    Err e = read_all(book, &book->table);
    if (e != OK) {
        *why = str_format(arena, "the domain configurations in the store cannot be read: %s", err_name(e));
        domain_book_close(book);
        return e;
    }
    *out = book;
    return OK;
}

void domain_book_close(DomainBook *book) {
    if (!book) return;
    table_release(book->table);
    pthread_rwlock_destroy(&book->lock);
    pthread_mutex_destroy(&book->changing);
    free(book);
}
