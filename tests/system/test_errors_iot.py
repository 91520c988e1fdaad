"""The errors that operations of IoT Core declare, each got by boto3: code, status and what the message says.
Source: botocore's iot model for code and status; which operations answer nothing for what is not there: API reference."""
import json

import pytest
from conftest import ALLOW_ALL, arn
from support import x509
from support.keys import make_key
from support.server import ACCOUNT, REGION

NO_CERT = "0123456789abcdef" * 4
NO_CERT_ARN = arn(f"cert/{NO_CERT}")
FUNCTION = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:any"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/any"
RULE = {"sql": "SELECT * FROM 'x'", "actions": [{"republish": {"roleArn": ROLE, "topic": "y"}}]}
TEXT = json.dumps(ALLOW_ALL)
NOT_FOUND, EXISTS, LIMIT = ("ResourceNotFoundException", 404), ("ResourceAlreadyExistsException", 409), ("LimitExceededException", 410)
CONFLICT, INVALID, VERSION = ("DeleteConflictException", 409), ("InvalidRequestException", 400), ("VersionConflictException", 409)


@pytest.fixture(scope="module")
def tenant(server):
    """An account of this file's own: what fills an account up stands in nobody's way."""
    return server.client("iot", *make_key(server, account="444455556666"))


@pytest.fixture
def have(iot, name):
    """What a case needs beside what is missing: a thing and a certificate."""
    iot.create_thing(thingName=name)
    return iot.create_keys_and_certificate()["certificateArn"]


