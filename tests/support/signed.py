"""Requests signed by botocore's own signers, with each part open to tampering."""
import datetime
import urllib.parse

import botocore.auth
import botocore.awsrequest
import botocore.credentials
import requests
import websocket

from .server import REGION
from .wire import TIMEOUT_S, WebSocketStream, Wire


def signed_headers(server, method, path, body=b"", service="iotdata", headers=None, key=None, region=REGION):
    """The headers of a request to `path` with SigV4 in its Authorization."""
    credentials = botocore.credentials.Credentials(*(key or server.credentials))
    request = botocore.awsrequest.AWSRequest(method, server.url + path, data=body, headers=headers or {})
    botocore.auth.SigV4Auth(credentials, service, region).add_auth(request)
    return dict(request.headers)


def send(server, method, path, body=b"", service="iotdata", headers=None, key=None, region=REGION, session=None):
    return (session or requests).request(
        method, server.url + path, data=body, verify=server.ca_file, timeout=TIMEOUT_S,
        headers=signed_headers(server, method, path, body, service, headers, key, region))


def presigned_path(server, path="/mqtt", service="iotdevicegateway", key=None, expires_s=300, host=None, token=None,
                   token_after=None):
    """The path and query of a presigned GET. host: what the client believes the Host to be."""
    credentials = botocore.credentials.Credentials(*(key or server.credentials), token)
    request = botocore.awsrequest.AWSRequest("GET", f"https://{host or f'{server.host}:{server.https_port}'}{path}")
    botocore.auth.SigV4QueryAuth(credentials, service, REGION, expires_s).add_auth(request)
    signed = urllib.parse.urlsplit(request.url)
    after = f"&X-Amz-Security-Token={urllib.parse.quote(token_after, safe='')}" if token_after else ""
    return f"{signed.path}?{signed.query}{after}"


def websocket_wire(server, path, version=5, subprotocols=("mqtt",), headers=None, device=None, port=None):
    """MQTT by hand over a WebSocket."""
    options = {"ca_certs": server.ca_file}
    if device:
        options |= {"certfile": device.cert_file, "keyfile": device.key_file}
    connection = websocket.create_connection(
        f"wss://{server.host}:{port or server.https_port}{path}", timeout=TIMEOUT_S, subprotocols=list(subprotocols),
        sslopt=options, header=headers or [])
    made = Wire(WebSocketStream(connection), version)
    made.subprotocol = connection.getsubprotocol()
    return made


def amz_date(offset_s=0):
    now = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=offset_s)
    return now.strftime("%Y%m%dT%H%M%SZ")
