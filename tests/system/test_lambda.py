"""Lambda's own API by boto3, with functions that really run."""
import base64
import configparser
import ctypes
import json
import pathlib
import subprocess
import sys
import threading

import botocore.exceptions
import pytest
from support import functions, keys
from support.server import ACCOUNT, BINARY, REGION, Server


@pytest.fixture(scope="module")
def host(tmp_path_factory):
    running = Server(tmp_path_factory.mktemp("lambda") / "data", ("--test", *functions.ARGUMENTS))
    running.start()
    yield running
    running.stop()


@pytest.fixture(scope="module")
def client(host):
    return host.client("lambda", read_timeout=60)


@pytest.fixture
def name(request):
    return request.node.name.replace("test_", "")[:60]


ALLOW_ALL = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}
ECHO = """
import os
def handler(event, context):
    print("got", event)
    return {"event": event, "arn": context.invoked_function_arn, "id": context.aws_request_id,
            "left": context.get_remaining_time_in_millis(), "env": dict(os.environ), "cwd": os.getcwd()}
"""


def failure(call, *args, **kwargs):
    with pytest.raises(botocore.exceptions.ClientError) as caught:
        call(*args, **kwargs)
    return caught.value.response["Error"]["Code"], caught.value.response["Error"]["Message"]


def test_a_python_function_runs_with_what_aws_gives_it(client, name):
    made = functions.create(client, name, ECHO, MemorySize=256, Environment={"Variables": {"COLOUR": "blue"}})
    assert made["FunctionArn"] == functions.arn(name)
    assert (made["State"], made["Version"], made["MemorySize"]) == ("Active", "$LATEST", 256)
    answer = client.invoke(FunctionName=name, Payload=b'{"a": [1, 2.5, "x"]}', LogType="Tail")
    got = json.loads(answer["Payload"].read())
    assert answer["StatusCode"] == 200 and answer["ExecutedVersion"] == "$LATEST" and "FunctionError" not in answer
    assert got["event"] == {"a": [1, 2.5, "x"]}
    assert got["arn"] == functions.arn(name)
    assert 10_000 < got["left"] <= 20_000
    env = got["env"]
    assert env["COLOUR"] == "blue" and env["AWS_REGION"] == REGION and env["AWS_LAMBDA_FUNCTION_NAME"] == name
    assert env["AWS_LAMBDA_FUNCTION_MEMORY_SIZE"] == "256" and env["_HANDLER"] == "app.handler"
    log = base64.b64decode(answer["LogResult"]).decode()
    assert f"START RequestId: {got['id']} Version: $LATEST" in log and "got {'a'" in log
    assert f"REPORT RequestId: {got['id']}\tDuration: " in log and "Memory Size: 256 MB" in log


def test_a_function_is_isolated(client, host, name):
    functions.create(client, name, """
import os, glob, subprocess
def handler(event, context):
    out = {"pid": os.getpid(), "uid": os.getuid(), "tmp": os.listdir("/tmp"),
           "processes": [p for p in os.listdir("/proc") if p.isdigit()], "task": sorted(os.listdir("/var/task"))}
    for path in (event["data"], "/root", "/home", "/work"):
        try:
            out[path] = os.listdir(path)
        except OSError as e:
            out[path] = e.errno
    open("/tmp/mine", "w").write("x" * 1000)
    for path in ("/var/task/app.py", "/usr/x", "/x"):
        try:
            open(path, "w")
            out["wrote"] = path
        except OSError:
            pass
    return out
""")
    got = functions.invoke(client, name, {"data": str(host.data)})
    assert got["task"] == ["app.py"] and got["tmp"] == [] and "wrote" not in got
    assert len(got["processes"]) <= 3, got["processes"]
    assert got[str(host.data)] in (2, 13) or "store" not in got[str(host.data)]


def test_a_handler_that_raises_is_an_unhandled_error(client, name):
    functions.create(client, name, "def handler(event, context):\n    raise ValueError('no ' + event['what'])\n")
    answer = client.invoke(FunctionName=name, Payload=b'{"what": "way"}', LogType="Tail")
    payload = json.loads(answer["Payload"].read())
    assert answer["StatusCode"] == 200 and answer["FunctionError"] == "Unhandled"
    assert (payload["errorType"], payload["errorMessage"]) == ("ValueError", "no way")
    assert "ValueError" in base64.b64decode(answer["LogResult"]).decode()
    assert client.invoke(FunctionName=name, Payload=b'{"what": "x"}')["FunctionError"] == "Unhandled"


