"""What HashiCorp's AWS provider of today calls for each aws_iot_ resource: create, read, update, delete, and which errors it
goes by. (`./dev terraform` runs the provider itself, an older one.)
Source: hashicorp/terraform-provider-aws, internal/service/iot; each class names its file there."""
import datetime
import json

import pytest
from conftest import ALLOW_ALL, arn
from support import functions, x509
from support.keys import make_key
from support.server import ACCOUNT, Server

ROLE = f"arn:aws:iam::{ACCOUNT}:role/any"
TAGS = [{"Key": "made", "Value": "by Terraform"}]
MORE = [{"Key": "made", "Value": "anew"}, {"Key": "k", "Value": "v"}]


@pytest.fixture
def gone(fails):
    """The provider takes this one error, and no other, as: it is not there."""
    def check(call, **arguments):
        assert fails(call, **arguments)[:2] == ("ResourceNotFoundException", 404)
    return check


def retag(iot, resource, before, after):
    """tags_gen.go: lists, removes what is gone, then gives what is new."""
    listed = iot.list_tags_for_resource(resourceArn=resource)
    assert sorted(listed["tags"], key=str) == sorted(before, key=str) and "nextToken" not in listed
    removed = [t["Key"] for t in before if t["Key"] not in {a["Key"] for a in after}]
    if removed:
        iot.untag_resource(resourceArn=resource, tagKeys=removed)
    iot.tag_resource(resourceArn=resource, tags=after)
    assert sorted(iot.list_tags_for_resource(resourceArn=resource)["tags"], key=str) == sorted(after, key=str)


def test_thing(iot, name, gone):
    """thing.go: an attribute or a type that is left out is removed by an update."""
    iot.create_thing_type(thingTypeName=name)
    made = iot.create_thing(thingName=name, thingTypeName=name, attributePayload={"attributes": {"a": "1", "b": "2"}})
    assert made["thingName"] == name
    iot.update_thing(thingName=name, attributePayload={"attributes": {"a": "3"}}, removeThingType=True)
    seen = iot.describe_thing(thingName=name)
    assert (seen["attributes"], seen["version"], seen["defaultClientId"]) == ({"a": "3"}, 2, name) and "thingTypeName" not in seen
    iot.update_thing(thingName=name, attributePayload={"attributes": {}})
    assert iot.describe_thing(thingName=name)["attributes"] == {}
    iot.delete_thing(thingName=name)
    gone(iot.describe_thing, thingName=name)


def test_thing_type(iot, name, gone, fails):
    """thing_type.go: deprecates, then tries to delete for six minutes while the message says to wait."""
    made = iot.create_thing_type(thingTypeName=name, tags=TAGS, thingTypeProperties={"thingTypeDescription": "d", "searchableAttributes": ["x"]})
    retag(iot, made["thingTypeArn"], TAGS, MORE)
    iot.deprecate_thing_type(thingTypeName=name, undoDeprecate=False)
    assert iot.describe_thing_type(thingTypeName=name)["thingTypeMetadata"]["deprecated"] is True
    iot.deprecate_thing_type(thingTypeName=name, undoDeprecate=True)
    assert iot.describe_thing_type(thingTypeName=name)["thingTypeMetadata"]["deprecated"] is False
    iot.deprecate_thing_type(thingTypeName=name)
    code, _, message = fails(iot.delete_thing_type, thingTypeName=name)
    assert code == "InvalidRequestException" and "Please wait for 5 minutes after deprecation and then retry" in message


def test_thing_type_is_deleted_after_the_wait(tmp_path, name):
    own = Server(tmp_path / "data", ("--test", "--ephemeral")).start()
    try:
        iot = own.client("iot")
        iot.create_thing_type(thingTypeName=name)
        iot.deprecate_thing_type(thingTypeName=name)
        own.advance(301)
        iot.delete_thing_type(thingTypeName=name)
        with pytest.raises(iot.exceptions.ResourceNotFoundException):
            iot.delete_thing_type(thingTypeName=name)
    finally:
        own.stop()


