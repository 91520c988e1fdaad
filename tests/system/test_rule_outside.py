"""Functions of the rules' SQL that ask others: DynamoDB, Secrets Manager and S3 by moto_server with authentication on,
Machine Learning (which no counterpart has) by a stand-in, functions, shadows and the registry by the server itself.
Source: AWS IoT developer guide, SQL functions."""
import json

import pytest
from conftest import ACCOUNT, Fleet
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from support import functions
from support.mqtt import Mqtt, wait_until
from support.rule_server import device, iot, moto, rule_server  # noqa: F401
from support.rules import ROLE, figure, make_rule, republish
from support.stand_in import StandIn


@pytest.fixture(scope="module")
def predictions(moto):
    """Amazon Machine Learning has ended and no package has its Predict: moto has none, ministack neither."""
    stand_in = StandIn(lambda number, request: (200, {}, json.dumps({"Prediction": {
        "predictedLabel": "warm", "predictedScores": {"warm": 0.75}}}).encode()), (moto.key, moto.secret))
    yield stand_in
    stand_in.stop()
    assert stand_in.faults == []


@pytest.fixture(scope="module")
def server(tmp_path_factory, moto, predictions):
    running = rule_server(tmp_path_factory.mktemp("starling"), (*functions.ARGUMENTS, "--aws-endpoint",
                                                                f"machinelearning={predictions.url}"), moto.environment())
    yield running
    running.stop()


@pytest.fixture
def ask(server, iot, device, name):
    """ask(select, payload): what the rule `SELECT select` makes of the payload, as JSON."""
    made = []
    with Mqtt(server, device, name, keep_alive=1200) as client:
        client.connect()
        client.subscribe(f"{name}/out")

        def make(select, payload=b"{}", where=""):
            made.append(make_rule(iot, name, f"SELECT {select} FROM '{name}/in' {where}", republish(f"{name}/out")))
            client.publish(f"{name}/in", payload if isinstance(payload, bytes) else json.dumps(payload).encode())
            got = json.loads(client.message(20).payload)
            iot.delete_topic_rule(ruleName=made.pop())
            return got

        make.client = client
        yield make
    for rule_name in made:
        iot.delete_topic_rule(ruleName=rule_name)


# ---------------------------------------------------------------------------------------------------- DynamoDB

@pytest.fixture(scope="module")
def table(moto):
    dynamodb = moto.client("dynamodb")
    dynamodb.create_table(TableName="devices", BillingMode="PAY_PER_REQUEST",
                          AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"},
                                                {"AttributeName": "n", "AttributeType": "N"}],
                          KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}, {"AttributeName": "n", "KeyType": "RANGE"}])
    dynamodb.put_item(TableName="devices", Item={
        "id": {"S": "lamp \u00e4"}, "n": {"N": "7"}, "exact": {"N": "1.0000000000000000000000000000000000001"},
        "b": {"BOOL": True}, "none": {"NULL": True}, "raw": {"B": b"\x00\xff"}, "set": {"NS": ["3"]},
        "list": {"L": [{"S": "x"}, {"M": {"deep": {"N": "-2.5"}}}]}})
    return "devices"


def test_an_item_of_dynamodb_is_an_object(ask, table):
    item = f"get_dynamodb('{table}', 'id', id, 'n', n, '{ROLE}')"
    assert ask(f"{item} AS item", {"id": "lamp \u00e4", "n": 7})["item"] == {
        "id": "lamp \u00e4", "n": 7, "exact": 1.0000000000000000000000000000000000001, "b": True, "none": None,
        "raw": "AP8=", "set": [3], "list": ["x", {"deep": -2.5}]}


def test_an_item_that_is_not_there_has_no_attributes(ask, table):
    got = ask(f"get_dynamodb('{table}', 'id', 'x', 'n', 1, '{ROLE}').b AS b, 1 AS one")
    assert got == {"one": 1}


