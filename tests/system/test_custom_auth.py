"""Custom authorizers: their operations by boto3, and Python functions that decide over MQTT, WebSocket and HTTP."""
import base64
import json
import threading
import urllib.parse

import botocore.exceptions
import pytest
import requests
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from support import functions
from support.mqtt import Mqtt, wait_until
from support.server import ACCOUNT, REGION, Server

# What it answers is in the password, or in the token: the test says it.
AUTHORIZER = """
import base64, json, time
def handler(event, context):
    print("EVENT", json.dumps(event, sort_keys=True))
    data = event["protocolData"]
    word = event.get("token") or data.get("http", {}).get("headers", {}).get("x-word")
    if "mqtt" in data and data["mqtt"].get("password"):
        word = base64.b64decode(data["mqtt"]["password"]).decode()
    if word == "hang":
        time.sleep(600)
    if word == "raise":
        raise ValueError("no")
    if word == "nonsense":
        return {"isAuthenticated": "yes"}
    if word == "no":
        return {"isAuthenticated": False}
    prefix = f"arn:aws:iot:%s:%s" % ("us-east-1", "123456789012")
    allowed = word or "a"
    statements = [{"Effect": "Allow", "Action": "iot:Connect", "Resource": "*"},
                  {"Effect": "Allow", "Action": ["iot:Publish", "iot:Receive"], "Resource": prefix + ":topic/" + allowed + "/*"},
                  {"Effect": "Allow", "Action": "iot:Subscribe", "Resource": prefix + ":topicfilter/" + allowed + "/*"}]
    return {"isAuthenticated": True, "principalId": "Person1", "disconnectAfterInSeconds": 600, "refreshAfterInSeconds": 300,
            "policyDocuments": [{"Version": "2012-10-17", "Statement": statements}]}
"""


@pytest.fixture(scope="module")
def host(tmp_path_factory):
    running = Server(tmp_path_factory.mktemp("custom") / "data", ("--test", *functions.ARGUMENTS))
    running.start()
    yield running
    running.stop()


@pytest.fixture(scope="module")
def api(host):
    return host.client("iot", read_timeout=60)


@pytest.fixture(scope="module")
def lambdas(host):
    return host.client("lambda", read_timeout=60)


@pytest.fixture(scope="module")
def key():
    return rsa.generate_private_key(65537, 2048)


def public_pem(private):
    return private.public_key().public_bytes(serialization.Encoding.PEM,
                                             serialization.PublicFormat.SubjectPublicKeyInfo).decode()


def sign(private, token):
    return base64.b64encode(private.sign(token.encode(), padding.PKCS1v15(), hashes.SHA256())).decode()


def authorizer_arn(name):
    return f"arn:aws:iot:{REGION}:{ACCOUNT}:authorizer/{name}"


@pytest.fixture(scope="module")
def plain(api, lambdas):
    """An authorizer without signatures."""
    functions.create(lambdas, "authorize", AUTHORIZER)
    lambdas.add_permission(FunctionName="authorize", StatementId="iot", Action="lambda:InvokeFunction",
                           Principal="iot.amazonaws.com", SourceArn=authorizer_arn("*"), SourceAccount=ACCOUNT)
    api.create_authorizer(authorizerName="plain", authorizerFunctionArn=functions.arn("authorize"), status="ACTIVE",
                          signingDisabled=True, enableCachingForHttp=True)
    functions.invoke(lambdas, "authorize", {"protocolData": {}})  # warm
    return "plain"


@pytest.fixture(scope="module")
def signed(api, plain, key):
    api.create_authorizer(authorizerName="signed", authorizerFunctionArn=functions.arn("authorize"), status="ACTIVE",
                          tokenKeyName="AuthToken", tokenSigningPublicKeys={"first": public_pem(key)})
    return "signed"


def failure(call, *args, **kwargs):
    with pytest.raises(botocore.exceptions.ClientError) as caught:
        call(*args, **kwargs)
    return caught.value.response["Error"]["Code"], caught.value.response["Error"]["Message"]


