"""Tool schemas that a user brings: what is accepted, and the text of them that a prompt shows.

No reference is ever fetched, and no message holds a whole value: it may be huge.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError
from referencing import Registry
from referencing.exceptions import Unresolvable
from referencing.jsonschema import DRAFT202012

from mentor.errors import InputError

Schema = dict[str, Any]

JSON_TYPES = {
    **{"dict": "object", "float": "number", "tuple": "array", "any": None},
    **{"str": "string", "int": "integer", "bool": "boolean", "list": "array", "set": "array", "union": None},
}
"""Types that published schemas write as Python does, and JSON schema's; None for one that allows all."""


def check_schema(schema: Any, origin: str) -> Schema:
    """Return the schema in the OpenAI function shape; `{name, description, parameters}` alone is wrapped.

    Raises InputError when it is neither, or when `parameters` is not a JSON schema of an object.
    """
    function = schema.get("function") if isinstance(schema, Mapping) and schema.get("type") == "function" else schema
    if not isinstance(function, Mapping) or not isinstance(function.get("name"), str) or not function["name"]:
        raise InputError(
            f"{origin}: tool schema {short_text(schema)} is not one; accepted is "
            '{"type": "function", "function": {"name", "description", "parameters"}}'
        )
    where = f"{origin}: schema of tool {function['name']!r}"
    description, parameters = function.get("description", ""), function.get("parameters", {"type": "object"})
    if not isinstance(description, str):
        raise InputError(f"{where}: description is {short_text(description)}, accepted is text")
    if not isinstance(parameters, Mapping) or parameters.get("type") != "object":
        raise InputError(f"{where}: parameters are {short_text(parameters)}, accepted is a JSON schema of type object")
    try:
        Draft202012Validator.check_schema(parameters, format_checker=Draft202012Validator.FORMAT_CHECKER)
        _check_references(dict(parameters))
    except SchemaError as error:
        place = ".".join(["parameters", *(str(part) for part in error.absolute_path)])
        raise InputError(f"{where}: {place} is not a JSON schema: {short_text(error.message)}") from None
    except Unresolvable as error:
        raise InputError(f"{where}: $ref {short_text(error.ref)} names nothing inside the schema") from None
    except RecursionError:
        raise InputError(f"{where}: parameters are nested too deeply") from None
    parameters = {"type": "object", "properties": {}, **parameters}
    function = {"name": function["name"], "description": description, "parameters": parameters}
    return {"type": "function", "function": function}


def json_schema(schema: Any) -> Any:
    """Return a schema with Python's types, as published data sets write them, in JSON schema's, at every depth.

    A property that says `required: true` itself is listed as required where the properties stand. Keys keep their
    order: it is that of the text in a prompt.
    """
    if not isinstance(schema, Mapping):
        return schema
    dropped = ("optional", *(key for key in ("required",) if isinstance(schema.get(key), bool)))
    converted = {key: value for key, value in schema.items() if key not in dropped}
    kind = converted.get("type")
    declared = _declared(kind) if isinstance(kind, str) else {"type": kind} if kind is not None else {}
    if "type" not in declared:
        converted.pop("type", None)
    converted |= declared
    properties = schema.get("properties")
    if isinstance(properties, Mapping):
        converted["properties"] = {name: json_schema(below) for name, below in properties.items()}
        own = [
            name for name, below in properties.items() if isinstance(below, Mapping) and below.get("required") is True
        ]
        if own:
            listed = schema.get("required")
            converted["required"] = [*dict.fromkeys([*(listed if isinstance(listed, list) else []), *own])]
    for key in ("items", "additionalProperties"):
        if key in schema:
            converted[key] = json_schema(schema[key])
    return converted


def _declared(kind: str) -> Schema:
    """The schema that a type's name stands for: JSON schema's own, Python's (`List[str]`), or `str, optional`."""
    base, _, inner = re.sub(r"\s*,?\s*\boptional$|^Optional\[(.*)\]$", r"\1", kind.strip()).partition("[")
    name = JSON_TYPES.get(base, JSON_TYPES.get(base.strip().lower(), base.strip()))
    if name is None:
        return {}
    items = inner.removesuffix("]")
    return {"type": name} | ({"items": _declared(items)} if name == "array" and items and "," not in items else {})


def _check_references(parameters: Schema) -> None:
    """Every `$ref` must resolve inside the schema: nothing is ever fetched."""
    resolver = Registry().resolver_with_root(DRAFT202012.create_resource(parameters))
    for node in _nodes(parameters):
        if isinstance(node.get("$ref"), str):
            resolver.lookup(node["$ref"])


def _nodes(value: Any) -> Iterator[Mapping[str, Any]]:
    if isinstance(value, Mapping):
        yield value
    if isinstance(value, Mapping | list):
        for below in value.values() if isinstance(value, Mapping) else value:
            yield from _nodes(below)


def schemas_text(schemas: list[Schema]) -> str:
    """Return the schemas as compact JSON text, as prompts show and trajectories store them."""
    return json.dumps(schemas, ensure_ascii=False, separators=(",", ":"))


def short_text(value: Any) -> str:
    """Write a value on one line, cut after 120 characters."""
    text = " ".join((value if isinstance(value, str) else repr(value)).split())
    return text if len(text) <= 120 else text[:120] + "..."
