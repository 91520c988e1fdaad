/* Topics and filters: which are good ones, and which filter matches which topic, by AWS's rules
 * where they differ from the standard's. Pure. */
#pragma once

#include "base/str.h"

typedef struct {
    size_t bytes_max, slashes_max;
} MqttTopicLimits;

/* Source: AWS General Reference, AWS IoT Core quotas */
#define MQTT_TOPIC_LIMITS_AWS ((MqttTopicLimits){ .bytes_max = 256, .slashes_max = 7 })

/* A topic name to publish to. A leading `$aws/rules/NAME/` counts neither as bytes nor as slashes.
 * Shape:  valid UTF-8 (the packet's parser saw to that)
 * Errors: ERR_INVALID (empty, a wildcard, U+0000), ERR_LIMIT; MQTT 5 answers both with 0x90 */
NODISCARD Err mqtt_topic_check(Str topic, MqttTopicLimits limits);

typedef struct {
    Str group;  /* of a shared subscription; STR_NONE: not shared */
    Str filter; /* without `$share/GROUP/` */
    bool wildcard;
} MqttFilter;

/* A filter to subscribe to. The limits hold for the filter behind `$share/GROUP/`.
 * Errors: ERR_INVALID (empty, U+0000, a wildcard beside other characters, `#` not last, a share without
 *         group or filter, or with a wildcard in its group), ERR_LIMIT; MQTT 5 answers both with 0x8F */
NODISCARD Err mqtt_filter_parse(Str text, MqttTopicLimits limits, MqttFilter *out);

/* Does the filter (parsed; without its share) match the topic?
 * `a/#` matches `a/` and what is below, but not `a`; a wildcard at the first level never matches `$…`.
 * Source: AWS IoT developer guide, MQTT; MQTT 5 section 4.7.2 */
bool mqtt_topic_matches(Str filter, Str topic);
