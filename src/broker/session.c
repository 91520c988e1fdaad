#include "broker/session.h"

#include <stdlib.h>

#include "broker/client.h"
#include "broker/hold.h"
#include "broker/waiting.h"

/* QoS 1 to a kept session: every message is written to its queue in the store and, where the window has room, sent
 * at once as well. What is acknowledged before the write runs is not written. When the window is full the session
 * falls into backlog: new messages are stored only, and acknowledgements make it read the next page, until a page
 * reaches the newest message. A session that comes back starts in backlog, so what it had not acknowledged comes
 * again without anything being remembered here.
 *
 * A session that is not kept holds what exceeds the window in memory, up to a limit. */

/* Who may be sent something now: nobody before the CONNACK. */
static Client *receiver(const Session *s) {
    return s->client && s->client->state == CLIENT_LIVE ? s->client : NULL;
}

bool session_may_receive(const Session *s, Str topic) {
    return !s->client || client_may(s->client, "iot:Receive", "topic", topic, NULL, 0);
}

void session_note_overlaps(Session *s) {
    s->overlaps = 0;
    if (s->subs_n < 2) return;
    Arena a = { 0 };
    for (Sub *sub = s->subs; sub; sub = sub->next_of_session) {
        Str f = tree_filter(sub, &a);
        s->overlaps += !sub->group && (str_find(f, '+') != SIZE_MAX || str_find(f, '#') != SIZE_MAX);
    }
    arena_free(&a);
}

static void count(_Atomic uint64_t *n) {
    atomic_fetch_add_explicit(n, 1, memory_order_relaxed);
}

/* ------------------------------------------------------------------------------------------------ the window */

static bool window_full(const Session *s) {
    return s->inflight_n >= s->window;
}

/* Steps up from one packet id to another, 0 to 65,534: behind 65,535 comes 1. */
static uint32_t ids_up(uint16_t from, uint16_t to) {
    return to >= from ? (uint32_t)(to - from) : (uint32_t)(to + UINT16_MAX - from);
}

/* The first from here on that is not under way: of one more than are, one is free. */
static uint16_t free_id(const Session *s, uint16_t id) {
    enum { BITS = 64 };
    uint64_t taken[UINT16_MAX / BITS + 1];
    uint32_t n = s->inflight_n, steps = 0;
    memset(taken, 0, (n / BITS + 1) * sizeof *taken);
    for (uint32_t i = 0; i < n; i++) {
        uint32_t at = ids_up(id, s->inflight[i].packet_id);
        if (at <= n) taken[at / BITS] |= UINT64_C(1) << at % BITS;
    }
    while (taken[steps / BITS] >> steps % BITS & 1) steps++;
    return (uint16_t)((id - 1 + steps) % UINT16_MAX + 1);
}

/* A message offers the same id to all sessions of its shard, so that they are sent the very same bytes. Ids under way
 * go up from the oldest to the newest, so one look says that it is free; only a session whose oldest has waited for a
 * whole round, or that came from another shard, has to go through them. */
static uint16_t window_id(Session *s, uint16_t offered) {
    if (!s->inflight_n) s->ids_mixed = false;
    if (!s->inflight_n || (!s->ids_mixed && ids_up(s->last_packet_id, offered) - 1 <
                                                ids_up(s->last_packet_id, s->inflight->packet_id) - 1))
        return offered;
    s->ids_mixed = true;
    return free_id(s, offered);
}

/* Acknowledgements take from the front as a rule, so the window slides through its room and is moved back to the
 * beginning only when it has slid by its own length. */
static void window_room(Session *s) {
    size_t slid = s->inflight_room ? (size_t)(s->inflight - s->inflight_room) : 0;
    if (slid + s->inflight_n < s->inflight_cap) return;
    if (slid && slid >= s->inflight_n) {
        memcpy(s->inflight_room, s->inflight, s->inflight_n * sizeof *s->inflight);
    } else {
        s->inflight_cap = s->inflight_cap ? s->inflight_cap * 2 : 8;
        Inflight *bigger = mem_grow(NULL, s->inflight_cap * sizeof *bigger);
        if (s->inflight_n) memcpy(bigger, s->inflight, s->inflight_n * sizeof *bigger);
        free(s->inflight_room);
        s->inflight_room = bigger;
    }
    s->inflight = s->inflight_room;
}

