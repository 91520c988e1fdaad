"""Logging options of both forms, and what they change in the service log.
Source: AWS IoT developer guide, "Configure AWS IoT logging" and "CloudWatch AWS IoT log entries"."""
import json
import re

import pytest
from conftest import ACCOUNT, allow
from support.mqtt import wait_until
from support.refused import connects
from support.server import Server
from support.signed import send

ROLE = f"arn:aws:iam::{ACCOUNT}:role/logs"
EVENTS = {"Connect", "Disconnect", "Ping", "Connection.AuthNError", "Publish-In", "Publish-Out", "Subscribe",
          "UpdateThingShadow", "RuleExecution"}


@pytest.fixture
def logging(iot):
    """V2 logging is configured, and silent but for what a test turns on; silent again afterwards."""
    iot.set_v2_logging_options(roleArn=ROLE, defaultLogLevel="DISABLED", disableAllLogs=False, eventConfigurations=[])
    yield iot
    for item in iot.list_v2_logging_levels(maxResults=250)["logTargetConfigurations"]:
        if item["logTarget"]["targetType"] != "DEFAULT":
            iot.delete_v2_logging_level(**item["logTarget"])
    iot.set_v2_logging_options(defaultLogLevel="DISABLED", disableAllLogs=True, eventConfigurations=[])


def target(iot, kind, name, level):
    iot.set_v2_logging_level(logTarget={"targetType": kind, "targetName": name}, logLevel=level)


@pytest.fixture
def entries(server):
    """entries(event, **members): waits for entries that came in this test and have these members; returns the first."""
    def read(position, group):
        answer = send(server, "GET", f"/_starling/logs?from={position}", b"", "starling").json()
        lines = [line.partition(" ") for line in answer["lines"].splitlines()]
        return [json.loads(rest) for name, _, rest in lines if name == group], answer["next"]

    _, start = read(0, "")

    def find(event, group="AWSIotLogsV2", **members):
        return [entry for entry in read(start, group)[0] if entry["eventType"] == event
                and all(entry.get(name) == value for name, value in members.items())]

    def wait(event, **members):
        return wait_until(lambda: find(event, **members))[0]

    wait.find = find
    return wait


