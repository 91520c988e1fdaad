/* Client: one AWS client of the server whose data directory is given: ports from DIR/ready.json, the first access key
 * from DIR/credentials, trust from DIR/ca.pem; signed by the code that the server verifies with. */
#pragma once

#include "base/json.h"
#include "net/header.h"

typedef struct Client Client;

#define CLIENT_DATA_DIR "starling-data" /* when --data is not given */

/* Where the server is and who asks; all of it lives in the client's arena. */
typedef struct {
    Str dir;      /* absolute */
    Str host;     /* "localhost" */
    Str url;      /* "https://localhost:8443" */
    Str endpoint; /* as DescribeEndpoint gives it */
    Str region;
    Str ca_file;                               /* absolute */
    int64_t mqtt_port, https_port, plain_port; /* plain_port 0: off */
    int64_t pid;
    Str access_key, secret;
} ClientPlace;

/* Reads the files, talks to nobody. Errors: ERR_NOT_FOUND, ERR_IO, ERR_MALFORMED; *why says what and what to do */
NODISCARD Err client_place(const char *data_dir, Arena *arena, ClientPlace *out, Str *why);

NODISCARD Err client_open(const char *data_dir, Arena *arena, Client **out, Str *why);
void client_close(Client *client); /* accepts NULL */
const ClientPlace *client_at(const Client *client);

typedef struct {
    const char *service; /* of the scope: "iot", "starling" */
    const char *method;
    Str path, query, body; /* path and query percent-encoded */
    HttpHeader header;     /* one more; name STR_NONE: none */
} ClientRequest;

typedef struct {
    int status;
    Str body;
    Str error_type;   /* x-amzn-ErrorType; STR_NONE: none */
    yyjson_val *json; /* NULL: no JSON */
} ClientAnswer;

/* Errors: ERR_IO (*why: unreachable, not trusted …). An answer of the server, whatever it is, is OK. */
NODISCARD Err client_send(Client *client, const ClientRequest *request, ClientAnswer *out, Str *why);
/* The same, and a status other than 2xx is an error, too. Errors: ERR_IO, ERR_API; *why is the server's message */
NODISCARD Err client_ask(Client *client, const ClientRequest *request, ClientAnswer *out, Str *why);

/* A whole file. Errors: ERR_NOT_FOUND, ERR_IO, ERR_LIMIT; *why names it */
NODISCARD Err client_read_file(const char *path, size_t bytes_max, Arena *arena, Str *out, Str *why);
