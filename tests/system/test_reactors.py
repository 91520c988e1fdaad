"""Which of two reactors a connection is on: the first while that has time, the one with less to do when many come at once."""
import re
import socket

import pytest
import requests
from conftest import Fleet
from support import wire
from support.mqtt import wait_until
from support.server import Server

CROWD = 200


@pytest.fixture
def two(tmp_path):
    server = Server(tmp_path / "data", ("--reactors", "2")).start()
    yield server
    server.stop()


@pytest.fixture
def device(two, tmp_path):
    return Fleet(two, two.client("iot"), tmp_path).make("device")


def figures(server, name):
    """Of each reactor."""
    text = requests.get(f"{server.url}/metrics", verify=server.ca_file, timeout=10).text
    return [int(value) for value in re.findall(rf'^starling_{name}{{reactor="\d"}} (\d+)$', text, re.M)]


def join(server, device, client_id, *filters):
    connection = wire.tls_wire(server, device)
    connection.connect(client_id)
    if filters:
        connection.subscribe(*filters)
    return connection


def test_few_are_all_on_the_first(two, device):
    connections = [join(two, device, f"few-{n}") for n in range(3)]
    assert figures(two, "reactor_connections")[1] == 0
    for connection in connections:
        connection.close()


def test_a_crowd_of_handshakes_is_shared_and_all_hear_each_other(two, device):
    crowd = [socket.create_connection(("127.0.0.1", two.mqtt_port)) for _ in range(CROWD)]
    wait_until(lambda: sum(figures(two, "reactor_handshakes")) >= CROWD)
    assert min(figures(two, "reactor_handshakes")) >= CROWD / 4, figures(two, "reactor_handshakes")
    senders = [join(two, device, f"sender-{n}") for n in range(6)]
    receivers = [join(two, device, f"receiver-{n}", ("all", 1)) for n in range(6)]
    for n, sender in enumerate(senders):
        assert sender.publish("all", f"{n}") == 0
    for receiver in receivers:
        assert sorted(receiver.message().payload for _ in senders) == [b"%d" % n for n in range(len(senders))]
    for stream in crowd + senders + receivers:
        stream.close()
    wait_until(lambda: sum(figures(two, "reactor_handshakes")) <= 2)


def test_the_server_ends_in_good_order_with_handshakes_under_way_on_both(two):
    crowd = [socket.create_connection(("127.0.0.1", two.mqtt_port)) for _ in range(CROWD)]
    wait_until(lambda: min(figures(two, "reactor_handshakes")) > 0)
    two.stop()
    for stream in crowd:
        stream.settimeout(10)
        assert stream.recv(1) == b""
        stream.close()
