"""What a caller without credentials, or a device gone bad, may not do to the server's memory."""
import pathlib
import select
import socket
import time

import pytest
from support import wire, x509
from support.server import Server

REQUEST, REQUESTS = b"GET /health HTTP/1.1\r\nHost: a\r\n\r\n", 100000


@pytest.fixture
def narrow(server):
    """A TLS connection with small buffers, so that what is not read stays with the server."""
    raw = socket.socket()
    for option in (socket.SO_SNDBUF, socket.SO_RCVBUF):
        raw.setsockopt(socket.SOL_SOCKET, option, 32768)
    raw.settimeout(wire.TIMEOUT_S)
    raw.connect(("127.0.0.1", server.https_port))
    stream = wire.tls_context(server).wrap_socket(raw, server_hostname="localhost")
    yield stream
    stream.close()


def test_who_does_not_read_the_answers_cannot_send_more_requests(narrow):
    unsent, answers = REQUEST * REQUESTS, 0
    narrow.setblocking(False)
    while unsent and select.select([], [narrow], [], 1)[1]:
        try:
            unsent = unsent[narrow.send(unsent[:16384]):]
        except wire.ssl.SSLWantWriteError:
            pass
    assert unsent, "all was taken, and the answers wait in the server"
    tail = b""
    while answers < REQUESTS:
        readable, writable, _ = select.select([narrow], [narrow] if unsent else [], [], wire.TIMEOUT_S)
        assert readable or writable, f"nothing came after {answers} answers"
        try:
            got = tail + narrow.recv(65536)
            answers += got.count(b"HTTP/1.1 200 OK\r\n")
            tail = got[-16:]
        except wire.ssl.SSLWantReadError:
            pass
        try:
            unsent = unsent[narrow.send(unsent[:16384]):] if unsent else unsent
        except wire.ssl.SSLWantWriteError:
            pass


def resumes(server, device):
    """Whether a second connection goes on with the TLS session of the first."""
    context = wire.tls_context(server, device, high=wire.ssl.TLSVersion.TLSv1_2)
    with wire.tls_stream(server, port=server.https_port, context=context) as stream:
        stream.sendall(REQUEST)
        assert stream.recv(4096)  # its certificate has been looked up
        session = stream.session
    with wire.tls_stream(server, port=server.https_port, context=context, session=session) as stream:
        return stream.session_reused


def test_the_tls_session_of_an_unknown_certificate_is_not_kept(server, fleet, device, name):
    key = x509.new_key()
    unknown = fleet.save(f"{name}-unknown", "", "", x509.cert_pem(x509.certificate(name, key)), x509.key_pem(key))
    assert resumes(server, device)
    assert not resumes(server, unknown)


def test_nor_is_one_with_a_long_chain(server, fleet, device, name):
    cas = "".join(x509.cert_pem(x509.certificate(f"{name}-{i}", x509.new_key(), ca=True)) for i in range(30))
    chained = fleet.save(f"{name}-chained", "", "", device.cert_pem + cas, open(device.key_file).read())
    assert not resumes(server, chained)


def resident_mb(server):
    status = pathlib.Path(f"/proc/{server.process.pid}/status").read_text()
    return int(next(line for line in status.splitlines() if line.startswith("VmRSS")).split()[1]) >> 10


def test_a_message_for_many_sessions_that_are_away_is_kept_once(tmp_path):
    server = Server(tmp_path / "data", ("--test", "--plain-port", "0")).start()
    for i in range(200):
        with wire.plain_wire(server) as session:
            assert session.connect(f"away-{i}", props=[(wire.SESSION_EXPIRY, 3600)]).code == 0
            assert session.subscribe(("away", 1)) == [1]
    before = resident_mb(server)
    with wire.plain_wire(server) as publisher:
        assert publisher.connect("publisher").code == 0
        for i in range(50):
            publisher.send_publish("away", b"x" * 100000, qos=1)
        for i in range(50):
            publisher.expect(wire.PUBACK)
    assert resident_mb(server) - before < 500  # for each session it would be 1000 and more
    server.advance(4000)  # all expire, and with them what was kept for them
    peak = 0
    for _ in range(20):
        peak = max(peak, resident_mb(server))
        time.sleep(0.1)
    assert peak - before < 500
    server.stop()
