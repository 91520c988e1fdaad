"""Policies: their life, and what they decide. Source: AWS IoT developer guide, "AWS IoT Core policies"."""
import json
import time

import pytest
from conftest import ALLOW_ALL, allow, arn
from support.mqtt import wait_until
from support.refused import connects


def document(*statements):
    return {"Version": "2012-10-17", "Statement": [
        {"Effect": effect, "Action": action, "Resource": resource, **(more[0] if more else {})}
        for effect, action, resource, *more in statements]}


class TestLife:
    def test_create_get_list(self, iot, name):
        text = json.dumps(ALLOW_ALL)
        made = iot.create_policy(policyName=name, policyDocument=text)
        assert (made["policyName"], made["policyArn"], made["policyVersionId"], made["policyDocument"]) == (
            name, arn(f"policy/{name}"), "1", text)
        got = iot.get_policy(policyName=name)
        assert (got["policyDocument"], got["defaultVersionId"]) == (text, "1")
        names, marker = set(), None
        while True:
            page = iot.list_policies(pageSize=50, **({"marker": marker} if marker else {}))
            names |= {item["policyName"] for item in page["policies"]}
            marker = page.get("nextMarker")
            if not marker:
                break
        assert name in names

    def test_the_same_name_conflicts(self, iot, name, fails):
        iot.create_policy(policyName=name, policyDocument=json.dumps(ALLOW_ALL))
        assert fails(iot.create_policy, policyName=name, policyDocument=json.dumps(ALLOW_ALL))[:2] == (
            "ResourceAlreadyExistsException", 409)

    @pytest.mark.parametrize("text", [
        "nonsense", "{}", "[]", '{"Version":"2012-10-17"}', '{"Version":"2000-01-01","Statement":[]}',
        json.dumps(document(("Maybe", "iot:*", "*"))),
        '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"iot:*"}]}',
        '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Resource":"*"}]}',
        json.dumps(document(("Allow", "iot:*", "*", {"Condition": {"NoSuchOperator": {"a": "b"}}}))),
    ])
    def test_what_is_no_policy(self, iot, name, fails, text):
        assert fails(iot.create_policy, policyName=name, policyDocument=text)[:2] == ("MalformedPolicyException", 400)

    def test_2048_characters_without_white_space(self, iot, name, fails):
        room = 2048 - len(json.dumps(allow(("iot:Publish", "topic/")), separators=(",", ":")))
        fits = json.dumps(allow(("iot:Publish", "topic/" + "x" * room)), indent=4)
        iot.create_policy(policyName=name, policyDocument=fits)
        more = json.dumps(allow(("iot:Publish", "topic/" + "x" * (room + 1))))
        assert fails(iot.create_policy, policyName=f"{name}-2", policyDocument=more)[1] in (400, 410)

    def test_five_versions_one_of_them_default(self, iot, name, fails):
        iot.create_policy(policyName=name, policyDocument=json.dumps(ALLOW_ALL))
        for number in range(2, 6):
            text = json.dumps(allow(("iot:Connect", f"client/{number}")))
            made = iot.create_policy_version(policyName=name, policyDocument=text, setAsDefault=number == 3)
            assert (made["policyVersionId"], made["isDefaultVersion"]) == (str(number), number == 3)
        assert fails(iot.create_policy_version, policyName=name, policyDocument=json.dumps(ALLOW_ALL))[:2] == (
            "VersionsLimitExceededException", 409)
        versions = {item["versionId"]: item["isDefaultVersion"]
                    for item in iot.list_policy_versions(policyName=name)["policyVersions"]}
        assert versions == {"1": False, "2": False, "3": True, "4": False, "5": False}
        assert fails(iot.delete_policy_version, policyName=name, policyVersionId="3")[:2] == ("InvalidRequestException", 400)
        iot.set_default_policy_version(policyName=name, policyVersionId="5")
        iot.delete_policy_version(policyName=name, policyVersionId="3")
        # A number is never given twice.
        assert iot.create_policy_version(policyName=name, policyDocument=json.dumps(ALLOW_ALL))["policyVersionId"] == "6"
        assert iot.get_policy_version(policyName=name, policyVersionId="2")["policyDocument"]
        assert fails(iot.get_policy_version, policyName=name, policyVersionId="3")[1] == 404

    def test_an_attached_policy_cannot_be_deleted(self, iot, device, fails):
        code, status, message = fails(iot.delete_policy, policyName=device.policy)
        assert (code, status) == ("DeleteConflictException", 409)
        assert message == ("The policy cannot be deleted as the policy is attached to one or more principals "
                           f"(name={device.policy})")
        iot.detach_policy(policyName=device.policy, target=device.cert_arn)
        iot.delete_policy(policyName=device.policy)

    def test_attachments_are_listed_from_both_ends(self, iot, device):
        assert [item["policyName"] for item in iot.list_attached_policies(target=device.cert_arn)["policies"]] == [device.policy]
        assert iot.list_targets_for_policy(policyName=device.policy)["targets"] == [device.cert_arn]

    def test_what_is_not_there_cannot_be_attached(self, iot, device, name, fails):
        assert fails(iot.attach_policy, policyName=f"{name}-no", target=device.cert_arn)[:2] == ("ResourceNotFoundException", 404)
        assert fails(iot.attach_policy, policyName=device.policy, target=arn("cert/" + "0" * 64))[1] == 404


