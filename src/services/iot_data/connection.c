/* Connections over the API. What changes something leaves through the outbox, because a handler may run twice; that
 * the client is there is asked before.
 * Source: botocore's iot-data model; AWS IoT developer guide, "MQTT", "Sending direct messages" */
#include "broker/connection.h"

#include "api/page.h"
#include "services/env.h"
#include "services/iot_data/message.h"

static const PageSize SUBSCRIPTIONS_PAGE = { .otherwise = 20, .most = 200 };

static Err connection_of(Call *c, Str client_id, BrokerConnection *out) {
    Err e = broker_connection(c->env->broker, c->account, client_id, c->arena, out);
    if (e != ERR_NOT_FOUND) return e;
    return api_fail(c, IOT_DATA_RESOURCE_NOT_FOUND, "Client %.*s has no connection and no persistent session",
                    PS(client_id));
}

static OptInt known(int64_t v) {
    return (OptInt){ v != 0, v };
}

Err iot_data_get_connection(Call *c, const IotDataGetConnectionIn *in, IotDataGetConnectionOut *out) {
    BrokerConnection x;
    Err e = connection_of(c, in->client_id, &x);
    if (e != OK) return e;
    *out = (IotDataGetConnectionOut){ .client_id = in->client_id,
                                      .connected = { true, x.connected },
                                      .thing_name = x.thing_name,
                                      .clean_session = { true, x.clean_session },
                                      .session_expiry = { true, x.session_expiry_s },
                                      .keep_alive_duration = known(x.keepalive_s) };
    if (x.connected)
        out->connected_since = known(x.connected_ms);
    else {
        out->disconnected_since = known(x.disconnected_ms);
        out->disconnect_reason = x.disconnect_reason;
    }
    if (!in->include_socket_information.v) return OK;
    out->source_ip = x.source_ip;
    out->source_port = known(x.source_port);
    out->target_ip = x.target_ip;
    out->target_port = known(x.target_port);
    return OK;
}

static void evict_now(Env *env, void *arg) {
    broker_evict(env->broker, arg);
}

Err iot_data_delete_connection(Call *c, const IotDataDeleteConnectionIn *in, IotDataDeleteConnectionOut *out) {
    (void)out;
    BrokerConnection x;
    Err e = connection_of(c, in->client_id, &x);
    if (e != OK) return e;
    if (!x.connected && !x.has_session)
        return api_fail(c, IOT_DATA_RESOURCE_NOT_FOUND, "Client %.*s is not connected and has no persistent session",
                        PS(in->client_id));
    BrokerEviction *eviction = arena_new(c->arena, BrokerEviction);
    *eviction = (BrokerEviction){ .account = c->account,
                                  .client_id = in->client_id,
                                  .end_session = in->clean_session.v,
                                  .prevent_will = in->prevent_will_message.v };
    call_after(c, evict_now, eviction);
    return OK;
}

Err iot_data_list_subscriptions(Call *c, const IotDataListSubscriptionsIn *in, IotDataListSubscriptionsOut *out) {
    BrokerSubscription *all = NULL;
    size_t n = 0;
    Page page;
    Err e = page_open(c, in->client_id, in->next_token, in->max_results, SUBSCRIPTIONS_PAGE, &page);
    if (e == OK) e = broker_subscriptions(c->env->broker, c->account, in->client_id, c->arena, &all, &n);
    if (e == ERR_NOT_FOUND)
        return api_fail(c, IOT_DATA_RESOURCE_NOT_FOUND, "Client %.*s has no connection and no persistent session",
                        PS(in->client_id));
    if (e != OK) return e;
    IotDataSubscriptionSummary *items = arena_array(c->arena, IotDataSubscriptionSummary, page.most);
    for (size_t i = 0; i < n; i++) {
        if (page.after.ptr && str_cmp(all[i].filter, page.after) <= 0) continue;
        if (!page_take_at(&page, all[i].filter)) break;
        items[page.n - 1] = (IotDataSubscriptionSummary){ .topic_filter = all[i].filter, .qos = { true, all[i].qos } };
    }
    out->subscriptions = (IotDataSubscriptionList){ items, page.n, true };
    out->next_token = page.next;
    return OK;
}

