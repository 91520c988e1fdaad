#include "server/settings.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/log.h"
#include "base/writer.h"

/* A table of settings; reading, checking and help walk it. On the command line a setting is --name VALUE or
 * --name=VALUE, a switch is --name; in the file `name = value`, with # for comments. */

typedef enum { TEXT, NUMBER, SWITCH, SIZE, U16, U32 } Kind;

typedef struct {
    const char *name;
    Kind kind;
    size_t offset;
    int64_t least, most;
    const char *help;
} Setting;

#define AT(member) offsetof(Settings, member)
#define LIMIT(name, kind, member, most, help)                                                                          \
    { name, kind, AT(limits.member), 0, most, help }

static const Setting TABLE[] = {
    { "data", TEXT, AT(data), 0, 0, "folder of everything that is kept" },
    { "listen", TEXT, AT(listen), 0, 0, "address to listen on; * for all" },
    { "mqtt-port", NUMBER, AT(mqtt_port), -1, 65535, "TLS port for MQTT; 0 picks one, -1: none" },
    { "https-port", NUMBER, AT(https_port), -2, 65535,
      "TLS port of the API; 0 picks one, -1: none (default 443, or 8443 where that fails)" },
    { "plain-port", NUMBER, AT(plain_port), -1, 65535, "MQTT without TLS, on the loopback only; off unless given" },
    { "reactors", NUMBER, AT(reactors), 0, 64, "threads that serve connections; 0: one a core" },
    { "workers", NUMBER, AT(workers), 0, 64, "threads that use the store; 0: one a core" },
    { "hostname", TEXT, AT(hostname), 0, 0, "name that clients use; goes into the server's certificate" },
    { "account", TEXT, AT(account), 0, 0, "the default account, 12 digits" },
    { "region", TEXT, AT(region), 0, 0, "the region in every ARN" },
    { "config", TEXT, AT(config), 0, 0, "file of settings: lines `name = value`" },
    { "log-level", TEXT, AT(log_level), 0, 0, "debug, info, warn or error" },
    { "aws-quotas", SWITCH, AT(aws_quotas), 0, 0, "AWS's limits of rate apply" },
    { "test", SWITCH, AT(test), 0, 0, "opens /_starling/clock and /_starling/reset for test suites" },
    { "ephemeral", SWITCH, AT(ephemeral), 0, 0, "the store is in memory only" },
    { "require-sni", SWITCH, AT(require_sni), 0, 0, "refuses clients whose SNI is no name of this server" },
    { "tls-min", TEXT, AT(tls_min), 0, 0, "1.2 or 1.3" },
    { "tls-max", TEXT, AT(tls_max), 0, 0, "1.2 or 1.3" },
    { "tls-ciphers", TEXT, AT(tls_ciphers), 0, 0, "TLS 1.2, OpenSSL's names" },
    { "tls-ciphersuites", TEXT, AT(tls_ciphersuites), 0, 0, "TLS 1.3" },
    { "tls-sessions-max", NUMBER, AT(tls_sessions_max), 1, 1000000, "TLS sessions kept to be resumed, 16 kB each" },
    { "tls-chain", TEXT, AT(tls_chain), 0, 0, "the operator's server certificate, PEM, leaf first" },
    { "tls-key", TEXT, AT(tls_key), 0, 0, "its key, PEM" },
    { "body-bytes-max", NUMBER, AT(body_bytes_max), 1024, 1 << 30, "of an HTTP request" },
    { "http-idle-s", NUMBER, AT(http_idle_s), 1, 86400, "a kept-alive connection without request is closed" },
    { "lambda-python", TEXT, AT(lambda_python), 0, 0,
      "interpreter of python3.x functions, one that can import awslambdaric" },
    { "lambda-uncontained", SWITCH, AT(lambda_uncontained), 0, 0,
      "functions get no namespaces of their own, only Landlock and limits; so it is where the kernel gives none" },
    { "lambda-instances-max", NUMBER, AT(lambda_instances_max), 1, 10000,
      "processes of functions at once; one account has three quarters at most" },
    { "lambda-idle-s", NUMBER, AT(lambda_idle_s), 1, 86400, "a function's process that is not called ends" },
    { "store-files-max", NUMBER, AT(store_files_max), 16, 65536, "open files of the store" },
    { "aws-endpoint", TEXT, AT(aws_endpoint), 0, 0,
      "where rules' actions call a service: SERVICE=URL,… (else AWS_ENDPOINT_URL_SERVICE, then AWS; S3: a folder)" },
    { "aws-profile", TEXT, AT(aws_profile), 0, 0, "of the shared credentials file, for those calls" },
    { "aws-for-all-accounts", SWITCH, AT(aws_for_all_accounts), 0, 0,
      "rules of every account are signed with the server's AWS credentials, not those of the default account alone" },
    { "rules-max", NUMBER, AT(rules_max), 0, 1 << 20, "rules an account may have" },
    { "rule-evaluations-per-s", NUMBER, AT(rule_evaluations_per_s), 1, UINT32_MAX, "of an account, with --aws-quotas" },
    { "rules-plain-http", SWITCH, AT(rules_plain_http), 0, 0,
      "http actions may go to this machine and without TLS, which AWS refuses" },
    { "rules-ca", TEXT, AT(rules_ca), 0, 0,
      "CAs that the servers of http actions are trusted by, PEM, instead of the system's" },
    { "salvage", SWITCH, AT(salvage), 0, 0, "a store log damaged at its end: start with what is before the damage" },
    { "test-skip-sync", SWITCH, AT(skip_sync), 0, 0, "plants a fault for the durability checker: never else" },
    { "test-answer-early", SWITCH, AT(answer_early), 0, 0, "plants a fault for the crash checker: never else" },
    { "test-reached", TEXT, AT(reached), 0, 0, "file that is told each operation called and how it was answered" },
    LIMIT("client-id-bytes-max", SIZE, client_id_bytes_max, 65535, ""),
    LIMIT("topic-bytes-max", SIZE, topic_bytes_max, 65535, ""),
    LIMIT("topic-slashes-max", SIZE, topic_slashes_max, 100, ""),
    LIMIT("payload-bytes-max", SIZE, payload_bytes_max, 16 << 20, ""),
    LIMIT("packet-bytes-max", SIZE, packet_bytes_max, 32 << 20, ""),
    LIMIT("user-property-bytes-max", SIZE, user_property_bytes_max, 1 << 20, ""),
    LIMIT("content-type-bytes-max", SIZE, content_type_bytes_max, 65535, ""),
    LIMIT("correlation-data-bytes-max", SIZE, correlation_data_bytes_max, 65535, ""),
    LIMIT("message-expiry-s-max", U32, message_expiry_s_max, UINT32_MAX, ""),
    LIMIT("topic-alias-max", U16, topic_alias_max, 65535, ""),
    LIMIT("filters-per-subscribe-max", SIZE, filters_per_subscribe_max, 64, ""),
    LIMIT("subscriptions-per-connection-max", SIZE, subscriptions_per_connection_max, 1 << 20, ""),
    LIMIT("inflight-in-max", SIZE, inflight_in_max, 65535, ""),
    LIMIT("inflight-out-max", SIZE, inflight_out_max, 65535, ""),
    LIMIT("keepalive-s-min", U16, keepalive_s_min, 65535, ""),
    LIMIT("keepalive-s-max", U16, keepalive_s_max, 65535, ""),
    LIMIT("session-expiry-s-default", U32, session_expiry_s_default, UINT32_MAX, ""),
    LIMIT("session-expiry-s-max", U32, session_expiry_s_max, UINT32_MAX, ""),
    LIMIT("connect-wait-s", U32, connect_wait_s, 3600, ""),
    LIMIT("slow-reader-bytes-max", SIZE, slow_reader_bytes_max, 1 << 30, ""),
    LIMIT("out-bytes-max", SIZE, out_bytes_max, 1 << 30, ""),
    LIMIT("queued-messages-max", SIZE, queued_messages_max, 1 << 20, ""),
    LIMIT("queued-bytes-max", SIZE, queued_bytes_max, 1 << 30, ""),
    LIMIT("share-group-bytes-max", SIZE, share_group_bytes_max, 65535, ""),
    LIMIT("share-groups-max", SIZE, share_groups_max, 1 << 20, ""),
    LIMIT("shares-per-group-max", SIZE, shares_per_group_max, 1 << 20, ""),
    LIMIT("retained-messages-max", SIZE, retained_messages_max, 1 << 30, ""),
    LIMIT("account-subscriptions-max", SIZE, account_subscriptions_max, 1 << 30, ""),
    LIMIT("account-connections-max", SIZE, account_connections_max, 1 << 30, ""),
    LIMIT("ghosts-max", SIZE, ghosts_max, 1 << 30, ""),
};

