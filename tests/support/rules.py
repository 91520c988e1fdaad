"""What tests of rules share: payloads, and a server of their own that may send to this machine."""
import re
import uuid

import requests

from support import x509
from support.server import ACCOUNT, REGION, Server

ROLE = f"arn:aws:iam::{ACCOUNT}:role/rules"


def republish(topic, qos=1, **headers):
    action = {"topic": topic, "roleArn": ROLE, "qos": qos}
    if headers:
        action["headers"] = headers
    return {"republish": action}


def payload(sql, *actions, error=None, version="2016-03-23", **more):
    made = {"sql": sql, "actions": list(actions), "awsIotSqlVersion": version, **more}
    if error:
        made["errorAction"] = error
    return made


def rule_name(name, suffix=""):
    return re.sub(r"[^a-zA-Z0-9]", "_", name) + suffix


def figure(server, wanted):
    text = requests.get(f"{server.url}/metrics", verify=server.ca_file, timeout=10).text
    return sum(int(line.rsplit(" ", 1)[1]) for line in text.splitlines() if line.startswith(wanted))


def action_figure(server, what, rule, stage="action", index=0):
    return figure(server, f'starling_rule_action_{what}{{account="{ACCOUNT}",rule="{rule}",stage="{stage}",'
                          f'index="{10 if stage == "errorAction" else index}"')


def own_server(folder, *arguments):
    """A server that trusts a CA of the test's for what goes outward; that CA's files are in its `outward`."""
    ca_key, key = x509.new_key(), x509.new_key()
    ca_cert = x509.certificate("outward CA", ca_key, ca=True)
    cert = x509.certificate("localhost", key, ca_cert, ca_key, names=["localhost"])
    ca, *files = folder / "ca.pem", folder / "outward.pem", folder / "outward.key"
    ca.write_text(x509.cert_pem(ca_cert))
    files[0].write_text(x509.cert_pem(cert))
    files[1].write_text(x509.key_pem(key))
    server = Server(folder / "data", ("--plain-port", "0", "--test", "--rules-plain-http", "--rules-ca", str(ca),
                                      *arguments))
    server.outward = [str(f) for f in files]
    return server.start()


def make_rule(iot, name, sql, *actions, **more):
    made = rule_name(name) + "_" + uuid.uuid4().hex[:4]
    iot.create_topic_rule(ruleName=made, topicRulePayload=payload(sql, *actions, **more))
    return made


__all__ = ["ACCOUNT", "REGION", "ROLE", "action_figure", "figure", "make_rule", "own_server", "payload", "republish",
           "rule_name"]
