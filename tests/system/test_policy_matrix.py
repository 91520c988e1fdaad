"""Policies, decided twice: what TestAuthorization says of each case, and what a live MQTT client is let do, is what the
table says. A scenario is one device with one document (or several, or a group's), its cases are

    pub TOPIC     a QoS 1 PUBLISH: its PUBACK
    sub FILTER    a SUBSCRIBE: its SUBACK
    rcv TOPIC     a message on a topic that it has subscribed to: whether it arrives
    con CLIENT    a CONNECT under this client id
"""
import dataclasses
import datetime
import json

import pytest
from cryptography import x509 as crypto
from cryptography.hazmat.primitives import hashes
from support import wire, x509
from support.mqtt import wait_until
from support.refused import connects
from support.server import ACCOUNT, REGION

ARN = f"arn:aws:iot:{REGION}:{ACCOUNT}:"


@dataclasses.dataclass
class Scenario:
    what: str
    statements: list
    yes: list
    no: list
    group: list = dataclasses.field(default_factory=list)   # statements of the thing's group
    parent: list = dataclasses.field(default_factory=list)  # and of that group's parent
    thing: dict | None = None                               # the thing's attributes; the client id is its name


def statement(effect, actions, resources, condition=None, **more):
    listed = lambda value: value if isinstance(value, list) else [value]  # noqa: E731
    full = lambda r: r if r == "*" or r.startswith("arn:") else ARN + r  # noqa: E731
    made = {"Effect": effect} | more
    if actions:
        made["Action"] = [action if ":" in action or action == "*" else f"iot:{action}" for action in listed(actions)]
    if resources:
        made["Resource"] = [full(resource) for resource in listed(resources)]
    if condition:
        made["Condition"] = condition
    return made


def allow(actions, resources=None, condition=None, **more):
    return statement("Allow", actions, resources, condition, **more)


def deny(actions, resources=None, condition=None, **more):
    return statement("Deny", actions, resources, condition, **more)


IN = allow("Connect", "client/*")
SUB = allow("Subscribe", "topicfilter/*")
MARK = allow("Receive", "topic/mark/*")

