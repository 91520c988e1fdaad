"""A disk that fills: a tmpfs of some megabytes under the data folder, in a mount namespace of the run's own.

What cannot be stored must be refused, with an error that says so; reads and QoS 0 go on; when there is room again the
server heals by itself; and what it acknowledged before, during and after is there, also after a kill -9.
"""
import asyncio
import json
import subprocess

from client import Gone
from ledger import Existence, Verdict
from support.server import Server, ServerFault
from traffic import Traffic, wait_until

DISK_BYTES = 48 << 20
HEAL_S = 30  # RocksDB looks every five seconds whether there is room


class Disk:
    """A small disk, and a file that takes all its room."""

    def __init__(self, folder, size_bytes=DISK_BYTES):
        folder.mkdir()
        self.folder, self.filler = folder, folder / "filler"
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size_bytes}", "starling-faults", folder], check=True)

    def fill(self):
        with open(self.filler, "ab", buffering=0) as file:
            for piece in (1 << 20, 1 << 12, 1):
                try:
                    while True:
                        file.write(b"\0" * piece)
                except OSError:
                    pass

    def free(self):
        self.filler.unlink()

    def remove(self):
        subprocess.run(["umount", "-l", self.folder], check=True)


class Things:
    """CreateThing, one after the other: what was answered how, and whether it is there."""

    def __init__(self, traffic):
        self.traffic, self.existence, self.made = traffic, Existence("thing"), 0
        self.refusals: list[tuple[int, str]] = []

    async def create(self, api):
        """Whether it was accepted."""
        self.made += 1
        name = f"made-{self.made}"
        self.existence.note(name, "making")
        status, body = await api.call("POST", f"/things/{name}", json.dumps(
            {"attributePayload": {"attributes": {"filler": "x" * 700}}}).encode())
        if status == 200:
            self.existence.note(name, "there", json.loads(body)["thingId"])
        else:
            self.refusals.append((status, json.loads(body).get("message", "")))
        return status == 200

    async def check(self, last=False) -> Verdict:
        verdict, api = Verdict(), await self.traffic.api()
        for name in list(self.existence.state):
            status, body = await api.call("GET", f"/things/{name}")
            verdict.add(self.existence.check(name, json.loads(body)["thingId"] if status == 200 else None))
        if last:
            verdict.acknowledged += self.existence.settle()
        api.close()
        return verdict


async def full(cases, disk, server, things, traffic, seconds):
    """While the disk is full."""
    api, accepted, ticks, reads_failed = await traffic.api(), 0, traffic.ticks_got, traffic.read_failures
    loop = asyncio.get_running_loop()
    end = loop.time() + seconds
    while loop.time() < end or not things.refusals:
        accepted += await things.create(api)
        if loop.time() > end + HEAL_S:
            break
        await asyncio.sleep(0.01)
    codes, texts = {r[0] for r in things.refusals}, {r[1] for r in things.refusals}
    cases.say(f"full: {len(things.refusals)} creations refused with {sorted(codes)} {sorted(texts)}; PUBACK reasons "
              f"{sorted(set().union(*(s.reasons for s in traffic.senders)))}, {traffic.refused} refused, {traffic.cut} cut")
    cases.add("a full disk: what cannot be stored is refused with a 5xx that says why",
              "" if codes and codes <= {500, 503} and all("disk" in text or "store" in text for text in texts)
              else f"{things.refusals[:3]}")
    cases.add("a full disk: QoS 1 that cannot be stored is refused or the connection closed",
              "" if traffic.refused + traffic.cut > 0 else "every PUBLISH was acknowledged or is unanswered")
    cases.add("a full disk: QoS 0 goes on", "" if traffic.ticks_got > ticks + seconds * 5 else
              f"{traffic.ticks_got - ticks} messages in {seconds} s")
    cases.add("a full disk: reads go on", "" if traffic.read_failures == reads_failed else
              f"{traffic.read_failures - reads_failed} reads failed")
    cases.add("a full disk: the server's log says it", "" if "No space left" in server.log() or "disk" in server.log()
              else server.log()[-500:])
    api.close()


async def healed(cases, things, traffic):
    api, loop = await traffic.api(), asyncio.get_running_loop()
    began, took = loop.time(), None
    while took is None and loop.time() < began + HEAL_S:
        if await things.create(api):
            took = loop.time() - began
        await asyncio.sleep(0.2)
    cases.say(f"room again: the first creation was accepted after {-1 if took is None else took:.1f} s")
    cases.add("room again: the server heals by itself", "" if took is not None else f"still refused after {HEAL_S} s")
    api.close()


async def fills(cases, folder, seconds):
    disk = Disk(folder / "disk")
    server = Server(disk.folder / "data", ("--plain-port", "0", "--test", "--queued-messages-max", "100000"))
    try:
        server.start()
        traffic = await Traffic(server).start()
        things = Things(traffic)
        api = await traffic.api()
        for _ in range(200):
            await things.create(api)
        api.close()
        for turn in range(2):
            before = len(things.refusals)
            disk.fill()
            await full(cases, disk, server, things, traffic, seconds)
            disk.free()
            await healed(cases, things, traffic)
            cases.say(f"turn {turn + 1}: {len(things.refusals) - before} refused")
            await asyncio.sleep(1)
        verdict = await traffic.settle()
        verdict.add(await things.check())
        cases.say(traffic.told(verdict))
        cases.add("a full disk: nothing acknowledged is lost, doubled or out of order", cases.bad(verdict))
        disk.fill()
        server.kill()
        try:
            server.start()
            cases.say("a start on a full disk succeeds")
            server.kill()
        except ServerFault as error:
            cases.say(f"a start on a full disk: {str(error).strip().splitlines()[-1]}")
            cases.add("a start on a full disk that is refused says why",
                      "" if "space" in str(error) or "disk" in str(error) else str(error)[-500:])
        disk.free()
        server.start()
        verdict = await things.check(last=True)
        verdict.add(await traffic.read_shadow())
        cases.say(f"after kill -9 on the full disk: {verdict.checked} read back, {len(verdict.lost)} lost")
        cases.add("after a start on a full disk everything is there once there is room", cases.bad(verdict))
        server.stop()
    except Gone as gone:
        cases.add("a full disk: the server goes on", f"{gone}; the end of its log:\n{server.log()[-4500:]}")
    finally:
        if server.alive():
            server.kill()
        disk.remove()


def run(cases, folder, options):
    asyncio.run(fills(cases, folder, 2 if options.short else 8))
