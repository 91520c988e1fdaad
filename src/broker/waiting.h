/* Waiting: QoS 1 messages that wait in memory for room in the window, of a session that is not kept. NULL: none. */
#pragma once

#include "broker/message.h"
#include "broker/session.h"

typedef struct Waiting {
    struct Waiting *next;
    Str topic, payload, props;
    bool retain, has_expiry;
    int64_t expires_ms;
    size_t bytes; /* all of it */
    uint8_t data[];
} Waiting;

typedef struct WaitingList {
    Waiting *first, **tail;
    size_t n, bytes;
} WaitingList;

/* Copied. One beyond the limits in number or bytes is dropped, and counted. */
void waiting_add(Shard *shard, WaitingList **list, const Message *m, bool retain);
/* The first of them, the caller's now. There is one. */
Waiting *waiting_take(WaitingList **list);
void waiting_clear(WaitingList **list);