def test_a_module_that_cannot_be_loaded_is_told(client, name):
    functions.create(client, name, "import no_such_module\n")
    answer = client.invoke(FunctionName=name)
    payload = json.loads(answer["Payload"].read())
    assert answer["FunctionError"] == "Unhandled"
    assert payload["errorType"] == "Runtime.ImportModuleError" and "no_such_module" in payload["errorMessage"]


def test_a_function_that_never_answers_is_ended(client, name):
    functions.create(client, name, "import time\ndef handler(event, context):\n    time.sleep(event)\n    return 'slept'\n",
                     Timeout=1)
    answer = client.invoke(FunctionName=name, Payload=b"600", LogType="Tail")
    payload = json.loads(answer["Payload"].read())
    assert answer["FunctionError"] == "Unhandled"
    assert payload["errorType"] == "Sandbox.Timedout"
    assert payload["errorMessage"].endswith("Error: Task timed out after 1.00 seconds")
    assert "Task timed out after 1.00 seconds" in base64.b64decode(answer["LogResult"]).decode()
    assert functions.invoke(client, name, 0) == "slept"


def test_a_function_that_ends_itself_is_told(client, name):
    functions.create(client, name, "import os\ndef handler(event, context):\n    os._exit(event) if event else None\n    return 'alive'\n")
    answer = client.invoke(FunctionName=name, Payload=b"7")
    payload = json.loads(answer["Payload"].read())
    assert answer["FunctionError"] == "Unhandled" and payload["errorType"] == "Runtime.ExitError"
    assert payload["errorMessage"].endswith("Error: Runtime exited with error: exit status 7")
    assert functions.invoke(client, name, 0) == "alive"


def test_a_function_that_crashes_forks_and_prints_harms_nobody(client, host, name):
    functions.create(client, name, """
import os, sys, time, ctypes
def handler(event, context):
    if event == "crash":
        ctypes.string_at(0)
    if event == "fork":
        for i in range(20):
            if os.fork() == 0:
                os.setsid()
                time.sleep(600)
        return os.getpid()
    if event == "print":
        for i in range(100):
            sys.stdout.write("x" * 65536 + "\\n")
        return "printed"
    if event == "memory":
        return len(bytearray(600 << 20))
    if event == "large":
        return "y" * (7 << 20)
    return "alive"
""", Timeout=30)
    answer = client.invoke(FunctionName=name, Payload=b'"crash"')
    assert json.loads(answer["Payload"].read())["errorMessage"].endswith("signal: Segmentation fault")
    functions.invoke(client, name, "fork")
    assert functions.invoke(client, name, "print") == "printed"
    answer = client.invoke(FunctionName=name, Payload=b'"memory"')
    assert json.loads(answer["Payload"].read())["errorType"] in ("MemoryError", "Runtime.ExitError", "Runtime.OutOfMemory")
    answer = client.invoke(FunctionName=name, Payload=b'"large"')
    assert json.loads(answer["Payload"].read())["errorType"] == "Function.ResponseSizeTooLarge"
    assert functions.invoke(client, name, None) == "alive"
    client.delete_function(FunctionName=name)
    assert host.client("iot").list_things()["ResponseMetadata"]["HTTPStatusCode"] == 200


def test_the_memory_of_a_functions_children_is_its_own(client, name):
    functions.create(client, name, """
import os, time
def handler(event, context):
    children = []
    for _ in range(5):
        children.append(os.fork())
        if children[-1] == 0:
            kept = b"x" * (event << 20)
            time.sleep(3)
            os._exit(0)
    for child in children:
        os.waitpid(child, 0)
    return "ended"
""", Timeout=20)
    assert functions.invoke(client, name, 5) == "ended"  # what they share is counted once
    answer = client.invoke(FunctionName=name, Payload=b"100")
    assert json.loads(answer["Payload"].read())["errorType"] == "Runtime.OutOfMemory"


def test_a_function_has_no_memory_that_is_not_counted(client, name):
    functions.create(client, name, """
import ctypes, errno
libc = ctypes.CDLL(None, use_errno=True)
def handler(event, context):
    calls = {"memfd_create": (b"x", 0), "shmget": (0, 1 << 20, 0o1600), "mount": (b"tmpfs", b"/tmp", b"tmpfs", 0, None)}
    out = {}
    for call, arguments in calls.items():
        assert getattr(libc, call)(*arguments) == -1
        out[call] = errno.errorcode[ctypes.get_errno()]
    return out
""")
    assert functions.invoke(client, name) == {"memfd_create": "ENOSYS", "shmget": "ENOSYS", "mount": "ENOSYS"}


