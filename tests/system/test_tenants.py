"""Two accounts on one server: what is one's is nowhere in the other's. The endpoint's name tells whose a client is."""
import json
import socket
import subprocess
import uuid

import pytest
import requests
import urllib3
from conftest import ALLOW_ALL, Fleet
from support import wire, x509
from support.mqtt import wait_until
from support.refused import connects
from support.server import ACCOUNT, BINARY, REGION, Server
from support.signed import send

OTHER = "222233334444"


@pytest.fixture(scope="module")
def other_key(server):
    """An access key of another account, as a person makes one."""
    made = subprocess.run([BINARY, "key", "create", "--data", server.data, "--account", OTHER], check=True,
                          capture_output=True, text=True).stdout
    values = dict(line.split(" = ") for line in made.splitlines() if " = " in line)
    return values["aws_access_key_id"], values["aws_secret_access_key"]


@pytest.fixture(scope="module")
def other_iot(server, other_key):
    return server.client("iot", *other_key)


@pytest.fixture(scope="module")
def other_data(server, other_key):
    return server.client("iot-data", *other_key)


@pytest.fixture(scope="module")
def other_fleet(server, other_iot, tmp_path_factory):
    return Fleet(server, other_iot, tmp_path_factory.mktemp("other-devices"))


@pytest.fixture(scope="module")
def endpoint(other_iot):
    """The other account's host name for devices."""
    return host(other_iot, "iot:Data-ATS")


def host(iot, kind):
    return iot.describe_endpoint(endpointType=kind)["endpointAddress"].split(":")[0]


def at(server, device, sni, version=5):
    """MQTT to the server by this name; the server's certificate is checked against it."""
    context = wire.tls_context(server, device)
    raw = socket.create_connection(("127.0.0.1", server.mqtt_port), wire.TIMEOUT_S)
    return wire.Wire(context.wrap_socket(raw, server_hostname=sni), version)


def test_each_account_has_endpoints_of_its_own(server, iot, other_iot, other_key):
    names = {kind: host(other_iot, kind) for kind in
             ("iot:Data", "iot:Data-ATS", "iot:CredentialProvider", "iot:Jobs")}
    prefix = names["iot:Data"].split(".")[0]
    assert len(prefix) == 14
    assert names == {"iot:Data": f"{prefix}.iot.{REGION}.amazonaws.localhost",
                     "iot:Data-ATS": f"{prefix}-ats.iot.{REGION}.amazonaws.localhost",
                     "iot:CredentialProvider": f"{prefix}.credentials.iot.{REGION}.amazonaws.localhost",
                     "iot:Jobs": f"{prefix}.jobs.iot.{REGION}.amazonaws.localhost"}
    assert other_iot.describe_endpoint()["endpointAddress"] == names["iot:Data"]
    assert iot.describe_endpoint(endpointType="iot:Data-ATS")["endpointAddress"] == "localhost"
    for name in names.values():
        at(server, None, name).close()  # the server's certificate is good for each


def test_nothing_of_the_registry_is_seen_by_the_other(iot, other_iot, other_fleet, fails, name):
    device = other_fleet.make(name)
    other_iot.create_thing_group(thingGroupName=name)
    other_iot.create_thing_type(thingTypeName=name)
    for call, arguments in ((iot.describe_thing, {"thingName": name}),
                            (iot.describe_certificate, {"certificateId": device.cert_id}),
                            (iot.get_policy, {"policyName": device.policy}),
                            (iot.describe_thing_group, {"thingGroupName": name}),
                            (iot.describe_thing_type, {"thingTypeName": name}),
                            (iot.update_certificate, {"certificateId": device.cert_id, "newStatus": "INACTIVE"}),
                            (iot.attach_thing_principal, {"thingName": name, "principal": device.cert_arn})):
        assert fails(call, **arguments)[:2] == ("ResourceNotFoundException", 404)
    for page in iot.get_paginator("list_things").paginate():
        assert name not in [thing["thingName"] for thing in page["things"]]
    for page in iot.get_paginator("list_certificates").paginate():
        assert device.cert_id not in [certificate["certificateId"] for certificate in page["certificates"]]
    iot.create_thing(thingName=name)  # the name is free here
    assert iot.describe_thing(thingName=name)["thingArn"] == f"arn:aws:iot:{REGION}:{ACCOUNT}:thing/{name}"
    assert other_iot.describe_thing(thingName=name)["thingArn"] == f"arn:aws:iot:{REGION}:{OTHER}:thing/{name}"


