/* Inside of work: its state, and what its files say to each other. */
#pragma once

#include "rules/work.h"
#include "store/worker.h"

enum { STORED = 1, OVER = 2 }; /* of `state`: the write is through, all parts are over */

struct Work {
    Rules *rules;
    Rule *rule;
    Arena arena;
    _Atomic int refs; /* the parts together one, the write one */
    WorkMessage message;
    /* on the pool */
    PoolJob pool;
    bool error_stage;
    Work *next;      /* of those that were brought back */
    Work *followers; /* of the same failed batch, behind the first of them */
    /* parts */
    Part *parts;
    size_t parts_n;
    _Atomic int left;
    Part error;
    bool dropped;
    /* in the store */
    Job put, remove;
    int64_t id;
    void *hold;
    bool written; /* by the write that was committed */
    _Atomic int state;
};

/* ---- work.c ---- */
Work *work_new(Rules *r, Rule *rule, const WorkMessage *m);
void work_release(Work *w);
RuleEvent work_event(const Rule *rule, const WorkMessage *m, LogLevel level, const char *name, bool success);
void work_tell_part(Rules *r, const Work *w, const Part *p);
SqlEnv work_env(Work *w, Rng *rng, SqlOutside *outside);
/* False: there is no room. must: it waits whatever waits already */
bool work_to_pool(Work *w, bool must);
void work_fill_item(Work *w, Part *p, const void *action, Str payload, bool json);
/* It never came so far as to be delivered, and counts and is told like any failure. */
void work_part_fails(Part *p, const char *what, Str why, Str resource);
/* Whether the role of the i-th plan (the last: the error action's) lets it; else the part has failed. */
bool work_part_may(Work *w, Part *p, size_t i, const void *action);

/* ---- work_store.c ---- */
/* Its publisher waits until it is stored, or over. */
void work_store(Work *w, const RuleMessage *hold);
/* Nothing more comes of it: its record goes, and the reference of its parts. */
void work_over(Work *w);

/* ---- work_error.c ---- */
/* All its actions are over: the error action, if one is due, then work_over. */
void work_actions_over(Work *w);
/* On the pool. */
void work_error_again(Work *w, Rng *rng);
