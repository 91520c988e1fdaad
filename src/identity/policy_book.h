/* PolicyBook: the slot of each policy that somebody has, by account and name, kept at its default version.
 * Reads the store; safe from every thread that may. */
#pragma once

#include "identity/policy_slot.h"
#include "store/store.h"

typedef struct PolicyBook PolicyBook;

/* region: borrowed. idle_max: policies kept that no principal holds */
PolicyBook *policy_book_new(Store *store, Str region, size_t idle_max);
void policy_book_free(PolicyBook *book); /* accepts NULL */

/* The policy's slot, read from the store where it is new here. A policy that is not there has one, too.
 * Errors: ERR_IO, ERR_CORRUPT (a document in the store that is none). Owns: *out has a reference, the caller's */
NODISCARD Err policy_book_take(PolicyBook *book, Str account, Str name, PolicySlot **out);

/* After a commit that made it, deleted it or gave it another default version. When it returns, the slot has what the
 * store has; true: somebody holds it. */
bool policy_book_changed(PolicyBook *book, Str account, Str name);
/* The whole store may be another. told (may be NULL): once for each policy that somebody holds. */
void policy_book_all_changed(PolicyBook *book, void (*told)(void *ctx, Str account), void *ctx);
