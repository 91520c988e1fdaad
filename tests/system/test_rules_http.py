"""Rules that POST to a web server: destinations and their confirmation, what is sent, faults, batches, and what a kill
leaves. Source: AWS IoT developer guide, "HTTP", "Working with HTTP action destinations", "HTTP action batching"."""
import base64
import json
import re
import time

import pytest
import requests
from conftest import ACCOUNT, REGION, arn
from support import signed, wire
from support.mqtt import wait_until
from support.rule_peer import client, own, own_iot, sub  # noqa: F401
from support.rules import ROLE, action_figure, make_rule, own_server, republish
from support.server import Server
from support.web import Web


@pytest.fixture
def web(own):
    peer = Web(*own.outward)
    yield peer
    peer.close()


def http(url, confirm=None, **more):
    return {"http": {"url": url, **({"confirmationUrl": confirm} if confirm else {}), **more}}


def confirm(own, web):
    """Takes the confirmation message and opens its link."""
    message = web.take()
    assert message.headers["x-amz-rules-engine-message-type"] == "DestinationConfirmation"
    assert requests.get(message.json["enableUrl"], verify=own.ca_file, timeout=10).status_code == 200
    return message


def enabled(own, own_iot, web, path=""):
    made = own_iot.create_topic_rule_destination(
        destinationConfiguration={"httpUrlConfiguration": {"confirmationUrl": web.url + path}})
    confirm(own, web)
    return made["topicRuleDestination"]["arn"]


def status(own_iot, destination):
    return own_iot.get_topic_rule_destination(arn=destination)["topicRuleDestination"]["status"]


# ---------------------------------------------------------------------------------------------------- destinations

def test_a_destination_is_confirmed_by_the_link_in_its_message(own, own_iot, web, fails):
    made = own_iot.create_topic_rule_destination(
        destinationConfiguration={"httpUrlConfiguration": {"confirmationUrl": web.url + "/hook"}})["topicRuleDestination"]
    assert re.fullmatch(arn(r"ruledestination/http/[0-9a-f-]{36}"), made["arn"])
    assert (made["status"], made["httpUrlProperties"]) == ("IN_PROGRESS", {"confirmationUrl": web.url + "/hook"})
    message = web.take()
    body = message.json
    token = body["confirmationToken"]
    assert message.path == f"/hook/?confirmationToken={token}"
    assert message.headers["content-type"] == "application/json"
    assert message.headers["x-amz-rules-engine-destination-arn"] == made["arn"]
    assert body == {"arn": made["arn"], "confirmationToken": token, "messageType": "DestinationConfirmation",
                    "enableUrl": f"https://localhost:{own.https_port}/confirmdestination/{token}"}
    assert status(own_iot, made["arn"]) == "IN_PROGRESS"
    wrong = requests.get(body["enableUrl"] + "0", verify=own.ca_file, timeout=10)
    assert wrong.status_code == 400 and "token" in wrong.json()["message"]
    assert requests.get(body["enableUrl"], verify=own.ca_file, timeout=10).status_code == 200
    assert status(own_iot, made["arn"]) == "ENABLED"
    assert fails(own_iot.confirm_topic_rule_destination, confirmationToken=token)[:2] == ("InvalidRequestException", 400)

    own_iot.update_topic_rule_destination(arn=made["arn"], status="DISABLED")
    assert status(own_iot, made["arn"]) == "DISABLED"
    assert fails(own_iot.update_topic_rule_destination, arn=made["arn"], status="DISABLED")[0] == "InvalidRequestException"
    own_iot.update_topic_rule_destination(arn=made["arn"], status="ENABLED")
    own_iot.update_topic_rule_destination(arn=made["arn"], status="IN_PROGRESS")
    again = web.take().json["confirmationToken"]
    assert again != token
    own_iot.confirm_topic_rule_destination(confirmationToken=again)
    assert status(own_iot, made["arn"]) == "ENABLED"
    own_iot.delete_topic_rule_destination(arn=made["arn"])
    denied = ("UnauthorizedException", 401, f"Access to TopicRuleDestination '{made['arn']}' was denied")
    assert fails(own_iot.get_topic_rule_destination, arn=made["arn"]) == denied
    assert fails(own_iot.delete_topic_rule_destination, arn=made["arn"]) == denied


