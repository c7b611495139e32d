"""The tool schemas of a row: in a column, or in its system text; else made from the calls of its file."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

from mentor.calls.arguments import JSON_TYPE_NAMES
from mentor.calls.schemas import Schema, check_schema, json_schema, short_text
from mentor.errors import InputError
from mentor.rows import Row, describe, without_nulls
from mentor.traces.loose_json import NotJsonError, loose_json
from mentor.traces.trace import TraceError

COLUMNS = ("tools", "functions")
_TAGGED = re.compile(r"<tools>(.*?)</tools>", re.DOTALL)
_DECODER = json.JSONDecoder()


def listed_tools(row: Row) -> list[Schema] | None:
    """Return the schemas in a column of COLUMNS: a list, or its JSON text. None where no column lists any.

    Raises TraceError for what is no tool schema.
    """
    for column in COLUMNS:
        value = row.get(column)
        if isinstance(value, str) and value.strip():
            try:
                value = loose_json(value)
            except NotJsonError as error:
                raise TraceError("unfit_tools", f"{column} is not JSON: {error}") from None
        if isinstance(value, Mapping):
            value = [value]
        if value and not isinstance(value, list | str):
            raise TraceError("unfit_tools", f"{column} is {describe(value)}, accepted: a list of tool schemas")
        if value and not isinstance(value, str):
            return checked_tools(value, column)
    return None


def tools_in_text(text: str) -> tuple[list[Schema] | None, str]:
    """Take the schemas out of a system text, and return the rest of it.

    They are what stands in `<tools>`, a list or one object a line, or else all objects that look like a tool schema.
    """
    tagged = next((block for block in _TAGGED.finditer(text) if _values(block[1])), None)  # others speak of the tags
    if tagged:
        found = _values(tagged[1])
        rest = text[: tagged.start()] + text[tagged.end() :]
    else:
        found = [(start, end, value) for start, end, value in _values(text) if _is_listing(value)]
        rest = _without(text, [(start, end) for start, end, _ in found])
    schemas = [schema for *_, value in found for schema in (value if isinstance(value, list) else [value])]
    return (checked_tools(schemas, "system text") if schemas else None), rest.strip()


def checked_tools(schemas: Iterable[Any], where: str) -> list[Schema]:
    """Check schemas of OpenAI's shape, alone or below `function`, with JSON schema's types or Python's.

    Raises TraceError naming the schema.
    """
    try:
        checked = [check_schema(_openai_shape(schema), where) for schema in schemas]
    except InputError as error:
        raise TraceError("unfit_tools", str(error)) from None
    names = [schema["function"]["name"] for schema in checked]
    return [schema for place, schema in enumerate(checked) if names[place] not in names[:place]]


def made_from_calls(calls: Iterable[Mapping[str, Any]]) -> list[Schema]:
    """Make schemas that fit these calls: names of tools and arguments, with the types of the values seen."""
    seen: dict[str, dict[str, set[str]]] = {}
    for call in calls:
        arguments = seen.setdefault(call["name"], {})
        for name, value in call["arguments"].items():
            arguments.setdefault(name, set()).add(JSON_TYPE_NAMES.get(type(value), "null"))
    return checked_tools(
        [
            {
                "name": name,
                "parameters": {"type": "object", "properties": {key: _seen(types) for key, types in a.items()}},
            }
            for name, a in seen.items()
        ],
        "calls",
    )


def _seen(types: set[str]) -> dict[str, Any]:
    found = sorted(types - {"null"})
    return {"type": found[0]} if len(found) == 1 else {"type": found} if found else {}


def _openai_shape(schema: Any) -> Any:
    if isinstance(schema, str):
        try:
            schema = loose_json(schema)
        except NotJsonError:
            raise InputError(f"tool schema {short_text(schema)} is not JSON") from None
    function = schema.get("function", schema) if isinstance(schema, Mapping) else schema
    if not isinstance(function, Mapping):
        return schema
    function = without_nulls(dict(function))
    named = (function.get(key) for key in ("parameters", "input_schema", "input_parameters"))
    parameters: Any = next((found for found in named if found is not None), {})
    kept = {key: function[key] for key in ("name", "description") if key in function}
    return {**kept, "parameters": _object_schema(parameters)}


def _object_schema(parameters: Any) -> Any:
    """A JSON schema of an object, also from the mapping of its properties alone."""
    if isinstance(parameters, str) and not parameters.strip():
        return _object_schema({})
    if isinstance(parameters, str):
        try:
            parameters = loose_json(parameters)
        except NotJsonError:
            raise InputError(f"parameters {short_text(parameters)} are not JSON") from None
    if not isinstance(parameters, Mapping):
        return parameters
    if "properties" not in parameters and parameters.get("type") not in ("object", "dict"):
        parameters = {"properties": dict(parameters)}
    if not isinstance(parameters.get("properties", {}), Mapping):
        return parameters
    return json_schema({"properties": {}, **parameters, "type": "object"})


def _is_listing(value: Any) -> bool:
    entries = value if isinstance(value, list) else [value]
    return bool(entries) and all(_looks_like_schema(entry) for entry in entries)


def _looks_like_schema(value: Any) -> bool:
    function = value.get("function", value) if isinstance(value, Mapping) else None
    if not isinstance(function, Mapping) or not isinstance(function.get("name"), str):
        return False
    return isinstance(function.get("parameters"), Mapping) or isinstance(function.get("description"), str)


def _values(text: str) -> list[tuple[int, int, Any]]:
    """Find the JSON objects and lists in a text, with where each begins and ends."""
    found: list[tuple[int, int, Any]] = []
    position = 0
    while opening := re.compile(r"[\[{]").search(text, position):
        try:
            value, position = _DECODER.raw_decode(text, opening.start())
            found.append((opening.start(), position, value))
        except (ValueError, RecursionError):
            position = opening.end()
    return [entry for entry in found if isinstance(entry[2], dict) or entry[2]]


def _without(text: str, places: list[tuple[int, int]]) -> str:
    for start, end in reversed(places):
        text = text[:start] + text[end:]
    return text
