"""What an assistant turn says: reasoning, text and calls. Malformed calls are data, never an exception.

Reads the Qwen/Hermes form, `<tool_call>{"name": ..., "arguments": {...}}</tool_call>`; transformers' `parse_response`
reads the same turns when they are well-formed, but drops what is malformed, which a student has to be told about.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

CALL = re.compile(r"<tool_call>(.*?)(</tool_call>|(?=<tool_call>)|\Z)|</tool_call>", re.DOTALL)


@dataclass(frozen=True)
class ParsedCall:
    """One attempted call. `problem` says in a few words why it is malformed, None when it is well-formed JSON."""

    name: str | None
    arguments: dict[str, Any]
    problem: str | None = None


@dataclass(frozen=True)
class AssistantTurn:
    """`content` is the text outside reasoning and calls."""

    content: str
    reasoning: str
    calls: tuple[ParsedCall, ...]


def parse_turn(text: str) -> AssistantTurn:
    """Split the text of one assistant turn (end-of-turn token removed); a call inside reasoning is not a call."""
    reasoning, visible = split_reasoning(text)
    calls = tuple(_parse_call(match) for match in CALL.finditer(visible))
    return AssistantTurn(CALL.sub("", visible).strip(), reasoning, calls)


def split_reasoning(text: str) -> tuple[str, str]:
    """(reasoning, rest): all up to the last `</think>` is reasoning; an unclosed `<think>` leaves no rest."""
    head, closed, tail = text.rpartition("</think>")
    if closed:
        return head.replace("<think>", "").strip(), tail
    before, opened, inside = text.partition("<think>")
    return (inside.strip(), before) if opened else ("", text)


def _parse_call(match: re.Match[str]) -> ParsedCall:
    if match.group(1) is None:
        return ParsedCall(None, {}, "</tool_call> without <tool_call>")
    if match.group(2) != "</tool_call>":
        return ParsedCall(None, {}, "<tool_call> is not closed")
    try:
        call = json.loads(match.group(1), parse_constant=_no_constant)
        json.dumps(call, ensure_ascii=False, allow_nan=False).encode()  # refuses 1e999 and half a surrogate pair
    except (ValueError, RecursionError) as error:
        return ParsedCall(None, {}, f"not valid JSON: {str(error)[:80]}")
    if not isinstance(call, dict):
        return ParsedCall(None, {}, f"a call is a JSON object, got {type(call).__name__}")
    name = call.get("name")
    if not isinstance(name, str) or not name:
        return ParsedCall(None, {}, 'a call needs "name" as text')
    arguments = call.get("arguments", {})
    if not isinstance(arguments, dict):
        return ParsedCall(name, {}, f'"arguments" is a JSON object, got {type(arguments).__name__}')
    return ParsedCall(name, arguments)


def _no_constant(text: str) -> None:
    raise ValueError(f"{text} is not a JSON value")
