"""Arguments that a syntax writes as plain text, read as the values that the tool's schema asks for.

`2` is a number for an integer and text for a string. Where the schema allows both or says nothing, text that is a JSON
value other than a string is that value. `True`, `False` and `None`, which templates write too, are read like JSON's.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from mentor.chat.json_text import read_json

_CONSTANTS = {"True": True, "False": False, "None": None}
_TYPES: dict[type, tuple[str, ...]] = {
    bool: ("boolean",),
    int: ("integer", "number"),
    float: ("number", "integer"),
    str: ("string",),
    list: ("array",),
    dict: ("object",),
    type(None): ("null",),
}


def read_value(text: str, name: str, parameters: Mapping[str, Any]) -> Any:
    """Read the text of argument `name` of a tool with these `parameters`, a JSON schema."""
    properties = parameters.get("properties")
    schema = properties.get(name) if isinstance(properties, Mapping) else None
    types = _accepted(schema, parameters)
    if types == {"string"}:
        return text
    try:
        stripped = text.strip()
        value = _CONSTANTS[stripped] if stripped in _CONSTANTS else read_json(stripped)
    except ValueError:
        return text
    fits = not types or any(kind in types for kind in _TYPES[type(value)])
    return text if isinstance(value, str) or (not fits and "string" in types) else value


def write_value(value: Any) -> str:
    """Write a value as plain text: a string as it is, anything else as JSON."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _accepted(schema: Any, root: Mapping[str, Any], depth: int = 0) -> set[str]:
    """The types that a schema accepts; empty where it does not say."""
    if not isinstance(schema, Mapping) or depth > 8:
        return set()
    if isinstance(schema.get("$ref"), str):
        return _accepted(_target(schema["$ref"], root), root, depth + 1)
    for key in ("anyOf", "oneOf"):
        if isinstance(schema.get(key), list):
            below = [_accepted(one, root, depth + 1) for one in schema[key]]
            return set().union(*below) if all(below) else set()
    kinds = schema.get("type")
    if isinstance(kinds, str):
        return {kinds}
    if isinstance(kinds, list):
        return {kind for kind in kinds if isinstance(kind, str)}
    values = [schema["const"]] if "const" in schema else schema.get("enum", [])
    return {kind for value in values for kind in _TYPES.get(type(value), ())} if isinstance(values, list) else set()


def _target(reference: str, root: Mapping[str, Any]) -> Any:
    """What a `$ref` inside the schema names; None where it names nothing."""
    found: Any = root
    for part in reference.removeprefix("#").strip("/").split("/"):
        found = found.get(part) if isinstance(found, Mapping) else None
    return found
