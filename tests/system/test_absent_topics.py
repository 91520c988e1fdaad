"""Reserved topics whose service is not there yet: each request is refused as its service refuses, and the connection
with all else on it goes on."""
import json

import pytest
from conftest import allow

FAMILIES = [
    # request, payload, where it is refused, the refusal without message and time
    ("$aws/things/T/jobs/get", {"clientToken": "k"}, "$aws/things/T/jobs/get/rejected",
     {"code": "NotImplemented", "clientToken": "k"}, "GetPendingJobExecutions"),
    ("$aws/things/T/jobs/start-next", {}, "$aws/things/T/jobs/start-next/rejected", {"code": "NotImplemented"},
     "StartNextPendingJobExecution"),
    ("$aws/things/T/jobs/$next/get", {}, "$aws/things/T/jobs/$next/get/rejected", {"code": "NotImplemented"},
     "DescribeJobExecution"),
    ("$aws/things/T/jobs/j-1/update", {"status": "SUCCEEDED"}, "$aws/things/T/jobs/j-1/update/rejected",
     {"code": "NotImplemented"}, "UpdateJobExecution"),
    ("$aws/certificates/create/json", {}, "$aws/certificates/create/json/rejected",
     {"statusCode": 501, "errorCode": "NotImplemented"}, "CreateKeysAndCertificate"),
    ("$aws/certificates/create-from-csr/json", {}, "$aws/certificates/create-from-csr/json/rejected",
     {"statusCode": 501, "errorCode": "NotImplemented"}, "CreateCertificateFromCsr"),
    ("$aws/provisioning-templates/t/provision/json", {}, "$aws/provisioning-templates/t/provision/json/rejected",
     {"statusCode": 501, "errorCode": "NotImplemented"}, "RegisterThing"),
    ("$aws/things/T/streams/s/describe/json", {"c": "k"}, "$aws/things/T/streams/s/rejected/json",
     {"o": "NotImplemented", "c": "k"}, "DescribeStream"),
    ("$aws/things/T/streams/s/get/json", {"f": 0}, "$aws/things/T/streams/s/rejected/json", {"o": "NotImplemented"},
     "GetStream"),
    ("$aws/things/T/defender/metrics/json", {}, "$aws/things/T/defender/metrics/json/rejected", {"status": "REJECTED"},
     "Device Defender"),
]
WORDS = ("message", "errorMessage", "m", "statusDetails", "timestamp")


@pytest.mark.parametrize("version", [4, 5])
@pytest.mark.parametrize("topic, payload, rejected, fixed, operation", FAMILIES, ids=[row[0] for row in FAMILIES])
def test_a_request_is_refused_by_name_and_the_connection_goes_on(raw, name, version, topic, payload, rejected, fixed,
                                                                 operation):
    topic, rejected = topic.replace("/T/", f"/{name}/"), rejected.replace("/T/", f"/{name}/")
    device = raw(version=version)
    assert device.connect(name).code == 0
    device.subscribe((rejected, 0), (f"$aws/things/{name}/shadow/get/rejected", 0))
    device.send_publish(topic, json.dumps(payload).encode())
    got = device.message()
    assert got.topic == rejected
    answer = json.loads(got.payload)
    said = " ".join(str(answer[word]) for word in WORDS if word in answer)
    assert operation in said and "is not implemented yet" in said
    assert {key: value for key, value in answer.items() if key not in WORDS} == fixed
    if "defender" in topic:
        assert answer["statusDetails"]["ErrorCode"] == "NotImplemented"
    device.send_publish(f"$aws/things/{name}/shadow/get", b"")
    assert json.loads(device.message().payload)["code"] == 404


def test_commands_have_an_answer_that_nobody_can_subscribe_to(raw, name):
    """Its topic has eight slashes, one more than a filter may have."""
    device = raw()
    device.connect(name)
    device.subscribe((f"$aws/things/{name}/shadow/get/rejected", 0))
    assert device.publish(f"$aws/commands/things/{name}/executions/e/response/json", b"{}") == 0
    device.send_publish(f"$aws/things/{name}/shadow/get", b"")
    assert json.loads(device.message().payload)["code"] == 404


def test_cbor_is_answered_in_cbor(raw, name):
    device = raw()
    device.connect(name)
    device.subscribe(("$aws/certificates/create/cbor/rejected", 0))
    device.send_publish("$aws/certificates/create/cbor", b"\xa0")
    payload = device.message().payload
    text = b"CreateKeysAndCertificate over MQTT is not implemented yet"
    assert payload == (b"\xa3\x6astatusCode\x19\x01\xf5\x69errorCode\x6eNotImplemented\x6cerrorMessage\x79\x00"
                       + bytes([len(text)]) + text)


def test_without_the_right_to_publish_it_is_refused_as_any_other(fleet, raw, name):
    device = raw(device=fleet.make(name, allow(("iot:Connect", "client/*"))))
    assert device.connect(name).code == 0
    assert device.publish(f"$aws/things/{name}/jobs/get", b"{}") == 0x87
