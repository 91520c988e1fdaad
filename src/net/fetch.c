#include "net/fetch.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/writer.h"
#include "net/curl_library.h"

/* libcurl's multi interface belongs to one thread; others hand it requests by a list under a lock and wake its poll.
 * A request is one Job with an arena of its own, from fetch_start until its FetchDone has returned. libcurl makes a
 * request wait when its host has all the connections that it may have, and does not look at its time limit meanwhile:
 * so jobs are also kept in a list by deadline, whose due ones are ended here. As limits are mostly alike, a new job
 * finds its place at the list's end. Easy handles are used again: making one costs more than a small request.
 * libcurl itself is loaded by the thread when the first request comes. */

enum { IDLE_POLL_MS = 60000, EASY_KEPT = 64, ANSWER_HEADER_BYTES_MAX = 64 << 10 };

typedef struct Job {
    struct Job *next, *prev; /* posted; then by deadline */
    Fetch *fetch;
    Arena arena;
    CURL *easy;
    const char **lines; /* of its head */
    size_t lines_n;
    struct curl_slist *list; /* the same */
    char *method, *url, *ca_file;
    Str body, client_cert_pem, client_key;
    int64_t connect_ms, total_ms, due_ms;
    size_t answer_bytes_max;
    int redirects_max;
    Writer answer;
    HttpHeader *headers;
    size_t headers_n, header_bytes;
    bool too_large;
    char fault[CURL_ERROR_SIZE];
    FetchDone *done;
    void *ctx;
} Job;

struct Fetch {
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t first;       /* request, or the end */
    CURLM *multi;               /* NULL: not yet. Set under lock */
    Job *posted, **posted_tail; /* under lock */
    int64_t waiting, waiting_max;
    bool stopping, stopped, elsewhere_only;
    int64_t per_host_max, connections_max;
    /* the thread's */
    CurlLibrary curl;
    Arena arena;
    Str why;         /* libcurl cannot be used */
    Job by_deadline; /* head of a ring */
    CURL *kept[EASY_KEPT];
    size_t kept_n;
};

static int64_t now_ms(void) {
    return monotonic_ns() / 1000000;
}

/* ------------------------------------------------------------------------------------------------ the answer */

static void job_free(Job *j) {
    if (j->list) j->fetch->curl.slist_free_all(j->list);
    arena_free(&j->arena);
    free(j);
}

static void finish(Job *j, Err result, Str why) {
    FetchAnswer a = { .result = result, .why = why };
    if (result == OK) {
        long status = 0;
        j->fetch->curl.easy_getinfo(j->easy, CURLINFO_RESPONSE_CODE, &status);
        a.status = (int)status;
        a.headers = j->headers;
        a.headers_n = j->headers_n;
        a.body = writer_str(&j->answer);
    }
    j->done(j->ctx, &a);
    job_free(j);
}

static size_t take_body(char *bytes, size_t size, size_t n, void *ctx) {
    Job *j = ctx;
    if (size * n > j->answer_bytes_max - j->answer.len) {
        j->too_large = true;
        return 0;
    }
    writer_bytes(&j->answer, (Str){ (const uint8_t *)bytes, size * n });
    return size * n;
}

/* Of several heads (100 Continue, redirects) the last one counts. */
static size_t take_header(char *bytes, size_t size, size_t n, void *ctx) {
    Job *j = ctx;
    Str line = str_trim((Str){ (const uint8_t *)bytes, size * n }), value = line;
    if (str_starts(line, S("HTTP/"))) j->headers_n = 0;
    j->header_bytes += line.len;
    if (j->header_bytes > ANSWER_HEADER_BYTES_MAX || j->headers_n == FETCH_HEADERS_MAX) {
        j->too_large = true;
        return 0;
    }
    Str name = str_cut(&value, ':');
    if (!value.ptr) return size * n;
    if (!j->headers) j->headers = arena_array(&j->arena, HttpHeader, FETCH_HEADERS_MAX);
    j->headers[j->headers_n++] = (HttpHeader){ str_dup(&j->arena, name), str_dup(&j->arena, str_trim(value)) };
    return size * n;
}

static Err err_of(const Job *j, CURLcode code) {
    if (j->too_large) return ERR_LIMIT;
    switch (code) {
    case CURLE_OK: return OK;
    case CURLE_OPERATION_TIMEDOUT: return ERR_AGAIN;
    case CURLE_URL_MALFORMAT:
    case CURLE_BAD_FUNCTION_ARGUMENT:
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_SSL_CACERT_BADFILE: return ERR_INVALID;
    default: return ERR_IO;
    }
}