class TestOptions:
    def test_not_configured_until_it_is_set(self, tmp_path, fails):
        server = Server(tmp_path / "data").start()
        try:
            iot = server.client("iot")
            for call in (iot.get_v2_logging_options, iot.list_v2_logging_levels):
                assert fails(call)[:2] == ("NotConfiguredException", 404)
            code, status, _ = fails(iot.set_v2_logging_level, logLevel="INFO",
                                    logTarget={"targetType": "CLIENT_ID", "targetName": "c"})
            assert (code, status) == ("NotConfiguredException", 404)
            assert iot.get_logging_options()["logLevel"] == "DISABLED"
            iot.set_v2_logging_options(roleArn=ROLE, defaultLogLevel="WARN")
            target(iot, "CLIENT_ID", "c", "DEBUG")
            iot.set_logging_options(loggingOptionsPayload={"roleArn": ROLE, "logLevel": "ERROR"})
            server.stop()
            server.start()
            iot = server.client("iot")
            assert iot.get_v2_logging_options()["defaultLogLevel"] == "WARN"
            assert iot.list_v2_logging_levels(targetType="CLIENT_ID")["logTargetConfigurations"] == [
                {"logTarget": {"targetType": "CLIENT_ID", "targetName": "c"}, "logLevel": "DEBUG"}]
            assert iot.get_logging_options()["logLevel"] == "ERROR"
        finally:
            server.stop()

    def test_what_is_not_given_stays(self, logging):
        logging.set_v2_logging_options(defaultLogLevel="WARN")
        logging.set_v2_logging_options(eventConfigurations=[{"eventType": "Connect", "logLevel": "INFO"},
                                                            {"eventType": "Ping", "logDestination": "mine"}])
        got = logging.get_v2_logging_options()
        got.pop("ResponseMetadata")
        assert got == {"roleArn": ROLE, "defaultLogLevel": "WARN", "disableAllLogs": False, "eventConfigurations": [
            {"eventType": "Connect", "logLevel": "INFO"}, {"eventType": "Ping", "logDestination": "mine"}]}
        every = {item["eventType"]: item.get("logLevel")
                 for item in logging.get_v2_logging_options(verbose=True)["eventConfigurations"]}
        assert EVENTS <= set(every)
        assert (every["Connect"], every["Publish-In"], every["Connection.AuthNError"]) == ("INFO", "WARN", "DISABLED")

    def test_bad_input(self, logging, fails):
        for bad in ({"eventConfigurations": [{"eventType": "Nonsense", "logLevel": "INFO"}]},
                    {"eventConfigurations": [{"eventType": "Ping"}, {"eventType": "Ping"}]},
                    {"defaultLogLevel": "LOUD"}, {"roleArn": "nonsense"}):
            assert fails(logging.set_v2_logging_options, **bad)[:2] == ("InvalidRequestException", 400), bad
        for bad in ({"targetType": "CLIENT_ID"}, {"targetType": "NONSENSE", "targetName": "x"}):
            code, status, _ = fails(logging.set_v2_logging_level, logTarget=bad, logLevel="INFO")
            assert (code, status) == ("InvalidRequestException", 400)
        assert fails(logging.delete_v2_logging_level, targetType="DEFAULT", targetName="x")[1] == 400

    def test_levels_come_in_pages_with_the_accounts_own_first(self, logging, name):
        kinds = ("CLIENT_ID", "PRINCIPAL_ID", "SOURCE_IP", "THING_GROUP")
        for kind in kinds:
            target(logging, kind, name, "INFO")
        logging.set_v2_logging_level(logTarget={"targetType": "DEFAULT"}, logLevel="ERROR")
        for size in (1, 2, 5, 6):
            items, token = [], None
            while True:
                page = logging.list_v2_logging_levels(maxResults=size, **({"nextToken": token} if token else {}))
                assert len(page["logTargetConfigurations"]) <= size
                items += page["logTargetConfigurations"]
                token = page.get("nextToken")
                if not token:
                    break
            assert items == [{"logTarget": {"targetType": "DEFAULT"}, "logLevel": "ERROR"}] + [
                {"logTarget": {"targetType": kind, "targetName": name}, "logLevel": "INFO"} for kind in kinds]
        assert logging.get_v2_logging_options()["defaultLogLevel"] == "ERROR"
        target(logging, "CLIENT_ID", name, "DEBUG")
        logging.delete_v2_logging_level(targetType="THING_GROUP", targetName=name)
        logging.delete_v2_logging_level(targetType="THING_GROUP", targetName=name)
        got = logging.list_v2_logging_levels(targetType="CLIENT_ID")["logTargetConfigurations"]
        assert [item["logLevel"] for item in got] == ["DEBUG"]
        assert logging.list_v2_logging_levels(targetType="THING_GROUP")["logTargetConfigurations"] == []

    def test_another_account_has_its_own(self, server, logging, fails):
        made = send(server, "POST", "/_starling/keys", json.dumps({"account": "210987654321"}).encode(), "starling")
        key = made.json()
        other = server.client("iot", key["accessKeyId"], key["secretAccessKey"])
        assert fails(other.get_v2_logging_options)[:2] == ("NotConfiguredException", 404)


