"""Rules whose actions call AWS: moto_server with authentication on stands for it, what arrived is read back by boto3.
Source: AWS IoT developer guide, "AWS IoT rule actions"."""
import base64
import decimal
import json
import time

import boto3.dynamodb.types
import pytest
import requests
from support.mqtt import wait_until
from support.rule_server import client, device, iot, moto, rule_server  # noqa: F401
from support.rules import ROLE
from support.stand_in import StandIn

WAIT_S = 30


@pytest.fixture(scope="module")
def faulty(moto):
    """What answers a service whose test has set `now`, each path's own; badly signed requests are refused."""
    server = StandIn(lambda number, request: server.now(number, request), (moto.key, moto.secret))
    yield server
    server.stop()
    assert server.faults == []


@pytest.fixture(scope="module")
def server(tmp_path_factory, moto, faulty):
    """A server whose rules call moto; Location and OpenSearch are not there, so they go to the stand-in: moto has the
    APIs that manage an OpenSearch domain, not a domain itself, and of Location nothing."""
    endpoints = f"location={faulty.url},opensearch={faulty.url}/domain"
    running = rule_server(tmp_path_factory.mktemp("starling"), ("--aws-endpoint", endpoints), moto.environment())
    yield running
    running.stop()


@pytest.fixture
def mqtt(client):  # noqa: F811
    return client


@pytest.fixture
def rule(iot, name):
    """rule(action, sql=...): a rule on name/+ with this action; its error action republishes to name/error."""
    made = []

    def make(action, select="*", error=True):
        rule_name = name.replace("-", "_")
        payload = {"sql": f"SELECT {select} FROM '{name}/in/+'", "awsIotSqlVersion": "2016-03-23", "actions": [action]}
        if error:
            payload["errorAction"] = {"republish": {"topic": f"{name}/error", "roleArn": ROLE, "qos": 1}}
        iot.create_topic_rule(ruleName=rule_name, topicRulePayload=payload)
        made.append(rule_name)
        return rule_name

    yield make
    for rule_name in made:
        iot.delete_topic_rule(ruleName=rule_name)


def eventually(read):
    return wait_until(read, WAIT_S)


def send(mqtt, name, payload, topic="t"):
    mqtt.publish(f"{name}/in/{topic}", payload if isinstance(payload, bytes) else json.dumps(payload).encode(), qos=1)


# ---------------------------------------------------------------------------------------------------- each kind

@pytest.mark.parametrize("use_base64", [False, True])
def test_sqs(moto, rule, mqtt, name, use_base64):
    sqs = moto.client("sqs")
    queue = sqs.create_queue(QueueName=name[-60:])["QueueUrl"]
    rule({"sqs": {"queueUrl": queue, "roleArn": ROLE, "useBase64": use_base64}}, "temp, topic(3) AS place")
    send(mqtt, name, {"temp": 21.50, "other": "\u00e4"}, "kitchen")
    [message] = eventually(lambda: sqs.receive_message(QueueUrl=queue).get("Messages"))
    body = base64.b64decode(message["Body"]) if use_base64 else message["Body"]
    assert json.loads(body) == {"temp": 21.5, "place": "kitchen"}


def test_sqs_takes_bytes_only_as_base64(moto, rule, mqtt, name):
    sqs = moto.client("sqs")
    queue = sqs.create_queue(QueueName=name[-60:])["QueueUrl"]
    rule({"sqs": {"queueUrl": queue, "roleArn": ROLE, "useBase64": True}})
    send(mqtt, name, b"\x00\xff\xfe")
    [message] = eventually(lambda: sqs.receive_message(QueueUrl=queue).get("Messages"))
    assert base64.b64decode(message["Body"]) == b"\x00\xff\xfe"


