"""What a request that no operation can take gets: AWS's answer in the shape of the service that was meant, with the
error's name, a request id and a status, never a dropped connection. And the hosts and names that SDKs use.
Source: botocore's models; Smithy's restJson1 and awsJson protocol tests (malformed requests: 400 SerializationException,
415 UnsupportedMediaTypeException; unknown operations 404 UnknownOperationException, wrong verbs 405)."""
import json
import re
import socket
import ssl

import boto3
import botocore.config
import botocore.exceptions
import pytest
import requests
from support import wire
from support.server import REGION
from support.signed import send, signed_headers

UUID = re.compile(r"[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}")
JSON_1_1 = {"Content-Type": "application/x-amz-json-1.1"}
TUNNEL = {**JSON_1_1, "X-Amz-Target": "IoTSecuredTunneling.ListTunnels"}


def is_error(answer, status, code, words=""):
    """An AWS error in full: its name in header and (json protocols) body, a message, a request id."""
    assert (answer.status_code, answer.headers.get("x-amzn-ErrorType")) == (status, code), answer.text
    assert UUID.fullmatch(answer.headers["x-amzn-RequestId"])
    body = answer.json()
    message = body.get("message", body.get("Message"))
    assert message and words in message, body
    return body


@pytest.fixture
def ask(server):
    """ask(method, path, body, service, headers): a signed request."""
    def make(method, path, body=b"", service="iot", headers=None):
        return send(server, method, path, body, service, headers)

    return make


class TestRestJson:
    def test_an_unknown_path(self, ask):
        is_error(ask("GET", "/no/such/path"), 404, "UnknownOperationException", "/no/such/path")

    @pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
    def test_a_wrong_verb(self, ask, method):
        is_error(ask(method, "/thing-types"), 405, "MethodNotAllowedException", method)

    def test_the_data_plane_has_errors_of_its_own(self, ask):
        is_error(ask("GET", "/no/such/path", service="iotdata"), 404, "ResourceNotFoundException")
        is_error(ask("PUT", "/things/t/shadow", service="iotdata"), 405, "MethodNotAllowedException")

    @pytest.mark.parametrize("body", [b"{", b"[]", b'"x"', b"\xff\xfe", b'{"a":1}{', b'{"attributePayload":[]}', b"{" * 5000,
                                      b'{"thingTypeName":1}', b'{"attributePayload":{"merge":"yes"}}'])
    def test_a_body_that_is_no_such_json(self, ask, name, body):
        is_error(ask("POST", f"/things/{name}", body), 400, "SerializationException")
        is_error(ask("GET", f"/things/{name}"), 404, "ResourceNotFoundException")

    def test_an_empty_body_is_an_empty_object(self, ask, name):
        assert ask("POST", f"/things/{name}", b"").status_code == 200
        assert ask("POST", f"/things/{name}", b"  ").status_code == 200

    @pytest.mark.parametrize("query, words", [("maxResults=x", "maxResults"), ("maxResults=99999999999", "maxResults"),
                                              ("usePrefixAttributeValue=maybe", "usePrefixAttributeValue")])
    def test_a_query_that_is_none(self, ask, query, words):
        is_error(ask("GET", f"/things?{query}"), 400, "SerializationException", words)

    @pytest.mark.parametrize("kind", ["text/xml", "application/hal+json", "application/x-www-form-urlencoded", "json"])
    def test_a_body_of_another_type(self, ask, name, kind):
        is_error(ask("POST", f"/things/{name}", b"{}", headers={"Content-Type": kind}), 415, "UnsupportedMediaTypeException", kind)
        is_error(ask("GET", f"/things/{name}"), 404, "ResourceNotFoundException")

    @pytest.mark.parametrize("kind", ["application/json", "application/json; charset=utf-8", "Application/JSON",
                                      "application/x-amz-json-1.0", "application/x-amz-json-1.1"])
    def test_the_types_that_sdks_send(self, ask, name, kind):
        """Older SDKs send x-amz-json-1.0 to rest-json services. Source: aws-sdk-ios issue 2341 (its request headers)"""
        assert ask("POST", f"/things/{name}", b"{}", headers={"Content-Type": kind}).status_code == 200

    def test_a_device_s_curl_sends_a_form_s_type(self, server, device, name):
        """Source: AWS IoT developer guide, "HTTPS": curl --data '{…}' without a Content-Type"""
        url = f"{server.url}/things/{name}/shadow"
        answer = requests.post(url, data='{"state":{"desired":{"a":1}}}', verify=server.ca_file, timeout=10,
                               headers={"Content-Type": "application/x-www-form-urlencoded"}, cert=(device.cert_file, device.key_file))
        assert answer.status_code == 200 and answer.json()["state"]["desired"] == {"a": 1}

    def test_every_fault_of_a_request_is_named_at_once(self, ask):
        body = is_error(ask("POST", "/things/a%20b?x=1", b'{"thingTypeName":"' + b"t" * 200 + b'"}'), 400, "InvalidRequestException")
        assert "2 validation errors detected" in body["message"]
        assert "thingName" in body["message"] and "thingTypeName" in body["message"]