def test_a_destination_that_refuses_its_message_is_in_error(own_iot, web):
    web.answer = lambda request: 404
    made = own_iot.create_topic_rule_destination(
        destinationConfiguration={"httpUrlConfiguration": {"confirmationUrl": web.url}})["topicRuleDestination"]["arn"]
    wait_until(lambda: status(own_iot, made) == "ERROR")
    assert "404" in own_iot.get_topic_rule_destination(arn=made)["topicRuleDestination"]["statusReason"]


def test_destinations_are_listed_in_pages(own_iot, web):
    made = {own_iot.create_topic_rule_destination(destinationConfiguration={"httpUrlConfiguration": {
        "confirmationUrl": f"{web.url}/{i}"}})["topicRuleDestination"]["arn"]: f"{web.url}/{i}" for i in range(3)}
    made[own_iot.create_topic_rule_destination(destinationConfiguration={"vpcConfiguration": {
        "vpcId": "vpc-1", "subnetIds": ["s-1"], "securityGroups": ["g-1"], "roleArn": ROLE}})["topicRuleDestination"]["arn"]
         ] = "vpc-1"
    first = own_iot.list_topic_rule_destinations(maxResults=1)
    assert len(first["destinationSummaries"]) == 1
    rest = own_iot.list_topic_rule_destinations(maxResults=1000, nextToken=first["nextToken"])
    got = {d["arn"]: d["httpUrlSummary"]["confirmationUrl"] if "httpUrlSummary" in d else d["vpcDestinationSummary"]["vpcId"]
           for d in first["destinationSummaries"] + rest["destinationSummaries"]}
    assert made.items() <= got.items()


@pytest.mark.parametrize("url", ["http://example.org/", "https://example.org:444/", "https://[::1]/", "ftp://example.org/",
                                 "https://user@example.org/", "https:///x", "https://example.org/a b"])
def test_a_url_that_aws_refuses_is_refused(server, fails, url):
    code, http_status, text = fails(server.client("iot").create_topic_rule_destination,
                                    destinationConfiguration={"httpUrlConfiguration": {"confirmationUrl": url}})
    assert (code, http_status) == ("InvalidRequestException", 400) and url in text


def test_this_machine_is_no_destination_unless_its_operator_says_so(server, tmp_path):
    """https on 8443, which AWS takes: the message is never sent to a name that stands for this machine."""
    iot = server.client("iot")
    made = iot.create_topic_rule_destination(destinationConfiguration={"httpUrlConfiguration": {
        "confirmationUrl": "https://localhost:8443/"}})["topicRuleDestination"]["arn"]
    wait_until(lambda: status(iot, made) == "ERROR")


# ---------------------------------------------------------------------------------------------------- what is sent

def test_a_message_is_posted_with_its_headers(own, own_iot, web, client, sub, name):
    make_rule(own_iot, name, f"SELECT a, topic(2) AS t FROM '{name}/+'",
              http(web.url + "/in/${topic(2)}?x=${a}", web.url + "/in",
                   headers=[{"key": "X-From", "value": "${clientid()}"}, {"key": "content-type", "value": "my/type"}]))
    assert confirm(own, web).path.startswith("/in/?confirmationToken=")
    assert client.publish(f"{name}/7", '{"a": 1, "b": 2}') == 0
    got = web.take()
    assert (got.path, got.json) == ("/in/7?x=1", {"a": 1, "t": "7"})
    assert (got.headers["x-from"], got.headers["content-type"]) == (name, "my/type")


def test_bytes_and_json_have_their_content_types(own, own_iot, web, client, sub, name):
    make_rule(own_iot, name, f"SELECT * FROM '{name}'", http(web.url))
    confirm(own, web)
    for body, kind in ((b"\x00\xff", "application/octet-stream"), (b'{"a":1}', "application/json")):
        client.publish(name, body)
        got = web.take()
        assert (got.headers["content-type"], got.body) == (kind, body)


