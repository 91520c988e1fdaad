"""Rules: their operations, and messages that go through them by real clients. Source: AWS IoT developer guide, "Rules"."""
import base64
import json
import re

import pytest
from conftest import ACCOUNT, REGION, allow, arn
from support import functions, wire
from support.keys import make_key
from support.mqtt import wait_until
from support.rules import ROLE, figure, make_rule, payload, republish
from support.server import Server

UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")


@pytest.fixture
def key(server, tmp_path):
    """key(statement, ..., account=, service=): a client of a key that may do just that; without statements, anything."""
    def make(*statements, account=None, service="iot"):
        policies = [{"Version": "2012-10-17", "Statement": list(statements)}] if statements else []
        return server.client(service, *make_key(server, *policies, account=account, folder=tmp_path))

    return make


@pytest.fixture
def rule(iot, name):
    """rule(sql, *actions, ...): makes a rule and returns its name; all are deleted when the test ends."""
    made = []

    def make(sql, *actions, suffix="", **more):
        rule_name = name.replace("-", "_") + suffix
        iot.create_topic_rule(ruleName=rule_name, topicRulePayload=payload(sql, *actions, **more))
        made.append(rule_name)
        return rule_name

    yield make
    for rule_name in made:
        try:
            iot.delete_topic_rule(ruleName=rule_name)
        except iot.exceptions.UnauthorizedException:
            pass


# ---------------------------------------------------------------------------------------------------- operations

def test_a_rule_is_created_read_replaced_and_deleted(iot, name, fails):
    rule_name = name.replace("-", "_")
    made = payload(f"SELECT * FROM '{name}/+/t'", republish("out/${topic()}", contentType="a/b"), description="first",
                   error=republish("errors", 0))
    iot.create_topic_rule(ruleName=rule_name, topicRulePayload=made, tags="team=a%20b&x=")
    got = iot.get_topic_rule(ruleName=rule_name)
    assert got["ruleArn"] == arn(f"rule/{rule_name}")
    got_rule = got["rule"]
    created = got_rule.pop("createdAt")
    assert got_rule == {**made, "ruleName": rule_name, "ruleDisabled": False}
    assert iot.list_tags_for_resource(resourceArn=got["ruleArn"])["tags"] == [
        {"Key": "team", "Value": "a b"}, {"Key": "x", "Value": ""}]

    code, status, text = fails(iot.create_topic_rule, ruleName=rule_name, topicRulePayload=made)
    assert (code, status) == ("ResourceAlreadyExistsException", 409) and rule_name in text

    iot.replace_topic_rule(ruleName=rule_name, topicRulePayload=payload(f"SELECT * FROM '{name}/other'", republish("b"),
                                                                        ruleDisabled=True))
    got_rule = iot.get_topic_rule(ruleName=rule_name)["rule"]
    assert (got_rule["sql"], got_rule["ruleDisabled"], got_rule["createdAt"]) == (
        f"SELECT * FROM '{name}/other'", True, created)
    assert "description" not in got_rule and "errorAction" not in got_rule

    iot.enable_topic_rule(ruleName=rule_name)
    assert iot.get_topic_rule(ruleName=rule_name)["rule"]["ruleDisabled"] is False
    iot.disable_topic_rule(ruleName=rule_name)
    assert iot.get_topic_rule(ruleName=rule_name)["rule"]["ruleDisabled"] is True
    iot.delete_topic_rule(ruleName=rule_name)
    denied = ("UnauthorizedException", 401, f"Access to topic rule '{rule_name}' was denied")
    assert fails(iot.get_topic_rule, ruleName=rule_name) == denied
    assert fails(iot.delete_topic_rule, ruleName=rule_name) == denied
    assert fails(iot.enable_topic_rule, ruleName=rule_name) == denied
    assert fails(iot.replace_topic_rule, ruleName=rule_name, topicRulePayload=made) == denied


def test_rules_are_listed_in_pages_and_by_topic(iot, name, rule):
    made = [rule(f"SELECT * FROM '{name}/{i}/#'", republish("x"), suffix=f"_{i}", ruleDisabled=i == 0) for i in range(3)]
    mine = [r for page in iot.get_paginator("list_topic_rules").paginate(PaginationConfig={"PageSize": 1})
            for r in page["rules"] if r["ruleName"] in made]
    assert [(r["ruleName"], r["ruleArn"], r["topicPattern"], r["ruleDisabled"]) for r in mine] == [
        (n, arn(f"rule/{n}"), f"{name}/{i}/#", i == 0) for i, n in enumerate(made)]
    assert [r["ruleName"] for r in iot.list_topic_rules(topic=f"{name}/1/a/b")["rules"]] == [made[1]]
    assert iot.list_topic_rules(topic=f"{name}/0/a", ruleDisabled=False)["rules"] == []
    first = iot.list_topic_rules(maxResults=1)
    assert len(first["rules"]) == 1 and first["nextToken"]


