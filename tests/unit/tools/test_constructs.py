"""Everyday Python in a user's tools gives what it gives in plain CPython."""

import asyncio
from pathlib import Path

from mentor.tools import ToolExecutor, Toolset

LINES = (Path(__file__).parents[2] / "fixtures" / "constructs.txt").read_text().splitlines()
CONSTRUCTS = [line for line in LINES if line and not line.startswith("#")]
TOOL = """
def _body_{number}():
{body}

def tool_{number}() -> str:
    try:
        return repr(_body_{number}())
    except Exception as error:
        return f"{{type(error).__name__}}: {{error}}"
"""


def source() -> str:
    bodies = ["\n".join("    " + line for line in text.split("¶")) for text in CONSTRUCTS]
    return "".join(TOOL.format(number=number, body=body) for number, body in enumerate(bodies))


def test_constructs_in_tools_are_those_of_cpython(tmp_path):
    path = tmp_path / "tools.py"
    path.write_text(source())
    plain: dict = {"__name__": "tools"}
    exec(compile(source(), "tools", "exec", dont_inherit=True), plain)
    names = [f"tool_{number}" for number in range(len(CONSTRUCTS))]

    async def run() -> list[str]:
        toolset = Toolset.from_python(path)
        async with ToolExecutor(toolset, timeout_s=20, memory_mib=256, max_output_chars=10_000) as executor:
            return [(await executor.call(name, {}, "s")).text for name in names]

    shown = dict(zip(CONSTRUCTS, asyncio.run(run()), strict=True))
    expected = {text: plain[name]() for text, name in zip(CONSTRUCTS, names, strict=True)}
    assert len(CONSTRUCTS) > 200 and {text for text in shown if shown[text] != expected[text]} == set()
