"""What clients can do to a server all together: take all its file descriptors, never read, begin a thousand handshakes and
leave them. Everybody else must not notice.
"""
import asyncio
import pathlib
import resource
import socket

from client import Mqtt, device_context
from ledger import Inbox, Publisher
from support import wire
from support.server import Server
from traffic import Traffic, wait_until

FILES = 300
HALF_OPEN, HALF_OPEN_WAIT_S = 1000, 4
RESIDENT_MORE_KB_MAX = 60_000
DEAF_BYTES, DEAF_MESSAGES = 20_000, 300


def resident_kb(server):
    status = pathlib.Path(f"/proc/{server.process.pid}/status").read_text()
    return int(status.split("VmRSS:")[1].split()[0])


def call_crowd(port, count):
    """Connections that say nothing; those that could be made."""
    crowd = []
    for _ in range(count):
        one = socket.socket()
        one.setblocking(False)
        one.connect_ex(("127.0.0.1", port))
        crowd.append(one)
    return crowd


def ended(one):
    try:
        return one.recv(65536) == b""
    except BlockingIOError:
        return False
    except OSError:
        return True


async def dismiss(crowd):
    for one in crowd:
        one.close()


async def connects_in(server, context, name):
    """Seconds that a new device needs, by TLS; None: it was not let in."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    mqtt = Mqtt(name, 5)
    try:
        await asyncio.wait_for(mqtt.open(server.mqtt_port, context), 15)
        await mqtt.close()
        return loop.time() - began
    except (OSError, asyncio.TimeoutError):
        return None


def device(server, folder):
    iot = server.client("iot")
    iot.create_policy(policyName="everything", policyDocument='{"Version":"2012-10-17","Statement":'
                      '[{"Effect":"Allow","Action":"iot:*","Resource":"*"}]}')
    return device_context(server, iot, folder, "everything")


async def descriptors(cases, folder, seconds):
    server = Server(folder / "descriptors", ("--plain-port", "0", "--test", "--store-files-max", "32"))
    try:
        server.start()
        resource.prlimit(server.process.pid, resource.RLIMIT_NOFILE, (FILES, FILES))
        traffic = await Traffic(server).start()
        crowd = call_crowd(server.plain_port, FILES * 2)
        full = await wait_until(lambda: sum(ended(one) for one in crowd) >= FILES / 2, 20)
        acked, cut = traffic.acked, traffic.cut
        await asyncio.sleep(seconds)
        cases.add("without descriptors: who comes too late is closed", "" if full else "nobody was")
        cases.add("without descriptors: who was there goes on", "" if traffic.acked > acked and traffic.cut == cut
                  else f"{traffic.acked - acked} acknowledged, {traffic.cut - cut} cut")
        await dismiss(crowd)
        again = False
        for _ in range(40):
            try:
                mqtt = await Mqtt("late", 5).open(server.plain_port)
                await mqtt.close()
                again = True
                break
            except (OSError, asyncio.TimeoutError):
                await asyncio.sleep(0.25)
        cases.add("with descriptors again: new clients are let in", "" if again else "not within ten seconds")
        said = server.log().count("descriptor")
        cases.add("without descriptors: the log says it, and not a thousand times", "" if 0 < said < 20 else f"{said} times")
        verdict = await traffic.settle()
        cases.say("descriptors: " + traffic.told(verdict))
        cases.add("without descriptors: nothing is lost, doubled or out of order", cases.bad(verdict))
        server.stop()
    finally:
        if server.alive():
            server.kill()


class Deaf:
    """A client that subscribes and then never reads; its receive buffer is small."""

    def __init__(self, server, name, topic, qos):
        raw = socket.socket()
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)
        raw.connect(("127.0.0.1", server.plain_port))
        self.wire = wire.Wire(raw)
        self.wire.connect(name, props=[(wire.SESSION_EXPIRY, 3600)])
        self.wire.subscribe((topic, qos))


async def deaf(cases, folder):
    server = Server(folder / "deaf", ("--plain-port", "0", "--test"))
    try:
        server.start()
        traffic = await Traffic(server).start()
        publisher = Publisher("loud", ["loud/1"])
        inbox = Inbox("deaf-1", ["loud/"], {"loud": publisher})
        deafs = [Deaf(server, "deaf-1", "loud/#", 1)] + [Deaf(server, f"deaf-{i}", "loud/#", 0) for i in range(2, 12)]
        loud = await Mqtt("loud", 5).open(server.plain_port)
        before, cut = resident_kb(server), traffic.cut
        for _ in range(DEAF_MESSAGES):
            number = publisher.take()
            if await loud.publish("loud/1", publisher.payload(number)) in (0, 16):
                publisher.acked.add(number)
            loud.publish_once("loud/more", b"x" * DEAF_BYTES)
        more = resident_kb(server) - before
        cases.say(f"eleven deaf clients, {DEAF_MESSAGES * DEAF_BYTES >> 20} MB sent to each: {more} kB more resident")
        cases.add("clients that never read cost bounded memory", "" if more < RESIDENT_MORE_KB_MAX else f"{more} kB")
        cases.add("clients that never read cut nobody else off", "" if traffic.cut == cut else f"{traffic.cut - cut} cut")
        for one in deafs:
            one.wire.close()
        back = Mqtt("deaf-1", 5, clean=False, expiry_s=3600, on_message=lambda topic, payload: topic == "loud/1"
                    and inbox.message(topic, payload))
        await back.open(server.plain_port)
        await wait_until(lambda: not inbox.missing(), 20)
        verdict = inbox.settle()
        verdict.acknowledged += len(publisher.acked)
        cases.add("who begins to read again gets all that was acknowledged", cases.bad(verdict))
        await back.close()
        await loud.close()
        verdict = await traffic.settle()
        cases.say("deaf: " + traffic.told(verdict))
        cases.add("clients that never read: nothing is lost, doubled or out of order", cases.bad(verdict))
        server.stop()
    finally:
        if server.alive():
            server.kill()


async def half_open(cases, folder):
    server = Server(folder / "half-open", ("--plain-port", "0", "--test", "--connect-wait-s", str(HALF_OPEN_WAIT_S)))
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, max(soft, 4096)), hard))
    try:
        server.start()
        context = device(server, folder)
        traffic = await Traffic(server).start()
        before, cut = resident_kb(server), traffic.cut
        crowd = call_crowd(server.mqtt_port, HALF_OPEN)
        await asyncio.sleep(0.2)
        for i, one in enumerate(crowd):
            try:
                one.send(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"[:i % 11 + 1])  # the beginning of a ClientHello
            except OSError:
                pass
        times = [await connects_in(server, context, f"new-{i}") for i in range(10)]
        most = resident_kb(server) - before
        closed = await wait_until(lambda: all(ended(one) for one in crowd), HALF_OPEN_WAIT_S + 15)
        cases.say(f"{HALF_OPEN} half-open handshakes: new devices in {min(t or 99 for t in times) * 1000:.0f} to "
                  f"{max(t or 99 for t in times) * 1000:.0f} ms, {most} kB more resident")
        cases.add(f"{HALF_OPEN} half-open handshakes: new devices come in", "" if all(times) else f"{times}")
        cases.add("half-open handshakes are closed in their time", "" if closed else
                  f"{sum(not ended(one) for one in crowd)} are still open")
        cases.add("half-open handshakes cost bounded memory", "" if most < RESIDENT_MORE_KB_MAX else f"{most} kB")
        cases.add("half-open handshakes cut nobody off", "" if traffic.cut == cut else f"{traffic.cut - cut} were cut")
        await dismiss(crowd)
        verdict = await traffic.settle()
        cases.say("half-open: " + traffic.told(verdict))
        cases.add("half-open handshakes: nothing is lost, doubled or out of order", cases.bad(verdict))
        server.stop()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        if server.alive():
            server.kill()


def run(cases, folder, options):
    asyncio.run(descriptors(cases, folder, 2 if options.short else 10))
    asyncio.run(deaf(cases, folder))
    asyncio.run(half_open(cases, folder))
