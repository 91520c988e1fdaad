"""Things, their types and principals through boto3. Source: AWS IoT developer guide, "Managing devices"."""
import re

import pytest
from conftest import arn

UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")


def pages(call, member, **arguments):
    """All items of a paged list, and how many pages it took."""
    items, count, token = [], 0, None
    while True:
        page = call(**arguments, **({"nextToken": token} if token else {}))
        items += page[member]
        count += 1
        token = page.get("nextToken")
        if not token:
            return items, count


class TestThing:
    def test_create_and_describe(self, iot, name):
        made = iot.create_thing(thingName=name, attributePayload={"attributes": {"a": "1", "b": "two"}})
        assert made["thingName"] == name and made["thingArn"] == arn(f"thing/{name}")
        assert UUID.fullmatch(made["thingId"])
        got = iot.describe_thing(thingName=name)
        got.pop("ResponseMetadata")
        assert got == {"defaultClientId": name, "thingName": name, "thingId": made["thingId"],
                       "thingArn": made["thingArn"], "attributes": {"a": "1", "b": "two"}, "version": 1}

    def test_the_same_again_succeeds_and_anything_else_conflicts(self, iot, name, fails):
        made = iot.create_thing(thingName=name, attributePayload={"attributes": {"a": "1"}})
        again = iot.create_thing(thingName=name, attributePayload={"attributes": {"a": "1"}})
        assert again["thingId"] == made["thingId"]
        code, status, message = fails(iot.create_thing, thingName=name, attributePayload={"attributes": {"a": "2"}})
        assert (code, status) == ("ResourceAlreadyExistsException", 409)
        assert name in message
        assert iot.describe_thing(thingName=name)["attributes"] == {"a": "1"}

    def test_a_conflict_names_the_resource(self, iot, name):
        made = iot.create_thing(thingName=name)
        with pytest.raises(iot.exceptions.ResourceAlreadyExistsException) as caught:
            iot.create_thing(thingName=name, attributePayload={"attributes": {"a": "2"}})
        assert caught.value.response["resourceArn"] == made["thingArn"]
        assert caught.value.response["resourceId"] == made["thingId"]

    def test_update_replaces_or_merges_attributes_and_counts_versions(self, iot, name):
        iot.create_thing(thingName=name, attributePayload={"attributes": {"a": "1", "b": "2"}})
        iot.update_thing(thingName=name, attributePayload={"attributes": {"b": "3", "c": "4"}, "merge": True})
        assert iot.describe_thing(thingName=name)["attributes"] == {"a": "1", "b": "3", "c": "4"}
        iot.update_thing(thingName=name, attributePayload={"attributes": {"a": "", "b": "5"}, "merge": True})
        assert iot.describe_thing(thingName=name)["attributes"] == {"b": "5", "c": "4"}
        iot.update_thing(thingName=name, attributePayload={"attributes": {"d": "6"}, "merge": False})
        got = iot.describe_thing(thingName=name)
        assert (got["attributes"], got["version"]) == ({"d": "6"}, 4)

    def test_an_expected_version_must_be_the_current_one(self, iot, name, fails):
        iot.create_thing(thingName=name)
        attributes = {"attributes": {"a": "1"}}
        code, status, _ = fails(iot.update_thing, thingName=name, attributePayload=attributes, expectedVersion=2)
        assert (code, status) == ("VersionConflictException", 409)
        iot.update_thing(thingName=name, attributePayload=attributes, expectedVersion=1)
        assert iot.describe_thing(thingName=name)["version"] == 2

    def test_what_is_not_there(self, iot, name, fails):
        for call in (iot.describe_thing, iot.update_thing, iot.list_thing_principals):
            code, status, message = fails(call, thingName=name)
            assert (code, status) == ("ResourceNotFoundException", 404)
            assert name in message

    def test_delete_succeeds_also_for_what_is_not_there(self, iot, name, fails):
        iot.delete_thing(thingName=name)
        iot.create_thing(thingName=name)
        iot.delete_thing(thingName=name)
        assert fails(iot.describe_thing, thingName=name)[1] == 404

    def test_delete_checks_the_version(self, iot, name, fails):
        iot.create_thing(thingName=name)
        assert fails(iot.delete_thing, thingName=name, expectedVersion=9)[0] == "VersionConflictException"
        iot.delete_thing(thingName=name, expectedVersion=1)

    def test_a_thing_with_principals_cannot_be_deleted(self, iot, device, fails):
        code, status, message = fails(iot.delete_thing, thingName=device.thing)
        assert (code, status) == ("InvalidRequestException", 400)
        assert message == f"Cannot delete. Thing {device.thing} is still attached to one or more principals"
        iot.detach_thing_principal(thingName=device.thing, principal=device.cert_arn)
        iot.delete_thing(thingName=device.thing)

    @pytest.mark.parametrize("bad", ["has space", "ü", "a/b", "x" * 129])
    def test_a_bad_name(self, server, bad):
        import urllib.parse
        from support.signed import send
        answer = send(server, "POST", f"/things/{urllib.parse.quote(bad, safe='')}", b"{}", "iot")
        assert answer.status_code == 400
        assert answer.headers["x-amzn-errortype"].split(":")[0] == "InvalidRequestException"

    @pytest.mark.parametrize("attributes", [{"a": "with space"}, {"a": "x" * 801}, {"bad key": "1"}, {"k" * 129: "1"}])
    def test_bad_attributes(self, iot, name, fails, attributes):
        code, status, _ = fails(iot.create_thing, thingName=name, attributePayload={"attributes": attributes})
        assert (code, status) == ("InvalidRequestException", 400)

    def test_three_attributes_without_type_and_fifty_with(self, iot, name, fails):
        many = {f"k{n}": "v" for n in range(50)}
        four = dict(list(many.items())[:4])
        assert fails(iot.create_thing, thingName=name, attributePayload={"attributes": four})[1] == 400
        iot.create_thing_type(thingTypeName=name)
        iot.create_thing(thingName=name, thingTypeName=name, attributePayload={"attributes": many})
        more = {"attributes": {"k50": "v"}, "merge": True}
        assert fails(iot.update_thing, thingName=name, attributePayload=more)[1] == 400

    def test_bodies_that_are_no_json_or_of_the_wrong_type(self, server, name):
        from support.signed import send
        for body in (b"{", b"[]", b'{"attributePayload":5}', b'{"thingTypeName":{}}'):
            answer = send(server, "POST", f"/things/{name}", body, "iot")
            assert answer.status_code == 400, body
            assert answer.headers["x-amzn-errortype"].split(":")[0] in ("InvalidRequestException", "SerializationException")


