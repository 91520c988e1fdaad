"""What an action's role must allow: a role that was made here is asked, as AWS asks it; one that never was is somebody
else's. Source: AWS IoT developer guide, "Granting an AWS IoT rule the access it requires" and each action's page,
"Requirements"; IAM user guide, "Troubleshoot access denied error messages"."""
import json
import re
import uuid

import pytest
from conftest import ACCOUNT, REGION
from support import wire
from support.mqtt import wait_until
from support.rule_kinds import KINDS
from support.rule_server import aws, client, device, iot, rule_server, signed_environment  # noqa: F401
from support.rules import action_figure, make_rule, republish

TRUST = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"Service": "iot.amazonaws.com"},
                                                 "Action": "sts:AssumeRole"}]}


@pytest.fixture(scope="module")
def server(tmp_path_factory, aws):  # noqa: F811
    running = rule_server(tmp_path_factory.mktemp("starling"), environment=signed_environment(aws.url))
    aws.now = lambda request: (200, {}, b"{}")
    yield running
    running.stop()


@pytest.fixture(scope="module")
def iam(server):
    return server.client("iam")


def statement(effect, action, resource="*", **more):
    return {"Version": "2012-10-17",
            "Statement": [{"Effect": effect, "Action": action, "Resource": resource, **more}]}


@pytest.fixture
def role(iam):
    """role(policy, trust=...): makes a role with this policy and returns its ARN."""
    def make(policy=None, trust=TRUST):
        role_name = f"r-{uuid.uuid4().hex[:8]}"
        made = iam.create_role(RoleName=role_name, AssumeRolePolicyDocument=json.dumps(trust))["Role"]["Arn"]
        if policy:
            iam.put_role_policy(RoleName=role_name, PolicyName="p", PolicyDocument=json.dumps(policy))
        return made

    return make


def name_of(arn):
    return arn.rsplit("/", 1)[1]


def by(role_arn, topic, **more):
    return {"republish": {"topic": topic, "roleArn": role_arn, "qos": 1, **more}}


def topic_arn(topic):
    return f"arn:aws:iot:{REGION}:{ACCOUNT}:topic/{topic}"


@pytest.fixture
def trial(server, iot, client, name):  # noqa: F811
    """trial(action): what becomes of one message: ("out", payload), or the error document's one failure."""
    client.subscribe(f"{name}/out")
    client.subscribe(f"{name}/error")

    def run(action, select="*", payload=b'{"v":1}'):
        rule = make_rule(iot, name, f"SELECT {select} FROM '{name}/in'", action, error=republish(f"{name}/error"))
        client.publish(f"{name}/in", payload)
        if not action.get("republish"):
            wait_until(lambda: action_figure(server, "succeeded_total", rule) + action_figure(server, "failed_total", rule))
            if action_figure(server, "succeeded_total", rule):
                iot.delete_topic_rule(ruleName=rule)
                return "done"
        message = client.message(20)
        iot.delete_topic_rule(ruleName=rule)
        if message.topic.startswith(f"{name}/out"):
            return json.loads(message.payload)
        [failure] = json.loads(message.payload)["failures"]
        return failure

    return run


def test_a_role_that_never_was_refuses_nothing_and_is_named_once(server, iot, trial, name):
    strange = f"arn:aws:iam::{ACCOUNT}:role/{name}"
    first = make_rule(iot, name, f"SELECT * FROM '{name}/other'", by(strange, f"{name}/x"), by(strange, f"{name}/y"))
    assert trial(by(strange, f"{name}/out")) == {"v": 1}
    lines = [line for line in server.log().splitlines() if "event=RuleRole" in line and strange in line]
    assert len(lines) == 1 and "was never created here" in lines[0], lines
    iot.delete_topic_rule(ruleName=first)


def test_an_action_that_the_role_does_not_allow_fails_as_on_aws(server, iot, trial, role, name):
    arn = role(statement("Allow", "iot:Publish", topic_arn(f"{name}/elsewhere")))
    failure = trial(by(arn, f"{name}/out"))
    assert failure == {
        "failedAction": "RepublishAction", "failedResource": f"{name}/out",
        "errorMessage": "RepublishAction failed. The error received was AccessDeniedException: User: "
                        f"arn:aws:sts::{ACCOUNT}:assumed-role/{name_of(arn)} is not authorized to perform: iot:Publish on "
                        f"resource: {topic_arn(name + '/out')} because no identity-based policy allows the iot:Publish action"}
    assert re.search(rf"event=RuleExecution status=Failure .*action=RepublishAction resource={name}/out .*not authorized to "
                     "perform: iot:Publish", server.log())


