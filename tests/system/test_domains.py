"""Domain configurations: a host name with its own server certificate, TLS versions and ways in; and the certificates that
ACM's API brings for them."""
import datetime
import socket
import ssl
import subprocess
import uuid

import pytest
import urllib3
from cryptography import x509 as crypto
from cryptography.hazmat.primitives import hashes
from cryptography.x509.oid import ExtendedKeyUsageOID
from conftest import Fleet
from support import functions, wire, x509
from support.mqtt import wait_until
from support.server import ACCOUNT, BINARY, REGION, Server
from support.signed import signed_headers

TLS12, TLS13 = ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3


@pytest.fixture(scope="session")
def acm(server):
    return server.client("acm")


class Authority:
    """A CA of one's own for server certificates."""

    def __init__(self, folder):
        self.key = x509.new_key()
        self.cert = x509.certificate("Own Server CA", self.key, ca=True)
        self.file = folder / "own-ca.pem"
        self.file.write_text(x509.cert_pem(self.cert))

    def issue(self, *hosts, usage=ExtendedKeyUsageOID.SERVER_AUTH, days=30):
        key, now = x509.new_key(), datetime.datetime.now(datetime.timezone.utc)
        cert = (crypto.CertificateBuilder().subject_name(x509.named(hosts[0])).issuer_name(self.cert.subject)
                .public_key(key.public_key()).serial_number(crypto.random_serial_number())
                .not_valid_before(now - datetime.timedelta(days=60)).not_valid_after(now + datetime.timedelta(days=days))
                .add_extension(crypto.SubjectAlternativeName([crypto.DNSName(host) for host in hosts]), False)
                .add_extension(crypto.ExtendedKeyUsage([usage]), False)
                .sign(self.key, hashes.SHA256()))
        return {"Certificate": x509.cert_pem(cert).encode(), "PrivateKey": x509.key_pem(key).encode(),
                "CertificateChain": x509.cert_pem(self.cert).encode()}, cert


@pytest.fixture(scope="session")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture
def host():
    return f"d{uuid.uuid4().hex[:12]}.devices.example.org"


@pytest.fixture
def domain(iot, acm, authority, host, name):
    """domain(**settings): a configuration for `host`."""
    def make(**settings):
        pem, _ = authority.issue(host)
        arn = acm.import_certificate(**pem)["CertificateArn"]
        made = iot.create_domain_configuration(domainConfigurationName=name, domainName=host,
                                               serverCertificateArns=[arn], **settings)
        return made | {"certificate": arn}

    return make


def handshake(server, host, ca_file, device=None, low=None, high=None):
    context = ssl.create_default_context(cafile=str(ca_file))
    if device:
        context.load_cert_chain(device.cert_file, device.key_file)
    if low:
        context.minimum_version = low
    if high:
        context.maximum_version = high
    raw = socket.create_connection(("127.0.0.1", server.mqtt_port), wire.TIMEOUT_S)
    return context.wrap_socket(raw, server_hostname=host)


def mqtt(server, host, ca_file, device, client_id, **versions):
    """True when MQTT by this name and certificate is let in."""
    try:
        with wire.Wire(handshake(server, host, ca_file, device, **versions)) as connection:
            connection.send(wire.connect_packet(client_id))
            answer = connection.read()
    except (ssl.SSLError, ConnectionError):
        return False
    return answer is not None and answer.type == wire.CONNACK and answer.body[1] == 0


def https(server, host, ca_file, device=None):
    return urllib3.HTTPSConnectionPool("127.0.0.1", server.https_port, maxsize=1, ca_certs=str(ca_file),
                                       cert_file=device and device.cert_file, key_file=device and device.key_file,
                                       server_hostname=host, assert_hostname=host, retries=False, timeout=10)


def by_certificate(server, host, ca_file, device):
    return https(server, host, ca_file, device).request("POST", "/topics/x?qos=0", body=b"").status


