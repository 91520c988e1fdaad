#!/usr/bin/env python3
"""Terraform against a server of its own: `./dev terraform`. Compiling the AWS provider takes some minutes the first time."""
import os
import pathlib
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parents[0]), str(HERE.parents[1] / "tools")]
from ending import finish  # noqa: E402
from support import functions  # noqa: E402
from support.server import REGION, Server  # noqa: E402


def main():
    with tempfile.TemporaryDirectory() as folder:
        package = pathlib.Path(folder, "function.zip")
        package.write_bytes(functions.python("def handler(event, context):\n    return event\n"))
        server = Server(pathlib.Path(folder, "data"), ("--test",)).start()
        key, secret = server.credentials
        variables = {"AWS_ACCESS_KEY_ID": key, "AWS_SECRET_ACCESS_KEY": secret, "AWS_REGION": REGION,
                     "AWS_CA_BUNDLE": server.ca_file, "AWS_ENDPOINT_URL_IOT": server.url, "STARLING_ZIP": str(package)}
        try:
            return subprocess.run(["go", "test", "-mod=readonly", "-count=1", "-v", *sys.argv[1:], "."], cwd=HERE,
                                  env={**os.environ, **variables}).returncode
        finally:
            server.stop()


if __name__ == "__main__":
    finish("terraform", main)
