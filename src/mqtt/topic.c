#include "mqtt/topic.h"

/* Levels are what stands between slashes; an empty one is a level too. Matching goes through both texts once,
 * side by side, without cutting them up. */

static size_t slashes_in(Str s) {
    size_t n = 0;
    for (size_t i = 0; i < s.len; i++) n += s.ptr[i] == '/';
    return n;
}

static bool has(Str s, char c) {
    return str_find(s, c) != SIZE_MAX;
}

/* Basic Ingest: `$aws/rules/NAME/` stands in front of the topic that the rule sees.
 * Source: AWS General Reference, AWS IoT Core quotas (topic length, slashes) */
static Str without_rule_prefix(Str topic) {
    Str prefix = S("$aws/rules/");
    if (!str_starts(topic, prefix)) return topic;
    Str behind = str_from(topic, prefix.len);
    size_t name = str_find(behind, '/');
    return name == SIZE_MAX ? topic : str_from(behind, name + 1);
}

static Err check_limits(Str s, MqttTopicLimits limits) {
    return s.len > limits.bytes_max || slashes_in(s) > limits.slashes_max ? ERR_LIMIT : OK;
}

Err mqtt_topic_check(Str topic, MqttTopicLimits limits) {
    if (topic.len == 0) return ERR_INVALID;                                         /* [MQTT-4.7.3-1] */
    if (has(topic, '+') || has(topic, '#') || has(topic, '\0')) return ERR_INVALID; /* [MQTT-3.3.2-2] [MQTT-4.7.3-2] */
    Str counted = without_rule_prefix(topic);
    if (topic.len - counted.len > limits.bytes_max) return ERR_LIMIT; /* a rule's name has its own, lower, limit */
    return check_limits(counted, limits);
}

/* Wildcards fill a whole level, and `#` is the last [MQTT-4.7.1-1] [MQTT-4.7.1-2]. */
static Err check_wildcards(Str filter, bool *any) {
    bool found = false;
    for (size_t i = 0; i < filter.len; i++) {
        uint8_t c = filter.ptr[i];
        if (c != '+' && c != '#') continue;
        found = true;
        if (i > 0 && filter.ptr[i - 1] != '/') return ERR_INVALID;
        if (c == '#' && i + 1 < filter.len) return ERR_INVALID;
        if (c == '+' && i + 1 < filter.len && filter.ptr[i + 1] != '/') return ERR_INVALID;
    }
    *any = found;
    return OK;
}

Err mqtt_filter_parse(Str text, MqttTopicLimits limits, MqttFilter *out) {
    MqttFilter f = { .filter = text };
    Str share = S("$share/");
    if (str_starts(text, share) || str_eq(text, S("$share"))) { /* [MQTT-4.8.2-1] [MQTT-4.8.2-2] */
        Str rest = str_from(text, share.len);
        f.group = str_cut(&rest, '/');
        f.filter = rest;
        if (f.group.len == 0 || has(f.group, '+') || has(f.group, '#')) return ERR_INVALID;
        if (f.group.len > 128) return ERR_LIMIT; /* Source: AWS IoT developer guide, MQTT, shared subscriptions */
    }
    if (f.filter.len == 0 || has(text, '\0')) return ERR_INVALID; /* [MQTT-4.7.3-1] [MQTT-4.7.3-2] */
    Err e = check_wildcards(f.filter, &f.wildcard);
    if (e == OK) e = check_limits(f.filter, limits);
    if (e == OK) *out = f;
    return e;
}

bool mqtt_topic_matches(Str filter, Str topic) {
    size_t f = 0, t = 0;
    if (topic.len && topic.ptr[0] == '$' && filter.len && (filter.ptr[0] == '+' || filter.ptr[0] == '#'))
        return false;   /* [MQTT-4.7.2-1] */
    for (;; f++, t++) { /* both stand at the start of a level */
        if (f < filter.len && filter.ptr[f] == '#') return true;
        if (f < filter.len && filter.ptr[f] == '+') {
            f++;
            while (t < topic.len && topic.ptr[t] != '/') t++;
        } else {
            while (f < filter.len && filter.ptr[f] != '/' && t < topic.len && topic.ptr[t] == filter.ptr[f]) f++, t++;
        }
        bool filter_ends = f >= filter.len, topic_ends = t >= topic.len;
        if (filter_ends || topic_ends) return filter_ends && topic_ends;
        if (filter.ptr[f] != '/' || topic.ptr[t] != '/') return false;
    }
}
