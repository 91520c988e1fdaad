"""Who gets in, over which TLS, by which name: connections up to their CONNACK."""
import json
import socket
import ssl

import pytest
from conftest import ALLOW_ALL, allow
from support import wire, x509
from support.refused import connects

pytestmark = pytest.mark.both

TLS12, TLS13 = ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3


@pytest.mark.parametrize("version", [4, 5])
@pytest.mark.parametrize("tls", [TLS12, TLS13])
def test_a_registered_certificate_connects_over_either_tls(raw, name, version, tls):
    connection = raw(version=version, low=tls, high=tls)
    assert connection.stream.version() == ("TLSv1.2" if tls == TLS12 else "TLSv1.3")
    answer = connection.connect(name)
    assert (answer.code, answer.session_present) == (0, False)


@pytest.mark.parametrize("tls", [ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1])
def test_older_tls_is_refused(server, anyone, tls):
    context = wire.tls_context(server, anyone)
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.minimum_version = context.maximum_version = tls
    with pytest.raises(ssl.SSLError):
        wire.tls_stream(server, context=context)


@pytest.mark.parametrize("cipher", ["ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-RSA-AES256-GCM-SHA384",
                                    "ECDHE-RSA-AES128-SHA", "AES128-GCM-SHA256"])
def test_tls12_clients_that_know_only_rsa_or_only_ecdsa_are_served(server, anyone, name, cipher):
    context = wire.tls_context(server, anyone, high=TLS12)
    context.set_ciphers(cipher)
    with wire.Wire(wire.tls_stream(server, context=context)) as connection:
        assert connection.stream.cipher()[0] == cipher
        assert connection.connect(name).code == 0


@pytest.mark.parametrize("sni", [None, "unknown.example.org", "abc123-ats.iot.us-east-1.amazonaws.com"])
def test_no_server_name_or_an_unknown_one_selects_the_default_account(raw, name, sni):
    # Source: AWSIoTPythonSDK 1.4.3 sends no SNI at all.
    assert raw(sni=sni).connect(name).code == 0


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "abc-ats.iot.us-east-1.amazonaws.com",
                                  "abc.iot.us-east-1.amazonaws.localhost", "api.localhost"])
def test_the_servers_certificate_holds_the_names_that_clients_check(server, anyone, host):
    context = wire.tls_context(server, anyone)
    raw = socket.create_connection((server.host, server.mqtt_port), wire.TIMEOUT_S)
    with context.wrap_socket(raw, server_hostname=host) as stream:
        assert stream.version() == "TLSv1.3"


@pytest.mark.parametrize("alpn", ["x-amzn-mqtt-ca", "mqtt"])
def test_alpn_for_mqtt_is_agreed_on_every_port(server, raw, name, alpn):
    for port in (server.mqtt_port, server.https_port):
        connection = raw(alpn=[alpn], port=port)
        assert connection.stream.selected_alpn_protocol() == alpn
        if alpn == "x-amzn-mqtt-ca":
            assert connection.connect(f"{name}{port}").code == 0


def test_an_unknown_alpn_gets_no_alert_and_the_first_byte_decides(raw, name):
    connection = raw(alpn=["something/9"])
    assert connection.stream.selected_alpn_protocol() is None
    assert connection.connect(name).code == 0


def test_a_browser_that_offers_h2_first_gets_http_1_1(server):
    context = wire.tls_context(server, alpn=["h2", "http/1.1"])
    with wire.tls_stream(server, port=server.https_port, context=context) as stream:
        assert stream.selected_alpn_protocol() == "http/1.1"


def test_without_alpn_both_ports_speak_mqtt_and_http(server, raw, name):
    for port in (server.mqtt_port, server.https_port):
        assert raw(port=port).connect(f"{name}{port}").code == 0
        with wire.tls_stream(server, port=port) as stream:
            stream.sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert stream.recv(4096).startswith(b"HTTP/1.1 200 ")


def test_ipv6_loopback_is_listened_on(server, anyone, name):
    if not socket.has_ipv6:
        pytest.skip("this machine has no IPv6")
    context = wire.tls_context(server, anyone)
    try:
        stream = socket.create_connection(("::1", server.mqtt_port), wire.TIMEOUT_S)
    except OSError as error:
        if server.log().count("::1"):
            pytest.skip(f"this machine has no IPv6 loopback: {error}")
        raise
    with wire.Wire(context.wrap_socket(stream, server_hostname="localhost")) as connection:
        assert connection.connect(name).code == 0


def test_no_certificate_is_refused(server, name):
    assert not connects(server, None, name)
    assert not connects(server, None, name, version=4)


