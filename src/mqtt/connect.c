#include "mqtt/connect.h"

#include "mqtt/reason.h"
#include "mqtt/wire.h"

enum { RESERVED = 1, CLEAN = 2, WILL = 4, WILL_QOS = 8 | 16, WILL_RETAIN = 32, PASSWORD = 64, USER_NAME = 128 };

uint8_t mqtt_connect_level(Str body) {
    Reader r = reader_from(body);
    Str name = wire_binary(&r);
    uint8_t level = reader_u8(&r);
    return !r.bad && (str_eq(name, S("MQTT")) || str_eq(name, S("MQIsdp"))) ? level : 0;
}

static Err check_flags(MqttVersion version, uint8_t flags) {
    if (flags & RESERVED) return ERR_MALFORMED;                                    /* [MQTT-3.1.2-3] */
    if ((flags & WILL_QOS) == WILL_QOS) return ERR_MALFORMED;                      /* [MQTT-3.1.2-12] */
    if (!(flags & WILL) && flags & (WILL_QOS | WILL_RETAIN)) return ERR_MALFORMED; /* [MQTT-3.1.2-11] [-13] */
    if (version == MQTT_3_1_1 && flags & PASSWORD && !(flags & USER_NAME)) return ERR_MALFORMED; /* 3.1.1 [-22] */
    return OK;
}

static Err parse_will(Reader *r, uint8_t flags, MqttConnect *c) {
    MqttPublish will = { .qos = (flags & WILL_QOS) >> 3, .retain = flags & WILL_RETAIN };
    MqttProps props = { 0 };
    if (c->version == MQTT_5) {
        will.props = wire_props(r);
        Err e = r->bad ? ERR_MALFORMED : mqtt_props_decode(MQTT_WILL, will.props, &props);
        if (e != OK) return e;
    }
    will.topic = wire_string(r);
    will.payload = wire_binary(r);
    will.has_message_expiry = mqtt_props_has(&props, MQTT_PROP_MESSAGE_EXPIRY);
    will.message_expiry_s = props.message_expiry_s;
    c->has_will = true;
    c->will = will;
    c->will_delay_s = props.will_delay_s;
    return r->bad ? ERR_MALFORMED : OK;
}

/* The payload: client id, will, user name, password, in this order [MQTT-3.1.3-1]. */
static Err parse_payload(Reader *r, uint8_t flags, MqttConnect *c) {
    c->client_id = wire_string(r); /* [MQTT-3.1.3-4] */
    if (r->bad) return ERR_MALFORMED;
    if (flags & WILL) {
        Err e = parse_will(r, flags, c);
        if (e != OK) return e;
    }
    if (flags & USER_NAME) c->user_name = wire_string(r);
    if (flags & PASSWORD) c->password = wire_binary(r);
    return r->bad || reader_left(r) ? ERR_MALFORMED : OK;
}

Err mqtt_parse_connect(Str body, MqttConnect *out) {
    Reader r = reader_from(body);
    Str name = wire_binary(&r);
    uint8_t level = reader_u8(&r);
    if (r.bad) return ERR_MALFORMED;
    if (str_eq(name, S("MQIsdp"))) return ERR_NOT_IMPLEMENTED;              /* MQTT 3.1 */
    if (!str_eq(name, S("MQTT"))) return ERR_MALFORMED;                     /* [MQTT-3.1.2-1] */
    if (level != MQTT_3_1_1 && level != MQTT_5) return ERR_NOT_IMPLEMENTED; /* [MQTT-3.1.2-2] */
    MqttConnect c = { .version = (MqttVersion)level };
    uint8_t flags = reader_u8(&r);
    c.clean = flags & CLEAN;
    c.keepalive_s = reader_u16(&r);
    Err e = r.bad ? ERR_MALFORMED : check_flags(c.version, flags);
    if (e == OK && c.version == MQTT_5) {
        Str raw = wire_props(&r);
        e = r.bad ? ERR_MALFORMED : mqtt_props_decode(MQTT_CONNECT, raw, &c.props);
    }
    if (e == OK) e = parse_payload(&r, flags, &c);
    if (e == OK) *out = c;
    return e;
}

static uint8_t flags_of(const MqttConnect *c) {
    int flags = (c->clean ? CLEAN : 0) | (c->user_name.ptr ? USER_NAME : 0) | (c->password.ptr ? PASSWORD : 0);
    if (c->has_will) flags |= WILL | c->will.qos << 3 | (c->will.retain ? WILL_RETAIN : 0);
    return (uint8_t)flags;
}

