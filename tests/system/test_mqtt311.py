"""MQTT 3.1.1 as AWS IoT speaks it. Source unless a test says otherwise: AWS IoT developer guide, "MQTT"."""
import json
import socket
import statistics
import struct
import time

import pytest
from conftest import allow
from support import wire
from support.wire import PUBREC, SUBSCRIBE, packet, text

pytestmark = pytest.mark.both


@pytest.fixture
def client(connect, name):
    return connect(name, version=4)


@pytest.mark.parametrize("qos_out,qos_in,got", [(0, 0, 0), (0, 1, 0), (1, 0, 0), (1, 1, 1)])
def test_a_message_arrives_with_the_lower_of_both_qos(client, connect, name, qos_out, qos_in, got):
    other = connect(f"{name}-sub", version=4)
    assert other.subscribe(f"{name}/t", qos_in) == [qos_in]
    client.publish(f"{name}/t", b"payload", qos=qos_out)
    message = other.message()
    assert (message.topic, message.payload, message.qos, message.retain) == (f"{name}/t", b"payload", got, False)


@pytest.mark.parametrize("name_filter,matches", [
    ("sensor/+/t", {"sensor/a/t", "sensor//t"}),
    ("sensor/#", {"sensor/", "sensor/a", "sensor/a/t", "sensor//t"}),
    ("+/a", {"sensor/a"}),
    ("sensor", {"sensor"}),
    ("Sensor", set()),
])
def test_filters_match_as_in_aws(client, connect, name, name_filter, matches):
    """`sensor/#` does not match `sensor` itself, unlike the standard."""
    other = connect(f"{name}-pub", version=4)
    assert client.subscribe(f"{name}/{name_filter}") == [1]
    assert client.subscribe(f"{name}-end") == [1]
    for topic in ("sensor", "sensor/", "sensor/a", "sensor/a/t", "sensor//t"):
        other.publish(f"{name}/{topic}", topic.encode())
    other.publish(f"{name}-end", b"end")
    got = set()
    while (message := client.message()).payload != b"end":
        got.add(message.payload.decode())
    assert got == matches


def test_wildcards_do_not_match_topics_that_begin_with_dollar(client, connect, name, data):
    other = connect(f"{name}-sub", version=4)
    assert other.subscribe("#") == [1]
    client.publish(f"$aws/things/{name}/shadow/update", json.dumps({"state": {"reported": {"a": 1}}}))
    client.publish(f"{name}/end", b"end")
    while (message := other.message()).payload != b"end":
        assert not message.topic.startswith("$"), message.topic


def test_overlapping_subscriptions_give_one_copy_at_the_highest_qos_or_one_each(client, connect, name):
    """The standard leaves both open [MQTT-3.3.5-1]; what may not happen is loss or a third copy."""
    other = connect(f"{name}-sub", version=4)
    other.subscribe(f"{name}/#", 0)
    other.subscribe(f"{name}/t", 1)
    client.publish(f"{name}/t", b"x")
    client.publish(f"{name}/t", b"end")
    copies = []
    while not copies or copies[-1].payload != b"end":
        copies.append(other.message())
    assert 1 <= sum(copy.payload == b"x" for copy in copies) <= 2
    assert max(copy.qos for copy in copies) == 1


def test_after_unsubscribe_nothing_comes(client, connect, name):
    other = connect(f"{name}-pub", version=4)
    client.subscribe(f"{name}/t")
    client.subscribe(f"{name}/mark")
    client.unsubscribe(f"{name}/t")
    other.publish(f"{name}/t", b"x")
    client.nothing_more(f"{name}/mark")


def test_qos_2_publish_closes_the_connection_unanswered(raw, name):
    connection = raw(version=4)
    assert connection.connect(name).code == 0
    connection.send_publish(f"{name}/t", b"x", qos=2)
    got = connection.read()
    assert got is None or got.type != PUBREC
    if got is not None:
        connection.expect_closed()


def test_qos_2_subscribe_closes_the_connection_unanswered(raw, name):
    connection = raw(version=4)
    assert connection.connect(name).code == 0
    connection.send(packet(SUBSCRIBE, 2, b"\0\1" + text("t") + b"\2"))
    connection.expect_closed()


