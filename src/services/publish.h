/* What a service tells the world over MQTT. */
#pragma once

#include "api/call.h"
#include "broker/broker.h"

/* Publishes after the commit, in the order of the calls. The message is copied, what it refers to is borrowed: it
 * lives in the call's arena or longer. */
void publish_message_after(Call *c, const BrokerMessage *message);
/* The usual one: QoS 1, in the call's account. */
void publish_after(Call *c, Str topic, Str payload);
/* The same, and the call is answered once a QoS 1 message is safe with every session that is kept. */
void publish_message_held(Call *c, const BrokerMessage *message);
/* The message that this entry of an outbox will publish, or NULL. For tests. */
const BrokerMessage *publish_queued(const Outgoing *entry);
