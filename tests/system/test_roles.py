"""Roles by IAM's own API, and temporary keys: from STS, and from the credentials provider by a device's certificate."""
import datetime
import json
import pathlib
import shlex
import subprocess
import sys
import time

import boto3
import botocore.exceptions
import pytest
import requests
from conftest import allow
from support import wire
from support.mqtt import wait_until
from support.server import ACCOUNT, BINARY, REGION, Server
from support.signed import presigned_path, websocket_wire

CREDENTIALS = "credentials.iot.amazonaws.com"
CLI = pathlib.Path(sys.executable).parent / "aws"

DEAD = ("ForbiddenException", 403, "The security token included in the request is invalid.")  # on the data plane


def trust(*services, **more):
    return json.dumps({"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Principal": {"Service": list(services)}, "Action": "sts:AssumeRole", **more}]})


def may(*pairs):
    return json.dumps({"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Action": action, "Resource": resource} for action, resource in pairs]})


@pytest.fixture(scope="session")
def iam(server):
    return server.client("iam")


@pytest.fixture
def role(iam, name):
    """A role that the credentials provider may take; what it may do is up to the test."""
    return iam.create_role(RoleName=name[:64], AssumeRolePolicyDocument=trust(CREDENTIALS))["Role"]


# -- IAM ---------------------------------------------------------------------------------------------------------


def test_a_role_comes_back_as_it_was_made(server, iam, fails, name):
    name = name[:64]
    made = iam.create_role(RoleName=name, Path="/devices/", AssumeRolePolicyDocument=trust(CREDENTIALS),
                           Description="of lamps", MaxSessionDuration=7200, Tags=[{"Key": "a", "Value": "b"}])["Role"]
    assert made["Arn"] == f"arn:aws:iam::{ACCOUNT}:role/devices/{name}"
    got = iam.get_role(RoleName=name)["Role"]
    assert got["AssumeRolePolicyDocument"] == json.loads(trust(CREDENTIALS))
    assert (got["Description"], got["MaxSessionDuration"], got["Tags"]) == ("of lamps", 7200, [{"Key": "a", "Value": "b"}])
    assert got["RoleId"] == made["RoleId"] and got["RoleId"].startswith("AROA")
    assert abs(got["CreateDate"].timestamp() - server.now()) < 600
    assert fails(iam.create_role, RoleName=name, AssumeRolePolicyDocument=trust(CREDENTIALS)) == (
        "EntityAlreadyExists", 409, f"Role with name {name} already exists.")
    iam.update_role(RoleName=name, Description="of fans", MaxSessionDuration=3600)
    iam.update_assume_role_policy(RoleName=name, PolicyDocument=trust("iot.amazonaws.com"))
    iam.tag_role(RoleName=name, Tags=[{"Key": "a", "Value": "c"}, {"Key": "d", "Value": ""}])
    iam.untag_role(RoleName=name, TagKeys=["d"])
    got = iam.get_role(RoleName=name)["Role"]
    assert (got["Description"], got["MaxSessionDuration"]) == ("of fans", 3600)
    assert got["AssumeRolePolicyDocument"] == json.loads(trust("iot.amazonaws.com"))
    assert iam.list_role_tags(RoleName=name)["Tags"] == [{"Key": "a", "Value": "c"}]
    iam.delete_role(RoleName=name)
    assert fails(iam.get_role, RoleName=name) == ("NoSuchEntity", 404, f"The role with name {name} cannot be found.")
    assert fails(iam.delete_role, RoleName=name)[0] == "NoSuchEntity"


def test_roles_are_listed_in_pages(iam, name):
    names = [f"{name[:55]}-{number}" for number in range(5)]
    for each in names:
        iam.create_role(RoleName=each, Path=f"/{name}/", AssumeRolePolicyDocument=trust(CREDENTIALS))
    pages = list(iam.get_paginator("list_roles").paginate(PathPrefix=f"/{name}/", PaginationConfig={"PageSize": 2}))
    assert [len(page["Roles"]) for page in pages] == [2, 2, 1]
    assert [role["RoleName"] for page in pages for role in page["Roles"]] == names


