#include <stdlib.h>

#include "broker/client.h"

/* A PUBLISH on a reserved topic is a call of a service: it runs on a worker in a transaction, in the order of its
 * thing; its answers are published after the commit, and so is the PUBACK sent. */

typedef struct {
    Job job;
    Arena arena;
    Rng rng;
    Call call;
    const TopicService *service;
    Str topic, payload;
    AckWait *wait;
    Principal *principal;
} TopicJob;

static Err run(Job *job, Txn *txn) {
    TopicJob *t = (TopicJob *)job;
    t->call.txn = txn;
    t->call.outbox = NULL;
    t->call.outbox_tail = &t->call.outbox;
    t->call.failure.error = NULL;
    return t->service->run(&t->call, t->topic, t->payload);
}

static void done(Job *job, Err e) {
    TopicJob *t = (TopicJob *)job;
    if (e == OK || e == ERR_API)
        for (Outgoing *o = t->call.outbox; o; o = o->next) o->run(t->call.env, o->arg);
    else if (t->wait)
        atomic_store(&t->wait->failed, e);
    ack_release(t->wait);
    principal_release(t->principal);
    arena_free(&t->arena);
    free(t);
}

/* $aws/things/T: what one thing is asked stays in order. */
static uint64_t key_of(const Message *m) {
    Str rest = m->topic, start = m->topic;
    for (int i = 0; i < 3 && rest.ptr; i++) str_cut(&rest, '/');
    if (rest.ptr) start.len = (size_t)(rest.ptr - start.ptr);
    return str_hash(start) ^ str_hash(m->space->account);
}

void topic_request(Shard *shard, const TopicService *service, Message *m, const Principal *who, Str source_ip) {
    const BrokerOptions *o = &shard->broker->o;
    TopicJob *t = mem_new(sizeof *t);
    t->job = (Job){ .key = key_of(m), .run = run, .done = done };
    t->service = service;
    t->topic = str_dup(&t->arena, m->topic);
    t->payload = str_dup(&t->arena, m->payload);
    t->principal = principal_retain(who);
    if (m->publisher || m->done || m->wait) t->wait = message_hold(m);
    t->call = (Call){ .env = o->env,
                      .principal = t->principal,
                      .account = m->space->account,
                      .region = o->region,
                      .source_ip = str_dup(&t->arena, source_ip),
                      .request_id = rng_uuid(&shard->rng, &t->arena),
                      .now_ms = clock_ms(o->clock),
                      .arena = &t->arena,
                      .rng = &t->rng };
    workers_submit(o->workers, &t->job);
}
