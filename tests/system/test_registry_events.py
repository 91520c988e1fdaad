"""Registry events over MQTT, and what turns them on. Source: AWS IoT developer guide, "Registry events"."""
import json

import pytest
from conftest import ACCOUNT, allow, arn
from support.server import Server
from support.signed import send

EVERY_TYPE = {"THING", "THING_GROUP", "THING_TYPE", "THING_GROUP_MEMBERSHIP", "THING_GROUP_HIERARCHY",
              "THING_TYPE_ASSOCIATION", "JOB", "JOB_EXECUTION", "POLICY", "CERTIFICATE", "CA_CERTIFICATE"}
REGISTRY = sorted(kind for kind in EVERY_TYPE if kind.startswith("THING"))


def turn(iot, kinds, on):
    iot.update_event_configurations(eventConfigurations={kind: {"Enabled": on} for kind in kinds})


def other_account(server):
    made = send(server, "POST", "/_starling/keys", json.dumps({"account": "210987654321"}).encode(), "starling").json()
    return server.client("iot", made["accessKeyId"], made["secretAccessKey"])


@pytest.fixture
def events(iot, connect, name):
    """events(filter): a client that gets what is told there; every kind of registry event is on."""
    turn(iot, REGISTRY, True)

    def make(filter_):
        client = connect(f"{name}-{len(filter_)}", keep_alive=1200)
        assert client.subscribe(filter_) == [1]
        return client

    yield make
    turn(iot, REGISTRY, False)


def next_event(client):
    """The topic and payload of the next event; what every event has is checked and taken out."""
    message = client.message()
    payload = json.loads(message.payload)
    assert len(payload.pop("eventId")) == 36
    assert abs(payload.pop("timestamp") / 1000 - client.server.now()) < 600
    assert payload.pop("accountId") == ACCOUNT
    return message.topic, payload


class TestConfiguration:
    def test_every_type_is_listed_and_an_update_changes_what_it_names(self, iot):
        turn(iot, ["JOB", "POLICY"], True)
        turn(iot, ["POLICY"], False)
        got = iot.describe_event_configurations()
        assert set(got["eventConfigurations"]) == EVERY_TYPE
        assert got["eventConfigurations"]["JOB"] == {"Enabled": True}
        assert got["eventConfigurations"]["POLICY"] == {"Enabled": False}
        assert got["creationDate"] <= got["lastModifiedDate"]
        turn(iot, ["JOB"], False)
        assert iot.describe_event_configurations()["eventConfigurations"]["JOB"] == {"Enabled": False}

    def test_a_type_that_is_none_is_refused(self, iot, fails):
        code, status, _ = fails(iot.update_event_configurations, eventConfigurations={"NONSENSE": {"Enabled": True}})
        assert (code, status) == ("InvalidRequestException", 400)

    def test_nothing_is_told_until_it_is_turned_on(self, iot, connect, name):
        client = connect(name)
        assert client.subscribe(f"$aws/events/thing/{name}/#") == [1]
        assert client.subscribe(name) == [1]
        iot.create_thing(thingName=name)
        client.nothing_more(name)
        turn(iot, ["THING"], True)
        iot.update_thing(thingName=name, attributePayload={"attributes": {"a": "1"}})
        assert next_event(client)[0] == f"$aws/events/thing/{name}/updated"
        turn(iot, ["THING"], False)
        iot.delete_thing(thingName=name)
        client.nothing_more(name)

    def test_it_survives_a_restart_and_is_the_accounts_own(self, tmp_path):
        server = Server(tmp_path / "data", ("--test",)).start()
        try:
            turn(server.client("iot"), ["THING"], True)
            server.stop()
            server.start()
            kept = server.client("iot").describe_event_configurations()["eventConfigurations"]
            assert kept["THING"] == {"Enabled": True} and kept["THING_TYPE"] == {"Enabled": False}
            other = other_account(server).describe_event_configurations()["eventConfigurations"]
            assert not any(value["Enabled"] for value in other.values())
        finally:
            server.stop()


