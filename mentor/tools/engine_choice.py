"""Which engine runs a tool source: monty, or CPython workers. Decided once, when the toolset is loaded.

The source runs only inside the engine that is tried.
"""

from __future__ import annotations

import ast
from collections.abc import Callable

from mentor.errors import ConfigError, InputError
from mentor.tools.cpython.cpython_check import check_loads
from mentor.tools.cpython.cpython_engine import CPythonEngine
from mentor.tools.engine import Limits, ToolEngine
from mentor.tools.monty.monty_check import check_runs
from mentor.tools.monty.monty_engine import MontyEngine
from mentor.tools.source import Source

SOURCE_ENGINES: dict[str, Callable[[Source, Limits], ToolEngine]] = {"monty": MontyEngine, "cpython": CPythonEngine}
ENGINES = ("auto", *SOURCE_ENGINES)


def choose_engine(source: Source, tree: ast.Module, origin: str, engine: str) -> tuple[str, str]:
    """Return (`monty` or `cpython`, why); `auto` is monty where it runs all of the source, else cpython.

    Raises InputError with `origin:line`, the construct and the reason when the engine cannot run the source,
    ConfigError for an engine that is not known or that has no trusted form.
    """
    if engine not in ENGINES:
        raise ConfigError(f"tools.engine={engine} is not accepted: {', '.join(ENGINES)}")
    if source.trusted:
        if engine == "monty":
            raise ConfigError("tools.engine=monty and tools.trusted=true exclude each other: monty is a sandbox")
        check_loads(source, tree, origin)
        return "cpython", "trusted: no sandbox"
    if engine == "cpython":
        check_loads(source, tree, origin)
        return "cpython", "as tools.engine says"
    try:
        check_runs(source.text, tree, origin)
        return "monty", ""
    except InputError as refusal:
        if engine == "monty":
            raise
        check_loads(source, tree, origin)
        return "cpython", str(refusal).replace("the sandbox", "monty")
