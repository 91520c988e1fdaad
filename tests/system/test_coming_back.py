"""A persistent session that comes back while others publish to it."""
import pytest
from support import wire

pytestmark = pytest.mark.both
ROUNDS, MESSAGES = 10, 90


@pytest.mark.parametrize("version", [4, 5])
def test_what_waited_comes_before_what_is_published_meanwhile_and_after_connack(server, name, version):
    options = {"props": [(wire.SESSION_EXPIRY, 3600)]} if version == 5 else {}
    with wire.plain_wire(server, version) as sub:
        sub.connect(name, clean=version == 5, **options)
        sub.subscribe((f"{name}/#", 1))
    last = 0
    with wire.plain_wire(server, 4) as pub:
        pub.connect(f"{name}-pub")
        for _ in range(ROUNDS):
            first = last + 1
            for number in range(first, first + 5):
                pub.publish(f"{name}/t", str(number))
            last = first + 4 + MESSAGES
            with wire.plain_wire(server, version) as sub:
                sub.send(wire.connect_packet(name, version, clean=False, **options))
                for number in range(first + 5, last + 1):
                    pub.send_publish(f"{name}/t", str(number), qos=1)
                assert sub.connack().session_present
                got = []
                while not got or got[-1] < last:
                    number = int(sub.message().payload)
                    assert number not in got
                    got.append(number)
                assert got == list(range(first, last + 1))
                sub.silent()
            for _ in range(MESSAGES):
                pub.expect(wire.PUBACK)


def test_messages_are_acknowledged_long_after_they_were_written(server, name):
    options = {"clean": False, "props": [(wire.SESSION_EXPIRY, 3600)]}
    with wire.plain_wire(server) as one, wire.plain_wire(server) as two, wire.plain_wire(server) as pub:
        pub.connect(f"{name}-pub")
        one.connect(f"{name}-1", **options)
        one.subscribe((f"{name}/#", 1))
        for also in (None, two):  # alone, then with a session that shares what is written
            if also:
                also.connect(f"{name}-2", **options)
                also.subscribe((f"{name}/#", 1))
            for _ in range(5):
                pub.publish(f"{name}/t", b"x")  # its PUBACK comes when both queues are written
            pub.publish(f"{name}/other", b"y")
            for sub in (one, also):
                if sub is None:
                    continue
                ids = [sub.message(ack=False).packet_id for _ in range(6)]
                for packet_id in ids:
                    sub.ack(packet_id)
                sub.silent()