SCENARIOS = [
    Scenario("an exact resource", [IN, allow("Publish", "topic/a/b")],
             ["pub a/b"], ["pub a", "pub a/b/c", "pub a/B", "pub A/b", "pub b/a", "sub a/b", "sub a/#"]),
    Scenario("a star crosses levels", [IN, allow("Publish", "topic/a/*")],
             ["pub a/b", "pub a/b/c", "pub a/"], ["pub a", "pub ab", "pub b/a/c", "pub /a/b"]),
    Scenario("a star within a level", [IN, allow("Publish", "topic/dev*/up")],
             ["pub dev/up", "pub dev1/up", "pub dev1/x/up"], ["pub dev1/down", "pub de/up", "pub dev1/up/x"]),
    Scenario("a question mark is one character", [IN, allow("Publish", "topic/d?/t")],
             ["pub d1/t", "pub dx/t", "pub d//t"], ["pub d/t", "pub d12/t", "pub d1/t2"]),
    Scenario("stars and question marks together", [IN, allow("Publish", "topic/??-*-t?")],
             ["pub ab-x-t1", "pub ab--t1", "pub ab-x-y-tz"], ["pub a-x-t1", "pub ab-x-t", "pub abx-t1"]),
    Scenario("plus and hash are letters", [IN, allow("Publish", "topic/a/+/c"), allow("Subscribe", ["topicfilter/a/+/c",
                                                                                                 "topicfilter/z/#"])],
             ["sub a/+/c", "sub z/#"], ["pub a/b/c", "sub a/b/c", "sub a/x/c", "sub z/1", "sub z/+", "sub #"]),
    Scenario("a filter is matched as it is written", [IN, allow("Subscribe", "topicfilter/a/*")],
             ["sub a/b", "sub a/#", "sub a/+/b", "sub a/+"], ["sub a", "sub +/b", "sub #", "sub b/a"]),
    Scenario("everything", [allow("*", "*")],
             ["pub a", "sub #", "sub a/+", "con anything", "rcv r/1"], []),
    Scenario("every action of iot", [allow("iot:*", "*")], ["pub a", "sub #", "con anything", "rcv r/1"], []),
    Scenario("every action on some topics", [IN, allow("iot:*", ["topic/a/*", "topicfilter/a/*"])],
             ["pub a/1", "sub a/1", "sub a/#"], ["pub b", "sub b", "sub #"]),
    Scenario("a star in an action", [IN, allow("P*", "*")], ["pub a", "pub b/c"], ["sub a", "sub #"]),
    Scenario("letters of an action count as one case", [IN, allow("iot:pUBLISH", "topic/a")], ["pub a"], ["pub b", "sub a"]),
    Scenario("another service's action is none", [IN, allow("s3:*", "*")], [], ["pub a", "sub a"]),
    Scenario("another resource type is none", [IN, allow("Publish", "topicfilter/a"), allow("Subscribe", "topic/a")],
             [], ["pub a", "sub a"]),
    Scenario("another account's or region's resource is none",
             [IN, allow("Publish", [f"arn:aws:iot:{REGION}:999999999999:topic/a", f"arn:aws:iot:eu-west-9:{ACCOUNT}:topic/b",
                                    f"arn:aws:iot:*:{ACCOUNT}:topic/c", f"arn:aws:iot:{REGION}:*:topic/d"])],
             ["pub c", "pub d"], ["pub a", "pub b"]),
    Scenario("deny wins over allow", [IN, allow("Publish", "topic/a/*"), deny("Publish", "topic/a/secret")],
             ["pub a/1", "pub a/secrets", "pub a/secret/1"], ["pub a/secret", "pub b"]),
    Scenario("deny wins whatever its place", [deny("Publish", "topic/a/secret/*"), IN, allow("iot:*", "*")],
             ["pub a/1", "sub a/secret/#", "pub a/secret"], ["pub a/secret/1", "pub a/secret/2/3"]),
    Scenario("deny of everything", [IN, allow("Publish", "*"), deny("Publish", "*")], ["con other"], ["pub a", "sub a"]),
    Scenario("a denied filter does not deny a wider one",
             [IN, allow("Subscribe", "*"), deny("Subscribe", "topicfilter/a/restricted/*")],
             ["sub a/#", "sub #", "sub a/restricted"], ["sub a/restricted/1", "sub a/restricted/#"]),
    Scenario("receive is asked at each delivery", [IN, SUB, MARK, allow("Receive", "topic/r/*"), deny("Receive", "topic/r/no")],
             ["rcv r/1", "rcv r/2/3", "sub r/#"], ["rcv r/no", "rcv s/1"]),
    Scenario("without receive nothing arrives", [IN, SUB, MARK], ["sub r/1", "rcv mark/x"], ["rcv r/1", "rcv r/2"]),
    Scenario("NotAction allows all others", [IN, allow(None, "*", NotAction=["iot:Publish"])],
             ["sub a", "sub #", "con another", "rcv r/1"], ["pub a", "pub b/c"]),
    Scenario("NotAction denies all others", [allow("*", "*"), deny(None, "*", NotAction=["iot:Connect", "iot:Publish"])],
             ["pub a", "con another"], ["sub a", "sub #"]),
    Scenario("NotResource allows all others", [IN, allow("Publish", None, NotResource=[ARN + "topic/a/*", ARN + "topic/b"])],
             ["pub c", "pub a", "pub b/1"], ["pub a/1", "pub a/2/3", "pub b", "sub c"]),
    Scenario("NotResource denies all others",
             [allow("*", "*"), deny("Publish", None, NotResource=[ARN + "topic/mine/*"])],
             ["pub mine/1", "pub mine/2/3", "sub other"], ["pub other", "pub mine"]),
    Scenario("several statements add up", [IN, allow("Publish", "topic/a"), allow("Publish", ["topic/b", "topic/c/*"]),
                                           allow(["Publish", "Subscribe"], ["topic/d", "topicfilter/d"])],
             ["pub a", "pub b", "pub c/1", "pub d", "sub d"], ["pub e", "sub a", "pub c"]),
    Scenario("connect by client id", [allow("Connect", ["client/one", "client/dev-*", "client/x?"])],
             ["con one", "con dev-", "con dev-7", "con xy"], ["con two", "con One", "con dev", "con x", "con xyz"]),
    Scenario("connect is denied to one", [allow("Connect", "client/*"), deny("Connect", "client/banned*")],
             ["con any", "con ban"], ["con banned", "con banned-2"]),
    Scenario("the client id as a variable in a topic",
             [IN, allow("Publish", "topic/of/${iot:ClientId}/*"), allow("Subscribe", "topicfilter/of/${iot:ClientId}")],
             ["pub of/CLIENT/1", "pub of/CLIENT/2/3", "sub of/CLIENT"],
             ["pub of/other/1", "pub of/CLIENT", "sub of/other", "sub of/#", "pub of/${iot:ClientId}/1"]),
    Scenario("a variable within a level", [IN, allow("Publish", "topic/x-${iot:ClientId}-y")],
             ["pub x-CLIENT-y"], ["pub x--y", "pub x-other-y", "pub x-CLIENT-yz"]),
    Scenario("a variable in a deny", [IN, allow("Publish", "topic/*"), deny("Publish", "topic/not/${iot:ClientId}")],
             ["pub not/other", "pub a"], ["pub not/CLIENT"]),
    Scenario("escaped characters are letters", [IN, allow("Publish", ["topic/a${*}", "topic/b${?}", "topic/c${$}x"])],
             ["pub a*", "pub b?", "pub c$x"], ["pub ax", "pub bx", "pub a", "pub cx"]),
    Scenario("a variable without a value matches nothing",
             [IN, allow("Publish", ["topic/a/${iot:Connection.Thing.ThingName}", "topic/b/${iot:NoSuch}", "topic/ok"])],
             ["pub ok"], ["pub a/", "pub a/CLIENT", "pub b/", "pub b/x"]),
    Scenario("what the thing is",
             [IN, allow("Publish", ["topic/n/${iot:Connection.Thing.ThingName}",
                                    "topic/room/${iot:Connection.Thing.Attributes[room]}",
                                    "topic/none/${iot:Connection.Thing.Attributes[absent]}"])],
             ["pub n/CLIENT", "pub room/kitchen"], ["pub n/other", "pub room/hall", "pub none/", "pub none/x"],
             thing={"room": "kitchen"}),
    Scenario("only attached things",
             [IN, allow("Publish", "topic/a", {"Bool": {"iot:Connection.Thing.IsAttached": "true"}}),
              allow("Publish", "topic/b", {"Bool": {"iot:Connection.Thing.IsAttached": "false"}})],
             ["pub a"], ["pub b"], thing={}),
    Scenario("only clients without a thing",
             [IN, allow("Publish", "topic/a", {"Bool": {"iot:Connection.Thing.IsAttached": "true"}}),
              allow("Publish", "topic/b", {"Bool": {"iot:Connection.Thing.IsAttached": "false"}})],
             ["pub b"], ["pub a"]),
    Scenario("a condition on an attribute",
             [IN, allow("Publish", "topic/a", {"StringEquals": {"iot:Connection.Thing.Attributes[room]": ["hall", "kitchen"]}}),
              allow("Publish", "topic/b", {"StringEquals": {"iot:Connection.Thing.Attributes[room]": "hall"}}),
              allow("Publish", "topic/c", {"StringNotEquals": {"iot:Connection.Thing.Attributes[room]": "hall"}}),
              allow("Publish", "topic/d", {"StringLike": {"iot:Connection.Thing.Attributes[room]": "kit*"}}),
              allow("Publish", "topic/e", {"StringEqualsIgnoreCase": {"iot:Connection.Thing.Attributes[room]": "KITCHEN"}}),
              allow("Publish", "topic/f", {"Null": {"iot:Connection.Thing.Attributes[room]": "true"}}),
              allow("Publish", "topic/g", {"Null": {"iot:Connection.Thing.Attributes[absent]": "true"}}),
              allow("Publish", "topic/h", {"NumericLessThan": {"iot:Connection.Thing.Attributes[floor]": "3"}}),
              allow("Publish", "topic/i", {"NumericGreaterThanEquals": {"iot:Connection.Thing.Attributes[floor]": "3"}}),
              allow("Publish", "topic/j", {"StringEqualsIfExists": {"iot:Connection.Thing.Attributes[absent]": "x"}})],
             ["pub a", "pub c", "pub d", "pub e", "pub g", "pub h", "pub j"], ["pub b", "pub f", "pub i"],
             thing={"room": "kitchen", "floor": "2"}),
    Scenario("a deny under a condition",
             [IN, allow("Publish", "*"), deny("Publish", "topic/a", {"StringEquals": {"iot:Connection.Thing.Attributes[room]": "kitchen"}}),
              deny("Publish", "topic/b", {"StringEquals": {"iot:Connection.Thing.Attributes[room]": "hall"}}),
              deny("Publish", "topic/c", {"StringNotLike": {"iot:Connection.Thing.Attributes[room]": "h*"}})],
             ["pub b", "pub d"], ["pub a", "pub c"], thing={"room": "kitchen"}),
    Scenario("conditions of one statement all count",
             [IN, allow("Publish", "topic/a", {"StringEquals": {"iot:ClientId": "CLIENT"},
                                               "StringLike": {"iot:Connection.Thing.Attributes[room]": "k*"}}),
              allow("Publish", "topic/b", {"StringEquals": {"iot:ClientId": "other"},
                                           "StringLike": {"iot:Connection.Thing.Attributes[room]": "k*"}})],
             ["pub a"], ["pub b"], thing={"room": "kitchen"}),
    Scenario("a condition on the client id",
             [IN, allow("Publish", "topic/a", {"StringEquals": {"iot:ClientId": "CLIENT"}}),
              allow("Publish", "topic/b", {"StringEquals": {"iot:ClientId": ["x", "y"]}}),
              allow("Publish", "topic/c", {"StringNotEquals": {"iot:ClientId": "x"}}),
              allow("Publish", "topic/d", {"StringNotEquals": {"iot:ClientId": "CLIENT"}}),
              allow("Publish", "topic/e", {"StringLike": {"iot:ClientId": "m*"}})],
             ["pub a", "pub c", "pub e"], ["pub b", "pub d"]),
    Scenario("what the certificate says",
             [IN, allow("Publish", ["topic/cn/${iot:Certificate.Subject.CommonName}",
                                    "topic/o/${iot:Certificate.Subject.Organization}",
                                    "topic/id/${iot:CertificateId}",
                                    "topic/none/${iot:Certificate.Subject.Country}"])],
             ["pub cn/CLIENT", "pub o/Matrix", "pub id/CERTIFICATE"], ["pub cn/other", "pub o/", "pub none/", "pub id/x"]),
    Scenario("a condition on the certificate",
             [IN, allow("Publish", "topic/a", {"StringEquals": {"iot:Certificate.Subject.Organization": "Matrix"}}),
              allow("Publish", "topic/b", {"StringEquals": {"iot:Certificate.Subject.Organization": "Other"}}),
              allow("Publish", "topic/c", {"Null": {"iot:Certificate.Subject.Country": "true"}})],
             ["pub a", "pub c"], ["pub b"]),
    Scenario("a group's policy counts for its things", [IN], ["pub g/1", "sub g/#"], ["pub h/1", "pub own"],
             group=[allow(["Publish", "Subscribe"], ["topic/g/*", "topicfilter/g/*"])], thing={}),
    Scenario("a parent group's policy counts, too", [IN, allow("Publish", "topic/own")],
             ["pub own", "pub g/1", "pub p/1"], ["pub x"],
             group=[allow("Publish", "topic/g/*")], parent=[allow("Publish", "topic/p/*")], thing={}),
    Scenario("a group's deny wins", [IN, allow("Publish", "*")], ["pub a", "pub g"], ["pub g/1"],
             group=[deny("Publish", "topic/g/*")], thing={}),
    Scenario("a parent group's deny wins over all", [IN, allow("Publish", "*")], ["pub a"], ["pub p/1", "pub g/1/p"],
             group=[allow("Publish", "topic/g/*"), deny("Publish", "topic/g/*/p")], parent=[deny("Publish", "topic/p/*")],
             thing={}),
    Scenario("a variable in a group's policy", [IN], ["pub of/CLIENT"], ["pub of/other"],
             group=[allow("Publish", "topic/of/${iot:Connection.Thing.ThingName}")], thing={}),
    Scenario("a reserved topic needs its resource as any other", [IN, allow("Publish", "topic/$aws/things/CLIENT/shadow/get"),
                                                                  allow("Subscribe", "topicfilter/$aws/things/CLIENT/shadow/*")],
             ["pub $aws/things/CLIENT/shadow/get", "sub $aws/things/CLIENT/shadow/get/accepted"],
             ["pub $aws/things/other/shadow/get", "sub $aws/things/other/shadow/get/accepted",
              "pub $aws/things/CLIENT/shadow/delete"]),
    Scenario("a shared subscription has its group in the resource",
             [IN, allow("Subscribe", "topicfilter/$share/g/a/*")], ["sub $share/g/a/b", "sub $share/g/a/#"],
             ["sub $share/h/a/b", "sub a/b", "sub $share/g/b"]),
    Scenario("nothing is allowed by nothing", [IN], [], ["pub a", "pub b/c", "sub a", "sub #"]),
]


