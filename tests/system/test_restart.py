"""What a server knows after it was stopped, and after it was killed. Each test has a server of its own."""
import json
import socket
import subprocess
import time

import pytest
import requests
from conftest import Fleet
from support import wire
from support.refused import connects
from support.server import BINARY, Server, ServerFault
from support.signed import presigned_path, send, websocket_wire

pytestmark = pytest.mark.both


@pytest.fixture
def own(tmp_path):
    """A server of this test's own, its clients made anew by `own.client` after each start."""
    running = Server(tmp_path / "data", ("--plain-port", "0", "--test")).start()
    yield running
    running.stop()


@pytest.fixture(params=["stop", "kill"])
def again(request, own):
    """again(): ends the server one way or the other and starts it once more on the same data."""
    def run():
        getattr(own, request.param)()
        own.start()

    return run


def test_things_certificates_policies_and_shadows_are_there_again(own, again, name, tmp_path):
    iot, data = own.client("iot"), own.client("iot-data")
    device = Fleet(own, iot, tmp_path).make(name)
    iot.update_thing(thingName=name, attributePayload={"attributes": {"a": "1"}})
    data.update_thing_shadow(thingName=name, payload='{"state":{"desired":{"a":1}}}')
    before = iot.describe_thing(thingName=name)
    again()
    iot, data = own.client("iot"), own.client("iot-data")
    after = iot.describe_thing(thingName=name)
    assert {key: after[key] for key in ("thingId", "attributes", "version")} == {
        key: before[key] for key in ("thingId", "attributes", "version")}
    shadow = json.loads(data.get_thing_shadow(thingName=name)["payload"].read())
    assert (shadow["state"]["desired"], shadow["version"]) == ({"a": 1}, 1)
    assert connects(own, device, name)


def test_a_revoked_certificate_stays_revoked(own, again, name, tmp_path):
    iot = own.client("iot")
    device = Fleet(own, iot, tmp_path).make(name)
    iot.update_certificate(certificateId=device.cert_id, newStatus="REVOKED")
    again()
    assert not connects(own, device, name)


def test_sessions_their_subscriptions_and_messages_are_there_again(own, again, name):
    with wire.plain_wire(own) as sub:
        sub.connect(name, clean=True, props=[(wire.SESSION_EXPIRY, 3600)])
        assert sub.subscribe((f"{name}/t", 1)) == [1]
        sub.disconnect()
        sub.expect_closed()
    with wire.plain_wire(own) as pub:
        pub.connect(f"{name}-pub")
        for number in range(10):
            assert pub.publish(f"{name}/t", str(number)) == 0
    again()
    with wire.plain_wire(own) as sub:
        assert sub.connect(name, clean=False, props=[(wire.SESSION_EXPIRY, 3600)]).session_present is True
        assert [int(sub.message().payload) for _ in range(10)] == list(range(10))
    with wire.plain_wire(own) as pub:
        pub.connect(f"{name}-pub2")
        assert pub.publish(f"{name}/t", b"later") == 0


def test_retained_messages_are_there_again(own, again, name):
    with wire.plain_wire(own) as pub:
        pub.connect(name)
        assert pub.publish(f"{name}/r", b"kept", retain=True) == 0
    again()
    with wire.plain_wire(own) as sub:
        sub.connect(name)
        sub.subscribe((f"{name}/r", 1))
        message = sub.message()
        assert (message.payload, message.retain) == (b"kept", True)


def test_the_access_key_and_the_ca_stay_the_same(own, again):
    key, ca = own.credentials, open(own.ca_file).read()
    again()
    assert own.credentials == key and open(own.ca_file).read() == ca
    own.client("iot").list_things()


def test_a_stop_tells_mqtt_5_clients_and_is_clean(own, name):
    connection = wire.plain_wire(own)
    connection.connect(name)
    own.stop()
    got = connection.read()
    if got is not None:
        assert got.type == wire.DISCONNECT and got.body[0] == 0x8B  # server shutting down
        connection.expect_closed()
    connection.close()
    own.start()


def test_ready_json_is_there_only_while_the_ports_accept(own):
    for port in (own.mqtt_port, own.https_port, own.plain_port):
        socket.create_connection(("127.0.0.1", port), wire.TIMEOUT_S).close()
    assert own.ready["pid"] == own.process.pid
    assert own.ready["endpoint"]