static const Setting *find(Str name) {
    for (size_t i = 0; i < sizeof TABLE / sizeof *TABLE; i++)
        if (str_eq(name, str_c(TABLE[i].name))) return &TABLE[i];
    return NULL;
}

static Err bad(Arena *arena, Str *why, const Setting *s, Str value) {
    if (s->kind == TEXT)
        *why = str_format(arena, "%s: a value is expected", s->name);
    else if (s->kind == SWITCH)
        *why = str_format(arena, "%s: got '%.*s', expected true or false", s->name, PS(value));
    else
        *why = str_format(arena, "%s: got '%.*s', expected a number from %lld to %lld", s->name, PS(value),
                          (long long)s->least, (long long)s->most);
    return ERR_INVALID;
}

static Err set(Settings *out, const Setting *s, Str value, Arena *arena, Str *why) {
    void *at = (char *)out + s->offset;
    int64_t n = 0;
    if (s->kind == TEXT) {
        if (value.len == 0) return bad(arena, why, s, value);
        *(const char **)at = str_dup_c(arena, value);
        return OK;
    }
    if (s->kind == SWITCH) {
        bool yes = str_eq(value, S("true"));
        if (!yes && !str_eq(value, S("false"))) return bad(arena, why, s, value);
        *(bool *)at = yes;
        return OK;
    }
    if (str_to_i64(value, &n) != OK || n < s->least || n > s->most) return bad(arena, why, s, value);
    switch (s->kind) {
    case SIZE: *(size_t *)at = (size_t)n; break;
    case U16: *(uint16_t *)at = (uint16_t)n; break;
    case U32: *(uint32_t *)at = (uint32_t)n; break;
    default: *(int64_t *)at = n;
    }
    return OK;
}

