"""Device shadows over HTTP and MQTT. Source: AWS IoT developer guide, "Device Shadow service" and its error messages."""
import concurrent.futures
import json
import queue
import subprocess
import time

import pytest
from conftest import allow
from support.server import ROOT

pytestmark = pytest.mark.both


class Shadow:
    """One shadow over HTTP; documents are plain dicts."""

    def __init__(self, data, thing, name=None):
        self.data, self.where = data, {"thingName": thing, **({"shadowName": name} if name else {})}

    def update(self, **document):
        return json.loads(self.data.update_thing_shadow(**self.where, payload=json.dumps(document))["payload"].read())

    def get(self):
        return json.loads(self.data.get_thing_shadow(**self.where)["payload"].read())

    def delete(self):
        return json.loads(self.data.delete_thing_shadow(**self.where)["payload"].read())


class Topics:
    """A paho client that is subscribed to all topics of one shadow and asks by MQTT."""

    def __init__(self, client, thing, shadow=None):
        self.client = client
        self.base = f"$aws/things/{thing}/shadow" + (f"/name/{shadow}" if shadow else "")
        for tail in ("get/accepted", "get/rejected", "update/accepted", "update/rejected", "update/delta",
                     "update/documents", "delete/accepted", "delete/rejected"):
            assert client.subscribe(f"{self.base}/{tail}") == [1]

    def ask(self, verb, payload=""):
        raw = payload if isinstance(payload, (str, bytes)) else json.dumps(payload)
        assert self.client.publish(f"{self.base}/{verb}", raw) == 0

    def answers(self, count):
        """The next `count` messages as {tail: document}; they may come in any order."""
        got = {}
        for _ in range(count):
            message = self.client.message()
            assert message.topic.startswith(self.base + "/")
            got[message.topic[len(self.base) + 1:]] = json.loads(message.payload)
        assert len(got) == count, got
        return got

    def quiet(self):
        """No answer is under way: a get's is the next to come."""
        self.ask("get", {"clientToken": "quiet"})
        got = json.loads(self.client.message().payload)
        assert got["clientToken"] == "quiet", got


@pytest.fixture
def shadow(data, name):
    return Shadow(data, name)


@pytest.fixture
def topics(connect, name):
    return Topics(connect(name), name)


