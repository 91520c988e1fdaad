/* Salesforce: the result is posted to an input stream of Salesforce IoT. The address's form is the model's, which
 * leads to nobody else. Source: AWS IoT developer guide, "Salesforce"; botocore's SalesforceAction */
#include "generated/iot.h"
#include "net/fetch.h"
#include "rules/actions/kinds.h"

static Str resource(Arena *arena, const void *action) {
    (void)arena;
    return ((const IotSalesforceAction *)action)->url;
}

static void posted(void *ctx, const FetchAnswer *answer) {
    ActionRun *run = ctx;
    bool good = answer->result == OK && answer->status >= 200 && answer->status < 300;
    bool again =
        answer->result == ERR_IO || answer->result == ERR_AGAIN || (answer->result == OK && answer->status >= 500);
    Str why = answer->result == OK ? str_format(run->arena, "Salesforce answered %d", answer->status)
                                   : str_dup(run->arena, answer->why);
    ActionOutcome outcome = good                                            ? ACTION_DONE
                            : answer->result == OK && answer->status == 429 ? ACTION_SLOWER
                            : again                                         ? ACTION_AGAIN
                                                                            : ACTION_FAILED;
    action_done(run, (ActionResult){ .outcome = outcome, .why = why });
}

static void start(ActionRun *run) {
    const ActionItem *item = &run->items[0];
    const IotSalesforceAction *a = item->action;
    const HttpHeader headers[] = { { S("Authorization"), str_format(run->arena, "Bearer %.*s", PS(a->token)) },
                                   { S("Content-Type"), S("application/json") } };
    if (!run->env->fetch) {
        action_failed(run, "outgoing HTTP is not set up here");
        return;
    }
    fetch_start(run->env->fetch,
                &(FetchRequest){ .method = S("POST"),
                                 .url = a->url,
                                 .headers = headers,
                                 .headers_n = 2,
                                 .body = item->payload,
                                 .total_ms = run->left_ms },
                posted, run);
}

static const char *const LITERAL[] = { "url", "token", NULL };

const ActionKind ACTION_SALESFORCE = {
    .member = STR_INIT("salesforce"),
    .failed = STR_INIT("SalesforceAction"),
    .literal = LITERAL,
    .resource = resource,
    .start = start,
    .json_only = true,
};
