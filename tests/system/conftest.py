"""One server for all tests of a run; what a test makes has names of its own, so nothing is reset between tests."""
import dataclasses
import json
import pathlib
import re
import sys
import uuid

import botocore.exceptions
import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from support import wire  # noqa: E402
from support.mqtt import Mqtt  # noqa: E402
from support.server import ACCOUNT, REGION, Server  # noqa: E402

ALLOW_ALL = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "iot:*", "Resource": "*"}]}


def arn(rest):
    return f"arn:aws:iot:{REGION}:{ACCOUNT}:{rest}"


def allow(*pairs):
    """A policy document: allow(("iot:Connect", "client/a"), ...)."""
    statements = [{"Effect": "Allow", "Action": action, "Resource": resource if resource == "*" else arn(resource)}
                  for action, resource in pairs]
    return {"Version": "2012-10-17", "Statement": statements}


@dataclasses.dataclass
class Device:
    thing: str
    cert_id: str
    cert_arn: str
    cert_file: str
    key_file: str
    cert_pem: str
    policy: str


class Fleet:
    """Makes devices: thing, certificate, policy, files."""

    def __init__(self, server, iot, folder):
        self.server, self.iot, self.folder = server, iot, folder

    def make(self, thing, policy=ALLOW_ALL, active=True):
        made = self.iot.create_keys_and_certificate(setAsActive=active)
        policy_name = f"{thing}-policy"
        self.iot.create_thing(thingName=thing)
        self.iot.create_policy(policyName=policy_name, policyDocument=json.dumps(policy))
        self.iot.attach_policy(policyName=policy_name, target=made["certificateArn"])
        self.iot.attach_thing_principal(thingName=thing, principal=made["certificateArn"])
        return self.save(thing, made["certificateId"], made["certificateArn"], made["certificatePem"],
                         made["keyPair"]["PrivateKey"], policy_name)

    def save(self, thing, cert_id, cert_arn, cert_pem, key_pem, policy=""):
        cert, key = self.folder / f"{thing}.pem", self.folder / f"{thing}.key"
        cert.write_text(cert_pem)
        key.write_text(key_pem)
        return Device(thing, cert_id, cert_arn, str(cert), str(key), cert_pem, policy)


@pytest.fixture(scope="session")
def server(tmp_path_factory):
    running = Server(tmp_path_factory.mktemp("starling") / "data", ("--plain-port", "0", "--test"))
    running.start()
    yield running
    running.stop()


@pytest.fixture(autouse=True)
def the_server_lives(server):
    yield
    assert server.alive(), f"the server is gone:\n{server.log()[-6000:]}"


@pytest.fixture(scope="session")
def iot(server):
    return server.client("iot")


@pytest.fixture(scope="session")
def data(server):
    return server.client("iot-data")


@pytest.fixture(scope="session")
def fleet(server, iot, tmp_path_factory):
    return Fleet(server, iot, tmp_path_factory.mktemp("devices"))


@pytest.fixture(scope="session")
def anyone(fleet):
    """A device that may do everything; tests that need no device of their own share it under client ids of theirs."""
    return fleet.make(f"anyone-{uuid.uuid4().hex[:8]}")


@pytest.fixture
def name(request):
    """A name that no other test has: good for things, client ids, topics and policies."""
    words = re.sub(r"[^a-zA-Z0-9]+", "-", request.node.name)[:50].strip("-")
    return f"{words}-{uuid.uuid4().hex[:8]}"


@pytest.fixture
def device(fleet, name):
    return fleet.make(name)


@pytest.fixture
def connect(server, anyone):
    """connect(client_id, **options): a connected paho client, closed when the test ends."""
    opened = []

    def make(client_id, device=anyone, **options):
        client = Mqtt(server, device, client_id, **options)
        opened.append(client)
        return client.connect()

    yield make
    for client in opened:
        client.__exit__()


@pytest.fixture
def raw(server, anyone):
    """raw(**options): an MQTT connection by hand, before its CONNECT; closed when the test ends."""
    opened = []

    def make(device=anyone, version=5, **options):
        opened.append(wire.tls_wire(server, device, version, **options))
        return opened[-1]

    yield make
    for connection in opened:
        connection.close()


@pytest.fixture
def fails():
    """fails(call, **arguments): the code, status and message with which an AWS call fails."""
    def make(call, **arguments):
        with pytest.raises(botocore.exceptions.ClientError) as caught:
            call(**arguments)
        answer = caught.value.response
        return answer["Error"]["Code"], answer["ResponseMetadata"]["HTTPStatusCode"], answer["Error"]["Message"]

    return make
