"""MQTT by hand: packets built and read byte by byte, for what well-behaved clients never send or never show."""
import dataclasses
import socket
import ssl
import struct

CONNECT, CONNACK, PUBLISH, PUBACK, PUBREC = 1, 2, 3, 4, 5
SUBSCRIBE, SUBACK, UNSUBSCRIBE, UNSUBACK, PINGREQ, PINGRESP, DISCONNECT, AUTH = 8, 9, 10, 11, 12, 13, 14, 15
TIMEOUT_S = 10

# Property identifiers by the form of their value (MQTT 5, table 2-4).
BYTE = {0x01, 0x17, 0x19, 0x24, 0x25, 0x28, 0x29, 0x2A}
U16 = {0x13, 0x21, 0x22, 0x23}
U32 = {0x02, 0x11, 0x18, 0x27}
VARINT = {0x0B}
PAIR = {0x26}
MESSAGE_EXPIRY, CONTENT_TYPE, RESPONSE_TOPIC, CORRELATION, SUBSCRIPTION_ID = 0x02, 0x03, 0x08, 0x09, 0x0B
SESSION_EXPIRY, ASSIGNED_ID, SERVER_KEEP_ALIVE, RECEIVE_MAXIMUM = 0x11, 0x12, 0x13, 0x21
TOPIC_ALIAS_MAXIMUM, TOPIC_ALIAS, MAXIMUM_QOS, RETAIN_AVAILABLE, USER_PROPERTY = 0x22, 0x23, 0x24, 0x25, 0x26
MAXIMUM_PACKET, WILDCARD_AVAILABLE, SUBSCRIPTION_ID_AVAILABLE, WILL_DELAY, REASON_STRING = 0x27, 0x28, 0x29, 0x18, 0x1F
PAYLOAD_FORMAT, REQUEST_PROBLEM = 0x01, 0x17


def varint(number):
    out = bytearray()
    while True:
        number, low = number >> 7, number & 0x7F
        out.append(low | (0x80 if number else 0))
        if not number:
            return bytes(out)


def text(value):
    raw = value.encode() if isinstance(value, str) else value
    return struct.pack(">H", len(raw)) + raw


def properties(pairs):
    """Encodes [(identifier, value), ...] with its length in front."""
    out = b""
    for identifier, value in pairs:
        out += varint(identifier)
        if identifier in BYTE:
            out += bytes([value])
        elif identifier in U16:
            out += struct.pack(">H", value)
        elif identifier in U32:
            out += struct.pack(">I", value)
        elif identifier in VARINT:
            out += varint(value)
        elif identifier in PAIR:
            out += text(value[0]) + text(value[1])
        else:
            out += text(value)
    return varint(len(out)) + out


class Cursor:
    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, count):
        part = self.data[self.at:self.at + count]
        assert len(part) == count, f"packet too short: {self.data.hex()}"
        self.at += count
        return part

    def u8(self):
        return self.take(1)[0]

    def u16(self):
        return struct.unpack(">H", self.take(2))[0]

    def varint(self):
        value, shift = 0, 0
        while True:
            byte = self.u8()
            value |= (byte & 0x7F) << shift
            if not byte & 0x80:
                return value
            shift += 7

    def text(self):
        return self.take(self.u16())

    def rest(self):
        return self.take(len(self.data) - self.at)

    def properties(self):
        """Decodes properties into {identifier: value}; user properties become a list of pairs."""
        end = self.varint()
        end += self.at
        found = {}
        while self.at < end:
            identifier = self.varint()
            if identifier in BYTE:
                found[identifier] = self.u8()
            elif identifier in U16:
                found[identifier] = self.u16()
            elif identifier in U32:
                found[identifier] = struct.unpack(">I", self.take(4))[0]
            elif identifier in VARINT:
                found[identifier] = self.varint()
            elif identifier in PAIR:
                found.setdefault(identifier, []).append((self.text().decode(), self.text().decode()))
            elif identifier == CORRELATION:
                found[identifier] = self.text()
            else:
                found[identifier] = self.text().decode()
        return found


@dataclasses.dataclass
class Packet:
    type: int
    flags: int
    body: bytes


