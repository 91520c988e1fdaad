"""The aws command line against the server, pointed at it by `starling env`; what a person meets first."""
import json
import os
import pathlib
import re
import shlex
import ssl
import subprocess
import sys
import time

import botocore.session
import pytest
from support.server import ACCOUNT, BINARY, REGION, ROOT

pytestmark = pytest.mark.both

AWS = pathlib.Path(sys.executable).parent / "aws"


@pytest.fixture(scope="session")
def starling(server):
    def run(*arguments, status=0):
        result = subprocess.run([BINARY, arguments[0], "--data", server.data, *arguments[1:]], capture_output=True,
                                text=True, timeout=50)
        assert result.returncode == status, f"{arguments}: {result.returncode}\n{result.stdout}\n{result.stderr}"
        return result

    return run


@pytest.fixture(scope="session")
def environment(starling):
    """What a shell has after eval "$(starling env)"."""
    script = starling("env").stdout
    bare = {"PATH": os.environ["PATH"], "HOME": "/nonexistent"}
    shown = subprocess.run(["sh", "-c", f"{script}\nenv -0"], env=bare, capture_output=True, text=True, check=True)
    return dict(pair.split("=", 1) for pair in shown.stdout.split("\0") if "=" in pair)


@pytest.fixture
def aws(environment):
    def run(*arguments, status=0):
        result = subprocess.run([AWS, *arguments], env=environment, capture_output=True, text=True, timeout=50)
        assert result.returncode == status, f"{arguments}: {result.returncode}\n{result.stdout}\n{result.stderr}"
        return result.stderr if status else json.loads(result.stdout) if result.stdout.strip() else None

    return run


def test_env_sets_what_every_sdk_reads(server, environment):
    for variable in ("AWS_ENDPOINT_URL_IOT", "AWS_ENDPOINT_URL_IOT_DATA_PLANE", "AWS_ENDPOINT_URL_IOT_JOBS_DATA_PLANE",
                     "AWS_ENDPOINT_URL_STS"):
        assert re.fullmatch(rf"https://[^/:]+:{server.https_port}", environment[variable])
    assert environment["AWS_REGION"] == environment["AWS_DEFAULT_REGION"] == REGION
    ours = pathlib.Path(server.ca_file).read_text()
    assert pathlib.Path(environment["NODE_EXTRA_CA_CERTS"]).read_text() == ours
    assert "AWS_ENDPOINT_URL" not in environment
    # what the system trusts stays trusted: S3, pip … go on in this shell
    system = pathlib.Path("/etc/ssl/certs/ca-certificates.crt")
    trusted = pathlib.Path(environment["AWS_CA_BUNDLE"]).read_text()
    assert trusted == (f"{system.read_text()}\n{ours}" if system.exists() else ours)
    assert ssl.create_default_context(cadata=trusted).cert_store_stats()["x509_ca"] >= ours.count("BEGIN")


# serviceId of botocore 1.43.37, the last with these models
RETIRED = {"iot1click-devices": "IoT 1Click Devices Service", "iot1click-projects": "IoT 1Click Projects",
           "iotanalytics": "IoTAnalytics", "iotevents": "IoT Events", "iotevents-data": "IoT Events Data",
           "iotfleethub": "IoTFleetHub"}


def test_env_leaves_no_service_that_is_here_to_aws(server, environment):
    session = botocore.session.get_session()
    here = {path.stem for path in (ROOT / "models").glob("*.api")} | {"iam", "sts"}
    known = set(session.get_available_services())
    ids = {name: session.get_service_model(name).service_id if name in known else RETIRED[name] for name in here}
    expected = {f"AWS_ENDPOINT_URL_{service_id.replace(' ', '_').upper()}" for service_id in ids.values()}
    assert {v for v in environment if v.startswith("AWS_ENDPOINT_URL")} == expected
    assert {environment[variable] for variable in expected} == {server.url}


def test_what_is_not_there_yet_says_so_here_and_does_not_go_to_aws(aws):
    assert "ListAssetModels of iotsitewise is not implemented yet" in aws("iotsitewise", "list-asset-models", status=255)


def test_the_cli_knows_who_it_is(aws):
    assert aws("sts", "get-caller-identity")["Account"] == ACCOUNT


