"""Packages of functions: how large they may be, and where GetFunction says that they are. Source: Lambda quotas; GetFunction."""
import base64
import hashlib
import json
import os

import pytest
import requests
from support import functions
from support.keys import make_key
from support.server import Server
from support.signed import send

SOURCE = "import os\ndef handler(event, context):\n    return os.path.getsize('/var/task/large')\n"
MB = 1 << 20


@pytest.fixture(scope="module")
def host(tmp_path_factory):
    running = Server(tmp_path_factory.mktemp("packages") / "data", ("--test", *functions.ARGUMENTS)).start()
    yield running
    running.stop()


@pytest.fixture(scope="module")
def client(host):
    return host.client("lambda", read_timeout=120)


def large(megabytes):
    return functions.package({"app.py": SOURCE, "large": os.urandom(megabytes * MB)})


def test_a_package_of_many_megabytes_comes_and_goes(host, client, name):
    zip_file = large(12)
    client.create_function(FunctionName=name, Role=functions.ROLE, Runtime="python3.12", Handler="app.handler", Timeout=30,
                           Code={"ZipFile": zip_file})
    assert functions.invoke(client, name) == 12 * MB
    got = client.get_function(FunctionName=name)
    assert got["Configuration"]["CodeSize"] == len(zip_file) and got["Code"]["RepositoryType"] == "S3"
    answer = requests.get(got["Code"]["Location"], verify=host.ca_file, timeout=60)
    assert answer.status_code == 200 and answer.content == zip_file
    assert base64.b64encode(hashlib.sha256(answer.content).digest()).decode() == got["Configuration"]["CodeSha256"]
    client.update_function_code(FunctionName=name, ZipFile=large(2))
    assert functions.invoke(client, name) == 2 * MB
    assert requests.get(got["Code"]["Location"], verify=host.ca_file, timeout=60).status_code == 404  # no version has it now
    client.delete_function(FunctionName=name)


def test_a_url_is_good_for_its_package_alone_and_ten_minutes(host, client, name):
    functions.create(client, name, SOURCE)
    functions.create(client, f"{name}-2", "x = 1\n")
    url, other = (client.get_function(FunctionName=n)["Code"]["Location"] for n in (name, f"{name}-2"))
    fetch = lambda u: requests.get(u, verify=host.ca_file, timeout=60).status_code  # noqa: E731
    assert (fetch(url), fetch(other)) == (200, 200)
    head, until, signature = url.rsplit("/", 2)
    other_head, _, other_signature = other.rsplit("/", 2)
    for bad in (f"{head}/{int(until) + 1000}/{signature}", f"{other_head}/{until}/{signature}", f"{head}/{until}/{other_signature}",
                f"{head}/{until}/", head, f"{url}/x", f"{url}0"):
        assert fetch(bad) == 403, bad
    host.advance(601)
    assert fetch(url) == 403
    assert fetch(client.get_function(FunctionName=name)["Code"]["Location"]) == 200


def test_fifty_megabytes_and_no_more(host, client, name, fails):
    code, status, message = fails(client.create_function, FunctionName=name, Role=functions.ROLE, Runtime="python3.12",
                                  Handler="app.handler", Code={"ZipFile": large(51)})
    assert (code, status) == ("RequestTooLargeException", 413) and str(50 * MB) in message
    code, status, _ = fails(client.create_function, FunctionName=name, Role=functions.ROLE, Runtime="python3.12",
                            Handler="app.handler", Code={"ZipFile": os.urandom(60 * MB)})
    assert (code, status) == ("RequestEntityTooLargeException", 413)
    assert fails(client.get_function, FunctionName=name)[:2] == ("ResourceNotFoundException", 404)


def test_a_payload_of_six_megabytes_and_no_more(client, name, fails):
    functions.create(client, name, "def handler(event, context):\n    return len(event)\n", Timeout=60)
    assert functions.invoke(client, name, "x" * (5 * MB)) == 5 * MB
    code, status, message = fails(client.invoke, FunctionName=name, Payload=json.dumps("x" * (6 * MB)).encode())
    assert (code, status) == ("RequestTooLargeException", 413) and str(6 * MB) in message


def test_only_a_key_that_stands_may_send_so_much(host, name):
    body = b"x" * (2 * MB)
    path = f"/2015-03-31/functions/{name}/code"
    for key in (("AKIANOBODY0000000000", "x" * 40), host.credentials):
        answer = send(host, "PUT", path, body, "lambda", key=key)
        assert answer.status_code == (413 if key != host.credentials else 400)
    for headers in ({}, {"Authorization": "Bearer x"}):
        assert requests.put(host.url + path, data=body, headers=headers, verify=host.ca_file, timeout=10).status_code == 413
    other = make_key(host, account="222233334444")
    assert send(host, "PUT", path, body, "lambda", key=other).status_code == 400
    assert send(host, "PUT", "/things/x", body, "iot", key=other).status_code == 413