MISSING = [  # operation, arguments ({n}: a name that nothing has, {here}: a thing that is there, {cert}: a certificate), words
    ("add_thing_to_billing_group", {"billingGroupName": "{n}", "thingName": "{here}"}, "{n}"),
    ("add_thing_to_billing_group", {"billingGroupName": "{n}", "thingName": "{n}-t"}, "{n}-t"),
    ("remove_thing_from_billing_group", {"billingGroupName": "{n}", "thingName": "{here}"}, "{n}"),
    ("list_things_in_billing_group", {"billingGroupName": "{n}"}, "{n}"),
    ("describe_billing_group", {"billingGroupName": "{n}"}, "{n}"),
    ("update_billing_group", {"billingGroupName": "{n}", "billingGroupProperties": {}}, "{n}"),
    ("add_thing_to_thing_group", {"thingGroupName": "{n}", "thingName": "{here}"}, "{n}"),
    ("remove_thing_from_thing_group", {"thingGroupName": "{n}", "thingName": "{here}"}, "{n}"),
    ("list_things_in_thing_group", {"thingGroupName": "{n}"}, "{n}"),
    ("list_thing_groups_for_thing", {"thingName": "{n}"}, "{n}"),
    ("update_thing_groups_for_thing", {"thingName": "{n}", "thingGroupsToAdd": ["x"]}, "{n}"),
    ("update_thing_group", {"thingGroupName": "{n}", "thingGroupProperties": {}}, "{n}"),
    ("describe_thing_group", {"thingGroupName": "{n}"}, "{n}"),
    ("create_thing_group", {"thingGroupName": "{n}-c", "parentGroupName": "{n}"}, "{n}"),
    ("create_thing", {"thingName": "{n}", "thingTypeName": "{n}-y"}, "{n}-y"),
    ("create_thing", {"thingName": "{n}", "billingGroupName": "{n}-b"}, "{n}-b"),
    ("update_thing", {"thingName": "{n}"}, "{n}"),
    ("update_thing", {"thingName": "{here}", "thingTypeName": "{n}-y"}, "{n}-y"),
    ("describe_thing", {"thingName": "{n}"}, "{n}"),
    ("get_thing_connectivity_data", {"thingName": "{n}"}, "{n}"),
    ("describe_thing_type", {"thingTypeName": "{n}"}, "{n}"),
    ("deprecate_thing_type", {"thingTypeName": "{n}"}, "{n}"),
    ("update_thing_type", {"thingTypeName": "{n}", "thingTypeProperties": {}}, "{n}"),
    ("delete_thing_type", {"thingTypeName": "{n}"}, "{n}"),
    ("attach_thing_principal", {"thingName": "{n}", "principal": "{cert}"}, "{n}"),
    ("detach_thing_principal", {"thingName": "{n}", "principal": "{cert}"}, "{n}"),
    ("detach_thing_principal", {"thingName": "{here}", "principal": NO_CERT_ARN}, "certificate"),
    ("list_thing_principals", {"thingName": "{n}"}, "{n}"),
    ("list_thing_principals_v2", {"thingName": "{n}"}, "{n}"),
    ("list_principal_things", {"principal": NO_CERT_ARN}, "certificate"),
    ("list_principal_things_v2", {"principal": NO_CERT_ARN}, "certificate"),
    ("get_policy", {"policyName": "{n}"}, "Policy default version not found"),
    ("get_policy_version", {"policyName": "{n}", "policyVersionId": "1"}, "{n}"),
    ("create_policy_version", {"policyName": "{n}", "policyDocument": TEXT}, "{n}"),
    ("delete_policy", {"policyName": "{n}"}, "{n}"),
    ("delete_policy_version", {"policyName": "{n}", "policyVersionId": "1"}, "{n}"),
    ("set_default_policy_version", {"policyName": "{n}", "policyVersionId": "1"}, "{n}"),
    ("list_policy_versions", {"policyName": "{n}"}, "{n}"),
    ("attach_policy", {"policyName": "{n}", "target": "{cert}"}, "{n}"),
    ("attach_principal_policy", {"policyName": "{n}", "principal": "{cert}"}, "{n}"),
    ("detach_principal_policy", {"policyName": "{n}", "principal": "{cert}"}, "{n}"),
    ("list_attached_policies", {"target": NO_CERT_ARN}, "certificate"),
    ("list_attached_policies", {"target": arn("thinggroup/{n}")}, "{n}"),
    ("list_principal_policies", {"principal": NO_CERT_ARN}, "certificate"),
    ("list_policy_principals", {"policyName": "{n}"}, "{n}"),
    ("list_targets_for_policy", {"policyName": "{n}"}, "{n}"),
    ("get_effective_policies", {"principal": NO_CERT_ARN}, "certificate"),
    ("get_effective_policies", {"thingName": "{n}"}, "{n}"),
    ("test_authorization", {"principal": NO_CERT_ARN, "authInfos": [{"actionType": "CONNECT", "resources": [arn("client/a")]}]},
     "certificate"),
    ("test_authorization", {"principal": "{cert}", "policyNamesToAdd": ["{n}"],
                            "authInfos": [{"actionType": "CONNECT", "resources": [arn("client/a")]}]}, "{n}"),
    ("describe_certificate", {"certificateId": NO_CERT}, NO_CERT),
    ("update_certificate", {"certificateId": NO_CERT, "newStatus": "INACTIVE"}, NO_CERT),
    ("delete_certificate", {"certificateId": NO_CERT}, NO_CERT),
    ("transfer_certificate", {"certificateId": NO_CERT, "targetAwsAccount": "222233334444"}, NO_CERT),
    ("accept_certificate_transfer", {"certificateId": NO_CERT}, NO_CERT),
    ("reject_certificate_transfer", {"certificateId": NO_CERT}, NO_CERT),
    ("cancel_certificate_transfer", {"certificateId": NO_CERT}, NO_CERT),
    ("describe_ca_certificate", {"certificateId": NO_CERT}, NO_CERT),
    ("update_ca_certificate", {"certificateId": NO_CERT, "newStatus": "INACTIVE"}, NO_CERT),
    ("delete_ca_certificate", {"certificateId": NO_CERT}, NO_CERT),
    ("describe_role_alias", {"roleAlias": "{n}"}, "{n}"),
    ("update_role_alias", {"roleAlias": "{n}", "credentialDurationSeconds": 900}, "{n}"),
    ("delete_role_alias", {"roleAlias": "{n}"}, "{n}"),
    ("describe_authorizer", {"authorizerName": "{n}"}, "{n}"),
    ("update_authorizer", {"authorizerName": "{n}", "status": "INACTIVE"}, "{n}"),
    ("delete_authorizer", {"authorizerName": "{n}"}, "{n}"),
    ("set_default_authorizer", {"authorizerName": "{n}"}, "{n}"),
    ("test_invoke_authorizer", {"authorizerName": "{n}"}, "{n}"),
    ("describe_certificate_provider", {"certificateProviderName": "{n}"}, "{n}"),
    ("update_certificate_provider", {"certificateProviderName": "{n}", "lambdaFunctionArn": FUNCTION}, "{n}"),
    ("delete_certificate_provider", {"certificateProviderName": "{n}"}, "{n}"),
    ("describe_domain_configuration", {"domainConfigurationName": "{n}"}, "{n}"),
    ("update_domain_configuration", {"domainConfigurationName": "{n}", "domainConfigurationStatus": "DISABLED"}, "{n}"),
    ("delete_domain_configuration", {"domainConfigurationName": "{n}"}, "{n}"),
    ("tag_resource", {"resourceArn": arn("billinggroup/{n}"), "tags": [{"Key": "a", "Value": "b"}]}, "{n}"),
    ("untag_resource", {"resourceArn": arn("policy/{n}"), "tagKeys": ["a"]}, "{n}"),
    ("list_tags_for_resource", {"resourceArn": arn("thinggroup/{n}")}, "{n}"),
]


