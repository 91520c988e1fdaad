#include <openssl/err.h>
#include <openssl/ssl.h>
#include <rocksdb/c.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <yyjson.h>

/* What the libraries themselves charge, with nothing of ours around them. Each prints one JSON object.
 *
 *   floors store DIR        RocksDB, from one loop: batches of 64 records of 300 bytes, each synced
 *   floors document         yyjson: a shadow document read, one member changed, and written again
 *   floors handshake CA CERT KEY CLIENT_CERT CLIENT_KEY
 *                           a mutual handshake of TLS 1.3 in memory: the server's CPU of it */

enum { BATCH = 64, RECORDS = 100000, VALUE_BYTES = 300, SECONDS = 2, ROUNDS = 2000 };

static double seconds(clockid_t which) {
    struct timespec t;
    clock_gettime(which, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static _Noreturn void die(const char *what) {
    fprintf(stderr, "floors: %s\n", what);
    ERR_print_errors_fp(stderr);
    exit(2);
}

static void store(const char *dir) {
    char *error = NULL, name[32], value[VALUE_BYTES];
    memset(value, 'v', sizeof value);
    rocksdb_options_t *o = rocksdb_options_create();
    rocksdb_options_set_create_if_missing(o, 1);
    rocksdb_t *db = rocksdb_open(o, dir, &error);
    rocksdb_writeoptions_t *w = rocksdb_writeoptions_create();
    rocksdb_writeoptions_set_sync(w, 1);
    uint64_t n = 0;
    double start = seconds(CLOCK_MONOTONIC), cpu = seconds(CLOCK_PROCESS_CPUTIME_ID), now = start;
    while (!error && (now = seconds(CLOCK_MONOTONIC)) < start + SECONDS) {
        rocksdb_writebatch_t *b = rocksdb_writebatch_create();
        for (int i = 0; i < BATCH; i++, n++) {
            snprintf(name, sizeof name, "thing/%08llx", (unsigned long long)(n * 2654435761u % RECORDS));
            rocksdb_writebatch_put(b, name, strlen(name), value, sizeof value);
        }
        rocksdb_write(db, w, b, &error);
        rocksdb_writebatch_destroy(b);
    }
    if (error) die(error);
    printf("{\"records_per_s\": %.0f, \"cpu_us\": %.3f}\n", (double)n / (now - start),
           (seconds(CLOCK_PROCESS_CPUTIME_ID) - cpu) * 1e6 / (double)n);
    rocksdb_close(db);
    rocksdb_writeoptions_destroy(w);
    rocksdb_options_destroy(o);
}

static void document(void) {
    static const char TEXT[] = "{\"state\":{\"desired\":{\"on\":true,\"level\":70,\"color\":\"white\"},\"reported\":{"
                               "\"on\":false,\"level\":70,"
                               "\"color\":\"white\",\"uptime\":123456}},\"metadata\":{\"desired\":{\"on\":{"
                               "\"timestamp\":1700000000},\"level\":{"
                               "\"timestamp\":1700000000},\"color\":{\"timestamp\":1700000000}},\"reported\":{\"on\":{"
                               "\"timestamp\":1700000000},"
                               "\"level\":{\"timestamp\":1700000000},\"color\":{\"timestamp\":1700000000},\"uptime\":{"
                               "\"timestamp\":1700000000}}},"
                               "\"version\":17}";
    size_t n = 0, bytes = 0;
    double cpu = seconds(CLOCK_PROCESS_CPUTIME_ID), now = cpu;
    while (now < cpu + SECONDS) {
        for (int i = 0; i < 1000; i++, n++) {
            yyjson_doc *doc = yyjson_read(TEXT, sizeof TEXT - 1, 0);
            yyjson_mut_doc *m = yyjson_doc_mut_copy(doc, NULL);
            yyjson_mut_val *at =
                yyjson_mut_obj_get(yyjson_mut_obj_get(yyjson_mut_doc_get_root(m), "state"), "reported");
            yyjson_mut_set_uint(yyjson_mut_obj_get(at, "uptime"), n);
            size_t len;
            char *text = yyjson_mut_write(m, 0, &len);
            bytes += len;
            free(text);
            yyjson_mut_doc_free(m);
            yyjson_doc_free(doc);
        }
        now = seconds(CLOCK_PROCESS_CPUTIME_ID);
    }
    printf("{\"cpu_us\": %.3f, \"bytes\": %.0f}\n", (now - cpu) * 1e6 / (double)n, (double)bytes / (double)n);
}

static SSL_CTX *context(bool server, char **a) {
    SSL_CTX *c = SSL_CTX_new(server ? TLS_server_method() : TLS_client_method());
    if (SSL_CTX_use_certificate_chain_file(c, server ? a[1] : a[3]) != 1 ||
        SSL_CTX_use_PrivateKey_file(c, server ? a[2] : a[4], SSL_FILETYPE_PEM) != 1 ||
        SSL_CTX_load_verify_locations(c, a[0], NULL) != 1)
        die("certificates");
    SSL_CTX_set_min_proto_version(c, TLS1_3_VERSION);
    SSL_CTX_set_options(c, SSL_OP_NO_TICKET);
    SSL_CTX_set_session_cache_mode(c, server ? SSL_SESS_CACHE_SERVER : SSL_SESS_CACHE_OFF);
    SSL_CTX_set_session_id_context(c, (const unsigned char *)"floors", 6);
    SSL_CTX_set_verify(c, SSL_VERIFY_PEER | (server ? SSL_VERIFY_FAIL_IF_NO_PEER_CERT : 0), NULL);
    SSL_CTX_set_ciphersuites(c, "TLS_AES_128_GCM_SHA256");
    SSL_CTX_set1_groups_list(c, "X25519:P-256");
    return c;
}

/* CPU of the server's side of one handshake. */
static double handshake(SSL_CTX *server, SSL_CTX *client) {
    SSL *s = SSL_new(server), *c = SSL_new(client);
    BIO *up, *down;
    double used = 0;
    BIO_new_bio_pair(&up, 1 << 16, &down, 1 << 16);
    SSL_set_bio(s, up, up);
    SSL_set_bio(c, down, down);
    SSL_set_accept_state(s);
    SSL_set_connect_state(c);
    for (int done = 0; done != 3;) {
        int r = SSL_do_handshake(c);
        if (r == 1) done |= 1;
        if (r != 1 && SSL_get_error(c, r) != SSL_ERROR_WANT_READ) die("client");
        double before = seconds(CLOCK_PROCESS_CPUTIME_ID);
        r = SSL_do_handshake(s);
        used += seconds(CLOCK_PROCESS_CPUTIME_ID) - before;
        if (r == 1) done |= 2;
        if (r != 1 && SSL_get_error(s, r) != SSL_ERROR_WANT_READ) die("server");
    }
    SSL_free(s);
    SSL_free(c);
    return used;
}

static void handshakes(char **a) {
    SSL_CTX *server = context(true, a), *client = context(false, a);
    double used = 0;
    for (int i = 0; i < ROUNDS; i++) used += handshake(server, client);
    printf("{\"new_us\": %.1f}\n", used * 1e6 / ROUNDS);
    SSL_CTX_free(server);
    SSL_CTX_free(client);
}

int main(int argc, char **argv) {
    if (argc == 3 && !strcmp(argv[1], "store"))
        store(argv[2]);
    else if (argc == 2 && !strcmp(argv[1], "document"))
        document();
    else if (argc == 7 && !strcmp(argv[1], "handshake"))
        handshakes(argv + 2);
    else
        die("usage: see the head of floors.c");
    return 0;
}
