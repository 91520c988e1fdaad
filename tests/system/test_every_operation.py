"""Each operation of each model, called with a signed, valid request: it is answered, or says that it is not implemented.
And none of what is answered lets one account at another's things. Source: models/*.api (botocore's models)."""
import json
import sys

import pytest
from conftest import ALLOW_ALL
from support import functions, x509
from support.keys import make_key
from support.requests_of import SERVICES, request_of
from support.server import ACCOUNT, REGION, ROOT
from support.signed import send

sys.path.insert(0, str(ROOT / "tools"))
from coverage_page import handlers  # noqa: E402
from model import snake  # noqa: E402

ANSWERED = handlers()
OTHER = "222233334444"


def is_there(service, op):
    return f"{snake(service.name)}_{snake(op.name)}" in ANSWERED


@pytest.fixture(scope="module")
def spare(server):
    """A key of an account that nobody else uses: what is called at random is done to it."""
    return make_key(server, account="555566667777")


@pytest.mark.parametrize("name", SERVICES)
def test_it_is_answered_or_says_that_it_is_not(server, spare, name):
    service = SERVICES[name]
    wrong = []
    for op in service.ops:
        method, path, headers, body = request_of(service, op)
        answer = send(server, method, path, body, service.sign[0], headers, key=spare)
        kind = answer.headers.get("x-amzn-ErrorType", "")
        text = answer.text
        if is_there(service, op):
            errors = {service.errors[e].wire for e in op.errors} | {"ValidationException"}
            # what is called at random is not there, or is no certificate, no zip, no policy: never a fault of the server's
            fine = answer.status_code < 300 or (answer.status_code < 500 and kind in errors)
        else:
            fine = answer.status_code == 501 and kind == "NotImplementedException" and op.name in text and "not implemented" in text
        if not fine:
            wrong.append(f"{op.name}: {answer.status_code} {kind} {text[:200]} <- {method} {path[:120]} {body[:200]}")
    assert not wrong, "\n".join(wrong)


# ------------------------------------------------------------------------------------------------ another account's

@pytest.fixture(scope="module")
def theirs(server, iot, tmp_path_factory):
    """Something of each kind in the default account, as members that name it: {member: value}."""
    n = "prey"
    made = iot.create_keys_and_certificate(setAsActive=True)
    key = x509.new_key()
    ca = iot.register_ca_certificate(caCertificate=x509.cert_pem(x509.certificate(n, key, ca=True)), certificateMode="SNI_ONLY")
    iot.create_thing_type(thingTypeName=n)
    iot.create_thing(thingName=n, attributePayload={"attributes": {"a": "b"}})
    iot.create_thing_group(thingGroupName=n)
    iot.create_billing_group(billingGroupName=n)
    iot.create_policy(policyName=n, policyDocument=json.dumps(ALLOW_ALL))
    iot.attach_policy(policyName=n, target=made["certificateArn"])
    iot.attach_thing_principal(thingName=n, principal=made["certificateArn"])
    iot.create_role_alias(roleAlias=n, roleArn=f"arn:aws:iam::{ACCOUNT}:role/{n}")
    iot.create_authorizer(authorizerName=n, authorizerFunctionArn=functions.arn(n), signingDisabled=True)
    iot.create_topic_rule(ruleName=n, topicRulePayload={"sql": "SELECT * FROM 'prey'", "actions": [
        {"republish": {"roleArn": f"arn:aws:iam::{ACCOUNT}:role/{n}", "topic": "y"}}]})
    functions.create(server.client("lambda"), n, "def handler(event, context):\n    return event\n", Publish=True)
    server.client("iot-data").update_thing_shadow(thingName=n, payload=json.dumps({"state": {"desired": {"on": True}}}))
    server.client("iot-data").publish(topic=n, qos=1, retain=True, payload=b"mine")
    pem = {"Certificate": x509.cert_pem(x509.certificate("p.example.org", key, names=["p.example.org"])).encode(),
           "PrivateKey": x509.key_pem(key).encode()}
    imported = server.client("acm").import_certificate(**pem)["CertificateArn"]
    arn = f"arn:aws:iot:{REGION}:{ACCOUNT}:"
    names = dict.fromkeys(("thingName", "thingTypeName", "thingGroupName", "billingGroupName", "policyName", "roleAlias",
                           "authorizerName", "ruleName", "FunctionName", "topic"), n)
    names |= {"certificateId": made["certificateId"], "caCertificateId": ca["certificateId"], "principal": made["certificateArn"],
              "target": made["certificateArn"], "CertificateArn": imported, "thingGroupArn": f"{arn}thinggroup/{n}",
              "thingArn": f"{arn}thing/{n}", "billingGroupArn": f"{arn}billinggroup/{n}"}
    arns = [f"{arn}{kind}/{n}" for kind in ("thing", "thingtype", "thinggroup", "billinggroup", "policy", "rolealias", "authorizer", "rule")]
    return names, arns + [made["certificateArn"], ca["certificateArn"]], ca["certificateId"], made


