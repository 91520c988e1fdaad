#include "fuzz.h"

#include "base/json.h"
#include "services/shadow/document.h"

/* Requests, a line each, upon one shadow: what is stored is always one of ours, and every answer is JSON. */

static void is_json(Arena *a, Str text) {
    yyjson_val *v;
    CHECK(json_read(a, text, true, &v, NULL) == OK);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    Arena a = { 0 };
    ShadowStored stored = { 0 };
    Str in = { data, size };
    for (int64_t now_s = 1700000000; in.ptr && in.len; now_s++) {
        Str request = str_cut(&in, '\n'), got;
        ShadowUpdate update;
        ShadowFault fault = { 0 };
        Err e = shadow_update(&stored, request, now_s, &SHADOW_LIMITS, &a, &update, &fault);
        CHECK(e == OK || e == ERR_INVALID);
        if (e != OK) {
            CHECK(fault.code >= 400 && fault.message.len > 0);
            is_json(&a, shadow_rejected(&fault, now_s, &a));
            continue;
        }
        is_json(&a, update.accepted);
        is_json(&a, update.documents);
        if (update.delta.ptr) is_json(&a, update.delta);
        CHECK(update.version == stored.version + 1);
        stored = (ShadowStored){ .text = update.stored, .version = update.version };
        CHECK(shadow_get(&stored, STR_NONE, now_s, &a, &got) == OK);
        is_json(&a, got);
    }
    arena_free(&a);
    return 0;
}
