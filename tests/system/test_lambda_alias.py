"""Aliases of functions: made, read, changed, called, weighed, deleted. Source: botocore's lambda model; Lambda developer guide."""
import json

import pytest
from support import functions
from support.keys import make_key
from support.server import Server

SOURCE = "def handler(event, context):\n    return {version}, context.function_version, context.invoked_function_arn\n"
NOT_FOUND, INVALID = ("ResourceNotFoundException", 404), ("InvalidParameterValueException", 400)


@pytest.fixture(scope="module")
def host(tmp_path_factory):
    running = Server(tmp_path_factory.mktemp("alias") / "data", ("--test", *functions.ARGUMENTS)).start()
    yield running
    running.stop()


@pytest.fixture(scope="module")
def client(host):
    return host.client("lambda", read_timeout=60)


@pytest.fixture
def function(client, name):
    """Two versions that answer which they are."""
    name = name[-50:]
    functions.create(client, name, SOURCE.format(version=1), Publish=True)
    client.update_function_code(FunctionName=name, ZipFile=functions.python(SOURCE.format(version=2)), Publish=True)
    return name


def test_an_alias_from_its_making_to_its_end(client, function, fails):
    made = client.create_alias(FunctionName=function, Name="live", FunctionVersion="1", Description="first")
    assert made["ResponseMetadata"]["HTTPStatusCode"] == 201
    assert {k: made[k] for k in ("AliasArn", "Name", "FunctionVersion", "Description")} == {
        "AliasArn": functions.arn(f"{function}:live"), "Name": "live", "FunctionVersion": "1", "Description": "first"}
    code, status, message = fails(client.create_alias, FunctionName=function, Name="live", FunctionVersion="2")
    assert (code, status) == ("ResourceConflictException", 409) and "live" in message
    got = client.get_alias(FunctionName=functions.arn(function), Name="live")
    assert got["RevisionId"] == made["RevisionId"]
    assert functions.invoke(client, functions.arn(f"{function}:live")) == [1, "1", functions.arn(f"{function}:live")]
    configuration = client.get_function(FunctionName=function, Qualifier="live")["Configuration"]
    assert (configuration["FunctionArn"], configuration["Version"]) == (functions.arn(f"{function}:live"), "1")
    assert client.invoke(FunctionName=function, Qualifier="live")["ExecutedVersion"] == "1"
    old = made["RevisionId"]
    changed = client.update_alias(FunctionName=function, Name="live", FunctionVersion="2", RevisionId=old)
    assert (changed["FunctionVersion"], changed["Description"]) == ("2", "first") and changed["RevisionId"] != old
    assert fails(client.update_alias, FunctionName=function, Name="live", RevisionId=old)[:2] == ("PreconditionFailedException", 412)
    assert functions.invoke(client, function, Qualifier="live")[0] == 2
    code, status, message = fails(client.delete_function, FunctionName=function, Qualifier="2")
    assert (code, status) == ("ResourceConflictException", 409) and "live" in message
    assert fails(client.delete_function, FunctionName=function, Qualifier="live")[:2] == INVALID
    for _ in range(2):
        client.delete_alias(FunctionName=function, Name="live")
    code, status, message = fails(client.get_alias, FunctionName=function, Name="live")
    assert (code, status) == NOT_FOUND and f"{function}:live" in message
    assert fails(client.update_alias, FunctionName=function, Name="live")[:2] == NOT_FOUND
    assert fails(client.invoke, FunctionName=function, Qualifier="live")[:2] == NOT_FOUND
    client.delete_function(FunctionName=function, Qualifier="2")


def test_aliases_are_listed_in_pages_and_by_version(client, function):
    for i in range(5):
        client.create_alias(FunctionName=function, Name=f"a{i}", FunctionVersion=str(1 + i % 2))
    first = client.list_aliases(FunctionName=function, MaxItems=3)
    second = client.list_aliases(FunctionName=function, MaxItems=3, Marker=first["NextMarker"])
    assert [a["Name"] for a in first["Aliases"]] == ["a0", "a1", "a2"]
    assert [a["Name"] for a in second["Aliases"]] == ["a3", "a4"] and "NextMarker" not in second
    assert [a["Name"] for a in client.list_aliases(FunctionName=function, FunctionVersion="2")["Aliases"]] == ["a1", "a3"]


