"""Call syntaxes: how a chat template spells a call, and how it is read. A malformed call is data, not an exception.

`hermes` (Qwen, Hermes): any number of `<tool_call>{"name": ..., "arguments": {...}}</tool_call>` in a turn.
`llama` (Llama 3.1 and 3.2): a turn that is one bare object, `{"name": ..., "parameters": {...}}`.

`parse_response` of transformers reads well-formed turns too, but drops malformed calls, which a student has to see
as errors.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

CALL = re.compile(r"<tool_call>(.*?)(</tool_call>|(?=<tool_call>)|\Z)|</tool_call>", re.DOTALL)
CLOSE = re.compile(r"\s*</tool_call>")
OBJECT = re.compile(r"\s*\{")
DECODER = json.JSONDecoder()
BARE_CALL = re.compile(r'\{\s*"(?:name|parameters|arguments|function|type)"')


@dataclass(frozen=True)
class ParsedCall:
    """One attempted call. problem: why it is malformed, in a few words; None for well-formed JSON."""

    name: str | None
    arguments: dict[str, Any]
    problem: str | None = None


@dataclass(frozen=True)
class FoundCall:
    """A call and the characters [start, end) that spell it."""

    start: int
    end: int
    call: ParsedCall


@dataclass(frozen=True)
class CallSyntax:
    """find: the calls of a text in order, without overlap. mention: what a call inside reasoning begins with."""

    name: str
    find: Callable[[str], list[FoundCall]]
    mention: re.Pattern[str]


def find_hermes(text: str) -> list[FoundCall]:
    """Find the calls between tags; a tag inside a JSON string of a call does not end it."""
    found: list[FoundCall] = []
    position, last_closing = 0, text.rfind("</tool_call>")
    while match := CALL.search(text, position):
        end, call = match.end(), _tagged_call(match)
        if call.problem is not None and match.group(1) is not None and end < last_closing:
            start, stop = _json_object(text, match.start(1))
            if closing := CLOSE.match(text, stop):
                end, call = closing.end(), read_call(text[start:stop], "arguments")
        found.append(FoundCall(match.start(), end, call))
        position = end
    return found


def find_llama(text: str) -> list[FoundCall]:
    """Read the whole turn as a call where it begins like one; `{1, 2}` at the start of an answer is text."""
    body = text.strip().removeprefix("<|python_tag|>").lstrip()
    return [FoundCall(0, len(text), read_call(body, "parameters"))] if BARE_CALL.match(body) else []


HERMES = CallSyntax("hermes", find_hermes, re.compile(r"<tool_call>"))
LLAMA = CallSyntax("llama", find_llama, re.compile(r'\{\s*"name"\s*:\s*"[^"\n]*"\s*,\s*"parameters"\s*:'))
SYNTAXES = (HERMES, LLAMA)


def read_call(body: str, key: str) -> ParsedCall:
    """Parse the JSON text of one call, whose arguments are under `key`."""
    try:
        call = json.loads(body, parse_constant=_no_constant)
        json.dumps(call, ensure_ascii=False, allow_nan=False).encode()  # refuses 1e999 and half a surrogate pair
    except (ValueError, RecursionError) as error:
        return ParsedCall(None, {}, f"not valid JSON: {str(error)[:80]}")
    if not isinstance(call, dict):
        return ParsedCall(None, {}, f"a call is a JSON object, got {type(call).__name__}")
    name = call.get("name")
    if not isinstance(name, str) or not name:
        return ParsedCall(None, {}, 'a call needs "name" as text')
    if key == "parameters" and "arguments" in call and key not in call:
        return ParsedCall(name, {}, 'the arguments of a call are under "parameters", got "arguments"')
    arguments = call.get(key, {})
    if not isinstance(arguments, dict):
        return ParsedCall(name, {}, f'"{key}" is a JSON object, got {type(arguments).__name__}')
    return ParsedCall(name, arguments)


def _tagged_call(match: re.Match[str]) -> ParsedCall:
    if match.group(1) is None:
        return ParsedCall(None, {}, "</tool_call> without <tool_call>")
    if match.group(2) != "</tool_call>":
        return ParsedCall(None, {}, "<tool_call> is not closed")
    return read_call(match.group(1), "arguments")


def _json_object(text: str, position: int) -> tuple[int, int]:
    """Find where the JSON object that follows begins and ends; the two are equal where there is none."""
    opening = OBJECT.match(text, position)
    if opening is None:
        return position, position
    start = opening.end() - 1
    try:
        return start, DECODER.raw_decode(text, start)[1]
    except (ValueError, RecursionError):
        return start, start


def _no_constant(text: str) -> None:
    raise ValueError(f"{text} is not a JSON value")
