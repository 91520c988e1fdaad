#include "mqtt/subscribe.h"

#include "mqtt/reason.h"
#include "mqtt/wire.h"

/* The list of filters is walked once to check it, and again by who uses it: the same step both times. */

enum { QOS = 3, NO_LOCAL = 4, RETAIN_AS_PUBLISHED = 8, RETAIN_HANDLING = 16 | 32, RESERVED_5 = 64 | 128 };

static Err check_options(MqttVersion version, Str filter, uint8_t options) {
    if (version == MQTT_3_1_1) return options > 2 ? ERR_MALFORMED : OK; /* 3.1.1 [MQTT-3.8.3-4] */
    if (options & RESERVED_5) return ERR_MALFORMED;                     /* [MQTT-3.8.3-5] */
    if ((options & QOS) == 3 || (options & RETAIN_HANDLING) == RETAIN_HANDLING) return ERR_INVALID; /* 3.8.3.1 */
    if (options & NO_LOCAL && str_starts(filter, S("$share/"))) return ERR_INVALID;                 /* [MQTT-3.8.3-4] */
    return OK;
}

/* What both begin with. */
static Err parse_head(MqttVersion version, MqttType type, Reader *r, MqttSubscribe *s) {
    s->packet_id = reader_u16(r);
    if (version == MQTT_5) {
        Str raw = wire_props(r);
        Err e = r->bad ? ERR_MALFORMED : mqtt_props_decode((uint8_t)type, raw, &s->props);
        if (e != OK) return e;
    }
    if (r->bad) return ERR_MALFORMED;
    if (s->packet_id == 0) return ERR_INVALID; /* [MQTT-2.2.1-3] */
    s->filters = (Str){ r->at, reader_left(r) };
    return s->filters.len ? OK : ERR_INVALID; /* [MQTT-3.8.3-2] [MQTT-3.10.3-2] */
}

Err mqtt_parse_subscribe(MqttVersion version, Str body, MqttSubscribe *out) {
    MqttSubscribe s = { 0 };
    Reader r = reader_from(body);
    Err e = parse_head(version, MQTT_SUBSCRIBE, &r, &s);
    if (e != OK) return e;
    while (reader_left(&r) && !r.bad) {
        Str filter = wire_string(&r); /* [MQTT-3.8.3-1] */
        uint8_t options = reader_u8(&r);
        if (r.bad) return ERR_MALFORMED;
        e = check_options(version, filter, options);
        if (e != OK) return e;
        s.filters_n++;
    }
    *out = s;
    return OK;
}

Err mqtt_parse_unsubscribe(MqttVersion version, Str body, MqttSubscribe *out) {
    MqttSubscribe s = { 0 };
    Reader r = reader_from(body);
    Err e = parse_head(version, MQTT_UNSUBSCRIBE, &r, &s);
    if (e != OK) return e;
    while (reader_left(&r)) {
        wire_string(&r); /* [MQTT-3.10.3-1] */
        if (r.bad) return ERR_MALFORMED;
        s.filters_n++;
    }
    *out = s;
    return OK;
}

bool mqtt_subscribe_next(Str *rest, MqttSubscription *out) {
    Reader r = reader_from(*rest);
    Str filter = wire_binary(&r);
    uint8_t options = reader_u8(&r);
    if (r.bad) return false;
    *rest = (Str){ r.at, reader_left(&r) };
    *out = (MqttSubscription){ .filter = filter,
                               .qos = options & QOS,
                               .retain_handling = (options & RETAIN_HANDLING) >> 4,
                               .no_local = options & NO_LOCAL,
                               .retain_as_published = options & RETAIN_AS_PUBLISHED };
    return true;
}

bool mqtt_unsubscribe_next(Str *rest, Str *filter) {
    Reader r = reader_from(*rest);
    Str next = wire_binary(&r);
    if (r.bad) return false;
    *rest = (Str){ r.at, reader_left(&r) };
    *filter = next;
    return true;
}

