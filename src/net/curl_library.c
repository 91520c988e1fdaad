#include "net/curl_library.h"

#include <dlfcn.h>

/* The name is that of the interface that the headers describe, which has been the same since 2006. */
#define LIBRARY "libcurl.so.4"

#define CURL_LIBRARY_ENTRY(name) { "curl_" #name, offsetof(CurlLibrary, name) },
static const struct {
    const char *name;
    size_t at;
} FUNCTIONS[] = { CURL_LIBRARY_FUNCTIONS(CURL_LIBRARY_ENTRY) };

Err curl_library_load(Arena *arena, CurlLibrary *out, Str *why) {
    CurlLibrary lib;
    void *handle = dlopen(LIBRARY, RTLD_LAZY | RTLD_LOCAL);
    bool ok = handle != NULL;
    for (size_t i = 0; ok && i < sizeof FUNCTIONS / sizeof *FUNCTIONS; i++) {
        void *function = dlsym(handle, FUNCTIONS[i].name);
        memcpy((uint8_t *)&lib + FUNCTIONS[i].at, &function, sizeof function);
        ok = function != NULL;
    }
    if (!ok) {
        const char *said = dlerror();
        *why = str_format(arena, LIBRARY " cannot be loaded: %s", said ? said : "a function is missing");
        return ERR_IO;
    }
    if (lib.global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
        *why = S(LIBRARY " cannot be started");
        return ERR_IO;
    }
    *out = lib;
    return OK;
}
