/* The inside of Store and Txn, for the files of this folder. */
#pragma once

#include "store/conflict.h"
#include "store/engine.h"

struct Store {
    const Engine *engine;
    void *state; /* the engine's */
    Conflicts conflicts;
    bool skip_sync;
};

/* One write before it was overwritten, to undo it. */
typedef struct {
    Entry *entry;
    EntryKind kind;
    Str value;
    int64_t delta;
} Undo;

struct Txn {
    Store *store;
    Arena arena;
    bool cached, waits; /* txn_begin_cached; something would have had to wait */
    Claim claim;
    Sorted writes;
    Undo *undo;
    size_t undo_count, undo_cap;
    size_t *savepoints; /* lengths of undo */
    size_t savepoint_count, savepoint_cap;
};