def test_a_device_comes_to_its_account_by_name_and_without(server, other_fleet, endpoint, raw, name):
    device = other_fleet.make(name)
    for connection in (at(server, device, endpoint), raw(device=device), raw(device=device, sni=None),
                       raw(device=device, sni="some.where.else")):
        assert connection.connect(name).code == 0
        assert connection.subscribe(("t", 1)) == [1]
        connection.close()


def test_a_device_does_not_come_to_an_account_that_does_not_know_it(server, device, endpoint, name):
    assert not connects(server, device, name, sni=endpoint)
    assert connects(server, device, name)


def test_topics_sessions_and_retained_messages_are_apart(server, device, other_fleet, endpoint, data, other_data,
                                                         name):
    theirs = other_fleet.make(f"{name}-other")
    with at(server, device, "localhost") as mine, at(server, theirs, endpoint) as other:
        for connection in (mine, other):  # the same client id takes nobody over
            assert connection.connect(name, clean=False, props=[(wire.SESSION_EXPIRY, 3600)]).code == 0
            assert connection.subscribe((f"{name}/#", 1)) == [1]
        mine.send_publish(f"{name}/t", b"mine", retain=True)
        assert mine.message().payload == b"mine"
        other.send_publish(f"{name}/u", b"other")
        assert other.message().payload == b"other"
        for connection in (mine, other):
            connection.silent()
        assert data.get_connection(clientId=name)["connected"]
        assert other_data.get_connection(clientId=name)["connected"]
    assert data.get_retained_message(topic=f"{name}/t")["payload"] == b"mine"
    assert name + "/t" not in [topic["topic"] for topic in other_data.list_retained_messages()["retainedTopics"]]
    assert [s["topicFilter"] for s in data.list_subscriptions(clientId=name)["subscriptions"]] == [f"{name}/#"]


def test_retained_messages_of_one_are_not_found_by_the_other(data, other_data, fails, name):
    other_data.publish(topic=name, payload=b"x", retain=True, qos=1)
    assert other_data.get_retained_message(topic=name)["payload"] == b"x"
    assert fails(data.get_retained_message, topic=name)[:2] == ("ResourceNotFoundException", 404)


def test_shadows_of_one_are_not_found_by_the_other(data, other_data, fails, name):
    data.update_thing_shadow(thingName=name, payload=json.dumps({"state": {"desired": {"on": True}}}))
    assert fails(other_data.get_thing_shadow, thingName=name)[:2] == ("ResourceNotFoundException", 404)
    other_data.update_thing_shadow(thingName=name, payload=json.dumps({"state": {"desired": {"on": False}}}))
    mine = json.loads(data.get_thing_shadow(thingName=name)["payload"].read())
    assert mine["state"]["desired"] == {"on": True} and mine["version"] == 1


def https(server, name, device=None):
    """Kept-alive HTTPS to the server by this name."""
    return urllib3.HTTPSConnectionPool("127.0.0.1", server.https_port, maxsize=1, ca_certs=server.ca_file,
                                       cert_file=device and device.cert_file, key_file=device and device.key_file,
                                       server_hostname=name, assert_hostname=name, retries=False, timeout=10)


