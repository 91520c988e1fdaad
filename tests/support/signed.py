"""Requests signed by botocore's own signers, with each part open to tampering."""
import datetime
import re
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


def fault_of(request, service, key, base="http://localhost", region=REGION):
    """Why a server of `service` would refuse this request ({method, path, headers, body}), or None: the whole signature
    is made again by botocore from what arrived. key: (id, secret)."""
    headers = {name.lower(): value for name, value in request["headers"].items()}
    found = re.fullmatch(r"AWS4-HMAC-SHA256 Credential=([^/]+)/(\d{8})/([^/]+)/([^/]+)/aws4_request, "
                         r"SignedHeaders=(\S+), Signature=([0-9a-f]{64})", headers.get("authorization", ""))
    if not found:
        return f"no SigV4: {headers.get('authorization')}"
    key_id, day, scope_region, scope_service, names, signature = found.groups()
    if (key_id, scope_region, scope_service) != (key[0], region, service):
        return f"the credential scope is {key_id}/{scope_region}/{scope_service}"
    names = names.split(";")
    if "host" not in names or "x-amz-date" not in names or not headers["x-amz-date"].startswith(day):
        return f"signed are only {names}"
    if any(name.startswith("x-amz-") and name not in names for name in headers):
        return f"x-amz- headers that are not signed: {set(headers) - set(names)}"
    sent = datetime.datetime.strptime(headers["x-amz-date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=datetime.timezone.utc)
    if abs((datetime.datetime.now(datetime.timezone.utc) - sent).total_seconds()) > 300:
        return f"signed at {sent}"
    again = botocore.awsrequest.AWSRequest(request["method"], base + request["path"],
                                           {name: headers[name] for name in names}, request["body"])
    again.context["timestamp"] = headers["x-amz-date"]
    auth = (botocore.auth.S3SigV4Auth if service == "s3" else botocore.auth.SigV4Auth)(
        botocore.credentials.Credentials(*key), service, region)
    made = auth.signature(auth.string_to_sign(again, auth.canonical_request(again)), again)
    return None if made == signature else f"the signature is {signature}, {made} was expected"
