/* Store operations of a shard: gathered through a turn of the loop, run by a worker in one transaction, and told of
 * on the shard's thread, in order. A turn's worth of messages, acknowledgements and session changes costs one sync. */
#pragma once

#include "broker/hub.h"
#include "broker/message.h"

typedef struct StoreOp StoreOp;
typedef void StoreOpDone(Shard *shard, void *ctx, Err e);
struct StoreOp {
    StoreOp *next;
    Err (*run)(StoreOp *op, Txn *txn, Arena *arena); /* on the worker; may run again */
    void (*done)(StoreOp *op, Shard *shard, Err e);  /* on the shard */
};

/* One message written to one session's queue. Stays until the batch and the in-flight entry both let it go. */
typedef struct MessageOp MessageOp;

/* Room for an operation in this turn's batch, zeroed; strings it needs are copied to the arena. */
void *store_op_new(Shard *shard, size_t bytes, Arena **arena);
void store_op_add(Shard *shard, StoreOp *op);
/* The turn's batch goes to the workers. */
void store_ops_submit(Shard *shard);

/* Puts m behind what session s has stored. The message's AckWait is held until it is synced. */
MessageOp *store_message(Shard *shard, Session *s, Message *m, uint64_t seq, bool retain);
/* The subscriber has it: it need not be written, or it is deleted. op may be NULL. */
void store_message_acked(Shard *shard, Session *s, uint64_t seq, MessageOp *op);
void store_message_forget(MessageOp *op);     /* accepts NULL */
bool store_message_told(const MessageOp *op); /* its write is over; true for NULL */

/* Reads up to n_max stored messages from `from_seq` on. */
typedef struct {
    uint64_t seq;
    Str topic, payload, props;
    bool retain, has_expiry;
    int64_t expires_ms;
} StoredItem;
typedef struct {
    StoredItem *items;
    size_t n;
    bool more;
} StoredPage;
typedef void StoredPageFn(Shard *shard, Session *s, const StoredPage *page, Err e);
void store_read_queue(Shard *shard, Session *s, uint64_t from_seq, size_t n_max, StoredPageFn *fn);

/* The session's record with its subscriptions. */
void store_session(Shard *shard, Session *s, StoreOpDone *done, void *ctx);
/* Record and queue are gone. */
void store_session_erase(Shard *shard, Session *s);

/* Retained messages. An empty payload removes. */
void store_retain(Shard *shard, Message *m);
/* Sends the topic's retained message, where there is one, to a client that has just subscribed. */
void store_read_retained(Shard *shard, Client *client, Str topic, uint8_t qos);
