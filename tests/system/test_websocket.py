"""MQTT over WebSocket, let in by SigV4 in the query or by certificate."""
import base64
import hashlib
import json
import os
import subprocess
import sys
import textwrap

import pytest
import websocket
from support import wire
from support.server import REGION, ROOT
from support.signed import presigned_path, websocket_wire


@pytest.mark.parametrize("service", ["iotdevicegateway", "iotdata"])
@pytest.mark.parametrize("version,subprotocol", [(4, "mqttv3.1"), (4, "mqtt"), (5, "mqtt")])
def test_a_presigned_url_connects_under_either_scope_and_the_subprotocol_is_echoed(server, name, service, version,
                                                                                    subprotocol):
    with websocket_wire(server, presigned_path(server, service=service), version, [subprotocol]) as connection:
        assert connection.subprotocol == subprotocol
        assert connection.connect(name).code == 0
        assert connection.subscribe((f"{name}/t", 1)) == [1]
        connection.send_publish(f"{name}/t", b"x")
        assert connection.message().payload == b"x"


def test_the_mqtt_port_takes_websockets_too(server, name):
    path = presigned_path(server, host=f"{server.host}:{server.mqtt_port}")
    with websocket_wire(server, path, port=server.mqtt_port) as connection:
        assert connection.connect(name).code == 0


def test_a_url_that_was_signed_for_the_host_without_port_is_accepted(server, name):
    # Source: AWSIoTPythonSDK 1.4.3 signs the bare host.
    with websocket_wire(server, presigned_path(server, host=server.host)) as connection:
        assert connection.connect(name).code == 0


@pytest.mark.parametrize("break_it", [
    lambda path: path[:-1] + ("0" if path[-1] != "0" else "1"),
    lambda path: path.replace(REGION, "eu-west-1"),
    lambda path: path.replace("X-Amz-Expires=300", "X-Amz-Expires=301"),
])
def test_a_url_with_a_wrong_signature_is_refused_with_403(server, break_it):
    with pytest.raises(websocket.WebSocketBadStatusException) as caught:
        websocket_wire(server, break_it(presigned_path(server)))
    assert caught.value.status_code == 403


def test_a_refusal_is_json_whatever_the_request_says(server):
    path = presigned_path(server).replace("%2Faws4_request", "%22%2C%22a%22%3A%22")
    with pytest.raises(websocket.WebSocketBadStatusException) as caught:
        websocket_wire(server, path)
    assert list(json.loads(caught.value.resp_body)) == ["message"]


def test_an_unknown_key_is_refused(server):
    with pytest.raises(websocket.WebSocketBadStatusException) as caught:
        websocket_wire(server, presigned_path(server, key=("AKIAIOSFODNN7EXAMPLE", "secret")))
    assert caught.value.status_code == 403


