"""The load, and the reading back: whoever writes notes it in the ledger before and on acknowledgement.

Every actor runs until the server is gone, which ends it with Gone. What the server refuses is a fault of its own.
"""
import asyncio
import json
import random
import urllib.parse

from client import Api, Gone, Mqtt, Signer
from ledger import Existence, Inbox, Publisher, Register, Verdict

from support import wire

EXPIRY_S = 86400
GROUPS = 4  # of each kind of session: 3.1.1 and 5 take turns
QUIET_S = 10  # no message for so long, and some are missing: they are lost
ALLOW_ALL = json.dumps({"Version": "2012-10-17",
                        "Statement": [{"Effect": "Allow", "Action": "iot:*", "Resource": "*"}]})


class Session:
    """A persistent session. live: connected under load; away: not; flapping: comes and goes."""

    def __init__(self, name, version, kind, prefixes, publishers):
        self.name, self.version, self.kind = name, version, kind
        self.inbox = Inbox(name, prefixes, publishers)
        self.mqtt = None

    async def open(self, port, first=False):
        self.mqtt = Mqtt(self.name, self.version, clean=first and self.version == 5, expiry_s=EXPIRY_S,
                         on_message=self.inbox.message)
        await self.mqtt.open(port)
        if first:
            await self.mqtt.subscribe(*(prefix + "#" for prefix in self.inbox.prefixes))
        elif not self.mqtt.session_present:
            self.inbox.verdict.lost.append(f"the session of {self.name} is gone")
            await self.mqtt.subscribe(*(prefix + "#" for prefix in self.inbox.prefixes))


