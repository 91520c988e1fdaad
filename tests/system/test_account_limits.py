"""What an account may have in all: each a setting with AWS's number as default.
Source: AWS General Reference, AWS IoT Core message broker quotas."""
import subprocess

import pytest
from conftest import Fleet
from support import wire
from support.mqtt import Mqtt, wait_until
from support.server import BINARY, Server

LIMITS = {"retained-messages-max": 2, "account-subscriptions-max": 6, "account-connections-max": 3,
          "share-groups-max": 2, "shares-per-group-max": 2}
QUOTA_EXCEEDED = 0x97


@pytest.fixture
def small(tmp_path):
    """A server with small limits, and connect(client_id, **options) to it."""
    server = Server(tmp_path / "data", tuple(f"--{name}={value}" for name, value in LIMITS.items())).start()
    device = Fleet(server, server.client("iot"), tmp_path).make("device")
    opened = []

    def connect(client_id, **options):
        client = Mqtt(server, device, client_id, **options)
        opened.append(client)
        return client.connect()

    connect.server, connect.device = server, device
    yield connect
    for client in opened:
        client.__exit__()
    server.stop()


def test_the_defaults_are_those_of_aws():
    text = subprocess.run([BINARY, "serve", "--help"], capture_output=True, text=True, timeout=60).stdout
    for name, value in (("retained-messages-max", 500000), ("account-subscriptions-max", 500000),
                        ("account-connections-max", 500000), ("share-groups-max", 100), ("shares-per-group-max", 100)):
        line = next(line for line in text.splitlines() if f"--{name} " in line)
        assert line.endswith(f"(default {value})")


def test_connections(small):
    held = [small(f"c{number}") for number in range(3)]
    with wire.tls_wire(small.server, small.device) as one_more:
        one_more.send(wire.connect_packet("c3", 5))
        assert one_more.read().body[1] == QUOTA_EXCEEDED
    held[0].client.disconnect()
    held[0].wait_disconnected()
    small("c4")


def test_subscriptions_of_all_clients_together(small):
    first, second = small("a"), small("b")
    for number in range(3):
        assert first.subscribe(f"a/{number}") == [1] and second.subscribe(f"b/{number}") == [1]
    assert first.subscribe("a/3") == [QUOTA_EXCEEDED]
    assert first.subscribe("a/2") == [1]
    second.unsubscribe("b/0")
    assert first.subscribe("a/3") == [1]


def test_share_groups_and_their_members_are_counted_apart(small):
    clients = [small(name) for name in "abc"]
    assert clients[0].subscribe("$share/g/t") == [1] and clients[1].subscribe("$share/g/t") == [1]
    assert clients[2].subscribe("$share/g/t") == [QUOTA_EXCEEDED]
    assert clients[2].subscribe("$share/h/t") == [1]
    assert clients[2].subscribe("$share/i/t") == [QUOTA_EXCEEDED]
    clients[2].unsubscribe("$share/h/t")
    assert clients[2].subscribe("$share/i/t") == [1]


def test_retained_messages(small):
    client = small("a")
    for number in range(2):
        assert client.publish(f"r/{number}", b"x", retain=True) == 0
    assert client.publish("r/2", b"x", retain=True) == QUOTA_EXCEEDED
    assert client.publish("r/1", b"y", retain=True) == 0
    old = small("b", version=4)
    old.client.publish("r/3", b"x", 1, True)
    old.wait_disconnected()
    data = small.server.client("iot-data")
    with pytest.raises(data.exceptions.ClientError):
        data.publish(topic="r/4", payload=b"x", qos=1, retain=True)
    assert client.publish("r/0", b"", retain=True) == 0
    assert client.publish("r/2", b"z", retain=True) == 0

    def kept():
        return {item["topic"] for item in data.list_retained_messages()["retainedTopics"]}
    assert kept() == {"r/1", "r/2"}
    small.server.stop()
    small.server.start()
    data = small.server.client("iot-data")
    assert kept() == {"r/1", "r/2"}
    again = small("a")
    assert again.publish("r/5", b"x", retain=True) == QUOTA_EXCEEDED
    assert again.publish("r/1", b"", retain=True) == 0
    wait_until(lambda: kept() == {"r/2"})
    assert again.publish("r/5", b"x", retain=True) == 0
