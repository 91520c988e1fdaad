#include <stdio.h>
#include <unistd.h>

#include "identity/x509.h"
#include "server/commands/admin_call.h"
#include "server/commands/args.h"
#include "server/commands/commands.h"

static const char USAGE[] =
    "usage: starling policy explain WHO ACTION RESOURCE [--client-id ID] [--source-ip IP] [--domain-name HOST]\n"
    "                                                     [--account ID]\n"
    "\n"
    "Says whether WHO may, and which statement decides. (--data DIR, default ./" CLIENT_DATA_DIR ")\n"
    "  WHO       a certificate: its file, its id or its ARN; or an access key's id\n"
    "  ACTION    iot:Publish, or just Publish\n"
    "  RESOURCE  an ARN, or just topic/a/b, topicfilter/a/#, client/lamp, thing/lamp\n"
    "  --client-id ID  as which client it connects: sets the thing variables\n"
    "  --account ID    where the certificate is, when it is not the server's own account\n"
    "Exit status: 0 allowed, 3 denied.\n";

enum { DENIED = 3 };

static int print(Client *client, const ClientAnswer *answer, void *ctx) {
    (void)client;
    (void)ctx;
    Str status = json_str(json_get(answer->json, S("status")));
    printf("%.*s%s%.*s\n%.*s", PS(json_str(json_get(answer->json, S("principal")))), status.len ? ", " : "", PS(status),
           PS(json_str(json_get(answer->json, S("text")))));
    return str_eq(json_str(json_get(answer->json, S("decision"))), S("allowed")) ? 0 : DENIED;
}

/* A file is a certificate, whose id is its fingerprint. */
static Err who_is(const char *arg, Arena *arena, Str *out, Str *why) {
    *out = str_c(arg);
    if (access(arg, R_OK) != 0) return OK;
    Str text;
    CertInfo cert;
    Err e = client_read_file(arg, X509_TEXT_BYTES_MAX, arena, &text, why);
    if (e == OK && (e = x509_parse(text, arena, &cert, why)) != OK) *why = str_format(arena, "%s: %.*s", arg, PS(*why));
    if (e == OK) *out = cert.id;
    return e;
}

int command_policy(int argc, char **argv) {
    const char *data = NULL, *client_id = NULL, *source_ip = NULL, *domain = NULL, *account = NULL;
    const Option options[] = { { "--data", &data, NULL },
                               { "--client-id", &client_id, NULL },
                               { "--source-ip", &source_ip, NULL },
                               { "--domain-name", &domain, NULL },
                               { "--account", &account, NULL } };
    int status, n = args_take(argc, argv, options, 5, USAGE, &status);
    if (n < 0) return status;
    if (n != 4 || strcmp(argv[1], "explain") != 0)
        return args_wrong(USAGE, "policy needs: explain WHO ACTION RESOURCE");
    Arena arena = { 0 };
    Str who, why;
    if (who_is(argv[2], &arena, &who, &why) != OK) {
        status = args_fail("%.*s", PS(why));
    } else {
        yyjson_mut_doc *doc = json_doc(&arena);
        yyjson_mut_val *o = yyjson_mut_obj(doc);
        json_add_str(doc, o, S("principal"), who);
        json_add_str(doc, o, S("action"), str_c(argv[3]));
        json_add_str(doc, o, S("resource"), str_c(argv[4]));
        if (client_id) json_add_str(doc, o, S("clientId"), str_c(client_id));
        if (source_ip) json_add_str(doc, o, S("sourceIp"), str_c(source_ip));
        if (domain) json_add_str(doc, o, S("domainName"), str_c(domain));
        if (account) json_add_str(doc, o, S("account"), str_c(account));
        status =
            admin_call(data, &arena, "POST", S("policy/explain"), STR_NONE, json_write_mut(&arena, o), print, NULL);
    }
    arena_free(&arena);
    return status;
}
