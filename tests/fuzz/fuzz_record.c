#include "fuzz.h"

#include "generated/iot_records.h"
#include "store/record_code.h"

/* A stored value, or a stored key: what is taken of damaged bytes is a record that is written and read back as
 * it is, and a key that is written as it was read. */

static void value(const RecordType *type, Str bytes, Arena *a) {
    void *one = arena_alloc(a, type->size_bytes), *two = arena_alloc(a, type->size_bytes);
    if (record_decode(type, bytes, a, one) != OK) return;
    Str once = record_encode(type, one, a);
    CHECK(record_decode(type, once, a, two) == OK);
    CHECK(str_eq(record_encode(type, two, a), once));
}

static void key(const RecordType *type, Str bytes, Arena *a) {
    Tenant tenant;
    void *record = arena_alloc(a, type->size_bytes);
    if (record_key_read(type, bytes, 0, a, &tenant, record) != OK) return;
    Writer w = writer_in(a);
    record_key_begin(&w, type, tenant, 0);
    for (size_t i = 0; i < type->key_count; i++) record_key_part(&w, &type->key[i], record);
    CHECK(str_eq(writer_str(&w), bytes));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    Str in = { data, size };
    Arena a = { 0 };
    uint8_t choice = fuzz_choice(&in);
    const RecordType *type = choice & 1 ? &thing_record : choice & 2 ? &policy_version_record : &session_record;
    if (choice & 4)
        key(type, in, &a);
    else
        value(type, in, &a);
    arena_free(&a);
    return 0;
}