def test_policies_in_a_role_are_kept(iam, role, fails):
    name = role["RoleName"]
    for number in range(3):
        iam.put_role_policy(RoleName=name, PolicyName=f"p{number}", PolicyDocument=may(("iot:*", f"arn:aws:iot:::{number}")))
    iam.put_role_policy(RoleName=name, PolicyName="p1", PolicyDocument=may(("s3:*", "*")))
    got = iam.get_role_policy(RoleName=name, PolicyName="p1")
    assert got["PolicyDocument"] == json.loads(may(("s3:*", "*")))
    pages = list(iam.get_paginator("list_role_policies").paginate(RoleName=name, PaginationConfig={"PageSize": 2}))
    assert [page["PolicyNames"] for page in pages] == [["p0", "p1"], ["p2"]]
    assert fails(iam.delete_role, RoleName=name) == (
        "DeleteConflict", 409, "Cannot delete entity, must delete policies first.")
    for number in range(3):
        iam.delete_role_policy(RoleName=name, PolicyName=f"p{number}")
    assert fails(iam.get_role_policy, RoleName=name, PolicyName="p1")[:2] == ("NoSuchEntity", 404)
    assert fails(iam.delete_role_policy, RoleName=name, PolicyName="p1")[:2] == ("NoSuchEntity", 404)
    assert fails(iam.put_role_policy, RoleName=name, PolicyName="p", PolicyDocument="{")[:2] == ("MalformedPolicyDocument", 400)
    iam.delete_role(RoleName=name)


def test_policies_of_the_account_have_versions_and_are_attached(iam, role, fails, name):
    policy = iam.create_policy(PolicyName=name, PolicyDocument=may(("iot:Connect", "*")), Description="x")["Policy"]
    arn = policy["Arn"]
    assert arn == f"arn:aws:iam::{ACCOUNT}:policy/{name}"
    assert fails(iam.create_policy, PolicyName=name, PolicyDocument=may(("iot:*", "*")))[:2] == ("EntityAlreadyExists", 409)
    iam.attach_role_policy(RoleName=role["RoleName"], PolicyArn=arn)
    iam.attach_role_policy(RoleName=role["RoleName"], PolicyArn="arn:aws:iam::aws:policy/service-role/AWSIoTLogging")
    attached = iam.list_attached_role_policies(RoleName=role["RoleName"])["AttachedPolicies"]
    assert {p["PolicyArn"]: p["PolicyName"] for p in attached} == {
        arn: name, "arn:aws:iam::aws:policy/service-role/AWSIoTLogging": "AWSIoTLogging"}
    assert iam.get_policy(PolicyArn=arn)["Policy"]["AttachmentCount"] == 1
    assert fails(iam.delete_policy, PolicyArn=arn) == (
        "DeleteConflict", 409, "Cannot delete a policy attached to entities.")
    assert fails(iam.delete_role, RoleName=role["RoleName"])[:2] == ("DeleteConflict", 409)
    second = iam.create_policy_version(PolicyArn=arn, PolicyDocument=may(("iot:Publish", "*")), SetAsDefault=True)
    assert second["PolicyVersion"]["VersionId"] == "v2"
    versions = iam.list_policy_versions(PolicyArn=arn)["Versions"]
    assert [(v["VersionId"], v["IsDefaultVersion"]) for v in versions] == [("v2", True), ("v1", False)]
    got = iam.get_policy_version(PolicyArn=arn, VersionId="v2")["PolicyVersion"]["Document"]
    assert got == json.loads(may(("iot:Publish", "*")))
    assert fails(iam.delete_policy_version, PolicyArn=arn, VersionId="v2")[:2] == ("DeleteConflict", 409)
    iam.set_default_policy_version(PolicyArn=arn, VersionId="v1")
    iam.delete_policy_version(PolicyArn=arn, VersionId="v2")
    assert fails(iam.attach_role_policy, RoleName=role["RoleName"],
                 PolicyArn="arn:aws:iam::aws:policy/NoSuch")[:2] == ("NoSuchEntity", 404)
    for each in attached:
        iam.detach_role_policy(RoleName=role["RoleName"], PolicyArn=each["PolicyArn"])
    assert fails(iam.detach_role_policy, RoleName=role["RoleName"], PolicyArn=arn)[:2] == ("NoSuchEntity", 404)
    iam.delete_policy(PolicyArn=arn)
    assert fails(iam.get_policy, PolicyArn=arn)[:2] == ("NoSuchEntity", 404)


