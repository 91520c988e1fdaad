"""The kafka action with a real broker: what arrives, its ways in, and its faults. Source: AWS IoT developer guide,
"Apache Kafka"."""
import base64
import json
import socket

import pytest
from conftest import ACCOUNT, REGION
from cryptography import x509 as crypto
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, pkcs12
from support.kafka import PASSWORD, USER, Kafka
from support.mqtt import wait_until
from support.rule_peer import client, own, own_iot, sub  # noqa: F401
from support.rules import ROLE, action_figure, make_rule, republish

JKS = base64.b64encode(bytes.fromhex("feedfeed00000002") + bytes(40)).decode()
# A broker that went away is found out within its clients' own limits, tens of seconds.
pytestmark = [pytest.mark.timeout(240),
              pytest.mark.skipif(not Kafka.present(), reason="no Java or no .deps/kafka: tools/fetch_kafka")]


@pytest.fixture(scope="module")
def kafka(tmp_path_factory):
    broker = Kafka(tmp_path_factory.mktemp("kafka")).start()
    yield broker
    broker.stop()


@pytest.fixture(scope="module")
def destination(own_iot):
    return own_iot.create_topic_rule_destination(destinationConfiguration={"vpcConfiguration": {
        "vpcId": "vpc-1", "subnetIds": ["subnet-1"], "roleArn": ROLE}})["topicRuleDestination"]["arn"]


def action(destination, topic, properties, **more):
    return {"kafka": {"destinationArn": destination, "topic": topic, "clientProperties": properties, **more}}


def plain(kafka, **more):
    return {"bootstrap.servers": kafka.servers(), "security.protocol": "PLAINTEXT", "acks": "all", **more}


def test_a_message_arrives_with_key_partition_and_headers(own_iot, kafka, destination, client, name):
    kafka.make_topic(name)
    make_rule(own_iot, name, f"SELECT t, topic(2) AS d FROM '{name}/+'", action(
        destination, "${topic(1)}", plain(kafka), key="${topic(2)}", partition="${p}",
        headers=[{"key": "from", "value": "${clientid()}"}, {"key": "from", "value": "again"}]))
    assert client.publish(f"{name}/7", '{"t": 21, "p": 1}') == 0
    assert client.publish(f"{name}/8", '{"t": 22, "p": 0}') == 0
    got = kafka.take(name, 2)
    assert [(m.partition(), m.key(), json.loads(m.value())) for m in got] == [
        (0, b"8", {"t": 22, "d": "8"}), (1, b"7", {"t": 21, "d": "7"})]
    assert got[0].headers() == [("from", name.encode()), ("from", b"again")]


@pytest.mark.parametrize("compression", ["none", "gzip", "snappy", "lz4", "zstd"])
def test_every_compression_is_read_back(own_iot, kafka, destination, client, name, compression):
    kafka.make_topic(name)
    make_rule(own_iot, name, f"SELECT * FROM '{name}/+'", action(destination, name,
                                                                plain(kafka, **{"compression.type": compression})))
    body = bytes(range(256)) * 20
    client.publish(f"{name}/x", body)
    [got] = kafka.take(name, 1)
    assert (got.value(), got.key()) == (body, None)


def pkcs12_of(pem):
    cert = crypto.load_pem_x509_certificate(pem.encode())
    store = pkcs12.serialize_key_and_certificates(b"ca", None, None, [cert], BestAvailableEncryption(b"changeit"))
    return base64.b64encode(store).decode()


@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-512"])
@pytest.mark.parametrize("store", ["pem", "pkcs12"])
def test_tls_and_passwords(own_iot, kafka, destination, client, name, mechanism, store):
    kafka.make_topic(name)
    kind = "plain" if mechanism == "PLAIN" else "scram"
    trust = {"ssl.truststore": kafka.ca_pem} if store == "pem" else {
        "ssl.truststore": pkcs12_of(kafka.ca_pem), "ssl.truststore.password": "changeit"}
    make_rule(own_iot, name, f"SELECT * FROM '{name}/+'", action(destination, name, {
        "bootstrap.servers": kafka.servers("SASL_SSL"), "security.protocol": "SASL_SSL", "sasl.mechanism": mechanism,
        f"sasl.{kind}.username": USER, f"sasl.{kind}.password": PASSWORD, **trust}))
    client.publish(f"{name}/x", b'{"a":1}')
    assert json.loads(kafka.take(name, 1)[0].value()) == {"a": 1}


