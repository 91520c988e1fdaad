/* Limits: what AWS allows a client, each a setting with AWS's value as default.
 * Source: AWS General Reference, AWS IoT Core message broker quotas. */
#pragma once

#include "base/str.h"

typedef struct {
    size_t client_id_bytes_max, topic_bytes_max, topic_slashes_max;
    size_t payload_bytes_max, packet_bytes_max; /* packet: variable header and payload */
    size_t user_property_bytes_max, content_type_bytes_max, correlation_data_bytes_max;
    uint32_t message_expiry_s_max;
    uint16_t topic_alias_max;
    size_t filters_per_subscribe_max, subscriptions_per_connection_max;
    size_t inflight_in_max, inflight_out_max;
    uint16_t keepalive_s_min, keepalive_s_max;
    uint32_t session_expiry_s_default, session_expiry_s_max;
    uint32_t connect_wait_s;      /* for CONNECT, after the socket opened */
    size_t slow_reader_bytes_max; /* of waiting output: beyond it QoS 0 is dropped */
    size_t out_bytes_max;         /* beyond it the connection is closed */
    size_t queued_messages_max;   /* QoS 1 in memory, for a session that is not kept */
    size_t queued_bytes_max;      /* of them */
    size_t ghosts_max;            /* client ids without a session that a reactor remembers */
    size_t share_group_bytes_max, share_groups_max, shares_per_group_max; /* groups of an account; members of one */
    size_t retained_messages_max, account_subscriptions_max, account_connections_max; /* of an account */
    /* rates: only with --aws-quotas */
    bool rates;
    uint32_t publishes_per_s, connects_per_client_s;
} BrokerLimits;

#define BROKER_LIMITS_AWS                                                                                              \
    ((BrokerLimits){ .client_id_bytes_max = 128,                                                                       \
                     .topic_bytes_max = 256,                                                                           \
                     .topic_slashes_max = 7,                                                                           \
                     .payload_bytes_max = 128 * 1024,                                                                  \
                     .packet_bytes_max = 146 * 1024,                                                                   \
                     .user_property_bytes_max = 8 * 1024,                                                              \
                     .content_type_bytes_max = 256,                                                                    \
                     .correlation_data_bytes_max = 8 * 1024,                                                           \
                     .message_expiry_s_max = 604800,                                                                   \
                     .topic_alias_max = 8,                                                                             \
                     .filters_per_subscribe_max = 8,                                                                   \
                     .subscriptions_per_connection_max = 50,                                                           \
                     .inflight_in_max = 100,                                                                           \
                     .inflight_out_max = 100,                                                                          \
                     .keepalive_s_min = 30,                                                                            \
                     .keepalive_s_max = 1200,                                                                          \
                     .session_expiry_s_default = 3600,                                                                 \
                     .session_expiry_s_max = 604800,                                                                   \
                     .connect_wait_s = 10,                                                                             \
                     .slow_reader_bytes_max = 1 << 20,                                                                 \
                     .out_bytes_max = 4 << 20,                                                                         \
                     .queued_messages_max = 1000,                                                                      \
                     .queued_bytes_max = 16 << 20,                                                                     \
                     .ghosts_max = 50000,                                                                              \
                     .share_group_bytes_max = 128,                                                                     \
                     .share_groups_max = 100,                                                                          \
                     .shares_per_group_max = 100,                                                                      \
                     .retained_messages_max = 500000,                                                                  \
                     .account_subscriptions_max = 500000,                                                              \
                     .account_connections_max = 500000,                                                                \
                     .rates = false,                                                                                   \
                     .publishes_per_s = 100,                                                                           \
                     .connects_per_client_s = 1 })