def filled(value, words):
    """value with {n}, {here} and {cert} replaced; a policy's braces are left alone."""
    if isinstance(value, str):
        for word, text in words.items():
            value = value.replace(word, text)
        return value
    if isinstance(value, list):
        return [filled(v, words) for v in value]
    return {k: filled(v, words) for k, v in value.items()} if isinstance(value, dict) else value


@pytest.mark.parametrize("operation, arguments, words", MISSING, ids=[f"{m[0]}-{'-'.join(m[1])}" for m in MISSING])
def test_what_is_not_there(iot, fails, name, have, operation, arguments, words):
    fill = {"{n}": f"{name}-none", "{here}": name, "{cert}": have}
    code, status, message = fails(getattr(iot, operation), **filled(arguments, fill))
    assert (code, status) == NOT_FOUND, message
    assert filled(words, fill) in message


@pytest.mark.parametrize("operation, arguments", [
    ("delete_thing", {"thingName": "nothing-of-the-kind"}),
    ("delete_thing_group", {"thingGroupName": "nothing-of-the-kind"}),
    ("delete_billing_group", {"billingGroupName": "nothing-of-the-kind"}),
])
def test_what_may_be_deleted_twice(iot, operation, arguments):
    """Source: DeleteThing, DeleteThingGroup, DeleteBillingGroup: "Returns successfully … or you specify one that doesn't exist"."""
    assert getattr(iot, operation)(**arguments)["ResponseMetadata"]["HTTPStatusCode"] == 200


OLD = [
    ("create_thing", "thingName", {"attributePayload": {"attributes": {"a": "1"}}}, {"attributePayload": {"attributes": {"a": "2"}}}),
    ("create_thing_group", "thingGroupName", {}, {"thingGroupProperties": {"thingGroupDescription": "other"}}),
    ("create_thing_type", "thingTypeName", {}, {"thingTypeProperties": {"thingTypeDescription": "other"}}),
    ("create_billing_group", "billingGroupName", {}, {"billingGroupProperties": {"billingGroupDescription": "other"}}),
    ("create_policy", "policyName", {"policyDocument": TEXT}, {"policyDocument": TEXT}),
    ("create_role_alias", "roleAlias", {"roleArn": ROLE}, {"roleArn": ROLE}),
    ("create_authorizer", "authorizerName", {"authorizerFunctionArn": FUNCTION, "signingDisabled": True},
     {"authorizerFunctionArn": FUNCTION, "signingDisabled": True}),
]