def test_a_certificate_that_nobody_registered_is_refused(server, fleet, name):
    key = x509.new_key()
    cert = x509.certificate(name, key)
    stranger = fleet.save(name, x509.fingerprint(cert), "", x509.cert_pem(cert), x509.key_pem(key))
    assert not connects(server, stranger, name)


def test_a_certificate_of_a_registered_ca_that_is_not_itself_registered_is_refused(server, fleet, iot, name):
    """A CA admits nobody, it only permits registration."""
    ca_key, key = x509.new_key(), x509.new_key()
    ca = x509.certificate(f"{name} CA", ca_key, ca=True)
    iot.register_ca_certificate(caCertificate=x509.cert_pem(ca), certificateMode="SNI_ONLY", setAsActive=True)
    cert = x509.certificate(name, key, ca, ca_key)
    device = fleet.save(name, x509.fingerprint(cert), "", x509.cert_pem(cert), x509.key_pem(key))
    assert not connects(server, device, name)


def test_an_inactive_certificate_is_refused_until_it_is_activated(server, fleet, iot, name):
    device = fleet.make(name, active=False)
    assert not connects(server, device, name)
    iot.update_certificate(certificateId=device.cert_id, newStatus="ACTIVE")
    assert connects(server, device, name)


@pytest.mark.parametrize("days", [(-30, -1), (1, 30)])
def test_a_certificate_outside_its_validity_is_refused(server, fleet, iot, name, days):
    key = x509.new_key()
    cert = x509.certificate(name, key, from_days=days[0], to_days=days[1])
    # Registration may refuse it too; then there is nothing that could connect.
    try:
        arn = iot.register_certificate_without_ca(certificatePem=x509.cert_pem(cert), status="ACTIVE")["certificateArn"]
    except iot.exceptions.CertificateValidationException:
        arn = ""
    device = fleet.save(name, x509.fingerprint(cert), arn, x509.cert_pem(cert), x509.key_pem(key))
    if arn:
        iot.create_policy(policyName=name, policyDocument=json.dumps(ALLOW_ALL))
        iot.attach_policy(policyName=name, target=arn)
    assert not connects(server, device, name)


def test_a_certificate_without_policy_may_not_connect(server, fleet, iot, raw, name):
    made = iot.create_keys_and_certificate(setAsActive=True)
    device = fleet.save(name, made["certificateId"], made["certificateArn"], made["certificatePem"],
                        made["keyPair"]["PrivateKey"])
    # Source: AWS IoT developer guide, MQTT: CONNACK 7 instead of 5 in 3.1.1; 0x87 in MQTT 5.
    assert raw(device=device, version=4).connect(name).code == 7
    assert raw(device=device, version=5).connect(name).code == 0x87


def test_the_policy_decides_which_client_ids_a_certificate_may_use(fleet, raw, name):
    device = fleet.make(name, allow(("iot:Connect", f"client/{name}")))
    assert raw(device=device).connect(name).code == 0
    assert raw(device=device).connect(f"{name}x").code == 0x87


def test_user_names_with_sdk_metrics_are_no_credentials(raw, name):
    for version in (4, 5):
        answer = raw(version=version).connect(f"{name}{version}", user="?SDK=Python&Version=1.4.3")
        assert answer.code == 0


def test_a_resumed_tls_session_connects_while_the_certificate_is_active(server, anyone, name):
    context = wire.tls_context(server, anyone, high=TLS12)
    with wire.Wire(wire.tls_stream(server, context=context)) as first:
        assert first.connect(name).code == 0
        session = first.stream.session
    with wire.Wire(wire.tls_stream(server, context=context, session=session)) as second:
        assert second.stream.session_reused
        assert second.connect(name).code == 0


def test_the_plain_port_lets_in_without_tls(server, name):
    with wire.plain_wire(server) as connection:
        assert connection.connect(name).code == 0


def test_a_first_byte_that_no_protocol_begins_with_closes_the_connection(raw):
    for first in (b"\x00\x00", b"\xff\xff\xff\xff", b"\x30\x05hello", b"\xc0\x00"):
        connection = raw()
        connection.send(first)
        connection.expect_closed()


def test_plain_bytes_on_a_tls_port_close_the_connection(server):
    for garbage in (b"GET / HTTP/1.1\r\n\r\n", wire.connect_packet("a"), bytes(64)):
        with socket.create_connection((server.host, server.mqtt_port), wire.TIMEOUT_S) as raw:
            raw.sendall(garbage)
            raw.settimeout(wire.TIMEOUT_S)
            try:
                while raw.recv(4096):
                    pass
            except ConnectionError:
                pass
