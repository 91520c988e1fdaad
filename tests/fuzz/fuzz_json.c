#include "fuzz.h"

#include "base/json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    Arena a = { 0 };
    Str in = { data, size }, why = STR_NONE;
    bool raw = fuzz_choice(&in) & 1;
    yyjson_val *v, *again;
    if (json_read(&a, in, raw, &v, &why) == OK) {
        Str once = json_write(&a, v);
        CHECK(json_read(&a, once, raw, &again, NULL) == OK);
        CHECK(str_eq(json_write(&a, again), once));
    } else {
        CHECK(why.len > 0);
    }
    arena_free(&a);
    return 0;
}
