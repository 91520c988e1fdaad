#include "fuzz.h"

#include "api/timestamp.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    Arena a = { 0 };
    int64_t ms, again;
    if (timestamp_parse((Str){ data, size }, &ms) == OK)
        CHECK(timestamp_parse(timestamp_iso8601(&a, ms), &again) == OK && again == ms);
    arena_free(&a);
    return 0;
}