def test_nothing_is_sent_before_the_destination_is_enabled(own, own_iot, web, client, sub, name):
    make_rule(own_iot, name, f"SELECT * FROM '{name}/in'", http(web.url), error=republish(f"{name}/errors"))
    token = web.take().json["confirmationToken"]
    sub.subscribe((f"{name}/errors", 1))
    client.publish(f"{name}/in", b"{}")
    failure = json.loads(sub.message().payload)["failures"]
    assert failure == [{"failedAction": "HttpAction", "failedResource": web.url,
                        "errorMessage": "HttpAction failed to make a request to the specified endpoint. "
                                        "its destination is not enabled (confirmed)"}]
    own_iot.confirm_topic_rule_destination(confirmationToken=token)
    client.publish(f"{name}/in", b'{"n":2}')
    assert web.take().json == {"n": 2}


@pytest.mark.parametrize("more, word", [
    ({"url": "http://a.example/x", "confirmationUrl": "http://a.example/y"}, "begin with the confirmationUrl"),
    ({"url": "https://a.example/${topic()}"}, "confirmationUrl"),
    ({"url": "https://a.example/", "headers": [{"key": "a b", "value": "x"}]}, "a b"),
    ({"url": "https://a.example/", "batchConfig": {"maxBatchSize": 5}}, "enableBatching"),
    ({"url": "https://a.example/", "enableBatching": True, "batchConfig": {"maxBatchSize": 11}}, "11"),
])
def test_parameters_that_would_not_do_are_refused(own_iot, name, fails, more, word):
    code, http_status, text = fails(lambda: make_rule(own_iot, name, "SELECT * FROM 'a'", {"http": more}))
    assert (code, http_status) == ("InvalidRequestException", 400) and word in text, text


def test_requests_are_signed_when_the_rule_says_so(tmp_path, web, name, monkeypatch):
    key = ("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY")
    (tmp_path / "credentials").write_text(f"[rules]\naws_access_key_id={key[0]}\naws_secret_access_key = {key[1]}\n")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    for word in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(word, raising=False)
    server = own_server(tmp_path, "--aws-profile", "rules")
    peer = Web(*server.outward)
    try:
        iot = server.client("iot")
        make_rule(iot, name, f"SELECT * FROM '{name}'", http(peer.url + "/a%20b?x=1&a=2", peer.url, auth={
            "sigv4": {"signingRegion": "eu-west-1", "serviceName": "execute-api", "roleArn": ROLE}}))
        confirm(server, peer)
        with wire.plain_wire(server) as connection:
            connection.connect(name)
            connection.publish(name, b'{"a":1}')
        got = peer.take()
        request = {"method": "POST", "path": got.path, "headers": got.headers, "body": got.body}
        assert signed.fault_of(request, "execute-api", key, peer.url, region="eu-west-1") is None
    finally:
        peer.close()
        server.stop()


# ---------------------------------------------------------------------------------------------------- faults

@pytest.mark.parametrize("answer, tries, reason", [
    (500, 3, "StatusCode: 500. Reason: Internal Server Error."),
    (503, 3, "StatusCode: 503. Reason: Service Unavailable."),
    (429, 3, "StatusCode: 429. Reason: Too Many Requests."),
    (403, 1, "StatusCode: 403. Reason: Forbidden."),
    (301, 1, "StatusCode: 301. Reason: Moved Permanently."),
    ("cut", 3, "POST"),
    ((200, b"x" * 20000), 1, "larger than 16384 bytes"),
    ("hang", 1, "POST"),
])
def test_what_fails_is_tried_as_often_as_aws_does_and_reaches_the_error_action(own, own_iot, web, client, sub, name, answer,
                                                                               tries, reason):
    rule = make_rule(own_iot, name, f"SELECT * FROM '{name}/in'", http(web.url), republish(f"{name}/ok"),
                     error=republish(f"{name}/errors"))
    confirm(own, web)
    web.answer = lambda request: answer
    sub.subscribe((f"{name}/errors", 1))
    sub.subscribe((f"{name}/ok", 1))
    assert client.publish(f"{name}/in", b'{"a":1}') == 0  # acknowledged whatever becomes of the action
    assert sub.message().topic == f"{name}/ok"  # the other action goes on
    document = json.loads(sub.message().payload)
    assert document["base64OriginalPayload"] == base64.b64encode(b'{"a":1}').decode()
    [failure] = document["failures"]
    assert (failure["failedAction"], failure["failedResource"]) == ("HttpAction", web.url)
    assert failure["errorMessage"].startswith("HttpAction failed to make a request to the specified endpoint. ")
    assert reason in failure["errorMessage"]
    assert [web.take().json for _ in range(tries)] == [{"a": 1}] * tries
    assert web.requests.empty()
    wait_until(lambda: action_figure(own, "failed_total", rule) == 1)
    assert action_figure(own, "retried_total", rule) == tries - 1
    assert action_figure(own, "throttled_total", rule) == (2 if answer == 429 else 0)
    assert action_figure(own, "succeeded_total", rule, "errorAction") == 1


