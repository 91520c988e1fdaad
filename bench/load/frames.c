#include "load.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int wild_name(char *b, uint32_t i,
                     int topic) /* i-th wildcard filter, or a topic that matches it (and only it) */
{
    char *s = b;
    int d = opt.depth;
    s += sprintf(s, "%s/w", opt.prefix);
    if (opt.shape == SHAPE_BRANCH) {
        /* every subset of levels is '+': a topic a/a/a/... walks 2^depth branches of a trie */
        for (int j = 0; j < d; j++) s += sprintf(s, "/%s", (i >> j & 1) && !topic ? "+" : "a");
        return s + sprintf(s, "/x%u", i) - b;
    }
    if (opt.shape == SHAPE_PLUS && !topic)
        s += sprintf(s, "/+");
    else
        s += sprintf(s, "/g%u", i % 100);
    s += sprintf(s, "/dev%u", i);
    for (int j = 0; j < d; j++) s += sprintf(s, "/a");
    return s + sprintf(s, topic ? "/t" : (opt.shape == SHAPE_PLUS ? "/+" : "/#")) - b;
}
int topic_of(char *b, uint32_t p) /* the topic of publisher p */
{
    char *s = b;
    if (opt.mode == MODE_FANOUT) return sprintf(b, "%s/all", opt.prefix);
    if (opt.mode == MODE_SHADOW) return sprintf(b, "$aws/things/%s-%u/shadow/update", opt.prefix, p);
    if (opt.mode == MODE_WILDCARD) {
        if (opt.match) return wild_name(b, p % opt.wild, 1);
        if (opt.shape == SHAPE_BRANCH) {
            s += sprintf(s, "%s/w", opt.prefix);
            for (int j = 0; j < opt.depth; j++) s += sprintf(s, "/a");
            return s + sprintf(s, "/n%u", p) - b;
        }
        return sprintf(b, "%s/w/g%u/n%u/t", opt.prefix, p % 100, p);
    }
    s += sprintf(s, "%s/%u", opt.prefix, p);
    for (int j = 0; j < opt.depth; j++) s += sprintf(s, "/a");
    return s + sprintf(s, "/t") - b;
}
static int conn_filter(LoadConn *c, uint32_t k, char *b) /* k-th filter of a subscribing connection */
{
    if (c->role == ROLE_WILDCARD) return wild_name(b, c->num * opt.subsper + k, 0);
    if (opt.mode == MODE_SHARED) return sprintf(b, "$share/grp/%s/#", opt.prefix);
    if (opt.mode == MODE_FANOUT) return topic_of(b, 0);
    int n = topic_of(b, c->num + k * run.subs_n);
    return opt.mode == MODE_SHADOW ? n + sprintf(b + n, "/accepted") : n;
}
static uint8_t *varint(uint8_t *p, uint32_t n) {
    do {
        uint8_t d = n & 127;
        n >>= 7;
        *p++ = d | (n ? 128 : 0);
    } while (n);
    return p;
}
static uint8_t *str(uint8_t *p, const char *s, uint32_t n) {
    *p++ = n >> 8;
    *p++ = n;
    memcpy(p, s, n);
    return p + n;
}

