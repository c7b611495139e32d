"""The calls that a row holds: the teacher's, or those that are right."""

from __future__ import annotations

from typing import Any

from mentor.errors import InputError
from mentor.rows import describe, json_field
from mentor.types import ToolCall

ACCEPTED = "a list of {name, arguments} objects or of OpenAI tool calls, also as JSON text"


def read_calls(value: Any, where: str) -> tuple[ToolCall, ...] | None:
    """Read a list of calls, or its JSON text; None where there is none. Raises InputError naming `where`."""
    if isinstance(value, str):  # parquet and CSV often hold it as JSON text
        value = json_field(value, where, ACCEPTED)
    if value is None:
        return None
    if not isinstance(value, list):
        raise InputError(f"{where} is {describe(value)}, accepted: {ACCEPTED}")
    return tuple(_call(entry, f"{where}[{index}]") for index, entry in enumerate(value))


def _call(entry: Any, where: str) -> ToolCall:
    function = entry.get("function", entry) if isinstance(entry, dict) else None
    if not isinstance(function, dict) or not isinstance(function.get("name"), str):
        raise InputError(f"{where} is {describe(entry)}, accepted: {ACCEPTED}")
    arguments = function.get("arguments", function.get("parameters", {}))
    if isinstance(arguments, str):  # as OpenAI writes them
        arguments = json_field(arguments, f"{where}.arguments", "a JSON object")
    if not isinstance(arguments, dict):
        raise InputError(f"{where}.arguments is {describe(arguments)}, accepted: an object")
    return ToolCall(function["name"], arguments)