def test_a_refused_connection_reaches_the_error_action(own, own_iot, web, client, sub, name):
    make_rule(own_iot, name, f"SELECT * FROM '{name}/in'", http(web.url), error=republish(f"{name}/errors"))
    confirm(own, web)
    web.close()
    sub.subscribe((f"{name}/errors", 1))
    client.publish(f"{name}/in", b"{}")
    assert "connect" in json.loads(sub.message().payload)["failures"][0]["errorMessage"]


def test_a_fault_that_passes_is_not_noticed(own, own_iot, web, client, sub, name):
    rule = make_rule(own_iot, name, f"SELECT * FROM '{name}/in'", http(web.url), error=republish(f"{name}/errors"))
    confirm(own, web)
    answers = [500, 429, 200]
    web.answer = lambda request: answers.pop(0)
    client.publish(f"{name}/in", b"{}")
    wait_until(lambda: action_figure(own, "succeeded_total", rule) == 1)
    assert (answers, action_figure(own, "failed_total", rule)) == ([], 0)


def test_a_destination_that_hangs_slows_nothing_else(own, own_iot, web, client, sub, name):
    slow = Web(*own.outward)
    try:
        make_rule(own_iot, name + "1", f"SELECT * FROM '{name}/in'", http(slow.url))
        confirm(own, slow)
        make_rule(own_iot, name + "2", f"SELECT * FROM '{name}/in'", http(web.url))
        confirm(own, web)
        slow.answer = lambda request: "hang"
        began = time.monotonic()
        for number in range(100):
            assert client.publish(f"{name}/in", json.dumps({"n": number})) == 0
        assert sorted(web.take().json["n"] for _ in range(100)) == list(range(100))
        assert time.monotonic() - began < 2.5  # less than one try at the slow one takes
    finally:
        slow.close()


# ---------------------------------------------------------------------------------------------------- batches

def test_messages_are_batched_up_to_their_limits(own, own_iot, web, client, sub, name):
    make_rule(own_iot, name, f"SELECT * FROM '{name}/+'", http(web.url, enableBatching=True, batchConfig={
        "maxBatchOpenMs": 200, "maxBatchSize": 4, "maxBatchSizeBytes": 131072}))
    confirm(own, web)
    for number in range(8):
        client.send_publish(f"{name}/a", json.dumps({"n": number}), qos=0)
    assert client.publish(f"{name}/b", b"text") == 0
    batches = [web.take() for _ in range(3)]
    assert {b.headers["content-type"] for b in batches} == {"application/json"}
    assert sorted((b.json for b in batches), key=lambda b: str(b[0])) == [
        ["text"], [{"n": n} for n in range(4)], [{"n": n} for n in range(4, 8)]] or \
        sorted(len(b.json) for b in batches) == [1, 4, 4]
    assert [m for b in batches for m in b.json if m != "text"] == [{"n": n} for n in range(8)]


def test_a_batch_that_fails_is_told_of_with_its_payloads(own, own_iot, web, client, sub, name):
    make_rule(own_iot, name, f"SELECT * FROM '{name}/in'", http(web.url, enableBatching=True),
              error=republish(f"{name}/errors"))
    confirm(own, web)
    web.answer = lambda request: 400
    sub.subscribe((f"{name}/errors", 1))
    client.publish(f"{name}/in", b'{"n":1}')
    document = json.loads(sub.message().payload)
    assert "base64OriginalPayload" not in document
    [entry] = document["payloadsWithMetadata"]
    assert entry["base64OriginalPayload"] == base64.b64encode(b'{"n":1}').decode()
    assert (entry["id"], entry["clientId"]) == (1, name)
    assert document["failures"][0]["affectedIds"] == [1]