class TestBroker:
    def test_a_connection_is_told_from_connect_to_disconnect(self, logging, entries, device, connect, name):
        target(logging, "CLIENT_ID", name, "INFO")
        client = connect(name, device=device, keep_alive=77)
        common = {"accountId": ACCOUNT, "protocol": "MQTT", "clientId": name, "principalId": device.cert_id}
        got = entries("Connect", **common, status="Success", logLevel="INFO")
        assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3}", got["timestamp"])
        assert re.fullmatch(r"[0-9a-f-]{36}", got["traceId"])
        assert got["sourceIp"] in ("127.0.0.1", "::1") and got["sourcePort"] > 1023
        assert (got["keepAliveDuration"], got["cleanSession"], got["thingName"]) == (77, True, name)
        assert client.subscribe(f"{name}/t") == [1]
        assert entries("Subscribe", **common)["subscriptions"] == [{"topicName": f"{name}/t", "reasonCode": 1}]
        client.publish(f"{name}/t", b"x")
        client.message()
        assert entries("Publish-In", **common, topicName=f"{name}/t")["status"] == "Success"
        assert entries("Publish-Out", **common, topicName=f"{name}/t")["status"] == "Success"
        client.unsubscribe(f"{name}/t")
        entries("Unsubscribe", **common)
        client.client.disconnect()
        client.wait_disconnected()
        got = entries("Disconnect", **common, status="Success")
        assert got["disconnectReason"] == "CLIENT_INITIATED_DISCONNECT" and "reason" not in got
        assert not entries.find("Ping")

    def test_errors_alone_at_level_error(self, logging, entries, fleet, connect, name):
        device = fleet.make(name, policy=allow(("iot:Connect", "client/*"), ("iot:Publish", f"topic/{name}/ok")))
        target(logging, "PRINCIPAL_ID", device.cert_id, "ERROR")
        client = connect(name, device=device)
        client.publish(f"{name}/ok", b"x")
        assert client.publish(f"{name}/no", b"x") == 135
        got = entries("Publish-In", clientId=name, status="Failure")
        assert (got["logLevel"], got["reason"], got["topicName"]) == ("ERROR", "AUTHORIZATION_FAILURE", f"{name}/no")
        assert client.subscribe(f"{name}/no") == [135]
        got = entries("Subscribe", clientId=name)
        assert (got["status"], got["reason"]) == ("Failure", "AUTHORIZATION_FAILURE")
        connect(name, device=device)
        got = entries("Disconnect", clientId=name)
        assert (got["reason"], got["disconnectReason"]) == ("DUPLICATE_CLIENTID", "DUPLICATE_CLIENTID")
        assert not entries.find("Connect") and not entries.find("Publish-In", status="Success")

    def test_a_change_reaches_a_live_connection(self, logging, entries, connect, name):
        client = connect(name)
        client.publish(f"{name}/a", b"x")
        logging.set_v2_logging_options(defaultLogLevel="INFO")
        client.publish(f"{name}/b", b"x")
        entries("Publish-In", topicName=f"{name}/b")
        target(logging, "CLIENT_ID", name, "DISABLED")
        client.publish(f"{name}/c", b"x")
        logging.delete_v2_logging_level(targetType="CLIENT_ID", targetName=name)
        client.publish(f"{name}/d", b"x")
        entries("Publish-In", topicName=f"{name}/d")
        logging.set_v2_logging_options(disableAllLogs=True)
        client.publish(f"{name}/e", b"x")
        logging.set_v2_logging_options(disableAllLogs=False)
        client.publish(f"{name}/f", b"x")
        entries("Publish-In", topicName=f"{name}/f")
        told = {entry["topicName"] for entry in entries.find("Publish-In")}
        assert told == {f"{name}/b", f"{name}/d", f"{name}/f"}

    def test_a_group_decides_for_its_things_and_a_child_over_its_parent(self, logging, entries, device, connect, name):
        logging.create_thing_group(thingGroupName=f"{name}-p")
        logging.create_thing_group(thingGroupName=f"{name}-c", parentGroupName=f"{name}-p")
        target(logging, "THING_GROUP", f"{name}-p", "INFO")
        client = connect(name, device=device)
        client.publish(f"{name}/before", b"x")
        logging.add_thing_to_thing_group(thingName=name, thingGroupName=f"{name}-c")
        wait_until(lambda: client.publish(f"{name}/in", b"x") == 0 and entries.find("Publish-In", topicName=f"{name}/in"))
        target(logging, "THING_GROUP", f"{name}-c", "ERROR")
        client.publish(f"{name}/silent", b"x")
        logging.delete_v2_logging_level(targetType="THING_GROUP", targetName=f"{name}-c")
        client.publish(f"{name}/again", b"x")
        entries("Publish-In", topicName=f"{name}/again")
        told = {entry["topicName"] for entry in entries.find("Publish-In", clientId=name)}
        assert told == {f"{name}/in", f"{name}/again"}

    def test_an_event_has_a_level_and_a_log_group_of_its_own(self, logging, entries, raw, name):
        logging.set_v2_logging_options(eventConfigurations=[
            {"eventType": "Ping", "logLevel": "DEBUG", "logDestination": "pings"},
            {"eventType": "Connect", "logLevel": "INFO"}])
        connection = raw()
        connection.connect(name)
        connection.send(b"\xc0\x00")
        connection.read()
        got = entries("Ping", group="pings", clientId=name)
        assert got["logLevel"] == "DEBUG" and got["requestTimestamp"] <= got["responseTimestamp"] and got["latency"] >= 0
        entries("Connect", clientId=name)

    def test_what_waits_for_a_client_that_is_away(self, logging, entries, connect, name):
        target(logging, "CLIENT_ID", name, "INFO")
        client = connect(name, clean=False, expiry_s=600)
        assert client.subscribe(f"{name}/t") == [1]
        client.client.disconnect()
        client.wait_disconnected()
        entries("Disconnect", clientId=name)
        connect(f"{name}-w").publish(f"{name}/t", b"x")
        got = entries("Queued", clientId=name)
        assert (got["qos"], got["topicName"], got["status"]) == ("1", f"{name}/t", "Success")

    def test_who_is_not_let_in(self, server, logging, entries, fleet, iot, name):
        logging.set_v2_logging_options(eventConfigurations=[{"eventType": "Connection.AuthNError", "logLevel": "ERROR"}])
        device = fleet.make(name)
        iot.update_certificate(certificateId=device.cert_id, newStatus="REVOKED")
        assert not connects(server, device, name)
        got = entries("Connection.AuthNError", principalId=device.cert_id)
        assert (got["status"], got["reason"], got["authenticationType"]) == (
            "Failure", "DEVICE_CERTIFICATE_REVOKED", "AWS_X509")
        assert got["targetPort"] == server.mqtt_port