uint8_t *room(LoadConn *c, uint32_t n) /* n free bytes at the end of the output buffer */
{
    if (c->outoff && c->outoff == c->outlen) c->outoff = c->outlen = 0;
    if (c->outlen + n > c->outcap) {
        if (c->outoff) {
            memmove(c->out, c->out + c->outoff, c->outlen - c->outoff);
            c->outlen -= c->outoff;
            c->outoff = 0;
        }
        if (c->outlen + n > c->outcap) {
            while (c->outlen + n > c->outcap) c->outcap = c->outcap ? c->outcap * 2 : 512;
            if (!(c->out = realloc(c->out, c->outcap))) die("out of memory");
        }
    }
    if (!c->dirty) {
        c->dirty = 1;
        c->nextdirty = c->w->dirty;
        c->w->dirty = c;
    }
    return c->out + c->outlen;
}
void queue_connect(LoadConn *c) {
    char id[64];
    int n = snprintf(id, sizeof id, "%s-%u", opt.idprefix, c->idx);
    uint32_t ul = opt.user ? strlen(opt.user) : 0, pl = opt.pass ? strlen(opt.pass) : 0;
    uint32_t rem = 10 + (opt.v5 ? 1 : 0) + 2 + n + (opt.user ? 2 + ul : 0) + (opt.pass ? 2 + pl : 0);
    uint8_t *p = room(c, rem + 5), *s = p;
    *p++ = 0x10;
    p = varint(p, rem);
    p = str(p, "MQTT", 4);
    *p++ = opt.v5 ? 5 : 4;
    *p++ = (opt.clean ? 2 : 0) | (opt.user ? 0x80 : 0) | (opt.pass ? 0x40 : 0);
    *p++ = opt.keepalive >> 8;
    *p++ = opt.keepalive;
    if (opt.v5) *p++ = 0;
    p = str(p, id, n);
    if (opt.user) p = str(p, opt.user, ul);
    if (opt.pass) p = str(p, opt.pass, pl);
    c->outlen += p - s;
}
void queue_subscribe(LoadConn *c) /* the next at most 8 filters */
{
    uint8_t body[8 * (TOPIC_BYTES_MAX + 3) + 8], *b = body;
    char f[TOPIC_BYTES_MAX];
    uint32_t k = c->subdone, e = k + 8 < c->nfilter ? k + 8 : c->nfilter;
    uint16_t pid = 1 + k / 8;
    *b++ = pid >> 8;
    *b++ = pid;
    if (opt.v5) *b++ = 0;
    for (; k < e; k++) {
        int n = conn_filter(c, k, f);
        b = str(b, f, n);
        *b++ = opt.qos;
    }
    c->subdone = e;
    uint8_t *p = room(c, (b - body) + 5), *s = p;
    *p++ = 0x82;
    p = varint(p, b - body);
    memcpy(p, body, b - body);
    p += b - body;
    c->outlen += p - s;
}
void publisher_header(Publisher *P, const char *t, uint32_t n) {
    uint8_t *p = P->hdr;
    *p++ = 0x30 | (opt.qos << 1);
    p = varint(p, 2 + n + (opt.qos ? 2 : 0) + (opt.v5 ? 1 : 0) + opt.size);
    p = str(p, t, n);
    P->hdrlen = p - P->hdr;
    P->frame = P->hdrlen + (opt.qos ? 2 : 0) + (opt.v5 ? 1 : 0) + opt.size;
}
/* Every answer carries the request's clientToken: time, publisher and sequence number in hex. */
static const char TOKEN[] = "\"clientToken\":\"";
static void write_shadow(uint8_t *p, uint64_t ts, uint32_t pn, uint32_t seq) {
    char text[SHADOW_BYTES + 1];
    int n = snprintf(text, sizeof text, "{\"state\":{\"reported\":{\"n\":%u,\"on\":true}},%s%016llx%08x%08x\"", seq,
                     TOKEN, (unsigned long long)ts, pn, seq);
    memcpy(p, text, (size_t)n);
    memset(p + n, ' ', (size_t)(SHADOW_BYTES - n));
    p[SHADOW_BYTES - 1] = '}';
}
bool shadow_stamp(const uint8_t *payload, uint32_t n, uint64_t *ts, uint32_t *publisher, uint32_t *seq) {
    char text[33] = { 0 };
    unsigned long long t;
    const uint8_t *at = memmem(payload, n, TOKEN, sizeof TOKEN - 1);
    if (!at || payload + n - at < (long)sizeof TOKEN - 1 + 32) return false;
    memcpy(text, at + sizeof TOKEN - 1, 32);
    if (sscanf(text, "%16llx%8x%8x", &t, publisher, seq) != 3) return false;
    *ts = t;
    return true;
}
void queue_publish(Worker *w, uint32_t pn, uint64_t ts) {
    Publisher *P = &run.pubs[pn];
    LoadConn *c = P->c;
    if (opt.mode == MODE_WILDCARD && opt.match) { /* another of the registered filters each time */
        char t[TOPIC_BYTES_MAX];
        w->rng = w->rng * 6364136223846793005ull + 1442695040888963407ull;
        publisher_header(P, t, wild_name(t, (uint32_t)(w->rng >> 33) % opt.wild, 1));
    }
    if (opt.mode == MODE_INTERLEAVED) { /* the next subscriber's topic */
        char t[TOPIC_BYTES_MAX];
        publisher_header(P, t, topic_of(t, (pn + P->seq) % run.subs_n));
    }
    uint8_t *p = room(c, P->frame);
    uint32_t seq = ++P->seq;
    memcpy(p, P->hdr, P->hdrlen);
    p += P->hdrlen;
    if (opt.qos) {
        if (!++P->pid) P->pid = 1;
        *p++ = P->pid >> 8;
        *p++ = P->pid;
    }
    if (opt.v5) *p++ = 0;
    if (opt.mode == MODE_SHADOW) {
        write_shadow(p, ts, pn, seq);
    } else {
        memcpy(p, w->payload, opt.size);
        memcpy(p, &ts, 8);
        memcpy(p + 8, &pn, 4);
        memcpy(p + 12, &seq, 4);
    }
    c->outlen += P->frame;
    w->sent++;
    if (atomic_load_explicit(&run.phase, memory_order_relaxed) == PHASE_MEASURE) w->sent_m++;
    if (!run.pairs) atomic_fetch_add_explicit(&run.sent, 1, memory_order_relaxed);
}