def test_http_by_certificate_goes_to_the_accounts_topics(server, other_fleet, other_data, data, endpoint, fails, name):
    device = other_fleet.make(name)
    for number, pool in enumerate((https(server, endpoint, device), https(server, "localhost", device))):
        topic = f"{name}/{number}"
        answer = pool.request("POST", f"/topics/{topic}?qos=1&retain=true", body=b"by http")
        assert answer.status == 200
        assert other_data.get_retained_message(topic=topic)["payload"] == b"by http"
        assert fails(data.get_retained_message, topic=topic)[1] == 404


def test_a_certificate_of_the_default_account_is_nobody_at_the_others_endpoint(server, device, endpoint):
    answer = https(server, endpoint, device).request("POST", "/topics/x?qos=0", body=b"")
    assert answer.status == 403


def test_a_key_is_not_taken_at_another_accounts_endpoint(server, other_key, endpoint):
    mine = https(server, endpoint)
    for key, status in ((other_key, 200), (server.credentials, 403)):
        session = requests.Session()
        assert send(server, "POST", "/topics/x?qos=0", b"", key=key, session=session).status_code == 200
        from support.signed import signed_headers
        headers = signed_headers(server, "POST", "/topics/x?qos=0", b"", key=key)
        headers["Host"] = f"{server.host}:{server.https_port}"
        answer = mine.request("POST", "/topics/x?qos=0", body=b"", headers=headers)
        assert answer.status == status, answer.data


def test_a_websocket_by_key_goes_to_the_keys_account(server, other_key, other_data, name):
    from support.signed import presigned_path, websocket_wire
    connection = websocket_wire(server, presigned_path(server, key=other_key))
    assert connection.connect(name).code == 0
    assert connection.subscribe((name, 1)) == [1]
    other_data.publish(topic=name, payload=b"for you", qos=1)
    assert connection.message().payload == b"for you"
    connection.close()


@pytest.fixture
def in_both(iot, other_iot, fleet, name, tmp_path):
    """One certificate, registered in both accounts."""
    key = x509.new_key()
    pem = x509.cert_pem(x509.certificate(name, key))
    for client in (iot, other_iot):
        made = client.register_certificate_without_ca(certificatePem=pem, status="ACTIVE")
        client.create_policy(policyName=name, policyDocument=json.dumps(ALLOW_ALL))
        client.attach_policy(policyName=name, target=made["certificateArn"])
    return fleet.save(name, made["certificateId"], "", pem, x509.key_pem(key))


def test_a_certificate_of_two_accounts_is_told_apart_by_sni(server, iot, other_iot, in_both, data, other_data, endpoint,
                                                            name):
    for sni, mine, theirs in (("localhost", data, other_data), (endpoint, other_data, data)):
        with at(server, in_both, sni) as connection:
            client_id = f"{name}-{uuid.uuid4().hex[:6]}"
            assert connection.connect(client_id).code == 0
            assert mine.get_connection(clientId=client_id)["connected"]
            with pytest.raises(theirs.exceptions.ResourceNotFoundException):
                theirs.get_connection(clientId=client_id)
    assert iot.describe_certificate(certificateId=in_both.cert_id)["certificateDescription"]["ownedBy"] == ACCOUNT
    assert other_iot.describe_certificate(certificateId=in_both.cert_id)["certificateDescription"]["ownedBy"] == OTHER


def test_revoking_it_in_one_account_leaves_the_other(server, other_iot, in_both, endpoint, name):
    pools = https(server, "localhost", in_both), https(server, endpoint, in_both)
    with at(server, in_both, "localhost") as mine, at(server, in_both, endpoint) as other:
        assert mine.connect(name).code == 0
        assert other.connect(name).code == 0
        for pool in pools:
            assert pool.request("POST", "/topics/x?qos=0", body=b"").status == 200
        other_iot.update_certificate(certificateId=in_both.cert_id, newStatus="REVOKED")
        while other.read() is not None:
            pass
        mine.silent()
    assert pools[0].request("POST", "/topics/x?qos=0", body=b"").status == 200
    try:
        assert pools[1].request("POST", "/topics/x?qos=0", body=b"").status == 403
    except urllib3.exceptions.ProtocolError:
        pass  # the kept-alive connection was cut under it
    assert not connects(server, in_both, name, sni=endpoint)
    assert connects(server, in_both, name)


