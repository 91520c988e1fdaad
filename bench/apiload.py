"""Loads of the API: files of signed requests, made before, that httpload sends over 64 kept connections."""
import json
import os
import subprocess
import time
import types

from device import Signer, starling_key, write_requests
from systems import BUILD, Starling

HTTPLOAD, MQLOAD = BUILD / "bench/httpload", BUILD / "bench/mqload"
THINGS, RESTART_THINGS, RESTART_SESSIONS = 1000, 1_000_000, 100_000
SESSIONS_AT_ONCE = 10_000
LOAD_TIMEOUT_S = 120
RESTART_TIMEOUT_S = 900
PEER_KEY = ("AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY")


def document(i):
    return json.dumps({"state": {"desired": {"level": i, "on": True}, "reported": {"level": i, "color": "white"}}}).encode()


class ApiLoad:
    def __init__(self, folder, seconds):
        self.folder, self.seconds = folder, seconds

    def requests(self, system, what):
        """The file of this load for this system."""
        key = starling_key(system.data) if isinstance(system, Starling) else PEER_KEY
        path = self.folder / f"{system.name}-{key[0]}-{what}".replace(" ", "-")
        if path.exists() and time.time() - path.stat().st_mtime < 300:  # a signature is good for fifteen minutes
            return path
        iot, data = Signer(*key, "us-east-1", "iot"), Signer(*key, "us-east-1", "iotdata")
        if what.startswith("create-"):
            made = (iot.request("POST", "localhost", f"/things/thing-{i}", b"{}") for i in range(int(what.split("-")[1])))
        elif what.startswith("update"):
            made = (data.request("POST", "localhost", f"/things/thing-{i}/shadow", document(i)) for i in range(THINGS))
        else:
            made = (data.request("GET", "localhost", f"/things/thing-{i}/shadow", b"") for i in range(THINGS))
        write_requests(path, made)
        return path

    def send(self, system, what, once, timeout_s=LOAD_TIMEOUT_S):
        command = [HTTPLOAD, "--port", system.port, "--requests", self.requests(system, what), "--pid", system.process.pid]
        command += ["--once"] if once else ["--seconds", self.seconds]
        if isinstance(system, Starling):
            command += ["--cafile", system.data / "ca.pem"]
        command += ["--connections", system.connections]
        try:
            done = subprocess.run([str(c) for c in command], capture_output=True, text=True, timeout=timeout_s)
        except subprocess.TimeoutExpired:
            return {"failed": f"{what} was not done in {timeout_s} s"}
        if not done.stdout.strip():
            return {"failed": done.stderr.strip()[:200]}
        return {**json.loads(done.stdout), **({"failed": done.stderr.strip()[:200]} if done.returncode else {})}

    def measure(self, system, row):
        if row.work == "restart":
            return self.restart(system, row)
        if isinstance(system, Starling):
            system.renew()
        try:
            system.start(row)
            if row.load == ("nothing",):
                return self.fresh(system, row)
            for what in row.setup:
                done = self.send(system, what, True)
                if "failed" in done:
                    return done
            return self.send(system, row.load[0], row.load[0].startswith("create-"))
        finally:
            system.stop()

    @staticmethod
    def rss_kb(system):
        for line in open(f"/proc/{system.process.pid}/status"):
            if line.startswith("VmRSS:"):
                return int(line.split()[1])
        return 0

    @staticmethod
    def cpu_ms(system):
        fields = open(f"/proc/{system.process.pid}/stat").read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) * 1e3 / os.sysconf("SC_CLK_TCK")

    def fresh(self, system, row):
        """Of the second start: the first makes keys."""
        system.stop()
        system.start(row)
        return {"start_ms": system.started_s * 1e3, "start_cpu_ms": self.cpu_ms(system), "rss_mb": self.rss_kb(system) / 1024}

    def restart(self, system, row):
        system.renew()
        system.start(types.SimpleNamespace(kind="api", tls=True))
        done = self.send(system, f"create-{RESTART_THINGS}", True, RESTART_TIMEOUT_S)
        if "failed" in done:
            system.stop()
            return done
        system.stop()
        system.start(row)
        for at in range(0, RESTART_SESSIONS, SESSIONS_AT_ONCE):
            command = [MQLOAD, "connect", "--clients", SESSIONS_AT_ONCE, "--seconds", 0.1, "--no-clean", "--port", system.port,
                       "--pid", system.process.pid, "--client-prefix", f"kept{at}"]
            subprocess.run([str(c) for c in command], capture_output=True, check=True, timeout=300)
        system.stop()
        system.start(row)
        result = {"start_s": system.started_s, "rss_mb": self.rss_kb(system) / 1024}
        system.stop()
        system.renew()
        return result
