"""What a part of the fault runs found: cases by name, each good or with a reason, and lines that tell of figures."""
import json
import xml.etree.ElementTree as xml


class Cases:
    def __init__(self):
        self.all: list[tuple[str, str]] = []  # name, why it failed
        self.skipped: list[tuple[str, str]] = []

    @staticmethod
    def say(text):
        print(text, flush=True)

    def add(self, name, why=""):
        """why: empty where it is as it must be."""
        self.all.append((name, why))

    def skip(self, name, why):
        self.skipped.append((name, why))
        self.say(f"skipped {name}: {why}")

    @staticmethod
    def bad(verdict) -> str:
        """The reasons why a verdict is not good."""
        lines = []
        for kind in ("lost", "corrupt", "disordered", "failed"):
            found = getattr(verdict, kind)
            lines += [f"{kind}: {line}" for line in found[:5]]
            if len(found) > 5:
                lines.append(f"{kind}: {len(found) - 5} more")
        if not verdict.checked:
            lines.append("nothing was read back")
        return "\n".join(lines)

    def give(self, path):
        """To the process that started this one."""
        path.write_text(json.dumps([self.all, self.skipped]))

    def take(self, path) -> bool:
        """What another process gave; false where it gave nothing."""
        try:
            with open(path, encoding="utf-8") as file:
                found, skipped = json.load(file)
        except ValueError:
            return False
        self.all += map(tuple, found)
        self.skipped += map(tuple, skipped)
        return bool(found or skipped)

    def failed(self):
        return any(why for _, why in self.all)

    def tell(self):
        for case, why in self.all:
            self.say(f"{'FAILED' if why else 'ok    '} {case}")
            if why:
                self.say("\n".join(f"         {line}" for line in why.splitlines()[:80]))

    def report(self, path):
        """A JUnit file."""
        suite = xml.Element("testsuite", name="faults", tests=str(len(self.all) + len(self.skipped)),
                            failures=str(sum(1 for c in self.all if c[1])), skipped=str(len(self.skipped)))
        for name, why in self.all:
            case = xml.SubElement(suite, "testcase", classname="faults", name=name)
            if why:
                xml.SubElement(case, "failure", message=why[:2000])
        for name, why in self.skipped:
            xml.SubElement(xml.SubElement(suite, "testcase", classname="faults", name=name), "skipped", message=why)
        xml.ElementTree(suite).write(path)
