#include "mqtt/wire.h"

/* One row a property: its type on the wire, the packets it may stand in, whether it may repeat, whether a
 * publish carries it on to receivers, where its decoded value goes, and which values are allowed. Decoding,
 * checking, writing and forwarding all walk this table; none knows a property by name, but for the
 * user property, which may stand many times, and three values whose rule is more than a range. */

typedef enum { U8, U16, U32, VARINT, STRING, BINARY, PAIR } Type;

typedef struct {
    Type type;
    uint16_t in; /* bit n: MqttType n, or MQTT_WILL */
    uint16_t at; /* of the value in MqttProps */
    bool repeats, travels;
    uint32_t min, max; /* of numbers */
} Row;

#define IN(type) (1u << MQTT_##type)
#define MESSAGE (IN(PUBLISH) | IN(WILL))
#define ACKS (IN(PUBACK) | IN(PUBREC) | IN(PUBREL) | IN(PUBCOMP))
#define ANSWERS (IN(CONNACK) | ACKS | IN(SUBACK) | IN(UNSUBACK) | IN(DISCONNECT) | IN(AUTH))
#define ALL_BUT_PINGS (ANSWERS | MESSAGE | IN(CONNECT) | IN(SUBSCRIBE) | IN(UNSUBSCRIBE))
#define AUTHS (IN(CONNECT) | IN(CONNACK) | IN(AUTH))
#define AT(member) (uint16_t) offsetof(MqttProps, member)
#define NUMBER(type, in, member, min, max)                                                                             \
    { type, in, AT(member), false, false, min, max }
#define TEXT(type, in, member)                                                                                         \
    { type, in, AT(member), false, false, 0, 0 }
enum { VARINT_MAX = MQTT_BODY_BYTES_MAX };

/* Source: MQTT 5 section 2.2.2.2, table 2-4, and the sections of the packets */
static const Row rows[] = {
    [MQTT_PROP_PAYLOAD_FORMAT] = { U8, MESSAGE, AT(payload_format), false, true, 0, 1 },
    [MQTT_PROP_MESSAGE_EXPIRY] = { U32, MESSAGE, AT(message_expiry_s), false, true, 0, UINT32_MAX },
    [MQTT_PROP_CONTENT_TYPE] = { STRING, MESSAGE, AT(content_type), false, true, 0, 0 },
    [MQTT_PROP_RESPONSE_TOPIC] = { STRING, MESSAGE, AT(response_topic), false, true, 0, 0 },
    [MQTT_PROP_CORRELATION_DATA] = { BINARY, MESSAGE, AT(correlation_data), false, true, 0, 0 },
    [MQTT_PROP_SUBSCRIPTION_ID] = NUMBER(VARINT, IN(PUBLISH) | IN(SUBSCRIBE), subscription_id, 1, VARINT_MAX),
    [MQTT_PROP_SESSION_EXPIRY] =
        NUMBER(U32, IN(CONNECT) | IN(CONNACK) | IN(DISCONNECT), session_expiry_s, 0, UINT32_MAX),
    [MQTT_PROP_ASSIGNED_CLIENT_ID] = TEXT(STRING, IN(CONNACK), assigned_client_id),
    [MQTT_PROP_SERVER_KEEPALIVE] = NUMBER(U16, IN(CONNACK), server_keepalive_s, 0, UINT16_MAX),
    [MQTT_PROP_AUTH_METHOD] = TEXT(STRING, AUTHS, auth_method),
    [MQTT_PROP_AUTH_DATA] = TEXT(BINARY, AUTHS, auth_data),
    [MQTT_PROP_REQUEST_PROBLEM_INFO] = NUMBER(U8, IN(CONNECT), request_problem_info, 0, 1),
    [MQTT_PROP_WILL_DELAY] = NUMBER(U32, IN(WILL), will_delay_s, 0, UINT32_MAX),
    [MQTT_PROP_REQUEST_RESPONSE_INFO] = NUMBER(U8, IN(CONNECT), request_response_info, 0, 1),
    [MQTT_PROP_RESPONSE_INFO] = TEXT(STRING, IN(CONNACK), response_info),
    [MQTT_PROP_SERVER_REFERENCE] = TEXT(STRING, IN(CONNACK) | IN(DISCONNECT), server_reference),
    [MQTT_PROP_REASON_STRING] = TEXT(STRING, ANSWERS, reason_string),
    [MQTT_PROP_RECEIVE_MAX] = NUMBER(U16, IN(CONNECT) | IN(CONNACK), receive_max, 1, UINT16_MAX),
    [MQTT_PROP_TOPIC_ALIAS_MAX] = NUMBER(U16, IN(CONNECT) | IN(CONNACK), topic_alias_max, 0, UINT16_MAX),
    [MQTT_PROP_TOPIC_ALIAS] = NUMBER(U16, IN(PUBLISH), topic_alias, 1, UINT16_MAX),
    [MQTT_PROP_QOS_MAX] = NUMBER(U8, IN(CONNACK), qos_max, 0, 1),
    [MQTT_PROP_RETAIN_AVAILABLE] = NUMBER(U8, IN(CONNACK), retain_available, 0, 1),
    [MQTT_PROP_USER] = { PAIR, ALL_BUT_PINGS, 0, true, true, 0, 0 },
    [MQTT_PROP_PACKET_BYTES_MAX] = NUMBER(U32, IN(CONNECT) | IN(CONNACK), packet_bytes_max, 1, UINT32_MAX),
    [MQTT_PROP_WILDCARD_AVAILABLE] = NUMBER(U8, IN(CONNACK), wildcard_available, 0, 1),
    [MQTT_PROP_SUBSCRIPTION_ID_AVAILABLE] = NUMBER(U8, IN(CONNACK), subscription_id_available, 0, 1),
    [MQTT_PROP_SHARED_AVAILABLE] = NUMBER(U8, IN(CONNACK), shared_available, 0, 1),
};
enum { ROWS = sizeof rows / sizeof *rows };

