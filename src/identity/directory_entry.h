/* The directory's entries: one for each certificate that it knows or is loading, in the order of their last use, and
 * those whose load waits its turn. No lock of its own: the directory's. Private to the directory. */
#pragma once

#include "identity/directory.h"
#include "identity/interest.h"

typedef struct Waiter {
    struct Waiter *next;
    DirectoryDoneFn *done;
    void *ctx;
    bool any_account; /* it named none */
} Waiter;

typedef struct Entry {
    Job job; /* first */
    Directory *d;
    Str key; /* account, zero byte, certificate id; this and the next two lie behind the struct */
    Str account, id;
    Principal *principal; /* NULL until loaded */
    bool loading;
    bool pending; /* loading, and not with the workers yet: in the list */
    bool bulk;    /* counted in bulk_loading */
    struct Entry *pending_next, *pending_prev;
    uint64_t since; /* number of the last change when the load was given to the workers */
    int tries;
    Waiter *waiters;
    Links links;
    struct Entry *newer, *older;
    /* what the load made; the worker's alone while loading */
    Arena scratch;
    DirectoryAnswer made;
    Str home; /* not registered here: the account that has it; ptr NULL: none */
    Names names;
} Entry;

typedef struct {
    Map map;
    Entry *newest, *oldest;
    Entry *pending_first, *pending_last;
    int bulk_loading;
    Interests interests;
} Entries;

/* Its key, written into bytes, which have room for both and one more. */
Str entry_key(Str account, Str id, uint8_t *bytes);
Entry *entries_add(Entries *in, Str account, Str id);
void entries_remove(Entries *in, Entry *x); /* freed later, by entry_free */
void entry_free(Entry *x);
void entries_used(Entries *in, Entry *x);
/* Looks at some of those that were used longest ago; those that nobody holds go, while there are more than idle_max. */
void entries_evict(Entries *in, size_t idle_max);

void entries_wait(Entries *in, Entry *x); /* to the end of those that wait */
void entries_unwait(Entries *in, Entry *x);
/* The next whose turn it is, taken out and counted, or NULL: none waits, or enough are under way. */
Entry *entries_turn(Entries *in);

/* Who is told when its load is done. */
void entry_add_waiter(Entry *x, DirectoryDoneFn *done, void *ctx, bool any_account);
/* Takes those out that named no account. */
Waiter *waiters_any_account(Waiter **waiters);
void waiters_answer(Waiter *waiters, const DirectoryAnswer *answer); /* and frees them */
