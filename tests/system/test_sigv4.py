"""Signatures that hold, and each way in which one does not. Source: AWS General Reference, Signature Version 4."""
import datetime
import re
import socket

import botocore.auth
import pytest
import requests
from support.server import ACCOUNT, REGION
from support.signed import presigned_path, send, signed_headers
from support.wire import TIMEOUT_S


@pytest.fixture
def get(server):
    def make(path, headers):
        return requests.get(server.url + path, headers=headers, verify=server.ca_file, timeout=TIMEOUT_S)

    return make


def code_of(answer):
    return answer.headers["x-amzn-errortype"].split(":")[0]


def test_a_right_signature_is_let_in(server):
    assert send(server, "GET", "/things?maxResults=1", service="iot").status_code == 200


def test_a_query_in_any_order_with_double_and_odd_keys_is_signed_the_same(server):
    answer = send(server, "GET", "/things?maxResults=1&b=%2F%20%2B&a=2&a=1&c=", service="iot")
    assert answer.status_code == 200, answer.text


def test_no_signature_at_all(get):
    answer = get("/things", {})
    assert (answer.status_code, code_of(answer)) == (403, "MissingAuthenticationTokenException")
    assert answer.json()["message"] == "Missing Authentication Token"


def test_an_unknown_key(server):
    answer = send(server, "GET", "/things", service="iot", key=("AKIAIOSFODNN7EXAMPLE", "x" * 40))
    assert (answer.status_code, code_of(answer)) == (403, "UnrecognizedClientException")
    assert answer.json()["message"] == "The security token included in the request is invalid."


def test_a_wrong_secret(server):
    answer = send(server, "GET", "/things", service="iot", key=(server.credentials[0], "x" * 40))
    assert (answer.status_code, code_of(answer)) == (403, "InvalidSignatureException")
    assert answer.json()["message"].startswith(
        "The request signature we calculated does not match the signature you provided.")


def test_a_signature_for_another_path_query_method_or_body(server):
    headers = signed_headers(server, "POST", "/things/a", b"{}", "iot")
    for method, path, body in (("POST", "/things/b", b"{}"), ("POST", "/things/a?x=1", b"{}"),
                               ("PATCH", "/things/a", b"{}"), ("POST", "/things/a", b"{} ")):
        answer = requests.request(method, server.url + path, data=body, headers=headers, verify=server.ca_file, timeout=10)
        assert (answer.status_code, code_of(answer)) == (403, "InvalidSignatureException"), (method, path)


def test_a_header_that_was_signed_and_changed(server, get):
    headers = signed_headers(server, "GET", "/things", service="iot", headers={"x-amz-extra": "a"})
    assert get("/things", headers).status_code == 200
    assert code_of(get("/things", headers | {"x-amz-extra": "b"})) == "InvalidSignatureException"


def test_a_payload_hash_that_is_not_the_bodys(server):
    headers = signed_headers(server, "POST", "/things/a", b"{}", "iot", {"X-Amz-Content-SHA256": "0" * 64})
    answer = requests.post(server.url + "/things/a", data=b"{}", headers=headers, verify=server.ca_file, timeout=10)
    assert answer.status_code in (400, 403)


@pytest.mark.parametrize("offset_s,fits", [(-240, True), (240, True), (-360, False), (360, False)])
def test_the_clock_may_be_five_minutes_off(server, get, monkeypatch, offset_s, fits):
    now = datetime.datetime.now(datetime.timezone.utc).replace(tzinfo=None) + datetime.timedelta(seconds=offset_s)
    monkeypatch.setattr(botocore.auth, "get_current_datetime", lambda remove_tzinfo=True: now)
    headers = signed_headers(server, "GET", "/things", service="iot")
    assert headers["X-Amz-Date"] == now.strftime("%Y%m%dT%H%M%SZ")
    answer = get("/things", headers)
    assert (answer.status_code == 200) is fits
    if not fits:
        assert code_of(answer) == "InvalidSignatureException"
        assert re.search("Signature (expired|not yet current)", answer.json()["message"])


@pytest.mark.parametrize("service,region", [("s3", REGION), ("iot", "eu-west-1")])
def test_a_scope_of_another_service_or_region(server, get, service, region):
    headers = signed_headers(server, "GET", "/things", service=service, region=region)
    answer = get("/things", headers)
    assert answer.status_code in (403, 404)
    assert not answer.ok


@pytest.mark.parametrize("authorization", [
    "AWS4-HMAC-SHA256", "AWS4-HMAC-SHA256 Credential=a", "AWS4-HMAC-SHA256 Credential=a/b/c/d/e, SignedHeaders=, Signature=",
    "AWS4-HMAC-SHA256 Credential=AKIA/20200101/us-east-1/iot/aws4_request, SignedHeaders=host, Signature=zz",
    "Basic YTpi", "AWS4-HMAC-SHA256 " + "," * 5000,
])
def test_an_authorization_that_is_none(get, authorization):
    answer = get("/things", {"Authorization": authorization, "X-Amz-Date": "20200101T000000Z"})
    assert answer.status_code in (400, 403)
    assert code_of(answer) in ("IncompleteSignatureException", "MissingAuthenticationTokenException",
                               "InvalidSignatureException", "UnrecognizedClientException")


def test_a_presigned_request_lives_as_long_as_it_says(server, get):
    path = presigned_path(server, "/things", "iot")
    assert get(path, {}).status_code == 200
    assert get(path.replace("X-Amz-Expires=300", "X-Amz-Expires=604801"), {}).status_code in (400, 403)


def test_every_connection_is_checked_anew_request_by_request(server):
    """A kept-alive connection whose first request was signed lets in no unsigned second."""
    with requests.Session() as session:
        assert send(server, "GET", "/things", service="iot", session=session).status_code == 200
        answer = session.get(server.url + "/things", verify=server.ca_file, timeout=10)
        assert answer.status_code == 403


def test_sts_tells_who_one_is_in_xml(server):
    answer = server.client("sts").get_caller_identity()
    assert answer["Account"] == ACCOUNT
    assert re.fullmatch(rf"arn:aws:iam::{ACCOUNT}:(root|user/.+)", answer["Arn"])
    assert answer["UserId"]


def test_sts_refuses_in_xml_too(server):
    import botocore.exceptions
    with pytest.raises(botocore.exceptions.ClientError) as caught:
        server.client("sts", "AKIAIOSFODNN7EXAMPLE", "x" * 40).get_caller_identity()
    error = caught.value.response
    assert (error["Error"]["Code"], error["ResponseMetadata"]["HTTPStatusCode"]) == ("InvalidClientTokenId", 403)


def test_an_operation_that_is_not_there_yet_says_so_with_501(iot, fails):
    code, status, message = fails(iot.list_audit_findings, taskId="0" * 32)
    assert status == 501
    assert "ListAuditFindings" in message


def test_an_unknown_path_is_not_found(server):
    answer = send(server, "GET", "/no/such/path", service="iot")
    assert answer.status_code == 404
    assert answer.headers["x-amzn-errortype"]


def test_health_needs_no_signature(server, get):
    assert get("/health", {}).status_code == 200
    assert "starling_" in get("/metrics", {}).text


def test_a_connection_that_says_nothing_keeps_nobody_from_being_served(server):
    idle = socket.create_connection((server.host, server.https_port), TIMEOUT_S)
    try:
        assert send(server, "GET", "/things?maxResults=1", service="iot").status_code == 200
    finally:
        idle.close()