class TestHttp:
    def test_the_first_update_makes_version_1(self, server, shadow):
        before = int(time.time() + server.ahead_ms / 1000)  # other tests move the server's clock
        got = shadow.update(state={"desired": {"a": 1}}, clientToken="t")
        assert 0 <= got.pop("timestamp") - before <= 5
        stamp = got["metadata"]["desired"]["a"]["timestamp"]
        assert 0 <= stamp - before <= 5
        assert got == {"state": {"desired": {"a": 1}}, "metadata": {"desired": {"a": {"timestamp": stamp}}},
                       "version": 1, "clientToken": "t"}

    def test_the_answer_holds_only_what_the_request_held(self, shadow):
        shadow.update(state={"desired": {"a": 1, "b": 2}})
        assert shadow.update(state={"desired": {"b": 3}})["state"] == {"desired": {"b": 3}}
        assert shadow.get()["state"]["desired"] == {"a": 1, "b": 3}

    def test_get_states_the_difference(self, shadow):
        shadow.update(state={"desired": {"a": 1, "b": {"c": 2, "d": 3}}, "reported": {"a": 1, "b": {"c": 9}, "x": 0}})
        got = shadow.get()
        assert got["state"] == {"desired": {"a": 1, "b": {"c": 2, "d": 3}}, "reported": {"a": 1, "b": {"c": 9}, "x": 0},
                                "delta": {"b": {"c": 2, "d": 3}}}
        assert set(got["metadata"]) >= {"desired", "reported"}
        assert got["version"] == 1

    def test_no_difference_no_delta(self, shadow):
        shadow.update(state={"desired": {"a": 1}, "reported": {"a": 1}})
        assert "delta" not in shadow.get()["state"]

    def test_numbers_compare_by_value(self, shadow):
        shadow.update(state={"desired": {"a": 1}, "reported": {"a": 1.0}})
        assert "delta" not in shadow.get()["state"]

    def test_arrays_are_values(self, shadow):
        shadow.update(state={"desired": {"a": [1, 2, 3]}, "reported": {"a": [1, 2]}})
        assert shadow.get()["state"]["delta"] == {"a": [1, 2, 3]}
        shadow.update(state={"desired": {"a": [4]}})
        got = shadow.get()
        assert got["state"]["desired"] == {"a": [4]}
        assert [set(item) for item in got["metadata"]["desired"]["a"]] == [{"timestamp"}]

    def test_null_removes_a_key_and_a_section(self, shadow):
        shadow.update(state={"desired": {"a": 1, "b": {"c": 1, "d": 2}}, "reported": {"r": 1}})
        shadow.update(state={"desired": {"a": None, "b": {"c": None}}})
        got = shadow.get()
        assert got["state"]["desired"] == {"b": {"d": 2}}
        assert set(got["metadata"]["desired"]) == {"b"} and set(got["metadata"]["desired"]["b"]) == {"d"}
        shadow.update(state={"desired": None})
        got = shadow.get()
        assert got["state"] == {"reported": {"r": 1}} and set(got["metadata"]) == {"reported"}

    def test_an_object_may_become_a_scalar_and_the_reverse(self, shadow):
        shadow.update(state={"desired": {"a": {"b": 1}, "c": 1}})
        shadow.update(state={"desired": {"a": 2, "c": {"d": 3}}})
        got = shadow.get()
        assert got["state"]["desired"] == {"a": 2, "c": {"d": 3}}
        assert set(got["metadata"]["desired"]["a"]) == {"timestamp"}
        assert set(got["metadata"]["desired"]["c"]["d"]) == {"timestamp"}

    def test_values_keep_their_kind(self, shadow):
        values = {"s": "ü \" \\ \u0001", "i": 9007199254740993, "f": 0.1, "t": True, "n": -5, "e": "", "a": [[1], {"k": 1}]}
        shadow.update(state={"reported": values})
        assert shadow.get()["state"]["reported"] == values

    def test_a_version_must_be_the_current_one(self, shadow, fails):
        shadow.update(state={"desired": {"a": 1}})
        assert shadow.update(state={"desired": {"a": 2}}, version=1)["version"] == 2
        code, status, message = fails(shadow.update, state={"desired": {"a": 3}}, version=1)
        assert (code, status, message) == ("ConflictException", 409, "Version conflict")
        assert shadow.get()["state"]["desired"] == {"a": 2}

    def test_delete_keeps_counting_versions_for_48_hours(self, server, shadow, fails, name):
        for number in range(3):
            shadow.update(state={"desired": {"a": number}})
        assert shadow.delete()["version"] == 3
        code, status, message = fails(shadow.get)
        assert (code, status, message) == ("ResourceNotFoundException", 404, f"No shadow exists with name: '{name}'")
        assert shadow.update(state={"desired": {"a": 1}})["version"] in (4, 5)  # "continues"; the guide names no step
        shadow.delete()
        server.advance(48 * 3600 + 60)
        assert shadow.update(state={"desired": {"a": 1}})["version"] == 1

    def test_what_is_not_there_cannot_be_deleted(self, shadow, fails):
        code, status, _ = fails(shadow.delete)
        assert (code, status) == ("ResourceNotFoundException", 404)

    def test_named_shadows_are_apart_and_listed(self, data, name):
        Shadow(data, name).update(state={"reported": {"which": "classic"}})
        for shadow_name in ("b", "a", "c:_-9"):
            Shadow(data, name, shadow_name).update(state={"reported": {"which": shadow_name}})
        assert Shadow(data, name, "a").get()["state"]["reported"] == {"which": "a"}
        assert Shadow(data, name).get()["state"]["reported"] == {"which": "classic"}
        listed = data.list_named_shadows_for_thing(thingName=name)
        assert sorted(listed["results"]) == ["a", "b", "c:_-9"] and listed["timestamp"] > 0
        Shadow(data, name, "a").delete()
        assert sorted(data.list_named_shadows_for_thing(thingName=name)["results"]) == ["b", "c:_-9"]

    def test_the_list_comes_in_pages(self, data, name):
        for number in range(5):
            Shadow(data, name, f"s{number}").update(state={})
        got, token = [], None
        while True:
            page = data.list_named_shadows_for_thing(thingName=name, pageSize=2, **({"nextToken": token} if token else {}))
            assert len(page["results"]) <= 2
            got += page["results"]
            token = page.get("nextToken")
            if not token:
                break
        assert sorted(got) == [f"s{number}" for number in range(5)]

    def test_an_unknown_thing_has_an_empty_list(self, data, name):
        assert data.list_named_shadows_for_thing(thingName=name)["results"] == []

    def test_concurrent_updates_all_count(self, server, data, name):
        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            list(pool.map(lambda n: Shadow(data, name).update(state={"desired": {f"k{n}": n}}), range(40)))
        got = Shadow(data, name).get()
        assert got["version"] == 40 and len(got["state"]["desired"]) == 40

    def test_concurrent_updates_with_a_version_let_one_through(self, data, shadow, name):
        shadow.update(state={"desired": {"a": 0}})

        def attempt(number):
            try:
                Shadow(data, name).update(state={"desired": {"a": number}}, version=1)
                return 1
            except data.exceptions.ConflictException:
                return 0

        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            assert sum(pool.map(attempt, range(1, 9))) == 1