def test_the_answer_is_whole_within_1024_bytes_and_agrees_to_no_extension(server):
    """AWSIoTPythonSDK reads the 101 at once, with a key of 128 bytes in a header of lower case."""
    key = base64.b64encode(os.urandom(128)).decode()
    with wire.tls_stream(server, port=server.https_port) as stream:
        stream.settimeout(wire.TIMEOUT_S)
        stream.sendall((f"GET {presigned_path(server)} HTTP/1.1\r\nHost: {server.host}:{server.https_port}\r\n"
                        "Upgrade: websocket\r\nConnection: Upgrade\r\nsec-websocket-version: 13\r\n"
                        f"sec-websocket-key: {key}\r\nsec-websocket-protocol: mqttv3.1\r\n"
                        "sec-websocket-extensions: permessage-deflate; client_max_window_bits\r\n\r\n").encode())
        answer = stream.recv(1024)
    assert answer.startswith(b"HTTP/1.1 101 ") and answer.endswith(b"\r\n\r\n")
    headers = dict(line.lower().split(": ", 1) for line in answer.decode().split("\r\n")[1:] if line)
    expected = base64.b64encode(hashlib.sha1((key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").encode()).digest()).decode()
    assert headers["sec-websocket-accept"] == expected.lower()
    assert headers["sec-websocket-protocol"] == "mqttv3.1"
    assert "sec-websocket-extensions" not in headers


def test_one_mqtt_packet_comes_in_one_frame(server, name):
    """AWSIoTPythonSDK expects it so."""
    with websocket_wire(server, presigned_path(server)) as connection:
        connection.connect(name)
        connection.subscribe((f"{name}/t", 0))
        for number in range(20):
            connection.send_publish(f"{name}/t", str(number) * 50)
        for _ in range(20):
            frame = connection.stream.recv(0)
            length = wire.Cursor(frame[1:])
            assert length.varint() == len(frame) - 1 - length.at


def test_packets_may_be_spread_over_frames_and_share_them(server, name):
    with websocket_wire(server, presigned_path(server)) as connection:
        data = wire.connect_packet(name) + wire.packet(wire.PINGREQ, 0, b"")
        for at in range(0, len(data), 3):
            connection.send(data[at:at + 3])
        assert connection.connack().code == 0
        connection.expect(wire.PINGRESP)


def test_a_text_frame_ends_the_connection(server, name):
    with websocket_wire(server, presigned_path(server)) as connection:
        connection.connect(name)
        connection.stream.connection.send("text")
        connection.expect_closed()


def test_a_close_frame_is_a_clients_own_disconnect_and_sends_no_will(server, connect, name):
    # Source: AWS IoT developer guide, life-cycle events
    sub = connect(f"{name}-sub")
    sub.subscribe(f"{name}/will")
    connection = websocket_wire(server, presigned_path(server))
    connection.connect(name, will=(f"{name}/will", b"gone", 1, False))
    connection.close()
    sub.nothing_more(f"{name}/will")


def test_a_ping_is_answered_by_its_pong(server, name):
    with websocket_wire(server, presigned_path(server)) as connection:
        connection.connect(name)
        connection.stream.connection.ping(b"payload")
        opcode, frame = connection.stream.connection.recv_data_frame(control_frame=True)
        assert (opcode, frame.data) == (websocket.ABNF.OPCODE_PONG, b"payload")


def test_without_a_known_subprotocol_there_is_no_upgrade(server):
    with pytest.raises(websocket.WebSocketBadStatusException) as caught:
        websocket_wire(server, presigned_path(server), subprotocols=["chat"])
    assert 400 <= caught.value.status_code < 500


def test_paho_over_websocket(server, connect, name):
    client = connect(name, device=None, port=server.https_port, transport="websockets", path=presigned_path(server))
    client.subscribe(f"{name}/t")
    client.publish(f"{name}/t", b"x")
    assert client.message().payload == b"x"


SDK_PROGRAM = textwrap.dedent("""
    # The SDK takes the region out of the host name and insists on AWS's; so the name resolves here to the server.
    import queue, socket, sys
    host, port, ca, key, secret, name = sys.argv[1:]
    resolve = socket.getaddrinfo
    socket.getaddrinfo = lambda h, *rest, **more: resolve("127.0.0.1" if h == host else h, *rest, **more)
    from AWSIoTPythonSDK.MQTTLib import AWSIoTMQTTClient
    client = AWSIoTMQTTClient(name, useWebsocket=True)
    client.configureEndpoint(host, int(port))
    client.configureCredentials(ca)
    client.configureIAMCredentials(key, secret)
    client.configureConnectDisconnectTimeout(10)
    client.configureMQTTOperationTimeout(10)
    got = queue.Queue()
    assert client.connect()
    assert client.subscribe(name + "/t", 1, lambda c, u, message: got.put(message.payload))
    assert client.publish(name + "/t", "over websocket", 1)
    print(got.get(timeout=10).decode())
    client.disconnect()
""")


@pytest.mark.parametrize("python", [sys.executable, ROOT / ".venv-sdk143/bin/python"], ids=["newest", "1.4.3"])
def test_the_device_sdk_over_websocket(server, name, python):
    key, secret = server.credentials
    host = f"abc123-ats.iot.{REGION}.amazonaws.com"
    result = subprocess.run([python, "-c", SDK_PROGRAM, host, str(server.https_port), server.ca_file, key, secret, name],
                            capture_output=True, text=True, timeout=50)
    assert (result.returncode, result.stdout) == (0, "over websocket\n"), result.stderr


def test_plain_http_on_the_websocket_path_is_told_so(server):
    with wire.tls_stream(server, port=server.https_port) as stream:
        stream.settimeout(wire.TIMEOUT_S)
        stream.sendall(f"GET {presigned_path(server)} HTTP/1.1\r\nHost: {server.host}:{server.https_port}\r\n\r\n".encode())
        assert stream.recv(4096).split(b" ")[1][:1] == b"4"
