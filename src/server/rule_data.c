#include "server/rule_data.h"

#include "api/codec.h"
#include "generated/iot.h"
#include "generated/iot_data.h"
#include "services/inner_call.h"

/* The operations that any client would call, in the rule's account. */

static Err ask(Server *s, const RuleAsker *who, const ApiService *service, Str operation, const void *in, Arena *arena,
               void **out, Str *why) {
    Rng rng = { 0 };
    const InnerCall inner = { .env = &s->env, .tenant = { who->account, who->region }, .rng = &rng, .arena = arena };
    Str code, message;
    Err e = inner_call(&inner, service, operation, in, out, &code, &message);
    if (e != OK) *why = str_format(arena, "%.*s%s%.*s", PS(code), code.len ? ": " : "", PS(message));
    return e;
}

static Err shadow(Server *s, const RuleAsker *who, const SqlOutsideCall *call, Arena *arena, Str *out, Str *why) {
    const IotDataGetThingShadowIn in = { .thing_name = call->args[0], .shadow_name = call->args[1] };
    void *answer;
    Err e = ask(s, who, &iot_data_service, S("GetThingShadow"), &in, arena, &answer, why);
    if (e == OK) *out = ((IotDataGetThingShadowOut *)answer)->payload;
    return e;
}

static Err registry(Server *s, const RuleAsker *who, const SqlOutsideCall *call, Arena *arena, Str *out, Str *why) {
    const IotDescribeThingIn thing = { .thing_name = call->args[1] };
    const IotListThingGroupsForThingIn groups = { .thing_name = call->args[1] };
    bool is_thing = str_eq(call->args[0], S("DescribeThing"));
    void *answer;
    Err e = ask(s, who, &iot_service, call->args[0], is_thing ? (const void *)&thing : &groups, arena, &answer, why);
    if (e != OK) return e;
    const ApiShape *shape = api_op(&iot_service, call->args[0])->out;
    *out = json_write_mut(arena, api_encode_struct(json_doc(arena), arena, shape, answer));
    return OK;
}

static Err call_local(void *ctx, const RuleAsker *who, const SqlOutsideCall *call, Arena *arena, Str *out, Str *why) {
    return call->kind == SQL_GET_THING_SHADOW ? shadow(ctx, who, call, arena, out, why)
                                              : registry(ctx, who, call, arena, out, why);
}

RuleOutside rule_data(Server *s) {
    return (RuleOutside){ s, call_local };
}
