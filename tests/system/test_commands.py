"""The commands of a running server: env, device, key, policy explain, status, logs."""
import configparser
import json
import os
import stat
import subprocess
import sys

import botocore.exceptions
import pytest
from conftest import arn
from support.mqtt import wait_until
from support.server import ACCOUNT, BINARY, REGION


@pytest.fixture
def starling(server):
    def run(*arguments, expect=0):
        done = subprocess.run([BINARY, *map(str, arguments), "--data", server.data], capture_output=True, text=True,
                              timeout=60)
        assert done.returncode == expect, done.stdout + done.stderr
        return done.stdout if expect in (0, 3) else done.stderr
    return run


def key_of(text):
    file = configparser.ConfigParser()
    file.read_string(text)
    section = file[file.sections()[0]]
    return section["aws_access_key_id"], section["aws_secret_access_key"]


def code_of(call, **arguments):
    with pytest.raises(botocore.exceptions.ClientError) as caught:
        call(**arguments)
    return caught.value.response["Error"]["Code"]


def test_env_points_an_unchanged_boto3_here(starling, server):
    program = ("import boto3; print(boto3.client('sts').get_caller_identity()['Account'], "
               "len(boto3.client('iot').list_things(maxResults=1)['things']) < 2)")
    script = f"{starling('env')}\nexec {sys.executable} -c \"{program}\""
    clean = {k: v for k, v in os.environ.items() if not k.startswith("AWS_")}
    stale = {"AWS_SESSION_TOKEN": "of another session", "AWS_PROFILE": "nobody"}
    done = subprocess.run(["sh", "-c", script], capture_output=True, text=True, env=clean | stale, timeout=60)
    assert done.stdout == f"{ACCOUNT} True\n", done.stderr


def test_a_device_is_made_in_one_step_and_its_files_connect(starling, server, iot, name, tmp_path):
    tmp_path = tmp_path / "made"
    text = starling("device", name, "--out", tmp_path)
    cert, key, roots = tmp_path / f"{name}.cert.pem", tmp_path / f"{name}.private.key", tmp_path / "root-ca.pem"
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    assert roots.read_text() == (server.data / "ca.pem").read_text()
    principals = iot.list_thing_principals(thingName=name)["principals"]
    assert len(principals) == 1 and principals[0] in text
    assert text.splitlines()[-1].startswith("mosquitto_sub -h ")
    command = text.splitlines()[-1].split()
    assert command[command.index("--cert") + 1] == str(cert)
    again = starling("device", name, "--out", tmp_path, expect=1)
    assert f"{cert} exists" in again
    assert "1 to 128" in starling("device", "a/b", expect=2)


def test_the_policy_of_a_made_device_is_explained_from_its_file(starling, name, tmp_path):
    starling("device", name, "--out", tmp_path)
    cert = tmp_path / f"{name}.cert.pem"
    ask = ("policy", "explain", cert)
    shadow = f"topic/$aws/things/{name}/shadow/update"
    assert "ACTIVE" in starling(*ask, "iot:Publish", shadow, "--client-id", name)
    starling(*ask, "Connect", f"client/{name}", "--client-id", name)
    starling(*ask, "Publish", arn("topic/elsewhere"), "--client-id", name, expect=3)
    assert "StarlingDevice" in starling(*ask, "Publish", shadow, expect=3), "without a client id there is no thing"
    assert "no certificate" in starling("policy", "explain", "0" * 64, "Publish", "topic/a", expect=1)


def test_a_certificate_of_another_account_is_explained_where_it_is(starling, server):
    account = "555566667777"
    key = key_of(starling("key", "create", "--account", account))
    own = server.client("iot", *key)
    made = own.create_keys_and_certificate(setAsActive=True)
    own.create_policy(policyName="p", policyDocument=json.dumps({"Version": "2012-10-17", "Statement": [{
        "Effect": "Allow", "Action": "iot:Publish", "Resource": f"arn:aws:iot:{REGION}:{account}:topic/a"}]}))
    own.attach_policy(policyName="p", target=made["certificateArn"])
    ask = ("policy", "explain", made["certificateId"], "Publish", "topic/a")
    assert "--account" in starling(*ask, expect=1)
    assert made["certificateArn"] in starling(*ask, "--account", account)
    starling(*ask[:-1], "topic/b", "--account", account, expect=3)


