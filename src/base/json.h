/* JSON by yyjson, with its memory in an arena. Read with yyjson's own functions; these add what
 * a Str and an arena need. A document so read is freed with its arena, never by yyjson_doc_free. */
#pragma once

#include <yyjson.h>

#include "base/arena.h"

/* yyjson's allocator over an arena, which must outlive it. */
yyjson_alc json_alc(Arena *a);

/* Shape:  one JSON value, RFC 8259, UTF-8; numbers kept as their text (yyjson_is_raw) when raw_numbers
 * Errors: ERR_MALFORMED; *why (may be NULL) then says what and where, e.g. "unexpected character at byte 7" */
NODISCARD Err json_read(Arena *a, Str text, bool raw_numbers, yyjson_val **out, Str *why);

/* Member `key` of an object, NULL when v is no object or has none. */
static inline yyjson_val *json_get(yyjson_val *v, Str key) {
    return yyjson_obj_getn(v, (const char *)key.ptr, key.len);
}
/* The text of a string or of a raw number; STR_NONE for anything else. */
static inline Str json_str(yyjson_val *v) {
    return yyjson_is_str(v) || yyjson_is_raw(v) ? (Str){ (const uint8_t *)unsafe_yyjson_get_str(v), yyjson_get_len(v) }
                                                : STR_NONE;
}
Str json_write(Arena *a, const yyjson_val *v);
Str json_write_mut(Arena *a, const yyjson_mut_val *v);

/* A document to build values in; freed with the arena. */
yyjson_mut_doc *json_doc(Arena *a);
/* The string is borrowed, not copied. */
static inline yyjson_mut_val *json_mut_str(yyjson_mut_doc *d, Str s) {
    return yyjson_mut_strn(d, s.ptr ? (const char *)s.ptr : "", s.len);
}
static inline void json_add_str(yyjson_mut_doc *d, yyjson_mut_val *o, Str key, Str s) {
    yyjson_mut_obj_add(o, json_mut_str(d, key), json_mut_str(d, s));
}
