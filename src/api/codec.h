/* Codec: generated structs from and to JSON and the texts of paths, queries and headers, by their tables.
 * No operation has parsing code of its own. Pure and total: any bytes give a struct or an error. */
#pragma once

#include "api/op.h"
#include "base/json.h"

enum { API_DEPTH_MAX = 64 };

/* Fills the members of *out that travel in the body; unknown members of v are ignored, null is absent.
 * A list with a limit is cut one past it: enough for validation to refuse it.
 * Shape:  out = the struct of `shape`, zeroed
 * Errors: ERR_MALFORMED (a value of another type), ERR_LIMIT (nested deeper than API_DEPTH_MAX); *why says where
 *         and what would be right
 * Owns:   strings are v's document's */
NODISCARD Err api_decode_struct(Arena *a, const ApiShape *shape, yyjson_val *v, void *out, Str *why);
/* One value from its text in a path, query or header, decoded. Errors: ERR_MALFORMED */
NODISCARD Err api_decode_text(Arena *a, const ApiShape *shape, Str text, void *slot, Str *why);

/* The members that travel in the body. Owns: strings are borrowed from in, all else is d's */
yyjson_mut_val *api_encode_struct(yyjson_mut_doc *d, Arena *a, const ApiShape *shape, const void *in);
/* For a header. STR_NONE when the slot is absent. */
Str api_encode_text(Arena *a, const ApiShape *shape, ApiTimeFormat time, const void *slot);

/* A member's value as JSON, whatever its kind; and back into a zeroed slot.
 * Shape:  slot as in the struct of its member; STR_NONE where a text in it is not UTF-8
 * Errors: as api_decode_struct */
Str api_encode_value(Arena *a, const ApiShape *shape, const void *slot);
NODISCARD Err api_decode_value(Arena *a, const ApiShape *shape, Str json, void *slot, Str *why);

/* Is there a value in a member's slot? */
bool api_present(const ApiShape *shape, const void *slot);