@pytest.mark.parametrize("sql", ["", "SELEC * FROM 'a'", "SELECT * FROM a/b", "SELECT * FROM 'a/#/b'"])
def test_sql_that_does_not_compile_is_refused_with_its_place(iot, name, fails, sql):
    code, status, text = fails(iot.create_topic_rule, ruleName=name.replace("-", "_"),
                               topicRulePayload=payload(sql, republish("x")))
    assert (code, status) == ("SqlParseException", 400)
    assert re.match(r"line 1, column \d+: ", text), text


@pytest.mark.parametrize("actions, word", [
    ([republish("a/+/b")], "a/+/b"),
    ([republish("a", payloadFormatIndicator="NO")], "payloadFormatIndicator"),
    ([republish("a", messageExpiry="soon")], "messageExpiry"),
    ([republish("a/${topic(}")], "topic"),
    *[([{"republish": {"topic": "a", "roleArn": arn}}],
       f"'{arn}' of the republish action is no role's ARN: arn:aws:iam::ACCOUNT:role/NAME is expected")
      for arn in ("foo", f"arn:aws:iam::{ACCOUNT}:user/x", "arn:aws:iam::1:role/x", f"arn:aws:iam::{ACCOUNT}:role/",
                  f"arn:aws:iam:{REGION}:{ACCOUNT}:role/x", f"arn:aws:sts::{ACCOUNT}:role/x", f"{ACCOUNT}:role/x")],
    ([{}], "kind"),
    ([{**republish("a"), "lambda": {"functionArn": f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:f"}}], "both"),
    ([{"influxDB": {"destinationArn": ROLE, "roleArn": ROLE, "databaseName": "db", "tableName": "t"}}], "influxDB"),
])
def test_an_action_that_would_not_do_is_refused(iot, name, fails, actions, word):
    code, status, text = fails(iot.create_topic_rule, ruleName=name.replace("-", "_"),
                               topicRulePayload=payload("SELECT * FROM 'a'", *actions))
    assert (code, status) == ("InvalidRequestException", 400) and word in text, text


def test_an_error_actions_role_is_checked_too_and_other_partitions_are_fine(iot, name, fails):
    rule = {"ruleName": name.replace("-", "_")}
    code, _, text = fails(iot.create_topic_rule, **rule, topicRulePayload={
        **payload("SELECT * FROM 'a'", republish("x")), "errorAction": {"republish": {"topic": "a", "roleArn": "foo"}}})
    assert code == "InvalidRequestException" and "'foo' of the republish action" in text
    role = f"arn:aws-us-gov:iam::{ACCOUNT}:role/path/x"
    iot.create_topic_rule(**rule, topicRulePayload=payload("SELECT * FROM 'a'", {"republish": {"topic": "x", "roleArn": role}}))
    [made] = iot.get_topic_rule(**rule)["rule"]["actions"]
    assert made["republish"]["roleArn"] == role
    iot.delete_topic_rule(**rule)


def test_eleven_actions_are_one_too_many(iot, name, fails):
    code, status, _ = fails(iot.create_topic_rule, ruleName=name.replace("-", "_"),
                            topicRulePayload=payload("SELECT * FROM 'a'", *[republish("x")] * 11))
    assert (code, status) == ("InvalidRequestException", 400)


# ---------------------------------------------------------------------------------------------------- republish

def test_a_message_is_republished_with_its_headers(connect, name, rule):
    rule(f"SELECT * FROM '{name}/in/+'",
         republish(f"{name}/out/${{topic(3)}}", payloadFormatIndicator="UTF8_DATA", contentType="application/json",
                   responseTopic=f"{name}/answers", correlationData=base64.b64encode(b"corr").decode(),
                   messageExpiry="600", userProperties=[{"key": "from", "value": "${topic()}"},
                                                        {"key": "from", "value": "again"}]))
    client = connect(name)
    client.subscribe(f"{name}/out/+")
    assert client.publish(f"{name}/in/7", '{"a":1}') == 0
    message = client.message()
    assert (message.topic, json.loads(message.payload), message.qos) == (f"{name}/out/7", {"a": 1}, 1)
    properties = message.properties
    assert (properties.PayloadFormatIndicator, properties.ContentType, properties.ResponseTopic,
            properties.CorrelationData) == (1, "application/json", f"{name}/answers", b"corr")
    assert 590 <= properties.MessageExpiryInterval <= 600
    assert properties.UserProperty == [("from", f"{name}/in/7"), ("from", "again")]


@pytest.mark.parametrize("qos", [0, 1])
def test_several_rules_and_actions_each_get_a_message_once(connect, name, rule, qos):
    rule(f"SELECT * FROM '{name}/in'", republish(f"{name}/out/a", qos), republish(f"{name}/out/b", qos), suffix="_1")
    rule(f"SELECT * FROM '{name}/#'", republish(f"other/{name}/c", qos), suffix="_2")
    client = connect(name)
    client.subscribe(f"{name}/out/+")
    client.subscribe(f"other/{name}/#")
    client.publish(f"{name}/in", b"{}", qos=qos)
    # the second rule sees what the first one republishes, too
    got = sorted(client.message().topic for _ in range(5))
    assert got == sorted([f"{name}/out/a", f"{name}/out/b"] + [f"other/{name}/c"] * 3)
    client.nothing_more(f"other/{name}/end")


def test_many_costly_rules_for_one_message_hold_nobody_up(connect, name, rule):
    sub, other = connect(f"{name}-s"), connect(f"{name}-o")
    for i in range(40):
        rule(f"SELECT length(regexp_replace(regexp_replace(s, 'a(?=a$)', ''), 'a(?=a$)', '')) AS n FROM '{name}/in'",
             republish(f"{name}/out/{i}", 0), suffix=f"_{i}")
    sub.subscribe(f"{name}/out/+", 0)
    sub.subscribe(f"{name}/other", 0)
    other.publish(f"{name}/in", json.dumps({"s": "a" * 60_000}), 0)
    got = [sub.message()]
    other.publish(f"{name}/other", b"x", 0)
    got += [sub.message() for _ in range(40)]
    assert sorted(m.topic for m in got) == sorted([f"{name}/other", *(f"{name}/out/{i}" for i in range(40))])
    assert all(json.loads(m.payload) == {"n": 59_998} for m in got if "/out/" in m.topic)
    assert got[-1].topic != f"{name}/other"  # it did not wait for all of them


def test_a_change_takes_effect_at_once(iot, connect, name, rule):
    rule_name = rule(f"SELECT * FROM '{name}/in'", republish(f"{name}/out/1"))
    client = connect(name)
    client.subscribe(f"{name}/out/+")

    def goes_to():
        client.publish(f"{name}/in", b"{}")
        client.publish(f"{name}/out/end", b"")
        topics = []
        while (message := client.message()).topic != f"{name}/out/end":
            topics.append(message.topic[-1])
        return topics

    assert goes_to() == ["1"]
    iot.replace_topic_rule(ruleName=rule_name, topicRulePayload=payload(f"SELECT * FROM '{name}/+'",
                                                                        republish(f"{name}/out/2")))
    assert goes_to() == ["2"]
    iot.disable_topic_rule(ruleName=rule_name)
    assert goes_to() == []
    iot.enable_topic_rule(ruleName=rule_name)
    assert goes_to() == ["2"]
    iot.delete_topic_rule(ruleName=rule_name)
    assert goes_to() == []


def test_a_rule_that_matches_what_it_publishes_comes_to_an_end(server, connect, name, rule):
    rule_name = rule(f"SELECT * FROM '{name}/#'", republish(f"{name}/again", 0))
    client = connect(name)
    client.subscribe(f"{name}/again")
    client.publish(f"{name}/start", b"{}")
    assert [client.message().topic for _ in range(32)] == [f"{name}/again"] * 32
    failed = f'starling_rule_action_failed_total{{account="{ACCOUNT}",rule="{rule_name}"'
    wait_until(lambda: figure(server, failed) == 1)
    assert client.inbox.empty()
    assert any(rule_name in line and "circle" in line for line in server.log().splitlines())


def test_a_circle_that_doubles_ends_as_well(server, connect, name, rule):
    again = f"{name}/again"
    rule_name = rule(f"SELECT * FROM '{again}'", republish(again, qos=0), republish(again, qos=0))
    client = connect(name)
    client.publish(again, b"{}")
    wait_until(lambda: any(rule_name in line and "circle" in line for line in server.log().splitlines()))
    client.subscribe(f"{name}/other")
    client.publish(f"{name}/other", b"still there")
    assert client.message().payload == b"still there"


def test_a_shadow_is_updated_by_a_rule_and_its_documents_go_to_another(data, connect, name, rule):
    rule(f"SELECT * FROM '{name}/in'", republish(f"$$aws/things/{name}/shadow/update"), suffix="_1")
    rule(f"SELECT * FROM '$aws/things/{name}/shadow/update/documents'", republish(f"{name}/documents"), suffix="_2")
    client = connect(name)
    client.subscribe(f"{name}/documents")
    client.publish(f"{name}/in", '{"state":{"reported":{"t":21}}}')
    document = json.loads(client.message().payload)
    assert document["current"]["state"] == {"reported": {"t": 21}}
    assert json.loads(data.get_thing_shadow(thingName=name)["payload"].read())["state"] == {"reported": {"t": 21}}


def test_lifecycle_events_trigger_rules(connect, name, rule):
    rule(f"SELECT * FROM '$aws/events/presence/+/{name}-x'", republish(f"{name}/presence"))
    client = connect(name)
    client.subscribe(f"{name}/presence")
    connect(f"{name}-x")
    event = json.loads(client.message().payload)
    assert (event["clientId"], event["eventType"]) == (f"{name}-x", "connected")


def test_an_api_publish_triggers_rules(data, connect, name, rule):
    rule(f"SELECT * FROM '{name}/in'", republish(f"{name}/out"))
    client = connect(name)
    client.subscribe(f"{name}/out")
    data.publish(topic=f"{name}/in", qos=1, payload=b'{"by":"api"}')
    assert json.loads(client.message().payload) == {"by": "api"}


# ---------------------------------------------------------------------------------------------------- basic ingest

def test_basic_ingest_reaches_its_rule_alone(connect, name, rule):
    rule_name = rule(f"SELECT * FROM '{name}/nothing'", republish(f"{name}/out/${{topic()}}"))
    client = connect(name)
    client.subscribe(f"{name}/#")
    deep = "/".join("abcdefgh")  # the prefix's three levels do not count
    assert client.publish(f"$aws/rules/{rule_name}/{deep[:9]}", b"{}") == 0
    assert client.message().topic == f"{name}/out/{deep[:9]}"
    client.nothing_more(f"{name}/end")


def test_basic_ingest_needs_a_policy_for_its_topic(fleet, connect, name, rule):
    rule_name = rule(f"SELECT * FROM '{name}/x'", republish(f"{name}/out"))
    device = fleet.make(f"{name}-d", allow(("iot:Connect", "*"), ("iot:Publish", f"topic/$aws/rules/{rule_name}/*"),
                                           ("iot:Subscribe", "*"), ("iot:Receive", "*")))
    client = connect(f"{name}-d", device)
    client.subscribe(f"{name}/out")
    assert client.publish(f"$aws/rules/{rule_name}/a", b"{}") == 0
    assert client.message().topic == f"{name}/out"
    assert client.publish(f"$aws/rules/{rule_name}_other/a", b"{}") == 135


def test_basic_ingest_to_no_rule_is_acknowledged_logged_and_counted(server, connect, name):
    client = connect(name)
    before = figure(server, "starling_rules_not_found_total")
    assert client.publish(f"$aws/rules/{name.replace('-', '_')}/a", b"{}") == 0
    assert figure(server, "starling_rules_not_found_total") == before + 1
    line = next(l for l in server.log().splitlines() if "event=RuleNotFound" in l and name.replace("-", "_") in l)
    assert "status=Failure" in line and f"client={name}" in line


# ---------------------------------------------------------------------------------------------------- errors, figures

def test_the_error_action_gets_awss_document(server, connect, name, rule):
    rule_name = rule(f"SELECT * FROM '{name}/in/#'", republish(f"{name}/out/${{topic()}}/#"), republish(f"{name}/ok"),
                     error=republish(f"{name}/errors/${{topic(3)}}"))
    client = connect(name)
    client.subscribe(f"{name}/errors/+")
    client.subscribe(f"{name}/ok")
    assert client.publish(f"{name}/in/7", b"not json") == 0
    got = {m.topic: m.payload for m in (client.message(), client.message())}
    assert got[f"{name}/ok"] == b"not json"
    document = json.loads(got[f"{name}/errors/7"])
    failures = document.pop("failures")
    assert UUID.fullmatch(document.pop("cloudwatchTraceId"))
    assert document.pop("sourceIp") in ("127.0.0.1", "::1")
    assert document == {"ruleName": rule_name, "topic": f"{name}/in/7", "clientId": name,
                        "base64OriginalPayload": base64.b64encode(b"not json").decode()}
    resource = f"{name}/out/{name}/in/7/#"
    assert failures == [{"failedAction": "RepublishAction", "failedResource": resource,
                         "errorMessage": f"Failed to republish to topic: '{resource}' is not a topic to publish to"}]
    label = f'rule="{rule_name}"'
    for wanted, value in ((f'starling_rule_matched_total{{account="{ACCOUNT}",{label}', 1),
                          (f'starling_rule_action_succeeded_total{{account="{ACCOUNT}",{label},stage="action",index="1"', 1),
                          (f'starling_rule_action_failed_total{{account="{ACCOUNT}",{label},stage="action",index="0"', 1),
                          (f'starling_rule_action_succeeded_total{{account="{ACCOUNT}",{label},stage="errorAction"', 1)):
        wait_until(lambda wanted=wanted, value=value: figure(server, wanted) == value)
    assert f"event=RuleExecution status=Failure account={ACCOUNT} rule={rule_name} action=RepublishAction" in server.log()


# ---------------------------------------------------------------------------------------------------- services in here

@pytest.mark.parametrize("kind, parameters, resource", [
    ("iotAnalytics", {"channelName": "c", "roleArn": ROLE}, "c"),
    ("iotEvents", {"inputName": "i", "roleArn": ROLE}, "i"),
    ("iotSiteWise", {"roleArn": ROLE, "putAssetPropertyValueEntries": [{"propertyAlias": "/a", "propertyValues": [
        {"value": {"doubleValue": "${t}"}, "timestamp": {"timeInSeconds": "${floor(timestamp()/1000)}"}}]}]}, "/a"),
])
def test_a_service_that_is_not_there_yet_says_so_to_the_error_action(connect, name, rule, kind, parameters, resource):
    rule(f"SELECT * FROM '{name}/in'", {kind: parameters}, error=republish(f"{name}/errors"))
    client = connect(name)
    client.subscribe(f"{name}/errors")
    client.publish(f"{name}/in", '{"t":1.5}')
    [failure] = json.loads(client.message().payload)["failures"]
    assert (failure["failedAction"], failure["failedResource"]) == (kind[0].upper() + kind[1:] + "Action", resource)
    assert "not implemented yet" in failure["errorMessage"]


# ---------------------------------------------------------------------------------------------------- lambda

def test_a_function_gets_the_result_if_its_policy_lets_the_rule(tmp_path, name):
    server = Server(tmp_path / "data", ("--plain-port", "0", "--test", *functions.ARGUMENTS)).start()
    try:
        iot, lambdas = server.client("iot"), server.client("lambda")
        fn = functions.create(lambdas, "f", "def handler(event, context):\n    print('GOT', event['t'], event['a'])\n")
        made = make_rule(iot, name, f"SELECT a, topic(2) AS t FROM '{name}/+'", {"lambda": {
            "functionArn": fn["FunctionArn"]}}, error=republish(f"errors/{name}"))
        with wire.plain_wire(server) as client, wire.plain_wire(server) as sub:
            client.connect(name)
            sub.connect(f"{name}-sub")
            sub.subscribe((f"errors/{name}", 1))
            client.publish(f"{name}/7", '{"a":1}')
            [failure] = json.loads(sub.message().payload)["failures"]
            assert (failure["failedAction"], failure["failedResource"]) == ("LambdaAction", fn["FunctionArn"])
            assert failure["errorMessage"].startswith("Failed to invoke lambda function. ")
            lambdas.add_permission(FunctionName="f", StatementId="iot", Action="lambda:InvokeFunction",
                                   Principal="iot.amazonaws.com", SourceArn=arn(f"rule/{made}"))
            client.publish(f"{name}/8", '{"a":2}')
            wait_until(lambda: "GOT 8 2" in server.log(), 20)
            assert "GOT 7" not in server.log()
            make_rule(iot, name, f"SELECT * FROM '{name}'", {"lambda": {"functionArn": fn["FunctionArn"]}},
                      error=republish(f"errors/{name}"))
            client.publish(name, b"\x00 no json")
            assert "encode(*, 'base64')" in json.loads(sub.message().payload)["failures"][0]["errorMessage"]
    finally:
        server.stop()


# ---------------------------------------------------------------------------------------------------- who may

def test_a_rule_needs_permission_for_it_and_for_its_role(server, name, fails, key):
    sql = payload(f"SELECT * FROM '{name}'", republish(f"{name}/out"))
    rule_name = name.replace("-", "_")
    mine = {"Effect": "Allow", "Action": "iot:CreateTopicRule", "Resource": arn(f"rule/{rule_name}")}
    role = {"Effect": "Allow", "Action": "iam:PassRole", "Resource": ROLE}
    iot = key(mine)
    code, status, text = fails(iot.create_topic_rule, ruleName=rule_name, topicRulePayload=sql)
    assert status == 403 and "iam:PassRole" in text and ROLE in text
    code, status, text = fails(key(mine, role).create_topic_rule, ruleName=rule_name + "_x", topicRulePayload=sql)
    assert status == 403 and "iot:CreateTopicRule" in text
    iot = key(mine, role)
    iot.create_topic_rule(ruleName=rule_name, topicRulePayload=sql)
    server.client("iot").delete_topic_rule(ruleName=rule_name)


def test_another_account_sees_nothing_of_a_rule(server, connect, name, rule, fails, key):
    rule_name = rule(f"SELECT * FROM '{name}/in'", republish(f"{name}/out"))
    other = key(account="210987654321")
    assert fails(other.get_topic_rule, ruleName=rule_name)[0] == "UnauthorizedException"
    assert rule_name not in [r["ruleName"] for r in other.list_topic_rules()["rules"]]
    client = connect(name)
    client.subscribe(f"{name}/out")
    key(account="210987654321", service="iot-data").publish(topic=f"{name}/in", qos=1, payload=b"{}")
    client.nothing_more(f"{name}/out")


# ---------------------------------------------------------------------------------------------------- after a restart

@pytest.mark.parametrize("end", ["stop", "kill"])
def test_rules_are_there_again_as_they_were(tmp_path, name, end):
    server = Server(tmp_path / "data", ("--plain-port", "0", "--test")).start()
    try:
        iot = server.client("iot")
        on = make_rule(iot, name, f"SELECT * FROM '{name}/in'", republish(f"{name}/on"))
        off = make_rule(iot, name, f"SELECT * FROM '{name}/in'", republish(f"{name}/off"), ruleDisabled=True)
        before = [iot.get_topic_rule(ruleName=r)["rule"] for r in (on, off)]
        getattr(server, end)()
        server.start()
        iot = server.client("iot")
        assert [iot.get_topic_rule(ruleName=r)["rule"] for r in (on, off)] == before
        with wire.plain_wire(server) as client, wire.plain_wire(server) as sub:
            client.connect(name)
            sub.connect(f"{name}-sub")
            sub.subscribe((f"{name}/+", 1))
            client.publish(f"{name}/in", b"{}")
            assert sorted(sub.message().topic for _ in range(2)) == [f"{name}/in", f"{name}/on"]
            iot.enable_topic_rule(ruleName=off)
            client.publish(f"{name}/in", b"{}")
            assert sorted(sub.message().topic for _ in range(3)) == [f"{name}/in", f"{name}/off", f"{name}/on"]
    finally:
        server.stop()


# ---------------------------------------------------------------------------------------------------- limits

def test_an_account_has_so_many_rules_and_evaluations_a_second(tmp_path, name, fails):
    server = Server(tmp_path / "data", ("--plain-port", "0", "--aws-quotas", "--rules-max", "2",
                                        "--rule-evaluations-per-s", "5")).start()
    try:
        iot = server.client("iot")
        rule = make_rule(iot, name, f"SELECT * FROM '{name}/in'", republish(f"{name}/out"))
        make_rule(iot, name, f"SELECT * FROM '{name}/other'", ruleDisabled=True)
        code, status, text = fails(lambda: make_rule(iot, name, f"SELECT * FROM '{name}/in'"))
        assert (code, status) == ("InvalidRequestException", 400) and "2 rules" in text
        with wire.plain_wire(server) as client:
            client.connect(name)
            for _ in range(60):
                assert client.publish(f"{name}/in", b"{}") == 0
        ran, throttled = (figure(server, f'starling_rule_{what}_total{{account="{ACCOUNT}",rule="{rule}"')
                          for what in ("executed", "throttled"))
        assert ran + throttled == 60 and 5 <= ran < 60, (ran, throttled)
        assert any("event=RuleMessageThrottled" in line and rule in line for line in server.log().splitlines())
    finally:
        server.stop()
