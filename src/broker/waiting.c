#include "broker/waiting.h"

#include <stdlib.h>

/* A list is made with its first message and goes with its last: most sessions never need one. */

void waiting_add(Shard *shard, WaitingList **of, const Message *m, bool retain) {
    const BrokerLimits *l = &shard->broker->o.limits;
    size_t bytes = sizeof(Waiting) + m->topic.len + m->payload.len + m->props.len;
    WaitingList *list = *of;
    if (list ? list->n >= l->queued_messages_max || list->bytes + bytes > l->queued_bytes_max
             : l->queued_messages_max == 0 || bytes > l->queued_bytes_max) {
        atomic_fetch_add_explicit(&shard->broker->counters.dropped_full, 1, memory_order_relaxed);
        return;
    }
    Waiting *w = mem_new(bytes);
    w->bytes = bytes;
    w->retain = retain;
    w->topic = m->topic;
    w->payload = m->payload;
    w->props = m->props;
    str_pack(w->data, (Str *const[]){ &w->topic, &w->payload, &w->props }, 3);
    w->has_expiry = m->has_expiry;
    w->expires_ms = m->expires_ms;
    if (!list) {
        list = *of = mem_new(sizeof *list);
        list->tail = &list->first;
    }
    *list->tail = w;
    list->tail = &w->next;
    list->n++;
    list->bytes += bytes;
}

Waiting *waiting_take(WaitingList **of) {
    WaitingList *list = *of;
    Waiting *w = list->first;
    list->first = w->next;
    list->bytes -= w->bytes;
    if (--list->n == 0) {
        free(list);
        *of = NULL;
    }
    return w;
}

void waiting_clear(WaitingList **of) {
    while (*of) free(waiting_take(of));
}
