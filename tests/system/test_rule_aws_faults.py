"""Actions that call AWS's services while those fail: each kind tries again within its bounds, then its rule's error action
is told why; what passes is not noticed. A stand-in fails as the test says.
Source: AWS IoT developer guide, "Error handling (error action)"; the SDKs' guide, "Retry behavior"."""
import base64
import json
import socket

import pytest
from conftest import Fleet
from support import wire
from support.mqtt import Mqtt, wait_until
from support.rule_kinds import KINDS, TRIES, action, of_kind, shown
from support.rule_server import KEY, aws, client, device, iot, rule_server, signed_environment  # noqa: F401
from support.rules import ROLE, action_figure, make_rule, republish
from support.stand_in import StandIn

@pytest.fixture(scope="module")
def server(tmp_path_factory, aws):
    running = rule_server(tmp_path_factory.mktemp("starling"), environment=signed_environment(aws.url))
    yield running
    running.stop()


def rules_of_all_kinds(iot, name):
    """A rule a kind, all on NAME/in, each with an error action of its own; {kind: rule}."""
    return {kind: make_rule(iot, name, f"SELECT * FROM '{name}/in'", action(kind, ROLE),
                            error=republish(f"{name}/errors/{kind}"))
            for kind in KINDS}


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


def test_every_kind_gives_up_a_service_that_never_answers(server, iot, aws, client, name):  # noqa: F811
    aws.now = lambda request: StandIn.SLOW
    rules = rules_of_all_kinds(iot, name)
    client.subscribe(f"{name}/errors/#")
    client.subscribe(f"{name}/beside")
    beside = make_rule(iot, name, f"SELECT * FROM '{name}/in'", republish(f"{name}/beside"))
    client.publish(f"{name}/in", b'{"v":1}')
    assert client.message().topic == f"{name}/beside"  # what goes elsewhere does not wait
    for kind, document in error_documents(client, name, 45).items():
        assert "ms" in document["failures"][0]["errorMessage"], (kind, document)
        assert action_figure(server, "failed_total", rules[kind]) == 1
    delete(iot, {**rules, "beside": beside})


def record(n):
    return base64.b64encode(f'{{"n":{n}}}'.encode()).decode()


def test_records_of_kinesis_that_come_together_go_together(server, iot, aws, client, name):  # noqa: F811
    """Source: Kinesis API, PutRecords: some records of a call may be refused, their places in the answer say so."""
    calls = []

    def answer(request):
        body = json.loads(request["body"])
        mine = (request["headers"]["X-Amz-Target"], body)
        calls.append(mine)
        if "Records" not in body:
            return 200, {}, b"{}"
        first = next(c for c in calls if "Records" in c[1]) is mine
        refused = {"ErrorCode": "ProvisionedThroughputExceededException", "ErrorMessage": "later"}
        told = [refused if first and i % 2 else {"SequenceNumber": "1", "ShardId": "s"} for i in range(len(body["Records"]))]
        return 200, {}, json.dumps({"FailedRecordCount": 1, "Records": told}).encode()

    aws.now = answer
    rule = make_rule(iot, name, f"SELECT n FROM '{name}/in/+'",
                     {"kinesis": {"streamName": "s", "partitionKey": "${k}", "roleArn": ROLE}},
                     error=republish(f"{name}/errors"))
    client.subscribe(f"{name}/errors")
    for n in range(60):
        client.client.publish(f"{name}/in/{n % 3}", json.dumps({"n": n, "k": f"k{n}" if n != 7 else ""}), qos=1)
    wait_until(lambda: action_figure(server, "succeeded_total", rule) == 59, 30)
    failure = json.loads(client.message().payload)
    assert json.loads(base64.b64decode(failure["base64OriginalPayload"]))["n"] == 7  # it alone, and not as a batch
    assert "the partition key ''" in failure["failures"][0]["errorMessage"]
    assert action_figure(server, "failed_total", rule) == 1
    assert {target for target, _ in calls} <= {"Kinesis_20131202.PutRecords", "Kinesis_20131202.PutRecord"}
    batches = [body["Records"] for _, body in calls if "Records" in body]
    assert max(len(b) for b in batches) > 1
    sent = [r["Data"] for b in batches for r in b] + [body["Data"] for _, body in calls if "Records" not in body]
    assert set(sent) == {record(n) for n in range(60) if n != 7}
    again = [r["Data"] for r in batches[0][1::2]]
    assert sorted(sent) == sorted([record(n) for n in range(60) if n != 7] + again)  # what was refused once more, no other
    delete(iot, {"": rule})


