"""Actions that call AWS's services while those fail: each kind tries again within its bounds, then its rule's error action
is told why; what passes is not noticed. A stand-in fails as the test says.
Source: AWS IoT developer guide, "Error handling (error action)"; the SDKs' guide, "Retry behavior"."""
import base64
import json
import os
import socket
from unittest import mock

import pytest
from conftest import ACCOUNT, Fleet
from support.mqtt import Mqtt, wait_until
from support.rules import ROLE, action_figure, make_rule, republish
from support.server import Server
from support.stand_in import StandIn

TRIES = 4  # of an action by default
ARN = f"arn:aws:sns:us-east-1:{ACCOUNT}:t"
# kind: (parameters, failedAction, failedResource, what tells its requests from others)
KINDS = {
    "sqs": ({"queueUrl": "http://queues/1/q"}, "SqsAction", "http://queues/1/q", "AmazonSQS.SendMessage"),
    "sns": ({"targetArn": ARN}, "SnsAction", ARN, "Action=Publish"),
    "s3": ({"bucketName": "bucket", "key": "a/${v}"}, "S3Action", "bucket/a/1", "PUT /bucket/a/1"),
    "dynamoDB": ({"tableName": "t1", "hashKeyField": "k", "hashKeyValue": "x"}, "DynamoDBAction", "t1", '"TableName":"t1"'),
    "dynamoDBv2": ({"putItem": {"tableName": "t2"}}, "DynamoDBv2Action", "t2", '"TableName":"t2"'),
    "kinesis": ({"streamName": "s", "partitionKey": "k"}, "KinesisAction", "s", "Kinesis_20131202.PutRecord"),
    "firehose": ({"deliveryStreamName": "d"}, "FirehoseAction", "d", "Firehose_20150804.PutRecord"),
    "openSearch": ({"endpoint": "https://search.es.amazonaws.com", "index": "i", "type": "_doc", "id": "1"},
                   "OpenSearchAction", None, "PUT /i/_doc/1"),
    "cloudwatchMetric": ({"metricName": "m", "metricNamespace": "n", "metricValue": "1", "metricUnit": "Count"},
                         "CloudwatchMetricAction", None, "Action=PutMetricData"),
    "cloudwatchAlarm": ({"alarmName": "a", "stateReason": "r", "stateValue": "OK"}, "CloudwatchAlarmAction", "a",
                        "Action=SetAlarmState"),
    "cloudwatchLogs": ({"logGroupName": "g"}, "CloudwatchLogsAction", "g", "Logs_20140328.PutLogEvents"),
    "stepFunctions": ({"stateMachineName": "m"}, "StepFunctionsAction", "m", "AWSStepFunctions.StartExecution"),
    "timestream": ({"databaseName": "db", "tableName": "t", "dimensions": [{"name": "d", "value": "x"}]},
                   "TimestreamAction", None, "Timestream_20181101.WriteRecords"),
    "location": ({"trackerName": "t", "deviceId": "d", "latitude": "1", "longitude": "2"}, "LocationAction", None,
                 "POST /tracking/v0/trackers/t/positions"),
}


def shown(request):
    """All by which a request can be told."""
    return " ".join([request["method"], request["path"], request["headers"].get("X-Amz-Target", ""),
                     request["body"].decode(errors="replace")])


def of_kind(requests, kind):
    return [r for r in requests if KINDS[kind][3] in shown(r)]


@pytest.fixture(scope="module")
def aws():
    stand_in = StandIn(lambda number, request: stand_in.now(request))
    yield stand_in
    stand_in.stop()


def server_with(folder, endpoint):
    running = Server(folder / "data", ("--plain-port", "0", "--test"))
    with mock.patch.dict(os.environ, {"AWS_ENDPOINT_URL": endpoint, "AWS_ACCESS_KEY_ID": "AKIDEXAMPLE",
                                      "AWS_SECRET_ACCESS_KEY": "secret"}):
        return running.start()


@pytest.fixture(scope="module")
def server(tmp_path_factory, aws):
    running = server_with(tmp_path_factory.mktemp("starling"), aws.url)
    yield running
    running.stop()


