#include "broker/store_op.h"

#include <stdlib.h>

#include "base/map.h"
#include "broker/client.h"
#include "generated/iot_records.h"

/* A batch is one Job: the workers run it in a transaction with others' and sync once. All batches of all shards have
 * the same key, so that what is written, deleted and read of a session happens in the order in which it was asked for.
 *
 * A message for one session is written into its queue; one for several is written once and pointed to, with a count
 * that each deletion lowers. A write is skipped when its subscriber acknowledges before it runs: writer and
 * subscriber race for `state`, and the loser knows what is left to do. */

enum { JOB_KEY = 1 };

struct StoreBatch {
    Job job;
    Task task;
    Shard *shard;
    Arena arena, scratch;
    StoreOp *first, **tail;
    Map lowered; /* of one run: Lowered by account and message */
};

/* How many receivers of a message have gone. Its record holds its bytes, so that it is written once for all of them. */
typedef struct {
    Tenant tenant;
    int64_t id, n;
} Lowered;

static Tenant tenant_of(const Broker *b, const Space *s) {
    return (Tenant){ s->account, b->o.region };
}

static void batch_free(StoreBatch *b) {
    map_free(&b->lowered);
    arena_free(&b->arena);
    arena_free(&b->scratch);
    free(b);
}

static void lower_references(StoreBatch *b, Tenant t, int64_t id) {
    Str key = str_format(&b->scratch, "%.*s/%lld", PS(t.account), (long long)id);
    Lowered *l = map_get(&b->lowered, key);
    if (!l) {
        l = arena_new(&b->scratch, Lowered);
        *l = (Lowered){ .tenant = t, .id = id };
        map_put(&b->lowered, key, l);
    }
    l->n++;
}

static Err write_lowered(const Lowered *l, Txn *txn, Arena *scratch) {
    StoredMessageRecord body;
    Err e = stored_message_record_get(txn, l->tenant, l->id, scratch, &body);
    if (e == ERR_NOT_FOUND) return OK;
    if (e != OK) return e;
    body.references -= l->n;
    if (body.references <= 0) return stored_message_record_delete(txn, l->tenant, l->id);
    return stored_message_record_put(txn, l->tenant, &body);
}

static Err batch_run(Job *job, Txn *txn) {
    StoreBatch *b = (StoreBatch *)job;
    Arena one = { 0 };
    Err e = OK;
    map_free(&b->lowered); /* of a run before */
    b->lowered = (Map){ 0 };
    for (StoreOp *op = b->first; op && e == OK; op = op->next) e = op->run(op, txn, &b->scratch);
    map_each (&b->lowered, slot) {
        if (e == OK) e = write_lowered(slot->value, txn, &one);
        arena_reset(&one);
    }
    arena_free(&one);
    return e;
}

static void batch_told(Task *task, Reactor *r) {
    StoreBatch *b = (StoreBatch *)((char *)task - offsetof(StoreBatch, task));
    for (StoreOp *op = b->first, *next; op; op = next) {
        next = op->next;
        if (op->done) op->done(op, shard_of(r), b->job.result);
    }
    batch_free(b);
}

static void batch_done(Job *job, Err e) {
    StoreBatch *b = (StoreBatch *)job;
    job->result = e;
    b->task.run = batch_told;
    reactor_post(b->shard->reactor, &b->task);
}

static StoreBatch *batch(Shard *shard) {
    StoreBatch *b = shard->batch;
    if (b) return b;
    b = shard->batch = mem_new(sizeof *b);
    b->shard = shard;
    b->tail = &b->first;
    b->job = (Job){ .key = JOB_KEY, .run = batch_run, .done = batch_done };
    return b;
}

void *store_op_new(Shard *shard, size_t bytes, Arena **arena) {
    StoreBatch *b = batch(shard);
    *arena = &b->arena;
    return arena_alloc(&b->arena, bytes);
}

void store_op_add(Shard *shard, StoreOp *op) {
    StoreBatch *b = batch(shard);
    *b->tail = op;
    b->tail = &op->next;
}

void store_ops_submit(Shard *shard) {
    StoreBatch *b = shard->batch;
    if (!b) return;
    shard->batch = NULL;
    workers_submit(shard->broker->o.workers, &b->job);
}