def by_key(server, host, ca_file):
    headers = signed_headers(server, "POST", "/topics/x?qos=0", b"")
    headers["Host"] = f"{server.host}:{server.https_port}"
    return https(server, host, ca_file).request("POST", "/topics/x?qos=0", body=b"", headers=headers).status


# -- ACM ---------------------------------------------------------------------------------------------------------


def test_an_imported_certificate_comes_back(acm, authority, host, fails):
    pem, cert = authority.issue(host, f"*.{host}")
    arn = acm.import_certificate(**pem, Tags=[{"Key": "a", "Value": "b"}])["CertificateArn"]
    assert arn.startswith(f"arn:aws:acm:{REGION}:{ACCOUNT}:certificate/")
    got = acm.describe_certificate(CertificateArn=arn)["Certificate"]
    assert (got["DomainName"], got["SubjectAlternativeNames"]) == (host, [host, f"*.{host}"])
    assert (got["Status"], got["Type"], got["InUseBy"]) == ("ISSUED", "IMPORTED", [])
    assert int(got["Serial"].replace(":", ""), 16) == cert.serial_number
    assert got["NotAfter"].timestamp() == cert.not_valid_after_utc.timestamp()
    whole = acm.get_certificate(CertificateArn=arn)
    assert whole["Certificate"].encode() == pem["Certificate"]
    assert whole["CertificateChain"].encode() == pem["CertificateChain"]
    acm.add_tags_to_certificate(CertificateArn=arn, Tags=[{"Key": "c", "Value": "d"}])
    acm.remove_tags_from_certificate(CertificateArn=arn, Tags=[{"Key": "a"}])
    assert acm.list_tags_for_certificate(CertificateArn=arn)["Tags"] == [{"Key": "c", "Value": "d"}]
    again, cert = authority.issue(host, days=60)
    assert acm.import_certificate(CertificateArn=arn, **again)["CertificateArn"] == arn
    got = acm.describe_certificate(CertificateArn=arn)["Certificate"]
    assert got["NotAfter"].timestamp() == cert.not_valid_after_utc.timestamp()
    acm.delete_certificate(CertificateArn=arn)
    assert fails(acm.describe_certificate, CertificateArn=arn)[0] == "ResourceNotFoundException"
    assert fails(acm.delete_certificate, CertificateArn=arn)[0] == "ResourceNotFoundException"


def test_imported_certificates_are_listed_in_pages(acm, authority, host):
    made = [acm.import_certificate(**authority.issue(host)[0])["CertificateArn"] for _ in range(3)]
    found, arguments = [], {"MaxItems": 2}
    while True:
        page = acm.list_certificates(**arguments)
        assert len(page["CertificateSummaryList"]) <= 2
        found += [c["CertificateArn"] for c in page["CertificateSummaryList"] if c["DomainName"] == host]
        if not page.get("NextToken"):
            break
        arguments["NextToken"] = page["NextToken"]
    assert found == made


def test_what_is_no_certificate_with_its_key_is_not_imported(acm, authority, host, fails):
    pem, _ = authority.issue(host)
    other, _ = authority.issue(host)
    expired, _ = authority.issue(host, days=-1)
    for wrong, text in ((pem | {"PrivateKey": other["PrivateKey"]}, "private key is not the certificate's"),
                        (pem | {"PrivateKey": b"x"}, "PEM key"), (pem | {"Certificate": b"x"}, "not PEM"),
                        (pem | {"CertificateChain": other["Certificate"]}, ""), (expired, "expired")):
        code, status, message = fails(acm.import_certificate, **wrong)
        assert (code, status) == ("ValidationException", 400) and text in message
    assert fails(acm.request_certificate, DomainName=host)[1] == 501


