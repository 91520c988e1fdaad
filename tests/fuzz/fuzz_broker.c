#include "fuzz.h"

#include <sys/socket.h>
#include <unistd.h>

#include "broker/client.h"
#include "identity/principal_make.h"
#include "store/settle.h"

/* A live broker over a store in memory, fed by up to three connections at once. The reactor's loop runs on the fuzzer's
 * own thread, until it and the one worker have nothing left to do.
 * Shape: a byte that says which connection (low two bits; 3: the clock goes on), a length of one byte, the bytes */

enum { PEERS = 3 };

typedef struct {
    Arena arena;
    Clock clock;
    Store *store;
    Workers *workers;
    Reactor *reactor;
    Broker *broker;
    Principal *plain;
    int peers[PEERS]; /* the client's ends; -1: not connected */
} Bed;

static Bed *bed_new(void) {
    static const char ACCOUNT[] = "123456789012", REGION[] = "us-east-1";
    Bed *b = mem_new(sizeof *b);
    Str why;
    CHECK(store_open(&(StoreOptions){ .engine = "memory" }, &b->arena, &b->store, &why) == OK);
    b->workers = workers_start(b->store, 1);
    b->reactor = reactor_new(0, &b->clock);
    b->broker = broker_new(&(BrokerOptions){ .limits = BROKER_LIMITS_AWS,
                                             .clock = &b->clock,
                                             .store = b->store,
                                             .workers = b->workers,
                                             .account = str_c(ACCOUNT),
                                             .region = str_c(REGION),
                                             .random_seed = 7 },
                           &b->reactor, 1);
    b->plain = principal_make_plain(str_c(ACCOUNT), str_c(REGION));
    for (int i = 0; i < PEERS; i++) b->peers[i] = -1;
    return b;
}

static void connect_peer(Bed *b, int i) {
    int fds[2];
    CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds) == 0);
    b->peers[i] = fds[0];
    Conn *c = conn_new(b->reactor, fds[1], NULL, &MQTT_HANDLER, NULL);
    mqtt_attach(b->broker, c, &(MqttLink){ .principal = principal_retain(b->plain) });
}

/* Three turns with nothing waiting at the workers: what one turn hands out, the next takes in. */
static void settle(Bed *b) {
    for (int quiet = 0; quiet < 3;) {
        reactor_turn(b->reactor);
        quiet = workers_queued(b->workers) == 0 && !shard_of(b->reactor)->batch ? quiet + 1 : 0;
    }
}

static void advance(Bed *b, int64_t ms) {
    atomic_fetch_add(&b->clock.ahead_ms, ms);
    reactor_clock_moved(b->reactor);
    settle(b);
}

static void feed(Bed *b, int i, Str bytes) {
    uint8_t sink[4096];
    if (b->peers[i] < 0) connect_peer(b, i);
    bool over = bytes.len && send(b->peers[i], bytes.ptr, bytes.len, MSG_NOSIGNAL) < 0;
    settle(b);
    ssize_t n;
    while ((n = recv(b->peers[i], sink, sizeof sink, 0)) > 0) {
    }
    if (!over && n != 0) return;
    close(b->peers[i]);
    b->peers[i] = -1;
    settle(b);
}

static void run(Bed *b, Str in) {
    while (in.len >= 2) {
        int who = in.ptr[0] & 3;
        size_t n = in.ptr[1];
        Str bytes = str_sub(in, 2, 2 + n);
        in = str_from(in, 2 + n);
        if (who == PEERS)
            advance(b, (int64_t)n * n * 100);
        else
            feed(b, who, bytes);
    }
    for (int i = 0; i < PEERS; i++) {
        if (b->peers[i] >= 0) close(b->peers[i]);
        b->peers[i] = -1;
    }
    settle(b);
    CHECK(broker_figures(b->broker).connections == 0);
    advance(b, INT64_C(8) * 86400 * 1000); /* beyond what any session or will may wait */
    CHECK(broker_figures(b->broker).subscriptions == 0);
}

static void bed_free(Bed *b) {
    store_settle(&b->reactor, 1, &b->workers, 1);
    workers_stop(b->workers);
    broker_free(b->broker);
    reactor_free(b->reactor);
    store_close(b->store);
    principal_release(b->plain);
    arena_free(&b->arena);
    free(b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    Bed *b = bed_new();
    run(b, (Str){ data, size });
    bed_free(b);
    return 0;
}
