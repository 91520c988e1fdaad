/* libcurl, loaded when it is first needed: it brings forty libraries along, whose loading costs a start 5 ms and 3 MB,
 * and most servers never call outward. Whoever needs it has a table of its functions, named as there without `curl_`.
 */
#pragma once

#include <curl/curl.h>

#include "base/arena.h"

#define CURL_LIBRARY_FUNCTIONS(F)                                                                                      \
    F(easy_cleanup)                                                                                                    \
    F(easy_getinfo)                                                                                                    \
    F(easy_init)                                                                                                       \
    F(easy_perform)                                                                                                    \
    F(easy_reset)                                                                                                      \
    F(easy_setopt)                                                                                                     \
    F(easy_strerror)                                                                                                   \
    F(global_init)                                                                                                     \
    F(multi_add_handle)                                                                                                \
    F(multi_cleanup)                                                                                                   \
    F(multi_info_read)                                                                                                 \
    F(multi_init)                                                                                                      \
    F(multi_perform)                                                                                                   \
    F(multi_poll)                                                                                                      \
    F(multi_remove_handle)                                                                                             \
    F(multi_setopt)                                                                                                    \
    F(multi_wakeup)                                                                                                    \
    F(slist_append)                                                                                                    \
    F(slist_free_all)

#define CURL_LIBRARY_MEMBER(name) __typeof__(curl_##name) *name;
typedef struct {
    CURL_LIBRARY_FUNCTIONS(CURL_LIBRARY_MEMBER)
} CurlLibrary;

/* May take milliseconds. It stays loaded.
 * Errors: ERR_IO: it is not installed, or too old; *why says so and lives in the arena */
NODISCARD Err curl_library_load(Arena *arena, CurlLibrary *out, Str *why);