def state(server):
    """All of the default account that the sweep might have touched."""
    iot, data = server.client("iot"), server.client("iot-data")
    lambda_ = server.client("lambda")
    seen = [iot.describe_thing(thingName="prey"), iot.describe_thing_group(thingGroupName="prey"), iot.describe_thing_type(thingTypeName="prey"),
            iot.describe_billing_group(billingGroupName="prey"), iot.get_policy(policyName="prey"),
            iot.list_policy_versions(policyName="prey"), iot.list_targets_for_policy(policyName="prey"),
            iot.list_thing_principals(thingName="prey"), iot.describe_role_alias(roleAlias="prey"),
            iot.describe_authorizer(authorizerName="prey"), iot.get_topic_rule(ruleName="prey"),
            lambda_.get_function_configuration(FunctionName="prey"), lambda_.list_versions_by_function(FunctionName="prey"),
            data.get_retained_message(topic="prey"), data.get_thing_shadow(thingName="prey")["payload"].read().rsplit(b',"timestamp"', 1)[0]]
    for kind in ("thinggroup", "billinggroup", "thingtype", "policy", "rolealias", "authorizer", "rule"):
        seen.append(iot.list_tags_for_resource(resourceArn=f"arn:aws:iot:{REGION}:{ACCOUNT}:{kind}/prey"))
    for answer in seen:
        if isinstance(answer, dict):
            answer.pop("ResponseMetadata")
    return seen


@pytest.mark.parametrize("name", ["iot", "iot-data", "lambda", "acm"])
def test_a_name_of_another_account_means_nothing(server, spare, theirs, name):
    """Each operation that names one thing, by the other's names and ARNs: nothing is told and nothing changes."""
    names, arns, ca_id, certificate = theirs
    service, before, told = SERVICES[name], state(server), []
    secrets = (certificate["certificatePem"][:200], '"on":true', '"a":"b"', "bWluZQ")
    for op in service.ops:
        if not is_there(service, op):
            continue
        members = {m.name: m for m in op.inputs}
        named = {k: v for k, v in names.items() if k in members}
        if "CACertificate" in op.name and "certificateId" in named:
            named["certificateId"] = ca_id
        tries = [named] if named else []
        if name == "lambda" and "FunctionName" in named:
            tries.append({**named, "FunctionName": functions.arn("prey")})
        if name == "lambda" and "Resource" in members:
            tries.append({"Resource": functions.arn("prey")})
        tries += [{member: a} for member in ("resourceArn", "targetArn") if member in members for a in arns]
        tries += [{**named, "target": a} for a in arns if "target" in named]
        for values in tries:
            method, path, headers, body = request_of(service, op, values)
            answer = send(server, method, path, body, service.sign[0], headers, key=spare)
            if answer.status_code >= 500 or any(s in answer.text for s in secrets):
                told.append(f"{op.name} {values}: {answer.status_code} {answer.text[:300]}")
    assert not told, "\n".join(told)
    assert state(server) == before


def test_a_list_shows_nothing_of_another_account(server, theirs, spare):
    shown = []
    for name in ("iot", "iot-data", "lambda", "acm"):
        service = SERVICES[name]
        for op in service.ops:
            if op.name.startswith("List") and is_there(service, op) and not any(m.required for m in op.inputs):
                method, path, headers, body = request_of(service, op)
                answer = send(server, method, path, body, service.sign[0], headers, key=spare)
                if ACCOUNT in answer.text or answer.status_code != 200:
                    shown.append(f"{op.name}: {answer.status_code} {answer.text[:300]}")
    assert not shown, "\n".join(shown)


def test_one_certificate_in_two_accounts(server, iot, fails, name, theirs):
    """Who has seen a certificate may register it as his own, without its CA or under one of his: the owner keeps his."""
    certificate = theirs[3]
    other = server.client("iot", *make_key(server, account=OTHER))
    made = other.register_certificate_without_ca(certificatePem=certificate["certificatePem"], status="ACTIVE")
    assert made["certificateArn"].split(":")[4] == OTHER
    assert iot.describe_certificate(certificateId=certificate["certificateId"])["certificateDescription"]["status"] == "ACTIVE"
    assert fails(other.register_certificate, certificatePem=certificate["certificatePem"])[1] in (400, 409)
    other.update_certificate(certificateId=made["certificateId"], newStatus="REVOKED")
    assert iot.describe_certificate(certificateId=certificate["certificateId"])["certificateDescription"]["status"] == "ACTIVE"
    assert other.list_attached_policies(target=made["certificateArn"])["policies"] == []
    other.delete_certificate(certificateId=made["certificateId"])
    assert iot.list_attached_policies(target=certificate["certificateArn"])["policies"][0]["policyName"] == "prey"


@pytest.mark.parametrize("method, path", [("GET", "/_starling/keys"), ("POST", "/_starling/keys"), ("GET", "/_starling/status"),
                                          ("GET", "/_starling/logs"), ("POST", "/_starling/policy/explain"), ("DELETE", "/_starling/keys/AKIA")])
def test_the_servers_own_ways_want_a_key_of_the_operators(server, spare, method, path):
    import requests
    body = b"{}" if method == "POST" else b""
    for answer in (requests.request(method, server.url + path, data=body, verify=server.ca_file, timeout=10),
                   send(server, method, path, body, "starling", key=(server.credentials[0], "wrong" * 8)),
                   send(server, method, path, body, "starling", key=("AKIANOBODY0000000000", "x" * 40))):
        assert answer.status_code == 403, (answer.status_code, answer.text)
        assert ACCOUNT not in answer.text and server.credentials[0] not in answer.text
    answer = send(server, method, path, body, "starling", key=spare)
    assert server.credentials[0] not in answer.text and answer.status_code in (200, 400, 403, 404)