def user(name, username="me", **more):
    query = {"x-amz-customauthorizer-name": name, **more}
    return f"{username}?" + urllib.parse.urlencode(query)


def device(host, username, password=None, client_id="custom", alpn=("mqtt",), **more):
    made = Mqtt(host, None, client_id, port=host.https_port, alpn=list(alpn) if alpn else None, user=username, **more)
    if password:
        made.client.username_pw_set(username, password)
    return made


def refused(made):
    made.client.connect(made.server.host, made.port, made.keep_alive, **made.start)
    made.client.loop_start()
    code, _, _ = made.connected.get(timeout=30)
    made.client.loop_stop()
    assert code is not None and code.value != 0, code
    return code.value


# ---------------------------------------------------------------------------------------------------- MQTT


def test_a_function_lets_a_device_in_and_its_policy_decides(host, plain):
    with device(host, user(plain), "a").connect() as made:
        assert made.subscribe("a/t") == [1]
        assert made.publish("a/t", b"mine") == 0
        assert made.message().payload == b"mine"
        assert made.publish("b/t", b"not mine") == 135
        assert made.subscribe("b/t") == [135]


def test_the_function_is_told_what_the_device_showed(host, plain):
    with device(host, user(plain, "someone", extra="1"), "told", client_id="teller").connect():
        line = wait_until(lambda: [l for l in host.log().splitlines() if "EVENT" in l and "teller" in l])[-1]
    event = json.loads(line.split("EVENT ", 1)[1].rstrip('"'))
    assert event["protocols"] == ["tls", "mqtt"] and event["signatureVerified"] is False
    assert event["protocolData"]["tls"] == {"serverName": "localhost"}
    assert event["protocolData"]["mqtt"] == {"username": f"someone?x-amz-customauthorizer-name={plain}&extra=1",
                                             "password": base64.b64encode(b"told").decode(), "clientId": "teller"}
    assert len(event["connectionMetadata"]["id"]) == 36


@pytest.mark.parametrize("version", [4, 5])
@pytest.mark.parametrize("word", ["no", "raise", "nonsense"])
def test_whatever_is_no_yes_is_a_no(host, plain, word, version):
    assert refused(device(host, user(plain), word, version=version)) in (128, 135)


def test_a_function_that_hangs_is_a_no_and_holds_up_nobody(host, plain):
    waiting = device(host, user(plain), "hang", client_id="hanging")
    result = []
    thread = threading.Thread(target=lambda: result.append(refused(waiting)))
    thread.start()
    with device(host, user(plain), "a", client_id="other").connect() as other:
        assert other.publish("a/t", b"x") == 0
    assert not result, "the hanging one is still waiting"
    thread.join(20)
    assert result == [135]


def test_an_unknown_or_inactive_authorizer_is_a_no(host, api, plain):
    assert refused(device(host, user("nobody-knows-it"), "a")) == 135
    api.create_authorizer(authorizerName="asleep", authorizerFunctionArn=functions.arn("authorize"), signingDisabled=True,
                          status="INACTIVE")
    assert refused(device(host, user("asleep"), "a")) == 135
    assert refused(device(host, "nobody", "a")) == 135
    api.update_authorizer(authorizerName="asleep", status="ACTIVE")
    with device(host, user("asleep"), "a").connect():
        pass


def test_a_function_that_does_not_let_iot_call_it_is_a_no(host, api, lambdas):
    functions.create(lambdas, "closed", AUTHORIZER)
    api.create_authorizer(authorizerName="closed", authorizerFunctionArn=functions.arn("closed"), status="ACTIVE",
                          signingDisabled=True)
    assert refused(device(host, user("closed"), "a")) == 135
    lambdas.add_permission(FunctionName="closed", StatementId="1", Action="lambda:InvokeFunction",
                           Principal="iot.amazonaws.com", SourceArn=authorizer_arn("another"))
    assert refused(device(host, user("closed"), "a")) == 135
    lambdas.add_permission(FunctionName="closed", StatementId="2", Action="lambda:InvokeFunction",
                           Principal="iot.amazonaws.com", SourceArn=authorizer_arn("closed"))
    with device(host, user("closed"), "a").connect():
        pass


