#include "services/shadow/topic.h"

#include "identity/principal.h"
#include "services/env.h"
#include "services/publish.h"
#include "services/shadow/shadow.h"

/* Source: the models' ThingName and ShadowName; '$' begins names of AWS's own, $package */
static bool name_ok(Str s, size_t len_max, bool dollar) {
    if (s.len == 0 || s.len > len_max) return false;
    for (size_t i = 0; i < s.len; i++) {
        uint8_t ch = s.ptr[i];
        bool letter = (ch >= 'a' && ch <= 'z') || (ch >= 'A' && ch <= 'Z') || (ch >= '0' && ch <= '9');
        if (!letter && ch != ':' && ch != '_' && ch != '-' && !(dollar && ch == '$')) return false;
    }
    return true;
}

bool shadow_topic_parse(Str topic, ShadowTopic *out) {
    static const Str verbs[] = { STR_INIT("get"), STR_INIT("update"), STR_INIT("delete") };
    Str prefix = S("$aws/things/");
    if (!str_starts(topic, prefix)) return false;
    Str rest = str_from(topic, prefix.len);
    ShadowTopic t = { .thing = str_cut(&rest, '/') };
    if (!name_ok(t.thing, 128, false) || !str_eq(str_cut(&rest, '/'), S("shadow"))) return false;
    if (str_starts(rest, S("name/"))) {
        str_cut(&rest, '/');
        t.name = str_cut(&rest, '/');
        if (!name_ok(t.name, 64, true)) return false;
    }
    for (size_t i = 0; i < sizeof verbs / sizeof *verbs; i++) {
        if (!str_eq(rest, verbs[i])) continue;
        t.verb = (ShadowVerb)i;
        *out = t;
        return true;
    }
    return false;
}

bool shadow_topic_takes(Str topic) {
    ShadowTopic t;
    return shadow_topic_parse(topic, &t);
}

static Err get(Call *c, ShadowKey key, Str payload, ShadowFault *fault) {
    Str token, answer;
    Err e = shadow_token(payload, &SHADOW_LIMITS, c->arena, &token, fault);
    if (e == OK) e = shadow_call_get(c, key, token, &answer, fault);
    if (e == OK) publish_after(c, shadow_topic(c, key, "get/accepted"), answer);
    return e;
}

static Err update(Call *c, ShadowKey key, Str payload, ShadowFault *fault) {
    Str accepted;
    return shadow_call_update(c, key, payload, &accepted, fault);
}

static Err delete (Call *c, ShadowKey key, Str payload, ShadowFault *fault) {
    Str token, accepted;
    Err e = shadow_token(payload, &SHADOW_LIMITS, c->arena, &token, fault);
    return e == OK ? shadow_call_delete(c, key, token, &accepted, fault) : e;
}

typedef struct {
    LogSubject subject;
    LogEntry entry;
} Told;

static void tell_now(Env *env, void *arg) {
    const Told *t = arg;
    service_log_tell(env->service_log, &t->subject, &t->entry);
}

/* fault: why it was refused; NULL: it was not */
static void tell(Call *c, const ShadowTopic *t, Str topic, const ShadowFault *fault) {
    static const ServiceEvent events[] = { SERVICE_EVENT_GET_THING_SHADOW, SERVICE_EVENT_UPDATE_THING_SHADOW,
                                           SERVICE_EVENT_DELETE_THING_SHADOW };
    if (!c->env || !c->env->service_log || !service_log_any(c->env->service_log)) return;
    Told *x = arena_new(c->arena, Told);
    Str principal = c->principal ? c->principal->id : STR_NONE;
    x->subject = (LogSubject){ .account = c->account, .principal_id = principal, .source_ip = c->source_ip };
    x->entry = (LogEntry){ .event = events[t->verb],
                           .level = fault ? LOG_ERROR : LOG_INFO,
                           .success = !fault,
                           .now_ms = c->now_ms,
                           .trace_id = c->request_id,
                           .account = c->account,
                           .protocol = S("MQTT"),
                           .topic = topic,
                           .principal_id = principal,
                           .source_ip = c->source_ip,
                           .more = { { .name = "deviceShadowName", .text = t->name.len ? t->name : t->thing } },
                           .more_n = 1 };
    if (fault) x->entry.reason = fault->message;
    call_after(c, tell_now, x);
}

Err shadow_topic_run(Call *c, Str topic, Str payload) {
    static const struct {
        Err (*run)(Call *, ShadowKey, Str, ShadowFault *);
        const char *rejected;
    } verbs[] = { { get, "get/rejected" }, { update, "update/rejected" }, { delete, "delete/rejected" } };
    ShadowTopic t;
    if (!shadow_topic_parse(topic, &t)) return ERR_NOT_FOUND;
    ShadowKey key = { t.thing, t.name };
    ShadowFault fault = { 0 };
    Err e = verbs[t.verb].run(c, key, payload, &fault);
    if (e == OK) tell(c, &t, topic, NULL);
    if (e == OK || e == ERR_CONFLICT || e == ERR_AGAIN) return e;
    if (e != ERR_INVALID) {
        fault.code = 500;
        fault.message = S("Internal service failure");
    }
    tell(c, &t, topic, &fault);
    publish_after(c, shadow_topic(c, key, verbs[t.verb].rejected), shadow_rejected(&fault, c->now_ms / 1000, c->arena));
    return OK;
}