@dataclasses.dataclass
class Connack:
    session_present: bool
    code: int
    properties: dict


@dataclasses.dataclass
class Message:
    topic: str
    payload: bytes
    qos: int
    retain: bool
    dup: bool
    packet_id: int | None
    properties: dict


def packet(kind, flags, body):
    return bytes([kind << 4 | flags]) + varint(len(body)) + body


def connect_packet(client_id, version=5, clean=True, keep_alive=60, props=(), will=None, user=None, password=None):
    """will = (topic, payload, qos, retain[, properties])"""
    flags = 2 if clean else 0
    tail = text(client_id)
    if will:
        flags |= 4 | will[2] << 3 | (0x20 if will[3] else 0)
        if version == 5:
            tail += properties(will[4] if len(will) > 4 else ())
        tail += text(will[0]) + text(will[1])
    if user is not None:
        flags |= 0x80
        tail += text(user)
    if password is not None:
        flags |= 0x40
        tail += text(password)
    head = text("MQTT") + bytes([version, flags]) + struct.pack(">H", keep_alive)
    if version == 5:
        head += properties(props)
    return packet(CONNECT, 0, head + tail)


class Wire:
    """One connection; `stream` is anything with sendall, recv, settimeout and close."""

    def __init__(self, stream, version=5):
        self.stream, self.version, self.pending = stream, version, b""
        self.stream.settimeout(TIMEOUT_S)
        self.next_id = 1

    def close(self):
        self.stream.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def send(self, data):
        self.stream.sendall(data)

    def _fill(self, count):
        while len(self.pending) < count:
            part = self.stream.recv(65536)
            if not part:
                raise EOFError
            self.pending += part

    def read(self):
        """The next packet; None when the server closed the connection. socket.timeout when nothing comes."""
        try:
            self._fill(2)
            length, shift, at = 0, 0, 1
            while True:
                self._fill(at + 1)
                byte = self.pending[at]
                length |= (byte & 0x7F) << shift
                at, shift = at + 1, shift + 7
                if not byte & 0x80:
                    break
            self._fill(at + length)
        except (EOFError, ConnectionError, ssl.SSLError) as error:
            if isinstance(error, TimeoutError):
                raise
            return None
        first, body = self.pending[0], self.pending[at:at + length]
        self.pending = self.pending[at + length:]
        return Packet(first >> 4, first & 15, body)

    def expect(self, kind):
        got = self.read()
        assert got is not None, f"connection closed, expected packet type {kind}"
        assert got.type == kind, f"expected packet type {kind}, got {got}"
        return got

    def expect_closed(self):
        """The server closes without a further packet."""
        got = self.read()
        assert got is None, f"expected the connection to be closed, got {got}"

    def expect_disconnect(self, code):
        """DISCONNECT with this reason (MQTT 5), then the end; in 3.1.1 only the end."""
        if self.version == 5:
            got = self.expect(DISCONNECT)
            assert got.body[:1] == bytes([code]), f"expected reason 0x{code:02x}, got {got.body.hex()}"
        self.expect_closed()

    def silent(self):
        """Nothing has been sent to us: a PINGREQ is answered by the PINGRESP alone."""
        self.send(packet(PINGREQ, 0, b""))
        self.expect(PINGRESP)

    # -- packets ------------------------------------------------------------------------------------------------

    def connect(self, client_id, **options):
        self.send(connect_packet(client_id, self.version, **options))
        return self.connack()

    def connack(self):
        cursor = Cursor(self.expect(CONNACK).body)
        present, code = cursor.u8(), cursor.u8()
        return Connack(bool(present & 1), code, cursor.properties() if self.version == 5 else {})

    def packet_id(self):
        self.next_id += 1
        return self.next_id - 1

    def subscribe(self, *filters, props=()):
        """filters: (filter, options byte); returns the codes of the SUBACK."""
        packet_id = self.packet_id()
        body = struct.pack(">H", packet_id) + (properties(props) if self.version == 5 else b"")
        body += b"".join(text(name) + bytes([options]) for name, options in filters)
        self.send(packet(SUBSCRIBE, 2, body))
        return self.acked(SUBACK, packet_id)

    def unsubscribe(self, *filters):
        packet_id = self.packet_id()
        body = struct.pack(">H", packet_id) + (b"\0" if self.version == 5 else b"")
        self.send(packet(UNSUBSCRIBE, 2, body + b"".join(text(name) for name in filters)))
        return self.acked(UNSUBACK, packet_id)

    def acked(self, kind, packet_id):
        cursor = Cursor(self.expect(kind).body)
        assert cursor.u16() == packet_id
        if self.version == 5:
            cursor.properties()
        return list(cursor.rest())

    def send_publish(self, topic, payload, qos=0, retain=False, dup=False, props=(), packet_id=None):
        if qos and packet_id is None:
            packet_id = self.packet_id()
        body = text(topic) + (struct.pack(">H", packet_id) if qos else b"")
        body += properties(props) if self.version == 5 else b""
        raw = payload.encode() if isinstance(payload, str) else payload
        self.send(packet(PUBLISH, 8 * dup | qos << 1 | retain, body + raw))
        return packet_id

    def publish(self, topic, payload, **options):
        """QoS 1: sends, waits for the PUBACK and returns its reason code (0 in 3.1.1)."""
        packet_id = self.send_publish(topic, payload, qos=1, **options)
        body = self.expect(PUBACK).body
        assert struct.unpack(">H", body[:2])[0] == packet_id
        return body[2] if len(body) > 2 else 0

    def message(self, ack=True):
        """The next PUBLISH; a QoS 1 one is acknowledged unless told otherwise."""
        got = self.expect(PUBLISH)
        qos = got.flags >> 1 & 3
        cursor = Cursor(got.body)
        topic = cursor.text().decode()
        packet_id = cursor.u16() if qos else None
        props = cursor.properties() if self.version == 5 else {}
        if qos and ack:
            self.ack(packet_id)
        return Message(topic, cursor.rest(), qos, bool(got.flags & 1), bool(got.flags & 8), packet_id, props)

    def ack(self, packet_id):
        self.send(packet(PUBACK, 0, struct.pack(">H", packet_id)))

    def disconnect(self, code=0, props=()):
        body = b"" if self.version != 5 or (code == 0 and not props) else bytes([code]) + properties(props)
        self.send(packet(DISCONNECT, 0, body))


