/* A device in one step: thing, certificate, policy, and the files that its program needs. Only AWS's own API is used,
 * so this is also what a script against AWS would do. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/encode.h"
#include "server/commands/args.h"
#include "server/commands/client.h"
#include "server/commands/commands.h"

static const char USAGE[] =
    "usage: starling device NAME [--data DIR] [--out DIR] [--policy FILE]\n"
    "\n"
    "Makes the thing NAME with a certificate and a policy, and the files NAME.cert.pem, NAME.private.key and\n"
    "root-ca.pem in DIR (default .; made where it is not there), then prints the command that connects with them.\n"
    "  --policy FILE  the AWS IoT policy of the device; without it `StarlingDevice`, by which each device may\n"
    "                 connect as itself over MQTT and use its own shadow, its jobs and the topics below its name;\n"
    "                 over HTTP a thing has no variables (as at AWS): give a policy that names the resources\n";

#define DEFAULT_POLICY "StarlingDevice"
#define THING "${iot:Connection.Thing.ThingName}"
#define TOPICS(kind)                                                                                                   \
    "\"arn:aws:iot:*:*:" kind "/$aws/things/" THING "/*\",\"arn:aws:iot:*:*:" kind "/" THING                           \
    "\",\"arn:aws:iot:*:*:" kind "/" THING "/*\""
static const char DEFAULT_DOCUMENT[] =
    "{\"Version\":\"2012-10-17\",\"Statement\":["
    "{\"Effect\":\"Allow\",\"Action\":\"iot:Connect\",\"Resource\":\"arn:aws:iot:*:*:client/" THING "\"},"
    "{\"Effect\":\"Allow\",\"Action\":[\"iot:Publish\",\"iot:Receive\",\"iot:RetainPublish\"],\"Resource\":[" TOPICS(
        "topic") "]},"
                 "{\"Effect\":\"Allow\",\"Action\":\"iot:Subscribe\",\"Resource\":[" TOPICS("topicfilter") "]}]}";

enum { POLICY_BYTES_MAX = 404600 };

typedef struct {
    Client *client;
    Arena *arena;
    Str name; /* of the thing */
    const char *out_dir, *policy_file;
    Str cert_file, key_file, ca_file;
    Str certificate_arn, certificate_pem, private_key;
    Str policy;
} Device;

static Err ask(Device *d, const char *method, Str path, const char *query, Str body, HttpHeader header,
               ClientAnswer *out, Str *why) {
    ClientRequest rq = { "iot", method, path, str_c(query), body, header };
    return client_ask(d->client, &rq, out, why);
}

static const HttpHeader NO_HEADER = { { NULL, 0 }, { NULL, 0 } };

static Err name_files(Device *d, Str *why) {
    d->cert_file = str_format(d->arena, "%s/%.*s.cert.pem", d->out_dir, PS(d->name));
    d->key_file = str_format(d->arena, "%s/%.*s.private.key", d->out_dir, PS(d->name));
    d->ca_file = str_format(d->arena, "%s/root-ca.pem", d->out_dir);
    const Str files[] = { d->cert_file, d->key_file };
    for (size_t i = 0; i < 2; i++)
        if (access(str_dup_c(d->arena, files[i]), F_OK) == 0) {
            *why = str_format(d->arena, "%.*s exists: move it away, or give another --out", PS(files[i]));
            return ERR_EXISTS;
        }
    if (mkdir(d->out_dir, 0755) && errno != EEXIST) {
        *why = str_format(d->arena, "the folder %s cannot be made: %s", d->out_dir, strerror(errno));
        return ERR_IO;
    }
    if (access(d->out_dir, W_OK) == 0) return OK;
    *why = str_format(d->arena, "%s cannot be written to: %s", d->out_dir, strerror(errno));
    return ERR_IO;
}

static Err make_thing(Device *d, Str *why) {
    ClientAnswer answer;
    Str path = str_format(d->arena, "/things/%.*s", PS(percent_encode(d->arena, d->name, false)));
    return ask(d, "POST", path, "", S("{}"), NO_HEADER, &answer, why);
}

static Str policy_body(Device *d, Str document) {
    yyjson_mut_doc *doc = json_doc(d->arena);
    yyjson_mut_val *o = yyjson_mut_obj(doc);
    json_add_str(doc, o, S("policyDocument"), document);
    return json_write_mut(d->arena, o);
}

/* The default policy serves all devices: it may be there. */
static Err make_policy(Device *d, Str *why) {
    Str document = str_c(DEFAULT_DOCUMENT);
    d->policy = S(DEFAULT_POLICY);
    if (d->policy_file) {
        Err e = client_read_file(d->policy_file, POLICY_BYTES_MAX, d->arena, &document, why);
        if (e != OK) return e;
        d->policy = str_format(d->arena, "%.*s-policy", PS(d->name));
    }
    ClientAnswer answer = { 0 };
    Str path = str_format(d->arena, "/policies/%.*s", PS(percent_encode(d->arena, d->policy, false)));
    Err e = ask(d, "POST", path, "", policy_body(d, document), NO_HEADER, &answer, why);
    bool there = e == ERR_API && str_eq(answer.error_type, S("ResourceAlreadyExistsException"));
    return there && !d->policy_file ? OK : e;
}

