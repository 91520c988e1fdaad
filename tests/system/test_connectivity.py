"""GetThingConnectivityData: whether a thing's client is connected, since when, and why not."""

import pytest

from support.mqtt import wait_until


def facts(iot, thing, **asked):
    got = iot.get_thing_connectivity_data(thingName=thing, **asked)
    got.pop("ResponseMetadata")
    assert got.pop("thingName") == thing
    if "timestamp" in got:
        assert abs(got.pop("timestamp").timestamp() - facts.server.now()) < 600
    return got


@pytest.fixture(autouse=True)
def clock(server):
    facts.server = server


def test_a_thing_that_never_connected_is_not_connected(iot, name):
    iot.create_thing(thingName=name)
    assert facts(iot, name) == {"connected": False}


def test_no_such_thing(iot, name, fails):
    assert fails(iot.get_thing_connectivity_data, thingName=name)[:2] == ("ResourceNotFoundException", 404)


def test_it_follows_the_client_that_is_named_as_the_thing(server, iot, device, connect, name):
    client = connect(name, device=device, expiry_s=600, keep_alive=77)
    live = {"connected": True, "clientId": name, "keepAliveDuration": 77, "cleanSession": False, "sessionExpiry": 600}
    assert facts(iot, name) == live
    sockets = facts(iot, name, includeSocketInformation=True)
    assert sockets.pop("sourcePort") > 1023 and sockets.pop("targetPort") == server.mqtt_port
    assert sockets.pop("sourceIp") == sockets.pop("targetIp")
    assert sockets == live
    client.kill()
    assert facts(iot, name, includeSocketInformation=True) == {
        **live, "connected": False, "disconnectReason": "CONNECTION_LOST"}
    connect(name, device=device)
    assert facts(iot, name)["connected"] is True
    iot.detach_thing_principal(thingName=name, principal=device.cert_arn)


def test_the_client_of_an_exclusive_certificate_may_have_any_id(iot, device, connect, name):
    iot.detach_thing_principal(thingName=name, principal=device.cert_arn)
    iot.attach_thing_principal(thingName=name, principal=device.cert_arn, thingPrincipalType="EXCLUSIVE_THING")
    client = connect(f"{name}-any", device=device)
    got = facts(iot, name)
    assert (got["connected"], got["clientId"]) == (True, f"{name}-any")
    client.client.disconnect()
    client.wait_disconnected()
    wait_until(lambda: not facts(iot, name)["connected"])
