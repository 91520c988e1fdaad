"""A malformed packet ends its own connection, with the right reason, and nothing else. Sources: MQTT 5 clauses."""
import struct

import pytest
from support import wire
from support.wire import PUBACK, PUBLISH, SUBSCRIBE, UNSUBSCRIBE, packet, properties, text

MALFORMED, PROTOCOL_ERROR, PACKET_TOO_LARGE, TOPIC_INVALID = 0x81, 0x82, 0x95, 0x90


@pytest.fixture
def connected(raw, name):
    def make(version=5):
        connection = raw(version=version)
        assert connection.connect(name).code == 0
        return connection

    return make


BAD = {
    "reserved type 0": (packet(0, 0, b""), MALFORMED),
    "SUBSCRIBE flags 0 [MQTT-3.8.1-1]": (packet(SUBSCRIBE, 0, b"\0\1\0" + text("a") + b"\0"), MALFORMED),
    "UNSUBSCRIBE flags 0 [MQTT-3.10.1-1]": (packet(UNSUBSCRIBE, 0, b"\0\1\0" + text("a")), MALFORMED),
    "PINGREQ with flags": (packet(wire.PINGREQ, 1, b""), MALFORMED),
    "QoS 3 [MQTT-3.3.1-4]": (packet(PUBLISH, 6, text("a") + b"\0\1\0x"), MALFORMED),
    "DUP with QoS 0 [MQTT-3.3.1-2]": (packet(PUBLISH, 8, text("a") + b"\0x"), MALFORMED),
    "packet id 0 [MQTT-2.2.1-3]": (packet(PUBLISH, 2, text("a") + b"\0\0\0x"), PROTOCOL_ERROR),
    "topic longer than the packet": (packet(PUBLISH, 0, b"\0\xff" + b"a"), MALFORMED),
    "topic that is no UTF-8 [MQTT-1.5.4-1]": (packet(PUBLISH, 0, text(b"\xff\xfe") + b"\0x"), MALFORMED),
    "topic with U+0000 [MQTT-1.5.4-2]": (packet(PUBLISH, 0, text(b"a\0b") + b"\0x"), MALFORMED),
    "remaining length of five bytes": (b"\x30\xff\xff\xff\xff\x01", MALFORMED),
    "properties longer than the packet": (packet(PUBLISH, 0, text("a") + b"\x7f"), MALFORMED),
    "unknown property": (packet(PUBLISH, 0, text("a") + b"\x02\x7d\x00x"), MALFORMED),
    "property twice": (packet(PUBLISH, 0, text("a") + b"\x04\x01\x00\x01\x00x"), PROTOCOL_ERROR),
    "SUBSCRIBE without filter [MQTT-3.8.3-2]": (packet(SUBSCRIBE, 2, b"\0\1\0"), PROTOCOL_ERROR),
    "UNSUBSCRIBE without filter": (packet(UNSUBSCRIBE, 2, b"\0\1\0"), PROTOCOL_ERROR),
    "reserved bits of the options [MQTT-3.8.3-5]": (packet(SUBSCRIBE, 2, b"\0\1\0" + text("a") + b"\xc0"), MALFORMED),
    "subscription QoS 3 (3.8.3.1: a Protocol Error)": (packet(SUBSCRIBE, 2, b"\0\1\0" + text("a") + b"\3"), PROTOCOL_ERROR),
    "CONNACK from a client": (packet(wire.CONNACK, 0, b"\0\0\0"), PROTOCOL_ERROR),
    "SUBACK from a client": (packet(wire.SUBACK, 0, b"\0\1\0\0"), PROTOCOL_ERROR),
    "second CONNECT [MQTT-3.1.0-2]": (wire.connect_packet("again"), PROTOCOL_ERROR),
    "AUTH, which is not supported": (packet(wire.AUTH, 0, b""), PROTOCOL_ERROR),
}


@pytest.mark.parametrize("what", BAD)
def test_mqtt5_names_the_fault_and_closes(connected, what):
    data, code = BAD[what]
    connection = connected(5)
    connection.send(data)
    connection.expect_disconnect(code)


