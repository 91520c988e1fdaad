/* Custom authorizers, as the gateway asks them: for an MQTT connection, an HTTP request, a WebSocket's upgrade.
 * Source: AWS IoT developer guide, "Custom authentication", "Connecting to AWS IoT Core by using custom authentication"
 */
#pragma once

#include "api/request.h"
#include "broker/mqtt.h"
#include "services/iot/authorizer.h"

typedef struct Gateway Gateway;
typedef struct Link Link;

/* An authorizer is named in a header or in the query. Pure. */
bool custom_auth_asked(const ApiRequest *rq);

/* What an authorizer said, on the reactor that asked. */
typedef struct {
    Err result;                 /* AuthorizerVerdict's */
    const Principal *principal; /* the receiver's */
    int64_t disconnect_after_s, refresh_after_s;
    bool cache_http;
} CustomVerdict;
typedef void CustomDone(void *ctx, const CustomVerdict *v);
/* Who sends this request; a refusal is logged. The link stays until it is answered. */
void custom_auth_request(Link *l, const ApiRequest *rq, CustomDone *done, void *ctx);

/* For an MQTT connection. known: its principal stands unless CONNECT names an authorizer. rq: its upgrade, for
 * a WebSocket; else NULL. */
MqttAuth *custom_auth_mqtt(Link *l, bool known, const ApiRequest *rq);
