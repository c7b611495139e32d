"""Whether a CPython worker can run a tool source: load it in one and look up there what its functions need."""

from __future__ import annotations

import ast
import re
from typing import Any

from mentor.errors import InputError
from mentor.tools.cpython.pool import NO_LINE, WorkerPool
from mentor.tools.engine import Limits
from mentor.tools.source import Source, probes

DENIED = ("FileNotFoundError", "PermissionError")  # how reading files, starting programs and the like fail in it
MISSING_MODULE = re.compile(r"ModuleNotFoundError: No module named '(\w+)")


def check_loads(source: Source, limits: Limits) -> dict[str, Any]:
    """Load the source in a worker, sandboxed unless it is trusted.

    Returns by tool what `inside/hints.py` says of its converted parameters. Raises InputError with `origin:line`, the
    construct and the reason where the source does not load, ConfigError below the isolation floor, ToolError without a
    worker.
    """
    with WorkerPool(source, limits, spares=0) as pool:
        check_loaded(pool, source)
        if not source.converted:
            return {}
        worker = pool.take()
        try:
            return pool.describe(worker)
        finally:
            worker.end()


def check_loaded(pool: WorkerPool, source: Source) -> None:
    """Raise InputError where the source of an open pool did not load, or lacks what its functions need.

    The latter is looked for unless the source says that it was.
    """
    where = "a worker" if source.trusted else "the sandbox"
    if pool.failure:
        raise InputError(refusal(pool.failure, source.text, source.place, where) + remedy(pool.failure, source))
    if source.checked:
        return
    tried = sorted(probes(source.text, ast.parse(source.text)))
    worker = pool.take()
    try:
        failure = pool.probe(worker, [code for _, _, code in tried])
    finally:
        worker.end()
    if failure is not None:
        number, reason = failure
        line, construct, _ = tried[number]
        raise InputError(
            f"{source.place}:{line}: {where} cannot run `{construct}`: {reason}{remedy(f'{line}:{reason}', source)}"
        )


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
    if int(number) == NO_LINE:
        return f"{origin}: {where} cannot load it: {reason}"
    lines = source.splitlines() or [""]
    line = min(int(number), len(lines))
    return f"{origin}:{line}: {where} cannot run `{lines[line - 1].strip()}`: {reason}"
