"""MQTT 5 as AWS IoT speaks it. Source unless a test says otherwise: AWS IoT developer guide, "MQTT"."""
import pytest
from conftest import allow
from paho.mqtt.subscribeoptions import SubscribeOptions
from support import wire
from support.mqtt import props
from support.wire import (MAXIMUM_PACKET, MAXIMUM_QOS, PUBACK, RECEIVE_MAXIMUM, SERVER_KEEP_ALIVE, SESSION_EXPIRY,
                          SUBSCRIBE, SUBSCRIPTION_ID, SUBSCRIPTION_ID_AVAILABLE, TOPIC_ALIAS, TOPIC_ALIAS_MAXIMUM,
                          USER_PROPERTY, packet, properties, text)

pytestmark = pytest.mark.both
WEEK_S = 7 * 24 * 3600


@pytest.fixture
def open_raw(raw, name):
    """open_raw(client_id suffix, **CONNECT options): a connection by hand past its CONNACK."""
    def make(suffix="", device=None, **options):
        connection = raw(**({"device": device} if device else {}))
        connection.answer = connection.connect(name + suffix, **options)
        assert connection.answer.code == 0
        return connection

    return make


class TestConnack:
    def test_it_states_what_the_broker_can(self, open_raw):
        stated = open_raw().answer.properties
        assert stated[MAXIMUM_QOS] == 1
        assert stated[TOPIC_ALIAS_MAXIMUM] == 8
        assert stated[SUBSCRIPTION_ID_AVAILABLE] == 0
        assert stated[RECEIVE_MAXIMUM] == 100
        assert stated[MAXIMUM_PACKET] == 149504
        assert stated.get(wire.RETAIN_AVAILABLE, 1) == 1
        assert stated.get(wire.WILDCARD_AVAILABLE, 1) == 1
        assert stated.get(0x2A, 1) == 1  # shared subscriptions

    @pytest.mark.parametrize("asked_s,granted_s", [(5, 30), (0, 1200), (1201, 1200), (65535, 1200)])
    def test_a_keep_alive_that_was_changed_is_told(self, open_raw, asked_s, granted_s):
        assert open_raw(keep_alive=asked_s).answer.properties[SERVER_KEEP_ALIVE] == granted_s

    def test_an_empty_client_id_gets_one_assigned(self, raw):
        answer = raw().connect("")
        assert answer.code == 0
        assert len(answer.properties[wire.ASSIGNED_ID]) >= 8

    def test_a_session_expiry_above_the_limit_is_lowered_and_told(self, open_raw):
        answer = open_raw(props=[(SESSION_EXPIRY, 0xFFFFFFFF)]).answer
        assert 3600 <= answer.properties[SESSION_EXPIRY] <= WEEK_S

    def test_a_maximum_packet_size_under_512_may_not_connect(self, raw, name):
        assert raw().connect(name, props=[(MAXIMUM_PACKET, 511)]).code != 0
        assert raw().connect(name, props=[(MAXIMUM_PACKET, 512)]).code == 0

    def test_a_will_of_qos_2_is_refused_with_9b(self, raw, name):
        assert raw().connect(name, will=("w", b"x", 2, False)).code == 0x9B

    def test_a_will_to_a_wildcard_is_refused(self, raw, name):
        assert raw().connect(name, will=("w/#", b"x", 0, False)).code == 0x90

    def test_an_authentication_method_is_refused_as_not_supported(self, raw, name):
        assert raw().connect(name, props=[(0x15, "SCRAM-SHA-1")]).code in (0x8C, 0x87)


