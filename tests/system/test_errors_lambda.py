"""The errors that Lambda's operations declare, each got by boto3. No function runs here.
Source: botocore's lambda model for code and status; the texts: as AWS answers."""
import json

import pytest
from support import functions
from support.keys import make_key
from support.server import ACCOUNT

NOT_FOUND, INVALID = ("ResourceNotFoundException", 404), ("InvalidParameterValueException", 400)
CONFLICT, PRECONDITION = ("ResourceConflictException", 409), ("PreconditionFailedException", 412)
PERMISSION = {"StatementId": "s", "Action": "lambda:InvokeFunction", "Principal": "iot.amazonaws.com"}
SOURCE = "def handler(event, context):\n    return event\n"


@pytest.fixture(scope="module")
def client(server):
    return server.client("lambda", parameter_validation=False)


@pytest.fixture
def function(client, name):
    name = name[-60:]
    functions.create(client, name, SOURCE)
    return name


# operation, arguments beside the function's name or ARN
BY_NAME = [
    ("get_function", {}), ("get_function_configuration", {}), ("get_function_concurrency", {}), ("get_policy", {}),
    ("get_function_code_signing_config", {}), ("get_function_recursion_config", {}), ("get_runtime_management_config", {}),
    ("list_versions_by_function", {}), ("publish_version", {}), ("delete_function", {}), ("invoke", {}),
    ("put_function_concurrency", {"ReservedConcurrentExecutions": 1}), ("delete_function_concurrency", {}),
    ("add_permission", PERMISSION), ("remove_permission", {"StatementId": "s"}),
    ("update_function_code", {"ZipFile": functions.python(SOURCE)}), ("update_function_configuration", {"Timeout": 4}),
]
BY_ARN = [("list_tags", {}), ("tag_resource", {"Tags": {"a": "b"}}), ("untag_resource", {"TagKeys": ["a"]})]


@pytest.mark.parametrize("operation, more", BY_NAME, ids=[o[0] for o in BY_NAME])
def test_a_function_that_is_not_there(client, fails, name, operation, more):
    missing = name[-60:]
    for given in (missing, functions.arn(missing), functions.arn(missing, "222233334444")):
        code, status, message = fails(getattr(client, operation), FunctionName=given, **more)
        assert (code, status) == NOT_FOUND and missing in message


@pytest.mark.parametrize("operation, more", BY_ARN, ids=[o[0] for o in BY_ARN])
def test_an_arn_of_a_function_that_is_not_there(client, fails, name, operation, more):
    missing = functions.arn(name[-60:])
    code, status, message = fails(getattr(client, operation), Resource=missing, **more)
    assert (code, status) == NOT_FOUND and missing in message


@pytest.mark.parametrize("operation, more", BY_NAME, ids=[o[0] for o in BY_NAME])
def test_a_name_that_is_none(client, fails, operation, more):
    code, status, message = fails(getattr(client, operation), FunctionName="no name at all", **more)
    assert (code, status) in (INVALID, ("ValidationException", 400)) and "functionName" in message


QUALIFIED = ("get_function", "get_function_configuration", "get_policy", "delete_function", "invoke", "add_permission",
             "remove_permission", "get_runtime_management_config")


@pytest.mark.parametrize("operation", QUALIFIED)
def test_two_qualifiers_that_differ(client, fails, function, operation):
    code, status, message = fails(getattr(client, operation), FunctionName=f"{function}:1", Qualifier="2", **dict(BY_NAME)[operation])
    assert (code, status) == INVALID and "qualifier" in message


@pytest.mark.parametrize("operation", [name for name, _ in BY_NAME if "concurrency" in name or "signing" in name or "recursion" in name])
def test_what_a_version_has_not(client, fails, function, operation):
    """Concurrency and the like are the function's; what takes no version says so."""
    client.publish_version(FunctionName=function)
    code, status, message = fails(getattr(client, operation), FunctionName=functions.arn(f"{function}:1"), **dict(BY_NAME)[operation])
    assert (code, status) in (INVALID, ("ValidationException", 400)) and ("unqualified" in message or "functionName" in message)


