"""One certificate is revoked: all its ways in close, and every other device goes on untouched."""
import pytest
import requests
import urllib3
from support import wire
from support.refused import connects
from support.signed import websocket_wire


@pytest.fixture(params=["REVOKED", "INACTIVE"])
def revoke(request, iot):
    return lambda device: iot.update_certificate(certificateId=device.cert_id, newStatus=request.param)


@pytest.fixture
def pair(fleet, name):
    """The device that is cut, and one that must not notice."""
    return fleet.make(f"{name}-cut"), fleet.make(f"{name}-stays")


def test_live_mqtt_connections_close_and_others_go_on(raw, pair, revoke, name):
    cut, stays = pair
    mine = [raw(device=cut, version=version) for version in (4, 5, 5)]
    other = raw(device=stays)
    for number, connection in enumerate(mine):
        assert connection.connect(f"{name}-{number}").code == 0
    assert other.connect(f"{name}-other").code == 0
    assert other.subscribe((f"{name}/t", 1)) == [1]
    revoke(cut)
    for connection in mine:
        got = connection.read()
        if got is not None:
            assert connection.version == 5 and got.type == wire.DISCONNECT and got.body[0] in (0x87, 0x98)
            connection.expect_closed()
    other.send_publish(f"{name}/t", b"still here")
    assert other.message().payload == b"still here"


def test_it_cannot_come_back_by_its_certificate(server, pair, revoke, name):
    cut, stays = pair
    assert connects(server, cut, name)
    revoke(cut)
    for version in (4, 5):
        assert not connects(server, cut, name, version)
    assert connects(server, stays, name)


def test_it_cannot_come_back_by_a_resumed_tls_session(server, pair, revoke, name):
    contexts, sessions = {}, {}
    for device in pair:
        contexts[device.thing] = wire.tls_context(server, device, high=wire.ssl.TLSVersion.TLSv1_2)
        with wire.Wire(wire.tls_stream(server, context=contexts[device.thing])) as connection:
            assert connection.connect(f"{name}-{device.thing}").code == 0
            sessions[device.thing] = connection.stream.session
    cut, stays = pair
    revoke(cut)
    assert not connects(server, None, name, context=contexts[cut.thing], session=sessions[cut.thing])
    assert connects(server, None, name, context=contexts[stays.thing], session=sessions[stays.thing])


def test_a_tls_1_3_session_lets_it_in_no_more_either(server, pair, revoke, name):
    cut, _ = pair
    context = wire.tls_context(server, cut, low=wire.ssl.TLSVersion.TLSv1_3)
    with wire.Wire(wire.tls_stream(server, context=context)) as connection:
        assert connection.connect(name).code == 0
        session = connection.stream.session
    revoke(cut)
    assert not connects(server, None, name, context=context, session=session)


def test_websockets_by_certificate_close(server, pair, revoke, name):
    cut, stays = pair
    connections = {}
    for device in pair:
        connections[device.thing] = websocket_wire(server, "/mqtt", device=device)
        assert connections[device.thing].connect(f"{name}-{device.thing}").code == 0
    revoke(cut)
    while (got := connections[cut.thing].read()) is not None:
        assert got.type == wire.DISCONNECT
    connections[stays.thing].silent()
    for connection in connections.values():
        connection.close()


def test_a_kept_alive_http_connection_is_cut(server, pair, revoke, name):
    cut, stays = pair
    pools = {device.thing: urllib3.HTTPSConnectionPool(
        server.host, server.https_port, maxsize=1, ca_certs=server.ca_file, cert_file=device.cert_file,
        key_file=device.key_file, retries=False, timeout=10) for device in pair}
    for device in pair:
        assert pools[device.thing].request("POST", f"/topics/{name}?qos=1", body=b"x").status == 200
    revoke(cut)
    try:
        status = pools[cut.thing].request("POST", f"/topics/{name}?qos=1", body=b"x").status
    except urllib3.exceptions.HTTPError:
        status = 403
    assert status == 403
    assert pools[stays.thing].request("POST", f"/topics/{name}?qos=1", body=b"x").status == 200
    assert pools[stays.thing].num_connections == 1
    for pool in pools.values():
        pool.close()


def test_its_http_requests_are_refused(server, pair, revoke, name):
    cut, stays = pair
    revoke(cut)

    def post(device):
        return requests.post(f"{server.url}/topics/{name}?qos=1", data=b"x", verify=server.ca_file, timeout=10,
                             cert=(device.cert_file, device.key_file)).status_code

    try:
        assert post(cut) == 403
    except requests.ConnectionError as error:  # closed without an answer refuses as well
        assert not isinstance(error, requests.Timeout)
    assert post(stays) == 200


def test_deleting_the_certificate_cuts_the_same(server, iot, raw, device, name):
    connection = raw(device=device)
    assert connection.connect(name).code == 0
    iot.detach_thing_principal(thingName=device.thing, principal=device.cert_arn)
    iot.update_certificate(certificateId=device.cert_id, newStatus="INACTIVE")
    iot.delete_certificate(certificateId=device.cert_id, forceDelete=True)
    while (got := connection.read()) is not None:
        assert got.type == wire.DISCONNECT
    assert not connects(server, device, name)


def test_its_will_is_sent_as_it_is_cut(raw, connect, iot, pair, name):
    cut, _ = pair
    sub = connect(f"{name}-sub")
    sub.subscribe(f"{name}/will")
    assert raw(device=cut).connect(name, will=(f"{name}/will", b"gone", 1, False)).code == 0
    iot.update_certificate(certificateId=cut.cert_id, newStatus="REVOKED")
    assert sub.message().payload == b"gone"


def test_an_inactive_certificate_can_be_made_active_again_and_its_session_waited(raw, connect, iot, device, name):
    connection = raw(device=device)
    connection.connect(name, props=[(wire.SESSION_EXPIRY, 600)])
    connection.subscribe((f"{name}/t", 1))
    iot.update_certificate(certificateId=device.cert_id, newStatus="INACTIVE")
    while connection.read() is not None:
        pass
    connect(f"{name}-pub").publish(f"{name}/t", b"meanwhile")
    iot.update_certificate(certificateId=device.cert_id, newStatus="ACTIVE")
    again = raw(device=device)
    assert again.connect(name, clean=False, props=[(wire.SESSION_EXPIRY, 600)]).session_present is True
    assert again.message().payload == b"meanwhile"
