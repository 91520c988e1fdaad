#include "net/output.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "base/arena.h"
#include "net/tls.h"

/* Output is a list of segments, each a run of bytes in the turn's arena or in a pooled chunk. What lies behind
 * the last segment's end extends it, so that fifty frames of one publisher to one subscriber leave as one send.
 * Nodes and chunks are the reactor's, taken when a connection first writes in a turn and given back at its end:
 * an idle connection holds none. */

static OutNode *node_new(Reactor *r) {
    OutNode *n = r->free_nodes;
    if (n) {
        r->free_nodes = n->next;
        __builtin_prefetch(r->free_nodes, 1); /* the next connection's: in a fan-out each would wait for memory */
    } else {
        n = mem_grow(NULL, sizeof *n);
    }
    n->next = NULL;
    n->n = 0;
    return n;
}

static OutChunk *chunk_new(Reactor *r) {
    OutChunk *k = r->free_chunks;
    if (k) {
        r->free_chunks = k->next;
        __builtin_prefetch(r->free_chunks, 1);
    } else {
        k = mem_grow(NULL, sizeof *k);
    }
    k->used = 0;
    return k;
}

void output_mark(Conn *c) {
    if (c->dirty) return;
    c->dirty = true;
    c->next_dirty = c->reactor->dirty;
    c->reactor->dirty = c;
    conn_retain(c);
}

static void add_segment(Conn *c, const uint8_t *bytes, size_t len) {
    OutNode *t = c->out_tail;
    c->out_len += len;
    if (t && len && t->segs[t->n - 1].len && t->segs[t->n - 1].ptr + t->segs[t->n - 1].len == bytes) {
        t->segs[t->n - 1].len += len;
        return;
    }
    if (!t || t->n == OUT_SEGS) {
        OutNode *n = node_new(c->reactor);
        if (t)
            t->next = n;
        else
            c->out = n;
        c->out_tail = t = n;
        output_mark(c);
    }
    t->segs[t->n++] = (OutSeg){ bytes, len };
}

enum { COPIED_BYTES_MAX = 128 }; /* what is this short costs more as a segment of its own */

void conn_put_ref(Conn *c, const uint8_t *bytes, size_t len) {
    if (c->closed || c->finishing) return;
    const OutNode *t = c->out_tail;
    if (t && len && len <= COPIED_BYTES_MAX && t->segs[t->n - 1].ptr + t->segs[t->n - 1].len != bytes)
        conn_put(c, bytes, len);
    else
        add_segment(c, bytes, len);
}

void conn_cut(Conn *c) {
    static const uint8_t END = 0; /* an empty segment, which nothing extends */
    if (c->ssl && c->out_len) conn_put_ref(c, &END, 0);
}

uint8_t *conn_room(Conn *c, size_t len) {
    if (len > OUT_CHUNK_BYTES / 2 || c->closed || c->finishing) {
        size_t have;
        uint8_t *room = turn_room(c->reactor, len, &have);
        turn_take(c->reactor, len);
        if (!c->closed && !c->finishing) add_segment(c, room, len);
        return room;
    }
    OutChunk *k = c->chunks;
    if (!k || OUT_CHUNK_BYTES - k->used < len) {
        k = chunk_new(c->reactor);
        k->next = c->chunks;
        c->chunks = k;
    }
    uint8_t *to = k->data + k->used;
    k->used += len;
    add_segment(c, to, len);
    return to;
}

void conn_put(Conn *c, const void *bytes, size_t len) {
    memcpy(conn_room(c, len), bytes, len);
}

void output_drop(Conn *c) {
    Reactor *r = c->reactor;
    if (c->out) {
        c->out_tail->next = r->free_nodes;
        r->free_nodes = c->out;
        c->out = c->out_tail = NULL;
    }
    for (OutChunk *k = c->chunks, *next; k; k = next) {
        next = k->next;
        k->next = r->free_chunks;
        r->free_chunks = k;
    }
    c->chunks = NULL;
    c->out_len = 0;
}

void conn_pools_free(Reactor *r) {
    for (OutNode *n = r->free_nodes, *next; n; n = next) {
        next = n->next;
        free(n);
    }
    for (OutChunk *k = r->free_chunks, *next; k; k = next) {
        next = k->next;
        free(k);
    }
    r->free_nodes = NULL;
    r->free_chunks = NULL;
}

