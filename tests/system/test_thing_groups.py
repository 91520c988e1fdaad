"""Thing groups through boto3: the tree, who is in it, what is inherited.
Source: AWS IoT developer guide, "Static thing groups"; AWS IoT Core quotas."""
import json

import pytest
from conftest import ALLOW_ALL, Fleet, allow, arn
from support.mqtt import Mqtt, wait_until
from support.server import Server
from support.signed import send
from test_registry import UUID, pages


def names(items):
    return [item["groupName"] for item in items]


@pytest.fixture
def tree(iot, name):
    """root > mid > leaf, root > side; other. The names are the test's own."""
    made = {}
    for group, parent in (("root", None), ("mid", "root"), ("leaf", "mid"), ("side", "root"), ("other", None)):
        iot.create_thing_group(thingGroupName=f"{name}-{group}",
                               **({"parentGroupName": f"{name}-{parent}"} if parent else {}))
        made[group] = f"{name}-{group}"
    return made


class TestGroup:
    def test_create_describe_update(self, iot, name, fails):
        properties = {"thingGroupDescription": "lamps", "attributePayload": {"attributes": {"floor": "1"}}}
        made = iot.create_thing_group(thingGroupName=name, thingGroupProperties=properties)
        assert made["thingGroupArn"] == arn(f"thinggroup/{name}") and UUID.fullmatch(made["thingGroupId"])
        assert iot.create_thing_group(thingGroupName=name, thingGroupProperties=properties)["thingGroupId"] == \
            made["thingGroupId"]
        assert fails(iot.create_thing_group, thingGroupName=name)[:2] == ("ResourceAlreadyExistsException", 409)
        got = iot.describe_thing_group(thingGroupName=name)
        assert (got["version"], got["thingGroupProperties"]) == (1, properties)
        assert got["thingGroupMetadata"].keys() == {"creationDate"}
        update = {"thingGroupDescription": "all", "attributePayload": {"attributes": {"room": "2"}, "merge": True}}
        code, status, _ = fails(iot.update_thing_group, thingGroupName=name, thingGroupProperties=update,
                                expectedVersion=7)
        assert (code, status) == ("VersionConflictException", 409)
        assert iot.update_thing_group(thingGroupName=name, thingGroupProperties=update, expectedVersion=1)["version"] == 2
        got = iot.describe_thing_group(thingGroupName=name)
        assert got["thingGroupProperties"] == {"thingGroupDescription": "all",
                                               "attributePayload": {"attributes": {"floor": "1", "room": "2"}}}

    def test_delete(self, iot, name, fails):
        iot.create_thing_group(thingGroupName=name)
        assert fails(iot.delete_thing_group, thingGroupName=name, expectedVersion=9)[0] == "VersionConflictException"
        iot.delete_thing_group(thingGroupName=name)
        iot.delete_thing_group(thingGroupName=name)
        code, status, message = fails(iot.describe_thing_group, thingGroupName=name)
        assert (code, status) == ("ResourceNotFoundException", 404) and name in message
        assert fails(iot.update_thing_group, thingGroupName=name, thingGroupProperties={})[1] == 404

    def test_bad_input(self, iot, name, fails):
        assert fails(iot.create_thing_group, thingGroupName="a b")[:2] == ("InvalidRequestException", 400)
        assert fails(iot.create_thing_group, thingGroupName=name, parentGroupName=f"{name}-no")[1] == 404
        many = {f"k{number}": "v" for number in range(51)}
        assert fails(iot.create_thing_group, thingGroupName=name,
                     thingGroupProperties={"attributePayload": {"attributes": many}})[1] == 400


