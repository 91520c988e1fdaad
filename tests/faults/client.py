"""Clients for load: MQTT and signed HTTPS on asyncio, one coroutine a wait, little work a message."""
import asyncio
import datetime
import hashlib
import hmac
import ssl
import struct
import urllib.parse

from support import wire
from support.server import REGION

PUBACK_OK = struct.Struct(">BBH")


class Gone(ConnectionError):
    """The connection ended before the answer came."""


class Mqtt(asyncio.Protocol):
    """One connection. on_message(topic, payload) is called for each PUBLISH, which is then acknowledged."""

    def __init__(self, client_id, version=4, clean=True, expiry_s=0, on_message=None, window=20):
        self.client_id, self.version, self.clean, self.expiry_s = client_id, version, clean, expiry_s
        self.on_message = on_message or (lambda topic, payload: None)
        self.pending, self.transport, self.next_id = bytearray(), None, 0
        self.waiting: dict[int, asyncio.Future] = {}
        self.connack = asyncio.get_running_loop().create_future()
        self.closed = asyncio.get_running_loop().create_future()
        self.room = asyncio.Semaphore(window)
        self.received = 0
        self.reason = None  # of a DISCONNECT that the server sent

    async def open(self, port, context=None, host="127.0.0.1", keep_alive=1200):
        loop = asyncio.get_running_loop()
        try:
            await loop.create_connection(lambda: self, host, port, ssl=context,
                                         server_hostname="localhost" if context else None)
        except OSError as error:
            self.connection_lost(error)
            raise
        props = [(wire.SESSION_EXPIRY, self.expiry_s)] if self.version == 5 and self.expiry_s else ()
        self.transport.write(wire.connect_packet(self.client_id, self.version, self.clean, keep_alive, props))
        present, code = await asyncio.wait_for(self.connack, 20)
        if code:
            raise Gone(f"{self.client_id} was refused with {code}")
        self.session_present = present
        return self

    def _id(self):
        while True:
            self.next_id = self.next_id % 65535 + 1
            if self.next_id not in self.waiting:
                return self.next_id

    def _ask(self, packet_id, data):
        future = self.waiting[packet_id] = asyncio.get_running_loop().create_future()
        if self.closed.done():
            self.waiting.pop(packet_id).set_exception(Gone(self.client_id))
        else:
            self.transport.write(data)
        return future

    def publish(self, topic, payload, retain=False, again=False):
        """QoS 1; the future is done with the PUBACK's reason code (0 in 3.1.1)."""
        packet_id = self._id()
        body = wire.text(topic) + struct.pack(">H", packet_id) + (b"\0" if self.version == 5 else b"") + payload
        return self._ask(packet_id, wire.packet(wire.PUBLISH, 8 * again | 2 | retain, body))

    def publish_once(self, topic, payload):
        """QoS 0."""
        self.transport.write(wire.packet(wire.PUBLISH, 0, wire.text(topic) + (b"\0" if self.version == 5 else b"")
                                         + payload))

    def abort(self):
        if self.transport:
            self.transport.abort()

    async def subscribe(self, *filters, granted=b"\1"):
        packet_id = self._id()
        body = struct.pack(">H", packet_id) + (b"\0" if self.version == 5 else b"")
        codes = await asyncio.wait_for(self._ask(packet_id, wire.packet(
            wire.SUBSCRIBE, 2, body + b"".join(wire.text(name) + b"\1" for name in filters))), 20)
        assert codes == granted * len(filters), f"SUBACK {codes.hex()} for {filters}"

    async def close(self):
        if not self.closed.done():
            self.transport.write(wire.packet(wire.DISCONNECT, 0, b""))
            self.transport.close()
        await self.closed

    # -- asyncio's side -----------------------------------------------------------------------------------------------

    def connection_made(self, transport):
        self.transport = transport

    def connection_lost(self, error):
        for future in [self.connack, *self.waiting.values()]:
            if not future.done():
                future.set_exception(Gone(self.client_id))
                future.exception()  # nobody may be waiting for it any more
        self.waiting.clear()
        if not self.closed.done():
            self.closed.set_result(error)

    def data_received(self, data):
        self.pending += data
        buffer, at, acks = self.pending, 0, bytearray()
        while True:
            length, shift, head = 0, 0, at + 1
            while head < len(buffer):
                byte = buffer[head]
                length |= (byte & 0x7F) << shift
                head, shift = head + 1, shift + 7
                if not byte & 0x80:
                    break
            else:
                break
            if len(buffer) < head + length:
                break
            self._packet(buffer[at], bytes(buffer[head:head + length]), acks)
            at = head + length
        del buffer[:at]
        if acks:
            self.transport.write(bytes(acks))

    def _packet(self, first, body, acks):
        kind = first >> 4
        if kind == wire.PUBLISH:
            topic_end = 2 + (body[0] << 8 | body[1])
            at = topic_end
            if first & 6:
                acks += PUBACK_OK.pack(wire.PUBACK << 4, 2, body[at] << 8 | body[at + 1])
                at += 2
            if self.version == 5:
                cursor = wire.Cursor(body[at:])
                cursor.properties()
                at += cursor.at
            self.received += 1
            self.on_message(body[2:topic_end].decode(), body[at:])
        elif kind in (wire.PUBACK, wire.SUBACK):
            future = self.waiting.pop(body[0] << 8 | body[1], None)
            if future and not future.done():
                codes = body[3:] if kind == wire.SUBACK and self.version == 5 else body[2:]
                future.set_result(codes if kind == wire.SUBACK else codes[0] if codes else 0)
        elif kind == wire.CONNACK:
            self.connack.set_result((bool(body[0] & 1), body[1]))
        elif kind == wire.DISCONNECT:
            self.reason = body[0] if body else 0