def test_the_same_client_id_takes_over_and_the_older_connection_ends(raw, name):
    older, newer = raw(version=4), raw(version=4)
    assert older.connect(name).code == 0
    assert newer.connect(name).code == 0
    older.expect_closed()
    newer.silent()


def test_an_unauthorised_publish_closes_the_connection(fleet, raw, name):
    # Source: aws-iot-device-sdk-js issue 125
    device = fleet.make(name, allow(("iot:Connect", "client/*"), ("iot:Publish", f"topic/{name}/mine")))
    connection = raw(device=device, version=4)
    assert connection.connect(name).code == 0
    assert connection.publish(f"{name}/mine", b"x") == 0
    connection.send_publish(f"{name}/other", b"x", qos=1)
    connection.expect_closed()


def test_an_unauthorised_subscribe_closes_the_connection(fleet, raw, name):
    device = fleet.make(name, allow(("iot:Connect", "client/*"), ("iot:Subscribe", f"topicfilter/{name}/mine")))
    connection = raw(device=device, version=4)
    assert connection.connect(name).code == 0
    assert connection.subscribe((f"{name}/mine", 1)) == [1]
    connection.send(packet(SUBSCRIBE, 2, b"\0\2" + text(f"{name}/#") + b"\1"))
    connection.expect_closed()


class TestWill:
    def test_a_lost_connection_sends_it(self, connect, client, name):
        client.subscribe(f"{name}/will")
        connect(f"{name}-dying", version=4, will=(f"{name}/will", b"gone", 1, False)).kill()
        message = client.message()
        assert (message.payload, message.qos, message.retain) == (b"gone", 1, False)

    def test_a_disconnect_drops_it(self, connect, client, name):
        client.subscribe(f"{name}/will")
        leaving = connect(f"{name}-leaving", version=4, will=(f"{name}/will", b"gone", 1, False))
        leaving.client.disconnect()
        leaving.wait_disconnected()
        client.nothing_more(f"{name}/will")

    def test_take_over_sends_it(self, raw, client, name):
        client.subscribe(f"{name}/will")
        assert raw(version=4).connect(f"{name}-x", will=(f"{name}/will", b"gone", 0, False)).code == 0
        assert raw(version=4).connect(f"{name}-x").code == 0
        assert client.message().payload == b"gone"

    def test_a_will_that_the_policy_forbids_refuses_the_connection(self, fleet, raw, name):
        device = fleet.make(name, allow(("iot:Connect", "client/*"), ("iot:Publish", f"topic/{name}/mine")))
        assert raw(device=device, version=4).connect(name, will=(f"{name}/mine", b"x", 0, False)).code == 0
        assert raw(device=device, version=4).connect(name, will=(f"{name}/other", b"x", 0, False)).code == 7


class TestRetained:
    def test_a_new_subscription_to_the_topic_itself_gets_it_with_the_retain_bit(self, connect, client, name):
        client.publish(f"{name}/r", b"kept", retain=True)
        other = connect(f"{name}-sub", version=4)
        other.subscribe(f"{name}/r")
        message = other.message()
        assert (message.payload, message.retain, message.qos) == (b"kept", True, 1)

    def test_live_delivery_has_no_retain_bit(self, connect, client, name):
        other = connect(f"{name}-sub", version=4)
        other.subscribe(f"{name}/r")
        client.publish(f"{name}/r", b"kept", retain=True)
        assert other.message().retain is False

    @pytest.mark.parametrize("wildcard", ["{}/+", "{}/#", "+/r"])
    def test_a_wildcard_subscription_never_gets_it(self, connect, client, name, wildcard):
        client.publish(f"{name}/r", b"kept", retain=True)
        other = connect(f"{name}-sub", version=4)
        other.subscribe(wildcard.format(name))
        client.publish(f"{name}/r", b"live")
        assert other.message().payload == b"live"

    def test_the_newer_replaces_and_an_empty_one_removes_it(self, connect, client, name):
        client.publish(f"{name}/r", b"old", retain=True)
        client.publish(f"{name}/r", b"new", retain=True)
        other = connect(f"{name}-sub", version=4)
        other.subscribe(f"{name}/r")
        assert other.message().payload == b"new"
        client.publish(f"{name}/r", b"", retain=True)
        assert other.message().payload == b""
        third = connect(f"{name}-third", version=4)
        third.subscribe(f"{name}/r")
        third.nothing_more(f"{name}/r")

    def test_retain_on_a_reserved_topic_is_refused(self, raw, name):
        connection = raw(version=4)
        assert connection.connect(name).code == 0
        connection.send_publish(f"$aws/things/{name}/shadow/update", b"{}", qos=1, retain=True)
        connection.expect_closed()

    def test_it_needs_retain_publish_besides_publish(self, fleet, raw, name):
        device = fleet.make(name, allow(("iot:Connect", "client/*"), ("iot:Publish", "topic/*")))
        connection = raw(device=device, version=4)
        assert connection.connect(name).code == 0
        assert connection.publish(f"{name}/r", b"x") == 0
        connection.send_publish(f"{name}/r", b"x", qos=1, retain=True)
        connection.expect_closed()


