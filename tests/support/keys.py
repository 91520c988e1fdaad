"""Access keys, made as a person makes them: by `starling key create`."""
import json
import subprocess

from .server import BINARY


def make_key(server, *policies, account=None, user=None, folder=None):
    """(access key id, secret) of a key; policies are documents as dicts, written to `folder`."""
    options = []
    for i, policy in enumerate(policies):
        file = folder / f"policy-{i}-{abs(hash(json.dumps(policy)))}.json"
        file.write_text(json.dumps(policy))
        options += ["--policy", file]
    options += ["--account", account] if account else []
    options += ["--user", user] if user else []
    made = subprocess.run([BINARY, "key", "create", *options, "--data", server.data], capture_output=True, text=True,
                          check=True, timeout=30).stdout
    values = dict(line.split(" = ") for line in made.splitlines() if " = " in line)
    return values["aws_access_key_id"], values["aws_secret_access_key"]
