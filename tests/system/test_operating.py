"""What who runs a server sets and sees: server names, quotas, supervisors, files; and just-in-time registration."""
import json
import os
import socket
import ssl
import stat
import subprocess
import time

import botocore.exceptions
import pytest
import requests
from support import wire, x509
from support.refused import connects
from support.server import BINARY, Server
from support.signed import presigned_path, websocket_wire


@pytest.fixture
def serve(tmp_path):
    started = []

    def run(*arguments):
        started.append(Server(tmp_path / f"data{len(started)}", arguments).start())
        return started[-1]

    yield run
    for running in started:
        running.stop()


def test_with_require_sni_only_known_names_come_through_tls(serve):
    server = serve("--require-sni", "--hostname", "iot.example.org", "--test")
    context = wire.tls_context(server)
    for name in ("localhost", "iot.example.org", "IOT.example.org"):
        wire.tls_stream(server, sni=name, context=context).close()
    context.check_hostname = False
    for name in (None, "other.example.org"):
        with pytest.raises(ssl.SSLError) as caught:
            wire.tls_stream(server, sni=name, context=context)
        assert "UNRECOGNIZED_NAME" in str(caught.value)
    assert requests.get(f"{server.url}/health", verify=server.ca_file, timeout=10).json() == {"status": "ok"}


def test_with_aws_quotas_the_api_throttles_as_aws_does(serve):
    server = serve("--aws-quotas", "--test")
    key = server.credentials
    iot = server.client("iot", *key)
    codes = set()
    for number in range(60):
        try:
            iot.create_policy(policyName=f"p{number}", policyDocument="{}")
        except botocore.exceptions.ClientError as error:
            codes.add((error.response["Error"]["Code"], error.response["ResponseMetadata"]["HTTPStatusCode"]))
            if error.response["Error"]["Code"] == "ThrottlingException":
                break
    assert ("ThrottlingException", 400) in codes
    text = requests.get(f"{server.url}/metrics", verify=server.ca_file, timeout=10).text
    assert int(text.split("\nstarling_throttled_total ")[1].split("\n")[0]) >= 1


def test_without_quotas_nothing_is_throttled(server, iot):
    for _ in range(60):
        iot.list_policies(pageSize=1)


def test_the_answer_carries_the_time(server):
    answer = requests.get(f"{server.url}/health", verify=server.ca_file, timeout=10)
    sent = time.mktime(time.strptime(answer.headers["Date"], "%a, %d %b %Y %H:%M:%S GMT")) - time.timezone
    assert abs(sent - time.time()) < 5


def test_what_is_for_test_suites_says_that_it_needs_test(serve):
    server = serve()
    for path in ("reset", "clock"):
        answer = requests.post(f"{server.url}/_starling/{path}", data="{}", verify=server.ca_file, timeout=20)
        assert (answer.status_code, answer.json()["message"]) == (
            404, "this is for test suites: start the server with --test to have it")


def test_a_mistyped_path_of_the_servers_own_is_told_what_there_is(server):
    def ask(method, path):
        answer = requests.request(method, f"{server.url}{path}", verify=server.ca_file, timeout=20)
        return answer.status_code, answer.json()["message"]

    status, message = ask("POST", "/_starling/nope")
    assert status == 404
    for there in ("POST /_starling/reset", "POST /_starling/clock", "GET /_starling/status", "PUT /_starling/keys/ID"):
        assert there in message
    assert ask("GET", "/_starling/reset") == (405, "/_starling/reset takes POST only")
    assert ask("GET", "/_starling/status") == (403, "Missing Authentication Token")


@pytest.mark.parametrize("option", ["--mqtt-port", "--https-port", "--plain-port"])
def test_a_port_that_is_taken_is_told_before_keys_are_made(tmp_path, option):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        ports = {"--mqtt-port": "0", "--https-port": "0", option: port}
        done = subprocess.run([BINARY, "serve", "--data", tmp_path / "data", *(x for o in ports.items() for x in o)],
                              capture_output=True, text=True, timeout=20)
    assert done.returncode == 1
    assert f"port {port}: Address already in use" in done.stderr
    assert not list((tmp_path / "data").glob("pki/*"))


def test_a_supervisor_is_told_when_it_is_ready_and_when_it_stops(tmp_path):
    path = str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(path)
        listener.settimeout(wire.TIMEOUT_S)
        process = subprocess.Popen([BINARY, "serve", "--data", tmp_path / "data", "--mqtt-port", "0", "--https-port", "0"],
                                   env=os.environ | {"NOTIFY_SOCKET": path}, stderr=subprocess.DEVNULL)
        assert listener.recv(100) == b"READY=1"
        assert (tmp_path / "data" / "ready.json").exists()
        process.terminate()
        assert listener.recv(100) == b"STOPPING=1"
        assert process.wait(wire.TIMEOUT_S) == 0