@pytest.mark.parametrize("operation, more", BY_ARN, ids=[o[0] for o in BY_ARN])
def test_an_arn_that_is_none(client, fails, operation, more):
    code, status, message = fails(getattr(client, operation), Resource="arn:aws:s3:::bucket", **more)
    assert (code, status) in (INVALID, ("ValidationException", 400)) and "esource" in message


def test_a_version_that_is_not_there(client, fails, function):
    for operation in ("get_function", "get_function_configuration", "invoke", "get_policy"):
        code, status, message = fails(getattr(client, operation), FunctionName=function, Qualifier="7")
        assert (code, status) == NOT_FOUND and f"{function}:7" in message


def test_revisions_that_are_old(client, fails, function):
    old = "00000000-0000-4000-8000-000000000000"
    for operation, more in (("publish_version", {}), ("add_permission", PERMISSION), ("update_function_configuration", {"Timeout": 4}),
                            ("update_function_code", {"ZipFile": functions.python(SOURCE)})):
        code, status, message = fails(getattr(client, operation), FunctionName=function, RevisionId=old, **more)
        assert (code, status) == PRECONDITION and "Revision Id" in message
    client.add_permission(FunctionName=function, **PERMISSION)
    assert fails(client.remove_permission, FunctionName=function, StatementId="s", RevisionId=old)[:2] == PRECONDITION
    revision = client.get_policy(FunctionName=function)["RevisionId"]
    client.remove_permission(FunctionName=function, StatementId="s", RevisionId=revision)
    assert fails(client.get_policy, FunctionName=function)[:2] == NOT_FOUND


def test_what_is_taken(client, fails, function):
    assert fails(functions.create, client=client, name=function, source=SOURCE)[:2] == CONFLICT
    client.add_permission(FunctionName=function, **PERMISSION)
    code, status, message = fails(client.add_permission, FunctionName=function, **PERMISSION)
    assert (code, status) == CONFLICT and "(s)" in message
    code, status, message = fails(client.remove_permission, FunctionName=function, StatementId="t")
    assert (code, status) == NOT_FOUND and "t is not found" in message


def test_a_resource_policy_has_20_kilobytes(client, fails, function):
    for i in range(80):
        try:
            client.add_permission(FunctionName=function, **{**PERMISSION, "StatementId": f"statement-{i}-{'x' * 80}"},
                                  SourceArn=f"arn:aws:iot:us-east-1:{ACCOUNT}:rule/{'r' * 100}")
        except client.exceptions.PolicyLengthExceededException as error:
            assert error.response["ResponseMetadata"]["HTTPStatusCode"] == 400 and "20480" in str(error)
            break
    else:
        pytest.fail("a policy of any size is taken")
    assert len(json.loads(client.get_policy(FunctionName=function)["Policy"])["Statement"]) == i


BAD = [
    ("create_function", {"Runtime": "cobol85"}, "cobol85"),
    ("create_function", {"Timeout": 901}, "900"),
    ("create_function", {"MemorySize": 64}, "128"),
    ("create_function", {"MemorySize": 20000}, "10240"),
    ("create_function", {"Environment": {"Variables": {"AWS_REGION": "x"}}}, "AWS_REGION"),
    ("create_function", {"Code": {"ZipFile": b"no zip"}}, "unzip"),
    ("create_function", {"Code": {}}, "zip"),
    ("create_function", {"Tags": {f"k{i}": "v" for i in range(51)}}, "50"),
    ("create_function", {"Layers": ["arn:aws:lambda:us-east-1:123456789012:layer:x:1"]}, "Layers"),
    ("create_function", {"PackageType": "Image", "Code": {"ImageUri": "x"}}, "Image"),
    ("create_function", {"VpcConfig": {"SubnetIds": ["subnet-1"], "SecurityGroupIds": ["sg-1"]}}, "VpcConfig"),
    ("create_function", {"Architectures": ["x86_64", "arm64"]}, "rchitecture"),
    ("update_function_code", {"ZipFile": b"no zip"}, "unzip"),
    ("update_function_configuration", {"Timeout": 0}, "1"),
    ("update_function_configuration", {"Environment": {"Variables": {"LONG": "y" * 5000}}}, "4"),
    ("put_function_concurrency", {"ReservedConcurrentExecutions": -1}, "0"),
    ("publish_version", {"CodeSha256": "x"}, "CodeSHA256"),
    ("invoke", {"InvocationType": "Sometimes"}, "nvocationType"),
    ("invoke", {"Payload": b"{no json"}, "json"),
    ("add_permission", {**PERMISSION, "Principal": ""}, "principal"),
    ("add_permission", {**PERMISSION, "FunctionUrlAuthType": "NONE"}, "URL"),
]


