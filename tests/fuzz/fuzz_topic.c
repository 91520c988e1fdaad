#include "fuzz.h"

#include "mqtt/topic.h"

/* "FILTER\nTOPIC": matching agrees with a twin that goes from the back by recursion over levels. */

static bool twin(Str f, Str t) {
    Str f_level = str_cut(&f, '/'), t_level = str_cut(&t, '/');
    if (str_eq(f_level, S("#"))) return true;
    if (!str_eq(f_level, S("+")) && !str_eq(f_level, t_level)) return false;
    if (!f.ptr || !t.ptr) return !f.ptr && !t.ptr;
    return twin(f, t);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    Str topic = { data, size };
    Str text = str_cut(&topic, '\n');
    MqttTopicLimits limits = { .bytes_max = 512, .slashes_max = 64 };
    MqttFilter f;
    Err topic_is = mqtt_topic_check(topic, limits), filter_is = mqtt_filter_parse(text, limits, &f);
    mqtt_topic_matches(text, topic); /* whatever they are */
    if (topic_is != OK || filter_is != OK) return 0;
    bool reserved = topic.ptr[0] == '$' && (f.filter.ptr[0] == '+' || f.filter.ptr[0] == '#');
    CHECK(mqtt_topic_matches(f.filter, topic) == (!reserved && twin(f.filter, topic)));
    CHECK(mqtt_topic_matches(topic, topic)); /* a topic is a filter that matches itself */
    if (!f.wildcard) CHECK(mqtt_topic_matches(f.filter, topic) == str_eq(f.filter, topic));
    return 0;
}