def test_timestream_is_called_where_it_says(tmp_path_factory, aws, name):  # noqa: F811
    """AWS's own address only tells where to call; an endpoint that is set is called itself, unless discovery is on.
    Source: Timestream developer guide, "The endpoint discovery pattern"; the SDKs' AWS_ENABLE_ENDPOINT_DISCOVERY"""
    cell = StandIn(lambda number, request: cell.now(request), KEY)
    invalid = (400, {}, json.dumps({"__type": "InvalidEndpointException", "message": "moved"}).encode())
    answers = [invalid]
    cell.now = lambda request: answers.pop() if answers else (200, {}, b"{}")
    address = cell.url.removeprefix("http://")
    aws.now = lambda request: (200, {}, json.dumps(
        {"Endpoints": [{"Address": address, "CachePeriodInMinutes": 1440}]}).encode())
    before = len(aws.requests)
    own = rule_server(tmp_path_factory.mktemp("own"), environment={**signed_environment(aws.url),
                                                                   "AWS_ENABLE_ENDPOINT_DISCOVERY": "true"})
    try:
        api = own.client("iot")
        rule = make_rule(api, name, f"SELECT n FROM '{name}/in'", action("timestream", ROLE))
        with Mqtt(own, Fleet(own, api, own.data).make("d"), name) as sender:
            sender.connect()
            for n in range(3):
                sender.publish(f"{name}/in", json.dumps({"n": n}))
                wait_until(lambda: action_figure(own, "succeeded_total", rule) == n + 1)
        targets = [r["headers"]["X-Amz-Target"] for r in aws.requests[before:]]
        assert targets == ["Timestream_20181101.DescribeEndpoints"] * 2  # at first, and when the cell had moved
        values = [json.loads(r["body"])["Records"][0]["MeasureValue"] for r in cell.requests]
        assert values == ["0", "0", "1", "2"] and cell.faults == []
        aws.now = lambda request: (200, {}, b'{"Endpoints":[]}')
        answers.append(invalid)
        with wire.plain_wire(own) as sender:
            sender.connect(name)
            sender.publish(f"{name}/in", b'{"n":3}')
            wait_until(lambda: action_figure(own, "failed_total", rule) == 1)
        assert "DescribeEndpoints answered no endpoint" in own.log()
    finally:
        own.stop()
        cell.stop()


def test_without_credentials_nothing_is_sent_unsigned(tmp_path_factory, name):
    """Each kind with a stand-in for its service, which sees nothing; Lambda without any is this server's own."""
    watch = StandIn(lambda number, request: (200, {}, b"{}"))
    own = rule_server(tmp_path_factory.mktemp("own"), environment={"AWS_ENDPOINT_URL": watch.url})
    try:
        api = own.client("iot")
        rules = rules_of_all_kinds(api, name)
        with Mqtt(own, Fleet(own, api, own.data).make("d"), name) as client:  # noqa: F811
            client.connect()
            client.subscribe(f"{name}/errors/#")
            client.publish(f"{name}/in", b'{"v":1}')
            for kind, document in error_documents(client, name, 20).items():
                text = document["failures"][0]["errorMessage"]
                assert "no credentials for AWS: set AWS_ACCESS_KEY_ID" in text or kind == "lambda", (kind, text)
        assert watch.requests == [] and rules
    finally:
        own.stop()
        watch.stop()


def test_a_connection_that_is_refused_reaches_the_error_action(tmp_path_factory, name):
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))  # bound, but never listening
        own = rule_server(tmp_path_factory.mktemp("own"), environment=signed_environment(
            f"http://127.0.0.1:{nobody.getsockname()[1]}"))
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