void mqtt_write_connect(Writer *w, const MqttConnect *c) {
    Writer body = writer_in(w->arena);
    wire_write_binary(&body, S("MQTT"));
    writer_u8(&body, (uint8_t)c->version);
    writer_u8(&body, flags_of(c));
    writer_u16(&body, c->keepalive_s);
    if (c->version == MQTT_5) mqtt_props_write(&body, &c->props);
    wire_write_binary(&body, c->client_id);
    if (c->has_will) {
        if (c->version == MQTT_5) {
            writer_varint(&body, (uint32_t)c->will.props.len);
            writer_bytes(&body, c->will.props);
        }
        wire_write_binary(&body, c->will.topic);
        wire_write_binary(&body, c->will.payload);
    }
    if (c->user_name.ptr) wire_write_binary(&body, c->user_name);
    if (c->password.ptr) wire_write_binary(&body, c->password);
    wire_write_frame(w, MQTT_CONNECT << 4, &body);
}

Err mqtt_parse_connack(MqttVersion version, Str body, MqttConnack *out) {
    MqttConnack c = { 0 };
    Reader r = reader_from(body);
    uint8_t flags = reader_u8(&r);
    c.session_present = flags & 1;
    c.reason = reader_u8(&r);
    if (r.bad || flags > 1) return ERR_MALFORMED; /* [MQTT-3.2.2-1] */
    if (version == MQTT_5) {
        Str raw = wire_props(&r);
        Err e = r.bad ? ERR_MALFORMED : mqtt_props_decode(MQTT_CONNACK, raw, &c.props);
        if (e != OK) return e;
        if (!mqtt_reason_allowed(MQTT_CONNACK, c.reason)) return ERR_INVALID; /* [MQTT-3.2.2-8] */
    }
    if (reader_left(&r)) return ERR_MALFORMED;
    if (c.reason && c.session_present) return ERR_INVALID; /* [MQTT-3.2.2-6] */
    *out = c;
    return OK;
}

void mqtt_write_connack(Writer *w, MqttVersion version, const MqttConnack *c) {
    Writer body = writer_in(w->arena);
    writer_u8(&body, c->session_present ? 1 : 0);
    writer_u8(&body, c->reason);
    if (version == MQTT_5) mqtt_props_write(&body, &c->props);
    wire_write_frame(w, MQTT_CONNACK << 4, &body);
}

/* DISCONNECT and AUTH of MQTT 5: reason and properties may both be left out from the end. */
static Err parse_end(uint8_t type, Str body, MqttDisconnect *out) {
    MqttDisconnect d = { 0 };
    Reader r = reader_from(body);
    if (reader_left(&r)) d.reason = reader_u8(&r);
    Str raw = reader_left(&r) ? wire_props(&r) : STR_NONE;
    if (r.bad || reader_left(&r)) return ERR_MALFORMED;
    Err e = mqtt_props_decode(type, raw, &d.props);
    if (e != OK) return e;
    if (!mqtt_reason_allowed(type, d.reason)) return ERR_INVALID; /* [MQTT-3.14.2-1] [MQTT-3.15.2-1] */
    *out = d;
    return OK;
}

Err mqtt_parse_disconnect(MqttVersion version, Str body, MqttDisconnect *out) {
    if (version == MQTT_5) return parse_end(MQTT_DISCONNECT, body, out);
    Err e = mqtt_parse_empty(body);
    if (e == OK) *out = (MqttDisconnect){ 0 };
    return e;
}

Err mqtt_parse_auth(MqttVersion version, Str body, MqttDisconnect *out) {
    return version == MQTT_5 ? parse_end(MQTT_AUTH, body, out) : ERR_MALFORMED; /* type 15 is reserved in 3.1.1 */
}

void mqtt_write_disconnect(Writer *w, MqttVersion version, const MqttDisconnect *d) {
    Writer body = writer_in(w->arena);
    if (version == MQTT_5) {
        bool has_props = d->props.has || d->props.raw.len;
        if (d->reason || has_props) writer_u8(&body, d->reason);
        if (has_props) mqtt_props_write(&body, &d->props);
    }
    wire_write_frame(w, MQTT_DISCONNECT << 4, &body);
}