def nested(levels):
    document = 1
    for _ in range(levels):
        document = {"n": document}
    return document


class TestRefused:
    @pytest.mark.parametrize("payload,message", [
        ("{", "Invalid JSON"), ("", "Invalid JSON"), ("[1]", "Invalid JSON"), ('{"state":{"desired":{"a":1,}}}', "Invalid JSON"),
        ('{}', "Missing required node: state"),
        ('{"state":5}', "State node must be an object"),
        ('{"state":{"desired":5}}', "Desired node must be an object"),
        ('{"state":{"reported":[]}}', "Reported node must be an object"),
        ('{"state":{"desired":{"a":1}},"version":"x"}', "Invalid version"),
        ('{"state":{"desired":{"a":1}},"version":-1}', "Invalid version"),
        ('{"state":{"desired":{"a":1}},"version":7}', "Invalid version"),
        ('{"state":{"desired":{"a":1}},"clientToken":5}', "Invalid clientToken"),
        ('{"state":{"desired":{"a":1}},"clientToken":"' + "t" * 65 + '"}', "Invalid clientToken"),
        ('{"state":{"other":{"a":1}}}', "State contains an invalid node"),
    ])
    def test_a_bad_document(self, data, name, fails, payload, message):
        code, status, text = fails(data.update_thing_shadow, thingName=name, payload=payload)
        assert (code, status) == ("InvalidRequestException", 400)
        if payload != "[1]":
            assert message in text

    def test_null_in_an_array(self, data, name, fails):
        code, status, _ = fails(data.update_thing_shadow, thingName=name, payload='{"state":{"desired":{"a":[1,null]}}}')
        assert (code, status) == ("InvalidRequestException", 400)

    def test_eight_levels_inside_a_section_fit_and_nine_do_not(self, shadow, fails):
        shadow.update(state={"desired": nested(9)})
        code, status, message = fails(shadow.update, state={"desired": nested(10)})
        assert (code, status) == ("InvalidRequestException", 400)
        assert message == "JSON contains too many levels of nesting; maximum is 6"

    def test_8_kb_of_state_fit_and_more_do_not(self, shadow, fails):
        shadow.update(state={"desired": {"a": "x" * 8000}})
        code, status, message = fails(shadow.update, state={"reported": {"a": "x" * 1000}})
        assert (code, status) == ("RequestEntityTooLargeException", 413)
        assert message == "The payload exceeds the maximum size allowed"
        assert shadow.get()["version"] == 1

    def test_bytes_that_are_no_utf_8(self, data, name, fails):
        code, status, _ = fails(data.update_thing_shadow, thingName=name, payload=b'{"state":{"desired":{"a":"\xff"}}}')
        assert status in (400, 415)

    def test_a_client_token_of_64_bytes_fits(self, shadow):
        assert shadow.update(state={}, clientToken="t" * 64)["clientToken"] == "t" * 64


