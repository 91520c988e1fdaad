"""Traffic that goes on while something is done to the server, and the count of what was lost, doubled or out of order.

Unlike the load of the crash runs (load.py) it outlives its connections: a publisher that was cut off comes back and sends
again, in order, what was not acknowledged; a session that was cut off comes back to what waits for it. So a double is
excused where a publisher sent again or a session came back, and is a fault anywhere else.
"""
import asyncio
import json

from client import Api, Gone, Mqtt, Signer
from ledger import Inbox, Publisher, Register, Verdict

EXPIRY_S = 86400
QUIET_S = 10  # no message for so long, and some are missing: they are lost
ANSWER_S = 30
BACK_S = 0.2  # a client waits so long before it connects again


class Door:
    """The way to the server: a port of it, plain or by TLS, at an address."""

    def __init__(self, server, host="127.0.0.1", context=None):
        self.server, self.host, self.context = server, host, context

    async def open(self, mqtt: Mqtt, **options):
        port = self.server.mqtt_port if self.context else self.server.plain_port
        return await mqtt.open(port, self.context, self.host, **options)


class Sender:
    """One publisher of QoS 1, so many messages a second."""

    def __init__(self, door: Door, publisher: Publisher, version: int, per_s: float):
        self.door, self.publisher, self.version, self.per_s = door, publisher, version, per_s
        self.unacked: dict[int, None] = {}  # in order
        self.resent: set[int] = set()
        self.refused: set[int] = set()
        self.cut = 0  # times that its connection ended
        self.reasons: set[int] = set()

    def _send(self, mqtt, number, again=False):
        publisher = self.publisher

        def answered(future):
            if not again:
                mqtt.room.release()
            if future.cancelled() or future.exception():
                return
            self.unacked.pop(number, None)
            if future.result() in (0, 16):  # 16: no matching subscribers
                publisher.acked.add(number)
            else:
                self.refused.add(number)
                self.reasons.add(future.result())

        mqtt.publish(publisher.topic(number), publisher.payload(number), again=again).add_done_callback(answered)

    async def run(self, stop: asyncio.Event):
        """Until stopped and nothing is unacknowledged."""
        while not stop.is_set() or self.unacked:
            mqtt = Mqtt(self.publisher.name, self.version)
            try:
                await self.door.open(mqtt)
                for number in list(self.unacked):
                    self.resent.add(number)
                    self._send(mqtt, number, again=True)
                while not mqtt.closed.done() and not stop.is_set():
                    await mqtt.room.acquire()
                    if mqtt.closed.done():
                        break
                    number = self.publisher.take()
                    self.unacked[number] = None
                    self._send(mqtt, number)
                    await asyncio.sleep(1 / self.per_s)
                while self.unacked and not mqtt.closed.done():
                    await asyncio.sleep(0.02)
                if mqtt.closed.done():
                    self.cut += 1
            except (OSError, Gone, asyncio.TimeoutError):
                self.cut += 1
            mqtt.abort()
            await asyncio.sleep(BACK_S)


class Reader:
    """One persistent session. An away one connects only to be compared."""

    def __init__(self, door: Door, inbox: Inbox, version: int, away: bool):
        self.door, self.inbox, self.version, self.away = door, inbox, version, away
        self.mqtt, self.back, self.made = None, 0, False

    async def open(self):
        self.mqtt = Mqtt(self.inbox.name, self.version, clean=not self.made and self.version == 5, expiry_s=EXPIRY_S,
                         on_message=self.inbox.message)
        await self.door.open(self.mqtt)
        if not self.made or not self.mqtt.session_present:
            if self.made:
                self.inbox.verdict.lost.append(f"the session of {self.inbox.name} is gone")
            await self.mqtt.subscribe(*(prefix + "#" for prefix in self.inbox.prefixes))
            self.made = True

    async def keep(self):
        """Comes back whenever it is cut off."""
        while True:
            await asyncio.wait([self.mqtt.closed])
            while True:
                self.back += 1
                try:
                    await self.open()
                    break
                except (OSError, Gone, asyncio.TimeoutError):
                    self.mqtt.abort()
                    await asyncio.sleep(BACK_S)