static Err make_certificate(Device *d, Str *why) {
    ClientAnswer answer;
    Err e = ask(d, "POST", S("/keys-and-certificate"), "setAsActive=true", S("{}"), NO_HEADER, &answer, why);
    if (e != OK) return e;
    d->certificate_arn = json_str(json_get(answer.json, S("certificateArn")));
    d->certificate_pem = json_str(json_get(answer.json, S("certificatePem")));
    d->private_key = json_str(json_get(json_get(answer.json, S("keyPair")), S("PrivateKey")));
    if (d->certificate_arn.len && d->certificate_pem.len && d->private_key.len) return OK;
    *why = S("the server's answer to CreateKeysAndCertificate lacks the certificate or its key");
    return ERR_MALFORMED;
}

static Err attach(Device *d, Str *why) {
    ClientAnswer answer;
    Str body = str_format(d->arena, "{\"target\":\"%.*s\"}", PS(d->certificate_arn));
    Str path = str_format(d->arena, "/target-policies/%.*s", PS(percent_encode(d->arena, d->policy, false)));
    Err e = ask(d, "PUT", path, "", body, NO_HEADER, &answer, why);
    if (e != OK) return e;
    HttpHeader principal = { S("x-amzn-principal"), d->certificate_arn };
    path = str_format(d->arena, "/things/%.*s/principals", PS(percent_encode(d->arena, d->name, false)));
    return ask(d, "PUT", path, "", S("{}"), principal, &answer, why);
}

static Err write_file(Device *d, Str path, int mode, bool replace, Str text, Str *why) {
    const char *name = str_dup_c(d->arena, path);
    int fd = open(name, O_WRONLY | O_CREAT | O_CLOEXEC | (replace ? O_TRUNC : O_EXCL), mode);
    bool ok = fd >= 0 && write(fd, text.ptr, text.len) == (ssize_t)text.len;
    if (fd >= 0) ok = close(fd) == 0 && ok;
    if (ok) return OK;
    *why = str_format(d->arena, "%s cannot be written: %s", name, strerror(errno));
    return ERR_IO;
}

static Err write_files(Device *d, Str *why) {
    Str roots;
    const char *from = str_dup_c(d->arena, client_at(d->client)->ca_file);
    Err e = client_read_file(from, POLICY_BYTES_MAX, d->arena, &roots, why);
    if (e == OK) e = write_file(d, d->key_file, 0600, false, d->private_key, why);
    if (e == OK) e = write_file(d, d->cert_file, 0644, false, d->certificate_pem, why);
    if (e == OK) e = write_file(d, d->ca_file, 0644, true, roots, why);
    return e;
}

static void print_result(const Device *d) {
    const ClientPlace *p = client_at(d->client);
    printf("thing        %.*s\ncertificate  %.*s\npolicy       %.*s\nfiles        %.*s\n             %.*s\n"
           "             %.*s\nendpoint     %.*s, port %d for MQTT, %d for HTTPS and WebSocket\n\n",
           PS(d->name), PS(d->certificate_arn), PS(d->policy), PS(d->cert_file), PS(d->key_file), PS(d->ca_file),
           PS(p->host), (int)p->mqtt_port, (int)p->https_port);
    printf("mosquitto_sub -h %.*s -p %d --cafile %.*s --cert %.*s --key %.*s -i %.*s -q 1 -d -t '%.*s/#'\n",
           PS(p->host), (int)p->mqtt_port, PS(d->ca_file), PS(d->cert_file), PS(d->key_file), PS(d->name), PS(d->name));
}

static Err make(Device *d, Str *why) {
    Err e = name_files(d, why);
    if (e == OK) e = make_thing(d, why);
    if (e == OK) e = make_policy(d, why);
    if (e == OK) e = make_certificate(d, why);
    if (e == OK) e = attach(d, why);
    if (e == OK) e = write_files(d, why);
    return e;
}

/* Source: the pattern of ThingName; it also keeps the name from leaving the folder. */
static bool is_thing_name(Str name) {
    for (size_t i = 0; i < name.len; i++) {
        uint8_t c = name.ptr[i];
        bool ok = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || strchr(":_-", c);
        if (!c || !ok) return false;
    }
    return name.len >= 1 && name.len <= 128;
}

int command_device(int argc, char **argv) {
    const char *data = NULL;
    Device d = { .out_dir = "." };
    const Option options[] = { { "--data", &data, NULL },
                               { "--out", &d.out_dir, NULL },
                               { "--policy", &d.policy_file, NULL } };
    int status, n = args_take(argc, argv, options, 3, USAGE, &status);
    if (n < 0) return status;
    if (n != 1) return args_wrong(USAGE, "device needs one NAME");
    d.name = str_c(argv[1]);
    if (!is_thing_name(d.name))
        return args_wrong(USAGE, "a thing's name is 1 to 128 of A-Z a-z 0-9 : _ -, got '%s'", argv[1]);
    Arena arena = { 0 };
    Str why;
    d.arena = &arena;
    Err e = client_open(data, &arena, &d.client, &why);
    if (e == OK) e = make(&d, &why);
    if (e == OK)
        print_result(&d);
    else
        args_fail("%.*s", PS(why));
    client_close(d.client);
    arena_free(&arena);
    return e != OK;
}