class TestTree:
    def test_seven_levels_and_no_more(self, iot, name, fails):
        parent = {}
        for level in range(1, 8):
            iot.create_thing_group(thingGroupName=f"{name}-{level}", **parent)
            parent = {"parentGroupName": f"{name}-{level}"}
        code, status, message = fails(iot.create_thing_group, thingGroupName=f"{name}-8", **parent)
        assert (code, status) == ("InvalidRequestException", 400) and "7" in message
        metadata = iot.describe_thing_group(thingGroupName=f"{name}-7")["thingGroupMetadata"]
        assert metadata["parentGroupName"] == f"{name}-6"
        assert metadata["rootToParentThingGroups"] == [
            {"groupName": f"{name}-{level}", "groupArn": arn(f"thinggroup/{name}-{level}")} for level in range(1, 7)]

    def test_a_group_has_a_hundred_children_at_most(self, iot, name, fails):
        iot.create_thing_group(thingGroupName=name)
        for number in range(100):
            iot.create_thing_group(thingGroupName=f"{name}-{number}", parentGroupName=name)
        assert fails(iot.create_thing_group, thingGroupName=f"{name}-100", parentGroupName=name)[1] == 400
        listed, count = pages(iot.list_thing_groups, "thingGroups", parentGroup=name, recursive=False, maxResults=30)
        assert len(listed) == 100 and count == 4

    def test_one_with_children_cannot_be_deleted(self, iot, tree, fails):
        code, status, message = fails(iot.delete_thing_group, thingGroupName=tree["mid"])
        assert (code, status) == ("InvalidRequestException", 400)
        assert message == (f"Cannot delete thing group : {tree['mid']} when there are still child groups attached to it.")
        iot.delete_thing_group(thingGroupName=tree["leaf"])
        iot.delete_thing_group(thingGroupName=tree["mid"])

    def test_lists_by_parent_prefix_and_level(self, iot, name, tree):
        def listed(**filters):
            found = [names(pages(iot.list_thing_groups, "thingGroups", maxResults=size, **filters)[0])
                     for size in (1, 2, 250)]
            assert found[0] == found[1] == found[2]
            return {group[len(name) + 1:] for group in found[0] if group.startswith(f"{name}-")}
        assert listed(parentGroup=tree["root"]) == {"mid", "leaf", "side"}
        assert listed(parentGroup=tree["root"], recursive=False) == {"mid", "side"}
        assert listed(namePrefixFilter=f"{name}-", recursive=False) == {"root", "other"}
        assert listed(namePrefixFilter=f"{name}-", recursive=True) == set(tree)
        assert listed(namePrefixFilter=f"{name}-l") == {"leaf"}

    def test_a_parent_that_is_not_there(self, iot, name, fails):
        assert fails(iot.list_thing_groups, parentGroup=name)[:2] == ("ResourceNotFoundException", 404)


class TestMembers:
    def test_in_and_out_and_in_lists(self, iot, name, tree):
        things = [f"{name}-t{number}" for number in range(5)]
        for number, thing in enumerate(things):
            iot.create_thing(thingName=thing)
            group = tree["leaf" if number % 2 else "side"]
            iot.add_thing_to_thing_group(thingName=thing, thingGroupName=group)
            iot.add_thing_to_thing_group(thingArn=arn(f"thing/{thing}"), thingGroupArn=arn(f"thinggroup/{group}"))

        def members(group, **options):
            found = [pages(iot.list_things_in_thing_group, "things", thingGroupName=tree[group], maxResults=size,
                           **options)[0] for size in (1, 2, 250)]
            assert found[0] == found[1] == found[2]
            return sorted(found[0])
        assert members("side") == things[::2] and members("leaf") == things[1::2]
        assert members("root") == [] and members("root", recursive=True) == things
        assert names(iot.list_thing_groups_for_thing(thingName=things[0])["thingGroups"]) == [tree["side"]]
        iot.remove_thing_from_thing_group(thingName=things[0], thingGroupName=tree["side"])
        iot.remove_thing_from_thing_group(thingName=things[0], thingGroupName=tree["side"])
        iot.delete_thing(thingName=things[2])
        assert members("side") == things[4:]

    def test_in_one_group_of_a_tree_and_in_ten_at_most(self, iot, name, tree, fails):
        iot.create_thing(thingName=name)
        iot.add_thing_to_thing_group(thingName=name, thingGroupName=tree["leaf"])
        code, status, message = fails(iot.add_thing_to_thing_group, thingName=name, thingGroupName=tree["side"])
        assert (code, status) == ("InvalidRequestException", 400) and tree["root"] in message
        for number in range(9):
            iot.create_thing_group(thingGroupName=f"{name}-g{number}")
            iot.add_thing_to_thing_group(thingName=name, thingGroupName=f"{name}-g{number}")
        assert fails(iot.add_thing_to_thing_group, thingName=name, thingGroupName=tree["other"])[1] == 400
        listed, count = pages(iot.list_thing_groups_for_thing, "thingGroups", thingName=name, maxResults=4)
        assert len(listed) == 10 and count == 3

    def test_update_moves_a_thing_within_a_tree_or_not_at_all(self, iot, name, tree, fails):
        iot.create_thing(thingName=name)
        iot.add_thing_to_thing_group(thingName=name, thingGroupName=tree["leaf"])

        def groups():
            return set(names(iot.list_thing_groups_for_thing(thingName=name)["thingGroups"]))
        iot.update_thing_groups_for_thing(thingName=name, thingGroupsToRemove=[tree["leaf"]],
                                          thingGroupsToAdd=[tree["side"], tree["other"]])
        assert groups() == {tree["side"], tree["other"]}
        code, status, _ = fails(iot.update_thing_groups_for_thing, thingName=name, thingGroupsToRemove=[tree["other"]],
                                thingGroupsToAdd=[tree["mid"]])
        assert (code, status) == ("InvalidRequestException", 400)
        assert groups() == {tree["side"], tree["other"]}
        assert fails(iot.update_thing_groups_for_thing, thingName=name, thingGroupsToAdd=[f"{name}-no"])[1] == 404
        assert fails(iot.update_thing_groups_for_thing, thingName=f"{name}-no", thingGroupsToAdd=[tree["mid"]])[1] == 404

    def test_what_is_not_there(self, iot, name, tree, fails):
        for call in (iot.add_thing_to_thing_group, iot.remove_thing_from_thing_group):
            assert fails(call, thingName=f"{name}-no", thingGroupName=tree["mid"])[1] == 404
        assert fails(iot.list_things_in_thing_group, thingGroupName=f"{name}-no")[1] == 404
        assert fails(iot.list_thing_groups_for_thing, thingName=f"{name}-no")[1] == 404