class TestMqtt:
    def test_update_answers_accepted_delta_and_documents(self, topics):
        topics.ask("update", {"state": {"desired": {"a": 1}}, "clientToken": "t"})
        got = topics.answers(3)
        accepted, delta, documents = got["update/accepted"], got["update/delta"], got["update/documents"]
        assert (accepted["state"], accepted["version"], accepted["clientToken"]) == ({"desired": {"a": 1}}, 1, "t")
        assert (delta["state"], delta["version"]) == ({"a": 1}, 1)
        assert delta["metadata"] == {"a": accepted["metadata"]["desired"]["a"]}
        assert documents["current"]["state"] == {"desired": {"a": 1}} and documents["current"]["version"] == 1
        assert set(documents) >= {"previous", "current", "timestamp"}

    def test_documents_hold_the_state_before_and_after(self, topics):
        topics.ask("update", {"state": {"reported": {"a": 1}}})
        topics.answers(2)
        topics.ask("update", {"state": {"reported": {"a": 2}}})
        documents = topics.answers(2)["update/documents"]
        assert documents["previous"]["state"] == {"reported": {"a": 1}} and documents["previous"]["version"] == 1
        assert documents["current"]["state"] == {"reported": {"a": 2}} and documents["current"]["version"] == 2

    def test_the_whole_way_of_a_setting(self, topics):
        """A device reports, an app asks, the device gets the difference, reports, and the difference is gone."""
        topics.ask("update", {"state": {"reported": {"wait_time": 1}}})
        assert set(topics.answers(2)) == {"update/accepted", "update/documents"}
        topics.ask("update", {"state": {"desired": {"wait_time": 5}}})
        assert topics.answers(3)["update/delta"]["state"] == {"wait_time": 5}
        topics.ask("update", {"state": {"reported": {"wait_time": 5}}})
        assert set(topics.answers(2)) == {"update/accepted", "update/documents"}
        topics.ask("get")
        assert topics.answers(1)["get/accepted"]["state"] == {"desired": {"wait_time": 5}, "reported": {"wait_time": 5}}

    def test_a_delta_comes_as_long_as_a_difference_is_left(self, topics):
        topics.ask("update", {"state": {"desired": {"a": 1, "b": 2}}})
        topics.answers(3)
        topics.ask("update", {"state": {"reported": {"a": 1}}})
        assert topics.answers(3)["update/delta"]["state"] == {"b": 2}

    def test_get_of_what_is_not_there(self, topics, name):
        topics.ask("get", {"clientToken": "t"})
        got = topics.answers(1)["get/rejected"]
        assert (got["code"], got["message"], got["clientToken"]) == (404, f"No shadow exists with name: '{name}'", "t")

    def test_an_empty_payload_is_a_get_too(self, topics):
        topics.ask("update", {"state": {"reported": {"a": 1}}})
        topics.answers(2)
        for payload in ("", "{}"):
            topics.ask("get", payload)
            assert topics.answers(1)["get/accepted"]["state"] == {"reported": {"a": 1}}

    def test_delete(self, topics):
        topics.ask("update", {"state": {"reported": {"a": 1}}})
        topics.answers(2)
        topics.ask("delete", {"clientToken": "t"})
        got = topics.answers(1)["delete/accepted"]
        assert (got["version"], got["clientToken"]) == (1, "t") and got["timestamp"] > 0
        topics.ask("delete")
        assert topics.answers(1)["delete/rejected"]["code"] == 404

    @pytest.mark.parametrize("payload,code,message", [
        ("{", 400, "Invalid JSON"), ("{}", 400, "Missing required node: state"),
        ('{"state":{"desired":1}}', 400, "Desired node must be an object"),
    ])
    def test_a_bad_update_is_rejected(self, topics, payload, code, message):
        topics.ask("update", payload)
        got = topics.answers(1)["update/rejected"]
        assert got["code"] == code and message in got["message"]

    def test_a_version_conflict_is_rejected_with_its_token(self, topics):
        topics.ask("update", {"state": {"desired": {"a": 1}}})
        topics.answers(3)
        topics.ask("update", {"state": {"desired": {"a": 2}}, "version": 9, "clientToken": "mine"})
        got = topics.answers(1)["update/rejected"]
        assert (got["code"], got["message"], got["clientToken"]) == (409, "Version conflict", "mine")

    def test_named_shadows_have_topics_of_their_own(self, connect, name):
        classic, named = Topics(connect(f"{name}-c"), name), Topics(connect(f"{name}-n"), name, "other")
        named.ask("update", {"state": {"desired": {"a": 1}}})
        assert named.answers(3)["update/accepted"]["version"] == 1
        classic.quiet()

    def test_http_updates_show_on_the_topics_and_http_errors_do_not(self, topics, shadow, fails):
        shadow.update(state={"desired": {"a": 1}})
        assert topics.answers(3)["update/delta"]["state"] == {"a": 1}
        fails(shadow.update, state={"desired": {"a": 2}}, version=9)
        topics.quiet()

    def test_another_client_sees_the_answers_when_it_subscribes(self, connect, topics, name):
        """Shadow answers are ordinary messages of the broker."""
        other = Topics(connect(f"{name}-other"), name)
        topics.ask("update", {"state": {"reported": {"a": 1}}})
        assert set(other.answers(2)) == set(topics.answers(2)) == {"update/accepted", "update/documents"}

    def test_a_device_without_permission_for_the_topic_changes_nothing(self, fleet, raw, data, name, fails):
        device = fleet.make(name, allow(("iot:Connect", "client/*"), ("iot:Publish", f"topic/$aws/things/{name}x/*")))
        connection = raw(device=device)
        connection.connect(name)
        assert connection.publish(f"$aws/things/{name}/shadow/update", b'{"state":{"desired":{"a":1}}}') == 0x87
        assert fails(data.get_thing_shadow, thingName=name)[1] == 404


