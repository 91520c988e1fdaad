#include "mqtt/ack.h"

#include "mqtt/reason.h"
#include "mqtt/wire.h"

Err mqtt_parse_ack(MqttVersion version, MqttType type, Str body, MqttAck *out) {
    MqttAck a = { 0 };
    Reader r = reader_from(body);
    a.packet_id = reader_u16(&r);
    if (version == MQTT_5) { /* both may be left out from the end: 3.4.2.1, 3.4.2.2.1 */
        if (reader_left(&r)) a.reason = reader_u8(&r);
        Str raw = reader_left(&r) ? wire_props(&r) : STR_NONE;
        Err e = r.bad ? ERR_MALFORMED : mqtt_props_decode((uint8_t)type, raw, &a.props);
        if (e != OK) return e;
    }
    if (r.bad || reader_left(&r)) return ERR_MALFORMED;
    if (a.packet_id == 0) return ERR_INVALID;                              /* [MQTT-2.2.1-3] */
    if (!mqtt_reason_allowed((uint8_t)type, a.reason)) return ERR_INVALID; /* [MQTT-3.4.2-1] and its like */
    *out = a;
    return OK;
}

void mqtt_write_ack(Writer *w, MqttVersion version, MqttType type, const MqttAck *ack) {
    Writer body = writer_in(w->arena);
    bool has_props = ack->props.has || ack->props.raw.len;
    writer_u16(&body, ack->packet_id);
    if (version == MQTT_5 && (ack->reason || has_props)) writer_u8(&body, ack->reason);
    if (version == MQTT_5 && has_props) mqtt_props_write(&body, &ack->props);
    wire_write_frame(w, (uint8_t)(type << 4 | (type == MQTT_PUBREL ? 2 : 0)), &body);
}

uint8_t *mqtt_write_puback(uint8_t *at, MqttVersion version, uint16_t packet_id, uint8_t reason) {
    bool says_reason = version == MQTT_5 && reason;
    *at++ = MQTT_PUBACK << 4;
    *at++ = says_reason ? 3 : 2;
    *at++ = (uint8_t)(packet_id >> 8);
    *at++ = (uint8_t)packet_id;
    if (says_reason) *at++ = reason;
    return at;
}

uint16_t mqtt_puback_plain(Str body) {
    return body.len == 2 ? (uint16_t)(body.ptr[0] << 8 | body.ptr[1]) : 0;
}
