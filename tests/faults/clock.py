"""The system's clock is set, by hours and days, both ways: no connection and no session ends by it, and what goes by the
real time (signatures, conditions on the time in policies) follows it at once.
"""
import asyncio
import datetime
import json
import os
import struct

from client import Gone, Mqtt, device_context
from support.server import ROOT, Server
from traffic import Traffic, wait_until

HOUR_S, DAY_S = 3600, 86400
FOLLOW_S = 5  # what looks once a second has looked
SILENT_S = 2  # a keep-alive that is not kept: cut after one and a half times of it
MARGIN_S = 6  # on a busy machine


class Clock:
    def __init__(self, folder):
        self.file = folder / "ahead"
        self.set(0)

    def environment(self):
        old = os.environ.get("LD_PRELOAD")
        return {"LD_PRELOAD": str(ROOT / "build/tests/faults/clock.so") + (":" + old if old else ""),
                "STARLING_CLOCK": str(self.file)}

    def set(self, ahead_s):
        mode = "r+b" if self.file.exists() else "wb"
        with open(self.file, mode) as file:
            file.write(struct.pack("=q", ahead_s))


class Watch:
    """What must not end by a jump, and what must end in spite of it."""

    def __init__(self, server, traffic):
        self.server, self.traffic, self.made = server, traffic, 0

    async def start(self):
        """A session that is away and has five minutes, and one of a few hours' keep-alive."""
        away = await Mqtt("has-five-minutes", 5, clean=True, expiry_s=300).open(self.server.plain_port)
        await away.close()

    async def away_is_there(self):
        away = await Mqtt("has-five-minutes", 5, clean=False, expiry_s=300).open(self.server.plain_port)
        present = away.session_present
        await away.close()
        return present

    async def silent_ends(self):
        """A client that promises a sign of life every two seconds and gives none; the seconds until it is cut, or None."""
        loop = asyncio.get_running_loop()
        self.made += 1
        silent = await Mqtt(f"silent-{self.made}", 5).open(self.server.plain_port, keep_alive=SILENT_S)
        began = loop.time()
        ended = await wait_until(silent.closed.done, SILENT_S * 1.5 + MARGIN_S)
        silent.abort()
        return loop.time() - began if ended else None

    async def leave_short_session(self, expiry_s):
        self.made += 1
        brief = await Mqtt(f"brief-{self.made}", 5, clean=True, expiry_s=expiry_s).open(self.server.plain_port)
        await brief.close()
        return f"brief-{self.made}"

    async def session_is_there(self, name):
        brief = await Mqtt(name, 5, clean=False, expiry_s=1).open(self.server.plain_port)
        present = brief.session_present
        await brief.close()
        return present

    async def short_session_ends(self):
        name = await self.leave_short_session(1)
        await asyncio.sleep(4)
        return not await self.session_is_there(name)


async def signed(traffic, ahead_s):
    """Status and text of a call by a client whose clock is so much ahead."""
    api = await traffic.api()
    api.signer.ahead_s = ahead_s
    status, body = await api.call("GET", f"/things/{traffic.shadow.name}")
    api.close()
    return status, body.decode(errors="replace")


async def timed_device(server, folder):
    """A device that may publish for half an hour from now."""
    iot = server.client("iot")
    until = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(minutes=30)
    iot.create_policy(policyName="for-half-an-hour", policyDocument=json.dumps({
        "Version": "2012-10-17", "Statement": [
            {"Effect": "Allow", "Action": ["iot:Connect", "iot:Subscribe"], "Resource": "*"},
            {"Effect": "Allow", "Action": "iot:Publish", "Resource": "*", "Condition": {
                "DateLessThan": {"aws:CurrentTime": until.strftime("%Y-%m-%dT%H:%M:%SZ")}}}]}))
    return device_context(server, iot, folder, "for-half-an-hour")


async def may_publish(mqtt):
    """Refused, AWS closes the connection."""
    try:
        return await asyncio.wait_for(mqtt.publish("timed", b"x"), 10) in (0, 16)
    except (Gone, asyncio.TimeoutError):
        return False


