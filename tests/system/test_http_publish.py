"""POST /topics/TOPIC, by certificate and by signature. Source: AWS IoT developer guide, "HTTPS"."""
import base64
import json
import re

import pytest
import requests
from conftest import allow
from support import wire
from support.signed import send

UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")


@pytest.fixture
def post(server, anyone):
    """post(path, body, ...): by certificate."""
    def make(path, body=b"x", device=anyone, port=None, **options):
        return requests.post(f"https://{server.host}:{port or server.https_port}{path}", data=body, timeout=10,
                             verify=server.ca_file, cert=(device.cert_file, device.key_file), **options)

    return make


@pytest.mark.parametrize("qos", [0, 1])
def test_a_certificate_publishes_on_every_tls_port(server, connect, post, name, qos):
    sub = connect(name)
    sub.subscribe(f"{name}/a b")
    for port in (server.https_port, server.mqtt_port):
        answer = post(f"/topics/{name}/a%20b?qos={qos}", b"by http", port=port)
        assert answer.status_code == 200
        body = answer.json()
        assert body["message"] == "OK"
        assert UUID.fullmatch(body["traceId"]) and answer.headers["x-amzn-RequestId"] == body["traceId"]
        message = sub.message()
        assert (message.topic, message.payload, message.qos) == (f"{name}/a b", b"by http", qos)


def test_a_topic_may_be_encoded_or_raw(connect, post, name):
    sub = connect(name)
    sub.subscribe(f"{name}/a/b")
    for path in (f"/topics/{name}/a/b?qos=1", f"/topics/{name}%2Fa%2Fb?qos=1"):
        assert post(path).status_code == 200
        assert sub.message().topic == f"{name}/a/b"


def test_alpn_x_amzn_http_ca_speaks_http(server, anyone, connect, name):
    sub = connect(name)
    sub.subscribe(f"{name}/t")
    with wire.tls_stream(server, anyone, port=server.https_port, alpn=["x-amzn-http-ca"]) as stream:
        assert stream.selected_alpn_protocol() == "x-amzn-http-ca"
        stream.sendall(f"POST /topics/{name}/t?qos=1 HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx".encode())
        assert stream.recv(4096).startswith(b"HTTP/1.1 200 ")
    assert sub.message().payload == b"x"


def test_a_certificate_is_asked_of_clients_that_offer_h2_as_curl_does(server, anyone, name):
    with wire.tls_stream(server, anyone, port=server.https_port, alpn=["h2", "http/1.1"]) as stream:
        stream.sendall(f"POST /topics/{name}/t?qos=1 HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx".encode())
        assert stream.recv(4096).startswith(b"HTTP/1.1 200 ")


def test_http_1_0_is_served_and_closed(server, anyone, name):
    with wire.tls_stream(server, anyone, port=server.https_port) as stream:
        stream.sendall(f"POST /topics/{name}/t HTTP/1.0\r\nContent-Length: 1\r\n\r\nx".encode())
        answer = b""
        while part := stream.recv(4096):
            answer += part
    assert b" 200 " in answer.split(b"\r\n")[0]


def test_boto3_publishes_with_every_mqtt_5_property(data, connect, name):
    sub = connect(name)
    sub.subscribe(f"{name}/t")
    data.publish(topic=f"{name}/t", qos=1, payload=b"signed", contentType="text/plain", responseTopic=f"{name}/r",
                 correlationData=base64.b64encode(b"\1\2").decode(), payloadFormatIndicator="UTF8_DATA",
                 messageExpiry=100, userProperties=json.dumps([{"a": "1"}, {"a": "2"}]))
    message = sub.message()
    assert message.payload == b"signed"
    got = message.properties
    assert (got.ContentType, got.ResponseTopic, got.CorrelationData) == ("text/plain", f"{name}/r", b"\1\2")
    assert got.UserProperty == [("a", "1"), ("a", "2")] and got.PayloadFormatIndicator == 1
    assert 98 <= got.MessageExpiryInterval <= 100


def test_a_retained_publish_by_boto3_is_kept(data, connect, name):
    data.publish(topic=f"{name}/r", qos=1, payload=b"kept", retain=True)
    sub = connect(name)
    sub.subscribe(f"{name}/r")
    assert sub.message().retain is True


