"""Whether monty can run a tool source: load it in a sandbox and look up there what its functions need."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from contextlib import ExitStack

from pydantic_monty import Monty, MontyError, MontyRuntimeError, MontySession, MontySyntaxError, ResourceLimits

from mentor.errors import InputError, ToolError, one_line
from mentor.tools.definitions import FunctionNode
from mentor.tools.engine import Limits
from mentor.tools.source import Source, probes

LOAD_MEMORY = 2**30  # bytes
PARSER_PREFIX = "The monty syntax parser does not yet support "


def load_limits(limits: Limits) -> ResourceLimits:
    """What loading a source may use."""
    seconds = limits.load_timeout_s
    return ResourceLimits(max_feed_duration_secs=seconds, max_total_sleep_secs=0.0, max_memory=LOAD_MEMORY)


def check_runs(source: Source, limits: Limits) -> None:
    """Load the source in a sandbox and look up what its functions need.

    Raises InputError with `origin:line`, the construct and the sandbox's reason for the first thing it cannot run.
    """
    tree, origin = ast.parse(source.text), source.place
    with ExitStack() as stack:
        try:
            pool = stack.enter_context(Monty(max_processes=1, request_timeout=2 * limits.load_timeout_s))
            session = stack.enter_context(pool.checkout(limits=load_limits(limits)))
        except (MontyError, OSError, RuntimeError) as failure:
            raise ToolError(f"no sandbox worker to check {origin} with: {failure}") from failure
        error = _failure(session, source.text)
        if error is not None:
            raise InputError(_refusal(error, source.text, origin))
        for line, construct, probe in sorted(probes(source.text, tree)):
            error = _failure(session, probe)
            if error is not None:
                raise InputError(f"{origin}:{line}: the sandbox cannot run `{construct}`: {_reason(error)}")
        for name, line in sorted(set(source.owners.values())):
            error = _failure(session, f"{name}()")
            if error is not None:
                raise InputError(f"{origin}:{line}: the sandbox cannot run `{name}()`: {_reason(error)}")
    for line, construct in _callable_replacements(tree):
        raise InputError(f"{origin}:{line}: the sandbox cannot run `{construct}`: no function as replacement text")


def _failure(session: MontySession, code: str) -> MontyError | None:
    """Why code does not run; its last value stays in the sandbox, as does what it prints."""
    try:
        session.feed_run(f"{code}\nNone", print_callback=lambda stream, text: None)
    except MontyError as error:
        return error
    return None


def _refusal(error: MontyError, source: str, origin: str) -> str:
    """Names the line of the innermost frame; a time limit has none."""
    frames = error.traceback() if isinstance(error, MontyRuntimeError | MontySyntaxError) else []
    if not frames:
        return f"{origin}: the sandbox cannot load the file: {_reason(error)}"
    lines = source.splitlines()
    line = min(frames[-1].line, len(lines))
    return f"{origin}:{line}: the sandbox cannot run `{lines[line - 1].strip()}`: {_reason(error)}"


def _reason(error: Exception) -> str:
    text = one_line(error)
    _, found, construct = text.partition(PARSER_PREFIX)
    return f"{construct} not supported" if found else text[:300]


def _callable_replacements(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """`re.sub(pattern, function, ...)` with a lambda or a function of the file: (line, call)."""
    defined = {node.name for node in tree.body if isinstance(node, FunctionNode)}
    for node in ast.walk(tree):
        match node:
            case ast.Call(func=ast.Attribute(attr="sub" | "subn"), args=[_, replacement, *_]):
                named = isinstance(replacement, ast.Name) and replacement.id in defined
                if named or isinstance(replacement, ast.Lambda):
                    yield node.lineno, ast.unparse(node)