def test_a_function_cannot_fill_the_servers_memory_through_its_runtime_api(client, name):
    functions.create(client, name, """
import os, socket
def closed(connection):
    try:
        return connection.recv(1) == b""
    except ConnectionError:
        return True
    except TimeoutError:
        return False
def handler(event, context):
    host, port = os.environ["AWS_LAMBDA_RUNTIME_API"].split(":")
    many = [socket.create_connection((host, int(port)), 1) for _ in range(12)]
    kept = sum(not closed(one) for one in many)
    for one in many:
        one.close()
    asks = b"GET /x HTTP/1.1\\r\\nHost: a\\r\\n\\r\\n" * 1000
    with socket.create_connection((host, int(port)), 5) as one:
        sent = 0
        try:
            while sent < 200 << 20:
                sent += one.send(asks)
        except ConnectionError:
            pass
        except TimeoutError:
            return kept, "nobody reads"
    return kept, sent < 200 << 20
""", Timeout=60)
    kept, ended = functions.invoke(client, name)
    assert kept <= 8 and ended is True


def runtime_api(server):
    """The address of an instance's Runtime API, once there is one."""
    for process in functions.instances(server):
        try:
            environment = pathlib.Path(f"/proc/{process}/environ").read_text().split("\0")
        except OSError:
            continue
        for line in environment:
            if line.startswith("AWS_LAMBDA_RUNTIME_API="):
                return line.split("=", 1)[1]
    return None


@pytest.mark.parametrize("arguments", [(), ("--lambda-uncontained",)])
def test_a_function_cannot_take_what_another_one_is_called_with(tmp_path, arguments):
    server = Server(tmp_path / "data", ("--test", *arguments, *functions.ARGUMENTS)).start()
    mine = server.client("lambda", read_timeout=60)
    theirs = server.client("lambda", *keys.make_key(server, ALLOW_ALL, account="222233334444", folder=tmp_path))
    functions.create(theirs, "thief", """
import http.client
def handler(event, context):
    try:
        connection = http.client.HTTPConnection(event, timeout=10)
        connection.request("GET", "/2018-06-01/runtime/invocation/next")
        return connection.getresponse().status
    except OSError:
        return "closed"
""")
    functions.create(mine, "victim", "import time\ntime.sleep(4)\ndef handler(event, context):\n    return event\n")
    got = []
    victim = threading.Thread(target=lambda: got.append(functions.invoke(mine, "victim", "secret")))
    victim.start()
    address = functions.wait_until(lambda: runtime_api(server))
    assert functions.invoke(theirs, "thief", address) == "closed"
    victim.join()
    assert got == ["secret"]
    server.stop()


def test_a_bootstrap_of_a_shell_runs(client, name):
    functions_zip = functions.bootstrap("""#!/bin/bash
api="http://$AWS_LAMBDA_RUNTIME_API/2018-06-01/runtime"
while true; do
    event=$(curl -sS -D /tmp/head "$api/invocation/next")
    id=$(grep -i '^lambda-runtime-aws-request-id' /tmp/head | tr -d '\\r' | cut -d' ' -f2)
    echo "handling $id" >&2
    curl -sS -X POST "$api/invocation/$id/response" -d "{\\"got\\": $event, \\"name\\": \\"$AWS_LAMBDA_FUNCTION_NAME\\"}"
done
""")
    client.create_function(FunctionName=name, Role=functions.ROLE, Runtime="provided.al2023", Handler="x", Timeout=20,
                           Code={"ZipFile": functions_zip})
    assert functions.invoke(client, name, {"n": 1}) == {"got": {"n": 1}, "name": name}
    assert functions.invoke(client, name, {"n": 2}) == {"got": {"n": 2}, "name": name}


def test_calls_at_once_get_instances_of_their_own_up_to_what_is_reserved(client, host, name):
    from concurrent.futures import ThreadPoolExecutor
    functions.create(client, name, "import os, time\ndef handler(event, context):\n    time.sleep(event)\n    return os.environ['AWS_LAMBDA_LOG_STREAM_NAME']\n", Timeout=30)
    clients = [host.client("lambda", read_timeout=60) for _ in range(3)]
    with ThreadPoolExecutor(3) as pool:
        streams = list(pool.map(lambda c: functions.invoke(c, name, 3), clients))
    assert len(set(streams)) == 3
    assert functions.invoke(client, name, 0) in streams, "an instance is kept warm"
    assert client.put_function_concurrency(FunctionName=name, ReservedConcurrentExecutions=1)["ReservedConcurrentExecutions"] == 1
    assert client.get_function(FunctionName=name)["Concurrency"] == {"ReservedConcurrentExecutions": 1}
    assert _throttled_beside(clients, name) == "TooManyRequestsException"
    client.put_function_concurrency(FunctionName=name, ReservedConcurrentExecutions=0)
    assert failure(client.invoke, FunctionName=name)[0] == "TooManyRequestsException"
    client.delete_function_concurrency(FunctionName=name)
    assert functions.invoke(client, name, 0)


