"""SIGTERM in the middle of things: the server ends soon and in good order (Server.stop looks at its status, and for what
a sanitizer says), and what it had acknowledged is there afterwards."""
import signal
import socket
import ssl
import struct
import threading
import time

import pytest
import requests
from support import wire
from support.mqtt import wait_until
from support.server import Server
from support.wire import connect_packet, packet, text

LOOPBACK = "127.0.0.1"
SOON_S = 10
RETAINED = 4000


@pytest.fixture
def start(tmp_path):
    servers = []

    def begin(*arguments):
        servers.append(Server(tmp_path / "data", ("--plain-port", "0", "--reactors", "3", *arguments)).start())
        return servers[-1]
    yield begin
    for server in servers:
        server.stop()


def figure(server, name):
    lines = requests.get(f"{server.url}/metrics", verify=server.ca_file, timeout=10).text.splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith(f"starling_{name}{{"))


def ends_soon(server):
    begun = time.monotonic()
    server.stop()
    assert time.monotonic() - begun < SOON_S


def client_hello():
    context = ssl.create_default_context()
    into, out = ssl.MemoryBIO(), ssl.MemoryBIO()
    with pytest.raises(ssl.SSLWantReadError):
        context.wrap_bio(into, out, server_hostname="localhost").do_handshake()
    return out.read()


def over(sockets):
    """Each has been closed, with or without last bytes."""
    for s in sockets:
        s.settimeout(SOON_S)
        try:
            while s.recv(65536):
                pass
        except ConnectionResetError:
            pass
        s.close()


def plain(server, client_id, clean=True, more=b""):
    s = socket.create_connection((LOOPBACK, server.plain_port), SOON_S)
    s.sendall(connect_packet(client_id, 4, clean=clean) + more)
    return s


def subscribe(topic):
    return packet(wire.SUBSCRIBE, 2, struct.pack(">H", 1) + text(topic) + b"\1")


def publish(topic, number, payload, retain=False):
    return packet(wire.PUBLISH, 2 | retain, text(topic) + struct.pack(">H", number) + payload)


def test_five_hundred_handshakes(start):
    server, hello = start(), client_hello()
    sockets = []
    for i in range(500):
        s = socket.create_connection((LOOPBACK, (server.mqtt_port, server.https_port)[i % 2]), SOON_S)
        s.sendall(hello[:(5, 100, len(hello))[i % 3]])
        sockets.append(s)
    wait_until(lambda: figure(server, "reactor_handshakes") >= 500)
    ends_soon(server)
    over(sockets)


def test_requests_that_are_half_sent(start):
    server = start()
    context = ssl.create_default_context(cafile=server.ca_file)
    halves = (b"GET /hea", b"POST /things/x HTTP/1.1\r\nhost: localhost\r\ncontent-length: 1000\r\n\r\n{\"",
              b"GET /health HTTP/1.1\r\nhost: localhost\r\n\r\nGET /hea")
    sockets = []
    for i in range(60):
        s = context.wrap_socket(socket.create_connection((LOOPBACK, server.https_port), SOON_S),
                                server_hostname="localhost")
        s.sendall(halves[i % 3])
        sockets.append(s)
    for s in sockets[2::3]:
        assert s.recv(12) == b"HTTP/1.1 200"
    ends_soon(server)
    over(sockets)


def test_clients_that_do_not_read(start):
    server = start()
    readers = [plain(server, f"r{i}", more=subscribe("much")) for i in range(10)]
    for s in readers:
        assert s.recv(4) == b"\x20\x02\x00\x00"
        assert wire.Wire(s, 4).read().type == wire.SUBACK
    with plain(server, "p") as p:
        p.settimeout(SOON_S)
        for number in range(1, 60):
            p.sendall(publish("much", number, bytes(100_000)))
        got = b""
        while got.count(b"\x40\x02") < 59:
            got += p.recv(4096)
    ends_soon(server)
    over(readers)


def test_a_reset_under_way(start):
    """It has a thread of its own, which needs the reactors, the workers and the store to the end."""
    server = start("--test", "--ephemeral")
    with plain(server, "p") as p:
        p.settimeout(SOON_S)
        assert p.recv(4) == b"\x20\x02\x00\x00"
        for number in range(1, RETAINED + 1):
            p.sendall(publish(f"kept/{number}", number, b"x", retain=True))
            if number % 50 == 0:
                got = 0
                while got < 50 * 4:
                    got += len(p.recv(4096))
    context = ssl.create_default_context(cafile=server.ca_file)
    asks = []
    for _ in range(3):
        s = context.wrap_socket(socket.create_connection((LOOPBACK, server.https_port), SOON_S),
                                server_hostname="localhost")
        s.sendall(b"POST /_starling/reset HTTP/1.1\r\nhost: localhost\r\ncontent-length: 0\r\n\r\n")
        asks.append(s)
    ends_soon(server)
    over(asks)


class Crowd:
    """Threads that do the same again and again, whatever becomes of it."""

    def __init__(self, count, act):
        self.end = threading.Event()
        self.act = act
        self.threads = [threading.Thread(target=self._run, args=(i,), daemon=True) for i in range(count)]
        for t in self.threads:
            t.start()

    def _run(self, index):
        while not self.end.is_set():
            try:
                self.act(index, self.end)
            except OSError:  # the server is going
                self.end.wait(0.01)

    def join(self):
        self.end.set()
        for t in self.threads:
            t.join()


@pytest.mark.parametrize("again", [None, signal.SIGTERM, signal.SIGINT])
def test_what_was_acknowledged_among_take_overs_is_there_after_the_stop(start, again):
    server = start()
    with plain(server, "kept", clean=False, more=subscribe("t")) as s:
        assert s.recv(4) == b"\x20\x02\x00\x00"
        assert wire.Wire(s, 4).read().type == wire.SUBACK
    acknowledged, taken = [[] for _ in range(4)], []

    def flood(index, end):
        with plain(server, f"p{index}") as p:
            p.settimeout(SOON_S)
            stream = wire.Wire(p, 4)
            if stream.read() is None:  # the server is going
                return
            while not end.is_set():
                number = len(acknowledged[index]) % 65535 + 1
                payload = f"{index}/{len(acknowledged[index])}"
                p.sendall(publish("t", number, payload.encode()))
                if stream.read() is None:
                    return
                acknowledged[index].append(payload)

    def take_over(index, _):
        with plain(server, f"c{index % 2}", clean=index % 3 == 0, more=subscribe("t")) as p:
            p.settimeout(SOON_S)
            p.recv(4096)
            taken.append(index)

    crowds = [Crowd(4, flood), Crowd(6, take_over)]
    wait_until(lambda: all(len(a) > 20 for a in acknowledged) and len(taken) > 50)
    if again:
        server.process.send_signal(again)
    ends_soon(server)
    for c in crowds:
        c.join()
    server.start()
    wanted = {payload for a in acknowledged for payload in a}
    with plain(server, "kept", clean=False) as s:
        s.settimeout(SOON_S)
        stream = wire.Wire(s, 4)
        assert stream.read().body[0] == 1, "the session is present"
        while wanted:
            message = stream.read()
            length = struct.unpack(">H", message.body[:2])[0]
            stream.send(packet(wire.PUBACK, 0, message.body[2 + length:4 + length]))
            wanted.discard(message.body[4 + length:].decode())
