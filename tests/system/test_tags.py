"""Tags: on everything of iot that takes them, and as conditions of policies on access keys.
Source: botocore's iot model; AWS General Reference, "Tagging AWS resources"; service authorization reference, AWS IoT."""
import json
import urllib.parse

import pytest
from conftest import ALLOW_ALL, arn
from support import x509
from support.keys import make_key
from support.server import ACCOUNT, REGION, Server

TAGS = [{"Key": "site", "Value": "pier 4"}, {"Key": "empty", "Value": ""}]


def tags_of(iot, resource):
    return {t["Key"]: t["Value"] for t in iot.list_tags_for_resource(resourceArn=resource)["tags"]}


def billing_group(iot, name, tags):
    return iot.create_billing_group(billingGroupName=name, tags=tags)["billingGroupArn"]


def thing_type(iot, name, tags):
    return iot.create_thing_type(thingTypeName=name, tags=tags)["thingTypeArn"]


def thing_group(iot, name, tags):
    return iot.create_thing_group(thingGroupName=name, tags=tags)["thingGroupArn"]


def policy(iot, name, tags):
    return iot.create_policy(policyName=name, policyDocument=json.dumps(ALLOW_ALL), tags=tags)["policyArn"]


def ca_certificate(iot, name, tags):
    key = x509.new_key()
    ca = x509.cert_pem(x509.certificate(name, key, ca=True))
    return iot.register_ca_certificate(caCertificate=ca, certificateMode="SNI_ONLY", tags=tags)["certificateArn"]


def role_alias(iot, name, tags):
    return iot.create_role_alias(roleAlias=name, roleArn=f"arn:aws:iam::{ACCOUNT}:role/any", tags=tags)["roleAliasArn"]


def authorizer(iot, name, tags):
    function = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:any"
    return iot.create_authorizer(authorizerName=name, authorizerFunctionArn=function, signingDisabled=True, tags=tags)["authorizerArn"]


def topic_rule(iot, name, tags):
    """CreateTopicRule takes them as a text, in a header."""
    rule = name.replace("-", "_")
    action = {"republish": {"roleArn": f"arn:aws:iam::{ACCOUNT}:role/any", "topic": "elsewhere"}}
    text = urllib.parse.urlencode([(t["Key"], t["Value"]) for t in tags])
    iot.create_topic_rule(ruleName=rule, tags=text, topicRulePayload={"sql": f"SELECT * FROM '{rule}'", "actions": [action]})
    return arn(f"rule/{rule}")


def domain_configuration(iot, name, tags):
    """Its ARN ends in what the server chose. An account has room for ten: one of another test's serves as well."""
    there = [c for c in iot.list_domain_configurations(pageSize=250)["domainConfigurations"]
             if c["domainConfigurationName"].startswith("test-")]
    if len(there) >= 5:
        made = there[0]["domainConfigurationArn"]
        iot.untag_resource(resourceArn=made, tagKeys=[*tags_of(iot, made), "none"])
        iot.tag_resource(resourceArn=made, tags=tags)
        return made
    made = iot.create_domain_configuration(domainConfigurationName=name, serviceType="DATA", tags=tags)["domainConfigurationArn"]
    assert made.startswith(arn(f"domainconfiguration/{name}/"))
    return made


KINDS = [billing_group, thing_type, thing_group, policy, ca_certificate, role_alias, authorizer, topic_rule, domain_configuration]


@pytest.mark.parametrize("make", KINDS)
def test_given_at_creation_then_added_replaced_removed(iot, name, make):
    resource = make(iot, name, TAGS)
    assert tags_of(iot, resource) == {"site": "pier 4", "empty": ""}
    iot.tag_resource(resourceArn=resource, tags=[{"Key": "site", "Value": "yard"}, {"Key": "Site", "Value": "other"}])
    assert tags_of(iot, resource) == {"site": "yard", "empty": "", "Site": "other"}
    iot.untag_resource(resourceArn=resource, tagKeys=["empty", "never there"])
    assert tags_of(iot, resource) == {"site": "yard", "Site": "other"}