def test_ready_json_goes_with_the_server(own):
    ready = own.data / "ready.json"
    own.stop()
    assert not ready.exists()
    ready.write_text("{}")  # as of one that was killed
    own.start()
    assert json.loads(ready.read_text())["pid"] == own.process.pid
    own.stop()
    assert not ready.exists()
    own.start()


def test_two_servers_cannot_share_one_folder(own):
    ready = (own.data / "ready.json").read_text()
    result = subprocess.run([BINARY, "serve", "--data", own.data, "--mqtt-port", "0", "--https-port", "0"],
                            capture_output=True, text=True, timeout=30)
    assert result.returncode != 0
    assert str(own.data) in result.stderr + result.stdout
    assert (own.data / "ready.json").read_text() == ready


def test_a_port_that_is_taken_is_told(own, tmp_path):
    with pytest.raises(ServerFault) as caught:
        taken = Server(tmp_path / "other", ("--mqtt-port", str(own.mqtt_port)))
        taken.start()
    assert str(own.mqtt_port) in str(caught.value)


def test_without_test_the_test_controls_do_not_exist(tmp_path):
    plain = Server(tmp_path / "plain").start()
    try:
        for path in ("clock", "reset"):
            answer = requests.post(f"{plain.url}/_starling/{path}", json={}, verify=plain.ca_file, timeout=10)
            assert answer.status_code in (403, 404)
    finally:
        plain.stop()


def test_reset_empties_the_server(own, name):
    iot = own.client("iot")
    iot.create_thing(thingName=name)
    answer = requests.post(f"{own.url}/_starling/reset", json={}, verify=own.ca_file, timeout=10)
    assert answer.status_code == 200
    assert own.client("iot").list_things()["things"] == []


def test_reset_ends_sessions_certificates_shadows_and_retained_messages_at_once(own, name, tmp_path):
    iot, data = own.client("iot"), own.client("iot-data")
    device = Fleet(own, iot, tmp_path).make(name)
    for number in range(100):
        iot.create_thing(thingName=f"{name}-{number}")
    data.update_thing_shadow(thingName=name, payload='{"state":{"desired":{"a":1}}}')
    data.publish(topic=f"{name}/r", qos=1, payload=b"kept", retain=True)
    props = [(wire.SESSION_EXPIRY, 3600)]
    with wire.tls_wire(own, device) as connection:
        connection.connect(name, will=(f"{name}/will", b"gone", 1, False), props=props)
        connection.subscribe((f"{name}/t", 1))
        started = time.monotonic()
        answer = requests.post(f"{own.url}/_starling/reset", verify=own.ca_file, timeout=10)
        assert answer.status_code == 200 and time.monotonic() - started < 1
        while (got := connection.read()) is not None:
            assert got.type == wire.DISCONNECT
    assert not connects(own, device, name)
    assert data.list_retained_messages()["retainedTopics"] == []
    with pytest.raises(data.exceptions.ResourceNotFoundException):
        data.get_thing_shadow(thingName=name)
    with pytest.raises(data.exceptions.ResourceNotFoundException):
        data.get_connection(clientId=name)
    again = Fleet(own, iot, tmp_path).make(name)
    with wire.tls_wire(own, again) as connection:
        assert connection.connect(name, clean=False, props=props).session_present is False


def test_ephemeral_leaves_nothing_behind(tmp_path, name):
    server = Server(tmp_path / "data", ("--ephemeral",)).start()
    server.client("iot").create_thing(thingName=name)
    server.stop()
    server.start()
    assert name not in {thing["thingName"] for thing in server.client("iot").list_things()["things"]}
    server.stop()


def test_another_account_finds_its_session_and_retained_messages_again(own, again, name):
    made = send(own, "POST", "/_starling/keys", json.dumps({"account": "210987654321"}).encode(), "starling").json()
    key = made["accessKeyId"], made["secretAccessKey"]
    kept = {"clean": False, "props": [(wire.SESSION_EXPIRY, 3600)]}
    with websocket_wire(own, presigned_path(own, key=key)) as sub:
        sub.connect(name, **kept)
        assert sub.subscribe((f"{name}/q", 1)) == [1]
    data = own.client("iot-data", *key)
    data.publish(topic=f"{name}/q", payload=b"waits", qos=1)
    data.publish(topic=f"{name}/r", payload=b"stays", qos=1, retain=True)
    again()
    with websocket_wire(own, presigned_path(own, key=key)) as sub:
        assert sub.connect(name, **kept).session_present
        assert sub.message().payload == b"waits"
        assert sub.subscribe((f"{name}/r", 1)) == [1]
        assert sub.message().payload == b"stays"
