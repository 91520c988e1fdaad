"""Pages of lists: a token goes on behind what was listed, through restarts and whatever is made or deleted between."""
import json

import pytest
from conftest import ALLOW_ALL
from support.server import Server

pytestmark = pytest.mark.both

LISTS = {  # operation: (what makes one of that name, member of the answer, of an item, token in, token out, size)
    "list_things": (lambda iot, n: iot.create_thing(thingName=n), "things", "thingName", "nextToken", "nextToken", "maxResults"),
    "list_thing_groups": (lambda iot, n: iot.create_thing_group(thingGroupName=n), "thingGroups", "groupName", "nextToken",
                          "nextToken", "maxResults"),
    "list_thing_types": (lambda iot, n: iot.create_thing_type(thingTypeName=n), "thingTypes", "thingTypeName", "nextToken",
                         "nextToken", "maxResults"),
    "list_billing_groups": (lambda iot, n: iot.create_billing_group(billingGroupName=n), "billingGroups", "groupName",
                            "nextToken", "nextToken", "maxResults"),
    "list_policies": (lambda iot, n: iot.create_policy(policyName=n, policyDocument=json.dumps(ALLOW_ALL)), "policies",
                      "policyName", "marker", "nextMarker", "pageSize"),
}


@pytest.fixture(scope="module")
def own(tmp_path_factory):
    running = Server(tmp_path_factory.mktemp("pages") / "data", ("--test",)).start()
    yield running
    running.stop()


@pytest.mark.parametrize("end", ["stop", "kill"])
@pytest.mark.parametrize("operation", LISTS)
def test_a_token_survives_a_restart_and_what_comes_between(own, operation, end):
    make, items, member, token_in, token_out, size = LISTS[operation]
    iot = own.client("iot")
    ascending = {"ascendingOrder": True} if operation == "list_policies" else {}
    for i in (1, 3, 5, 7):
        make(iot, f"{end}-n{i}")
    first = getattr(iot, operation)(**{size: 2}, **ascending)
    seen = [item[member] for item in first[items]]
    assert len(seen) == 2
    getattr(own, end)()
    own.start()
    iot = own.client("iot")
    make(iot, f"{end}-n8")
    token = first[token_out]
    while token:
        page = getattr(iot, operation)(**{token_in: token, size: 2}, **ascending)
        assert 0 < len(page[items]) <= 2
        seen += [item[member] for item in page[items]]
        token = page.get(token_out)
    assert len(seen) == len(set(seen)), "something is listed twice"
    assert {f"{end}-n{i}" for i in (1, 3, 5, 7, 8)} <= set(seen)


def test_a_token_is_good_for_its_own_list_and_account_alone(server, iot, name, fails):
    for i in range(2):
        iot.create_billing_group(billingGroupName=f"{name}-{i}")
    token = iot.list_billing_groups(maxResults=1, namePrefixFilter=name)["nextToken"]
    for call, more in ((iot.list_billing_groups, {}), (iot.list_billing_groups, {"namePrefixFilter": name[:-1]}),
                       (iot.list_things, {})):
        code, status, message = fails(call, nextToken=token, **more)
        assert (code, status) == ("InvalidRequestException", 400) and "token" in message
    assert fails(iot.list_policies, marker="made up")[0] == "InvalidRequestException"


@pytest.mark.parametrize("size, limit", [(0, "greater than or equal to 1"), (251, "less than or equal to 250")])
def test_a_page_has_a_limit(server, fails, size, limit):
    client = server.client("iot", parameter_validation=False)
    code, status, message = fails(client.list_things, maxResults=size)
    assert (code, status) == ("InvalidRequestException", 400) and limit in message