class TestPersistentSession:
    def test_subscriptions_and_missed_qos_1_messages_wait(self, connect, name):
        away = connect(name, version=4, clean=False)
        assert away.session_present is False
        away.subscribe(f"{name}/t")
        away.kill()
        other = connect(f"{name}-pub", version=4)
        for number in range(5):
            other.publish(f"{name}/t", str(number))
        other.publish(f"{name}/t", b"qos 0", qos=0)
        back = connect(name, version=4, clean=False)
        assert back.session_present is True
        got = sorted(back.message().payload for _ in range(5))
        assert got == [b"0", b"1", b"2", b"3", b"4"]
        back.nothing_more(f"{name}/t")

    def test_what_was_not_acknowledged_comes_again(self, raw, connect, name):
        first = raw(version=4)
        first.connect(name, clean=False)
        first.subscribe((f"{name}/t", 1))
        connect(f"{name}-pub", version=4).publish(f"{name}/t", b"again")
        assert first.message(ack=False).payload == b"again"
        first.close()
        second = raw(version=4)
        assert second.connect(name, clean=False).session_present is True
        assert second.message().payload == b"again"
        second.disconnect()
        second.expect_closed()
        third = raw(version=4)
        assert third.connect(name, clean=False).session_present is True
        third.silent()

    def test_a_clean_session_forgets_it(self, raw, name):
        first = raw(version=4)
        first.connect(name, clean=False)
        first.subscribe((f"{name}/t", 1))
        first.disconnect()
        first.expect_closed()
        assert raw(version=4).connect(name, clean=True).session_present is False
        assert raw(version=4).connect(name, clean=False).session_present is False

    def test_it_ends_an_hour_after_the_disconnect(self, server, raw, name):
        first = raw(version=4)
        first.connect(name, clean=False)
        first.subscribe((f"{name}/t", 1))
        first.disconnect()
        first.expect_closed()
        server.advance(3590)
        second = raw(version=4)
        assert second.connect(name, clean=False).session_present is True
        second.disconnect()
        second.expect_closed()
        server.advance(3600 + 30 * 60 + 60)
        assert raw(version=4).connect(name, clean=False).session_present is False

    def test_mqtt_5_cannot_resume_it(self, raw, name):
        first = raw(version=4)
        first.connect(name, clean=False)
        first.disconnect()
        first.expect_closed()
        assert raw(version=5).connect(name, clean=False).session_present is False


class TestKeepAlive:
    """1 to 29 count as 30, 0 and more than 1200 as 1200; the end comes at one and a half times."""

    @pytest.mark.parametrize("asked_s,held_s,lost_s", [(60, 85, 95), (5, 40, 50), (0, 1790, 1810), (2000, 1790, 1810)])
    def test_silence_for_one_and_a_half_times_ends_the_connection(self, server, raw, name, asked_s, held_s, lost_s):
        connection = raw(version=4)
        assert connection.connect(name, keep_alive=asked_s).code == 0
        server.advance(held_s)
        connection.silent()
        server.advance(lost_s)
        connection.expect_closed()