static Err set_named(Settings *out, Str name, Str value, Arena *arena, Str *why) {
    const Setting *s = find(name);
    if (!s) {
        *why = str_format(arena, "there is no setting '--%.*s': see starling serve --help", PS(name));
        return ERR_INVALID;
    }
    return set(out, s, value, arena, why);
}

static Err read_file(Settings *out, const char *path, Arena *arena, Str *why) {
    FILE *f = fopen(path, "r");
    char line[4096];
    Err e = OK;
    if (!f) {
        *why = str_format(arena, "config: cannot read '%s': %s", path, strerror(errno));
        return ERR_INVALID;
    }
    for (int n = 1; e == OK && fgets(line, sizeof line, f); n++) {
        Str rest = str_c(line), text = str_trim(str_cut(&rest, '#')), value = text;
        if (text.len == 0) continue;
        Str name = str_trim(str_cut(&value, '='));
        e = set_named(out, name, value.ptr ? str_trim(value) : STR_NONE, arena, why);
        if (e != OK) *why = str_format(arena, "%s line %d: %.*s", path, n, PS(*why));
    }
    fclose(f);
    return e;
}

static Err read_args(Settings *out, int argc, char **argv, bool config_only, Arena *arena, Str *why) {
    for (int i = 0; i < argc; i++) {
        Str arg = str_c(argv[i]), value = arg;
        if (!str_starts(arg, S("--"))) {
            *why = str_format(arena, "got '%.*s', expected --name", PS(arg));
            return ERR_INVALID;
        }
        Str name = str_from(str_cut(&value, '='), 2);
        const Setting *s = find(name);
        if (!value.ptr && s && s->kind == SWITCH)
            value = S("true");
        else if (!value.ptr && s && i + 1 < argc)
            value = str_c(argv[++i]);
        if (config_only && s && !str_eq(name, S("config"))) continue;
        Err e = set_named(out, name, value, arena, why);
        if (e != OK) return e;
    }
    return OK;
}