def _throttled_beside(clients, name):
    """What a call is refused with while another client's calls keep the one instance busy, one after the other."""
    from concurrent.futures import ThreadPoolExecutor
    refused = threading.Event()

    def keep_busy():
        while not refused.is_set():
            _code(clients[0], name, 1)

    with ThreadPoolExecutor(1) as pool:
        pool.submit(keep_busy)
        try:
            return functions.wait_until(lambda: _code(clients[1], name, 0))
        finally:
            refused.set()


def _code(client, name, event):
    try:
        functions.invoke(client, name, event)
    except botocore.exceptions.ClientError as e:
        return e.response["Error"]["Code"]
    return None


# ---------------------------------------------------------------------------------------------------- management

SMALL = "def handler(event, context):\n    return %r\n"


def test_a_function_is_made_read_updated_and_deleted(client, name):
    made = functions.create(client, name, SMALL % 1, Description="first", Tags={"team": "a"}, Timeout=3)
    read = client.get_function(FunctionName=name)
    configuration = read["Configuration"]
    assert configuration["CodeSha256"] == made["CodeSha256"] and configuration["CodeSize"] == made["CodeSize"] > 0
    assert (configuration["Runtime"], configuration["Handler"], configuration["Timeout"]) == ("python3.12", "app.handler", 3)
    assert configuration["Role"] == functions.ROLE and configuration["Description"] == "first"
    assert configuration["PackageType"] == "Zip" and configuration["Architectures"] == ["x86_64"]
    assert configuration["EphemeralStorage"] == {"Size": 512} and configuration["TracingConfig"] == {"Mode": "PassThrough"}
    assert read["Tags"] == {"team": "a"} and "Concurrency" not in read
    for arn in (functions.arn(name), f"{ACCOUNT}:function:{name}", f"{name}:$LATEST"):
        assert client.get_function_configuration(FunctionName=arn)["FunctionName"] == name
    assert failure(functions.create, client, name, SMALL % 1) == ("ResourceConflictException", f"Function already exist: {name}")
    assert functions.invoke(client, name) == 1

    updated = client.update_function_code(FunctionName=name, ZipFile=functions.python(SMALL % 2), RevisionId=made["RevisionId"])
    assert updated["CodeSha256"] != made["CodeSha256"] and updated["RevisionId"] != made["RevisionId"]
    assert functions.invoke(client, name) == 2
    code, text = failure(client.update_function_code, FunctionName=name, ZipFile=functions.python(SMALL % 3),
                         RevisionId=made["RevisionId"])
    assert code == "PreconditionFailedException" and "Revision Id provided does not match" in text
    dry = client.update_function_code(FunctionName=name, ZipFile=functions.python(SMALL % 3), DryRun=True)
    assert dry["CodeSha256"] != updated["CodeSha256"] and functions.invoke(client, name) == 2
    changed = client.update_function_configuration(FunctionName=name, Timeout=7, MemorySize=256, Description="second",
                                                   Environment={"Variables": {"AB": "b"}})
    assert (changed["Timeout"], changed["MemorySize"], changed["Description"]) == (7, 256, "second")
    assert changed["Environment"] == {"Variables": {"AB": "b"}} and changed["Handler"] == "app.handler"

    assert client.list_tags(Resource=functions.arn(name))["Tags"] == {"team": "a"}
    client.tag_resource(Resource=functions.arn(name), Tags={"team": "b", "x": "y"})
    client.untag_resource(Resource=functions.arn(name), TagKeys=["x", "unknown"])
    assert client.list_tags(Resource=functions.arn(name))["Tags"] == {"team": "b"}

    # what Terraform asks after an apply
    assert client.get_function_code_signing_config(FunctionName=name)["FunctionName"] == name
    assert client.get_runtime_management_config(FunctionName=name)["UpdateRuntimeOn"] == "Auto"
    assert client.get_function_recursion_config(FunctionName=name)["RecursiveLoop"] == "Allow"
    assert [v["Version"] for v in client.list_versions_by_function(FunctionName=name)["Versions"]] == ["$LATEST"]

    client.delete_function(FunctionName=name)
    text = f"Function not found: {functions.arn(name)}"
    for call, more in ((client.get_function, {}), (client.invoke, {}), (client.delete_function, {}), (client.get_policy, {}),
                       (client.update_function_configuration, {}), (client.update_function_code, {"ZipFile": b"x"})):
        assert failure(call, FunctionName=name, **more) == ("ResourceNotFoundException", text)


