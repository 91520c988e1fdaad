"""Message enrichment: what a thing type adds to the publishes of its things.
Source: AWS IoT developer guide, "Adding propagating attributes for message enrichment"."""
import pytest
from support.mqtt import wait_until

PROPAGATING = [{"userPropertyKey": "iot:ClientId", "connectionAttribute": "iot:ClientId"},
               {"userPropertyKey": "name", "connectionAttribute": "iot:Thing.ThingName"},
               {"userPropertyKey": "room", "thingAttribute": "room"},
               {"userPropertyKey": "nothing", "thingAttribute": "absent"}]


def mqtt5(attributes):
    return {"mqtt5Configuration": {"propagatingAttributes": attributes}}


def properties_of(message):
    return getattr(message.properties, "UserProperty", [])


def give_type(iot, device, type_):
    iot.update_thing(thingName=device.thing, thingTypeName=type_, attributePayload={"attributes": {"room": "kitchen"}})


class TestType:
    def test_it_is_read_back_and_part_of_what_must_be_the_same(self, iot, name, fails):
        iot.create_thing_type(thingTypeName=name, thingTypeProperties=mqtt5(PROPAGATING))
        iot.create_thing_type(thingTypeName=name, thingTypeProperties=mqtt5(PROPAGATING))
        assert fails(iot.create_thing_type, thingTypeName=name)[0] == "ResourceAlreadyExistsException"
        got = iot.describe_thing_type(thingTypeName=name)["thingTypeProperties"]
        assert got["mqtt5Configuration"] == {"propagatingAttributes": PROPAGATING}
        listed = iot.list_thing_types(thingTypeName=name)["thingTypes"][0]["thingTypeProperties"]
        assert listed["mqtt5Configuration"] == {"propagatingAttributes": PROPAGATING}

    def test_an_update_changes_it_and_nothing_else(self, iot, name, fails):
        iot.create_thing_type(thingTypeName=name, thingTypeProperties={"thingTypeDescription": "lamps"})
        iot.update_thing_type(thingTypeName=name, thingTypeProperties=mqtt5(PROPAGATING[:1]))
        got = iot.describe_thing_type(thingTypeName=name)["thingTypeProperties"]
        assert got["thingTypeDescription"] == "lamps"
        assert got["mqtt5Configuration"] == {"propagatingAttributes": PROPAGATING[:1]}
        iot.update_thing_type(thingTypeName=name, thingTypeProperties=mqtt5([]))
        assert "mqtt5Configuration" not in iot.describe_thing_type(thingTypeName=name)["thingTypeProperties"]
        code, status, _ = fails(iot.update_thing_type, thingTypeName=name,
                                thingTypeProperties={"thingTypeDescription": "other"})
        assert (code, status) == ("InvalidRequestException", 400)
        assert fails(iot.update_thing_type, thingTypeName=f"{name}-no")[:2] == ("ResourceNotFoundException", 404)

    @pytest.mark.parametrize("bad", [
        [{"userPropertyKey": "a"}],
        [{"thingAttribute": "a"}],
        [{"userPropertyKey": "a", "thingAttribute": "b", "connectionAttribute": "iot:ClientId"}],
        [{"userPropertyKey": "a", "connectionAttribute": "iot:Nonsense"}],
        [{"userPropertyKey": "a", "thingAttribute": "b"}, {"userPropertyKey": "a", "thingAttribute": "c"}],
        [{"userPropertyKey": f"k{n}", "thingAttribute": "b"} for n in range(21)]])
    def test_what_cannot_be_added(self, iot, name, fails, bad):
        code, status, _ = fails(iot.create_thing_type, thingTypeName=name, thingTypeProperties=mqtt5(bad))
        assert (code, status) == ("InvalidRequestException", 400)


class TestPublish:
    @pytest.mark.parametrize("version", [4, 5])
    def test_publishes_of_a_thing_carry_its_attributes(self, iot, device, connect, name, version):
        iot.create_thing_type(thingTypeName=name, thingTypeProperties=mqtt5(PROPAGATING))
        give_type(iot, device, name)
        reader = connect(f"{name}-r")
        assert reader.subscribe(f"{name}/t") == [1]
        writer = connect(name, device=device, version=version)
        want = [("iot:ClientId", name), ("name", name), ("room", "kitchen")]
        for qos in (0, 1):
            writer.publish(f"{name}/t", b"x", qos=qos)
            got = reader.message()
            assert (got.payload, properties_of(got)) == (b"x", want)

    def test_they_stand_behind_the_clients_own(self, iot, device, connect, name):
        iot.create_thing_type(thingTypeName=name, thingTypeProperties=mqtt5(PROPAGATING[2:3]))
        give_type(iot, device, name)
        reader = connect(f"{name}-r")
        assert reader.subscribe(f"{name}/t") == [1]
        connect(name, device=device).publish(f"{name}/t", b"x", UserProperty=[("own", "1")], ContentType="a/b")
        got = reader.message()
        assert properties_of(got) == [("own", "1"), ("room", "kitchen")] and got.properties.ContentType == "a/b"

    def test_a_change_of_type_thing_or_configuration_reaches_a_live_connection(self, iot, device, connect, name):
        iot.create_thing_type(thingTypeName=name)
        give_type(iot, device, name)
        reader = connect(f"{name}-r")
        assert reader.subscribe(f"{name}/t") == [1]
        writer = connect(name, device=device)

        def carries(want):
            def look():
                writer.publish(f"{name}/t", b"x")
                return properties_of(reader.message()) == want
            wait_until(look)

        carries([])
        iot.update_thing_type(thingTypeName=name, thingTypeProperties=mqtt5(PROPAGATING[2:3]))
        carries([("room", "kitchen")])
        iot.update_thing(thingName=name, attributePayload={"attributes": {"room": "hall"}})
        carries([("room", "hall")])
        iot.update_thing(thingName=name, removeThingType=True)
        carries([])

    def test_another_client_id_of_the_certificate_carries_nothing_unless_it_is_exclusive(self, iot, device, connect,
                                                                                         name):
        iot.create_thing_type(thingTypeName=name, thingTypeProperties=mqtt5(PROPAGATING[:2]))
        give_type(iot, device, name)
        reader = connect(f"{name}-r")
        assert reader.subscribe(f"{name}/t") == [1]
        writer = connect(f"{name}-other", device=device)
        writer.publish(f"{name}/t", b"x")
        assert properties_of(reader.message()) == []
        iot.detach_thing_principal(thingName=name, principal=device.cert_arn)
        iot.attach_thing_principal(thingName=name, principal=device.cert_arn, thingPrincipalType="EXCLUSIVE_THING")

        def look():
            writer.publish(f"{name}/t", b"x")
            return properties_of(reader.message()) == [("iot:ClientId", f"{name}-other"), ("name", name)]
        wait_until(look)
