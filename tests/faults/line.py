"""A bad line between two addresses of one machine: packets wait, overtake each other, get lost, or fill the line.

    line.py          as a process of its own, in a network namespace: makes the device, prints "ready", and takes what it
                     shall do from lines of JSON on its standard input

What is sent to PEER comes out of the device again with both addresses exchanged: so a client that connects to PEER
reaches the server that listens at HERE, and sees PEER answer. The sums of IP and TCP stay right, as they do not depend on
the order of addresses. tc's netem does as much, but is a module that not every kernel has; a TUN device is in all.
"""
import dataclasses
import fcntl
import heapq
import json
import os
import random
import select
import struct
import subprocess
import sys
import time

HERE, PEER, DEVICE = "10.77.0.1", "10.77.0.2", "line0"
TUNSETIFF, IFF_TUN, IFF_NO_PI = 0x400454CA, 0x0001, 0x1000
PACKET_BYTES = 65536


@dataclasses.dataclass
class Quality:
    delay_ms: float = 0
    jitter_ms: float = 0  # packets overtake each other
    loss: float = 0  # 1: nothing arrives
    bytes_per_s: float = 0  # 0: any
    queue_bytes: int = 64 << 10  # what waits for the line beyond it is dropped


def open_device():
    tun = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(tun, TUNSETIFF, struct.pack("16sH14x", DEVICE.encode(), IFF_TUN | IFF_NO_PI))
    for command in (f"link set lo up", f"addr add {HERE}/24 dev {DEVICE}", f"link set {DEVICE} up"):
        subprocess.run(["ip", *command.split()], check=True)
    return tun


class Line:
    def __init__(self, rng):
        self.quality, self.rng = Quality(), rng
        self.waiting, self.number, self.free_at = [], 0, 0.0
        self.lost = self.passed = 0

    def take(self, packet, now):
        q = self.quality
        if packet[0] >> 4 != 4 or self.rng.random() < q.loss:
            self.lost += packet[0] >> 4 == 4
            return
        due = now
        if q.bytes_per_s:
            due = max(now, self.free_at) + len(packet) / q.bytes_per_s
            if (due - now) * q.bytes_per_s > q.queue_bytes:
                self.lost += 1
                return
            self.free_at = due
        due += (q.delay_ms + self.rng.uniform(-q.jitter_ms, q.jitter_ms)) / 1000
        self.number += 1
        heapq.heappush(self.waiting, (due, self.number, packet[:12] + packet[16:20] + packet[12:16] + packet[20:]))

    def give(self, tun, now):
        while self.waiting and self.waiting[0][0] <= now:
            self.passed += 1
            try:
                os.write(tun, heapq.heappop(self.waiting)[2])
            except BlockingIOError:
                self.lost += 1

    def wait_s(self, now):
        return max(0.0, self.waiting[0][0] - now) if self.waiting else 1.0


def main():
    tun, line = open_device(), Line(random.Random(int(sys.argv[1])))
    print("ready", flush=True)
    while True:
        ready, _, _ = select.select([tun, sys.stdin], [], [], line.wait_s(time.monotonic()))
        if sys.stdin in ready:
            asked = sys.stdin.readline()
            if not asked:
                return
            line.quality = Quality(**json.loads(asked))
            print(json.dumps({"lost": line.lost, "passed": line.passed}), flush=True)
        if tun in ready:
            try:
                for _ in range(64):
                    line.take(os.read(tun, PACKET_BYTES), time.monotonic())
            except BlockingIOError:
                pass
        line.give(tun, time.monotonic())


if __name__ == "__main__":
    main()
