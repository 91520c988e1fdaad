#include "broker/message.h"

#include <stdlib.h>

#include "broker/client.h"

AckWait *message_hold(Message *m) {
    if (!m->wait) {
        m->wait = mem_new(sizeof *m->wait);
        m->wait->pending = 1; /* the publisher's own, released when the message is routed */
        m->wait->client = m->publisher;
        m->wait->done = m->done;
        m->wait->ctx = m->ctx;
        if (m->publisher) client_retain(m->publisher);
    }
    atomic_fetch_add_explicit(&m->wait->pending, 1, memory_order_relaxed);
    return m->wait;
}

static void tell_publisher(Task *task, Reactor *r) {
    AckWait *w = (AckWait *)task;
    (void)r;
    int failed = atomic_load(&w->failed);
    if (failed != OK && w->slot != ACK_SLOT_NONE)
        client_leave(w->client, LEAVE_SERVER_ERROR, MQTT_UNSPECIFIED_ERROR,
                     failed == ERR_FULL ? "the store could not take a message: no room is left on its disk"
                                        : "the store could not take a message");
    else if (atomic_load(&w->full))
        client_retain_full(w->client, w->slot);
    else
        client_publish_safe(w->client, w->slot);
    client_release(w->client);
    free(w);
}

void ack_release(AckWait *w) {
    if (!w || atomic_fetch_sub_explicit(&w->pending, 1, memory_order_acq_rel) > 1) return;
    if (w->client) {
        w->task.run = tell_publisher;
        reactor_post(w->client->conn->reactor, &w->task);
        return;
    }
    if (w->done) w->done(w->ctx, !atomic_load(&w->failed) && !atomic_load(&w->full));
    free(w);
}

/* What is left, in whole seconds: 0 below one. Source: developer guide, MQTT 5 message expiry */
static Str props_now(const Message *m, const Clock *clock, Arena *scratch) {
    if (!m->has_expiry) return m->props;
    int64_t left = (m->expires_ms - clock_ms(clock)) / 1000;
    return mqtt_props_forward(scratch, m->props, left > 0 ? (uint32_t)left : 0);
}

uint16_t message_packet_id(Message *m, Shard *shard) {
    if (m->packet_id) return m->packet_id;
    m->packet_id = shard->packet_id = mqtt_packet_id_after(shard->packet_id);
    for (int v = 0; v < 2; v++) { /* as it came, with its publisher's */
        Form *f = &m->forms[v][1];
        if (f->bytes) mqtt_put_packet_id(f->bytes + f->id_at, m->packet_id);
    }
    return m->packet_id;
}

Form *message_form(Message *m, Shard *shard, MqttVersion version, uint8_t qos) {
    Form *f = &m->forms[version == MQTT_5][qos];
    if (f->bytes) return f;
    Arena scratch = { 0 };
    MqttPublish p = { .topic = m->topic, .payload = m->payload, .qos = qos };
    if (qos) p.packet_id = message_packet_id(m, shard);
    if (version == MQTT_5) p.props = props_now(m, shard->broker->o.clock, &scratch);
    size_t head = mqtt_publish_head_bytes(version, &p), have;
    f->len = head + m->payload.len;
    f->bytes = turn_room(shard->reactor, f->len, &have);
    turn_take(shard->reactor, f->len);
    uint8_t *at = mqtt_write_publish_head(f->bytes, version, &p);
    if (m->payload.len) memcpy(at, m->payload.ptr, m->payload.len);
    f->id_at = qos ? mqtt_publish_id_at(version, &p) : 0;
    arena_free(&scratch);
    return f;
}
