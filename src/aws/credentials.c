#include "aws/credentials.h"

#include <stdio.h>

enum { FILE_BYTES_MAX = 1 << 20 };

Err aws_credentials_read(Str text, Str profile, AwsCredentials *out) {
    AwsCredentials c = { 0 };
    bool here = false;
    while (text.len) {
        Str value = str_trim(str_cut(&text, '\n'));
        if (str_starts(value, S("[")) && str_ends(value, S("]"))) {
            here = str_eq(str_trim(str_sub(value, 1, value.len - 1)), profile);
            continue;
        }
        if (!here || str_starts(value, S("#")) || str_starts(value, S(";"))) continue;
        Str name = str_trim(str_cut(&value, '='));
        value = str_trim(value);
        if (!value.len) continue;
        if (str_eq(name, S("aws_access_key_id"))) c.access_key = value;
        if (str_eq(name, S("aws_secret_access_key"))) c.secret = value;
        if (str_eq(name, S("aws_session_token"))) c.token = value;
    }
    if (!c.access_key.len || !c.secret.len) return ERR_NOT_FOUND;
    *out = c;
    return OK;
}

static Str read_file(const char *path, Arena *arena) {
    FILE *f = fopen(path, "re");
    if (!f) return STR_NONE;
    uint8_t *bytes = arena_bytes(arena, FILE_BYTES_MAX);
    size_t n = fread(bytes, 1, FILE_BYTES_MAX, f);
    fclose(f);
    return (Str){ bytes, n };
}

static Err of_file(const char *profile, AwsEnvironment *env, Arena *arena, AwsCredentials *out, Str *why) {
    const char *path = env("AWS_SHARED_CREDENTIALS_FILE"), *home = env("HOME");
    if (!path) path = str_dup_c(arena, str_format(arena, "%s/.aws/credentials", home ? home : ""));
    if (!profile) profile = env("AWS_PROFILE");
    if (!profile) profile = "default";
    Str text = read_file(path, arena);
    if (text.ptr && aws_credentials_read(text, str_c(profile), out) == OK) return OK;
    *why = str_format(arena,
                      "no credentials for AWS: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY for the server, or put "
                      "the profile '%s' into '%s'",
                      profile, path);
    return ERR_NOT_FOUND;
}

Err aws_credentials_find(const char *profile, AwsEnvironment *env, Arena *arena, AwsCredentials *out, Str *why) {
    AwsCredentials c = { str_c(env("AWS_ACCESS_KEY_ID")), str_c(env("AWS_SECRET_ACCESS_KEY")),
                         str_c(env("AWS_SESSION_TOKEN")) };
    if (profile || !c.access_key.len || !c.secret.len) return of_file(profile, env, arena, out, why);
    if (!c.token.len) c.token = STR_NONE;
    *out = c;
    return OK;
}