def test_a_signed_token_is_checked_before_the_function_is_called(host, signed, key):
    token = "its/token=1%&"
    good = user(signed, **{"x-amz-customauthorizer-signature": sign(key, token), "AuthToken": token})
    with device(host, good).connect() as made:
        assert made.publish(f"{token}/x", b"1") == 0
    calls = host.log().count("EVENT")
    for more in ({"x-amz-customauthorizer-signature": sign(key, "another"), "AuthToken": token},
                 {"AuthToken": token}, {"x-amz-customauthorizer-signature": sign(key, token)},
                 {"x-amz-customauthorizer-signature": "%%%", "AuthToken": token}):
        assert refused(device(host, user(signed, **more))) == 135
    assert host.log().count("EVENT") == calls, "the function was called"


def test_a_connection_ends_when_its_authorizer_said(host, plain):
    with device(host, user(plain), "a", client_id="for-a-time", keep_alive=1200).connect() as made:
        host.advance(590)
        assert made.publish("a/t", b"still there") == 0
        host.advance(15)
        assert made.wait_disconnected() == 160  # maximum connect time


def test_a_policy_is_renewed_and_a_no_then_ends_the_connection(host, api, lambdas):
    source = '''
import json
def handler(event, context):
    return json.load(open("answer.json"))
'''

    def answer(topic, yes=True):
        return json.dumps({"isAuthenticated": yes, "principalId": "p", "disconnectAfterInSeconds": 86400,
                           "refreshAfterInSeconds": 300, "policyDocuments": [json.dumps(
                               {"Version": "2012-10-17", "Statement": [
                                   {"Effect": "Allow", "Action": "iot:Connect", "Resource": "*"},
                                   {"Effect": "Allow", "Action": "iot:Publish",
                                    "Resource": f"arn:aws:iot:{REGION}:{ACCOUNT}:topic/{topic}"}]})]})

    def package(*args):
        return functions.package({"app.py": source, "answer.json": answer(*args)})

    lambdas.create_function(FunctionName="renewing", Role=functions.ROLE, Runtime="python3.12", Handler="app.handler",
                            Code={"ZipFile": package("one")})
    lambdas.add_permission(FunctionName="renewing", StatementId="1", Action="lambda:InvokeFunction",
                           Principal="iot.amazonaws.com")
    api.create_authorizer(authorizerName="renewing", authorizerFunctionArn=functions.arn("renewing"), status="ACTIVE",
                          signingDisabled=True)
    with device(host, user("renewing"), client_id="renewed", keep_alive=1200).connect() as made:
        assert made.publish("one", b"") == 0 and made.publish("two", b"") == 135
        lambdas.update_function_code(FunctionName="renewing", ZipFile=package("two"))
        assert made.publish("one", b"") == 0, "cached until it is to be renewed"
        host.advance(301)
        wait_until(lambda: made.publish("two", b"") == 0, 20)
        assert made.publish("one", b"") == 135
        lambdas.update_function_code(FunctionName="renewing", ZipFile=package("two", False))
        host.advance(301)
        assert made.wait_disconnected() == 135


def test_the_default_authorizer_is_asked_where_none_is_named(host, api, plain):
    api.set_default_authorizer(authorizerName=plain)
    try:
        with device(host, "somebody", "a", client_id="defaulted").connect() as made:
            assert made.publish("a/t", b"x") == 0
        assert requests.post(f"{host.url}/topics/a/t", headers={"x-word": "a"}, verify=host.ca_file).status_code == 200
    finally:
        api.clear_default_authorizer()
    assert refused(device(host, "somebody", "a")) == 135


