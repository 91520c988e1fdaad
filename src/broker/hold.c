#include "broker/hold.h"

#include <stdlib.h>

#include "broker/departure.h"

/* It lasts as long as a task takes from reactor to reactor. What was routed before the session came is here for others
 * alone: its former shard delivers it, or sends it on. */

typedef struct Held {
    struct Held *next;
    Str topic, payload, props;
    uint8_t qos, sub_qos;
    bool retain, has_expiry;
    int64_t expires_ms;
    AckWait *wait;
    uint8_t data[];
} Held;

struct Hold {
    const Departure *departure; /* there as long as this is */
    bool forgotten;             /* the session ended meanwhile: what is sent on is nobody's */
    Held *first, **tail;
    size_t bytes;
};

void session_hold_begin(Session *s, const Departure *d) {
    s->hold = mem_new(sizeof *s->hold);
    s->hold->departure = d;
    s->hold->tail = &s->hold->first;
}

bool session_held_by(const Session *s, const Departure *d) {
    return s->hold && s->hold->departure == d;
}

bool session_takes_older(const Session *s) {
    return s->hold && !s->hold->forgotten;
}

void session_hold(Shard *shard, Session *s, Message *m, uint8_t qos, bool retain) {
    Hold *h = s->hold;
    if (departure_after(h->departure, m)) return;
    size_t bytes = sizeof(Held) + m->topic.len + m->payload.len + m->props.len;
    if (!(qos && m->qos) && h->bytes + bytes > shard->broker->o.limits.slow_reader_bytes_max) {
        atomic_fetch_add_explicit(&shard->broker->counters.dropped_slow, 1, memory_order_relaxed);
        return;
    }
    Held *n = mem_new(bytes);
    n->topic = m->topic;
    n->payload = m->payload;
    n->props = m->props;
    str_pack(n->data, (Str *const[]){ &n->topic, &n->payload, &n->props }, 3);
    n->qos = m->qos;
    n->sub_qos = qos;
    n->retain = retain;
    n->has_expiry = m->has_expiry;
    n->expires_ms = m->expires_ms;
    n->wait = qos && m->qos && (m->publisher || m->done || m->wait) ? message_hold(m) : NULL;
    *h->tail = n;
    h->tail = &n->next;
    h->bytes += bytes;
}

void session_caught_up(Shard *shard, Session *s) {
    Hold *h = s->hold;
    if (!h) return;
    int64_t now = clock_ms(shard->broker->o.clock);
    s->hold = NULL;
    for (Held *n = h->first, *next; n; n = next) {
        next = n->next;
        Message m = { .space = s->space,
                      .topic = n->topic,
                      .payload = { turn_copy(shard->reactor, n->payload), n->payload.len },
                      .props = n->props,
                      .qos = n->qos,
                      .has_expiry = n->has_expiry,
                      .expires_ms = n->expires_ms,
                      .wait = n->wait };
        bool expired = n->has_expiry && n->expires_ms <= now; /* [MQTT-3.3.2-5] */
        if (!expired && session_may_receive(s, m.topic)) session_deliver(shard, s, &m, n->sub_qos, n->retain);
        ack_release(n->wait);
        free(n);
    }
    free(h);
}

static void let_go(Hold *h, bool told) {
    for (Held *n = h->first, *next; n; n = next) {
        next = n->next;
        if (told) ack_release(n->wait);
        free(n);
    }
    h->first = NULL;
    h->tail = &h->first;
    h->bytes = 0;
}

void session_hold_forget(Session *s) {
    if (!s->hold) return;
    let_go(s->hold, true);
    s->hold->forgotten = true;
}

void session_hold_drop(Session *s) {
    if (!s->hold) return;
    let_go(s->hold, false); /* the broker has ended: nobody waits any more */
    free(s->hold);
    s->hold = NULL;
}
