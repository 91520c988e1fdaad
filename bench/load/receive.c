#include "load.h"

#include <errno.h>
#include <openssl/err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

static void got_publish(LoadConn *c, uint8_t h, const uint8_t *p, uint32_t n, int measuring) {
    Worker *w = c->w;
    uint32_t tl = (p[0] << 8) | p[1], off = 2 + tl, qos = h >> 1 & 3, pn, seq;
    uint64_t ts;
    if (off + 2 > n) {
        conn_kill(c, "bad PUBLISH");
        return;
    }
    if (qos) {
        uint8_t *a = room(c, 4);
        a[0] = 0x40;
        a[1] = 2;
        a[2] = p[off];
        a[3] = p[off + 1];
        c->outlen += 4;
        off += 2;
    }
    if (opt.v5) {
        uint32_t l = 0, s = 0;
        uint8_t d;
        do {
            d = p[off++];
            l |= (d & 127u) << s;
            s += 7;
        } while (d & 128);
        off += l;
    }
    if (off + 16 > n) return; /* not one of ours */
    if (opt.mode == MODE_SHADOW) {
        if (!shadow_stamp(p + off, n - off, &ts, &pn, &seq)) return;
    } else {
        memcpy(&ts, p + off, 8);
        memcpy(&pn, p + off + 8, 4);
        memcpy(&seq, p + off + 12, 4);
    }
    if (pn >= run.pubs_n) return;
    w->recv++;
    if (measuring) {
        w->recv_m++;
        w->bytes_m += n;
        if (ts >= run.measure_ns) histogram_add(&w->lat, w->now > ts ? w->now - ts : 0);
    }
    uint32_t step = opt.mode == MODE_INTERLEAVED ? run.subs_n : 1;
    uint32_t *last = run.seen                                   ? &run.seen[pn * run.subs_n + c->num]
                     : run.pairs                                ? &run.pubs[pn].lastseq
                     : opt.mode == MODE_FANOUT && opt.pubs == 1 ? &c->lastseq
                                                                : NULL;
    if (last) {
        if (seq == *last + step || (step > 1 && !*last))
            *last = seq;
        else if (seq > *last) {
            w->gaps += (seq - *last) / step - 1;
            *last = seq;
        } else
            w->reorder++;
    }
    if (run.pairs) {
        Publisher *P = &run.pubs[pn];
        P->recv++;
        P->tprog = w->now;
        publisher_may(w, pn);
    }
}
/* every complete frame in b[0..n); returns the bytes used */
static uint32_t parse(LoadConn *c, const uint8_t *b, uint32_t n) {
    uint32_t at = 0;
    Worker *w = c->w;
    int measuring = atomic_load_explicit(&run.phase, memory_order_relaxed) == PHASE_MEASURE;
    uint64_t r0 = w->recv;
    while (n - at >= 2 && c->state != STATE_DEAD) {
        uint32_t rem = 0, sh = 0, k = 1;
        uint8_t d;
        do {
            if (at + k >= n) goto out;
            d = b[at + k++];
            rem |= (d & 127u) << sh;
            sh += 7;
        } while (d & 128 && sh < 28);
        if (n - at - k < rem) break;
        const uint8_t *p = b + at + k;
        uint8_t h = b[at];
        switch (h >> 4) {
        case 3: got_publish(c, h, p, rem, measuring); break;
        case 4: { /* PUBACK; only publishers send QoS 1 */
            Publisher *P = &run.pubs[c->num];
            if (c->role != ROLE_PUBLISHER) break;
            P->acked++;
            P->tprog = w->now;
            publisher_may(w, c->num);
            break;
        }
        case 2:
            if (rem < 2 || p[1]) {
                char m[40];
                snprintf(m, sizeof m, "CONNACK code %d", p[1]);
                conn_kill(c, m);
                break;
            }
            histogram_add(&w->con, w->now - c->t0);
            if (c->nfilter) {
                c->state = STATE_SUBACK;
                queue_subscribe(c);
            } else
                conn_ready(c);
            break;
        case 9:
            for (uint32_t i = opt.v5 ? 3 : 2; i < rem; i++)
                if (p[i] >= 0x80) {
                    conn_kill(c, "SUBACK refused a filter");
                    break;
                }
            if (c->state != STATE_SUBACK) break;
            if (c->subdone < c->nfilter)
                queue_subscribe(c);
            else
                conn_ready(c);
            break;
        case 14: conn_kill(c, "server DISCONNECT"); break;
        default: break; /* PINGRESP and others */
        }
        at += k + rem;
    }
out:
    if (!run.pairs && w->recv != r0) atomic_fetch_add_explicit(&run.recv, w->recv - r0, memory_order_relaxed);
    return at;
}
void receive(LoadConn *c) {
    Worker *w = c->w;
    for (;;) {
        uint32_t have = c->leftlen;
        ssize_t n = 0;
        int more = 0;
        if (have) memcpy(w->rbuf, c->left, have);
        if (c->ssl) { /* gather records until the socket is dry or the buffer full */
            while (have < READ_BYTES) {
                ERR_clear_error();
                n = SSL_read(c->ssl, w->rbuf + have, READ_BYTES - have);
                if (n <= 0) break;
                have += n;
            }
            if (n <= 0) {
                int e = SSL_get_error(c->ssl, n);
                if (e != SSL_ERROR_WANT_READ && e != SSL_ERROR_WANT_WRITE) {
                    conn_kill(c, "SSL_read");
                    return;
                }
            } else
                more = 1;
        } else {
            n = recv(c->fd, w->rbuf + have, READ_BYTES - have, 0);
            if (n == 0 || (n < 0 && errno != EAGAIN)) {
                conn_kill(c, n ? "recv" : "closed by the broker");
                return;
            }
            if (n < 0) return;
            have += n;
        }
        w->now = now_ns();
        uint32_t used = parse(c, w->rbuf, have);
        if (c->state == STATE_DEAD) return;
        c->leftlen = have - used;
        if (c->leftlen > c->leftcap) {
            c->leftcap = c->leftlen < 4096 && opt.size < 2048 ? 4096 : READ_BYTES / 2;
            if (c->leftcap < c->leftlen) c->leftcap = READ_BYTES;
            if (!(c->left = realloc(c->left, c->leftcap))) die("out of memory");
        }
        if (c->leftlen) memcpy(c->left, w->rbuf + used, c->leftlen);
        if (!more) return;
    }
}