class TestLimits:
    """Source: AWS General Reference, AWS IoT Core endpoints and quotas."""

    def test_a_client_id_of_128_bytes_is_let_in_and_of_129_is_not(self, raw, name):
        assert raw(version=4).connect(name.ljust(128, "x")).code == 0
        connection = raw(version=4)
        connection.send(wire.connect_packet(name.ljust(129, "x"), 4))
        answer = connection.read()
        assert answer is None or answer.body[1] == 2  # identifier rejected

    @pytest.mark.parametrize("topic,fits", [("a/b/c/d/e/f/g/h", True), ("a/b/c/d/e/f/g/h/i", False)])
    def test_seven_slashes_in_a_topic(self, raw, name, topic, fits):
        connection = raw(version=4)
        connection.connect(name)
        if fits:
            assert connection.publish(topic, b"x") == 0
        else:
            connection.send_publish(topic, b"x", qos=1)
            connection.expect_closed()

    @pytest.mark.parametrize("size,fits", [(256, True), (257, False)])
    def test_256_bytes_of_topic(self, raw, name, size, fits):
        connection = raw(version=4)
        connection.connect(name)
        topic = f"{name}/".ljust(size, "t")
        if fits:
            assert connection.publish(topic, b"x") == 0
        else:
            connection.send_publish(topic, b"x", qos=1)
            connection.expect_closed()

    @pytest.mark.parametrize("size,fits", [(128 * 1024, True), (128 * 1024 + 1, False)])
    def test_128_kb_of_message(self, raw, name, size, fits):
        connection = raw(version=4)
        connection.connect(name)
        if fits:
            assert connection.publish(f"{name}/t", bytes(size)) == 0
        else:
            connection.send_publish(f"{name}/t", bytes(size), qos=1)
            connection.expect_closed()

    def test_eight_filters_in_a_subscribe(self, raw, name):
        connection = raw(version=4)
        connection.connect(name)
        assert connection.subscribe(*((f"{name}/{n}", 1) for n in range(8))) == [1] * 8
        body = b"".join(text(f"{name}/{n}") + b"\1" for n in range(9))
        connection.send(packet(SUBSCRIBE, 2, b"\0\7" + body))
        connection.expect_closed()

    def test_fifty_subscriptions_a_connection_and_the_next_is_refused_in_its_suback(self, raw, name):
        connection = raw(version=4)
        connection.connect(name)
        for start in range(0, 48, 8):
            assert connection.subscribe(*((f"{name}/{n}", 1) for n in range(start, start + 8))) == [1] * 8
        assert connection.subscribe(*((f"{name}/{n}", 1) for n in range(48, 51))) == [1, 1, 0x80]
        # The same filter again is no further subscription.
        assert connection.subscribe((f"{name}/0", 0)) == [0]
        connection.unsubscribe(f"{name}/1")
        assert connection.subscribe((f"{name}/50", 1)) == [1]


def test_shared_subscriptions_work_in_3_1_1_too(connect, name):
    members = [connect(f"{name}-{n}", version=4) for n in range(2)]
    for member in members:
        assert member.subscribe(f"$share/{name}/{name}/t") == [1]
    publisher = connect(f"{name}-pub", version=4)
    for number in range(40):
        publisher.publish(f"{name}/t", str(number))
    for member in members:
        assert member.subscribe(f"{name}/end") == [1]
    publisher.publish(f"{name}/end", b"end")
    got = []
    for member in members:
        while (message := member.message()).payload != b"end":
            got.append(int(message.payload))
    assert sorted(got) == list(range(40))


def test_what_a_message_makes_a_client_publish_is_not_held_up(server, anyone, raw, name):
    """A client without TCP_NODELAY, as most are: its PUBLISH waits until the PUBACK before it is acknowledged by TCP.
    Held against the same exchange with TCP_NODELAY, as the machine may be busy."""
    def typical_s(nodelay):
        client = raw(version=4)
        client.stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, nodelay)
        client.connect(f"{name}-{nodelay}")
        client.subscribe((f"{name}/{nodelay}", 1))
        took = []
        for _ in range(30):
            begun = time.monotonic()
            client.send_publish(f"{name}/{nodelay}", b"x", qos=1)
            kinds = [client.read() for _ in range(2)]  # the message and the PUBACK, in whichever order
            message, = [got for got in kinds if got.type == wire.PUBLISH]
            took.append(time.monotonic() - begun)
            topic_len = struct.unpack(">H", message.body[:2])[0]
            client.ack(struct.unpack(">H", message.body[2 + topic_len:4 + topic_len])[0])
        return statistics.median(took)

    at_once = typical_s(1)
    assert typical_s(0) < at_once * 3 + 0.02
