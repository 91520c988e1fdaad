"""Files of the store cut short or with a flipped bit, at random places: the start is refused with what to do, or what
cannot be read is answered with an error, or the damage did not matter. Never is something missing or different without a
word, and never does the server crash.
"""
import asyncio
import collections
import json
import random
import shutil

from client import Api, Gone, Mqtt, Signer
from ledger import filler
from support.server import Server, ServerFault

THINGS, KEPT, QUEUED = 60, 10, 40
KINDS = {"table": "*.sst", "log": "*.log", "manifest": "MANIFEST-*", "CURRENT": "CURRENT", "options": "OPTIONS-*",
         "IDENTITY": "IDENTITY", "note": "NOTED"}
SHORT_KINDS = ("table", "log", "manifest", "CURRENT")
ARGUMENTS = ("--plain-port", "0", "--test")
ADVICE = ("damaged", "backup")


def payload(i):
    return f"{i}:{filler('queued', i, 300)}".encode()


def attributes(i):
    return {"n": str(i), "filler": filler("thing", i, 600)}


async def prepare(server):
    """What is known to be in the store."""
    iot, data = server.client("iot"), server.client("iot-data")
    reader = await Mqtt("away", 5, clean=True, expiry_s=86400).open(server.plain_port)
    await reader.subscribe("queued")
    await reader.close()
    writer = await Mqtt("writer", 5).open(server.plain_port)
    for i in range(THINGS):
        iot.create_thing(thingName=f"thing-{i:03}", attributePayload={"attributes": attributes(i)})
    for i in range(KEPT):
        data.update_thing_shadow(thingName=f"thing-{i:03}", payload=json.dumps({"state": {"desired": {"n": i}}}))
        assert await writer.publish(f"kept/{i}", b"%d" % i, retain=True) in (0, 16)
    for i in range(QUEUED):
        assert await writer.publish("queued", payload(i)) in (0, 16)
    await writer.close()


class Answers:
    """What the started server has of it. said: errors that it answered; silent: what is missing or different without one."""

    def __init__(self):
        self.said, self.silent = [], []

    def note(self, what, status, right):
        if status >= 500:
            self.said.append(f"{what}: {status}")
        elif not right:
            self.silent.append(f"{what}: {status}")


async def read_back(server, api):
    found = Answers()
    for i in range(THINGS):
        status, body = await api.call("GET", f"/things/thing-{i:03}")
        found.note(f"thing-{i:03}", status, status == 200 and json.loads(body)["attributes"] == attributes(i))
    for i in range(KEPT):
        status, body = await api.call("GET", f"/things/thing-{i:03}/shadow", service="iotdata")
        found.note(f"the shadow of thing-{i:03}", status,
                   status == 200 and json.loads(body)["state"]["desired"] == {"n": i})
        status, body = await api.call("GET", f"/retainedMessage/kept%2F{i}", service="iotdata")
        found.note(f"kept/{i}", status, status == 200)
    status, body = await api.call("GET", "/things", query="maxResults=250")
    found.note("the list of things", status, status == 200 and len(json.loads(body)["things"]) == THINGS)
    await read_queue(server, found)
    return found


async def read_queue(server, found):
    got = []
    try:
        reader = Mqtt("away", 5, clean=False, expiry_s=86400, on_message=lambda _, data: got.append(data))
        await reader.open(server.plain_port)
        end = asyncio.get_running_loop().time() + 3
        while len(got) < QUEUED and not reader.closed.done() and asyncio.get_running_loop().time() < end:
            await asyncio.sleep(0.02)
        if reader.closed.done():
            found.said.append("the queue: the connection was closed")
        elif got != [payload(i) for i in range(QUEUED)]:
            found.silent.append(f"the queue: {len(got)} of {QUEUED} messages")
        reader.abort()
    except (OSError, Gone, asyncio.TimeoutError) as error:
        found.said.append(f"the queue: {error!r}")


def hurt(file, how, rng):
    """Returns where."""
    whole = bytearray(file.read_bytes())
    if not whole:
        return None
    at = rng.randrange(len(whole))
    if how == "cut":
        file.write_bytes(whole[:at])
    else:
        whole[at] ^= 1 << rng.randrange(8)
        file.write_bytes(whole)
    return f"{how} at {at} of {len(whole)}"


async def try_it(data, arguments, signer_api):
    """What a server says to the damage: (outcome, details)."""
    server = Server(data, arguments)
    try:
        server.start()
    except ServerFault as error:
        text = str(error)
        if all(word in text for word in ADVICE):
            return "refused", ""
        return "crashed or unclear", text[-400:]
    try:
        api = await signer_api(server)
        found = await read_back(server, api)
        api.close()
        if not server.alive():
            return "crashed or unclear", server.log()[-400:]
        if found.silent:
            return "silent", "; ".join(found.silent[:4]) + (f" and {len(found.silent) - 4} more" if len(found.silent) > 4
                                                            else "")
        return ("said" if found.said else "served whole"), ""
    except Gone as error:
        return ("said", "") if server.alive() else ("crashed or unclear", f"{error}; {server.log()[-400:]}")
    finally:
        if server.alive():
            server.kill()


async def damage(cases, folder, options):
    rng = random.Random(options.seed)
    kinds = SHORT_KINDS if options.short else tuple(KINDS)
    tries = 1 if options.short else 6

    async def api(server):
        return await Api(Signer(*server.credentials)).open(server.https_port, server.ca_file)

    stores = {}
    for ending in ("stopped", "killed"):
        server = Server(folder / ending, ARGUMENTS)
        server.start()
        await prepare(server)
        if ending == "stopped":
            server.stop()
            server.start()  # what the log held is in a table now
            server.client("iot").update_thing(thingName="thing-001", attributePayload={"attributes": attributes(1)})
            server.stop()
        else:
            await asyncio.sleep(1.5)  # what is noted once a second is
            server.kill()
        stores[ending] = server.data
    outcomes, bad = collections.Counter(), []
    for ending, data in stores.items():
        for kind in kinds:
            for how in ("cut", "flip"):
                for number in range(tries):
                    files = sorted(f for f in (data / "store").glob(KINDS[kind]) if f.stat().st_size)
                    if not files:
                        continue
                    copy = shutil.copytree(data, folder / "copy")
                    name = rng.choice(files).name
                    where = hurt(copy / "store" / name, how, rng)
                    outcome, details = await try_it(copy, ARGUMENTS, api)
                    outcomes[f"{kind}: {outcome}"] += 1
                    if outcome in ("silent", "crashed or unclear"):
                        bad.append(f"{ending}, {name} {where}: {outcome}: {details}")
                    shutil.rmtree(copy)
    for what, count in sorted(outcomes.items()):
        cases.say(f"{what:30} {count}")
    for line in bad:
        cases.say(f"        {line}")
    cases.add("a damaged store is refused with advice, served in full, or a read says so",
              "\n".join(bad) if bad else "" if outcomes else "nothing was tried")
    cases.add("damage of the store is found out", "" if any("refused" in o for o in outcomes) else "never")


def run(cases, folder, options):
    asyncio.run(damage(cases, folder, options))
