"""Functions that rules call: at ministack, which stands for Lambda elsewhere, and in this server, with their faults.
Source: AWS IoT developer guide, "Lambda" (the action invokes asynchronously) and aws_lambda() (it waits two seconds at most);
Lambda developer guide, "Asynchronous invocation" (what a function makes of an event is not the caller's affair)."""
import json
import os
import pathlib
import subprocess
import sys
import time

import boto3
import pytest
import requests
from conftest import ACCOUNT, REGION
from support import functions, wire
from support.kafka import free_port
from support.mqtt import wait_until
from support.rule_server import iot, rule_server  # noqa: F401
from support.rules import action_figure, make_rule, republish

START_TIMEOUT_S = 60
NOTES = """
import json
def handler(event, context):
    if "file" in event:
        open(event["file"], "a").write(json.dumps(event["n"]) + "\\n")
    if event.get("fail"):
        raise ValueError("as asked")
    return {"twice": event["n"] * 2}
"""


@pytest.fixture(scope="module")
def ministack(tmp_path_factory):
    """Its address; it listens on the loopback alone."""
    folder, port = tmp_path_factory.mktemp("ministack"), free_port()
    command = [pathlib.Path(sys.executable).parent / "ministack"]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=folder, env={
            **os.environ, "BIND_HOST": "127.0.0.1", "GATEWAY_PORT": str(port), "MINISTACK_ACCOUNT_ID": ACCOUNT,
            "SERVICES": "lambda,sts,iam", "TMPDIR": str(folder)})
    url, deadline = f"http://127.0.0.1:{port}", time.monotonic() + START_TIMEOUT_S
    while True:
        try:
            requests.get(url + "/_localstack/health", timeout=2)
            break
        except requests.ConnectionError:
            assert process.poll() is None and time.monotonic() < deadline, (folder / "log").read_text()
            time.sleep(0.05)
    yield url
    process.terminate()
    process.wait()


def plain_client(own, name):
    connection = wire.plain_wire(own)
    connection.connect(name)
    connection.stream.settimeout(30)
    return connection


def test_a_function_elsewhere_is_called_and_asked(tmp_path_factory, ministack, name):
    key = {"AWS_ACCESS_KEY_ID": ACCOUNT, "AWS_SECRET_ACCESS_KEY": "x"}
    lambdas = boto3.client("lambda", region_name=REGION, endpoint_url=ministack, aws_access_key_id=ACCOUNT,
                           aws_secret_access_key="x")
    arn = functions.create(lambdas, "notes", NOTES, Runtime=f"python3.{sys.version_info.minor}")["FunctionArn"]
    own = rule_server(tmp_path_factory.mktemp("own"), environment={**key, "AWS_ENDPOINT_URL_LAMBDA": ministack})
    notes = own.data / "notes"
    try:
        api = own.client("iot")
        called = make_rule(api, name, f"SELECT n, '{notes}' AS file FROM '{name}/act'", {"lambda": {"functionArn": arn}},
                           error=republish(f"{name}/errors"))
        make_rule(api, name, f"SELECT aws_lambda('{arn}', {{'n': n}}).twice AS twice FROM '{name}/ask'",
                  republish(f"{name}/out"))
        make_rule(api, name, f"SELECT get_or_default(aws_lambda('{arn}', {{'n': n, 'fail': true}}), 'it failed') AS twice "
                  f"FROM '{name}/fail'", republish(f"{name}/out"))
        with plain_client(own, name) as client, plain_client(own, name + "-sub") as sub:
            sub.subscribe((f"{name}/out", 1), (f"{name}/errors", 1))
            for n in range(5):
                client.publish(f"{name}/act", json.dumps({"n": n}))
            wait_until(lambda: action_figure(own, "succeeded_total", called) == 5, 60)
            wait_until(lambda: notes.exists() and sorted(map(int, notes.read_text().split())) == list(range(5)), 60)
            client.publish(f"{name}/ask", b'{"n":21}')
            assert json.loads(sub.message().payload) == {"twice": 42}
            client.publish(f"{name}/fail", b'{"n":1}')
            assert json.loads(sub.message().payload) == {"twice": "it failed"}
            lambdas.delete_function(FunctionName="notes")
            client.publish(f"{name}/act", b'{"n":9}')
            [failure] = json.loads(sub.message().payload)["failures"]
            assert (failure["failedAction"], failure["failedResource"]) == ("LambdaAction", arn)
            assert "404 ResourceNotFoundException" in failure["errorMessage"]
    finally:
        own.stop()


# ---------------------------------------------------------------------------------------------------- in this server

