"""A Starling server of one's own for as long as a test or the demo needs it, and clients that point at it."""
import configparser
import dataclasses
import json
import os
import pathlib
import signal
import subprocess
import time

import boto3
import botocore.config
import requests

ROOT = pathlib.Path(__file__).resolve().parents[2]
BINARY = ROOT / os.environ.get("STARLING", "build/starling")
REGION = "us-east-1"
ACCOUNT = "123456789012"
# What tools/reached.py reads at the end of a run.
REACHED = ("--test-reached", os.environ["STARLING_REACHED"]) if "STARLING_REACHED" in os.environ else ()
START_TIMEOUT_S = 30
STOP_TIMEOUT_S = 20


class ServerFault(Exception):
    """The server did not start, crashed, or a sanitizer complained."""


@dataclasses.dataclass
class Server:
    data: pathlib.Path
    arguments: tuple[str, ...] = ()
    process: subprocess.Popen | None = None
    ready: dict = dataclasses.field(default_factory=dict)
    ahead_ms: int = 0

    # -- life ---------------------------------------------------------------------------------------------------

    def start(self) -> "Server":
        self.data.mkdir(parents=True, exist_ok=True)
        ready_file = self.data / "ready.json"
        ready_file.unlink(missing_ok=True)
        with self.log_file.open("ab") as log:
            self.process = subprocess.Popen(
                [BINARY, "serve", "--data", self.data, "--mqtt-port", "0", "--https-port", "0", *REACHED, *self.arguments],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        deadline = time.monotonic() + START_TIMEOUT_S
        while not ready_file.exists():
            if self.process.poll() is not None:
                raise ServerFault(f"the server ended with status {self.process.returncode}:\n{self.log()[-4000:]}")
            if time.monotonic() > deadline:
                self.process.kill()
                raise ServerFault(f"no {ready_file} after {START_TIMEOUT_S} s:\n{self.log()[-4000:]}")
            time.sleep(0.005)
        self.ready = json.loads(ready_file.read_text())
        self.ahead_ms = 0
        return self

    def stop(self) -> None:
        """Asks the server to end and checks that it did so in good order, with nothing from a sanitizer."""
        if self.process is None:
            return
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            status = self.process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise ServerFault(f"still running {STOP_TIMEOUT_S} s after SIGTERM:\n{self.log()[-4000:]}") from None
        self.process = None
        for word in ("ERROR: AddressSanitizer", "ERROR: LeakSanitizer", "runtime error:", "WARNING: ThreadSanitizer"):
            at = self.log().find(word)
            if at >= 0:
                raise ServerFault(f"a sanitizer complained:\n{self.log()[max(0, at - 200):at + 6000]}")
        if status != 0:
            raise ServerFault(f"the server ended with status {status}:\n{self.log()[-4000:]}")

    def kill(self) -> None:
        """kill -9, for what happens then."""
        self.process.kill()
        self.process.wait()
        self.process = None

    def alive(self) -> bool:
        return self.process is not None and self.process.poll() is None

    @property
    def log_file(self) -> pathlib.Path:
        return self.data / "server.log"

    def log(self) -> str:
        return self.log_file.read_text(errors="replace")

    # -- where it is --------------------------------------------------------------------------------------------

    @property
    def host(self) -> str:
        return "localhost"

    @property
    def mqtt_port(self) -> int:
        return self.ready["mqtt_port"]

    @property
    def https_port(self) -> int:
        return self.ready["https_port"]

    @property
    def plain_port(self) -> int:
        return self.ready["plain_port"]

    @property
    def url(self) -> str:
        return f"https://{self.host}:{self.https_port}"

    @property
    def ca_file(self) -> str:
        return str(self.data / "ca.pem")

    @property
    def credentials(self) -> tuple[str, str]:
        """The first access key: its id and its secret."""
        file = configparser.ConfigParser()
        file.read(self.data / "credentials")
        section = file[file.sections()[0]]
        return section["aws_access_key_id"], section["aws_secret_access_key"]

    # -- test controls (serve --test) ---------------------------------------------------------------------------

    def advance(self, seconds: float) -> None:
        """Moves the clock that sessions, expiries and timers go by; TLS, X.509 and SigV4 keep the real one."""
        self.ahead_ms += int(seconds * 1000)
        answer = requests.post(f"{self.url}/_starling/clock", json={"ahead_ms": self.ahead_ms}, verify=self.ca_file,
                               timeout=10)
        if answer.status_code != 200:
            raise ServerFault(f"/_starling/clock answered {answer.status_code}: {answer.text}")

    def now(self) -> float:
        """The clock that sessions and timestamps go by, in seconds since 1970; other tests may have moved it."""
        return time.time() + self.ahead_ms / 1000

    # -- clients ------------------------------------------------------------------------------------------------

    def client(self, service: str, key: str | None = None, secret: str | None = None, **config):
        """A boto3 client, as a person makes it, but for the endpoint and the CA."""
        if key is None:
            key, secret = self.credentials
        settings = {"retries": {"max_attempts": 0}, "inject_host_prefix": False, "connect_timeout": 10,
                    "read_timeout": 30, **config}
        return boto3.client(service, region_name=REGION, endpoint_url=self.url, verify=self.ca_file,
                            aws_access_key_id=key, aws_secret_access_key=secret,
                            config=botocore.config.Config(**settings))