static Str why_of(Job *j, CURLcode code) {
    if (j->too_large)
        return str_format(&j->arena, "%s %s: the answer is larger than %zu bytes", j->method, j->url,
                          j->answer_bytes_max);
    return str_format(&j->arena, "%s %s: %s", j->method, j->url,
                      j->fault[0] ? j->fault : j->fetch->curl.easy_strerror(code));
}

/* ------------------------------------------------------------------------------------------------ the request */

/* Loopback, link-local, unspecified; IPv4 also inside of IPv6. */
static bool is_here(const struct sockaddr *at) {
    const struct sockaddr_in6 *six = (const struct sockaddr_in6 *)at;
    struct in_addr four = { 0 };
    if (at->sa_family == AF_INET6) {
        const struct in6_addr *a = &six->sin6_addr;
        if (!IN6_IS_ADDR_V4MAPPED(a) && !IN6_IS_ADDR_V4COMPAT(a))
            return IN6_IS_ADDR_LOOPBACK(a) || IN6_IS_ADDR_LINKLOCAL(a) || IN6_IS_ADDR_UNSPECIFIED(a);
        memcpy(&four, &a->s6_addr[12], sizeof four);
    } else if (at->sa_family == AF_INET) {
        four = ((const struct sockaddr_in *)at)->sin_addr;
    } else {
        return true;
    }
    uint32_t n = ntohl(four.s_addr);
    return n >> 24 == 127 || n >> 24 == 0 || n >> 16 == 0xA9FE || n >> 28 == 0xE || n == UINT32_MAX;
}

/* No program that this one starts inherits a connection. */
static curl_socket_t open_socket(void *ctx, curlsocktype purpose, struct curl_sockaddr *at) {
    const Job *j = ctx;
    (void)purpose;
    if (j->fetch->elsewhere_only && is_here(&at->addr)) return CURL_SOCKET_BAD;
    return socket(at->family, at->socktype | SOCK_CLOEXEC, at->protocol);
}

static bool is_loopback(const char *url) {
    static const char *const HOSTS[] = { "localhost", "127.0.0.1", "[::1]" };
    const char *host = strstr(url, "://");
    for (size_t i = 0; host && i < sizeof HOSTS / sizeof *HOSTS; i++) {
        size_t n = strlen(HOSTS[i]);
        char after = strncmp(host + 3, HOSTS[i], n) == 0 ? host[3 + n] : 'x';
        if (after == 0 || after == ':' || after == '/' || after == '?') return true;
    }
    return false;
}

static void set_pem(const CurlLibrary *curl, CURL *easy, CURLoption data, CURLoption type, Str pem) {
    struct curl_blob blob = { (void *)(uintptr_t)pem.ptr, pem.len, CURL_BLOB_NOCOPY };
    curl->easy_setopt(easy, data, &blob);
    curl->easy_setopt(easy, type, "PEM");
}

