"""Right calls as data sets write them, `{name, arguments}`, in BFCL's form, so that its rules judge them.

A value is accepted alone. An argument whose schema has a default may be left out where the right call has that default,
and given with it where the right call leaves it out: BFCL's rows list such values, too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mentor.calls.schemas import Schema
from mentor.errors import InputError
from mentor.types import GoldCalls, ToolCall

OMITTED = ""  # among accepted values: the argument may be left out
BFCL_TYPES = {"number": "float", "string": "string", "integer": "integer", "boolean": "boolean"}
VALUE_TYPES = {int: "integer", float: "float", str: "string", bool: "boolean", list: "array"}


def gold_calls(calls: Sequence[ToolCall], schemas: Sequence[Schema], where: str) -> GoldCalls:
    """Return the right calls of a task with these tools; none is the irrelevance of all tools.

    Raises InputError naming `where` for a call of a tool that is not listed, or with an argument that it does not have.
    """
    functions = {schema["function"]["name"]: schema["function"] for schema in schemas}
    made: dict[str, Schema] = {}
    accepted = []
    for call in calls:
        if call.name not in functions:
            raise InputError(f"{where}: a right call is of {call.name!r}, and the tools are {', '.join(functions)}")
        parameters = functions[call.name]["parameters"]
        unknown = call.arguments.keys() - parameters["properties"].keys()
        if unknown:
            raise InputError(f"{where}: a right call of {call.name!r} has {min(unknown)!r}, which its schema has not")
        values, types = _accepted(call.arguments, parameters)
        accepted.append({call.name: values})
        function = made.setdefault(call.name, {"name": call.name, "parameters": {"properties": {}, "required": []}})
        function["parameters"]["properties"] |= types
    return GoldCalls(_category(len(calls)), list(made.values()), accepted)


def typed(function: Mapping[str, Any]) -> Schema:
    """Return of a published function what judging a call needs: its name, and the types of its arguments."""
    parameters = function["parameters"]
    properties = {name: _type_alone(schema) for name, schema in parameters["properties"].items()}
    return {
        "name": function["name"],
        "parameters": {"properties": properties, "required": list(parameters.get("required", []))},
    }


def _type_alone(schema: Mapping[str, Any]) -> Schema:
    kept = {"type": schema["type"]} if "type" in schema else {}
    items = schema.get("items")
    if isinstance(items, Mapping):
        kept["items"] = {"type": items["type"]} if "type" in items else {}
    return kept


def _category(calls: int) -> str:
    return "parallel" if calls > 1 else "multiple" if calls else "irrelevance"


def _accepted(arguments: Mapping[str, Any], parameters: Schema) -> tuple[dict[str, list[Any]], dict[str, Schema]]:
    """The accepted values of each argument, and its type as BFCL writes it."""
    values: dict[str, list[Any]] = {}
    types: dict[str, Schema] = {}
    for name, schema in parameters["properties"].items():
        default = schema.get("default") if isinstance(schema, Mapping) else None
        if name not in arguments and default in (None, OMITTED):
            continue
        value = arguments.get(name, default)
        kind, accepted = _in_bfcl(schema if isinstance(schema, Mapping) else {}, value)
        types[name] = kind
        values[name] = [accepted, OMITTED] if value == default and default is not None else [accepted]
    return values, types


def _in_bfcl(schema: Mapping[str, Any], value: Any) -> tuple[Schema, Any]:
    """The type of an argument and its right value: every key of an object has a list of accepted values."""
    if isinstance(value, Mapping):
        return {"type": "dict"}, {key: [below] for key, below in value.items()}
    if not isinstance(value, list):
        return {"type": _named(schema)}, value
    if value and all(isinstance(item, Mapping) for item in value):
        return {"type": "array", "items": {"type": "dict"}}, [{k: [v] for k, v in item.items()} for item in value]
    return {"type": "array", "items": {"type": _item_type(schema, value)}}, value


def _item_type(schema: Mapping[str, Any], value: list[Any]) -> str:
    """The declared type, or that of the items which have another type than the first, whose type is accepted anyway."""
    other = next((type(item) for item in value[1:] if type(item) is not type(value[0])), None)
    if other is not None:
        return VALUE_TYPES.get(other, "any")
    items = schema.get("items")
    return _named(items if isinstance(items, Mapping) else {})


def _named(schema: Mapping[str, Any]) -> str:
    """BFCL's name of a JSON type; `any`, which takes the type of the accepted value, for none and for several."""
    kind = schema.get("type")
    return BFCL_TYPES.get(kind, "any") if isinstance(kind, str) else "any"