def test_only_the_owner_reads_secrets(server):
    secrets = [server.data / "credentials", *(server.data / "pki").iterdir()]
    assert len(secrets) == 5
    assert {stat.S_IMODE(file.stat().st_mode) for file in secrets} == {0o600}
    assert {stat.S_IMODE((server.data / folder).stat().st_mode) for folder in ("pki", "store")} == {0o700}


class TestJustInTime:
    """Source: AWS IoT developer guide, "Register a client certificate when the client connects"."""

    def stranger(self, iot, fleet, name, auto):
        ca_key, key = x509.new_key(), x509.new_key()
        ca = x509.certificate(f"{name} CA", ca_key, ca=True)
        made = iot.register_ca_certificate(caCertificate=x509.cert_pem(ca), certificateMode="SNI_ONLY", setAsActive=True,
                                           allowAutoRegistration=auto)
        cert = x509.certificate(name, key, ca, ca_key)
        chain = x509.cert_pem(cert) + x509.cert_pem(ca)
        return fleet.save(name, x509.fingerprint(cert), "", chain, x509.key_pem(key)), made["certificateId"]

    def test_the_first_attempt_registers_and_says_so_and_the_one_after_activation_succeeds(self, server, iot, fleet,
                                                                                         connect, name):
        device, ca_id = self.stranger(iot, fleet, name, auto=True)
        sub = connect(f"{name}-sub")
        sub.subscribe(f"$aws/events/certificates/registered/{ca_id}")
        assert not connects(server, device, name)
        event = json.loads(sub.message().payload)
        assert (event["certificateId"], event["certificateStatus"]) == (device.cert_id, "PENDING_ACTIVATION")
        assert not connects(server, device, name)
        assert json.loads(sub.message().payload)["certificateId"] == device.cert_id  # each attempt says so again
        described = iot.describe_certificate(certificateId=device.cert_id)["certificateDescription"]
        assert described["status"] == "PENDING_ACTIVATION"
        iot.attach_policy(policyName=self.policy(iot, name), target=described["certificateArn"])
        iot.update_certificate(certificateId=device.cert_id, newStatus="ACTIVE")
        assert connects(server, device, name)

    def policy(self, iot, name):
        document = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "iot:*", "Resource": "*"}]}
        iot.create_policy(policyName=name, policyDocument=json.dumps(document))
        return name

    def test_a_ca_without_auto_registration_registers_nobody(self, server, iot, fleet, name):
        device, _ = self.stranger(iot, fleet, name, auto=False)
        assert not connects(server, device, name)
        with pytest.raises(iot.exceptions.ResourceNotFoundException):
            iot.describe_certificate(certificateId=device.cert_id)


class TestKeysOfWebSockets:
    def key(self, server, tmp_path):
        file = tmp_path / "policy.json"
        file.write_text('{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"iot:*","Resource":"*"}]}')
        made = self.starling(server, "key", "create", "--policy", file)
        values = dict(line.split(" = ") for line in made.splitlines() if " = " in line)
        return values["aws_access_key_id"], values["aws_secret_access_key"]

    def starling(self, server, *arguments):
        return subprocess.run([BINARY, *arguments, "--data", server.data], capture_output=True, text=True, check=True,
                              timeout=30).stdout

    @pytest.mark.parametrize("change", ["disable", "delete"])
    def test_a_websocket_closes_within_a_second_of_its_key(self, server, name, tmp_path, change):
        key = self.key(server, tmp_path)
        with websocket_wire(server, presigned_path(server, key=key)) as mine, \
                websocket_wire(server, presigned_path(server)) as other:
            assert mine.connect(name).code == 0
            assert other.connect(f"{name}-other").code == 0
            self.starling(server, "key", change, key[0])
            told = time.monotonic()
            while (got := mine.read()) is not None:
                assert got.type == wire.DISCONNECT
            assert time.monotonic() - told < 1
            other.silent()


class TestReservedTopicsOverHttps:
    def post(self, server, device, topic, body):
        return requests.post(f"{server.url}/topics/{topic}?qos=1", data=body, verify=server.ca_file, timeout=10,
                             cert=(device.cert_file, device.key_file))

    def test_a_shadow_is_updated_by_a_post_on_its_topic(self, server, data, connect, device, name):
        sub = connect(f"{name}-sub")
        sub.subscribe(f"$aws/things/{name}/shadow/update/accepted")
        answer = self.post(server, device, f"$aws/things/{name}/shadow/update", b'{"state":{"reported":{"a":1}}}')
        assert answer.status_code == 200
        assert json.loads(sub.message().payload)["state"] == {"reported": {"a": 1}}
        shadow = json.loads(data.get_thing_shadow(thingName=name)["payload"].read())
        assert shadow["state"]["reported"] == {"a": 1}

    def test_and_by_boto3_and_it_is_done_when_qos_1_is_answered(self, data, name):
        data.publish(topic=f"$aws/things/{name}/shadow/update", qos=1, payload=b'{"state":{"desired":{"a":2}}}')
        assert json.loads(data.get_thing_shadow(thingName=name)["payload"].read())["version"] == 1
