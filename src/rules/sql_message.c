#include "base/encode.h"
#include "mqtt/packet.h"
#include "mqtt/props.h"
#include "rules/sql_internal.h"

/* What a statement asks of the message's envelope, and of the server. */

static void set_known(ExprRun *run, Str s, const char *unknown, ExprValue *out) {
    *out = s.ptr ? expr_string(s) : expr_because(run, "%s", unknown);
}

static void call_accountid(ExprRun *run, const ExprNode *node, const ExprValue *args, size_t n, ExprValue *out) {
    (void)node, (void)args, (void)n;
    set_known(run, sql_host(run)->env->account, "no account is known", out);
}

static void call_clientid(ExprRun *run, const ExprNode *node, const ExprValue *args, size_t n, ExprValue *out) {
    (void)node, (void)args, (void)n;
    Str id = sql_host(run)->message->in.client_id;
    *out = expr_string(id.ptr ? id : S("n/a"));
}

static void call_principal(ExprRun *run, const ExprNode *node, const ExprValue *args, size_t n, ExprValue *out) {
    (void)node, (void)args, (void)n;
    set_known(run, sql_host(run)->message->in.principal, "the message has no principal", out);
}

static void call_traceid(ExprRun *run, const ExprNode *node, const ExprValue *args, size_t n, ExprValue *out) {
    (void)node, (void)args, (void)n;
    set_known(run, sql_host(run)->message->in.trace_id, "the message did not come by MQTT", out);
}

static void call_sourceip(ExprRun *run, const ExprNode *node, const ExprValue *args, size_t n, ExprValue *out) {
    (void)node, (void)args, (void)n;
    set_known(run, sql_host(run)->message->in.source_ip, "the message carries no address, as a republished one", out);
}

static void call_timestamp(ExprRun *run, const ExprNode *node, const ExprValue *args, size_t n, ExprValue *out) {
    (void)node, (void)args, (void)n;
    *out = expr_int(sql_host(run)->message->in.time_ms);
}

static void call_sql_version(ExprRun *run, const ExprNode *node, const ExprValue *args, size_t n, ExprValue *out) {
    (void)node, (void)args, (void)n;
    *out = expr_string(sql_version_name(sql_host(run)->version));
}

static void call_newuuid(ExprRun *run, const ExprNode *node, const ExprValue *args, size_t n, ExprValue *out) {
    (void)node, (void)args, (void)n;
    *out = expr_string(rng_uuid(sql_host(run)->env->rng, run->arena));
}

static void call_rand(ExprRun *run, const ExprNode *node, const ExprValue *args, size_t n, ExprValue *out) {
    (void)node, (void)args, (void)n;
    *out = expr_double(run, (double)(rng_u64(sql_host(run)->env->rng) >> 11) * 0x1p-53);
}

static void call_topic(ExprRun *run, const ExprNode *node, const ExprValue *args, size_t n, ExprValue *out) {
    (void)node;
    Str rest = sql_host(run)->message->topic, level = STR_NONE;
    if (n == 0) {
        *out = expr_string(rest);
        return;
    }
    ExprInt i = 0;
    while (i < args[0].i && rest.ptr) {
        level = str_cut(&rest, '/');
        i++;
    }
    if (i == args[0].i && level.ptr)
        *out = expr_string(level);
    else
        *out = expr_because(run, "the topic has no level %lld; the first is 1", (long long)args[0].i);
}

/* ---- MQTT 5 properties ---- */

static void call_property(ExprRun *run, const ExprNode *node, const ExprValue *args, size_t n, ExprValue *out) {
    (void)node, (void)n;
    const SqlMessage *m = sql_host(run)->message;
    Str name = args[0].s;
    MqttProps props = { 0 };
    bool some = m->in.properties.len && mqtt_props_decode(MQTT_PUBLISH, m->in.properties, &props) == OK;
    if (str_eq(name, S("format_indicator"))) {
        *out = expr_string(some && props.payload_format == 1 ? S("UTF8_DATA") : S("UNSPECIFIED_BYTES"));
    } else if (str_eq(name, S("content_type")) && some && mqtt_props_has(&props, MQTT_PROP_CONTENT_TYPE)) {
        *out = expr_string(props.content_type);
    } else if (str_eq(name, S("response_topic")) && some && mqtt_props_has(&props, MQTT_PROP_RESPONSE_TOPIC)) {
        *out = expr_string(props.response_topic);
    } else if (str_eq(name, S("correlation_data")) && some && mqtt_props_has(&props, MQTT_PROP_CORRELATION_DATA)) {
        *out = expr_string(base64_encode(run->arena, props.correlation_data));
    } else {
        *out = expr_because(run, "the message has no property '%.*s'", PS(name));
    }
}

static void call_user_properties(ExprRun *run, const ExprNode *node, const ExprValue *args, size_t n, ExprValue *out) {
    (void)node;
    Str rest = sql_host(run)->message->in.properties, again = rest, key, value;
    size_t count = 0, at = 0;
    while (rest.len && mqtt_props_next_user(&rest, &key, &value)) count += n == 0 || str_eq(key, args[0].s);
    if (n && count == 0) {
        *out = expr_because(run, "the message has no user property '%.*s'", PS(args[0].s));
        return;
    }
    ExprValue *items = expr_make_items(run, count);
    while (items && again.len && mqtt_props_next_user(&again, &key, &value)) {
        if (n && !str_eq(key, args[0].s)) continue;
        items[at] = expr_string(value);
        if (n == 0) {
            ExprMember *pair = expr_make_members(run, 1);
            if (!pair) return;
            *pair = (ExprMember){ key, expr_string(value) };
            items[at] = expr_members(pair, 1);
        }
        at++;
    }
    if (items) *out = expr_items(items, count);
}

#define FN(fn_name, min, max, letters, from, fn_call)                                                                  \
    { .name = STR_INIT(fn_name), .args_min = min, .args_max = max, .takes = letters, .since = from, .call = fn_call }

static const ExprFn ITEMS[] = {
    FN("accountid", 0, 0, "", SQL_2015_10_08, call_accountid),
    FN("clientid", 0, 0, "", SQL_2015_10_08, call_clientid),
    FN("get_mqtt_property", 1, 1, "s", SQL_2015_10_08, call_property),
    FN("get_user_properties", 0, 1, "s", SQL_2015_10_08, call_user_properties),
    FN("newuuid", 0, 0, "", SQL_2015_10_08, call_newuuid),
    FN("principal", 0, 0, "", SQL_2015_10_08, call_principal),
    FN("rand", 0, 0, "", SQL_2015_10_08, call_rand),
    FN("sourceip", 0, 0, "", SQL_2016_03_23, call_sourceip),
    FN("sql_version", 0, 0, "", SQL_2015_10_08, call_sql_version),
    FN("timestamp", 0, 0, "", SQL_2015_10_08, call_timestamp),
    FN("topic", 0, 1, "i", SQL_2015_10_08, call_topic),
    FN("traceid", 0, 0, "", SQL_2015_10_08, call_traceid),
};

const ExprFns sql_message_functions = { ITEMS, sizeof ITEMS / sizeof *ITEMS };
