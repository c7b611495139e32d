"""What a tool source defines: its functions, and the methods of its tool classes. Reads the syntax tree.

A class at top level is a tool class where it and a method of it are public and nothing else in the file uses it; each
session has one instance of it. A class that other code uses is a helper of that code.
"""

from __future__ import annotations

import ast
import copy
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from mentor.errors import InputError

FunctionNode = ast.FunctionDef | ast.AsyncFunctionDef
NO_TOOLS = {"property", "cached_property", "setter", "getter", "deleter"}  # decorators of what is read, not called


@dataclass(frozen=True)
class Definition:
    """A function, or a method of the class `owner`."""

    node: FunctionNode
    owner: ast.ClassDef | None = None

    @property
    def parameters(self) -> ast.arguments:
        """What a call passes: all parameters but the instance or class of a method."""
        arguments = copy.copy(self.node.args)
        if self.owner is not None and "staticmethod" not in _decorators(self.node):
            if arguments.posonlyargs:
                arguments.posonlyargs = arguments.posonlyargs[1:]
            else:
                arguments.args = arguments.args[1:]
        return arguments


def definitions(tree: ast.Module) -> dict[str, Definition]:
    """Return what may be called, by name.

    The last function of a name counts, as in Python, and functions come before methods (`refuse_shared_names`).
    """
    found = {node.name: Definition(node) for node in tree.body if isinstance(node, FunctionNode)}
    for owner, methods in _tool_classes(tree):
        found |= {name: Definition(node, owner) for name, node in methods.items() if name not in found}
    return found


def refuse_shared_names(tree: ast.Module, origin: str) -> None:
    """Raise InputError with `origin:line` for a method with the name of a function or of another class's method."""
    found = definitions(tree)
    for owner, methods in _tool_classes(tree):
        for method in methods.values():
            other = found[method.name]
            if other.owner is not owner:
                raise InputError(
                    f"{origin}:{method.lineno}: method {method.name!r} of {owner.name} has the name of another tool, "
                    f"that of line {other.node.lineno}; a name that begins with an underscore is no tool"
                )


def public(defined: Mapping[str, Definition]) -> dict[str, Definition]:
    """Return those without a leading underscore."""
    return {name: definition for name, definition in defined.items() if not name.startswith("_")}


def _tool_classes(tree: ast.Module) -> Iterator[tuple[ast.ClassDef, dict[str, FunctionNode]]]:
    classes = {node.name: node for node in tree.body if isinstance(node, ast.ClassDef)}
    for owner in classes.values():
        others = [node for node in tree.body if node is not owner and not is_main_guard(node)]
        if not owner.name.startswith("_") and not any(_mentions(node, owner.name) for node in others):
            methods = _methods(owner, classes)
            if methods:
                yield owner, methods


def _methods(owner: ast.ClassDef, classes: dict[str, ast.ClassDef]) -> dict[str, FunctionNode]:
    """The public methods of a class, those of its bases in the file first."""
    found: dict[str, FunctionNode] = {}
    for base in reversed(owner.bases):
        if isinstance(base, ast.Name) and base.id in classes and classes[base.id] is not owner:
            found |= _methods(classes[base.id], {name: node for name, node in classes.items() if node is not owner})
    for node in owner.body:
        if isinstance(node, FunctionNode) and not node.name.startswith("_") and not NO_TOOLS & _decorators(node):
            found[node.name] = node
    return found


def _decorators(node: FunctionNode) -> set[str]:
    """The last names of the decorators: `setter` of `@x.setter`."""
    names = set()
    for decorator in node.decorator_list:
        called = decorator.func if isinstance(decorator, ast.Call) else decorator
        names.add(called.attr if isinstance(called, ast.Attribute) else getattr(called, "id", ""))
    return names


def _mentions(tree: ast.AST, name: str) -> bool:
    """Whether code uses a name, quoted type hints included."""
    return any(
        (isinstance(node, ast.Name) and node.id == name) or (isinstance(node, ast.Constant) and node.value == name)
        for node in ast.walk(tree)
    )


def is_main_guard(node: ast.stmt) -> bool:
    """`if __name__ == "__main__":`, which no engine enters."""
    return isinstance(node, ast.If) and _mentions(node.test, "__name__")
