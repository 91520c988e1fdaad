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


def test_what_it_said_ends_with_the_authorizer(host, api, plain):
    api.create_authorizer(authorizerName="ends", authorizerFunctionArn=functions.arn("authorize"), status="ACTIVE",
                          signingDisabled=True, enableCachingForHttp=True)
    with requests.Session() as session:
        def post():
            return session.post(f"{host.url}/topics/a/t", verify=host.ca_file, timeout=20,
                                headers={"x-amz-customauthorizer-name": "ends", "x-word": "a"}).status_code

        assert post() == 200 and post() == 200
        api.update_authorizer(authorizerName="ends", status="INACTIVE")
        assert post() == 403
        api.update_authorizer(authorizerName="ends", status="ACTIVE")
        assert post() == 200
        api.update_authorizer(authorizerName="ends", status="INACTIVE")
        api.delete_authorizer(authorizerName="ends")
        assert post() == 403


# ---------------------------------------------------------------------------------------------------- awsiotsdk


def with_sdk(host, builder, **more):
    """An awsiotsdk MQTT 5 client by this builder of custom authentication; returns whether it connects."""
    import queue

    outcome = queue.Queue()
    client = builder(endpoint=host.host, port=host.https_port, ca_filepath=host.ca_file, client_id="sdk",
                     on_lifecycle_connection_success=lambda data: outcome.put(True),
                     on_lifecycle_connection_failure=lambda data: outcome.put(False), **more)
    client.start()
    try:
        return outcome.get(timeout=20)
    finally:
        client.stop()


@pytest.mark.parametrize("kind", ["direct_with_custom_authorizer", "websockets_with_custom_authorizer"])
def test_awsiotsdk_connects_by_its_builders(host, plain, signed, key, kind):
    from awsiot import mqtt5_client_builder
    builder = getattr(mqtt5_client_builder, kind)
    assert with_sdk(host, builder, auth_authorizer_name=plain, auth_username="me", auth_password=b"a")
    assert not with_sdk(host, builder, auth_authorizer_name=plain, auth_username="me", auth_password=b"no")
    token = {"auth_authorizer_name": signed, "auth_token_key_name": "AuthToken", "auth_token_value": "a"}
    assert with_sdk(host, builder, auth_authorizer_signature=sign(key, "a"), **token)
    assert not with_sdk(host, builder, auth_authorizer_signature=sign(key, "b"), **token)


# ---------------------------------------------------------------------------------------------------- operations


def test_an_authorizer_is_made_read_updated_and_deleted(api, plain, key):
    function = functions.arn("authorize")
    made = api.create_authorizer(authorizerName="crud", authorizerFunctionArn=function, tokenKeyName="T",
                                 tokenSigningPublicKeys={"k": public_pem(key)}, tags=[{"Key": "a", "Value": "b"}])
    assert made["authorizerArn"] == authorizer_arn("crud") and made["authorizerName"] == "crud"
    got = api.describe_authorizer(authorizerName="crud")["authorizerDescription"]
    assert got["status"] == "INACTIVE" and got["tokenKeyName"] == "T" and got["authorizerFunctionArn"] == function
    assert got["tokenSigningPublicKeys"] == {"k": public_pem(key)} and got["signingDisabled"] is False
    assert got["enableCachingForHttp"] is False and got["creationDate"] == got["lastModifiedDate"]
    assert api.list_tags_for_resource(resourceArn=made["authorizerArn"])["tags"] == [{"Key": "a", "Value": "b"}]
    assert failure(api.create_authorizer, authorizerName="crud", authorizerFunctionArn=function, signingDisabled=True) == (
        "ResourceAlreadyExistsException", "Authorizer crud already exists")
    api.update_authorizer(authorizerName="crud", status="ACTIVE", enableCachingForHttp=True, tokenKeyName="U")
    got = api.describe_authorizer(authorizerName="crud")["authorizerDescription"]
    assert (got["status"], got["enableCachingForHttp"], got["tokenKeyName"]) == ("ACTIVE", True, "U")
    code, text = failure(api.delete_authorizer, authorizerName="crud")
    assert code == "DeleteConflictException" and "INACTIVE" in text
    api.update_authorizer(authorizerName="crud", status="INACTIVE")
    api.set_default_authorizer(authorizerName="crud")
    assert api.describe_default_authorizer()["authorizerDescription"]["authorizerName"] == "crud"
    assert failure(api.delete_authorizer, authorizerName="crud")[0] == "DeleteConflictException"
    assert failure(api.set_default_authorizer, authorizerName=plain)[0] == "ResourceAlreadyExistsException"
    api.clear_default_authorizer()
    assert failure(api.describe_default_authorizer)[0] == "ResourceNotFoundException"
    assert failure(api.clear_default_authorizer)[0] == "ResourceNotFoundException"
    api.delete_authorizer(authorizerName="crud")
    for call, more in ((api.describe_authorizer, {}), (api.delete_authorizer, {}), (api.update_authorizer, {"status": "ACTIVE"}),
                       (api.set_default_authorizer, {}), (api.test_invoke_authorizer, {})):
        assert failure(call, authorizerName="crud", **more)[0] == "ResourceNotFoundException"