@pytest.mark.parametrize("operation, key, first, second", OLD, ids=[o[0] for o in OLD])
def test_a_name_that_is_taken(iot, fails, name, operation, key, first, second):
    make = getattr(iot, operation)
    make(**{key: name}, **first)
    code, status, message = fails(make, **{key: name}, **second)
    assert (code, status) == EXISTS and name in message


def test_a_rule_whose_name_is_taken_and_one_that_is_none(iot, fails, name):
    rule = name.replace("-", "_")
    iot.create_topic_rule(ruleName=rule, topicRulePayload=RULE)
    code, status, message = fails(iot.create_topic_rule, ruleName=rule, topicRulePayload=RULE)
    assert (code, status) == EXISTS and rule in message
    for call, payload in ((iot.create_topic_rule, f"{rule}_2"), (iot.replace_topic_rule, rule)):
        code, status, message = fails(call, ruleName=payload, topicRulePayload={**RULE, "sql": "SELECT FROM WHERE"})
        assert (code, status) == ("SqlParseException", 400) and "FROM" in message


def test_one_certificate_provider_an_account(tenant, fails, name):
    provider = {"lambdaFunctionArn": FUNCTION.replace(ACCOUNT, "444455556666"), "accountDefaultForOperations": ["CreateCertificateFromCsr"]}
    tenant.create_certificate_provider(certificateProviderName="one", **provider)
    code, status, message = fails(tenant.create_certificate_provider, certificateProviderName="one", **provider)
    assert (code, status) == EXISTS and "one" in message
    code, status, message = fails(tenant.create_certificate_provider, certificateProviderName="two", **provider)
    assert (code, status) == LIMIT and "one at most" in message
    tenant.delete_certificate_provider(certificateProviderName="one")
    tenant.create_certificate_provider(certificateProviderName="two", **provider)
    tenant.delete_certificate_provider(certificateProviderName="two")


def test_an_accounts_role_aliases_and_authorizers_are_a_hundred(tenant, fails):
    """Source: AWS General Reference, AWS IoT Core quotas."""
    role = ROLE.replace(ACCOUNT, "444455556666")
    function = FUNCTION.replace(ACCOUNT, "444455556666")
    made = {"r": lambda n: tenant.create_role_alias(roleAlias=n, roleArn=role),
            "a": lambda n: tenant.create_authorizer(authorizerName=n, authorizerFunctionArn=function, signingDisabled=True,
                                                    status="INACTIVE")}
    for kind, make in made.items():
        for i in range(100):
            make(f"{kind}{i}")
        code, status, message = fails(lambda: make(f"{kind}-more"))
        assert (code, status) == LIMIT and "100" in message
    assert sorted(pages(tenant.list_role_aliases, "roleAliases", pageSize=40)) == sorted(f"r{i}" for i in range(100))
    names = [a["authorizerName"] for a in pages(tenant.list_authorizers, "authorizers", pageSize=40)]
    assert sorted(names) == sorted(f"a{i}" for i in range(100))
    for i in range(32):
        tenant.update_authorizer(authorizerName=f"a{i}", status="ACTIVE")
    code, status, message = fails(tenant.update_authorizer, authorizerName="a32", status="ACTIVE")
    assert (code, status) == LIMIT and "32 authorizers are active" in message
    assert fails(tenant.delete_authorizer, authorizerName="a1")[:2] == CONFLICT
    tenant.set_default_authorizer(authorizerName="a2")
    code, status, message = fails(tenant.set_default_authorizer, authorizerName="a3")
    assert (code, status) == EXISTS and "a2" in message
    tenant.clear_default_authorizer()
    assert fails(tenant.clear_default_authorizer)[:2] == NOT_FOUND
    assert fails(tenant.describe_default_authorizer)[:2] == NOT_FOUND


