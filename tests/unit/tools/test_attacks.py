"""Attacks on both engines: each is a tool's body; none may escape or hang, and the next call is served at once.

An attack escapes when it changes or learns something of the host. What it may learn or change is checked by `ESCAPED`
(it returns the word), by a secret in the environment and files of this process, and by what is left behind afterwards.
"""

import asyncio
import os
import re
import socket
import statistics
import textwrap
import time
from pathlib import Path

import pytest

from mentor.errors import ToolError
from mentor.tools import ToolExecutor, Toolset
from mentor.tools.engine import Limits
from mentor.tools.monty.sandbox import Sandbox
from mentor.types import ToolResult

SECRET = "mentor-secret-5127"
TIMEOUT_S = 0.4


def read_attacks() -> dict[str, str]:
    """Bodies of the tool `attack` by name."""
    text = (Path(__file__).parents[2] / "fixtures" / "attacks.txt").read_text()
    parts = re.split(r"^## (.+)\n", text, flags=re.MULTILINE)[1:]
    bodies = {name: re.sub(r"\n+(# .*)?\s*$", "", body) for name, body in zip(parts[::2], parts[1::2], strict=True)}
    assert len(bodies) == len(parts) // 2 >= 80
    return bodies


ATTACKS = read_attacks()

QUICK = (
    "endless loop that catches all", "regex bomb", "growing text", "growing power", "deep recursion", "deep result",
    "read a file", "write a file", "environment", "/proc of another", "subprocess", "fork bomb", "kill a process",
    "core dump", "leave", "tcp", "garbage on every descriptor", "forged answers", "endless answer",
    "close all descriptors", "flood of output", "subclasses", "patched builtins", "replaced tools",
)  # fmt: skip

SOURCE = """
def attack(text: str = "") -> str:
BODY

def fine() -> str:
    import math
    return "fine" + str(len([math.sqrt(4)]))
"""


def source_of(name: str, host: dict) -> str:
    body = textwrap.indent(ATTACKS[name], "    ")
    for key, value in host.items():
        body = body.replace(f"{{{key}}}", str(value))
    return SOURCE.replace("BODY", body)


@pytest.fixture
def host(tmp_path, monkeypatch):
    """Values for the attacks: a folder with a secret, this process and a port that is listened on."""
    (tmp_path / "secret").write_text(SECRET)
    monkeypatch.setenv("MENTOR_SECRET", SECRET)
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield {"home": str(tmp_path), "pid": os.getpid(), "port": server.getsockname()[1], "terces": SECRET[::-1]}


def attack(engine: str, source: str) -> tuple[ToolResult, list[ToolResult], list[float]]:
    """The attack's result, then those of an honest call in its session, in another and three in new ones; ms of these.

    The toolset is made directly: what an attack imports may well be refused when it is loaded.
    """
    shape = {"parameters": {"type": "object"}}
    schemas = [{"type": "function", "function": {"name": name, **shape}} for name in ("attack", "fine")]
    toolset = Toolset("attacks", source, schemas, engine=engine)

    async def run():
        async with ToolExecutor(toolset, timeout_s=TIMEOUT_S, workers=2) as executor:
            await executor.call("fine", {}, "victim")
            begun = time.perf_counter()
            result = await executor.call("attack", {}, "attacker")
            assert time.perf_counter() - begun < TIMEOUT_S + 2
            after, times = [], []
            for session in ("victim", None, None, None):
                begun = time.perf_counter()
                after.append(await executor.call("fine", {}, session))
                times.append(1e3 * (time.perf_counter() - begun))
            await executor.call("fine", {}, "attacker")  # whatever it says, it ends
            return result, after, times

    return asyncio.run(run())


def check(engine: str, name: str, host: dict) -> None:
    home = Path(host["home"])
    result, after, times = attack(engine, source_of(name, host))
    assert "ESCAPED" not in result.text and SECRET not in result.text, result
    assert len(result.text) < 2100 and ("\n" not in result.text or result.ok)
    assert [(later.text, later.ok) for later in after] == [("fine1", True)] * 4, result
    assert statistics.median(times) < 100, times
    assert sorted(path.name for path in home.iterdir()) == ["secret"]
    secret = (home / "secret").stat()
    assert (home / "secret").read_text() == SECRET and secret.st_mode & 0o777 != 0o777 and secret.st_mtime > 1
    assert not Path("/dev/shm/mentor-attacked").exists()


@pytest.mark.parametrize("name", QUICK)
def test_an_attack_on_cpython_workers_gets_nowhere(name, host):
    check("cpython", name, host)


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in ATTACKS if name not in QUICK])
def test_no_attack_on_cpython_workers_gets_anywhere(name, host):
    check("cpython", name, host)


@pytest.mark.slow
@pytest.mark.parametrize("name", list(ATTACKS))
def test_no_attack_on_monty_gets_anywhere(name, host):
    if not loads_in_monty(source_of(name, host)):
        pytest.skip("monty refuses the source when it is loaded")
    check("monty", name, host)


def loads_in_monty(source: str) -> bool:
    toolset = Toolset("attacks", source, [])
    try:
        with Sandbox(toolset.loaded, Limits(timeout_s=1.0, workers=1)):
            return True
    except ToolError:
        return False