def test_two_versions_by_weight(client, function, fails):
    client.create_alias(FunctionName=function, Name="mixed", FunctionVersion="1",
                        RoutingConfig={"AdditionalVersionWeights": {"2": 0.5}})
    assert client.get_alias(FunctionName=function, Name="mixed")["RoutingConfig"] == {"AdditionalVersionWeights": {"2": 0.5}}
    seen = {functions.invoke(client, function, Qualifier="mixed")[0] for _ in range(40)}
    assert seen == {1, 2}  # one alone: once in 2^39
    client.update_alias(FunctionName=function, Name="mixed", RoutingConfig={"AdditionalVersionWeights": {}})
    assert "RoutingConfig" not in client.get_alias(FunctionName=function, Name="mixed")
    assert {functions.invoke(client, function, Qualifier="mixed")[0] for _ in range(5)} == {1}
    for weights, words in (({"1": 0.5}, "already"), ({"2": 0.5, "3": 0.5}, "greater than 1"), ({"$LATEST": 0.5}, "$LATEST")):
        code, status, message = fails(client.update_alias, FunctionName=function, Name="mixed",
                                      RoutingConfig={"AdditionalVersionWeights": weights})
        assert status == 400 and code in (INVALID[0], "ValidationException"), message
    assert fails(client.update_alias, FunctionName=function, Name="mixed",
                 RoutingConfig={"AdditionalVersionWeights": {"9": 0.1}})[:2] == NOT_FOUND


@pytest.mark.parametrize("arguments, expected", [
    ({"Name": "x", "FunctionVersion": "9"}, NOT_FOUND), ({"Name": "12", "FunctionVersion": "1"}, ("ValidationException", 400)),
    ({"Name": "no name", "FunctionVersion": "1"}, ("ValidationException", 400)),
])
def test_an_alias_that_cannot_be(client, function, fails, arguments, expected):
    assert fails(client.create_alias, FunctionName=function, **arguments)[:2] == expected
    assert client.list_aliases(FunctionName=function)["Aliases"] == []


def test_what_is_not_there(client, fails, name):
    for call, more in ((client.create_alias, {"Name": "a", "FunctionVersion": "1"}), (client.get_alias, {"Name": "a"}),
                       (client.update_alias, {"Name": "a"}), (client.delete_alias, {"Name": "a"}), (client.list_aliases, {})):
        assert fails(call, FunctionName=name[-50:], **more)[:2] == NOT_FOUND


def test_a_permission_of_an_alias_is_its_own(client, host, function, fails):
    """What calls by the alias's ARN needs a permission on the alias: an authorizer here."""
    client.create_alias(FunctionName=function, Name="live", FunctionVersion="1")
    iot = host.client("iot")
    iot.create_authorizer(authorizerName=function, authorizerFunctionArn=functions.arn(f"{function}:live"), signingDisabled=True,
                          status="ACTIVE")
    permission = {"StatementId": "s", "Action": "lambda:InvokeFunction", "Principal": "iot.amazonaws.com"}
    client.add_permission(FunctionName=function, **permission)
    assert "resource policy" in fails(iot.test_invoke_authorizer, authorizerName=function, token="x")[2]
    client.add_permission(FunctionName=function, Qualifier="live", **permission)
    policy = client.get_policy(FunctionName=function, Qualifier="live")
    assert json.loads(policy["Policy"])["Statement"][0]["Resource"] == functions.arn(f"{function}:live")
    assert policy["RevisionId"] == client.get_alias(FunctionName=function, Name="live")["RevisionId"]
    _, _, message = fails(iot.test_invoke_authorizer, authorizerName=function, token="x")
    assert "resource policy" not in message  # it was called: what it answered is no authorizer's answer


def test_another_account_has_none_and_a_kill_loses_none(client, host, function, fails):
    client.create_alias(FunctionName=function, Name="live", FunctionVersion="1")
    other = host.client("lambda", *make_key(host, account="222233334444"))
    for name in (function, functions.arn(function)):
        assert fails(other.get_alias, FunctionName=name, Name="live")[:2] == NOT_FOUND
        assert fails(other.list_aliases, FunctionName=name)[:2] == NOT_FOUND
    host.kill()
    host.start()
    again = host.client("lambda", read_timeout=60)
    assert again.get_alias(FunctionName=function, Name="live")["FunctionVersion"] == "1"
    assert functions.invoke(again, function, Qualifier="live")[0] == 1
    again.delete_function(FunctionName=function)
    functions.create(again, function, SOURCE.format(version=3), Publish=True)
    assert again.list_aliases(FunctionName=function)["Aliases"] == []