def pages(call, member, **arguments):
    """All items of a list that goes by marker."""
    found, token = [], {}
    while True:
        page = call(**arguments, **token)
        found += page[member]
        if not page.get("nextMarker"):
            return found
        token = {"marker": page["nextMarker"]}


def test_ten_policies_a_certificate(iot, fails, name):
    cert = iot.create_keys_and_certificate()["certificateArn"]
    for i in range(11):
        iot.create_policy(policyName=f"{name}-{i}", policyDocument=TEXT)
    for i in range(10):
        iot.attach_policy(policyName=f"{name}-{i}", target=cert)
    for call, key in ((iot.attach_policy, "target"), (iot.attach_principal_policy, "principal")):
        code, status, message = fails(call, policyName=f"{name}-10", **{key: cert})
        assert (code, status) == LIMIT and cert in message and "(10)" in message
    code, status, message = fails(iot.delete_policy, policyName=f"{name}-0")
    assert (code, status) == CONFLICT and "attached" in message


def test_a_policys_versions_are_five_and_its_default_stays(iot, fails, name):
    iot.create_policy(policyName=name, policyDocument=TEXT)
    for _ in range(4):
        iot.create_policy_version(policyName=name, policyDocument=TEXT)
    code, status, message = fails(iot.create_policy_version, policyName=name, policyDocument=TEXT)
    assert (code, status) == ("VersionsLimitExceededException", 409) and "(5)" in message
    code, status, message = fails(iot.delete_policy_version, policyName=name, policyVersionId="1")
    assert status in (400, 409) and "default version" in message
    code, status, message = fails(iot.delete_policy, policyName=name)
    assert (code, status) == CONFLICT and "versions" in message
    code, status, message = fails(iot.set_default_policy_version, policyName=name, policyVersionId="9")
    assert (code, status) == NOT_FOUND and "9" in message
    for document in ("{}", "x", '{"Version":"2012-10-17","Statement":[{"Effect":"Permit","Action":"iot:*","Resource":"*"}]}'):
        for call, more in ((iot.create_policy, {"policyName": f"{name}-2"}),
                           (iot.create_policy_version, {"policyName": name})):
            code, status, _ = fails(call, policyDocument=document, **more)
            assert code in ("MalformedPolicyException", "VersionsLimitExceededException") and status in (400, 409)


def test_versions_of_what_has_them(iot, fails, name):
    iot.create_thing(thingName=name)
    iot.create_billing_group(billingGroupName=name)
    iot.create_thing_group(thingGroupName=name)
    cases = ((iot.update_thing, {"thingName": name}), (iot.delete_thing, {"thingName": name}),
             (iot.update_billing_group, {"billingGroupName": name, "billingGroupProperties": {"billingGroupDescription": "x"}}),
             (iot.delete_billing_group, {"billingGroupName": name}),
             (iot.update_thing_group, {"thingGroupName": name, "thingGroupProperties": {"thingGroupDescription": "x"}}),
             (iot.delete_thing_group, {"thingGroupName": name}))
    for call, arguments in cases:
        code, status, message = fails(call, expectedVersion=7, **arguments)
        assert (code, status) == VERSION and "7" in message
    for call, arguments in cases[::2]:
        assert call(expectedVersion=1, **arguments).get("version", 2) == 2
    for call, arguments in cases[1::2]:
        call(expectedVersion=2, **arguments)


def test_the_registration_code_is_there_or_not(server, fails):
    alone = server.client("iot", *make_key(server, account="444455557777"))
    code, status, message = fails(alone.delete_registration_code)
    assert (code, status) == NOT_FOUND and "registration code" in message
    first = alone.get_registration_code()["registrationCode"]
    assert alone.get_registration_code()["registrationCode"] == first
    alone.delete_registration_code()
    assert alone.get_registration_code()["registrationCode"] != first