class TestList:
    def test_things_come_in_pages_and_by_attribute_and_type(self, iot, name):
        mark = name[-8:]
        iot.create_thing_type(thingTypeName=name)
        for number in range(5):
            iot.create_thing(thingName=f"{name}-{number}", **({"thingTypeName": name} if number % 2 else {}),
                             attributePayload={"attributes": {"mark": mark, "n": f"v{number}"}})
        everything = {f"{name}-{number}" for number in range(5)}
        got, count = pages(iot.list_things, "things", attributeName="mark", attributeValue=mark, maxResults=2)
        assert {thing["thingName"] for thing in got} == everything and count >= 3
        got, _ = pages(iot.list_things, "things", thingTypeName=name)
        assert {thing["thingName"] for thing in got} == {f"{name}-1", f"{name}-3"}
        got, _ = pages(iot.list_things, "things", attributeName="n", attributeValue="v4")
        assert f"{name}-4" in {thing["thingName"] for thing in got}
        got, _ = pages(iot.list_things, "things")
        assert everything <= {thing["thingName"] for thing in got}
        item = next(thing for thing in got if thing["thingName"] == f"{name}-1")
        assert item == {"thingName": f"{name}-1", "thingTypeName": name, "thingArn": arn(f"thing/{name}-1"),
                        "attributes": {"mark": mark, "n": "v1"}, "version": 1}

    def test_attributes_are_found_by_value_by_prefix_and_by_name_alone_as_they_are_now(self, iot, name):
        iot.create_thing_type(thingTypeName=name)
        key = f"k-{name[-8:]}"
        for number, value in enumerate(("abc", "abcd", "ab", "abd", "abc")):
            iot.create_thing(thingName=f"{name}-{number}", **({"thingTypeName": name} if number < 2 else {}),
                             attributePayload={"attributes": {key: value, "other": "abc"}})

        def found(**filters):
            sizes = [pages(iot.list_things, "things", attributeName=key, maxResults=size, **filters)[0]
                     for size in (1, 2, 250)]
            names = [sorted(thing["thingName"][-1] for thing in got) for got in sizes]
            assert names[0] == names[1] == names[2]
            return "".join(names[0])

        assert found() == "01234"
        assert found(attributeValue="abc") == "04"
        assert found(attributeValue="abc", usePrefixAttributeValue=True) == "014"
        assert found(attributeValue="ab", usePrefixAttributeValue=True) == "01234"
        assert found(attributeValue="b", usePrefixAttributeValue=True) == ""
        assert found(attributeValue="abc", thingTypeName=name) == "0"
        iot.update_thing(thingName=f"{name}-0", attributePayload={"attributes": {key: "new"}, "merge": True})
        iot.update_thing(thingName=f"{name}-1", attributePayload={"attributes": {"other": "abc"}, "merge": False})
        iot.delete_thing(thingName=f"{name}-4")
        assert found() == "023" and found(attributeValue="new") == "0" and found(attributeValue="abc") == ""

    def test_a_token_that_nobody_gave_out_is_refused(self, iot, fails):
        code, status, _ = fails(iot.list_things, nextToken="nonsense")
        assert (code, status) == ("InvalidRequestException", 400)

    def test_250_is_the_most_for_a_page(self, iot, fails):
        assert fails(iot.list_things, maxResults=251)[1] == 400
        iot.list_things(maxResults=250)


