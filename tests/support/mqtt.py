"""paho-mqtt as a test wants it: each call waits for the broker's answer and returns it."""
import queue
import threading
import time

import paho.mqtt.client as paho
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

TIMEOUT_S = 10
VERSIONS = {4: paho.MQTTv311, 5: paho.MQTTv5}


def props(kind, **values):
    """props("PUBLISH", ContentType="a/b"): the names are paho's."""
    made = Properties(getattr(PacketTypes, kind))
    for name, value in values.items():
        setattr(made, name, value)
    return made


class Mqtt:
    """One paho client. Messages wait in `inbox`; nothing reconnects by itself."""

    def __init__(self, server, device, client_id, version=5, clean=True, expiry_s=None, keep_alive=60, will=None,
                 user=None, port=None, transport="tcp", path=None, headers=None, alpn=None, connect_props=None):
        self.client = paho.Client(paho.CallbackAPIVersion.VERSION2, client_id, protocol=VERSIONS[version],
                                  transport=transport, reconnect_on_failure=False,
                                  clean_session=clean if version == 4 else None)
        self.server, self.version, self.client_id, self.keep_alive = server, version, client_id, keep_alive
        self.port = port or server.mqtt_port
        self.inbox, self.answers = queue.Queue(), queue.Queue()
        self.connected, self.disconnected = queue.Queue(), queue.Queue()
        self.acks, self.ack_arrived = {}, threading.Condition()
        self.start = {}
        if version == 5:
            values = dict(connect_props or {})
            if expiry_s is not None:
                values["SessionExpiryInterval"] = expiry_s
            self.start = {"clean_start": clean, "properties": props("CONNECT", **values)}
        if will:
            self.client.will_set(*will[:4], **({"properties": will[4]} if len(will) > 4 else {}))
        if user:
            self.client.username_pw_set(user)
        if transport == "websockets":
            self.client.ws_set_options(path=path, headers=headers)
        self.client.tls_set(server.ca_file, device and device.cert_file, device and device.key_file,
                            **({"alpn_protocols": alpn} if alpn else {}))
        self.client.on_connect = lambda c, u, flags, code, p: self.connected.put((code, flags.session_present, p))
        self.client.on_connect_fail = lambda c, u: self.connected.put((None, False, None))
        self.client.on_disconnect = lambda c, u, flags, code, p: self.disconnected.put(code)
        self.client.on_message = lambda c, u, message: self.inbox.put(message)
        self.client.on_subscribe = lambda c, u, mid, codes, p: self.answers.put([code.value for code in codes])
        self.client.on_unsubscribe = lambda c, u, mid, codes, p: self.answers.put([code.value for code in codes])
        self.client.on_publish = self._published

    def _published(self, client, userdata, mid, code, properties):
        with self.ack_arrived:
            self.acks[mid] = code.value
            self.ack_arrived.notify_all()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.client.disconnect()
        self.client.loop_stop()

    def connect(self):
        """Connects and returns itself; the CONNACK is in code, session_present and properties."""
        self.client.connect(self.server.host, self.port, self.keep_alive, **self.start)
        self.client.loop_start()
        code, self.session_present, self.properties = self.connected.get(timeout=TIMEOUT_S)
        self.code = None if code is None else code.value
        assert self.code == 0, f"{self.client_id} was refused with {code}"
        return self

    def subscribe(self, name, qos=1, options=None):
        if options:
            self.client.subscribe(name, options=options)
        else:
            self.client.subscribe(name, qos)
        return self.answers.get(timeout=TIMEOUT_S)

    def unsubscribe(self, name):
        self.client.unsubscribe(name)
        return self.answers.get(timeout=TIMEOUT_S)

    def publish(self, topic, payload, qos=1, retain=False, **values):
        """Publishes; returns the PUBACK's reason code (QoS 0: 0 once it is sent)."""
        extra = {"properties": props("PUBLISH", **values)} if values else {}
        info = self.client.publish(topic, payload, qos, retain, **extra)
        with self.ack_arrived:
            assert self.ack_arrived.wait_for(lambda: info.mid in self.acks, TIMEOUT_S), f"no PUBACK for {topic}"
            return self.acks[info.mid]

    def message(self, timeout_s=TIMEOUT_S):
        return self.inbox.get(timeout=timeout_s)

    def wait_disconnected(self, timeout_s=TIMEOUT_S):
        """The reason code with which the connection ended."""
        return self.disconnected.get(timeout=timeout_s).value

    def kill(self):
        """Ends the connection without a DISCONNECT, as a power cut does; returns once the server has noticed."""
        self.client.socket().shutdown(2)
        self.wait_disconnected()
        self.client.loop_stop()
        api = self.server.client("iot-data")
        wait_until(lambda: not connected(api, self.client_id))

    def nothing_more(self, topic):
        """Nothing else waits: a message to `topic`, to which this client is subscribed, is the next to arrive."""
        assert self.publish(topic, b"marker") == 0
        got = self.message()
        assert (got.topic, got.payload) == (topic, b"marker"), f"unexpected {got.topic}: {got.payload}"


def connected(api, client_id):
    try:
        return api.get_connection(clientId=client_id)["connected"]
    except api.exceptions.ResourceNotFoundException:
        return False


def wait_until(condition, timeout_s=TIMEOUT_S, every_s=0.02):
    """Polls where there is no event to wait for; returns the condition's first true value."""
    deadline = time.monotonic() + timeout_s
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < deadline, f"not within {timeout_s} s"
        time.sleep(every_s)