class TestCertificates:
    def registered(self, iot, name, subject=None):
        """A CA in SNI_ONLY mode and what signs with it."""
        key = x509.new_key()
        ca = x509.certificate(subject or name, key, ca=True)
        made = iot.register_ca_certificate(caCertificate=x509.cert_pem(ca), certificateMode="SNI_ONLY", setAsActive=True)
        return ca, key, made["certificateId"]

    def test_twice_is_once_too_often(self, iot, fails, name):
        ca, key, _ = self.registered(iot, name)
        pem = x509.cert_pem(x509.certificate(f"{name}-d", x509.new_key(), ca, key))
        made = iot.register_certificate(certificatePem=pem)
        for call in (iot.register_certificate, iot.register_certificate_without_ca):
            code, status, message = fails(call, certificatePem=pem)
            assert (code, status) == EXISTS and "already" in message
        answer = iot.describe_certificate(certificateId=made["certificateId"])["certificateDescription"]
        assert (answer["status"], answer["certificateMode"]) == ("INACTIVE", "SNI_ONLY")
        code, status, _ = fails(iot.register_ca_certificate, caCertificate=x509.cert_pem(ca), certificateMode="SNI_ONLY")
        assert (code, status) == EXISTS

    def test_two_cas_of_one_name_must_be_told_apart(self, iot, fails, name):
        """Source: RegisterCertificate, CertificateConflictException."""
        self.registered(iot, name)
        ca, key, _ = self.registered(iot, name)
        pem = x509.cert_pem(x509.certificate(f"{name}-d", x509.new_key(), ca, key))
        code, status, message = fails(iot.register_certificate, certificatePem=pem)
        assert (code, status) == ("CertificateConflictException", 409) and "caCertificatePem" in message
        assert iot.register_certificate(certificatePem=pem, caCertificatePem=x509.cert_pem(ca))["certificateId"]

    def test_ten_cas_of_one_name(self, tenant, fails, name):
        for _ in range(10):
            self.registered(tenant, name)
        ca = x509.certificate(name, x509.new_key(), ca=True)
        code, status, message = fails(tenant.register_ca_certificate, caCertificate=x509.cert_pem(ca), certificateMode="SNI_ONLY")
        assert (code, status) == LIMIT and name[:64] in message

    def test_an_active_ca_is_not_deleted(self, iot, fails, name):
        _, _, ca_id = self.registered(iot, name)
        code, status, message = fails(iot.delete_ca_certificate, certificateId=ca_id)
        assert (code, status) == ("CertificateStateException", 406) and ca_id in message
        iot.update_ca_certificate(certificateId=ca_id, newStatus="INACTIVE")
        iot.delete_ca_certificate(certificateId=ca_id)
        assert fails(iot.describe_ca_certificate, certificateId=ca_id)[:2] == NOT_FOUND