class TestThing:
    def test_created_updated_deleted(self, iot, events, name):
        client = events(f"$aws/events/thing/{name}/+")
        thing_id = iot.create_thing(thingName=name, attributePayload={"attributes": {"a": "1"}})["thingId"]
        common = {"eventType": "THING_EVENT", "thingId": thing_id, "thingName": name, "thingTypeName": None}
        assert next_event(client) == (f"$aws/events/thing/{name}/created", {
            **common, "operation": "CREATED", "versionNumber": 1, "attributes": {"a": "1"}})
        iot.update_thing(thingName=name, attributePayload={"attributes": {"b": "2"}, "merge": True})
        assert next_event(client) == (f"$aws/events/thing/{name}/updated", {
            **common, "operation": "UPDATED", "versionNumber": 2, "attributes": {"a": "1", "b": "2"}})
        iot.delete_thing(thingName=name)
        assert next_event(client) == (f"$aws/events/thing/{name}/deleted", {
            **common, "operation": "DELETED", "versionNumber": 2, "attributes": {"a": "1", "b": "2"}})

    def test_what_changes_nothing_tells_nothing(self, iot, events, name):
        client = events(f"$aws/events/thing/{name}/+")
        assert client.subscribe(name) == [1]
        iot.create_thing(thingName=name)
        assert next_event(client)[0].endswith("/created")
        iot.create_thing(thingName=name)
        iot.delete_thing(thingName=f"{name}-no")
        client.nothing_more(name)

    def test_its_type_comes_and_goes(self, iot, events, name):
        client = events(f"$aws/events/thingTypeAssociation/thing/{name}/#")
        for type_ in (f"{name}-a", f"{name}-b"):
            iot.create_thing_type(thingTypeName=type_)
        thing_id = iot.create_thing(thingName=name, thingTypeName=f"{name}-a")["thingId"]
        iot.update_thing(thingName=name, thingTypeName=f"{name}-b")
        iot.update_thing(thingName=name, removeThingType=True)
        topic = f"$aws/events/thingTypeAssociation/thing/{name}/thingType/{name}"
        for suffix, operation in (("a", "ADDED"), ("a", "REMOVED"), ("b", "ADDED"), ("b", "REMOVED")):
            assert next_event(client) == (f"{topic}-{suffix}/{operation.lower()}", {
                "eventType": "THING_TYPE_ASSOCIATION_EVENT", "operation": operation, "thingId": thing_id,
                "thingName": name, "thingTypeName": f"{name}-{suffix}"})


class TestType:
    def test_created_deprecated_deleted(self, server, iot, events, name):
        client = events(f"$aws/events/thingType/{name}/+")
        type_id = iot.create_thing_type(thingTypeName=name, thingTypeProperties={
            "thingTypeDescription": "lamps", "searchableAttributes": ["wattage"]})["thingTypeId"]
        common = {"eventType": "THING_TYPE_EVENT", "thingTypeId": type_id, "thingTypeName": name,
                  "searchableAttributes": ["wattage"], "propagatingAttributes": [], "description": "lamps"}
        assert next_event(client) == (f"$aws/events/thingType/{name}/created", {
            **common, "operation": "CREATED", "isDeprecated": False, "deprecationDate": None})
        iot.deprecate_thing_type(thingTypeName=name)
        topic, payload = next_event(client)
        assert isinstance(payload.pop("deprecationDate"), int)
        assert (topic, payload) == (f"$aws/events/thingType/{name}/updated", {
            **common, "operation": "UPDATED", "isDeprecated": True})
        iot.deprecate_thing_type(thingTypeName=name, undoDeprecate=True)
        assert next_event(client)[1]["isDeprecated"] is False
        iot.deprecate_thing_type(thingTypeName=name)
        assert next_event(client)[1]["isDeprecated"] is True
        server.advance(301)
        iot.delete_thing_type(thingTypeName=name)
        topic, payload = next_event(client)
        assert (topic, payload["operation"]) == (f"$aws/events/thingType/{name}/deleted", "DELETED")


