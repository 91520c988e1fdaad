"""Device certificates and CAs through boto3. Source: AWS IoT developer guide, "X.509 client certificates"."""
import hashlib
import re
import ssl

import pytest
from conftest import ALLOW_ALL, arn
from cryptography import x509 as cx509
from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_pem_public_key
from support import x509
from support.refused import connects

ID = re.compile("[0-9a-f]{64}")


def public_bytes(key):
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


class TestCreate:
    def test_keys_and_certificate_belong_together(self, iot):
        made = iot.create_keys_and_certificate(setAsActive=True)
        cert = cx509.load_pem_x509_certificate(made["certificatePem"].encode())
        der = ssl.PEM_cert_to_DER_cert(made["certificatePem"])
        assert made["certificateId"] == hashlib.sha256(der).hexdigest()
        assert made["certificateArn"] == arn(f"cert/{made['certificateId']}")
        private = load_pem_private_key(made["keyPair"]["PrivateKey"].encode(), None)
        public = load_pem_public_key(made["keyPair"]["PublicKey"].encode())
        assert public_bytes(private.public_key()) == public_bytes(public) == public_bytes(cert.public_key())
        assert cert.not_valid_after_utc.isoformat() == "2049-12-31T23:59:59+00:00"

    def test_two_are_different(self, iot):
        ids = {iot.create_keys_and_certificate()["certificateId"] for _ in range(2)}
        assert len(ids) == 2

    @pytest.mark.parametrize("active,status", [(True, "ACTIVE"), (False, "INACTIVE")])
    def test_from_a_csr(self, server, iot, fleet, name, active, status):
        key = x509.new_key()
        made = iot.create_certificate_from_csr(certificateSigningRequest=x509.csr_pem(name, key), setAsActive=active)
        described = iot.describe_certificate(certificateId=made["certificateId"])["certificateDescription"]
        assert described["status"] == status
        cert = cx509.load_pem_x509_certificate(made["certificatePem"].encode())
        assert public_bytes(cert.public_key()) == public_bytes(key.public_key())
        device = fleet.save(name, made["certificateId"], made["certificateArn"], made["certificatePem"], x509.key_pem(key))
        allow_all(iot, name, made["certificateArn"])
        assert connects(server, device, name) is active

    @pytest.mark.parametrize("csr", ["nonsense", "-----BEGIN CERTIFICATE REQUEST-----\nMAA=\n-----END CERTIFICATE REQUEST-----\n"])
    def test_a_csr_that_is_none(self, iot, fails, csr):
        assert fails(iot.create_certificate_from_csr, certificateSigningRequest=csr)[1] == 400

    def test_a_csr_whose_signature_does_not_hold(self, iot, fails, name):
        pem = x509.csr_pem(name, x509.new_key())
        lines = pem.splitlines()
        lines[-2] = ("A" if lines[-2][0] != "A" else "B") + lines[-2][1:]
        assert fails(iot.create_certificate_from_csr, certificateSigningRequest="\n".join(lines) + "\n")[1] == 400


def allow_all(iot, name, target):
    import json
    iot.create_policy(policyName=name, policyDocument=json.dumps(ALLOW_ALL))
    iot.attach_policy(policyName=name, target=target)


class TestDescribe:
    def test_all_that_is_known(self, iot):
        made = iot.create_keys_and_certificate(setAsActive=True)
        got = iot.describe_certificate(certificateId=made["certificateId"])["certificateDescription"]
        assert got["certificateArn"] == made["certificateArn"]
        assert got["certificatePem"] == made["certificatePem"]
        assert (got["status"], got["certificateMode"], got["ownedBy"]) == ("ACTIVE", "DEFAULT", "123456789012")
        assert got["validity"]["notAfter"].year in (2049, 2050)
        assert got["creationDate"] <= got["lastModifiedDate"]

    def test_what_is_not_there(self, iot, fails):
        code, status, message = fails(iot.describe_certificate, certificateId="0" * 64)
        assert (code, status) == ("ResourceNotFoundException", 404)
        assert "0" * 64 in message

    def test_an_id_that_is_none(self, server):
        from support.signed import send
        assert send(server, "GET", "/certificates/nonsense", service="iot").status_code == 400

    def test_list_in_pages(self, iot):
        made = {iot.create_keys_and_certificate()["certificateId"] for _ in range(3)}
        got, marker = [], None
        while True:
            page = iot.list_certificates(pageSize=2, ascendingOrder=True, **({"marker": marker} if marker else {}))
            assert len(page["certificates"]) <= 2
            got += page["certificates"]
            marker = page.get("nextMarker")
            if not marker:
                break
        assert made <= {item["certificateId"] for item in got}
        assert len({item["certificateId"] for item in got}) == len(got)
        dates = [item["creationDate"] for item in got]
        assert dates == sorted(dates)