def test_a_billing_group_and_its_things(iot, name, fails):
    """Create, read back, list in pages, change with and without conflict, delete, read again."""
    made = iot.create_billing_group(billingGroupName=name, billingGroupProperties={"billingGroupDescription": "first"},
                                    tags=[{"Key": "a", "Value": "b"}])
    assert made["billingGroupArn"] == arn(f"billinggroup/{name}") and made["billingGroupName"] == name
    things = [f"{name}-{i}" for i in range(3)]
    for thing in things:
        iot.create_thing(thingName=thing)
    iot.add_thing_to_billing_group(billingGroupName=name, thingName=things[0])
    iot.add_thing_to_billing_group(billingGroupArn=made["billingGroupArn"], thingArn=arn(f"thing/{things[1]}"))
    iot.add_thing_to_billing_group(billingGroupName=name, thingName=things[2])
    iot.add_thing_to_billing_group(billingGroupName=name, thingName=things[2])  # is there already
    assert iot.describe_thing(thingName=things[1])["billingGroupName"] == name
    first = iot.list_things_in_billing_group(billingGroupName=name, maxResults=2)
    second = iot.list_things_in_billing_group(billingGroupName=name, maxResults=2, nextToken=first["nextToken"])
    assert (first["things"], second["things"]) == (things[:2], things[2:]) and "nextToken" not in second
    other = f"{name}-other"
    iot.create_billing_group(billingGroupName=other)
    code, status, message = fails(iot.add_thing_to_billing_group, billingGroupName=other, thingName=things[0])
    assert (code, status) == INVALID and name in message
    code, status, message = fails(iot.add_thing_to_billing_group, billingGroupName=other)
    assert (code, status) == INVALID and "thing" in message
    assert iot.update_billing_group(billingGroupName=name, expectedVersion=1,
                                    billingGroupProperties={"billingGroupDescription": "second"})["version"] == 2
    assert fails(iot.update_billing_group, billingGroupName=name, expectedVersion=1, billingGroupProperties={})[:2] == VERSION
    seen = iot.describe_billing_group(billingGroupName=name)
    assert seen["billingGroupProperties"] == {"billingGroupDescription": "second"} and seen["version"] == 2
    assert seen["billingGroupMetadata"]["creationDate"] and seen["billingGroupId"] == made["billingGroupId"]
    iot.remove_thing_from_billing_group(billingGroupName=name, thingName=things[0])
    iot.remove_thing_from_billing_group(billingGroupArn=made["billingGroupArn"], thingArn=arn(f"thing/{things[0]}"))  # is out
    assert iot.list_things_in_billing_group(billingGroupName=name)["things"] == things[1:]
    iot.delete_billing_group(billingGroupName=name, expectedVersion=2)
    assert "billingGroupName" not in iot.describe_thing(thingName=things[2])
    assert fails(iot.describe_billing_group, billingGroupName=name)[:2] == NOT_FOUND


def test_a_thousand_logging_levels(tenant, fails):
    tenant.set_v2_logging_options(roleArn=ROLE.replace(ACCOUNT, "444455556666"), defaultLogLevel="ERROR")
    for i in range(1000):
        tenant.set_v2_logging_level(logTarget={"targetType": "CLIENT_ID", "targetName": f"c{i}"}, logLevel="INFO")
    target = {"targetType": "CLIENT_ID", "targetName": "one-more"}
    code, status, message = fails(tenant.set_v2_logging_level, logTarget=target, logLevel="INFO")
    assert (code, status) == LIMIT and "1000" in message
    seen, token = [], {}
    while token is not None:
        page = tenant.list_v2_logging_levels(targetType="CLIENT_ID", maxResults=250, **token)
        seen += [level["logTarget"]["targetName"] for level in page["logTargetConfigurations"]]
        token = {"nextToken": page["nextToken"]} if "nextToken" in page else None
    assert sorted(seen) == sorted(f"c{i}" for i in range(1000))
    tenant.set_v2_logging_level(logTarget={"targetType": "CLIENT_ID", "targetName": "c7"}, logLevel="DEBUG")
    tenant.delete_v2_logging_level(targetType="CLIENT_ID", targetName="c7")
    tenant.set_v2_logging_level(logTarget=target, logLevel="INFO")


def test_what_a_data_plane_refuses(server, data, fails, name, connect, tmp_path):
    connect(name).subscribe(f"{name}/t", qos=1)
    nobody = server.client("iot-data", *make_key(server, {"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Action": "iot:Publish", "Resource": "*"}]}, folder=tmp_path))
    code, status, _ = fails(nobody.delete_connection, clientId=name)
    assert (code, status) == ("ForbiddenException", 403)
    assert data.get_connection(clientId=name)["connected"]
    code, status, message = fails(data.send_direct_message, clientId=name, topic=f"{name}/t", payload=b"x" * (128 * 1024 + 1))
    assert (code, status) == ("RequestEntityTooLargeException", 413) and "131072" in message
