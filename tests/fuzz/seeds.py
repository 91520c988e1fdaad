#!/usr/bin/env python3
"""Writes first inputs for the fuzz targets: seeds.py FOLDER makes FOLDER/NAME/ for each target named here.

libFuzzer finds its way from any bytes; seeds only spare it what takes long to guess.
"""
import hashlib
import io
import pathlib
import subprocess
import sys
import zipfile


def mqtt_str(data: bytes) -> bytes:
    return len(data).to_bytes(2, "big") + data


def packet(header: int, body: bytes) -> bytes:
    length, n = b"", len(body)
    while True:
        n, digit = n >> 7, n & 127
        length += bytes([digit | (128 if n else 0)])
        if not n:
            return bytes([header]) + length + body


PROPS = {  # every property once, as bytes of a list
    "message": b"\x01\x01\x02\0\0\0\x3c\x03" + mqtt_str(b"t") + b"\x08" + mqtt_str(b"r/s") + b"\x09" + mqtt_str(b"\0\1")
    + b"\x26" + mqtt_str(b"k") + mqtt_str(b"v"),
    "connect": b"\x11\0\0\0\x05\x15" + mqtt_str(b"m") + b"\x16" + mqtt_str(b"d") + b"\x17\x01\x19\x01\x21\0\x05\x22\0\x05"
    b"\x27\0\0\x02\0",
    "connack": b"\x12" + mqtt_str(b"c") + b"\x13\0\x05\x1a" + mqtt_str(b"i") + b"\x1c" + mqtt_str(b"s") + b"\x1f"
    + mqtt_str(b"r") + b"\x24\x01\x25\x01\x28\x01\x29\x01\x2a\x01",
}


def mqtt() -> list[bytes]:
    seeds = []
    for version in (4, 5):
        def p(name: str = "", more: bytes = b"") -> bytes:
            listed = (PROPS[name] if name else b"") + more
            return bytes([len(listed)]) + listed if version == 5 else b""
        will = p("message", b"\x18\0\0\0\x07") + mqtt_str(b"gone") + mqtt_str(b"bye")
        seeds += [bytes([version]) + s for s in (
            packet(0x10, mqtt_str(b"MQTT") + bytes([version, 0xEE, 0, 60]) + p("connect") + mqtt_str(b"id") + will
                   + mqtt_str(b"user") + mqtt_str(b"pass")),
            packet(0x20, b"\x01\0" + p("connack")),
            packet(0x3B, mqtt_str(b"a/b") + b"\0\x07" + p("message", b"\x23\0\x05") + b"payload"),
            packet(0x40, b"\0\x07" + (b"\x10" + p("", b"\x1f" + mqtt_str(b"r")) if version == 5 else b"")),
            packet(0x62, b"\0\x07" + (b"\x92" if version == 5 else b"")),
            packet(0x82, b"\0\x07" + p("", b"\x0b\x05") + mqtt_str(b"a/#") + b"\x01" + mqtt_str(b"$share/g/b") + b"\0"),
            packet(0x90, b"\0\x07" + p() + b"\0\x01\x80"),
            packet(0xA2, b"\0\x07" + p() + mqtt_str(b"a/#")),
            packet(0xB0, b"\0\x07" + p() + (b"\0\x11" if version == 5 else b"")),
            packet(0xC0, b"") + packet(0xD0, b"") + packet(0xE0, b""),
            packet(0xE0, b"\x8e" + p("", b"\x1c" + mqtt_str(b"s")) if version == 5 else b""),
        )]
    return seeds