def test_another_account_sees_nothing_of_it(server, acm, authority, host, domain, name, fails):
    arn = domain()["certificate"]
    made = subprocess.run([BINARY, "key", "create", "--data", server.data, "--account", "666677778888"], check=True,
                          capture_output=True, text=True).stdout
    values = dict(line.split(" = ") for line in made.splitlines() if " = " in line)
    key = values["aws_access_key_id"], values["aws_secret_access_key"]
    assert fails(server.client("acm", *key).describe_certificate, CertificateArn=arn)[0] == "ResourceNotFoundException"
    iot = server.client("iot", *key)
    assert fails(iot.describe_domain_configuration, domainConfigurationName=name)[:2] == (
        "ResourceNotFoundException", 404)
    pem, _ = authority.issue(host)
    own = server.client("acm", *key).import_certificate(**pem)["CertificateArn"]
    code, status, message = fails(iot.create_domain_configuration, domainConfigurationName=name, domainName=host,
                                  serverCertificateArns=[own])
    assert (code, status) == ("ResourceAlreadyExistsException", 409) and host in message


# -- configurations ----------------------------------------------------------------------------------------------


def test_a_configuration_comes_back_as_it_was_made(iot, acm, domain, host, name, fails):
    made = domain(authorizerConfig={"defaultAuthorizerName": "auth", "allowAuthorizerOverride": True},
                  tlsConfig={"securityPolicy": "IoTSecurityPolicy_TLS13_1_2_2022_10"}, tags=[{"Key": "a", "Value": "b"}])
    arn = made["domainConfigurationArn"]
    assert arn.startswith(f"arn:aws:iot:{REGION}:{ACCOUNT}:domainconfiguration/{name}/")
    got = iot.describe_domain_configuration(domainConfigurationName=name)
    assert (got["domainName"], got["domainType"], got["serviceType"]) == (host, "CUSTOMER_MANAGED", "DATA")
    assert got["domainConfigurationStatus"] == "ENABLED" and got["domainConfigurationArn"] == arn
    assert got["authorizerConfig"] == {"defaultAuthorizerName": "auth", "allowAuthorizerOverride": True}
    assert got["tlsConfig"] == {"securityPolicy": "IoTSecurityPolicy_TLS13_1_2_2022_10"}
    assert (got["authenticationType"], got["applicationProtocol"]) == ("DEFAULT", "DEFAULT")
    assert got["serverCertificates"] == [{"serverCertificateArn": made["certificate"], "serverCertificateStatus": "VALID"}]
    assert iot.list_tags_for_resource(resourceArn=arn)["tags"] == [{"Key": "a", "Value": "b"}]
    assert acm.describe_certificate(CertificateArn=made["certificate"])["Certificate"]["InUseBy"] == [arn]
    assert fails(acm.delete_certificate, CertificateArn=made["certificate"])[0] == "ResourceInUseException"
    assert fails(iot.create_domain_configuration, domainConfigurationName=name, domainName=host,
                 serverCertificateArns=[made["certificate"]])[:2] == ("ResourceAlreadyExistsException", 409)
    iot.update_domain_configuration(domainConfigurationName=name, removeAuthorizerConfig=True,
                                    tlsConfig={"securityPolicy": "IoTSecurityPolicy_TLS13_1_3_2022_10"})
    got = iot.describe_domain_configuration(domainConfigurationName=name)
    assert "authorizerConfig" not in got
    assert got["tlsConfig"] == {"securityPolicy": "IoTSecurityPolicy_TLS13_1_3_2022_10"}
    code, status, message = fails(iot.delete_domain_configuration, domainConfigurationName=name)
    assert (code, status) == ("InvalidRequestException", 400) and "disabled" in message
    iot.update_domain_configuration(domainConfigurationName=name, domainConfigurationStatus="DISABLED")
    iot.delete_domain_configuration(domainConfigurationName=name)
    assert fails(iot.describe_domain_configuration, domainConfigurationName=name)[:2] == (
        "ResourceNotFoundException", 404)
    acm.delete_certificate(CertificateArn=made["certificate"])


