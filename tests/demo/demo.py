"""The demo: a server, a device with AWSIoTPythonSDK 1.4.3, an app with boto3, and a shadow between them.

    ./dev demo           stays up afterwards, for trying things by hand
    ./dev demo --once    ends, with status 0 only if the device answered and no difference is left
"""
import argparse
import contextlib
import json
import os
import pathlib
import queue
import shlex
import subprocess
import sys
import tempfile
import threading
import time

sys.path[:0] = [str(pathlib.Path(__file__).resolve().parents[1]), str(pathlib.Path(__file__).resolve().parents[2] / "tools")]
from ending import INTERRUPTED, finish  # noqa: E402
from support.server import BINARY, REGION, ROOT, Server, ServerFault  # noqa: E402

HERE = pathlib.Path(__file__).resolve().parent
DEVICE_PYTHON = ROOT / ".venv-sdk143/bin/python"
THING = "sample_iot_thing"
EXPECTED = 'send back state payload:{"state": {"reported": {"wait_time": 5}}}'
STEP_TIMEOUT_S = 30
POLICY = {"Version": "2012-10-17", "Statement": [
    {"Effect": "Allow", "Action": "iot:Connect", "Resource": "arn:aws:iot:*:*:client/${iot:Connection.Thing.ThingName}"},
    {"Effect": "Allow", "Action": ["iot:Publish", "iot:Receive"],
     "Resource": "arn:aws:iot:*:*:topic/$aws/things/${iot:Connection.Thing.ThingName}/shadow/*"},
    {"Effect": "Allow", "Action": "iot:Subscribe",
     "Resource": "arn:aws:iot:*:*:topicfilter/$aws/things/${iot:Connection.Thing.ThingName}/shadow/*"},
]}


class Program:
    """A child whose lines are shown under its name as they come, and can be waited for."""

    def __init__(self, name, command, env=None):
        self.lines = queue.Queue()
        self.process = subprocess.Popen(command, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                        stderr=subprocess.STDOUT, text=True)
        threading.Thread(target=self._read, args=(name,), daemon=True).start()

    def _read(self, name):
        for line in self.process.stdout:
            print(f"{name:>6} | {line}", end="", flush=True)
            self.lines.put(line.rstrip("\n"))
        self.lines.put(None)

    def wait_line(self, wanted):
        """True once a line that `wanted` accepts has come; False if the program ends or time runs out first."""
        deadline = time.monotonic() + STEP_TIMEOUT_S
        while True:
            try:
                line = self.lines.get(timeout=max(0, deadline - time.monotonic()))
            except queue.Empty:
                return False
            if line is None:
                return False
            if wanted(line):
                return True

    def stop(self):
        if self.process.poll() is None:
            self.process.terminate()
        self.process.wait()


def make_device(server):
    """Thing, certificate, policy, as the console's wizard makes them; returns the files of the device."""
    iot = server.client("iot")
    iot.create_thing(thingName=THING)
    made = iot.create_keys_and_certificate(setAsActive=True)
    iot.create_policy(policyName=f"{THING}_policy", policyDocument=json.dumps(POLICY))
    iot.attach_policy(policyName=f"{THING}_policy", target=made["certificateArn"])
    iot.attach_thing_principal(thingName=THING, principal=made["certificateArn"])
    folder = server.data / "devices"
    folder.mkdir(mode=0o700, exist_ok=True)
    cert, key = folder / f"{THING}.cert.pem", folder / f"{THING}.private.key"
    cert.write_text(made["certificatePem"])
    key.touch(mode=0o600)
    key.write_text(made["keyPair"]["PrivateKey"])
    return cert, key


def environment(server):
    key, secret = server.credentials
    return {"AWS_ENDPOINT_URL_IOT": server.url, "AWS_ENDPOINT_URL_IOT_DATA_PLANE": server.url,
            "AWS_CA_BUNDLE": server.ca_file, "AWS_REGION": REGION, "AWS_DEFAULT_REGION": REGION,
            "AWS_ACCESS_KEY_ID": key, "AWS_SECRET_ACCESS_KEY": secret}


def delta_gone(server):
    """Waits until the shadow holds what was asked for and nothing differs."""
    data = server.client("iot-data")
    deadline = time.monotonic() + STEP_TIMEOUT_S
    while time.monotonic() < deadline:
        document = json.loads(data.get_thing_shadow(thingName=THING)["payload"].read())
        if "delta" not in document["state"] and document["state"].get("reported") == {"wait_time": 5}:
            print(f"shadow | {json.dumps(document['state'])}, version {document['version']}", flush=True)
            return True
        time.sleep(0.02)
    print(f"the difference is still there: {document}", file=sys.stderr)
    return False


def guide(server, command):
    starling = os.path.relpath(BINARY)
    print(f"""
The server and the device are up; Ctrl-C ends them. Meanwhile, in another terminal:

  eval "$({starling} env --data {shlex.quote(str(server.data))})"
  export PATH="{ROOT}/.venv-sdk143/bin:$PATH"   # the aws command, if you have none
  python3 tests/demo/app.py --wait_time 7                # the device answers here
  aws iot list-things
  aws iot-data get-thing-shadow --thing-name {THING} shadow.json && cat shadow.json

The device was started as

  {shlex.join(map(str, command))}
""", flush=True)


def run(server, once):
    cert, key = make_device(server)
    command = [DEVICE_PYTHON, HERE / "device.py", "--device_name", THING, "--endpoint", server.host, "--port",
               str(server.mqtt_port), "--root_ca", server.ca_file, "--cert", cert, "--private", key]
    device = Program("device", command)
    try:
        if not device.wait_line(lambda line: line.startswith("connected as")):
            print("the device did not connect", file=sys.stderr)
            return 1
        app = Program("app", [sys.executable, HERE / "app.py", "--device_name", THING],
                      {**os.environ, **environment(server)})
        answered = device.wait_line(lambda line: line == EXPECTED)
        if app.process.wait(STEP_TIMEOUT_S) != 0 or not answered:
            print(f"expected from the device, and not seen: {EXPECTED}", file=sys.stderr)
            return 1
        if not delta_gone(server):
            return 1
        if once:
            print(EXPECTED, flush=True)
        else:
            guide(server, command)
            with contextlib.suppress(KeyboardInterrupt):  # the end that the guide tells of
                device.process.wait()
                print("the device ended", file=sys.stderr)
                return 1
        return 0
    finally:
        device.stop()


def main():
    parser = argparse.ArgumentParser(prog="./dev demo", description=__doc__.splitlines()[0])
    parser.add_argument("--once", action="store_true", help="end after the first round")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="starling-demo-") as folder:
        server = Server(pathlib.Path(folder) / "data")
        status = 1
        try:
            server.start()
            print(f"server | ready on ports {server.mqtt_port} (MQTT) and {server.https_port} (HTTPS)", flush=True)
            status = run(server, args.once)
        except KeyboardInterrupt:
            status = INTERRUPTED
            print("\ndemo: interrupted", file=sys.stderr)
        except ServerFault as fault:
            print(fault, file=sys.stderr)
        finally:
            if status not in (0, INTERRUPTED) and server.data.exists() and server.log_file.exists():
                print(f"the server's log ends so:\n{server.log()[-4000:]}", file=sys.stderr)
            try:
                server.stop()
            except ServerFault as fault:
                print(fault, file=sys.stderr)
                status = 1
        return status


if __name__ == "__main__":
    finish("demo", main)