@pytest.mark.parametrize("document, text", [
    ("{", "not JSON"),
    (json.dumps({"Version": "2012-10-17", "Statement": []}), "Statement"),
    (may(("sts:AssumeRole", "*")), "prohibited field Resource"),
    (json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "sts:AssumeRole"}]}), "Principal"),
    (json.dumps({"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"Servcie": "x"}}]}), "Invalid principal"),
])
def test_a_trust_policy_that_is_none_is_refused(iam, fails, name, document, text):
    code, status, message = fails(iam.create_role, RoleName=name[:64], AssumeRolePolicyDocument=document)
    assert (code, status) == ("MalformedPolicyDocument", 400) and text in message


def test_what_iam_has_beyond_roles_says_that_it_is_not_here(iam, fails):
    for call, arguments in ((iam.list_users, {}), (iam.create_user, {"UserName": "x"}), (iam.get_account_summary, {})):
        code, status, message = fails(call, **arguments)
        assert (code, status) == ("NotImplemented", 501) and "CreateRole" in message


def test_a_key_without_the_right_may_not_touch_roles(server, iam, role, fails, tmp_path):
    policy = tmp_path / "policy.json"
    policy.write_text(may(("iam:GetRole", role["Arn"]), ("sts:*", "*")))
    made = subprocess.run([BINARY, "key", "create", "--data", server.data, "--user", "reader", "--policy", policy],
                          check=True, capture_output=True, text=True).stdout
    values = dict(line.split(" = ") for line in made.splitlines() if " = " in line)
    reader = server.client("iam", values["aws_access_key_id"], values["aws_secret_access_key"])
    assert reader.get_role(RoleName=role["RoleName"])["Role"]["Arn"] == role["Arn"]
    code, status, message = fails(reader.delete_role, RoleName=role["RoleName"])
    assert (code, status) == ("AccessDenied", 403) and "iam:DeleteRole" in message
    assert fails(reader.get_role, RoleName="another")[:2] == ("AccessDenied", 403)


def test_another_account_sees_nothing_of_a_role(server, role, fails):
    made = subprocess.run([BINARY, "key", "create", "--data", server.data, "--account", "444455556666"], check=True,
                          capture_output=True, text=True).stdout
    values = dict(line.split(" = ") for line in made.splitlines() if " = " in line)
    other = server.client("iam", values["aws_access_key_id"], values["aws_secret_access_key"])
    assert fails(other.get_role, RoleName=role["RoleName"])[:2] == ("NoSuchEntity", 404)
    assert other.list_roles()["Roles"] == []
    sts = server.client("sts", values["aws_access_key_id"], values["aws_secret_access_key"])
    assert fails(sts.assume_role, RoleArn=role["Arn"], RoleSessionName="xx")[:2] == ("AccessDenied", 403)


# -- role aliases ------------------------------------------------------------------------------------------------


def test_a_role_alias_comes_back_as_it_was_made(iot, role, fails, name):
    made = iot.create_role_alias(roleAlias=name, roleArn=role["Arn"], tags=[{"Key": "a", "Value": "b"}])
    assert made["roleAliasArn"] == f"arn:aws:iot:{REGION}:{ACCOUNT}:rolealias/{name}"
    got = iot.describe_role_alias(roleAlias=name)["roleAliasDescription"]
    assert (got["roleArn"], got["owner"], got["credentialDurationSeconds"]) == (role["Arn"], ACCOUNT, 3600)
    assert iot.list_tags_for_resource(resourceArn=made["roleAliasArn"])["tags"] == [{"Key": "a", "Value": "b"}]
    assert fails(iot.create_role_alias, roleAlias=name, roleArn=role["Arn"])[:2] == ("ResourceAlreadyExistsException", 409)
    iot.update_role_alias(roleAlias=name, credentialDurationSeconds=900)
    assert iot.describe_role_alias(roleAlias=name)["roleAliasDescription"]["credentialDurationSeconds"] == 900
    assert iot.describe_role_alias(roleAlias=name)["roleAliasDescription"]["roleArn"] == role["Arn"]
    iot.delete_role_alias(roleAlias=name)
    assert fails(iot.describe_role_alias, roleAlias=name)[:2] == ("ResourceNotFoundException", 404)
    assert fails(iot.delete_role_alias, roleAlias=name)[:2] == ("ResourceNotFoundException", 404)


@pytest.mark.parametrize("arguments, text", [
    ({"roleArn": "arn:aws:iam::123456789012:user/x"}, "Invalid role ARN"),
    ({"roleArn": "arn:aws:iam::999999999999:role/x"}, "Cross-account"),
    ({"credentialDurationSeconds": 7200}, "MaxSessionDuration"),
])
def test_a_role_alias_that_cannot_be_is_refused(iot, role, fails, name, arguments, text):
    code, status, message = fails(iot.create_role_alias, **{"roleAlias": name, "roleArn": role["Arn"]} | arguments)
    assert (code, status) == ("InvalidRequestException", 400) and text in message


def test_role_aliases_are_listed_in_pages(iot, role, name):
    names = [f"{name}-{number}" for number in range(5)]
    for each in names:
        iot.create_role_alias(roleAlias=each, roleArn=role["Arn"])
    found, arguments, pages = [], {"pageSize": 2}, 0
    while True:
        page = iot.list_role_aliases(**arguments)
        assert len(page["roleAliases"]) <= 2
        found += [alias for alias in page["roleAliases"] if alias.startswith(name)]
        pages += 1
        if "nextMarker" not in page:
            break
        arguments["marker"] = page["nextMarker"]
    assert sorted(found) == names and pages >= 3
    for each in names:
        iot.delete_role_alias(roleAlias=each)


# -- the credentials provider ------------------------------------------------------------------------------------


def get_credentials(server, device, alias, thing=None):
    return requests.get(f"{server.url}/role-aliases/{alias}/credentials", cert=(device.cert_file, device.key_file),
                        headers={"x-amzn-iot-thingname": thing} if thing else {}, verify=server.ca_file, timeout=10)


def with_keys(server, service, keys):
    return boto3.client(service, region_name=REGION, endpoint_url=server.url, verify=server.ca_file,
                        aws_access_key_id=keys["accessKeyId"], aws_secret_access_key=keys["secretAccessKey"],
                        aws_session_token=keys["sessionToken"],
                        config=botocore.config.Config(retries={"max_attempts": 0}, inject_host_prefix=False))


@pytest.fixture
def alias(iot, iam, role, name):
    """An alias of a role that may do what its variables say: publish under the thing's name."""
    iam.put_role_policy(RoleName=role["RoleName"], PolicyName="own", PolicyDocument=may(
        ("iot:Publish", f"arn:aws:iot:{REGION}:{ACCOUNT}:topic/things/${{credentials-iot:ThingName}}/*"),
        ("iot:Publish", f"arn:aws:iot:{REGION}:{ACCOUNT}:topic/types/${{credentials-iot:ThingTypeName}}"),
        ("iot:Publish", f"arn:aws:iot:{REGION}:{ACCOUNT}:topic/certs/${{credentials-iot:AwsCertificateId}}")))
    iot.create_role_alias(roleAlias=name, roleArn=role["Arn"], credentialDurationSeconds=900)
    return name


@pytest.fixture
def holder(fleet, alias, name):
    """A device that may have the alias."""
    return fleet.make(f"{name}-thing", policy=allow(("iot:AssumeRoleWithCertificate", f"rolealias/{alias}")))


def test_a_certificate_gets_keys_that_do_what_the_role_may_and_no_more(server, iot, holder, alias, fails):
    answer = get_credentials(server, holder, alias, holder.thing)
    assert answer.status_code == 200
    keys = answer.json()["credentials"]
    assert set(keys) == {"accessKeyId", "secretAccessKey", "sessionToken", "expiration"}
    assert keys["accessKeyId"].startswith("ASIA")
    left = datetime.datetime.strptime(keys["expiration"], "%Y-%m-%dT%H:%M:%S%z").timestamp() - time.time()
    assert 880 < left <= 900
    data = with_keys(server, "iot-data", keys)
    data.publish(topic=f"things/{holder.thing}/t", payload=b"x")
    data.publish(topic=f"certs/{holder.cert_id}", payload=b"x")
    for topic in ("things/another/t", "certs/another", "types/", "elsewhere"):
        assert fails(data.publish, topic=topic, payload=b"x")[:2] == ("ForbiddenException", 403)
    who = with_keys(server, "sts", keys).get_caller_identity()
    assert who["Account"] == ACCOUNT
    assert who["Arn"] == f"arn:aws:sts::{ACCOUNT}:assumed-role/{alias[:64]}/{holder.cert_id}"
    assert fails(with_keys(server, "iot", keys).list_things)[:2] == ("AccessDeniedException", 403)


def test_keys_without_their_session_token_are_nobodys(server, holder, alias, fails):
    keys = get_credentials(server, holder, alias).json()["credentials"]
    for wrong in (None, keys["sessionToken"][:-4] + "AAAA"):
        data = with_keys(server, "iot-data", keys | {"sessionToken": wrong})
        assert fails(data.publish, topic="x", payload=b"") == DEAD


def test_the_thing_must_be_the_certificates(server, iot, holder, alias, fails, name):
    assert get_credentials(server, holder, alias, "another").status_code == 403
    iot.create_thing_type(thingTypeName=name)
    iot.update_thing(thingName=holder.thing, thingTypeName=name)
    keys = {}
    def typed():
        keys.update(get_credentials(server, holder, alias, holder.thing).json()["credentials"])
        try:
            with_keys(server, "iot-data", keys).publish(topic=f"types/{name}", payload=b"")
        except botocore.exceptions.ClientError:
            return False
        return True
    wait_until(typed)
    keys = get_credentials(server, holder, alias).json()["credentials"]  # for no thing: no variable has a value
    assert fails(with_keys(server, "iot-data", keys).publish, topic=f"types/{name}", payload=b"")[1] == 403
    assert fails(with_keys(server, "iot-data", keys).publish, topic=f"things/{holder.thing}/t", payload=b"")[1] == 403


def test_a_certificate_without_the_right_gets_none(server, device, fleet, alias, name):
    other = fleet.make(f"{name}-other", policy=allow(("iot:AssumeRoleWithCertificate", "rolealias/another")))
    refused = get_credentials(server, other, alias)
    assert (refused.status_code, refused.json()) == (403, {"message": "Access Denied"})
    assert get_credentials(server, device, "no-such-alias").status_code == 404
    assert requests.get(f"{server.url}/role-aliases/{alias}/credentials", verify=server.ca_file).status_code == 403


def test_a_role_that_does_not_trust_the_provider_gives_none(server, iam, device, alias, role):
    iam.update_assume_role_policy(RoleName=role["RoleName"], PolicyDocument=trust("iot.amazonaws.com"))
    refused = get_credentials(server, device, alias)
    assert refused.status_code == 403 and "trust policy" in refused.json()["message"]


def test_a_trust_policys_conditions_are_asked(server, iam, device, alias, role):
    for value, status in (("another", 403), (device.thing, 200)):
        iam.update_assume_role_policy(RoleName=role["RoleName"], PolicyDocument=trust(
            CREDENTIALS, Condition={"StringEquals": {"credentials-iot:ThingName": value}}))
        assert get_credentials(server, device, alias, device.thing).status_code == status


def test_what_the_role_may_changes_for_keys_that_are_out(server, iam, holder, alias, role, fails):
    data = with_keys(server, "iot-data", get_credentials(server, holder, alias, holder.thing).json()["credentials"])
    data.publish(topic=f"certs/{holder.cert_id}", payload=b"")
    iam.put_role_policy(RoleName=role["RoleName"], PolicyName="own", PolicyDocument=may(
        ("iot:Publish", f"arn:aws:iot:{REGION}:{ACCOUNT}:topic/elsewhere")))
    data.publish(topic="elsewhere", payload=b"")
    assert fails(data.publish, topic=f"certs/{holder.cert_id}", payload=b"")[1] == 403
    iam.delete_role_policy(RoleName=role["RoleName"], PolicyName="own")
    assert fails(data.publish, topic="elsewhere", payload=b"")[1] == 403


def test_keys_of_a_role_that_was_deleted_do_nothing_with_one_of_the_same_name(server, iam, holder, alias, role, fails):
    data = with_keys(server, "iot-data", get_credentials(server, holder, alias, holder.thing).json()["credentials"])
    topic = f"certs/{holder.cert_id}"
    data.publish(topic=topic, payload=b"")
    document = iam.get_role_policy(RoleName=role["RoleName"], PolicyName="own")["PolicyDocument"]
    iam.delete_role_policy(RoleName=role["RoleName"], PolicyName="own")
    iam.delete_role(RoleName=role["RoleName"])
    assert fails(data.publish, topic=topic, payload=b"")[1] == 403
    made = iam.create_role(RoleName=role["RoleName"], AssumeRolePolicyDocument=trust(CREDENTIALS))["Role"]
    iam.put_role_policy(RoleName=role["RoleName"], PolicyName="own", PolicyDocument=json.dumps(document))
    assert (made["Arn"], made["RoleId"] != role["RoleId"]) == (role["Arn"], True)
    assert fails(data.publish, topic=topic, payload=b"")[1] == 403
    fresh = with_keys(server, "iot-data", get_credentials(server, holder, alias, holder.thing).json()["credentials"])
    fresh.publish(topic=topic, payload=b"")


@pytest.mark.parametrize("status", ["REVOKED", "INACTIVE"])
def test_a_revoked_certificates_keys_die_with_their_websockets(server, iot, iam, role, holder, alias, status, fails,
                                                              name):
    iam.put_role_policy(RoleName=role["RoleName"], PolicyName="all", PolicyDocument=may(("iot:*", "*")))
    keys = get_credentials(server, holder, alias).json()["credentials"]
    data = with_keys(server, "iot-data", keys)
    data.publish(topic="x", payload=b"")
    path = presigned_path(server, key=(keys["accessKeyId"], keys["secretAccessKey"]), token=keys["sessionToken"])
    connection = websocket_wire(server, path)
    assert connection.connect(name).code == 0
    iot.update_certificate(certificateId=holder.cert_id, newStatus=status)
    while (got := connection.read()) is not None:
        assert got.type == wire.DISCONNECT
    assert fails(data.publish, topic="x", payload=b"") == DEAD
    assert get_credentials(server, holder, alias).status_code == 403


# -- STS ---------------------------------------------------------------------------------------------------------


def test_a_key_acts_as_a_role_that_trusts_its_account(server, iam, fails, name):
    name = name[:64]
    document = {"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:root"}, "Action": "sts:AssumeRole",
         "Condition": {"StringEquals": {"sts:ExternalId": "secret"}}}]}
    role = iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(document))["Role"]
    iam.put_role_policy(RoleName=name, PolicyName="p", PolicyDocument=may(("iot:ListThings", "*")))
    sts = server.client("sts")
    assert fails(sts.assume_role, RoleArn=role["Arn"], RoleSessionName="me")[:2] == ("AccessDenied", 403)
    got = sts.assume_role(RoleArn=role["Arn"], RoleSessionName="me", ExternalId="secret", DurationSeconds=900)
    assert got["AssumedRoleUser"] == {"AssumedRoleId": f"{role['RoleId']}:me",
                                      "Arn": f"arn:aws:sts::{ACCOUNT}:assumed-role/{name}/me"}
    left = got["Credentials"]["Expiration"].timestamp() - time.time()
    assert 880 < left <= 900
    keys = {member[0].lower() + member[1:]: value for member, value in got["Credentials"].items()}
    iot = with_keys(server, "iot", keys)
    assert "things" in iot.list_things()
    assert fails(iot.list_certificates)[:2] == ("AccessDeniedException", 403)
    who = with_keys(server, "sts", keys).get_caller_identity()
    assert (who["Arn"], who["UserId"]) == (got["AssumedRoleUser"]["Arn"], got["AssumedRoleUser"]["AssumedRoleId"])
    assert fails(sts.assume_role, RoleArn=role["Arn"], RoleSessionName="me", ExternalId="secret",
                 DurationSeconds=7200)[:2] == ("ValidationError", 400)
    code, status, message = fails(sts.assume_role, RoleArn=role["Arn"], RoleSessionName="me", ExternalId="secret",
                                  Tags=[{"Key": "a", "Value": "b"}])
    assert (code, status) == ("NotImplemented", 501) and "Tags" in message


