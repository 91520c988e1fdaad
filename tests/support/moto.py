"""AWS's services by moto_server, with authentication on: a request that is not signed well is refused."""
import json
import os
import pathlib
import re
import subprocess
import sys
import time

import boto3
import botocore.config

from .server import REGION

START_TIMEOUT_S = 60
SERVICES = ["S3", "SQS", "SNS", "DYNAMODB", "KINESIS", "FIREHOSE", "CLOUDWATCH", "CLOUDWATCH_LOGS", "SFN",
            "TIMESTREAM_WRITE", "SECRETS_MANAGER"]
OPEN_REQUESTS = 3  # until the user of the tests is there nobody can sign


class Moto:
    def __init__(self, log: pathlib.Path):
        self.log = log
        self.process, self.url = None, None
        self.key = self.secret = None

    def start(self) -> "Moto":
        command = [pathlib.Path(sys.executable).parent / "moto_server", "-H", "127.0.0.1", "-p", "0"]
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env={
                **os.environ, "INITIAL_NO_AUTH_ACTION_COUNT": str(OPEN_REQUESTS), "MOTO_ACCOUNT_ID": "123456789012"})
        deadline = time.monotonic() + START_TIMEOUT_S
        while not (running := re.search(r"Running on (http://127\.0\.0\.1:\d+)", self.log.read_text(errors="replace"))):
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"moto_server did not start:\n{self.log.read_text(errors='replace')}")
            time.sleep(0.02)
        self.url = running.group(1)
        self.key, self.secret = "AKIAIOSFODNN7EXAMPLE", "x"
        iam = self.client("iam")
        iam.create_user(UserName="starling")
        made = iam.create_access_key(UserName="starling")["AccessKey"]
        allow = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}
        iam.put_user_policy(UserName="starling", PolicyName="all", PolicyDocument=json.dumps(allow))
        self.key, self.secret = made["AccessKeyId"], made["SecretAccessKey"]
        return self

    def client(self, service, **more):
        return boto3.client(service, region_name=REGION, endpoint_url=self.url, aws_access_key_id=self.key,
                            aws_secret_access_key=more.pop("secret", self.secret),
                            config=botocore.config.Config(retries={"max_attempts": 0}, inject_host_prefix=False, **more))

    def environment(self) -> dict[str, str]:
        """What a program needs to call it, for all services but those that the server has itself."""
        urls = {f"AWS_ENDPOINT_URL_{service}": self.url for service in SERVICES}
        return {**urls, "AWS_ACCESS_KEY_ID": self.key, "AWS_SECRET_ACCESS_KEY": self.secret}

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait()