class TestServices:
    def test_calls_of_the_data_plane(self, server, logging, entries, data, name):
        access_key = server.credentials[0]
        target(logging, "PRINCIPAL_ID", access_key, "INFO")
        data.publish(topic=f"{name}/t", payload=b"x", qos=1)
        got = entries("Publish-In", topicName=f"{name}/t")
        assert (got["protocol"], got["principalId"], got["status"]) == ("HTTP", access_key, "Success")
        data.update_thing_shadow(thingName=name, shadowName="s", payload=b'{"state":{"reported":{"a":1}}}')
        assert entries("UpdateThingShadow", deviceShadowName="s")["protocol"] == "HTTP"
        with pytest.raises(data.exceptions.ResourceNotFoundException):
            data.get_thing_shadow(thingName=f"{name}-no")
        got = entries("GetThingShadow", deviceShadowName=f"{name}-no")
        assert (got["status"], got["logLevel"], got["reason"]) == ("Failure", "ERROR", "ResourceNotFoundException")
        assert f"{name}-no" in got["details"]
        with pytest.raises(data.exceptions.ResourceNotFoundException):
            data.get_connection(clientId=name)
        assert entries("GetConnection", clientId=name)["status"] == "Failure"

    def test_shadows_over_mqtt(self, logging, entries, device, connect, name):
        target(logging, "PRINCIPAL_ID", device.cert_id, "INFO")
        client = connect(name, device=device)
        topic = f"$aws/things/{name}/shadow/update"
        client.publish(topic, b'{"state":{"reported":{"a":1}}}')
        got = entries("UpdateThingShadow", topicName=topic, status="Success")
        assert (got["protocol"], got["deviceShadowName"]) == ("MQTT", name)
        client.publish(topic, b"nonsense")
        assert entries("UpdateThingShadow", topicName=topic, status="Failure")["reason"].startswith("Invalid JSON")


def test_rules(logging, entries, connect, name):
    rule = name.replace("-", "_")
    logging.create_topic_rule(ruleName=rule, topicRulePayload={
        "sql": f"SELECT * FROM '{name}/in'", "actions": [{"republish": {"roleArn": ROLE, "topic": f"{name}/out"}}]})
    logging.set_v2_logging_options(eventConfigurations=[{"eventType": "RuleMatch", "logLevel": "INFO"},
                                                        {"eventType": "RuleExecution", "logLevel": "INFO"}])
    connect(name).publish(f"{name}/in", b'{"a":1}')
    assert entries("RuleMatch", ruleName=rule)["topicName"] == f"{name}/in"
    got = entries("RuleExecution", ruleName=rule)
    assert (got["clientId"], got["logLevel"]) == (name, "INFO" if got["status"] == "Success" else "ERROR")
    # Source: the guide's table of RuleExecution: ruleAction, resources
    got = entries("RuleExecution", ruleName=rule, ruleAction="RepublishAction")
    assert got["resources"] == f"{name}/out" and "resource" not in got
    assert not entries.find("StartingRuleExecution")
    logging.delete_topic_rule(ruleName=rule)


def test_the_older_form_writes_lines_of_text(tmp_path, name):
    server = Server(tmp_path / "data", ("--plain-port", "0")).start()
    try:
        iot, data = server.client("iot"), server.client("iot-data")
        iot.set_logging_options(loggingOptionsPayload={"roleArn": ROLE, "logLevel": "INFO"})
        data.publish(topic=f"{name}/t", payload=b"x", qos=1)
        line = wait_until(lambda: re.search(r"^AWSIotLogs (.*)$", server.log(), re.M)).group(1)
        assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3} TRACEID:[0-9a-f-]{36} PRINCIPALID:\w+ \[INFO\] "
                            rf"EVENT:Publish-In TOPICNAME:{name}/t MESSAGE: Status: SUCCESS", line)
        iot.set_v2_logging_options(roleArn=ROLE, defaultLogLevel="DISABLED")
        data.publish(topic=f"{name}/u", payload=b"x", qos=1)
        iot.set_v2_logging_options(defaultLogLevel="INFO")
        data.publish(topic=f"{name}/v", payload=b"x", qos=1)
        wait_until(lambda: f'"topicName":"{name}/v"' in server.log())
        assert f"{name}/u" not in server.log()
    finally:
        server.stop()
