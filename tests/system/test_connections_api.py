"""GetConnection, DeleteConnection, ListSubscriptions, SendDirectMessage and the retained messages' calls."""
import concurrent.futures
import json
import time

import pytest
from conftest import allow
from support import wire


class TestGetConnection:
    def test_a_live_one(self, data, raw, name):
        raw().connect(name, keep_alive=90, props=[(wire.SESSION_EXPIRY, 600)])
        got = data.get_connection(clientId=name)
        assert got["clientId"] == name and got["connected"] is True
        assert (got["keepAliveDuration"], got["sessionExpiry"]) == (90, 600)
        assert got["connectedSince"] > 0
        assert "sourceIp" not in got

    def test_the_socket_is_told_on_request(self, data, raw, name):
        connection = raw()
        connection.connect(name)
        got = data.get_connection(clientId=name, includeSocketInformation=True)
        assert (got["sourceIp"], got["targetIp"]) == ("127.0.0.1", "127.0.0.1")
        assert got["sourcePort"] == connection.stream.getsockname()[1]
        assert got["targetPort"] == connection.stream.getpeername()[1]

    def test_the_thing_is_named_when_it_is_the_clients_own(self, data, raw, device, name):
        raw(device=device).connect(name)
        assert data.get_connection(clientId=name)["thingName"] == name

    def test_it_is_remembered_for_half_an_hour(self, server, data, raw, name, fails):
        connection = raw()
        connection.connect(name)
        connection.disconnect()
        connection.expect_closed()
        got = data.get_connection(clientId=name)
        assert got["connected"] is False and got["disconnectedSince"] > 0
        assert got["disconnectReason"] == "CLIENT_INITIATED_DISCONNECT"
        server.advance(31 * 60)
        assert fails(data.get_connection, clientId=name)[:2] == ("ResourceNotFoundException", 404)

    def test_who_was_never_there(self, data, name, fails):
        assert fails(data.get_connection, clientId=name)[:2] == ("ResourceNotFoundException", 404)

    def test_a_client_id_with_slashes_and_spaces(self, data, raw, name):
        odd = f"{name}/a b%+"
        raw().connect(odd)
        assert data.get_connection(clientId=odd)["clientId"] == odd


class TestDeleteConnection:
    def test_it_ends_with_a_disconnect_and_the_will(self, data, raw, connect, name):
        sub = connect(f"{name}-sub")
        sub.subscribe(f"{name}/will")
        connection = raw()
        connection.connect(name, will=(f"{name}/will", b"gone", 1, False))
        data.delete_connection(clientId=name)
        assert connection.expect(wire.DISCONNECT).body[0] in (0x98, 0x87)
        connection.expect_closed()
        assert sub.message().payload == b"gone"

    def test_the_will_can_be_prevented(self, data, raw, connect, name):
        sub = connect(f"{name}-sub")
        sub.subscribe(f"{name}/will")
        connection = raw()
        connection.connect(name, will=(f"{name}/will", b"gone", 1, False))
        data.delete_connection(clientId=name, preventWillMessage=True)
        while connection.read() is not None:
            pass
        sub.nothing_more(f"{name}/will")

    @pytest.mark.parametrize("clean", [False, True])
    def test_the_session_stays_unless_told_otherwise(self, data, raw, name, clean):
        connection = raw()
        connection.connect(name, props=[(wire.SESSION_EXPIRY, 600)])
        data.delete_connection(clientId=name, cleanSession=clean)
        while connection.read() is not None:
            pass
        assert raw().connect(name, clean=False, props=[(wire.SESSION_EXPIRY, 600)]).session_present is not clean

    def test_an_away_session_can_be_ended(self, data, raw, name, fails):
        connection = raw()
        connection.connect(name, props=[(wire.SESSION_EXPIRY, 600)])
        connection.disconnect()
        connection.expect_closed()
        data.delete_connection(clientId=name, cleanSession=True)
        assert raw().connect(name, clean=False).session_present is False

    def test_who_is_not_there(self, data, name, fails):
        assert fails(data.delete_connection, clientId=name)[:2] == ("ResourceNotFoundException", 404)


class TestListSubscriptions:
    def test_live_and_away_in_pages(self, data, raw, name):
        connection = raw()
        connection.connect(name, props=[(wire.SESSION_EXPIRY, 600)])
        expected = {(f"{name}/{number}", number % 2) for number in range(5)}
        connection.subscribe(*expected)

        def listed():
            got, token = [], None
            while True:
                page = data.list_subscriptions(clientId=name, maxResults=2, **({"nextToken": token} if token else {}))
                assert len(page["subscriptions"]) <= 2
                got += [(item["topicFilter"], item["qos"]) for item in page["subscriptions"]]
                token = page.get("nextToken")
                if not token:
                    return got

        assert sorted(listed()) == sorted(expected)
        connection.disconnect()
        connection.expect_closed()
        assert sorted(listed()) == sorted(expected)

    def test_who_is_not_there(self, data, name, fails):
        assert fails(data.list_subscriptions, clientId=name)[:2] == ("ResourceNotFoundException", 404)