def test_the_cli_makes_a_thing_and_lists_it(aws, name):
    made = aws("iot", "create-thing", "--thing-name", name, "--attribute-payload", "attributes={a=1}")
    assert made["thingName"] == name
    assert aws("iot", "describe-thing", "--thing-name", name)["attributes"] == {"a": "1"}
    listed = aws("iot", "list-things", "--page-size", "2")["things"]
    assert name in {thing["thingName"] for thing in listed}
    aws("iot", "delete-thing", "--thing-name", name)
    assert "ResourceNotFoundException" in aws("iot", "describe-thing", "--thing-name", name, status=255)


def test_the_cli_makes_a_certificate_with_files(aws, name, tmp_path):
    made = aws("iot", "create-keys-and-certificate", "--set-as-active", "--certificate-pem-outfile", tmp_path / "c.pem",
               "--private-key-outfile", tmp_path / "k.pem")
    assert (tmp_path / "c.pem").read_text() == made["certificatePem"]
    assert "PRIVATE KEY" in (tmp_path / "k.pem").read_text()


def test_the_cli_updates_and_reads_a_shadow(aws, name, tmp_path):
    document = json.dumps({"state": {"desired": {"wait_time": 5}}})
    aws("iot-data", "update-thing-shadow", "--thing-name", name, "--payload", document, tmp_path / "out")
    assert json.loads((tmp_path / "out").read_text())["version"] == 1
    aws("iot-data", "get-thing-shadow", "--thing-name", name, tmp_path / "out")
    assert json.loads((tmp_path / "out").read_text())["state"] == {"desired": {"wait_time": 5}, "delta": {"wait_time": 5}}


def test_the_cli_publishes(aws, connect, name):
    sub = connect(name)
    sub.subscribe(f"{name}/t")
    aws("iot-data", "publish", "--topic", f"{name}/t", "--qos", "1", "--payload", "from the shell")
    assert sub.message().payload == b"from the shell"


def test_secrets_are_readable_by_their_owner_alone(server):
    for file in server.data.rglob("*"):
        if file.is_file() and (file.name == "credentials" or "key" in file.suffix or file.suffix == ".key"):
            assert file.stat().st_mode & 0o077 == 0, file


def test_secrets_are_never_logged(server, iot):
    made = iot.create_keys_and_certificate(setAsActive=True)
    log = server.log()
    assert server.credentials[1] not in log
    assert made["keyPair"]["PrivateKey"].splitlines()[1] not in log


def test_the_printed_command_connects_as_it_stands(starling, iot, data, name, tmp_path):
    printed = starling("device", name, "--out", str(tmp_path)).stdout
    command = next(line for line in printed.splitlines() if line.startswith("mosquitto_sub "))
    listener = subprocess.Popen(["stdbuf", "-oL", *shlex.split(command), "-C", "1"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                text=True)
    try:
        for line in listener.stdout:
            if "SUBACK" in line:
                break
        data.publish(topic=f"{name}/hello", qos=1, payload=b"it works")
        assert "it works" in listener.stdout.read()
        assert listener.wait(20) == 0
    finally:
        listener.kill()
        listener.wait()


def test_an_unknown_command_or_option_is_told():
    for arguments in (["nonsense"], ["serve", "--no-such-option"], ["serve", "--mqtt-port", "99999"]):
        result = subprocess.run([BINARY, *arguments], capture_output=True, text=True, timeout=20)
        assert result.returncode != 0
        assert arguments[-1].removeprefix("--") in result.stderr


def test_help_lists_the_commands():
    printed = subprocess.run([BINARY, "--help"], capture_output=True, text=True, timeout=20).stdout
    for command in ("serve", "env", "device", "policy", "key", "status", "logs"):
        assert command in printed


def test_metrics_move(server, connect, name):
    import requests

    def figures():
        text = requests.get(f"{server.url}/metrics", verify=server.ca_file, timeout=10).text
        assert all(re.fullmatch(r"(# .*|[a-z_0-9]+(\{.*\})? -?[0-9.e+]+)", line) for line in text.splitlines() if line), text
        return sum(float(line.rsplit(" ", 1)[1]) for line in text.splitlines() if line and not line.startswith("#"))

    before = figures()
    connect(name).publish(f"{name}/t", b"x")
    assert figures() != before


def test_the_demo_runs_as_a_person_runs_it(name):
    started = time.monotonic()
    result = subprocess.run([sys.executable, ROOT / "tests/demo/demo.py", "--once"], capture_output=True, text=True,
                            timeout=55)
    assert result.returncode == 0, result.stdout + result.stderr
    assert 'send back state payload:{"state": {"reported": {"wait_time": 5}}}' in result.stdout
    assert time.monotonic() - started < 50