class Verdicts:
    """What one device may do, tried out on the broker."""

    def __init__(self, raw, device, client_id, **options):
        self.connection = raw(device=device)
        assert self.connection.connect(client_id, **options).code == 0

    def publish(self, topic):
        return self.connection.publish(topic, b"x") < 0x80

    def subscribe(self, name):
        return self.connection.subscribe((name, 1))[0] < 0x80


@pytest.fixture
def device_with(fleet, name):
    return lambda policy: fleet.make(name, policy)


CONNECT = ("Allow", "iot:Connect", "*")


class TestDecisions:
    def test_deny_wins_over_allow(self, device_with, raw, name):
        device = device_with(document(CONNECT, ("Allow", "iot:Publish", "*"), ("Deny", "iot:Publish", arn(f"topic/{name}/no*"))))
        got = Verdicts(raw, device, name)
        assert got.publish(f"{name}/yes") and not got.publish(f"{name}/no/matter")

    def test_what_no_statement_allows_is_denied(self, device_with, raw, name):
        got = Verdicts(raw, device_with(document(CONNECT)), name)
        assert not got.publish(name) and not got.subscribe(name)

    def test_star_crosses_slashes_and_question_mark_is_one_character(self, device_with, raw, name):
        device = device_with(document(CONNECT, ("Allow", "iot:Publish", [arn(f"topic/{name}/a*z"), arn(f"topic/{name}/b?")])))
        got = Verdicts(raw, device, name)
        assert got.publish(f"{name}/a/b/c/z") and got.publish(f"{name}/bx")
        assert not got.publish(f"{name}/b") and not got.publish(f"{name}/bxx") and not got.publish(f"{name}/a/y")

    def test_mqtt_wildcards_are_plain_characters_of_a_filter(self, device_with, raw, name):
        device = device_with(document(CONNECT, ("Allow", "iot:Subscribe", arn(f"topicfilter/{name}/+/x"))))
        got = Verdicts(raw, device, name)
        assert got.subscribe(f"{name}/+/x") and not got.subscribe(f"{name}/a/x")

    def test_actions_may_hold_wildcards_and_not_action_and_not_resource_turn_round(self, device_with, raw, name):
        device = device_with({"Version": "2012-10-17", "Statement": [
            {"Effect": "Allow", "Action": "iot:Conn*", "Resource": "*"},
            {"Effect": "Allow", "Action": "iot:Publish", "NotResource": arn(f"topic/{name}/secret")},
            {"Effect": "Allow", "NotAction": ["iot:Publish", "iot:RetainPublish"], "Resource": arn(f"topicfilter/{name}/*")}]})
        got = Verdicts(raw, device, name)
        assert got.publish(f"{name}/open") and not got.publish(f"{name}/secret")
        assert got.subscribe(f"{name}/x")

    def test_the_client_id_is_a_variable(self, device_with, raw, name):
        device = device_with(document(CONNECT, ("Allow", "iot:Publish", arn("topic/${iot:ClientId}/t"))))
        got = Verdicts(raw, device, name)
        assert got.publish(f"{name}/t") and not got.publish(f"{name}x/t")

    def test_thing_variables_need_an_attached_thing_of_the_client_ids_name(self, device_with, iot, raw, name):
        device = device_with(document(CONNECT, ("Allow", "iot:Publish", arn("topic/${iot:Connection.Thing.ThingName}/t"))))
        assert Verdicts(raw, device, name).publish(f"{name}/t")
        assert not Verdicts(raw, device, f"{name}-other").publish(f"{name}/t")
        iot.detach_thing_principal(thingName=name, principal=device.cert_arn)
        assert not Verdicts(raw, device, name).publish(f"{name}/t")

    def test_thing_attributes_and_type_are_variables(self, device_with, iot, raw, name):
        device = device_with(document(
            CONNECT, ("Allow", "iot:Publish", [arn("topic/${iot:Connection.Thing.Attributes[room]}/t"),
                                               arn("topic/${iot:Connection.Thing.ThingTypeName}/t")])))
        iot.create_thing_type(thingTypeName=f"{name}-type")
        iot.update_thing(thingName=name, thingTypeName=f"{name}-type", attributePayload={"attributes": {"room": f"{name}-r1"}})
        got = Verdicts(raw, device, name)
        assert got.publish(f"{name}-r1/t") and got.publish(f"{name}-type/t") and not got.publish(f"{name}-r2/t")

    def test_is_attached_is_a_condition(self, device_with, iot, server, name):
        device = device_with(document(("Allow", "iot:Connect", "*",
                                       {"Condition": {"Bool": {"iot:Connection.Thing.IsAttached": "true"}}})))
        assert connects(server, device, name)
        assert not connects(server, device, f"{name}-other")

    def test_certificate_fields_are_variables(self, iot, fleet, raw, name):
        from support import x509
        key = x509.new_key()
        cert = x509.certificate(name, key)
        made = iot.register_certificate_without_ca(certificatePem=x509.cert_pem(cert), status="ACTIVE")
        iot.create_policy(policyName=name, policyDocument=json.dumps(document(
            CONNECT, ("Allow", "iot:Publish", [arn("topic/${iot:Certificate.Subject.CommonName}/t"),
                                               arn("topic/${iot:CertificateId}")]))))
        iot.attach_policy(policyName=name, target=made["certificateArn"])
        device = fleet.save(name, made["certificateId"], made["certificateArn"], x509.cert_pem(cert), x509.key_pem(key))
        got = Verdicts(raw, device, name)
        assert got.publish(f"{name}/t") and got.publish(made["certificateId"]) and not got.publish("other/t")

    @pytest.mark.parametrize("condition,fits", [
        ({"IpAddress": {"aws:SourceIp": "127.0.0.0/8"}}, True),
        ({"IpAddress": {"aws:SourceIp": ["10.0.0.0/8", "192.168.0.0/16"]}}, False),
        ({"NotIpAddress": {"aws:SourceIp": "127.0.0.1"}}, False),
        ({"StringLike": {"iot:ClientId": "*"}}, True),
        ({"StringEquals": {"iot:ClientId": "nobody"}}, False),
        ({"StringNotEquals": {"iot:ClientId": "nobody"}}, True),
        ({"StringEqualsIfExists": {"no:SuchKey": "x"}}, True),
        ({"Null": {"no:SuchKey": "true"}}, True),
    ])
    def test_conditions(self, device_with, server, name, condition, fits):
        device = device_with(document(("Allow", "iot:Connect", "*", {"Condition": condition})))
        assert connects(server, device, name) is fits

    def test_connect_attributes_tell_persistent_sessions_and_wills_apart(self, device_with, raw, name):
        device = device_with(document(("Allow", "iot:Connect", "*",
                                       {"Condition": {"ForAllValues:StringEquals": {"iot:ConnectAttributes": []}}})))
        assert raw(device=device, version=4).connect(name).code == 0
        assert raw(device=device, version=4).connect(name, clean=False).code == 7

    def test_receive_cuts_what_a_wide_subscription_would_bring(self, device_with, raw, connect, name):
        device = device_with(document(CONNECT, ("Allow", "iot:Subscribe", "*"), ("Allow", "iot:Receive", arn(f"topic/{name}/open*"))))
        sub = raw(device=device)
        sub.connect(name)
        assert sub.subscribe((f"{name}/#", 1)) == [1]
        pub = connect(f"{name}-pub")
        pub.publish(f"{name}/secret", b"secret")
        pub.publish(f"{name}/open", b"open")
        assert sub.message().payload == b"open"

    def test_policies_of_a_certificate_add_up_ten_of_them(self, device_with, iot, raw, name, fails):
        device = device_with(document(CONNECT))
        for number in range(9):
            iot.create_policy(policyName=f"{name}-{number}", policyDocument=json.dumps(allow(("iot:Publish", f"topic/{name}/{number}"))))
            iot.attach_policy(policyName=f"{name}-{number}", target=device.cert_arn)
        got = Verdicts(raw, device, name)
        assert all(got.publish(f"{name}/{number}") for number in range(9)) and not got.publish(f"{name}/9")
        iot.create_policy(policyName=f"{name}-10", policyDocument=json.dumps(ALLOW_ALL))
        assert fails(iot.attach_policy, policyName=f"{name}-10", target=device.cert_arn)[:2] == ("LimitExceededException", 410)


