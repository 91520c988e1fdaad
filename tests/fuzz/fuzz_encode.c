#include "fuzz.h"

#include "base/encode.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    Arena a = { 0 };
    Str in = { data, size }, out, again;
    uint8_t how = fuzz_choice(&in);
    if (hex_decode(&a, in, &out) == OK) CHECK(hex_decode(&a, hex_encode(&a, out), &again) == OK && str_eq(out, again));
    if (base64_decode(&a, in, &out) == OK)
        CHECK(base64_decode(&a, base64_encode(&a, out), &again) == OK && str_eq(out, again));
    if (percent_decode(&a, in, how & 1, &out) == OK)
        CHECK(percent_decode(&a, percent_encode(&a, out, how & 2), false, &again) == OK && str_eq(out, again));
    int64_t n;
    if (str_to_i64(in, &n) == OK) CHECK(in.len <= 20 || in.ptr[0] == '0' || in.ptr[1] == '0');
    if (str_is_utf8(in)) CHECK(str_code_points(in) <= in.len);
    arena_free(&a);
    return 0;
}
