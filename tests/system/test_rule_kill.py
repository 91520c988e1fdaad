"""What becomes of acknowledged messages when the server is killed while their rule changes or its error action runs; circles
through others; what another account can reach. Source: AWS IoT developer guide, "Rules for AWS IoT"."""
import base64
import json
import threading
import uuid

import pytest
import requests
from conftest import ACCOUNT, REGION
from support import functions, wire
from support.keys import make_key
from support.mqtt import wait_until
from support.rule_server import KEY, signed_environment
from support.rules import ROLE, action_figure, figure, make_rule, own_server, payload, republish
from support.stand_in import StandIn
from support.web import Web

OTHER = "210987654321"


@pytest.fixture
def own(tmp_path):
    running = own_server(tmp_path)
    yield running
    if running.process:
        running.stop()


@pytest.fixture
def peer(own):
    made = Web(*own.outward)
    yield made
    made.close()


def http(url, base):
    return {"http": {"url": url, "confirmationUrl": base}}


def confirm(own, peer):
    assert requests.get(peer.take().json["enableUrl"], verify=own.ca_file, timeout=10).status_code == 200


def publish(own, name, *messages):
    """Each is acknowledged: it is safe."""
    with wire.plain_wire(own) as connection:
        connection.connect(name + uuid.uuid4().hex[:4])
        for topic, body in messages:
            assert connection.publish(topic, json.dumps(body)) == 0


@pytest.fixture
def aws(monkeypatch):
    """Stands for SQS, whose actions may take twenty seconds: long enough for a slow machine to be killed meanwhile."""
    stand_in = StandIn(lambda number, request: stand_in.now(request), KEY)
    for variable, value in signed_environment(stand_in.url).items():
        monkeypatch.setenv(variable, value)
    yield stand_in
    stand_in.stop()
    assert stand_in.faults == []


def sqs(queue):
    return {"sqs": {"queueUrl": f"http://q/{queue}", "roleArn": ROLE}}


def sent(requests):
    """(queue, what was sent) of each."""
    bodies = [json.loads(r["body"]) for r in requests]
    return [(b["QueueUrl"].rsplit("/", 1)[1], json.loads(b["MessageBody"])) for b in bodies]


def quiet(own):
    wait_until(lambda: figure(own, "starling_rule_actions_waiting") == 0, 30)


@pytest.mark.parametrize("change", ["replaced", "deleted", "disabled", "deleted-and-made-anew"])
def test_a_message_is_done_by_the_rule_that_took_it(tmp_path, aws, name, change):
    own = own_server(tmp_path)
    try:
        iot = own.client("iot")
        aws.now = lambda request: StandIn.SLOW
        rule = make_rule(iot, name, f"SELECT n, 'old' AS by FROM '{name}/in'", sqs("old"))
        publish(own, name, *((f"{name}/in", {"n": n}) for n in range(20)))
        anew = payload(f"SELECT n, 'new' AS by FROM '{name}/in'", sqs("new"))
        if change == "replaced":
            iot.replace_topic_rule(ruleName=rule, topicRulePayload=anew)
        elif change == "disabled":
            iot.disable_topic_rule(ruleName=rule)
        else:
            iot.delete_topic_rule(ruleName=rule)
            if change == "deleted-and-made-anew":
                iot.create_topic_rule(ruleName=rule, topicRulePayload=anew)
        own.kill()
        before = len(aws.requests)
        aws.now = lambda request: (200, {}, b"{}")
        own.start()
        wait_until(lambda: {b["n"] for _, b in sent(aws.requests[before:])} == set(range(20)), 30)
        assert {(q, b["by"]) for q, b in sent(aws.requests[before:])} == {("old", "old")}
        quiet(own)
        for word in ("next", "last"):  # and after one more start nothing of the former is left
            before = len(aws.requests)
            publish(own, name, (f"{name}/in", {"n": word}))
            quiet(own)
            there = change in ("replaced", "deleted-and-made-anew")
            assert sent(aws.requests[before:]) == ([("new", {"n": word, "by": "new"})] if there else [])
            own.stop()
            own.start()
        assert "nothing is known any more" not in own.log()
    finally:
        own.stop()


def test_a_kill_between_the_action_and_its_error_action_loses_neither(tmp_path, aws, name):
    own = own_server(tmp_path)
    try:
        refused = (403, {}, b'{"__type":"AccessDenied","message":"no"}')
        aws.now = lambda request: refused if sent([request])[0][0] == "act" else StandIn.SLOW
        make_rule(own.client("iot"), name, f"SELECT n FROM '{name}/in'", sqs("act"), error=sqs("error"))
        publish(own, name, *((f"{name}/in", {"n": n}) for n in range(10)))
        wait_until(lambda: any(q == "error" for q, _ in sent(aws.requests)))  # one at least is between the two
        own.kill()
        before = len(aws.requests)
        aws.now = lambda request: refused if sent([request])[0][0] == "act" else (200, {}, b"{}")
        own.start()

        def told():
            documents = [b for q, b in sent(aws.requests[before:]) if q == "error"]
            assert all(d["failures"][0]["failedResource"] == "http://q/act" for d in documents)
            return {json.loads(base64.b64decode(d["base64OriginalPayload"]))["n"] for d in documents}

        wait_until(lambda: told() == set(range(10)), 30)
        quiet(own)
    finally:
        own.stop()


