/* A reset between two tests of somebody: nothing of the first is there in the second. */
#include "broker/testing/bed.h"

static void a_will_that_waits_ends_with_a_reset(void **state) {
    (void)state;
    static const uint8_t MINUTE[] = { MQTT_PROP_WILL_DELAY, 0, 0, 0, 60 };
    Bed *b = bed_new(2, 1, NULL);
    Peer *p = peer_new(b, 0, MQTT_5);
    MqttConnect c = connect_as(p, S("s"), false);
    c.has_will = true;
    c.will =
        (MqttPublish){ .topic = S("will"), .payload = S("of the first"), .qos = 1, .props = { MINUTE, sizeof MINUTE } };
    peer_connect_with(p, &c);
    peer_free(p);
    bed_settle(b);
    broker_reset(b->broker);
    Peer *s = peer_in(b, 0, MQTT_5, "s", false), *other = peer_in(b, 1, MQTT_5, "other", true);
    peer_subscribe(other, "will", 1);
    bed_advance(b, 61000);
    peer_gets_nothing(other);
    peer_free(s);
    peer_free(other);
    bed_free(b);
}

static void sessions_that_were_reset_are_forgotten(void **state) {
    (void)state;
    enum { SESSIONS = 20, HOUR_MS = 3600 * 1000 };
    Bed *b = bed_new(2, 1, NULL);
    for (int i = 0; i < SESSIONS; i++) {
        Peer *p = peer_new(b, (size_t)i % 2, MQTT_5);
        peer_connect(p, str_format(&b->arena, "s%d", i), i % 4 < 2);
        if (i % 3)
            peer_disconnect(p);
        else
            peer_free(p);
    }
    bed_settle(b);
    assert_int_equal(broker_figures(b->broker).sessions, SESSIONS);
    broker_reset(b->broker);
    bed_advance(b, HOUR_MS + 2000);
    assert_int_equal(broker_figures(b->broker).sessions, 0);
    bed_free(b);
}

typedef struct {
    Peer *peer;
    int fd;
} Hasty;

/* It asks for its session on the other reactor, and has gone before it comes. */
static void connect_and_go(Reactor *r, void *arg) {
    const Hasty *h = arg;
    Bed *b = h->peer->bed;
    Conn *conn = conn_new(r, h->fd, NULL, &MQTT_HANDLER, NULL);
    Client *c = mqtt_attach(b->broker, conn, &(MqttLink){ .principal = principal_retain(b->plain) });
    MqttConnect m = connect_as(h->peer, S("s"), false);
    Writer w = writer_in(&h->peer->arena);
    mqtt_write_connect(&w, &m);
    MQTT_HANDLER.input(conn, turn_copy(r, writer_str(&w)), w.len);
    client_leave(c, LEAVE_LOST, 0, NULL);
}

static void who_asks_for_a_session_that_was_reset_and_leaves_does_not_bring_it_back(void **state) {
    (void)state;
    int fds[2];
    Bed *b = bed_new(2, 1, NULL);
    Peer *s = peer_in(b, 0, MQTT_5, "s", false);
    peer_subscribe(s, "t", 1);
    peer_disconnect(s);
    bed_settle(b);
    broker_reset(b->broker);
    Peer hasty = { .bed = b, .version = MQTT_5 };
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
    assert_int_equal(fcntl(fds[1], F_SETFL, O_NONBLOCK), 0);
    Hasty h = { &hasty, fds[1] };
    on_reactor(b->reactors[1], connect_and_go, &h);
    bed_settle(b);
    bed_stop(b);
    close(fds[0]);
    arena_free(&hasty.arena);
    bed_serve(b, 2, 1, NULL);
    s = peer_new(b, 0, MQTT_5);
    assert_false(peer_connect(s, S("s"), false));
    peer_free(s);
    bed_free(b);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_will_that_waits_ends_with_a_reset),
        cmocka_unit_test(sessions_that_were_reset_are_forgotten),
        cmocka_unit_test(who_asks_for_a_session_that_was_reset_and_leaves_does_not_bring_it_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
