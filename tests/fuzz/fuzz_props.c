#include "fuzz.h"

#include "base/reader.h"
#include "mqtt/packet.h"
#include "mqtt/props.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    Arena a = { 0 };
    Str in = { data, size };
    uint8_t type = fuzz_choice(&in) & 15;
    MqttProps p, q;
    if (mqtt_props_decode(type, in, &p) == OK) {
        Str rest = p.raw, name, value;
        size_t n = 0, bytes = 0;
        for (; mqtt_props_next_user(&rest, &name, &value); n++) bytes += name.len + value.len;
        CHECK(n == p.user_n && bytes == p.user_bytes);
        Writer w = writer_in(&a);
        mqtt_props_write(&w, &p);
        Reader r = reader_from(writer_str(&w));
        Str list = reader_take(&r, reader_varint(&r));
        CHECK(!r.bad && reader_left(&r) == 0);
        CHECK(mqtt_props_decode(type, list, &q) == OK);
        CHECK(p.has == q.has && p.user_n == q.user_n && p.user_bytes == q.user_bytes);
        if (type == MQTT_PUBLISH || type == MQTT_WILL) {
            Str forward = mqtt_props_forward(&a, in, 7);
            CHECK(forward.len <= in.len && mqtt_props_decode(MQTT_PUBLISH, forward, &q) == OK);
            uint64_t travels = p.has & ~(MQTT_HAS(MQTT_PROP_TOPIC_ALIAS) | MQTT_HAS(MQTT_PROP_SUBSCRIPTION_ID) |
                                         MQTT_HAS(MQTT_PROP_WILL_DELAY));
            CHECK(q.has == travels && q.user_n == p.user_n);
            CHECK(!mqtt_props_has(&q, MQTT_PROP_MESSAGE_EXPIRY) || q.message_expiry_s == 7);
        }
    } else {
        mqtt_props_forward(&a, in, 7); /* also of what was never checked */
    }
    arena_free(&a);
    return 0;
}