class TestType:
    def test_create_describe_list(self, iot, name):
        made = iot.create_thing_type(thingTypeName=name, thingTypeProperties={
            "thingTypeDescription": "lamps", "searchableAttributes": ["wattage"]})
        assert made["thingTypeName"] == name and made["thingTypeArn"] == arn(f"thingtype/{name}")
        assert UUID.fullmatch(made["thingTypeId"])
        got = iot.describe_thing_type(thingTypeName=name)
        assert got["thingTypeProperties"]["thingTypeDescription"] == "lamps"
        assert got["thingTypeProperties"]["searchableAttributes"] == ["wattage"]
        assert got["thingTypeMetadata"]["deprecated"] is False and got["thingTypeMetadata"]["creationDate"]
        listed, _ = pages(iot.list_thing_types, "thingTypes", thingTypeName=name)
        assert [item["thingTypeName"] for item in listed] == [name]

    def test_the_same_again_succeeds_and_anything_else_conflicts(self, iot, name, fails):
        iot.create_thing_type(thingTypeName=name)
        iot.create_thing_type(thingTypeName=name)
        code, status, _ = fails(iot.create_thing_type, thingTypeName=name,
                                thingTypeProperties={"thingTypeDescription": "other"})
        assert (code, status) == ("ResourceAlreadyExistsException", 409)

    def test_a_thing_has_at_most_one_and_it_can_be_taken_away(self, iot, name):
        iot.create_thing_type(thingTypeName=name)
        iot.create_thing(thingName=name, thingTypeName=name)
        assert iot.describe_thing(thingName=name)["thingTypeName"] == name
        iot.update_thing(thingName=name, removeThingType=True)
        assert "thingTypeName" not in iot.describe_thing(thingName=name)

    def test_an_unknown_type_is_not_found(self, iot, name, fails):
        assert fails(iot.create_thing, thingName=name, thingTypeName=name)[:2] == ("ResourceNotFoundException", 404)

    def test_a_deprecated_type_takes_no_new_things(self, iot, name, fails):
        iot.create_thing_type(thingTypeName=name)
        iot.deprecate_thing_type(thingTypeName=name)
        metadata = iot.describe_thing_type(thingTypeName=name)["thingTypeMetadata"]
        assert metadata["deprecated"] is True and metadata["deprecationDate"]
        assert fails(iot.create_thing, thingName=name, thingTypeName=name)[:2] == ("InvalidRequestException", 400)
        iot.deprecate_thing_type(thingTypeName=name, undoDeprecate=True)
        iot.create_thing(thingName=name, thingTypeName=name)

    def test_delete_only_five_minutes_after_deprecation(self, server, iot, name, fails):
        iot.create_thing_type(thingTypeName=name)
        assert fails(iot.delete_thing_type, thingTypeName=name)[:2] == ("InvalidRequestException", 400)
        iot.deprecate_thing_type(thingTypeName=name)
        code, status, message = fails(iot.delete_thing_type, thingTypeName=name)
        assert (code, status) == ("InvalidRequestException", 400)
        # Source: Terraform's provider retries on this sentence.
        assert "Please wait for 5 minutes after deprecation and then retry" in message
        server.advance(301)
        iot.delete_thing_type(thingTypeName=name)
        assert fails(iot.describe_thing_type, thingTypeName=name)[1] == 404