static Writer body_with_head(Writer *w, MqttVersion version, uint16_t packet_id, const MqttProps *props) {
    Writer body = writer_in(w->arena);
    writer_u16(&body, packet_id);
    if (version == MQTT_5) mqtt_props_write(&body, props);
    return body;
}

void mqtt_write_subscribe(Writer *w, MqttVersion version, uint16_t packet_id, const MqttProps *props,
                          const MqttSubscription *subscriptions, size_t n) {
    Writer body = body_with_head(w, version, packet_id, props);
    for (size_t i = 0; i < n; i++) {
        const MqttSubscription *s = &subscriptions[i];
        int options = s->qos;
        if (version == MQTT_5)
            options |= s->retain_handling << 4 | (s->no_local ? NO_LOCAL : 0) |
                       (s->retain_as_published ? RETAIN_AS_PUBLISHED : 0);
        wire_write_binary(&body, s->filter);
        writer_u8(&body, (uint8_t)options);
    }
    wire_write_frame(w, MQTT_SUBSCRIBE << 4 | 2, &body);
}

void mqtt_write_unsubscribe(Writer *w, MqttVersion version, uint16_t packet_id, const MqttProps *props,
                            const Str *filters, size_t n) {
    Writer body = body_with_head(w, version, packet_id, props);
    for (size_t i = 0; i < n; i++) wire_write_binary(&body, filters[i]);
    wire_write_frame(w, MQTT_UNSUBSCRIBE << 4 | 2, &body);
}

static bool code_is_allowed(MqttVersion version, MqttType type, uint8_t code) {
    if (version == MQTT_5) return mqtt_reason_allowed((uint8_t)type, code);
    return code <= 2 || code == MQTT3_SUBACK_FAILURE; /* 3.1.1 [MQTT-3.9.3-2] */
}

static Err parse_suback(MqttVersion version, MqttType type, Str body, MqttSuback *out) {
    MqttSuback a = { 0 };
    Reader r = reader_from(body);
    a.packet_id = reader_u16(&r);
    if (version == MQTT_5) {
        Str raw = wire_props(&r);
        Err e = r.bad ? ERR_MALFORMED : mqtt_props_decode((uint8_t)type, raw, &a.props);
        if (e != OK) return e;
    }
    if (r.bad) return ERR_MALFORMED;
    a.codes = reader_rest(&r);
    bool has_codes = version == MQTT_5 || type == MQTT_SUBACK;
    if (has_codes != (a.codes.len > 0)) return ERR_MALFORMED;
    if (a.packet_id == 0) return ERR_INVALID; /* [MQTT-2.2.1-3] */
    for (size_t i = 0; i < a.codes.len; i++)
        if (!code_is_allowed(version, type, a.codes.ptr[i])) return ERR_INVALID; /* [MQTT-3.9.3-2] [MQTT-3.11.3-2] */
    *out = a;
    return OK;
}

Err mqtt_parse_suback(MqttVersion version, Str body, MqttSuback *out) {
    return parse_suback(version, MQTT_SUBACK, body, out);
}

Err mqtt_parse_unsuback(MqttVersion version, Str body, MqttSuback *out) {
    return parse_suback(version, MQTT_UNSUBACK, body, out);
}

void mqtt_write_suback(Writer *w, MqttVersion version, const MqttSuback *ack) {
    Writer body = body_with_head(w, version, ack->packet_id, &ack->props);
    writer_bytes(&body, ack->codes);
    wire_write_frame(w, MQTT_SUBACK << 4, &body);
}

void mqtt_write_unsuback(Writer *w, MqttVersion version, const MqttSuback *ack) {
    Writer body = body_with_head(w, version, ack->packet_id, &ack->props);
    if (version == MQTT_5) writer_bytes(&body, ack->codes);
    wire_write_frame(w, MQTT_UNSUBACK << 4, &body);
}
