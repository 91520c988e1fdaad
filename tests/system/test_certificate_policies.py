"""Certificates and policies, what boto3 can ask of them beyond the everyday: lists by CA, the older operations, effective
policies, why TestAuthorization decides as it does, and documents that are refused with line and reason."""
import json

import pytest
from conftest import ALLOW_ALL, allow, arn
from support import x509
from support.server import ACCOUNT, REGION

IDENTITY = f"{REGION}:01234567-89ab-cdef-0123-456789abcdef"


@pytest.fixture
def ca(iot, name):
    key = x509.new_key()
    cert = x509.certificate(name, key, ca=True)
    made = iot.register_ca_certificate(caCertificate=x509.cert_pem(cert), certificateMode="SNI_ONLY", setAsActive=True)
    return key, cert, made["certificateId"]


def test_certificates_of_a_ca_are_listed_in_pages_and_both_orders(iot, ca, name):
    key, cert, ca_id = ca
    made = []
    for number in range(3):
        device = x509.new_key()
        pem = x509.cert_pem(x509.certificate(f"{name}-{number}", device, cert, key))
        made.append(iot.register_certificate(certificatePem=pem, caCertificatePem=x509.cert_pem(cert),
                                             status="ACTIVE")["certificateId"])

    def listed(**order):
        found, arguments = [], {"caCertificateId": ca_id, "pageSize": 2, **order}
        while True:
            page = iot.list_certificates_by_ca(**arguments)
            assert len(page["certificates"]) <= 2
            found += [certificate["certificateId"] for certificate in page["certificates"]]
            if "nextMarker" not in page:
                return found
            arguments["marker"] = page["nextMarker"]

    assert sorted(listed()) == sorted(made)
    assert listed(ascendingOrder=True) == listed(ascendingOrder=False)[::-1]
    got = iot.describe_certificate(certificateId=made[0])["certificateDescription"]
    assert (got["caCertificateId"], got["certificateMode"]) == (ca_id, "SNI_ONLY")
    assert iot.list_certificates_by_ca(caCertificateId="0" * 64)["certificates"] == []


def test_a_registration_code_can_be_made_anew(iot):
    first = iot.get_registration_code()["registrationCode"]
    iot.delete_registration_code()
    second = iot.get_registration_code()["registrationCode"]
    assert len(second) == 64 and second != first
    assert iot.get_registration_code()["registrationCode"] == second


def test_the_older_operations_on_principals_mean_the_same(iot, device, name, fails):
    iot.create_policy(policyName=name, policyDocument=json.dumps(ALLOW_ALL))
    iot.attach_principal_policy(policyName=name, principal=device.cert_arn)
    assert {p["policyName"] for p in iot.list_principal_policies(principal=device.cert_arn)["policies"]} == {
        name, device.policy}
    assert iot.list_policy_principals(policyName=name)["principals"] == [device.cert_arn]
    assert iot.list_attached_policies(target=device.cert_arn)["policies"][0]["policyName"] in (name, device.policy)
    page = iot.list_principal_policies(principal=device.cert_arn, pageSize=1)
    assert len(page["policies"]) == 1
    more = iot.list_principal_policies(principal=device.cert_arn, pageSize=1, marker=page["nextMarker"])
    assert more["policies"] != page["policies"]
    iot.detach_principal_policy(policyName=name, principal=device.cert_arn)
    assert iot.list_policy_principals(policyName=name)["principals"] == []
    assert fails(iot.attach_principal_policy, policyName=name, principal=arn("cert/" + "0" * 64))[:2] == (
        "ResourceNotFoundException", 404)


def test_a_policy_is_attached_to_a_cognito_identity(iot, name):
    document = json.dumps(allow(("iot:Connect", "client/x")))
    iot.create_policy(policyName=name, policyDocument=document)
    iot.attach_policy(policyName=name, target=IDENTITY)
    assert name in [p["policyName"] for p in iot.list_attached_policies(target=IDENTITY)["policies"]]
    assert iot.list_targets_for_policy(policyName=name)["targets"] == [IDENTITY]
    got = {p["policyName"]: p for p in iot.get_effective_policies(principal=IDENTITY)["effectivePolicies"]}
    assert json.loads(got[name]["policyDocument"]) == json.loads(document)
    said = iot.test_authorization(principal=IDENTITY, authInfos=[
        {"actionType": "CONNECT", "resources": [arn("client/x")]}])["authResults"][0]
    assert said["authDecision"] == "ALLOWED"
    iot.detach_policy(policyName=name, target=IDENTITY)
    assert iot.list_targets_for_policy(policyName=name)["targets"] == []


def test_identity_pools_are_refused_by_name(iot, device, fails):
    for call, arguments in ((iot.get_effective_policies, {}),
                            (iot.test_authorization, {"authInfos": [{"actionType": "CONNECT", "resources": ["*"]}]})):
        code, status, message = fails(call, principal=device.cert_arn, cognitoIdentityPoolId=f"{REGION}:pool", **arguments)
        assert status == 501 and "identity pools" in message


