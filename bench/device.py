"""AWS's API with nothing but the standard library: requests that are signed, a device with a P-256 key
(`starling device` gives its devices RSA keys, as AWS does, and the other brokers' have P-256), files of requests."""
import configparser
import datetime
import hashlib
import hmac
import http.client
import json
import pathlib
import ssl
import struct
import subprocess
import urllib.parse

SIGNED_HEADERS = "host;x-amz-date"


class Signer:
    """Signature Version 4, with the key of the day derived once."""

    def __init__(self, key_id, secret, region, service):
        self.now = datetime.datetime.now(datetime.timezone.utc)
        self.day, self.stamp = self.now.strftime("%Y%m%d"), self.now.strftime("%Y%m%dT%H%M%SZ")
        self.scope = f"{self.day}/{region}/{service}/aws4_request"
        self.key_id, self.key = key_id, b"AWS4" + secret.encode()
        for part in (self.day, region, service, "aws4_request"):
            self.key = hmac.digest(self.key, part.encode(), "sha256")

    def authorization(self, method, host, path, query, body):
        canonical = "\n".join([method, urllib.parse.quote(path), query, f"host:{host}\nx-amz-date:{self.stamp}\n",
                               SIGNED_HEADERS, hashlib.sha256(body).hexdigest()])
        text = "\n".join(["AWS4-HMAC-SHA256", self.stamp, self.scope, hashlib.sha256(canonical.encode()).hexdigest()])
        return (f"AWS4-HMAC-SHA256 Credential={self.key_id}/{self.scope}, SignedHeaders={SIGNED_HEADERS}, "
                f"Signature={hmac.digest(self.key, text.encode(), 'sha256').hex()}")

    def request(self, method, host, path, body):
        """The bytes of a whole request."""
        return (f"{method} {path} HTTP/1.1\r\nHost: {host}\r\nX-Amz-Date: {self.stamp}\r\nAuthorization: "
                f"{self.authorization(method, host, path, '', body)}\r\nContent-Type: application/json\r\n"
                f"Content-Length: {len(body)}\r\n\r\n").encode() + body


def starling_key(data: pathlib.Path):
    secrets = configparser.ConfigParser()
    secrets.read(data / "credentials")
    return secrets["default"]["aws_access_key_id"], secrets["default"]["aws_secret_access_key"]


def write_requests(path: pathlib.Path, requests):
    with open(path, "wb") as f:
        for request in requests:
            f.write(struct.pack("<I", len(request)) + request)


class Api:
    def __init__(self, data: pathlib.Path):
        ready = json.loads((data / "ready.json").read_text())
        self.host, self.signer = ready["endpoint"], Signer(*starling_key(data), ready["region"], "iot")
        self.connection = http.client.HTTPSConnection(
            self.host, context=ssl.create_default_context(cafile=str(data / "ca.pem")), timeout=30)

    def call(self, method, path, query, document):
        body = json.dumps(document).encode()
        self.connection.request(method, path + ("?" + query if query else ""), body, {
            "Host": self.host, "X-Amz-Date": self.signer.stamp, "Content-Type": "application/json",
            "Authorization": self.signer.authorization(method, self.host, path, query, body)})
        answer = self.connection.getresponse()
        said = answer.read()
        if answer.status != 200:
            raise SystemExit(f"bench: {method} {path}: {answer.status} {said.decode(errors='replace')}")
        return json.loads(said) if said else {}


def make_device(data, policy, key_file, cert_file):
    """Makes the key and the certificate with this policy (a document) in the running server on data."""
    csr = subprocess.run(["openssl", "req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                          "-keyout", str(key_file), "-subj", "/CN=bench"], check=True, capture_output=True, text=True)
    api = Api(data)
    made = api.call("POST", "/certificates", "setAsActive=true", {"certificateSigningRequest": csr.stdout})
    cert_file.write_text(made["certificatePem"])
    api.call("POST", "/policies/bench", "", {"policyDocument": json.dumps(policy)})
    api.call("PUT", "/target-policies/bench", "", {"target": made["certificateArn"]})