class TestSessionPolicies:
    """What a session may: what its role and one of its own policies allow. Source: IAM user guide, "Session policies"."""

    @pytest.fixture
    def taken(self, iam, name):
        document = {"Version": "2012-10-17", "Statement": [
            {"Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:root"}, "Action": "sts:AssumeRole"}]}
        role = iam.create_role(RoleName=name[:64], AssumeRolePolicyDocument=json.dumps(document))["Role"]
        iam.put_role_policy(RoleName=role["RoleName"], PolicyName="p", PolicyDocument=may(
            ("iot:ListThings", "*"), ("iot:ListPolicies", "*"), ("iot:Publish", "*")))
        return role

    def session(self, server, role, **more):
        got = server.client("sts").assume_role(RoleArn=role["Arn"], RoleSessionName="me", **more)["Credentials"]
        return {member[0].lower() + member[1:]: value for member, value in got.items()}

    def test_it_may_what_both_allow_and_nothing_else(self, server, taken, fails, data):
        keys = self.session(server, taken, Policy=may(("iot:ListThings", "*"), ("iot:ListCertificates", "*"), ("iot:Publish", "*")))
        iot = with_keys(server, "iot", keys)
        assert "things" in iot.list_things()
        for call in (iot.list_policies, iot.list_certificates, iot.list_thing_types):
            assert fails(call)[:2] == ("AccessDeniedException", 403)
        with_keys(server, "iot-data", keys).publish(topic="a/b", payload=b"x")
        deny = json.dumps({"Version": "2012-10-17", "Statement": [
            {"Effect": "Allow", "Action": "*", "Resource": "*"},
            {"Effect": "Deny", "Action": "iot:Publish", "Resource": f"arn:aws:iot:{REGION}:{ACCOUNT}:topic/a/*"}]})
        narrow = with_keys(server, "iot-data", self.session(server, taken, Policy=deny))
        narrow.publish(topic="b/b", payload=b"x")
        assert fails(narrow.publish, topic="a/b", payload=b"x")[1] == 403

    def test_policies_by_arn_count_together_with_the_one_given(self, server, iam, taken, fails, name):
        arn = iam.create_policy(PolicyName=f"{name[:60]}-s", PolicyDocument=may(("iot:ListPolicies", "*")))["Policy"]["Arn"]
        iot = with_keys(server, "iot", self.session(server, taken, PolicyArns=[{"arn": arn}]))
        assert "policies" in iot.list_policies()
        assert fails(iot.list_things)[:2] == ("AccessDeniedException", 403)
        both = with_keys(server, "iot", self.session(server, taken, PolicyArns=[{"arn": arn}], Policy=may(("iot:ListThings", "*"))))
        assert "policies" in both.list_policies() and "things" in both.list_things()
        managed = with_keys(server, "iot", self.session(server, taken, PolicyArns=[{"arn": "arn:aws:iam::aws:policy/AWSIoTFullAccess"}]))
        assert "things" in managed.list_things() and fails(managed.list_certificates)[1] == 403

    def test_the_role_changes_and_the_session_stays_narrow(self, server, iam, taken, fails):
        iot = with_keys(server, "iot", self.session(server, taken, Policy=may(("iot:List*", "*"))))
        assert fails(iot.list_certificates)[1] == 403
        iam.put_role_policy(RoleName=taken["RoleName"], PolicyName="p", PolicyDocument=may(("iot:*", "*")))
        assert "certificates" in iot.list_certificates()
        assert fails(iot.describe_endpoint)[1] == 403
        iam.delete_role_policy(RoleName=taken["RoleName"], PolicyName="p")
        assert fails(iot.list_things)[1] == 403

    @pytest.mark.parametrize("more, words", [
        ({"Policy": "{}"}, "session policy"), ({"Policy": "x" * 2049}, "2048"),
        ({"PolicyArns": [{"arn": "arn:aws:iam::123456789012:policy/nothing-of-the-kind"}]}, "does not exist"),
        ({"PolicyArns": [{"arn": "arn:aws:iam::aws:policy/AWSIoTFullAccess"}] * 11}, "10")])
    def test_what_is_no_session_policy(self, server, taken, fails, more, words):
        code, status, message = fails(server.client("sts").assume_role, RoleArn=taken["Arn"], RoleSessionName="me", **more)
        assert status == 400 and code in ("MalformedPolicyDocument", "ValidationError") and words in message, (code, message)

    def test_it_is_narrow_after_a_kill(self, tmp_path):
        own = Server(tmp_path / "data").start()
        try:
            iam = own.client("iam")
            document = trust(CREDENTIALS).replace('"Service"', '"AWS"').replace(f'["{CREDENTIALS}"]', f'"{ACCOUNT}"')
            role = iam.create_role(RoleName="r", AssumeRolePolicyDocument=document)["Role"]
            iam.put_role_policy(RoleName="r", PolicyName="p", PolicyDocument=may(("iot:*", "*")))
            keys = self.session(own, role, Policy=may(("iot:ListThings", "*")))
            own.kill()
            own.start()
            iot = with_keys(own, "iot", keys)
            assert iot.list_things()["things"] == []
            with pytest.raises(iot.exceptions.ClientError, match="AccessDenied"):
                iot.list_policies()
        finally:
            own.stop()