def test_functions_are_listed_in_pages(client, host):
    names = [f"page-{n:02}" for n in range(7)]
    zipped = functions.python(SMALL % 0)
    for one in names:
        client.create_function(FunctionName=one, Role=functions.ROLE, Runtime="python3.12", Handler="app.handler",
                               Code={"ZipFile": zipped})
    first = client.list_functions(MaxItems=3)
    assert len(first["Functions"]) == 3
    second = client.list_functions(MaxItems=3, Marker=first["NextMarker"])
    assert not {f["FunctionName"] for f in first["Functions"]} & {f["FunctionName"] for f in second["Functions"]}
    found = [f["FunctionName"] for page in client.get_paginator("list_functions").paginate(PaginationConfig={"PageSize": 2})
             for f in page["Functions"]]
    assert sorted(found) == found and set(names) <= set(found)
    assert failure(client.list_functions, Marker="nonsense")[0] in ("InvalidParameterValueException", "ValidationException")
    for one in names:
        client.delete_function(FunctionName=one)


def test_versions_stay_as_they_were_published(client, name):
    functions.create(client, name, SMALL % "one", Publish=True)
    assert client.publish_version(FunctionName=name)["Version"] == "1", "nothing has changed"
    client.update_function_code(FunctionName=name, ZipFile=functions.python(SMALL % "two"))
    second = client.publish_version(FunctionName=name, Description="the second")
    assert second["Version"] == "2" and second["FunctionArn"] == functions.arn(name) + ":2"
    client.update_function_code(FunctionName=name, ZipFile=functions.python(SMALL % "three"))
    assert functions.invoke(client, name, Qualifier="1") == "one"
    assert functions.invoke(client, f"{name}:2") == "two"
    assert functions.invoke(client, name) == "three"
    versions = client.list_versions_by_function(FunctionName=name)["Versions"]
    assert {v["Version"]: v["Description"] for v in versions} == {"$LATEST": "", "1": "", "2": "the second"}
    page = client.list_versions_by_function(FunctionName=name, MaxItems=2)
    assert len(page["Versions"]) == 2 and len(client.list_versions_by_function(FunctionName=name, Marker=page["NextMarker"])["Versions"]) == 1
    client.delete_function(FunctionName=name, Qualifier="1")
    assert failure(client.invoke, FunctionName=name, Qualifier="1")[0] == "ResourceNotFoundException"
    assert functions.invoke(client, name, Qualifier="2") == "two"
    assert failure(client.invoke, FunctionName=f"{name}:2", Qualifier="3")[0] == "InvalidParameterValueException"


def test_a_policy_is_made_of_permissions(client, name):
    functions.create(client, name, SMALL % 0)
    assert failure(client.get_policy, FunctionName=name)[0] == "ResourceNotFoundException"
    added = client.add_permission(FunctionName=name, StatementId="iot", Action="lambda:InvokeFunction",
                                  Principal="iot.amazonaws.com", SourceAccount=ACCOUNT,
                                  SourceArn=f"arn:aws:iot:{REGION}:{ACCOUNT}:rule/r")
    statement = {"Sid": "iot", "Effect": "Allow", "Principal": {"Service": "iot.amazonaws.com"},
                 "Action": "lambda:InvokeFunction", "Resource": functions.arn(name),
                 "Condition": {"StringEquals": {"AWS:SourceAccount": ACCOUNT},
                               "ArnLike": {"AWS:SourceArn": f"arn:aws:iot:{REGION}:{ACCOUNT}:rule/r"}}}
    assert json.loads(added["Statement"]) == statement
    policy = client.get_policy(FunctionName=name)
    assert json.loads(policy["Policy"]) == {"Version": "2012-10-17", "Id": "default", "Statement": [statement]}
    code, text = failure(client.add_permission, FunctionName=name, StatementId="iot", Action="lambda:InvokeFunction", Principal="*")
    assert code == "ResourceConflictException" and "The statement id (iot) provided already exists" in text
    client.add_permission(FunctionName=name, StatementId="other", Action="lambda:InvokeFunction", Principal="111122223333")
    principals = [s["Principal"] for s in json.loads(client.get_policy(FunctionName=name)["Policy"])["Statement"]]
    assert {"AWS": "arn:aws:iam::111122223333:root"} in principals
    client.remove_permission(FunctionName=name, StatementId="iot")
    assert failure(client.remove_permission, FunctionName=name, StatementId="iot")[0] == "ResourceNotFoundException"
    assert [s["Sid"] for s in json.loads(client.get_policy(FunctionName=name)["Policy"])["Statement"]] == ["other"]


