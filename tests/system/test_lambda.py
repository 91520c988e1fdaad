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