def test_an_arn_with_another_ending_is_of_nothing(iot, name, fails):
    resource = domain_configuration(iot, name, TAGS)
    code, status, _ = fails(iot.list_tags_for_resource, resourceArn=f"{resource[:-1]}{'a' if resource[-1] != 'a' else 'b'}")
    assert (code, status) == ("ResourceNotFoundException", 404)
    assert tags_of(iot, resource) == {"site": "pier 4", "empty": ""}


def test_what_is_deleted_has_no_tags(iot, name, fails):
    resource = billing_group(iot, name, TAGS)
    iot.delete_billing_group(billingGroupName=name)
    for call, more in ((iot.list_tags_for_resource, {}), (iot.tag_resource, {"tags": TAGS}),
                       (iot.untag_resource, {"tagKeys": ["site"]})):
        code, status, message = fails(call, resourceArn=resource, **more)
        assert (code, status) == ("ResourceNotFoundException", 404) and resource in message
    billing_group(iot, name, [])
    assert tags_of(iot, resource) == {}


@pytest.mark.parametrize("tags, code, words", [
    ([{"Key": "aws:mine", "Value": "x"}], "InvalidRequestException", "reserved"),
    ([{"Key": "a", "Value": "1"}, {"Key": "a", "Value": "2"}], "InvalidRequestException", "twice"),
    ([{"Key": "k" * 129, "Value": "1"}], "InvalidRequestException", "128"),
    ([{"Key": "a", "Value": "v" * 257}], "InvalidRequestException", "256"),
    ([{"Key": "a#b", "Value": "1"}], "InvalidRequestException", "pattern"),
    ([{"Key": f"k{i}", "Value": "1"} for i in range(51)], "LimitExceededException", "50"),
])
def test_limits(iot, name, fails, tags, code, words):
    resource = billing_group(iot, name, [])
    got, _, message = fails(iot.tag_resource, resourceArn=resource, tags=tags)
    assert got == code and words in message
    assert tags_of(iot, resource) == {}


def test_fifty_and_not_one_more(iot, name, fails):
    resource = billing_group(iot, name, [{"Key": "k" * 128, "Value": "v" * 256}])
    iot.tag_resource(resourceArn=resource, tags=[{"Key": f"k{i}", "Value": "1"} for i in range(49)])
    assert len(tags_of(iot, resource)) == 50
    code, status, _ = fails(iot.tag_resource, resourceArn=resource, tags=[{"Key": "one more", "Value": ""}])
    assert (code, status) == ("LimitExceededException", 410)
    assert len(tags_of(iot, resource)) == 50


@pytest.mark.parametrize("resource", ["thing/t", "cert/" + "0" * 64, "billinggroup/", "nothing/x"])
def test_what_takes_no_tags_says_so(iot, fails, resource):
    code, _, message = fails(iot.tag_resource, resourceArn=arn(resource), tags=TAGS)
    assert code == "InvalidRequestException" and arn(resource) in message


def test_a_second_account_sees_and_changes_nothing(server, iot, name, fails):
    resource = billing_group(iot, name, TAGS)
    other = server.client("iot", *make_key(server, account="222233334444"))
    mine = resource.replace(ACCOUNT, "222233334444")
    assert fails(other.list_tags_for_resource, resourceArn=mine)[0] == "ResourceNotFoundException"
    assert fails(other.tag_resource, resourceArn=resource, tags=TAGS)[0] == "InvalidRequestException"
    assert tags_of(iot, resource) == {"site": "pier 4", "empty": ""}


def test_they_survive_a_kill(tmp_path, name):
    own = Server(tmp_path / "data", ()).start()
    try:
        resource = billing_group(own.client("iot"), name, TAGS)
        own.kill()
        own.start()
        assert tags_of(own.client("iot"), resource) == {"site": "pier 4", "empty": ""}
    finally:
        own.stop()