static void set_up(Job *j, CURL *easy) {
    const CurlLibrary *curl = &j->fetch->curl;
    j->easy = easy;
    j->answer = writer_in(&j->arena);
    for (size_t i = 0; i < j->lines_n; i++) {
        struct curl_slist *list = curl->slist_append(j->list, j->lines[i]);
        if (!list) abort(); /* as base/arena does: no memory */
        j->list = list;
    }
    curl->easy_setopt(easy, CURLOPT_PRIVATE, j);
    curl->easy_setopt(easy, CURLOPT_URL, j->url);
    curl->easy_setopt(easy, CURLOPT_PATH_AS_IS, 1L); /* a signature covers it */
    curl->easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    curl->easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    curl->easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl->easy_setopt(easy, CURLOPT_ERRORBUFFER, j->fault);
    curl->easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, open_socket);
    curl->easy_setopt(easy, CURLOPT_OPENSOCKETDATA, j);
    curl->easy_setopt(easy, CURLOPT_HTTPHEADER, j->list);
    curl->easy_setopt(easy, CURLOPT_CUSTOMREQUEST, j->method);
    if (strcmp(j->method, "HEAD") == 0) curl->easy_setopt(easy, CURLOPT_NOBODY, 1L);
    if (j->body.ptr) {
        curl->easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)j->body.len);
        curl->easy_setopt(easy, CURLOPT_POSTFIELDS, j->body.ptr);
    }
    curl->easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)j->connect_ms);
    curl->easy_setopt(easy, CURLOPT_WRITEFUNCTION, take_body);
    curl->easy_setopt(easy, CURLOPT_WRITEDATA, j);
    curl->easy_setopt(easy, CURLOPT_HEADERFUNCTION, take_header);
    curl->easy_setopt(easy, CURLOPT_HEADERDATA, j);
    if (j->redirects_max > 0) {
        curl->easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 1L);
        curl->easy_setopt(easy, CURLOPT_MAXREDIRS, (long)j->redirects_max);
        curl->easy_setopt(easy, CURLOPT_REDIR_PROTOCOLS_STR, "http,https");
    }
    if (is_loopback(j->url) || j->fetch->elsewhere_only) curl->easy_setopt(easy, CURLOPT_NOPROXY, "*");
    if (j->ca_file) curl->easy_setopt(easy, CURLOPT_CAINFO, j->ca_file);
    if (j->client_cert_pem.ptr) {
        set_pem(curl, easy, CURLOPT_SSLCERT_BLOB, CURLOPT_SSLCERTTYPE, j->client_cert_pem);
        set_pem(curl, easy, CURLOPT_SSLKEY_BLOB, CURLOPT_SSLKEYTYPE, j->client_key);
    }
}

static bool has_control(Str s) {
    for (size_t i = 0; i < s.len; i++)
        if (s.ptr[i] < 0x20 && s.ptr[i] != '\t') return true;
    return false;
}

static bool is_token(Str s) {
    for (size_t i = 0; i < s.len; i++)
        if (s.ptr[i] <= ' ' || s.ptr[i] >= 0x7f || strchr("()<>@,;:\\\"/[]?={}", s.ptr[i])) return false;
    return s.len > 0;
}

/* libcurl's way to send a header without value is "Name;", and "Name:" takes one away that it would add. */
static Str add_headers(Job *j, const FetchRequest *rq) {
    static const char *const ADDED_BY_CURL[] = { "Accept", "Content-Type", "Expect" };
    enum { ADDED_N = sizeof ADDED_BY_CURL / sizeof *ADDED_BY_CURL };
    j->lines = arena_array(&j->arena, const char *, rq->headers_n + ADDED_N);
    for (size_t i = 0; i < rq->headers_n; i++) {
        HttpHeader h = { rq->headers[i].name, str_trim(rq->headers[i].value) };
        if (!is_token(h.name)) return str_format(&j->arena, "'%.*s' is no name for a header", PS(h.name));
        if (has_control(h.value)) return str_format(&j->arena, "header %.*s: a control character", PS(h.name));
        Str line = h.value.len ? str_format(&j->arena, "%.*s: %.*s", PS(h.name), PS(h.value))
                               : str_format(&j->arena, "%.*s;", PS(h.name));
        j->lines[j->lines_n++] = (const char *)line.ptr;
    }
    for (size_t i = 0; i < ADDED_N; i++)
        if (!http_header(rq->headers, rq->headers_n, str_c(ADDED_BY_CURL[i])).ptr)
            j->lines[j->lines_n++] = (const char *)str_format(&j->arena, "%s:", ADDED_BY_CURL[i]).ptr;
    return STR_NONE;
}

/* What is wrong with the request, or STR_NONE. */
static Str take_request(Job *j, const FetchRequest *rq) {
    Str method = rq->method.len ? rq->method : rq->body.ptr ? S("POST") : S("GET");
    j->method = str_dup_c(&j->arena, method);
    j->url = str_dup_c(&j->arena, rq->url);
    j->ca_file = rq->ca_file ? str_dup_c(&j->arena, str_c(rq->ca_file)) : NULL;
    bool carries = str_eq(method, S("POST")) || str_eq(method, S("PUT")) || str_eq(method, S("PATCH"));
    j->body = rq->body.len ? str_dup(&j->arena, rq->body) : carries || rq->body.ptr ? S("") : STR_NONE;
    j->client_cert_pem = rq->client_cert_pem.ptr ? str_dup(&j->arena, rq->client_cert_pem) : STR_NONE;
    j->client_key = rq->client_key.ptr ? str_dup(&j->arena, rq->client_key) : STR_NONE;
    j->connect_ms = rq->connect_ms ? rq->connect_ms : FETCH_CONNECT_MS;
    j->total_ms = rq->total_ms ? rq->total_ms : FETCH_TOTAL_MS;
    j->due_ms = now_ms() + j->total_ms;
    j->answer_bytes_max = rq->answer_bytes_max ? rq->answer_bytes_max : FETCH_ANSWER_BYTES_MAX;
    j->redirects_max = rq->redirects_max;
    if (!is_token(method)) return str_format(&j->arena, "'%s' is no method", j->method);
    if (has_control(rq->url) || strlen(j->url) != rq->url.len) return S("the URL holds a control character");
    if (!str_starts(rq->url, S("http://")) && !str_starts(rq->url, S("https://")))
        return str_format(&j->arena, "URL '%s': http:// or https:// is expected", j->url);
    if (!rq->client_cert_pem.ptr != !rq->client_key.ptr) return S("a client certificate and its key come together");
    return add_headers(j, rq);
}

