"""Functions for Lambda's API: packages made of sources, and a server that runs them."""
import io
import json
import os
import pathlib
import sys
import time
import zipfile

from .server import ACCOUNT, REGION

ROLE = f"arn:aws:iam::{ACCOUNT}:role/function"
# The interpreter of the tests has awslambdaric.
ARGUMENTS = ("--lambda-python", os.environ.get("STARLING_LAMBDA_PYTHON", sys.executable))


def package(files, modes=None):
    """A zip of {name: text or bytes}; modes: {name: 0o755}."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as z:
        for name, content in files.items():
            info = zipfile.ZipInfo(name)
            info.compress_type = zipfile.ZIP_DEFLATED
            info.external_attr = (0o100000 | (modes or {}).get(name, 0o644)) << 16
            z.writestr(info, content)
    return out.getvalue()


def python(source):
    return package({"app.py": source})


def bootstrap(source):
    return package({"bootstrap": source}, {"bootstrap": 0o755})


def arn(name, account=ACCOUNT):
    return f"arn:aws:lambda:{REGION}:{account}:function:{name}"


def create(client, name, source, **settings):
    """A python function whose handler is app.handler."""
    settings = {"Runtime": "python3.12", "Handler": "app.handler", "Timeout": 20, **settings}
    return client.create_function(FunctionName=name, Role=ROLE, Code={"ZipFile": python(source)}, **settings)


def invoke(client, name, event=None, **more):
    """The decoded payload; an error of the function fails the test."""
    answer = client.invoke(FunctionName=name, Payload=json.dumps(event).encode(), **more)
    payload = json.loads(answer["Payload"].read())
    assert "FunctionError" not in answer, payload
    return payload


def wait_until(what, timeout_s=30):
    end = time.monotonic() + timeout_s
    while not (got := what()):
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.05)
    return got


def instances(server):
    """The processes of functions: those whose environment names a Runtime API, as the server's children."""
    found = []
    for folder in pathlib.Path("/proc").iterdir():
        if not folder.name.isdigit():
            continue
        try:
            parent = int((folder / "stat").read_text().rsplit(")", 1)[1].split()[1])
        except (OSError, IndexError):
            continue
        if parent == server.process.pid:
            found.append(int(folder.name))
    return found
