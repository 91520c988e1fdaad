"""The same tour with each of the big SDKs, pointed at the server by `starling env`: things, tags, pages, certificate, policy,
shadow, publish, errors. What the SDK saw is held against what this test sees by boto3 and MQTT."""
import json
import os
import pathlib
import re
import subprocess
import sys

import pytest
from conftest import arn
from support.server import BINARY, ROOT

# Building Go's SDK takes a minute of two cores, each command of the CLI a second.
pytestmark = pytest.mark.timeout(600)

SDK = pathlib.Path(__file__).parent / "sdk"
AWS = pathlib.Path(sys.executable).parent / "aws"
UUID = re.compile(r"[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}")


@pytest.fixture(scope="module")
def environment(server):
    """What a shell has after eval "$(starling env)"."""
    script = subprocess.run([BINARY, "env", "--data", server.data], capture_output=True, text=True, check=True).stdout
    shown = subprocess.run(["sh", "-c", f"{script}\nenv -0"], env={"PATH": os.environ["PATH"], "HOME": os.environ["HOME"]},
                           capture_output=True, text=True, check=True)
    return dict(pair.split("=", 1) for pair in shown.stdout.split("\0") if "=" in pair)


@pytest.fixture(scope="module")
def sdks():
    """./dev installs what the lock files say, where it is not there yet."""
    done = subprocess.run([ROOT / "dev", "sdks"], capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stdout + done.stderr


def javascript(environment, name, tmp_path):
    return ["node", SDK / "js/tour.mjs", name], environment


def go_version():
    found = re.search(r"go(\d+)\.(\d+)", subprocess.run(["go", "version"], capture_output=True, text=True).stdout)
    return tuple(map(int, found.groups()))


def go(environment, name, tmp_path):
    needed = tuple(map(int, re.search(r"^go (\d+)\.(\d+)", (SDK / "go/go.mod").read_text(), re.M).groups()))
    if go_version() < needed:
        pytest.skip(f"the AWS SDK for Go v2 needs Go {needed[0]}.{needed[1]}, here is {go_version()[0]}.{go_version()[1]}")
    tour = tmp_path / "tour"
    subprocess.run(["go", "build", "-mod=readonly", "-o", tour, "."], cwd=SDK / "go", check=True, timeout=600)
    return [tour, name], {**environment, "SSL_CERT_FILE": environment["AWS_CA_BUNDLE"]}


@pytest.mark.parametrize("sdk", [javascript, go])
def test_the_tour(iot, connect, environment, sdks, name, tmp_path, sdk):
    command, variables = sdk(environment, name, tmp_path)
    sub = connect(f"{name}-sub")
    sub.subscribe(f"{name}/#", qos=1)
    sub.subscribe(f"$aws/things/{name}/shadow/update/delta", qos=1)
    done = subprocess.run(command, env=variables, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    seen = json.loads(done.stdout)

    assert seen["thing"] == {"arn": arn(f"thing/{name}"), "attributes": {"site": "pier"}, "version": 1}
    assert seen["groups"] == [[f"{name}-0", f"{name}-1"], [f"{name}-2"]]
    assert [{k: t[k] for k in ("Key", "Value")} for t in seen["tags"]] == [{"Key": "n", "Value": "1"}]
    cert = seen["certificate"]
    assert (cert["status"], cert["attached"], cert["created"], cert["policyVersion"]) == ("ACTIVE", True, True, "1")
    assert "BEGIN CERTIFICATE" in cert["pem"] and "PRIVATE KEY" in cert["key"]
    assert seen["shadow"]["state"] == {"desired": {"on": True}, "reported": {"on": False}, "delta": {"on": True}}

    for key, code, status, words in (("conflict", "VersionConflictException", 409, "expected version 1"),
                                     ("missing", "ResourceNotFoundException", 404, f"{name}-missing"),
                                     ("invalid", "InvalidRequestException", 400, "thingName")):
        assert (seen[key]["name"], seen[key]["status"]) == (code, status)
        assert words in seen[key]["message"] and UUID.fullmatch(seen[key]["requestId"])
    assert seen["gone"] == "ResourceNotFoundException"

    got = {message.topic: message.payload for message in (sub.message(), sub.message())}
    assert got[f"{name}/a b/ü"] == bytes([0, 255, 7])
    assert json.loads(got[f"$aws/things/{name}/shadow/update/delta"])["state"] == {"on": True}
    assert not iot.list_billing_groups(namePrefixFilter=name)["billingGroups"]


def test_the_tour_by_the_cli(iot, connect, environment, name, tmp_path):
    def aws(*arguments, fails=None):
        done = subprocess.run([AWS, *arguments], env=environment, capture_output=True, text=True, timeout=60)
        assert (done.returncode == 0) == (fails is None), done.stdout + done.stderr
        if fails:
            assert fails in done.stderr, done.stderr
        return json.loads(done.stdout) if done.stdout.strip() else None

    sub = connect(f"{name}-sub")
    sub.subscribe(f"{name}/#", qos=1)
    made = aws("iot", "create-thing", "--thing-name", name, "--attribute-payload", '{"attributes":{"site":"pier"}}')
    assert made["thingArn"] == arn(f"thing/{name}")
    aws("iot", "update-thing", "--thing-name", name, "--expected-version", "7", fails="VersionConflictException")
    for i in range(3):
        aws("iot", "create-billing-group", "--billing-group-name", f"{name}-{i}", "--tags", f"Key=n,Value={i}")
    listed = aws("iot", "list-billing-groups", "--name-prefix-filter", name, "--page-size", "2")
    assert [g["groupName"] for g in listed["billingGroups"]] == [f"{name}-{i}" for i in range(3)]
    tags = aws("iot", "list-tags-for-resource", "--resource-arn", arn(f"billinggroup/{name}-1"))
    assert tags["tags"] == [{"Key": "n", "Value": "1"}]
    files = {part: tmp_path / part for part in ("cert", "key")}
    cert = aws("iot", "create-keys-and-certificate", "--set-as-active", "--certificate-pem-outfile", files["cert"],
               "--private-key-outfile", files["key"])
    assert files["cert"].read_text() == cert["certificatePem"]
    document = '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"iot:*","Resource":"*"}]}'
    aws("iot", "create-policy", "--policy-name", name, "--policy-document", document)
    aws("iot", "attach-policy", "--policy-name", name, "--target", cert["certificateArn"])
    aws("iot", "attach-thing-principal", "--thing-name", name, "--principal", cert["certificateArn"])
    assert aws("iot", "list-thing-principals", "--thing-name", name)["principals"] == [cert["certificateArn"]]
    assert aws("iot", "list-attached-policies", "--target", cert["certificateArn"])["policies"][0]["policyName"] == name
    out = tmp_path / "shadow"
    (tmp_path / "state").write_text('{"state":{"desired":{"on":true}}}')
    aws("iot-data", "update-thing-shadow", "--thing-name", name, "--payload", f"fileb://{tmp_path}/state", out)
    aws("iot-data", "get-thing-shadow", "--thing-name", name, out)
    assert json.loads(out.read_text())["state"]["desired"] == {"on": True}
    (tmp_path / "message").write_bytes(bytes([0, 255, 7]))
    aws("iot-data", "publish", "--topic", f"{name}/a b/ü", "--qos", "1", "--payload", f"fileb://{tmp_path}/message")
    message = sub.message()
    assert (message.topic, message.payload) == (f"{name}/a b/ü", bytes([0, 255, 7]))
    aws("iot", "detach-thing-principal", "--thing-name", name, "--principal", cert["certificateArn"])
    aws("iot", "detach-policy", "--policy-name", name, "--target", cert["certificateArn"])
    aws("iot", "update-certificate", "--certificate-id", cert["certificateId"], "--new-status", "INACTIVE")
    aws("iot", "delete-certificate", "--certificate-id", cert["certificateId"])
    aws("iot", "delete-policy", "--policy-name", name)
    aws("iot-data", "delete-thing-shadow", "--thing-name", name, out)
    aws("iot", "delete-thing", "--thing-name", name)
    aws("iot", "describe-thing", "--thing-name", name, fails="ResourceNotFoundException")