# ---------------------------------------------------------------------------------------------------- WebSocket


def test_a_websocket_is_let_in_by_its_upgrade(host, plain, signed, key):
    def over(path="/mqtt", headers=None, client_id="ws", **more):
        return Mqtt(host, None, client_id, port=host.https_port, transport="websockets", path=path, headers=headers or {}, **more)

    with over(f"/mqtt?x-amz-customauthorizer-name={plain}", {"x-word": "a"}).connect() as made:
        assert made.publish("a/t", b"x") == 0 and made.publish("b/t", b"x") == 135
    token = "abc"
    headers = {"x-amz-customauthorizer-name": signed, "x-amz-customauthorizer-signature": sign(key, token), "AuthToken": token}
    with over(headers=headers).connect() as made:
        assert made.publish("abc/t", b"x") == 0
    bad = over(headers={**headers, "AuthToken": "abd"})
    with pytest.raises(Exception):
        bad.client.connect(host.host, host.https_port)


def test_a_websocket_is_let_in_by_its_connect(host, plain):
    made = Mqtt(host, None, "ws-connect", port=host.https_port, transport="websockets", path="/mqtt", user=user(plain))
    made.client.username_pw_set(user(plain), "a")
    with made.connect():
        assert made.publish("a/t", b"x") == 0 and made.publish("b/t", b"x") == 135
    nobody = Mqtt(host, None, "ws-nobody", port=host.https_port, transport="websockets", path="/mqtt")
    assert refused(nobody) == 135


# ---------------------------------------------------------------------------------------------------- HTTP


def test_a_publish_over_http_is_let_in(host, plain, signed, key):
    with device(host, user(plain), "a", client_id="listener").connect() as listener:
        listener.subscribe("a/http")

        def post(path, headers):
            return requests.post(f"{host.url}/topics/{path}", data=b"by http", headers=headers, verify=host.ca_file, timeout=20)

        answer = post("a/http?qos=1", {"x-amz-customauthorizer-name": plain, "x-word": "a"})
        assert answer.status_code == 200 and answer.json()["message"] == "OK"
        assert listener.message().payload == b"by http"
        answer = post("b/http?qos=1", {"x-amz-customauthorizer-name": plain, "x-word": "a"})
        assert answer.status_code == 403 and answer.headers["x-amzn-ErrorType"].startswith("ForbiddenException")
        for word in ("no", "raise"):
            assert post("a/http", {"x-amz-customauthorizer-name": plain, "x-word": word}).status_code == 403
        headers = {"x-amz-customauthorizer-name": signed, "AuthToken": "a", "x-amz-customauthorizer-signature": sign(key, "a")}
        assert post("a/http", headers).status_code == 200
        assert listener.message().payload == b"by http"
        assert post("a/http", {**headers, "AuthToken": "b"}).status_code == 403


def test_what_it_said_is_kept_for_a_kept_http_connection(host, plain, signed, key):
    def calls():
        return host.log().count("EVENT")

    def post(session, path, headers):
        return session.post(f"{host.url}/topics/{path}", headers=headers, verify=host.ca_file, timeout=20)

    with requests.Session() as session:
        headers = {"x-amz-customauthorizer-name": plain, "x-word": "a"}
        assert post(session, "a/t", headers).status_code == 200
        before = calls()
        assert post(session, "a/u", headers).status_code == 200
        assert post(session, "b/u", headers).status_code == 403
        assert calls() == before
        assert post(session, "b/u", {**headers, "x-word": "b"}).status_code == 200
        assert wait_until(lambda: calls() == before + 1)
        headers = {"x-amz-customauthorizer-name": signed, "AuthToken": "a", "x-amz-customauthorizer-signature": sign(key, "a")}
        for n in (2, 3):  # does not cache
            assert post(session, "a/u", headers).status_code == 200
            assert wait_until(lambda: calls() == before + n)
