"""Lambda's own API by boto3, with functions that really run."""
import base64
import json

import botocore.exceptions
import pytest
from support import functions
from support.server import ACCOUNT, REGION, Server


@pytest.fixture(scope="module")
def host(tmp_path_factory):
    running = Server(tmp_path_factory.mktemp("lambda") / "data", ("--test", *functions.ARGUMENTS))
    running.start()
    yield running
    running.stop()


@pytest.fixture(scope="module")
def client(host):
    return host.client("lambda", read_timeout=60)


@pytest.fixture
def name(request):
    return request.node.name.replace("test_", "")[:60]


ECHO = """
import os
def handler(event, context):
    print("got", event)
    return {"event": event, "arn": context.invoked_function_arn, "id": context.aws_request_id,
            "left": context.get_remaining_time_in_millis(), "env": dict(os.environ), "cwd": os.getcwd()}
"""


def failure(call, *args, **kwargs):
    with pytest.raises(botocore.exceptions.ClientError) as caught:
        call(*args, **kwargs)
    return caught.value.response["Error"]["Code"], caught.value.response["Error"]["Message"]


def test_a_python_function_runs_with_what_aws_gives_it(client, name):
    made = functions.create(client, name, ECHO, MemorySize=256, Environment={"Variables": {"COLOUR": "blue"}})
    assert made["FunctionArn"] == functions.arn(name)
    assert (made["State"], made["Version"], made["MemorySize"]) == ("Active", "$LATEST", 256)
    answer = client.invoke(FunctionName=name, Payload=b'{"a": [1, 2.5, "x"]}', LogType="Tail")
    got = json.loads(answer["Payload"].read())
    assert answer["StatusCode"] == 200 and answer["ExecutedVersion"] == "$LATEST" and "FunctionError" not in answer
    assert got["event"] == {"a": [1, 2.5, "x"]}
    assert got["arn"] == functions.arn(name)
    assert 10_000 < got["left"] <= 20_000
    env = got["env"]
    assert env["COLOUR"] == "blue" and env["AWS_REGION"] == REGION and env["AWS_LAMBDA_FUNCTION_NAME"] == name
    assert env["AWS_LAMBDA_FUNCTION_MEMORY_SIZE"] == "256" and env["_HANDLER"] == "app.handler"
    log = base64.b64decode(answer["LogResult"]).decode()
    assert f"START RequestId: {got['id']} Version: $LATEST" in log and "got {'a'" in log
    assert f"REPORT RequestId: {got['id']}\tDuration: " in log and "Memory Size: 256 MB" in log


def test_a_function_is_isolated(client, host, name):
    functions.create(client, name, """
import os, glob, subprocess
def handler(event, context):
    out = {"pid": os.getpid(), "uid": os.getuid(), "tmp": os.listdir("/tmp"),
           "processes": [p for p in os.listdir("/proc") if p.isdigit()], "task": sorted(os.listdir("/var/task"))}
    for path in (event["data"], "/root", "/home", "/work"):
        try:
            out[path] = os.listdir(path)
        except OSError as e:
            out[path] = e.errno
    open("/tmp/mine", "w").write("x" * 1000)
    for path in ("/var/task/app.py", "/usr/x", "/x"):
        try:
            open(path, "w")
            out["wrote"] = path
        except OSError:
            pass
    return out
""")
    got = functions.invoke(client, name, {"data": str(host.data)})
    assert got["task"] == ["app.py"] and got["tmp"] == [] and "wrote" not in got
    assert len(got["processes"]) <= 3, got["processes"]
    assert got[str(host.data)] in (2, 13) or "store" not in got[str(host.data)]


def test_a_handler_that_raises_is_an_unhandled_error(client, name):
    functions.create(client, name, "def handler(event, context):\n    raise ValueError('no ' + event['what'])\n")
    answer = client.invoke(FunctionName=name, Payload=b'{"what": "way"}', LogType="Tail")
    payload = json.loads(answer["Payload"].read())
    assert answer["StatusCode"] == 200 and answer["FunctionError"] == "Unhandled"
    assert (payload["errorType"], payload["errorMessage"]) == ("ValueError", "no way")
    assert "ValueError" in base64.b64decode(answer["LogResult"]).decode()
    assert client.invoke(FunctionName=name, Payload=b'{"what": "x"}')["FunctionError"] == "Unhandled"


def test_a_module_that_cannot_be_loaded_is_told(client, name):
    functions.create(client, name, "import no_such_module\n")
    answer = client.invoke(FunctionName=name)
    payload = json.loads(answer["Payload"].read())
    assert answer["FunctionError"] == "Unhandled"
    assert payload["errorType"] == "Runtime.ImportModuleError" and "no_such_module" in payload["errorMessage"]


def test_a_function_that_never_answers_is_ended(client, name):
    functions.create(client, name, "import time\ndef handler(event, context):\n    time.sleep(event)\n    return 'slept'\n",
                     Timeout=1)
    answer = client.invoke(FunctionName=name, Payload=b"600", LogType="Tail")
    payload = json.loads(answer["Payload"].read())
    assert answer["FunctionError"] == "Unhandled"
    assert payload["errorType"] == "Sandbox.Timedout"
    assert payload["errorMessage"].endswith("Error: Task timed out after 1.00 seconds")
    assert "Task timed out after 1.00 seconds" in base64.b64decode(answer["LogResult"]).decode()
    assert functions.invoke(client, name, 0) == "slept"


