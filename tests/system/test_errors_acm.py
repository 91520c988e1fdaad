"""The errors that ACM's operations declare, each got by boto3. Source: botocore's acm model; ACM API reference."""
import pytest
from support import x509
from support.server import ACCOUNT, REGION

MISSING = f"arn:aws:acm:{REGION}:{ACCOUNT}:certificate/00000000-0000-4000-8000-000000000000"
FOREIGN = MISSING.replace(ACCOUNT, "222233334444")
TAG = [{"Key": "a", "Value": "b"}]


@pytest.fixture(scope="module")
def acm(server):
    return server.client("acm")


@pytest.fixture(scope="module")
def pem():
    key = x509.new_key()
    cert = x509.certificate("a.example.org", key, names=["a.example.org"])
    return {"Certificate": x509.cert_pem(cert).encode(), "PrivateKey": x509.key_pem(key).encode()}


@pytest.fixture
def certificate(acm, pem):
    arn = acm.import_certificate(**pem)["CertificateArn"]
    yield arn
    acm.delete_certificate(CertificateArn=arn)


OPERATIONS = [("describe_certificate", {}), ("get_certificate", {}), ("delete_certificate", {}), ("list_tags_for_certificate", {}),
              ("add_tags_to_certificate", {"Tags": TAG}), ("remove_tags_from_certificate", {"Tags": TAG}), ("import_certificate", None)]


@pytest.mark.parametrize("operation, more", OPERATIONS, ids=[o[0] for o in OPERATIONS])
def test_what_is_not_there_and_what_is_no_arn(acm, pem, fails, operation, more):
    call, more = getattr(acm, operation), pem if more is None else more
    for arn in (MISSING, FOREIGN):
        code, status, message = fails(call, CertificateArn=arn, **more)
        assert (code, status) == ("ResourceNotFoundException", 400) and arn in message
    for arn, expected in (("arn:aws:iot:us-east-1:123456789012:cert/x", "ValidationException"),  # the model's pattern
                          ("arn:aws:acm:us-east-1:123456789012:key/x", "InvalidArnException")):
        code, status, message = fails(call, CertificateArn=arn, **more)
        assert (code, status) == (expected, 400) and "certificateArn" in message or arn in message


def test_tags_that_cannot_be(acm, pem, certificate, fails):
    for call, more in ((acm.add_tags_to_certificate, {"CertificateArn": certificate}), (acm.import_certificate, pem)):
        code, status, message = fails(call, Tags=[{"Key": "aws:x", "Value": "y"}], **more)
        assert (code, status) == ("InvalidTagException", 400) and "aws:" in message
    for i in range(0, 50, 10):
        acm.add_tags_to_certificate(CertificateArn=certificate, Tags=[{"Key": f"k{n}", "Value": ""} for n in range(i, i + 10)])
    code, status, message = fails(acm.add_tags_to_certificate, CertificateArn=certificate, Tags=TAG)
    assert (code, status) == ("TooManyTagsException", 400) and "50" in message
    code, status, _ = fails(acm.import_certificate, Tags=[{"Key": f"k{i}", "Value": ""} for i in range(51)], **pem)
    assert status == 400
    code, status, message = fails(acm.import_certificate, CertificateArn=certificate, Tags=TAG, **pem)
    assert (code, status) == ("InvalidParameterException", 400) and "again" in message
    assert {t["Key"] for t in acm.list_tags_for_certificate(CertificateArn=certificate)["Tags"]} == {f"k{i}" for i in range(50)}