/* One property as it stands in the list. */
typedef struct {
    uint8_t id;
    const Row *row;
    uint32_t number;
    Str text, value; /* value: of a pair */
    Str bytes;       /* all of it, with its identifier */
} Prop;

/* Every identifier is below 128, so that its varint is one byte. */
static bool next_prop(Reader *r, Prop *out) {
    if (r->bad || reader_left(r) == 0) return false;
    const uint8_t *from = r->at;
    Prop p = { .id = reader_u8(r) };
    if (p.id >= ROWS || !rows[p.id].in) {
        r->bad = true;
        return false;
    }
    p.row = &rows[p.id];
    switch (p.row->type) {
    case U8: p.number = reader_u8(r); break;
    case U16: p.number = reader_u16(r); break;
    case U32: p.number = reader_u32(r); break;
    case VARINT: p.number = reader_varint(r); break;
    case STRING: p.text = wire_string(r); break;
    case BINARY: p.text = wire_binary(r); break;
    case PAIR:
        p.text = wire_string(r);
        p.value = wire_string(r);
        break;
    }
    if (r->bad) return false;
    p.bytes = (Str){ from, (size_t)(r->at - from) };
    *out = p;
    return true;
}

static void keep_value(MqttProps *props, const Prop *p) {
    uint8_t *at = (uint8_t *)props + p->row->at;
    switch (p->row->type) {
    case U8: *at = (uint8_t)p->number; break;
    case U16: *(uint16_t *)(void *)at = (uint16_t)p->number; break;
    case U32:
    case VARINT: *(uint32_t *)(void *)at = p->number; break;
    case STRING:
    case BINARY: *(Str *)(void *)at = p->text; break;
    case PAIR:
        props->user_n++;
        props->user_bytes += p->text.len + p->value.len;
        break;
    }
    props->has |= MQTT_HAS(p->id);
}

/* A publish may carry several subscription identifiers, of all the subscriptions that match (3.3.2.3.8). */
static bool may_repeat(const Prop *p, uint8_t type) {
    return p->row->repeats || (p->id == MQTT_PROP_SUBSCRIPTION_ID && type == MQTT_PUBLISH);
}

