"""A user's tool source, read as a syntax tree: what it defines, and what its functions will look up when called.

The source never runs in this process. An engine runs the probes in its sandbox before any task is read.
"""

from __future__ import annotations

import ast
import symtable
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from mentor.errors import InputError
from mentor.tools.definitions import FunctionNode


@dataclass(frozen=True)
class Source:
    """What an engine loads for the toolset `name`.

    names: of the tools. imports: to make early. folder: of the tools file, which trusted tools import from. trusted: no
    sandbox. stateless: the tools keep nothing between calls. owners: by tool that is a method, its class and the
    class's line. converted: by tool, the parameters that arrive as what their type hints say, not as JSON values.
    float_digits: significant digits of floats in results; None shows them in full. origin: what errors name; the name
    where it is empty. checked: False where an engine has to find out on its start what the source lacks.
    """

    name: str
    text: str
    names: tuple[str, ...]
    imports: tuple[str, ...] = ()
    folder: Path | None = None
    trusted: bool = False
    stateless: bool = False
    owners: Mapping[str, tuple[str, int]] = field(default_factory=dict)
    converted: Mapping[str, list[str]] = field(default_factory=dict)
    float_digits: int | None = None
    origin: str = ""
    checked: bool = True

    @property
    def place(self) -> str:
        """What errors name."""
        return self.origin or self.name


def parse_source(source: str, origin: str) -> ast.Module:
    """Parse a source. Raises InputError with `origin:line` for text that is not Python."""
    try:
        return ast.parse(source)
    except SyntaxError as error:
        raise InputError(f"{origin}:{error.lineno or 1}: not Python: {error.msg}") from None
    except (ValueError, RecursionError) as error:  # a null byte; nesting past the parser
        raise InputError(f"{origin}: not Python: {error}") from None


def probes(source: str, tree: ast.Module) -> Iterator[tuple[int, str, str]]:
    """Yield (line, construct, code): the code fails in an engine where the construct would when it is reached."""
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
            # What a function called `top` binds counts as both: symtable takes it for the module's own table.
            names = (symbol for symbol in table.get_symbols() if symbol.is_global() and not symbol.is_local())
            read |= {symbol.get_name() for symbol in names}
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and node.id in read - made_later and isinstance(node.ctx, ast.Load):
            yield node.lineno, node.id, node.id


def imported_modules(tree: ast.Module) -> tuple[str, ...]:
    """Return the modules that the source names in absolute imports, in order."""
    names: dict[str, None] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names.update(dict.fromkeys(alias.name for alias in node.names))
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names[node.module] = None
    return tuple(names)