typedef struct {
    Call *call;
    BrokerDirect direct;
} Direct;

/* Reasons: developer guide, "CloudWatch log entries", SendDirectMessage */
static Err refused(Call *c, BrokerDirectResult result, Str client_id) {
    switch (result) {
    case DIRECT_TIMED_OUT:
        return api_fail(c, IOT_DATA_GATEWAY_TIMEOUT, "No PUBACK came in time: DELIVERY_CONFIRMATION_TIMEOUT");
    case DIRECT_NOT_CONNECTED:
        return api_fail(c, IOT_DATA_RESOURCE_NOT_FOUND, "Client %.*s is not connected", PS(client_id));
    case DIRECT_NOT_ALLOWED:
        return api_fail(c, IOT_DATA_FORBIDDEN,
                        "Client %.*s may not receive on this topic: RECEIVE_AUTHORIZATION_FAILURE", PS(client_id));
    case DIRECT_WINDOW_FULL:
        return api_fail(c, IOT_DATA_THROTTLING,
                        "Client %.*s has too many unacknowledged messages: RECEIVER_MAX_UNACKED_QOS1_EXCEEDED",
                        PS(client_id));
    default: return OK;
    }
}

static void told(void *ctx, BrokerDirectResult result) {
    Direct *d = ctx;
    Err e = refused(d->call, result, d->direct.client_id);
    (void)e; /* the failure stands in the call */
    call_release(d->call);
}

static void send_now(Env *env, void *arg) {
    Direct *d = arg;
    call_hold(d->call);
    broker_send_direct(env->broker, &d->direct);
}

enum { CONFIRM_S_MAX = 15, CONFIRM_S_DEFAULT = 5 };

Err iot_data_send_direct_message(Call *c, const IotDataSendDirectMessageIn *in, IotDataSendDirectMessageOut *out) {
    Direct *d = arena_new(c->arena, Direct);
    *d = (Direct){ .call = c, .direct = { .client_id = in->client_id, .done = told, .ctx = d } };
    Err e = message_from(c,
                         &(MessageIn){ .topic = in->topic,
                                       .payload = in->payload,
                                       .user_properties = in->user_properties,
                                       .payload_format_indicator = in->payload_format_indicator,
                                       .content_type = in->content_type,
                                       .response_topic = in->response_topic,
                                       .correlation_data = in->correlation_data },
                         &d->direct.message);
    if (e != OK) return e;
    if (in->topic.ptr[0] == '$')
        return api_fail(c, IOT_DATA_INVALID_REQUEST, "Invalid topic: %.*s is reserved", PS(in->topic));
    d->direct.message.qos = in->confirmation.v;
    d->direct.timeout_s = in->timeout.set ? in->timeout.v : CONFIRM_S_DEFAULT;
    if (d->direct.timeout_s < 1 || d->direct.timeout_s > CONFIRM_S_MAX)
        return api_fail(c, IOT_DATA_INVALID_REQUEST, "Invalid timeout: got %lld, expected 1 to %d seconds",
                        (long long)d->direct.timeout_s, CONFIRM_S_MAX);
    BrokerConnection x;
    e = connection_of(c, in->client_id, &x);
    if (e != OK) return e;
    if (!x.connected)
        return api_fail(c, IOT_DATA_RESOURCE_NOT_FOUND, "Client %.*s is not connected%s", PS(in->client_id),
                        x.has_session ? ", it has a persistent session" : "");
    call_after(c, send_now, d);
    *out = (IotDataSendDirectMessageOut){ .message = S("OK"), .trace_id = c->request_id };
    return OK;
}
