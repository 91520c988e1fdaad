/* Settings: everything that can be set, from the command line and from a file of `name = value` lines. */
#pragma once

#include "base/arena.h"
#include "broker/limits.h"

typedef struct {
    const char *data, *listen, *hostname, *account, *region, *config, *log_level, *log_file, *reached;
    int64_t mqtt_port, https_port, plain_port; /* -1: off; https_port -2: 443, or 8443 where that is not allowed */
    int64_t reactors, workers;                 /* 0: cores */
    const char *tls_min, *tls_max, *tls_ciphers, *tls_ciphersuites, *tls_chain, *tls_key;
    bool aws_quotas, test, ephemeral, require_sni, skip_sync, answer_early, salvage;
    const char *lambda_python;
    bool lambda_uncontained;
    int64_t lambda_instances_max, lambda_idle_s;
    const char *aws_endpoint, *aws_profile;
    bool aws_for_all_accounts;
    int64_t rules_max, rule_evaluations_per_s;
    bool rules_plain_http;
    const char *rules_ca;
    int64_t body_bytes_max, store_files_max, http_idle_s, tls_sessions_max;
    BrokerLimits limits;
} Settings;

/* Command line over file over defaults.
 * Errors: ERR_INVALID; *why names the setting, the value and what would be right */
NODISCARD Err settings_read(int argc, char **argv, Arena *arena, Settings *out, Str *why);
/* One line a setting: name, default, what it is. */
Str settings_help(Arena *arena);