def test_the_matrix_is_large_enough():
    assert sum(len(s.yes) + len(s.no) for s in SCENARIOS) >= 200
    assert len({s.what for s in SCENARIOS}) == len(SCENARIOS)


class World:
    """One scenario's device."""

    def __init__(self, server, iot, data, fleet, name, scenario):
        self.server, self.iot, self.data, self.name = server, iot, data, name
        key = x509.new_key()
        request = (crypto.CertificateSigningRequestBuilder().subject_name(crypto.Name([
            crypto.NameAttribute(x509.NameOID.COMMON_NAME, name[:64]),
            crypto.NameAttribute(x509.NameOID.ORGANIZATION_NAME, "Matrix")])).sign(key, hashes.SHA256()))
        pem = request.public_bytes(x509.serialization.Encoding.PEM).decode()
        made = iot.create_certificate_from_csr(certificateSigningRequest=pem, setAsActive=True)
        self.arn, self.certificate = made["certificateArn"], made["certificateId"]
        self.device = fleet.save(name, self.certificate, self.arn, made["certificatePem"], x509.key_pem(key))
        self.attach("own", scenario.statements, self.arn)
        if scenario.group or scenario.parent:
            parent = iot.create_thing_group(thingGroupName=f"{name}-parent")["thingGroupArn"]
            group = iot.create_thing_group(thingGroupName=f"{name}-group", parentGroupName=f"{name}-parent")["thingGroupArn"]
            self.attach("parent", scenario.parent, parent)
            self.attach("group", scenario.group, group)
        if scenario.thing is not None:
            iot.create_thing(thingName=name, attributePayload={"attributes": scenario.thing})
            iot.attach_thing_principal(thingName=name, principal=self.arn)
        if scenario.group or scenario.parent:
            iot.add_thing_to_thing_group(thingName=name, thingGroupName=f"{name}-group")

    def attach(self, suffix, statements, target):
        if not statements:
            return
        document = self.fill(json.dumps({"Version": "2012-10-17", "Statement": statements}))
        self.iot.create_policy(policyName=f"{self.name}-{suffix}", policyDocument=document)
        self.iot.attach_policy(policyName=f"{self.name}-{suffix}", target=target)

    def fill(self, text):
        return text.replace("CLIENT", self.name).replace("CERTIFICATE", self.certificate)

    # -- what the API says --------------------------------------------------------------------------------------

    KINDS = {"pub": ("PUBLISH", "topic/"), "sub": ("SUBSCRIBE", "topicfilter/"), "rcv": ("RECEIVE", "topic/"),
             "con": ("CONNECT", "client/")}

    def asked(self, verb, what):
        action, kind = self.KINDS[verb]
        answer = self.iot.test_authorization(
            principal=self.arn, clientId=what if verb == "con" else self.name,
            authInfos=[{"actionType": action, "resources": [ARN + kind + what]}])["authResults"]
        assert len(answer) == 1 and answer[0]["authInfo"]["actionType"] == action
        return answer[0]["authDecision"] == "ALLOWED"

    # -- what a client is let do --------------------------------------------------------------------------------

    wire = None  # the connection, where a case needs one

    def connect(self):
        if not self.wire:
            self.wire = wire.tls_wire(self.server, self.device, 5)
            assert self.wire.connect(self.name, keep_alive=1200).code == 0

    def close(self):
        if self.wire:
            self.wire.close()

    def did(self, verb, what):
        if verb == "con":
            return connects(self.server, self.device, what)
        self.connect()
        if verb == "sub":
            code = self.wire.subscribe((what, 1))[0]
            assert code in (1, 0x87), code
            if code == 1:
                self.wire.unsubscribe(what)
            return code == 1
        if verb == "pub":
            packet_id = self.wire.packet_id()
            self.wire.send_publish(what, b"" if what.startswith("$aws") else b"x", qos=1, packet_id=packet_id)
            code = self.puback(packet_id)
            assert code in (0, 0x10, 0x87), code
            return code != 0x87
        assert self.wire.subscribe((what, 1), ("mark/#", 1)) == [1, 1]
        self.data.publish(topic=what, payload=b"this", qos=1)
        self.data.publish(topic=f"mark/{self.name}", payload=b"after", qos=1)
        got = [self.wire.message().payload]
        while got[-1] != b"after":
            got.append(self.wire.message().payload)
        assert self.wire.unsubscribe(what, "mark/#")
        return b"this" in got

    def puback(self, packet_id):
        while True:
            packet = self.wire.read()
            assert packet is not None, "the connection ended"
            if packet.type == wire.PUBACK:
                cursor = wire.Cursor(packet.body)
                assert cursor.u16() == packet_id
                return packet.body[2] if len(packet.body) > 2 else 0


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda s: s.what.replace(" ", "-"))
def test_api_and_broker_decide_as_the_table_says(server, iot, data, fleet, name, scenario):
    name = f"m{name[-8:]}"
    world = World(server, iot, data, fleet, name, scenario)
    wrong = []
    try:
        for expected, cases in ((True, scenario.yes), (False, scenario.no)):
            for case in cases:
                verb, what = case.split(" ", 1)
                what = world.fill(what)
                said, done = world.asked(verb, what), world.did(verb, what)
                if (said, done) != (expected, expected):
                    wrong.append(f"{case}: the table says {expected}, TestAuthorization {said}, the broker {done}")
    finally:
        world.close()
    assert not wrong, "\n".join(wrong)