static Inflight *window_take(Shard *shard, Session *s, Message *m) {
    window_room(s);
    s->last_packet_id = window_id(s, message_packet_id(m, shard));
    Inflight *f = &s->inflight[s->inflight_n++];
    *f = (Inflight){ .packet_id = s->last_packet_id };
    return f;
}

static void window_clear(Session *s) {
    for (size_t i = 0; i < s->inflight_n; i++) {
        store_message_forget(s->inflight[i].op);
        if (s->inflight[i].confirm) confirm_done(s->inflight[i].confirm, false);
    }
    free(s->inflight_room);
    s->inflight = s->inflight_room = NULL;
    s->inflight_n = s->inflight_cap = 0;
}

/* ------------------------------------------------------------------------------------------------ delivery */

/* QoS 1 that the client does not take waits in the store, or within limits, not in its output. */
static bool output_full(Shard *shard, const Session *s) {
    Conn *conn = s->client->conn;
    if (conn_waiting(conn) <= shard->broker->o.limits.slow_reader_bytes_max) return false;
    conn->tell_drained = true;
    return true;
}

static void transmit(Shard *shard, Session *s, Message *m, uint8_t qos, uint16_t id, uint8_t bits) {
    Client *c = s->client;
    Form *f = message_form(m, shard, c->version, qos);
    if (c->packet_bytes_max && f->len > c->packet_bytes_max) { /* [MQTT-3.1.2-25]: as if it had been delivered */
        if (id) session_acked(shard, s, id);
        return;
    }
    if (client_logs(c, SERVICE_EVENT_PUBLISH_OUT, LOG_INFO)) /* before: putting may end the connection */
        client_tell(c, &(LogEntry){ .event = SERVICE_EVENT_PUBLISH_OUT, .success = true, .topic = m->topic });
    client_put_message(c, f, id == m->packet_id ? 0 : id, bits);
    shard->delivered++;
}

/* Seldom beside the write that it tells of. */
static void tell_queued(const Broker *b, const Session *s, const Message *m) {
    if (!b->o.service_log || !service_log_any(b->o.service_log)) return;
    const LogSubject subject = { .account = s->space->account,
                                 .client_id = s->client_id,
                                 .principal_id = session_principal(s) };
    service_log_tell(b->o.service_log, &subject,
                     &(LogEntry){ .event = SERVICE_EVENT_QUEUED,
                                  .level = LOG_INFO,
                                  .success = true,
                                  .now_ms = clock_ms(b->o.clock),
                                  .account = s->space->account,
                                  .protocol = S("MQTT"),
                                  .topic = m->topic,
                                  .client_id = s->client_id,
                                  .principal_id = subject.principal_id.len ? subject.principal_id : STR_NONE,
                                  .more = { { .name = "qos", .text = S("1") } },
                                  .more_n = 1 });
}

static void deliver_qos1(Shard *shard, Session *s, Message *m, bool retain) {
    Inflight entry = { 0 };
    bool kept = atomic_load_explicit(&s->kept, memory_order_relaxed);
    if (!s->client && !kept) return;
    if (kept) {
        entry.seq = s->next_seq++;
        entry.op = store_message(shard, s, m, entry.seq, retain);
    }
    bool later = !receiver(s) || s->backlog || s->waiting || window_full(s) || output_full(shard, s);
    if (later) {
        if (kept) {
            store_message_forget(entry.op);
            s->backlog = s->client != NULL;
            count(&shard->broker->counters.queued);
            tell_queued(shard->broker, s, m);
        } else {
            waiting_add(shard, &s->waiting, m, retain);
        }
        return;
    }
    Inflight *f = window_take(shard, s, m);
    f->seq = entry.seq;
    f->op = entry.op;
    if (kept) s->sent_seq = entry.seq;
    transmit(shard, s, m, 1, f->packet_id, retain ? MESSAGE_RETAIN : 0);
}

void session_deliver(Shard *shard, Session *s, Message *m, uint8_t qos, bool retain) {
    if (s->hold)
        session_hold(shard, s, m, qos, retain);
    else
        session_deliver_older(shard, s, m, qos, retain);
}