def fails_with(own_iot, destination, client, sub, name, properties, body=b'{"a":1}', topic=None):
    rule = make_rule(own_iot, name, f"SELECT * FROM '{name}/in'", action(destination, topic or name, properties),
                     error=republish(f"{name}/errors"))
    sub.subscribe((f"{name}/errors", 1))
    sub.stream.settimeout(30)
    assert client.publish(f"{name}/in", body) == 0
    [failure] = json.loads(sub.message().payload)["failures"]
    assert (failure["failedAction"], failure["failedResource"]) == ("KafkaAction", topic or name)
    return rule, failure["errorMessage"]


def test_a_wrong_password_reaches_the_error_action(own, own_iot, kafka, destination, client, sub, name):
    rule, message = fails_with(own_iot, destination, client, sub, name, {
        "bootstrap.servers": kafka.servers("SASL_SSL"), "security.protocol": "SASL_SSL", "sasl.mechanism": "PLAIN",
        "sasl.plain.username": USER, "sasl.plain.password": "wrong", "ssl.truststore": kafka.ca_pem})
    assert "SASL" in message or "uthentication" in message
    assert action_figure(own, "failed_total", rule) == 1


def test_a_broker_that_is_not_trusted_reaches_the_error_action(own_iot, kafka, destination, client, sub, name):
    _, message = fails_with(own_iot, destination, client, sub, name, {
        "bootstrap.servers": kafka.servers("SSL"), "security.protocol": "SSL"})
    assert "certificate" in message.lower() or "SSL" in message


def test_a_partition_that_is_none_reaches_the_error_action(own_iot, kafka, destination, client, sub, name):
    kafka.make_topic(name)
    rule = make_rule(own_iot, name, f"SELECT * FROM '{name}/in'",
                     action(destination, name, plain(kafka), partition="${p}"), error=republish(f"{name}/errors"))
    sub.subscribe((f"{name}/errors", 1))
    client.publish(f"{name}/in", '{"p":"x"}')
    assert "partition" in json.loads(sub.message().payload)["failures"][0]["errorMessage"]
    assert rule


def test_a_broker_that_comes_back_gets_all_of_it(own, own_iot, tmp_path, destination, client, name):
    broker = Kafka(tmp_path).start()
    try:
        broker.make_topic(name)
        rule = make_rule(own_iot, name, f"SELECT n FROM '{name}/in'", action(destination, name, plain(broker)))
        client.publish(f"{name}/in", '{"n":0}')
        wait_until(lambda: action_figure(own, "succeeded_total", rule) == 1, 20)
        broker.stop()
        for number in range(1, 20):
            assert client.publish(f"{name}/in", json.dumps({"n": number})) == 0
        broker.start()
        wait_until(lambda: action_figure(own, "succeeded_total", rule) == 20, 40)
        assert {json.loads(m.value())["n"] for m in broker.take(name, 20)} == set(range(20))
        assert action_figure(own, "failed_total", rule) == 0
    finally:
        broker.stop()


def test_a_wrong_password_of_scram_reaches_the_error_action(own_iot, kafka, destination, client, sub, name):  # noqa: F811
    _, message = fails_with(own_iot, destination, client, sub, name, {
        "bootstrap.servers": kafka.servers("SASL_SSL"), "security.protocol": "SASL_SSL", "sasl.mechanism": "SCRAM-SHA-512",
        "sasl.scram.username": USER, "sasl.scram.password": "wrong", "ssl.truststore": kafka.ca_pem})
    assert "SASL" in message or "uthentication" in message


def test_brokers_that_refuse_hang_or_die_for_good_lose_nothing(own, own_iot, tmp_path, destination, client, sub,  # noqa: F811
                                                              name):
    """Every message has arrived, or is in an error document; the time of an action is 30 seconds."""
    broker = Kafka(tmp_path).start()
    broker.make_topic(name)
    with socket.socket() as nobody, socket.socket() as silent:
        nobody.bind(("127.0.0.1", 0))  # bound, but never listening
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        servers = {"refused": f"127.0.0.1:{nobody.getsockname()[1]}", "silent": f"127.0.0.1:{silent.getsockname()[1]}",
                   "killed": broker.servers()}
        rules = {kind: make_rule(own_iot, name, f"SELECT n FROM '{name}/{kind}'", action(destination, name, {
            "bootstrap.servers": where, "security.protocol": "PLAINTEXT", "acks": "all"}),
            error=republish(f"{name}/errors/{kind}")) for kind, where in servers.items()}
        sub.subscribe((f"{name}/errors/+", 1))
        sub.stream.settimeout(60)
        client.publish(f"{name}/killed", b'{"n":-1}')
        wait_until(lambda: action_figure(own, "succeeded_total", rules["killed"]) == 1, 20)
        for kind in servers:
            for n in range(10):
                assert client.publish(f"{name}/{kind}", json.dumps({"n": n})) == 0
                if kind == "killed" and n == 5:
                    broker.stop()  # in the middle, and for good
        told = {kind: [] for kind in servers}
        succeeded = lambda: action_figure(own, "succeeded_total", rules["killed"])  # noqa: E731
        while sum(map(len, told.values())) < 30 - (succeeded() - 1):
            message = sub.message()
            document = json.loads(message.payload)
            [failure] = document["failures"]
            assert (failure["failedAction"], failure["failedResource"]) == ("KafkaAction", name) and failure["errorMessage"]
            told[message.topic.rsplit("/", 1)[1]].append(json.loads(base64.b64decode(document["base64OriginalPayload"]))["n"])
        assert sorted(told["refused"]) == sorted(told["silent"]) == list(range(10))
        broker.start()
        try:
            # what the broker had acknowledged, and what it had when it was killed and could not acknowledge any more
            arrived = [json.loads(m.value())["n"] for m in broker.take(name, broker.count(name))]
            assert len(arrived) >= succeeded()
        finally:
            broker.stop()
        assert len(told["killed"]) == len(set(told["killed"])) and set(told["killed"]) | set(arrived) == set(range(-1, 10))
        assert {6, 7, 8, 9} <= set(told["killed"])


