/* Device Shadow over MQTT: the topics that devices publish to, and what comes back on theirs.
 * Source: AWS IoT developer guide, "Device Shadow MQTT topics". */
#pragma once

#include "api/call.h"

typedef enum { SHADOW_GET, SHADOW_UPDATE, SHADOW_DELETE } ShadowVerb;

typedef struct {
    Str thing, name; /* name empty: the classic shadow */
    ShadowVerb verb;
} ShadowTopic;

/* $aws/things/THING/shadow[/name/NAME]/{get,update,delete} and nothing else; out untouched when false. */
bool shadow_topic_parse(Str topic, ShadowTopic *out);
bool shadow_topic_takes(Str topic); /* the same without its parts: a TopicService's */

/* Carries the request out and queues its answer, accepted or rejected, and what an update brings with it.
 * Errors: ERR_NOT_FOUND (no such topic); ERR_CONFLICT, ERR_AGAIN (run it again); every other is answered as rejected */
NODISCARD Err shadow_topic_run(Call *c, Str topic, Str payload);