/* ------------------------------------------------------------------------------------------------ messages */

enum { MESSAGE_PENDING, MESSAGE_WRITTEN, MESSAGE_ACKED };

/* What several sessions of one turn share. */
typedef struct StoredBody {
    StoreBatch *batch;
    Str topic, payload, props;
    int64_t expires_ms;
    int receivers;
    const MessageOp
        *first; /* it writes the body, whose bytes would otherwise stand in the transaction for each receiver */
    int64_t id; /* of the StoredMessage, when there is more than one receiver */
} StoredBody;

/* Held by its batch and by the in-flight entry; both are the shard's thread. */
struct MessageOp {
    StoreOp op;
    int refs;
    bool retain;
    bool told; /* the batch is over: `body` is gone */
    Tenant tenant;
    Str client_id;
    int64_t seq;
    StoredBody *body;
    AckWait *wait;
    _Atomic int state;
};

static Err write_body(const MessageOp *m, Txn *txn) {
    StoredMessageRecord r = { .message_id = m->body->id,
                              .topic = m->body->topic,
                              .payload = m->body->payload,
                              .props = m->body->props,
                              .qos = 1,
                              .expires_ms = m->body->expires_ms,
                              .references = m->body->receivers };
    return stored_message_record_put(txn, m->tenant, &r);
}

static Err message_run(StoreOp *op, Txn *txn, Arena *scratch) {
    MessageOp *m = (MessageOp *)op;
    StoredBody *body = m->body;
    int pending = MESSAGE_PENDING;
    (void)scratch;
    bool mine = atomic_compare_exchange_strong(&m->state, &pending, MESSAGE_WRITTEN) || pending == MESSAGE_WRITTEN;
    bool shared = body->receivers > 1;
    if (!mine && !shared) return OK;
    SessionMessageRecord r = {
        .client_id = m->client_id, .sequence = m->seq, .qos = 1, .retain = m->retain, .expires_ms = body->expires_ms
    };
    if (shared) {
        Err e = body->first == m ? write_body(m, txn) : OK;
        if (e != OK) return e;
        r.message_id = body->id;
    } else {
        r.topic = body->topic;
        r.payload = body->payload;
        r.props = body->props;
    }
    return session_message_record_put(txn, m->tenant, &r);
}

static void message_done(StoreOp *op, Shard *shard, Err e) {
    MessageOp *m = (MessageOp *)op;
    (void)shard;
    if (m->wait && e != OK) atomic_store(&m->wait->failed, e);
    ack_release(m->wait);
    m->told = true;
    store_message_forget(m);
}

static StoredBody *body_of(Shard *shard, Message *m, Arena *arena) {
    StoredBody *b = m->body;
    if (b && b->batch == shard->batch) return b;
    b = m->body = arena_new(arena, StoredBody);
    b->batch = shard->batch;
    b->topic = str_dup(arena, m->topic);
    b->payload = str_dup(arena, m->payload);
    b->props = str_dup(arena, m->props);
    b->expires_ms = m->has_expiry ? m->expires_ms : 0;
    b->id = (int64_t)(rng_u64(&shard->rng) >> 1);
    return b;
}

MessageOp *store_message(Shard *shard, Session *s, Message *m, uint64_t seq, bool retain) {
    Arena *arena = &batch(shard)->arena;
    MessageOp *op = mem_new(sizeof *op);
    op->op = (StoreOp){ .run = message_run, .done = message_done };
    op->refs = 2;
    op->tenant = tenant_of(shard->broker, s->space);
    op->client_id = str_dup(arena, s->client_id);
    op->seq = (int64_t)seq;
    op->retain = retain;
    op->body = body_of(shard, m, arena);
    if (op->body->receivers++ == 0) op->body->first = op;
    op->wait = m->publisher || m->done || m->wait ? message_hold(m) : NULL;
    store_op_add(shard, &op->op);
    return op;
}

void store_message_forget(MessageOp *op) {
    if (op && --op->refs == 0) free(op);
}

bool store_message_told(const MessageOp *op) {
    return !op || op->told;
}

typedef struct {
    StoreOp op;
    StoreBatch *batch;
    Tenant tenant;
    Str client_id;
    int64_t seq;
} DeleteOp;