async def becomes(wanted, ask, seconds):
    loop = asyncio.get_running_loop()
    end = loop.time() + seconds
    while await ask() != wanted:
        if loop.time() > end:
            return False
        await asyncio.sleep(0.2)
    return True


async def jump(cases, clock, watch, traffic, ahead_s):
    what = f"the clock {abs(ahead_s) // HOUR_S} hours {'ahead' if ahead_s > 0 else 'back'}"
    cut = traffic.cut
    clock.set(ahead_s)
    silent, brief = await asyncio.gather(watch.silent_ends(), watch.short_session_ends())
    status, text = await signed(traffic, 0)
    right, _ = await signed(traffic, ahead_s)
    cases.say(f"{what}: a silent client was cut after {silent and round(silent, 1)} s; a call signed by the old time: "
              f"{status} {text[:160]}; by the new: {right}; {traffic.cut - cut} connections cut")
    cases.add(f"{what}: no connection ends by it", "" if traffic.cut == cut else f"{traffic.cut - cut} were cut")
    cases.add(f"{what}: a keep-alive that is not kept ends in its time",
              "" if silent and silent >= SILENT_S * 1.4 else f"after {silent} s")
    cases.add(f"{what}: a session of one second ends in its time", "" if brief else "it was still there after four")
    cases.add(f"{what}: a call signed by the old time is refused with the reason, one by the new is answered",
              "" if status == 403 and ("expired" in text or "Signature" in text) and right == 200
              else f"{status} {text[:300]}; {right}")
    clock.set(0)


async def jumps(cases, folder, options):
    clock = Clock(folder)
    os.environ.update(clock.environment())
    server = Server(folder / "data", ("--plain-port", "0", "--test", "--keepalive-s-min", "1"))
    try:
        server.start()
        traffic = await Traffic(server).start()
        watch = Watch(server, traffic)
        await watch.start()
        timed = await Mqtt("timed", 5).open(server.mqtt_port, await timed_device(server, folder))
        before = await may_publish(timed)
        for ahead_s in (2 * HOUR_S, -2 * HOUR_S) if options.short else (2 * HOUR_S, -2 * HOUR_S, 40 * DAY_S, -DAY_S):
            await jump(cases, clock, watch, traffic, ahead_s)
        cases.add("a session that was away meanwhile is there", "" if await watch.away_is_there() else "it is gone")
        refused_at_once = await jump_over_the_policy(clock, timed)
        cases.add("a permission that ended by the new time is refused within seconds",
                  "" if before and refused_at_once else f"before: {before}, after: still allowed after {FOLLOW_S} s")
        clock.set(0)
        status, text = await signed(traffic, 0)
        cases.add("set right again: calls are answered", "" if status == 200 else f"{status} {text[:200]}")
        verdict = await traffic.settle()
        cases.say(traffic.told(verdict))
        cases.add("clock jumps: nothing is lost, doubled or out of order", cases.bad(verdict))
        name = await watch.leave_short_session(3)
        clock.set(-2 * HOUR_S)
        server.kill()
        server.start()
        cases.add("a restart with the clock gone back keeps sessions and messages",
                  "" if await watch.away_is_there() else "the session is gone")
        await asyncio.sleep(5)
        cases.add("a restart with the clock gone back makes no session live longer than it may",
                  "it was still there" if await watch.session_is_there(name) else "")
        clock.set(0)
        verdict = await traffic.read_shadow()
        cases.add("a restart with the clock gone back keeps the shadow", cases.bad(verdict))
        server.stop()
    finally:
        for name in ("LD_PRELOAD", "STARLING_CLOCK"):
            os.environ.pop(name, None)
        if server.alive():
            server.kill()


async def jump_over_the_policy(clock, timed):
    clock.set(2 * HOUR_S)
    return await becomes(False, lambda: may_publish(timed), FOLLOW_S)


def run(cases, folder, options):
    asyncio.run(jumps(cases, folder, options))