def broker() -> list[bytes]:
    """Clients that connect, subscribe and publish to each other: who, length, bytes; 3: the clock goes on."""
    def on(who: int, *packets: bytes) -> bytes:
        return b"".join(bytes([who, len(p)]) + p for p in packets)

    def connect(version: int, flags: int, client_id: bytes, will: bytes = b"") -> bytes:
        props = b"\x05\x11\0\0\x00\x3c" if version == 5 else b""
        return packet(0x10, mqtt_str(b"MQTT") + bytes([version, flags, 0, 60]) + props + mqtt_str(client_id) + will)

    will = b"\x05\x18\0\0\0\x07" + mqtt_str(b"a") + mqtt_str(b"bye")
    sub3 = packet(0x82, b"\0\x01" + mqtt_str(b"#") + b"\x01" + mqtt_str(b"$share/g/a") + b"\x01")
    sub5 = packet(0x82, b"\0\x01\0" + mqtt_str(b"a") + b"\x01")
    pub3 = packet(0x33, mqtt_str(b"a") + b"\0\x07" + b"kept")
    pub5 = packet(0x32, mqtt_str(b"a") + b"\0\x08\x03\x23\0\x01" + b"alias")
    ack, bye = packet(0x40, b"\0\x01"), packet(0xE0, b"")
    return [
        on(0, connect(4, 0, b"s"), sub3) + on(1, connect(4, 2, b"p"), pub3, bye) + on(0, ack),
        on(0, connect(5, 4, b"s", will), sub5, bye) + on(1, connect(5, 2, b"p"), pub5) + on(0, connect(5, 0, b"s"), ack)
        + on(2, connect(4, 0, b"s")) + b"\3\x40" + on(2, packet(0xC0, b""), packet(0xA2, b"\0\x02" + mqtt_str(b"a"))),
        on(0, connect(5, 6, b"w", will)) + on(1, connect(4, 2, b"p"), sub3) + on(0, connect(4, 2, b"w")) + b"\3\xff",
    ]


def frame(opcode: int, payload: bytes) -> bytes:
    key = b"\x37\xfa\x21\x3d"
    length = bytes([128 | len(payload)]) if len(payload) < 126 else b"\xfe" + len(payload).to_bytes(2, "big")
    return bytes([opcode]) + length + key + bytes(b ^ key[i % 4] for i, b in enumerate(payload))


def certificates() -> list[bytes]:
    """A CA's certificate and a signing request, PEM and DER, of this run's keys."""
    seeds = []
    for form in ("PEM", "DER"):
        for kind in (["-x509", "-days", "36500", "-addext", "subjectAltName=DNS:a,IP:127.0.0.1"], ["-new"]):
            seeds.append(subprocess.run(
                ["openssl", "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", "/dev/null",
                 "-subj", "/C=US/O=Example/CN=device-1/serialNumber=7", "-outform", form, *kind],
                check=True, capture_output=True).stdout)
    return seeds


SCOPE = b"AKIDEXAMPLE/20260102/us-east-1/iotdata/aws4_request"
POLICY = b"""{"Version":"2012-10-17","Statement":[{"Sid":"s","Effect":"Allow","Action":["iot:Pub*","iot:Receive"],
"Resource":"arn:aws:iot:us-east-1:123456789012:topic/a/${iot:ClientId}","Condition":{"ForAnyValue:StringLike":
{"iot:Connection.Thing.ThingName":["t*","${iot:Certificate.Subject.CommonName}"]},"Bool":{"aws:SecureTransport":"true"}}},
{"Effect":"Deny","NotAction":"iot:*","NotResource":["*"],"Condition":{"IpAddress":{"aws:SourceIp":"10.0.0.0/8"},
"NumericLessThan":{"a:b":5},"DateGreaterThan":{"aws:CurrentTime":"2026-01-02T03:04:05Z"}}}]}"""

SQL_PAYLOAD = (b'{"a":{"b":"c","n":1.50},"arr":[1,2,3,"three",5.7,null],"e":[{"n":"t","v":22.5},{"n":"l","v":135}],"s":"hihihello",'
               b'"d":"eyJ0IjozM30=","big":1234567890123456789012345678901234,"value":5,"ok":true}')