@pytest.mark.parametrize("settings, text", [
    ({"Runtime": "nodejs22.x"}, "The runtime nodejs22.x is not run here"),
    ({"Timeout": 901}, "less than or equal to 900"),
    ({"MemorySize": 10241}, "less than or equal to 10240"),
    ({"Code": {"ZipFile": b"no zip"}}, "Could not unzip uploaded file"),
    ({"Code": {"S3Bucket": "bucket", "S3Key": "not/there"}}, "s3://bucket/not/there"),
    ({"Code": {"ImageUri": "a/b:c"}, "PackageType": "Image"}, "Image"),
    ({"Layers": [f"arn:aws:lambda:{REGION}:{ACCOUNT}:layer:l:1"]}, "Layers"),
    ({"VpcConfig": {"SubnetIds": ["subnet-1"], "SecurityGroupIds": ["sg-1"]}}, "VpcConfig"),
    ({"DeadLetterConfig": {"TargetArn": f"arn:aws:sqs:{REGION}:{ACCOUNT}:q"}}, "DeadLetterConfig"),
    ({"Environment": {"Variables": {"AWS_REGION": "x"}}}, "reserved keys"),
    ({"Environment": {"Variables": {"BIG": "x" * 5000}}}, "4KB limit"),
    ({"Code": {"ZipFile": functions.package({"../evil.py": "x"})}}, "'../evil.py'"),
    ({"Code": {"ZipFile": functions.package({"/etc/evil": "x"})}}, "'/etc/evil'"),
])
def test_what_is_not_there_says_so(client, name, settings, text):
    given = {"FunctionName": "refused", "Role": functions.ROLE, "Runtime": "python3.12", "Handler": "app.handler",
             "Code": {"ZipFile": functions.python("")}, **settings}
    if given.get("PackageType") == "Image":
        del given["Runtime"], given["Handler"]
    code, message = failure(client.create_function, **given)
    assert code == "InvalidParameterValueException" and text in message, message
    assert failure(client.get_function, FunctionName="refused")[0] == "ResourceNotFoundException"


def test_a_package_comes_from_the_embedded_s3(client, host, name):
    folder = host.data / "s3" / "packages" / "made"
    folder.mkdir(parents=True)
    (folder / "it.zip").write_bytes(functions.python(SMALL % "from S3"))
    client.create_function(FunctionName=name, Role=functions.ROLE, Runtime="python3.12", Handler="app.handler",
                           Code={"S3Bucket": "packages", "S3Key": "made/it.zip"})
    assert functions.invoke(client, name) == "from S3"


def test_links_and_bombs_are_refused(client):
    import io
    import zipfile
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as z:
        info = zipfile.ZipInfo("link")
        info.external_attr = 0o120777 << 16
        z.writestr(info, "/etc")
    assert "neither a file nor a folder" in failure(functions_create_zip, client, out.getvalue())[1]
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as z:
        for n in range(3):
            with z.open(f"zeros{n}", "w") as f:
                for _ in range(90):
                    f.write(bytes(1 << 20))
    assert len(out.getvalue()) < 600_000
    assert "Unzipped size must be smaller than 262144000 bytes" in failure(functions_create_zip, client, out.getvalue())[1]


def functions_create_zip(client, zipped):
    return client.create_function(FunctionName="refused", Role=functions.ROLE, Runtime="python3.12", Handler="app.handler",
                                  Code={"ZipFile": zipped})


def test_bad_calls_are_told(client, name):
    functions.create(client, name, SMALL % 0)
    code, text = failure(client.invoke, FunctionName=name, Payload=b"{no json")
    assert code == "InvalidRequestContentException" and "Could not parse request body into json" in text
    assert failure(client.invoke, FunctionName=f"arn:aws:lambda:{REGION}:111122223333:function:{name}")[0] == "ResourceNotFoundException"
    dry = client.invoke(FunctionName=name, InvocationType="DryRun")
    assert dry["StatusCode"] == 204
    code, text = failure(client.create_function_url_config, FunctionName=name, AuthType="NONE")
    assert code == "NotImplementedException" and "CreateFunctionUrlConfig" in text


def test_another_account_sees_nothing_of_it(client, host, name):
    functions.create(client, name, SMALL % 0)
    other = host.client("lambda", *other_account(host))
    assert other.list_functions()["Functions"] == []
    assert failure(other.invoke, FunctionName=name)[0] == "ResourceNotFoundException"
    assert failure(other.get_function, FunctionName=functions.arn(name))[0] == "ResourceNotFoundException"


def other_account(host):
    made = subprocess.run([BINARY, "key", "create", "--data", host.data, "--account", "111122223333"], check=True,
                          capture_output=True, text=True)
    file = configparser.ConfigParser()
    file.read_string(made.stdout)
    section = file[file.sections()[0]]
    return section["aws_access_key_id"], section["aws_secret_access_key"]