void session_deliver_older(Shard *shard, Session *s, Message *m, uint8_t qos, bool retain) {
    if (qos && m->qos) {
        deliver_qos1(shard, s, m, retain);
        return;
    }
    if (!receiver(s)) return;
    if (conn_waiting(s->client->conn) > shard->broker->o.limits.slow_reader_bytes_max) {
        count(&shard->broker->counters.dropped_slow);
        return;
    }
    transmit(shard, s, m, 0, 0, retain ? MESSAGE_RETAIN : 0);
}

bool session_send_direct(Shard *shard, Session *s, Message *m, Confirm *confirm) {
    if (!m->qos) {
        transmit(shard, s, m, 0, 0, 0);
        return true;
    }
    if (window_full(s)) return false;
    Inflight *f = window_take(shard, s, m);
    f->confirm = confirm;
    transmit(shard, s, m, 1, f->packet_id, 0);
    return true;
}

bool session_acked(Shard *shard, Session *s, uint16_t packet_id) {
    size_t i = 0;
    while (i < s->inflight_n && s->inflight[i].packet_id != packet_id) i++;
    if (i == s->inflight_n) return false;
    Inflight f = s->inflight[i];
    if (i > 0) memmove(s->inflight + i, s->inflight + i + 1, (s->inflight_n - i - 1) * sizeof f);
    if (i == 0) s->inflight++;
    if (--s->inflight_n == 0) s->inflight = s->inflight_room;
    if (f.seq) store_message_acked(shard, s, f.seq, f.op);
    if (f.confirm) confirm_done(f.confirm, true);
    return true;
}

/* ------------------------------------------------------------------------------------------------ what waits */

static void send_item(Shard *shard, Session *s, const StoredItem *item) {
    Message m = { .space = s->space,
                  .topic = item->topic,
                  .payload = item->payload,
                  .props = item->props,
                  .qos = 1,
                  .has_expiry = item->has_expiry,
                  .expires_ms = item->expires_ms };
    bool expired = item->has_expiry && item->expires_ms <= clock_ms(shard->broker->o.clock);
    if (expired || !session_may_receive(s, item->topic)) {
        if (item->seq) store_message_acked(shard, s, item->seq, NULL);
        return;
    }
    Inflight *f = window_take(shard, s, &m);
    f->seq = item->seq;
    bool again = item->seq && item->seq <= s->tried_seq; /* [MQTT-3.3.1-1] */
    uint8_t bits = (item->retain ? MESSAGE_RETAIN : 0) | (again ? MESSAGE_DUP : 0);
    transmit(shard, s, &m, 1, f->packet_id, bits);
}

static void page_read(Shard *shard, Session *s, const StoredPage *page, Err e) {
    s->reading = 0;
    if (!receiver(s)) return;
    if (e != OK) {
        client_leave(s->client, LEAVE_SERVER_ERROR, MQTT_UNSPECIFIED_ERROR, "the store could not give its messages");
        return;
    }
    bool all = true;
    for (size_t i = 0; i < page->n; i++) {
        if (window_full(s) || output_full(shard, s)) { /* the rest is read again */
            all = false;
            break;
        }
        send_item(shard, s, &page->items[i]);
        s->sent_seq = page->items[i].seq;
    }
    if (all && !page->more && s->next_seq == s->read_seq) s->backlog = false;
    session_pump(shard, s);
}

void session_pump(Shard *shard, Session *s) {
    if (!receiver(s)) return;
    while (s->waiting && !window_full(s) && !output_full(shard, s)) {
        Waiting *w = waiting_take(&s->waiting);
        StoredItem item = { 0, w->topic, w->payload, w->props, w->retain, w->has_expiry, w->expires_ms };
        send_item(shard, s, &item);
        free(w);
    }
    if (!s->backlog || s->reading || s->inflight_n * 2 > s->window || output_full(shard, s)) return;
    s->reading = ++shard->pages_asked;
    s->read_seq = s->next_seq;
    store_read_queue(shard, s, s->sent_seq + 1, s->window - s->inflight_n, page_read);
}

void session_save(Shard *shard, Session *s, StoreOpDone *done, void *ctx) {
    store_session(shard, s, done, ctx);
}

/* ------------------------------------------------------------------------------------------------ coming and going */

