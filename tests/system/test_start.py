"""What a start costs: what is loaded and held before anybody asks for anything."""
import pathlib
import re

import pytest
from support.functions import wait_until
from support.server import BINARY, Server, ServerFault

pytestmark = pytest.mark.both
RESIDENT_KB_MAX = 30 * 1024
SANITIZED = b"__asan_init" in BINARY.read_bytes()


@pytest.fixture
def fresh(tmp_path):
    running = Server(tmp_path / "data").start()
    yield running
    running.stop()


def libraries(server):
    maps = pathlib.Path(f"/proc/{server.process.pid}/maps").read_text()
    return {path.rsplit("/", 1)[-1].split(".so")[0] for path in re.findall(r"/\S+\.so\S*", maps)}


def test_what_only_calls_outward_need_is_loaded_by_the_first_of_them(fresh):
    assert "libcurl" not in libraries(fresh)
    fresh.client("iot").create_topic_rule_destination(
        destinationConfiguration={"httpUrlConfiguration": {"confirmationUrl": "https://192.0.2.1/confirm"}})
    wait_until(lambda: "libcurl" in libraries(fresh))


@pytest.mark.skipif(SANITIZED, reason="a sanitizer's own memory is some hundred megabytes")
def test_an_empty_server_is_small(fresh):
    status = pathlib.Path(f"/proc/{fresh.process.pid}/status").read_text()
    assert int(re.search(r"VmRSS:\s+(\d+)", status)[1]) <= RESIDENT_KB_MAX


def test_a_store_in_use_is_what_a_second_server_on_it_says(fresh):
    with pytest.raises(ServerFault, match="is in use by another process"):
        Server(fresh.data).start()