def test_thing_group(iot, name, gone):
    """thing_group.go: reads the version, updates with it as expectedVersion, deletes until things and groups are out."""
    iot.create_thing_group(thingGroupName=f"{name}-root")
    made = iot.create_thing_group(thingGroupName=name, parentGroupName=f"{name}-root", tags=TAGS, thingGroupProperties={
        "thingGroupDescription": "d", "attributePayload": {"attributes": {"a": "1"}}})
    seen = iot.describe_thing_group(thingGroupName=name)
    assert seen["thingGroupMetadata"]["parentGroupName"] == f"{name}-root" and seen["thingGroupArn"] == made["thingGroupArn"]
    assert seen["thingGroupMetadata"]["rootToParentThingGroups"] == [
        {"groupName": f"{name}-root", "groupArn": arn(f"thinggroup/{name}-root")}]
    iot.update_thing_group(thingGroupName=name, expectedVersion=seen["version"], thingGroupProperties={
        "thingGroupDescription": "e", "attributePayload": {"attributes": {}}})
    after = iot.describe_thing_group(thingGroupName=name)
    assert after["version"] == seen["version"] + 1 and after["thingGroupProperties"]["thingGroupDescription"] == "e"
    retag(iot, made["thingGroupArn"], TAGS, MORE)
    iot.delete_thing_group(thingGroupName=name)
    gone(iot.describe_thing_group, thingGroupName=name)


def test_thing_group_with_children_is_not_deleted_yet(iot, name, fails):
    """thing_group.go tries again while the message says that there are still child groups attached."""
    iot.create_thing_group(thingGroupName=name)
    iot.create_thing_group(thingGroupName=f"{name}-c", parentGroupName=name)
    code, _, message = fails(iot.delete_thing_group, thingGroupName=name)
    assert code == "InvalidRequestException" and "there are still child groups attached" in message
    iot.delete_thing_group(thingGroupName=f"{name}-c")
    iot.delete_thing_group(thingGroupName=name)


def test_thing_group_membership(iot, name, gone):
    """thing_group_membership.go: looks among the thing's groups."""
    iot.create_thing(thingName=name)
    iot.create_thing_group(thingGroupName=name)
    iot.add_thing_to_thing_group(thingGroupName=name, thingName=name, overrideDynamicGroups=False)
    groups = lambda: [g["groupName"] for p in iot.get_paginator("list_thing_groups_for_thing").paginate(thingName=name) for g in p["thingGroups"]]  # noqa: E731
    assert groups() == [name]
    iot.remove_thing_from_thing_group(thingGroupName=name, thingName=name)
    assert groups() == []
    gone(iot.list_thing_groups_for_thing, thingName=f"{name}-none")
    gone(iot.remove_thing_from_thing_group, thingGroupName=f"{name}-none", thingName=name)


def test_thing_principal_attachment(iot, name, gone):
    """thing_principal_attachment.go: walks ListThingPrincipalsV2."""
    iot.create_thing(thingName=name)
    principal = iot.create_keys_and_certificate(setAsActive=True)["certificateArn"]
    iot.attach_thing_principal(thingName=name, principal=principal, thingPrincipalType="EXCLUSIVE_THING")
    seen = [o for p in iot.get_paginator("list_thing_principals_v2").paginate(thingName=name) for o in p["thingPrincipalObjects"]]
    assert seen == [{"principal": principal, "thingPrincipalType": "EXCLUSIVE_THING"}]
    iot.detach_thing_principal(thingName=name, principal=principal)
    assert iot.list_thing_principals_v2(thingName=name)["thingPrincipalObjects"] == []
    gone(iot.detach_thing_principal, thingName=f"{name}-none", principal=principal)


def test_policy(iot, name, gone, fails):
    """policy.go: at five versions the oldest that is not the default goes; a delete takes the versions first."""
    made = iot.create_policy(policyName=name, policyDocument=json.dumps(ALLOW_ALL), tags=TAGS)
    for _ in range(4):
        iot.create_policy_version(policyName=name, policyDocument=json.dumps(ALLOW_ALL), setAsDefault=True)
    code, _, message = fails(iot.create_policy_version, policyName=name, policyDocument=json.dumps(ALLOW_ALL), setAsDefault=True)
    assert code == "VersionsLimitExceededException" and message == f"The policy {name} already has the maximum number of versions (5)"
    versions = iot.list_policy_versions(policyName=name)["policyVersions"]
    oldest = sorted(int(v["versionId"]) for v in versions if not v["isDefaultVersion"])[0]
    iot.delete_policy_version(policyName=name, policyVersionId=str(oldest))
    iot.create_policy_version(policyName=name, policyDocument=json.dumps(ALLOW_ALL), setAsDefault=True)
    assert iot.get_policy(policyName=name)["defaultVersionId"] == "6"
    retag(iot, made["policyArn"], TAGS, MORE)
    assert fails(iot.delete_policy, policyName=name)[0] == "DeleteConflictException"
    for v in iot.list_policy_versions(policyName=name)["policyVersions"]:
        if not v["isDefaultVersion"]:
            iot.delete_policy_version(policyName=name, policyVersionId=v["versionId"])
    iot.delete_policy(policyName=name)
    for call in (iot.get_policy, iot.list_policy_versions, iot.delete_policy):
        gone(call, policyName=name)


