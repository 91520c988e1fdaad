"""What the machine under the server can do to it: full disks, damaged files, no descriptors, peers that stall."""
import os
import pathlib
import resource
import shutil
import socket
import subprocess

import botocore.exceptions
import pytest
from support import wire
from support.mqtt import wait_until
from support.server import ROOT, Server, ServerFault

KEPT = [(wire.SESSION_EXPIRY, 3600)]


@pytest.fixture
def start(tmp_path):
    """start(*arguments): a server of this test's own."""
    started = []

    def make(*arguments, data=tmp_path / "data"):
        started.append(Server(data, ("--plain-port", "0", "--test", *arguments)))
        return started[-1].start()

    yield make
    for server in started:
        server.stop()


@pytest.fixture
def full_disk(tmp_path, monkeypatch):
    """A flag: while it exists, servers started by this test have no space left on their disk."""
    library, flag = tmp_path / "nospace.so", tmp_path / "full"
    subprocess.run(["cc", "-shared", "-fPIC", "-D_GNU_SOURCE", "-o", library, ROOT / "tests/faults/nospace.c", "-ldl"],
                   check=True)
    monkeypatch.setenv("LD_PRELOAD", str(library))
    monkeypatch.setenv("STARLING_NOSPACE", str(flag))
    monkeypatch.setenv("ASAN_OPTIONS", os.environ.get("ASAN_OPTIONS", "") + ":verify_asan_link_order=0")
    return flag


def code(call, **arguments):
    """The HTTP status with which an API call ends."""
    try:
        return call(**arguments)["ResponseMetadata"]["HTTPStatusCode"]
    except botocore.exceptions.ClientError as error:
        return error.response["ResponseMetadata"]["HTTPStatusCode"]


def test_a_full_disk_refuses_writes_serves_reads_and_heals(start, full_disk, name):
    server = start()
    iot = server.client("iot")
    iot.create_thing(thingName="before")
    with wire.plain_wire(server) as sub, wire.plain_wire(server) as pub, wire.plain_wire(server) as live:
        sub.connect(f"{name}-kept", props=KEPT)
        sub.subscribe((f"{name}/kept", 1))
        live.connect(f"{name}-live")
        live.subscribe((f"{name}/live", 1))
        pub.connect(f"{name}-pub")
        assert pub.publish(f"{name}/kept", "1") == 0
        full_disk.touch()
        assert code(iot.create_thing, thingName="during") in (500, 503)
        assert iot.describe_thing(thingName="before")["thingName"] == "before"
        assert pub.publish(f"{name}/live", "goes on") == 0
        assert live.message().payload == b"goes on"
        pub.send_publish(f"{name}/kept", "2", qos=1)
        refused = pub.read()  # never a success: the store does not have it
        assert refused is None or refused.type == wire.DISCONNECT or refused.body[2:3] > b"\x7f"
    assert server.alive()
    full_disk.unlink()
    wait_until(lambda: code(iot.create_thing, thingName="after") == 200, 20)  # RocksDB looks every 5 s
    server.kill()
    server.start()
    iot = server.client("iot")
    assert {thing["thingName"] for thing in iot.list_things()["things"]} >= {"before", "after"}


@pytest.mark.parametrize("damage", ["flip", "cut"])
def test_a_damaged_store_is_refused_with_a_clear_text_or_served_in_full(start, damage, tmp_path):
    server = start()
    iot = server.client("iot")
    for i in range(20):
        iot.create_thing(thingName=f"t{i}")
    server.stop()
    server.start()  # what the log held is in a table now
    server.stop()
    names = [file.name for pattern in ("*.sst", "MANIFEST-*", "CURRENT") for file in server.data.glob(f"store/{pattern}")]
    assert len(names) >= 3
    for name in names:
        copy = Server(shutil.copytree(server.data, tmp_path / f"{damage}-{name}"), server.arguments)
        file = copy.data / "store" / name
        whole = file.read_bytes()
        middle = len(whole) // 2
        file.write_bytes(whole[:middle] if damage == "cut"
                         else whole[:middle] + bytes([whole[middle] ^ 0x10]) + whole[middle + 1:])
        try:
            copy.start()
        except ServerFault as error:
            assert "damaged" in str(error) and "backup" in str(error), name
            continue
        # The damage is where nothing was read at the start: a read says so, or it did not matter.
        if code(copy.client("iot").list_things) != 500:
            assert len(copy.client("iot").list_things()["things"]) == 20, name
        copy.stop()