class TestPermissionsOverHttp:
    @pytest.fixture
    def as_device(self, server):
        import requests

        def make(device, method, path, body=None):
            return requests.request(method, server.url + path, data=body, verify=server.ca_file, timeout=10,
                                    cert=(device.cert_file, device.key_file))

        return make

    def test_a_certificate_needs_the_shadow_actions_on_its_thing(self, fleet, as_device, name):
        device = fleet.make(name, allow(("iot:UpdateThingShadow", f"thing/{name}"), ("iot:GetThingShadow", f"thing/{name}/s")))
        body = '{"state":{"reported":{"a":1}}}'
        assert as_device(device, "POST", f"/things/{name}/shadow", body).status_code == 200
        assert as_device(device, "GET", f"/things/{name}/shadow").status_code == 403
        assert as_device(device, "POST", f"/things/{name}/shadow?name=s", body).status_code == 403
        assert as_device(device, "GET", f"/things/{name}/shadow?name=s").status_code == 404
        assert as_device(device, "DELETE", f"/things/{name}/shadow").status_code == 403


DEVICE_PYTHON = ROOT / ".venv-sdk143/bin/python"


def test_awsiotpythonsdk_1_4_3_unchanged_syncs_its_shadow(server, fleet, data, name):
    """The demo's device program, as a person starts it."""
    device = fleet.make(name)
    program = subprocess.Popen(
        [DEVICE_PYTHON, ROOT / "tests/demo/device.py", "--device_name", name, "--endpoint", server.host,
         "--port", str(server.mqtt_port), "--root_ca", server.ca_file, "--cert", device.cert_file,
         "--private", device.key_file], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        assert program.stdout.readline().startswith("connected as")
        Shadow(data, name).update(state={"desired": {"wait_time": 5}})
        assert program.stdout.readline() == "wait_time is 5 now\n"
        assert program.stdout.readline() == 'send back state payload:{"state": {"reported": {"wait_time": 5}}}\n'
        assert program.stdout.readline() == "shadow update accepted\n"
        assert "delta" not in Shadow(data, name).get()["state"]
    finally:
        program.terminate()
        program.wait()


def test_the_newest_awsiotpythonsdk_gets_updates_and_deletes(server, device, name):
    from AWSIoTPythonSDK.MQTTLib import AWSIoTMQTTShadowClient
    client = AWSIoTMQTTShadowClient(name)
    client.configureEndpoint(server.host, server.mqtt_port)
    client.configureCredentials(server.ca_file, device.key_file, device.cert_file)
    client.configureConnectDisconnectTimeout(10)
    client.configureMQTTOperationTimeout(10)
    assert client.connect()
    try:
        handler, answers = client.createShadowHandlerWithName(name, True), queue.Queue()
        note = lambda payload, status, token: answers.put((status, json.loads(payload)))  # noqa: E731
        handler.shadowGet(note, 10)
        assert answers.get(timeout=15)[0] == "rejected"
        handler.shadowUpdate('{"state":{"reported":{"a":1}}}', note, 10)
        assert answers.get(timeout=15)[0] == "accepted"
        handler.shadowGet(note, 10)
        status, document = answers.get(timeout=15)
        assert status == "accepted" and document["state"]["reported"] == {"a": 1}
        handler.shadowDelete(note, 10)
        assert answers.get(timeout=15)[0] == "accepted"
    finally:
        client.disconnect()


@pytest.fixture
def crt_shadows(server, device, name):
    """awsiotsdk's V2 shadow client over its MQTT 5 client."""
    from awscrt.mqtt_request_response import ClientOptions
    from awsiot import iotshadow, mqtt5_client_builder
    up, down = queue.Queue(), queue.Queue()
    client = mqtt5_client_builder.mtls_from_path(
        endpoint=server.host, port=server.mqtt_port, cert_filepath=device.cert_file, pri_key_filepath=device.key_file,
        ca_filepath=server.ca_file, client_id=name, on_lifecycle_connection_success=up.put, on_lifecycle_stopped=down.put)
    client.start()
    up.get(timeout=15)
    yield iotshadow.IotShadowClientV2(client, ClientOptions(
        max_request_response_subscriptions=4, max_streaming_subscriptions=2, operation_timeout_in_seconds=15))
    client.stop()
    down.get(timeout=15)


def test_awsiotsdk_syncs_its_shadow_over_mqtt_5(crt_shadows, data, name):
    import awsiot
    from awsiot import iotshadow
    deltas, states = queue.Queue(), queue.Queue()
    stream = crt_shadows.create_shadow_delta_updated_stream(
        iotshadow.ShadowDeltaUpdatedSubscriptionRequest(thing_name=name),
        awsiot.ServiceStreamOptions(incoming_event_listener=deltas.put, subscription_status_listener=states.put))
    stream.open()
    states.get(timeout=15)
    answer = crt_shadows.update_shadow(iotshadow.UpdateShadowRequest(
        thing_name=name, state=iotshadow.ShadowState(reported={"a": 1}))).result(15)
    assert answer.version == 1 and answer.state.reported == {"a": 1}
    Shadow(data, name).update(state={"desired": {"a": 2}})
    assert deltas.get(timeout=15).state == {"a": 2}
    got = crt_shadows.get_shadow(iotshadow.GetShadowRequest(thing_name=name)).result(15)
    assert got.state.delta == {"a": 2} and got.version == 2
    assert crt_shadows.delete_shadow(iotshadow.DeleteShadowRequest(thing_name=name)).result(15).version == 2
