"""A certificate goes to another account: asked, accepted, rejected, cancelled, and what each account sees of it."""
import json
import subprocess

import pytest
from conftest import ALLOW_ALL
from support.refused import connects
from support.server import ACCOUNT, BINARY, REGION

TAKER = "555566667777"


@pytest.fixture(scope="module")
def taker(server):
    made = subprocess.run([BINARY, "key", "create", "--data", server.data, "--account", TAKER], check=True,
                          capture_output=True, text=True).stdout
    values = dict(line.split(" = ") for line in made.splitlines() if " = " in line)
    return server.client("iot", values["aws_access_key_id"], values["aws_secret_access_key"])


@pytest.fixture
def bare(iot, fleet, name):
    """A certificate that may be given away: INACTIVE, nothing attached."""
    made = iot.create_keys_and_certificate(setAsActive=False)
    return fleet.save(name, made["certificateId"], made["certificateArn"], made["certificatePem"],
                      made["keyPair"]["PrivateKey"])


def describe(client, device):
    return client.describe_certificate(certificateId=device.cert_id)["certificateDescription"]


def outgoing(client):
    found, arguments = [], {"pageSize": 2}
    while True:
        page = client.list_outgoing_certificates(**arguments)
        assert len(page["outgoingCertificates"]) <= 2
        found += page["outgoingCertificates"]
        if "nextMarker" not in page:
            return {certificate["certificateId"]: certificate for certificate in found}
        arguments["marker"] = page["nextMarker"]


def test_a_certificate_goes_over_and_works_there(server, iot, taker, bare, fails, name):
    gone = iot.transfer_certificate(certificateId=bare.cert_id, targetAwsAccount=TAKER, transferMessage="yours")
    assert gone["transferredCertificateArn"] == f"arn:aws:iot:{REGION}:{TAKER}:cert/{bare.cert_id}"
    for client in (iot, taker):  # both see it coming
        seen = describe(client, bare)
        assert (seen["status"], seen["ownedBy"]) == ("PENDING_TRANSFER", ACCOUNT)
        assert seen["transferData"]["transferMessage"] == "yours" and "transferDate" in seen["transferData"]
    assert outgoing(iot)[bare.cert_id]["transferredTo"] == TAKER
    assert outgoing(iot)[bare.cert_id]["transferMessage"] == "yours"
    assert bare.cert_id not in outgoing(taker)
    assert bare.cert_id in [c["certificateId"] for c in taker.list_certificates()["certificates"]]
    for client in (iot, taker):
        assert fails(client.update_certificate, certificateId=bare.cert_id, newStatus="ACTIVE")[:2] == (
            "CertificateStateException", 406)
        assert fails(client.delete_certificate, certificateId=bare.cert_id)[:2] == ("CertificateStateException", 406)
    assert not connects(server, bare, name)

    taker.accept_certificate_transfer(certificateId=bare.cert_id, setAsActive=True)
    seen = describe(taker, bare)
    assert (seen["status"], seen["ownedBy"], seen["previousOwnedBy"]) == ("ACTIVE", TAKER, ACCOUNT)
    assert seen["certificateArn"] == f"arn:aws:iot:{REGION}:{TAKER}:cert/{bare.cert_id}"
    assert "acceptDate" in seen["transferData"]
    assert fails(iot.describe_certificate, certificateId=bare.cert_id)[:2] == ("ResourceNotFoundException", 404)
    assert bare.cert_id not in outgoing(iot)
    taker.create_policy(policyName=name, policyDocument=json.dumps(ALLOW_ALL))
    taker.attach_policy(policyName=name, target=seen["certificateArn"])
    assert connects(server, bare, name)
    taker.update_certificate(certificateId=bare.cert_id, newStatus="REVOKED")
    assert not connects(server, bare, name)


def test_an_accepted_certificate_is_inactive_unless_asked(iot, taker, bare):
    iot.transfer_certificate(certificateId=bare.cert_id, targetAwsAccount=TAKER)
    taker.accept_certificate_transfer(certificateId=bare.cert_id)
    assert describe(taker, bare)["status"] == "INACTIVE"


def test_what_is_over_cannot_be_undone(iot, taker, bare, fails):
    iot.transfer_certificate(certificateId=bare.cert_id, targetAwsAccount=TAKER)
    taker.accept_certificate_transfer(certificateId=bare.cert_id)
    for call in (iot.cancel_certificate_transfer, taker.accept_certificate_transfer, taker.reject_certificate_transfer):
        assert fails(call, certificateId=bare.cert_id)[:2] == ("TransferAlreadyCompletedException", 410)