class TestGroup:
    def test_created_updated_deleted_with_the_way_from_the_root(self, iot, events, name):
        client = events("$aws/events/thingGroup/+/+")
        ids, groups = {}, [f"{name}-{level}" for level in range(3)]
        for level, group in enumerate(groups):
            ids[group] = iot.create_thing_group(
                thingGroupName=group, **({"parentGroupName": groups[level - 1]} if level else {}),
                thingGroupProperties={"thingGroupDescription": "d", "attributePayload": {"attributes": {"a": "1"}}}
            )["thingGroupId"]
        root = next_event(client)
        assert root == (f"$aws/events/thingGroup/{groups[0]}/created", {
            "eventType": "THING_GROUP_EVENT", "operation": "CREATED", "thingGroupId": ids[groups[0]],
            "thingGroupName": groups[0], "versionNumber": 1, "parentGroupName": None, "parentGroupId": None,
            "description": "d", "rootToParentThingGroups": None, "attributes": {"a": "1"},
            "dynamicGroupMappingId": None})
        next_event(client)
        topic, leaf = next_event(client)
        assert (leaf["parentGroupName"], leaf["parentGroupId"]) == (groups[1], ids[groups[1]])
        assert leaf["rootToParentThingGroups"] == [
            {"groupArn": arn(f"thinggroup/{group}"), "groupId": ids[group]} for group in groups[:2]]
        iot.update_thing_group(thingGroupName=groups[2], thingGroupProperties={"thingGroupDescription": "e"})
        topic, payload = next_event(client)
        assert topic == f"$aws/events/thingGroup/{groups[2]}/updated"
        assert (payload["operation"], payload["versionNumber"], payload["description"]) == ("UPDATED", 2, "e")
        iot.delete_thing_group(thingGroupName=groups[2])
        topic, payload = next_event(client)
        assert (topic, payload["operation"]) == (f"$aws/events/thingGroup/{groups[2]}/deleted", "DELETED")

    def test_a_child_comes_and_goes(self, iot, events, name):
        client = events("$aws/events/thingGroupHierarchy/#")
        parent = iot.create_thing_group(thingGroupName=name)
        child = iot.create_thing_group(thingGroupName=f"{name}-c", parentGroupName=name)
        iot.delete_thing_group(thingGroupName=f"{name}-c")
        for operation in ("ADDED", "REMOVED"):
            assert next_event(client) == (
                f"$aws/events/thingGroupHierarchy/thingGroup/{name}/childThingGroup/{name}-c/{operation.lower()}", {
                    "eventType": "THING_GROUP_HIERARCHY_EVENT", "operation": operation,
                    "thingGroupId": parent["thingGroupId"], "thingGroupName": name,
                    "childGroupId": child["thingGroupId"], "childGroupName": f"{name}-c"})

    def test_a_member_comes_and_goes_with_one_membership_id(self, iot, events, name):
        client = events(f"$aws/events/thingGroupMembership/thingGroup/{name}/#")
        group = iot.create_thing_group(thingGroupName=name)
        thing = iot.create_thing(thingName=name)
        ways_out = (
            lambda: iot.remove_thing_from_thing_group(thingGroupName=name, thingName=name),
            lambda: iot.update_thing_groups_for_thing(thingName=name, thingGroupsToRemove=[name]),
            lambda: iot.delete_thing_group(thingGroupName=name))
        memberships = set()
        for leave in ways_out:
            iot.add_thing_to_thing_group(thingGroupName=name, thingName=name)
            iot.add_thing_to_thing_group(thingGroupName=name, thingName=name)
            leave()
            told = [next_event(client), next_event(client)]
            ids = {payload.pop("membershipId") for _, payload in told}
            assert len(ids) == 1
            memberships |= ids
            assert told == [(f"$aws/events/thingGroupMembership/thingGroup/{name}/thing/{name}/{operation.lower()}", {
                "eventType": "THING_GROUP_MEMBERSHIP_EVENT", "operation": operation,
                "groupArn": group["thingGroupArn"], "groupId": group["thingGroupId"],
                "thingArn": thing["thingArn"], "thingId": thing["thingId"]}) for operation in ("ADDED", "REMOVED")]
        assert len(memberships) == 3


def test_who_may_not_subscribe_to_events_gets_none(iot, fleet, connect, name):
    device = fleet.make(name, policy=allow(("iot:Connect", f"client/{name}"), ("iot:Subscribe", "topicfilter/other"),
                                           ("iot:Receive", "*")))
    client = connect(name, device=device)
    assert client.subscribe(f"$aws/events/thing/{name}/created") == [135]
