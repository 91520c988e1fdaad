#include <stdio.h>
#include <time.h>

#include "base/encode.h"
#include "identity/access_key.h"
#include "server/commands/admin_call.h"
#include "server/commands/args.h"
#include "server/commands/commands.h"

static const char USAGE[] = "usage: starling key create [--user NAME] [--account A] [--policy FILE]\n"
                            "       starling key list [--account A]\n"
                            "       starling key disable|enable|delete ID\n"
                            "\n"
                            "Access keys of a running server (--data DIR, default ./" CLIENT_DATA_DIR ").\n"
                            "  --user NAME    the IAM user that the key speaks for (default admin)\n"
                            "  --account A    the account, 12 digits (default that of the server)\n"
                            "  --policy FILE  the user's IAM policy; without it the key may do everything\n"
                            "create prints the secret once, as a section for ~/.aws/credentials.\n";

static int print_created(Client *client, const ClientAnswer *answer, void *ctx) {
    (void)client;
    (void)ctx;
    printf("[%.*s]\naws_access_key_id = %.*s\naws_secret_access_key = %.*s\n",
           PS(json_str(json_get(answer->json, S("user")))), PS(json_str(json_get(answer->json, S("accessKeyId")))),
           PS(json_str(json_get(answer->json, S("secretAccessKey")))));
    return 0;
}

static int print_list(Client *client, const ClientAnswer *answer, void *ctx) {
    (void)client;
    (void)ctx;
    size_t i, n;
    yyjson_val *key;
    printf("%-20s  %-12s  %-8s  %-20s  %s\n", "KEY", "ACCOUNT", "STATUS", "MADE", "USER");
    yyjson_arr_foreach(json_get(answer->json, S("keys")), i, n, key) {
        time_t made = (time_t)(yyjson_get_sint(json_get(key, S("createdMs"))) / 1000);
        struct tm tm;
        char text[32];
        gmtime_r(&made, &tm);
        strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &tm);
        printf("%-20.*s  %-12.*s  %-8.*s  %-20s  %.*s\n", PS(json_str(json_get(key, S("accessKeyId")))),
               PS(json_str(json_get(key, S("account")))), PS(json_str(json_get(key, S("status")))), text,
               PS(json_str(json_get(key, S("user")))));
    }
    return 0;
}

static int print_done(Client *client, const ClientAnswer *answer, void *ctx) {
    (void)client;
    (void)answer;
    puts(ctx);
    return 0;
}

static int create(const char *data, const char *user, const char *account, const char *policy_file, Arena *arena) {
    yyjson_mut_doc *doc = json_doc(arena);
    yyjson_mut_val *o = yyjson_mut_obj(doc);
    Str policy, why;
    if (user) json_add_str(doc, o, S("user"), str_c(user));
    if (account) json_add_str(doc, o, S("account"), str_c(account));
    if (policy_file) {
        if (client_read_file(policy_file, ACCESS_KEY_POLICY_BYTES_MAX, arena, &policy, &why) != OK)
            return args_fail("%.*s", PS(why));
        if (!str_is_utf8(policy)) return args_fail("%s is not UTF-8", policy_file);
        json_add_str(doc, o, S("policy"), policy);
    }
    return admin_call(data, arena, "POST", S("keys"), STR_NONE, json_write_mut(arena, o), print_created, NULL);
}

static int change(const char *data, Str verb, const char *id, Arena *arena) {
    Str path = str_format(arena, "keys/%.*s", PS(percent_encode(arena, str_c(id), false)));
    if (str_eq(verb, S("delete"))) {
        char done[] = "deleted";
        return admin_call(data, arena, "DELETE", path, STR_NONE, STR_NONE, print_done, done);
    }
    bool off = str_eq(verb, S("disable"));
    char done[] = "enabled", off_done[] = "disabled";
    return admin_call(data, arena, "PUT", path, STR_NONE,
                      off ? S("{\"status\":\"Inactive\"}") : S("{\"status\":\"Active\"}"), print_done,
                      off ? off_done : done);
}

int command_key(int argc, char **argv) {
    const char *data = NULL, *user = NULL, *account = NULL, *policy = NULL;
    const Option options[] = { { "--data", &data, NULL },
                               { "--user", &user, NULL },
                               { "--account", &account, NULL },
                               { "--policy", &policy, NULL } };
    int status, n = args_take(argc, argv, options, 4, USAGE, &status);
    if (n < 0) return status;
    Arena arena = { 0 };
    Str verb = str_c(n > 0 ? argv[1] : "");
    bool changes = str_eq(verb, S("disable")) || str_eq(verb, S("enable")) || str_eq(verb, S("delete"));
    if (n == 1 && str_eq(verb, S("create"))) {
        status = create(data, user, account, policy, &arena);
    } else if (n == 1 && str_eq(verb, S("list"))) {
        Str query =
            account ? str_format(&arena, "account=%.*s", PS(percent_encode(&arena, str_c(account), false))) : STR_NONE;
        status = admin_call(data, &arena, "GET", S("keys"), query, STR_NONE, print_list, NULL);
    } else if (n == 2 && changes) {
        status = change(data, verb, argv[2], &arena);
    } else {
        status = args_wrong(USAGE, "key needs one of: create, list, disable ID, enable ID, delete ID");
    }
    arena_free(&arena);
    return status;
}