class TestOversize:
    """A body beyond --body-bytes-max: told so while it is being sent, and the connection is closed in good order."""

    def test_with_a_length(self, server):
        body = b"{" + b" " * (3 << 20) + b"}"
        is_error(send(server, "POST", "/things/x", body, "iot"), 413, "RequestEntityTooLargeException")

    def test_in_chunks(self, server):
        headers = signed_headers(server, "POST", "/things/x", b"", "iot")
        answer = requests.post(f"{server.url}/things/x", data=(b" " * 65536 for _ in range(48)), headers=headers,
                               verify=server.ca_file, timeout=20)
        is_error(answer, 413, "RequestEntityTooLargeException")

    def test_one_that_is_announced_is_refused_before_it_comes(self, server):
        with wire.tls_stream(server, port=server.https_port) as stream:
            stream.settimeout(wire.TIMEOUT_S)
            stream.sendall(b"POST /things/x HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999\r\nExpect: 100-continue\r\n\r\n")
            answer = b""
            while b"\r\n\r\n" not in answer:
                answer += stream.recv(4096)
        assert answer.startswith(b"HTTP/1.1 413 ")

    def test_boto3_gets_an_error_with_a_name(self, data, fails, name):
        code, status, _ = fails(data.publish, topic=name, payload=b"x" * (2 << 20))
        assert (code, status) == ("RequestEntityTooLargeException", 413)


class TestJson:
    """json 1.1, with the secure tunneling service: by X-Amz-Target, errors with __type."""

    def ask(self, ask, body, headers):
        return ask("POST", "/", body, "IoTSecuredTunneling", headers)

    def test_an_operation_by_its_target(self, ask):
        answer = self.ask(ask, b"{}", TUNNEL)
        assert answer.status_code in (200, 501) and answer.headers["Content-Type"] == "application/x-amz-json-1.1"
        assert UUID.fullmatch(answer.headers["x-amzn-RequestId"])

    @pytest.mark.parametrize("target", ["IoTSecuredTunneling.Nothing", "Other.ListTunnels", "ListTunnels", ""])
    def test_an_unknown_target(self, ask, target):
        body = is_error(self.ask(ask, b"{}", {**JSON_1_1, "X-Amz-Target": target}), 404, "UnknownOperationException")
        assert body["__type"] == "UnknownOperationException"

    @pytest.mark.parametrize("method", ["GET", "PUT"])
    def test_a_wrong_verb(self, ask, method):
        is_error(ask(method, "/", b"", "IoTSecuredTunneling", TUNNEL), 405, "MethodNotAllowedException")

    @pytest.mark.parametrize("body", [b"{", b"[]", b'{"maxResults":"x"}'])
    def test_broken_json(self, ask, body):
        assert is_error(self.ask(ask, body, TUNNEL), 400, "SerializationException")["__type"] == "SerializationException"

    def test_a_value_outside_its_limits(self, ask):
        got = is_error(self.ask(ask, b'{"maxResults":0}', TUNNEL), 400, "ValidationException", "maxResults")
        assert got["__type"] == "ValidationException"

    def test_a_body_of_another_type(self, ask):
        is_error(self.ask(ask, b"{}", {**TUNNEL, "Content-Type": "text/plain"}), 415, "UnsupportedMediaTypeException")


