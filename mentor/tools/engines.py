"""Which engine serves a toolset: the interpreter of `monty/`, or the workers of `cpython/`.

Decided once, when the toolset is loaded, and said in its `note`. The source runs only inside the engine that is tried.
"""

from __future__ import annotations

import ast

from mentor.errors import ConfigError, InputError
from mentor.tools.cpython.pool import LOAD_TIMEOUT_S, Limits, Source, WorkerPool
from mentor.tools.monty.check import check_runs
from mentor.tools.source import probes

ENGINES = ("auto", "monty", "cpython")
LOAD_MEMORY_MIB = 1024


def choose_engine(source: Source, tree: ast.Module, origin: str, engine: str) -> tuple[str, str]:
    """(`monty` or `cpython`, why) for a source; `auto` is monty where it runs all of it, else cpython.

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


def check_loads(source: Source, tree: ast.Module, origin: str) -> None:
    """Load the source in a CPython worker and look up there what its functions need.

    Raises InputError as `choose_engine` does, ToolError when no worker can be had.
    """
    where = "a worker" if source.trusted else "the sandbox"
    with WorkerPool(source, Limits(LOAD_TIMEOUT_S, LOAD_MEMORY_MIB, 2000), spares=0) as pool:
        if pool.failure:
            raise InputError(_refusal(pool.failure, source.text, origin, where))
        worker = pool.take()
        try:
            for line, construct, code in sorted(probes(source.text, tree)):
                failure = pool.probe(worker, code)
                if failure:
                    reason = failure.partition(":")[2]
                    raise InputError(f"{origin}:{line}: {where} cannot run `{construct}`: {reason}")
        finally:
            worker.end()


def load_failure(failure: str, source: str, origin: str) -> str:
    """One line on a source that does not load in the limits of a run: `failure` is `line:reason`."""
    return _refusal(failure, source, origin, "the sandbox")


def _refusal(failure: str, source: str, origin: str, where: str) -> str:
    number, _, reason = failure.partition(":")
    lines = source.splitlines() or [""]
    line = min(int(number), len(lines))
    return f"{origin}:{line}: {where} cannot run `{lines[line - 1].strip()}`: {reason}"