/* Keeps bytes for when the socket takes more. */
enum { WAIT_BYTES_FIRST = 4096 - 64 };

static void wait_add(Conn *c, const uint8_t *bytes, size_t len) {
    OutWait *w = c->wait;
    if (w && w->at && w->at + w->len + len > w->cap) {
        memmove(w->data, w->data + w->at, w->len);
        w->at = 0;
    }
    size_t need = (w ? w->len : 0) + len, cap = w ? w->cap : WAIT_BYTES_FIRST;
    if (!w || need > cap) {
        while (cap < need) cap *= 2;
        OutWait *bigger = mem_grow(w, sizeof *w + cap);
        if (!w) *bigger = (OutWait){ 0 };
        bigger->cap = cap;
        c->wait = w = bigger;
    }
    memcpy(w->data + w->at + w->len, bytes, len);
    w->len += len;
}

static void wait_free(Conn *c) {
    free(c->wait);
    c->wait = NULL;
}

/* What send did: bytes taken, 0 for "later", or -1 when the connection is lost (and closed). */
static ssize_t sent(Conn *c, ssize_t n) {
    if (n >= 0) {
        return n;
    }
    if (errno == EAGAIN || errno == EINTR) return 0;
    conn_close(c, CLOSE_LOST);
    return -1;
}

void output_send(Conn *c, const uint8_t *bytes, size_t len) {
    ssize_t n = 0;
    if (!c->wait) n = sent(c, send(c->watch.fd, bytes, len, MSG_NOSIGNAL));
    if (n >= 0 && (size_t)n < len) wait_add(c, bytes + n, len - (size_t)n);
}

static void send_many(Conn *c) {
    bool blocked = c->wait != NULL;
    for (OutNode *node = c->out; node && !c->closed; node = node->next) {
        ssize_t n = 0;
        if (!blocked) {
            struct msghdr m = { .msg_iov = (struct iovec *)(void *)node->segs, .msg_iovlen = node->n };
            n = sent(c, sendmsg(c->watch.fd, &m, MSG_NOSIGNAL));
            if (n < 0) return;
        }
        for (size_t i = 0; i < node->n; i++) {
            OutSeg s = node->segs[i];
            if ((size_t)n >= s.len) {
                n -= (ssize_t)s.len;
                continue;
            }
            wait_add(c, s.ptr + n, s.len - (size_t)n);
            n = 0;
            blocked = true;
        }
    }
}
_Static_assert(sizeof(OutSeg) == sizeof(struct iovec), "segments are handed to sendmsg as they are");

static void flush(Conn *c) {
    if (c->closed) return;
    if (c->out) {
        if (c->ssl)
            tls_write(c);
        else if (c->out->n == 1 && !c->out->next)
            output_send(c, c->out->segs[0].ptr, c->out->segs[0].len);
        else
            send_many(c);
        if (c->closed) return;
        output_drop(c);
    }
    if (c->wait && c->wait->len > c->out_bytes_max) {
        conn_close(c, CLOSE_SLOW_READER);
        return;
    }
    if (c->wait) {
        conn_want_write(c, true);
    } else if (c->finishing && !c->lingering) {
        conn_close(c, CLOSE_BY_SERVER);
    } else if (c->tell_drained) {
        c->tell_drained = false;
        if (c->handler->drained) c->handler->drained(c);
    }
}

void conn_flush_list(Conn *list) {
    for (Conn *c = list, *next; c; c = next) {
        next = c->next_dirty;
        c->dirty = false;
        flush(c);
        conn_release(c);
    }
}

void conn_drop_list(Conn *list) {
    for (Conn *c = list, *next; c; c = next) {
        next = c->next_dirty;
        conn_release(c);
    }
}

void output_continue(Conn *c) {
    for (OutWait *w = c->wait; w && w->len;) {
        ssize_t n = sent(c, send(c->watch.fd, w->data + w->at, w->len, MSG_NOSIGNAL));
        if (n <= 0) return;
        w->at += (size_t)n;
        w->len -= (size_t)n;
    }
    wait_free(c);
    c->want_write = false;
    if (c->finishing && !c->lingering) conn_close(c, CLOSE_BY_SERVER);
}
