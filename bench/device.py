"""A device of Starling's with a P-256 key, made through AWS's API with nothing but the standard library:
`starling device` gives its devices RSA keys, as AWS does, and the other brokers' have P-256."""
import configparser
import datetime
import hashlib
import hmac
import http.client
import json
import pathlib
import ssl
import subprocess
import urllib.parse

SERVICE, SIGNED_HEADERS = "iot", "host;x-amz-date"


def sign(secret, region, method, host, path, query, body, now):
    """The Authorization header of Signature Version 4."""
    day, stamp = now.strftime("%Y%m%d"), now.strftime("%Y%m%dT%H%M%SZ")
    scope = f"{day}/{region}/{SERVICE}/aws4_request"
    canonical = "\n".join([method, urllib.parse.quote(path), query, f"host:{host}\nx-amz-date:{stamp}\n", SIGNED_HEADERS,
                           hashlib.sha256(body).hexdigest()])
    text = "\n".join(["AWS4-HMAC-SHA256", stamp, scope, hashlib.sha256(canonical.encode()).hexdigest()])
    key = b"AWS4" + secret["aws_secret_access_key"].encode()
    for part in (day, region, SERVICE, "aws4_request"):
        key = hmac.digest(key, part.encode(), "sha256")
    signature = hmac.digest(key, text.encode(), "sha256").hex()
    return (f"AWS4-HMAC-SHA256 Credential={secret['aws_access_key_id']}/{scope}, SignedHeaders={SIGNED_HEADERS}, "
            f"Signature={signature}")


class Api:
    def __init__(self, data: pathlib.Path):
        ready = json.loads((data / "ready.json").read_text())
        self.region, self.host = ready["region"], ready["endpoint"]
        secrets = configparser.ConfigParser()
        secrets.read(data / "credentials")
        self.secret = secrets["default"]
        self.connection = http.client.HTTPSConnection(
            self.host, context=ssl.create_default_context(cafile=str(data / "ca.pem")), timeout=30)

    def call(self, method, path, query, document):
        now, body = datetime.datetime.now(datetime.timezone.utc), json.dumps(document).encode()
        signed = sign(self.secret, self.region, method, self.host, path, query, body, now)
        self.connection.request(method, path + ("?" + query if query else ""), body, {
            "Host": self.host, "X-Amz-Date": now.strftime("%Y%m%dT%H%M%SZ"), "Authorization": signed,
            "Content-Type": "application/json"})
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
