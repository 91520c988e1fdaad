#include "rules/actions/operation.h"

#include "base/rng.h"

static ActionOutcome outcome_of(Str code) {
    if (str_find_str(code, S("Throttling")) != SIZE_MAX || str_find_str(code, S("LimitExceeded")) != SIZE_MAX)
        return ACTION_SLOWER;
    bool passes = str_find_str(code, S("Internal")) != SIZE_MAX || str_find_str(code, S("Unavailable")) != SIZE_MAX;
    return passes ? ACTION_AGAIN : ACTION_FAILED;
}

void action_operation_refused(ActionRun *run, Str code, Str message) {
    action_done(run, (ActionResult){ .outcome = outcome_of(code),
                                     .why = str_format(run->arena, "%.*s failed. %.*s: %.*s", PS(run->kind->failed),
                                                       PS(code), PS(message)) });
}

bool action_operation(ActionRun *run, const ApiService *service, const char *operation, const void *in, void **out) {
    Str code = STR_NONE, message = STR_NONE;
    Err e = ERR_NOT_IMPLEMENTED;
    if (run->env->operation)
        e = run->env->operation(run->env->operation_ctx, run->account, service, str_c(operation), in, run->arena, out,
                                &code, &message);
    if (e == OK) return true;
    if (e == ERR_NOT_IMPLEMENTED)
        action_failed(run, "%.*s failed. %s of %.*s is not implemented yet", PS(run->kind->failed), operation,
                      PS(service->name));
    else if (e == ERR_API)
        action_operation_refused(run, code, message);
    else
        action_done(run, (ActionResult){ .outcome = ACTION_AGAIN,
                                         .why = str_format(run->arena, "%.*s failed. %s: %s", PS(run->kind->failed),
                                                           operation, err_name(e)) });
    return false;
}

Str action_uuid(ActionRun *run) {
    Rng rng = { 0 };
    return rng_uuid(&rng, run->arena);
}
