#include "gateway/reached.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/map.h"

struct Reached {
    pthread_mutex_t lock;
    Map seen; /* lines */
    Arena arena;
    int fd;
};

Err reached_open(const char *file, Reached **out) {
    int fd = open(file, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    if (fd < 0) return ERR_IO;
    Reached *r = mem_new(sizeof *r);
    r->fd = fd;
    pthread_mutex_init(&r->lock, NULL);
    *out = r;
    return OK;
}

void reached_close(Reached *r) {
    if (!r) return;
    close(r->fd);
    map_free(&r->seen);
    arena_free(&r->arena);
    pthread_mutex_destroy(&r->lock);
    free(r);
}

/* What the SDKs call themselves in User-Agent. */
static Str client_of(const ApiRequest *rq) {
    static const Str names[] = { STR_INIT("aws-cli/"), STR_INIT("Boto3/"), STR_INIT("aws-sdk-js/"),
                                 STR_INIT("aws-sdk-go-v2/") };
    Str agent = http_header(rq->headers, rq->headers_n, S("User-Agent"));
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (str_find_str(agent, names[i]) != SIZE_MAX) return str_sub(names[i], 0, names[i].len - 1);
    return S("-");
}

void reached_note(Reached *r, const ApiOp *op, const ApiError *error, const ApiRequest *rq) {
    if (!r || !op) return;
    Arena scratch = { 0 };
    Str line = str_format(&scratch, "%.*s %.*s %.*s %.*s\n", PS(op->service->name), PS(op->name),
                          PS(error ? error->name : S("OK")), PS(client_of(rq)));
    pthread_mutex_lock(&r->lock);
    if (!map_get(&r->seen, line)) {
        map_put(&r->seen, str_dup(&r->arena, line), r);
        ssize_t written = write(r->fd, line.ptr, line.len); /* one call: lines of several servers do not mix */
        (void)written;
    }
    pthread_mutex_unlock(&r->lock);
    arena_free(&scratch);
}
