/* Publish over HTTPS. The message leaves through the outbox, because a handler may run twice. */
#include "services/env.h"
#include "services/iot_data/message.h"

Err iot_data_publish(Call *c, const IotDataPublishIn *in, IotDataPublishOut *out) {
    (void)out;
    BrokerMessage m;
    Err e = message_from(c,
                         &(MessageIn){ .topic = in->topic,
                                       .payload = in->payload,
                                       .user_properties = in->user_properties,
                                       .payload_format_indicator = in->payload_format_indicator,
                                       .content_type = in->content_type,
                                       .response_topic = in->response_topic,
                                       .correlation_data = in->correlation_data,
                                       .message_expiry = in->message_expiry },
                         &m);
    if (e != OK) return e;
    if (in->retain.v && in->topic.ptr[0] == '$')
        return api_fail(c, IOT_DATA_INVALID_REQUEST, "Invalid retain: the reserved topic %.*s holds no message",
                        PS(in->topic));
    if (in->topic.ptr[0] == '$' && !broker_open_topic(c->env->broker, in->topic)) /* as over MQTT */
        return api_fail(c, IOT_DATA_INVALID_REQUEST, "Invalid topic: %.*s is reserved", PS(in->topic));
    m.qos = (uint8_t)in->qos.v;
    m.retain = in->retain.v;
    m.principal = c->principal;
    m.source_ip = c->source_ip;
    publish_message_held(c, &m);
    return OK;
}