def test_authorizers_are_listed_in_pages(api, plain):
    for n in range(5):
        api.create_authorizer(authorizerName=f"listed-{n}", authorizerFunctionArn=functions.arn("x"), signingDisabled=True,
                              status="ACTIVE" if n < 2 else "INACTIVE")
    first = api.list_authorizers(pageSize=3)
    second = api.list_authorizers(pageSize=3, marker=first["nextMarker"])
    assert len(first["authorizers"]) == 3
    assert not {a["authorizerName"] for a in first["authorizers"]} & {a["authorizerName"] for a in second["authorizers"]}
    active = {a["authorizerName"] for p in api.get_paginator("list_authorizers").paginate(status="ACTIVE") for a in p["authorizers"]}
    assert {"listed-0", "listed-1", plain} <= active and "listed-2" not in active
    assert {"authorizerName": "listed-3", "authorizerArn": authorizer_arn("listed-3")} in [
        a for p in api.get_paginator("list_authorizers").paginate() for a in p["authorizers"]]
    for n in range(5):
        api.update_authorizer(authorizerName=f"listed-{n}", status="INACTIVE")
        api.delete_authorizer(authorizerName=f"listed-{n}")


@pytest.mark.parametrize("settings, text", [
    ({}, "tokenKeyName is missing"), ({"tokenKeyName": "T"}, "tokenSigningPublicKeys are missing"),
    ({"tokenKeyName": "T", "tokenSigningPublicKeys": {"k": "no key"}}, "not an RSA key"),
    ({"tokenKeyName": "T T"}, "tokenKeyName"), ({"status": "SLEEPING"}, "status")])
def test_an_authorizer_that_could_check_nothing_is_refused(api, settings, text):
    code, message = failure(api.create_authorizer, authorizerName="bad", authorizerFunctionArn=functions.arn("f"), **settings)
    assert code == "InvalidRequestException" and text in message


def test_an_authorizer_is_tried_out(api, plain, signed, key):
    answer = api.test_invoke_authorizer(authorizerName=plain, mqttContext={"username": "u", "password": b"a", "clientId": "c"},
                                        tlsContext={"serverName": "example.org"},
                                        httpContext={"headers": {"a": "b"}, "queryString": "?c=d"})
    assert answer["isAuthenticated"] is True and answer["principalId"] == "Person1"
    assert answer["disconnectAfterInSeconds"] == 600 and answer["refreshAfterInSeconds"] == 300
    assert json.loads(answer["policyDocuments"][0])["Statement"][0]["Action"] == "iot:Connect"
    assert api.test_invoke_authorizer(authorizerName=plain, mqttContext={"password": b"no"})["isAuthenticated"] is False
    for word in (b"raise", b"nonsense"):
        assert failure(api.test_invoke_authorizer, authorizerName=plain, mqttContext={"password": word})[0] == "InvalidResponseException"
    answer = api.test_invoke_authorizer(authorizerName=signed, token="a", tokenSignature=sign(key, "a"))
    assert answer["isAuthenticated"] is True
    code, text = failure(api.test_invoke_authorizer, authorizerName=signed, token="a", tokenSignature=sign(key, "b"))
    assert code == "InvalidRequestException" and "none of the authorizer's keys" in text
    api.create_authorizer(authorizerName="tried", authorizerFunctionArn=functions.arn("authorize"), signingDisabled=True)
    assert api.test_invoke_authorizer(authorizerName="tried", mqttContext={"password": b"a"})["isAuthenticated"] is True


# ---------------------------------------------------------------------------------------------------- certificate providers

PROVIDER = """
import json, subprocess, tempfile, os
def handler(event, context):
    print("CSR", sorted(event))
    folder = tempfile.mkdtemp()
    request = event["certificateSigningRequest"]
    if os.environ.get("OTHER"):
        subprocess.run(["openssl", "req", "-newkey", "rsa:2048", "-nodes", "-keyout", "k", "-subj", "/CN=other", "-out", "r"],
                       cwd=folder, check=True, capture_output=True)
        request = open(folder + "/r").read()
    open(folder + "/csr", "w").write(request)
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "ca.key", "-out", "ca.pem", "-subj", "/CN=own CA", "-days", "9"],
                   cwd=folder, check=True, capture_output=True)
    subprocess.run(["openssl", "x509", "-req", "-in", "csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "5", "-out", "c.pem"],
                   cwd=folder, check=True, capture_output=True)
    return {"certificatePem": open(folder + "/c.pem").read()}
"""


def csr():
    from cryptography import x509
    from cryptography.x509.oid import NameOID
    private = rsa.generate_private_key(65537, 2048)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "device")])
    return x509.CertificateSigningRequestBuilder().subject_name(name).sign(private, hashes.SHA256()).public_bytes(
        serialization.Encoding.PEM).decode()


