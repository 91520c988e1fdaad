#include "server/commands/admin_call.h"

#include "server/commands/args.h"
#include "services/admin/admin.h"

int admin_call(const char *data_dir, Arena *arena, const char *method, Str path, Str query, Str body, AdminPrint *print,
               void *ctx) {
    Client *client = NULL;
    ClientAnswer answer;
    Str why;
    ClientRequest rq = { .service = ADMIN_SERVICE,
                         .method = method,
                         .query = query,
                         .body = body,
                         .path = str_format(arena, ADMIN_PREFIX "%.*s", PS(path)) };
    Err e = client_open(data_dir, arena, &client, &why);
    if (e == OK) e = client_ask(client, &rq, &answer, &why);
    if (e == OK && !yyjson_is_obj(answer.json)) {
        why = str_format(arena, "the answer to %s %.*s is no JSON object", method, PS(rq.path));
        e = ERR_MALFORMED;
    }
    int status = e == OK ? print(client, &answer, ctx) : args_fail("%.*s", PS(why));
    client_close(client);
    return status;
}