# ---------------------------------------------------------------------------------------------------- asynchronous

ASYNC = """
import time
def handler(event, context):
    print("RAN", event, context.aws_request_id)
    if event == "fail":
        raise ValueError("again")
    if event == "slow":
        time.sleep(3)
"""


def ran(host, word):
    return [l for l in host.log().splitlines() if f'line="RAN {word}' in l]


def test_an_event_is_run_after_it_was_acknowledged(client, host, name):
    functions.create(client, name, ASYNC)
    answer = client.invoke(FunctionName=name, InvocationType="Event", Payload=b'"once"')
    assert answer["StatusCode"] == 202 and answer["Payload"].read() == b""
    functions.wait_until(lambda: ran(host, "once"))


def test_an_event_that_fails_is_tried_twice_more(client, host, name):
    functions.create(client, name, ASYNC)
    client.invoke(FunctionName=name, InvocationType="Event", Payload=b'"fail"')
    functions.wait_until(lambda: len(ran(host, "fail")) == 1)
    functions.wait_until(lambda: "ValueError" in host.log())
    host.advance(61)
    functions.wait_until(lambda: len(ran(host, "fail")) == 2)
    host.advance(121)
    functions.wait_until(lambda: len(ran(host, "fail")) == 3)
    functions.wait_until(lambda: "is given up" in host.log())
    assert len({l.rsplit(" ", 1)[1] for l in ran(host, "fail")}) == 1, "one request id"


def test_functions_and_events_survive_a_kill(tmp_path):
    server = Server(tmp_path / "data", ("--test", *functions.ARGUMENTS)).start()
    client = server.client("lambda", read_timeout=60)
    functions.create(client, "kept", ASYNC, Tags={"a": "b"})
    functions.create(client, "echo", SMALL % "kept")
    client.add_permission(FunctionName="kept", StatementId="s", Action="lambda:InvokeFunction", Principal="iot.amazonaws.com")
    client.put_function_concurrency(FunctionName="kept", ReservedConcurrentExecutions=0)
    for n in range(3):
        assert client.invoke(FunctionName="kept", InvocationType="Event", Payload=json.dumps(f"event{n}").encode())["StatusCode"] == 202
    server.kill()
    server.start()
    client = server.client("lambda", read_timeout=60)
    assert functions.invoke(client, "echo") == "kept"
    assert client.list_tags(Resource=functions.arn("kept"))["Tags"] == {"a": "b"}
    assert "iot.amazonaws.com" in client.get_policy(FunctionName="kept")["Policy"]
    assert not ran(server, "event")
    client.delete_function_concurrency(FunctionName="kept")
    for n in range(3):
        functions.wait_until(lambda: ran(server, f"event{n}"))
    server.stop()


def test_a_server_that_ends_takes_its_functions_with_it(tmp_path):
    server = Server(tmp_path / "data", ("--test", *functions.ARGUMENTS)).start()
    client = server.client("lambda", read_timeout=60)
    functions.create(client, "pid", "import os, time\ndef handler(event, context):\n    time.sleep(event)\n    return os.getpid()\n")
    functions.invoke(client, "pid", 0)
    children = functions.instances(server)
    assert children
    server.kill()
    functions.wait_until(lambda: not any(alive(p) for p in children))


def alive(pid):
    import pathlib
    try:
        return "app.handler" in pathlib.Path(f"/proc/{pid}/cmdline").read_text()
    except OSError:
        return False


# ---------------------------------------------------------------------------------------------------- elsewhere, otherwise

AUTHORIZE = """
import os
def handler(event, context):
    policy = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "iot:*", "Resource": "*"}]}
    return {"isAuthenticated": True, "principalId": "elsewhere", "policyDocuments": [policy]}
"""


def test_functions_may_be_called_at_another_endpoint(host, client, tmp_path, monkeypatch):
    functions.create(client, "elsewhere", AUTHORIZE)
    key, secret = host.credentials
    monkeypatch.setenv("AWS_CA_BUNDLE", host.ca_file)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", key)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", secret)
    monkeypatch.setenv("AWS_ENDPOINT_URL_LAMBDA", host.url)
    server = Server(tmp_path / "data", ("--test",)).start()
    monkeypatch.undo()
    try:
        iot = server.client("iot")
        iot.create_authorizer(authorizerName="there", authorizerFunctionArn=functions.arn("elsewhere"), signingDisabled=True)
        answer = iot.test_invoke_authorizer(authorizerName="there")
        assert answer["isAuthenticated"] is True and answer["principalId"] == "elsewhere"
        iot.update_authorizer(authorizerName="there", authorizerFunctionArn=functions.arn("not-there"))
        code, text = failure(iot.test_invoke_authorizer, authorizerName="there")
        assert code == "InvalidResponseException" and "Function not found" in text
    finally:
        server.stop()