void session_clear(Shard *shard, Session *s) {
    Space *space = s->space;
    pthread_rwlock_wrlock(&space->lock);
    while (s->subs) {
        space_touch(space, tree_first_level(s->subs));
        tree_remove(&space->tree, &s->subs, s->subs);
    }
    pthread_rwlock_unlock(&space->lock);
    s->subs_n = s->overlaps = 0;
    window_clear(s);
    waiting_clear(&s->waiting);
    session_hold_forget(s);
    if (atomic_exchange(&s->kept, false)) store_session_erase(shard, s);
    s->sent_seq = s->tried_seq = 0;
    s->backlog = false;
}

void session_touch(Session *s) {
    for (Sub *sub = s->subs; sub; sub = sub->next_of_session) space_touch(s->space, tree_first_level(sub));
}

void session_free(Session *s) {
    window_clear(s);
    waiting_clear(&s->waiting);
    session_hold_drop(s);
    timer_disarm(&s->expiry);
    free((void *)(uintptr_t)s->principal_id.ptr);
    free(s);
}

/* A client id that left no session behind is remembered for an hour, for its version number. Source: "Lifecycle
 * events". Who connects under ever new names would fill the memory, so beyond a limit a new one is forgotten at once.
 */
enum { GHOST_S = 3600 };

void session_ghost(Shard *shard, Session *s, bool is) {
    if (s->ghost == is) return;
    s->ghost = is;
    shard->ghosts_n += is ? 1 : SIZE_MAX;
}

/* Nobody has asked for it in its time: it is forgotten. */
static void expired(Timer *t, Reactor *r) {
    Session *s = (Session *)((char *)t - offsetof(Session, expiry));
    Shard *shard = shard_of(r);
    session_ghost(shard, s, false);
    session_clear(shard, s);
    pthread_mutex_lock(&s->space->sessions_lock);
    if (map_get(&s->space->sessions, s->client_id) == s) map_remove(&s->space->sessions, s->client_id);
    pthread_mutex_unlock(&s->space->sessions_lock);
    session_free(s);
}

Str session_principal(const Session *s) {
    return s->client ? s->client->principal->id : s->principal_id;
}

static void note_principal(Session *s) {
    if (!s->client) return;
    Str id = s->client->principal->id;
    uint8_t *copy = mem_grow((void *)(uintptr_t)s->principal_id.ptr, id.len);
    memcpy(copy, id.ptr, id.len);
    s->principal_id = (Str){ copy, id.len };
}

void session_away(Shard *shard, Session *s) {
    if (s->expiry_s) note_principal(s);
    s->client = NULL;
    if (s->tried_seq < s->sent_seq) s->tried_seq = s->sent_seq;
    atomic_store(&s->online, false);
    window_clear(s);
    waiting_clear(&s->waiting);
    s->backlog = false;
    s->reading = 0; /* a page that is on its way is not for who comes next */
    s->disconnected_ms = clock_ms(shard->broker->o.clock);
    bool keep = s->expiry_s > 0;
    if (!keep) {
        session_clear(shard, s);
    } else {
        session_touch(s); /* receive verdicts and share groups count who is online */
        session_save(shard, s, NULL, NULL);
    }
    session_ghost(shard, s, !keep);
    int64_t wait_s = keep ? s->expiry_s : shard->ghosts_n <= shard->broker->o.limits.ghosts_max ? GHOST_S : 0;
    timer_arm(shard->reactor, &s->expiry, reactor_now_ms(shard->reactor) + wait_s * 1000);
}

Session *session_add(Shard *shard, Space *space, Str client_id) {
    Session *s = mem_new(sizeof *s + client_id.len);
    memcpy(s->id_bytes, client_id.ptr, client_id.len);
    s->client_id = (Str){ s->id_bytes, client_id.len };
    s->space = space;
    s->next_seq = (uint64_t)real_ms() * 1000; /* above all numbers of its former lives */
    s->window = (uint16_t)shard->broker->o.limits.inflight_out_max;
    s->expiry.fire = expired;
    atomic_store(&s->shard_index, shard->index);
    map_put(&space->sessions, s->client_id, s);
    return s;
}

/* Another shard's may be freed as soon as the lock is let go. */
Session *session_here(Shard *shard, Space *space, Str client_id) {
    pthread_mutex_lock(&space->sessions_lock);
    Session *s = map_get(&space->sessions, client_id);
    if (s && atomic_load(&s->shard_index) != shard->index) s = NULL;
    pthread_mutex_unlock(&space->sessions_lock);
    return s;
}
