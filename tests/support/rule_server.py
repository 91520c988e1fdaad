"""Fixtures of the tests of rules that call AWS: import those that a file needs, and say by ARGUMENTS and ENVIRONMENT of
that file how its server is started. Source: AWS IoT developer guide, "AWS IoT rule actions"."""
import os
from unittest import mock

import pytest
from conftest import Fleet

from support.moto import Moto
from support.mqtt import Mqtt
from support.server import Server
from support.stand_in import StandIn

KEY = ("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY")


def signed_environment(url, key=KEY):
    """What a server needs to call everything there."""
    return {"AWS_ENDPOINT_URL": url, "AWS_ACCESS_KEY_ID": key[0], "AWS_SECRET_ACCESS_KEY": key[1]}


def rule_server(folder, arguments=(), environment=None):
    """A server of the test's own; what the machine's environment says of AWS does not count."""
    plain = {k: v for k, v in os.environ.items() if not k.startswith("AWS_")}
    running = Server(folder / "data", ("--plain-port", "0", "--test", *arguments))
    with mock.patch.dict(os.environ, {**plain, "AWS_SHARED_CREDENTIALS_FILE": "/nonexistent", **(environment or {})},
                         clear=True):
        return running.start()


@pytest.fixture(scope="module")
def moto(tmp_path_factory):
    running = Moto(tmp_path_factory.mktemp("moto") / "log").start()
    yield running
    running.stop()


@pytest.fixture(scope="module")
def aws():
    """Stands for all of AWS: its test sets `now`, and a signature that is not right is refused."""
    stand_in = StandIn(lambda number, request: stand_in.now(request), KEY)
    yield stand_in
    stand_in.stop()
    assert stand_in.faults == []


@pytest.fixture(scope="module")
def iot(server):
    return server.client("iot")


@pytest.fixture(scope="module")
def device(server, iot, tmp_path_factory):
    return Fleet(server, iot, tmp_path_factory.mktemp("devices")).make("rules-device")


@pytest.fixture
def client(server, device, name):
    with Mqtt(server, device, name, keep_alive=1200) as made:
        made.connect()
        yield made


__all__ = ["KEY", "aws", "client", "device", "iot", "moto", "rule_server", "signed_environment"]