def test_a_key_may_do_what_its_policy_says_until_it_is_disabled(starling, server, tmp_path, name):
    file = tmp_path / "policy.json"
    file.write_text(json.dumps({"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Action": "iot:ListThings", "Resource": "*"}]}))
    key, secret = key_of(starling("key", "create", "--user", "reader", "--policy", file))
    client = server.client("iot", key, secret)
    client.list_things()
    with pytest.raises(botocore.exceptions.ClientError) as caught:
        client.create_thing(thingName=name)
    error = caught.value.response["Error"]
    assert error["Code"] == "AccessDeniedException"
    assert error["Message"].startswith(f"User: arn:aws:iam::{ACCOUNT}:user/reader is not authorized to perform: "
                                       f"iot:CreateThing on resource: {arn(f'thing/{name}')}")
    assert server.client("sts", key, secret).get_caller_identity()["Arn"] == f"arn:aws:iam::{ACCOUNT}:user/reader"
    listed = starling("key", "list")
    assert f"{key}  {ACCOUNT}  Active" in listed and secret not in listed
    starling("key", "disable", key)
    assert code_of(client.list_things) == "UnrecognizedClientException"
    assert f"{key}  {ACCOUNT}  Inactive" in starling("key", "list")
    starling("key", "enable", key)
    client.list_things()
    starling("key", "delete", key)
    assert code_of(client.list_things) == "UnrecognizedClientException"
    assert key not in starling("key", "list")
    assert "there is no access key" in starling("key", "delete", key, expect=1)


def test_a_policy_that_is_none_and_a_key_that_would_lock_one_out_are_refused(starling, server, tmp_path):
    file = tmp_path / "policy.json"
    file.write_text('{"Version":"2012-10-17"}')
    assert "policy 1, line" in starling("key", "create", "--policy", file, expect=1)
    assert "12 digits" in starling("key", "create", "--account", "12", expect=1)
    assert "signs this very request" in starling("key", "delete", server.credentials[0], expect=1)


def test_status(starling, server):
    text = starling("status")
    assert str(server.process.pid) in text and REGION in text and ACCOUNT in text and str(server.mqtt_port) in text


def test_the_newest_log_lines_are_those_of_standard_error(starling, server):
    lines = starling("logs").splitlines()
    assert lines and set(lines) <= set(server.log().splitlines())


def test_the_entries_of_a_log_group_are_lines_of_json(starling, server, name):
    iot = server.client("iot")
    iot.set_v2_logging_options(roleArn=f"arn:aws:iam::{ACCOUNT}:role/logs", defaultLogLevel="INFO",
                               disableAllLogs=False)
    server.client("iot-data").publish(topic=name, payload=b"x", qos=1)
    iot.set_v2_logging_options(defaultLogLevel="DISABLED", disableAllLogs=True)

    def told():
        entries = [json.loads(line) for line in starling("logs", "--group", "AWSIotLogsV2").splitlines()]
        return [entry["eventType"] for entry in entries if entry.get("topicName") == name]
    assert wait_until(told) == ["Publish-In"]
    assert starling("logs", "--group", "none") == ""


def test_status_shows_figures(starling):
    assert "http_requests_total" in starling("status")


def test_wrong_arguments_and_a_server_that_is_not_there(server, tmp_path):
    def run(*arguments):
        done = subprocess.run([BINARY, *arguments], capture_output=True, text=True, timeout=60)
        return done.returncode, done.stderr
    assert run()[0] == 2
    assert run("nonsense") == (2, run("nonsense")[1]) and "no command 'nonsense'" in run("nonsense")[1]
    assert run("status", "--nonsense")[0] == 2
    assert run("status", "--data")[0] == 2
    status, text = run("status", "--data", str(tmp_path))
    assert status == 1 and "no server runs on" in text


def test_a_disabled_keys_policy_is_not_explained_as_allowed(starling, name):
    made = starling("key", "create", "--user", "off")
    key = next(line.split(" = ")[1] for line in made.splitlines() if line.startswith("aws_access_key_id"))
    ask = ("policy", "explain", key, "iot:ListThings", "*")
    assert starling(*ask).splitlines()[1].startswith("ALLOWED")
    starling("key", "disable", key)
    told = starling(*ask, expect=3)
    assert "DENIED (not let in at all)" in told and "Inactive" in told and "would say: ALLOWED" in told
    starling("key", "enable", key)
    assert starling(*ask).splitlines()[1].startswith("ALLOWED")


def test_a_revoked_certificates_policy_is_not_explained_as_allowed(starling, iot, device):
    ask = ("policy", "explain", device.cert_id, "Publish", "topic/a")
    assert starling(*ask).splitlines()[1].startswith("ALLOWED")
    iot.update_certificate(certificateId=device.cert_id, newStatus="REVOKED")
    told = starling(*ask, expect=3)
    assert "DENIED (not let in at all)" in told and "REVOKED" in told