def test_an_accounts_own_endpoints_are_configurations_too(iot, fails):
    found, arguments = {}, {"pageSize": 2}
    while True:
        page = iot.list_domain_configurations(**arguments)
        assert len(page["domainConfigurations"]) <= 2
        found |= {d["domainConfigurationName"]: d for d in page["domainConfigurations"]}
        if "nextMarker" not in page:
            break
        arguments["marker"] = page["nextMarker"]
    assert {"iot:Data", "iot:Data-ATS", "iot:CredentialProvider", "iot:Jobs"} <= set(found)
    assert found["iot:Jobs"]["serviceType"] == "JOBS"
    jobs = iot.list_domain_configurations(serviceType="JOBS")["domainConfigurations"]
    assert [d["domainConfigurationName"] for d in jobs] == ["iot:Jobs"]
    got = iot.describe_domain_configuration(domainConfigurationName="iot:Data-ATS")
    assert got["domainType"] == "ENDPOINT" and got["domainName"].endswith(f"-ats.iot.{REGION}.amazonaws.localhost")
    for arguments in ({"domainConfigurationStatus": "DISABLED"},):
        assert fails(iot.update_domain_configuration, domainConfigurationName="iot:Data-ATS", **arguments)[:2] == (
            "InvalidRequestException", 400)
    assert fails(iot.delete_domain_configuration, domainConfigurationName="iot:Jobs")[1] == 400


@pytest.mark.parametrize("settings, text", [
    ({"domainName": "another.example.org"}, "does not cover"),
    ({"domainName": "no_host"}, "does not cover"),
    ({"serverCertificateArns": []}, "come together"),
    ({"serverCertificateArns": ["arn:aws:acm:us-east-1:123456789012:certificate/none"]}, "import-certificate"),
    ({"serviceType": "JOBS"}, "not supported"),
    ({"tlsConfig": {"securityPolicy": "Nonsense"}}, "Security policy 'Nonsense'"),
    ({"authenticationType": "AWS_X509", "applicationProtocol": "MQTT_WSS"}, "does not go with"),
    ({"authenticationType": "CUSTOM_AUTH", "applicationProtocol": "SECURE_MQTT"}, "defaultAuthorizerName"),
    ({"serverCertificateConfig": {"enableOCSPCheck": True}}, "not implemented"),
    ({"clientCertificateConfig": {"clientCertificateCallbackArn": "arn:aws:lambda:us-east-1:1:function:x"}},
     "not implemented"),
])
def test_a_configuration_that_cannot_be_is_refused(iot, acm, authority, host, name, fails, settings, text):
    pem, _ = authority.issue(host)
    arguments = {"domainConfigurationName": name, "domainName": host,
                 "serverCertificateArns": [acm.import_certificate(**pem)["CertificateArn"]]} | settings
    code, status, message = fails(iot.create_domain_configuration, **arguments)
    assert text in message and status in (400, 501)
    assert fails(iot.describe_domain_configuration, domainConfigurationName=name)[1] == 404


def test_a_certificate_that_is_not_for_servers_is_refused(iot, acm, authority, host, name, fails):
    pem, _ = authority.issue(host, usage=ExtendedKeyUsageOID.CLIENT_AUTH)
    arn = acm.import_certificate(**pem)["CertificateArn"]
    code, status, message = fails(iot.create_domain_configuration, domainConfigurationName=name, domainName=host,
                                  serverCertificateArns=[arn])
    assert (code, status) == ("CertificateValidationException", 400) and "serverAuth" in message


# -- what they do ------------------------------------------------------------------------------------------------


def test_the_domains_certificate_is_served_by_sni_and_a_renewed_one_at_once(server, acm, authority, domain, host,
                                                                         device, name):
    arn = domain()["certificate"]
    assert mqtt(server, host, authority.file, device, name)
    assert mqtt(server, host.upper(), authority.file, device, name)
    with pytest.raises(ssl.SSLError):  # the server's own CA did not sign it
        handshake(server, host, server.ca_file)
    assert mqtt(server, "localhost", server.ca_file, device, name)
    renewed, cert = authority.issue(host, days=90)
    acm.import_certificate(CertificateArn=arn, **renewed)

    def served():
        with handshake(server, host, authority.file) as connection:
            return crypto.load_der_x509_certificate(connection.getpeercert(True)).serial_number

    wait_until(lambda: served() == cert.serial_number)