def test_policy_attachment(iot, name, gone):
    """policy_attachment.go: ListAttachedPolicies by 250; a certificate and a group are targets."""
    iot.create_policy(policyName=name, policyDocument=json.dumps(ALLOW_ALL))
    group = iot.create_thing_group(thingGroupName=name)["thingGroupArn"]
    for target in (iot.create_keys_and_certificate()["certificateArn"], group):
        iot.attach_policy(policyName=name, target=target)
        seen = iot.list_attached_policies(target=target, recursive=False, pageSize=250)
        assert seen["policies"] == [{"policyName": name, "policyArn": arn(f"policy/{name}")}]
        iot.detach_policy(policyName=name, target=target)
        assert iot.list_attached_policies(target=target, pageSize=250)["policies"] == []
    gone(iot.list_attached_policies, target=arn(f"thinggroup/{name}-none"), pageSize=250)


@pytest.mark.parametrize("way", ["keys", "csr", "own"])
def test_certificate(iot, name, gone, way):
    """certificate.go: deactivates before it deletes."""
    key = x509.new_key()
    if way == "keys":
        made = iot.create_keys_and_certificate(setAsActive=True)
        assert made["keyPair"]["PublicKey"].startswith("-----BEGIN PUBLIC KEY") and "PRIVATE KEY" in made["keyPair"]["PrivateKey"]
    elif way == "csr":
        made = iot.create_certificate_from_csr(certificateSigningRequest=x509.csr_pem(name, key), setAsActive=True)
    else:
        made = iot.register_certificate_without_ca(certificatePem=x509.cert_pem(x509.certificate(name, key)), status="ACTIVE")
    seen = iot.describe_certificate(certificateId=made["certificateId"])["certificateDescription"]
    assert (seen["status"], seen["certificateArn"]) == ("ACTIVE", made["certificateArn"])
    assert "BEGIN CERTIFICATE" in seen["certificatePem"]
    iot.update_certificate(certificateId=made["certificateId"], newStatus="INACTIVE")
    iot.delete_certificate(certificateId=made["certificateId"])
    gone(iot.describe_certificate, certificateId=made["certificateId"])


def test_ca_certificate(iot, name, gone):
    """ca_certificate.go and registration_code_data_source.go."""
    ca_key, key = x509.new_key(), x509.new_key()
    ca = x509.certificate(name, ca_key, ca=True)
    proof = x509.certificate(iot.get_registration_code()["registrationCode"], key, ca, ca_key)
    made = iot.register_ca_certificate(caCertificate=x509.cert_pem(ca), verificationCertificate=x509.cert_pem(proof), tags=TAGS,
                                       certificateMode="DEFAULT", setAsActive=True, allowAutoRegistration=True)
    seen = iot.describe_ca_certificate(certificateId=made["certificateId"])["certificateDescription"]
    assert {k: seen[k] for k in ("status", "autoRegistrationStatus", "certificateMode", "certificateArn", "customerVersion")} == {
        "status": "ACTIVE", "autoRegistrationStatus": "ENABLE", "certificateMode": "DEFAULT",
        "certificateArn": made["certificateArn"], "customerVersion": 1}
    assert seen["generationId"] and isinstance(seen["validity"]["notAfter"], datetime.datetime)
    retag(iot, made["certificateArn"], TAGS, MORE)
    iot.update_ca_certificate(certificateId=made["certificateId"], newStatus="INACTIVE", newAutoRegistrationStatus="DISABLE")
    seen = iot.describe_ca_certificate(certificateId=made["certificateId"])["certificateDescription"]
    assert (seen["status"], seen["autoRegistrationStatus"]) == ("INACTIVE", "DISABLE")
    iot.delete_ca_certificate(certificateId=made["certificateId"])
    for call in (iot.describe_ca_certificate, iot.delete_ca_certificate):
        gone(call, certificateId=made["certificateId"])
    gone(iot.update_ca_certificate, certificateId=made["certificateId"], newStatus="INACTIVE")


def test_role_alias(iot, name, gone):
    """role_alias.go"""
    made = iot.create_role_alias(roleAlias=name, roleArn=ROLE, credentialDurationSeconds=900, tags=TAGS)
    iot.update_role_alias(roleAlias=name, roleArn=f"{ROLE}-2", credentialDurationSeconds=1800)
    seen = iot.describe_role_alias(roleAlias=name)["roleAliasDescription"]
    assert (seen["roleAlias"], seen["roleArn"], seen["credentialDurationSeconds"]) == (name, f"{ROLE}-2", 1800)
    retag(iot, made["roleAliasArn"], TAGS, MORE)
    iot.delete_role_alias(roleAlias=name)
    gone(iot.describe_role_alias, roleAlias=name)