class TestPublish:
    def test_all_publish_properties_arrive_as_they_were_sent_users_in_order(self, connect, name):
        sub, pub = connect(f"{name}-sub"), connect(name)
        sub.subscribe(f"{name}/t")
        pairs = [("a", "1"), ("b", ""), ("a", "2"), ("ü", "ñ")]
        assert pub.publish(f"{name}/t", "x", ContentType="text/plain", ResponseTopic=f"{name}/answer",
                           CorrelationData=b"\0\xff", PayloadFormatIndicator=1, UserProperty=pairs,
                           MessageExpiryInterval=100) == 0
        got = sub.message().properties
        assert got.ContentType == "text/plain"
        assert got.ResponseTopic == f"{name}/answer"
        assert got.CorrelationData == b"\0\xff"
        assert got.PayloadFormatIndicator == 1
        assert got.UserProperty == pairs
        assert 98 <= got.MessageExpiryInterval <= 100

    def test_a_request_finds_its_response(self, connect, name):
        asker, answerer = connect(f"{name}-asker"), connect(f"{name}-answerer")
        asker.subscribe(f"{name}/answers")
        answerer.subscribe(f"{name}/requests")
        asker.publish(f"{name}/requests", b"6*7", ResponseTopic=f"{name}/answers", CorrelationData=b"42")
        asked = answerer.message()
        answerer.publish(asked.properties.ResponseTopic, b"42", CorrelationData=asked.properties.CorrelationData)
        answer = asker.message()
        assert (answer.payload, answer.properties.CorrelationData) == (b"42", b"42")

    def test_a_3_1_1_subscriber_gets_the_payload_alone_and_the_reverse(self, connect, name):
        new, old = connect(f"{name}-5", version=5), connect(f"{name}-4", version=4)
        new.subscribe(f"{name}/t")
        old.subscribe(f"{name}/t")
        new.publish(f"{name}/t", b"from 5", ContentType="x")
        assert old.message().payload == b"from 5"
        assert new.message().properties.ContentType == "x"
        old.publish(f"{name}/t", b"from 4")
        assert new.message().payload == b"from 4"
        assert old.message().payload == b"from 4"

    def test_a_publish_that_the_policy_forbids_gets_87_and_the_connection_stays(self, fleet, open_raw, name):
        device = fleet.make(name, allow(("iot:Connect", "client/*"), ("iot:Publish", f"topic/{name}/mine")))
        connection = open_raw(device=device)
        assert connection.publish(f"{name}/other", b"x") == 0x87
        assert connection.publish(f"{name}/mine", b"x") == 0

    def test_a_qos_0_publish_that_the_policy_forbids_reaches_nobody(self, fleet, raw, connect, name):
        device = fleet.make(name, allow(("iot:Connect", "client/*")))
        sub = connect(f"{name}-sub")
        sub.subscribe(f"{name}/t")
        connection = raw(device=device)
        assert connection.connect(name).code == 0
        connection.send_publish(f"{name}/t", b"x")
        connection.send(packet(wire.PINGREQ, 0, b""))
        assert connection.read().type in (wire.DISCONNECT, wire.PINGRESP)
        sub.nothing_more(f"{name}/t")

    def test_qos_2_ends_the_connection_with_9b(self, open_raw, name):
        connection = open_raw()
        connection.send_publish(f"{name}/t", b"x", qos=2)
        connection.expect_disconnect(0x9B)

    @pytest.mark.parametrize("topic", ["$aws/unknown/topic", "$SYS/x", "$other"])
    def test_a_reserved_topic_that_is_none_is_refused(self, open_raw, topic):
        connection = open_raw()
        connection.send_publish(topic, b"x", qos=1)
        got = connection.read()
        assert got is None or (got.type == PUBACK and got.body[2] in (0x87, 0x90)) or got.type == wire.DISCONNECT

    def test_a_payload_above_128_kb_ends_the_connection_with_95_or_97(self, open_raw, name):
        connection = open_raw()
        connection.send_publish(f"{name}/t", bytes(128 * 1024 + 1), qos=1)
        got = connection.read()
        assert got is not None and got.type == wire.DISCONNECT and got.body[0] in (0x95, 0x97)

    def test_more_than_8_kb_of_user_properties_is_refused(self, open_raw, name):
        connection = open_raw()
        fits = [(USER_PROPERTY, ("k", "v" * 4000)), (USER_PROPERTY, ("k", "v" * 4000))]
        assert connection.publish(f"{name}/t", b"x", props=fits) == 0
        connection.send_publish(f"{name}/t", b"x", qos=1, props=fits + fits)
        got = connection.read()
        assert got.type == wire.DISCONNECT or (got.type == PUBACK and got.body[2] >= 0x80)


class TestTopicAlias:
    def test_a_publisher_may_name_a_topic_once(self, open_raw, connect, name):
        sub = connect(f"{name}-sub")
        sub.subscribe(f"{name}/t")
        connection = open_raw()
        for alias in (1, 8):
            assert connection.publish(f"{name}/t", b"first", props=[(TOPIC_ALIAS, alias)]) == 0
            assert connection.publish("", b"second", props=[(TOPIC_ALIAS, alias)]) == 0
            assert [sub.message().payload for _ in range(2)] == [b"first", b"second"]

    # Source: MQTT 5 section 3.3.2.3.4: above the maximum 0x94; 0, and one that nothing was named by, a Protocol Error
    @pytest.mark.parametrize("topic,alias,code", [("t", 9, 0x94), ("t", 0, 0x82), ("", 3, 0x82)])
    def test_an_alias_out_of_range_or_unset_ends_the_connection(self, open_raw, topic, alias, code):
        connection = open_raw()
        connection.send_publish(topic, b"x", qos=1, props=[(TOPIC_ALIAS, alias)])
        connection.expect_disconnect(code)

    def test_a_subscriber_that_allows_none_gets_full_topics(self, open_raw, connect, name):
        connection = open_raw()
        connection.subscribe((f"{name}/t", 1))
        pub = connect(f"{name}-pub")
        for number in range(3):
            pub.publish(f"{name}/t", str(number))
            got = connection.message()
            assert got.topic == f"{name}/t" and TOPIC_ALIAS not in got.properties