@pytest.fixture(scope="module")
def iot(server):
    return server.client("iot")


@pytest.fixture(scope="module")
def device(server, iot, tmp_path_factory):
    return Fleet(server, iot, tmp_path_factory.mktemp("devices")).make("faults-device")


@pytest.fixture
def client(server, device, name):
    with Mqtt(server, device, name, keep_alive=1200) as made:
        made.connect()
        yield made


def rules_of_all_kinds(iot, name):
    """A rule a kind, all on NAME/in, each with an error action of its own; {kind: rule}."""
    return {kind: make_rule(iot, name, f"SELECT * FROM '{name}/in'", {kind: {**parameters, "roleArn": ROLE}},
                            error=republish(f"{name}/errors/{kind}"))
            for kind, (parameters, *_) in KINDS.items()}


def delete(iot, rules):
    for rule in rules.values():
        iot.delete_topic_rule(ruleName=rule)


def error_documents(client, name, timeout_s):
    """The one error document of each kind."""
    got = {}
    while len(got) < len(KINDS):
        message = client.message(timeout_s)
        kind = message.topic.removeprefix(f"{name}/errors/")
        assert kind not in got, f"two for {kind}"
        got[kind] = json.loads(message.payload)
    return got


def throttled(code):
    return (400, {"x-amzn-ErrorType": code}, json.dumps({"__type": code, "message": "slowly"}).encode())


@pytest.mark.parametrize("fault, tries, reason", [
    ((500, {}, b""), TRIES, "answered 500"),
    ((503, {}, b"<Error><Code>SlowDown</Code><Message>later</Message></Error>"), TRIES, "answered 503 SlowDown: later"),
    ((429, {}, b"{}"), TRIES, "answered 429"),
    (throttled("ThrottlingException"), TRIES, "answered 400 ThrottlingException: slowly"),
    ((403, {}, b'{"__type":"a#AccessDeniedException","Message":"not you"}'), 1,
     "answered 403 AccessDeniedException: not you"),
    (StandIn.CUT, TRIES, ""),
    (StandIn.RESET, TRIES, ""),
], ids=["500", "503", "429", "throttled", "403", "cut", "reset"])
def test_every_kind_tries_within_its_bounds_and_tells_the_error_action(server, iot, aws, client, name, fault, tries,
                                                                       reason):
    aws.now = lambda request: fault
    before = len(aws.requests)
    rules = rules_of_all_kinds(iot, name)
    client.subscribe(f"{name}/errors/#")
    assert client.publish(f"{name}/in", b'{"v":1}') == 0  # acknowledged whatever becomes of the actions
    documents = error_documents(client, name, 30)
    requests = aws.requests[before:]
    for kind, (_, failed, resource, _) in KINDS.items():
        document = documents[kind]
        assert document["ruleName"] == rules[kind] and document["topic"] == f"{name}/in"
        assert base64.b64decode(document["base64OriginalPayload"]) == b'{"v":1}'
        [failure] = document["failures"]
        assert failure["failedAction"] == failed and failure["errorMessage"]
        assert reason in failure["errorMessage"], failure
        assert resource is None or failure["failedResource"] == resource
        # Where a connection that was kept is reset before a byte of the answer, libcurl asks once more on a new one.
        most = 2 * tries if fault == StandIn.RESET else tries
        assert tries <= len(of_kind(requests, kind)) <= most, kind
        wait_until(lambda: action_figure(server, "failed_total", rules[kind]) == 1)
        assert action_figure(server, "retried_total", rules[kind]) == tries - 1
    delete(iot, rules)


def test_a_fault_that_passes_is_not_noticed(server, iot, aws, client, name):
    faults = [(500, {}, b""), throttled("ThrottlingException"), StandIn.CUT]
    seen = {kind: 0 for kind in KINDS}

    def answer(request):
        kind = next(k for k in KINDS if KINDS[k][3] in shown(request))
        seen[kind] += 1
        return faults[seen[kind] - 1] if seen[kind] <= len(faults) else (200, {}, b"{}")

    aws.now = answer
    rules = rules_of_all_kinds(iot, name)
    client.subscribe(f"{name}/errors/#")
    client.publish(f"{name}/in", b'{"v":1}')
    for rule in rules.values():
        wait_until(lambda: action_figure(server, "succeeded_total", rule) == 1, 30)
        assert action_figure(server, "failed_total", rule) == 0
    assert seen == dict.fromkeys(KINDS, TRIES)  # and not once more after the success
    client.nothing_more(f"{name}/errors/x")
    delete(iot, rules)


