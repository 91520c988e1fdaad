"""What the program refuses to begin: status 2 for an argument, 1 for a start that fails, and nothing but the reason."""
import pathlib
import subprocess

import pytest
from support.server import BINARY, Server

# Each with the words of its error.
SETTINGS = {
    "inflight-out-max: got '65536', expected a number from 0 to 65535": ["--inflight-out-max", "65536"],
    "keepalive-s-max: got '-1', expected a number from 0 to 65535": ["--keepalive-s-max=-1"],
    "reactors: got '', expected a number from 0 to 64": ["--reactors"],
    "mqtt-port: got '8883x', expected a number from -1 to 65535": ["--mqtt-port", "8883x"],
    "there is no setting '--nothing': see starling serve --help": ["--nothing", "1"],
    "got 'word', expected --name": ["word"],
    "data: a value is expected": ["--data="],
    "test: got 'maybe', expected true or false": ["--test=maybe"],
    "account: got '12', expected 12 digits": ["--account", "12"],
    "region: got 'US', expected a name of a-z 0-9 -, like us-east-1": ["--region", "US"],
    "log-level: got 'loud', expected debug, info, warn or error": ["--log-level", "loud"],
    "tls-max: got '1.1', expected 1.2 or 1.3": ["--tls-max", "1.1"],
    "tls-min: got '1.3', expected at most tls-max, which is '1.2'": ["--tls-min", "1.3", "--tls-max", "1.2"],
    "tls-chain and tls-key: one is given, both are expected": ["--tls-chain", "chain.pem"],
    "rules-ca: cannot read 'absent.pem': No such file or directory": ["--rules-ca", "absent.pem"],
    "config: cannot read 'absent': No such file or directory": ["--config", "absent"],
    "wrong.conf line 2: workers: got '65', expected a number from 0 to 64": ["--config", "wrong.conf"],
}

COMMANDS = {
    "there is no command 'nothing'": ["nothing"],
    "env takes no argument, got 'x'": ["env", "x"],
    "--nope is no option of this command": ["env", "--nope"],
    "--data needs a value": ["env", "--data"],
    "device needs one NAME": ["device", "a", "b"],
    "a thing's name is 1 to 128 of A-Z a-z 0-9 : _ -, got 'a/b'": ["device", "a/b"],
    "key needs one of: create, list, disable ID, enable ID, delete ID": ["key", "enable"],
    "policy needs: explain WHO ACTION RESOURCE": ["policy", "explain", "a", "b"],
    "status takes no argument, got 'x'": ["status", "x"],
    "--follow=1 takes no value": ["logs", "--follow=1"],
    "logs takes no argument, got 'x'": ["logs", "x"],
    "sql needs a statement, or --rule FILE": ["sql", "a", "b"],
    "there is no SQL version '1'; they are 2015-10-08, 2016-03-23 and beta":
        ["sql", "SELECT * FROM 'a'", "--payload", "payload", "--topic", "a", "--version", "1"],
}


def run(*arguments, cwd):
    done = subprocess.run([BINARY, *map(str, arguments)], cwd=cwd, capture_output=True, text=True, timeout=60)
    assert done.stdout == ""
    return done.returncode, done.stderr


@pytest.mark.parametrize("text", SETTINGS)
def test_a_refused_setting_is_said_in_one_line(tmp_path, text):
    (tmp_path / "wrong.conf").write_text("reactors = 1\nworkers = 65\n")
    assert run("serve", *SETTINGS[text], cwd=tmp_path) == (2, f"starling serve: {text}\n")
    assert [p.name for p in tmp_path.iterdir()] == ["wrong.conf"], "nothing was begun"


@pytest.mark.parametrize("text", COMMANDS)
def test_refused_arguments_are_said_with_how_the_command_is_used(tmp_path, text):
    (tmp_path / "payload").write_text("{}")
    status, said = run(*COMMANDS[text], cwd=tmp_path)
    first, empty, *usage = said.splitlines()
    assert (status, first, empty) == (2, f"starling: {text}", "")
    assert usage[0].startswith("usage: starling ")
    if COMMANDS[text][0] != "nothing":
        shown = subprocess.run([BINARY, COMMANDS[text][0], "--help"], capture_output=True, text=True, timeout=60)
        assert (shown.returncode, shown.stderr, shown.stdout.splitlines()) == (0, "", usage)


def fails_to_start(data, *arguments):
    status, said = run("serve", "--data", data, "--mqtt-port", "0", "--https-port", "0", *arguments, cwd=data.parent)
    assert status == 1
    lines = said.splitlines()
    assert len(lines) == 1 and lines[0].startswith("starling serve: "), said
    return lines[0].removeprefix("starling serve: ")


def test_a_start_that_fails_says_why_and_leaves_nothing(tmp_path):
    (tmp_path / "file").write_text("")
    assert fails_to_start(tmp_path / "file") == f"{tmp_path}/file/store cannot be made: Not a directory"
    assert fails_to_start(pathlib.Path("/proc/data")).startswith("data: cannot make the folder '/proc/data': ")
    assert fails_to_start(tmp_path / "a", "--tls-ciphers", "none") == "TLS ciphers none: no cipher match"
    assert fails_to_start(tmp_path / "b", "--aws-endpoint", "x").startswith("aws-endpoint: got 'x', expected SERVICE=")
    assert fails_to_start(tmp_path / "c", "--listen", "999.1.1.1").startswith("cannot listen on '999.1.1.1': ")


@pytest.fixture
def written(tmp_path):
    """What a server left that has ended."""
    server = Server(tmp_path / "data").start()
    server.client("iot").create_thing(thingName="there")
    server.stop()
    return server


@pytest.mark.parametrize("file", ["ca-rsa.pem", "server-ecdsa.pem"])
@pytest.mark.parametrize("content", ["", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"])
def test_a_broken_key_file_is_named_and_kept(written, file, content):
    path = written.data / "pki" / file
    whole = path.read_bytes()
    path.write_text(content)
    said = fails_to_start(written.data)
    assert said.startswith(f"{path} is damaged: it does not hold a private key and its certificate; put back a copy")
    assert "from a backup" not in said, "of the data, which are whole"
    assert path.read_text() == content
    path.write_bytes(whole)
    written.start()
    assert written.client("iot").describe_thing(thingName="there")["version"] == 1
    written.stop()


def test_data_that_another_server_uses_stay_its_own(written):
    written.start()
    assert "is in use by another process" in fails_to_start(written.data)
    assert written.client("iot").describe_thing(thingName="there")["version"] == 1
    written.stop()