def test_a_refusal_ends_the_rule_unless_a_default_catches_it(server, iot, ask, name):
    missing = f"get_dynamodb('nowhere', 'id', 'x', '{ROLE}')"
    assert ask(f"get_or_default({missing}.a, 'none') AS a") == {"a": "none"}
    before = figure(server, "starling_rules_parse_errors_total")
    rule = make_rule(iot, name, f"SELECT {missing} AS a FROM '{name}/lost'", republish(f"{name}/out"))
    ask.client.publish(f"{name}/lost", b"{}")
    wait_until(lambda: figure(server, "starling_rules_parse_errors_total") == before + 1)
    iot.delete_topic_rule(ruleName=rule)
    ask.client.nothing_more(f"{name}/out")
    assert "get_dynamodb: dynamodb answered 400 ResourceNotFoundException" in server.log()


# ---------------------------------------------------------------------------------------------------- secrets

def test_a_secret_is_read_whole_and_by_key(ask, moto, name):
    secrets = moto.client("secretsmanager")
    secrets.create_secret(Name=name, SecretString=json.dumps({"user": "u", "n": 3}))
    secrets.create_secret(Name=name + "-bytes", SecretBinary=b"\x01\xfe")
    got = ask(f"get_secret('{name}', 'SecretString', 'user', '{ROLE}') AS user, "
              f"get_secret('{name}', 'SecretString', '{ROLE}') AS all, "
              f"get_secret('{name}-bytes', 'SecretBinary', '{ROLE}') AS bytes")
    assert got == {"user": "u", "all": {"user": "u", "n": 3}, "bytes": "Af4="}


def test_a_secret_is_asked_for_again_after_fifteen_minutes(ask, moto, name, server, iot):
    secrets = moto.client("secretsmanager")
    secrets.create_secret(Name=name, SecretString="old")
    rule = make_rule(iot, name, f"SELECT get_secret('{name}', 'SecretString', '{ROLE}') AS s FROM '{name}/in'",
                     republish(f"{name}/out"))

    def read():
        ask.client.publish(f"{name}/in", b"{}")
        return json.loads(ask.client.message(20).payload)["s"]

    assert read() == "old"
    secrets.put_secret_value(SecretId=name, SecretString="new")
    assert read() == "old"
    server.advance(15 * 60 + 1)
    assert read() == "new"
    server.client("iot").delete_topic_rule(ruleName=rule)  # the clock has ended the idle connections of the other client


def test_a_secret_that_is_not_there_is_a_failure(ask, name):
    assert ask(f"get_or_default(get_secret('{name}', 'SecretString', '{ROLE}'), 'no') AS s") == {"s": "no"}


# ---------------------------------------------------------------------------------------------------- Machine Learning

def test_a_prediction_is_asked_for_with_a_record_of_strings(ask, predictions):
    before = len(predictions.requests)
    got = ask(f"machinelearning_predict('m-1', '{ROLE}', *) AS p", {"temp": 21.5, "on": True})
    assert got == {"p": {"predictedLabel": "warm", "predictedScores": {"warm": 0.75}}}
    [request] = predictions.requests[before:]
    assert request["headers"]["X-Amz-Target"] == "AmazonML_20141212.Predict"
    assert json.loads(request["body"]) == {"MLModelId": "m-1", "Record": {"temp": "21.5", "on": "true"},
                                           "PredictEndpoint": predictions.url}


# ---------------------------------------------------------------------------------------------------- protobuf

