"""Whether a CONNECT is let in: refusal may be a CONNACK with a code or the plain end of the connection."""
import ssl

from . import wire


def connects(server, device, client_id, version=5, **options):
    """True when the broker accepts this client, False when it refuses it in whatever way."""
    try:
        with wire.tls_wire(server, device, version, **options) as connection:
            connection.send(wire.connect_packet(client_id, version))
            answer = connection.read()
    except (ssl.SSLError, ConnectionError) as error:
        if isinstance(error, TimeoutError):
            raise
        return False
    if answer is None:
        return False
    assert answer.type == wire.CONNACK, f"expected CONNACK, got {answer}"
    return answer.body[1] == 0