def test_without_namespaces_a_function_still_sees_only_its_folders(tmp_path):
    server = Server(tmp_path / "data", ("--test", "--lambda-uncontained", *functions.ARGUMENTS)).start()
    client = server.client("lambda", read_timeout=60)
    functions.create(client, "held", """
import os, tempfile, subprocess
def handler(event, context):
    out = {}
    for path in event:
        try:
            out[path] = open(path).read(10)
        except OSError as e:
            out[path] = e.errno
    with tempfile.TemporaryFile() as f:
        f.write(b"x" * 100000)
    out["shell"] = subprocess.run(["sh", "-c", "echo $((6*7))"], capture_output=True, text=True).stdout.strip()
    return out
""")
    secret = str(server.data / "credentials")
    got = functions.invoke(client, "held", [secret, "/root/.bashrc", "/etc/hostname"])
    assert got[secret] == 13 and got["/root/.bashrc"] in (2, 13) and isinstance(got["/etc/hostname"], str)
    assert got["shell"] == "42"
    server.stop()


def test_without_namespaces_a_function_cannot_end_the_server(tmp_path):
    landlock = ctypes.CDLL(None).syscall(444, None, 0, 1)
    if landlock < 6:
        pytest.skip(f"Landlock keeps signals in since its version 6; this kernel has {landlock}")
    server = Server(tmp_path / "data", ("--test", "--lambda-uncontained", *functions.ARGUMENTS)).start()
    client = server.client("lambda", read_timeout=60)
    functions.create(client, "killer", """
import os, signal, subprocess
def handler(event, context):
    child = subprocess.Popen(["sleep", "600"])
    child.kill()
    own = child.wait()
    try:
        os.kill(os.getppid(), signal.SIGKILL)
    except PermissionError:
        return own
""")
    assert functions.invoke(client, "killer") == -9
    assert server.alive()
    server.stop()


@pytest.mark.parametrize("end", ["ended by the server", "ended by itself"])
def test_without_namespaces_what_a_function_started_ends_with_it(tmp_path, end):
    server = Server(tmp_path / "data", ("--test", "--lambda-uncontained", *functions.ARGUMENTS)).start()
    client = server.client("lambda", read_timeout=60)
    functions.create(client, "leaves", """
import os, time
def handler(event, context):
    if event == "end":
        os._exit(3)
    ours, theirs = os.pipe()
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            os.write(theirs, str(os.getpid()).encode())
            time.sleep(600)
        os._exit(0)
    os.wait()
    return int(os.read(ours, 20))
""")
    pid = functions.invoke(client, "leaves", 0)
    assert alive(pid)
    if end == "ended by itself":
        client.invoke(FunctionName="leaves", Payload=b'"end"')
    else:
        server.stop()
    functions.wait_until(lambda: not alive(pid))
    if end == "ended by itself":
        server.stop()


def test_a_python_without_awslambdaric_says_what_to_install(tmp_path):
    server = Server(tmp_path / "data", ("--test", "--lambda-python", "/no/such/python")).start()
    client = server.client("lambda", read_timeout=60)
    functions.create(client, "f", SMALL % 1)
    code, text = failure(client.invoke, FunctionName="f")
    assert code == "InvalidRuntimeException" and "awslambdaric" in text and "--lambda-python" in text
    failure(client.invoke, FunctionName="f")
    [told] = [line for line in server.log().splitlines() if " WARN " in line and "function=f" in line]
    assert "awslambdaric" in told and "--lambda-python" in told
    server.stop()


def test_a_python_of_another_version_than_the_runtime_is_told_once_in_the_log(tmp_path):
    server = Server(tmp_path / "data", ("--test", "--lambda-python", sys.executable)).start()
    client = server.client("lambda", read_timeout=60)
    own = f"python3.{sys.version_info[1]}"
    for runtime, name in ((own, "same"), ("python3.8" if own != "python3.8" else "python3.9", "other")):
        client.create_function(FunctionName=name, Role=functions.ROLE, Runtime=runtime, Handler="app.handler",
                               Code={"ZipFile": functions.python(SMALL % 1)})
        assert [functions.invoke(client, name) for _ in range(2)] == [1, 1]
    told = [line for line in server.log().splitlines() if " WARN " in line and "--lambda-python" in line]
    assert len(told) == 1 and "function=other" in told[0] and own in told[0]
    server.stop()
