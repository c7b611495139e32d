"""The calls that a row holds: the teacher's, or those that are right."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from mentor.calls.gold import gold_calls
from mentor.errors import InputError
from mentor.rewards.call_judge import judge_calls
from mentor.rows import describe, json_field
from mentor.traces.call_text import CallTextError, calls_of, python_calls, tagged_calls
from mentor.traces.loose_json import NotJsonError, loose_json
from mentor.types import GoldCalls, TaskTools, ToolCall

ACCEPTED = "a list of {name, arguments} objects or of OpenAI tool calls, also as JSON text"
_BLOCK = re.compile(r"<(?:TOOLCALL|tool_calls)>(.*?)</(?:TOOLCALL|tool_calls)>", re.DOTALL)
_REQUEST = re.compile(r"API-Request:\s*(\[.*\])", re.DOTALL)


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


# --- right calls ------------------------------------------------------------------------------------------------------


def said_calls(value: Any, where: str) -> tuple[ToolCall, ...]:
    """Read right calls: a list, one call, their JSON text, or an assistant's text. Raises InputError naming `where`."""
    if isinstance(value, Mapping):
        value = [value]
    if isinstance(value, str):
        return _calls_in_text(value, where)
    calls = read_calls(value, where)
    if calls is None:
        raise InputError(f"{where} is {describe(value)}, accepted: calls, or a text that holds them")
    return calls


def _calls_in_text(text: str, where: str) -> tuple[ToolCall, ...]:
    try:
        found: list[Any] = []
        blocks = [block[1] for block in _BLOCK.finditer(text)]
        request = _REQUEST.search(text)
        if blocks:
            found = [call for block in blocks for call in calls_of(loose_json(block))]
        elif "<tool_call>" in text:
            found = tagged_calls(_one_a_tag(text))[1]
        elif request or text.strip()[:1] == "[" and not text.strip().startswith(("[{", "[]", '["')):
            found = python_calls(request[1] if request else text.strip())[1]
        elif text.strip()[:1] in ("[", "{"):
            value = loose_json(text)
            found = calls_of(value) if value else []
    except (CallTextError, NotJsonError) as error:
        raise InputError(f"{where} is {describe(text)}, which holds no calls: {error}") from None
    return tuple(ToolCall(name, arguments) for name, arguments in found)


def _one_a_tag(text: str) -> str:
    """ToolRL writes several calls between two tags, one a line."""

    def parted(block: re.Match[str]) -> str:
        lines = [line for line in block[1].splitlines() if line.strip()]
        several = len(lines) > 1 and all(line.strip().startswith("{") and line.strip().endswith("}") for line in lines)
        return "".join(f"<tool_call>{line}</tool_call>" for line in lines) if several else block[0]

    return re.sub(r"<tool_call>(.*?)</tool_call>", parted, text, flags=re.DOTALL)


def checked_gold(calls: tuple[ToolCall, ...], tools: TaskTools | None, place: str) -> GoldCalls:
    """Return right calls with the types of their arguments. Raises InputError where they are not right by the rules."""
    gold = gold_calls(calls, [] if tools is None else tools.schemas, place)
    verdict = judge_calls(gold, [{"name": call.name, "arguments": call.arguments} for call in calls])
    if not verdict.valid:
        raise InputError(f"{place}: no calls are right, by the rules that judge them: {verdict.why}")
    return gold
