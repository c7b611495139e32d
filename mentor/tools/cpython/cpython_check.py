"""Whether a CPython worker can run a tool source: load it in one and look up there what its functions need."""

from __future__ import annotations

import ast
import re

from mentor.errors import InputError
from mentor.tools.cpython.handle import LOAD_TIMEOUT_S
from mentor.tools.cpython.pool import WorkerPool
from mentor.tools.engine import Limits
from mentor.tools.source import Source, probes

LOAD_MEMORY_MIB = 1024
DENIED = ("FileNotFoundError", "PermissionError")  # how reading files, starting programs and the like fail in it
MISSING_MODULE = re.compile(r"ModuleNotFoundError: No module named '(\w+)")


def check_loads(source: Source, tree: ast.Module, origin: str) -> None:
    """Load the source in a worker, sandboxed unless it is trusted.

    Raises InputError with `origin:line`, the construct and the reason where that fails, ToolError without a worker.
    """
    where = "a worker" if source.trusted else "the sandbox"
    with WorkerPool(source, Limits(LOAD_TIMEOUT_S, LOAD_MEMORY_MIB), spares=0) as pool:
        if pool.failure:
            raise InputError(refusal(pool.failure, source.text, origin, where) + remedy(pool.failure, source))
        worker = pool.take()
        try:
            for line, construct, code in sorted(probes(source.text, tree)):
                failure = pool.probe(worker, code)
                if failure:
                    reason = failure.partition(":")[2]
                    raise InputError(
                        f"{origin}:{line}: {where} cannot run `{construct}`: {reason}{remedy(failure, source)}"
                    )
        finally:
            worker.end()


def remedy(failure: str, source: Source) -> str:
    """Name the setting that lets a user's file load, where it reads files or imports a module beside it.

    Empty for other failures, which no setting mends, and for source that comes from no file.
    """
    if source.trusted or source.folder is None:
        return ""
    reason = failure.partition(":")[2]
    missing = MISSING_MODULE.match(reason)
    beside = [] if missing is None else [source.folder / missing[1], source.folder / f"{missing[1]}.py"]
    if reason.startswith(DENIED) or any(path.exists() for path in beside):
        return "; tools.trusted=true runs the file with your rights, without the sandbox"
    return ""


def refusal(failure: str, source: str, origin: str, where: str) -> str:
    """Say in one line why a source does not load; `failure` is `line:reason`."""
    number, _, reason = failure.partition(":")
    lines = source.splitlines() or [""]
    line = min(int(number), len(lines))
    return f"{origin}:{line}: {where} cannot run `{lines[line - 1].strip()}`: {reason}"