def test_a_function_that_ends_itself_is_told(client, name):
    functions.create(client, name, "import os\ndef handler(event, context):\n    os._exit(event) if event else None\n    return 'alive'\n")
    answer = client.invoke(FunctionName=name, Payload=b"7")
    payload = json.loads(answer["Payload"].read())
    assert answer["FunctionError"] == "Unhandled" and payload["errorType"] == "Runtime.ExitError"
    assert payload["errorMessage"].endswith("Error: Runtime exited with error: exit status 7")
    assert functions.invoke(client, name, 0) == "alive"


def test_a_function_that_crashes_forks_and_prints_harms_nobody(client, host, name):
    functions.create(client, name, """
import os, sys, time, ctypes
def handler(event, context):
    if event == "crash":
        ctypes.string_at(0)
    if event == "fork":
        for i in range(20):
            if os.fork() == 0:
                os.setsid()
                time.sleep(600)
        return os.getpid()
    if event == "print":
        for i in range(100):
            sys.stdout.write("x" * 65536 + "\\n")
        return "printed"
    if event == "memory":
        return len(bytearray(600 << 20))
    if event == "large":
        return "y" * (7 << 20)
    return "alive"
""", Timeout=30)
    answer = client.invoke(FunctionName=name, Payload=b'"crash"')
    assert json.loads(answer["Payload"].read())["errorMessage"].endswith("signal: Segmentation fault")
    functions.invoke(client, name, "fork")
    assert functions.invoke(client, name, "print") == "printed"
    answer = client.invoke(FunctionName=name, Payload=b'"memory"')
    assert json.loads(answer["Payload"].read())["errorType"] in ("MemoryError", "Runtime.ExitError", "Runtime.OutOfMemory")
    answer = client.invoke(FunctionName=name, Payload=b'"large"')
    assert json.loads(answer["Payload"].read())["errorType"] == "Function.ResponseSizeTooLarge"
    assert functions.invoke(client, name, None) == "alive"
    client.delete_function(FunctionName=name)
    assert host.client("iot").list_things()["ResponseMetadata"]["HTTPStatusCode"] == 200


def test_a_bootstrap_of_a_shell_runs(client, name):
    functions_zip = functions.bootstrap("""#!/bin/bash
api="http://$AWS_LAMBDA_RUNTIME_API/2018-06-01/runtime"
while true; do
    event=$(curl -sS -D /tmp/head "$api/invocation/next")
    id=$(grep -i '^lambda-runtime-aws-request-id' /tmp/head | tr -d '\\r' | cut -d' ' -f2)
    echo "handling $id" >&2
    curl -sS -X POST "$api/invocation/$id/response" -d "{\\"got\\": $event, \\"name\\": \\"$AWS_LAMBDA_FUNCTION_NAME\\"}"
done
""")
    client.create_function(FunctionName=name, Role=functions.ROLE, Runtime="provided.al2023", Handler="x", Timeout=20,
                           Code={"ZipFile": functions_zip})
    assert functions.invoke(client, name, {"n": 1}) == {"got": {"n": 1}, "name": name}
    assert functions.invoke(client, name, {"n": 2}) == {"got": {"n": 2}, "name": name}


def test_calls_at_once_get_instances_of_their_own_up_to_what_is_reserved(client, host, name):
    from concurrent.futures import ThreadPoolExecutor
    functions.create(client, name, "import os, time\ndef handler(event, context):\n    time.sleep(event)\n    return os.environ['AWS_LAMBDA_LOG_STREAM_NAME']\n", Timeout=30)
    clients = [host.client("lambda", read_timeout=60) for _ in range(3)]
    with ThreadPoolExecutor(3) as pool:
        streams = list(pool.map(lambda c: functions.invoke(c, name, 3), clients))
    assert len(set(streams)) == 3
    assert functions.invoke(client, name, 0) in streams, "an instance is kept warm"
    assert client.put_function_concurrency(FunctionName=name, ReservedConcurrentExecutions=1)["ReservedConcurrentExecutions"] == 1
    assert client.get_function(FunctionName=name)["Concurrency"] == {"ReservedConcurrentExecutions": 1}
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(functions.invoke, clients[0], name, 3)
        assert functions.wait_until(lambda: name in host.log() and host.log().count(f"function={name} ") > 0)
        code = functions.wait_until(lambda: _throttled(clients[1], name))
        assert code == "TooManyRequestsException"
        assert first.result()
    client.put_function_concurrency(FunctionName=name, ReservedConcurrentExecutions=0)
    assert failure(client.invoke, FunctionName=name)[0] == "TooManyRequestsException"
    client.delete_function_concurrency(FunctionName=name)
    assert functions.invoke(client, name, 0)


def _throttled(client, name):
    try:
        functions.invoke(client, name, 0)
    except botocore.exceptions.ClientError as e:
        return e.response["Error"]["Code"]
    return None