@pytest.mark.parametrize("service", ["iotdata", "iotdevicegateway"])
def test_either_signing_name_is_accepted(server, name, service):
    assert send(server, "POST", f"/topics/{name}?qos=1", b"x", service).status_code == 200


def test_the_policy_of_the_certificate_decides(fleet, post, name):
    device = fleet.make(name, allow(("iot:Publish", f"topic/{name}/mine")))
    assert post(f"/topics/{name}/mine", device=device).status_code == 200
    refused = post(f"/topics/{name}/other", device=device)
    assert refused.status_code == 403
    assert refused.json()["message"]


def test_retain_needs_its_own_permission(fleet, post, name):
    device = fleet.make(name, allow(("iot:Publish", "topic/*")))
    assert post(f"/topics/{name}?retain=true", device=device).status_code == 403
    assert post(f"/topics/{name}", device=device).status_code == 200


def test_nobody_in_particular_may_not_publish(server, name):
    answer = requests.post(f"{server.url}/topics/{name}", data=b"x", verify=server.ca_file, timeout=10)
    assert answer.status_code == 403


@pytest.mark.parametrize("path,status", [
    ("/topics/a?qos=2", 400), ("/topics/a?qos=x", 400), ("/topics/a/%2B", 400), ("/topics/a/%23", 400),
    ("/topics/1/2/3/4/5/6/7/8/9", 400), ("/topics/" + "t" * 257, 400),
    ("/topics/$aws/events/presence/connected/a", 400), ("/topics/$SYS/a", 400),])
def test_a_bad_topic_or_qos_is_a_bad_request(post, path, status):
    answer = post(path)
    assert answer.status_code == status
    assert answer.json()["message"]


def test_128_kb_fit_and_one_byte_more_is_413(post, name):
    assert post(f"/topics/{name}?qos=1", bytes(128 * 1024)).status_code == 200
    assert post(f"/topics/{name}?qos=1", bytes(128 * 1024 + 1)).status_code == 413


def test_a_get_on_a_topic_is_not_allowed(server, anyone, name):
    answer = requests.get(f"{server.url}/topics/{name}", verify=server.ca_file, timeout=10,
                          cert=(anyone.cert_file, anyone.key_file))
    assert answer.status_code == 405


def test_many_requests_go_over_one_connection_also_in_a_row_without_waiting(server, anyone, name):
    one = f"POST /topics/{name}?qos=1 HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx".encode()
    with wire.tls_stream(server, anyone, port=server.https_port) as stream:
        stream.settimeout(wire.TIMEOUT_S)
        stream.sendall(one * 20)
        answer = b""
        while answer.count(b'"traceId"') < 20:
            part = stream.recv(65536)
            assert part, answer
            answer += part
    assert answer.count(b"HTTP/1.1 200 ") == 20


def test_a_chunked_body_is_put_together(server, anyone, connect, name):
    sub = connect(name)
    sub.subscribe(f"{name}/t")
    with wire.tls_stream(server, anyone, port=server.https_port) as stream:
        stream.sendall(f"POST /topics/{name}/t HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n".encode()
                       + b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n")
        assert stream.recv(4096).startswith(b"HTTP/1.1 200 ")
    assert sub.message().payload == b"abcde"


def test_an_authorizer_that_is_not_there_lets_nobody_in(server):
    for path, headers in (("/topics/t", {"x-amz-customauthorizer-name": "A"}),
                          ("/topics/t?x-amz-customauthorizer-name=A&token=t", {}),
                          ("/mqtt?x-amz-customauthorizer-name=A", {"Connection": "Upgrade", "Upgrade": "websocket",
                                                                  "Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": "a" * 24,
                                                                  "Sec-WebSocket-Protocol": "mqtt"})):
        method = "GET" if path.startswith("/mqtt") else "POST"
        answer = requests.request(method, f"{server.url}{path}", headers=headers, verify=server.ca_file, timeout=10)
        assert (answer.status_code, answer.headers["x-amzn-ErrorType"]) == (403, "ForbiddenException")