def test_tls_versions_are_the_domains(server, iot, authority, domain, host, device, name):
    domain(tlsConfig={"securityPolicy": "IoTSecurityPolicy_TLS13_1_3_2022_10"})
    assert not mqtt(server, host, authority.file, device, name, high=TLS12)
    assert mqtt(server, host, authority.file, device, name)
    assert mqtt(server, "localhost", server.ca_file, device, name, high=TLS12)
    iot.update_domain_configuration(domainConfigurationName=name,
                                    tlsConfig={"securityPolicy": "IoTSecurityPolicy_TLS12_1_2_2022_10"})
    wait_until(lambda: mqtt(server, host, authority.file, device, name, high=TLS12))
    assert not mqtt(server, host, authority.file, device, name, low=TLS13)


def test_a_disabled_domain_lets_nobody_in(server, iot, authority, domain, host, device, name):
    domain()
    assert by_certificate(server, host, authority.file, device) == 200
    iot.update_domain_configuration(domainConfigurationName=name, domainConfigurationStatus="DISABLED")
    wait_until(lambda: not mqtt(server, host, authority.file, device, name))
    assert by_certificate(server, host, authority.file, device) == 403
    assert by_key(server, host, authority.file) == 403
    assert mqtt(server, "localhost", server.ca_file, device, name)
    iot.update_domain_configuration(domainConfigurationName=name, domainConfigurationStatus="ENABLED")
    wait_until(lambda: mqtt(server, host, authority.file, device, name))


@pytest.mark.parametrize("kind, protocol, ways", [
    ("DEFAULT", "DEFAULT", {"mqtt", "certificate", "key"}),
    ("AWS_X509", "SECURE_MQTT", {"mqtt"}),
    ("AWS_X509", "HTTPS", {"certificate"}),
    ("AWS_SIGV4", "HTTPS", {"key"}),
    ("AWS_SIGV4", "MQTT_WSS", set()),
])
def test_authentication_and_protocol_are_the_domains(server, authority, domain, host, device, name, kind, protocol,
                                                     ways):
    domain(authenticationType=kind, applicationProtocol=protocol)
    assert mqtt(server, host, authority.file, device, name) == ("mqtt" in ways)
    assert (by_certificate(server, host, authority.file, device) == 200) == ("certificate" in ways)
    assert (by_key(server, host, authority.file) == 200) == ("key" in ways)


def test_a_domain_that_aws_manages_gets_a_name_and_is_deleted_a_week_after(server, iot, device, name, fails):
    iot.create_domain_configuration(domainConfigurationName=name)
    got = iot.describe_domain_configuration(domainConfigurationName=name)
    assert got["domainType"] == "AWS_MANAGED" and got["serverCertificates"] == []
    assert got["domainName"].endswith(f"-ats.iot.{REGION}.amazonaws.localhost")
    assert mqtt(server, got["domainName"], server.ca_file, device, name)
    iot.update_domain_configuration(domainConfigurationName=name, domainConfigurationStatus="DISABLED")
    wait_until(lambda: not mqtt(server, got["domainName"], server.ca_file, device, name))
    code, status, message = fails(iot.delete_domain_configuration, domainConfigurationName=name)
    assert (code, status) == ("InvalidRequestException", 400) and "7 days" in message
    server.advance(7 * 86400 + 60)
    iot.delete_domain_configuration(domainConfigurationName=name)


def test_domains_are_there_after_a_restart(tmp_path, authority, host):
    own = Server(tmp_path / "data").start()
    try:
        pem, _ = authority.issue(host)
        arn = own.client("acm").import_certificate(**pem)["CertificateArn"]
        own.client("iot").create_domain_configuration(
            domainConfigurationName="d", domainName=host, serverCertificateArns=[arn],
            tlsConfig={"securityPolicy": "IoTSecurityPolicy_TLS13_1_3_2022_10"})
        (tmp_path / "d").mkdir()
        device = Fleet(own, own.client("iot"), tmp_path / "d").make("lamp")
        own.kill()
        own.start()
        assert mqtt(own, host, authority.file, device, "lamp")
        assert not mqtt(own, host, authority.file, device, "lamp", high=TLS12)
    finally:
        own.stop()


