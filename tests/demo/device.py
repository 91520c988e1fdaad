"""A device as in AWS's tutorials: it keeps the shadow of one thing in step with its own setting, wait_time.

It runs with AWSIoTPythonSDK 1.4.3 as it is; nothing here knows about Starling.
"""
import argparse
import json
import queue
import sys

from AWSIoTPythonSDK.MQTTLib import AWSIoTMQTTShadowClient

OPERATION_TIMEOUT_S = 10


def arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device_name", required=True, help="name of the thing")
    parser.add_argument("--endpoint", required=True, help="host name of the server")
    parser.add_argument("--port", type=int, default=8883, help="for MQTT over TLS (default: 8883)")
    parser.add_argument("--root_ca", required=True, help="the CA to trust, PEM")
    parser.add_argument("--cert", required=True, help="the device's certificate, PEM")
    parser.add_argument("--private", required=True, help="the device's private key, PEM")
    return parser.parse_args()


def connect(args):
    client = AWSIoTMQTTShadowClient(args.device_name)
    client.configureEndpoint(args.endpoint, args.port)
    client.configureCredentials(args.root_ca, args.private, args.cert)
    client.configureConnectDisconnectTimeout(OPERATION_TIMEOUT_S)
    client.configureMQTTOperationTimeout(OPERATION_TIMEOUT_S)
    client.connect()
    return client


def main():
    args = arguments()
    client = connect(args)
    shadow = client.createShadowHandlerWithName(args.device_name, True)
    deltas = queue.Queue()
    shadow.shadowRegisterDeltaCallback(lambda payload, status, token: deltas.put(json.loads(payload)["state"]))
    print("connected as {}, waiting for a wait_time".format(args.device_name), flush=True)

    def answered(payload, status, token):
        print("shadow update {}".format(status), flush=True)

    while True:
        state = deltas.get()
        if "wait_time" not in state:
            continue
        wait_time = state["wait_time"]
        print("wait_time is {} now".format(wait_time), flush=True)
        payload = json.dumps({"state": {"reported": {"wait_time": wait_time}}})
        print("send back state payload:{}".format(payload), flush=True)
        shadow.shadowUpdate(payload, answered, OPERATION_TIMEOUT_S)


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        print("interrupted", flush=True)
        sys.exit(130)
