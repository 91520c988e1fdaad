"""Presence and subscription events. Source: AWS IoT developer guide, "Lifecycle events"."""
import json
import time

import pytest
from support import wire
from support.signed import presigned_path, websocket_wire


@pytest.fixture
def events(connect, name):
    """events(kind, client id): subscribes; returns a function that gives the next event of that kind."""
    watcher = connect(f"{name}-watcher", keep_alive=1200)

    def watch(kind, client_id):
        assert watcher.subscribe(f"$aws/events/{kind}/{client_id}") == [1]

        def take():
            message = watcher.message()
            assert message.topic == f"$aws/events/{kind}/{client_id}"
            return json.loads(message.payload)

        return take

    return watch


def test_connected(server, events, raw, anyone, name):
    take = events("presence/connected", name)
    raw().connect(name)
    got = take()
    assert abs(got.pop("timestamp") - server.now() * 1000) < 600 * 1000
    assert len(got.pop("sessionIdentifier")) >= 16
    assert isinstance(got.pop("versionNumber"), int)
    assert got == {"clientId": name, "eventType": "connected", "principalIdentifier": anyone.cert_id,
                   "ipAddress": "127.0.0.1"}


def test_disconnected_shares_session_and_version_with_its_connected(events, raw, name):
    up, connection = events("presence/connected", name), raw()
    connection.connect(name)
    connected = up()
    down = events("presence/disconnected", name)
    connection.disconnect()
    got = down()
    assert (got["clientInitiatedDisconnect"], got["disconnectReason"]) == (True, "CLIENT_INITIATED_DISCONNECT")
    assert (got["eventType"], got["clientId"]) == ("disconnected", name)
    for same in ("sessionIdentifier", "principalIdentifier", "versionNumber"):
        assert got[same] == connected[same]


def test_the_version_number_grows_with_each_connection(events, raw, name):
    take = events("presence/connected", name)
    numbers = []
    for _ in range(3):
        raw().connect(name)
        numbers.append(take()["versionNumber"])
    assert numbers == sorted(set(numbers))


class TestReason:
    @pytest.fixture
    def reason(self, events, raw, name):
        """reason(how, ...): the reason that the end brought about by `how` is told with."""
        def tell(how, **options):
            take = events("presence/disconnected", name)
            connection = raw()
            assert connection.connect(name, **options).code == 0
            how(connection)
            got = take()
            assert got["clientInitiatedDisconnect"] is (got["disconnectReason"] == "CLIENT_INITIATED_DISCONNECT")
            return got["disconnectReason"]

        return tell

    def test_connection_lost(self, reason):
        assert reason(lambda connection: connection.close()) == "CONNECTION_LOST"

    def test_duplicate_clientid(self, reason, raw, name):
        assert reason(lambda _: raw().connect(name)) == "DUPLICATE_CLIENTID"

    def test_mqtt_keep_alive_timeout(self, reason, server):
        assert reason(lambda _: server.advance(50), keep_alive=30) == "MQTT_KEEP_ALIVE_TIMEOUT"

    @pytest.mark.parametrize("data", [wire.connect_packet("again"), b"\x00\x00"])
    def test_client_error(self, reason, data):
        assert reason(lambda connection: connection.send(data)) == "CLIENT_ERROR"

    def test_api_initiated_disconnect(self, reason, data, name):
        assert reason(lambda _: data.delete_connection(clientId=name)) == "API_INITIATED_DISCONNECT"

    def test_auth_error_in_3_1_1(self, events, fleet, raw, name):
        from conftest import allow
        device = fleet.make(name, allow(("iot:Connect", "client/*")))
        take = events("presence/disconnected", name)
        connection = raw(device=device, version=4)
        connection.connect(name)
        connection.send_publish(f"{name}/t", b"x")
        assert take()["disconnectReason"] == "AUTH_ERROR"


def test_a_websocket_by_signature_is_told_with_its_key(server, events, name):
    take = events("presence/connected", name)
    with websocket_wire(server, presigned_path(server)) as connection:
        connection.connect(name)
        assert server.credentials[0] in take()["principalIdentifier"]


def test_subscribed_and_unsubscribed_tell_the_filters(events, raw, anyone, name):
    on, connection = events("subscriptions/subscribed", name), raw()
    connection.connect(name)
    connection.subscribe((f"{name}/a", 1), (f"{name}/#", 0))
    got = on()
    assert (got["clientId"], got["eventType"], got["topics"]) == (name, "subscribed", [f"{name}/a", f"{name}/#"])
    assert got["principalIdentifier"] == anyone.cert_id and got["sessionIdentifier"]
    off = events("subscriptions/unsubscribed", name)
    connection.unsubscribe(f"{name}/a")
    got = off()
    assert (got["eventType"], got["topics"]) == ("unsubscribed", [f"{name}/a"])


def test_a_connect_that_the_policy_forbids_is_told(events, fleet, raw, name):
    from conftest import allow
    device = fleet.make(name, allow(("iot:Connect", "client/other")))
    take = events("presence/connect_failed", name)
    assert raw(device=device).connect(name).code == 0x87
    got = take()
    assert (got["eventType"], got["connectFailureReason"], got["principalIdentifier"], got["ipAddress"]) == (
        "connect_failed", "AUTHORIZATION_FAILED", device.cert_id, "127.0.0.1")


@pytest.mark.parametrize("odd", ["#", "+"])
def test_client_ids_with_wildcards_make_no_events(connect, raw, name, odd):
    watcher = connect(f"{name}-watcher")
    watcher.subscribe("$aws/events/presence/connected/+")
    assert raw().connect(f"{name}{odd}").code == 0
    assert raw().connect(f"{name}-end").code == 0
    while (got := json.loads(watcher.message().payload)["clientId"]) != f"{name}-end":
        assert got != f"{name}{odd}"
