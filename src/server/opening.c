#include "server/opening.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

struct Opening {
    Server *s;
    pthread_t thread;
    StoreOptions options;
    Arena arena; /* the thread's */
    Str why;
    Err result;
};

static void *open_it(void *arg) {
    Opening *o = arg;
    o->result = store_open(&o->options, &o->arena, &o->s->env.store, &o->why);
    return NULL;
}

Err opening_begin(Server *s, Opening **out, Str *why) {
    const Settings *o = &s->settings;
    if (mkdir(o->data, 0700) && errno != EEXIST) {
        *why = str_format(&s->arena, "data: cannot make the folder '%s': %s", o->data, strerror(errno));
        return ERR_IO;
    }
    Opening *opening = mem_new(sizeof *opening);
    opening->s = s;
    opening->options = (StoreOptions){ .engine = o->ephemeral ? "memory" : "rocksdb",
                                       .dir = str_dup_c(&s->arena, str_format(&s->arena, "%s/store", o->data)),
                                       .files_max = (int)o->store_files_max,
                                       .skip_sync = o->skip_sync,
                                       .salvage = o->salvage };
    if (pthread_create(&opening->thread, NULL, open_it, opening)) {
        free(opening);
        *why = S("the store's thread cannot be started");
        return ERR_IO;
    }
    *out = opening;
    return OK;
}

static void start_workers(Server *s) {
    const Settings *o = &s->settings;
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    s->env.workers = workers_start(s->env.store, (int)(o->workers ? o->workers : cores));
    s->env.slow_workers = workers_start(s->env.store, (int)(cores > 1 ? cores / 2 : 1));
    workers_one_by_one(s->env.slow_workers);
    if (o->answer_early) workers_answer_early(s->env.workers);
}

Err opening_end(Opening *opening, Str *why) {
    Server *s = opening->s;
    pthread_join(opening->thread, NULL);
    Err e = opening->result;
    if (e == OK) {
        /* of a server that was killed; one that runs would hold the store */
        unlink(str_dup_c(&s->arena, str_format(&s->arena, "%s/ready.json", s->settings.data)));
        start_workers(s);
    } else {
        *why = str_dup(&s->arena, opening->why);
    }
    arena_free(&opening->arena);
    free(opening);
    return e;
}