def test_a_certificate_provider_signs_requests(host, api, lambdas):
    from cryptography import x509
    functions.create(lambdas, "signer", PROVIDER)
    made = api.create_certificate_provider(certificateProviderName="own", lambdaFunctionArn=functions.arn("signer"),
                                           accountDefaultForOperations=["CreateCertificateFromCsr"])
    assert made["certificateProviderArn"] == f"arn:aws:iot:{REGION}:{ACCOUNT}:certificateprovider:own"
    got = api.describe_certificate_provider(certificateProviderName="own")
    assert got["lambdaFunctionArn"] == functions.arn("signer") and got["accountDefaultForOperations"] == ["CreateCertificateFromCsr"]
    assert [p["certificateProviderName"] for p in api.list_certificate_providers()["certificateProviders"]] == ["own"]
    assert failure(api.create_certificate_provider, certificateProviderName="second", lambdaFunctionArn=functions.arn("signer"),
                   accountDefaultForOperations=["CreateCertificateFromCsr"])[0] in ("LimitExceededException", "ResourceAlreadyExistsException")

    code, text = failure(api.create_certificate_from_csr, certificateSigningRequest=csr())
    assert code == "ServiceUnavailableException" and "resource policy" in text
    lambdas.add_permission(FunctionName="signer", StatementId="1", Action="lambda:InvokeFunction",
                           Principal="iot.amazonaws.com", SourceArn=made["certificateProviderArn"])
    functions.wait_until(lambda: "certificatePem" in functions.invoke(lambdas, "signer", {"certificateSigningRequest": csr()}))
    signed = api.create_certificate_from_csr(certificateSigningRequest=csr(), setAsActive=True)
    certificate = x509.load_pem_x509_certificate(signed["certificatePem"].encode())
    assert certificate.issuer.rfc4514_string() == "CN=own CA" and certificate.subject.rfc4514_string() == "CN=device"
    stored = api.describe_certificate(certificateId=signed["certificateId"])["certificateDescription"]
    assert stored["status"] == "ACTIVE" and stored["certificatePem"] == signed["certificatePem"]

    lambdas.update_function_configuration(FunctionName="signer", Environment={"Variables": {"OTHER": "1"}})
    code, text = failure(api.create_certificate_from_csr, certificateSigningRequest=csr())
    assert code in ("InvalidRequestException", "ServiceUnavailableException"), text
    assert failure(api.create_certificate_from_csr, certificateSigningRequest="no request")[0] == "InvalidRequestException"

    api.update_certificate_provider(certificateProviderName="own", lambdaFunctionArn=functions.arn("gone"))
    assert failure(api.create_certificate_from_csr, certificateSigningRequest=csr())[0] == "ServiceUnavailableException"
    api.delete_certificate_provider(certificateProviderName="own")
    assert failure(api.describe_certificate_provider, certificateProviderName="own")[0] == "ResourceNotFoundException"
    assert "CN=own CA" not in x509.load_pem_x509_certificate(
        api.create_certificate_from_csr(certificateSigningRequest=csr())["certificatePem"].encode()).issuer.rfc4514_string()


def test_who_is_refused_stands_in_the_accounts_log(host, api, plain):
    """Source: AWS IoT developer guide, "Connection.AuthNError log entry"."""
    api.set_v2_logging_options(roleArn=f"arn:aws:iam::{ACCOUNT}:role/logs", defaultLogLevel="ERROR", eventConfigurations=[
        {"eventType": "Connection.AuthNError", "logLevel": "ERROR"}])

    def entries():
        lines = [line for line in host.log().splitlines() if '"Connection.AuthNError"' in line]
        return [json.loads(line[line.index("{"):]) for line in lines]

    refused(device(host, user("nobody-made-it"), client_id="told-of"))
    refused(device(host, user(plain), password="no", client_id="told-no"))
    answer = requests.post(f"{host.url}/topics/a?qos=1", data=b"x", verify=host.ca_file, timeout=30,
                           headers={"x-amz-customauthorizer-name": "nobody-made-it"})
    assert answer.status_code == 403 and answer.headers["x-amzn-ErrorType"] == "ForbiddenException"
    got = {entry.get("clientId"): entry for entry in functions.wait_until(
        lambda: entries() if len({entry.get("clientId") for entry in entries()}) >= 3 else None)}
    assert {"told-of", "told-no", None} <= set(got)
    for client, words in (("told-of", "nobody-made-it"), (None, "nobody-made-it"), ("told-no", "")):
        entry = got[client]
        assert (entry["status"], entry["accountId"], entry["authenticationType"]) == ("Failure", ACCOUNT, "CUSTOM_AUTH")
        assert words in entry["details"] and entry["sourceIp"] in ("127.0.0.1", "::1")
    assert got["told-of"]["reason"] == "CUSTOM_AUTHORIZER_NOT_FOUND"
