#include "rules/actions/aws.h"

#include "base/encode.h"

ActionOutcome action_aws_outcome(AwsRetry retry) {
    return retry == AWS_AGAIN ? ACTION_AGAIN : retry == AWS_SLOWER ? ACTION_SLOWER : ACTION_FAILED;
}

void action_aws_failed(ActionRun *run, const AwsAnswer *a) {
    Str why = str_format(run->arena, "The error received was %.*s", PS(a->why));
    action_done(run, (ActionResult){ .outcome = action_aws_outcome(a->retry), .why = why });
}

static void answered(void *ctx, const AwsAnswer *a) {
    ActionRun *run = ctx;
    if (a->result == OK)
        action_done(run, (ActionResult){ .outcome = ACTION_DONE });
    else
        action_aws_failed(run, a);
}

void action_aws_call(ActionRun *run, const AwsRequest *request, AwsDone *done, void *ctx) {
    if (!run->env->aws) {
        action_failed(run, "calls to AWS are not set up here");
        return;
    }
    AwsRequest rq = *request;
    rq.total_ms = run->left_ms;
    rq.account = run->account;
    aws_call(run->env->aws, &rq, done, ctx);
}

void action_aws(ActionRun *run, const AwsRequest *request) {
    action_aws_call(run, request, answered, run);
}

typedef struct {
    ActionRun *run;
    ActionAnswered *answered;
} Particular;

static void particular(void *ctx, const AwsAnswer *a) {
    Particular p = *(Particular *)ctx;
    if (a->result == OK)
        p.answered(p.run, a);
    else
        action_aws_failed(p.run, a);
}

void action_aws_json(ActionRun *run, const char *service, const char *operation, yyjson_mut_doc *doc,
                     yyjson_mut_val *body, ActionAnswered *then) {
    (void)doc;
    AwsRequest rq = { .service = aws_service(str_c(service)),
                      .operation = str_c(operation),
                      .body = json_write_mut(run->arena, body) };
    if (!then) {
        action_aws(run, &rq);
        return;
    }
    Particular *p = arena_new(run->arena, Particular);
    *p = (Particular){ run, then };
    action_aws_call(run, &rq, particular, p);
}

void action_parts_failed(ActionRun *run, const char *service, size_t refused, size_t n, Str code, Str message) {
    Str why = str_format(run->arena, "The error received was %s refused %zu of %zu records: %.*s%s%.*s", service,
                         refused, n, PS(code), message.len ? ": " : "", PS(message));
    AwsRetry retry =
        aws_error_retry(str_starts(code, S("Internal")) || str_starts(code, S("Service")) ? 500 : 400, code);
    action_done(run, (ActionResult){ .outcome = action_aws_outcome(retry), .why = why });
}

Writer action_form(ActionRun *run, const char *service, const char *action) {
    Writer w = writer_in(run->arena);
    writer_format(&w, "Action=%s&Version=%.*s", action, PS(aws_service(str_c(service))->version));
    return w;
}

/* As HTML forms have it, and AWS's SDKs: a space is a '+'. */
void action_form_add(Writer *w, const char *name, Str value) {
    writer_format(w, "&%s=", name);
    for (Str rest = value; rest.ptr;) {
        Str encoded = percent_encode(w->arena, str_cut(&rest, ' '), false);
        writer_bytes(w, encoded);
        if (rest.ptr) writer_u8(w, '+');
    }
}

Err action_parts(ActionRun *run, bool batch_mode, size_t n_max, ActionParts *out, Str *why) {
    const ActionItem *item = &run->items[0];
    yyjson_val *array, *v;
    size_t i, n;
    if (!batch_mode) {
        Str *one = arena_new(run->arena, Str);
        *one = item->payload;
        *out = (ActionParts){ one, 1 };
        return OK;
    }
    if (!item->json || json_read(run->arena, item->payload, true, &array, NULL) != OK || !yyjson_is_arr(array)) {
        *why = S("batchMode is set, but the result of the SQL statement is no array");
        return ERR_INVALID;
    }
    if (yyjson_arr_size(array) > n_max) {
        *why = str_format(run->arena, "the array has %zu elements, at most %zu can be sent at once",
                          yyjson_arr_size(array), n_max);
        return ERR_INVALID;
    }
    ActionParts parts = { arena_array(run->arena, Str, yyjson_arr_size(array) + 1), 0 };
    yyjson_arr_foreach(array, i, n, v) parts.items[parts.n++] =
        yyjson_is_str(v) ? json_str(v) : json_write(run->arena, v);
    *out = parts;
    return OK;
}