class TestConditions:
    """Policies on access keys that look at tags."""

    def key(self, server, tmp_path, *statements):
        document = {"Version": "2012-10-17", "Statement": list(statements)}
        return server.client("iot", *make_key(server, document, folder=tmp_path))

    def test_of_the_resource(self, server, iot, name, tmp_path, fails):
        """aws:ResourceTag decides by what the resource has now, also with TagResource itself."""
        theirs, others = f"{name}-a", f"{name}-b"
        billing_group(iot, theirs, [{"Key": "team", "Value": "red"}])
        resource = billing_group(iot, others, [{"Key": "team", "Value": "blue"}])
        red = self.key(server, tmp_path, {"Effect": "Allow", "Action": "iot:*", "Resource": "*",
                                          "Condition": {"StringEquals": {"aws:ResourceTag/team": "red"}}})
        assert red.describe_billing_group(billingGroupName=theirs)["billingGroupName"] == theirs
        for call, more in ((red.describe_billing_group, {"billingGroupName": others}),
                           (red.delete_billing_group, {"billingGroupName": others}),
                           (red.create_billing_group, {"billingGroupName": f"{name}-c"}),
                           (red.tag_resource, {"resourceArn": resource, "tags": [{"Key": "team", "Value": "red"}]})):
            assert fails(call, **more)[:2] == ("AccessDeniedException", 403)
        assert tags_of(iot, resource) == {"team": "blue"}
        iot.tag_resource(resourceArn=resource, tags=[{"Key": "team", "Value": "red"}])
        red.delete_billing_group(billingGroupName=others)
        assert fails(iot.describe_billing_group, billingGroupName=others)[0] == "ResourceNotFoundException"

    def test_a_deny_by_tag_leaves_all_else(self, server, iot, name, tmp_path, fails):
        billing_group(iot, f"{name}-a", [{"Key": "locked", "Value": "yes"}])
        billing_group(iot, f"{name}-b", [])
        client = self.key(server, tmp_path, {"Effect": "Allow", "Action": "iot:*", "Resource": "*"},
                          {"Effect": "Deny", "Action": "iot:DeleteBillingGroup", "Resource": "*",
                           "Condition": {"StringLike": {"aws:ResourceTag/locked": "*"}}})
        code, _, message = fails(client.delete_billing_group, billingGroupName=f"{name}-a")
        assert code == "AccessDeniedException" and "explicit deny" in message
        client.delete_billing_group(billingGroupName=f"{name}-b")

    def test_of_the_request(self, server, name, tmp_path, fails):
        """aws:RequestTag and aws:TagKeys: what may be created, and with which tags."""
        client = self.key(server, tmp_path, {
            "Effect": "Allow", "Action": "iot:CreateBillingGroup", "Resource": "*",
            "Condition": {"StringEquals": {"aws:RequestTag/team": ["red", "blue"]},
                          "ForAllValues:StringEquals": {"aws:TagKeys": ["team", "site"]}}})
        billing_group(client, f"{name}-a", [{"Key": "team", "Value": "blue"}, {"Key": "site", "Value": "x"}])
        for tags in ([], [{"Key": "team", "Value": "green"}], [{"Key": "site", "Value": "x"}],
                     [{"Key": "team", "Value": "red"}, {"Key": "cost", "Value": "1"}]):
            assert fails(client.create_billing_group, billingGroupName=f"{name}-b", tags=tags)[0] == "AccessDeniedException"

    def test_keys_to_untag(self, server, iot, name, tmp_path, fails):
        resource = billing_group(iot, name, TAGS)
        client = self.key(server, tmp_path, {"Effect": "Allow", "Action": "iot:UntagResource", "Resource": "*",
                                             "Condition": {"ForAllValues:StringEquals": {"aws:TagKeys": ["empty"]}}})
        assert fails(client.untag_resource, resourceArn=resource, tagKeys=["empty", "site"])[0] == "AccessDeniedException"
        client.untag_resource(resourceArn=resource, tagKeys=["empty"])
        assert tags_of(iot, resource) == {"site": "pier 4"}