def test_policies_are_listed_by_scope(iam, fails, name):
    mine = iam.create_policy(PolicyName=name[:64], PolicyDocument=may(("iot:*", "*")))["Policy"]["Arn"]
    listed = {scope: [p["Arn"] for page in iam.get_paginator("list_policies").paginate(**({"Scope": scope} if scope else {}))
                      for p in page["Policies"]] for scope in ("", "All", "AWS", "Local")}
    assert listed[""] == listed["All"] == listed["AWS"] + listed["Local"]
    assert mine in listed["Local"] and mine not in listed["AWS"]
    assert "arn:aws:iam::aws:policy/AWSIoTFullAccess" in listed["AWS"]
    assert all(arn.startswith("arn:aws:iam::aws:") for arn in listed["AWS"])
    for arn in listed["AWS"]:
        assert iam.get_policy(PolicyArn=arn)["Policy"]["Arn"] == arn
    assert fails(iam.list_policies, Scope="Mine")[:2] == ("ValidationError", 400)


def test_the_cli_makes_a_role_with_the_variables_of_starling_env(server, role, name):
    lines = subprocess.run([BINARY, "env", "--data", server.data], check=True, capture_output=True, text=True).stdout
    got = subprocess.run(["bash", "-c", f"{lines}\n{shlex.quote(str(CLI))} iam get-role --role-name {role['RoleName']} "
                          "--query Role.Arn --output text"], capture_output=True, text=True)
    assert got.stdout.strip() == role["Arn"], got.stderr


