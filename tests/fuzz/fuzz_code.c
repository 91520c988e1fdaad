#include "fuzz.h"

#include "services/lambda/code.h"

/* A function's package: checked in memory; nothing is unpacked that the check would refuse. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    Arena a = { 0 };
    Str why = STR_NONE;
    Err e = lambda_code_check((Str){ data, size }, &a, &why);
    CHECK(e == OK || why.len > 0);
    arena_free(&a);
    return 0;
}