class TestSendDirectMessage:
    def test_it_reaches_one_client_without_subscription(self, data, raw, name):
        one, other = raw(), raw()
        one.connect(name)
        other.connect(f"{name}-other")
        got = data.send_direct_message(clientId=name, topic=f"{name}/direct", payload=b"for you", contentType="text/plain",
                                       userProperties=json.dumps([{"a": "1"}]))
        assert got["traceId"]
        message = one.message()
        assert (message.topic, message.payload, message.qos) == (f"{name}/direct", b"for you", 0)
        assert message.properties[wire.CONTENT_TYPE] == "text/plain"
        assert message.properties[wire.USER_PROPERTY] == [("a", "1")]
        other.silent()

    def test_a_confirmed_one_waits_for_the_puback(self, data, raw, name):
        connection = raw()
        connection.connect(name)
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            answer = pool.submit(data.send_direct_message, clientId=name, topic=f"{name}/d", payload=b"x", confirmation=True)
            message = connection.message(ack=False)
            assert message.qos == 1 and not answer.done()
            connection.ack(message.packet_id)
            assert answer.result(10)["traceId"]

    def test_without_a_puback_it_times_out_with_504(self, data, raw, name, fails):
        raw().connect(name)
        assert fails(data.send_direct_message, clientId=name, topic=f"{name}/d", payload=b"x", confirmation=True,
                     timeout=1)[1] == 504

    def test_an_offline_client_is_404_and_a_session_is_mentioned(self, data, raw, name, fails):
        assert fails(data.send_direct_message, clientId=name, topic="t", payload=b"x")[1] == 404
        connection = raw()
        connection.connect(name, props=[(wire.SESSION_EXPIRY, 600)])
        connection.disconnect()
        connection.expect_closed()
        _, status, message = fails(data.send_direct_message, clientId=name, topic="t", payload=b"x")
        assert status == 404 and "session" in message.lower()

    @pytest.mark.parametrize("topic", ["$aws/things/a", "a/+", "a/#", "1/2/3/4/5/6/7/8/9"])
    def test_a_bad_topic(self, data, raw, name, fails, topic):
        raw().connect(name)
        assert fails(data.send_direct_message, clientId=name, topic=topic, payload=b"x")[1] == 400

    def test_the_receiver_needs_receive(self, data, raw, fleet, name, fails):
        device = fleet.make(name, allow(("iot:Connect", "client/*"), ("iot:Receive", f"topic/{name}/mine")))
        connection = raw(device=device)
        connection.connect(name)
        data.send_direct_message(clientId=name, topic=f"{name}/mine", payload=b"x")
        assert connection.message().payload == b"x"
        assert fails(data.send_direct_message, clientId=name, topic=f"{name}/other", payload=b"x")[1] == 403


class TestRetainedMessages:
    def test_get(self, server, data, connect, name):
        connect(name).publish(f"{name}/r", b"\0kept", retain=True, UserProperty=[("a", "1"), ("b", "2")])
        got = data.get_retained_message(topic=f"{name}/r")
        assert (got["topic"], got["payload"], got["qos"]) == (f"{name}/r", b"\0kept", 1)
        assert abs(got["lastModifiedTime"] - server.now() * 1000) < 600 * 1000
        assert json.loads(got["userProperties"]) == [{"a": "1"}, {"b": "2"}]

    def test_what_is_not_there(self, data, connect, name, fails):
        assert fails(data.get_retained_message, topic=f"{name}/r")[:2] == ("ResourceNotFoundException", 404)
        client = connect(name)
        client.publish(f"{name}/r", b"x", retain=True)
        client.publish(f"{name}/r", b"", retain=True)
        assert fails(data.get_retained_message, topic=f"{name}/r")[1] == 404

    def test_list_in_pages(self, data, connect, name):
        client = connect(name)
        for number in range(3):
            client.publish(f"{name}/{number}", b"x" * (number + 1), retain=True)
        got, token = {}, None
        while True:
            page = data.list_retained_messages(maxResults=2, **({"nextToken": token} if token else {}))
            assert len(page["retainedTopics"]) <= 2
            got |= {item["topic"]: item for item in page["retainedTopics"]}
            token = page.get("nextToken")
            if not token:
                break
        for number in range(3):
            item = got[f"{name}/{number}"]
            assert (item["payloadSize"], item["qos"]) == (number + 1, 1) and item["lastModifiedTime"] > 0


def test_a_certificate_needs_the_connection_actions(server, fleet, raw, name):
    import requests
    device = fleet.make(name, allow(("iot:GetConnection", f"client/{name}")))
    raw().connect(name)

    def ask(path):
        return requests.get(server.url + path, verify=server.ca_file, cert=(device.cert_file, device.key_file), timeout=10)

    assert ask(f"/connections/{name}").status_code == 200
    assert ask(f"/connections/{name}-x").status_code == 403
    assert ask(f"/connections/{name}/subscriptions").status_code == 403