class TestReceiveMaximum:
    def test_the_broker_sends_no_more_than_the_client_allows(self, open_raw, connect, name):
        connection = open_raw(props=[(RECEIVE_MAXIMUM, 2)])
        connection.subscribe((f"{name}/t", 1))
        pub = connect(f"{name}-pub")
        for number in range(5):
            pub.publish(f"{name}/t", str(number))
        held = [connection.message(ack=False) for _ in range(2)]
        connection.silent()
        for message in held:
            connection.ack(message.packet_id)
        rest = [connection.message() for _ in range(3)]
        assert sorted(m.payload for m in held + rest) == [b"0", b"1", b"2", b"3", b"4"]

    def test_a_receive_maximum_of_0_is_a_protocol_error(self, raw, name):
        connection = raw()
        connection.send(wire.connect_packet(name, props=[(RECEIVE_MAXIMUM, 0)]))
        answer = connection.read()
        assert answer is None or answer.body[1] == 0x82


class TestExpiry:
    def test_an_expired_message_is_not_delivered_to_who_comes_back(self, server, connect, name):
        away = connect(name, expiry_s=600)
        away.subscribe(f"{name}/t")
        away.kill()
        pub = connect(f"{name}-pub")
        pub.publish(f"{name}/t", b"short", MessageExpiryInterval=10)
        pub.publish(f"{name}/t", b"long", MessageExpiryInterval=300)
        server.advance(20)
        back = connect(name, clean=False, expiry_s=600)
        got = back.message()
        assert got.payload == b"long"
        assert 270 <= got.properties.MessageExpiryInterval <= 280
        back.nothing_more(f"{name}/t")

    def test_a_retained_message_expires(self, server, connect, name):
        pub = connect(name)
        pub.publish(f"{name}/r", b"kept", retain=True, MessageExpiryInterval=10)
        server.advance(11)
        sub = connect(f"{name}-sub")
        sub.subscribe(f"{name}/r")
        sub.nothing_more(f"{name}/r")

    def test_the_session_lives_as_long_as_asked(self, server, connect, name):
        connect(name, expiry_s=100).kill()
        server.advance(90)
        again = connect(name, clean=False, expiry_s=100)
        assert again.session_present is True
        again.kill()
        server.advance(100 + 30 * 60 + 60)
        assert connect(name, clean=False, expiry_s=100).session_present is False

    def test_without_an_expiry_the_session_ends_with_the_connection(self, connect, name):
        connect(name).kill()
        assert connect(name, clean=False).session_present is False

    def test_a_disconnect_may_change_it_but_not_raise_it_from_0(self, open_raw):
        connection = open_raw(props=[(SESSION_EXPIRY, 100)])
        connection.disconnect(props=[(SESSION_EXPIRY, 0)])
        connection.expect_closed()
        connection = open_raw(clean=False)
        assert connection.answer.session_present is False
        connection.disconnect(props=[(SESSION_EXPIRY, 100)])
        connection.expect_disconnect(0x82)

    def test_clean_start_forgets_the_session(self, connect, name):
        first = connect(name, expiry_s=100)
        first.subscribe(f"{name}/t")
        first.kill()
        assert connect(name, clean=True, expiry_s=100).session_present is False