def test_without_descriptors_accept_goes_on_and_the_store_works(start, name):
    server = start("--store-files-max", "32")
    resource.prlimit(server.process.pid, resource.RLIMIT_NOFILE, (200, 200))
    iot, crowd = server.client("iot"), []
    iot.create_thing(thingName="first")
    with wire.plain_wire(server) as old:
        old.connect(name)
        old.subscribe((name, 1))
        for _ in range(250):
            crowd.append(socket.create_connection(("127.0.0.1", server.plain_port)))
        for one in crowd:
            one.setblocking(False)

        def closed():
            return sum(1 for one in crowd if ended(one))

        wait_until(lambda: closed() >= 50)
        old.send_publish(name, "still here", qos=1)
        assert {old.read().type, old.read().type} == {wire.PUBLISH, wire.PUBACK}
        for i in range(30):  # over the connection that is there; enough for the store to need new files
            iot.create_thing(thingName=f"crowded-{i}", attributePayload={"attributes": {"a": "x" * 800}})
        for one in crowd:
            one.close()
    wait_until(lambda: connects_plainly(server))
    assert "descriptor" in server.log()
    assert server.log().count("descriptor") < 10


def ended(stream):
    try:
        return stream.recv(1) == b""
    except BlockingIOError:
        return False
    except ConnectionError:
        return True


def connects_plainly(server):
    try:
        with wire.plain_wire(server) as one:
            one.send(wire.connect_packet("another", 5))
            return one.read() is not None
    except ConnectionError:
        return False


def test_half_open_handshakes_are_closed_in_time_and_hold_nobody_up(start, name):
    server = start("--connect-wait-s", "2")
    crowd = [socket.create_connection(("127.0.0.1", server.mqtt_port)) for _ in range(500)]
    for i, one in enumerate(crowd):
        one.sendall(b"\x16\x03\x01\x02\x00"[:i % 5 + 1])  # the beginning of a ClientHello
    server.client("iot").create_thing(thingName=name)
    with wire.plain_wire(server) as other:
        assert other.connect(name).code == 0
    for one in crowd:
        one.settimeout(10)
        assert ended(one)
        one.close()


def test_of_many_tls_sessions_the_newest_are_kept(start):
    """What is kept to be resumed takes memory, and anyone may make sessions."""
    server = start("--tls-sessions-max", "3")
    context = wire.tls_context(server, high=wire.ssl.TLSVersion.TLSv1_2)
    sessions = []
    for _ in range(6):
        with wire.tls_stream(server, port=server.https_port, context=context) as stream:
            assert not stream.session_reused
            sessions.append(stream.session)

    def resumed(session):
        with wire.tls_stream(server, port=server.https_port, context=context, session=session) as stream:
            return stream.session_reused

    again = [resumed(session) for session in reversed(sessions)]  # who is not resumed makes another session
    assert again[0] and not any(again[3:])


def test_a_client_that_never_reads_costs_bounded_memory_and_holds_nobody_up(start, name, monkeypatch):
    # What a sanitizer keeps of freed memory is not the server's.
    monkeypatch.setenv("ASAN_OPTIONS", os.environ.get("ASAN_OPTIONS", "") + ":quarantine_size_mb=4")
    server = start("--slow-reader-bytes-max", str(1 << 20))
    payload = b"x" * 100_000

    def resident_kb():
        status = pathlib.Path(f"/proc/{server.process.pid}/status").read_text()
        return int(status.split("VmRSS:")[1].split()[0])

    with wire.plain_wire(server) as deaf, wire.plain_wire(server) as pub, wire.plain_wire(server) as good:
        for one, suffix in ((deaf, "deaf"), (pub, "pub"), (good, "good")):
            one.connect(f"{name}-{suffix}")
        deaf.subscribe((name, 0))
        good.subscribe((name, 0))
        for _ in range(50):
            pub.publish(name, payload)
            assert good.message().payload == payload
        before = resident_kb()
        for _ in range(1000):
            pub.publish(name, payload)
            assert good.message().payload == payload
        assert resident_kb() - before < 30_000
    assert server.alive()