def test_authorizer(iot, name, gone):
    """authorizer.go: deactivates before it deletes."""
    made = iot.create_authorizer(authorizerName=name, authorizerFunctionArn=functions.arn("any"), signingDisabled=True, status="ACTIVE",
                                 enableCachingForHttp=True, tags=TAGS)
    iot.update_authorizer(authorizerName=name, authorizerFunctionArn=functions.arn("other"), enableCachingForHttp=False)
    seen = iot.describe_authorizer(authorizerName=name)["authorizerDescription"]
    assert {k: seen[k] for k in ("authorizerArn", "authorizerFunctionArn", "enableCachingForHttp", "signingDisabled", "status")} == {
        "authorizerArn": made["authorizerArn"], "authorizerFunctionArn": functions.arn("other"), "enableCachingForHttp": False,
        "signingDisabled": True, "status": "ACTIVE"}
    retag(iot, made["authorizerArn"], TAGS, MORE)
    iot.update_authorizer(authorizerName=name, status="INACTIVE")
    iot.delete_authorizer(authorizerName=name)
    gone(iot.describe_authorizer, authorizerName=name)


def test_billing_group(iot, name, gone):
    """billing_group.go: updates with the version that it read."""
    made = iot.create_billing_group(billingGroupName=name, billingGroupProperties={"billingGroupDescription": "d"}, tags=TAGS)
    seen = iot.describe_billing_group(billingGroupName=name)
    iot.update_billing_group(billingGroupName=name, expectedVersion=seen["version"], billingGroupProperties={"billingGroupDescription": "e"})
    seen = iot.describe_billing_group(billingGroupName=name)
    assert (seen["version"], seen["billingGroupProperties"]) == (2, {"billingGroupDescription": "e"})
    retag(iot, made["billingGroupArn"], TAGS, MORE)
    iot.delete_billing_group(billingGroupName=name, expectedVersion=2)
    gone(iot.describe_billing_group, billingGroupName=name)


def test_domain_configuration(server, name):
    """domain_configuration.go: disables before it deletes."""
    iot = server.client("iot", *make_key(server, account="444455558888"))
    key = x509.new_key()
    cert = x509.certificate("tf.example.org", key, names=["tf.example.org"])
    imported = server.client("acm", *make_key(server, account="444455558888")).import_certificate(
        Certificate=x509.cert_pem(cert).encode(), PrivateKey=x509.key_pem(key).encode())["CertificateArn"]
    iot.create_authorizer(authorizerName=name, authorizerFunctionArn=functions.arn("any", "444455558888"), signingDisabled=True)
    made = iot.create_domain_configuration(
        domainConfigurationName=name, domainName="tf.example.org", serverCertificateArns=[imported], serviceType="DATA", tags=TAGS,
        authorizerConfig={"allowAuthorizerOverride": True, "defaultAuthorizerName": name},
        tlsConfig={"securityPolicy": "IoTSecurityPolicy_TLS13_1_2_2022_10"})
    seen = iot.describe_domain_configuration(domainConfigurationName=name)
    assert seen["authorizerConfig"] == {"allowAuthorizerOverride": True, "defaultAuthorizerName": name}
    assert [c["serverCertificateArn"] for c in seen["serverCertificates"]] == [imported]
    assert (seen["domainType"], seen["serviceType"], seen["domainConfigurationStatus"], seen["domainName"]) == (
        "CUSTOMER_MANAGED", "DATA", "ENABLED", "tf.example.org")
    iot.update_domain_configuration(domainConfigurationName=name, removeAuthorizerConfig=True,
                                    tlsConfig={"securityPolicy": "IoTSecurityPolicy_TLS13_1_3_2022_10"})
    seen = iot.describe_domain_configuration(domainConfigurationName=name)
    assert "authorizerConfig" not in seen and seen["tlsConfig"] == {"securityPolicy": "IoTSecurityPolicy_TLS13_1_3_2022_10"}
    retag(iot, made["domainConfigurationArn"], TAGS, MORE)
    iot.update_domain_configuration(domainConfigurationName=name, domainConfigurationStatus="DISABLED")
    iot.delete_domain_configuration(domainConfigurationName=name)
    with pytest.raises(iot.exceptions.ResourceNotFoundException):
        iot.describe_domain_configuration(domainConfigurationName=name)