class TestChangesOnLiveConnections:
    """A change takes effect within a second."""

    def within_a_second(self, condition):
        started = time.monotonic()
        wait_until(condition, timeout_s=5)
        assert time.monotonic() - started < 1

    def test_a_new_default_version(self, device_with, iot, raw, name):
        device = device_with(document(CONNECT, ("Allow", "iot:Publish", "*")))
        got = Verdicts(raw, device, name)
        assert got.publish(f"{name}/t")
        iot.create_policy_version(policyName=device.policy, policyDocument=json.dumps(document(CONNECT)), setAsDefault=True)
        self.within_a_second(lambda: not got.publish(f"{name}/t"))
        iot.set_default_policy_version(policyName=device.policy, policyVersionId="1")
        self.within_a_second(lambda: got.publish(f"{name}/t"))

    def test_detaching_and_attaching(self, device_with, iot, raw, name):
        device = device_with(document(CONNECT))
        iot.create_policy(policyName=f"{name}-2", policyDocument=json.dumps(document(("Allow", "iot:Publish", "*"))))
        got = Verdicts(raw, device, name)
        assert not got.publish(f"{name}/t")
        iot.attach_policy(policyName=f"{name}-2", target=device.cert_arn)
        self.within_a_second(lambda: got.publish(f"{name}/t"))
        iot.detach_policy(policyName=f"{name}-2", target=device.cert_arn)
        self.within_a_second(lambda: not got.publish(f"{name}/t"))

    def test_receive_is_decided_anew_for_a_subscription_that_stands(self, device_with, iot, raw, connect, name):
        device = device_with(document(CONNECT, ("Allow", ["iot:Subscribe", "iot:Receive"], "*")))
        sub, pub = raw(device=device), connect(f"{name}-pub")
        sub.connect(name)
        sub.subscribe((f"{name}/t", 0))
        pub.publish(f"{name}/t", b"1")
        assert sub.message().payload == b"1"
        iot.create_policy_version(policyName=device.policy, setAsDefault=True, policyDocument=json.dumps(
            document(CONNECT, ("Allow", "iot:Subscribe", "*"))))

        def cut():
            pub.publish(f"{name}/t", b"2")
            sub.send(b"\xc0\x00")
            first = sub.read()
            if first.type == 3:
                sub.read()
            return first.type == 13

        self.within_a_second(cut)

    def test_a_thing_attribute_that_a_variable_uses(self, device_with, iot, raw, name):
        device = device_with(document(CONNECT, ("Allow", "iot:Publish", arn("topic/${iot:Connection.Thing.Attributes[room]}"))))
        got = Verdicts(raw, device, name)
        assert not got.publish(f"{name}-r")
        iot.update_thing(thingName=name, attributePayload={"attributes": {"room": f"{name}-r"}})
        self.within_a_second(lambda: got.publish(f"{name}-r"))
