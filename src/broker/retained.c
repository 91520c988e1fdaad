#include "broker/client.h"
#include "generated/iot_records.h"

/* Retained messages live in the store alone. A subscription to a topic without retained messages costs a read that
 * the store's filters answer; with none at all in the server it costs nothing. */

typedef struct {
    StoreOp op;
    Space *space;
    int64_t most; /* that the account may have */
    Tenant tenant;
    RetainedMessageRecord record;
    AckWait *wait;
    int counted, change;
    bool full;
} RetainOp;

static Err retain_run(StoreOp *op, Txn *txn, Arena *scratch) {
    RetainOp *r = (RetainOp *)op;
    RetainedMessageRecord old;
    Err e = retained_message_record_get(txn, r->tenant, r->record.topic, scratch, &old);
    bool there = e == OK, remove = r->record.payload.len == 0;
    if (e != OK && e != ERR_NOT_FOUND) return e;
    r->full = !there && !remove && atomic_load(&r->space->retained_n) > r->most; /* it is counted itself */
    r->change = remove ? -there : !there && !r->full;
    if (r->full) return OK;
    if (remove) return there ? retained_message_record_delete(txn, r->tenant, r->record.topic) : OK;
    return retained_message_record_put(txn, r->tenant, &r->record);
}

static void retain_done(StoreOp *op, Shard *shard, Err e) {
    RetainOp *r = (RetainOp *)op;
    (void)shard;
    atomic_fetch_add(&r->space->retained_n, (e == OK ? r->change : 0) - r->counted);
    if (!r->wait) return;
    if (e != OK) atomic_store(&r->wait->failed, e);
    if (r->full) atomic_store(&r->wait->full, true);
    ack_release(r->wait);
}

void store_retain(Shard *shard, Message *m) {
    Arena *arena;
    RetainOp *r = store_op_new(shard, sizeof *r, &arena);
    r->op = (StoreOp){ .run = retain_run, .done = retain_done };
    r->space = m->space;
    r->most = (int64_t)shard->broker->o.limits.retained_messages_max;
    r->tenant = (Tenant){ m->space->account, shard->broker->o.region };
    r->record = (RetainedMessageRecord){ .topic = str_dup(arena, m->topic),
                                         .payload = str_dup(arena, m->payload),
                                         .qos = m->qos,
                                         .props = str_dup(arena, m->props),
                                         .published_ms = clock_ms(shard->broker->o.clock),
                                         .expires_ms = m->has_expiry ? m->expires_ms : 0 };
    if (m->publisher || m->done || m->wait) r->wait = message_hold(m);
    r->counted = m->payload.len > 0; /* seen at once; settled when it is done */
    atomic_fetch_add(&m->space->retained_n, r->counted);
    store_op_add(shard, &r->op);
}

typedef struct {
    StoreOp op;
    Tenant tenant;
    Client *client;
    Str topic;
    uint8_t qos;
    bool found;
    RetainedMessageRecord record;
} RetainedReadOp;

static Err read_run(StoreOp *op, Txn *txn, Arena *scratch) {
    RetainedReadOp *r = (RetainedReadOp *)op;
    Err e = retained_message_record_peek(txn, r->tenant, r->topic, scratch, &r->record);
    r->found = e == OK;
    return e == ERR_NOT_FOUND ? OK : e;
}

static void read_done(StoreOp *op, Shard *shard, Err e) {
    RetainedReadOp *r = (RetainedReadOp *)op;
    Client *c = r->client;
    const RetainedMessageRecord *row = &r->record;
    bool expired = row->expires_ms && row->expires_ms <= clock_ms(shard->broker->o.clock);
    if (e == OK && r->found && !expired && c->state == CLIENT_LIVE && session_may_receive(c->session, r->topic)) {
        Message m = { .space = c->space,
                      .topic = r->topic,
                      .payload = row->payload,
                      .props = row->props,
                      .qos = (uint8_t)row->qos,
                      .has_expiry = row->expires_ms != 0,
                      .expires_ms = row->expires_ms };
        session_deliver(shard, c->session, &m, r->qos, true);
    }
    client_paid(c);
    client_release(c);
}

void store_read_retained(Shard *shard, Client *c, Str topic, uint8_t qos) {
    Arena *arena;
    if (atomic_load(&c->space->retained_n) == 0) return;
    RetainedReadOp *r = store_op_new(shard, sizeof *r, &arena);
    r->op = (StoreOp){ .run = read_run, .done = read_done };
    r->tenant = (Tenant){ c->space->account, shard->broker->o.region };
    r->client = c;
    r->topic = str_dup(arena, topic);
    r->qos = qos;
    client_retain(c);
    client_owe(c);
    store_op_add(shard, &r->op);
}