def test_topic_rule(iot, name, fails):
    """topic_rule.go: GetTopicRule of what is not there is UnauthorizedException, which it takes as such; enabled in the payload."""
    rule = name.replace("-", "_")
    payload = {"sql": "SELECT * FROM 'tf'", "description": "d", "ruleDisabled": True, "awsIotSqlVersion": "2016-03-23",
               "actions": [{"republish": {"roleArn": ROLE, "topic": "out", "qos": 1}}, {"sns": {"roleArn": ROLE, "targetArn": "arn:aws:sns:us-east-1:123456789012:t", "messageFormat": "RAW"}}],
               "errorAction": {"cloudwatchLogs": {"roleArn": ROLE, "logGroupName": "errors"}}}
    iot.create_topic_rule(ruleName=rule, topicRulePayload=payload, tags="made=by+Terraform")
    seen = iot.get_topic_rule(ruleName=rule)
    assert seen["ruleArn"] == arn(f"rule/{rule}")
    got = seen["rule"]
    assert (got["sql"], got["description"], got["ruleDisabled"], got["awsIotSqlVersion"]) == ("SELECT * FROM 'tf'", "d", True, "2016-03-23")
    assert got["actions"] == payload["actions"] and got["errorAction"]["cloudwatchLogs"]["logGroupName"] == "errors"
    retag(iot, seen["ruleArn"], [{"Key": "made", "Value": "by Terraform"}], MORE)
    iot.replace_topic_rule(ruleName=rule, topicRulePayload={**payload, "ruleDisabled": False, "actions": []})
    assert iot.get_topic_rule(ruleName=rule)["rule"]["actions"] == []
    iot.delete_topic_rule(ruleName=rule)
    assert fails(iot.get_topic_rule, ruleName=rule)[0] == "UnauthorizedException"


def test_topic_rule_destination(server, iot, fails):
    """topic_rule_destination.go: waits for ENABLED, DISABLED, and for a delete until it is not there."""
    vpc = {"subnetIds": ["subnet-1"], "securityGroups": ["sg-1"], "vpcId": "vpc-1", "roleArn": ROLE}
    made = iot.create_topic_rule_destination(destinationConfiguration={"vpcConfiguration": vpc})["topicRuleDestination"]
    seen = iot.get_topic_rule_destination(arn=made["arn"])["topicRuleDestination"]
    assert seen["status"] == "ENABLED" and {k: seen["vpcProperties"][k] for k in vpc} == vpc
    for status in ("DISABLED", "ENABLED"):
        iot.update_topic_rule_destination(arn=made["arn"], status=status)
        assert iot.get_topic_rule_destination(arn=made["arn"])["topicRuleDestination"]["status"] == status
    iot.delete_topic_rule_destination(arn=made["arn"])
    assert fails(iot.get_topic_rule_destination, arn=made["arn"])[0] == "UnauthorizedException"


def test_event_configurations_and_logging_options(server):
    """event_configurations.go, logging_options.go: put and read, nothing is deleted."""
    iot = server.client("iot", *make_key(server, account="444455559999"))
    wanted = {kind: {"Enabled": kind.startswith("THING")} for kind in iot.describe_event_configurations()["eventConfigurations"]}
    assert len(wanted) == 11
    iot.update_event_configurations(eventConfigurations=wanted)
    assert iot.describe_event_configurations()["eventConfigurations"] == wanted
    role = ROLE.replace(ACCOUNT, "444455559999")
    iot.set_v2_logging_options(roleArn=role, defaultLogLevel="WARN", disableAllLogs=False)
    seen = iot.get_v2_logging_options()
    assert (seen["roleArn"], seen["defaultLogLevel"], seen["disableAllLogs"]) == (role, "WARN", False)


@pytest.mark.parametrize("operation", ["get_indexing_configuration", "describe_provisioning_template"])
def test_what_is_not_there_yet_stops_an_apply_by_name(iot, name, fails, operation):
    """indexing_configuration.go, provisioning_template.go: a 501 that names the operation; no half of it is kept."""
    code, status, message = fails(getattr(iot, operation), **({"templateName": name[:36]} if "template" in operation else {}))
    assert (code, status) == ("NotImplementedException", 501) and "not implemented" in message


@pytest.mark.parametrize("kind", ["iot:Data", "iot:Data-ATS", "iot:CredentialProvider", "iot:Jobs"])
def test_endpoint(iot, kind):
    """endpoint_data_source.go"""
    assert iot.describe_endpoint(endpointType=kind)["endpointAddress"].startswith("localhost")
