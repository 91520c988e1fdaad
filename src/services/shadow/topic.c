#include "services/shadow/topic.h"

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
    if (e == OK || e == ERR_CONFLICT || e == ERR_AGAIN) return e;
    if (e != ERR_INVALID) {
        fault.code = 500;
        fault.message = S("Internal service failure");
    }
    publish_after(c, shadow_topic(c, key, verbs[t.verb].rejected), shadow_rejected(&fault, c->now_ms / 1000, c->arena));
    return OK;
}
