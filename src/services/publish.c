/* A handler may run twice, so nothing is published by it: the messages wait in the call's outbox. */
#include "services/publish.h"

#include "api/op.h"
#include "services/env.h"

static void publish_now(Env *env, void *arg) {
    broker_publish(env->broker, arg);
}

void publish_message_after(Call *c, const BrokerMessage *message) {
    BrokerMessage *m = arena_new(c->arena, BrokerMessage);
    *m = *message;
    call_after(c, publish_now, m);
}

static const ApiError NOT_SAFE = { .name = STR_INIT("InternalFailureException"),
                                   .status = 500,
                                   .message_member = STR_INIT("message") };

/* On any thread, while the call waits: nothing but its failure is touched. */
static void publish_released(void *ctx, bool safe) {
    Call *c = ctx;
    if (!safe) {
        c->failure.error = &NOT_SAFE;
        c->failure.message = S("The message was not stored for every persistent session: publish it again");
    }
    call_release(c);
}

static void publish_now_held(Env *env, void *arg) {
    const BrokerMessage *m = arg;
    call_hold(m->ctx);
    broker_publish(env->broker, m);
}

void publish_message_held(Call *c, const BrokerMessage *message) {
    BrokerMessage *m = arena_new(c->arena, BrokerMessage);
    *m = *message;
    m->done = publish_released;
    m->ctx = c;
    call_after(c, publish_now_held, m);
}

void publish_after(Call *c, Str topic, Str payload) {
    publish_message_after(c, &(BrokerMessage){ .account = c->account, .topic = topic, .payload = payload, .qos = 1 });
}

const BrokerMessage *publish_queued(const Outgoing *entry) {
    return entry->run == publish_now || entry->run == publish_now_held ? entry->arg : NULL;
}
