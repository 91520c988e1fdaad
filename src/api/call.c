#include "api/call.h"

#include <stdarg.h>
#include <stdatomic.h>

Err api_fail(Call *c, const ApiError *error, const char *format, ...) {
    va_list args;
    va_start(args, format);
    c->failure.error = error;
    c->failure.message = str_format_v(c->arena, format, args);
    va_end(args);
    return ERR_API;
}

void call_after(Call *c, void (*run)(Env *env, void *arg), void *arg) {
    Outgoing *o = arena_new(c->arena, Outgoing);
    *o = (Outgoing){ .run = run, .arg = arg };
    if (!c->outbox_tail) c->outbox_tail = &c->outbox;
    *c->outbox_tail = o;
    c->outbox_tail = &o->next;
}

Str call_arn(Call *c, const char *service, const char *format, ...) {
    va_list args;
    va_start(args, format);
    Str rest = str_format_v(c->arena, format, args);
    va_end(args);
    return str_format(c->arena, "arn:aws:%s:%.*s:%.*s:%.*s", service, PS(c->region), PS(c->account), PS(rest));
}

void call_hold(Call *c) {
    atomic_fetch_add(&c->holds, 1);
}

void call_release(Call *c) {
    if (atomic_fetch_sub(&c->holds, 1) == 1) c->answer(c);
}