def test_one_that_is_in_two_foreign_accounts_must_name_one(server, other_iot, fleet, name):
    third = subprocess.run([BINARY, "key", "create", "--data", server.data, "--account", "333344445555"], check=True,
                           capture_output=True, text=True).stdout
    values = dict(line.split(" = ") for line in third.splitlines() if " = " in line)
    third_iot = server.client("iot", values["aws_access_key_id"], values["aws_secret_access_key"])
    key = x509.new_key()
    pem = x509.cert_pem(x509.certificate(name, key))
    for client in (other_iot, third_iot):
        made = client.register_certificate_without_ca(certificatePem=pem, status="ACTIVE")
        client.create_policy(policyName=name, policyDocument=json.dumps(ALLOW_ALL))
        client.attach_policy(policyName=name, target=made["certificateArn"])
    device = fleet.save(name, made["certificateId"], "", pem, x509.key_pem(key))
    assert not connects(server, device, name)
    assert connects(server, device, name, sni=host(third_iot, "iot:Data-ATS"))
    third_iot.delete_certificate(certificateId=update_inactive(third_iot, device), forceDelete=True)
    assert connects(server, device, name)  # now it means one alone


def update_inactive(client, device):
    client.update_certificate(certificateId=device.cert_id, newStatus="INACTIVE")
    return device.cert_id


def test_a_ca_in_default_mode_belongs_to_one_account(iot, other_iot, fails, name):
    key, ca_key = x509.new_key(), x509.new_key()
    ca = x509.certificate(name, ca_key, ca=True)
    made = {}
    for client in (iot, other_iot):
        code = client.get_registration_code()["registrationCode"]
        made[client] = x509.cert_pem(x509.certificate(code, key, ca, ca_key))
    first = iot.register_ca_certificate(caCertificate=x509.cert_pem(ca), verificationCertificate=made[iot])
    code, status, _ = fails(other_iot.register_ca_certificate, caCertificate=x509.cert_pem(ca),
                            verificationCertificate=made[other_iot])
    assert (code, status) == ("ResourceAlreadyExistsException", 409)
    other_iot.register_ca_certificate(caCertificate=x509.cert_pem(ca), certificateMode="SNI_ONLY")
    iot.delete_ca_certificate(certificateId=first["certificateId"])
    assert fails(iot.describe_ca_certificate, certificateId=first["certificateId"])[1] == 404


def test_a_tenants_key_cannot_see_or_make_keys_of_another(server, other_key):
    headers = {"Content-Type": "application/json"}
    listed = send(server, "GET", "/_starling/keys", service="starling", key=other_key).json()
    assert {key["account"] for key in listed["keys"]} == {OTHER}
    answer = send(server, "POST", "/_starling/keys", json.dumps({"account": ACCOUNT}).encode(), service="starling",
                  key=other_key, headers=headers)
    assert answer.status_code == 403


