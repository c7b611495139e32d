"""Whether tools keep something between their calls, read from the syntax tree of their source. In doubt they do."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from mentor.tools.definitions import FunctionNode, is_main_guard
from mentor.tools.source import imported_modules

MODULES = {
    *("__future__", "abc", "ast", "asyncio", "base64", "bisect", "calendar", "cmath", "collections", "copy", "csv"),
    *("dataclasses", "datetime", "difflib", "enum", "fractions", "functools", "hashlib", "heapq", "html", "io"),
    *("itertools", "json", "math", "numbers", "numpy", "operator", "pydantic", "re", "statistics", "string"),
    *("textwrap", "time", "typing", "typing_extensions", "unicodedata", "urllib.parse", "zoneinfo"),
}
"""Imports whose functions leave nothing behind; `random` has a generator, others have files and connections."""
DECORATORS = {"staticmethod", "classmethod", "property", "abstractmethod", "cache", "lru_cache", "dataclass", "wraps"}
TYPES = {"Literal", "Annotated", "Optional", "Union", "list", "dict", "tuple", "set", "List", "Dict", "Tuple"}
READING_METHODS = {"get", "items", "keys", "values", "index", "count"}
READERS = {
    *("len", "sorted", "sum", "min", "max", "any", "all", "list", "dict", "set", "tuple", "enumerate", "zip"),
    *("reversed", "str", "repr"),
}


def keeps_state(tree: ast.Module) -> bool:
    """Whether a call may see what an earlier one left.

    It cannot where the source only defines functions, classes, constants and tables of constants, and no function
    changes what belongs to the module.
    """
    if not set(imported_modules(tree)) <= MODULES:
        return True
    tables: set[str] = set()
    for node in tree.body:
        match node:
            case ast.Import() | ast.ImportFrom() | ast.FunctionDef() | ast.AsyncFunctionDef():
                continue
            case ast.Expr(value=ast.Constant()) | ast.Pass():
                continue
            case ast.ClassDef(body=body) if all(map(_is_plain_member, body)):
                continue
            case (
                ast.Assign(targets=[ast.Name(id=name)], value=value)
                | ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value)
            ):
                if _is_table(value):
                    tables.add(name)
                elif not _is_constant(value):
                    return True
            case _ if not is_main_guard(node):
                return True
    return any(_may_change(tree, tables))


def _is_plain_member(node: ast.stmt) -> bool:
    """A method, or a field whose default is a constant or is made anew for each instance."""
    if isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None:
        made = isinstance(node.value, ast.Call) and ast.unparse(node.value.func).rpartition(".")[2].lower() == "field"
        return made or _is_constant(node.value)
    return isinstance(node, FunctionNode | ast.AnnAssign | ast.Pass | ast.Expr)


def _is_constant(value: ast.expr) -> bool:
    """A value that cannot be changed: literals, tuples of them, type aliases, compiled patterns, frozen sets."""
    match value:
        case ast.Constant() | ast.Attribute():
            return True
        case ast.UnaryOp(operand=inner):
            return _is_constant(inner)
        case ast.BinOp(left=left, right=right):
            return _is_constant(left) and _is_constant(right)
        case ast.Tuple(elts=items):
            return all(map(_is_constant, items))
        case ast.Subscript(value=ast.Name(id=name) | ast.Attribute(attr=name)):
            return name in TYPES
        case ast.Call(func=called):
            return ast.unparse(called) in ("re.compile", "frozenset")
    return False


def _is_table(value: ast.expr) -> bool:
    """A list, set or dict of constants."""
    match value:
        case ast.List(elts=items) | ast.Set(elts=items):
            return all(map(_is_constant, items))
        case ast.Dict(keys=keys, values=values):
            return all(item is not None and _is_constant(item) for item in [*keys, *values])
    return False


def _may_change(tree: ast.Module, tables: set[str]) -> Iterator[bool]:
    """For every place that could change what the module holds, whether it may."""
    own = {alias.asname or alias.name.partition(".")[0] for node in ast.walk(tree) for alias in _aliases(node)}
    own |= {node.name for node in tree.body if isinstance(node, FunctionNode | ast.ClassDef)} | tables
    parents = {id(below): node for node in ast.walk(tree) for below in ast.iter_child_nodes(node)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Global):
            yield True
        if isinstance(node, FunctionNode):
            defaults = [*node.args.defaults, *(value for value in node.args.kw_defaults if value is not None)]
            yield not all(_is_constant(value) or isinstance(value, ast.Name) for value in defaults)
            yield not all(_last_name(decorator) in DECORATORS for decorator in node.decorator_list)
        if isinstance(node, ast.Attribute | ast.Subscript) and not isinstance(node.ctx, ast.Load):
            yield _root(node) in own
        if isinstance(node, ast.Name) and node.id in tables and isinstance(node.ctx, ast.Load):
            yield not _is_read(node, parents)


def _aliases(node: ast.AST) -> list[ast.alias]:
    return node.names if isinstance(node, ast.Import | ast.ImportFrom) else []


def _last_name(decorator: ast.expr) -> str:
    called = decorator.func if isinstance(decorator, ast.Call) else decorator
    return ast.unparse(called).rpartition(".")[2]


def _root(node: ast.expr) -> str | None:
    """`a` of `a.b[c]`; None of what begins with no name."""
    while isinstance(node, ast.Attribute | ast.Subscript):
        node = node.value
    return node.id if isinstance(node, ast.Name) else None


def _is_read(name: ast.Name, parents: dict[int, ast.AST]) -> bool:
    """Whether a use of a table leaves it as it is and hands it to nobody."""
    match parents[id(name)]:
        case ast.Subscript(value=value, ctx=ast.Load()) if value is name:
            return True
        case ast.Attribute(attr=method) as attribute:
            call = parents[id(attribute)]
            return method in READING_METHODS and isinstance(call, ast.Call) and call.func is attribute
        case ast.Call(func=ast.Name(id=function)):
            return function in READERS
        case ast.Compare():
            return True
        case ast.For(iter=iterated) | ast.comprehension(iter=iterated):
            return iterated is name
    return False