def test_a_change_of_the_role_counts_for_the_next_message(iam, iot, client, role, name):  # noqa: F811
    arn = role()
    client.subscribe(f"{name}/out")
    client.subscribe(f"{name}/error")
    rule = make_rule(iot, name, f"SELECT * FROM '{name}/in'", by(arn, f"{name}/out"), error=republish(f"{name}/error"))

    def next_topic():
        client.publish(f"{name}/in", b"{}")
        return client.message().topic.removeprefix(name)

    def policy(policy_name, document):
        iam.put_role_policy(RoleName=name_of(arn), PolicyName=policy_name, PolicyDocument=json.dumps(document))

    assert next_topic() == "/error"
    policy("a", statement("Allow", "iot:*", topic_arn(f"{name}/*")))
    assert next_topic() == "/out"
    policy("b", statement("Deny", "iot:Publish"))
    assert next_topic() == "/error"
    iam.delete_role_policy(RoleName=name_of(arn), PolicyName="b")
    assert next_topic() == "/out"
    iam.update_assume_role_policy(RoleName=name_of(arn), PolicyDocument=json.dumps(
        json.loads(json.dumps(TRUST).replace("iot.", "lambda."))))
    assert next_topic() == "/error"
    iam.update_assume_role_policy(RoleName=name_of(arn), PolicyDocument=json.dumps(TRUST))
    assert next_topic() == "/out"
    managed = iam.create_policy(PolicyName=name[-60:], PolicyDocument=json.dumps(
        statement("Deny", "iot:Publish", topic_arn(f"{name}/out"))))["Policy"]["Arn"]
    iam.attach_role_policy(RoleName=name_of(arn), PolicyArn=managed)
    assert next_topic() == "/error"
    iam.create_policy_version(PolicyArn=managed, PolicyDocument=json.dumps(statement("Allow", "s3:*")), SetAsDefault=True)
    assert next_topic() == "/out"
    iot.delete_topic_rule(ruleName=rule)


def test_a_deleted_role_lets_nothing_until_it_is_made_again(iam, iot, client, role, name):  # noqa: F811
    arn = role(statement("Allow", "iot:Publish"))
    client.subscribe(f"{name}/#")
    rule = make_rule(iot, name, f"SELECT * FROM '{name}-in'", by(arn, f"{name}/out"), error=republish(f"{name}/error"))
    iam.delete_role_policy(RoleName=name_of(arn), PolicyName="p")
    iam.delete_role(RoleName=name_of(arn))
    client.publish(f"{name}-in", b"{}")
    message = client.message()
    assert message.topic == f"{name}/error" and "the role was deleted" in message.payload.decode()
    iam.create_role(RoleName=name_of(arn), AssumeRolePolicyDocument=json.dumps(TRUST))
    iam.put_role_policy(RoleName=name_of(arn), PolicyName="p", PolicyDocument=json.dumps(statement("Allow", "iot:Publish")))
    client.publish(f"{name}-in", b"{}")
    assert client.message().topic == f"{name}/out"
    iot.delete_topic_rule(ruleName=rule)


def test_conditions_see_for_which_rule_and_account_it_is(trial, role, name):
    here = statement("Allow", "iot:Publish", Condition={"StringEquals": {"aws:SourceAccount": ACCOUNT}})
    assert trial(by(role(here), f"{name}/out")) == {"v": 1}
    mine = {"ArnLike": {"aws:SourceArn": f"arn:aws:iot:{REGION}:{ACCOUNT}:rule/{re.sub('[^a-zA-Z0-9]', '_', name)}*"}}
    assert trial(by(role(statement("Allow", "iot:Publish", Condition=mine)), f"{name}/out")) == {"v": 1}
    other = {"ArnLike": {"aws:SourceArn": f"arn:aws:iot:{REGION}:{ACCOUNT}:rule/other"}}
    assert "not authorized" in trial(by(role(statement("Allow", "iot:Publish", Condition=other)), f"{name}/out"))["errorMessage"]
    confused = json.loads(json.dumps(TRUST))
    confused["Statement"][0]["Condition"] = {"StringEquals": {"aws:SourceAccount": "222233334444"}}
    failure = trial(by(role(statement("Allow", "*"), confused), f"{name}/out"))
    assert "iot.amazonaws.com is not authorized to perform: sts:AssumeRole" in failure["errorMessage"]


