"""What was promised, kept outside of the server: noted before sending and on acknowledgement, compared after a crash.

A message carries its publisher and number, a register (shadow, attribute, retained message) its key and version; all
else of their content follows from these, so that content need not be remembered to be compared.
"""
import dataclasses
import hashlib
import zlib

FILLER = b"".join(hashlib.sha256(b"%d" % i).hexdigest().encode() for i in range(1024))


def filler(name: str, number: int, length_max: int) -> str:
    """Text that only this name and number have, of a length between 0 and length_max."""
    start = zlib.crc32(f"{name}/{number}".encode())
    length = (start >> 8) % (length_max + 1)
    start %= len(FILLER) - length_max
    return FILLER[start:start + length].decode()


@dataclasses.dataclass
class Verdict:
    lost: list[str] = dataclasses.field(default_factory=list)
    corrupt: list[str] = dataclasses.field(default_factory=list)
    disordered: list[str] = dataclasses.field(default_factory=list)
    failed: list[str] = dataclasses.field(default_factory=list)  # the server did not do as it must, with nothing lost
    repeated: int = 0  # came once more, as QoS 1 may after a cut; where nothing was cut it is in failed
    acknowledged: int = 0
    checked: int = 0

    def add(self, other: "Verdict") -> None:
        self.lost += other.lost
        self.corrupt += other.corrupt
        self.disordered += other.disordered
        self.failed += other.failed
        self.repeated += other.repeated
        self.acknowledged += other.acknowledged
        self.checked += other.checked

    @property
    def good(self) -> bool:
        return not (self.lost or self.corrupt or self.disordered or self.failed)


# -- messages ---------------------------------------------------------------------------------------------------------


class Publisher:
    """Numbers its messages; number and name decide topic and payload."""

    def __init__(self, name: str, topics: list[str]):
        self.name, self.topics = name, topics
        self.next = self.base = 1
        self.acked: set[int] = set()

    def take(self) -> int:
        self.next += 1
        return self.next - 1

    def topic(self, number: int) -> str:
        return self.topics[number % len(self.topics)]

    def payload(self, number: int) -> bytes:
        return f"{self.name}:{number}:{filler(self.name, number, 2000)}".encode()

    def settle(self) -> None:
        """All that was promised has been compared: only what comes next counts."""
        self.base = self.next
        self.acked.clear()


class Inbox:
    """What one persistent session got. Every message to one of its topics that was acknowledged must be in it."""

    def __init__(self, name: str, prefixes: list[str], publishers: dict[str, Publisher]):
        self.name, self.prefixes, self.publishers = name, tuple(prefixes), publishers
        self.got: dict[str, set[int]] = {name: set() for name in publishers}
        self.newest = dict.fromkeys(publishers, 0)
        self.doubles: list[tuple[str, int]] = []
        self.verdict = Verdict()

    def message(self, topic: str, payload: bytes) -> None:
        name, _, rest = payload.partition(b":")
        number_text = rest.partition(b":")[0]
        publisher = self.publishers.get(name.decode(errors="replace"))
        number = int(number_text) if number_text.isdigit() else 0
        if publisher is None or not 0 < number < publisher.next or payload != publisher.payload(number) \
                or topic != publisher.topic(number):
            self.verdict.corrupt.append(f"{self.name} got {payload[:60]!r} on {topic}")
            return
        got = self.got[publisher.name]
        if number < publisher.base or number in got:
            self.verdict.repeated += 1
            self.doubles.append((publisher.name, number))
        elif number < self.newest[publisher.name]:
            self.verdict.disordered.append(
                f"{self.name}: {publisher.name} {number} came first after {self.newest[publisher.name]}")
        got.add(number)
        self.newest[publisher.name] = max(number, self.newest[publisher.name])

    def missing(self) -> list[tuple[str, int]]:
        return [(p.name, number) for p in self.publishers.values() for number in sorted(p.acked)
                if number not in self.got[p.name] and p.topic(number).startswith(self.prefixes)]

    def settle(self) -> Verdict:
        verdict, self.verdict = self.verdict, Verdict()
        verdict.lost += [f"{self.name} never got {name} {number} ({self.publishers[name].topic(number)}), acknowledged"
                         for name, number in self.missing()]
        verdict.checked += sum(len(got) for got in self.got.values())
        self.doubles.clear()
        for got in self.got.values():
            got.clear()
        return verdict


# -- registers and things that are or are not -------------------------------------------------------------------------


class Register:
    """Something with a newest version: its value may be any from the last acknowledged one to the last sent one."""

    def __init__(self, name: str, length_max: int = 500):
        self.name, self.length_max = name, length_max
        self.sent = self.acked = 0
        self.promises = 0

    def write(self) -> int:
        self.sent += 1
        return self.sent

    def ack(self, version: int) -> None:
        self.acked = max(self.acked, version)
        self.promises += 1

    def value(self, version: int) -> str:
        return f"{version}:{filler(self.name, version, self.length_max)}"

    def check(self, value: str | None) -> Verdict:
        """value: what is there now; None: nothing."""
        verdict = Verdict(acknowledged=self.promises, checked=1)
        text = (value or "0:").partition(":")[0]
        version = int(text) if text.isdigit() else -1
        if version < 0 or version > self.sent or (version and value != self.value(version)):
            verdict.corrupt.append(f"{self.name} is {value!r}, version {self.sent} was the last sent")
        elif version < self.acked:
            verdict.lost.append(f"{self.name} is at version {version}, {self.acked} was acknowledged")
        self.acked, self.promises = max(version, 0), 0
        return verdict


class Existence:
    """Names that were made and deleted: there after an acknowledged creation, gone after an acknowledged deletion."""

    def __init__(self, kind: str):
        self.kind = kind
        self.state: dict[str, str] = {}  # making, there, deleting, gone
        self.detail: dict[str, str] = {}
        self.promises = 0

    def note(self, name: str, state: str, detail: str = "") -> None:
        self.state[name] = state
        if detail:
            self.detail[name] = detail
        self.promises += state in ("there", "gone")

    def check(self, name: str, found: str | None) -> Verdict:
        """found: what distinguishes it (its content), None when it is not there."""
        verdict, state = Verdict(checked=1), self.state[name]
        if state == "there" and found is None:
            verdict.lost.append(f"{self.kind} {name} was made and is not there")
        if state == "gone" and found is not None:
            verdict.lost.append(f"{self.kind} {name} was deleted and is there")
        if found is not None and name in self.detail and found != self.detail[name]:
            verdict.corrupt.append(f"{self.kind} {name} is {found!r}, was made as {self.detail[name]!r}")
        return verdict

    def settle(self) -> int:
        promises, self.promises = self.promises, 0
        self.state.clear()
        self.detail.clear()
        return promises