def test_a_log_line_says_whose_it_is(server, other_fleet, endpoint, name):
    device = other_fleet.make(name, policy={
        "Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "iot:Publish", "Resource": "*"}]})
    with at(server, device, endpoint) as connection:
        assert connection.connect(name).code != 0
    lines = [line for line in server.log().splitlines() if f"client={name}" in line]
    assert lines and all(f"account={OTHER}" in line for line in lines)


def test_a_device_seen_first_is_registered_in_the_account_that_it_named(server, iot, other_iot, fleet, endpoint, fails,
                                                                        name):
    ca_key, key = x509.new_key(), x509.new_key()
    ca = x509.certificate(name, ca_key, ca=True)
    for client in (iot, other_iot):
        client.register_ca_certificate(caCertificate=x509.cert_pem(ca), certificateMode="SNI_ONLY", setAsActive=True,
                                       allowAutoRegistration=True)
    cert = x509.certificate(f"{name}-device", key, ca, ca_key)
    device = fleet.save(name, x509.fingerprint(cert), "", x509.cert_pem(cert), x509.key_pem(key))
    assert not connects(server, device, name, sni=endpoint)

    def pending():
        try:
            return other_iot.describe_certificate(certificateId=device.cert_id)["certificateDescription"]["status"]
        except other_iot.exceptions.ResourceNotFoundException:
            return None

    assert wait_until(pending) == "PENDING_ACTIVATION"
    assert fails(iot.describe_certificate, certificateId=device.cert_id)[:2] == ("ResourceNotFoundException", 404)


def test_what_an_account_has_is_there_after_a_restart_even_when_its_keys_are_gone(tmp_path):
    own = Server(tmp_path / "data").start()
    try:
        made = subprocess.run([BINARY, "key", "create", "--data", own.data, "--account", OTHER], check=True,
                              capture_output=True, text=True).stdout
        values = dict(line.split(" = ") for line in made.splitlines() if " = " in line)
        key = values["aws_access_key_id"], values["aws_secret_access_key"]
        (tmp_path / "d").mkdir()
        device = Fleet(own, own.client("iot", *key), tmp_path / "d").make("lamp")
        with wire.tls_wire(own, device) as connection:
            assert connection.connect("lamp", clean=False, props=[(wire.SESSION_EXPIRY, 3600)]).code == 0
            assert connection.subscribe(("t", 1)) == [1]
        own.client("iot-data", *key).publish(topic="t", payload=b"kept", qos=1)
        subprocess.run([BINARY, "key", "delete", "--data", own.data, key[0]], check=True, capture_output=True)
        own.kill()
        own.start()
        with wire.tls_wire(own, device) as connection:
            assert connection.connect("lamp", clean=False, props=[(wire.SESSION_EXPIRY, 3600)]).session_present
            assert connection.message().payload == b"kept"
    finally:
        own.stop()


def rule_of(iot, name, *actions):
    """A rule on name/in whose failures go to name/failed."""
    role = "arn:aws:iam::222233334444:role/rules"
    iot.create_topic_rule(ruleName=name.replace("-", "_"), topicRulePayload={
        "sql": f"SELECT * FROM '{name}/in'", "awsIotSqlVersion": "2016-03-23",
        "actions": [{kind: {**parameters, "roleArn": role}} for kind, parameters in actions],
        "errorAction": {"republish": {"topic": f"{name}/failed", "qos": 1, "roleArn": role}}})


def test_rules_of_an_account_reach_neither_anothers_bucket_nor_the_operators_credentials(
        server, name, iot, data, other_iot, other_data, other_fleet, endpoint):
    bucket = name[-40:].lower().strip("-")
    to_s3 = ("s3", {"bucketName": bucket, "key": "k"})
    rule_of(iot, name, to_s3)
    rule_of(other_iot, name, to_s3, ("sqs", {"queueUrl": "http://127.0.0.1/q"}))
    watcher = at(server, other_fleet.make(name), endpoint)
    watcher.connect(name)
    assert watcher.subscribe((f"{name}/failed", 1)) == [1]
    data.publish(topic=f"{name}/in", qos=1, payload=b'"first"')
    other_data.publish(topic=f"{name}/in", qos=1, payload=b'"second"')
    mine, theirs = server.data / "s3" / bucket / "k", server.data / "s3" / f"%{OTHER}" / bucket / "k"
    wait_until(lambda: mine.exists() and theirs.exists())
    assert (mine.read_bytes(), theirs.read_bytes()) == (b'"first"', b'"second"')
    document = json.loads(watcher.message().payload)
    watcher.close()
    [failure] = document["failures"]
    assert failure["failedAction"] == "SqsAction" and "--aws-for-all-accounts" in failure["errorMessage"]