SQL_EXPRESSIONS = rb"""temp > 50 AND a.b = 'c' OR NOT ok
CASE a.b WHEN 'c' THEN 1 WHEN 2 THEN arr ELSE {'k':[a,1]} END
(SELECT VALUE n FROM e WHERE v > 30)
get((SELECT v FROM e AS x WHERE x.n = 't'), 0).v
EXISTS (SELECT * FROM arr AS a WHERE a = 3) AND 3 IN arr
transform('enrichArray', a, e)
concat(arr, 1, [2], 'x') = concat(s, 1, true)
regexp_replace(s, '(h)(i)', '$2${x}$1') + regexp_substr(s, "(hi)*") + regexp_matches(s, 'x+')
substring(s, 1, 3) + replace(s, 'hi', '') + lpad(s, 2) + trim(upper(s)) + chr(65)
md2(s) + md5(s) + sha512(big)
parse_time("yyyy.MM.dd G 'at' HH:mm:ss z EEEE MMMM xxxx ww e D C Y SSS ZZ ZZZ a K k h", 100000000, 'America/Belize')
time_to_epoch("2020-04-03 09:45:18.123 UTC+01:00", "yyyy-MM-dd HH:mm:ss.SSS VV[ z][a][X]")
decode(d, 'base64').t + encode(*, 'base64') + decode(*, 'proto', 'b', 'k', 'f', 'M')
get_or_default(get_thing_shadow('t', 'r').x, get_secret('s', 'SecretString', 'k', 'r'))
get_dynamodb('t', 'p', a.n, 's', 1, 'r').x + aws_lambda('f', *)
cast('1.5E3' as Decimal) + cast(true as Int) - -big * 2 / 3 % 7
round(1.5) + trunc(2.3123, 2) + sqrt(2) + power(2, 0.5) + atan2(1, 0) + bitnot(13) + mod(8, 3) + sign(-1)
nanvl(x, isNull(y)) = isUndefined(z) <> (1 >= '2') != (3 < 4)
get_mqtt_property('content_type') + get_user_properties('k') + topic(2) + newuuid() + clientid()
arr[1] + a['b'] + @v.a.b""".splitlines()


def tagged(number: int, data: bytes) -> bytes:
    """A field of protobuf with a length: below 2^14."""
    length = [len(data)] if len(data) < 128 else [len(data) & 127 | 128, len(data) >> 7]
    return bytes([number << 3 | 2, *length]) + data


def descriptors() -> bytes:
    """A FileDescriptorSet: message M { int32 a = 1; repeated string s = 2; M r = 3; E e = 4; } enum E { Z = 0; }"""
    def field(name: bytes, number: int, label: int, kind: int, type_name: bytes = b"") -> bytes:
        return tagged(2, tagged(1, name) + bytes([0x18, number, 0x20, label, 0x28, kind])
                      + (tagged(6, type_name) if type_name else b""))

    message = (tagged(1, b"M") + field(b"a", 1, 1, 5) + field(b"s", 2, 3, 9) + field(b"r", 3, 1, 11, b".M")
               + field(b"e", 4, 1, 14, b".E"))
    return tagged(1, tagged(1, b"f.proto") + tagged(4, message) + tagged(5, tagged(1, b"E") + tagged(2, tagged(1, b"Z") + b"\x10\0"))
                  + tagged(12, b"proto3"))


def well_known_descriptors() -> bytes:
    """google.protobuf's Timestamp, Any, Value and BoolValue as M, which decode() may be asked for by name."""
    def kind(name: bytes, *fields: bytes) -> bytes:
        return tagged(4, tagged(1, name) + b"".join(fields))

    def field(name: bytes, number: int, type_: int, label: int = 1, type_name: bytes = b"") -> bytes:
        return tagged(2, tagged(1, name) + bytes([0x18, number, 0x20, label, 0x28, type_])
                      + (tagged(6, type_name) if type_name else b""))

    own = b".google.protobuf."
    file = (tagged(1, b"f.proto") + tagged(2, b"google.protobuf")
            + kind(b"Timestamp", field(b"seconds", 1, 3), field(b"nanos", 2, 5))
            + kind(b"Any", field(b"type_url", 1, 9), field(b"value", 2, 12)) + kind(b"BoolValue", field(b"value", 1, 8))
            + kind(b"Value", field(b"number_value", 2, 1), field(b"string_value", 3, 9))
            + kind(b"M", field(b"a", 2, 11, 1, own + b"Timestamp"), field(b"b", 3, 11, 3, own + b"Any"),
                   field(b"c", 4, 11, 1, own + b"Value"), field(b"d", 5, 11, 1, own + b"BoolValue")))
    return tagged(1, file)