@pytest.mark.parametrize("operation, arguments, words", BAD, ids=[f"{b[0]}-{'-'.join(b[1])}-{b[2]}" for b in BAD])
def test_a_value_that_cannot_be(client, fails, function, operation, arguments, words):
    settings = {"FunctionName": function}
    if operation == "create_function":
        settings = {"FunctionName": f"{function[:50]}-new", "Role": functions.ROLE, "Runtime": "python3.12", "Handler": "app.handler",
                    "Code": {"ZipFile": functions.python(SOURCE)}}
    code, status, message = fails(getattr(client, operation), **{**settings, **arguments})
    assert status == 400 and words in message, (code, status, message)
    assert code in ("InvalidParameterValueException", "ValidationException", "InvalidRequestContentException")
    if operation == "create_function":
        assert fails(client.get_function, FunctionName=settings["FunctionName"])[:2] == NOT_FOUND


def test_what_is_kept_beside_a_function(client, fails, function):
    """Reserved concurrency and the few settings that are read back as AWS has them from the start."""
    assert "ReservedConcurrentExecutions" not in client.get_function_concurrency(FunctionName=function)
    client.put_function_concurrency(FunctionName=function, ReservedConcurrentExecutions=3)
    assert client.get_function_concurrency(FunctionName=function)["ReservedConcurrentExecutions"] == 3
    client.put_function_concurrency(FunctionName=function, ReservedConcurrentExecutions=4)
    assert client.get_function_concurrency(FunctionName=functions.arn(function))["ReservedConcurrentExecutions"] == 4
    client.delete_function_concurrency(FunctionName=function)
    assert "ReservedConcurrentExecutions" not in client.get_function_concurrency(FunctionName=function)
    assert client.get_function_recursion_config(FunctionName=function)["RecursiveLoop"] == "Allow"  # nothing ends circles here
    assert client.get_runtime_management_config(FunctionName=function)["UpdateRuntimeOn"] == "Auto"
    assert "CodeSigningConfigArn" not in client.get_function_code_signing_config(FunctionName=function)
    code, status, message = fails(client.delete_function, FunctionName=function, Qualifier="$LATEST")
    assert (code, status) == INVALID and "$LATEST" in message
    client.delete_function(FunctionName=function)
    assert fails(client.delete_function, FunctionName=function)[:2] == NOT_FOUND


def test_another_account_has_none_of_it(server, fails, function):
    other = server.client("lambda", *make_key(server, account="222233334444"))
    for operation, more in BY_NAME:
        for given in (function, functions.arn(function)):
            assert fails(getattr(other, operation), FunctionName=given, **more)[:2] == NOT_FOUND
    for operation, more in BY_ARN:
        code, status, message = fails(getattr(other, operation), Resource=functions.arn(function), **more)
        assert status in (400, 403, 404), message
    assert function not in [f["FunctionName"] for page in other.get_paginator("list_functions").paginate() for f in page["Functions"]]
    functions.create(other, function, SOURCE)  # the name is free there
    other.delete_function(FunctionName=function)
