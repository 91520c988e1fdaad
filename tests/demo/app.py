"""An app that asks a device for a setting: it sets the desired wait_time of a thing's shadow through boto3.

The endpoint, the CA and the credentials come from the environment, as `starling env` prints them.
"""
import argparse
import json

import boto3


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device_name", default="sample_iot_thing", help="name of the thing")
    parser.add_argument("--wait_time", type=int, default=5, help="what the device is asked for (default: 5)")
    args = parser.parse_args()
    document = json.dumps({"state": {"desired": {"wait_time": args.wait_time}}})
    answer = boto3.client("iot-data").update_thing_shadow(thingName=args.device_name, payload=document)
    accepted = json.loads(answer["payload"].read())
    print("asked for {}, accepted as version {}".format(accepted["state"], accepted["version"]), flush=True)


if __name__ == "__main__":
    main()