def test_a_rejected_certificate_is_the_givers_again(server, iot, taker, bare, fails, name):
    iot.transfer_certificate(certificateId=bare.cert_id, targetAwsAccount=TAKER, transferMessage="yours")
    taker.reject_certificate_transfer(certificateId=bare.cert_id, rejectReason="not mine")
    assert fails(taker.describe_certificate, certificateId=bare.cert_id)[:2] == ("ResourceNotFoundException", 404)
    seen = describe(iot, bare)
    assert (seen["status"], seen["ownedBy"]) == ("INACTIVE", ACCOUNT)
    assert seen["transferData"]["rejectReason"] == "not mine" and "rejectDate" in seen["transferData"]
    assert bare.cert_id not in outgoing(iot)
    iot.update_certificate(certificateId=bare.cert_id, newStatus="ACTIVE")
    iot.create_policy(policyName=name, policyDocument=json.dumps(ALLOW_ALL))
    iot.attach_policy(policyName=name, target=bare.cert_arn)
    assert connects(server, bare, name)


def test_a_cancelled_transfer_leaves_nothing_at_the_takers(iot, taker, bare, fails):
    iot.transfer_certificate(certificateId=bare.cert_id, targetAwsAccount=TAKER)
    assert fails(taker.cancel_certificate_transfer, certificateId=bare.cert_id)[:2] == ("ResourceNotFoundException", 404)
    iot.cancel_certificate_transfer(certificateId=bare.cert_id)
    assert fails(taker.describe_certificate, certificateId=bare.cert_id)[:2] == ("ResourceNotFoundException", 404)
    assert describe(iot, bare)["status"] == "INACTIVE" and "transferData" not in describe(iot, bare)
    assert fails(iot.cancel_certificate_transfer, certificateId=bare.cert_id)[:2] == ("ResourceNotFoundException", 404)
    iot.transfer_certificate(certificateId=bare.cert_id, targetAwsAccount=TAKER)  # and again
    taker.accept_certificate_transfer(certificateId=bare.cert_id)


def test_nobody_takes_what_was_not_given_to_him(iot, taker, bare, fails):
    for call in (taker.accept_certificate_transfer, taker.reject_certificate_transfer, iot.accept_certificate_transfer):
        assert fails(call, certificateId=bare.cert_id)[:2] == ("ResourceNotFoundException", 404)
    iot.transfer_certificate(certificateId=bare.cert_id, targetAwsAccount=TAKER)
    assert fails(iot.accept_certificate_transfer, certificateId=bare.cert_id)[:2] == ("ResourceNotFoundException", 404)
    iot.cancel_certificate_transfer(certificateId=bare.cert_id)


def test_an_active_certificate_or_one_with_attachments_is_not_given_away(iot, taker, device, bare, fails, name):
    def give(certificate, target=TAKER):
        return fails(iot.transfer_certificate, certificateId=certificate.cert_id, targetAwsAccount=target)

    assert give(device)[:2] == ("CertificateStateException", 406)
    iot.update_certificate(certificateId=device.cert_id, newStatus="INACTIVE")
    code, status, message = give(device)
    assert (code, status) == ("TransferConflictException", 409) and "policies must be detached" in message
    iot.detach_policy(policyName=device.policy, target=device.cert_arn)
    code, status, message = give(device)
    assert (code, status) == ("TransferConflictException", 409) and "Things must be detached" in message
    assert give(bare, ACCOUNT)[:2] == ("InvalidRequestException", 400)
    assert give(bare, "000000000009")[:2] == ("InvalidRequestException", 400)
    iot.transfer_certificate(certificateId=bare.cert_id, targetAwsAccount=TAKER)
    assert give(bare)[:2] == ("CertificateStateException", 406)
    iot.cancel_certificate_transfer(certificateId=bare.cert_id)
    assert fails(iot.transfer_certificate, certificateId="0" * 64, targetAwsAccount=TAKER)[:2] == (
        "ResourceNotFoundException", 404)


def test_what_is_attached_meanwhile_stays_behind_no_more(iot, taker, bare, name):
    iot.transfer_certificate(certificateId=bare.cert_id, targetAwsAccount=TAKER)
    iot.create_policy(policyName=name, policyDocument=json.dumps(ALLOW_ALL))
    iot.attach_policy(policyName=name, target=bare.cert_arn)
    taker.accept_certificate_transfer(certificateId=bare.cert_id)
    assert iot.list_targets_for_policy(policyName=name)["targets"] == []
    iot.delete_policy(policyName=name)


def test_outgoing_certificates_are_listed_in_pages(iot, taker, fleet):
    made = [iot.create_keys_and_certificate()["certificateId"] for _ in range(3)]
    for certificate in made:
        iot.transfer_certificate(certificateId=certificate, targetAwsAccount=TAKER)
    assert set(made) <= set(outgoing(iot))
    up = [c["certificateId"] for c in iot.list_outgoing_certificates(ascendingOrder=True)["outgoingCertificates"]]
    down = [c["certificateId"] for c in iot.list_outgoing_certificates(ascendingOrder=False)["outgoingCertificates"]]
    assert up == down[::-1]
    for certificate in made:
        iot.cancel_certificate_transfer(certificateId=certificate)