class TestPrincipals:
    def test_attach_list_detach(self, iot, device, name):
        assert iot.list_thing_principals(thingName=name)["principals"] == [device.cert_arn]
        assert iot.list_principal_things(principal=device.cert_arn)["things"] == [name]
        iot.create_thing(thingName=f"{name}-2")
        iot.attach_thing_principal(thingName=f"{name}-2", principal=device.cert_arn)
        iot.attach_thing_principal(thingName=f"{name}-2", principal=device.cert_arn)
        assert sorted(iot.list_principal_things(principal=device.cert_arn)["things"]) == [name, f"{name}-2"]
        iot.detach_thing_principal(thingName=name, principal=device.cert_arn)
        assert iot.list_thing_principals(thingName=name)["principals"] == []

    def test_what_is_not_there_cannot_be_attached(self, iot, device, name, fails):
        unknown = arn("cert/" + "0" * 64)
        assert fails(iot.attach_thing_principal, thingName=name, principal=unknown)[:2] == ("ResourceNotFoundException", 404)
        assert fails(iot.attach_thing_principal, thingName=f"{name}-no", principal=device.cert_arn)[1] == 404
        assert fails(iot.attach_thing_principal, thingName=name, principal="nonsense")[1] == 400

    def test_an_exclusive_certificate_belongs_to_one_thing(self, iot, name, fails):
        made = iot.create_keys_and_certificate(setAsActive=True)
        for thing in (name, f"{name}-2"):
            iot.create_thing(thingName=thing)
        iot.attach_thing_principal(thingName=name, principal=made["certificateArn"], thingPrincipalType="EXCLUSIVE_THING")
        assert fails(iot.attach_thing_principal, thingName=f"{name}-2", principal=made["certificateArn"])[1] in (400, 409)
        got = iot.list_thing_principals_v2(thingName=name)["thingPrincipalObjects"]
        assert got == [{"principal": made["certificateArn"], "thingPrincipalType": "EXCLUSIVE_THING"}]


    def test_lists_of_the_second_version_tell_the_kind_and_come_in_pages(self, iot, name):
        certificates = [iot.create_keys_and_certificate(setAsActive=True)["certificateArn"] for _ in range(3)]
        for thing in (name, f"{name}-2"):
            iot.create_thing(thingName=thing)
        for number, certificate in enumerate(certificates):
            kind = "EXCLUSIVE_THING" if number == 0 else "NON_EXCLUSIVE_THING"
            iot.attach_thing_principal(thingName=name, principal=certificate, thingPrincipalType=kind)
        iot.attach_thing_principal(thingName=f"{name}-2", principal=certificates[1])
        want = [{"principal": certificate, "thingPrincipalType": "NON_EXCLUSIVE_THING"} for certificate in certificates[1:]]
        got, _ = pages(iot.list_thing_principals_v2, "thingPrincipalObjects", thingName=name,
                       thingPrincipalType="NON_EXCLUSIVE_THING", maxResults=1)
        assert sorted(got, key=str) == sorted(want, key=str)
        got, count = pages(iot.list_thing_principals_v2, "thingPrincipalObjects", thingName=name, maxResults=2)
        assert len(got) == 3 and count == 2
        got, count = pages(iot.list_principal_things_v2, "principalThingObjects", principal=certificates[1], maxResults=1)
        assert count == 2 and got == [{"thingName": thing, "thingPrincipalType": "NON_EXCLUSIVE_THING"}
                                      for thing in (name, f"{name}-2")]

    def test_an_exclusive_attachment_asks_that_there_is_no_other_and_may_be_given_again(self, iot, name, fails):
        certificate = iot.create_keys_and_certificate(setAsActive=True)["certificateArn"]
        for thing in (name, f"{name}-2"):
            iot.create_thing(thingName=thing)
        iot.attach_thing_principal(thingName=name, principal=certificate)
        for thing in (name, f"{name}-2"):
            assert fails(iot.attach_thing_principal, thingName=thing, principal=certificate,
                         thingPrincipalType="EXCLUSIVE_THING")[:2] == ("InvalidRequestException", 400)
        iot.detach_thing_principal(thingName=name, principal=certificate)
        iot.attach_thing_principal(thingName=name, principal=certificate, thingPrincipalType="EXCLUSIVE_THING")
        iot.attach_thing_principal(thingName=name, principal=certificate, thingPrincipalType="EXCLUSIVE_THING")
        iot.detach_thing_principal(thingName=name, principal=certificate)
        iot.attach_thing_principal(thingName=f"{name}-2", principal=certificate, thingPrincipalType="EXCLUSIVE_THING")


def test_describe_endpoint_gives_what_clients_can_use(server, iot):
    """Device SDKs take a host name alone; the other two are only ever part of a URL."""
    for kind in ("iot:Data-ATS", "iot:Data"):
        assert iot.describe_endpoint(endpointType=kind)["endpointAddress"] in ("localhost", "127.0.0.1")
    for kind in ("iot:CredentialProvider", "iot:Jobs"):
        assert iot.describe_endpoint(endpointType=kind)["endpointAddress"] == f"localhost:{server.https_port}"


def test_describe_endpoint_refuses_a_kind_that_is_none(iot, fails):
    assert fails(iot.describe_endpoint, endpointType="iot:Nonsense")[:2] == ("InvalidRequestException", 400)