/* Under the lock: not after fetch_stop. */
static void wake(Fetch *f) {
    if (f->multi)
        f->curl.multi_wakeup(f->multi);
    else
        pthread_cond_signal(&f->first);
}

void fetch_start(Fetch *f, const FetchRequest *rq, FetchDone *done, void *ctx) {
    Job *j = mem_new(sizeof *j);
    j->fetch = f;
    j->done = done;
    j->ctx = ctx;
    Str why = take_request(j, rq);
    if (why.ptr) {
        finish(j, ERR_INVALID, why);
        return;
    }
    pthread_mutex_lock(&f->lock);
    bool closed = f->stopping, full = f->waiting >= f->waiting_max;
    if (!closed && !full) {
        bool first = f->posted == NULL;
        f->waiting++;
        *f->posted_tail = j;
        f->posted_tail = &j->next;
        if (first) wake(f);
    }
    pthread_mutex_unlock(&f->lock);
    if (closed)
        finish(j, ERR_CLOSED, S("the server is shutting down"));
    else if (full)
        finish(j, ERR_LIMIT, str_format(&j->arena, "%lld requests wait already", (long long)f->waiting_max));
}

/* ------------------------------------------------------------------------------------------------ the thread */

static void keep_easy(Fetch *f, CURL *easy) {
    if (f->kept_n == EASY_KEPT) {
        f->curl.easy_cleanup(easy);
        return;
    }
    f->curl.easy_reset(easy);
    f->kept[f->kept_n++] = easy;
}

/* The handle outlives the answer, which asks it for the status. */
static void end_job(Fetch *f, Job *j, Err result, Str why) {
    CURL *easy = j->easy;
    j->next->prev = j->prev;
    j->prev->next = j->next;
    if (easy) f->curl.multi_remove_handle(f->multi, easy);
    pthread_mutex_lock(&f->lock);
    f->waiting--;
    pthread_mutex_unlock(&f->lock);
    finish(j, result, why);
    if (easy) keep_easy(f, easy);
}

static void enter(Fetch *f, Job *j) {
    Job *after = f->by_deadline.prev;
    while (after != &f->by_deadline && after->due_ms > j->due_ms) after = after->prev;
    j->prev = after;
    j->next = after->next;
    after->next->prev = j;
    after->next = j;
    if (!f->multi) {
        if (f->why.ptr)
            end_job(f, j, ERR_IO, f->why);
        else
            end_job(f, j, ERR_CLOSED, S("the server is shutting down"));
        return;
    }
    CURL *easy = f->kept_n ? f->kept[--f->kept_n] : f->curl.easy_init();
    if (easy) set_up(j, easy);
    if (!easy || f->curl.multi_add_handle(f->multi, easy) != CURLM_OK)
        end_job(f, j, ERR_IO, S("libcurl could not take the request"));
}

static bool take_posted(Fetch *f) {
    pthread_mutex_lock(&f->lock);
    Job *j = f->posted;
    bool stopping = f->stopping;
    f->posted = NULL;
    f->posted_tail = &f->posted;
    pthread_mutex_unlock(&f->lock);
    for (Job *next; j; j = next) {
        next = j->next;
        enter(f, j);
    }
    return !stopping;
}

