"""Fixtures of the tests of rules that send to this machine (http, kafka): a server of their own, two plain clients."""
import pytest

from support import wire
from support.rules import own_server


@pytest.fixture(scope="module")
def own(tmp_path_factory):
    running = own_server(tmp_path_factory.mktemp("rules-own"))
    yield running
    running.stop()


@pytest.fixture(scope="module")
def own_iot(own):
    return own.client("iot")


@pytest.fixture
def client(own, name):
    with wire.plain_wire(own) as connection:
        connection.connect(name)
        yield connection


@pytest.fixture
def sub(own, name):
    with wire.plain_wire(own) as connection:
        connection.connect(f"{name}-sub")
        yield connection


__all__ = ["client", "own", "own_iot", "sub"]
