#include "broker/rule.h"

#include "broker/client.h"

static const Str INGEST = STR_INIT("$aws/rules/");

bool rule_is_ingest(Str topic) {
    return topic.len > INGEST.len && topic.ptr[0] == '$' && str_starts(topic, INGEST);
}

void rule_find(const Shard *shard, Route *r) {
    const RuleHook *hook = &shard->broker->o.rules;
    rule_forget(shard, r);
    if (hook->ctx) r->rules = hook->find(hook->ctx, r->space->account, r->topic);
}

void rule_forget(const Shard *shard, Route *r) {
    if (r->rules) shard->broker->o.rules.release(r->rules);
    r->rules = NULL;
}

void rule_run(Shard *shard, Message *m, const Route *r, const RuleOrigin *from) {
    const RuleHook *hook = &shard->broker->o.rules;
    RuleMessage rm = { .account = m->space->account,
                       .topic = m->topic,
                       .payload = m->payload,
                       .props = m->props,
                       .qos = m->qos,
                       .client_id = from->client_id,
                       .principal = from->principal,
                       .source_ip = from->source_ip,
                       .depth = from->depth,
                       .shard = shard->index,
                       .message = m };
    hook->run(hook->ctx, r->rules, &rm);
}

void *broker_rule_hold(const RuleMessage *m) {
    return message_hold(m->message);
}

void broker_rule_release(void *hold, bool safe) {
    AckWait *w = hold;
    if (!safe) atomic_store(&w->failed, ERR_IO);
    ack_release(w);
}

void broker_rules_changed(Broker *broker, Str account, Str filter) {
    Space *space = hub_space(broker, account);
    Str rest = filter;
    space_touch(space, str_cut(&rest, '/'));
    space_touch(space, S("$aws")); /* by its name: basic ingest */
}
