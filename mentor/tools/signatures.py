"""The schema of a tool, made from the type hints and docstring of its function.

Reads the syntax tree: no user code runs (transformers' `get_json_schema` would need the function itself). Left out:
`*args`, `**kwargs` and positional-only parameters, which a call by named values cannot fill.
"""

from __future__ import annotations

import ast
import re
from typing import Any

from mentor.calls.schemas import Schema
from mentor.errors import InputError

FunctionNode = ast.FunctionDef | ast.AsyncFunctionDef

SIMPLE_TYPES: dict[str, Schema] = {
    "int": {"type": "integer"},
    "float": {"type": "number"},
    "str": {"type": "string"},
    "bool": {"type": "boolean"},
    "list": {"type": "array"},
    "dict": {"type": "object"},
    "None": {"type": "null"},
    "Any": {},
}
ACCEPTED_HINTS = "int, float, str, bool, list[...], dict[str, ...], Literal[...], Any, None and unions of these"
SECTION = re.compile(r"(?m)^(Args|Arguments|Parameters|Returns|Raises|Yields|Examples?):[ \t]*$")
ENTRY = re.compile(r"(?m)^[ ]{1,4}(\w+)[ ]*(?:\([^)]*\))?[ ]*:")


def function_schema(function: FunctionNode, origin: str) -> Schema:
    """`{"type": "function", "function": {name, description, parameters}}` of a function definition.

    Parameters without a default are required. `origin` is the file named in an InputError, which is raised for a
    parameter without a type hint, with a hint that JSON cannot express, or that has no name to pass it by.
    """
    arguments = function.args
    if arguments.vararg or arguments.kwarg or arguments.posonlyargs:
        refused = arguments.vararg or arguments.kwarg or arguments.posonlyargs[0]
        raise InputError(
            f"{origin}:{refused.lineno}: parameter {refused.arg!r} of tool {function.name!r} cannot be passed by name; "
            "accepted are plain named parameters, without *, ** or /"
        )
    description, described = parse_docstring(ast.get_docstring(function) or "")
    properties: dict[str, Schema] = {}
    for parameter in arguments.args + arguments.kwonlyargs:
        schema = _parameter_schema(parameter, function.name, origin)
        properties[parameter.arg] = {**schema, **_only("description", described.get(parameter.arg))}
    required = [name for name in properties if name not in _optional(arguments)]
    parameters = {"type": "object", "properties": properties, **_only("required", required)}
    return {
        "type": "function",
        "function": {"name": function.name, "description": description, "parameters": parameters},
    }


def _optional(arguments: ast.arguments) -> set[str]:
    """Return the names of the parameters that have a default."""
    plain = arguments.args[len(arguments.args) - len(arguments.defaults) :]
    named = [p for p, default in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True) if default is not None]
    return {parameter.arg for parameter in plain + named}


def _only(key: str, value: Any) -> Schema:
    return {key: value} if value else {}


def _parameter_schema(parameter: ast.arg, tool: str, origin: str) -> Schema:
    where = f"{origin}:{parameter.lineno}: parameter {parameter.arg!r} of tool {tool!r}"
    if parameter.annotation is None:
        raise InputError(f"{where} has no type hint; accepted are {ACCEPTED_HINTS}")
    try:
        return hint_schema(parameter.annotation)
    except (ValueError, SyntaxError):
        hint = ast.unparse(parameter.annotation)
        raise InputError(f"{where} has the type hint {hint}; accepted are {ACCEPTED_HINTS}") from None


def hint_schema(hint: ast.expr) -> Schema:
    """JSON schema of a type hint. Raises ValueError for one that JSON cannot express."""
    match hint:
        case ast.Constant(value=None):
            return {"type": "null"}
        case ast.Constant(value=str(text)):  # a hint in quotes
            return hint_schema(ast.parse(text, mode="eval").body)
        case ast.Name(id=name) | ast.Attribute(attr=name):
            canonical = name.lower() if name in ("List", "Dict") else name
            if canonical not in SIMPLE_TYPES:
                raise ValueError(name)
            return dict(SIMPLE_TYPES[canonical])
        case ast.BinOp(left=left, op=ast.BitOr(), right=right):
            return _union([hint_schema(left), hint_schema(right)])
        case ast.Subscript(value=ast.Name(id=name) | ast.Attribute(attr=name), slice=inner):
            return _generic_schema(name, inner.elts if isinstance(inner, ast.Tuple) else [inner])
    raise ValueError(ast.unparse(hint))


def _generic_schema(name: str, inner: list[ast.expr]) -> Schema:
    if name in ("list", "List") and len(inner) == 1:
        return {"type": "array", **_only("items", hint_schema(inner[0]))}
    if name in ("dict", "Dict") and len(inner) == 2 and hint_schema(inner[0]) == {"type": "string"}:
        return {"type": "object", **_only("additionalProperties", hint_schema(inner[1]))}
    if name == "Optional" and len(inner) == 1:
        return _union([hint_schema(inner[0]), {"type": "null"}])
    if name == "Union":
        return _union([hint_schema(member) for member in inner])
    if name == "Literal":
        values = [ast.literal_eval(member) for member in inner]
        if any(not isinstance(value, str | int | float | bool | None) for value in values):
            raise ValueError("Literal")
        return {"enum": values}
    raise ValueError(name)


def _union(members: list[Schema]) -> Schema:
    """`{"type": [...]}` where every member is a bare type, `anyOf` otherwise; a member `Any` takes it all."""
    if {} in members:
        return {}
    if all(set(member) == {"type"} for member in members):
        names: list[str] = []
        for member in members:
            names += [member["type"]] if isinstance(member["type"], str) else member["type"]
        return {"type": list(dict.fromkeys(names))}
    return {"anyOf": members}


def parse_docstring(text: str) -> tuple[str, dict[str, str]]:
    """Description (all before the first section) and parameter descriptions of a Google-style docstring."""
    description, *sections = SECTION.split(text)
    described: dict[str, str] = {}
    for title, body in zip(sections[::2], sections[1::2], strict=True):
        if title in ("Args", "Arguments", "Parameters"):
            _, *entries = ENTRY.split(body)
            described |= {
                name: " ".join(words.split()) for name, words in zip(entries[::2], entries[1::2], strict=True)
            }
    return " ".join(description.split()), described