class TestWill:
    def will(self, name, delay_s=0, **values):
        more = {"WillDelayInterval": delay_s} if delay_s else {}
        return (f"{name}/will", b"gone", 1, False, props("WILLMESSAGE", **more, **values))

    def test_its_properties_arrive(self, connect, name):
        sub = connect(f"{name}-sub")
        sub.subscribe(f"{name}/will")
        connect(name, will=self.will(name, ContentType="c", UserProperty=("k", "v"))).kill()
        got = sub.message()
        assert (got.payload, got.properties.ContentType, got.properties.UserProperty) == (b"gone", "c", [("k", "v")])

    def test_a_delayed_will_waits(self, server, connect, name):
        sub = connect(f"{name}-sub", keep_alive=1200)
        sub.subscribe(f"{name}/will")
        connect(name, will=self.will(name, 60), expiry_s=600).kill()
        server.advance(30)
        assert sub.publish(f"{name}/will", b"not yet") == 0
        assert sub.message().payload == b"not yet"
        server.advance(31)
        assert sub.message().payload == b"gone"

    def test_who_comes_back_in_time_leaves_no_will(self, server, connect, name):
        sub = connect(f"{name}-sub", keep_alive=1200)
        sub.subscribe(f"{name}/will")
        connect(name, will=self.will(name, 60), expiry_s=600).kill()
        connect(name, clean=False, expiry_s=600)
        server.advance(61)
        sub.nothing_more(f"{name}/will")

    def test_disconnect_with_will_sends_it(self, open_raw, connect, name):
        sub = connect(f"{name}-sub")
        sub.subscribe(f"{name}/will")
        open_raw(will=(f"{name}/will", b"gone", 1, False)).disconnect(4)
        assert sub.message().payload == b"gone"


class TestSubscribe:
    def test_no_local_keeps_ones_own_messages_away(self, connect, name):
        client = connect(name)
        client.subscribe(f"{name}/own", options=SubscribeOptions(qos=1, noLocal=True))
        client.subscribe(f"{name}/mark")
        client.publish(f"{name}/own", b"mine")
        client.nothing_more(f"{name}/mark")

    def test_retain_as_published_keeps_the_bit(self, connect, name):
        client = connect(name)
        client.subscribe(f"{name}/r", options=SubscribeOptions(qos=1, retainAsPublished=True))
        client.publish(f"{name}/r", b"x", retain=True)
        assert client.message().retain is True

    @pytest.mark.parametrize("handling,again", [(0, True), (1, False), (2, False)])
    def test_retain_handling_decides_what_a_repeated_subscription_gets(self, connect, name, handling, again):
        pub, sub = connect(f"{name}-pub"), connect(name)
        pub.publish(f"{name}/r", b"kept", retain=True)
        options = SubscribeOptions(qos=1, retainHandling=handling)
        sub.subscribe(f"{name}/mark")
        sub.subscribe(f"{name}/r", options=options)
        if handling != 2:
            assert sub.message().payload == b"kept"
        sub.subscribe(f"{name}/r", options=options)
        if again:
            assert sub.message().payload == b"kept"
        sub.nothing_more(f"{name}/mark")

    def test_a_subscription_identifier_is_refused_with_a1(self, open_raw):
        connection = open_raw()
        connection.send(packet(SUBSCRIBE, 2, b"\0\1" + properties([(SUBSCRIPTION_ID, 5)]) + text("t") + b"\1"))
        connection.expect_disconnect(0xA1)

    def test_each_filter_of_a_suback_has_its_own_code(self, fleet, open_raw, name):
        # An invalid $ filter gets 8F while its neighbours are granted.
        device = fleet.make(name, allow(("iot:Connect", "client/*"), ("iot:Subscribe", f"topicfilter/{name}/*"),
                                        ("iot:Subscribe", "topicfilter/$aws/*")))
        codes = open_raw(device=device).subscribe((f"{name}/a", 1), ("other", 1), ("$aws/nonsense/x", 1), (f"{name}/b", 0))
        assert codes == [1, 0x87, 0x8F, 0]

    @pytest.mark.parametrize("bad", ["a/#/b", "a+", "a/b#", "#a", "$share/g", "$share//t", "$share/g+/t"])
    def test_a_malformed_filter_gets_8f(self, open_raw, bad):
        connection = open_raw()
        connection.send(packet(SUBSCRIBE, 2, b"\0\1\0" + text(bad) + b"\1"))
        got = connection.read()
        assert got is not None
        assert (got.type == wire.SUBACK and got.body[-1] == 0x8F) or (
            got.type == wire.DISCONNECT and got.body[0] in (0x8F, 0x82))

    def test_a_filter_with_more_than_seven_slashes_or_256_bytes_is_refused(self, open_raw, name):
        codes = open_raw().subscribe(("1/2/3/4/5/6/7/8", 1), ("1/2/3/4/5/6/7/8/9", 1),
                                     (f"$share/{name}/1/2/3/4/5/6/7/8", 1), ("f" * 256, 1), ("f" * 257, 1))
        assert [code < 0x80 for code in codes] == [True, False, True, True, False]

    def test_the_fifty_first_subscription_gets_97(self, open_raw, name):
        connection = open_raw()
        for start in range(0, 48, 8):
            connection.subscribe(*((f"{name}/{n}", 1) for n in range(start, start + 8)))
        assert connection.subscribe(*((f"{name}/{n}", 1) for n in range(48, 51))) == [1, 1, 0x97]

    def test_unsubscribing_from_what_was_not_subscribed_says_so(self, open_raw, name):
        connection = open_raw()
        connection.subscribe((f"{name}/t", 1))
        assert connection.unsubscribe(f"{name}/t", f"{name}/never") == [0, 0x11]