def test_effective_policies_are_the_things_groups_too(iot, device, name):
    iot.create_thing_group(thingGroupName=f"{name}-p")
    group = iot.create_thing_group(thingGroupName=f"{name}-g", parentGroupName=f"{name}-p")
    parent = iot.describe_thing_group(thingGroupName=f"{name}-p")["thingGroupArn"]
    for suffix, target in (("own", device.cert_arn), ("g", group["thingGroupArn"]), ("p", parent)):
        iot.create_policy(policyName=f"{name}-{suffix}", policyDocument=json.dumps(ALLOW_ALL))
        iot.attach_policy(policyName=f"{name}-{suffix}", target=target)
    iot.add_thing_to_thing_group(thingName=device.thing, thingGroupName=f"{name}-g")

    def names(**arguments):
        return {p["policyName"] for p in iot.get_effective_policies(**arguments)["effectivePolicies"]}

    groups = {f"{name}-g", f"{name}-p"}
    assert names(principal=device.cert_arn) == {device.policy, f"{name}-own"} | groups
    assert names(thingName=device.thing) == groups
    attached = {p["policyName"] for p in iot.list_attached_policies(target=group["thingGroupArn"], recursive=True)["policies"]}
    assert attached == groups
    assert [p["policyName"] for p in iot.list_attached_policies(target=group["thingGroupArn"])["policies"]] == [f"{name}-g"]


def test_an_authorization_names_what_allowed_what_denied_and_what_was_missing(iot, fleet, name):
    device = fleet.make(name, policy=allow(("iot:Publish", "topic/a"), ("iot:Publish", "topic/t/${iot:ClientId}")))
    deny = {"Version": "2012-10-17", "Statement": [{"Effect": "Deny", "Action": "iot:Publish", "Resource": arn("topic/no")}]}
    iot.create_policy(policyName=f"{name}-deny", policyDocument=json.dumps(deny))

    def ask(topic, **more):
        return iot.test_authorization(principal=device.cert_arn, authInfos=[
            {"actionType": "PUBLISH", "resources": [arn(f"topic/{topic}")]}], **more)["authResults"][0]

    yes = ask("a", clientId="x")
    assert yes["authDecision"] == "ALLOWED" and yes["missingContextValues"] == []
    assert [p["policyName"] for p in yes["allowed"]["policies"]] == [device.policy]
    assert yes["allowed"]["policies"][0]["policyArn"] == arn(f"policy/{device.policy}")
    silent = ask("b")
    assert silent["authDecision"] == "IMPLICIT_DENY"
    assert [p["policyName"] for p in silent["denied"]["implicitDeny"]["policies"]] == [device.policy]
    missing = ask("t/x")
    assert missing["authDecision"] == "IMPLICIT_DENY" and missing["missingContextValues"] == ["iot:ClientId"]
    assert ask("t/x", clientId="x")["authDecision"] == "ALLOWED"
    no = ask("no", policyNamesToAdd=[f"{name}-deny"])
    assert no["authDecision"] == "EXPLICIT_DENY"
    assert [p["policyName"] for p in no["denied"]["explicitDeny"]["policies"]] == [f"{name}-deny"]
    assert ask("a", policyNamesToSkip=[device.policy])["authDecision"] == "IMPLICIT_DENY"
    both = iot.test_authorization(principal=device.cert_arn, authInfos=[
        {"actionType": "PUBLISH", "resources": [arn("topic/a"), arn("topic/b")]},
        {"actionType": "SUBSCRIBE", "resources": [arn("topicfilter/a")]}])["authResults"]
    assert [result["authDecision"] for result in both] == ["IMPLICIT_DENY", "IMPLICIT_DENY"]


@pytest.mark.parametrize("lines, line, reason", [
    (['{', ' "Version": "2012-10-17",', ' "Statement": [{', '  "Effect": "Allow",', '  "Action": "iot:Connect",',
      '  "Resorce": "*"}]}'], 6, "unknown element Resorce"),
    (['{"Version": "2012-10-17",', '"Statement": [{"Effect": "Maybe", "Action": "iot:Connect", "Resource": "*"}]}'], 2, "Maybe"),
    (['{"Version": "2012-10-17",', '"Statement": [{"Effect": "Allow",', '"Action": "Connect", "Resource": "*"}]}'], 3,
     "prefaced by a vendor"),
    (['{"Version": "2013-10-17",', '"Statement": [{"Effect": "Allow", "Action": "iot:*", "Resource": "*"}]}'], 1, "version"),
    (['{"Version": "2012-10-17",', '"Statement": [{"Effect": "Allow", "Action": "iot:*",', '"Resource": "topic/a"}]}'], 3,
     "topic/a"),
    (['{"Version": "2012-10-17",', '"Statement": [', '}'], 3, "not JSON"),
])
def test_a_document_is_refused_with_line_and_reason(iot, name, fails, lines, line, reason):
    document = "\n".join(lines)
    good = json.dumps(ALLOW_ALL)
    code, status, message = fails(iot.create_policy, policyName=name, policyDocument=document)
    assert (code, status) == ("MalformedPolicyException", 400)
    assert message.startswith("Policy document is Malformed: ") and f"(line {line})" in message and reason in message
    iot.create_policy(policyName=name, policyDocument=good)
    assert fails(iot.create_policy_version, policyName=name, policyDocument=document)[2] == message
    assert json.loads(iot.get_policy(policyName=name)["policyDocument"]) == ALLOW_ALL
    assert iot.get_policy(policyName=name)["policyArn"] == f"arn:aws:iot:{REGION}:{ACCOUNT}:policy/{name}"
