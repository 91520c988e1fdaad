#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

#include "server/commands/client.h"

enum { FILE_BYTES_MAX = 65536 };

Err client_read_file(const char *path, size_t bytes_max, Arena *arena, Str *out, Str *why) {
    FILE *f = fopen(path, "re");
    if (!f) {
        *why = str_format(arena, "%s cannot be read: %s", path, strerror(errno));
        return errno == ENOENT ? ERR_NOT_FOUND : ERR_IO;
    }
    uint8_t *bytes = arena_bytes(arena, bytes_max + 1);
    size_t n = fread(bytes, 1, bytes_max + 1, f);
    bool bad = ferror(f);
    fclose(f);
    if (bad || n > bytes_max) {
        *why = bad ? str_format(arena, "%s cannot be read", path)
                   : str_format(arena, "%s has more than %zu bytes", path, bytes_max);
        return bad ? ERR_IO : ERR_LIMIT;
    }
    *out = (Str){ bytes, n };
    return OK;
}

static Err read_ready(const char *dir, Arena *arena, ClientPlace *p, Str *why) {
    Str text;
    yyjson_val *v;
    const char *path = str_dup_c(arena, str_format(arena, "%s/ready.json", dir));
    Err e = client_read_file(path, FILE_BYTES_MAX, arena, &text, why);
    if (e == ERR_NOT_FOUND)
        *why = str_format(arena,
                          "no server runs on %s (there is no %s): start one with `starling serve --data %s`, or say "
                          "with --data where it is",
                          dir, path, dir);
    if (e != OK) return e;
    Str reason;
    if (json_read(arena, text, false, &v, &reason) != OK) {
        *why = str_format(arena, "%s is not JSON: %.*s", path, PS(reason));
        return ERR_MALFORMED;
    }
    p->https_port = yyjson_get_sint(json_get(v, S("https_port")));
    p->mqtt_port = yyjson_get_sint(json_get(v, S("mqtt_port")));
    p->plain_port = yyjson_get_sint(json_get(v, S("plain_port")));
    p->pid = yyjson_get_sint(json_get(v, S("pid")));
    p->endpoint = json_str(json_get(v, S("endpoint")));
    p->region = json_str(json_get(v, S("region")));
    if (!p->endpoint.len) p->endpoint = S("localhost");
    if (!p->region.len) p->region = S("us-east-1");
    if (p->https_port <= 0 || p->https_port > 65535) {
        *why = str_format(arena, "%s names no https_port", path);
        return ERR_MALFORMED;
    }
    return OK;
}

/* Shape: ini, as AWS's SDKs read it; the first section's values */
static Err read_credentials(const char *dir, Arena *arena, ClientPlace *p, Str *why) {
    Str text;
    const char *path = str_dup_c(arena, str_format(arena, "%s/credentials", dir));
    Err e = client_read_file(path, FILE_BYTES_MAX, arena, &text, why);
    if (e != OK) return e;
    for (Str rest = text; rest.ptr && !(p->access_key.len && p->secret.len);) {
        Str value = str_cut(&rest, '\n'), name = str_trim(str_cut(&value, '='));
        if (str_eq(name, S("aws_access_key_id"))) p->access_key = str_trim(value);
        if (str_eq(name, S("aws_secret_access_key"))) p->secret = str_trim(value);
    }
    if (p->access_key.len && p->secret.len) return OK;
    *why = str_format(arena, "%s names no aws_access_key_id and aws_secret_access_key", path);
    return ERR_MALFORMED;
}

Err client_place(const char *data_dir, Arena *arena, ClientPlace *out, Str *why) {
    ClientPlace p = { 0 };
    char absolute[PATH_MAX];
    const char *dir = data_dir ? data_dir : CLIENT_DATA_DIR;
    if (realpath(dir, absolute)) dir = absolute;
    p.dir = str_dup(arena, str_c(dir));
    Err e = read_ready(dir, arena, &p, why);
    if (e == OK) e = read_credentials(dir, arena, &p, why);
    if (e != OK) return e;
    Str host = p.endpoint;
    size_t colon = host.len;
    while (colon > 0 && host.ptr[colon - 1] >= '0' && host.ptr[colon - 1] <= '9') colon--;
    if (colon > 0 && colon < host.len && host.ptr[colon - 1] == ':') host = str_sub(host, 0, colon - 1);
    p.host = host;
    p.url = p.https_port == 443 ? str_format(arena, "https://%.*s", PS(host))
                                : str_format(arena, "https://%.*s:%d", PS(host), (int)p.https_port);
    p.ca_file = str_format(arena, "%s/ca.pem", dir);
    *out = p;
    return OK;
}