static Err delete_run(StoreOp *op, Txn *txn, Arena *scratch) {
    DeleteOp *d = (DeleteOp *)op;
    SessionMessageRecord r;
    Err e = session_message_record_get(txn, d->tenant, d->client_id, d->seq, scratch, &r);
    if (e == ERR_NOT_FOUND) return OK;
    if (e == OK && r.message_id) lower_references(d->batch, d->tenant, r.message_id);
    if (e == OK) e = session_message_record_delete(txn, d->tenant, d->client_id, d->seq);
    return e;
}

void store_message_acked(Shard *shard, Session *s, uint64_t seq, MessageOp *op) {
    Arena *arena;
    int pending = MESSAGE_PENDING;
    bool skipped = op && !op->told && op->body->receivers == 1 &&
                   atomic_compare_exchange_strong(&op->state, &pending, MESSAGE_ACKED);
    store_message_forget(op);
    if (skipped) return;
    DeleteOp *d = store_op_new(shard, sizeof *d, &arena);
    *d = (DeleteOp){ .op = { .run = delete_run },
                     .batch = batch(shard),
                     .tenant = tenant_of(shard->broker, s->space),
                     .client_id = str_dup(arena, s->client_id),
                     .seq = (int64_t)seq };
    store_op_add(shard, &d->op);
}

/* ------------------------------------------------------------------------------------------------ reading a queue */

enum { PAGE_BYTES_MAX = 1 << 20 };

typedef struct {
    StoreOp op;
    Space *space;
    Tenant tenant;
    uint64_t reading; /* which page of the session's this is */
    Str client_id;
    int64_t from_seq;
    size_t n_max, bytes;
    StoredPage page;
    StoredPageFn *fn;
    Err result; /* its own: one damaged queue does not undo what others of this turn wrote */
} ReadOp;

static Err read_item(ReadOp *r, const SessionMessageRecord *row, Txn *txn, Arena *scratch) {
    StoredItem *item = &r->page.items[r->page.n];
    *item = (StoredItem){ (uint64_t)row->sequence, row->topic,     row->payload, row->props, row->retain,
                          row->expires_ms != 0,    row->expires_ms };
    if (row->message_id) {
        StoredMessageRecord body;
        Err e = stored_message_record_get(txn, r->tenant, row->message_id, scratch, &body);
        if (e == ERR_NOT_FOUND) return OK;
        if (e != OK) return e;
        item->topic = body.topic;
        item->payload = body.payload;
        item->props = body.props;
    }
    r->bytes += item->topic.len + item->payload.len + item->props.len;
    r->page.n++;
    return OK;
}

static Err read_page(ReadOp *r, Txn *txn, Arena *scratch) {
    RecordScan *scan;
    SessionMessageRecord row;
    r->bytes = 0;
    r->page = (StoredPage){ .items = arena_array(scratch, StoredItem, r->n_max) };
    Str after = session_message_record_position(r->client_id, r->from_seq - 1, scratch);
    Err e = session_message_record_scan_of_client_id(txn, r->tenant, r->client_id, after, false, &scan);
    if (e != OK) return e;
    while (e == OK && session_message_record_next(scan, scratch, &row)) {
        if (r->page.n == r->n_max || r->bytes >= PAGE_BYTES_MAX) {
            r->page.more = true;
            break;
        }
        e = read_item(r, &row, txn, scratch);
    }
    Err end = record_scan_end(scan);
    return e == OK ? end : e;
}

static Err read_run(StoreOp *op, Txn *txn, Arena *scratch) {
    ReadOp *r = (ReadOp *)op;
    r->result = read_page(r, txn, scratch);
    return r->result == ERR_CONFLICT ? r->result : OK;
}

/* The session may be elsewhere, gone, or another's by now. */
static void read_done(StoreOp *op, Shard *shard, Err e) {
    ReadOp *r = (ReadOp *)op;
    Session *s = session_here(shard, r->space, r->client_id);
    if (s && s->reading == r->reading) r->fn(shard, s, &r->page, e == OK ? r->result : e);
}