def test_an_execution_of_step_functions_keeps_its_name_from_try_to_try(server, iot, aws, client, name):
    answers = [(500, {}, b""), (200, {}, b"{}")]
    aws.now = lambda request: answers.pop(0)
    before = len(aws.requests)
    rule = make_rule(iot, name, f"SELECT * FROM '{name}/in'",
                     {"stepFunctions": {"stateMachineName": "m", "executionNamePrefix": "p-", "roleArn": ROLE}})
    client.publish(f"{name}/in", b'{"v":1}')
    wait_until(lambda: action_figure(server, "succeeded_total", rule) == 1)
    names = [json.loads(r["body"])["name"] for r in aws.requests[before:]]
    assert len(names) == 2 and len(set(names)) == 1 and names[0].startswith("p-")
    delete(iot, {"": rule})


def test_of_a_batch_only_what_was_refused_is_sent_again(server, iot, aws, client, name):
    refused = {"FailedPutCount": 1, "RequestResponses": [
        {"RecordId": "1"}, {"ErrorCode": "ServiceUnavailableException", "ErrorMessage": "later"}, {"RecordId": "3"}]}
    answers = [(200, {}, json.dumps(refused).encode()),
               (200, {}, b'{"FailedPutCount":0,"RequestResponses":[{"RecordId":"2"}]}')]
    aws.now = lambda request: answers.pop(0)
    before = len(aws.requests)
    rule = make_rule(iot, name, f"SELECT VALUE v FROM '{name}/in'",
                     {"firehose": {"deliveryStreamName": "d", "batchMode": True, "separator": "\n", "roleArn": ROLE}})
    client.publish(f"{name}/in", b'{"v":[{"n":1},{"n":2},{"n":3}]}')
    wait_until(lambda: action_figure(server, "succeeded_total", rule) == 1)
    sent = [[base64.b64decode(r["Data"]) for r in json.loads(request["body"])["Records"]]
            for request in aws.requests[before:]]
    assert sent == [[b'{"n":1}\n', b'{"n":2}\n', b'{"n":3}\n'], [b'{"n":2}\n']]
    delete(iot, {"": rule})


def test_a_service_that_says_nothing_ends_in_time_and_holds_up_nobody(server, iot, aws, client, name):
    silent = KINDS["kinesis"][3]
    aws.now = lambda request: StandIn.SLOW if silent in shown(request) else (200, {}, b"{}")
    rules = rules_of_all_kinds(iot, name)
    client.subscribe(f"{name}/errors/#")
    client.publish(f"{name}/in", b'{"v":1}')
    for kind, rule in rules.items():
        if kind != "kinesis":
            wait_until(lambda: action_figure(server, "succeeded_total", rule) == 1)
    assert action_figure(server, "failed_total", rules["kinesis"]) == 0  # still waiting
    message = client.message(40)
    assert message.topic == f"{name}/errors/kinesis"
    assert "ms" in json.loads(message.payload)["failures"][0]["errorMessage"]
    delete(iot, rules)


def test_a_connection_that_is_refused_reaches_the_error_action(tmp_path_factory, name):
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))  # bound, but never listening
        own = server_with(tmp_path_factory.mktemp("own"), f"http://127.0.0.1:{nobody.getsockname()[1]}")
        try:
            iot = own.client("iot")
            device = Fleet(own, iot, own.data).make("refused-device")
            rules_of_all_kinds(iot, name)
            with Mqtt(own, device, name) as client:
                client.connect()
                client.subscribe(f"{name}/errors/#")
                client.publish(f"{name}/in", b'{"v":1}')
                for kind, document in error_documents(client, name, 30).items():
                    assert "onnect" in document["failures"][0]["errorMessage"], (kind, document)
        finally:
            own.stop()
