#include "server/functions.h"

#include <errno.h>
#include <stdlib.h>

#include "aws/client.h"
#include "services/lambda/lambda.h"
#include "services/lambda/remote.h"

/* What a function prints, and what is said of it. */
static void on_line(void *ctx, LogLevel level, Str account, Str function, Str request_id, Str text) {
    Server *s = ctx;
    Log log = s->log;
    if (!str_eq(account, s->env.account)) log.also = NULL; /* as with the service log's entries */
    log_line(&log, level, "event=Function account=%.*s function=%.*s request=%.*s line=\"%.*s\"", PS(account),
             PS(function), PS(request_id), PS(text));
}

/* A shell that `starling env` has pointed here may start the server again: it is not sent to itself. */
static bool is_here(const Server *s, const AwsEndpoint *e) {
    const Settings *o = &s->settings;
    Str port = e->host, host = str_cut(&port, ':');
    int64_t n = 443;
    if (port.ptr && str_to_i64(port, &n) != OK) return false;
    if (!str_eq(host, S("localhost")) && !(o->hostname && str_eq(host, str_c(o->hostname)))) return false;
    return o->https_port == -2 ? n == 443 || n == 8443 : n == o->https_port;
}

Err open_functions(Server *s, Str *why) {
    const Settings *o = &s->settings;
    const AwsEndpoint *elsewhere = aws_client_endpoint(s->aws, aws_service(S("lambda")), why);
    char *data = realpath(o->data, NULL); /* functions have another working folder */
    if (!data) {
        *why = str_format(&s->arena, "data: '%s': %s", o->data, strerror(errno));
        return ERR_IO;
    }
    s->lambda = lambda_open(&(LambdaOptions){ .env = &s->env,
                                              .dir = str_dup_c(&s->arena, str_format(&s->arena, "%s/lambda", data)),
                                              .python = o->lambda_python,
                                              .instances_max = o->lambda_instances_max,
                                              .idle_s = o->lambda_idle_s,
                                              .uncontained = o->lambda_uncontained,
                                              .objects = s->objects,
                                              .line = on_line,
                                              .ctx = s });
    free(data);
    s->env.lambda = s->lambda;
    s->env.functions = lambda_functions(s->lambda);
    if (!elsewhere || !elsewhere->custom || is_here(s, elsewhere)) return OK;
    s->lambda_remote = remote_new(s->aws);
    s->env.functions = remote_functions(s->lambda_remote);
    log_line(&s->log, LOG_INFO, "event=Function reason=\"functions are called at %.*s\"", PS(elsewhere->host));
    return OK;
}

void stop_functions(Server *s) {
    lambda_shut(s->lambda);
}

void close_functions(Server *s) {
    remote_free(s->lambda_remote);
    lambda_close(s->lambda);
}