void store_read_queue(Shard *shard, Session *s, uint64_t from_seq, size_t n_max, StoredPageFn *fn) {
    Arena *arena;
    ReadOp *r = store_op_new(shard, sizeof *r, &arena);
    *r = (ReadOp){ .op = { .run = read_run, .done = read_done },
                   .tenant = tenant_of(shard->broker, s->space),
                   .space = s->space,
                   .reading = s->reading,
                   .client_id = str_dup(arena, s->client_id),
                   .from_seq = (int64_t)from_seq,
                   .n_max = n_max,
                   .fn = fn };
    store_op_add(shard, &r->op);
}

/* ------------------------------------------------------------------------------------------------ sessions */

typedef struct {
    StoreOp op;
    Tenant tenant;
    SessionRecord record;
    StoreOpDone *done;
    void *ctx;
} SessionOp;

static Err session_run(StoreOp *op, Txn *txn, Arena *scratch) {
    SessionOp *s = (SessionOp *)op;
    (void)scratch;
    return session_record_put(txn, s->tenant, &s->record);
}

static void session_done(StoreOp *op, Shard *shard, Err e) {
    SessionOp *s = (SessionOp *)op;
    if (s->done) s->done(shard, s->ctx, e);
}

/* Shape: for each: QoS, flags (1 no local, 2 retain as published), length of the filter, the filter */
static Str encode_subs(const Session *s, Arena *arena) {
    Writer w = writer_in(arena);
    for (const Sub *sub = s->subs; sub; sub = sub->next_of_session) {
        Str f = tree_filter(sub, arena);
        writer_u8(&w, sub->qos);
        writer_u8(&w, (uint8_t)(sub->no_local | sub->retain_as_published << 1));
        writer_u16(&w, (uint16_t)f.len);
        writer_bytes(&w, f);
    }
    return writer_str(&w);
}

void store_session(Shard *shard, Session *s, StoreOpDone *done, void *ctx) {
    Arena *arena;
    SessionOp *op = store_op_new(shard, sizeof *op, &arena);
    bool online = s->client != NULL;
    op->op = (StoreOp){ .run = session_run, .done = session_done };
    op->tenant = tenant_of(shard->broker, s->space);
    op->done = done;
    op->ctx = ctx;
    op->record = (SessionRecord){ .client_id = str_dup(arena, s->client_id),
                                  .mqtt_version = s->version,
                                  .expiry_s = s->expiry_s,
                                  .connected = online,
                                  .connected_ms = s->connected_ms,
                                  .disconnected_ms = s->disconnected_ms,
                                  .disconnect_reason = str_c(s->disconnect_reason),
                                  .principal = str_dup(arena, session_principal(s)),
                                  .subscriptions = encode_subs(s, arena),
                                  .expires_ms = online ? 0 : s->disconnected_ms + (int64_t)s->expiry_s * 1000,
                                  .next_sequence = (int64_t)s->next_seq,
                                  .tried_sequence = (int64_t)s->tried_seq,
                                  .version_number = s->presence };
    store_op_add(shard, &op->op);
}

typedef struct {
    StoreOp op;
    StoreBatch *batch;
    Tenant tenant;
    Str client_id;
} EraseOp;

static Err erase_run(StoreOp *op, Txn *txn, Arena *scratch) {
    EraseOp *x = (EraseOp *)op;
    RecordScan *scan;
    SessionMessageRecord row;
    Err e = session_record_delete(txn, x->tenant, x->client_id);
    if (e == ERR_NOT_FOUND) e = OK;
    if (e != OK) return e;
    e = session_message_record_scan_of_client_id(txn, x->tenant, x->client_id, STR_NONE, false, &scan);
    if (e != OK) return e;
    while (e == OK && session_message_record_next(scan, scratch, &row)) {
        if (row.message_id) lower_references(x->batch, x->tenant, row.message_id);
        e = session_message_record_delete(txn, x->tenant, x->client_id, row.sequence);
    }
    Err end = record_scan_end(scan);
    return e == OK ? end : e;
}

void store_session_erase(Shard *shard, Session *s) {
    Arena *arena;
    EraseOp *x = store_op_new(shard, sizeof *x, &arena);
    *x = (EraseOp){ .op = { .run = erase_run },
                    .batch = batch(shard),
                    .tenant = tenant_of(shard->broker, s->space),
                    .client_id = str_dup(arena, s->client_id) };
    store_op_add(shard, &x->op);
}