class World:
    """All that is written and read, over many lives of one server."""

    def __init__(self, server, rng: random.Random):
        self.server, self.rng, self.signer = server, rng, Signer(*server.credentials)
        self.publishers = {}
        for i in range(6):
            topics = [f"all/{i}", f"live/{i % GROUPS}/{i}", f"away/{i % GROUPS}/{i}", f"flapping/{i % GROUPS}/{i}"]
            self.publishers[f"p{i}"] = Publisher(f"p{i}", topics)
        self.sessions = [Session(f"{kind}-{i}", 4 + i % 2, kind, ["all/", f"{kind}/{i}/"], self.publishers)
                         for kind in ("live", "away", "flapping") for i in range(GROUPS)]
        self.retained = [Register(f"kept/{i}") for i in range(40)]
        self.shadows = [(Register(f"shadow-{i}.reported"), Register(f"shadow-{i}.desired")) for i in range(6)]
        self.shadow_versions = [0] * len(self.shadows)
        self.attributes = [Register(f"counted-{i}", 700) for i in range(4)]
        self.things, self.policies = Existence("thing"), Existence("policy")
        self.certificates, self.attached = Existence("certificate"), Existence("attachment")
        self.keys = {}  # of certificates
        self.made = 0
        self.verdict = Verdict()
        self.actors = []

    async def api(self):
        return await Api(self.signer).open(self.server.https_port, self.server.ca_file)

    async def expect(self, api, status, method, path, body=None, **options):
        got, answer = await api.call(method, path, json.dumps(body).encode() if body is not None else b"", **options)
        if got != status:
            self.verdict.failed.append(f"{method} {path} answered {got}, expected {status}: {answer[:200]!r}")
            raise Gone(path)
        return json.loads(answer) if answer else {}

    # -- before the first run ---------------------------------------------------------------------------------------

    async def prepare(self):
        api = await self.api()
        for name in [f"shadow-{i}" for i in range(len(self.shadows))] + [r.name for r in self.attributes]:
            await self.expect(api, 200, "POST", f"/things/{name}", {})
        await self.expect(api, 200, "POST", "/policies/everything", {"policyDocument": ALLOW_ALL})
        api.close()
        for session in self.sessions:
            await session.open(self.server.plain_port, first=True)

    # -- load -------------------------------------------------------------------------------------------------------

    async def load(self):
        """Sessions that are away leave; then everyone works until the server is gone."""
        await asyncio.gather(*(s.mqtt.close() for s in self.sessions if s.kind != "live"))
        work = [self.publish(p, 4 + i % 2) for i, p in enumerate(self.publishers.values())]
        work += [self.flap(s) for s in self.sessions if s.kind == "flapping"]
        work += [self.retain(self.retained[:20], 4), self.retain(self.retained[20:], 5)]
        work += [self.device(i) for i in range(len(self.shadows))]
        work += [self.app(0), self.app(1), self.registry(), self.registry(), self.identity()]
        self.actors = [asyncio.create_task(self.until_gone(one)) for one in work]

    async def until_gone(self, work):
        try:
            await work
        except (ConnectionError, EOFError, asyncio.TimeoutError) as error:
            if not isinstance(error, ConnectionError):
                self.verdict.failed.append(f"no answer: {error!r}")

    async def end(self):
        """After the kill: what was still on its way has arrived when all connections are closed."""
        await asyncio.wait_for(asyncio.gather(*self.actors), 60)
        await asyncio.wait_for(asyncio.gather(*(s.mqtt.closed for s in self.sessions)), 60)

    async def publish(self, publisher: Publisher, version):
        mqtt = await Mqtt(publisher.name, version).open(self.server.plain_port)
        while not mqtt.closed.done():
            await mqtt.room.acquire()
            number = publisher.take()

            def acked(future, number=number):
                mqtt.room.release()
                if not future.cancelled() and not future.exception():
                    if future.result() in (0, 16):  # 16: no matching subscribers
                        publisher.acked.add(number)
                        self.verdict.acknowledged += 1
                    else:
                        self.verdict.failed.append(f"PUBACK {future.result()} for {publisher.name} {number}")

            mqtt.publish(publisher.topic(number), publisher.payload(number)).add_done_callback(acked)
            await asyncio.sleep(0)

    async def flap(self, session: Session):
        while True:
            await asyncio.sleep(self.rng.random() * 0.2)
            await session.open(self.server.plain_port)
            await asyncio.sleep(self.rng.random() * 0.4)
            if self.rng.random() < 0.5:
                session.mqtt.transport.abort()
                await session.mqtt.closed
            else:
                await session.mqtt.close()

    async def retain(self, registers, version):
        mqtt = await Mqtt(f"retain-{version}", version).open(self.server.plain_port)
        while True:
            batch = self.rng.sample(registers, 5)
            versions = [r.write() for r in batch]
            waits = [mqtt.publish(r.name, r.value(v).encode(), retain=True) for r, v in zip(batch, versions)]
            for register, number, wait in zip(batch, versions, waits):
                await wait
                register.ack(number)

    async def device(self, i):
        """A thing that reports: each report ends with accepted and PUBACK, in whatever order."""
        register, accepted = self.shadows[i][0], asyncio.Queue()
        topic = f"$aws/things/shadow-{i}/shadow/update"
        mqtt = Mqtt(f"shadow-{i}", 4 + i % 2, on_message=lambda topic, payload: accepted.put_nowait((topic, payload)))
        await mqtt.open(self.server.plain_port)
        await mqtt.subscribe(topic + "/accepted", topic + "/rejected")
        while True:
            number = register.write()
            body = {"state": {"reported": {"v": register.value(number)}}, "clientToken": f"d{number}"}
            puback = mqtt.publish(topic, json.dumps(body).encode())
            await puback
            register.ack(number)
            token = None
            while token != f"d{number}":
                got = asyncio.ensure_future(accepted.get())
                await asyncio.wait([got, mqtt.closed], timeout=20, return_when=asyncio.FIRST_COMPLETED)
                if not got.done():
                    got.cancel()
                    if not mqtt.closed.done():
                        self.verdict.failed.append(f"{topic}: neither accepted nor rejected in 20 s")
                    raise Gone(topic)
                answered, payload = got.result()
                answer = json.loads(payload)
                token = answer.get("clientToken")
                if answered.endswith("rejected"):
                    self.verdict.failed.append(f"{topic} was rejected: {payload[:200]!r}")
                else:
                    self.shadow_versions[i] = max(self.shadow_versions[i], answer["version"])

    async def app(self, half):
        """Asks the devices for states over HTTPS."""
        api = await self.api()
        while True:
            i = self.rng.randrange(len(self.shadows) // 2) * 2 + half
            register = self.shadows[i][1]
            number = register.write()
            body = {"state": {"desired": {"w": register.value(number)}}}
            answer = await self.expect(api, 200, "POST", f"/things/shadow-{i}/shadow", body, service="iotdata")
            register.ack(number)
            self.shadow_versions[i] = max(self.shadow_versions[i], answer["version"])

    async def registry(self):
        api, mine = await self.api(), []
        registers = self.attributes[::2] if self.made == 0 else self.attributes[1::2]
        self.made += 1
        while True:
            self.made += 1
            name = f"made-{self.made}"
            self.things.note(name, "making")
            answer = await self.expect(api, 200, "POST", f"/things/{name}", {"attributePayload": {"attributes": {"n": name}}})
            self.things.note(name, "there", answer["thingId"])
            mine.append(name)
            register = self.rng.choice(registers)
            number = register.write()
            body = {"attributePayload": {"attributes": {"v": register.value(number)}, "merge": True}}
            await self.expect(api, 200, "PATCH", f"/things/{register.name}", body)
            register.ack(number)
            if len(mine) > 20:
                name = mine.pop(self.rng.randrange(len(mine)))
                self.things.note(name, "deleting")
                await self.expect(api, 200, "DELETE", f"/things/{name}")
                self.things.note(name, "gone")

    async def identity(self):
        api = await self.api()
        while True:
            self.made += 1
            name = f"policy-{self.made}"
            document = json.dumps({"Version": "2012-10-17", "Statement": [
                {"Effect": "Allow", "Action": "iot:Publish", "Resource": f"arn:aws:iot:us-east-1:123456789012:topic/{name}"}]})
            self.policies.note(name, "making", document)
            await self.expect(api, 200, "POST", f"/policies/{name}", {"policyDocument": document})
            self.policies.note(name, "there")
            made = await self.expect(api, 200, "POST", "/keys-and-certificate", {}, query="setAsActive=true")
            identity = made["certificateId"]
            self.certificates.note(identity, "there", made["certificatePem"])
            self.attached.note(identity, "making")
            await self.expect(api, 200, "PUT", "/target-policies/everything", {"target": made["certificateArn"]})
            self.attached.note(identity, "there")
            self.keys[identity] = made["certificatePem"], made["keyPair"]["PrivateKey"]

    # -- reading back -----------------------------------------------------------------------------------------------

    async def read_back(self) -> Verdict:
        verdict, self.verdict = self.verdict, Verdict()
        await asyncio.gather(*(s.open(self.server.plain_port) for s in self.sessions))
        for part in await asyncio.gather(self.read_queues(), self.read_retained(), self.read_shadows(),
                                         self.read_registry(), self.read_identity()):
            verdict.add(part)
        verdict.add(self.verdict)
        self.verdict = Verdict()
        return verdict

    async def read_queues(self):
        """Until nothing is missing, or nothing more comes; then a marker shows that each queue is at its end."""
        def received():
            return sum(s.mqtt.received for s in self.sessions)

        loop = asyncio.get_running_loop()
        before, since = received(), loop.time()
        while any(s.inbox.missing() for s in self.sessions) and loop.time() < since + QUIET_S:
            await asyncio.sleep(0.05)
            if received() != before:
                before, since = received(), loop.time()
        verdict = Verdict()
        for session in self.sessions:
            verdict.add(session.inbox.settle())
        for publisher in self.publishers.values():
            publisher.settle()
        return verdict

    async def read_retained(self):
        found, verdict = {}, Verdict()
        mqtt = Mqtt("reader", 5, on_message=lambda topic, payload: found.setdefault(topic, payload.decode()))
        await mqtt.open(self.server.plain_port)
        names = [r.name for r in self.retained if r.sent]
        for at in range(0, len(names), 8):
            await mqtt.subscribe(*names[at:at + 8])
        deadline = asyncio.get_running_loop().time() + QUIET_S
        while any(r.acked and r.name not in found for r in self.retained) and \
                asyncio.get_running_loop().time() < deadline:
            await asyncio.sleep(0.02)
        await mqtt.close()
        api = await self.api()
        for register in self.retained:
            # A retained message that nobody acknowledged may be there or not: the API says it without waiting.
            if register.sent and register.name not in found:
                status, _ = await api.call("GET", f"/retainedMessage/{register.name.replace('/', '%2F')}", service="iotdata")
                if status != 404:
                    verdict.failed.append(f"{register.name} did not come to its subscriber; GetRetainedMessage: {status}")
            verdict.add(register.check(found.get(register.name)))
        api.close()
        return verdict

    async def read_shadows(self):
        api, verdict = await self.api(), Verdict()
        for i, (reported, desired) in enumerate(self.shadows):
            status, body = await api.call("GET", f"/things/shadow-{i}/shadow", service="iotdata")
            shadow = json.loads(body) if status == 200 else {}
            state = shadow.get("state", {})
            verdict.add(reported.check(state.get("reported", {}).get("v")))
            verdict.add(desired.check(state.get("desired", {}).get("w")))
            if shadow.get("version", 0) < self.shadow_versions[i]:
                verdict.lost.append(f"shadow-{i} is at version {shadow.get('version')}, was at {self.shadow_versions[i]}")
        api.close()
        return verdict

    async def read_registry(self):
        api, verdict = await self.api(), Verdict()
        for name in list(self.things.state):
            status, body = await api.call("GET", f"/things/{name}")
            thing = json.loads(body) if status == 200 else None
            verdict.add(self.things.check(name, thing and thing["thingId"]))
            if thing and thing["attributes"] != {"n": name}:
                verdict.corrupt.append(f"thing {name} has the attributes {thing['attributes']}")
        for register in self.attributes:
            status, body = await api.call("GET", f"/things/{register.name}")
            thing = json.loads(body) if status == 200 else {}
            verdict.add(register.check(thing.get("attributes", {}).get("v")))
        verdict.acknowledged += self.things.settle()
        api.close()
        return verdict

    async def read_identity(self):
        api, verdict = await self.api(), Verdict()
        for name in self.policies.state:
            status, body = await api.call("GET", f"/policies/{name}")
            verdict.add(self.policies.check(name, json.loads(body)["policyDocument"] if status == 200 else None))
        for name in self.certificates.state:
            status, body = await api.call("GET", f"/certificates/{name}")
            found = json.loads(body)["certificateDescription"] if status == 200 else {}
            verdict.add(self.certificates.check(name, found.get("certificatePem")))
        arn = "arn:aws:iot:us-east-1:123456789012:cert/"
        targets = await self.targets(api, verdict)
        for name in self.attached.state:
            verdict.add(self.attached.check(name, "attached" if arn + name in targets else None))
        sure = [name for name, state in self.attached.state.items() if state == "there"]
        if sure:
            await self.connect_with(sure[-1], verdict)
        verdict.acknowledged += self.policies.settle() + self.certificates.settle() + self.attached.settle()
        self.keys.clear()
        api.close()
        return verdict

    async def targets(self, api, verdict):
        """What the policy that is there from the beginning is attached to."""
        found, marker = [], ""
        while marker is not None:
            query = (f"marker={urllib.parse.quote(marker, safe='')}&" if marker else "") + "pageSize=250"
            status, body = await api.call("POST", "/policy-targets/everything", query=query)
            if status != 200:
                verdict.lost.append(f"ListTargetsForPolicy answers {status}: {body[:200]!r}")
                return found
            answer = json.loads(body)
            found += answer["targets"]
            marker = answer.get("nextMarker")
        return found

    async def connect_with(self, identity, verdict):
        """A certificate and policy from before the crash let their device in."""
        cert, key = self.server.data / "device.pem", self.server.data / "device.key"
        cert.write_text(self.keys[identity][0])
        key.write_text(self.keys[identity][1])
        context = wire.tls_context(self.server)
        context.load_cert_chain(cert, key)
        try:
            mqtt = await Mqtt("by-certificate", 5).open(self.server.mqtt_port, context)
            await mqtt.close()
        except (ConnectionError, OSError, asyncio.TimeoutError) as error:
            verdict.lost.append(f"certificate {identity} is not let in after the restart: {error!r}")