class TestShared:
    def test_each_message_goes_to_one_member_of_each_group(self, connect, name):
        groups = {group: [connect(f"{name}-{group}{n}") for n in range(2)] for group in ("g", "h")}
        for group, members in groups.items():
            for member in members:
                assert member.subscribe(f"$share/{name}-{group}/{name}/+") == [1]
        pub = connect(f"{name}-pub")
        for number in range(40):
            pub.publish(f"{name}/t", str(number))
        for members in groups.values():
            for member in members:
                member.subscribe(f"{name}-end")
        pub.publish(f"{name}-end", b"end")
        for members in groups.values():
            got = []
            for member in members:
                while (message := member.message()).payload != b"end":
                    got.append(int(message.payload))
            assert sorted(got) == list(range(40))

    def test_no_retained_message_comes_with_it(self, connect, name):
        pub, member = connect(f"{name}-pub"), connect(name)
        pub.publish(f"{name}/r", b"kept", retain=True)
        member.subscribe(f"$share/{name}/{name}/r")
        member.nothing_more(f"{name}/r")

    def test_a_persistent_group_that_is_away_gets_its_qos_1_messages_later(self, connect, name):
        member = connect(name, expiry_s=600)
        member.subscribe(f"$share/{name}/{name}/t")
        member.kill()
        pub = connect(f"{name}-pub")
        for number in range(3):
            pub.publish(f"{name}/t", str(number))
        back = connect(name, clean=False, expiry_s=600)
        assert sorted(back.message().payload for _ in range(3)) == [b"0", b"1", b"2"]

    def test_no_local_on_a_shared_subscription_is_a_protocol_error(self, open_raw, name):
        connection = open_raw()
        connection.send(packet(SUBSCRIBE, 2, b"\0\1\0" + text(f"$share/g/{name}") + b"\5"))
        connection.expect_disconnect(0x82)


def test_take_over_tells_the_older_connection_8e(open_raw):
    older, newer = open_raw(), open_raw()
    older.expect_disconnect(0x8E)
    newer.silent()


def test_a_keep_alive_that_ran_out_is_told_with_8d(server, open_raw):
    connection = open_raw(keep_alive=30)
    server.advance(50)
    connection.expect_disconnect(0x8D)


def test_more_than_100_unacknowledged_messages_do_not_go_out(open_raw, connect, name):
    connection = open_raw()
    connection.subscribe((f"{name}/t", 1))
    pub = connect(f"{name}-pub")
    for number in range(110):
        pub.publish(f"{name}/t", str(number))
    held = [connection.message(ack=False) for _ in range(100)]
    connection.silent()
    for message in held:
        connection.ack(message.packet_id)
    assert len([connection.message() for _ in range(10)]) == 10


def test_pubacks_leave_in_the_order_of_their_publishes(open_raw, name):
    connection = open_raw()
    sent = [connection.send_publish(f"{name}/{n % 3}", str(n), qos=1) for n in range(60)]
    got = [int.from_bytes(connection.expect(PUBACK).body[:2], "big") for _ in sent]
    assert got == sent


def test_messages_of_one_publisher_arrive_in_order(open_raw, connect, name):
    connection = open_raw()
    connection.subscribe((f"{name}/t", 1))
    pub = connect(f"{name}-pub")
    for number in range(60):
        pub.client.publish(f"{name}/t", str(number), 1)
    assert [int(connection.message().payload) for _ in range(60)] == list(range(60))


def test_problem_information_can_be_declined(fleet, raw, name):
    device = fleet.make(name, allow(("iot:Connect", "client/*")))
    for asked, allowed in ((1, True), (0, False)):
        connection = raw(device=device)
        assert connection.connect(f"{name}{asked}", props=[(wire.REQUEST_PROBLEM, asked)]).code == 0
        connection.send_publish(f"{name}/t", b"x", qos=1)
        body = connection.expect(PUBACK).body
        assert body[2] == 0x87
        found = wire.Cursor(body[3:]).properties() if len(body) > 3 else {}
        assert allowed or wire.REASON_STRING not in found
