/* A message that an API call gives, checked and with MQTT 5's properties encoded. */
#pragma once

#include "generated/iot_data.h"
#include "services/publish.h"

/* What Publish and SendDirectMessage have in common, as their inputs have it. */
typedef struct {
    Str topic, payload;
    Str user_properties; /* JSON: [{"name":"value"},…], names may repeat */
    Str payload_format_indicator, content_type, response_topic;
    Str correlation_data; /* base64 */
    OptInt message_expiry;
} MessageIn;

/* Errors: ERR_API */
NODISCARD Err message_from(Call *c, const MessageIn *in, BrokerMessage *out);