@pytest.mark.parametrize("what", ["reserved type 0", "SUBSCRIBE flags 0 [MQTT-3.8.1-1]", "QoS 3 [MQTT-3.3.1-4]",
                                  "remaining length of five bytes", "topic longer than the packet"])
def test_mqtt311_closes_without_a_word(connected, what):
    connection = connected(4)
    connection.send(BAD[what][0])
    connection.expect_closed()


def test_a_wildcard_in_a_published_topic_is_refused(connected):
    for topic in ("a/+", "a/#", "#"):
        connection = connected(5)
        connection.send_publish(topic, b"x")
        connection.expect_disconnect(TOPIC_INVALID)


@pytest.mark.parametrize("head", [
    text("MQIsdp") + b"\3\2\0\x3c", text("MQTT") + b"\7\2\0\x3c", text("mqtt") + b"\5\2\0\x3c\0",
    text("MQTT") + b"\5\3\0\x3c\0",  # reserved flag
    text("MQTT") + b"\5\x1a\0\x3c\0",  # will QoS 3 … without will
    text("MQTT") + b"\4\x42\0\x3c",  # password without user name in 3.1.1 [MQTT-3.1.2-22]
])
def test_a_connect_that_is_no_connect_is_never_accepted(raw, name, head):
    connection = raw()
    connection.send(packet(wire.CONNECT, 0, head + text(name)))
    answer = connection.read()
    assert answer is None or (answer.type == wire.CONNACK and answer.body[1] != 0)


def test_every_truncation_of_a_connect_waits_or_is_refused_and_never_accepted(raw, name):
    full = wire.connect_packet(name, props=[(wire.SESSION_EXPIRY, 60)], will=("w", b"x", 0, False))[2:]
    for length in range(len(full)):
        connection = raw()
        connection.send(packet(wire.CONNECT, 0, full[:length]))
        answer = connection.read()
        assert answer is None or answer.body[1] != 0, f"accepted after {length} bytes"


def test_a_packet_before_connect_closes(raw):
    connection = raw()
    connection.send(packet(SUBSCRIBE, 2, b"\0\1\0" + text("a") + b"\0"))
    connection.expect_closed()


def test_a_puback_that_nobody_waits_for_does_no_harm(connected):
    connection = connected(5)
    connection.send(packet(PUBACK, 0, struct.pack(">H", 777)))
    connection.silent()


def test_a_bad_connection_leaves_its_neighbours_alone(raw, name):
    good, bad = raw(), raw()
    assert good.connect(f"{name}-good").code == 0
    assert bad.connect(f"{name}-bad").code == 0
    assert good.subscribe((f"{name}/t", 1)) == [1]
    bad.send(packet(0, 0, b""))
    bad.expect_disconnect(MALFORMED)
    good.send_publish(f"{name}/t", b"x")
    assert good.message().payload == b"x"


def test_bytes_that_come_one_by_one_make_the_same_packets(raw, name):
    connection = raw()
    for byte in wire.connect_packet(name):
        connection.send(bytes([byte]))
    assert connection.connack().code == 0
    data = packet(SUBSCRIBE, 2, b"\0\1" + properties([]) + text(f"{name}/a") + b"\1")
    for byte in data:
        connection.send(bytes([byte]))
    assert connection.acked(wire.SUBACK, 1) == [1]


@pytest.mark.parametrize("request_bytes", [
    b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n",
    b"POST /things HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
    b"GET " + b"/a" * 50000 + b" HTTP/1.1\r\n\r\n",
    b"GET / HTTP/1.1\r\n" + b"A: " + b"b" * 200000 + b"\r\n\r\n",
    b"GET /\0 HTTP/1.1\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 999999999999\r\n\r\n",
])
def test_bad_http_gets_a_4xx_or_the_end(server, request_bytes):
    with wire.tls_stream(server, port=server.https_port) as stream:
        stream.settimeout(wire.TIMEOUT_S)
        try:
            stream.sendall(request_bytes)
            answer = stream.recv(4096)
        except (ConnectionError, wire.ssl.SSLError) as error:
            assert not isinstance(error, TimeoutError), "the server neither answered nor closed"
            answer = b""
    assert answer == b"" or answer.startswith(b"HTTP/1.1 4"), answer[:100]