def r(service, rest):
    return f"arn:aws:{service}:{REGION}:{ACCOUNT}:{rest}"


# What each action's page of the guide says its role needs, for the parameters in KINDS.
RIGHTS = {
    "sqs": ("sqs:SendMessage", f"arn:aws:sqs:{REGION}:1:q"),
    "sns": ("sns:Publish", r("sns", "t")),
    "s3": ("s3:PutObject", "arn:aws:s3:::bucket/a/1"),
    "dynamoDB": ("dynamodb:PutItem", r("dynamodb", "table/t1")),
    "dynamoDBv2": ("dynamodb:PutItem", r("dynamodb", "table/t2")),
    "kinesis": ("kinesis:PutRecord", r("kinesis", "stream/s")),
    "firehose": ("firehose:PutRecord", r("firehose", "deliverystream/d")),
    "openSearch": ("es:ESHttpPut", r("es", "domain/search/i/_doc/1")),
    "elasticsearch": ("es:ESHttpPut", r("es", "domain/search/i/_doc/2")),
    "cloudwatchMetric": ("cloudwatch:PutMetricData", "*"),
    "cloudwatchAlarm": ("cloudwatch:SetAlarmState", r("cloudwatch", "alarm:a")),
    "cloudwatchLogs": ("logs:PutLogEvents", r("logs", "log-group:g:*")),
    "stepFunctions": ("states:StartExecution", r("states", "stateMachine:m")),
    "timestream": ("timestream:WriteRecords", r("timestream", "database/db/table/t")),
    "location": ("geo:BatchUpdateDevicePosition", r("geo", "tracker/t")),
}


@pytest.mark.parametrize("kind", RIGHTS)
def test_every_kind_asks_for_its_own_right_on_its_own_resource(aws, trial, role, kind):  # noqa: F811
    action, resource = RIGHTS[kind]
    parameters = KINDS[kind][0]
    before = len(aws.requests)
    failure = trial({kind: {**parameters, "roleArn": role(statement("Allow", "sts:*"))}})
    asked = re.search(r"is not authorized to perform: (\S+) on resource: (\S+) because", failure["errorMessage"])
    assert asked[1] == action and failure["failedAction"] == KINDS[kind][1]
    if kind == "cloudwatchLogs":  # the stream has the rule's name
        assert asked[2].startswith(r("logs", "log-group:g:log-stream:"))
    else:
        assert asked[2] == resource
    assert len(aws.requests) == before  # refused before anything was sent
    assert trial({kind: {**parameters, "roleArn": role(statement("Allow", action, resource))}}) == "done"


@pytest.mark.parametrize("operation, action", [("INSERT", "PutItem"), ("UPDATE", "UpdateItem"), ("DELETE", "DeleteItem")])
def test_each_operation_on_a_table_is_a_right_of_its_own(trial, role, operation, action):
    parameters = {"tableName": "t", "hashKeyField": "k", "hashKeyValue": "x", "operation": operation}
    wrong = trial({"dynamoDB": {**parameters, "roleArn": role(statement("Allow", "dynamodb:GetItem"))}})
    assert f"perform: dynamodb:{action} on" in wrong["errorMessage"]
    assert trial({"dynamoDB": {**parameters, "roleArn": role(statement("Allow", f"dynamodb:{action}"))}}) == "done"


def test_the_error_action_has_a_role_of_its_own(server, iot, client, role, name):  # noqa: F811
    denied = role(statement("Deny", "iot:*"))
    rule = make_rule(iot, name, f"SELECT * FROM '{name}/in'", by(denied, f"{name}/out"), error=by(denied, f"{name}/error"))
    client.publish(f"{name}/in", b"{}")
    wait_until(lambda: action_figure(server, "failed_total", rule, "errorAction") == 1)
    assert action_figure(server, "failed_total", rule) == 1
    iot.delete_topic_rule(ruleName=rule)


