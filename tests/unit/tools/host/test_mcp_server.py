"""Tools of MCP servers, over stdio and HTTP."""

import shlex
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mentor.errors import ToolError
from mentor.tools import Toolset, build_toolset
from mentor.types import CallError
from tests.unit.tools.host.builders import call_all

SERVER = Path(__file__).parents[3] / "fixtures" / "mcp_notes.py"
NOTES = shlex.join([sys.executable, str(SERVER)])


@pytest.fixture(scope="module")
def notes() -> Toolset:
    return Toolset.from_mcp(NOTES)


def test_a_trajectory_has_an_mcp_server_of_its_own(notes):
    assert notes.names == ("note", "add", "fail", "hang", "die")
    one, two, other, invalid, failed = call_all(
        notes,
        ("note", {"text": "a"}, "1"),
        ("note", {"text": "b"}, "1"),
        ("note", {"text": "c"}, "2"),
        ("add", {"a": "x", "b": 1}, "2"),
        ("fail", {"reason": "on purpose"}, "2"),
        timeout_s=20,
    )
    assert [one.text, two.text, other.text] == ["1", "2", "1"]
    assert invalid.error is CallError.INVALID_ARGUMENTS and failed.error is CallError.EXCEPTION


def test_sessions_share_a_server_where_it_is_said():
    results = call_all(build_toolset("mcp", server=NOTES, shared=True), *[("note", {"text": "a"}, s) for s in "12"])
    assert [result.text for result in results] == ["1", "2"]


def test_a_server_that_hangs_or_dies_is_replaced(notes):
    hung, after, died, again = call_all(
        notes,
        ("hang", {}, "1"),
        ("note", {"text": "a"}, "1"),
        ("die", {}, "1"),
        ("note", {"text": "a"}, "1"),
        timeout_s=1.0,
    )
    assert hung.error is CallError.TIMEOUT and hung.seconds < 2 and after.text == "1"
    assert died.error is CallError.CRASH and again.text == "1"


def test_a_server_over_http():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    server = subprocess.Popen([sys.executable, str(SERVER), str(port)], stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.1)
        (result,) = call_all(Toolset.from_mcp(f"http://127.0.0.1:{port}/mcp"), ("add", {"a": 2, "b": 3}, "1"))
    finally:
        server.kill()
        server.wait()
    assert result.text == "5"


def test_a_server_that_cannot_be_used_is_named():
    with pytest.raises(ToolError, match=r"the MCP server '.*no database.*' cannot be used: .*\(no database\)"):
        Toolset.from_mcp(shlex.join([sys.executable, "-c", "import sys; sys.exit('no database')"]))
    with pytest.raises(ToolError, match="cannot be used"):
        Toolset.from_mcp("no-such-command-anywhere")
