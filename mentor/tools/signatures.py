"""The schema of a tool, made from the type hints and docstring of its function.

Reads the syntax tree: no user code runs. Hints that JSON values fit as they are become schemas here; any other (an
enum, a dataclass, a date, an alias) is evaluated where the tools run, by `inside/hints.py`, which says its schema. Left
out: `*args`, `**kwargs` and positional-only parameters, which a call by named values cannot fill.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping
from typing import Any

from mentor.calls.schemas import Schema
from mentor.errors import InputError
from mentor.tools.definitions import Definition

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
JSON_HINTS = "int, float, str, bool, list[...], dict[str, ...], Literal[...], Any, None, Annotated[..., 'text'], unions"
ACCEPTED_HINTS = f"{JSON_HINTS}, and what pydantic reads: enums, dataclasses, TypedDicts, models, dates, tuples, ..."
SECTION = re.compile(r"(?m)^(Args|Arguments|Parameters|Returns|Raises|Yields|Examples?):[ \t]*$")
ENTRY = re.compile(r"(?m)^[ ]{1,4}(\w+)[ ]*(?:\([^)]*\))?[ ]*:")


def function_schema(name: str, definition: Definition, origin: str, told: Mapping[str, Any] | None = None) -> Schema:
    """`{"type": "function", "function": {name, description, parameters}}` of a tool.

    Parameters without a default are required. told: what `inside/hints.py` says of the parameters of
    `converted_parameters`: `properties`, `required` and `$defs`. A docstring's description of a parameter comes before
    its hint's. Raises InputError as `check_parameters` does.
    """
    check_parameters(name, definition, origin)
    told = told or {"properties": {}, "required": []}
    description, described = parse_docstring(ast.get_docstring(definition.node) or "")
    optional = _defaults(definition.parameters)
    properties: dict[str, Schema] = {}
    required = []
    for parameter in _named(definition.parameters):
        key = parameter.arg
        assert parameter.annotation is not None
        schema = told["properties"][key] if key in told["properties"] else hint_schema(parameter.annotation)
        properties[key] = {**schema, **_only("description", described.get(key))}
        if key in told["required"] or (key not in optional and key not in told["properties"]):
            required.append(key)
    parameters = {"type": "object", "properties": properties, **_only("required", required)}
    parameters |= _only("$defs", told.get("$defs"))
    return {"type": "function", "function": {"name": name, "description": description, "parameters": parameters}}


def check_parameters(name: str, definition: Definition, origin: str) -> None:
    """Raise InputError with `origin:line` for a parameter without a type hint, or that cannot be passed by name."""
    arguments = definition.parameters
    if arguments.vararg or arguments.kwarg or arguments.posonlyargs:
        refused = arguments.vararg or arguments.kwarg or arguments.posonlyargs[0]
        raise InputError(
            f"{origin}:{refused.lineno}: parameter {refused.arg!r} of tool {name!r} cannot be passed by name; "
            "accepted are plain named parameters, without *, ** or /"
        )
    for parameter in _named(arguments):
        if parameter.annotation is None:
            raise InputError(
                f"{origin}:{parameter.lineno}: parameter {parameter.arg!r} of tool {name!r} has no type hint; "
                f"accepted are {ACCEPTED_HINTS}"
            )


def converted_parameters(definition: Definition) -> list[str]:
    """Return the parameters whose hint or default takes more than JSON values, in order."""
    defaults = _defaults(definition.parameters)
    return [
        parameter.arg
        for parameter in _named(definition.parameters)
        if parameter.annotation is not None
        and (_is_field(defaults.get(parameter.arg)) or not _is_json(parameter.annotation))
    ]


def refused_hint(name: str, definition: Definition, parameter: str, reason: str, origin: str) -> InputError:
    """Make the error of a parameter whose hint cannot be used, with the line and the hint."""
    node = next(node for node in _named(definition.parameters) if node.arg == parameter)
    assert node.annotation is not None
    return InputError(
        f"{origin}:{node.lineno}: parameter {parameter!r} of tool {name!r} has the type hint "
        f"{ast.unparse(node.annotation)}: {reason}"
    )


def _named(arguments: ast.arguments) -> list[ast.arg]:
    return arguments.args + arguments.kwonlyargs


def _defaults(arguments: ast.arguments) -> dict[str, ast.expr]:
    plain = arguments.args[len(arguments.args) - len(arguments.defaults) :]
    found = {parameter.arg: default for parameter, default in zip(plain, arguments.defaults, strict=True)}
    named = zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)
    return found | {parameter.arg: default for parameter, default in named if default is not None}


def _is_field(default: ast.expr | None) -> bool:
    """`a: int = Field(...)`: pydantic's description of a parameter in place of its default."""
    return isinstance(default, ast.Call) and ast.unparse(default.func).rpartition(".")[2] == "Field"


def _only(key: str, value: Any) -> Schema:
    return {key: value} if value else {}


def _is_json(hint: ast.expr) -> bool:
    try:
        hint_schema(hint)
    except (ValueError, SyntaxError):
        return False
    return True


def hint_schema(hint: ast.expr) -> Schema:
    """JSON schema of a type hint that JSON values fit as they are. Raises ValueError or SyntaxError for another."""
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
    if name == "Annotated":
        texts = [text.value for text in inner[1:] if isinstance(text, ast.Constant) and isinstance(text.value, str)]
        if len(texts) < len(inner) - 1:
            raise ValueError("Annotated")
        return {**hint_schema(inner[0]), **_only("description", texts[0])}
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
