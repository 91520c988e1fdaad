#include "rules/outside.h"

#include <pthread.h>
#include <stdlib.h>

#include "base/encode.h"
#include "base/json.h"
#include "base/writer.h"
#include "rules/attributes.h"
#include "rules/secrets.h"

/* Each kind is one question and what is made of its answer. Nothing is tried again: a message waits for it, and
 * get_or_default is the author's word for what to do instead.
 * Source: AWS IoT developer guide, SQL functions; the APIs of DynamoDB, Secrets Manager, Machine Learning, S3 */

struct Outside {
    OutsideOptions o;
    RuleOutside table;
    Secrets *secrets;
};

/* ------------------------------------------------------------------------------------------------ AWS */

static Err ask_aws(const Outside *o, const RuleAsker *who, AwsRequest *rq, Arena *arena, Str *body, Str *why) {
    AwsAnswer a;
    if (!o->o.aws) {
        *why = S("calls to AWS are not set up here");
        return ERR_NOT_IMPLEMENTED;
    }
    rq->account = who->account;
    rq->total_ms = OUTSIDE_ANSWER_MS;
    rq->answer_bytes_max = OUTSIDE_ANSWER_BYTES_MAX;
    aws_call_wait(o->o.aws, rq, arena, &a);
    if (a.result != OK) {
        *why = a.why;
        return a.result;
    }
    *body = a.body;
    return OK;
}

static Err ask_json(const Outside *o, const RuleAsker *who, const char *service, const char *operation,
                    yyjson_mut_val *body, Arena *arena, yyjson_val **out, Str *why) {
    AwsRequest rq = { .service = aws_service(str_c(service)),
                      .operation = str_c(operation),
                      .body = json_write_mut(arena, body) };
    Str text, fault;
    Err e = ask_aws(o, who, &rq, arena, &text, why);
    if (e == OK && (e = json_read(arena, text, true, out, &fault)) != OK)
        *why = str_format(arena, "%s answered no JSON: %.*s", service, PS(fault));
    return e;
}

/* What the function's role must allow; a secret's is asked when its ARN is known. Source: the functions' pages */
static Err may(const Outside *o, const RuleAsker *who, Str role, Str action, Str resource, Arena *arena, Str *why) {
    if (!o->o.roles || !role.ptr) return OK;
    const RightAsker asker = { .book = o->o.roles,
                               .seat = role_book_hold(o->o.roles, who->account, role),
                               .account = who->account,
                               .region = who->region,
                               .rule_arn = who->rule_arn };
    Err e = right_ask(&asker, action, resource, arena, why);
    role_book_drop(o->o.roles, asker.seat);
    return e;
}

static Str arn_of(const RuleAsker *who, const char *service, const char *kind, Str name, Arena *arena) {
    return str_format(arena, "arn:aws:%s:%.*s:%.*s:%s/%.*s", service, PS(who->region), PS(who->account), kind,
                      PS(name));
}

static void add_key(yyjson_mut_doc *d, yyjson_mut_val *keys, const SqlOutsideCall *call, size_t at) {
    yyjson_mut_val *v = yyjson_mut_obj(d);
    json_add_str(d, v, call->number[at + 1] ? S("N") : S("S"), call->args[at + 1]);
    yyjson_mut_obj_put(keys, json_mut_str(d, call->args[at]), v);
}

/* An item that is not there is an empty one: its attributes are Undefined. */
static Err get_dynamodb(const Outside *o, const RuleAsker *who, const SqlOutsideCall *call, Arena *arena, Str *out,
                        Str *why) {
    yyjson_mut_doc *d = json_doc(arena);
    yyjson_mut_val *rq = yyjson_mut_obj(d), *keys, *item;
    yyjson_val *answer, *found;
    json_add_str(d, rq, S("TableName"), call->args[0]);
    keys = yyjson_mut_obj_add_obj(d, rq, "Key");
    add_key(d, keys, call, 1);
    if (call->args[3].ptr) add_key(d, keys, call, 3);
    Err e = ask_json(o, who, "dynamodb", "GetItem", rq, arena, &answer, why);
    if (e != OK) return e;
    found = json_get(answer, S("Item"));
    if (!found) {
        *out = S("{}");
        return OK;
    }
    e = attributes_plain(d, found, &item);
    if (e == OK)
        *out = json_write_mut(arena, item);
    else
        *why = S("dynamodb answered an item whose attributes are none");
    return e;
}