Err mqtt_props_decode(uint8_t type, Str raw, MqttProps *out) {
    MqttProps props = { .raw = raw };
    Reader r = reader_from(raw);
    Err e = OK; /* a malformed list counts as that, whatever else is wrong with it */
    for (Prop p; next_prop(&r, &p);) {
        if (type > MQTT_AUTH || !(p.row->in >> type & 1)) return ERR_MALFORMED; /* 2.2.2.2 */
        if (mqtt_props_has(&props, p.id) && !may_repeat(&p, type)) e = ERR_INVALID;
        if (p.row->type <= VARINT && (p.number < p.row->min || p.number > p.row->max)) e = ERR_INVALID;
        keep_value(&props, &p);
    }
    if (r.bad) return ERR_MALFORMED;
    Str answer = props.response_topic; /* [MQTT-3.3.2-14] */
    if (str_find(answer, '+') != SIZE_MAX || str_find(answer, '#') != SIZE_MAX) e = ERR_INVALID;
    if (mqtt_props_has(&props, MQTT_PROP_RESPONSE_TOPIC) && answer.len == 0) e = ERR_INVALID; /* [MQTT-4.7.3-1] */
    if (mqtt_props_has(&props, MQTT_PROP_AUTH_DATA) && !mqtt_props_has(&props, MQTT_PROP_AUTH_METHOD)) e = ERR_INVALID;
    if (e == OK) *out = props;
    return e;
}

static void write_prop(Writer *w, uint8_t id, const MqttProps *props) {
    const Row *row = &rows[id];
    const uint8_t *at = (const uint8_t *)props + row->at;
    writer_u8(w, id);
    switch (row->type) {
    case U8: writer_u8(w, *at); break;
    case U16: writer_u16(w, *(const uint16_t *)(const void *)at); break;
    case U32: writer_u32(w, *(const uint32_t *)(const void *)at); break;
    case VARINT: writer_varint(w, *(const uint32_t *)(const void *)at); break;
    case STRING:
    case BINARY: wire_write_binary(w, *(const Str *)(const void *)at); break;
    case PAIR: break; /* by mqtt_props_put_user */
    }
}

void mqtt_props_write(Writer *w, const MqttProps *props) {
    Writer list = writer_in(w->arena);
    for (uint8_t id = 1; id < ROWS; id++)
        if (rows[id].in && id != MQTT_PROP_USER && mqtt_props_has(props, id)) write_prop(&list, id, props);
    Str rest = props->raw, name, value;
    while (mqtt_props_next_user(&rest, &name, &value)) mqtt_props_put_user(&list, name, value);
    writer_varint(w, (uint32_t)list.len);
    writer_bytes(w, writer_str(&list));
}

void mqtt_props_put_user(Writer *w, Str name, Str value) {
    writer_u8(w, MQTT_PROP_USER);
    wire_write_binary(w, name);
    wire_write_binary(w, value);
}

bool mqtt_props_next_user(Str *rest, Str *name, Str *value) {
    Reader r = reader_from(*rest);
    for (Prop p; next_prop(&r, &p);) {
        if (p.id != MQTT_PROP_USER) continue;
        *name = p.text;
        *value = p.value;
        *rest = (Str){ r.at, reader_left(&r) };
        return true;
    }
    *rest = STR_NONE;
    return false;
}

Str mqtt_props_forward(Arena *arena, Str raw, uint32_t expiry_s) {
    bool same = true;
    Reader r = reader_from(raw);
    for (Prop p; next_prop(&r, &p);)
        same = same && p.row->travels && (p.id != MQTT_PROP_MESSAGE_EXPIRY || p.number == expiry_s);
    if (same && !r.bad) return raw;
    Writer w = writer_in(arena);
    r = reader_from(raw);
    for (Prop p; next_prop(&r, &p);) {
        if (p.id == MQTT_PROP_MESSAGE_EXPIRY) {
            writer_u8(&w, p.id);
            writer_u32(&w, expiry_s);
        } else if (p.row->travels) {
            writer_bytes(&w, p.bytes);
        }
    }
    return writer_str(&w);
}