class TestStatus:
    def test_active_inactive_and_back(self, iot):
        cert_id = iot.create_keys_and_certificate(setAsActive=False)["certificateId"]
        for status in ("ACTIVE", "INACTIVE", "ACTIVE"):
            iot.update_certificate(certificateId=cert_id, newStatus=status)
            assert iot.describe_certificate(certificateId=cert_id)["certificateDescription"]["status"] == status

    @pytest.mark.parametrize("status", ["PENDING_TRANSFER", "PENDING_ACTIVATION"])
    def test_pending_cannot_be_set_by_users(self, iot, fails, status):
        cert_id = iot.create_keys_and_certificate()["certificateId"]
        assert fails(iot.update_certificate, certificateId=cert_id, newStatus=status)[1] == 400

    def test_an_active_certificate_cannot_be_deleted(self, iot, fails):
        cert_id = iot.create_keys_and_certificate(setAsActive=True)["certificateId"]
        code, status, message = fails(iot.delete_certificate, certificateId=cert_id)
        assert (code, status) == ("CertificateStateException", 406)
        assert message == f"Certificate must be deactivated (not ACTIVE) before deletion. Id: {cert_id}"
        iot.update_certificate(certificateId=cert_id, newStatus="INACTIVE")
        iot.delete_certificate(certificateId=cert_id)
        assert fails(iot.describe_certificate, certificateId=cert_id)[1] == 404

    def test_an_attached_certificate_is_deleted_only_by_force(self, iot, device, fails):
        iot.update_certificate(certificateId=device.cert_id, newStatus="INACTIVE")
        # Source: DeleteCertificate: force overrides attached policies, never an attached thing.
        assert fails(iot.delete_certificate, certificateId=device.cert_id, forceDelete=True)[:2] == (
            "DeleteConflictException", 409)
        iot.detach_thing_principal(thingName=device.thing, principal=device.cert_arn)
        assert fails(iot.delete_certificate, certificateId=device.cert_id)[:2] == ("DeleteConflictException", 409)
        iot.delete_certificate(certificateId=device.cert_id, forceDelete=True)
        assert iot.list_targets_for_policy(policyName=device.policy)["targets"] == []