# -- authorizers -------------------------------------------------------------------------------------------------

AUTHORIZER = """
import base64
def handler(event, context):
    password = base64.b64decode(event["protocolData"]["mqtt"].get("password", ""))
    return {"isAuthenticated": password == b"sesame", "principalId": "p", "disconnectAfterInSeconds": 3600,
            "refreshAfterInSeconds": 3600, "policyDocuments": [{"Version": "2012-10-17", "Statement": [
                {"Effect": "Allow", "Action": "iot:*", "Resource": "*"}]}]}
"""


@pytest.fixture(scope="module")
def asking(tmp_path_factory):
    """A server with an authorizer that lets in who says sesame, and the default of no account."""
    running = Server(tmp_path_factory.mktemp("asking") / "data", ("--test", *functions.ARGUMENTS)).start()
    lambdas = running.client("lambda", read_timeout=60)
    functions.create(lambdas, "authorize", AUTHORIZER)
    lambdas.add_permission(FunctionName="authorize", StatementId="iot", Action="lambda:InvokeFunction",
                           Principal="iot.amazonaws.com")
    running.client("iot").create_authorizer(authorizerName="asks", authorizerFunctionArn=functions.arn("authorize"),
                                            status="ACTIVE", signingDisabled=True)
    yield running
    running.stop()


def says(server, host, password, user="me", device=None):
    """True when MQTT with this password is let in by this name."""
    with wire.Wire(handshake(server, host, server.ca_file, device)) as connection:
        connection.send(wire.connect_packet("client", user=user, password=password))
        answer = connection.read()
    return answer is not None and answer.type == wire.CONNACK and answer.body[1] == 0


def managed(server, name, **settings):
    """The host name of a new configuration."""
    iot = server.client("iot")
    iot.create_domain_configuration(domainConfigurationName=name, **settings)
    return iot.describe_domain_configuration(domainConfigurationName=name)["domainName"]


def test_a_domains_authorizer_is_asked_where_none_is_named(asking):
    host = managed(asking, "default", authorizerConfig={"defaultAuthorizerName": "asks"})
    assert says(asking, host, "sesame")
    assert not says(asking, host, "wrong")
    assert not says(asking, "localhost", "sesame")  # it is that domain's alone


@pytest.mark.parametrize("override", [True, False])
def test_another_authorizer_counts_where_the_domain_lets_it(asking, override):
    host = managed(asking, f"override-{override}", authorizerConfig={
        "defaultAuthorizerName": "asks", "allowAuthorizerOverride": override})
    assert says(asking, host, "sesame", "me?x-amz-customauthorizer-name=unknown") == (not override)


def test_where_an_authorizer_decides_a_certificate_does_not(asking, tmp_path):
    device = Fleet(asking, asking.client("iot"), tmp_path).make("lamp")
    custom = {"authorizerConfig": {"defaultAuthorizerName": "asks"}, "applicationProtocol": "SECURE_MQTT"}
    host = managed(asking, "custom", authenticationType="CUSTOM_AUTH", **custom)
    assert says(asking, host, "sesame", device=device)
    assert not says(asking, host, "wrong", device=device)
    both = managed(asking, "both", authenticationType="CUSTOM_AUTH_X509", **custom)
    assert says(asking, both, "sesame", device=device)
    assert not says(asking, both, "wrong", device=device)
    assert not says(asking, both, "sesame")  # the certificate is wanted as well
    asking.client("iot").update_domain_configuration(domainConfigurationName="custom", removeAuthorizerConfig=True,
                                                     authenticationType="AWS_X509", applicationProtocol="SECURE_MQTT")
    wait_until(lambda: says(asking, host, "wrong", device=device))  # now the certificate alone counts