def device_context(server, iot, folder, policy):
    """TLS as a device with a new certificate that has this policy; its files are in the folder."""
    made = iot.create_keys_and_certificate(setAsActive=True)
    iot.attach_policy(policyName=policy, target=made["certificateArn"])
    cert, key = folder / "device.pem", folder / "device.key"
    cert.write_text(made["certificatePem"])
    key.write_text(made["keyPair"]["PrivateKey"])
    context = wire.tls_context(server)
    context.load_cert_chain(cert, key)
    return context


class Signer:
    """SigV4 with the day's key kept. Source: AWS, 'Create a signed AWS API request'."""

    def __init__(self, key_id, secret):
        self.key_id, self.secret, self.keys = key_id, secret, {}
        self.ahead_s = 0  # of this machine's clock

    def _key(self, day, service):
        if (day, service) not in self.keys:
            key = b"AWS4" + self.secret.encode()
            for part in (day, REGION, service, "aws4_request"):
                key = hmac.new(key, part.encode(), hashlib.sha256).digest()
            self.keys[day, service] = key
        return self.keys[day, service]

    def headers(self, method, path, query, body, service, host):
        """path: as it is sent (each segment encoded once); the canonical one encodes it again."""
        now = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=self.ahead_s)
        now = now.strftime("%Y%m%dT%H%M%SZ")
        scope = f"{now[:8]}/{REGION}/{service}/aws4_request"
        canonical = "\n".join([method, urllib.parse.quote(path, safe="/-_.~"), query, f"host:{host}",
                               f"x-amz-date:{now}", "", "host;x-amz-date", hashlib.sha256(body).hexdigest()])
        to_sign = "\n".join(["AWS4-HMAC-SHA256", now, scope, hashlib.sha256(canonical.encode()).hexdigest()])
        signature = hmac.new(self._key(now[:8], service), to_sign.encode(), hashlib.sha256).hexdigest()
        return (f"Host: {host}\r\nX-Amz-Date: {now}\r\nAuthorization: AWS4-HMAC-SHA256 Credential={self.key_id}/{scope},"
                f" SignedHeaders=host;x-amz-date, Signature={signature}\r\n")


class Api:
    """One kept-alive HTTPS connection; one request at a time."""

    def __init__(self, signer):
        self.signer = signer

    async def open(self, port, ca_file):
        self.host = f"localhost:{port}"
        self.reader, self.writer = await asyncio.open_connection(
            "127.0.0.1", port, ssl=ssl.create_default_context(cafile=ca_file), server_hostname="localhost")
        return self

    async def call(self, method, path, body=b"", service="iot", query=""):
        """Status and body of the answer."""
        head = self.signer.headers(method, path, query, body, service, self.host)
        target = path + ("?" + query if query else "")
        try:
            self.writer.write(f"{method} {target} HTTP/1.1\r\n{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
            answer = await asyncio.wait_for(self.reader.readuntil(b"\r\n\r\n"), 30)
            length = 0
            for line in answer.lower().split(b"\r\n"):
                if line.startswith(b"content-length:"):
                    length = int(line[15:])
            return int(answer[9:12]), await self.reader.readexactly(length)
        except (asyncio.IncompleteReadError, OSError, ssl.SSLError) as error:
            raise Gone(f"{method} {path}") from error

    def close(self):
        self.writer.transport.abort()