def test_functions_of_the_sql_act_by_their_roles(server, aws, iot, trial, role, name):  # noqa: F811
    aws.now = lambda request: (200, {}, json.dumps({
        "Item": {"v": {"S": "of the table"}}, "ARN": r("secretsmanager", "secret:s-AbCdEf"), "SecretString": "of the secret",
    }).encode())
    server.client("iot-data").update_thing_shadow(thingName=iot.create_thing(thingName=name)["thingName"],
                                                  payload=b'{"state":{"reported":{"v":"of the shadow"}}}')
    calls = [("get_thing_shadow('{n}', '{role}').state.reported.v", "iot:GetThingShadow", r("iot", f"thing/{name}"),
              "of the shadow"),
             ("get_registry_data('DescribeThing', '{n}', '{role}').thingName", "iot:DescribeThing", r("iot", f"thing/{name}"),
              name),
             ("get_dynamodb('t', 'k', 'x', '{role}').v", "dynamodb:GetItem", r("dynamodb", "table/t"), "of the table"),
             ("get_secret('s', 'SecretString', '{role}')", "secretsmanager:GetSecretValue",
              r("secretsmanager", "secret:s-AbCdEf"), "of the secret")]
    out = republish(f"{name}/out")
    for call, action, resource, wanted in calls:
        good, bad = role(statement("Allow", action, resource)), role(statement("Deny", action, resource))
        select = "get_or_default(" + call.replace("{n}", name) + ", 'refused') AS v"
        assert trial(out, select.replace("{role}", good)) == {"v": wanted}
        assert trial(out, select.replace("{role}", bad)) == {"v": "refused"}
        assert trial(out, select.replace("{role}", good)) == {"v": wanted}  # a secret that was kept is kept
    aws.now = lambda request: (200, {}, b"{}")


def test_roles_are_asked_after_a_restart(tmp_path_factory, name):
    own = rule_server(tmp_path_factory.mktemp("roles"))
    try:
        iam, api = own.client("iam"), own.client("iot")
        arn = iam.create_role(RoleName="r", AssumeRolePolicyDocument=json.dumps(TRUST))["Role"]["Arn"]
        iam.put_role_policy(RoleName="r", PolicyName="p", PolicyDocument=json.dumps(
            statement("Allow", "iot:Publish", topic_arn("out/*"))))
        make_rule(api, name, "SELECT * FROM 'in'", by(arn, "out/1"), by(arn, "no/1"), error=republish("error"))
        own.kill()
        own.start()
        with wire.plain_wire(own) as client:  # noqa: F811
            client.connect(name)
            client.subscribe(("out/#", 1), ("no/#", 1), ("error", 1))
            client.send_publish("in", b"{}", qos=0)
            got = {m.topic: m.payload for m in (client.message() for _ in range(2))}
            assert set(got) == {"out/1", "error"}
            assert [f["failedResource"] for f in json.loads(got["error"])["failures"]] == ["no/1"]
    finally:
        own.stop()


def test_the_folder_that_stands_for_s3_is_let_and_fails_alike(tmp_path_factory, name):
    """Without an endpoint for S3 an object is a file; the role is asked all the same, and a key that S3 does not take
    reaches the error action."""
    own = rule_server(tmp_path_factory.mktemp("folder"))
    try:
        iam, api = own.client("iam"), own.client("iot")
        arn = iam.create_role(RoleName="s3", AssumeRolePolicyDocument=json.dumps(TRUST))["Role"]["Arn"]
        make_rule(api, name, "SELECT n FROM 'in'", {"s3": {"bucketName": "${bucket}", "key": "k/${n}", "roleArn": arn}},
                  error=republish("error"))

        def failure(client, bucket, n):
            client.send_publish("in", json.dumps({"n": n, "bucket": bucket}), qos=0)
            [one] = json.loads(client.message().payload)["failures"]
            assert (one["failedAction"], one["failedResource"]) == ("S3Action", f"{bucket}/k/{n}")
            return one["errorMessage"]

        with wire.plain_wire(own) as client:  # noqa: F811
            client.connect(name)
            client.subscribe(("error", 1))
            client.stream.settimeout(30)
            assert "not authorized to perform: s3:PutObject on resource: arn:aws:s3:::open/k/1" in failure(client, "open", 1)
            iam.put_role_policy(RoleName="s3", PolicyName="p", PolicyDocument=json.dumps(
                statement("Allow", "s3:PutObject", "arn:aws:s3:::open/*")))
            client.send_publish("in", b'{"n":2,"bucket":"open"}', qos=0)
            written = own.data / "s3" / "open" / "k" / "2"
            wait_until(lambda: written.exists() and written.read_bytes() == b'{"n":2}')
            assert not (own.data / "s3" / "open" / "k" / "1").exists()
            assert "s3:PutObject" in failure(client, "closed", 3)
            assert "1 to 1024 are expected" in failure(client, "open", "x" * 1025)
    finally:
        own.stop()