static Err check_choices(const Settings *s, Arena *arena, Str *why) {
    const struct { const char *name, *value; } versions[] = { { "tls-min", s->tls_min }, { "tls-max", s->tls_max } };
    LogLevel level;
    if (log_level_parse(str_c(s->log_level), &level) != OK) {
        *why = str_format(arena, "log-level: got '%s', expected debug, info, warn or error", s->log_level);
        return ERR_INVALID;
    }
    if (s->rules_ca && access(s->rules_ca, R_OK) != 0) {
        *why = str_format(arena, "rules-ca: cannot read '%s': %s", s->rules_ca, strerror(errno));
        return ERR_INVALID;
    }
    for (size_t i = 0; i < 2; i++)
        if (versions[i].value && strcmp(versions[i].value, "1.2") != 0 && strcmp(versions[i].value, "1.3") != 0) {
            *why = str_format(arena, "%s: got '%s', expected 1.2 or 1.3", versions[i].name, versions[i].value);
            return ERR_INVALID;
        }
    return OK;
}

static Err check(const Settings *s, Arena *arena, Str *why) {
    bool digits = strlen(s->account) == 12;
    for (const char *p = s->account; *p; p++) digits &= *p >= '0' && *p <= '9';
    if (!digits) {
        *why = str_format(arena, "account: got '%s', expected 12 digits", s->account);
        return ERR_INVALID;
    }
    for (const char *p = s->region; *p; p++)
        if (!(*p >= 'a' && *p <= 'z') && !(*p >= '0' && *p <= '9') && *p != '-') {
            *why = str_format(arena, "region: got '%s', expected a name of a-z 0-9 -, like us-east-1", s->region);
            return ERR_INVALID;
        }
    if (s->tls_min && s->tls_max && strcmp(s->tls_min, s->tls_max) > 0) {
        *why = str_format(arena, "tls-min: got '%s', expected at most tls-max, which is '%s'", s->tls_min, s->tls_max);
        return ERR_INVALID;
    }
    if (!s->tls_chain != !s->tls_key) {
        *why = str_format(arena, "tls-chain and tls-key: one is given, both are expected");
        return ERR_INVALID;
    }
    return check_choices(s, arena, why);
}

static Settings defaults(void) {
    return (Settings){ .data = "./starling-data",
                       .listen = "localhost",
                       .account = "123456789012",
                       .region = "us-east-1",
                       .log_level = "info",
                       .mqtt_port = 8883,
                       .https_port = -2,
                       .plain_port = -1,
                       .lambda_python = "python3",
                       .lambda_instances_max = 16,
                       .lambda_idle_s = 300,
                       .body_bytes_max = 1 << 20,
                       .store_files_max = 256,
                       .tls_sessions_max = 4096,
                       .http_idle_s = 120,
                       .rules_max = 1000,
                       .rule_evaluations_per_s = 20000,
                       .limits = BROKER_LIMITS_AWS };
}

Err settings_read(int argc, char **argv, Arena *arena, Settings *out, Str *why) {
    Settings s = defaults();
    Err e = read_args(&s, argc, argv, true, arena, why);
    if (e == OK && s.config) e = read_file(&s, s.config, arena, why);
    if (e == OK) e = read_args(&s, argc, argv, false, arena, why);
    if (e == OK) e = check(&s, arena, why);
    if (e != OK) return e;
    s.limits.rates = s.aws_quotas;
    *out = s;
    return OK;
}

static void write_default(Writer *w, const Setting *s, const Settings *of) {
    const void *at = (const char *)of + s->offset;
    switch (s->kind) {
    case TEXT:
        if (*(const char *const *)at) writer_format(w, " (default %s)", *(const char *const *)at);
        break;
    case NUMBER:
        if (*(const int64_t *)at > 0) writer_format(w, " (default %lld)", (long long)*(const int64_t *)at);
        break;
    case SIZE: writer_format(w, " (default %zu)", *(const size_t *)at); break;
    case U16: writer_format(w, " (default %u)", *(const uint16_t *)at); break;
    case U32: writer_format(w, " (default %u)", *(const uint32_t *)at); break;
    case SWITCH: break;
    }
}

Str settings_help(Arena *arena) {
    Writer w = writer_in(arena);
    Settings of = defaults();
    for (size_t i = 0; i < sizeof TABLE / sizeof *TABLE; i++) {
        writer_format(&w, "  --%-34s %s", TABLE[i].name, TABLE[i].help[0] ? TABLE[i].help : "AWS's limit of that name");
        write_default(&w, &TABLE[i], &of);
        writer_format(&w, "\n");
    }
    return writer_str(&w);
}
