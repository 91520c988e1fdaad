/* The end of a broker: what is under way when its reactors stop is carried out, not lost, and nothing is left of it
 * (LeakSanitizer looks when the test ends). */
#include "broker/testing/bed.h"

#include <stdatomic.h>

/* A socket that was accepted in the last moment: its first bytes are read in the turn in which it comes. */
typedef struct {
    Peer *peer;
    int fd;
    Str bytes;
} Late;

static void come(Reactor *r, void *arg) {
    const Late *l = arg;
    Bed *b = l->peer->bed;
    Conn *c = conn_new(r, l->fd, NULL, &MQTT_HANDLER, NULL);
    mqtt_attach(b->broker, c, &(MqttLink){ .principal = principal_retain(b->plain) });
    MQTT_HANDLER.input(c, turn_copy(r, l->bytes), l->bytes.len);
}

static Peer *come_late(Bed *b, size_t reactor, const char *client_id, bool clean, const char *will) {
    Peer *p = mem_new(sizeof *p);
    int fds[2];
    *p = (Peer){ .bed = b, .reactor = reactor, .version = MQTT_5 };
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
    assert_int_equal(fcntl(fds[1], F_SETFL, O_NONBLOCK), 0);
    p->fd = fds[0];
    MqttConnect c = connect_as(p, str_c(client_id), clean);
    if (will) {
        c.has_will = true;
        c.will = (MqttPublish){ .topic = S("will"), .payload = str_c(will), .qos = 1 };
    }
    Writer w = writer_in(&p->arena);
    mqtt_write_connect(&w, &c);
    Late l = { p, fds[1], writer_str(&w) };
    on_reactor(b->reactors[reactor], come, &l);
    return p;
}

static void a_will_reaches_a_session_whose_reactor_has_stopped(void **state) {
    (void)state;
    Bed *b = bed_new(2, 2, NULL);
    Peer *s = peer_in(b, 0, MQTT_5, "s", false);
    peer_subscribe(s, "will", 1);
    peer_disconnect(s);
    broker_shut(b->broker);
    reactor_stop(b->reactors[0]);
    Peer *late = come_late(b, 1, "late", true, "last words");
    reactor_stop(b->reactors[1]);
    bed_end(b);
    assert_int_equal(peer_connack(late).reason, 0);
    assert_int_equal(peer_ended(late), MQTT_SERVER_SHUTTING_DOWN);
    peer_free(late);
    bed_serve(b, 2, 2, NULL);
    s = peer_in(b, 1, MQTT_5, "s", false);
    peer_gets(s, "last words", 1);
    peer_gets_nothing(s);
    peer_free(s);
    bed_free(b);
}

static void a_take_over_under_way_ends_and_the_session_is_whole(void **state) {
    (void)state;
    Bed *b = bed_new(2, 2, NULL);
    Peer *p = peer_in(b, 1, MQTT_3_1_1, "p", true), *s = peer_in(b, 0, MQTT_5, "s", false);
    peer_subscribe(s, "t", 1);
    peer_publish(p, "t", "not acknowledged", 1);
    peer_message(s);
    broker_shut(b->broker);
    reactor_stop(b->reactors[0]);
    Peer *late = come_late(b, 1, "s", false, NULL); /* asks a reactor that has stopped */
    reactor_stop(b->reactors[1]);
    bed_end(b);
    assert_int_equal(peer_ended(late), 0); /* nobody to be told before CONNACK */
    peer_free(late);
    peer_free(p);
    peer_free(s);
    bed_serve(b, 2, 2, NULL);
    s = peer_new(b, 1, MQTT_5);
    assert_true(peer_connect(s, S("s"), false));
    peer_gets(s, "not acknowledged", 1);
    peer_gets_nothing(s);
    peer_free(s);
    bed_free(b);
}

static void note(void *ctx, bool safe) {
    atomic_store((_Atomic int *)ctx, safe ? 1 : -1);
}

/* Publishing on one reactor, delivery on another, the store, and back. */
static void what_was_published_last_is_safe_and_said_to_be(void **state) {
    (void)state;
    _Atomic int told = 0;
    Bed *b = bed_new(2, 2, NULL);
    Peer *s = peer_in(b, 1, MQTT_5, "s", false);
    peer_subscribe(s, "t", 1);
    broker_shut(b->broker);
    for (int i = 0; i < 2; i++) reactor_stop(b->reactors[i]);
    broker_publish(
        b->broker,
        &(BrokerMessage){
            .account = BED_ACCOUNT, .topic = S("t"), .payload = S("last"), .qos = 1, .done = note, .ctx = &told });
    bed_end(b);
    assert_int_equal(atomic_load(&told), 1);
    peer_free(s);
    bed_serve(b, 2, 2, NULL);
    s = peer_in(b, 0, MQTT_5, "s", false);
    peer_gets(s, "last", 1);
    peer_gets_nothing(s);
    peer_free(s);
    bed_free(b);
}

/* Its output waits for the socket, which will never take it. */
static void a_client_that_does_not_read_holds_nothing_up(void **state) {
    (void)state;
    enum { BYTES = 100000, MESSAGES = 9 }; /* more than a socket takes, less than is dropped */
    static uint8_t payload[BYTES];
    Bed *b = bed_new(2, 2, NULL);
    Peer *p = peer_in(b, 1, MQTT_3_1_1, "p", true), *s = peer_in(b, 0, MQTT_5, "s", true);
    peer_subscribe(s, "t", 0);
    for (int i = 0; i < MESSAGES; i++)
        peer_send_publish(p, (MqttPublish){ .topic = S("t"), .payload = { payload, BYTES } });
    peer_sync(p);
    bed_stop(b);
    assert_int_equal(peer_ended(s), 0); /* cut off in the middle */
    peer_ended(p);
    peer_free(s);
    peer_free(p);
    bed_serve(b, 1, 1, NULL);
    bed_free(b);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_will_reaches_a_session_whose_reactor_has_stopped),
        cmocka_unit_test(a_take_over_under_way_ends_and_the_session_is_whole),
        cmocka_unit_test(what_was_published_last_is_safe_and_said_to_be),
        cmocka_unit_test(a_client_that_does_not_read_holds_nothing_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