@pytest.mark.parametrize("message_format", ["RAW", "JSON"])
def test_sns(moto, rule, mqtt, name, message_format):
    sns, sqs = moto.client("sns"), moto.client("sqs")
    topic = sns.create_topic(Name=name[-60:])["TopicArn"]
    queue = sqs.create_queue(QueueName=name[-60:])["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)
    rule({"sns": {"targetArn": topic, "roleArn": ROLE, "messageFormat": message_format}})
    sent = {"default": "a & b=c", "sqs": "for queues"}
    send(mqtt, name, sent)
    [message] = eventually(lambda: sqs.receive_message(QueueUrl=queue).get("Messages"))
    got = json.loads(message["Body"])["Message"]
    assert got == "for queues" if message_format == "JSON" else json.loads(got) == sent


def test_s3(moto, rule, mqtt, name):
    s3 = moto.client("s3")
    bucket = name[-50:].lower().strip("-")
    s3.create_bucket(Bucket=bucket)
    rule({"s3": {"bucketName": bucket, "key": "of/${topic(3)}/a b+\u00e4 ${clientid()}", "cannedAcl": "public-read",
                 "roleArn": ROLE}})
    send(mqtt, name, b"\x01\x02 bytes", "place")
    key = f"of/place/a b+\u00e4 {name}"
    got = eventually(lambda: [o for o in s3.list_objects_v2(Bucket=bucket).get("Contents", []) if o["Key"] == key])
    assert s3.get_object(Bucket=bucket, Key=got[0]["Key"])["Body"].read() == b"\x01\x02 bytes"
    grants = s3.get_object_acl(Bucket=bucket, Key=key)["Grants"]
    assert any(g["Grantee"].get("URI", "").endswith("AllUsers") and g["Permission"] == "READ" for g in grants)


def table(moto, name, sort=None):
    keys = [("id", "HASH", "S")] + ([(sort, "RANGE", "N")] if sort else [])
    dynamodb = moto.client("dynamodb")
    dynamodb.create_table(TableName=name, BillingMode="PAY_PER_REQUEST",
                          KeySchema=[{"AttributeName": n, "KeyType": k} for n, k, _ in keys],
                          AttributeDefinitions=[{"AttributeName": n, "AttributeType": t} for n, _, t in keys])

    def items():
        plain = boto3.dynamodb.types.TypeDeserializer()
        return [{k: plain.deserialize(v) for k, v in item.items()} for item in dynamodb.scan(TableName=name)["Items"]]

    return items


def test_dynamodb_keeps_the_result_in_one_column(moto, rule, mqtt, name):
    items = table(moto, name, "at")
    rule({"dynamoDB": {"tableName": name, "roleArn": ROLE, "hashKeyField": "id", "hashKeyValue": "${topic(3)}",
                       "rangeKeyField": "at", "rangeKeyValue": "${at}", "rangeKeyType": "NUMBER",
                       "payloadField": "what", "operation": "${op}"}}, "v")
    send(mqtt, name, {"at": 7, "op": "INSERT", "v": {"n": 1.5, "list": [True, None, "x"]}}, "one")
    assert eventually(items) == [{"id": "one", "at": 7, "what": {"v": {"n": decimal.Decimal("1.5"),
                                                                       "list": [True, None, "x"]}}}]
    send(mqtt, name, {"at": 7, "op": "UPDATE", "v": 2}, "one")
    eventually(lambda: items() == [{"id": "one", "at": 7, "what": {"v": 2}}])
    send(mqtt, name, {"at": 7, "op": "DELETE"}, "one")
    eventually(lambda: not items())


def test_dynamodb_keeps_bytes(moto, rule, mqtt, name):
    items = table(moto, name)
    rule({"dynamoDB": {"tableName": name, "roleArn": ROLE, "hashKeyField": "id", "hashKeyValue": "k"}})
    send(mqtt, name, b"\xff\x00")
    [item] = eventually(items)
    assert item["id"] == "k" and item["payload"].value == b"\xff\x00"


def test_dynamodb_v2_makes_a_column_of_each_attribute(moto, rule, mqtt, name):
    items = table(moto, name)
    rule({"dynamoDBv2": {"putItem": {"tableName": name}, "roleArn": ROLE}}, "*, topic(3) AS id")
    mqtt.publish(f"{name}/in/k", b'{"n": 1234567890123456789012345678901234, "f": 0.1, "o": {"a": [1, "b"]}, "t": true,'
                 b' "z": null, "s": ""}', qos=1)
    assert eventually(items) == [{"id": "k", "n": decimal.Decimal("1234567890123456789012345678901234"),
                                  "f": decimal.Decimal("0.1"), "o": {"a": [1, "b"]}, "t": True, "z": None, "s": ""}]


def test_kinesis(moto, rule, mqtt, name):
    kinesis = moto.client("kinesis")
    kinesis.create_stream(StreamName=name, ShardCount=1)
    rule({"kinesis": {"streamName": name, "partitionKey": "${topic(3)}", "roleArn": ROLE}})
    shard = kinesis.describe_stream(StreamName=name)["StreamDescription"]["Shards"][0]["ShardId"]
    cursor = kinesis.get_shard_iterator(StreamName=name, ShardId=shard,
                                        ShardIteratorType="TRIM_HORIZON")["ShardIterator"]
    send(mqtt, name, {"v": 1}, "key")
    [record] = eventually(lambda: kinesis.get_records(ShardIterator=cursor)["Records"])
    assert (record["PartitionKey"], json.loads(record["Data"])) == ("key", {"v": 1})


@pytest.mark.parametrize("batch", [False, True])
def test_firehose(moto, rule, mqtt, name, batch):
    firehose, s3 = moto.client("firehose"), moto.client("s3")
    bucket = name[-50:].lower().strip("-")
    s3.create_bucket(Bucket=bucket)
    firehose.create_delivery_stream(DeliveryStreamName=name[-64:], S3DestinationConfiguration={
        "RoleARN": ROLE, "BucketARN": f"arn:aws:s3:::{bucket}"})
    rule({"firehose": {"deliveryStreamName": name[-64:], "separator": "\n", "batchMode": batch, "roleArn": ROLE}},
         "VALUE list" if batch else "list")
    send(mqtt, name, {"list": [{"a": 1}, "text", 2]})
    found = eventually(lambda: s3.list_objects_v2(Bucket=bucket).get("Contents"))
    data = b"".join(s3.get_object(Bucket=bucket, Key=o["Key"])["Body"].read() for o in found)
    assert data == (b'{"a":1}\ntext\n2\n' if batch else b'{"list":[{"a":1},"text",2]}\n')


def test_cloudwatch_metric(moto, rule, mqtt, name):
    cloudwatch = moto.client("cloudwatch")
    at = int(time.time()) - 60
    rule({"cloudwatchMetric": {"metricName": "${topic(3)}", "metricNamespace": name, "metricValue": "${v}",
                               "metricUnit": "Count", "metricTimestamp": str(at), "roleArn": ROLE}})
    send(mqtt, name, {"v": 4.25}, "level")
    assert eventually(lambda: cloudwatch.list_metrics(Namespace=name)["Metrics"])[0]["MetricName"] == "level"
    points = cloudwatch.get_metric_statistics(Namespace=name, MetricName="level", StartTime=at - 300, EndTime=at + 300,
                                              Period=60, Statistics=["Sum"], Unit="Count")["Datapoints"]
    assert [p["Sum"] for p in points] == [4.25]


def test_cloudwatch_alarm(moto, rule, mqtt, name):
    cloudwatch = moto.client("cloudwatch")
    cloudwatch.put_metric_alarm(AlarmName=name, MetricName="m", Namespace="n", ComparisonOperator="GreaterThanThreshold",
                                EvaluationPeriods=1, Period=60, Statistic="Sum", Threshold=1)
    rule({"cloudwatchAlarm": {"alarmName": name, "stateReason": "it is ${v}", "stateValue": "ALARM", "roleArn": ROLE}})
    send(mqtt, name, {"v": "hot & wet"})

    def state():
        [alarm] = cloudwatch.describe_alarms(AlarmNames=[name])["MetricAlarms"]
        return alarm["StateValue"] == "ALARM" and alarm["StateReason"]

    assert eventually(state) == "it is hot & wet"


@pytest.mark.parametrize("batch", [False, True])
def test_cloudwatch_logs(moto, rule, mqtt, name, batch):
    logs = moto.client("logs")
    logs.create_log_group(logGroupName=name)
    rule_name = rule({"cloudwatchLogs": {"logGroupName": name, "batchMode": batch, "roleArn": ROLE}},
                     "VALUE events" if batch else "*")
    now = int(time.time() * 1000)
    events = [{"timestamp": now - 2000, "message": "first"}, {"timestamp": now - 1000, "message": "second"}]
    send(mqtt, name, {"events": events})

    def messages():
        if not logs.describe_log_streams(logGroupName=name)["logStreams"]:
            return []
        found = logs.get_log_events(logGroupName=name, logStreamName=rule_name, startFromHead=True)["events"]
        return [(e["timestamp"], e["message"]) for e in found]

    got = eventually(messages)
    if batch:
        assert got == [(e["timestamp"], e["message"]) for e in events]
    else:
        assert [json.loads(text) for _, text in got] == [{"events": events}]
        assert abs(got[0][0] - now) < 60_000


def test_step_functions(moto, rule, mqtt, name):
    states = moto.client("stepfunctions")
    machine = states.create_state_machine(name=name, roleArn=ROLE, definition=json.dumps(
        {"StartAt": "A", "States": {"A": {"Type": "Pass", "End": True}}}))["stateMachineArn"]
    rule({"stepFunctions": {"stateMachineName": name, "executionNamePrefix": "of-${topic(3)}-", "roleArn": ROLE}})
    send(mqtt, name, {"v": 1}, "x")
    [execution] = eventually(lambda: states.list_executions(stateMachineArn=machine)["executions"])
    assert execution["name"].startswith("of-x-") and len(execution["name"]) == len("of-x-") + 36
    assert json.loads(states.describe_execution(executionArn=execution["executionArn"])["input"]) == {"v": 1}


# ---------------------------------------------------------------------------------------------------- kinds without counterpart

@pytest.mark.parametrize("kind", ["openSearch", "elasticsearch"])
def test_open_search(faulty, rule, mqtt, name, kind):
    faulty.now = lambda number, request: (201, {}, b'{"result":"created"}')
    before = len(faulty.requests)
    rule({kind: {"endpoint": "https://search-mine.us-east-1.es.amazonaws.com", "index": "i-${topic(3)}", "type": "_doc",
                 "id": "${id}", "roleArn": ROLE}})
    send(mqtt, name, {"id": "a/b c", "v": 1}, "x")
    [request] = eventually(lambda: faulty.requests[before:])
    assert (request["method"], request["path"]) == ("PUT", "/domain/i-x/_doc/a%2Fb%20c")
    assert json.loads(request["body"]) == {"id": "a/b c", "v": 1}
    assert request["headers"]["Content-Type"] == "application/json"


def test_location(faulty, rule, mqtt, name):
    faulty.now = lambda number, request: (200, {}, b'{"Errors":[]}')
    before = len(faulty.requests)
    rule({"location": {"trackerName": "tracks", "deviceId": "${topic(3)}", "latitude": "${lat}", "longitude": "${lon}",
                       "timestamp": {"value": "${at}", "unit": "SECONDS"}, "roleArn": ROLE}})
    send(mqtt, name, {"lat": -10.5, "lon": 170.25, "at": 1700000000}, "car")
    [request] = eventually(lambda: faulty.requests[before:])
    assert (request["method"], request["path"]) == ("POST", "/tracking/v0/trackers/tracks/positions")
    assert json.loads(request["body"]) == {"Updates": [{"DeviceId": "car", "Position": [170.25, -10.5],
                                                        "SampleTime": "2023-11-14T22:13:20Z"}]}


def test_timestream(moto, rule, mqtt, name):
    write = moto.client("timestream-write")
    write.create_database(DatabaseName=name[-60:])
    write.create_table(DatabaseName=name[-60:], TableName="t")
    rule({"timestream": {"databaseName": name[-60:], "tableName": "t", "roleArn": ROLE,
                         "dimensions": [{"name": "place", "value": "${topic(3)}"}],
                         "timestamp": {"value": "${at}", "unit": "MILLISECONDS"}}}, "n, f, b, s, o, z")
    send(mqtt, name, {"at": 1700000000123, "n": 7, "f": 1.5, "b": True, "s": "x", "o": {"a": 1}, "z": None}, "hall")

    def records():
        """moto keeps what was written and has no query of its own; its data page shows it."""
        data = requests.get(f"{moto.url}/moto-api/data.json", timeout=10).json()
        tables = data["timestreamwrite"]["TimestreamTable"]
        return [r for t in tables if t["db_name"] == name[-60:] for r in t["records"]]

    stored = eventually(records)
    assert {(r["MeasureName"], r["MeasureValue"], r["MeasureValueType"]) for r in stored} == {
        ("n", "7", "BIGINT"), ("f", "1.5", "DOUBLE"), ("b", "true", "BOOLEAN"), ("s", "x", "VARCHAR"),
        ("o", '{"a":1}', "VARCHAR")}
    for record in stored:
        assert record["Dimensions"] == [{"Name": "place", "Value": "hall"}]
        assert (record["Time"], record["TimeUnit"]) == ("1700000000123", "MILLISECONDS")