def test_roles_and_keys_are_there_after_a_restart(tmp_path):
    from support.server import Server
    from conftest import Fleet
    own = Server(tmp_path / "data", ("--test",)).start()
    try:
        iot, iam = own.client("iot"), own.client("iam")
        role = iam.create_role(RoleName="r", AssumeRolePolicyDocument=trust(CREDENTIALS))["Role"]
        iam.put_role_policy(RoleName="r", PolicyName="p", PolicyDocument=may(
            ("iot:Publish", f"arn:aws:iot:{REGION}:{ACCOUNT}:topic/${{credentials-iot:ThingName}}")))
        iot.create_role_alias(roleAlias="a", roleArn=role["Arn"])
        (tmp_path / "d").mkdir()
        device = Fleet(own, iot, tmp_path / "d").make("lamp")
        keys = get_credentials(own, device, "a", "lamp").json()["credentials"]
        own.kill()
        own.start()
        data = with_keys(own, "iot-data", keys)
        data.publish(topic="lamp", payload=b"")
        with pytest.raises(botocore.exceptions.ClientError):
            data.publish(topic="other", payload=b"")
        assert own.client("iot").describe_role_alias(roleAlias="a")["roleAliasDescription"]["roleArn"] == role["Arn"]
        # never connected since the start, so nobody has its certificate in memory
        own.client("iot").update_certificate(certificateId=device.cert_id, newStatus="REVOKED")
        with pytest.raises(botocore.exceptions.ClientError, match=DEAD[2]):
            data.publish(topic="lamp", payload=b"")
    finally:
        own.stop()