class TestInheritance:
    def test_policies_of_the_groups_above_count_and_go_with_the_membership(self, iot, fleet, connect, name, tree):
        device = fleet.make(name, policy=allow(("iot:Connect", "client/*")))
        policy = f"{name}-group"
        iot.create_policy(policyName=policy, policyDocument=json.dumps(allow(("iot:Publish", f"topic/{name}/*"))))
        iot.attach_policy(policyName=policy, target=arn(f"thinggroup/{tree['root']}"))
        client = connect(name, device=device)
        assert client.publish(f"{name}/t", b"x") == 0x87
        iot.add_thing_to_thing_group(thingName=name, thingGroupName=tree["leaf"])
        wait_until(lambda: client.publish(f"{name}/t", b"x") == 0)
        effective = iot.get_effective_policies(thingName=name, principal=device.cert_arn)["effectivePolicies"]
        assert policy in {item["policyName"] for item in effective}
        iot.remove_thing_from_thing_group(thingName=name, thingGroupName=tree["leaf"])
        wait_until(lambda: client.publish(f"{name}/t", b"x") == 0x87)


def test_another_account_sees_none_of_it(server, iot, name, tree, fails):
    made = send(server, "POST", "/_starling/keys", json.dumps({"account": "210987654321"}).encode(), "starling").json()
    other = server.client("iot", made["accessKeyId"], made["secretAccessKey"])
    assert fails(other.describe_thing_group, thingGroupName=tree["root"])[1] == 404
    assert not pages(other.list_thing_groups, "thingGroups", namePrefixFilter=name)[0]
    assert other.create_thing_group(thingGroupName=tree["root"])["thingGroupArn"].split(":")[4] == "210987654321"


def test_groups_members_and_types_survive_a_restart(tmp_path):
    server = Server(tmp_path / "data").start()
    try:
        iot = server.client("iot")
        iot.create_thing_group(thingGroupName="p")
        iot.create_thing_group(thingGroupName="c", parentGroupName="p")
        enrich = {"propagatingAttributes": [{"userPropertyKey": "k", "thingAttribute": "a"}]}
        iot.create_thing_type(thingTypeName="ty", thingTypeProperties={"mqtt5Configuration": enrich})
        iot.create_thing(thingName="t", thingTypeName="ty", attributePayload={"attributes": {"a": "1"}})
        iot.add_thing_to_thing_group(thingName="t", thingGroupName="c")
        server.kill()
        server.start()
        iot = server.client("iot")
        assert iot.list_things_in_thing_group(thingGroupName="p", recursive=True)["things"] == ["t"]
        assert iot.describe_thing_type(thingTypeName="ty")["thingTypeProperties"]["mqtt5Configuration"] == enrich
        found = iot.list_things(attributeName="a", attributeValue="1")["things"]
        assert [thing["thingName"] for thing in found] == ["t"]
        device = Fleet(server, iot, tmp_path).make("d", policy=ALLOW_ALL)
        iot.attach_thing_principal(thingName="t", principal=device.cert_arn)
        with Mqtt(server, device, "t") as client:
            client.connect()
            assert client.subscribe("x") == [1]
            client.publish("x", b"1")
            assert client.message().properties.UserProperty == [("k", "1")]
    finally:
        server.stop()