KNOWN = b"\x12\x06\x08\x80\xe2\xcf\xaa\x06\x1a\x00\x22\x03\x1a\x01x\x2a\x00"  # without the byte that parts a seed's lines


def sql() -> list[bytes]:
    statements = [b"SET @v = a SELECT *, " + e + b" AS x, " + e + b" FROM 'a/+/c' WHERE NOT isUndefined(" + e + b")"
                  for e in SQL_EXPRESSIONS]
    statements += [b"SELECT VALUE " + e for e in SQL_EXPRESSIONS[:-1]]
    return [bytes([1]) + s + b"\n" + p + b"\n" + answer for s in statements for p, answer in (
        (SQL_PAYLOAD, b'{"x":1,"k":"v"}'), (KNOWN, well_known_descriptors()), (b"\x08\x96\x01\x12\x01a\x1a\x02\x08\x01\x20\x00", descriptors()))]


API_BODY = (b'{"thingTypeName":"T","attributePayload":{"attributes":{"k":"v"},"merge":true},"tags":[{"Key":"a","Value":"b"}],'
            b'"policyDocument":"{}","setAsActive":true,"expectedVersion":3,"clientToken":"x","nextToken":null,"maxResults":5}')
def zipped() -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as z:
        z.writestr("bootstrap", b"#!/bin/sh\n" * 20, zipfile.ZIP_DEFLATED)
        z.writestr("lib/x.py", b"x = 1\n", zipfile.ZIP_STORED)
    return out.getvalue()