class Traffic:
    def __init__(self, server, door=None, publishers=4, per_s=60.0, name="t"):
        self.server, self.door, self.name = server, door or Door(server), name
        self.publishers = {f"{name}-p{i}": Publisher(f"{name}-p{i}", [f"{name}/all/{i}", f"{name}/live/{i}"])
                           for i in range(publishers)}
        self.senders = [Sender(self.door, p, 4 + i % 2, per_s) for i, p in enumerate(self.publishers.values())]
        everything, live = [f"{name}/all/", f"{name}/live/"], [f"{name}/all/"]
        self.readers = [Reader(self.door, Inbox(f"{name}-{kind}{version}", topics, self.publishers), version, kind == "away")
                        for kind, topics in (("live", everything), ("away", live)) for version in (4, 5)]
        # QoS 0: numbers that must come in order, and all of them where nobody is slow.
        self.ticks_sent = self.ticks_got = 0
        self.ticks_wrong: list[str] = []
        self.shadow = Register(f"{name}-shadow")
        self.reads = self.read_failures = 0
        self.read_slowest_s = 0.0
        self.tasks, self.stop_event = [], asyncio.Event()

    async def api(self):
        return await Api(Signer(*self.server.credentials)).open(self.server.https_port, self.server.ca_file)

    # -- life ---------------------------------------------------------------------------------------------------------

    async def start(self):
        api = await self.api()
        status, answer = await api.call("POST", f"/things/{self.shadow.name}", b"{}")
        assert status == 200, answer
        number = self.shadow.write()
        status, answer = await api.call("POST", f"/things/{self.shadow.name}/shadow", self.document(number), service="iotdata")
        assert status == 200, answer
        self.shadow.ack(number)
        api.close()
        for reader in self.readers:
            await reader.open()
        await asyncio.gather(*(r.mqtt.close() for r in self.readers if r.away))
        self.keepers = [asyncio.create_task(r.keep()) for r in self.readers if not r.away]
        self.stop_event.clear()
        self.tasks = [asyncio.create_task(sender.run(self.stop_event)) for sender in self.senders]
        assert await wait_until(lambda: all(p.acked for p in self.publishers.values()), ANSWER_S), "no message got through"
        self.probes = [asyncio.create_task(self.tick()), asyncio.create_task(self.read())]
        assert await wait_until(lambda: self.ticks_got and self.reads, ANSWER_S), "no QoS 0 or no read got through"
        return self

    def document(self, number):
        return json.dumps({"state": {"desired": {"v": self.shadow.value(number)}}}).encode()

    async def tick(self):
        """QoS 0, 20 a second, from one client to another."""
        def got(_, payload):
            number = int(payload)
            if number <= self.newest_tick:
                self.ticks_wrong.append(f"{number} after {self.newest_tick}")
            self.newest_tick = max(number, self.newest_tick)
            self.ticks_got += 1

        self.newest_tick = 0
        while True:
            receiver, sender = Mqtt(f"{self.name}-tock", 5, on_message=got), Mqtt(f"{self.name}-tick", 4)
            try:
                await self.door.open(receiver)
                await receiver.subscribe(f"{self.name}/tick")
                await self.door.open(sender)
                while not receiver.closed.done() and not sender.closed.done():
                    self.ticks_sent += 1
                    sender.publish_once(f"{self.name}/tick", b"%d" % self.ticks_sent)
                    await asyncio.sleep(0.05)
            except (OSError, Gone, asyncio.TimeoutError):
                await asyncio.sleep(BACK_S)
            except asyncio.CancelledError:
                await asyncio.sleep(0.3)  # for what is on its way
                raise
            finally:
                receiver.abort()
                sender.abort()

    async def read(self):
        """A read by the API every tenth of a second."""
        loop = asyncio.get_running_loop()
        while True:
            api = None
            try:
                api = await self.api()
                while True:
                    began = loop.time()
                    status, _ = await api.call("GET", f"/things/{self.shadow.name}/shadow", service="iotdata")
                    self.reads += 1
                    self.read_failures += status != 200
                    self.read_slowest_s = max(self.read_slowest_s, loop.time() - began)
                    await asyncio.sleep(0.1)
            except (OSError, Gone, asyncio.TimeoutError):
                self.reads += 1
                self.read_failures += 1
                await asyncio.sleep(BACK_S)
            finally:
                if api:
                    api.close()

    async def run_for(self, seconds):
        await asyncio.sleep(seconds)

    async def settle(self) -> Verdict:
        """Stops, waits until all is acknowledged, reads everything back and compares."""
        verdict = Verdict()
        self.stop_event.set()
        done, late = await asyncio.wait(self.tasks, timeout=ANSWER_S)
        for task in done:
            task.result()
        await end(late)
        if late:
            verdict.failed.append(f"{len(late)} publishers have messages that were neither acknowledged nor refused in "
                                  f"{ANSWER_S} s")
        await end(self.probes)
        for reader in self.readers:
            if reader.away:
                await reader.open()
        await self._arrive()
        # A marker behind everything: when it is there, nothing else is on its way.
        await end(self.keepers)
        resent = {s.publisher.name: s.resent for s in self.senders}
        for reader in self.readers:
            strange = [] if reader.back else [d for d in reader.inbox.doubles if d[1] not in resent[d[0]]]
            part = reader.inbox.settle()
            part.failed += [f"{reader.inbox.name} got {name} {number} twice, though it was sent once"
                            for name, number in strange]
            verdict.add(part)
            if not reader.mqtt.closed.done():
                await reader.mqtt.close()
        verdict.acknowledged += sum(len(p.acked) for p in self.publishers.values())
        verdict.disordered += [f"QoS 0: {what}" for what in self.ticks_wrong]
        for publisher in self.publishers.values():
            publisher.settle()
        verdict.add(await self.read_shadow())
        return verdict

    async def _arrive(self):
        loop = asyncio.get_running_loop()
        before, since = -1, loop.time()
        while any(r.inbox.missing() for r in self.readers) and loop.time() < since + QUIET_S:
            await asyncio.sleep(0.05)
            now = sum(r.mqtt.received for r in self.readers)
            if now != before:
                before, since = now, loop.time()

    async def read_shadow(self):
        api = await self.api()
        status, body = await api.call("GET", f"/things/{self.shadow.name}/shadow", service="iotdata")
        api.close()
        state = json.loads(body)["state"]["desired"]["v"] if status == 200 else None
        return self.shadow.check(state)

    # -- figures ------------------------------------------------------------------------------------------------------

    @property
    def refused(self):
        return sum(len(s.refused) for s in self.senders)

    @property
    def cut(self):
        return sum(s.cut for s in self.senders) + sum(r.back for r in self.readers)

    @property
    def acked(self):
        return sum(len(p.acked) for p in self.publishers.values())

    def told(self, verdict):
        return (f"{verdict.acknowledged} acknowledged, {verdict.checked} read back, {len(verdict.lost)} lost, "
                f"{len(verdict.corrupt)} corrupt, {len(verdict.disordered)} out of order, {verdict.repeated} sent again; "
                f"{self.refused} refused, {self.cut} connections cut, {self.reads} reads by the API of which "
                f"{self.read_failures} failed, QoS 0: {self.ticks_got} of {self.ticks_sent}")


async def end(tasks):
    """Cancels them until each has ended: before Python 3.12 wait_for swallows a cancellation that comes with its result."""
    tasks = set(tasks)
    while tasks:
        for task in tasks:
            task.cancel()
        _, tasks = await asyncio.wait(tasks, timeout=1)


async def wait_until(condition, seconds):
    """Whether it came true in time."""
    loop = asyncio.get_running_loop()
    end = loop.time() + seconds
    while not condition():
        if loop.time() > end:
            return False
        await asyncio.sleep(0.05)
    return True