class TestRegister:
    def test_without_a_ca(self, server, iot, fleet, name):
        key = x509.new_key()
        cert = x509.certificate(name, key)
        made = iot.register_certificate_without_ca(certificatePem=x509.cert_pem(cert), status="ACTIVE")
        assert made["certificateId"] == x509.fingerprint(cert)
        got = iot.describe_certificate(certificateId=made["certificateId"])["certificateDescription"]
        assert (got["status"], got["certificateMode"]) == ("ACTIVE", "SNI_ONLY")
        allow_all(iot, name, made["certificateArn"])
        device = fleet.save(name, made["certificateId"], made["certificateArn"], x509.cert_pem(cert), x509.key_pem(key))
        assert connects(server, device, name)

    def test_twice_conflicts(self, iot, name, fails):
        pem = x509.cert_pem(x509.certificate(name, x509.new_key()))
        iot.register_certificate_without_ca(certificatePem=pem)
        assert fails(iot.register_certificate_without_ca, certificatePem=pem)[:2] == ("ResourceAlreadyExistsException", 409)

    def test_what_is_no_certificate(self, iot, fails):
        assert fails(iot.register_certificate_without_ca, certificatePem="nonsense")[1] == 400

    def registered_ca(self, iot, name, **options):
        key = x509.new_key()
        ca = x509.certificate(f"{name} CA", key, ca=True)
        code = iot.get_registration_code()["registrationCode"]
        check = x509.certificate(code, x509.new_key(), ca, key)
        made = iot.register_ca_certificate(caCertificate=x509.cert_pem(ca), verificationCertificate=x509.cert_pem(check),
                                           **options)
        return key, ca, made

    def test_the_registration_code_is_64_digits_and_stays(self, iot):
        code = iot.get_registration_code()["registrationCode"]
        assert ID.fullmatch(code) and iot.get_registration_code()["registrationCode"] == code

    def test_a_ca_with_its_verification_certificate_and_a_device_of_it(self, server, iot, fleet, name):
        ca_key, ca, made = self.registered_ca(iot, name, setAsActive=True)
        assert made["certificateArn"] == arn(f"cacert/{made['certificateId']}")
        assert made["certificateId"] == x509.fingerprint(ca)
        key = x509.new_key()
        cert = x509.certificate(name, key, ca, ca_key)
        got = iot.register_certificate(certificatePem=x509.cert_pem(cert), caCertificatePem=x509.cert_pem(ca), setAsActive=True)
        assert got["certificateId"] == x509.fingerprint(cert)
        described = iot.describe_certificate(certificateId=got["certificateId"])["certificateDescription"]
        assert described["caCertificateId"] == made["certificateId"]
        allow_all(iot, name, got["certificateArn"])
        device = fleet.save(name, got["certificateId"], got["certificateArn"], x509.cert_pem(cert), x509.key_pem(key))
        assert connects(server, device, name)
        listed = iot.list_certificates_by_ca(caCertificateId=made["certificateId"])["certificates"]
        assert [item["certificateId"] for item in listed] == [got["certificateId"]]
        # An inactive CA keeps no registered certificate out.
        iot.update_ca_certificate(certificateId=made["certificateId"], newStatus="INACTIVE")
        assert connects(server, device, name)

    def test_a_verification_certificate_with_another_code_is_refused(self, iot, name, fails):
        key = x509.new_key()
        ca = x509.certificate(f"{name} CA", key, ca=True)
        check = x509.certificate("0" * 64, x509.new_key(), ca, key)
        code, status, _ = fails(iot.register_ca_certificate, caCertificate=x509.cert_pem(ca),
                                verificationCertificate=x509.cert_pem(check))
        assert (code, status) == ("RegistrationCodeValidationException", 400)

    def test_a_verification_certificate_by_another_ca_is_refused(self, iot, name, fails):
        key = x509.new_key()
        ca = x509.certificate(f"{name} CA", key, ca=True)
        code = iot.get_registration_code()["registrationCode"]
        check = x509.certificate(code, x509.new_key(), ca, x509.new_key())
        got, status, _ = fails(iot.register_ca_certificate, caCertificate=x509.cert_pem(ca),
                               verificationCertificate=x509.cert_pem(check))
        assert (got, status) == ("CertificateValidationException", 400)

    def test_a_certificate_of_an_unknown_or_inactive_ca_is_refused(self, iot, name, fails):
        key = x509.new_key()
        stranger = x509.certificate(f"{name} stranger", key, ca=True)
        cert = x509.cert_pem(x509.certificate(name, x509.new_key(), stranger, key))
        assert fails(iot.register_certificate, certificatePem=cert)[1] in (400, 404)
        ca_key, ca, _ = self.registered_ca(iot, name)
        cert = x509.cert_pem(x509.certificate(name, x509.new_key(), ca, ca_key))
        assert fails(iot.register_certificate, certificatePem=cert)[1] in (400, 404, 406)

    def test_describe_update_list_delete_a_ca(self, iot, name, fails):
        _, _, made = self.registered_ca(iot, name)
        ca_id = made["certificateId"]
        got = iot.describe_ca_certificate(certificateId=ca_id)["certificateDescription"]
        assert (got["status"], got["autoRegistrationStatus"], got["certificateMode"]) == ("INACTIVE", "DISABLE", "DEFAULT")
        iot.update_ca_certificate(certificateId=ca_id, newStatus="ACTIVE", newAutoRegistrationStatus="ENABLE")
        got = iot.describe_ca_certificate(certificateId=ca_id)["certificateDescription"]
        assert (got["status"], got["autoRegistrationStatus"]) == ("ACTIVE", "ENABLE")
        assert ca_id in {item["certificateId"] for item in iot.list_ca_certificates(pageSize=250)["certificates"]}
        assert fails(iot.delete_ca_certificate, certificateId=ca_id)[0] == "CertificateStateException"
        iot.update_ca_certificate(certificateId=ca_id, newStatus="INACTIVE")
        iot.delete_ca_certificate(certificateId=ca_id)
        assert fails(iot.describe_ca_certificate, certificateId=ca_id)[1] == 404

    def test_a_leaf_is_no_ca(self, iot, name, fails):
        pem = x509.cert_pem(x509.certificate(name, x509.new_key()))
        assert fails(iot.register_ca_certificate, caCertificate=pem, certificateMode="SNI_ONLY")[1] == 400
