/* What every fuzz target includes. A target feeds the bytes to one parser and says by CHECK what must hold of
 * what it took: read back what was written, the same result however the bytes are cut. Sanitizers see the rest.
 * A new target: fuzz_NAME.c beside this, NAME in the list in meson.build, and seeds, where they help, in seeds.py. */
#pragma once

#include <stdio.h>
#include <stdlib.h>

#include "base/arena.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define CHECK(holds)                                                                                                   \
    do {                                                                                                               \
        if (!(holds)) {                                                                                                \
            fprintf(stderr, "%s:%d: does not hold: %s\n", __FILE__, __LINE__, #holds);                                 \
            abort();                                                                                                   \
        }                                                                                                              \
    } while (0)

/* Takes one byte from the front for a choice; 0 when there is none. */
static inline uint8_t fuzz_choice(Str *in) {
    if (in->len == 0) return 0;
    uint8_t b = in->ptr[0];
    *in = str_from(*in, 1);
    return b;
}
