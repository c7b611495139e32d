"""A user's tool source: what it defines, and whether the sandbox can run it. The source never runs in this process.

Before any task is read: parse it, find the public functions, load it in a sandbox of its own and there look up the
imports, names and module attributes that its functions would otherwise miss only when called.
"""

from __future__ import annotations

import ast
import symtable
from collections.abc import Iterator
from contextlib import ExitStack

from pydantic_monty import Monty, MontyError, MontyRuntimeError, MontySession, MontySyntaxError, ResourceLimits

from mentor.errors import InputError, ToolError
from mentor.tools.schemas import FunctionNode

LOAD_TIMEOUT_S = 5.0
LOAD_LIMITS = ResourceLimits(max_feed_duration_secs=LOAD_TIMEOUT_S, max_total_sleep_secs=0.0, max_memory=2**30)
PARSER_PREFIX = "The monty syntax parser does not yet support "


def parse_source(source: str, origin: str) -> ast.Module:
    """The syntax tree. Raises InputError with `origin:line` for text that is not Python."""
    try:
        return ast.parse(source)
    except SyntaxError as error:
        raise InputError(f"{origin}:{error.lineno or 1}: not Python: {error.msg}") from None
    except (ValueError, RecursionError) as error:  # a null byte; nesting past the parser
        raise InputError(f"{origin}: not Python: {error}") from None


def functions(tree: ast.Module) -> dict[str, FunctionNode]:
    """Top-level functions by name; the last definition of a name counts, as in Python."""
    return {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}


def check_runs(source: str, tree: ast.Module, origin: str) -> None:
    """Load the source in a sandbox and look up what its functions need.

    Raises InputError with `origin:line`, the construct and the sandbox's reason for the first thing it cannot run.
    """
    with ExitStack() as stack:
        try:
            pool = stack.enter_context(Monty(max_processes=1, request_timeout=2 * LOAD_TIMEOUT_S))
            session = stack.enter_context(pool.checkout(limits=LOAD_LIMITS))
        except (MontyError, OSError, RuntimeError) as failure:
            raise ToolError(f"no sandbox worker to check {origin} with: {failure}") from failure
        error = _failure(session, source)
        if error is not None:
            raise InputError(_refusal(error, source, origin))
        for line, construct, probe in sorted(probes(source, tree)):
            error = _failure(session, probe)
            if error is not None:
                raise InputError(f"{origin}:{line}: the sandbox cannot run `{construct}`: {_reason(error)}")
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
    text = " ".join(str(error).split())
    _, found, construct = text.partition(PARSER_PREFIX)
    return f"{construct} not supported" if found else text[:300]


def probes(source: str, tree: ast.Module) -> Iterator[tuple[int, str, str]]:
    """(line, construct, code that fails in the sandbox as the construct would when a function gets there)."""
    yield from _function_imports(tree)
    yield from _module_attributes(tree)
    yield from _global_names(source, tree)


def _function_imports(tree: ast.Module) -> Iterator[tuple[int, str, str]]:
    """Imports inside functions, but not those whose failure is expected."""
    guarded = {
        id(node)
        for block in ast.walk(tree)
        if isinstance(block, ast.Try) and _expects(block)
        for node in ast.walk(block)
    }
    for function in ast.walk(tree):
        if isinstance(function, FunctionNode):
            for node in ast.walk(function):
                if isinstance(node, ast.Import | ast.ImportFrom) and id(node) not in guarded:
                    yield node.lineno, ast.unparse(node), ast.unparse(node)


def _expects(block: ast.Try) -> bool:
    """Whether a handler names ImportError."""
    caught = {node.id for h in block.handlers if h.type for node in ast.walk(h.type) if isinstance(node, ast.Name)}
    return bool(caught & {"ImportError", "ModuleNotFoundError"})


def _module_attributes(tree: ast.Module) -> Iterator[tuple[int, str, str]]:
    """`math.foo` for every module imported at top level under a name that means nothing else anywhere."""
    other = {node.arg for node in ast.walk(tree) if isinstance(node, ast.arg)}
    other |= {node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
    modules = {
        alias.asname or alias.name.partition(".")[0]
        for node in tree.body
        if isinstance(node, ast.Import)
        for alias in node.names
    } - other
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in modules:
            yield node.lineno, ast.unparse(node), ast.unparse(node)


def _global_names(source: str, tree: ast.Module) -> Iterator[tuple[int, str, str]]:
    """Global names that functions read; those a function itself makes with `global` come to be only when it runs."""
    made_later = {name for node in ast.walk(tree) if isinstance(node, ast.Global) for name in node.names}
    read: set[str] = set()
    tables = [symtable.symtable(source, "tools", "exec")]
    while tables:
        table = tables.pop()
        tables.extend(table.get_children())
        if table.get_type() == "function":
            read |= {symbol.get_name() for symbol in table.get_symbols() if symbol.is_global()}
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and node.id in read - made_later and isinstance(node.ctx, ast.Load):
            yield node.lineno, node.id, node.id


def _callable_replacements(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """`re.sub(pattern, function, ...)` with a lambda or a function of the file: (line, call)."""
    defined = functions(tree)
    for node in ast.walk(tree):
        match node:
            case ast.Call(func=ast.Attribute(attr="sub" | "subn"), args=[_, replacement, *_]):
                named = isinstance(replacement, ast.Name) and replacement.id in defined
                if named or isinstance(replacement, ast.Lambda):
                    yield node.lineno, ast.unparse(node)
