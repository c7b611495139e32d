"""Rows of tool-use RL data sets: verl's, ReCall's and MENTOR's, told apart by the columns each row has.

The three share `reward_model` (the answer) and `extra_info`; a row of the last two also brings its tools, as Python
source (`env`) and schemas (`func_schemas`). Objects may be JSON text of themselves, as the released trainers accept.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mentor.calls.schemas import check_schema
from mentor.errors import InputError
from mentor.rows import Row, answer_field, describe, json_field, without_nulls
from mentor.tasks.prompts import Message, read_prompt
from mentor.tasks.row_kind import RowKind, own_tools
from mentor.types import NamedCall, TaskTools, ToolCall

BOX = "\\boxed{"
ACCEPTED = "`question` as text, or `prompt` as a list of {role, content}"


class RlRows(RowKind):
    """ids are the row's `extra_info.id` or `id`. A boxed answer is unwrapped.

    MENTOR's `tool_calls_used` becomes the reference, of which only the names are known. A task that brings no tools
    takes the run's. placeholders: texts of `env` and what replaces them, `<search-url-placeholder>` say.
    """

    def __init__(self, columns: Mapping[str, str | None], placeholders: Mapping[str, str]) -> None:
        super().__init__(columns)
        self.placeholders = placeholders

    def prompt(self, row: Row, place: str) -> tuple[tuple[Message, ...], str]:
        return _prompt(row, place)

    def answer(self, row: Row, place: str) -> tuple[str, ...]:
        truth = _object(row, "reward_model", place)
        if not truth:
            raise InputError(
                f"{place}: no reward_model, given: {', '.join(map(repr, row))}, accepted: {{ground_truth}}"
            )
        return answer_field(truth, "ground_truth", f"{place}: reward_model")

    def accepted(self, answer: str, place: str) -> str:
        return unboxed(answer)

    def identifier(self, row: Row, place: str) -> str | None:
        extra = _object(row, "extra_info", place)
        own_id = row.get("id") if extra.get("id") is None else extra["id"]
        if own_id is not None and (isinstance(own_id, bool) or not isinstance(own_id, str | int | float)):
            raise InputError(f"{place}: id is {describe(own_id)}, accepted: a string or a number")
        return None if own_id is None or own_id == "" else str(own_id)

    def reference(self, row: Row, place: str) -> tuple[ToolCall, ...] | None:
        return _used_tools(row, place)

    def tools(self, row: Row, place: str) -> TaskTools | None:
        extra = _object(row, "extra_info", place)
        return _tools(extra, f"{place}: extra_info", self.placeholders) or own_tools(without_nulls(row), place)

    def source(self, row: Row, place: str) -> dict[str, Any]:
        return {"data_source": row.get("data_source", "")}


def _object(row: Mapping[str, Any], key: str, place: str) -> Mapping[str, Any]:
    """An object or its JSON text; empty where the row has none."""
    value = row.get(key)
    if isinstance(value, str) and value.strip():
        value = json_field(value, f"{place}: {key}", "an object or its JSON text")
    if value is None or value == "":
        return {}
    if not isinstance(value, Mapping):
        raise InputError(f"{place}: {key} is {describe(value)}, accepted: an object or its JSON text")
    return value


def _prompt(row: Row, place: str) -> tuple[tuple[Message, ...], str]:
    """`question`, else the messages of `prompt`."""
    value, messages = row.get("question"), row.get("prompt")
    if value is None and messages is not None:
        if not isinstance(messages, list | str) or isinstance(messages, str) and not messages.lstrip().startswith("["):
            raise InputError(f"{place}: prompt is {describe(messages)}, accepted: a list of {{role, content}}")
        return read_prompt(messages, place, "prompt")
    if value is None:
        raise InputError(f"{place}: no question, given: {', '.join(map(repr, row))}, accepted: {ACCEPTED}")
    if not isinstance(value, str) or not value.strip():
        raise InputError(f"{place}: the question is {describe(value)}, accepted: {ACCEPTED}")
    return (), value


def unboxed(text: str) -> str:
    r"""What stands in `\boxed{...}` where the text is one box and no more; else the text."""
    inner = text.strip()
    if not (inner.startswith(BOX) and inner.endswith("}")):
        return text
    inner = inner[len(BOX) : -1]
    depth = 0
    for character in inner:
        depth += {"{": 1, "}": -1}.get(character, 0)
        if depth < 0:
            return text
    return inner.strip() if depth == 0 and inner.strip() else text


def _used_tools(row: Row, place: str) -> tuple[NamedCall, ...] | None:
    names = row.get("tool_calls_used")
    if isinstance(names, str):
        names = json_field(names, f"{place}: tool_calls_used", "a list of tool names") if names.strip() else []
    if names is None:
        return None
    if not isinstance(names, list) or not all(isinstance(name, str) and name for name in names):
        raise InputError(f"{place}: tool_calls_used is {describe(names)}, accepted: a list of tool names")
    return tuple(NamedCall(name) for name in names)


def _tools(extra: Mapping[str, Any], where: str, placeholders: Mapping[str, str]) -> TaskTools | None:
    schemas = extra.get("func_schemas")
    if isinstance(schemas, str):
        schemas = json_field(schemas, f"{where}.func_schemas", "a list of tool schemas") if schemas.strip() else None
    if not schemas:
        return None
    if not isinstance(schemas, list):
        raise InputError(f"{where}.func_schemas is {describe(schemas)}, accepted: a list of tool schemas")
    env = extra.get("env")
    if env is not None and not isinstance(env, str):
        raise InputError(f"{where}.env is {describe(env)}, accepted: Python source")
    for text, value in placeholders.items():
        env = env.replace(text, value) if env else env
    return TaskTools(env or None, [check_schema(without_nulls(schema), where) for schema in schemas])