@pytest.fixture(scope="module")
def server(tmp_path_factory):
    running = rule_server(tmp_path_factory.mktemp("starling"), functions.ARGUMENTS)
    yield running
    running.stop()


@pytest.fixture(scope="module")
def lambdas(server):
    return server.client("lambda")


def allowed(lambdas, name, source, **settings):
    functions.create(lambdas, name, source, **settings)
    lambdas.add_permission(FunctionName=name, StatementId="rules", Action="lambda:InvokeFunction",
                           Principal="iot.amazonaws.com", SourceAccount=ACCOUNT)
    return functions.arn(name)


@pytest.fixture
def client(server, name):
    with plain_client(server, name) as connection:
        yield connection


@pytest.fixture
def sub(server, name):
    with plain_client(server, name + "-sub") as connection:
        connection.subscribe((f"{name}/out", 1), (f"{name}/errors", 1))
        yield connection


SLEEPS = """
import time
def handler(event, context):
    time.sleep(event.get("s", 0))
    return {"n": event["n"]}
"""


def test_what_a_function_makes_of_an_event_is_not_the_actions_affair(server, iot, lambdas, client, sub, name):  # noqa: F811
    """It is called asynchronously: Lambda has taken the event, tries it again by itself and loses none."""
    arn = allowed(lambdas, "fails", "def handler(event, context):\n    print('TRIED', event['n'])\n    raise ValueError('no')\n")
    rule = make_rule(iot, name, f"SELECT n FROM '{name}/in'", {"lambda": {"functionArn": arn}}, republish(f"{name}/out"),
                     error=republish(f"{name}/errors"))
    client.publish(f"{name}/in", b'{"n":7}')
    assert sub.message().topic == f"{name}/out"
    wait_until(lambda: "TRIED 7" in server.log(), 30)
    wait_until(lambda: action_figure(server, "succeeded_total", rule) == 1)
    assert action_figure(server, "failed_total", rule) == 0
    iot.delete_topic_rule(ruleName=rule)


def test_a_function_that_is_gone_or_not_allowed_reaches_the_error_action(server, iot, lambdas, client, sub,  # noqa: F811
                                                                        name):
    arn = allowed(lambdas, "goes", SLEEPS)
    rule = make_rule(iot, name, f"SELECT n FROM '{name}/in'", {"lambda": {"functionArn": arn}},
                     error=republish(f"{name}/errors"))

    def failure():
        client.publish(f"{name}/in", b'{"n":1}')
        [one] = json.loads(sub.message().payload)["failures"]
        assert (one["failedAction"], one["failedResource"]) == ("LambdaAction", arn)
        return one["errorMessage"]

    lambdas.remove_permission(FunctionName="goes", StatementId="rules")
    assert failure() == ("Failed to invoke lambda function. The function's resource policy does not let the service call it "
                         f"(AddPermission): {arn}")
    lambdas.delete_function(FunctionName="goes")
    assert "not found" in failure().lower()
    assert action_figure(server, "retried_total", rule) == 0  # neither becomes right by itself
    iot.delete_topic_rule(ruleName=rule)


def test_aws_lambda_fails_the_rule_when_the_function_fails_hangs_or_is_throttled(server, iot, lambdas, client, sub,  # noqa: F811
                                                                                name):
    arn = allowed(lambdas, "asked", SLEEPS)
    functions.invoke(lambdas, "asked", {"n": 0})
    rule = make_rule(iot, name, f"SELECT aws_lambda('{arn}', *).n AS n FROM '{name}/in'", republish(f"{name}/out"),
                     error=republish(f"{name}/errors"))

    def lost(payload, word):
        client.publish(f"{name}/in", payload)
        wait_until(lambda: word in server.log()[len(before):], 15)

    before = server.log()
    lost(b'{"m":1}', "the function failed (Unhandled)")
    lost(b'{"n":1,"s":5}', "did not answer in time")  # Source: aws_lambda(): at most two seconds
    lambdas.put_function_concurrency(FunctionName="asked", ReservedConcurrentExecutions=0)
    lost(b'{"n":2}', "aws_lambda: ")
    wait_until(lambda: server.log()[len(before):].count("details=aws_lambda: ") == 3)
    lambdas.delete_function_concurrency(FunctionName="asked")
    client.publish(f"{name}/in", b'{"n":3}')
    assert json.loads(sub.message().payload) == {"n": 3}  # and none of the others reached an action
    assert action_figure(server, "succeeded_total", rule) == 1 and action_figure(server, "failed_total", rule) == 0
    iot.delete_topic_rule(ruleName=rule)