@pytest.mark.parametrize("across", [False, True])
def test_a_batch_that_fails_is_told_of_once_with_all_its_payloads(own, own_iot, web, client, sub, name, across):  # noqa: F811
    """Source: "HTTP action batching": one error document, ids from 1, topics in the entries where batches cross them."""
    config = {"maxBatchOpenMs": 200, "maxBatchSize": 3, "batchAcrossTopics": across}
    rule = make_rule(own_iot, name, f"SELECT * FROM '{name}/in/+'", http(web.url, enableBatching=True, batchConfig=config),
                     http(web.url + "/gone"), error=republish(f"{name}/errors"))
    confirm(own, web)
    web.answer = lambda request: 400 if request.path != "/gone" or b"2" in request.body else 200
    sub.subscribe((f"{name}/errors", 1))
    topics = [f"{name}/in/{n if across else 'x'}" for n in range(3)]
    for n in range(3):
        client.send_publish(topics[n], json.dumps({"n": n}), qos=0)
    document = json.loads(sub.message().payload)
    entries = document["payloadsWithMetadata"]
    numbers = [json.loads(base64.b64decode(e["base64OriginalPayload"]))["n"] for e in entries]
    assert sorted(numbers) == [0, 1, 2] and [e["id"] for e in entries] == [1, 2, 3]
    assert {e["clientId"] for e in entries} == {name} and len({e["cloudwatchTraceId"] for e in entries}) == 3
    if across:
        assert "topic" not in document and [e["topic"] for e in entries] == [topics[n] for n in numbers]
    else:
        assert document["topic"] == topics[0] and all("topic" not in e for e in entries)
    failures = {f["failedResource"]: f for f in document["failures"]}
    assert sorted(failures[web.url]["affectedIds"]) == [1, 2, 3]
    assert failures[web.url + "/gone"]["affectedIds"] == [numbers.index(2) + 1]
    assert len(document["failures"]) == 2
    wait_until(lambda: action_figure(own, "succeeded_total", rule, "errorAction") == 1)
    assert action_figure(own, "failed_total", rule) == 3


# ---------------------------------------------------------------------------------------------------- kill -9

def test_actions_under_way_survive_a_kill(tmp_path, name):
    server = own_server(tmp_path)
    peer = Web(*server.outward)
    try:
        iot = server.client("iot")
        rule = make_rule(iot, name, f"SELECT n FROM '{name}/in'", http(peer.url))
        confirm(server, peer)
        peer.answer = lambda request: "hang"
        with wire.plain_wire(server) as connection:
            connection.connect(name)
            for number in range(50):
                assert connection.publish(f"{name}/in", json.dumps({"n": number})) == 0  # PUBACK: it is safe
        server.kill()
        while not peer.requests.empty():
            peer.take()
        peer.answer = lambda request: 200
        server.start()
        got = set()
        while got != set(range(50)):
            got.add(peer.take().json["n"])
        wait_until(lambda: action_figure(server, "succeeded_total", rule) == 50)
        server.stop()
        server.start()  # and is over: nothing of it comes again
        with wire.plain_wire(server) as connection:
            connection.connect(name)
            connection.publish(f"{name}/in", b'{"n":"last"}')
        assert peer.take().json == {"n": "last"}
    finally:
        peer.close()
        server.stop()


def test_a_stop_fails_nothing_that_is_under_way(tmp_path, name):
    """SIGTERM while a destination hangs: no error action, and what was acknowledged is done after the next start."""
    server = own_server(tmp_path)
    peer = Web(*server.outward)
    try:
        iot = server.client("iot")
        rule = make_rule(iot, name, f"SELECT n FROM '{name}/in'", http(peer.url), error=republish(f"{name}/errors"))
        confirm(server, peer)
        peer.answer = lambda request: "hang"
        with wire.plain_wire(server) as connection:
            connection.connect(name)
            for number in range(40):
                assert connection.publish(f"{name}/in", json.dumps({"n": number})) == 0
            peer.take()  # one is there, none is answered
        server.stop()
        assert "RuleExecution status=Failure" not in server.log()
        while not peer.requests.empty():
            peer.take()
        peer.answer = lambda request: 200
        server.start()
        got = set()
        while got != set(range(40)):
            got.add(peer.take().json["n"])
        wait_until(lambda: action_figure(server, "succeeded_total", rule) == 40)
        assert action_figure(server, "failed_total", rule) == 0
    finally:
        peer.close()
        server.stop()