/* Shape: *out = ARN, a zero byte, the value: the ARN is what the role is asked about, also where the value was kept */
static Err ask_secret(const Outside *o, const RuleAsker *who, Str id, bool binary, Arena *arena, Str *out, Str *why) {
    yyjson_mut_doc *d = json_doc(arena);
    yyjson_mut_val *rq = yyjson_mut_obj(d);
    yyjson_val *answer;
    json_add_str(d, rq, S("SecretId"), id);
    Err e = ask_json(o, who, "secretsmanager", "GetSecretValue", rq, arena, &answer, why);
    if (e != OK) return e;
    yyjson_val *value = json_get(answer, binary ? S("SecretBinary") : S("SecretString"));
    Str text = json_str(value), arn = json_str(json_get(answer, S("ARN")));
    if (!yyjson_is_str(value)) {
        *why = str_format(arena, "the secret '%.*s' has no %s", PS(id), binary ? "SecretBinary" : "SecretString");
        return ERR_NOT_FOUND;
    }
    if (binary && (e = base64_decode(arena, text, &text)) != OK) {
        *why = str_format(arena, "the secret '%.*s' came as what is no base64", PS(id));
        return e;
    }
    Writer w = writer_in(arena);
    writer_bytes(&w, arn.len ? arn : id);
    writer_u8(&w, 0);
    writer_bytes(&w, text);
    *out = writer_str(&w);
    return OK;
}

static Err get_secret(const Outside *o, const RuleAsker *who, const SqlOutsideCall *call, Arena *arena, Str *out,
                      Str *why) {
    bool binary = str_eq(call->args[1], S("SecretBinary"));
    int64_t now = clock_ms(o->o.clock);
    Str value, arn;
    Err e = secrets_get(o->secrets, who->account, call->args[0], binary, now, arena, &value);
    if (e != OK) {
        e = ask_secret(o, who, call->args[0], binary, arena, &value, why);
        if (e == OK) secrets_keep(o->secrets, who->account, call->args[0], binary, now, value);
    }
    if (e != OK) return e;
    arn = str_cut(&value, '\0');
    e = may(o, who, call->args[2], S("secretsmanager:GetSecretValue"), arn, arena, why);
    if (e == OK) *out = value;
    return e;
}

static Err predict(const Outside *o, const RuleAsker *who, const SqlOutsideCall *call, Arena *arena, Str *out,
                   Str *why) {
    const AwsService *service = aws_service(S("machinelearning"));
    const AwsEndpoint *to;
    yyjson_val *record, *answer;
    if (!aws_client_is_custom(o->o.aws, service)) {
        *why = S("AWS has ended Amazon Machine Learning: set --aws-endpoint machinelearning=URL for what speaks its "
                 "API");
        return ERR_NOT_IMPLEMENTED;
    }
    if (!(to = aws_client_endpoint(o->o.aws, service, why))) return ERR_NOT_FOUND;
    yyjson_mut_doc *d = json_doc(arena);
    yyjson_mut_val *rq = yyjson_mut_obj(d);
    Err e = json_read(arena, call->args[2], true, &record, why);
    if (e != OK) return e;
    json_add_str(d, rq, S("MLModelId"), call->args[0]);
    yyjson_mut_obj_add_val(d, rq, "Record", yyjson_val_mut_copy(d, record));
    json_add_str(d, rq, S("PredictEndpoint"),
                 str_format(arena, "%.*s://%.*s%.*s", PS(to->scheme), PS(to->host), PS(to->path)));
    e = ask_json(o, who, "machinelearning", "Predict", rq, arena, &answer, why);
    if (e != OK) return e;
    yyjson_val *prediction = json_get(answer, S("Prediction"));
    if (!yyjson_is_obj(prediction)) {
        *why = S("machinelearning answered without a Prediction");
        return ERR_MALFORMED;
    }
    *out = json_write(arena, prediction);
    return OK;
}

static Err descriptor(const Outside *o, const RuleAsker *who, const SqlOutsideCall *call, Arena *arena, Str *out,
                      Str *why) {
    const AwsService *s3 = aws_service(S("s3"));
    if (o->o.objects && !aws_client_is_custom(o->o.aws, s3))
        return folder_get_wait(o->o.objects, who->account, call->args[0], call->args[1], arena, out, why);
    Str bucket = percent_encode(arena, call->args[0], false), key = percent_encode(arena, call->args[1], true);
    AwsRequest rq = { .service = s3, .method = S("GET"), .path = str_format(arena, "/%.*s/%.*s", PS(bucket), PS(key)) };
    return ask_aws(o, who, &rq, arena, out, why);
}

/* ------------------------------------------------------------------------------------------------ functions */

typedef struct {
    pthread_mutex_t lock;
    pthread_cond_t came;
    bool done;
    Arena *arena;
    Err result;
    Str payload, error;
} Wait;