# -- what belongs to the moment and to the way in ----------------------------------------------------------------


def when(seconds, clock):
    return (datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=clock + seconds)).strftime(
        "%Y-%m-%dT%H:%M:%SZ")


@pytest.fixture
def world(server, iot, data, fleet, name):
    made = []

    def make(*statements):
        made.append(World(server, iot, data, fleet, f"m{name[-8:]}", Scenario("", [IN, SUB, MARK, *statements], [], [])))
        return made[-1]

    yield make
    for each in made:
        each.close()


@pytest.mark.parametrize("operator, offset, allowed", [
    ("DateLessThan", 3600, True), ("DateLessThan", -3600, False),
    ("DateGreaterThan", 3600, False), ("DateGreaterThan", -3600, True)])
def test_the_time_is_asked_by_api_and_broker_alike(server, world, operator, offset, allowed):
    at, clock = when(offset, server.ahead_ms // 1000), server.ahead_ms // 1000
    epoch = str(int(datetime.datetime.now().timestamp()) + clock + offset)
    numeric = operator.replace("Date", "Numeric")
    made = world(allow("Publish", "topic/allowed", {operator: {"aws:CurrentTime": at}}),
                 allow("Publish", "topic/denied"), deny("Publish", "topic/denied", {operator: {"aws:CurrentTime": at}}),
                 allow("Publish", "topic/epoch", {numeric: {"aws:EpochTime": epoch}}))
    for topic, expected in (("allowed", allowed), ("denied", not allowed), ("epoch", allowed)):
        assert (made.asked("pub", topic), made.did("pub", topic)) == (expected, expected), topic


def test_a_deny_by_time_binds_a_live_connection_when_its_time_comes(server, world):
    at = when(300, server.ahead_ms // 1000)
    made = world(allow(["Publish", "Receive"], "topic/r/*"),
                 deny(["Publish", "Receive"], "topic/r/*", {"DateGreaterThan": {"aws:CurrentTime": at}}))
    assert made.did("pub", "r/1") and made.did("rcv", "r/2")
    server.advance(600)
    wait_until(lambda: not made.did("pub", "r/1"))
    assert not made.did("rcv", "r/2")
    assert not made.asked("pub", "r/1")


def test_transport_and_address_are_asked(server, world):
    made = world(allow("Publish", ["topic/tls", "topic/near", "topic/far"]),
                 deny("Publish", "topic/tls", {"Bool": {"aws:SecureTransport": "true"}}),
                 deny("Publish", "topic/near", {"IpAddress": {"aws:SourceIp": "127.0.0.0/8"}}),
                 deny("Publish", "topic/far", {"NotIpAddress": {"aws:SourceIp": "127.0.0.0/8"}}))
    assert not made.asked("pub", "tls") and not made.did("pub", "tls")
    assert not made.did("pub", "near") and made.did("pub", "far")


def test_a_deny_on_what_a_device_never_has_is_refused_by_name(iot, fails, name):
    document = {"Version": "2012-10-17", "Statement": [IN, deny("Publish", "*", {
        "BoolIfExists": {"aws:MultiFactorAuthPresent": "false"}})]}
    code, status, message = fails(iot.create_policy, policyName=name, policyDocument=json.dumps(document))
    assert (code, status) == ("MalformedPolicyException", 400) and "aws:MultiFactorAuthPresent" in message