def test_a_circle_through_somebody_else_takes_no_more_than_its_share(own, peer, name):
    """No server can see that whoever it posts to publishes again. What it holds of that is bounded, others go on."""
    iot = own.client("iot")
    rule = make_rule(iot, name, f"SELECT n FROM '{name}/in'", http(peer.url, peer.url))
    make_rule(iot, name, f"SELECT n FROM '{name}/beside'", republish(f"{name}/out"))
    confirm(own, peer)
    left, lock, sender = [2000], threading.Lock(), wire.plain_wire(own)
    sender.connect(name + "-circle")

    def twice(request):
        with lock:
            for _ in range(2 if left[0] > 0 else 0):
                left[0] -= 1
                sender.send_publish(f"{name}/in", b'{"n":1}', qos=0)
        return 200

    peer.answer = twice
    publish(own, name, (f"{name}/in", {"n": 0}))
    with wire.plain_wire(own) as client:
        client.connect(name)
        client.subscribe((f"{name}/out", 0))
        beside = 0
        while left[0] > 0:  # while it doubles, a message beside it goes its way
            client.send_publish(f"{name}/beside", json.dumps({"n": beside}), qos=0)
            assert client.message().payload == json.dumps({"n": beside}, separators=(",", ":")).encode()
            beside += 1
    wait_until(lambda: figure(own, "starling_rule_actions_waiting") == 0, 60)
    sender.close()
    done = action_figure(own, "succeeded_total", rule) + action_figure(own, "failed_total", rule)
    assert done == figure(own, f'starling_rule_executed_total{{account="{ACCOUNT}",rule="{rule}"') == 2001
    assert beside > 0


def test_another_accounts_rules_reach_nothing_of_this_one(tmp_path, name):
    """Its functions, shadows, destinations and roles; each refusal says why."""
    own = own_server(tmp_path, *functions.ARGUMENTS)
    peer = Web(*own.outward)
    try:
        iot, lambdas = own.client("iot"), own.client("lambda")
        theirs = make_key(own, account=OTHER, folder=tmp_path)
        other = own.client("iot", *theirs)
        functions.create(lambdas, "mine", "def handler(event, context):\n    print('CALLED')\n    return {'secret': 1}\n")
        lambdas.add_permission(FunctionName="mine", StatementId="s", Action="lambda:InvokeFunction",
                               Principal="iot.amazonaws.com", SourceAccount=ACCOUNT)
        functions.invoke(lambdas, "mine", {})
        called = own.log().count("CALLED")
        iot.create_thing(thingName=name)
        own.client("iot-data").update_thing_shadow(thingName=name, payload=b'{"state":{"desired":{"secret":1}}}')
        make_rule(iot, name, f"SELECT * FROM '{name}/none'", http(peer.url, peer.url))
        confirm(own, peer)
        mine, their_role = functions.arn("mine"), f"arn:aws:iam::{ACCOUNT}:role/rules"
        trust = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"Service": "iot.amazonaws.com"},
                                                         "Action": "sts:AssumeRole"}]}
        own.client("iam").create_role(RoleName="rules", AssumeRolePolicyDocument=json.dumps(trust))
        select = ", ".join(f"get_or_default({call}, 'refused') AS {alias}" for alias, call in {
            "fn": f"aws_lambda('{mine}', *)", "shadow": f"get_thing_shadow('{name}', '{their_role}')",
            "thing": f"get_registry_data('DescribeThing', '{name}', '{their_role}')",
            "secret": f"get_secret('s', 'SecretString', '{their_role}')"}.items())
        made = make_rule(other, name, f"SELECT {select} FROM '{name}/in'", republish(f"{name}/out"),
                         {"lambda": {"functionArn": mine}}, {"http": {"url": peer.url, "confirmationUrl": peer.url}},
                         error=republish(f"{name}/errors"))
        path = wire.plain_wire  # the plain port is the default account's; the other's messages come by its key
        with path(own) as watcher:
            watcher.connect(name)
            watcher.subscribe(("#", 0))
            from support.signed import presigned_path, websocket_wire
            with websocket_wire(own, presigned_path(own, key=theirs)) as client:
                client.connect(name + "-other")
                client.subscribe((f"{name}/out", 0), (f"{name}/errors", 0))
                client.send_publish(f"{name}/in", b"{}", qos=0)
                got = {m.topic.rsplit("/", 1)[1]: json.loads(m.payload) for m in (client.message(), client.message())}
            assert got["out"] == {k: "refused" for k in ("fn", "shadow", "thing", "secret")}
            failed = {f["failedAction"]: f["errorMessage"] for f in got["errors"]["failures"]}
            assert set(failed) == {"LambdaAction", "HttpAction"}
            assert "destination" in failed["HttpAction"]
            watcher.send_publish(f"{name}/marker", b"", qos=0)
            assert watcher.message().topic == f"{name}/marker"  # nothing of the other account came here
        assert own.log().count("CALLED") == called and peer.requests.qsize() <= 1  # its own confirmation, at most
        assert made and REGION and ROLE
    finally:
        peer.close()
        own.stop()