static void answered(void *ctx, const FunctionAnswer *a) {
    Wait *w = ctx;
    pthread_mutex_lock(&w->lock);
    w->result = a->result;
    w->payload = str_dup(w->arena, a->payload);
    w->error = a->error.ptr ? str_dup(w->arena, a->error) : STR_NONE;
    w->done = true;
    pthread_cond_signal(&w->came);
    pthread_mutex_unlock(&w->lock);
}

static Err lambda(const Outside *o, const RuleAsker *who, const SqlOutsideCall *call, Arena *arena, Str *out,
                  Str *why) {
    if (!o->o.functions) {
        *why = S("functions are not set up here");
        return ERR_NOT_IMPLEMENTED;
    }
    Wait w = { .lock = PTHREAD_MUTEX_INITIALIZER, .came = PTHREAD_COND_INITIALIZER, .arena = arena };
    function_call(o->o.functions,
                  &(FunctionCall){ .account = who->account,
                                   .region = who->region,
                                   .function = call->args[0],
                                   .payload = call->args[1],
                                   .principal = S("iot.amazonaws.com"),
                                   .source_arn = who->rule_arn,
                                   .patience_ms = OUTSIDE_LAMBDA_MS },
                  answered, &w);
    pthread_mutex_lock(&w.lock);
    while (!w.done) pthread_cond_wait(&w.came, &w.lock);
    pthread_mutex_unlock(&w.lock);
    pthread_cond_destroy(&w.came);
    pthread_mutex_destroy(&w.lock);
    if (w.result != OK) {
        *why = w.payload;
        return w.result;
    }
    if (w.error.ptr) {
        *why = str_format(arena, "the function failed (%.*s): %.*s", PS(w.error), PS(str_sub(w.payload, 0, 1000)));
        return ERR_DENIED;
    }
    *out = w.payload;
    return OK;
}

/* ------------------------------------------------------------------------------------------------ all */

static Err may_ask(const Outside *o, const RuleAsker *who, const SqlOutsideCall *call, Arena *arena, Str *why) {
    const Str *args = call->args;
    Str thing;
    switch (call->kind) {
    case SQL_GET_DYNAMODB:
        return may(o, who, args[5], S("dynamodb:GetItem"), arn_of(who, "dynamodb", "table", args[0], arena), arena,
                   why);
    case SQL_GET_THING_SHADOW:
        thing = args[1].ptr ? str_format(arena, "%.*s/%.*s", PS(args[0]), PS(args[1])) : args[0];
        return may(o, who, args[2], S("iot:GetThingShadow"), arn_of(who, "iot", "thing", thing, arena), arena, why);
    case SQL_GET_REGISTRY_DATA:
        return may(o, who, args[2], str_format(arena, "iot:%.*s", PS(args[0])),
                   arn_of(who, "iot", "thing", args[1], arena), arena, why);
    case SQL_MACHINELEARNING_PREDICT:
        return may(o, who, args[1], S("machinelearning:Predict"),
                   arn_of(who, "machinelearning", "mlmodel", args[0], arena), arena, why);
    default: return OK;
    }
}

static Err ask(void *ctx, const RuleAsker *who, const SqlOutsideCall *call, Arena *arena, Str *out, Str *why) {
    const Outside *o = ctx;
    Err allowed = may_ask(o, who, call, arena, why);
    if (allowed != OK) return allowed;
    switch (call->kind) {
    case SQL_AWS_LAMBDA: return lambda(o, who, call, arena, out, why);
    case SQL_GET_DYNAMODB: return get_dynamodb(o, who, call, arena, out, why);
    case SQL_GET_SECRET: return get_secret(o, who, call, arena, out, why);
    case SQL_MACHINELEARNING_PREDICT: return predict(o, who, call, arena, out, why);
    case SQL_PROTO_DESCRIPTOR: return descriptor(o, who, call, arena, out, why);
    case SQL_GET_THING_SHADOW:
    case SQL_GET_REGISTRY_DATA:
        if (o->o.local.call) return o->o.local.call(o->o.local.ctx, who, call, arena, out, why);
        break;
    case SQL_OUTSIDE_KINDS: break;
    }
    *why = S("nothing here answers it");
    return ERR_NOT_IMPLEMENTED;
}

Outside *outside_new(const OutsideOptions *options) {
    Outside *o = mem_new(sizeof *o);
    o->o = *options;
    o->secrets = secrets_new();
    o->table = (RuleOutside){ o, ask };
    return o;
}

void outside_free(Outside *o) {
    if (!o) return;
    secrets_free(o->secrets);
    free(o);
}

const RuleOutside *outside_table(const Outside *o) {
    return &o->table;
}