class TestHostsAndNames:
    @pytest.fixture
    def everything_is_here(self, monkeypatch):
        """Every host name leads to this machine, as one line in the hosts file for each would."""
        real = socket.getaddrinfo
        asked = []

        def resolve(host, *rest, **more):
            asked.append(host)
            return real("127.0.0.1", *rest, **more)

        monkeypatch.setattr(socket, "getaddrinfo", resolve)
        return asked

    @pytest.mark.parametrize("service, call, prefix", [
        ("iotsitewise", "list_portals", "monitor."), ("iotsitewise", "list_assets", "api."),
        ("iotsitewise", "list_bulk_import_jobs", "data."), ("signer", "get_revocation_status", "data-")])
    @pytest.mark.parametrize("inject", [True, False])
    def test_with_and_without_the_prefix_that_sdks_put_before_the_host(self, server, everything_is_here, service, call, prefix, inject):
        client = server.client(service, inject_host_prefix=inject, parameter_validation=False)
        more = {"get_revocation_status": {"signatureTimestamp": 0, "platformId": "p", "profileVersionArn": "arn:aws:signer:x",
                                          "jobArn": "arn:aws:signer:x", "certificateHashes": ["x"]}}.get(call, {})
        try:
            getattr(client, call)(**more)
            status = 200
        except botocore.exceptions.ClientError as error:
            status = error.response["ResponseMetadata"]["HTTPStatusCode"]
            assert error.response["Error"]["Code"] not in ("InvalidSignatureException", "UnknownOperationException"), error
        assert status in (200, 400, 501), status
        assert set(everything_is_here) == {f"{prefix if inject else ''}localhost"}

    @pytest.mark.parametrize("service, path", [("iot", "/things"), ("execute-api", "/things"), ("iotdata", "/retainedMessage"),
                                               ("iotdevicegateway", "/retainedMessage")])
    def test_names_in_a_scope(self, ask, service, path):
        """Source: models/*.api, sign: older SDKs sign iot as execute-api"""
        assert ask("GET", path, service=service).status_code == 200

    def test_an_aws_host_name(self, server, everything_is_here):
        client = boto3.client("iot", region_name=REGION, verify=server.ca_file,
                              endpoint_url=f"https://x-ats.iot.{REGION}.amazonaws.com:{server.https_port}",
                              aws_access_key_id=server.credentials[0], aws_secret_access_key=server.credentials[1],
                              config=botocore.config.Config(retries={"max_attempts": 0}))
        assert "things" in client.list_things(maxResults=1)


def test_an_idempotency_token_is_filled_in_by_whoever_leaves_it_out(ask, name):
    """CreatePackage's clientToken stands in its query; a request without it is as good as one with it."""
    for query in ("", "?clientToken=" + "0" * 36):
        assert ask("PUT", f"/packages/{name}{query}", b"{}").status_code in (200, 409, 501)


def test_no_connection_is_dropped_by_any_of_it(server):
    """Faults in a row over one connection: each is answered, the next request is served."""
    context = ssl.create_default_context(cafile=server.ca_file)
    with socket.create_connection((server.host, server.https_port), 10) as raw, \
            context.wrap_socket(raw, server_hostname="localhost") as stream:
        stream.settimeout(10)
        file = stream.makefile("rb")
        for method, path, body, want in (("GET", "/no/such/path", b"", 404), ("POST", "/thing-types", b"", 405),
                                         ("POST", "/things/x", b"{", 400), ("GET", "/things?maxResults=1", b"", 200)):
            headers = signed_headers(server, method, path, body, "iot")
            head = "".join(f"{k}: {v}\r\n" for k, v in headers.items())
            stream.sendall(f"{method} {path} HTTP/1.1\r\nHost: localhost:{server.https_port}\r\n{head}"
                           f"Content-Length: {len(body)}\r\n\r\n".encode() + body)
            status = int(file.readline().split()[1])
            length = 0
            while (line := file.readline()) != b"\r\n":
                if line.lower().startswith(b"content-length:"):
                    length = int(line.split(b":")[1])
            answer = file.read(length)
            assert status == want, answer
            json.loads(answer)