@pytest.mark.parametrize("properties, word", [
    ({"security.protocol": "SSL"}, "bootstrap.servers"),
    ({"bootstrap.servers": "b", "security.protocol": "SSL"}, "HOST:PORT"),
    ({"bootstrap.servers": "b:9092", "security.protocol": "TLS"}, "security.protocol"),
    ({"bootstrap.servers": "b:9092", "security.protocol": "SSL", "acks": "2"}, "acks"),
    ({"bootstrap.servers": "b:9092", "security.protocol": "SSL", "linger.ms": "5"}, "linger.ms"),
    ({"bootstrap.servers": "b:9092", "security.protocol": "SASL_SSL", "sasl.mechanism": "GSSAPI"}, "Kerberos"),
    ({"bootstrap.servers": "b:9092", "security.protocol": "SASL_SSL", "sasl.mechanism": "DIGEST-MD5"}, "sasl.mechanism"),
    # A JKS begins with FEEDFEED. Source: OpenJDK, sun.security.provider.JavaKeyStore
    ({"bootstrap.servers": "b:9092", "security.protocol": "SSL", "ssl.truststore": JKS}, "keytool -importkeystore"),
    ({"bootstrap.servers": "b:9092", "security.protocol": "SSL", "ssl.keystore": JKS}, "PKCS12"),
    ({"bootstrap.servers": "b:9092", "security.protocol": "SSL", "ssl.keystore": "no base64!"}, "neither PEM"),
    ({"bootstrap.servers": "b:9092", "security.protocol": "SSL", "ssl.truststore": "aGVsbG8="}, "neither PEM"),
    ({"bootstrap.servers": "b:9092", "security.protocol": "SASL_SSL", "sasl.kerberos.principal": "p"}, "Kerberos"),
])
def test_properties_that_would_not_do_are_refused(own_iot, destination, name, fails, properties, word):
    code, status, text = fails(lambda: make_rule(own_iot, name, "SELECT * FROM 'a'",
                                                 action(destination, "t", properties)))
    assert (code, status) == ("InvalidRequestException", 400) and word in text, text


def test_brokers_without_tls_are_for_operators_who_say_so(server, iot, name, fails):
    made = iot.create_topic_rule_destination(destinationConfiguration={"vpcConfiguration": {
        "vpcId": "vpc-1", "subnetIds": ["subnet-1"], "roleArn": ROLE}})["topicRuleDestination"]["arn"]
    try:
        for properties in ({"bootstrap.servers": "b:9092"}, {"bootstrap.servers": "b:9092", "security.protocol": "PLAINTEXT"},
                           {"bootstrap.servers": "b:8080", "security.protocol": "SSL"}):
            code, status, _ = fails(lambda: make_rule(iot, name, "SELECT * FROM 'a'", action(made, "t", properties)))
            assert (code, status) == ("InvalidRequestException", 400)
        unknown = f"arn:aws:iot:{REGION}:{ACCOUNT}:ruledestination/vpc/00000000-0000-0000-0000-000000000000"
        code, status, text = fails(lambda: make_rule(iot, name, "SELECT * FROM 'a'", action(unknown, "t", {
            "bootstrap.servers": "b:9092", "security.protocol": "SSL"})))
        assert (code, status) == ("UnauthorizedException", 401) and unknown in text
    finally:
        iot.delete_topic_rule_destination(arn=made)