def test_protobuf_is_decoded_by_a_descriptor_in_s3(ask, moto, name):
    file = descriptor_pb2.FileDescriptorProto(name="reading.proto", package="p", syntax="proto3")
    message = file.message_type.add(name="Reading")
    message.field.add(name="place", number=1, type=9, label=1)
    message.field.add(name="temp", number=2, type=1, label=1)
    bucket = name[-50:].lower().strip("-")
    s3 = moto.client("s3")
    s3.create_bucket(Bucket=bucket)
    s3.put_object(Bucket=bucket, Key="d/a b.desc", Body=descriptor_pb2.FileDescriptorSet(file=[file]).SerializeToString())
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    reading = message_factory.GetMessageClass(pool.FindMessageTypeByName("p.Reading"))(place="hall", temp=21.5)
    got = ask(f"VALUE decode(*, 'proto', '{bucket}', 'd/a b.desc', 'reading', 'Reading')", reading.SerializeToString())
    assert got == {"place": "hall", "temp": 21.5}


# ---------------------------------------------------------------------------------------------------- this server's own

def test_a_function_of_lambda_is_asked(ask, server, name):
    client = server.client("lambda")
    function = name[-60:]
    functions.create(client, function, "def handler(event, context):\n    return {'twice': event['n'] * 2}\n")
    client.add_permission(FunctionName=function, StatementId="rules", Action="lambda:InvokeFunction",
                          Principal="iot.amazonaws.com", SourceAccount=ACCOUNT)
    functions.invoke(client, function, {"n": 1})  # what starts a process may take longer than a rule waits
    got = ask(f"aws_lambda('{functions.arn(function)}', {{'n': n}}).twice AS twice", {"n": 21})
    assert got == {"twice": 42}
    failed = ask(f"get_or_default(aws_lambda('{functions.arn(function)}', {{'m': 1}}), 'failed') AS f")
    assert failed == {"f": "failed"}


def test_shadows_are_asked(ask, server, iot, name):
    data = server.client("iot-data")
    iot.create_thing(thingName=name)
    data.update_thing_shadow(thingName=name, payload=b'{"state":{"reported":{"t":21.5}}}')
    data.update_thing_shadow(thingName=name, shadowName="side", payload=b'{"state":{"desired":{"on":true}}}')
    got = ask(f"get_thing_shadow('{name}', '{ROLE}').state.reported.t AS t, "
              f"get_thing_shadow('{name}', 'side', '{ROLE}').state.desired AS d")
    assert got == {"t": 21.5, "d": {"on": True}}
    assert ask(f"get_or_default(get_thing_shadow('{name}-none', '{ROLE}'), 'none') AS s") == {"s": "none"}


def test_the_registry_is_asked(ask, iot, name):
    iot.create_thing(thingName=name, attributePayload={"attributes": {"room": "hall"}})
    iot.create_thing_group(thingGroupName=name + "-g")
    iot.add_thing_to_thing_group(thingName=name, thingGroupName=name + "-g")
    got = ask(f"get_registry_data('DescribeThing', '{name}', '{ROLE}').attributes AS a")
    assert got == {"a": {"room": "hall"}}
    got = ask(f"get_registry_data('ListThingGroupsForThing', '{name}', '{ROLE}').thingGroups AS g")
    assert [g["groupName"] for g in got["g"]] == [name + "-g"]


def test_without_an_endpoint_a_prediction_says_what_to_set(tmp_path_factory, name):
    own = rule_server(tmp_path_factory.mktemp("own"))
    try:
        api, device = own.client("iot"), Fleet(own, own.client("iot"), own.data).make("d")
        make_rule(api, name, f"SELECT machinelearning_predict('m', '{ROLE}', *) AS p FROM '{name}/a'", republish("x"))
        make_rule(api, name, f"SELECT get_secret('s', 'SecretString', '{ROLE}') AS p FROM '{name}/b'", republish("x"))
        with Mqtt(own, device, name) as client:
            client.connect()
            client.publish(f"{name}/a", b"{}")
            client.publish(f"{name}/b", b"{}")
            wait_until(lambda: "set --aws-endpoint machinelearning=URL" in own.log())
            wait_until(lambda: "get_secret: secretsmanager: no credentials for AWS: set AWS_ACCESS_KEY_ID" in own.log())
    finally:
        own.stop()