SEEDS = {
    "authorizer": [b"\1me?x-amz-customauthorizer-name=A&x-amz-customauthorizer-signature=a%2Fb%3D&T=1\na=b&c",
                   b'\0{"isAuthenticated":true,"principalId":"P1","disconnectAfterInSeconds":86400,'
                   b'"refreshAfterInSeconds":300,"policyDocuments":[{"a":1},"{}"]}'],
    "code": [zipped()],
    "api": [which.to_bytes(2, "big") + b"/things/t/shadow\nname=s&maxResults=5&isAscendingOrder=true\ne30=\n" + body
            for which in range(0, 4000, 97) for body in (API_BODY, b"")],
    "identity": [b"\0a2345672345abc-ats.iot.us-east-1.amazonaws.com", b"\0localhost",
                 b"\1" + b'{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":["a.b","*"],"AWS":'
                 b'"123456789012"},"Action":"sts:AssumeRole","Condition":{"StringEquals":{"sts:ExternalId":"x"}}}]}',
                 b"\2Action=Echo&Text=a%2Bb&Tags.member.1.Key=k&Tags.member.1.Value=v&Keys.member.1=z", b"\2Action=Other",
                 b"\3-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n\0-----BEGIN PRIVATE KEY-----\nMIG\n"
                 b"-----END PRIVATE KEY-----\n"],
    "policy": [b"\0" + POLICY, b"\1" + POLICY],
    "shadow": [b'{"state":{"desired":{"a":1,"b":{"c":[1,null]}},"reported":{"a":2}},"clientToken":"t"}\n'
               b'{"state":{"reported":{"a":1,"b":null}},"version":1}\n{"state":{"desired":null}}'],
    "sigv4": [b"GET /things/t/shadow?name=a HTTP/1.1\r\nHost: h\r\nX-Amz-Date: 20260102T030405Z\r\nAuthorization: "
              b"AWS4-HMAC-SHA256 Credential=" + SCOPE + b", SignedHeaders=host;x-amz-date, Signature=" + b"0" * 64
              + b"\r\n\r\n",
              b"GET /mqtt?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=" + SCOPE.replace(b"/", b"%2F")
              + b"&X-Amz-Date=20260102T030405Z&X-Amz-Expires=300&X-Amz-SignedHeaders=host&X-Amz-Signature=" + b"0" * 64
              + b"&X-Amz-Security-Token=a%2Fb HTTP/1.1\r\nHost: h\r\n\r\n"],
    "sql": sql,
    "template": [b"a/${" + e + b"}/${topic(1)}$$x\n" + SQL_PAYLOAD for e in SQL_EXPRESSIONS],
    "x509": certificates,
    "broker": broker(),
    "mqtt": mqtt(),
    "props": [bytes([t]) + s for t, s in (
        (0, PROPS["message"] + b"\x18\0\0\0\x07"), (1, PROPS["connect"]), (2, PROPS["connack"]),
        (3, PROPS["message"] + b"\x23\0\x05\x0b\x80\x01\x0b\x02"), (8, b"\x0b\x05"))],
    "topic": [b"a/+/c/#\na/b/c/d", b"$share/g/+\na", b"#\n$aws/rules/r/t", b"$aws/+\n$aws/x", b"a/b\na/b"],
    "http": [b"\x05" + s for s in (
        b"GET /mqtt?a=b HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: a\r\n"
        b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: mqtt\r\n\r\n",
        b"POST /topics/a%2Fb?qos=1 HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhelloGET / HTTP/1.0\r\n\r\n",
        b"PUT http://h/b HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nExpect: 100-continue\r\n\r\n"
        b"3;x=y\r\nabc\r\n0\r\nLate: 1\r\n\r\n")],
    "ws": [b"\x03" + frame(0x82, b"hello") + frame(0x02, b"fr") + frame(0x89, b"ping") + frame(0x80, b"ag")
           + frame(0x82, b"x" * 200) + frame(0x88, b"\x03\xe8bye")],
    "json": [b"\0" + s for s in (b'{"a":[1,-2.5e3,true,null,"\\u00fc\\ud83c\\udf0d"],"":{}}', b"[[[[]]]]", b'"\xc3\xbc"')],
    "encode": [b"\0a%2Fb+c", b"\0YWJj", b"\0-_-_", b"\0616263", b"\0-9223372036854775808"],
    "resource": [b"\1arn:aws:iot:r:1:billinggroup/b", b"\1arn:aws:iot:r:1:certificateprovider:p", b"\0site=pier%204&empty=&x",
                 b"\0aws:x=1&a=1&a=2"],
    "aws": [
        b'\0{"__type":"com.amazonaws.x#ThrottlingException:http://x","message":"slow"}',
        b"\0<ErrorResponse><Error><Code>Throttling</Code><Message>a &lt;b&gt;</Message></Error></ErrorResponse>",
        b"\1sqs=http://localhost:1/x, s3=https://[::1]:443",
        b'\2{"s":{"S":"x"},"n":{"N":"-1.5e-7"},"l":{"L":[{"M":{"b":{"BOOL":true}}}]},"z":{"NULL":true},"ns":{"NS":["1"]}}',
        b'\5{"Endpoints":[{"Address":"ingest-cell1.timestream.us-east-1.amazonaws.com","CachePeriodInMinutes":1440}]}',
        b"\3a/../b//c%/./d", b"\4[default]\naws_access_key_id = A\naws_secret_access_key=B\n"],
    "timestamp": [b"2026-01-02T03:04:05.678+01:00", b"Fri, 02 Jan 2026 03:04:05 GMT", b"1767323045.678"],
}


def main() -> None:
    for name, seeds in SEEDS.items():
        folder = pathlib.Path(sys.argv[1]) / name
        if folder.exists() and callable(seeds):
            continue  # made once, not anew each time
        folder.mkdir(parents=True, exist_ok=True)
        for seed in seeds() if callable(seeds) else seeds:
            (folder / hashlib.sha256(seed).hexdigest()[:16]).write_bytes(seed)


if __name__ == "__main__":
    main()