# -- ways to get a stream ---------------------------------------------------------------------------------------


def tls_context(server, device=None, low=None, high=None, alpn=None):
    context = ssl.create_default_context(cafile=server.ca_file)
    if device:
        context.load_cert_chain(device.cert_file, device.key_file)
    if low:
        context.minimum_version = low
    if high:
        context.maximum_version = high
    if alpn:
        context.set_alpn_protocols(alpn)
    return context


def tls_stream(server, device=None, port=None, sni="localhost", session=None, context=None, **options):
    """A TLS connection to the server; sni=None sends no server name."""
    context = context or tls_context(server, device, **options)
    if sni != "localhost":
        context.check_hostname = False
    raw = socket.create_connection(("127.0.0.1", port or server.mqtt_port), TIMEOUT_S)
    raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return context.wrap_socket(raw, server_hostname=sni, session=session)


def tls_wire(server, device=None, version=5, **options):
    return Wire(tls_stream(server, device, **options), version)


def plain_wire(server, version=5):
    return Wire(socket.create_connection(("127.0.0.1", server.plain_port), TIMEOUT_S), version)


class WebSocketStream:
    """What a websocket-client connection looks like as a stream."""

    def __init__(self, connection):
        self.connection = connection

    def settimeout(self, seconds):
        self.connection.settimeout(seconds)

    def sendall(self, data):
        self.connection.send_binary(data)

    def recv(self, _):
        import websocket
        try:
            opcode, data = self.connection.recv_data()
        except websocket.WebSocketConnectionClosedException:
            return b""
        except websocket.WebSocketTimeoutException as error:
            raise TimeoutError from error
        if opcode == websocket.ABNF.OPCODE_CLOSE:
            return b""
        return data

    def close(self):
        self.connection.close(timeout=1)