static void end_finished(Fetch *f) {
    int left;
    for (CURLMsg *m; (m = f->curl.multi_info_read(f->multi, &left)) != NULL;) {
        char *private;
        CURLcode code = m->data.result;
        if (m->msg != CURLMSG_DONE) continue;
        f->curl.easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, &private);
        Job *j = (Job *)(void *)private;
        Err e = err_of(j, code);
        end_job(f, j, e, e == OK ? STR_NONE : why_of(j, code));
    }
}

/* Returns for how long nothing is due. */
static int end_overdue(Fetch *f) {
    int64_t now = now_ms();
    for (Job *j; (j = f->by_deadline.next) != &f->by_deadline && j->due_ms <= now;)
        end_job(f, j, ERR_AGAIN,
                str_format(&j->arena, "%s %s: no answer within %lld ms", j->method, j->url, (long long)j->total_ms));
    if (f->by_deadline.next == &f->by_deadline) return IDLE_POLL_MS;
    int64_t left = f->by_deadline.next->due_ms - now;
    return left < IDLE_POLL_MS ? (int)left : IDLE_POLL_MS;
}

/* Until there is something to do. false: the end. */
static bool wait_for_first(Fetch *f) {
    pthread_mutex_lock(&f->lock);
    while (!f->posted && !f->stopping) pthread_cond_wait(&f->first, &f->lock);
    bool stopping = f->stopping;
    pthread_mutex_unlock(&f->lock);
    return !stopping;
}

static void begin(Fetch *f) {
    CurlLibrary curl;
    if (curl_library_load(&f->arena, &curl, &f->why) != OK) return;
    CURLM *multi = curl.multi_init();
    if (!multi) {
        f->why = S("libcurl could not be started");
        return;
    }
    curl.multi_setopt(multi, CURLMOPT_MAX_HOST_CONNECTIONS, (long)f->per_host_max);
    curl.multi_setopt(multi, CURLMOPT_MAX_TOTAL_CONNECTIONS, (long)f->connections_max);
    curl.multi_setopt(multi, CURLMOPT_MAXCONNECTS, (long)f->connections_max);
    pthread_mutex_lock(&f->lock);
    f->curl = curl;
    f->multi = multi;
    pthread_mutex_unlock(&f->lock);
}

static void *thread_main(void *arg) {
    Fetch *f = arg;
    if (wait_for_first(f)) begin(f);
    while (take_posted(f)) {
        int running;
        if (!f->multi) { /* what was posted has been told */
            wait_for_first(f);
            continue;
        }
        f->curl.multi_perform(f->multi, &running);
        end_finished(f);
        f->curl.multi_poll(f->multi, NULL, 0, end_overdue(f), NULL);
    }
    while (f->by_deadline.next != &f->by_deadline)
        end_job(f, f->by_deadline.next, ERR_CLOSED, S("the server is shutting down"));
    return NULL;
}

/* ------------------------------------------------------------------------------------------------ its life */

Err fetch_new(const FetchOptions *o, Fetch **out) {
    Fetch *f = mem_new(sizeof *f);
    f->per_host_max = o->connections_per_host_max ? o->connections_per_host_max : FETCH_PER_HOST_MAX;
    f->connections_max = o->connections_max ? o->connections_max : FETCH_CONNECTIONS_MAX;
    f->elsewhere_only = o->elsewhere_only;
    f->waiting_max = o->waiting_max ? o->waiting_max : FETCH_WAITING_MAX;
    f->posted_tail = &f->posted;
    f->by_deadline.next = f->by_deadline.prev = &f->by_deadline;
    pthread_mutex_init(&f->lock, NULL);
    pthread_cond_init(&f->first, NULL);
    if (pthread_create(&f->thread, NULL, thread_main, f) != 0) {
        f->stopped = true;
        fetch_free(f);
        return ERR_IO;
    }
    *out = f;
    return OK;
}

void fetch_stop(Fetch *f) {
    pthread_mutex_lock(&f->lock);
    bool first = !f->stopping;
    f->stopping = true;
    if (first) wake(f);
    pthread_mutex_unlock(&f->lock);
    if (f->stopped) return;
    pthread_join(f->thread, NULL);
    f->stopped = true;
}

void fetch_free(Fetch *f) {
    if (!f) return;
    fetch_stop(f);
    for (size_t i = 0; i < f->kept_n; i++) f->curl.easy_cleanup(f->kept[i]);
    if (f->multi) f->curl.multi_cleanup(f->multi);
    arena_free(&f->arena);
    pthread_cond_destroy(&f->first);
    pthread_mutex_destroy(&f->lock);
    free(f);
}
