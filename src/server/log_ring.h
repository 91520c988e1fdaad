/* LogRing: the newest log lines, for `starling logs`. Safe from every thread. */
#pragma once

#include "base/arena.h"

typedef struct LogRing LogRing;

LogRing *log_ring_new(size_t bytes); /* what is kept, in whole lines */
void log_ring_free(LogRing *ring);   /* accepts NULL */

/* A line with its line break; one that is longer than the ring is dropped. ring: a LogRing, as Log's `also` has it. */
void log_ring_add(void *ring, Str line);

/* The lines after position `from`, oldest first; 0: all that are kept. What is gone already is left out, and a
 * position that this ring never gave (of a server before a restart) counts as 0. Lives in the arena. */
Str log_ring_read(LogRing *ring, uint64_t from, Arena *arena, uint64_t *next);
